/* SPDX-License-Identifier: Apache-2.0 */
/* doubt.c - can this server speak the wire protocol that is configured? Floor 2. */
#include "proto/session/doubt.h"

bool doubt_on_end(enum doubt *d, enum client_cause cause)
{
	enum doubt was = *d;

	*d = DOUBT_NONE;
	if (was == DOUBT_ASK && cause == CLIENT_CAUSE_REFUSED)
		*d = DOUBT_V1;
	else if (was == DOUBT_NONE && cause == CLIENT_CAUSE_UNHEARD)
		*d = DOUBT_ASK;
	return was == DOUBT_V1 && cause == CLIENT_CAUSE_UNHEARD;
}
