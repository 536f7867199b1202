/* SPDX-License-Identifier: Apache-2.0 */
/* frpsconn.h - the inside of the model of frps, for the files that make it. Tests only. */
#pragma once
#include "tests/sim/frps.h"

#include "proto/wire/hello.h"

#define FRPS_ANSWERS 256
#define FRPS_PROXIES 8
#define FRPS_USER_WAIT_MS 10000
#define FRPS_BEAT_MS 40000 /* without a mux: the longest between two Pings of a client */

enum stream_kind { STREAM_NEW, STREAM_CONTROL, STREAM_POOLED, STREAM_JOINED };

struct frps_stream {
	struct frps_conn *conn;
	struct mux_stream *mux;
	enum stream_kind kind;
	enum wire wire; /* 0: not known yet */
	size_t magic_due;
	struct chan chan;
	struct flow flow;
	struct list link;
};

struct frps_user {
	char proxy[32];
	uint64_t due_ms;
	struct list link;
};

struct frps_answer { /* what the control channel says next, and not before @due_ms */
	uint64_t due_ms;
	enum msg_type type;
	char name[32];
	const char *error; /* static */
};

struct frps_conn {
	struct frps *f;
	struct mux *mux; /* NULL: the connection is a stream by itself */
	struct frps_stream *control;
	struct list link, streams, users;
	unsigned *harm; /* borrowed */
	char run_id[24];
	bool is_logged, is_parked, is_dead;
	bool is_closing;	  /* no mux: dead when all is said */
	enum prim_aead_kind aead; /* wire v2 */
	struct hello_keys keys;
	char proxies[FRPS_PROXIES][32];
	struct frps_answer answers[FRPS_ANSWERS];
	size_t n_answers;
	uint64_t ping_ms, ping_due_ms; /* of the mux; without one only due: the client's Ping */
	uint64_t pinged_ms;	       /* by the client, on the control channel */
};

void frps_stream_free(struct frps_stream *s);

/* frpscontrol.c */
void frps_on_hello(struct frps_stream *s, struct span body);
void frps_on_login(struct frps_stream *s, const struct msg_login *l);
void frps_on_control(struct frps_conn *c, const struct msg *m);
void frps_drop_control(struct frps_conn *c);
void frps_answer(struct frps_conn *c, enum msg_type type, const char *name, const char *error);
void frps_say_due(struct frps_conn *c);
void frps_flush_control(struct frps_conn *c);
/* A login that waited is given up. */
void frps_unpark(struct frps_conn *c);

/* frpsuser.c */
void frps_on_work(struct frps_stream *s, const struct msg_new_work_conn *m);
void frps_on_visit(struct frps_stream *s, const struct msg_new_visitor_conn *m);
void frps_expire_users(struct frps_conn *c);
