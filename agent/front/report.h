/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - how the service stands, as text for programs: frpc's status, readiness, Prometheus.
 * Floor 6. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"

struct log;
struct service;

/* Each appends to @out. 0, -ENOMEM or BUF_E_FULL; a part may be in @out then. */

/* frpc's /api/status: {"tcp":[{"name":...}]}, by type and name. */
int report_status(const struct service *s, struct buf *out);
/* {"ready":true,...}; what is not ready, and why. */
int report_readiness(const struct service *s, struct buf *out, bool *ret_is_ready);
/* All of it, for mltunnel status: {"version":...,"server":{...},"proxies":[...]}. */
int report_summary(const struct service *s, uint64_t uptime_s, struct buf *out);
/* The text format of Prometheus, version 0.0.4. */
int report_metrics(const struct service *s, const struct log *log, struct buf *out);
