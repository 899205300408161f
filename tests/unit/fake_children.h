/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker and a front that do as they are told by the files share/worker and share/front beside their executable: one
 * letter for each worker (the last one is for all that follow), one letter for the front. Included by: check_respawn.c.
 */
#ifndef TESTS_UNIT_FAKE_CHILDREN_H
#define TESTS_UNIT_FAKE_CHILDREN_H

#include <stdint.h>

#include "common/attr.h"

/*
 * s: serve; d: die at once; e: exit 3 when ready; h: never get ready; v, V: the first puts 10 or 1,000,000 nodes into the
 * vault; R, K: say RESUMED, STUCK. Writes share/begun.N, pid.N when it is ready, status.N.
 */
void ATTR_NORETURN fake_worker(void);

/*
 * r: resume; n: do not; t: say once that RENAME is stuck; 1 to 4: lies. Leaves when the client does. Writes
 * share/lanes.N: when (fake_now_us()) the lanes of worker N came.
 */
void ATTR_NORETURN fake_front(void);

/* CLOCK_MONOTONIC, microseconds. */
uint64_t fake_now_us(void);

#endif
