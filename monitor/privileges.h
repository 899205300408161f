/* SPDX-License-Identifier: BSD-3-Clause */
/* --print-privileges: what the processes of a running daemon may do, as a table. */
#ifndef MONITOR_PRIVILEGES_H
#define MONITOR_PRIVILEGES_H

#include "common/attr.h"

/*
 * Print the table to standard output. who: the pid of the process that was started, or the path of its pid file. What the
 * caller may not see is '?', and an error. Returns 0, or a negative errno and has said why on standard error.
 */
int privileges_print(const char *who) ATTR_MUSTCHECK;

#endif
