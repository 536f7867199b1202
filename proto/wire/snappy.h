/* SPDX-License-Identifier: Apache-2.0 */
/* snappy.h - the snappy framing layer of useCompression (golib io/io.go WithCompression; snappy
 * framing_format.txt). Floor 1.
 *
 * Each call of encode is one flushed piece: one chunk for every 65536 plain bytes of it, the stream
 * identifier in front of the first. A chunk is handed out only after its checksum was found good;
 * what follows good bytes is refused by the next call, so decode until nothing comes out. */
#pragma once
#include <stdbool.h>

#include "proto/wire/layer.h"
#include "proto/wire/snapblock.h"

#define SNAPPY_ID_LEN 10  /* the stream identifier */
#define SNAPPY_HEAD_LEN 8 /* type u8 | length u24 of what follows | checksum u32, little endian */
#define SNAPPY_PLAIN_MAX SNAPBLOCK_PLAIN_MAX
/* The room that encode wants for one piece of @n <= SNAPPY_PLAIN_MAX bytes; it needs less. */
#define SNAPPY_ROOM(n) (SNAPPY_ID_LEN + SNAPPY_HEAD_LEN + SNAPBLOCK_LEN_MAX(n))

/* 0 or -ENOMEM. */
int snappy_new(struct layer **ret_l);
/* Did the bytes so far end with a whole chunk, all of it handed out? An end of the stream anywhere
 * else is a cut. */
bool snappy_is_whole(const struct layer *l);
