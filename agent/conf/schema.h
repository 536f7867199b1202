/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - the configuration as the rest of the agent sees it, wherever it came from. Floor 4. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/wire/frame.h"

struct conf_proxy {
	char *name;	  /* as written; in logs */
	char *wire_name;  /* with the user prefix: "user.name", or equal to name */
	char *type;	  /* "tcp" */
	char *local_host; /* name or numeric address */
	uint16_t local_port;
	uint16_t remote_port;	  /* 0: the server chooses */
	struct msg_new_proxy msg; /* the wire form; its strings are the fields above */
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

/* All strings are owned and NULL when not given, unless a default is named. */
struct conf {
	char *source; /* for messages: "environment" or the file's path */
	char *server_host;
	uint16_t server_port; /* default 7000 in files (frp), 7200 in the environment (Gonka) */
	char *token;	      /* a secret; "" when none */
	char *token_file;     /* read again at each login when set; token holds its last content */
	char *user;
	bool login_fail_exit;
	bool all_or_none; /* the proxies live and die together (environment mode) */
	enum wire wire;
	bool is_mux;
	unsigned pool_count;   /* default 1 */
	uint64_t heartbeat_ms; /* default WAIT_HEARTBEAT_MS; UINT64_MAX never */
	uint64_t grace_ms;     /* default WAIT_GRACE_MS */
	size_t n_streams_max;  /* default LIMIT_STREAMS */
	struct conf_tls tls;
	struct conf_proxy *proxies;
	size_t n_proxies;
	int log_level;	       /* enum log_level */
	int log_format;	       /* enum log_format */
	char *log_to;	       /* a file; NULL: the console */
	unsigned log_max_days; /* default 3; rotated files older than that are removed; 0: never */
	struct conf_web web;
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
