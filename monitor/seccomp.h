/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The monitor's profiles, each for the calling thread alone; no_new_privs must be set. Return 0 or a negative errno.
 */
#ifndef MONITOR_SECCOMP_H
#define MONITOR_SECCOMP_H

#include "common/attr.h"
#include "common/seccomp.h"
#include "monitor/spawn.h"
#include "proto/control.h"

/*
 * The main thread's. restart, if not NULL: with all that starting another such worker takes, and all that this worker does
 * then: it inherits the profile. socket_dir: the directory from which our socket will be removed, or -1.
 */
int seccomp_monitor(
    enum seccomp_action, const struct spawn_how *restart, int socket_dir) ATTR_MUSTCHECK;

/* The vault thread's. */
int seccomp_vault(enum seccomp_action) ATTR_MUSTCHECK;

#define SECCOMP_RULES_MAX 200

/*
 * Their tables, to be printed or tested: what cannot be known before the daemon runs is SC_AT_RUN_TIME. Return the number of
 * rules.
 */
size_t seccomp_monitor_rules(
    struct sc_rule all[static SECCOMP_RULES_MAX], const struct spawn_how *restart);
size_t seccomp_vault_rules(struct sc_rule all[static SECCOMP_RULES_MAX]);

#endif
