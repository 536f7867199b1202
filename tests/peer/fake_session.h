/* SPDX-License-Identifier: Apache-2.0 */
/* fake_session.h - the server's end of one TCP connection, from the project's own machines: bytes
 * in, bytes out, news as JSON lines on stdout. No socket, no clock.
 *
 * GLOSSARY  pipe: one byte stream of frp's: a stream of the mux, or without one the whole
 * connection. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/list.h"
#include "proto/session/mux.h"
#include "tests/peer/fake_script.h"

#define FAKE_OUT_MAX (512u * 1024 * 1024) /* floods are made in memory */

#define FAKE_LINE_MAX 65536 /* of a command: hex of 32 KiB */

struct fake_pipe;

struct fake_session {
	/* set by owner */
	unsigned id;
	struct fake_script *script; /* borrowed */
	struct list link;	    /* of the owner */
	/* read-only */
	struct buf out; /* for the connection; the owner eats */
	bool is_frozen; /* nothing may be read or written */
	bool is_deaf;	/* what is read is thrown away */
	bool want_fin, want_rst;
	bool is_up; /* a login was answered well */
	/* private */
	struct mux *mux;
	struct list pipes;
	struct fake_pipe *control; /* borrowed from pipes */
	bool was_fed;
};

int fake_session_init(struct fake_session *s, unsigned id, struct fake_script *script);
void fake_session_deinit(struct fake_session *s);
/* Somebody connected. */
void fake_session_start(struct fake_session *s);
void fake_session_feed(struct fake_session *s, struct span in, uint64_t now_ms);
void fake_session_tick(struct fake_session *s, uint64_t now_ms);

/* Commands: things to do now. 0, or a static text that says why not. */
const char *fake_session_do(struct fake_session *s, char *command);

/* One event: {"ev":"what","conn":id,...}; @more holds further members with their leading commas, ""
 * for none. */
void fake_say(const struct fake_session *s, const char *what, const char *more_format, ...)
	__attribute__((format(printf, 3, 4)));
