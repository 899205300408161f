/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parsing a command line and describing the outcome, for the tests of monitor/options*.c. Runs in: unit tests.
 */
#ifndef TESTS_OPTIONS_RIG_H
#define TESTS_OPTIONS_RIG_H

#include <check.h>
#include <stdio.h>

#include "monitor/options.h"

#define ARGS_MAX 12
#define BASE "--shared-dir", "/s", "--socket-path=/t"

/* A command line, and a part of what is said of it. */
struct options_row {
	const char *args[ARGS_MAX];
	const char *want;
};

/* The tables; each ends with a row whose want is NULL. */
extern const struct options_row options_good[], options_bad[]; /* options_rows.c */
extern const struct options_row options_good_compat[],
    options_bad_compat[]; /* options_rows_compat.c */
int rig_rows(const struct options_row *); /* how many rows a table has */

/* The arguments end with NULL. As options_parse(). */
int rig_parse(const char *const *args, struct options *, char err[static OPTIONS_ERROR_MAX]);

/* " name=value name=value ", everything that a row may look for. */
void rig_describe(const struct options *, char *buf, size_t size);

void rig_good(const struct options_row *); /* it parses, and its description contains want */
void rig_bad(const struct options_row *); /* it does not, and the one line about it contains want */

/* main() of a test program with one suite. */
int rig_main(TCase *);

#endif
