/* SPDX-License-Identifier: Apache-2.0 */
/* recording.c - recorded sessions taken apart. Tests only. */
#include "tests/sim/recording.h"

#include "tests/unit/unit.h"

#include "proto/base/bytes.h"
#include "proto/base/text.h"
#include "proto/wire/aead.h"
#include "proto/wire/cfb.h"
#include "proto/wire/mframe.h"

static uint8_t *file_read(const char *dir, const char *stem, size_t i, size_t *ret_len)
{
	char path[4096];
	uint8_t *bytes;
	long len;
	FILE *f;

	if (i == 0)
		(void) snprintf(path, sizeof(path), "%s/%s.bin", dir, stem);
	else
		(void) snprintf(path, sizeof(path), "%s/%s.%zu.bin", dir, stem, i);
	f = fopen(path, "rb");
	if (f == NULL)
		return NULL;
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	len = ftell(f);
	assert_true(len >= 0);
	rewind(f);
	bytes = malloc((size_t) len + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t) len, f), (size_t) len);
	(void) fclose(f);
	*ret_len = (size_t) len;
	return bytes;
}

/* The next field of a line, ended; *at moves behind it. */
static char *field_next(char **at)
{
	char *field = *at;
	size_t n = strcspn(field, " \n");

	*at = field[n] != '\0' ? field + n + 1 : field + n;
	field[n] = '\0';
	return field;
}

static size_t field_number(char **at)
{
	uint64_t v = 0;

	assert_int_equal(text_parse_u64(field_next(at), 0, SIZE_MAX, &v), 0);
	return (size_t) v;
}

static void load_chunks(struct recording *r, const char *dir)
{
	char path[4096], line[128];
	FILE *f;

	(void) snprintf(path, sizeof(path), "%s/chunks.txt", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		size_t offset, len;
		struct rec_piece *p;
		char *at = line;

		r->pieces = realloc(r->pieces, (r->n_pieces + 1) * sizeof(*r->pieces));
		assert_non_null(r->pieces);
		p = &r->pieces[r->n_pieces++];
		p->ms = field_number(&at);
		p->conn = field_number(&at);
		p->dir = field_next(&at)[0] == 'C' ? REC_UP : REC_DOWN;
		offset = field_number(&at);
		len = field_number(&at);
		assert_true(p->conn < 16 && offset + len <= r->file_lens[p->dir][p->conn]);
		p->bytes = span_of(r->files[p->dir][p->conn] + offset, len);
	}
	(void) fclose(f); /* read only */
}

/* -- websocket -- */

/* The length of the frame at the front of @in with its header, and where its payload is; 0: not
 * whole. */
static size_t ws_frame(struct span in, size_t *ret_head, size_t *ret_len)
{
	size_t head = 2, len;

	if (in.len < 2)
		return 0;
	len = in.p[1] & 127u;
	if (len == 126)
		head = 4;
	else if (len == 127)
		head = 10;
	if (in.len < head)
		return 0;
	if (len == 126)
		len = bytes_get_u16(in.p + 2);
	else if (len == 127)
		len = (size_t) bytes_get_u64(in.p + 2);
	head += (in.p[1] & 128) != 0 ? 4 : 0;
	*ret_head = head;
	*ret_len = len;
	return in.len < head + len ? 0 : head + len;
}

/* Replace the pieces by what is in their frames. */
static void ws_strip(struct recording *r)
{
	struct buf raw[2];
	bool has_head[2] = { false, false };

	for (int d = 0; d < 2; d++) {
		buf_init(&raw[d], 1 << 24);
		buf_init(&r->stripped[d], 1 << 24);
		/* Never moves: the pieces point into it. */
		assert_int_equal(
			buf_reserve(&r->stripped[d], r->file_lens[d][0], &(uint8_t *){ NULL }), 0);
	}
	for (size_t i = 0; i < r->n_pieces; i++) {
		struct rec_piece *p = &r->pieces[i];
		struct buf *out = &r->stripped[p->dir];
		size_t from = buf_len(out), head, len, n;
		const uint8_t *end;

		assert_int_equal(buf_add(&raw[p->dir], p->bytes), 0);
		end = !has_head[p->dir] && buf_len(&raw[p->dir]) > 0
			      ? memmem(buf_span(&raw[p->dir]).p, buf_len(&raw[p->dir]), "\r\n\r\n",
				       4)
			      : NULL;
		if (end != NULL) {
			buf_eat(&raw[p->dir], (size_t) (end + 4 - buf_span(&raw[p->dir]).p));
			has_head[p->dir] = true;
		}
		while (has_head[p->dir] &&
		       (n = ws_frame(buf_span(&raw[p->dir]), &head, &len)) > 0) {
			const uint8_t *f = buf_span(&raw[p->dir]).p;
			bool is_masked = (f[1] & 128) != 0;

			for (size_t k = 0; k < len && (f[0] & 15) < 8; k++) {
				uint8_t b = is_masked ? f[head + k] ^ f[head - 4 + (k & 3)]
						      : f[head + k];

				assert_int_equal(buf_add(out, span_of(&b, 1)), 0);
			}
			buf_eat(&raw[p->dir], n);
		}
		p->bytes = span_of(out->data + out->start + from, buf_len(out) - from);
	}
	for (int d = 0; d < 2; d++) {
		assert_int_equal(buf_len(&raw[d]), 0);
		buf_deinit(&raw[d]);
	}
}

/* -- streams -- */

struct rec_stream *rec_stream(struct rec_stream *streams, size_t *n_streams, uint32_t id)
{
	for (size_t i = 0; i < *n_streams; i++)
		if (streams[i].id == id)
			return &streams[i];
	assert_true(*n_streams < REC_MAX_STREAMS);
	streams[*n_streams].id = id;
	buf_init(&streams[*n_streams].bytes[REC_UP], 1 << 24);
	buf_init(&streams[*n_streams].bytes[REC_DOWN], 1 << 24);
	return &streams[(*n_streams)++];
}

void rec_streams_free(struct rec_stream *streams, size_t n_streams)
{
	for (size_t i = 0; i < n_streams; i++) {
		buf_deinit(&streams[i].bytes[REC_UP]);
		buf_deinit(&streams[i].bytes[REC_DOWN]);
	}
	free(streams);
}

void rec_demux(struct rec_demux *d, struct rec_stream *streams, size_t *n_streams, enum rec_dir dir,
	       struct span in)
{
	while (in.len > 0) {
		size_t n = d->body_left < in.len ? d->body_left : in.len;

		if (n > 0) {
			assert_int_equal(buf_add(&rec_stream(streams, n_streams, d->id)->bytes[dir],
						 span_head(in, n)),
					 0);
			d->body_left -= (uint32_t) n;
			in = span_skip(in, n);
			continue;
		}
		d->header[d->header_len++] = in.p[0];
		in = span_skip(in, 1);
		if (d->header_len < 12)
			continue;
		d->header_len = 0;
		assert_int_equal(d->header[0], 0);
		d->id = bytes_get_u32(d->header + 4);
		if (d->header[1] == MFRAME_DATA)
			d->body_left = bytes_get_u32(d->header + 8);
	}
}

static void load_streams(struct recording *r)
{
	struct rec_demux demux[2];

	memset(demux, 0, sizeof(demux));
	r->streams = calloc(REC_MAX_STREAMS, sizeof(*r->streams));
	assert_non_null(r->streams);
	for (size_t i = 0; i < r->n_pieces; i++) {
		const struct rec_piece *p = &r->pieces[i];

		if (r->is_mux)
			rec_demux(&demux[p->dir], r->streams, &r->n_streams, p->dir, p->bytes);
		else
			assert_int_equal(
				buf_add(&rec_stream(r->streams, &r->n_streams, (uint32_t) p->conn)
						 ->bytes[p->dir],
					p->bytes),
				0);
	}
}

void recording_load(struct recording *r, const char *dir, const char *name)
{
	char path[4096];

	memset(r, 0, sizeof(*r));
	(void) snprintf(r->name, sizeof(r->name), "%s", name);
	(void) snprintf(path, sizeof(path), "%s/meta.json", dir);
	r->meta = json_load_file(path, 0, NULL);
	assert_non_null(r->meta);
	r->wire = strcmp(unit_str(r->meta, "wire"), "v2") == 0 ? WIRE_V2 : WIRE_V1;
	r->is_mux = json_is_true(json_object_get(r->meta, "tcpMux"));
	r->is_websocket = strcmp(unit_str(r->meta, "transport"), "websocket") == 0;
	for (size_t i = 0; i < 16; i++) {
		r->files[REC_UP][i] = file_read(dir, "c2s", i, &r->file_lens[REC_UP][i]);
		r->files[REC_DOWN][i] = file_read(dir, "s2c", i, &r->file_lens[REC_DOWN][i]);
	}
	load_chunks(r, dir);
	if (r->is_websocket)
		ws_strip(r);
	load_streams(r);
}

void recording_free(struct recording *r)
{
	for (int d = 0; d < 2; d++) {
		for (size_t i = 0; i < 16; i++)
			free(r->files[d][i]);
		buf_deinit(&r->stripped[d]);
	}
	rec_streams_free(r->streams, r->n_streams);
	free(r->pieces);
	json_decref(r->meta);
}

struct span rec_token(const struct recording *r)
{
	if (strcmp(unit_str(r->meta, "scenario"), "wrong-token") == 0)
		return span_str(
			"not-vector-token"); /* of the client; the file names the server's */
	return span_str(unit_str(r->meta, "token"));
}

/* -- messages -- */

static struct layer *keys_layer(const struct rec_keys *k, enum wire wire, enum rec_dir dir)
{
	static const uint8_t zeros[24];
	struct hello_keys keys;
	struct aead_params ap = { .kind = k->kind, .nonce = zeros };
	struct layer *layer;

	if (wire == WIRE_V1) {
		assert_int_equal(cfb_new(&layer, k->token, zeros), 0);
		return layer;
	}
	assert_int_equal(hello_derive(k->token, k->client_hello, k->server_hello, k->kind, &keys),
			 0);
	ap.key_in = dir == REC_UP ? keys.client_to_server : keys.server_to_client;
	ap.key_out = dir == REC_UP ? keys.server_to_client : keys.client_to_server;
	assert_int_equal(aead_new(&layer, &ap), 0);
	return layer;
}

static void messages_add(struct rec_messages *m, const struct frame *f)
{
	struct rec_message *at = &m->at[m->n];

	assert_true(m->n < REC_MAX_MESSAGES);
	m->n++;
	at->kind = f->kind;
	at->type = f->type;
	buf_init(&at->body, 1 << 17);
	assert_int_equal(buf_add(&at->body, f->body), 0);
	if (f->kind == FRAME_UDP)
		return; /* no JSON */
	at->json = json_loadb((const char *) f->body.p, f->body.len, 0, NULL);
	assert_non_null(at->json);
}

void rec_decode(struct rec_messages *ret_m, enum wire wire, struct span in, enum rec_dir dir,
		size_t max, const struct rec_keys *after_login)
{
	struct span all = in;
	struct chan c;
	struct frame f;
	int err = 0;

	memset(ret_m, 0, sizeof(*ret_m));
	chan_init(&c, wire, 1 << 16);
	if (wire == WIRE_V2 && dir == REC_UP && in.len >= FRAME_MAGIC_LEN &&
	    memcmp(in.p, FRAME_MAGIC, FRAME_MAGIC_LEN) == 0)
		in = span_skip(in, FRAME_MAGIC_LEN);
	while (ret_m->n < max) {
		err = chan_next_frame(&c, &in, &f);
		if (err != 0)
			break;
		messages_add(ret_m, &f);
		if (after_login == NULL || c.layer != NULL || f.kind != FRAME_MESSAGE)
			continue;
		if (f.type == MSG_LOGIN || f.type == MSG_LOGIN_RESP) {
			(void) chan_next_frame(&c, &(struct span){ NULL, 0 },
					       &f); /* done with the frame */
			chan_set_layer(&c, keys_layer(after_login, wire, dir));
			memcpy(ret_m->nonce, in.p, in.len < 24 ? in.len : 24);
		}
	}
	ret_m->why = err == CHAN_E_BAD ? c.why : NULL;
	ret_m->n_taken = all.len - in.len;
	chan_deinit(&c);
}

void rec_messages_free(struct rec_messages *m)
{
	for (size_t i = 0; i < m->n; i++) {
		json_decref(m->at[i].json);
		buf_deinit(&m->at[i].body);
	}
}

static bool is_zero(const json_t *v)
{
	return json_is_null(v) || json_is_false(v) ||
	       (json_is_string(v) && json_string_length(v) == 0) ||
	       (json_is_integer(v) && json_integer_value(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0) ||
	       (json_is_array(v) && json_array_size(v) == 0);
}

json_t *rec_normal(const json_t *object, bool without_signature)
{
	json_t *copy = json_object(), *v;
	const char *name;

	json_object_foreach((json_t *) (uintptr_t) object, name, v)
	{
		if (is_zero(v))
			continue;
		if (without_signature &&
		    (strcmp(name, "privilege_key") == 0 || strcmp(name, "timestamp") == 0))
			continue;
		assert_int_equal(json_object_set(copy, name, v), 0);
	}
	return copy;
}
