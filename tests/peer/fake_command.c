/* SPDX-License-Identifier: Apache-2.0 */
/* fake_command.c - things a frps is told to do now: floods, frames that lie, and the users of
 * joined pipes. */
#include <stdio.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/text.h"
#include "tests/peer/fake_pipe.h"
#include "tests/peer/fake_session.h"

static struct fake_pipe *find_pipe(struct fake_session *s, enum fake_role role, uint64_t id)
{
	for (struct list *at = s->pipes.next; at != &s->pipes; at = at->next) {
		struct fake_pipe *p = container_of(at, struct fake_pipe, link);

		if (p->role == role && (id == 0 || p->id == id))
			return p;
	}
	return NULL;
}

static bool parse_count(char **text, uint64_t *ret_n)
{
	return text_parse_u64(fake_word(text), 0, UINT32_MAX, ret_n) == 0;
}

/* start NAME SRC SPORT DST DPORT: join the oldest parked pipe. */
static const char *do_start(struct fake_session *s, char *text)
{
	struct fake_pipe *p = find_pipe(s, FAKE_ROLE_PARKED, 0);
	struct msg m = { .type = MSG_START_WORK_CONN };
	uint64_t src_port, dst_port;

	if (p == NULL)
		return "nothing is parked";
	m.start_work_conn.proxy_name = fake_word(&text);
	m.start_work_conn.src_addr = fake_word(&text);
	if (!parse_count(&text, &src_port))
		return "no port";
	m.start_work_conn.dst_addr = fake_word(&text);
	if (!parse_count(&text, &dst_port))
		return "no port";
	m.start_work_conn.src_port = (int64_t) src_port;
	m.start_work_conn.dst_port = (int64_t) dst_port;
	fake_pipe_send(p, &m);
	p->role = FAKE_ROLE_JOINED;
	fake_say(s, "joined", ",\"stream\":%u", p->id);
	return NULL;
}

/* send STREAM HEX | finish STREAM | reset STREAM: as the user of a joined pipe. */
static const char *do_user(struct fake_session *s, const char *name, char *text)
{
	struct fake_pipe *p;
	uint64_t id;

	if (!parse_count(&text, &id))
		return "no stream";
	p = find_pipe(s, FAKE_ROLE_JOINED, id);
	if (p == NULL)
		return "no such stream is joined";
	if (name[0] == 's') {
		struct fake_step step;
		char line[FAKE_LINE_MAX + 8];

		(void) snprintf(line, sizeof(line), "bytes %s", text); /* a command fits */
		if (fake_step_parse(line, &step) != 0)
			return "no hex";
		fake_pipe_put(p, span_of(step.bytes, step.len));
		fake_step_deinit(&step);
	} else if (p->stream == NULL) {
		s->want_fin = name[0] == 'f';
		s->want_rst = name[0] != 'f';
	} else if (name[0] == 'f') {
		mux_fin(s->mux, p->stream);
	} else {
		mux_rst(s->mux, p->stream);
	}
	return NULL;
}

static void flood_requests(struct fake_session *s, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		fake_pipe_put_frame(s->control, msg_type_byte(MSG_REQ_WORK_CONN), span_str("{}"));
}

static void flood_strangers(struct fake_session *s, uint64_t n)
{
	char body[80];

	for (uint64_t i = 0; i < n; i++) {
		(void) snprintf(body, sizeof(body), "{\"proxy_name\":\"stranger-%llu\"}",
				(unsigned long long) i);
		fake_pipe_put_frame(s->control, msg_type_byte(MSG_NEW_PROXY_RESP), span_str(body));
	}
}

static void flood_pings(struct fake_session *s, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct mframe f = { .type = MFRAME_PING, .flags = MFRAME_SYN, .len = (uint32_t) i };

		fake_session_put_mframe(s, &f);
	}
}

static void flood_syns(struct fake_session *s, uint64_t n)
{
	for (uint64_t i = 1; i <= n; i++) {
		struct mframe f = { .type = MFRAME_WINDOW,
				    .flags = MFRAME_SYN,
				    .stream_id = (uint32_t) (2 * i) };

		fake_session_put_mframe(s, &f);
	}
}

/* Data on a joined pipe, else on the control's, whatever the credit is. */
static void flood_window(struct fake_session *s, uint64_t n)
{
	static const uint8_t zeros[16384];
	struct fake_pipe *p = find_pipe(s, FAKE_ROLE_JOINED, 0);

	if (p == NULL)
		p = s->control;
	while (n > 0) {
		size_t len = n < sizeof(zeros) ? (size_t) n : sizeof(zeros);
		struct mframe f = { .type = MFRAME_DATA,
				    .stream_id = p->id,
				    .len = (uint32_t) len };

		fake_session_put_mframe(s, &f);
		MUST(buf_add(&s->out, span_of(zeros, len)) == 0);
		n -= len;
	}
}

static void send_goaway(struct fake_session *s, uint64_t code)
{
	struct mframe f = { .type = MFRAME_GOAWAY, .len = (uint32_t) code };

	fake_session_put_mframe(s, &f);
}

static void end_control(struct fake_session *s, uint64_t n)
{
	(void) n; /* for the table */
	if (s->mux != NULL)
		mux_fin(s->mux, s->control->stream);
}

static const struct {
	const char *name;
	void (*run)(struct fake_session *s, uint64_t n);
	bool needs_mux;
} counted[] = {
	{ "reqwork", flood_requests, false }, { "strangers", flood_strangers, false },
	{ "pings", flood_pings, true },	      { "syns", flood_syns, true },
	{ "overrun", flood_window, true },    { "goaway", send_goaway, true },
	{ "endcontrol", end_control, true },
};

static const char *do_counted(struct fake_session *s, const char *name, char *text)
{
	uint64_t n;

	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
		if (strcmp(counted[i].name, name) != 0)
			continue;
		if (!parse_count(&text, &n))
			return "no count";
		if (s->control == NULL)
			return "nobody is logged in";
		if (counted[i].needs_mux && s->mux == NULL)
			return "there is no mux";
		counted[i].run(s, n);
		return NULL;
	}
	return "no such command";
}

const char *fake_session_do(struct fake_session *s, char *command)
{
	struct fake_step step;
	const char *why = NULL;
	char *name;

	fake_session_flush(s);
	if (fake_step_parse(command, &step) == 0) {
		(void) fake_session_step(s, s->control, &step);
		fake_step_deinit(&step);
	} else {
		name = fake_word(&command);
		if (strcmp(name, "start") == 0)
			why = do_start(s, command);
		else if (strcmp(name, "thaw") == 0)
			s->is_frozen = false;
		else if (strcmp(name, "send") == 0 || strcmp(name, "finish") == 0 ||
			 strcmp(name, "reset") == 0)
			why = do_user(s, name, command);
		else
			why = do_counted(s, name, command);
	}
	fake_session_flush(s);
	return why;
}
