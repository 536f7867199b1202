/* SPDX-License-Identifier: Apache-2.0 */
/* clientstate.h - the inside of a client, for the files that make it: client.c, clientcontrol.c,
 * clientwork.c. Floor 2. */
#pragma once
#include "proto/session/beat.h"
#include "proto/session/client.h"
#include "proto/session/mux.h"
#include "proto/session/works.h"

enum client_state {
	CLIENT_STATE_OPENING,
	CLIENT_STATE_UP,
	CLIENT_STATE_LEAVING,
	CLIENT_STATE_BYE,
	CLIENT_STATE_DEAD
};

struct client {
	struct client_params p;
	struct roster *roster; /* borrowed */
	enum client_state state;
	uint64_t now_ms, created_ms;
	struct mux *mux; /* NULL without tcpMux */
	struct mux_stream *control;
	struct chan chan;
	struct login login;
	struct beat beat;
	uint64_t login_due_ms, login_held_ms, heartbeat_due_ms, goaway_due_ms;
	unsigned n_asked_again;	  /* how far away the server is */
	bool has_heard;		  /* any byte of the server */
	bool is_login_confirming; /* the first of the two ticks of the verdict was there */
	bool is_roster_due;	  /* roster_next() may have something */
	bool is_dead_told;
	struct span control_in; /* lent bytes not looked at yet */
	bool is_control_due; /* messages may be left in it, or in a record that the layer holds */
	struct works works;
	struct msg msg; /* what the last event pointed to */
	enum client_cause cause;
	char text[512];
};

/* Unix seconds for signatures: those of the start and the monotonic time since. */
static inline int64_t client_stamp(const struct client *c)
{
	return c->p.wall_s + (int64_t) ((c->now_ms - c->created_ms) / 1000);
}

/* The session is over: DEAD is the next event. The first @cause counts. */
void client_die(struct client *c, enum client_cause cause, const char *text);

/* clientcontrol.c */

/* Bytes of the control channel. True: *ret_ev is an event. */
bool client_step_control(struct client *c, struct client_event *ret_ev);
/* Ask for or close the next proxy that is due. True: *ret_ev is an event. */
bool client_step_roster(struct client *c, struct client_event *ret_ev);
/* Is there room for one more message, however long? */
bool client_has_control_room(const struct client *c);
void client_send_heartbeat(struct client *c);
/* Move what the control channel has to say into ctl, as far as credit and room go. */
void client_flush_control(struct client *c);
/* The server ended the control stream, while the session may live. */
void client_on_control_end(struct client *c);
/* Why it closed the control channel. */
enum client_cause client_closed_cause(const struct client *c);
