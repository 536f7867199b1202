/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tls.c - what anybody may say to our TLS client, whole and in pieces: both end the same way,
 * a refusal has words, and nothing comes out that was not sealed for us.
 *
 * Our random bytes are the same each time (a stand-in by -Wl,--wrap), so that the recorded words of
 * a server, of which the corpus begins, are an answer to our hello. */
#include "agent/net/tls.h"
#include "proto/base/buf.h"
#include "tests/fuzz/fuzz.h"

#define OUT_MAX (256 * 1024)

static uint32_t next_random;

int __wrap_mbedtls_ctr_drbg_random(void *state, unsigned char *dst, size_t n);

int __wrap_mbedtls_ctr_drbg_random(void *state, unsigned char *dst, size_t n)
{
	(void) state;
	for (size_t i = 0; i < n; i++) {
		next_random = next_random * 1664525u + 1013904223u;
		dst[i] = (uint8_t) (next_random >> 24);
	}
	return 0;
}

struct out {
	struct buf bytes;
};

static bool has_room(void *arg, size_t n)
{
	return buf_len(&((struct out *) arg)->bytes) + n <= OUT_MAX;
}

static int put(void *arg, struct span s)
{
	return buf_add(&((struct out *) arg)->bytes, s) == 0 ? 0 : -ENOMEM;
}

/* One step with what was lent; @plain takes what comes out. */
static int go_on(struct tls *t, bool *is_up, struct buf *plain)
{
	uint8_t dst[512];
	size_t n = 0;
	int r = 0;

	if (!*is_up) {
		r = tls_handshake(t);
		*is_up = r == 0;
		MUST(r == 0 || r == TLS_E_MORE || r == TLS_E_BAD);
	}
	while (*is_up && r == 0) {
		r = tls_recv(t, dst, sizeof(dst), &n);
		MUST(r == 0 || r == TLS_E_MORE || r == TLS_E_BAD || r == TLS_E_EOF);
		MUST(r != 0 || (n > 0 && n <= sizeof(dst)));
		if (r == 0)
			MUST(buf_add(plain, span_of(dst, n)) == 0);
	}
	return r;
}

/* How it ended. */
static int run(const struct tls_config *config, struct span in, uint32_t seed, struct buf *plain)
{
	struct out out;
	const struct tls_sink sink = { .has_room = has_room, .put = put, .arg = &out };
	bool is_up = false;
	struct tls *t;
	int r;

	next_random = 1;
	buf_init(&out.bytes, OUT_MAX);
	MUST(tls_new(&t, config, &sink) == 0);
	tls_feed(t, span_of(NULL, 0));
	r = go_on(t, &is_up, plain);
	while (in.len > 0 && r == TLS_E_MORE) {
		struct span piece = span_head(in,
					      seed == 0 ? in.len : 16 * fuzz_piece(&seed, in.len));

		in = span_skip(in, piece.len);
		tls_feed(t, piece);
		r = go_on(t, &is_up, plain);
		MUST(r != TLS_E_MORE || tls_rest(t).len == 0);
	}
	MUST(r != TLS_E_BAD || tls_why(t)[0] != '\0');
	if (is_up && r == TLS_E_MORE)
		MUST(tls_send(t, span_str("hello")) == 0);
	t = tls_free(t);
	buf_deinit(&out.bytes);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tls_config *config;
	const struct tls_params p = { .server_name = "frps.test" };
	struct span in = span_of(data, size);
	uint32_t seed = fuzz_take_byte(&in) + 1u;
	struct buf whole, pieces;
	char why[512];
	int r;

	if (config == NULL)
		MUST(tls_config_new(&config, &p, why, sizeof(why)) == 0);
	if (size > 8192)
		return 0;
	buf_init(&whole, size + 1);
	buf_init(&pieces, size + 1);
	r = run(config, in, 0, &whole);
	MUST(run(config, in, seed, &pieces) == r);
	fuzz_must_be_equal(buf_span(&whole), buf_span(&pieces));
	buf_deinit(&whole);
	buf_deinit(&pieces);
	return 0;
}
