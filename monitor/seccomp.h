/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MONITOR_SECCOMP_H
#define MONITOR_SECCOMP_H

#include "common/attr.h"
#include "proto/control.h"

/* Load the monitor's profile into all its threads. no_new_privs must be set. Returns 0 or a negative errno. */
int seccomp_monitor(enum seccomp_action) ATTR_MUSTCHECK;

#endif
