/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Formats a line into a bounded buffer and hands it to the sink of this process. No stdio after start-up, no
 * allocation, no locale. The bytes may be a guest's (names): the monitor's sink escapes them before they reach a terminal.
 * Runs in: monitor, front, worker.
 */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void
sink_stderr(enum log_level level, const char *line)
{
	char buf[LOG_LINE_MAX + 32];
	int n;

	(void)level;
	n = snprintf(buf, sizeof(buf), "virtiofsd: %s\n", line);
	if (n > 0 && write(STDERR_FILENO, buf, (size_t)n) == -1)
		return;
}

static log_sink out = sink_stderr;
static enum log_level max_level = LOG_WARN;

void
log_init(log_sink sink, enum log_level max)
{
	out = sink;
	max_level = max;
}

bool
log_enabled(enum log_level level)
{
	return level <= max_level;
}

static void ATTR_PRINTF(2, 0) log_v(enum log_level level, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX + 1];
	int saved = errno;

	if (level <= max_level) {
		vsnprintf(line, sizeof(line), fmt, ap);
		out(level, line);
	}
	errno = saved;
}

#define LOG_FUNCTION(name, level) \
	void name(const char *fmt, ...) \
	{ \
		va_list ap; \
\
		va_start(ap, fmt); \
		log_v(level, fmt, ap); \
		va_end(ap); \
	}

LOG_FUNCTION(log_error, LOG_ERROR)
LOG_FUNCTION(log_warn, LOG_WARN)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_debug, LOG_DEBUG)

bool
log_limit(struct log_limit *l)
{
	struct timespec now;
	int64_t began;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	began = atomic_load_explicit(&l->window, memory_order_relaxed);
	/* Two threads may both open a window: a few lines more, no harm. */
	if (began == 0 || now.tv_sec - began >= LOG_WINDOW_S) {
		atomic_store_explicit(
		    &l->window, now.tv_sec + (now.tv_sec == 0), memory_order_relaxed);
		atomic_store_explicit(&l->used, 0, memory_order_relaxed);
	}
	return atomic_fetch_add_explicit(&l->used, 1, memory_order_relaxed) < LOG_BURST;
}

void
fatal(const char *fmt, ...)
{
	char line[LOG_LINE_MAX + 1];
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_error("%s: %s", line,
	    strerrordesc_np(saved) != NULL ? strerrordesc_np(saved) : "unknown error");
	_exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_v(LOG_ERROR, fmt, ap);
	va_end(ap);
	_exit(1);
}
