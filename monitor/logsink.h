/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where log lines end: standard error, in virtiofsd's format (spec/cli.md section 7).
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

/*
 * Send this process' own lines (log_info() etc.) of level max and up to standard error; any thread may log. SIGPIPE is
 * ignored from then on.
 */
void logsink_init(enum log_level max);

/*
 * Print one line that a child said: n bytes of any kind (printed escaped), level LOG_ERROR..LOG_TRACE. Lines above the
 * level of logsink_init() and above the rate limit are not printed. Main thread only.
 */
void logsink_child(struct logsink_source *, enum log_level, const char *text, size_t n);

/* The child is gone: say how many of its lines were suppressed, if any. */
void logsink_child_end(struct logsink_source *);

#endif
