/* SPDX-License-Identifier: Apache-2.0 */
/* test_replay.c - every recorded session of stock frpc and frps, replayed to our machines.
 *
 * The client machine gets the server's bytes at the recorded times and the recorded randoms (IV,
 * nonce, hello), as the relay read them, byte by byte and at random splits; what it says is decoded
 * and compared with what frpc said, message by message and channel by channel.
 *
 * Compared as JSON, with absent, null, zero and empty the same. Not compared, since it differs by
 * intention:
 * - privilege_key and timestamp of Ping and NewWorkConn: ours are always signed, frpc's only with
 * the server's additional scopes;
 * - the place of Ping among other messages: frpc sends it from a thread of its own; their number
 * is;
 * - the order of the NewProxy and CloseProxy of different proxies: frpc walks a hash map;
 * - CloseProxy of a refused proxy: frpc sends one, we do not (the server holds nothing).
 * Messages above the client machine (UDP packets, visitors) are decoded and encoded again by the
 * channel alone.
 *
 * And each is cut at every offset of what the server said. */
#include "tests/unit/unit.h"

#include <dirent.h>

#include "proto/wire/dgram.h"
#include "tests/sim/rerun.h"
#include "tests/unit/failmalloc.h"

#define N_HOWS 6 /* as recorded, byte by byte, random */
#define N_KINDS 2
#define CUT_EACH 2500 /* offsets of a session, each; behind them is payload */
#define CUT_STEP 499

static const enum prim_aead_kind both_kinds[N_KINDS] = { PRIM_AEAD_AES_256_GCM,
							 PRIM_AEAD_XCHACHA20_POLY1305 };

static bool is_cut; /* sessions are cut, not compared */
static size_t n_cuts;

/* Decoded and encoded again it says the same. */
static void check_codec(const struct rec_message *m, enum wire wire)
{
	struct rec_messages again;
	json_t *want, *got;
	struct msg msg;
	struct buf b;

	rec_message_decode(m, &msg);
	buf_init(&b, 1 << 17);
	assert_int_equal(frame_encode(wire, &msg, &b), 0);
	rec_decode(&again, wire, buf_span(&b), REC_DOWN, 2, NULL);
	assert_int_equal(again.n, 1);
	assert_int_equal(again.at[0].type, m->type);
	want = rec_normal(m->json, false);
	got = rec_normal(again.at[0].json, false);
	assert_true(json_equal(want, got));
	json_decref(want);
	json_decref(got);
	rec_messages_free(&again);
	buf_deinit(&b);
	msg_deinit(&msg);
}

/* The binary datagrams of 0.71: the same bytes again. */
static void check_binary(const struct rec_message *m)
{
	struct frame f = { .kind = FRAME_UDP, .type = m->type, .body = buf_span(&m->body) };
	struct rec_messages again;
	const char *why = NULL;
	uint8_t payload[2048];
	struct dgram d;
	struct buf b;

	assert_int_equal(dgram_decode(DGRAM_BINARY, &f, payload, sizeof(payload), &d, &why), 0);
	buf_init(&b, 1 << 17);
	assert_int_equal(dgram_encode(DGRAM_BINARY, &d, &b), 0);
	rec_decode(&again, WIRE_V2, buf_span(&b), REC_DOWN, 2, NULL);
	assert_int_equal(again.n, 1);
	unit_assert_span(buf_span(&again.at[0].body), buf_span(&m->body));
	rec_messages_free(&again);
	buf_deinit(&b);
}

static void check_codecs(struct replay *p, const struct rec_messages *m, size_t from)
{
	for (size_t i = from; i < m->n; i++) {
		if (m->at[i].kind == FRAME_MESSAGE)
			check_codec(&m->at[i], p->r.wire);
		else if (m->at[i].kind == FRAME_UDP)
			check_binary(&m->at[i]);
		p->n_messages += m->at[i].kind == FRAME_MESSAGE || m->at[i].kind == FRAME_UDP;
		p->n_binary += m->at[i].kind == FRAME_UDP;
	}
}

/* -- what the recording holds -- */

static void find_hello(struct replay *p)
{
	struct rec_stream *s = replay_control(p);
	struct hello_client offer = { .kinds = both_kinds, .n_kinds = N_KINDS };
	struct hello_server hs;
	struct rec_messages *hello = calloc(2, sizeof(*hello));

	assert_non_null(hello);
	p->hello = hello;
	p->keys.token = rec_token(&p->r);
	if (p->r.wire == WIRE_V1)
		return;
	offer.offer_udp_binary = true;
	rec_decode(&hello[0], WIRE_V2, buf_span(&s->bytes[REC_UP]), REC_UP, 1, NULL);
	rec_decode(&hello[1], WIRE_V2, buf_span(&s->bytes[REC_DOWN]), REC_DOWN, 1, NULL);
	assert_int_equal(hello[0].at[0].kind, FRAME_CLIENT_HELLO);
	assert_int_equal(hello[1].at[0].kind, FRAME_SERVER_HELLO);
	p->keys.client_hello = buf_span(&hello[0].at[0].body);
	p->keys.server_hello = buf_span(&hello[1].at[0].body);
	assert_int_equal(hello_decode_server(p->keys.server_hello, &offer, &hs, NULL), 0);
	p->keys.kind = hs.kind;
}

static void find_answers(struct replay *p)
{
	for (size_t i = 0; i < p->down.n; i++) {
		struct msg m;

		if (p->down.at[i].kind != FRAME_MESSAGE || p->down.at[i].type != MSG_NEW_PROXY_RESP)
			continue;
		rec_message_decode(&p->down.at[i], &m);
		for (size_t k = 0; k < p->n_proxies; k++)
			if (strcmp(p->proxies[k].new_proxy.name, m.new_proxy_resp.name) == 0)
				p->is_refused[k] = m.new_proxy_resp.error != NULL;
		msg_deinit(&m);
	}
}

static void find_control(struct replay *p)
{
	struct rec_stream *s = replay_control(p);

	rec_decode(&p->up, p->r.wire, buf_span(&s->bytes[REC_UP]), REC_UP, REC_MAX_MESSAGES,
		   &p->keys);
	rec_decode(&p->down, p->r.wire, buf_span(&s->bytes[REC_DOWN]), REC_DOWN, REC_MAX_MESSAGES,
		   &p->keys);
	assert_null(p->up.why);
	assert_null(p->down.why);
	assert_int_equal(p->up.n_taken, buf_len(&s->bytes[REC_UP]));
	assert_int_equal(p->down.n_taken, buf_len(&s->bytes[REC_DOWN]));
	for (size_t i = 0; i < p->up.n; i++) {
		if (p->up.at[i].kind != FRAME_MESSAGE)
			continue;
		p->n_pings += p->up.at[i].type == MSG_PING;
		if (p->up.at[i].type == MSG_LOGIN)
			rec_message_decode(&p->up.at[i], &p->login);
		if (p->up.at[i].type == MSG_NEW_PROXY) {
			assert_true(p->n_proxies < MAX_PROXIES);
			rec_message_decode(&p->up.at[i], &p->proxies[p->n_proxies++]);
		}
	}
	assert_int_equal(p->login.type, MSG_LOGIN);
	find_answers(p);
	check_codecs(p, &p->up, 0);
	check_codecs(p, &p->down, 0);
}

/* First messages of a work or visitor stream, and UDP packets behind them when nothing
 * wraps them. */
static void find_stream(struct replay *p, struct rec_stream *s)
{
	struct rec_messages up, down;
	struct msg start;

	rec_decode(&up, p->r.wire, buf_span(&s->bytes[REC_UP]), REC_UP, 1, NULL);
	assert_int_equal(up.n, 1);
	p->n_works += up.at[0].type == MSG_NEW_WORK_CONN;
	p->n_visitors += up.at[0].type == MSG_NEW_VISITOR_CONN;
	assert_true(up.at[0].type == MSG_NEW_WORK_CONN || up.at[0].type == MSG_NEW_VISITOR_CONN);
	rec_decode(&down, p->r.wire, buf_span(&s->bytes[REC_DOWN]), REC_DOWN, 1, NULL);
	check_codecs(p, &up, 0);
	check_codecs(p, &down, 0);
	for (size_t i = 0;
	     down.n == 1 && down.at[0].type == MSG_START_WORK_CONN && i < p->n_proxies; i++) {
		const struct msg_new_proxy *np = &p->proxies[i].new_proxy;

		rec_message_decode(&down.at[0], &start);
		if (start.start_work_conn.proxy_name != NULL &&
		    strcmp(np->name, start.start_work_conn.proxy_name) == 0 &&
		    (strcmp(np->type, "udp") == 0 || strcmp(np->type, "sudp") == 0) &&
		    !np->use_encryption) {
			rec_messages_free(&up);
			rec_messages_free(&down);
			rec_decode(&up, p->r.wire, buf_span(&s->bytes[REC_UP]), REC_UP,
				   REC_MAX_MESSAGES, NULL);
			rec_decode(&down, p->r.wire, buf_span(&s->bytes[REC_DOWN]), REC_DOWN,
				   REC_MAX_MESSAGES, NULL);
			check_codecs(p, &up, 1);
			check_codecs(p, &down, 1);
			assert_null(up.why);
			assert_null(down.why);
		}
		msg_deinit(&start);
	}
	rec_messages_free(&up);
	rec_messages_free(&down);
}

static void replay_init(struct replay *p, const char *dir, const char *name)
{
	memset(p, 0, sizeof(*p));
	recording_load(&p->r, dir, name);
	find_hello(p);
	find_control(p);
	for (size_t i = 0; i < p->r.n_streams; i++)
		if (&p->r.streams[i] != replay_control(p) &&
		    buf_len(&p->r.streams[i].bytes[REC_UP]) > 0)
			find_stream(p, &p->r.streams[i]);
}

static void replay_free(struct replay *p)
{
	for (size_t i = 0; i < p->n_proxies; i++)
		msg_deinit(&p->proxies[i]);
	msg_deinit(&p->login);
	rec_messages_free(&p->up);
	rec_messages_free(&p->down);
	if (p->r.wire == WIRE_V2) {
		rec_messages_free((struct rec_messages *) (uintptr_t) &p->hello[0]);
		rec_messages_free((struct rec_messages *) (uintptr_t) &p->hello[1]);
	}
	free((void *) (uintptr_t) p->hello);
	recording_free(&p->r);
}

/* -- comparing -- */

/* Key of a message for the comparison; NULL: not compared. */
static char *message_key(const struct replay *p, const struct rec_message *m)
{
	bool is_signed = m->type == MSG_PING || m->type == MSG_NEW_WORK_CONN;
	const char *name = json_string_value(json_object_get(m->json, "proxy_name"));
	json_t *normal;
	char *text, *key;
	size_t len;

	for (size_t i = 0;
	     i < p->n_proxies && m->kind == FRAME_MESSAGE && m->type == MSG_CLOSE_PROXY; i++)
		if (p->is_refused[i] && strcmp(p->proxies[i].new_proxy.name, name) == 0)
			return NULL;
	normal = rec_normal(m->json, m->kind == FRAME_MESSAGE && is_signed);
	text = json_dumps(normal, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(normal);
	assert_non_null(text);
	len = strlen(text) + 32;
	key = malloc(len);
	assert_non_null(key);
	(void) snprintf(key, len, "%d.%02d %s", m->kind,
			m->kind == FRAME_MESSAGE ? (int) m->type : 0, text);
	free(text);
	return key;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Both lists as sorted keys: by kind and type, so that the order of types is checked apart. */
static size_t message_keys(const struct replay *p, const struct rec_messages *m, char **keys)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		keys[n] = message_key(p, &m->at[i]);
		n += keys[n] != NULL;
	}
	qsort(keys, n, sizeof(*keys), compare_texts);
	return n;
}

static void compare_messages(const struct replay *p, const struct rec_messages *want,
			     const struct rec_messages *got)
{
	char *a[REC_MAX_MESSAGES], *b[REC_MAX_MESSAGES];
	size_t n_want = message_keys(p, want, a), n_got = message_keys(p, got, b);
	bool is_ask_late = false;

	for (size_t i = 0; i < n_want || i < n_got; i++) {
		if (i >= n_want || i >= n_got || strcmp(a[i], b[i]) != 0)
			fail_msg("%s: frpc said %s, we said %s", p->r.name,
				 i < n_want ? a[i] : "nothing more",
				 i < n_got ? b[i] : "nothing more");
	}
	for (size_t i = 0; i < n_want; i++) {
		free(a[i]);
		free(b[i]);
	}
	/* Hello, Login, then NewProxy, then CloseProxy. */
	for (size_t i = 0; i < got->n; i++) {
		if (got->at[i].kind != FRAME_MESSAGE)
			assert_int_equal(i, 0);
		else if (got->at[i].type == MSG_LOGIN)
			assert_int_equal(i, p->r.wire == WIRE_V2);
		else if (got->at[i].type == MSG_CLOSE_PROXY)
			is_ask_late = true;
		else if (got->at[i].type == MSG_NEW_PROXY)
			assert_false(is_ask_late);
	}
}

/* NewWorkConn of every recorded work connection, in their order. */
static void compare_works(const struct run *u)
{
	const struct replay *p = u->p;
	size_t n = 0;

	for (size_t i = 0; i < p->r.n_streams; i++) {
		struct rec_messages want, got;

		if (p->r.streams[i].id == (p->r.is_mux ? 1u : 0u) ||
		    buf_len(&p->r.streams[i].bytes[REC_UP]) == 0)
			continue;
		rec_decode(&want, p->r.wire, buf_span(&p->r.streams[i].bytes[REC_UP]), REC_UP, 1,
			   NULL);
		if (want.at[0].type == MSG_NEW_WORK_CONN) {
			n++;
			if (n >= u->n_streams)
				fail_msg("%s: %zu work connections, frpc had more", p->r.name,
					 n - 1);
			rec_decode(&got, p->r.wire, buf_span(&u->streams[n].bytes[REC_UP]), REC_UP,
				   1, NULL);
			compare_messages(p, &want, &got);
			rec_messages_free(&got);
		}
		rec_messages_free(&want);
	}
	if (n + 1 != u->n_streams)
		fail_msg("%s: %zu work connections, frpc had %zu", p->r.name, u->n_streams - 1, n);
}

static void replay_once(struct replay *p, unsigned how)
{
	struct rec_messages got;
	struct rec_stream *s;
	struct run u;

	run_init(&u, p);
	run_pieces(&u, unit_split_of(how));
	s = rec_stream(u.streams, &u.n_streams, p->r.is_mux ? 1 : 0);
	rec_decode(&got, p->r.wire, buf_span(&s->bytes[REC_UP]), REC_UP, REC_MAX_MESSAGES,
		   &p->keys);
	assert_null(got.why);
	compare_messages(p, &p->up, &got);
	compare_works(&u);
	rec_messages_free(&got);
	if (strstr(p->r.name, "wrong-token") != NULL)
		assert_int_equal(u.cause, CLIENT_CAUSE_REFUSED);
	else
		assert_true(!u.is_dead || u.cause == CLIENT_CAUSE_SERVER_CLOSED ||
			    u.cause == CLIENT_CAUSE_REPLACED);
	run_free(&u);
}

/* Where the recorded session ends, an end in front of it says so. */
static void cut_once(struct replay *p, size_t at)
{
	struct run u;

	run_init(&u, p);
	u.left = at;
	run_pieces(&u, unit_split_of(0));
	assert_true(u.is_dead || u.left > 0);
	if (u.left == 0)
		assert_true(u.cause == CLIENT_CAUSE_SERVER_CLOSED ||
			    u.cause == CLIENT_CAUSE_REPLACED || u.cause == CLIENT_CAUSE_REFUSED ||
			    (u.cause == CLIENT_CAUSE_UNHEARD && !p->r.is_mux));
	run_free(&u);
}

static void replay_cuts(struct replay *p)
{
	size_t n_bytes = 0;

	for (size_t i = 0; i < p->r.n_pieces; i++)
		if (p->r.pieces[i].dir == REC_DOWN && p->r.pieces[i].conn == 0)
			n_bytes += p->r.pieces[i].bytes.len;
	for (size_t at = 0; at < n_bytes; at += at < CUT_EACH ? 1 : CUT_STEP) {
		size_t n_live = failmalloc_n_live();

		cut_once(p, at);
		assert_int_equal(failmalloc_n_live(), n_live);
		n_cuts++;
	}
}

static void replay_session(const char *dir, const char *name)
{
	static struct replay p;

	replay_init(&p, dir, name);
	if (is_cut) {
		replay_cuts(&p);
		replay_free(&p);
		return;
	}
	for (unsigned how = 0; how < N_HOWS; how++)
		replay_once(&p, how);
	(void) printf(
		"# %s: %zu pieces, %zu messages (%zu binary), %zu work connections, %zu visitors%s\n",
		name, p.r.n_pieces, p.n_messages, p.n_binary, p.n_works, p.n_visitors,
		p.n_visitors > 0 ? " (opened by the channel alone)" : "");
	replay_free(&p);
}

/* Returns how many there are. */
static size_t replay_all(void)
{
	char root[2048], path[4096], name[600];
	struct dirent **groups, **scenarios;
	size_t n_replayed = 0;
	int n_groups, n_scenarios;

	(void) snprintf(root, sizeof(root), "%s/sessions", unit_vectors_dir());
	n_groups = scandir(root, &groups, NULL, alphasort);
	assert_true(n_groups > 2);
	for (int i = 0; i < n_groups; i++) {
		(void) snprintf(path, sizeof(path), "%s/%s", root, groups[i]->d_name);
		n_scenarios = groups[i]->d_name[0] == '.'
				      ? -1
				      : scandir(path, &scenarios, NULL, alphasort);
		for (int k = 0; k < n_scenarios; k++) {
			if (scenarios[k]->d_name[0] != '.') {
				(void) snprintf(name, sizeof(name), "%s/%s", groups[i]->d_name,
						scenarios[k]->d_name);
				(void) snprintf(path, sizeof(path), "%s/%s", root, name);
				replay_session(path, name);
				n_replayed++;
			}
			free(scenarios[k]);
		}
		if (n_scenarios >= 0)
			free(scenarios);
		free(groups[i]);
	}
	free(groups);
	return n_replayed;
}

static void test_every_recorded_session(void **state)
{
	size_t n = replay_all();

	(void) state;
	(void) printf("# %zu sessions replayed, %d ways each, none left out\n", n, N_HOWS);
	assert_true(n >= 52);
}

static void test_f19_recorded_sessions_cut_at_offsets(void **state)
{
	(void) state;
	is_cut = true;
	(void) replay_all();
	is_cut = false;
	(void) printf("# cut %zu times\n", n_cuts);
	assert_true(n_cuts >= 40000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_recorded_session),
		cmocka_unit_test(test_f19_recorded_sessions_cut_at_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
