/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h - from the tree of a file to a configuration, by the table of keys. Floor 4. */
#pragma once
#include <stdbool.h>

#include "agent/conf/node.h"
#include "agent/conf/problems.h"
#include "agent/conf/schema.h"
#include "agent/conf/template.h"

struct reader {
	/* set by owner; all borrowed */
	const char *file; /* for messages, escaped; NULL: the command line */
	/* of the text the tree was read from; NULL: as it stands */
	const struct template_out *lines;
	bool is_included; /* only its proxies and visitors count */
	bool is_strict;	  /* unknown keys are problems, not warnings */
	bool may_exec;	  /* auth.tokenSource.exec is allowed */
	struct problems *problems, *warnings;
	struct conf *conf;
};

#define READER_PLACE 512
/* "FILE:LINE:COLUMN", without what is not known; for the command line empty. */
const char *reader_put_place(const struct reader *rd, struct place at,
			     char dst[static READER_PLACE]);

/* Put what @t says into the configuration, complete but for conf_check(). What is wrong goes to the
 * problems, with its place. Reads a file with a token. 0 (also with new problems)
 * or -ENOMEM. */
int reader_apply(const struct reader *rd, const struct tree *t);
