/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logging. Front and worker hold no log file: their lines travel to the monitor, which bounds, escapes and prints them.
 * Levels follow virtiofsd (spec/cli.md section 7).
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* Longest line, without its NUL; what is longer is cut. */
#define LOG_LINE_MAX 500

/* Takes one finished line (no newline at its end). Must not log itself. */
typedef void (*log_sink)(enum log_level, const char *line);

/*
 * Set where lines go and which are kept. Before the first call, lines of level warn and up go to standard error.
 * Runs in: all, before threads exist.
 */
void log_init(log_sink sink, enum log_level max);
bool log_enabled(enum log_level);

void log_error(const char *fmt, ...) ATTR_PRINTF(1, 2);
void log_warn(const char *fmt, ...) ATTR_PRINTF(1, 2);
void log_info(const char *fmt, ...) ATTR_PRINTF(1, 2);
void log_debug(const char *fmt, ...) ATTR_PRINTF(1, 2);

/*
 * Rate limit for lines that another process can provoke: at most LOG_BURST lines a LOG_WINDOW_S seconds and place.
 * Usage: static struct log_limit l; if (log_limit(&l)) log_warn(...);
 */
struct log_limit {
	_Atomic int64_t window; /* CLOCK_MONOTONIC_COARSE second at which the window began */
	_Atomic uint32_t used;
};
#define LOG_BURST 5
#define LOG_WINDOW_S 10
bool log_limit(struct log_limit *);

/* The world failed: log "fmt: strerror(errno)" at level error and _exit(1). */
void fatal(const char *fmt, ...) ATTR_PRINTF(1, 2) ATTR_NORETURN;
/* The same without errno. */
void fatalx(const char *fmt, ...) ATTR_PRINTF(1, 2) ATTR_NORETURN;

#endif
