/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Formats, escapes and prints log lines. Names in them may be a guest's: everything but printable ASCII is escaped, so
 * that no line can look like two or speak to a terminal. Standard error may be a pipe that nobody reads: what it does
 * not take at once is lost and counted, because a daemon that waits for its log is a daemon that hangs.
 * Runs in: monitor. Bytes written by: front, worker (hostile).
 */
#include "monitor/logsink.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/control.h"

#define LINE_MAX_OUT (96 + 4 * CTL_LOG_TEXT)

/* Held over poll and write: with one writer, a pipe that polls writable takes a whole line (< PIPE_BUF) at once. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t lost; /* lines; under lock */

static const char *const level_names[] = { "OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE" };

/* Append n bytes, escaped, to out[*used]; out has room for 4 bytes each. */
static void
escape(char *out, size_t *used, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\\') {
			out[(*used)++] = '\\';
			out[(*used)++] = '\\';
		} else if (c >= 0x20 && c < 0x7f)
			out[(*used)++] = (char)c;
		else {
			out[(*used)++] = '\\';
			out[(*used)++] = (char)('0' + (c >> 6));
			out[(*used)++] = (char)('0' + ((c >> 3) & 7));
			out[(*used)++] = (char)('0' + (c & 7));
		}
	}
}

static size_t
format(char out[LINE_MAX_OUT], enum log_level level, const char *who, const char *text, size_t n)
{
	struct timespec now;
	struct tm tm;
	size_t used;
	int r;

	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	r = snprintf(out, 92, "[%04d-%02d-%02dT%02d:%02d:%02dZ %-5s %s] ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, level_names[level], who);
	used = r > 0 ? MIN((size_t)r, 91) : 0;
	escape(out, &used, text, MIN(n, CTL_LOG_TEXT));
	out[used++] = '\n';
	return used;
}

static bool
write_now(const char *line, size_t n)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	const struct timespec none = { 0 };

	/* EPIPE and the like: nobody will ever read it, nothing to be done. */
	return ppoll(&p, 1, &none, NULL) == 1 &&
	    (write(STDERR_FILENO, line, n) >= 0 || !(p.revents & POLLOUT));
}

static void
print(enum log_level level, const char *who, const char *text, size_t n)
{
	char line[LINE_MAX_OUT], note[64];
	size_t len = format(line, level, who, text, n);
	int r;

	pthread_mutex_lock(&lock);
	if (lost > 0) {
		char line2[LINE_MAX_OUT];

		r = snprintf(
		    note, sizeof(note), "%u log lines lost: standard error was full", lost);
		if (write_now(line2, format(line2, LOG_WARN, "virtiofsd", note, (size_t)r)))
			lost = 0;
	}
	if (!write_now(line, len))
		lost++;
	pthread_mutex_unlock(&lock);
}

static void
sink(enum log_level level, const char *line)
{
	print(level, "virtiofsd", line, strlen(line));
}

void
logsink_init(enum log_level max)
{
	/* Standard error may be a pipe whose reader has gone. */
	signal(SIGPIPE, SIG_IGN);
	/* The first use of the calendar reads files: have it now, while they can be opened. */
	tzset();
	log_init(sink, max);
}

static void
say_suppressed(struct logsink_source *s)
{
	char note[64];
	int r;

	if (s->suppressed == 0)
		return;
	r = snprintf(note, sizeof(note), "%u lines suppressed", s->suppressed);
	s->suppressed = 0;
	print(LOG_WARN, s->name, note, (size_t)r);
}

void
logsink_child(struct logsink_source *s, enum log_level level, const char *text, size_t n)
{
	struct timespec now;

	if (!log_enabled(level))
		return;
	/* A line a request is what the operator asked for with these levels. */
	if (level >= LOG_DEBUG) {
		print(level, s->name, text, n);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (s->window == 0 || now.tv_sec - s->window >= LOGSINK_WINDOW_S) {
		say_suppressed(s);
		s->window = now.tv_sec + (now.tv_sec == 0);
		s->lines = 0;
	}
	if (s->lines >= LOGSINK_LINES) {
		s->suppressed++;
		return;
	}
	s->lines++;
	print(level, s->name, text, n);
}

void
logsink_child_end(struct logsink_source *s)
{
	say_suppressed(s);
}
