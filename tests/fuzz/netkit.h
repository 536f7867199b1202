/* SPDX-License-Identifier: Apache-2.0 */
/* netkit.h - one loop for all inputs of a target that needs sockets, all of them on 127.0.0.1.
 * Tests only; one includer per program. */
#pragma once
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/loop.h"
#include "proto/base/err.h"
#include "tests/fuzz/fuzz.h"

#define NETKIT_TURNS 5000 /* of the loop, without anything to wait for: more is a hang */

static inline struct loop *netkit_loop(void)
{
	static struct loop *loop;

	if (loop == NULL)
		MUST(loop_new(&loop, /* log= */ NULL) == 0);
	return loop;
}

static inline void netkit_spin(void)
{
	(void) uv_run(&netkit_loop()->uv, UV_RUN_NOWAIT); /* whether handles are left */
}

static inline struct sockaddr_in netkit_address(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

/* A socket with a port of its own; *ret_port in the order of the host. */
static inline int netkit_bind(int type, uint16_t *ret_port)
{
	struct sockaddr_in a = netkit_address(0);
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && bind(fd, (const struct sockaddr *) &a, len) == 0);
	MUST(getsockname(fd, (struct sockaddr *) &a, &len) == 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

/* Connected to a port of this process; each from an address of its own, so that the ports of those
 * that are gone do not run out. One that the kernel still keeps in mind is not waited for: a timer
 * of libFuzzer interrupts the wait. */
static inline int netkit_connect(uint16_t port)
{
	static uint32_t n;
	struct sockaddr_in from = netkit_address(0), to = netkit_address(port);
	unsigned n_tries = 0;

	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + n++ % 65536);
		MUST(fd >= 0 && bind(fd, (const struct sockaddr *) &from, sizeof(from)) == 0);
		if (connect(fd, (const struct sockaddr *) &to, sizeof(to)) == 0)
			return fd;
		(void) close(fd);
		MUST(++n_tries < 8);
	}
}

/* With a reset, which leaves nothing behind in the kernel. */
static inline void netkit_close(int fd)
{
	const struct linger none = { .l_onoff = 1 };

	(void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)); /* else it waits */
	(void) close(fd);
}

/* @in to @fd, in pieces that @seed picks (0: whole), a turn of the loop behind each; false: the
 * peer takes no more. */
static inline bool netkit_say(int fd, struct span in, uint32_t seed)
{
	while (in.len > 0) {
		size_t n = seed == 0 ? in.len : fuzz_piece(&seed, in.len);
		ssize_t sent = send(fd, in.p, n, MSG_NOSIGNAL);

		if (sent < 0)
			return false;
		in = span_skip(in, (size_t) sent);
		netkit_spin();
	}
	return true;
}
