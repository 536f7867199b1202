/* SPDX-License-Identifier: Apache-2.0 */
/* reserve.h - the last descriptors of the process are not for users. Floor 3.
 *
 * The kernel gives the lowest number that is free. So when users may not have the topmost
 * LIMIT_DESCRIPTORS_KEPT numbers, as many are always left to reach the server, to look up names
 * and to answer the admin, and nothing has to be counted. */
#pragma once
#include <stdbool.h>

/* @fd, just opened for a user, is one of those: close it. */
bool reserve_has(int fd);
