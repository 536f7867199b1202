/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - uname in the words of Go. Floor 5. */
#include "agent/tunnel/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static const struct {
	const char *kernel, *go;
} arches[] = { { "x86_64", "amd64" }, { "aarch64", "arm64" } };

void machine_read(struct machine *m)
{
	struct utsname un;

	memset(m, 0, sizeof(*m));
	(void) snprintf(m->os, sizeof(m->os), "linux");
	if (uname(&un) != 0)
		return;
	(void) snprintf(m->host, sizeof(m->host), "%.64s", un.nodename);
	(void) snprintf(m->arch, sizeof(m->arch), "%.64s", un.machine);
	for (size_t i = 0; i < sizeof(arches) / sizeof(arches[0]); i++) {
		if (strcmp(un.machine, arches[i].kernel) == 0)
			(void) snprintf(m->arch, sizeof(m->arch), "%s", arches[i].go);
	}
}
