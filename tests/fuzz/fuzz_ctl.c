/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ctl.c - what anything may answer to "mltunnel status" and "mltunnel reload": only lines that
 * a terminal may be trusted with are printed, and each failure is told. The first byte picks the
 * command, the second the split. No socket: connect(), send() and recv() are stand-ins
 * (-Wl,--wrap). */
#include <stdio.h>
#include <sys/socket.h>

#include "agent/front/ctl.h"
#include "tests/fuzz/fuzz.h"

static struct span answer; /* not received yet */
static uint32_t split;

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void) fd, (void) addr, (void) len;
	return 0;
}

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
	(void) fd, (void) p, (void) flags;
	return (ssize_t) (n > 20 ? 20 : n);
}

ssize_t __wrap_recv(int fd, void *p, size_t n, int flags)
{
	struct span piece;

	(void) fd, (void) flags;
	if (answer.len == 0)
		return 0;
	piece = span_head(answer, split == 0 ? n : fuzz_piece(&split, n));
	memcpy(p, piece.p, piece.len);
	answer = span_skip(answer, piece.len);
	return (ssize_t) piece.len;
}

/* @text is what was printed to @f, as long as it may be; returns its length. */
static size_t printed(FILE *f, char **text, const size_t *len)
{
	MUST(fflush(f) == 0);
	for (size_t i = 0; i < *len; i++)
		MUST((*text)[i] == '\n' || ((*text)[i] >= ' ' && (*text)[i] <= '~'));
	(void) fclose(f); /* in memory */
	free(*text);
	return *len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char addr[] = "127.0.0.1", source[] = "f", password[] = "p";
	struct conf c = { .source = source, .web = { .addr = addr, .port = 1, .user = password } };
	const struct ctl_options o = { .timeout_s = 1 };
	struct span in = span_of(data, size);
	enum ctl_what what = (enum ctl_what)(fuzz_take_byte(&in) % 3);
	char *out_text, *err_text;
	size_t out_len, err_len;
	FILE *out, *err;
	int r;

	split = fuzz_take_byte(&in);
	answer = in;
	out = open_memstream(&out_text, &out_len);
	err = open_memstream(&err_text, &err_len);
	MUST(out != NULL && err != NULL);
	r = ctl_run(what, &c, &o, out, err);
	MUST(r == 0 || r == CTL_E_FAILED);
	out_len = printed(out, &out_text, &out_len);
	err_len = printed(err, &err_text, &err_len);
	MUST(r == 0 ? out_len > 0 && err_len == 0 : err_len > 0);
	return 0;
}
