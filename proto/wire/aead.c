/* SPDX-License-Identifier: Apache-2.0 */
/* aead.c - the AEAD record layer of the v2 control channel. Floor 1.
 *
 * Each direction: a stream nonce N in clear, then records: u32 length L | L bytes of ciphertext and
 * tag. The nonce of record i is N + i as one big-endian number; the additional data is N | the four
 * length bytes. */
#include "proto/wire/aead.h"

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"

#define AEAD_NONCE_MAX 24
#define AEAD_LEN 4			     /* the length field */
#define AEAD_GCM_RECORDS (UINT64_C(1) << 32) /* golib crypto: limit of one GCM key */
#define AEAD_BODY_MAX ((size_t) LIMIT_AEAD_RECORD + PRIM_TAG_LEN) /* ciphertext of one record */

/* One direction. */
struct aead_side {
	struct prim_aead *cipher; /* owned */
	size_t nonce_len;
	uint64_t n_left;			/* records until the nonces are used up */
	uint8_t aad[AEAD_NONCE_MAX + AEAD_LEN]; /* N, and behind it the length of the record */
	uint8_t nonce[AEAD_NONCE_MAX];		/* of the next record */
};

struct aead {
	struct layer layer;
	struct aead_side out, in;
	bool is_nonce_sent;
	size_t n_head;	  /* bytes of in.aad that are there: N, then the length */
	struct buf body;  /* ciphertext of the record that is coming in */
	struct buf plain; /* of a record that did not fit into the reader's room */
};

static void aead_side_deinit(struct aead_side *s)
{
	(void) prim_aead_free(s->cipher); /* always NULL */
}

static int aead_side_init(struct aead_side *s, enum prim_aead_kind kind, const uint8_t *key)
{
	s->nonce_len = prim_aead_nonce_len(kind);
	s->n_left = kind == PRIM_AEAD_AES_256_GCM ? AEAD_GCM_RECORDS : UINT64_MAX;
	return prim_aead_new(&s->cipher, kind, key);
}

/* The record is done: one nonce further. All ones is the last. */
static void aead_side_advance(struct aead_side *s)
{
	size_t i = s->nonce_len;

	s->n_left--;
	while (i > 0 && ++s->nonce[i - 1] == 0)
		i--;
	if (i == 0)
		s->n_left = 0;
}

static struct layer *aead_free(struct layer *l)
{
	struct aead *a = container_of(l, struct aead, layer);

	aead_side_deinit(&a->out);
	aead_side_deinit(&a->in);
	buf_deinit(&a->body);
	buf_deinit(&a->plain);
	secret_wipe(a, sizeof(*a));
	free(a);
	return NULL;
}

static int aead_refuse(struct aead *a, const char *why)
{
	a->layer.why = why;
	return LAYER_E_BAD;
}

/* Gather stream nonce and length. 0: more is needed, or all there (n_head says). */
static int aead_take_head(struct aead *a, struct span *in)
{
	size_t head_len = a->in.nonce_len + AEAD_LEN;
	struct span head = span_head(*in, head_len - a->n_head);
	uint32_t len;

	if (head.len > 0)
		memcpy(a->in.aad + a->n_head, head.p, head.len);
	if (a->n_head < a->in.nonce_len) /* N is whole when this runs for the last time */
		memcpy(a->in.nonce, a->in.aad, a->in.nonce_len);
	a->n_head += head.len;
	*in = span_skip(*in, head.len);
	if (a->n_head < head_len)
		return 0;
	len = bytes_get_u32(a->in.aad + a->in.nonce_len);
	if (len < PRIM_TAG_LEN)
		return aead_refuse(a, "record shorter than its tag");
	if (len > AEAD_BODY_MAX)
		return aead_refuse(a, "record longer than 65536 bytes");
	if (a->in.n_left == 0)
		return aead_refuse(a, "more records than nonces");
	return 0;
}

/* The body is complete: open it into @dst when it fits, else into a->plain. */
static int aead_open_record(struct aead *a, uint8_t *dst, size_t cap, size_t *ret_n)
{
	struct span aad = span_of(a->in.aad, a->in.nonce_len + AEAD_LEN);
	size_t len = buf_len(&a->body) - PRIM_TAG_LEN;
	bool is_direct = len <= cap;
	uint8_t *p = dst;
	int r;

	if (!is_direct) {
		r = buf_reserve(&a->plain, len, &p);
		if (r != 0)
			return r;
	}
	r = prim_aead_open(a->in.cipher, a->in.nonce, aad, buf_span(&a->body), p);
	if (r > 0)
		return aead_refuse(a, "record fails authentication");
	if (r < 0)
		return r;
	if (!is_direct)
		buf_commit(&a->plain, len);
	buf_eat(&a->body, buf_len(&a->body));
	aead_side_advance(&a->in);
	a->n_head = a->in.nonce_len;
	*ret_n = is_direct ? len : 0;
	return 0;
}

/* One step: a piece of a header, of a body, or a whole record. */
static int aead_step(struct aead *a, struct span *in, uint8_t *dst, size_t cap, size_t *ret_n)
{
	struct span piece;
	size_t len;
	int r;

	*ret_n = 0;
	if (a->n_head < a->in.nonce_len + AEAD_LEN) {
		r = aead_take_head(a, in);
		if (r != 0 || a->n_head < a->in.nonce_len + AEAD_LEN)
			return r;
	}
	len = bytes_get_u32(a->in.aad + a->in.nonce_len);
	piece = span_head(*in, len - buf_len(&a->body));
	r = buf_add(&a->body, piece);
	if (r != 0)
		return r;
	*in = span_skip(*in, piece.len);
	return buf_len(&a->body) < len ? 0 : aead_open_record(a, dst, cap, ret_n);
}

static size_t aead_give(struct aead *a, uint8_t *dst, size_t cap)
{
	struct span s = span_head(buf_span(&a->plain), cap);

	if (s.len > 0) {
		memcpy(dst, s.p, s.len);
		buf_eat(&a->plain, s.len);
	}
	return s.len;
}

static int aead_decode(struct layer *l, struct span *in, uint8_t *dst, size_t cap, size_t *ret_n)
{
	struct aead *a = container_of(l, struct aead, layer);
	size_t n, got;
	int r;

	if (l->why != NULL)
		return LAYER_E_BAD;
	n = aead_give(a, dst, cap);
	/* One step even with nothing new: a complete body may be left from a call that had no
	 * memory. */
	while (n < cap) {
		r = aead_step(a, in, dst + n, cap - n, &got);
		if (r != 0)
			return r;
		n += got;
		n += aead_give(a, dst + n, cap - n);
		if (in->len == 0)
			break;
	}
	*ret_n = n;
	return 0;
}

/* Seal one record at @p; *ret_n bytes. */
static int aead_seal_record(struct aead_side *s, struct span plain, uint8_t *p, size_t *ret_n)
{
	size_t len = plain.len + PRIM_TAG_LEN;
	int r;

	bytes_put_u32(p, (uint32_t) len);
	memcpy(s->aad + s->nonce_len, p, AEAD_LEN);
	r = prim_aead_seal(s->cipher, s->nonce, span_of(s->aad, s->nonce_len + AEAD_LEN), plain,
			   p + AEAD_LEN);
	if (r < 0)
		return r;
	aead_side_advance(s);
	*ret_n = AEAD_LEN + len;
	return 0;
}

static int aead_encode(struct layer *l, struct span plain, struct buf *out)
{
	struct aead *a = container_of(l, struct aead, layer);
	size_t n_records = plain.len / LIMIT_AEAD_RECORD + (plain.len % LIMIT_AEAD_RECORD != 0);
	size_t n = a->is_nonce_sent ? 0 : a->out.nonce_len, got;
	uint8_t *p;
	int r;

	if (plain.len == 0)
		return 0;
	if (n_records > a->out.n_left)
		return -EOVERFLOW;
	r = buf_reserve(out, n + plain.len + n_records * (AEAD_LEN + PRIM_TAG_LEN), &p);
	if (r != 0)
		return r;
	memcpy(p, a->out.aad, n);
	while (plain.len > 0) {
		struct span piece = span_head(plain, LIMIT_AEAD_RECORD);

		r = aead_seal_record(&a->out, piece, p + n, &got);
		if (r < 0)
			return r;
		n += got;
		plain = span_skip(plain, piece.len);
	}
	buf_commit(out, n);
	a->is_nonce_sent = true;
	return 0;
}

static const struct layer_ops aead_ops = {
	.decode = aead_decode,
	.encode = aead_encode,
	.free = aead_free,
};

int aead_new(struct layer **ret_l, const struct aead_params *p)
{
	CLEANUP(layer_free) struct layer *l = NULL;
	struct aead *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL)
		return -ENOMEM;
	a->layer.ops = &aead_ops;
	l = &a->layer;
	buf_init(&a->body, AEAD_BODY_MAX);
	buf_init(&a->plain, LIMIT_AEAD_RECORD);
	r = aead_side_init(&a->out, p->kind, p->key_out);
	if (r < 0)
		return r;
	r = aead_side_init(&a->in, p->kind, p->key_in);
	if (r < 0)
		return r;
	memcpy(a->out.aad, p->nonce, a->out.nonce_len);
	memcpy(a->out.nonce, p->nonce, a->out.nonce_len);
	*ret_l = TAKE(l);
	return 0;
}
