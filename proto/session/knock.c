/* SPDX-License-Identifier: Apache-2.0 */
/* knock.c - what is said to a proxy until it has connected us. Floor 2. */
#include "proto/session/knock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/base64.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"
#include "proto/wire/hopurl.h"

#define KNOCK_HOST_MAX 253 /* of a DNS name */
#define KNOCK_BASIC_MAX (255 + 1 + 1023)

/* RFC 1928, 1929 */
#define SOCKS_VERSION 5
#define SOCKS_AUTH_VERSION 1
#define SOCKS_METHOD_NONE 0
#define SOCKS_METHOD_USER 2
#define SOCKS_METHOD_REFUSED 0xff
#define SOCKS_CMD_CONNECT 1
#define SOCKS_IPV4 1
#define SOCKS_NAME 3
#define SOCKS_IPV6 4

enum { SOCKS_STEP_METHOD, SOCKS_STEP_AUTH, SOCKS_STEP_REPLY, SOCKS_STEP_SKIP };

static void knock_put(struct knock *k, const void *p, size_t n)
{
	MUST(n <= sizeof(k->out) - k->out_end);
	memcpy(k->out + k->out_end, p, n);
	k->out_end += n;
}

static void knock_put_byte(struct knock *k, size_t v)
{
	uint8_t byte = (uint8_t) v;

	knock_put(k, &byte, 1);
}

static void knock_put_text(struct knock *k, const char *s)
{
	knock_put(k, s, strlen(s));
}

/* The end, in words. */
__attribute__((format(printf, 4, 5))) static void knock_end(struct knock *k, enum knock_state state,
							    enum knock_cause cause,
							    const char *words, ...)
{
	va_list args;

	k->state = state;
	k->cause = cause;
	va_start(args, words);
	(void) vsnprintf(k->why, sizeof(k->why), words, args); /* cut when too long */
	va_end(args);
	for (char *c = k->why; *c != '\0'; c++) { /* the proxy's words are foreign bytes */
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}

static void knock_bad(struct knock *k, const char *words)
{
	knock_end(k, KNOCK_STATE_BAD, KNOCK_CAUSE_OTHER, "%s", words);
}

/* -- HTTP CONNECT -- */

static void http_put_basic(struct knock *k)
{
	char plain[KNOCK_BASIC_MAX + 1], code[BASE64_LEN(KNOCK_BASIC_MAX) + 1];

	(void) snprintf(plain, sizeof(plain), "%s:%s", k->via->user, k->via->password); /* fits */
	base64_encode(span_str(plain), code, sizeof(code));
	knock_put_text(k, "Proxy-Authorization: Basic ");
	knock_put_text(k, code);
	knock_put_text(k, "\r\n");
	secret_wipe(plain, sizeof(plain));
	secret_wipe(code, sizeof(code));
}

static void http_ask(struct knock *k)
{
	char place[KNOCK_HOST_MAX + 10];

	text_format_hostport(place, sizeof(place), k->host, k->port);
	knock_put_text(k, "CONNECT ");
	knock_put_text(k, place);
	knock_put_text(k, " HTTP/1.1\r\nHost: ");
	knock_put_text(k, place);
	/* What frpc says (frp golib net/dial): a proxy that lets it pass lets us pass. */
	knock_put_text(k, "\r\nUser-Agent: Mozilla/5.0\r\n");
	if (k->via->has_user)
		http_put_basic(k);
	knock_put_text(k, "\r\n");
}

static enum knock_cause http_cause_of(unsigned status)
{
	if (status == 407 || status == 401)
		return KNOCK_CAUSE_LOGIN;
	if (status >= 500)
		return KNOCK_CAUSE_TARGET;
	return status == 403 || status == 405 ? KNOCK_CAUSE_RULE : KNOCK_CAUSE_OTHER;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 407 Proxy Authentication Required" is in @in. */
static void http_read_status(struct knock *k)
{
	const char *s = (const char *) k->in;
	char *code = (char *) k->in + sizeof("HTTP/1.1 ") - 1;
	unsigned status;

	k->in[k->n_in < sizeof(k->in) ? k->n_in : sizeof(k->in) - 1] = '\0';
	if (k->n_in < 12 || strncmp(s, "HTTP/1.", 7) != 0 || !is_digit(s[7]) || s[8] != ' ' ||
	    !is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]) ||
	    (code[3] != ' ' && code[3] != '\0')) {
		knock_bad(k, "the proxy's answer is not HTTP");
		return;
	}
	status = (unsigned) (code[0] - '0') * 100 + (unsigned) (code[1] - '0') * 10 +
		 (unsigned) (code[2] - '0');
	/* A proxy that repeats our password gets no words. */
	if (k->via->password[0] != '\0' && strstr(code, k->via->password) != NULL)
		code[3] = '\0';
	if (status != 200)
		knock_end(k, KNOCK_STATE_REFUSED, http_cause_of(status),
			  "the proxy refused: HTTP %s", code);
}

/* The line ends here. */
static void http_on_line(struct knock *k)
{
	if (k->n_lines == 0)
		http_read_status(k);
	else if (k->line_len == 0)
		k->state = KNOCK_STATE_OPEN;
	k->n_lines++;
	k->line_len = 0;
}

static void http_on_byte(struct knock *k, uint8_t byte)
{
	static const char begin[] = "HTTP/1.";

	if (++k->n_head > LIMIT_HOP_HEAD) {
		knock_bad(k, "the proxy's answer is too long");
		return;
	}
	if (byte == '\n') {
		http_on_line(k);
		return;
	}
	if (byte == '\r')
		return;
	k->line_len++;
	if (k->n_lines > 0)
		return;
	if (k->n_in < sizeof(begin) - 1 && byte != (uint8_t) begin[k->n_in])
		knock_bad(k, "the proxy's answer is not HTTP");
	else if (k->n_in < sizeof(k->in) - 1)
		k->in[k->n_in++] = byte;
}

/* -- SOCKS5 -- */

static void socks_offer(struct knock *k)
{
	knock_put_byte(k, SOCKS_VERSION);
	knock_put_byte(k, k->via->has_user ? 2 : 1);
	knock_put_byte(k, SOCKS_METHOD_NONE);
	if (k->via->has_user)
		knock_put_byte(k, SOCKS_METHOD_USER);
	k->step = SOCKS_STEP_METHOD;
}

static void socks_log_in(struct knock *k)
{
	knock_put_byte(k, SOCKS_AUTH_VERSION);
	knock_put_byte(k, strlen(k->via->user));
	knock_put_text(k, k->via->user);
	knock_put_byte(k, strlen(k->via->password));
	knock_put_text(k, k->via->password);
	k->step = SOCKS_STEP_AUTH;
}

static void socks_ask(struct knock *k)
{
	struct text_ip ip;

	knock_put_byte(k, SOCKS_VERSION);
	knock_put_byte(k, SOCKS_CMD_CONNECT);
	knock_put_byte(k, 0); /* reserved */
	if (text_parse_ip(k->host, &ip) == 0) {
		knock_put_byte(k, ip.len == 4 ? SOCKS_IPV4 : SOCKS_IPV6);
		knock_put(k, ip.bytes, ip.len);
	} else {
		knock_put_byte(k, SOCKS_NAME);
		knock_put_byte(k, strlen(k->host));
		knock_put_text(k, k->host);
	}
	knock_put_byte(k, k->port >> 8);
	knock_put_byte(k, k->port & 0xff);
	k->step = SOCKS_STEP_REPLY;
}

static void socks_on_method(struct knock *k, uint8_t method)
{
	if (method == SOCKS_METHOD_NONE)
		socks_ask(k);
	else if (method == SOCKS_METHOD_USER && k->via->has_user)
		socks_log_in(k);
	else if (method == SOCKS_METHOD_REFUSED)
		knock_end(k, KNOCK_STATE_REFUSED, KNOCK_CAUSE_LOGIN,
			  k->via->has_user ? "the proxy refused: it wants another kind of login"
					   : "the proxy refused: it wants a user and a password");
	else
		knock_bad(k, "the proxy chose a login that was not offered");
}

static void socks_refuse(struct knock *k, uint8_t code)
{
	static const struct {
		enum knock_cause cause;
		const char *words;
	} replies[] = {
		[1] = { KNOCK_CAUSE_TARGET, "general failure" },
		[2] = { KNOCK_CAUSE_RULE, "not allowed by its rules" },
		[3] = { KNOCK_CAUSE_TARGET, "the server's network is unreachable for it" },
		[4] = { KNOCK_CAUSE_TARGET,
			"the server is unreachable for it, or its name unknown" },
		[5] = { KNOCK_CAUSE_TARGET, "the server refused its connection" },
		[6] = { KNOCK_CAUSE_TARGET, "the server does not answer it" },
		[7] = { KNOCK_CAUSE_RULE, "it does not make connections" },
		[8] = { KNOCK_CAUSE_OTHER, "it does not know this kind of address" },
	};
	bool is_known = code < sizeof(replies) / sizeof(replies[0]);

	knock_end(k, KNOCK_STATE_REFUSED, is_known ? replies[code].cause : KNOCK_CAUSE_OTHER,
		  "the proxy refused: SOCKS5 reply %u%s%s", code, is_known ? ", " : "",
		  is_known ? replies[code].words : "");
}

/* Five bytes of the reply are there: how much of an address nobody needs follows? */
static void socks_skip_address(struct knock *k)
{
	size_t n;

	switch (k->in[3]) {
	case SOCKS_IPV4: n = 4; break;
	case SOCKS_IPV6: n = 16; break;
	case SOCKS_NAME: n = (size_t) k->in[4] + 1; break;
	default: knock_bad(k, "the proxy's answer has an address of no known kind"); return;
	}
	k->n_skip = n - 1 + 2; /* its first byte was read; the port follows */
	k->step = SOCKS_STEP_SKIP;
}

static void socks_on_answer(struct knock *k)
{
	uint8_t version = k->step == SOCKS_STEP_AUTH ? SOCKS_AUTH_VERSION : SOCKS_VERSION;

	if (k->in[0] != version) {
		knock_bad(k, "the proxy's answer is not SOCKS5");
		return;
	}
	if (k->n_in < 2)
		return;
	if (k->step == SOCKS_STEP_REPLY) {
		if (k->in[1] != 0)
			socks_refuse(k, k->in[1]);
		else if (k->n_in == 5)
			socks_skip_address(k);
		return;
	}
	k->n_in = 0;
	if (k->step == SOCKS_STEP_METHOD)
		socks_on_method(k, k->in[1]);
	else if (k->in[1] == 0)
		socks_ask(k);
	else
		knock_end(k, KNOCK_STATE_REFUSED, KNOCK_CAUSE_LOGIN,
			  "the proxy refused the user or the password");
}

static void socks_on_byte(struct knock *k, uint8_t byte)
{
	if (k->step == SOCKS_STEP_SKIP) {
		if (--k->n_skip == 0)
			k->state = KNOCK_STATE_OPEN;
		return;
	}
	k->in[k->n_in++] = byte; /* 5 at most */
	socks_on_answer(k);
}

/* -- both -- */

int knock_start(struct knock *k, const struct hopurl *via, const char *host, uint16_t port)
{
	size_t len = strlen(host);

	if (len == 0 || len > KNOCK_HOST_MAX)
		return -EINVAL;
	for (const char *c = host; *c != '\0'; c++) { /* nothing may end a line of the request */
		if (*c <= ' ' || *c > '~')
			return -EINVAL;
	}
	*k = (struct knock){ .state = KNOCK_STATE_ASKING, .via = via, .host = host, .port = port };
	switch (via->kind) {
	case HOP_KIND_HTTP: http_ask(k); break;
	case HOP_KIND_SOCKS5: socks_offer(k); break;
	}
	return 0;
}

void knock_deinit(struct knock *k)
{
	secret_wipe(k, sizeof(*k));
}

struct span knock_out(const struct knock *k)
{
	return span_of(k->out + k->out_start, k->out_end - k->out_start);
}

void knock_sent(struct knock *k, size_t n)
{
	MUST(n <= k->out_end - k->out_start);
	k->out_start += n;
	if (k->out_start == k->out_end)
		k->out_start = k->out_end = 0;
}

int knock_feed(struct knock *k, struct span in, size_t *ret_n_eaten)
{
	size_t n = 0;

	while (k->state == KNOCK_STATE_ASKING && n < in.len) {
		if (k->via->kind == HOP_KIND_HTTP)
			http_on_byte(k, in.p[n++]);
		else
			socks_on_byte(k, in.p[n++]);
	}
	*ret_n_eaten = n;
	return k->state == KNOCK_STATE_ASKING ? KNOCK_E_MORE : 0;
}
