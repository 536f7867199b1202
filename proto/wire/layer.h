/* SPDX-License-Identifier: Apache-2.0 */
/* layer.h - the one shape of what stands between wire bytes and plain bytes (cfb, aead; later
 * snappy). Floor 1.
 *
 * A layer has one decoding and one encoding direction, independent of each other. It buffers at
 * most one record. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/span.h"

enum {
	LAYER_E_BAD = 1
}; /* the peer's bytes are refused; the layer is dead; layer->why says why (static text) */

struct layer;
struct layer_ops {
	/* Eat from the front of *in and write plain bytes to @dst. Stops when @in is empty or @cap
	 * bytes are out; may eat without output. 0, -ENOMEM or LAYER_E_BAD. */
	int (*decode)(struct layer *l, struct span *in, uint8_t *dst, size_t cap, size_t *ret_n);
	/* Append the wire form of all of @plain to @out (with the IV or stream nonce before the
	 * first byte). 0, -ENOMEM, BUF_E_FULL (nothing appended, the state unchanged). */
	int (*encode)(struct layer *l, struct span plain, struct buf *out);
	struct layer *(*free)(struct layer *l);
};

struct layer {
	/* read-only */
	const struct layer_ops *ops;
	const char *why;
};

static inline int layer_decode(struct layer *l, struct span *in, uint8_t *dst, size_t cap,
			       size_t *ret_n)
{
	return l->ops->decode(l, in, dst, cap, ret_n);
}

static inline int layer_encode(struct layer *l, struct span plain, struct buf *out)
{
	return l->ops->encode(l, plain, out);
}

/* NULL is fine; returns NULL. */
static inline struct layer *layer_free(struct layer *l)
{
	return l != NULL ? l->ops->free(l) : NULL;
}
DEFINE_CLEANUP(struct layer, layer_free)
