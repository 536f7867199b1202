/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_client.c - a whole client session against any server, at any split.
 *
 * The input is a list of steps. The server's part is either raw bytes (of the connection) or frp
 * messages that a helpful hand wraps: login accepted, control messages encrypted, work connections
 * started; so the fuzzer gets behind the login. */
#include "proto/base/bytes.h"
#include "proto/session/client.h"
#include "proto/session/mux.h"
#include "proto/wire/aead.h"
#include "proto/wire/cfb.h"
#include "proto/wire/mframe.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_WORKS 16

struct fuzz_session {
	struct client *c;
	struct roster roster;
	enum wire wire;
	struct hello_client offer; /* v2: ours */
	struct layer *layer;	   /* of the server's control channel, once logged in */
	struct client_work *works[FUZZ_WORKS];
	size_t unconsumed[FUZZ_WORKS];
	bool is_over[FUZZ_WORKS], is_unanswered[FUZZ_WORKS];
	bool is_dead, is_mux;
	uint64_t now_ms;
	uint32_t split;
};

static size_t work_of(const struct fuzz_session *f, const struct client_work *w)
{
	size_t i = 0;

	while (i < FUZZ_WORKS && f->works[i] != w)
		i++;
	return i;
}

static void on_event(struct fuzz_session *f, const struct client_event *ev)
{
	size_t i = FUZZ_WORKS;

	MUST(!f->is_dead);
	if (ev->kind == CLIENT_EV_START) {
		MUST(ev->start != NULL && ev->proxy < f->roster.n_entries);
		i = work_of(f, NULL);
		if (i == FUZZ_WORKS) {
			client_rst(f->c, ev->work);
			client_forget(f->c, ev->work);
			return;
		}
		f->works[i] = ev->work;
		f->unconsumed[i] = 0;
		f->is_over[i] = f->is_unanswered[i] = false;
		return;
	}
	if (ev->work != NULL) {
		i = work_of(f, ev->work);
		MUST(i < FUZZ_WORKS && !f->is_over[i]);
	}
	if (ev->kind == CLIENT_EV_DATA) {
		MUST(ev->data.len > 0);
		f->unconsumed[i] += ev->data.len;
	}
	if (ev->kind == CLIENT_EV_VISIT_OPEN || ev->kind == CLIENT_EV_VISIT_REFUSED) {
		MUST(f->is_unanswered[i]);
		f->is_unanswered[i] = false;
	} else if (ev->work != NULL) {
		MUST(!f->is_unanswered[i]);
	}
	if (ev->kind == CLIENT_EV_RST || ev->kind == CLIENT_EV_VISIT_REFUSED)
		f->is_over[i] = true;
	if (ev->kind == CLIENT_EV_DEAD) {
		MUST(ev->text != NULL && ev->cause != CLIENT_CAUSE_NONE &&
		     ev->cause != CLIENT_CAUSE_MEMORY);
		f->is_dead = true;
	}
}

static void events(struct fuzz_session *f)
{
	struct client_event ev;

	while (client_next(f->c, &ev) == 0)
		on_event(f, &ev);
}

static void feed(struct fuzz_session *f, struct span in)
{
	while (in.len > 0 && !f->is_dead) {
		size_t n = f->split != 0 ? fuzz_piece(&f->split, in.len) : in.len;
		uint8_t *copy = malloc(n);

		MUST(copy != NULL);
		memcpy(copy, in.p, n);
		client_feed(f->c, span_of(copy, n), f->now_ms);
		events(f);
		free(copy);
		in = span_skip(in, n);
	}
}

/* @body on stream @id, in a frame when there is a mux. */
static void feed_on(struct fuzz_session *f, uint32_t id, uint16_t flags, struct span body)
{
	struct mframe h = {
		.type = MFRAME_DATA, .flags = flags, .stream_id = id, .len = (uint32_t) body.len
	};
	uint8_t head[MFRAME_LEN];

	mframe_encode(&h, head);
	if (f->is_mux)
		feed(f, span_of(head, sizeof(head)));
	feed(f, body);
}

static void put_header(struct fuzz_session *f, uint8_t type, size_t len, struct buf *out)
{
	uint8_t header[10];

	if (f->wire == WIRE_V1) {
		header[0] = type;
		bytes_put_u64(header + 1, len);
		MUST(buf_add(out, span_of(header, 9)) == 0);
		return;
	}
	bytes_put_u32(header, 16 << 16); /* a message, no flags */
	bytes_put_u32(header + 4, (uint32_t) (2 + len));
	bytes_put_u16(header + 8, (uint16_t) msg_type_of_byte(type));
	MUST(buf_add(out, span_of(header, 10)) == 0);
}

/* A message of @type, as v1 calls it, whose body is the next bytes of the input; encrypted on the
 * control channel. */
static void say(struct fuzz_session *f, uint32_t id, uint8_t type, struct span body)
{
	struct buf plain, wire;

	buf_init(&plain, 4096);
	buf_init(&wire, 8192);
	put_header(f, type, body.len, &plain);
	MUST(buf_add(&plain, body) == 0);
	if (id == 1 && f->layer != NULL)
		MUST(layer_encode(f->layer, buf_span(&plain), &wire) == 0);
	else
		MUST(buf_add(&wire, buf_span(&plain)) == 0);
	feed_on(f, id, 0, buf_span(&wire));
	buf_deinit(&plain);
	buf_deinit(&wire);
}

/* The server's hello; what the control channel will be encrypted with. */
static struct layer *accept_hello(struct fuzz_session *f)
{
	struct hello_server h = { .kind = f->offer.kinds[f->is_mux ? 0 : 1] };
	struct aead_params p = { .kind = h.kind, .nonce = h.random };
	struct buf offer, answer, frame;
	struct hello_keys keys;
	struct layer *layer;

	buf_init(&offer, 4096);
	buf_init(&answer, 4096);
	buf_init(&frame, 4096);
	MUST(hello_encode_client(&f->offer, &offer) == 0);
	MUST(hello_encode_server(&h, &answer) == 0);
	MUST(frame_encode_hello(FRAME_SERVER_HELLO, buf_span(&answer), &frame) == 0);
	MUST(hello_derive(span_str("t"), buf_span(&offer), buf_span(&answer), h.kind, &keys) == 0);
	p.key_out = keys.server_to_client;
	p.key_in = keys.client_to_server;
	MUST(aead_new(&layer, &p) == 0);
	feed_on(f, 1, 0, buf_span(&frame));
	buf_deinit(&offer);
	buf_deinit(&answer);
	buf_deinit(&frame);
	return layer;
}

static void accept_login(struct fuzz_session *f)
{
	static const uint8_t iv[16];
	struct layer *layer;

	if (f->layer != NULL)
		return;
	if (f->wire == WIRE_V2)
		layer = accept_hello(f);
	else
		MUST(cfb_new(&layer, span_str("t"), iv) == 0);
	say(f, 1, '1', span_str("{\"run_id\":\"r\"}"));
	f->layer = layer;
}

static void visit(struct fuzz_session *f, size_t i)
{
	const struct visit_params p = { .proxy_name = "far", .secret_key = span_str("key") };

	if (client_open_visit(f->c, &p, NULL, &f->works[i]) != 0)
		return;
	f->unconsumed[i] = 0;
	f->is_over[i] = false;
	f->is_unanswered[i] = true;
}

static void use_work(struct fuzz_session *f, uint8_t what, size_t i)
{
	struct client_work *w = f->works[i];
	uint8_t *dst;
	size_t cap;

	if (w == NULL) {
		visit(f, i);
		return;
	}
	if (f->is_unanswered[i]) /* it may be given up, or waited for */
		what = 3;
	switch (what % 6) {
	case 0:
		if (client_reserve(f->c, w, &dst, &cap) == 0) {
			memset(dst, what, cap);
			client_commit(f->c, w, what < cap ? what : cap);
		}
		break;
	case 1: client_fin(f->c, w); break;
	case 2:
		client_rst(f->c, w);
		f->is_over[i] = true;
		break;
	case 3:
		client_forget(f->c, w);
		f->works[i] = NULL;
		break;
	case 4:
		client_consume(f->c, w, f->unconsumed[i]);
		f->unconsumed[i] = 0;
		break;
	default: client_want(f->c, w); break;
	}
}

static void drain(struct fuzz_session *f, size_t max)
{
	size_t quantum;
	void *user;

	while (client_turn(f->c, &user, &quantum) == 0)
		MUST(quantum > 0);
	client_drained(f->c, span_head(client_drain(f->c), max).len);
}

static void pass_time(struct fuzz_session *f, uint64_t ms)
{
	f->now_ms += ms;
	for (int n = 0; client_deadline(f->c) <= f->now_ms || n == 0; n++) {
		MUST(n < 4); /* a late tick may ask for another one; a loop that spins is a bug */
		client_tick(f->c, f->now_ms);
		events(f);
	}
}

static void step(struct fuzz_session *f, struct span *in)
{
	uint8_t what = fuzz_take_byte(in), arg = fuzz_take_byte(in);
	struct span body = span_head(*in, arg);

	switch (what % 8) {
	case 0: /* raw */
		*in = span_skip(*in, body.len);
		feed(f, body);
		break;
	case 1: /* a message on the control channel */
		*in = span_skip(*in, body.len);
		say(f, 1, (uint8_t) "r24cpsohw"[what / 8 % 9], body);
		break;
	case 2: /* start of a work connection, or answer to a visit, its body in the input */
		*in = span_skip(*in, body.len);
		say(f, 3 + 2 * (what / 8 % 16u), what / 8 < 16 ? 's' : '3', body);
		break;
	case 3: say(f, 3 + 2 * (arg % 16u), 's', span_str("{\"proxy_name\":\"one\"}")); break;
	case 4: /* payload, FIN, RST */
		feed_on(f, 3 + 2 * (arg % 16u), (uint16_t) (what / 8 & 15), span_head(*in, 5));
		break;
	case 5: use_work(f, (uint8_t) (what / 8), arg % FUZZ_WORKS); break;
	case 6: drain(f, what / 8 < 16 ? arg : SIZE_MAX); break;
	default:
		if (what / 8 == 0)
			client_leave(f->c, f->now_ms);
		else if (what / 8 == 1)
			client_bye(f->c);
		else if (what / 8 < 8)
			say(f, 1, 'r', span_str("{}"));
		else
			pass_time(f, (uint64_t) arg << (what / 8 % 10));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct msg_new_proxy one = { .name = "one", .type = "tcp" },
					  two = { .name = "two", .type = "tcp" };
	static const enum prim_aead_kind kinds[] = { PRIM_AEAD_AES_256_GCM,
						     PRIM_AEAD_XCHACHA20_POLY1305 };
	struct client_params p = { .n_streams_max = 12, .heartbeat_ms = 30000 };
	struct fuzz_session f = { .now_ms = 99999999 };
	struct span in = span_of(data, size);
	uint8_t flags = fuzz_take_byte(&in);
	size_t i;

	f.is_mux = (flags & 1) == 0;
	f.split = (flags & 2) != 0 ? flags : 0;
	roster_init(&f.roster, flags);
	f.roster.all_or_none = (flags & 4) != 0;
	MUST(roster_add(&f.roster, &one, NULL, &i) == 0 &&
	     roster_add(&f.roster, &two, NULL, &i) == 0);
	p.is_mux = f.is_mux;
	f.wire = (flags & 32) != 0 ? WIRE_V2 : WIRE_V1;
	f.offer = (struct hello_client){ .kinds = kinds, .n_kinds = 2, .offer_udp_binary = true };
	p.login.wire = f.wire;
	p.login.hello = f.offer;
	p.login.is_question = f.wire == WIRE_V1 && (flags & 64) != 0;
	p.login.token = span_str("t");
	MUST(client_new(&f.c, &p, &f.roster, f.now_ms) == 0);
	events(&f);
	if ((flags & 8) == 0)
		accept_login(&f);
	while (in.len > 0 && !f.is_dead)
		step(&f, &in);
	if (!f.is_dead && (flags & 16) != 0) {
		client_lost(f.c, "cut");
		events(&f);
		MUST(f.is_dead);
	}
	f.layer = layer_free(f.layer);
	f.c = client_free(f.c);
	roster_deinit(&f.roster);
	return 0;
}
