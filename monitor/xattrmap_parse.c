/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The grammar of --xattrmap: rules, each with a delimiter of its own (any character), fields without escapes. A rule "map" is
 * short for two or three others and ends the text. Runs in: monitor. Bytes written by: whoever starts the daemon (trusted).
 */
#include "monitor/xattrmap_parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands between rules. */
#define BLANKS " \t\n\r\f"

struct field {
	const char *s;
	size_t n;
};

/* A rule that still points into the text. */
struct raw {
	enum xattrmap_type type;
	unsigned scope;
	struct field key, prepend;
};

struct parse {
	const char *at, *end;
	struct field delim; /* of the present rule: one character, perhaps of several bytes */
	struct raw *rules;
	size_t n, room;
	char *err;
};

static const struct field nothing = { "", 0 };

static int ATTR_PRINTF(2, 3) fail(struct parse *p, const char *fmt, ...)
{
	va_list ap;
	int used = snprintf(p->err, XATTRMAP_ERROR_MAX, "rule %zu: ", p->n + 1);

	va_start(ap, fmt);
	vsnprintf(p->err + used, XATTRMAP_ERROR_MAX - (size_t)used, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool
is(const struct field *f, const char *word)
{
	return f->n == strlen(word) && memcmp(f->s, word, f->n) == 0;
}

static void
skip_blanks(struct parse *p)
{
	while (p->at < p->end && strchr(BLANKS, *p->at) != NULL)
		p->at++;
}

/* A rule begins with its delimiter: all bytes of that character. */
static void
take_delimiter(struct parse *p)
{
	p->delim.s = p->at++;
	if ((unsigned char)*p->delim.s >= 0xc0)
		while (p->at < p->end && ((unsigned char)*p->at & 0xc0) == 0x80)
			p->at++;
	p->delim.n = (size_t)(p->at - p->delim.s);
}

static int
take_field(struct parse *p, struct field *f)
{
	const char *next = memmem(p->at, (size_t)(p->end - p->at), p->delim.s, p->delim.n);

	if (next == NULL)
		return fail(p, "incomplete: a field ends with '%.*s'", (int)p->delim.n, p->delim.s);
	f->s = p->at;
	f->n = (size_t)(next - p->at);
	p->at = next + p->delim.n;
	return 0;
}

static int
add(struct parse *p, enum xattrmap_type type, unsigned scope, struct field key,
    struct field prepend)
{
	if (p->n == p->room) {
		size_t room = p->room == 0 ? 8 : p->room * 2;
		struct raw *r = reallocarray(p->rules, room, sizeof(*r));

		if (r == NULL) {
			(void)fail(p, "out of memory");
			return -ENOMEM;
		}
		p->rules = r;
		p->room = room;
	}
	p->rules[p->n++] = (struct raw){ type, scope, key, prepend };
	return 0;
}

static int
expand_map(struct parse *p, struct field key, struct field prepend)
{
	int r = add(p, XATTRMAP_PREFIX, XATTRMAP_ALL, key, prepend);

	if (r == 0 && key.n == 0)
		return add(p, XATTRMAP_BAD, XATTRMAP_ALL, nothing, nothing);
	/* The guest neither names what the map makes, nor sees what it would hide. */
	if (r == 0)
		r = add(p, XATTRMAP_BAD, XATTRMAP_ALL, prepend, key);
	return r != 0 ? r : add(p, XATTRMAP_OK, XATTRMAP_ALL, nothing, nothing);
}

static int
take_map(struct parse *p)
{
	struct field key, prepend;
	int r;

	if ((r = take_field(p, &key)) != 0 || (r = take_field(p, &prepend)) != 0)
		return r;
	skip_blanks(p);
	if (p->at < p->end)
		return fail(p, "nothing may follow a rule of type 'map'");
	return expand_map(p, key, prepend);
}

static int
take_scope(struct parse *p, unsigned *scope)
{
	struct field f;
	int r = take_field(p, &f);

	if (r != 0)
		return r;
	if (is(&f, "all"))
		*scope = XATTRMAP_ALL;
	else if (is(&f, "client"))
		*scope = XATTRMAP_CLIENT;
	else if (is(&f, "server"))
		*scope = XATTRMAP_SERVER;
	else
		return fail(p, "invalid scope '%.*s', expected all, client or server",
		    (int)MIN(f.n, 40u), f.s);
	return 0;
}

static int
take_rule(struct parse *p)
{
	static const char *const types[] = { [XATTRMAP_PREFIX] = "prefix",
		[XATTRMAP_OK] = "ok",
		[XATTRMAP_BAD] = "bad",
		[XATTRMAP_UNSUPPORTED] = "unsupported" };
	struct field type, key, prepend;
	unsigned scope = 0, t;
	int r;

	take_delimiter(p);
	if ((r = take_field(p, &type)) != 0)
		return r;
	if (is(&type, "map"))
		return take_map(p);
	for (t = 0; t < countof(types) && !is(&type, types[t]); t++)
		;
	if (t == countof(types))
		return fail(p, "invalid type '%.*s', expected prefix, ok, bad, unsupported or map",
		    (int)MIN(type.n, 40u), type.s);
	if ((r = take_scope(p, &scope)) != 0 || (r = take_field(p, &key)) != 0 ||
	    (r = take_field(p, &prepend)) != 0)
		return r;
	return add(p, (enum xattrmap_type)t, scope, key, prepend);
}

static struct xattrmap_text
put(struct xattrmap *m, struct field f)
{
	struct xattrmap_text t = { m->len, (uint32_t)f.n };

	memcpy((char *)m + m->len, f.s, f.n);
	m->len += (uint32_t)f.n;
	return t;
}

static int
compile(struct parse *p, struct xattrmap **res)
{
	size_t size = sizeof(struct xattrmap) + p->n * sizeof((*res)->rule[0]);
	struct xattrmap *m;

	for (size_t i = 0; i < p->n; i++)
		size += p->rules[i].key.n + p->rules[i].prepend.n;
	if (size > UINT32_MAX || (m = calloc(1, size)) == NULL) {
		(void)fail(p, "out of memory");
		return -ENOMEM;
	}
	m->nrules = (uint32_t)p->n;
	m->len = (uint32_t)(sizeof(*m) + p->n * sizeof(m->rule[0]));
	for (size_t i = 0; i < p->n; i++) {
		m->rule[i].type = (uint16_t)p->rules[i].type;
		m->rule[i].scope = (uint16_t)p->rules[i].scope;
		m->rule[i].key = put(m, p->rules[i].key);
		m->rule[i].prepend = put(m, p->rules[i].prepend);
	}
	*res = m;
	return 0;
}

int
xattrmap_parse(const char *text, struct xattrmap **res, char err[static XATTRMAP_ERROR_MAX])
{
	struct parse p = { .at = text, .end = text + strlen(text), .err = err };
	int r = 0;

	*res = NULL;
	err[0] = '\0';
	for (skip_blanks(&p); r == 0 && p.at < p.end; skip_blanks(&p))
		r = take_rule(&p);
	if (r == 0 && p.n == 0) {
		snprintf(err, XATTRMAP_ERROR_MAX, "no rules");
		r = -EINVAL;
	}
	if (r == 0)
		r = compile(&p, res);
	free(p.rules);
	return r;
}
