/* SPDX-License-Identifier: Apache-2.0 */
/* keyconf.c - parsers of settings that have a form of their own in frp's files; the general ones
 * are in key.c. Floor 4. */
#include <string.h>

#include "agent/conf/key.h"
#include "agent/conf/schema.h"
#include "proto/base/text.h"
#include "proto/wire/hopurl.h"

#define KEY_BANDWIDTH_MAX (1ull << 40) /* bytes per second; nothing is faster */

int key_ip(const struct key *k, void *at, const char *value)
{
	(void) k;
	return text_is_ip(value) ? key_store(at, value) : KEY_E_BAD;
}

int key_dns(const struct key *k, void *at, const char *value)
{
	struct text_hostport hp;

	(void) k;
	if (text_is_ip(value))
		return key_store(at, value);
	if (text_parse_hostport(value, /* default_port= */ 53, &hp) != 0 || !hp.is_ip)
		return KEY_E_BAD;
	return key_store(at, value);
}

int key_url(const struct key *k, void *at, const char *value)
{
	struct hopurl url;
	const char *why;

	(void) k;
	if (hopurl_parse(value, &url, &why) != 0)
		return KEY_E_BAD; /* the table says what it should be */
	hopurl_wipe(&url);
	return key_store(at, value);
}

int key_size(const struct key *k, void *at, const char *value)
{
	size_t *place = at;
	uint64_t v;

	if (text_parse_u64(value, k->min, k->max, &v) != 0)
		return KEY_E_BAD;
	*place = (size_t) v;
	return 0;
}

int key_seconds(const struct key *k, void *at, const char *value)
{
	uint64_t *place = at, v;

	if (text_parse_u64(value, k->min, k->max, &v) != 0)
		return KEY_E_BAD;
	*place = v * 1000;
	return 0;
}

int key_keepalive(const struct key *k, void *at, const char *value)
{
	unsigned *place = at;
	uint64_t v;

	bool is_never = value[0] == '-';

	if (text_parse_u64(value + is_never, 1, is_never ? INT64_MAX : k->max, &v) != 0)
		return KEY_E_BAD;
	*place = is_never ? 0 : (unsigned) v;
	return 0;
}

int key_wire(const struct key *k, void *at, const char *value)
{
	enum wire *place = at;

	(void) k;
	if (strcmp(value, "v1") != 0 && strcmp(value, "v2") != 0)
		return KEY_E_BAD;
	*place = value[1] == '1' ? WIRE_V1 : WIRE_V2;
	return 0;
}

/* Digits, perhaps a point and more digits, then KB or MB, in units of 1024. */
int key_bandwidth(const struct key *k, void *at, const char *value)
{
	struct conf_proxy *p = at;
	size_t len = strlen(value), n = strspn(value, "0123456789");
	uint64_t unit, whole = 0, part = 0, scale = 1;

	(void) k;
	if (len < 3 || n == 0 || n > 12)
		return KEY_E_BAD;
	if (strcmp(value + len - 2, "KB") == 0)
		unit = 1024;
	else if (strcmp(value + len - 2, "MB") == 0)
		unit = 1024 * 1024;
	else
		return KEY_E_BAD;
	for (size_t i = 0; i < n; i++)
		whole = whole * 10 + (uint64_t) (value[i] - '0');
	if (value[n] == '.') {
		for (n++; value[n] >= '0' && value[n] <= '9' && scale < 1000000000; n++) {
			part = part * 10 + (uint64_t) (value[n] - '0');
			scale *= 10;
		}
	}
	if (n != len - 2 || whole > KEY_BANDWIDTH_MAX / unit)
		return KEY_E_BAD;
	p->bandwidth_bytes = whole * unit + part * unit / scale;
	return key_store(&p->bandwidth, value);
}

int key_limit_mode(const struct key *k, void *at, const char *value)
{
	struct conf_proxy *p = at;

	(void) k;
	if (strcmp(value, "client") != 0 && strcmp(value, "server") != 0)
		return KEY_E_BAD;
	p->is_bandwidth_of_server = value[0] == 's';
	return 0;
}

int key_proxy_protocol(const struct key *k, void *at, const char *value)
{
	unsigned *place = at;

	(void) k;
	if (value[0] != '\0' && strcmp(value, "v1") != 0 && strcmp(value, "v2") != 0)
		return KEY_E_BAD;
	*place = value[0] == '\0' ? 0 : (unsigned) (value[1] - '0');
	return 0;
}

int key_health(const struct key *k, void *at, const char *value)
{
	enum conf_health_kind *place = at;

	(void) k;
	if (value[0] == '\0')
		*place = CONF_HEALTH_NONE;
	else if (strcmp(value, "tcp") == 0)
		*place = CONF_HEALTH_TCP;
	else if (strcmp(value, "http") == 0)
		*place = CONF_HEALTH_HTTP;
	else
		return KEY_E_BAD;
	return 0;
}

int key_add(const struct key *k, void *at, const char *value)
{
	char *text = NULL;
	int r = key_text(k, &text, value);

	if (r == 0 && text == NULL)
		return KEY_E_BAD;
	free(text);
	return r != 0 ? r : conf_strs_add(at, value);
}
