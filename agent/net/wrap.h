/* SPDX-License-Identifier: Apache-2.0 */
/* wrap.h - a struct end over a struct end: encryption nearest the wire, compression above it, a
 * bandwidth limit below both (frp client/proxy/proxy.go wrapWorkConn). Floor 4.
 *
 * GLOSSARY
 * plain  bytes of the user
 * wire   bytes of the lower end
 * owed   handed up and not consumed yet
 *
 * Up, one piece of at most LIMIT_TURN plain bytes is under way: while its wire bytes wait for the
 * lower end or for the limit, no other is taken. Down, wire bytes that cannot be decoded yet (the
 * limit, or WRAP_OWED_MAX plain bytes owed) are held and not consumed, so that the window of the
 * lower end bounds them. Consumed plain bytes give credit for their share of the wire bytes, all of
 * it at the end.
 *
 * The upper user hears only from the loop, never from inside a call on this end. */
#pragma once
#include <stdbool.h>

#include "agent/net/bucket.h"
#include "agent/net/end.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"

struct log;
struct loop;

/* Of plain bytes owed; one more decoded piece may come on top. */
#define WRAP_OWED_MAX LIMIT_LOCAL_QUEUED

/* What all wraps over the ends of one session share. */
struct wrap_host {
	struct loop *loop;
	struct log *log;
	struct list wraps; /* each stands in it until its memory is free */
};

struct wrap_params {
	const char *name; /* of the proxy or visitor, for the log; copied */
	bool use_encryption, use_compression;
	struct span secret; /* keys the encryption: the token, or a visitor's secret key; copied */
	struct bucket *bucket; /* NULL: no limit; borrowed until end_forget() */
};

/* Put the layers that @p asks for over @lower; with none of them *ret_e is @lower itself. The wrap
 * is the user of @lower then, forgets it by itself and lives until end_forget(*ret_e), or a while
 * longer to send what was committed before an end_fin(). 0 or negated errno (@lower is untouched
 * then). */
int wrap_new(struct wrap_host *host, struct end lower, const struct wrap_params *p,
	     struct end *ret_e);
/* The lower ends are gone: free all wraps without touching them. Their users touch them no more. */
void wrap_abandon_all(struct wrap_host *host);
