/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - what the Login message says of this machine; frps shows it to its operator.
 * Floor 5. */
#pragma once

struct machine {
	char host[65], os[16], arch[66]; /* in Go's words: "linux", "amd64" */
};

/* Never fails: what cannot be read is empty. */
void machine_read(struct machine *m);
