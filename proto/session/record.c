/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - two byte queues and which of them leaves first. Floor 2. */
#include "proto/session/record.h"

#include <string.h>

#include "proto/base/err.h"

void record_init(struct record *r)
{
	buf_init(&r->ctl, LIMIT_CTL);
	r->max = LIMIT_RECORD;
	r->len = 0;
	r->sent = 0;
}

void record_deinit(struct record *r)
{
	buf_deinit(&r->ctl);
}

void record_set_max(struct record *r, size_t max)
{
	MUST(max >= LIMIT_RECORD && max <= LIMIT_BATCH);
	r->max = max;
}

int record_add_ctl(struct record *r, const struct mframe *f, size_t reserve)
{
	uint8_t header[MFRAME_LEN];

	if (buf_len(&r->ctl) + MFRAME_LEN + reserve > LIMIT_CTL)
		return BUF_E_FULL;
	mframe_encode(f, header);
	return buf_add(&r->ctl, span_of(header, sizeof(header)));
}

int record_add_urgent(struct record *r, uint32_t stream_id, struct span data)
{
	struct mframe f = { .type = MFRAME_DATA,
			    .stream_id = stream_id,
			    .len = (uint32_t) data.len };
	uint8_t *p;
	int err;

	if (buf_len(&r->ctl) + MFRAME_LEN + data.len + RECORD_FOR_PINGS > LIMIT_CTL)
		return BUF_E_FULL;
	err = buf_reserve(&r->ctl, MFRAME_LEN + data.len, &p);
	if (err != 0)
		return err;
	mframe_encode(&f, p);
	if (data.len > 0)
		memcpy(p + MFRAME_LEN, data.p, data.len);
	buf_commit(&r->ctl, MFRAME_LEN + data.len);
	return 0;
}

bool record_add_tail(struct record *r, const struct mframe *f)
{
	if (r->sent > 0 || r->len + MFRAME_LEN > r->max)
		return false;
	mframe_encode(f, r->bytes + r->len);
	r->len += MFRAME_LEN;
	return true;
}

size_t record_reserve(struct record *r, uint8_t **ret_dst)
{
	size_t room;

	if (r->sent > 0 || r->len + 2 * MFRAME_LEN + RECORD_MIN_ROOM > r->max)
		return 0;
	room = r->max - r->len - 2 * MFRAME_LEN;
	*ret_dst = r->bytes + r->len + MFRAME_LEN;
	return room;
}

void record_commit(struct record *r, uint32_t stream_id, size_t n)
{
	struct mframe f = { .type = MFRAME_DATA, .stream_id = stream_id, .len = (uint32_t) n };

	MUST(r->sent == 0 && r->len + MFRAME_LEN + n <= LIMIT_BATCH);
	if (n == 0)
		return;
	mframe_encode(&f, r->bytes + r->len);
	r->len += MFRAME_LEN + n;
}

struct span record_drain(const struct record *r)
{
	if (r->sent == 0 && buf_len(&r->ctl) > 0)
		return buf_span(&r->ctl);
	return span_of(r->bytes + r->sent, r->len - r->sent);
}

void record_drained(struct record *r, size_t n)
{
	if (n == 0)
		return;
	if (r->sent == 0 && buf_len(&r->ctl) > 0) {
		buf_eat(&r->ctl, n);
		return;
	}
	r->sent += n;
	MUST(r->sent <= r->len);
	if (r->sent == r->len) {
		r->sent = 0;
		r->len = 0;
	}
}
