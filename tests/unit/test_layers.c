/* SPDX-License-Identifier: Apache-2.0 */
/* test_layers.c - encryption under compression, as stock frp stacks them: recorded payload of both
 * sides of work connections and of a visitor. */
#include "proto/session/visit.h"
#include "proto/session/work.h"
#include "proto/wire/cfb.h"
#include "proto/wire/prim.h"
#include "proto/wire/snappy.h"
#include "tests/unit/session.h"
#include "tests/unit/unit.h"

/* What the local service of the recording was asked and answered, by SHA-256. */
#define HELLO_UP "e48d89f0cbc8ced7ce5d9b60f609274489beac65338ebab45298bd93d276a9f4"
#define HELLO_DOWN "4b97d7673c6f9c5ef8cea99616d0c27f39834d6940782f9562f1088ff1b0b671"
#define ECHO_UP "6e7f45f05b82a11537562e4c20712ef1317472311c5212a2692c9e33d034e089"
#define ECHO_DOWN "e77549ff0caccb98bd482df1b1bf3c96d2642808479e78f74162bd0889ce810f"

/* Decode pieces of @stream through @l, which may be NULL, into @out. */
static void decode(struct layer *l, struct span stream, unsigned how, struct buf *out)
{
	struct unit_split split = unit_split_of(how);

	while (stream.len > 0) {
		struct span in = span_head(stream, unit_piece(&split, stream.len));
		size_t n = 1;

		stream = span_skip(stream, in.len);
		if (l == NULL)
			assert_int_equal(buf_add(out, in), 0);
		while (l != NULL && (in.len > 0 || n > 0)) {
			uint8_t dst[777];

			assert_int_equal(layer_decode(l, &in, dst, sizeof(dst), &n), 0);
			assert_int_equal(buf_add(out, span_of(dst, n)), 0);
		}
	}
}

static void check_payload(struct span wire, const char *key, const char *name, unsigned how,
			  const char *want_hash)
{
	static const uint8_t iv[16];
	struct layer *cfb = NULL, *snappy = NULL;
	uint8_t hash[PRIM_SHA256_LEN];
	struct span want = unit_unhex(want_hash), got;
	struct buf mid, plain;

	buf_init(&mid, 1 << 16);
	buf_init(&plain, 1 << 16);
	if (strcmp(name, "comp") != 0)
		assert_int_equal(cfb_new(&cfb, span_str(key), iv), 0);
	if (strcmp(name, "enc") != 0)
		assert_int_equal(snappy_new(&snappy), 0);
	decode(cfb, wire, how, &mid);
	decode(snappy, buf_span(&mid), how, &plain);
	assert_true(snappy == NULL || snappy_is_whole(snappy));
	got = buf_span(&plain);
	assert_int_equal(prim_sha256(&got, 1, hash), 0);
	unit_assert_span(span_of(hash, sizeof(hash)), want);
	(void) layer_free(cfb);
	(void) layer_free(snappy);
	buf_deinit(&mid);
	buf_deinit(&plain);
	unit_free_span(want);
}

static void check_work(const char *session, enum wire wire, unsigned i, unsigned how)
{
	char up_name[64], down_name[64];
	struct span up_file, down_file, up, down;
	const char *name;
	struct frame f;
	const char *why;
	struct work w;

	(void) snprintf(up_name, sizeof(up_name), "payload/c2s.%u.bin", i);
	(void) snprintf(down_name, sizeof(down_name), "payload/s2c.%u.bin", i);
	up = up_file = session_load(session, up_name);
	down = down_file = session_load(session, down_name);
	work_init(&w, wire);
	assert_int_equal(work_start(&w, "run", span_str("token"), 1), 0);
	assert_int_equal(work_next(&w, &down), 0);
	assert_int_equal(w.state, WORK_STATE_STARTED);
	name = w.start.start_work_conn.proxy_name;
	if (wire == WIRE_V2)
		up = span_skip(up, FRAME_MAGIC_LEN);
	assert_int_equal(frame_next(wire, up, &f, &why), 0);
	up = span_skip(up, f.total_len);
	check_payload(up, "vector-token", name, how, i % 2 != 0 ? HELLO_UP : ECHO_UP);
	check_payload(down, "vector-token", name, how, i % 2 != 0 ? HELLO_DOWN : ECHO_DOWN);
	work_deinit(&w);
	unit_free_span(up_file);
	unit_free_span(down_file);
}

/* Connections 1 to 6: a GET and a POST through each of the proxies enc, comp, both. */
static void test_recorded_works(void **state)
{
	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		for (unsigned i = 1; i <= 6; i++) {
			check_work("0.65.0-nomux-v1", WIRE_V1, i, how);
			check_work("0.70.1-nomux-v1", WIRE_V1, i, how);
			check_work("0.70.1-nomux-v2", WIRE_V2, i, how);
		}
	}
}

/* The visitor's side of stcp is keyed by the secret key. */
static void test_recorded_visits(void **state)
{
	static const char *const sessions[] = { "0.65.0-nomux-v1", "0.70.1-nomux-v1",
						"0.70.1-nomux-v2" };

	(void) state;
	for (size_t i = 0; i < UNIT_N(sessions); i++) {
		struct span up = session_load(sessions[i], "visitor-stcp/c2s.2.bin"), rest;
		struct span down = session_load(sessions[i], "visitor-stcp/s2c.2.bin");
		enum wire wire = i < 2 ? WIRE_V1 : WIRE_V2;
		struct visit_params p = { .proxy_name = "alice.secret" };
		const char *why;
		struct frame f;
		struct visit v;

		visit_init(&v, wire);
		assert_int_equal(visit_start(&v, "run", &p, 1), 0);
		rest = down;
		assert_int_equal(visit_next(&v, &rest), 0);
		check_payload(rest, "vector-sk", "both", 3, HELLO_UP);
		rest = wire == WIRE_V2 ? span_skip(up, FRAME_MAGIC_LEN) : up;
		assert_int_equal(frame_next(wire, rest, &f, &why), 0);
		check_payload(span_skip(rest, f.total_len), "vector-sk", "both", 3, HELLO_DOWN);
		visit_deinit(&v);
		unit_free_span(up);
		unit_free_span(down);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded_works),
		cmocka_unit_test(test_recorded_visits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
