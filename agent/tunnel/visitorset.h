/* SPDX-License-Identifier: Apache-2.0 */
/* visitorset.h - the visitors of one uplink: as the configuration wants them, also when it changes.
 * Floor 5. */
#pragma once
#include "agent/tunnel/visitor.h"
#include "proto/base/list.h"

struct visitorset {
	/* set by owner */
	struct visitor_host host;
	/* private */
	struct list visitors; /* struct visitor.link, in the order of the configuration */
	bool is_started;
};

/* After its owner has set what is his. */
void visitorset_init(struct visitorset *s);
/* Their users are gone. */
void visitorset_deinit(struct visitorset *s);

/* Everything that can fail of making it what @conf says, which is shared: an array for
 * visitorset_apply() or visitorset_free_plan(). 0 or -ENOMEM. */
int visitorset_plan(struct visitorset *s, const struct conf *conf, struct visitor ***ret_plan);
void visitorset_free_plan(struct visitor **plan, const struct conf *conf);
/* Carry it out: visitors that are the same go on; users of streams of a removed or changed one live
 * on, too. Frees @plan. */
void visitorset_apply(struct visitorset *s, const struct conf *conf, struct visitor **plan);

/* They listen, also those to come; and no more. */
void visitorset_start(struct visitorset *s);
void visitorset_stop(struct visitorset *s);
