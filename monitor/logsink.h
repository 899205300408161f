/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where log lines end: standard error, in virtiofsd's format, or the system log (spec/cli.md section 7).
 */
#ifndef MONITOR_LOGSINK_H
#define MONITOR_LOGSINK_H

#include <stddef.h>
#include <stdint.h>

#include "common/log.h"

/* A child whose lines are printed. Starts zeroed but for its name. */
struct logsink_source {
	const char *name; /* "virtiofsd::front" */
	int64_t window; /* CLOCK_MONOTONIC second at which the window began; 0 = none yet */
	uint32_t lines; /* printed in this window */
	uint32_t suppressed;
};

#define LOGSINK_LINES 200 /* of one child in LOGSINK_WINDOW_S seconds */
#define LOGSINK_WINDOW_S 10

#define LOGSINK_OWN "virtiofsd" /* the module of this process' own lines */

/*
 * Send this process' own lines (log_info() etc.) and its children's to standard error, those of level and up or, if it
 * is not NULL, those that filter (the value of RUST_LOG) says. Any thread may log. SIGPIPE is ignored from then on.
 */
void logsink_init(enum log_level, const char *filter);

/* The same, to the system log. Where there is none: to standard error, with a warning. */
void logsink_init_syslog(enum log_level);

/* Lines of the module below this level need not be sent to us. */
enum log_level logsink_level(const char *module);

/*
 * Print one line that a child said: n bytes of any kind (printed escaped), level LOG_ERROR..LOG_TRACE. Lines above
 * the module's level and above the rate limit are not printed. Main thread only.
 */
void logsink_child(struct logsink_source *, enum log_level, const char *text, size_t n);

/* The child is gone: say how many of its lines were suppressed, if any. */
void logsink_child_end(struct logsink_source *);

#endif
