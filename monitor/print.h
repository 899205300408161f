/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MONITOR_PRINT_H
#define MONITOR_PRINT_H

#include "monitor/options.h"

/* Print the profile of o->print_role. Returns the exit status, or does not return. */
int print_seccomp(const struct options *);

#endif
