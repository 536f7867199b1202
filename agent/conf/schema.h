/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - the configuration as the rest of the agent sees it, wherever it came from. Floor 4. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/wire/frame.h"

/* Both own what they hold. */
struct conf_strs {
	char **at;
	size_t n;
};
struct conf_pairs {
	struct msg_pair *at;
	size_t n;
};

enum conf_type {
	CONF_TYPE_TCP,
	CONF_TYPE_UDP,
	CONF_TYPE_HTTP,
	CONF_TYPE_HTTPS,
	CONF_TYPE_TCPMUX,
	CONF_TYPE_STCP,
	CONF_TYPE_SUDP,
};
#define CONF_N_TYPES 7
const char *conf_type_name(enum conf_type t); /* "tcp" */
/* 0, or CONF_E_TYPE: no such type here. */
enum { CONF_E_TYPE = 1 };
int conf_type_of_name(const char *name, enum conf_type *ret_t);

enum conf_health_kind { CONF_HEALTH_NONE, CONF_HEALTH_TCP, CONF_HEALTH_HTTP };
struct conf_health {
	enum conf_health_kind kind;
	uint64_t interval_ms;	   /* default 10 s */
	uint64_t timeout_ms;	   /* default 3 s */
	unsigned n_failed_max;	   /* consecutive failures that withdraw the proxy; default 1 */
	char *path;		   /* http: "/healthz" */
	struct conf_pairs headers; /* http: sent with the request */
};

struct conf_proxy {
	char *name;	 /* as written; in logs */
	char *wire_name; /* with the user prefix: "user.name", or equal to name */
	char *type;	 /* "tcp"; the name of @kind */
	enum conf_type kind;
	char *place;	  /* "FILE:LINE:COLUMN" for messages; NULL: the source of the conf */
	bool is_off;	  /* enabled = false, or not in start; gone after conf_check() */
	char *local_host; /* name or numeric address */
	uint16_t local_port;
	uint16_t remote_port; /* 0: the server chooses */
	/* between us and the server; the server is told by the message */
	bool use_encryption, use_compression;
	char *bandwidth;	     /* as written, "10KB"; NULL: no limit */
	uint64_t bandwidth_bytes;    /* per second; 0: no limit */
	bool is_bandwidth_of_server; /* the server limits, we do not */
	unsigned proxy_protocol; /* version of the PROXY header for the local service; 0: none */
	struct conf_health health;
	char *group, *group_key; /* group_key is a secret */
	struct conf_pairs metas, annotations;
	/* http, https, tcpmux */
	struct conf_strs domains, locations;
	char *subdomain;
	char *http_user, *http_password; /* the latter a secret */
	char *host_header_rewrite, *route_by_http_user, *multiplexer;
	struct conf_pairs request_headers, response_headers;
	/* stcp, sudp */
	char *secret_key; /* a secret; NULL: empty */
	struct conf_strs allow_users;
	struct msg_new_proxy msg; /* the wire form; its strings are the fields above */
};

/* The near end of somebody's stcp or sudp proxy: a port here that leads to it. */
struct conf_visitor {
	char *name;
	char *type; /* "stcp" or "sudp"; the name of @kind */
	enum conf_type kind;
	char *place; /* as in conf_proxy */
	bool is_off;
	bool use_encryption, use_compression;
	char *secret_key; /* a secret; NULL: empty */
	char *server_user, *server_name;
	char *wire_name; /* of the proxy to visit: "server_user.server_name", or with our user */
	char *bind_host; /* default 127.0.0.1; a numeric address */
	uint16_t bind_port;
};

/* A program that prints the token; command NULL: none. */
struct conf_exec {
	char *command;
	struct conf_strs args;
	struct conf_pairs env; /* values are secrets */
};

struct conf_tls {
	bool is_on;
	bool want_custom_first_byte; /* 0x17 before the ClientHello */
	char *server_name;	     /* NULL: the server's host */
	char *ca_file;
	bool want_system_roots;
	char *pin;
	char *cert_file, *key_file;
};

/* The admin API (webServer.*). */
struct conf_web {
	char *addr;    /* numeric or "localhost"; NULL: 127.0.0.1 */
	uint16_t port; /* 0: not served */
	char *user;
	char *password; /* a secret */
};

/* When the proxies are registered at all: the node behind them answers (environment mode). */
struct conf_ready {
	bool is_on;
	size_t proxy;		/* whose local service is asked */
	char *path;		/* NULL: /readyz, or /api/v1/state where that is unknown */
	uint64_t down_after_ms; /* of silence, until they are withdrawn; 0: never */
};

/* All strings are owned and NULL when not given, unless a default is named. */
struct conf {
	char *source; /* for messages: "environment" or the file's path */
	char *server_host;
	uint16_t server_port; /* default 7000 in files (frp), 7200 in the environment (Gonka) */
	char *token;	      /* a secret; "" when none */
	char *token_file;     /* read again at each login when set; token holds its last content */
	struct conf_exec token_exec; /* run again at each login when set */
	char *user;
	char *client_id;	 /* Login.client_id */
	struct conf_pairs metas; /* Login.metas */
	bool login_fail_exit;
	bool all_or_none; /* the proxies live and die together (environment mode) */
	struct conf_ready ready;
	enum wire wire;
	bool is_mux;
	unsigned pool_count;   /* default 1 */
	uint64_t heartbeat_ms; /* default WAIT_HEARTBEAT_MS, also with mux; UINT64_MAX never */
	/* For a Pong, before the session counts as dead: 0 when not given (liveness by any byte),
	 * UINT64_MAX never. */
	uint64_t heartbeat_timeout_ms;
	uint64_t mux_keepalive_ms; /* between mux pings; 0 when not given (WAIT_PING_*) */
	uint64_t dial_timeout_ms;  /* default WAIT_DIAL_MS */
	unsigned tcp_keepalive_s;  /* of the connection to the server; default 45; 0: off */
	char *local_ip;		   /* numeric; the server is dialed from this address */
	char *proxy_url;	   /* "http://user:password@host:port", socks5://...; a secret */
	char *dns_server;	   /* "ip" or "ip:port", "[v6]:port"; NULL: the system's */
	size_t udp_packet_size;	   /* default 1500 */
	uint64_t grace_ms;	   /* default WAIT_GRACE_MS */
	size_t n_streams_max;	   /* default LIMIT_STREAMS */
	struct conf_tls tls;
	struct conf_proxy *proxies;
	size_t n_proxies;
	struct conf_visitor *visitors;
	size_t n_visitors;
	struct conf_strs start; /* names of proxies and visitors; empty: all */
	int log_level;		/* enum log_level */
	int log_format;		/* enum log_format */
	char *log_to;		/* a file; NULL: the console */
	unsigned log_max_days;	/* default 3; rotated files older than that are removed; 0: never */
	struct conf_web web;
	char *state_dir;	     /* where the run id outlives the process; NULL: nowhere */
	bool is_state_dir_asked_for; /* false: by default, where it happens to be writable */
	char *remote_addr_file;	     /* where the addresses at the server are told; NULL: nowhere */
	/* private */
	unsigned n_shares; /* beside the first owner: conf_share() */
};

struct conf *conf_new(void); /* with every default; NULL without memory */
/* Wipes secrets; NULL is fine; returns NULL. Of a shared one only this share goes. */
struct conf *conf_free(struct conf *c);
/* One more owner, who calls conf_free() as well. Never changed from then on. */
struct conf *conf_share(const struct conf *c);
DEFINE_CLEANUP(struct conf, conf_free)
/* One more proxy, with every default; valid until the next is added. 0 or -ENOMEM. */
int conf_add_proxy(struct conf *c, const char *name, struct conf_proxy **ret_p);
/* The same for a visitor. */
int conf_add_visitor(struct conf *c, const char *name, struct conf_visitor **ret_v);
/* Take proxy @i, or visitor @i, out again. */
void conf_drop_proxy(struct conf *c, size_t i);
void conf_drop_visitor(struct conf *c, size_t i);

/* Copies are appended. 0 or -ENOMEM. */
int conf_strs_add(struct conf_strs *s, const char *value);
int conf_pairs_add(struct conf_pairs *p, const char *name, const char *value);
void conf_strs_deinit(struct conf_strs *s);
