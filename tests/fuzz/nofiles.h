/* SPDX-License-Identifier: Apache-2.0 */
/* nofiles.h - no file is opened while a fuzz target's input is at work: an input could name any.
 * Tests only.
 *
 * Needs -Wl,--wrap=open and -Wl,--wrap=scandir: both say ENOENT while nofiles_is_on. */
#pragma once
#include <stdbool.h>

extern bool nofiles_is_on;
