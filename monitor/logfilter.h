/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which log lines are kept: RUST_LOG, as Rust's env_logger reads it. A comma-separated list of "level", "module" and
 * "module=level", the longest module that begins the line's own decides; behind a slash a regular expression that the
 * text must match.
 */
#ifndef MONITOR_LOGFILTER_H
#define MONITOR_LOGFILTER_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"
#include "common/log.h"

struct log_rule {
	const char *module; /* in spec; "": all */
	size_t len;
	enum log_level level;
};

struct log_filter {
	char *spec; /* a copy, cut up */
	struct log_rule *rule;
	size_t n;
	regex_t text;
	bool has_text;
};

/* Keep lines of level and up. */
void logfilter_level(struct log_filter *, enum log_level);

/*
 * As spec says; what makes no sense in it is ignored. Returns NULL, or the first such part (valid as long as spec and
 * the filter). If nothing is left, errors are kept. Running out of memory ends the process.
 */
const char *logfilter_parse(struct log_filter *, const char *spec) ATTR_MUSTCHECK;

/* The level of the module's lines. */
enum log_level logfilter_of(const struct log_filter *, const char *module);

/* Does the line match the expression, if there is one? */
bool logfilter_matches(const struct log_filter *, const char *text);

void logfilter_free(struct log_filter *);

#endif
