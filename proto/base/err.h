/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - error convention, MUST() and the cleanup attribute. Floor 0.
 *
 * int returns: 0 done; < 0 a failure of ours or of the kernel as negated errno; > 0 a condition
 * that the prototype declares as an enum. Never match a negative of our own code, never pass a
 * positive on. */
#pragma once
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* A bug of ours ends the process in every build. Bytes from peer, user or kernel never reach it. */
#define MUST(x) ((x) ? (void) 0 : must_failed(#x, __FILE__, __LINE__))
_Noreturn void must_failed(const char *what, const char *file, int line);

/* Run @fn on the variable's value when it leaves scope: CLEANUP(mux_free) struct mux *m = NULL; */
#define CLEANUP(fn) __attribute__((cleanup(fn##_at)))
/* Defines the adaptor that CLEANUP(fn) calls; one line beside the free function's declaration. */
#define DEFINE_CLEANUP(type, fn)                          \
	static inline void fn##_at(type **at)             \
	{                                                 \
		if (*at != NULL)                          \
			(void) fn(*at); /* always NULL */ \
	}

/* Hand the pointer over: the variable is NULL afterwards. */
#define TAKE(p)                                \
	({                                     \
		__typeof__(p) take_tmp_ = (p); \
		(p) = NULL;                    \
		take_tmp_;                     \
	})

#define container_of(p, type, member) ((type *) (void *) ((char *) (p) -offsetof(type, member)))

static inline void *mem_free(void *p)
{
	free(p);
	return NULL;
}
