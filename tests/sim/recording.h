/* SPDX-License-Identifier: Apache-2.0 */
/* recording.h - a recorded session of stock frpc and frps, taken apart into the pieces a relay
 * read, the byte streams on it, and their messages. Tests only. */
#pragma once
#include <jansson.h>

#include "proto/base/buf.h"
#include "proto/session/chan.h"
#include "proto/wire/hello.h"

#define REC_MAX_STREAMS 64
#define REC_MAX_MESSAGES 256

enum rec_dir { REC_UP, REC_DOWN };

struct rec_piece { /* one read of the relay, without the websocket frames around it */
	uint64_t ms;
	size_t conn;
	enum rec_dir dir;
	struct span bytes; /* empty: the end */
};

struct rec_stream {
	uint32_t id; /* mux: stream id; else number of the connection */
	struct buf bytes[2];
};

struct rec_message {
	enum frame_kind kind;
	enum msg_type type;
	json_t *json;
	struct buf body;
};

/* Messages at the front of one direction of one stream. */
struct rec_messages {
	struct rec_message at[REC_MAX_MESSAGES];
	size_t n;
	size_t n_taken;	   /* bytes of the stream that they and the layer's beginning took */
	uint8_t nonce[24]; /* what the layer began with */
	const char *why;   /* not NULL: it stopped at something it refuses */
};

struct recording {
	json_t *meta;
	char name[128];
	enum wire wire;
	bool is_mux, is_websocket, has_visitors;
	struct rec_piece *pieces;
	size_t n_pieces;
	struct rec_stream *streams;
	size_t n_streams;
	uint8_t *files[2][16];
	size_t file_lens[2][16];
	struct buf stripped[2]; /* websocket: what was in the frames */
};

/* Fails the test when the folder is no recording. */
void recording_load(struct recording *r, const char *dir, const char *name);
void recording_free(struct recording *r);
struct span rec_token(const struct recording *r);
/* Add bytes of a mux direction to the streams. @state: 12 header bytes and what is left of
 * a body. */
struct rec_demux {
	uint8_t header[12];
	size_t header_len;
	uint32_t id, body_left;
};
void rec_demux(struct rec_demux *d, struct rec_stream *streams, size_t *n_streams, enum rec_dir dir,
	       struct span in);
struct rec_stream *rec_stream(struct rec_stream *streams, size_t *n_streams, uint32_t id);
void rec_streams_free(struct rec_stream *streams, size_t n_streams);

/* Decode at most @max messages of one direction. @after_login: what both layers need when the first
 * message (second with a hello) is Login or LoginResp; NULL: none. */
struct rec_keys {
	struct span token, client_hello, server_hello;
	enum prim_aead_kind kind;
};
void rec_decode(struct rec_messages *ret_m, enum wire wire, struct span in, enum rec_dir dir,
		size_t max, const struct rec_keys *after_login);
void rec_messages_free(struct rec_messages *m);
/* Absent, null, zero and empty are one thing; the two members of a signature may be left out. */
json_t *rec_normal(const json_t *object, bool without_signature);
