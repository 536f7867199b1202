/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h - CRC-32C (Castagnoli, RFC 3720 B.4), the checksum of snappy frames. Floor 1. */
#pragma once
#include <stdint.h>

#include "proto/base/span.h"

/* Of all of @s; of nothing it is 0. */
uint32_t crc32c(struct span s);
