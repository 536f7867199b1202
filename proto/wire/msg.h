/* SPDX-License-Identifier: Apache-2.0 */
/* msg.h - the messages of frp as C structs, and their JSON (frp pkg/msg/msg.go). Floor 1.
 *
 * Absent, null and zero are one thing in this protocol: a field that is NULL, 0, false or empty is
 * not written, and is so after decoding when it was not there. Strings are UTF-8 without NUL
 * inside. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/span.h"

/* The values are the type numbers of wire v2 (frp pkg/msg/wire_v2.go). */
enum msg_type {
	MSG_NONE = 0,
	MSG_LOGIN = 1,
	MSG_LOGIN_RESP = 2,
	MSG_NEW_PROXY = 3,
	MSG_NEW_PROXY_RESP = 4,
	MSG_CLOSE_PROXY = 5,
	MSG_NEW_WORK_CONN = 6,
	MSG_REQ_WORK_CONN = 7,
	MSG_START_WORK_CONN = 8,
	MSG_NEW_VISITOR_CONN = 9,
	MSG_NEW_VISITOR_CONN_RESP = 10,
	MSG_PING = 11,
	MSG_PONG = 12,
	MSG_UDP_PACKET = 13,
	MSG_NAT_HOLE_VISITOR = 14, /* the five of NAT hole punching are known by type only: their
				      body is not looked at */
	MSG_NAT_HOLE_CLIENT = 15,
	MSG_NAT_HOLE_RESP = 16,
	MSG_NAT_HOLE_SID = 17,
	MSG_NAT_HOLE_REPORT = 18,
};
#define MSG_N_TYPES 19

const char *msg_type_name(enum msg_type t); /* "Login"; "?" for a value outside the enum */
/* The type byte of wire v1, and back (MSG_NONE when unknown). */
uint8_t msg_type_byte(enum msg_type t);
enum msg_type msg_type_of_byte(uint8_t b);

struct msg_pair {
	const char *name, *value;
};
struct msg_pairs {
	const struct msg_pair *at;
	size_t n;
};
struct msg_strs {
	const char *const *at;
	size_t n;
};
struct msg_addr { /* Go net.UDPAddr: members IP, Port, Zone, all three always written */
	bool is_set;
	const char *ip, *zone;
	int64_t port;
};

struct msg_login {
	const char *version, *hostname, *os, *arch, *user, *privilege_key, *run_id, *client_id;
	int64_t timestamp;
	struct msg_pairs metas;
	int64_t pool_count;
};
struct msg_login_resp {
	const char *version, *run_id, *error;
};
struct msg_new_proxy {
	const char *name, *type;
	bool use_encryption, use_compression;
	const char *bandwidth_limit, *bandwidth_limit_mode, *group, *group_key;
	struct msg_pairs metas, annotations;
	int64_t remote_port;
	struct msg_strs custom_domains;
	const char *subdomain;
	struct msg_strs locations;
	const char *http_user, *http_pwd, *host_header_rewrite;
	struct msg_pairs headers, response_headers;
	const char *route_by_http_user, *sk;
	struct msg_strs allow_users;
	const char *multiplexer;
};
struct msg_new_proxy_resp {
	const char *name, *remote_addr, *error;
};
struct msg_close_proxy {
	const char *name;
};
struct msg_new_work_conn {
	const char *run_id, *privilege_key;
	int64_t timestamp;
};
struct msg_start_work_conn {
	const char *proxy_name, *src_addr, *dst_addr, *error;
	int64_t src_port, dst_port;
};
struct msg_new_visitor_conn {
	const char *run_id, *proxy_name, *sign_key;
	int64_t timestamp;
	bool use_encryption, use_compression;
};
struct msg_new_visitor_conn_resp {
	const char *proxy_name, *error;
};
struct msg_ping {
	const char *privilege_key;
	int64_t timestamp;
};
struct msg_pong {
	const char *error;
};
struct msg_udp_packet {
	const char *content; /* base64 */
	struct msg_addr local, remote;
};

struct msg {
	enum msg_type type;
	union {
		struct msg_login login;
		struct msg_login_resp login_resp;
		struct msg_new_proxy new_proxy;
		struct msg_new_proxy_resp new_proxy_resp;
		struct msg_close_proxy close_proxy;
		struct msg_new_work_conn new_work_conn;
		struct msg_start_work_conn start_work_conn;
		struct msg_new_visitor_conn new_visitor_conn;
		struct msg_new_visitor_conn_resp new_visitor_conn_resp;
		struct msg_ping ping;
		struct msg_pong pong;
		struct msg_udp_packet udp_packet;
	};
	/* private: what the strings of a decoded message live in */
	void *owner;
};

/* Append the JSON of @m to @out. 0, -ENOMEM, BUF_E_FULL (longer than the room; nothing appended),
 * or -EINVAL (a string is not UTF-8). */
int msg_encode(const struct msg *m, struct buf *out);

/* Decode the JSON @body of a message of @type. Lenient as Go is: unknown members ignored, names
 * case-insensitive, the last duplicate wins, invalid UTF-8 replaced; a NUL inside a string ends it.
 * At most LIMIT_JSON_DEPTH deep. 0 (then msg_deinit), -ENOMEM, or MSG_E_BAD: not JSON, not an
 * object, or a member of the wrong JSON type; *ret_why (may be NULL) is a static text. */
enum { MSG_E_BAD = 1 };
int msg_decode(enum msg_type type, struct span body, struct msg *ret_m, const char **ret_why);
/* Also on a zeroed struct. */
void msg_deinit(struct msg *m);
