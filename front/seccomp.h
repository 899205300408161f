/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FRONT_SECCOMP_H
#define FRONT_SECCOMP_H

#include "common/seccomp.h"

/*
 * Load the front's profile into all threads; action: enum seccomp_action; locks: files may be locked. Ends the process on
 * failure.
 */
void front_seccomp(unsigned action, bool locks);

/* The table, to be printed; all of it, or what there is without locks. */
const struct sc_rule *front_seccomp_rules(bool locks, size_t *n);

#endif
