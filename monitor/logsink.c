/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Formats, escapes and prints log lines. Names in them may be a guest's: everything but printable ASCII is escaped, so
 * that no line can look like two or speak to a terminal. Standard error may be a pipe that nobody reads: what it does
 * not take at once is lost and counted, because a daemon that waits for its log is a daemon that hangs.
 * Runs in: monitor. Bytes written by: front, worker (hostile).
 */
#include "monitor/logsink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "monitor/logfilter.h"
#include "monitor/syslog.h"
#include "proto/control.h"

#define TEXT_MAX_OUT (4 * CTL_LOG_TEXT + 1) /* escaped */
#define LINE_MAX_OUT (96 + TEXT_MAX_OUT)

static struct log_filter filter;
static bool to_syslog;

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

static bool
write_stderr(enum log_level level, const char *module, const char *text)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	const struct timespec none = { 0 };
	char line[LINE_MAX_OUT];
	struct timespec now;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	n = snprintf(line, sizeof(line), "[%04d-%02d-%02dT%02d:%02d:%02dZ %-5s %s] %s\n",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    level_names[level], module, text);
	/* EPIPE and the like: nobody will ever read it, nothing to be done. */
	return ppoll(&p, 1, &none, NULL) == 1 &&
	    (write(STDERR_FILENO, line, MIN((size_t)n, sizeof(line) - 1)) >= 0 ||
		!(p.revents & POLLOUT));
}

static bool
write_now(enum log_level level, const char *module, const char *text)
{
	const char *who = strstr(module, "::");

	return to_syslog ? syslog_send(level, who != NULL ? who + 2 : "", text)
			 : write_stderr(level, module, text);
}

/* text is printable. */
static void
print(enum log_level level, const char *module, const char *text)
{
	char note[64];

	pthread_mutex_lock(&lock);
	if (lost > 0) {
		snprintf(note, sizeof(note), "%u log lines lost: %s was full", lost,
		    to_syslog ? "the system log" : "standard error");
		if (write_now(LOG_WARN, LOGSINK_OWN, note))
			lost = 0;
	}
	if (!write_now(level, module, text))
		lost++;
	pthread_mutex_unlock(&lock);
}

static void
print_escaped(enum log_level level, const char *module, const char *text, size_t n)
{
	char out[TEXT_MAX_OUT];
	size_t used = 0;

	escape(out, &used, text, MIN(n, CTL_LOG_TEXT));
	out[used] = '\0';
	if (logfilter_matches(&filter, out))
		print(level, module, out);
}

static void
sink(enum log_level level, const char *line)
{
	print_escaped(level, LOGSINK_OWN, line, strlen(line));
}

static void
begin(void)
{
	/* Standard error may be a pipe whose reader has gone, or a file as large as RLIMIT_FSIZE allows. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* The first use of the calendar reads files: have it now, while they can be opened. */
	tzset();
	log_init(sink, logsink_level(LOGSINK_OWN));
}

void
logsink_init(enum log_level level, const char *spec)
{
	const char *bad = NULL;

	if (spec != NULL)
		bad = logfilter_parse(&filter, spec);
	else
		logfilter_level(&filter, level);
	begin();
	/* Whatever the level: it may not be the one that was meant. */
	if (bad != NULL)
		fprintf(stderr, "warning: invalid logging spec '%s', ignoring it\n", bad);
}

void
logsink_init_syslog(enum log_level level)
{
	int r;

	logfilter_level(&filter, level);
	r = syslog_open();
	to_syslog = r == 0;
	begin();
	if (r != 0)
		log_warn("cannot log to the system log, logging to standard error: %s",
		    strerrordesc_np(-r));
}

enum log_level
logsink_level(const char *module)
{
	return logfilter_of(&filter, module);
}

static void
say_suppressed(struct logsink_source *s)
{
	char note[64];

	if (s->suppressed == 0)
		return;
	snprintf(note, sizeof(note), "%u lines suppressed", s->suppressed);
	s->suppressed = 0;
	print(LOG_WARN, s->name, note);
}

void
logsink_child(struct logsink_source *s, enum log_level level, const char *text, size_t n)
{
	struct timespec now;

	if (level > logsink_level(s->name))
		return;
	/* A line a request is what the operator asked for with these levels. */
	if (level >= LOG_DEBUG) {
		print_escaped(level, s->name, text, n);
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
	print_escaped(level, s->name, text, n);
}

void
logsink_child_end(struct logsink_source *s)
{
	say_suppressed(s);
}
