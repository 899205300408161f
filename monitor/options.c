/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Splits the command line into options and values, as virtiofsd's does: names are exact, "--name value" and
 * "--name=value", "-o value", "-ovalue" and "-o=value", letters may be clustered, a separated value does not begin with
 * a dash. What options there are is in options_table.c. Runs in: monitor. Bytes written by: whoever starts the daemon
 * (trusted).
 */
#include "monitor/options.h"

#include <stdlib.h>
#include <string.h>

#include "monitor/options_table.h"

static const struct row *
find_long(const char *name, size_t n)
{
	for (const struct row *row = options_rows; !row_is_end(row); row++)
		if (row->name != NULL && strlen(row->name) == n && memcmp(row->name, name, n) == 0)
			return row;
	return NULL;
}

static const struct row *
find_letter(char letter)
{
	for (const struct row *row = options_rows; !row_is_end(row); row++)
		if (row->letter == letter)
			return row;
	return NULL;
}

/* The option row was found; attached is the value that was written behind it in the same word, or NULL. */
static int
apply(struct parse *p, const struct row *row, const char *attached)
{
	char title[ROW_TITLE_MAX];
	const char *next;

	p->last = (row->flags & ROW_LAST) != 0;
	if (row->arg == NULL && attached != NULL)
		return parse_fail(p,
		    "unexpected value '%.80s' for '%s' found; no more were expected", attached,
		    row_title(row, title));
	if (row->arg == NULL || attached != NULL || row->bare != NULL)
		return row_apply(p, row, attached);
	if ((row->flags & ROW_ATTACHED) != 0)
		return parse_fail(
		    p, "equal sign is needed when assigning values to '%s'", row_title(row, title));
	next = p->at < p->argc ? p->argv[p->at] : NULL;
	if (next == NULL || (next[0] == '-' && next[1] != '\0'))
		return parse_fail(
		    p, "a value is required for '%s' but none was supplied", row_title(row, title));
	p->at++;
	return row_apply(p, row, next);
}

static int
long_option(struct parse *p, const char *word)
{
	const char *name = word + 2, *value = strchr(name, '=');
	const size_t n = value != NULL ? (size_t)(value - name) : strlen(name);
	const struct row *row = find_long(name, n);

	if (row == NULL)
		return parse_fail(p, "unexpected argument '--%.*s' found", (int)MIN(n, 80), name);
	p->is_long = true;
	return apply(p, row, value != NULL ? value + 1 : NULL);
}

/* A cluster of letters, the last of which may take what follows it as its value. */
static int
letter_options(struct parse *p, const char *word)
{
	const struct row *row;
	int r = 0;

	p->is_long = false;
	for (const char *s = word + 1; *s != '\0' && r == 0 && !p->last; s++) {
		if ((row = find_letter(*s)) == NULL)
			return parse_fail(p, "unexpected argument '-%c' found", *s);
		if (row->arg != NULL)
			return apply(p, row, s[1] == '\0' ? NULL : s[1] == '=' ? s + 2 : s + 1);
		r = apply(p, row, NULL);
	}
	return r;
}

/* All words. */
static int
split(struct parse *p)
{
	bool only_words = false;
	int r = 0;

	while (r == 0 && !p->last && p->at < p->argc) {
		const char *word = p->argv[p->at++];

		if (only_words || word[0] != '-' || word[1] == '\0')
			return parse_fail(p, "unexpected argument '%.80s' found", word);
		if (strcmp(word, "--") == 0)
			only_words = true;
		else
			r = word[1] == '-' ? long_option(p, word) : letter_options(p, word);
	}
	return r;
}

static int
conflict(struct parse *p, const char *a, const char *b)
{
	return parse_fail(p, "the argument '%s' cannot be used with '%s'", a, b);
}

static int
check_conflicts(struct parse *p)
{
	const struct options *o = p->o;

	if (o->fd >= 0 && o->socket_path != NULL)
		return conflict(p, "--fd <N>", "--socket-path <PATH>");
	if (o->fd >= 0 && o->socket_alias != NULL)
		return conflict(p, "--fd <N>", "--socket <PATH>");
	if (o->fd >= 0 && o->socket_group != NULL)
		return conflict(p, "--fd <N>", "--socket-group <NAME>");
	if (o->action == OPTIONS_CAPABILITIES && o->socket_group != NULL)
		return conflict(p, "--print-capabilities", "--socket-group <NAME>");
	if (o->worker_timeout_restart && o->worker_deaths == 0)
		return conflict(p, "--worker-timeout-restart", "--worker-deaths=0");
	if (o->worker_timeout_restart && o->worker_timeout == 0)
		return conflict(p, "--worker-timeout-restart", "--worker-timeout=0");
	return 0;
}

static int
check_missing(struct parse *p)
{
	const struct options *o = p->o;
	const bool dir = o->shared_dir != NULL || o->o.n > 0,
		   sock = o->socket_path != NULL || o->socket_alias != NULL || o->fd >= 0;

	if (o->action == OPTIONS_CAPABILITIES || o->action == OPTIONS_PRINT_SECCOMP ||
	    o->action == OPTIONS_PRINT_PRIVILEGES || (dir && sock))
		return 0;
	return parse_fail(p, "the following required arguments were not provided: %s%s%s",
	    dir ? "" : "--shared-dir <PATH>", !dir && !sock ? ", " : "",
	    sock ? "" : "--socket-path <PATH> or --fd <N>");
}

static int
set_defaults(struct parse *p)
{
	int r = 0;

	*p->o = (struct options){
		.action = OPTIONS_RUN,
		.fd = -1,
		.dev.flags = DEV_ANNOUNCE_SUBMOUNTS,
	};
	for (const struct row *row = options_rows; r == 0 && !row_is_end(row); row++) {
		p->row = row;
		if (row->def != NULL)
			r = row->set(p, row->def);
	}
	return r;
}

/* What follows from options together, whatever their order. */
static void
settle(struct options *o)
{
	if (o->socket_path == NULL)
		o->socket_path = o->socket_alias;
	if ((o->deprecated & DEPRECATED_D) != 0)
		o->log_level = LOG_DEBUG;
	if (o->xattrmap != NULL || o->dev.posix_acl != NEGOTIATE_NEVER ||
	    o->dev.security_label != NEGOTIATE_NEVER)
		o->dev.flags |= DEV_XATTR;
	if (o->translate_uid.n > 0 || o->translate_gid.n > 0)
		o->dev.flags |= DEV_TRANSLATE;
}

int
options_parse(int argc, char *const argv[], struct options *o, char err[static OPTIONS_ERROR_MAX])
{
	struct parse p = { .o = o, .err = err, .argc = argc, .at = 1, .argv = argv };
	int r;

	err[0] = '\0';
	if ((r = set_defaults(&p)) != 0)
		return r;
	if (argc <= 1) {
		o->action = OPTIONS_NO_ARGS;
		return 0;
	}
	if ((r = split(&p)) != 0 || p.last)
		return r;
	if ((r = check_conflicts(&p)) != 0 || (r = check_missing(&p)) != 0 ||
	    (r = options_compat(&p)) != 0)
		return r;
	settle(o);
	return 0;
}

void
options_free(struct options *o)
{
	for (size_t i = 0; i < o->ncompat; i++)
		free(o->compat[i]);
	free(o->compat);
	free(o->o.text);
	free(o->translate_uid.text);
	free(o->translate_gid.text);
	free(o->uid_map.range);
	free(o->gid_map.range);
}
