/* SPDX-License-Identifier: Apache-2.0 */
/* proxyhdr.h - the header of the PROXY protocol that tells a local service who the user is (HAProxy
 * proxy-protocol.txt; frp pkg/util/net/proxyprotocol.go). Writes only. Floor 1. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum proxyhdr_version { PROXYHDR_NONE, PROXYHDR_V1, PROXYHDR_V2 };

struct proxyhdr {
	enum proxyhdr_version version; /* V1 or V2 */
	bool is_udp;		       /* v1 has no word for it: "PROXY UNKNOWN" */
	/* As StartWorkConn has them: numeric; NULL or "" is absent. */
	const char *src_addr, *dst_addr; /* dst absent: 127.0.0.1, as for http */
	uint16_t src_port, dst_port;
};

#define PROXYHDR_MAX 108 /* v1 (proxy-protocol.txt 2.1: 107 and a NUL); v2 needs 52 */
/* 0 and the header in @dst; or PROXYHDR_E_ABSENT: no source, or an address that is not numeric:
 * then there is nothing to tell. */
enum { PROXYHDR_E_ABSENT = 1 };
int proxyhdr_encode(const struct proxyhdr *h, uint8_t dst[static PROXYHDR_MAX], size_t *ret_len);
