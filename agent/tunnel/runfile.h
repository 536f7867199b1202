/* SPDX-License-Identifier: Apache-2.0 */
/* runfile.h - the file in which the run id outlives the process. Floor 5.
 *
 * Only we may read it. Where no folder for it is writable, all works without. */
#pragma once
#include <stdbool.h>

#include "agent/conf/schema.h"
#include "proto/base/limits.h"

struct log;

struct runfile {
	/* read-only */
	char kept[LIMIT_RUN_ID + 1]; /* in the file, as far as we know; a secret; "": nothing */
	/* private */
	struct log *log; /* borrowed */
	bool is_told;	 /* that it cannot be kept */
};

/* Read what the file of @conf has; without a file, or with a bad one, it has nothing. */
void runfile_init(struct runfile *f, const struct conf *conf, struct log *log);
void runfile_deinit(struct runfile *f);
/* The run id is @id from now on ("": there is none). The file follows; an id that is no line of
 * text is not kept. */
void runfile_keep(struct runfile *f, const struct conf *conf, const char *id);
