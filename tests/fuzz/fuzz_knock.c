/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_knock.c - a proxy that says anything to whoever wants to be connected. */
#include "proto/session/knock.h"
#include "proto/wire/hopurl.h"
#include "tests/fuzz/fuzz.h"

/* Where it ended, and how much was eaten. */
static enum knock_state run(const char *url, struct span stream, size_t piece, size_t *ret_eaten)
{
	int r = KNOCK_E_MORE;
	struct hopurl via;
	struct knock k;
	const char *why;
	size_t n;

	*ret_eaten = 0;
	MUST(hopurl_parse(url, &via, &why) == 0);
	MUST(knock_start(&k, &via, "frps.test", 7000) == 0);
	while (stream.len > 0 && r == KNOCK_E_MORE) {
		r = knock_feed(&k, span_head(stream, piece), &n);
		MUST(r == 0 || n == span_head(stream, piece).len);
		MUST(n <= stream.len);
		stream = span_skip(stream, n);
		*ret_eaten += n;
		knock_sent(&k, knock_out(&k).len / 2);
	}
	MUST((r == 0) == (k.state != KNOCK_STATE_ASKING));
	MUST((k.state == KNOCK_STATE_REFUSED || k.state == KNOCK_STATE_BAD) == (k.why[0] != '\0'));
	MUST(!via.has_user || strstr(k.why, "hunter2") == NULL); /* it may be repeated to us */
	r = (int) k.state;
	knock_deinit(&k);
	return (enum knock_state) r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const urls[] = { "http://me:hunter2@p:1", "http://p:1",
					    "socks5://me:hunter2@p:1", "socks5://p:1" };
	size_t eaten_whole, eaten_pieces;
	enum knock_state state;
	struct span stream;

	if (size < 2)
		return 0;
	stream = span_of(data + 2, size - 2);
	state = run(urls[data[0] % 4], stream, SIZE_MAX, &eaten_whole);
	MUST(run(urls[data[0] % 4], stream, data[1] % 32 + (size_t) 1, &eaten_pieces) == state);
	MUST(eaten_whole == eaten_pieces);
	return 0;
}
