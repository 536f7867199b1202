/* SPDX-License-Identifier: Apache-2.0 */
/* doubt.h - can this server speak the wire protocol that is configured? Floor 2.
 *
 *   NONE --v2 closed unheard--> ASK --v1 answered--> V1 --v2 closed unheard--> proven: it cannot
 *     ^--------- anything else ------+----------------+
 *
 * A server that ends, and whatever accepts connections for one that is not there, closes v2 unheard
 * as well, but neither answers v1 in between. */
#pragma once
#include <stdbool.h>

#include "proto/session/client.h"

enum doubt { DOUBT_NONE, DOUBT_ASK, DOUBT_V1 };

/* A try has ended so; in ASK it was one of is_question. True: the server speaks v1, not v2. */
bool doubt_on_end(enum doubt *d, enum client_cause cause);
