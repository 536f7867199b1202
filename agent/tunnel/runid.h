/* SPDX-License-Identifier: Apache-2.0 */
/* runid.h - the id under which the server knows us from one session to the next. Floor 5.
 *
 * A login with it takes the place of our last session, even of one whose end the server has not
 * seen. It is random and the server's, never made of the token, never logged. Where a folder for it
 * is writable it outlives the process, in a file that only we may read; elsewhere all works
 * without. It does harm in two cases and is forgotten then: when a login with it is not answered
 * (some servers park it behind the old session), and when another agent has it as well. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "agent/conf/schema.h"
#include "proto/base/limits.h"

struct log;

struct runid {
	/* read-only */
	char at[LIMIT_RUN_ID + 1]; /* a secret; "": none */
	/* private */
	struct log *log;		    /* borrowed */
	char kept[LIMIT_RUN_ID + 1];	    /* in the file, as far as we know; a secret */
	bool is_told;			    /* that it cannot be kept */
	bool was_evicted, was_server_there; /* see runid_on_evicted() */
	uint64_t evicted_ms;
};

/* With what the file of @conf has; without a file, or with a bad one, there is none. */
void runid_init(struct runid *r, const struct conf *conf, struct log *log);
void runid_deinit(struct runid *r);
/* A good login told @id, after @n_tries of them in this outage. Kept in the file when it changed.
 */
void runid_on_login(struct runid *r, const struct conf *conf, const char *id, unsigned n_tries);
/* Forget it, in the file as well. */
void runid_forget(struct runid *r, const struct conf *conf);
/* A session that was logged in was ended by a login with the same run id. True: this is the second
 * time within a minute, and the server was there all the time, so another agent does it; the id is
 * forgotten. */
bool runid_on_evicted(struct runid *r, const struct conf *conf, uint64_t now_ms);
