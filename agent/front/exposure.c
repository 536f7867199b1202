/* SPDX-License-Identifier: Apache-2.0 */
/* exposure.c - which services of the node can be reached without the tunnel. Floor 6. */
#include "agent/front/exposure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"

#define EXPOSURE_LINE 512
#define STATE_LISTEN "0A" /* Linux include/net/tcp_states.h TCP_LISTEN */
#define FIRST_VLLM 5000	  /* inference, then the instances of vLLM */
#define LAST_VLLM 5099
#define MANAGEMENT 8080

/* What Vast.ai and RunPod set for each port that they publish. */
static const char *const prefixes[] = { "VAST_TCP_PORT_", "RUNPOD_TCP_PORT_" };

bool exposure_counts(uint16_t port, const uint16_t *more, size_t n_more)
{
	for (size_t i = 0; i < n_more; i++)
		if (more[i] == port)
			return true;
	return port == MANAGEMENT || (port >= FIRST_VLLM && port <= LAST_VLLM);
}

/* -- the kernel's tables */

static bool hex_is(const char *s, size_t len, const char *prefix)
{
	return len >= strlen(prefix) && memcmp(s, prefix, strlen(prefix)) == 0;
}

/* Addresses are words of 32 bits in the machine's order, in hexadecimal. */
static bool addr_is_loopback(const char *hex, size_t len)
{
	if (len == 8)
		return memcmp(hex + 6, "7F", 2) == 0; /* 127.0.0.0/8, little endian */
	return hex_is(hex, len, "00000000000000000000000001000000") ||
	       (hex_is(hex, len, "0000000000000000FFFF0000") && memcmp(hex + 30, "7F", 2) == 0);
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const char *skip_word(const char *s)
{
	s += strcspn(s, " ");
	return s + strspn(s, " ");
}

bool exposure_read_line(const char *line, uint16_t *ret_port)
{
	const char *local, *state;
	size_t len;
	unsigned port = 0;

	local = skip_word(line + strspn(line, " ")); /* behind "0:" */
	len = strcspn(local, ":");
	if ((len != 8 && len != 32) || local[len] != ':')
		return false;
	for (size_t i = 1; i <= 4; i++) {
		int v = hex_value(local[len + i]);

		if (v < 0)
			return false;
		port = port << 4 | (unsigned) v;
	}
	state = skip_word(skip_word(local));
	if (memcmp(state, STATE_LISTEN, strnlen(state, 2)) != 0 || strnlen(state, 2) < 2 ||
	    addr_is_loopback(local, len))
		return false;
	*ret_port = (uint16_t) port;
	return true;
}

/* -- together */

struct finder {
	struct exposure *at;
	size_t n;
};

/* The entry of @port, new if need be; NULL: no room. */
static struct exposure *finder_get(struct finder *f, uint16_t port)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->at[i].port == port)
			return &f->at[i];
	if (f->n == EXPOSURE_MAX)
		return NULL;
	f->at[f->n] = (struct exposure){ .port = port };
	return &f->at[f->n++];
}

static void find_open(struct finder *f, const char *path, const uint16_t *more, size_t n_more)
{
	FILE *table = fopen(path, "re");
	char line[EXPOSURE_LINE];
	struct exposure *e;
	uint16_t port;

	if (table == NULL)
		return; /* a kernel without IPv6 */
	while (fgets(line, sizeof(line), table) != NULL) {
		if (!exposure_read_line(line, &port) || !exposure_counts(port, more, n_more))
			continue;
		e = finder_get(f, port);
		if (e != NULL)
			e->is_open = true;
	}
	(void) fclose(table); /* only read */
}

/* "VAST_TCP_PORT_8080=41234" */
static void find_published(struct finder *f, const char *variable, const uint16_t *more,
			   size_t n_more)
{
	size_t len = strcspn(variable, "=");
	char number[6];
	uint16_t port;
	struct exposure *e;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t n = strlen(prefixes[i]);

		if (strncmp(variable, prefixes[i], n) != 0 || len <= n ||
		    len - n >= sizeof(number) || variable[len] != '=')
			continue;
		memcpy(number, variable + n, len - n);
		number[len - n] = '\0';
		if (text_parse_port(number, &port) != 0 || !exposure_counts(port, more, n_more))
			continue;
		e = finder_get(f, port);
		if (e == NULL)
			continue;
		e->published = variable;
		e->published_len = len;
		e->public_port = variable + len + 1;
	}
}

static int compare(const void *a, const void *b)
{
	const struct exposure *x = a, *y = b;

	return x->port - y->port;
}

size_t exposure_find(const char *const *tables, char *const *envp, const uint16_t *more,
		     size_t n_more, struct exposure ret_e[static EXPOSURE_MAX])
{
	struct finder f = { .at = ret_e };

	for (; *tables != NULL; tables++)
		find_open(&f, *tables, more, n_more);
	for (; *envp != NULL; envp++)
		find_published(&f, *envp, more, n_more);
	qsort(ret_e, f.n, sizeof(*ret_e), compare);
	return f.n;
}
