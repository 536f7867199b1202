/* SPDX-License-Identifier: Apache-2.0 */
/* msg.c - the messages of frp as C structs, and their JSON. Floor 1.
 *
 * One table lists the members of every message; encoding and decoding both walk it. A decoded
 * message owns the JSON tree its strings live in, and the arrays that point into it. */
#include "proto/wire/msg.h"

#include <strings.h>

#include "proto/base/err.h"
#include "proto/wire/jtext.h"

enum msg_kind {
	MSG_KIND_STR,
	MSG_KIND_INT,
	MSG_KIND_BOOL,
	MSG_KIND_PAIRS,
	MSG_KIND_STRS,
	MSG_KIND_ADDR,
	MSG_KIND_EMPTY, /* an object that is always written and has no place in the struct */
};

struct msg_field {
	const char *name;
	enum msg_kind kind;
	size_t offset; /* in struct msg */
};

#define FIELD(kind, member, name)                                   \
	{                                                           \
		name, MSG_KIND_##kind, offsetof(struct msg, member) \
	}

/* In the order of the Go structs. */
static const struct msg_field login_fields[] = {
	FIELD(STR, login.version, "version"),
	FIELD(STR, login.hostname, "hostname"),
	FIELD(STR, login.os, "os"),
	FIELD(STR, login.arch, "arch"),
	FIELD(STR, login.user, "user"),
	FIELD(STR, login.privilege_key, "privilege_key"),
	FIELD(INT, login.timestamp, "timestamp"),
	FIELD(STR, login.run_id, "run_id"),
	FIELD(STR, login.client_id, "client_id"),
	FIELD(PAIRS, login.metas, "metas"),
	{ "client_spec", MSG_KIND_EMPTY, 0 },
	FIELD(INT, login.pool_count, "pool_count"),
};

static const struct msg_field login_resp_fields[] = {
	FIELD(STR, login_resp.version, "version"),
	FIELD(STR, login_resp.run_id, "run_id"),
	FIELD(STR, login_resp.error, "error"),
};

static const struct msg_field new_proxy_fields[] = {
	FIELD(STR, new_proxy.name, "proxy_name"),
	FIELD(STR, new_proxy.type, "proxy_type"),
	FIELD(BOOL, new_proxy.use_encryption, "use_encryption"),
	FIELD(BOOL, new_proxy.use_compression, "use_compression"),
	FIELD(STR, new_proxy.bandwidth_limit, "bandwidth_limit"),
	FIELD(STR, new_proxy.bandwidth_limit_mode, "bandwidth_limit_mode"),
	FIELD(STR, new_proxy.group, "group"),
	FIELD(STR, new_proxy.group_key, "group_key"),
	FIELD(PAIRS, new_proxy.metas, "metas"),
	FIELD(PAIRS, new_proxy.annotations, "annotations"),
	FIELD(INT, new_proxy.remote_port, "remote_port"),
	FIELD(STRS, new_proxy.custom_domains, "custom_domains"),
	FIELD(STR, new_proxy.subdomain, "subdomain"),
	FIELD(STRS, new_proxy.locations, "locations"),
	FIELD(STR, new_proxy.http_user, "http_user"),
	FIELD(STR, new_proxy.http_pwd, "http_pwd"),
	FIELD(STR, new_proxy.host_header_rewrite, "host_header_rewrite"),
	FIELD(PAIRS, new_proxy.headers, "headers"),
	FIELD(PAIRS, new_proxy.response_headers, "response_headers"),
	FIELD(STR, new_proxy.route_by_http_user, "route_by_http_user"),
	FIELD(STR, new_proxy.sk, "sk"),
	FIELD(STRS, new_proxy.allow_users, "allow_users"),
	FIELD(STR, new_proxy.multiplexer, "multiplexer"),
};

static const struct msg_field new_proxy_resp_fields[] = {
	FIELD(STR, new_proxy_resp.name, "proxy_name"),
	FIELD(STR, new_proxy_resp.remote_addr, "remote_addr"),
	FIELD(STR, new_proxy_resp.error, "error"),
};

static const struct msg_field close_proxy_fields[] = {
	FIELD(STR, close_proxy.name, "proxy_name"),
};

static const struct msg_field new_work_conn_fields[] = {
	FIELD(STR, new_work_conn.run_id, "run_id"),
	FIELD(STR, new_work_conn.privilege_key, "privilege_key"),
	FIELD(INT, new_work_conn.timestamp, "timestamp"),
};

static const struct msg_field start_work_conn_fields[] = {
	FIELD(STR, start_work_conn.proxy_name, "proxy_name"),
	FIELD(STR, start_work_conn.src_addr, "src_addr"),
	FIELD(STR, start_work_conn.dst_addr, "dst_addr"),
	FIELD(INT, start_work_conn.src_port, "src_port"),
	FIELD(INT, start_work_conn.dst_port, "dst_port"),
	FIELD(STR, start_work_conn.error, "error"),
};

static const struct msg_field new_visitor_conn_fields[] = {
	FIELD(STR, new_visitor_conn.run_id, "run_id"),
	FIELD(STR, new_visitor_conn.proxy_name, "proxy_name"),
	FIELD(STR, new_visitor_conn.sign_key, "sign_key"),
	FIELD(INT, new_visitor_conn.timestamp, "timestamp"),
	FIELD(BOOL, new_visitor_conn.use_encryption, "use_encryption"),
	FIELD(BOOL, new_visitor_conn.use_compression, "use_compression"),
};

static const struct msg_field new_visitor_conn_resp_fields[] = {
	FIELD(STR, new_visitor_conn_resp.proxy_name, "proxy_name"),
	FIELD(STR, new_visitor_conn_resp.error, "error"),
};

static const struct msg_field ping_fields[] = {
	FIELD(STR, ping.privilege_key, "privilege_key"),
	FIELD(INT, ping.timestamp, "timestamp"),
};

static const struct msg_field pong_fields[] = {
	FIELD(STR, pong.error, "error"),
};

static const struct msg_field udp_packet_fields[] = {
	FIELD(STR, udp_packet.content, "c"),
	FIELD(ADDR, udp_packet.local, "l"),
	FIELD(ADDR, udp_packet.remote, "r"),
};

struct msg_desc {
	const char *name;
	uint8_t byte; /* wire v1 */
	bool is_opaque;
	const struct msg_field *fields;
	size_t n_fields;
};

#define FIELDS(f) false, f, sizeof(f) / sizeof((f)[0])
#define NO_FIELDS false, NULL, 0
#define OPAQUE true, NULL, 0

static const struct msg_desc msg_descs[MSG_N_TYPES] = {
	[MSG_NONE] = { "?", 0, NO_FIELDS },
	[MSG_LOGIN] = { "Login", 'o', FIELDS(login_fields) },
	[MSG_LOGIN_RESP] = { "LoginResp", '1', FIELDS(login_resp_fields) },
	[MSG_NEW_PROXY] = { "NewProxy", 'p', FIELDS(new_proxy_fields) },
	[MSG_NEW_PROXY_RESP] = { "NewProxyResp", '2', FIELDS(new_proxy_resp_fields) },
	[MSG_CLOSE_PROXY] = { "CloseProxy", 'c', FIELDS(close_proxy_fields) },
	[MSG_NEW_WORK_CONN] = { "NewWorkConn", 'w', FIELDS(new_work_conn_fields) },
	[MSG_REQ_WORK_CONN] = { "ReqWorkConn", 'r', NO_FIELDS },
	[MSG_START_WORK_CONN] = { "StartWorkConn", 's', FIELDS(start_work_conn_fields) },
	[MSG_NEW_VISITOR_CONN] = { "NewVisitorConn", 'v', FIELDS(new_visitor_conn_fields) },
	[MSG_NEW_VISITOR_CONN_RESP] = { "NewVisitorConnResp", '3',
					FIELDS(new_visitor_conn_resp_fields) },
	[MSG_PING] = { "Ping", 'h', FIELDS(ping_fields) },
	[MSG_PONG] = { "Pong", '4', FIELDS(pong_fields) },
	[MSG_UDP_PACKET] = { "UDPPacket", 'u', FIELDS(udp_packet_fields) },
	[MSG_NAT_HOLE_VISITOR] = { "NatHoleVisitor", 'i', OPAQUE },
	[MSG_NAT_HOLE_CLIENT] = { "NatHoleClient", 'n', OPAQUE },
	[MSG_NAT_HOLE_RESP] = { "NatHoleResp", 'm', OPAQUE },
	[MSG_NAT_HOLE_SID] = { "NatHoleSid", '5', OPAQUE },
	[MSG_NAT_HOLE_REPORT] = { "NatHoleReport", '6', OPAQUE },
};

static const struct msg_desc *msg_desc(enum msg_type t)
{
	return (unsigned) t < MSG_N_TYPES ? &msg_descs[t] : &msg_descs[MSG_NONE];
}

const char *msg_type_name(enum msg_type t)
{
	return msg_desc(t)->name;
}

uint8_t msg_type_byte(enum msg_type t)
{
	return msg_desc(t)->byte;
}

enum msg_type msg_type_of_byte(uint8_t b)
{
	for (unsigned t = MSG_LOGIN; t < MSG_N_TYPES; t++)
		if (msg_descs[t].byte == b)
			return (enum msg_type) t;
	return MSG_NONE;
}

/* -- encoding -- */

static void msg_put_pairs(struct jtext *j, const char *name, const struct msg_pairs *pairs)
{
	if (pairs->n == 0)
		return;
	jtext_open(j, name, '{');
	for (size_t i = 0; i < pairs->n; i++)
		jtext_put_str(j, pairs->at[i].name, pairs->at[i].value);
	jtext_close(j, '}');
}

static void msg_put_strs(struct jtext *j, const char *name, const struct msg_strs *strs)
{
	if (strs->n == 0)
		return;
	jtext_open(j, name, '[');
	for (size_t i = 0; i < strs->n; i++)
		jtext_put_str(j, NULL, strs->at[i]);
	jtext_close(j, ']');
}

static void msg_put_addr(struct jtext *j, const char *name, const struct msg_addr *addr)
{
	if (!addr->is_set)
		return;
	jtext_open(j, name, '{');
	jtext_put_str(j, "IP", addr->ip);
	jtext_put_int(j, "Port", addr->port);
	jtext_put_str(j, "Zone", addr->zone);
	jtext_close(j, '}');
}

static void msg_put_field(struct jtext *j, const struct msg_field *f, const struct msg *m)
{
	const void *at = (const char *) m + f->offset;
	const char *str;

	switch (f->kind) {
	case MSG_KIND_STR:
		str = *(const char *const *) at;
		if (str != NULL && *str != '\0')
			jtext_put_str(j, f->name, str);
		break;
	case MSG_KIND_INT:
		if (*(const int64_t *) at != 0)
			jtext_put_int(j, f->name, *(const int64_t *) at);
		break;
	case MSG_KIND_BOOL:
		if (*(const bool *) at)
			jtext_put_bool(j, f->name, true);
		break;
	case MSG_KIND_PAIRS: msg_put_pairs(j, f->name, at); break;
	case MSG_KIND_STRS: msg_put_strs(j, f->name, at); break;
	case MSG_KIND_ADDR: msg_put_addr(j, f->name, at); break;
	case MSG_KIND_EMPTY:
		jtext_open(j, f->name, '{');
		jtext_close(j, '}');
		break;
	}
}

int msg_encode(const struct msg *m, struct buf *out)
{
	const struct msg_desc *desc = msg_desc(m->type);
	struct jtext j;

	MUST(desc->byte != 0);
	jtext_begin(&j, out);
	jtext_open(&j, NULL, '{');
	for (size_t i = 0; i < desc->n_fields; i++)
		msg_put_field(&j, &desc->fields[i], m);
	jtext_close(&j, '}');
	return jtext_end(&j);
}

/* -- decoding -- */

struct msg_block {
	struct msg_block *next; /* owned */
	/* Room for any of the arrays. */
	_Alignas(struct msg_pair) unsigned char bytes[];
};

struct msg_owner {
	json_t *root; /* one reference */
	struct msg_block *blocks;
};

void msg_deinit(struct msg *m)
{
	struct msg_owner *o = m->owner;

	if (o != NULL) {
		while (o->blocks != NULL) {
			struct msg_block *next = o->blocks->next;

			free(o->blocks);
			o->blocks = next;
		}
		json_decref(o->root);
		free(o);
	}
	*m = (struct msg){ .type = MSG_NONE };
}

/* Zeroed room for @n elements of @size bytes; n > 0 and bounded by the length of the body. */
static void *msg_alloc(struct msg_owner *o, size_t n, size_t size)
{
	struct msg_block *b = calloc(1, sizeof(*b) + n * size);

	if (b == NULL)
		return NULL;
	b->next = o->blocks;
	o->blocks = b;
	return b->bytes;
}

/* As Go does: null leaves the zero value. */
static int msg_get_str(const json_t *v, const char **ret_s)
{
	if (json_is_null(v))
		*ret_s = "";
	else if (json_is_string(v))
		*ret_s = json_string_value(v);
	else
		return MSG_E_BAD;
	return 0;
}

/* The same for a member of a message, where empty is absent. */
static int msg_get_text(const json_t *v, const char **ret_s)
{
	const char *s;
	int r;

	r = msg_get_str(v, &s);
	if (r != 0)
		return r;
	*ret_s = *s != '\0' ? s : NULL;
	return 0;
}

static int msg_get_pairs(struct msg_owner *o, json_t *v, struct msg_pairs *ret_pairs)
{
	size_t n = json_object_size(v), i = 0;
	struct msg_pair *at;
	int r;

	if (!json_is_object(v))
		return MSG_E_BAD;
	*ret_pairs = (struct msg_pairs){ 0 };
	if (n == 0)
		return 0;
	at = msg_alloc(o, n, sizeof(*at));
	if (at == NULL)
		return -ENOMEM;
	for (void *it = json_object_iter(v); it != NULL; it = json_object_iter_next(v, it)) {
		at[i].name = json_object_iter_key(it);
		r = msg_get_str(json_object_iter_value(it), &at[i].value);
		if (r != 0)
			return r;
		i++;
	}
	*ret_pairs = (struct msg_pairs){ .at = at, .n = n };
	return 0;
}

static int msg_get_strs(struct msg_owner *o, const json_t *v, struct msg_strs *ret_strs)
{
	size_t n = json_array_size(v);
	const char **at;
	int r;

	if (!json_is_array(v))
		return MSG_E_BAD;
	*ret_strs = (struct msg_strs){ 0 };
	if (n == 0)
		return 0;
	at = msg_alloc(o, n, sizeof(*at));
	if (at == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		r = msg_get_str(json_array_get(v, i), &at[i]);
		if (r != 0)
			return r;
	}
	*ret_strs = (struct msg_strs){ .at = at, .n = n };
	return 0;
}

static int msg_get_addr(const json_t *v, struct msg_addr *ret_addr)
{
	struct msg_addr addr = { .is_set = true };
	const json_t *ip = jtext_get(v, "IP"), *port = jtext_get(v, "Port"),
		     *zone = jtext_get(v, "Zone");

	if (!json_is_object(v))
		return MSG_E_BAD;
	if (ip != NULL && msg_get_text(ip, &addr.ip) != 0)
		return MSG_E_BAD;
	if (zone != NULL && msg_get_text(zone, &addr.zone) != 0)
		return MSG_E_BAD;
	if (port != NULL && !json_is_integer(port))
		return MSG_E_BAD;
	addr.port = port != NULL ? json_integer_value(port) : 0;
	*ret_addr = addr;
	return 0;
}

static int msg_get_field(struct msg_owner *o, const struct msg_field *f, json_t *v, struct msg *m)
{
	void *at = (char *) m + f->offset;

	switch (f->kind) {
	case MSG_KIND_STR: return msg_get_text(v, at);
	case MSG_KIND_INT:
		if (!json_is_integer(v))
			return MSG_E_BAD;
		*(int64_t *) at = json_integer_value(v);
		return 0;
	case MSG_KIND_BOOL:
		if (!json_is_boolean(v))
			return MSG_E_BAD;
		*(bool *) at = json_is_true(v);
		return 0;
	case MSG_KIND_PAIRS: return msg_get_pairs(o, v, at);
	case MSG_KIND_STRS: return msg_get_strs(o, v, at);
	case MSG_KIND_ADDR: return msg_get_addr(v, at);
	case MSG_KIND_EMPTY: return json_is_object(v) ? 0 : MSG_E_BAD;
	}
	return MSG_E_BAD;
}

static const struct msg_field *msg_find_field(const struct msg_desc *desc, const char *name)
{
	for (size_t i = 0; i < desc->n_fields; i++)
		if (strcasecmp(desc->fields[i].name, name) == 0)
			return &desc->fields[i];
	return NULL;
}

static int msg_decode_fields(const struct msg_desc *desc, struct msg *m)
{
	struct msg_owner *o = m->owner;

	for (void *it = json_object_iter(o->root); it != NULL;
	     it = json_object_iter_next(o->root, it)) {
		const struct msg_field *f = msg_find_field(desc, json_object_iter_key(it));
		json_t *v = json_object_iter_value(it);
		int r;

		if (f == NULL || json_is_null(v))
			continue;
		r = msg_get_field(o, f, v, m);
		if (r != 0)
			return r;
	}
	return 0;
}

static int msg_decode_body(const struct msg_desc *desc, struct span body, struct msg *m,
			   const char **ret_why)
{
	struct msg_owner *o = calloc(1, sizeof(*o));
	int r;

	if (o == NULL)
		return -ENOMEM;
	m->owner = o;
	r = jtext_parse(body, &o->root, ret_why);
	if (r != 0)
		return r < 0 ? r : MSG_E_BAD;
	*ret_why = "member of the wrong JSON type";
	return msg_decode_fields(desc, m);
}

int msg_decode(enum msg_type type, struct span body, struct msg *ret_m, const char **ret_why)
{
	const struct msg_desc *desc = msg_desc(type);
	struct msg m = { .type = type };
	const char *why = "unknown message type";
	int r;

	r = desc->byte != 0 ? 0 : MSG_E_BAD;
	if (r == 0 && !desc->is_opaque)
		r = msg_decode_body(desc, body, &m, &why);
	if (r != 0) {
		msg_deinit(&m);
		if (r > 0 && ret_why != NULL)
			*ret_why = why;
		return r;
	}
	*ret_m = m;
	return 0;
}
