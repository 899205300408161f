/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's seccomp profile. Runs in: worker. */
#ifndef WORKER_SECCOMP_H
#define WORKER_SECCOMP_H

#include "common/seccomp.h"

/* Load it into all threads. Ends the process if it cannot. */
void worker_seccomp(enum sc_action);

/* The table, to be printed. */
const struct sc_rule *worker_seccomp_rules(size_t *n);

#endif
