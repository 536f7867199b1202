/* SPDX-License-Identifier: Apache-2.0 */
/* snappy.c - the snappy framing layer. Floor 1.
 *
 *   HEAD --4 bytes--> BODY --all of a data chunk--> PLAIN --all handed out--> HEAD
 *    ^                 |  identifier
 *    |--all skipped-- SKIP
 *
 * A body that lies whole in the input is looked at there; one that comes in pieces is gathered.
 * Plain bytes go straight to the caller's room when all of the chunk fits. No buffer is kept
 * between chunks, since most streams are silent most of the time. */
#include "proto/wire/snappy.h"

#include "proto/base/err.h"
#include "proto/wire/crc32c.h"

#define ID_BODY "sNaPpY"
#define ID_BODY_LEN 6
#define CHECKSUM_LEN 4
#define TYPE_LEN 4 /* type and length in front of each chunk */
#define BODY_MAX (CHECKSUM_LEN + SNAPBLOCK_LEN_MAX(SNAPPY_PLAIN_MAX))

enum snappy_type {
	SNAPPY_COMPRESSED = 0x00,
	SNAPPY_UNCOMPRESSED = 0x01,
	SNAPPY_SKIPPABLE = 0x80, /* the first of them; those below it and not here are refused */
	SNAPPY_ID = 0xff,
};

enum snappy_state { SNAPPY_STATE_HEAD, SNAPPY_STATE_BODY, SNAPPY_STATE_SKIP, SNAPPY_STATE_PLAIN };

struct snappy {
	struct layer layer;
	/* encoding */
	bool is_id_sent;
	/* decoding */
	enum snappy_state state;
	bool is_id_seen;
	uint8_t head[TYPE_LEN];
	size_t n_head;
	uint8_t type;
	size_t len;	  /* of the body; SKIP: what is left of it */
	struct buf body;  /* of a chunk that comes in pieces */
	struct buf plain; /* of a chunk that the caller had no room for */
};

static struct layer *snappy_free(struct layer *l)
{
	struct snappy *s = container_of(l, struct snappy, layer);

	buf_deinit(&s->body);
	buf_deinit(&s->plain);
	free(s);
	return NULL;
}

static uint32_t checksum_of(struct span plain)
{
	uint32_t crc = crc32c(plain);

	return (crc >> 15 | crc << 17) + 0xa282ead8u; /* framing_format.txt: masked */
}

static void put_le(uint8_t *p, size_t n, uint32_t v)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t) (v >> 8 * i);
}

static uint32_t get_le(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

/* -- decoding -- */

static int snappy_bad(struct snappy *s, const char *why)
{
	s->layer.why = why;
	return LAYER_E_BAD;
}

/* The head is complete: what follows it? */
static int snappy_on_head(struct snappy *s)
{
	s->type = s->head[0];
	s->len = get_le(s->head + 1, 3);
	s->n_head = 0;
	if (!s->is_id_seen && s->type != SNAPPY_ID)
		return snappy_bad(s, "compressed stream without its identifier");
	s->state = SNAPPY_STATE_BODY;
	switch (s->type) {
	case SNAPPY_COMPRESSED:
		if (s->len < CHECKSUM_LEN || s->len > BODY_MAX)
			return snappy_bad(s, "compressed chunk of an impossible length");
		return 0;
	case SNAPPY_UNCOMPRESSED:
		if (s->len < CHECKSUM_LEN || s->len > CHECKSUM_LEN + SNAPPY_PLAIN_MAX)
			return snappy_bad(s, "uncompressed chunk of an impossible length");
		return 0;
	case SNAPPY_ID:
		if (s->len != ID_BODY_LEN)
			return snappy_bad(s, "compressed stream with a bad identifier");
		return 0;
	default:
		if (s->type < SNAPPY_SKIPPABLE)
			return snappy_bad(s, "unknown chunk in a compressed stream");
		s->state = s->len > 0 ? SNAPPY_STATE_SKIP : SNAPPY_STATE_HEAD;
		return 0;
	}
}

static int snappy_take_head(struct snappy *s, struct span *in)
{
	struct span piece = span_head(*in, TYPE_LEN - s->n_head);

	memcpy(s->head + s->n_head, piece.p, piece.len);
	s->n_head += piece.len;
	*in = span_skip(*in, piece.len);
	return s->n_head == TYPE_LEN ? snappy_on_head(s) : 0;
}

/* The plain bytes of data chunk @body go to @dst. */
static int snappy_open(struct snappy *s, struct span body, uint8_t *dst, size_t len)
{
	struct span data = span_skip(body, CHECKSUM_LEN);

	if (s->type == SNAPPY_UNCOMPRESSED) {
		if (len > 0)
			memcpy(dst, data.p, len);
	} else if (snapblock_decode(data.p, data.len, dst, len) != 0) {
		return snappy_bad(s, "damaged chunk in a compressed stream");
	}
	if (checksum_of(span_of(dst, len)) != get_le(body.p, CHECKSUM_LEN))
		return snappy_bad(s, "chunk of a compressed stream with a wrong checksum");
	return 0;
}

/* How many plain bytes are in data chunk @body? */
static int snappy_measure(struct snappy *s, struct span body, size_t *ret_len)
{
	struct span data = span_skip(body, CHECKSUM_LEN);

	*ret_len = data.len;
	if (s->type == SNAPPY_UNCOMPRESSED)
		return 0;
	if (snapblock_plain_len(data.p, data.len, ret_len) != 0 || *ret_len > SNAPPY_PLAIN_MAX)
		return snappy_bad(s, "compressed chunk of an impossible length");
	return 0;
}

/* A whole body. *ret_n bytes went to @dst, or the chunk waits in s->plain. */
static int snappy_on_body(struct snappy *s, struct span body, uint8_t *dst, size_t cap,
			  size_t *ret_n)
{
	size_t len = 0;
	uint8_t *p = dst;
	int r;

	*ret_n = 0;
	if (s->type == SNAPPY_ID) {
		if (memcmp(body.p, ID_BODY, ID_BODY_LEN) != 0)
			return snappy_bad(s, "compressed stream with a bad identifier");
		s->is_id_seen = true;
		s->state = SNAPPY_STATE_HEAD;
		return 0;
	}
	r = snappy_measure(s, body, &len);
	if (r != 0)
		return r;
	if (len > cap) {
		r = buf_reserve(&s->plain, len, &p);
		if (r < 0)
			return r;
	}
	r = snappy_open(s, body, p, len);
	if (r != 0)
		return r;
	if (len > cap)
		buf_commit(&s->plain, len);
	else
		*ret_n = len;
	s->state = len > cap ? SNAPPY_STATE_PLAIN : SNAPPY_STATE_HEAD;
	return 0;
}

static int snappy_take_body(struct snappy *s, struct span *in, uint8_t *dst, size_t cap,
			    size_t *ret_n)
{
	struct span piece = span_head(*in, s->len - buf_len(&s->body));
	int r;

	*ret_n = 0;
	if (piece.len == s->len) {
		r = snappy_on_body(s, piece, dst, cap, ret_n);
		if (r == 0)
			*in = span_skip(*in, piece.len);
		return r;
	}
	r = buf_add(&s->body, piece);
	if (r != 0)
		return r; /* never full: it holds the longest body */
	*in = span_skip(*in, piece.len);
	if (buf_len(&s->body) < s->len)
		return 0;
	r = snappy_on_body(s, buf_span(&s->body), dst, cap, ret_n);
	if (r == 0)
		buf_deinit(&s->body);
	return r;
}

static size_t snappy_take_plain(struct snappy *s, uint8_t *dst, size_t cap)
{
	struct span piece = span_head(buf_span(&s->plain), cap);

	if (piece.len > 0)
		memcpy(dst, piece.p, piece.len);
	buf_eat(&s->plain, piece.len);
	if (buf_len(&s->plain) == 0) {
		buf_deinit(&s->plain);
		s->state = SNAPPY_STATE_HEAD;
	}
	return piece.len;
}

/* One step; false: nothing more can be done with what is there. */
static bool snappy_can_step(const struct snappy *s, struct span in, size_t cap)
{
	if (s->state == SNAPPY_STATE_PLAIN)
		return cap > 0;
	/* A gathered body that found no memory for its plain bytes is looked at again. */
	return in.len > 0 || (s->state == SNAPPY_STATE_BODY && buf_len(&s->body) == s->len);
}

static int snappy_step(struct snappy *s, struct span *in, uint8_t *dst, size_t cap, size_t *ret_n)
{
	size_t n;

	*ret_n = 0;
	switch (s->state) {
	case SNAPPY_STATE_HEAD: return snappy_take_head(s, in);
	case SNAPPY_STATE_BODY: return snappy_take_body(s, in, dst, cap, ret_n);
	case SNAPPY_STATE_SKIP:
		n = span_head(*in, s->len).len;
		*in = span_skip(*in, n);
		s->len -= n;
		if (s->len == 0)
			s->state = SNAPPY_STATE_HEAD;
		return 0;
	case SNAPPY_STATE_PLAIN: *ret_n = snappy_take_plain(s, dst, cap); return 0;
	}
	return 0;
}

static int snappy_decode(struct layer *l, struct span *in, uint8_t *dst, size_t cap, size_t *ret_n)
{
	struct snappy *s = container_of(l, struct snappy, layer);
	size_t n_out = 0, n;
	int r = l->why != NULL ? LAYER_E_BAD : 0;

	while (r == 0 && n_out < cap && snappy_can_step(s, *in, cap - n_out)) {
		r = snappy_step(s, in, dst + n_out, cap - n_out, &n);
		n_out += n;
	}
	if (r != 0 && n_out == 0)
		return r; /* else what is good is handed out first, and the next call says it */
	*ret_n = n_out;
	return 0;
}

bool snappy_is_whole(const struct layer *l)
{
	const struct snappy *s = container_of(l, const struct snappy, layer);

	return s->state == SNAPPY_STATE_HEAD && s->n_head == 0;
}

/* -- encoding -- */

/* One chunk of @plain. */
static int snappy_put_chunk(struct span plain, struct buf *out)
{
	uint8_t *p;
	size_t n;
	int r;

	r = buf_reserve(out, SNAPPY_HEAD_LEN + SNAPBLOCK_LEN_MAX(plain.len), &p);
	if (r != 0)
		return r;
	r = snapblock_encode(plain.p, plain.len, p + SNAPPY_HEAD_LEN, &n);
	if (r < 0)
		return r;
	p[0] = SNAPPY_COMPRESSED;
	/* golang/snappy: less than an eighth is not worth it. */
	if (n >= plain.len - plain.len / 8) {
		p[0] = SNAPPY_UNCOMPRESSED;
		n = plain.len;
		memcpy(p + SNAPPY_HEAD_LEN, plain.p, n);
	}
	put_le(p + 1, 3, (uint32_t) (CHECKSUM_LEN + n));
	put_le(p + TYPE_LEN, CHECKSUM_LEN, checksum_of(plain));
	buf_commit(out, SNAPPY_HEAD_LEN + n);
	return 0;
}

static int snappy_encode(struct layer *l, struct span plain, struct buf *out)
{
	static const uint8_t id[SNAPPY_ID_LEN] = { SNAPPY_ID, ID_BODY_LEN, 0,	0,   's',
						   'N',	      'a',	   'P', 'p', 'Y' };
	struct snappy *s = container_of(l, struct snappy, layer);
	size_t before = buf_len(out);
	int r = 0;

	if (plain.len > 0 && !s->is_id_sent)
		r = buf_add(out, span_of(id, sizeof(id)));
	while (r == 0 && plain.len > 0) {
		struct span piece = span_head(plain, SNAPPY_PLAIN_MAX);

		r = snappy_put_chunk(piece, out);
		plain = span_skip(plain, piece.len);
	}
	if (r != 0) {
		buf_cut(out, before);
		return r;
	}
	s->is_id_sent = s->is_id_sent || buf_len(out) > before;
	return 0;
}

static const struct layer_ops snappy_ops = {
	.decode = snappy_decode,
	.encode = snappy_encode,
	.free = snappy_free,
};

int snappy_new(struct layer **ret_l)
{
	struct snappy *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->layer.ops = &snappy_ops;
	buf_init(&s->body, BODY_MAX);
	buf_init(&s->plain, SNAPPY_PLAIN_MAX);
	*ret_l = &s->layer;
	return 0;
}
