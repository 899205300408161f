/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --syslog: the system log. Not syslog(3), which connects when it likes and waits while the log is full.
 */
#ifndef MONITOR_SYSLOG_H
#define MONITOR_SYSLOG_H

#include <stdbool.h>

#include "common/attr.h"
#include "common/log.h"

/*
 * Open the socket; before the process is sealed. Returns 0, or a negative errno if there is nobody to log to.
 */
int syslog_open(void) ATTR_MUSTCHECK;

/*
 * Send one line, printable, of the process "virtiofsd" and its part who ("": itself). Does not wait; false: it is lost.
 * Any thread; the caller serializes.
 */
bool syslog_send(enum log_level, const char *who, const char *text);

#endif
