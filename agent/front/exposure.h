/* SPDX-License-Identifier: Apache-2.0 */
/* exposure.h - which services of the node can be reached without the tunnel: ports that listen
 * beyond this machine, ports that the platform publishes. Floor 6. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPOSURE_MAX 128 /* ports; there are not that many that count */

struct exposure {
	uint16_t port;
	bool is_open;		 /* listens on other addresses than the loopback's */
	const char *published;	 /* the platform's variable, of @envp; NULL: none */
	size_t published_len;	 /* of its name */
	const char *public_port; /* its value */
};

/* Does this port belong to the node? 8080 and 5000 to 5099 always do. */
bool exposure_counts(uint16_t port, const uint16_t *more, size_t n_more);
/* One line of /proc/net/tcp or tcp6: true when it is a socket that listens beyond this machine. */
bool exposure_read_line(const char *line, uint16_t *ret_port);
/* All that count, @more ports included, sorted by port. @tables: paths, NULL at the end. Returns
 * how many of @ret_e are set. */
size_t exposure_find(const char *const *tables, char *const *envp, const uint16_t *more,
		     size_t n_more, struct exposure ret_e[static EXPOSURE_MAX]);
