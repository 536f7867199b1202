/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - a connection to the server. Floor 5. */
#include "agent/tunnel/link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/net/dial.h"
#include "agent/net/hop.h"
#include "agent/net/netwatch.h"
#include "agent/net/resolve.h"
#include "agent/net/tls.h"
#include "agent/tunnel/advice.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

static const char *const dial_words[] = {
	[DIAL_STAGE_NAME] = "the server's name does not resolve",
	[DIAL_STAGE_CONNECT] = "connect to server error",
};
static const char *const hop_words[] = {
	[HOP_STAGE_NAME] = "the name in proxyURL does not resolve",
	[HOP_STAGE_CONNECT] = "connect to the proxy of proxyURL error",
	[HOP_STAGE_ANSWER] = "no connection through the proxy of proxyURL",
};

static void link_fail(struct link *l, const char *words, const char *error, const char *remedy)
{
	timer_stop(&l->timer);
	l->ops->on_failed(l->arg, words, error, remedy);
}

static void link_ready(struct link *l)
{
	l->state = LINK_STATE_READY;
	timer_stop(&l->timer);
	conn_read(&l->conn, true);
	l->ops->on_ready(l->arg);
}

/* -- the server -- */

static int link_server_secure(struct link_server *s, const char *addr)
{
	const struct conf_tls *t = &s->conf->tls;
	struct tls_params p = {
		.server_name = t->server_name != NULL ? t->server_name : s->conf->server_host,
		.ca_file = t->ca_file,
		.want_system_roots = t->want_system_roots,
		.pin = t->pin,
		.cert_file = t->cert_file,
		.key_file = t->key_file,
	};
	char why[256];
	int err;

	err = tls_config_new(&s->tls, &p, why, sizeof(why));
	if (err == TLS_E_BAD)
		log_error(s->loop->log, "TLS settings", "error", why);
	else if (err == 0 && !tls_config_verifies(s->tls))
		log_warn(s->loop->log, "the server's certificate is not verified, as with frpc",
			 "server", addr, "remedy",
			 "give a CA, a pin or the system's roots to verify it");
	return err > 0 ? -EINVAL : err;
}

static int link_server_set_resolver(struct link_server *s)
{
	int err = resolver_set_servers(s->resolver, s->conf->dns_server);

	if (err != 0)
		log_error(s->loop->log, "dnsServer cannot be used", "error", "too long");
	return err;
}

static int link_server_check_local_ip(const struct link_server *s)
{
	if (s->conf->local_ip == NULL || text_is_ip(s->conf->local_ip))
		return 0;
	log_error(s->loop->log, "connectServerLocalIP is not a numeric address", "value",
		  s->conf->local_ip);
	return -EINVAL;
}

static int link_server_set_hop(struct link_server *s)
{
	const char *why;

	if (s->conf->proxy_url == NULL)
		return 0;
	s->hop = calloc(1, sizeof(*s->hop));
	if (s->hop == NULL)
		return -ENOMEM;
	if (hopurl_parse(s->conf->proxy_url, s->hop, &why) == 0)
		return 0;
	log_error(s->loop->log, "proxyURL cannot be used", "error", why);
	return -EINVAL;
}

int link_server_init(struct link_server *s, struct loop *l, const struct conf *conf,
		     const char *addr)
{
	int err;

	*s = (struct link_server){ .loop = l, .conf = conf };
	err = resolver_new(&s->resolver, l);
	if (err == 0)
		err = link_server_set_resolver(s);
	if (err == 0)
		err = link_server_check_local_ip(s);
	if (err == 0)
		err = link_server_set_hop(s);
	if (err == 0 && conf->tls.is_on)
		err = link_server_secure(s, addr);
	return err;
}

void link_server_deinit(struct link_server *s)
{
	s->tls = tls_config_free(s->tls);
	if (s->hop != NULL)
		hopurl_wipe(s->hop);
	s->hop = mem_free(s->hop);
	s->resolver = resolver_free(s->resolver);
}

/* -- the connection -- */

static void link_on_ready(void *arg)
{
	link_ready(arg);
}

static void link_on_data(void *arg, struct span data)
{
	struct link *l = arg;

	l->ops->on_data(l->arg, data);
}

static void link_on_written(void *arg, size_t n)
{
	struct link *l = arg;

	(void) n;
	if (l->state == LINK_STATE_READY)
		l->ops->on_written(l->arg);
}

static void link_end(struct link *l, const char *error, bool is_clean)
{
	if (l->state == LINK_STATE_READY)
		l->ops->on_lost(l->arg, error, is_clean);
	else
		link_fail(l, "TLS handshake failed", error, advice_for_tls(error));
}

static void link_on_eof(void *arg)
{
	link_end(arg, "the server closed the connection", /* is_clean= */ true);
}

static void link_on_error(void *arg, int err, const char *why)
{
	(void) err; /* @why says it */
	link_end(arg, why, /* is_clean= */ false);
}

static void link_on_gone(void *arg)
{
	struct link *l = arg;

	l->has_conn = false;
	l->ops->on_gone(l->arg);
}

static const struct conn_ops conn_ops = {
	.on_data = link_on_data,
	.on_ready = link_on_ready,
	.on_written = link_on_written,
	.on_eof = link_on_eof,
	.on_error = link_on_error,
	.on_gone = link_on_gone,
};

/* -- opening -- */

static void link_secure(struct link *l)
{
	static const uint8_t first_byte = 0x17; /* frp pkg/util/net/tls.go FRPTLSHeadByte */
	size_t n_now;
	int err = 0;

	l->state = LINK_STATE_SECURING;
	timer_set(&l->timer, loop_now_ms(l->server->loop) + WAIT_TLS_MS);
	if (l->server->conf->tls.want_custom_first_byte)
		err = conn_write(&l->conn, span_of(&first_byte, 1), &n_now);
	if (err == 0)
		err = conn_start_tls(&l->conn, l->server->tls);
	if (err != 0)
		link_fail(l, "TLS handshake failed", "out of memory",
			  advice_for_cause(CLIENT_CAUSE_MEMORY));
}

static void link_connected(struct link *l, int fd)
{
	int unsent = LIMIT_UNSENT, err;

	/* What waits in the kernel cannot be overtaken by a ping or a small answer. A kernel
	 * without it is slower on a thin line. */
	(void) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	err = conn_adopt(&l->conn, fd);
	if (err != 0)
		link_fail(l, dial_words[DIAL_STAGE_CONNECT], uv_strerror(err),
			  advice_for_dial(DIAL_STAGE_CONNECT, err));
	else if (l->server->tls != NULL)
		link_secure(l);
	else
		link_ready(l);
}

static struct dial_options link_options(const struct link *l)
{
	const struct conf *conf = l->server->conf;

	return (struct dial_options){ .local_ip = conf->local_ip,
				      .keepalive_s = conf->tcp_keepalive_s,
				      .is_for_user = l->is_for_user };
}

static void link_note_address(struct link *l, const char *addr)
{
	struct text_hostport hp;

	if (text_parse_hostport(addr, 0, &hp) == 0)
		(void) snprintf(l->server->last_ip, sizeof(l->server->last_ip), "%.63s", hp.host);
}

static void link_on_dialed(void *arg, const struct dial_result *r, int fd)
{
	struct link *l = arg;

	l->dial = NULL;
	if (r->err == 0) {
		link_note_address(l, r->addr);
		link_connected(l, fd);
	} else {
		link_fail(l, dial_words[r->stage], r->why, advice_for_dial(r->stage, r->err));
	}
}

static void link_on_hop(void *arg, const struct hop_result *r, int fd)
{
	struct link *l = arg;

	l->hop = NULL;
	if (r->err == 0)
		link_connected(l, fd);
	else
		link_fail(l, hop_words[r->stage], r->why, advice_for_hop(r));
}

/* 0 or negated errno. */
static int link_dial(struct link *l)
{
	const struct link_server *s = l->server;
	const struct conf *conf = s->conf;
	struct dial_options o = link_options(l);
	uint64_t due_ms = loop_now_ms(s->loop) + conf->dial_timeout_ms;

	if (s->hop != NULL)
		return hop_start(s->loop, s->resolver, s->hop, &o, conf->server_host,
				 conf->server_port, due_ms, link_on_hop, l, &l->hop);
	o.known_ip = s->last_ip;
	return dial_start_with(s->loop, s->resolver, &o, conf->server_host, conf->server_port,
			       due_ms, link_on_dialed, l, &l->dial);
}

static void link_undial(struct link *l)
{
	l->dial = dial_cancel(l->dial);
	l->hop = hop_cancel(l->hop);
}

static void link_on_timer(struct timer *t)
{
	struct link *l = container_of(t, struct link, timer);

	link_fail(l, "TLS handshake failed", "timed out", advice_for_tls("timed out"));
}

static int link_start(struct link *l, struct link_server *server, const struct link_ops *ops,
		      void *arg, bool is_for_user)
{
	int err;

	memset(l, 0, sizeof(*l));
	l->server = server;
	l->is_for_user = is_for_user;
	l->ops = ops;
	l->arg = arg;
	timer_init(&l->timer, server->loop, link_on_timer);
	err = link_dial(l);
	if (err != 0)
		return err;
	err = conn_init(&l->conn, server->loop, &conn_ops, l, LIMIT_LINK_BATCH);
	if (err != 0) {
		link_undial(l);
		return err;
	}
	l->has_conn = true;
	return 0;
}

int link_open(struct link *l, struct link_server *server, const struct link_ops *ops, void *arg)
{
	return link_start(l, server, ops, arg, /* is_for_user= */ false);
}

int link_open_for_user(struct link *l, struct link_server *server, const struct link_ops *ops,
		       void *arg)
{
	return link_start(l, server, ops, arg, /* is_for_user= */ true);
}

bool link_has_moved(const struct link *l)
{
	int fd;

	return uv_fileno((const uv_handle_t *) &l->conn.tcp, &fd) == 0 && netwatch_has_moved(fd);
}

void link_close(struct link *l)
{
	l->state = LINK_STATE_CLOSED;
	timer_stop(&l->timer);
	link_undial(l);
	if (l->has_conn)
		conn_close(&l->conn);
}
