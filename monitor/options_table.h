/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside of options: one row an option, from which parsing, defaults, both helps and the manual page's list come.
 * A new option is a member of struct options and a row in options_table.c.
 */
#ifndef MONITOR_OPTIONS_TABLE_H
#define MONITOR_OPTIONS_TABLE_H

#include "monitor/options.h"

struct row;

struct parse {
	struct options *o;
	const struct row *row; /* the option being looked at */
	char *err;
	int argc, at; /* argv[at] is the next word */
	char *const *argv;
	bool is_long; /* the option was written with two dashes */
	bool last; /* nothing after it is looked at */
};

/* A word that an option takes. */
struct word {
	const char *name;
	int value;
	const char *help; /* NULL: taken, not advertised */
};

struct row {
	const char *name; /* without dashes; NULL: a letter only */
	char letter;
	const char *arg; /* name of the value; NULL: takes none */
	unsigned flags; /* ROW_* */
	/* Apply value, a string that stays; NULL where arg is. Returns 0 or parse_fail(). NULL: there is nothing to set. */
	int (*set)(struct parse *, const char *value);
	size_t at, size; /* what it sets: a member of struct options */
	size_t given; /* a bool of struct options that is set with it; 0 = none */
	unsigned deprecated; /* DEPRECATED_*: noted when it is used */
	uint64_t max; /* of a number */
	uint32_t flag; /* DEV_* */
	const struct word *words; /* what set_word() takes; ends with a name of NULL */
	const char
	    *def; /* the default, applied like a value before the command line is read; or NULL */
	const char *bare; /* the value where it is left out, which is allowed; or NULL */
	const char *help; /* first sentence: -h and --help; NULL: in neither */
	const char *more; /* --help only, or NULL */
};
#define ROW_ATTACHED 0x1 /* the value must be attached with '=' */
#define ROW_LAST 0x2 /* what follows is not looked at */
#define ROW_ANYCASE 0x4 /* words are taken in any case */

/* The rows of the command line, and those of -o; the last one of each has neither name nor letter. */
extern const struct row options_rows[], options_items[];
bool row_is_end(const struct row *);

/* "--tag <TAG>", "-o <LIST>", "--posix-acl[=<WHEN>]", as messages and helps write it. */
#define ROW_TITLE_MAX 64
const char *row_title(const struct row *, char buf[static ROW_TITLE_MAX]);

/* Put a line into p->err. Returns -EINVAL. */
int parse_fail(struct parse *, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Setters, used by rows. */
int set_string(struct parse *, const char *value);
int set_number(struct parse *, const char *value); /* decimal, an optional '+', at most row->max */
int set_seconds(struct parse *, const char *value); /* the same, not 0 */
int set_word(struct parse *, const char *value); /* or row->bare */
int set_true(struct parse *, const char *value);
int set_flag(struct parse *, const char *value); /* in dev.flags */
int clear_flag(struct parse *, const char *value);
int add_text(struct parse *, const char *value); /* to a struct texts */
int add_id_range(struct parse *, const char *value); /* to a struct id_map */
int set_donation(struct parse *, const char *value);
int set_tag(struct parse *, const char *value);
int set_file_handles(struct parse *, const char *value);
int set_xattrmap(struct parse *, const char *value);
int add_translation(struct parse *, const char *value); /* to a struct texts */
int set_action(struct parse *, const char *value);
int set_print_seccomp(struct parse *, const char *value);
int set_print_privileges(struct parse *, const char *value);

/* Apply what a row says for value (NULL: none was given), all that is there to be noted included. */
int row_apply(struct parse *, const struct row *, const char *value);

/* Apply o->o, left to right (spec/cli.md section 3.1). */
int options_compat(struct parse *);

#endif
