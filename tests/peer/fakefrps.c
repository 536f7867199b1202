/* SPDX-License-Identifier: Apache-2.0 */
/* fakefrps.c - a frp server that misbehaves on command, for what a stock one cannot be made to do.
 *Plain TCP; wire v1 and v2.
 *
 *	fakefrps [--token TOKEN] [--no-mux]
 *
 * Prints {"port":N,"control":N}, then what happens, one JSON object a line. Each connection to the
 *control port may send commands, one a line; the answer is "ok" when it is in force, or "bad: why".
 *
 *	on STAGE ACT	from now on (tcp, mux, login, up, proxy, work; see fake_script.h)
 *	name [NAME]	the proxy stage is for this proxy only; for all again
 *
 * and for the session that logged in last (or connected last, when none did), at once:
 *
 *	ACT			any of: silent freeze fin rst raw HEX bytes HEX frame T JSON
 *	thaw			undoes freeze
 *	reqwork N | strangers N | pings N | syns N | overrun BYTES | goaway CODE | endcontrol 0
 *	start NAME SRC SPORT DST DPORT		joins the oldest parked work connection
 *	send STREAM HEX | finish STREAM | reset STREAM	as the user of a joined one */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "proto/base/err.h"
#include "tests/peer/fake_script.h"
#include "tests/peer/fake_session.h"

#define TICK_MS 100

struct server {
	uv_loop_t loop;
	uv_tcp_t listener, control;
	uv_timer_t timer;
	struct fake_script script;
	struct list links; /* of struct link, oldest first */
	unsigned n_links;
};

/* One client. */
struct link {
	struct list link;
	struct server *server;
	uv_tcp_t tcp;
	struct fake_session session;
	bool is_reading, is_closing;
};

/* One connection to the control port. */
struct console {
	struct server *server;
	uv_tcp_t tcp;
	size_t len;
	char line[FAKE_LINE_MAX];
};

struct write {
	uv_write_t req;
	char bytes[];
};

static void on_written(uv_write_t *req, int status)
{
	(void) status; /* the reader notices the end */
	free(container_of(req, struct write, req));
}

static void write_copy(uv_tcp_t *tcp, struct span s)
{
	struct write *w = malloc(sizeof(*w) + s.len);
	uv_buf_t b;

	MUST(w != NULL);
	memcpy(w->bytes, s.p, s.len);
	b = uv_buf_init(w->bytes, (unsigned) s.len);
	if (uv_write(&w->req, (uv_stream_t *) tcp, &b, 1, on_written) < 0)
		free(w);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	(void) h;
	*b = uv_buf_init(malloc(suggested), (unsigned) suggested);
}

/* ---- clients --------------------------------------------------------------------------------- */

static void on_link_closed(uv_handle_t *h)
{
	struct link *l = container_of((uv_tcp_t *) h, struct link, tcp);

	list_del(&l->link);
	fake_session_deinit(&l->session);
	free(l);
}

static void link_close(struct link *l, bool is_reset, const char *by)
{
	if (l->is_closing)
		return;
	l->is_closing = true;
	fake_say(&l->session, "closed", ",\"by\":\"%s\",\"how\":\"%s\"", by,
		 is_reset ? "rst" : "fin");
	if (is_reset && strcmp(by, "us") == 0 && uv_tcp_close_reset(&l->tcp, on_link_closed) == 0)
		return;
	if (!uv_is_closing((uv_handle_t *) &l->tcp))
		uv_close((uv_handle_t *) &l->tcp, on_link_closed);
}

static void on_shut(uv_shutdown_t *req, int status)
{
	struct link *l = req->data;

	(void) status;
	free(req);
	link_close(l, false, "us");
}

static void link_shut(struct link *l)
{
	uv_shutdown_t *req = calloc(1, sizeof(*req));

	MUST(req != NULL);
	req->data = l;
	if (uv_shutdown(req, (uv_stream_t *) &l->tcp, on_shut) < 0) {
		free(req);
		link_close(l, false, "us");
	}
}

static void on_link_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b);

/* What the session decided becomes true. */
static void link_settle(struct link *l)
{
	struct fake_session *s = &l->session;

	if (l->is_closing)
		return;
	if (s->is_frozen == l->is_reading) {
		l->is_reading = !s->is_frozen;
		if (l->is_reading)
			(void) uv_read_start((uv_stream_t *) &l->tcp, on_alloc,
					     on_link_read); /* it was started before */
		else
			uv_read_stop((uv_stream_t *) &l->tcp);
	}
	if (s->is_frozen)
		return;
	if (buf_len(&s->out) > 0) {
		write_copy(&l->tcp, buf_span(&s->out));
		buf_eat(&s->out, buf_len(&s->out));
	}
	if (s->want_rst) {
		link_close(l, true, "us");
	} else if (s->want_fin) {
		s->want_fin = false;
		link_shut(l);
	}
}

static void on_link_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct link *l = container_of((uv_tcp_t *) stream, struct link, tcp);

	if (n < 0) {
		link_close(l, n != UV_EOF, "client");
	} else if (n > 0) {
		fake_session_feed(&l->session, span_of(b->base, (size_t) n),
				  uv_now(&l->server->loop));
		link_settle(l);
	}
	free(b->base);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct server *sv = container_of((uv_tcp_t *) listener, struct server, listener);
	struct link *l = status == 0 ? calloc(1, sizeof(*l)) : NULL;

	MUST(l != NULL);
	l->server = sv;
	list_init(&l->link);
	MUST(uv_tcp_init(&sv->loop, &l->tcp) == 0);
	if (uv_accept(listener, (uv_stream_t *) &l->tcp) < 0) {
		uv_close((uv_handle_t *) &l->tcp, on_link_closed);
		return;
	}
	(void) uv_tcp_nodelay(&l->tcp, 1); /* latency only */
	MUST(fake_session_init(&l->session, ++sv->n_links, &sv->script) == 0);
	list_add_tail(&sv->links, &l->link);
	fake_say(&l->session, "connect", "%s", "");
	l->is_reading = uv_read_start((uv_stream_t *) &l->tcp, on_alloc, on_link_read) == 0;
	fake_session_start(&l->session);
	link_settle(l);
}

static void on_tick(uv_timer_t *timer)
{
	struct server *sv = container_of(timer, struct server, timer);

	for (struct list *at = sv->links.next; at != &sv->links; at = at->next) {
		struct link *l = container_of(at, struct link, link);

		fake_session_tick(&l->session, uv_now(&sv->loop));
		link_settle(l);
	}
}

/* ---- commands -------------------------------------------------------------------------------- */

/* The session that commands are for. */
static struct link *current(struct server *sv)
{
	struct link *newest = NULL, *up = NULL;

	for (struct list *at = sv->links.next; at != &sv->links; at = at->next) {
		struct link *l = container_of(at, struct link, link);

		if (l->is_closing)
			continue;
		newest = l;
		if (l->session.is_up)
			up = l;
	}
	return up != NULL ? up : newest;
}

static const char *do_on(struct server *sv, char *text)
{
	enum fake_stage stage;
	struct fake_step step;

	if (fake_stage_of_name(fake_word(&text), &stage) != 0)
		return "no such stage";
	if (fake_step_parse(text, &step) != 0)
		return "no such act";
	fake_step_deinit(&sv->script.at[stage]);
	sv->script.at[stage] = step;
	return NULL;
}

static const char *do_name(struct server *sv, const char *name)
{
	free(sv->script.proxy);
	sv->script.proxy = *name != '\0' ? strdup(name) : NULL;
	return NULL;
}

/* Without a mux a work connection is a session of its own: the oldest one that can. */
static const char *obey_works(struct server *sv, const char *line)
{
	const char *why = "nobody is connected";
	char copy[FAKE_LINE_MAX];

	for (struct list *at = sv->links.next; at != &sv->links; at = at->next) {
		struct link *l = container_of(at, struct link, link);

		(void) snprintf(copy, sizeof(copy), "%s", line); /* the same length */
		why = l->is_closing ? why : fake_session_do(&l->session, copy);
		link_settle(l);
		if (why == NULL)
			break;
	}
	return why;
}

static bool is_for_work(const char *line)
{
	return strncmp(line, "start ", 6) == 0 || strncmp(line, "send ", 5) == 0 ||
	       strncmp(line, "finish ", 7) == 0 || strncmp(line, "reset ", 6) == 0;
}

static const char *obey(struct server *sv, char *line)
{
	struct link *l = current(sv);
	const char *why;

	if (strncmp(line, "on ", 3) == 0)
		return do_on(sv, line + 3);
	if (strncmp(line, "name", 4) == 0)
		return do_name(sv, line[4] == ' ' ? line + 5 : "");
	if (l == NULL)
		return "nobody is connected";
	if (!sv->script.is_mux && is_for_work(line))
		return obey_works(sv, line);
	why = fake_session_do(&l->session, line);
	link_settle(l);
	return why;
}

static void console_obey(struct console *c, char *line)
{
	char answer[256];
	const char *why = obey(c->server, line);
	int n = why == NULL ? snprintf(answer, sizeof(answer), "ok\n")
			    : snprintf(answer, sizeof(answer), "bad: %s\n", why);

	write_copy(&c->tcp, span_of(answer, (size_t) n));
}

static void on_console_closed(uv_handle_t *h)
{
	free(container_of((uv_tcp_t *) h, struct console, tcp));
}

static void on_console_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct console *c = container_of((uv_tcp_t *) stream, struct console, tcp);

	if (n < 0)
		uv_close((uv_handle_t *) &c->tcp, on_console_closed);
	for (ssize_t i = 0; i < n; i++) {
		MUST(c->len < sizeof(c->line));
		c->line[c->len++] = b->base[i];
		if (b->base[i] != '\n')
			continue;
		c->line[c->len - 1] = '\0';
		c->len = 0;
		console_obey(c, c->line);
	}
	free(b->base);
}

static void on_console(uv_stream_t *listener, int status)
{
	struct server *sv = container_of((uv_tcp_t *) listener, struct server, control);
	struct console *c = status == 0 ? calloc(1, sizeof(*c)) : NULL;

	MUST(c != NULL);
	c->server = sv;
	MUST(uv_tcp_init(&sv->loop, &c->tcp) == 0);
	MUST(uv_accept(listener, (uv_stream_t *) &c->tcp) == 0);
	MUST(uv_read_start((uv_stream_t *) &c->tcp, on_alloc, on_console_read) == 0);
}

/* ---- start ----------------------------------------------------------------------------------- */

static unsigned listen_somewhere(struct server *sv, uv_tcp_t *tcp, uv_connection_cb on_one)
{
	struct sockaddr_in at;
	int len = sizeof(at);

	MUST(uv_ip4_addr("127.0.0.1", 0, &at) == 0);
	MUST(uv_tcp_init(&sv->loop, tcp) == 0);
	MUST(uv_tcp_bind(tcp, (const struct sockaddr *) &at, 0) == 0);
	MUST(uv_listen((uv_stream_t *) tcp, 1024, on_one) == 0);
	MUST(uv_tcp_getsockname(tcp, (struct sockaddr *) &at, &len) == 0);
	return ntohs(at.sin_port);
}

int main(int argc, char **argv)
{
	struct server sv = { .script.is_mux = true };
	unsigned port, control;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--no-mux") == 0) {
			sv.script.is_mux = false;
		} else if (strcmp(argv[i], "--token") == 0 && i + 1 < argc) {
			sv.script.token = span_str(argv[++i]);
		} else {
			fprintf(stderr, "usage: fakefrps [--token TOKEN] [--no-mux]\n");
			return 2;
		}
	}
	(void) signal(SIGPIPE, SIG_IGN); /* a write to a client that is gone fails, no more */
	list_init(&sv.links);
	MUST(uv_loop_init(&sv.loop) == 0);
	port = listen_somewhere(&sv, &sv.listener, on_connection);
	control = listen_somewhere(&sv, &sv.control, on_console);
	MUST(uv_timer_init(&sv.loop, &sv.timer) == 0);
	MUST(uv_timer_start(&sv.timer, on_tick, TICK_MS, TICK_MS) == 0);
	printf("{\"port\":%u,\"control\":%u}\n", port, control);
	fflush(stdout);
	return uv_run(&sv.loop, UV_RUN_DEFAULT); /* until killed */
}
