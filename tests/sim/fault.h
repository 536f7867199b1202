/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - what goes wrong in a simulated run. Tests only.
 *
 * A fault is counted where it takes effect: a loss when a packet was lost, a refusal when the
 * server has refused. */
#pragma once

/* Each with what it is called in the list that a run prints. */
#define FAULTS(X)                                              \
	X(FIN, "connection closed by the server")              \
	X(RST, "connection reset")                             \
	X(CUT, "connection reset within a piece of bytes")     \
	X(HALF_OPEN, "path dead for ever, both ways")          \
	X(ONE_WAY, "path dead for ever, one way")              \
	X(STALL, "path stalled for a while")                   \
	X(DEAF, "connection accepted, then silence")           \
	X(NET_DOWN, "dial not answered")                       \
	X(REFUSED_DIAL, "dial refused")                        \
	X(LOSS, "packet lost and sent again")                  \
	X(DELAY, "piece delayed by jitter")                    \
	X(NARROW, "no room on the wire")                       \
	X(SPLIT, "piece split on arrival")                     \
	X(BYTEWISE, "piece delivered byte by byte")            \
	X(RESTART, "server restarted")                         \
	X(REFUSED_LOGIN, "login refused")                      \
	X(MUTE_LOGIN, "login never answered")                  \
	X(PARKED_LOGIN, "login parked behind the old session") \
	X(LOCKED_LOGIN, "run id locked out")                   \
	X(BREAK, "server breaks right after the login")        \
	X(REFUSED_PROXY, "proxy refused")                      \
	X(NAME_TAKEN, "proxy refused, its name is taken")      \
	X(LOST_ANSWER, "NewProxyResp never sent")              \
	X(SLOW_ANSWER, "answer sent late")                     \
	X(GARBAGE, "garbage on the control channel")           \
	X(PING_FLOOD, "flood of pings")                        \
	X(WORK_FLOOD, "flood of ReqWorkConn")                  \
	X(GOAWAY, "GoAway")                                    \
	X(STREAM_RST, "stream reset by the server")            \
	X(EVICTION, "session replaced by another login")       \
	X(RIVAL, "another agent found to have the run id")     \
	X(NO_MUX, "session without a mux")                     \
	X(PAUSE, "agent paused")                               \
	X(KILL, "agent killed, its end seen")                  \
	X(LOST_KILL, "agent killed, its end not seen")         \
	X(NO_MEMORY, "allocation failed")                      \
	X(WITHDRAWAL, "proxy withdrawn and wanted again")      \
	X(RELOAD, "proxy changed by a reload")                 \
	X(HURRY, "retry hurried")                              \
	X(USER_ABORT, "user aborts")                           \
	X(SERVICE_ABORT, "service aborts")

enum fault {
#define FAULT_VALUE(name, text) FAULT_##name,
	FAULTS(FAULT_VALUE)
#undef FAULT_VALUE
};
#define FAULT_COUNT_ONE(name, text) +1
#define N_FAULTS (0 FAULTS(FAULT_COUNT_ONE))

const char *fault_name(enum fault f); /* of the enum, without its noun */
const char *fault_text(enum fault f); /* for a person */

/* What may have ended a session: set on its connection by the fault, asked when it ends. */
enum harm {
	HARM_CUT = 1,	    /* closed, reset, or the server will */
	HARM_SILENCE = 2,   /* bytes are lost for long */
	HARM_MUTE = 4,	    /* the login is not answered */
	HARM_REFUSAL = 8,   /* it is, by a no */
	HARM_NONSENSE = 16, /* the server breaks the protocol */
	HARM_GOAWAY = 32,
	HARM_EVICTION = 64, /* another login takes the run id */
	HARM_MEMORY = 128,
	HARM_FAREWELL = 256, /* the agent leaves */
	HARM_PAUSE = 512,    /* it did not run for a while: the server may give it up */
};
