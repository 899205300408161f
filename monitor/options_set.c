/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the rows of the option tables do with a value: check it, and store it in struct options.
 * Runs in: monitor. Bytes written by: whoever starts the daemon (trusted).
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "monitor/idmap_parse.h"
#include "monitor/options_table.h"
#include "monitor/xattrmap_parse.h"

int
parse_fail(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->err, OPTIONS_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

const char *
row_title(const struct row *row, char buf[static ROW_TITLE_MAX])
{
	const bool attached = (row->flags & ROW_ATTACHED) != 0;
	const char *arg = row->arg != NULL ? row->arg : "";
	char name[ROW_TITLE_MAX / 2];

	if (row->name != NULL)
		snprintf(name, sizeof(name), "--%s", row->name);
	else
		snprintf(name, sizeof(name), "-%c", row->letter);
	if (row->arg == NULL)
		snprintf(buf, ROW_TITLE_MAX, "%s", name);
	else if (row->bare != NULL)
		snprintf(buf, ROW_TITLE_MAX, "%s[=<%s>]", name, arg);
	else
		snprintf(buf, ROW_TITLE_MAX, "%s%c<%s>", name, attached ? '=' : ' ', arg);
	return buf;
}

static int
fail_value(struct parse *p, const char *value, const char *why)
{
	char title[ROW_TITLE_MAX];

	return parse_fail(
	    p, "invalid value '%.80s' for '%s': %s", value, row_title(p->row, title), why);
}

static void *
member(struct parse *p, size_t at)
{
	return (char *)p->o + at;
}

/* Store an integer, or an enum, of the member's size. */
static void
store(struct parse *p, uint64_t value)
{
	const uint8_t v1 = (uint8_t)value;
	const uint32_t v4 = (uint32_t)value;

	if (p->row->size == sizeof(v1))
		memcpy(member(p, p->row->at), &v1, sizeof(v1));
	else if (p->row->size == sizeof(v4))
		memcpy(member(p, p->row->at), &v4, sizeof(v4));
	else
		memcpy(member(p, p->row->at), &value, sizeof(value));
}

/* Decimal, an optional plus sign, nothing else, at most max. Returns NULL, or what is wrong. */
static const char *
parse_number(const char *s, size_t len, uint64_t max, uint64_t *res)
{
	uint64_t n = 0;

	if (len == 0)
		return "cannot parse integer from empty string";
	if (*s == '+' && len > 1)
		s++, len--;
	for (size_t i = 0; i < len; i++) {
		unsigned d = (unsigned)s[i] - '0';

		if (d > 9)
			return "invalid digit found in string";
		if (d > max || n > (max - d) / 10)
			return "number too large";
		n = n * 10 + d;
	}
	*res = n;
	return NULL;
}

int
set_string(struct parse *p, const char *value)
{
	memcpy(member(p, p->row->at), &value, sizeof(value));
	return 0;
}

int
set_number(struct parse *p, const char *value)
{
	uint64_t n = 0;
	const char *why = parse_number(value, strlen(value), p->row->max, &n);

	if (why != NULL)
		return fail_value(p, value, why);
	store(p, n);
	return 0;
}

int
set_seconds(struct parse *p, const char *value)
{
	uint64_t n = 0;

	if (parse_number(value, strlen(value), p->row->max, &n) == NULL && n == 0)
		return fail_value(p, value, "at least 1");
	return set_number(p, value);
}

static int
parse_word(struct parse *p, const char *value, int *res)
{
	const bool anycase = (p->row->flags & ROW_ANYCASE) != 0;
	const struct word *w = p->row->words;
	char list[120] = "";
	size_t used = 0;

	for (; w->name != NULL; w++) {
		if ((anycase ? strcasecmp(value, w->name) : strcmp(value, w->name)) == 0) {
			*res = w->value;
			return 0;
		}
		if (w->help != NULL && used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
			    used > 0 ? ", " : "possible values: ", w->name);
	}
	return fail_value(p, value, list);
}

int
set_word(struct parse *p, const char *value)
{
	int v, r = parse_word(p, value != NULL ? value : p->row->bare, &v);

	if (r == 0)
		store(p, (uint64_t)v);
	return r;
}

int
set_true(struct parse *p, const char *value)
{
	(void)value;
	*(bool *)member(p, p->row->at) = true;
	return 0;
}

int
set_flag(struct parse *p, const char *value)
{
	(void)value;
	p->o->dev.flags |= p->row->flag;
	return 0;
}

int
clear_flag(struct parse *p, const char *value)
{
	(void)value;
	p->o->dev.flags &= ~p->row->flag;
	return 0;
}

int
add_text(struct parse *p, const char *value)
{
	struct texts *t = member(p, p->row->at);
	const char **grown = reallocarray(t->text, t->n + 1, sizeof(*grown));

	if (grown == NULL)
		return parse_fail(p, "out of memory");
	t->text = grown;
	t->text[t->n++] = value;
	return 0;
}

/* The three numbers of ":0:1000:1:" (spec/cli.md section 4.1). Returns NULL, or what is wrong. */
static const char *
parse_id_range(const char *s, uint32_t number[3])
{
	const size_t len = strlen(s);
	const char delim = len > 0 ? s[len - 1] : '\0', *at = s + 1;
	size_t n = 0;

	if (len == 0)
		return "empty or wrong number of values";
	if (isalnum((unsigned char)delim) || s[0] != delim)
		return "delimiter mismatch";
	for (size_t i = 1; i < len; i++)
		n += s[i] == delim;
	if (n != 3)
		return "empty or wrong number of values";
	for (n = 0; n < 3; n++) {
		size_t field = (size_t)(strchr(at, delim) - at);
		uint64_t v = 0;
		const char *why = parse_number(at, field, UINT32_MAX, &v);

		if (why != NULL)
			return why;
		number[n] = (uint32_t)v;
		at += field + 1;
	}
	return NULL;
}

int
add_id_range(struct parse *p, const char *value)
{
	struct id_map *m = member(p, p->row->at);
	struct id_range *grown;
	uint32_t n[3];
	const char *why = parse_id_range(value, n);

	if (why != NULL)
		return fail_value(p, value, why);
	if ((grown = reallocarray(m->range, m->n + 1, sizeof(*grown))) == NULL)
		return parse_fail(p, "out of memory");
	m->range = grown;
	m->range[m->n++] = (struct id_range){ .inside = n[0], .outside = n[1], .count = n[2] };
	return 0;
}

int
set_tag(struct parse *p, const char *value)
{
	size_t n = strlen(value);

	if (n < 1 || n > TAG_MAX)
		return fail_value(p, value,
		    "the tag may not be empty or longer than 36 bytes (encoded as UTF-8)");
	return set_string(p, value);
}

int
set_file_handles(struct parse *p, const char *value)
{
	p->o->deprecated &= ~(unsigned)DEPRECATED_FALLBACK;
	if (strcmp(value, "fallback") == 0)
		p->o->deprecated |= DEPRECATED_FALLBACK;
	return set_word(p, value);
}

int
set_donation(struct parse *p, const char *value)
{
	int v, r = parse_word(p, value, &v);

	if (r == 0)
		p->o->dev.flags = (p->o->dev.flags & ~(uint32_t)DEV_NO_DONATION) | (uint32_t)v;
	return r;
}

/* Judged here, compiled when the daemon starts: monitor/tables.c. */
int
set_xattrmap(struct parse *p, const char *value)
{
	char err[XATTRMAP_ERROR_MAX];
	struct xattrmap *m;

	if (xattrmap_parse(value, &m, err) != 0)
		return fail_value(p, value, err);
	free(m);
	return set_string(p, value);
}

int
add_translation(struct parse *p, const char *value)
{
	char err[IDMAP_ERROR_MAX];
	struct idmap_entry e;

	if (idmap_parse(value, &e, err) != 0)
		return fail_value(p, value, err);
	return add_text(p, value);
}

int
set_action(struct parse *p, const char *value)
{
	(void)value;
	if (p->row->letter == 'h')
		p->o->action = p->is_long ? OPTIONS_LONG_HELP : OPTIONS_SHORT_HELP;
	else
		p->o->action = p->row->letter == 'V' ? OPTIONS_VERSION : OPTIONS_CAPABILITIES;
	return 0;
}

int
set_print_seccomp(struct parse *p, const char *value)
{
	char role[16];
	const size_t n = strcspn(value, ",");
	const bool json = strcmp(value + n, ",json") == 0;

	if ((value[n] != '\0' && !json) || n >= sizeof(role))
		return fail_value(p, value, "a role, or a role and ,json");
	memcpy(role, value, n);
	role[n] = '\0';
	p->o->action = OPTIONS_PRINT_SECCOMP;
	p->o->print_json = json;
	return set_word(p, role);
}

int
set_print_privileges(struct parse *p, const char *value)
{
	p->o->action = OPTIONS_PRINT_PRIVILEGES;
	p->o->print_who = value;
	return 0;
}

int
row_apply(struct parse *p, const struct row *row, const char *value)
{
	int r;

	p->row = row;
	if (row->set != NULL && (r = row->set(p, value)) != 0)
		return r;
	p->o->deprecated |= row->deprecated;
	if (row->given != 0)
		*(bool *)member(p, row->given) = true;
	return 0;
}
