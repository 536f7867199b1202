/* SPDX-License-Identifier: Apache-2.0 */
/* chan.c - a message channel over a byte stream. Floor 2.
 *
 * The framing knows how many bytes it needs next (a header, then the rest of its frame); exactly so
 * many plain bytes are taken from the stream or from the layer, so nothing beyond a frame is ever
 * read, and a body is asked for only after its length was checked. */
#include "proto/session/chan.h"

#include <errno.h>
#include <string.h>

#include "proto/base/err.h"

void chan_init(struct chan *c, enum wire wire, size_t out_max)
{
	*c = (struct chan){ .wire = wire };
	buf_init(&c->in, frame_max(wire));
	buf_init(&c->out, out_max);
	buf_init(&c->plain, frame_max(wire));
}

void chan_deinit(struct chan *c)
{
	c->layer = layer_free(c->layer);
	c->in_eat = 0;
	buf_deinit(&c->in);
	buf_deinit(&c->out);
	buf_deinit(&c->plain);
}

void chan_set_layer(struct chan *c, struct layer *layer)
{
	MUST(c->layer == NULL);
	MUST(buf_len(&c->in) == c->in_eat); /* no byte of the layer was taken for a plain one */
	c->layer = layer;
}

static int chan_bad(struct chan *c, const char *why)
{
	c->why = why;
	return CHAN_E_BAD;
}

/* Take @want plain bytes, or as many as *in yields, to the end of c->in. */
static int chan_take(struct chan *c, struct span *in, size_t want, size_t *ret_n)
{
	size_t n = want < in->len ? want : in->len;
	uint8_t *p;
	int r;

	r = buf_reserve(&c->in, want, &p);
	MUST(r <= 0); /* frame_next() never wants more than frame_max() */
	if (r < 0)
		return r;
	if (c->layer != NULL) {
		r = layer_decode(c->layer, in, p, want, &n);
		if (r < 0)
			return r;
		if (r == LAYER_E_BAD)
			return chan_bad(c, c->layer->why);
	} else if (n > 0) {
		memcpy(p, in->p, n);
		*in = span_skip(*in, n);
	}
	buf_commit(&c->in, n);
	*ret_n = n;
	return 0;
}

int chan_next_frame(struct chan *c, struct span *in, struct frame *ret_f)
{
	size_t want, n;
	int r;

	if (c->why != NULL)
		return CHAN_E_BAD;
	buf_eat(&c->in, c->in_eat);
	c->in_eat = 0;
	for (;;) {
		struct frame f = { .total_len = 0 };
		const char *why;

		r = frame_next(c->wire, buf_span(&c->in), &f, &why);
		if (r == 0) {
			c->in_eat = f.total_len;
			*ret_f = f;
			return 0;
		}
		if (r == FRAME_E_BAD)
			return chan_bad(c, why);
		MUST(f.total_len > buf_len(&c->in));
		want = f.total_len - buf_len(&c->in);
		r = chan_take(c, in, want, &n);
		if (r != 0)
			return r;
		if (n == 0) /* after fewer than wanted the framing may know that they are bad */
			return CHAN_E_MORE;
	}
}

int chan_next(struct chan *c, struct span *in, struct msg *ret_m)
{
	struct frame f;
	const char *why = NULL;
	int r;

	r = chan_next_frame(c, in, &f);
	if (r != 0)
		return r;
	if (f.kind != FRAME_MESSAGE)
		return chan_bad(c, f.kind == FRAME_UDP ? "a datagram in place of a message"
						       : "a hello frame in place of a message");
	r = msg_decode(f.type, f.body, ret_m, &why);
	return r == MSG_E_BAD ? chan_bad(c, why) : r;
}

/* Through the layer, if there is one. 0, -ENOMEM, BUF_E_FULL. */
static int chan_put(struct chan *c, struct span plain)
{
	return c->layer != NULL ? layer_encode(c->layer, plain, &c->out) : buf_add(&c->out, plain);
}

int chan_send(struct chan *c, const struct msg *m)
{
	int r;

	/* Always by way of c->plain, so that "too long" and "no room" are told apart. */
	buf_cut(&c->plain, 0);
	r = frame_encode(c->wire, m, &c->plain);
	if (r < 0)
		return r;
	if (r != 0)
		return FRAME_E_BAD;
	r = chan_put(c, buf_span(&c->plain));
	buf_cut(&c->plain, 0);
	return r; /* BUF_E_FULL is the only condition of both ways */
}

int chan_send_raw(struct chan *c, struct span bytes)
{
	return buf_add(&c->out, bytes);
}

struct span chan_out(const struct chan *c)
{
	return buf_span(&c->out);
}

void chan_sent(struct chan *c, size_t n)
{
	buf_eat(&c->out, n);
}
