/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FRONT_SECCOMP_H
#define FRONT_SECCOMP_H

#include "common/seccomp.h"

/* Load the front's profile into all threads; action: enum seccomp_action. Ends the process on failure. */
void front_seccomp(unsigned action);

/* The table, to be printed. */
const struct sc_rule *front_seccomp_rules(size_t *n);

#endif
