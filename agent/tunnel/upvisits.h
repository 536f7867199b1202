/* SPDX-License-Identifier: Apache-2.0 */
/* upvisits.h - how the visitors of an uplink reach its session. Floor 5. */
#pragma once

struct uplink;

/* Before the first configuration is applied to u->visitors. */
void upvisits_init(struct uplink *u);
