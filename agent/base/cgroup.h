/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.h - how much memory the container or the service manager leaves us. Floor 3. */
#pragma once
#include <stdint.h>

/* Where the kernel tells it; other places in tests. */
#define CGROUP_MOUNT "/sys/fs/cgroup"
#define CGROUP_MEMBERSHIP "/proc/self/cgroup"

/* Bytes: the lowest limit of our groups of either version; UINT64_MAX: none that can be read. */
uint64_t cgroup_memory_limit(const char *mount, const char *membership);
