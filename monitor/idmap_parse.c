/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --translate-uid and --translate-gid. The syntax of one value is judged alone; whether all of them fit together (ranges that
 * overflow or overlap) when the daemon starts. Unlike the reference's, targets must fit as well: an id that wraps around is
 * somebody else's. Runs in: monitor. Bytes written by: whoever starts the daemon (trusted).
 */
#include "monitor/idmap_parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELDS_MAX 4u /* one more than any type has: how many there are is counted, not kept */

static const struct {
	const char *name;
	unsigned fields;
} types[] = {
	[IDMAP_T_GUEST] = { "guest", 3 },
	[IDMAP_T_HOST] = { "host", 3 },
	[IDMAP_T_SQUASH_GUEST] = { "squash-guest", 3 },
	[IDMAP_T_SQUASH_HOST] = { "squash-host", 3 },
	[IDMAP_T_MAP] = { "map", 3 },
	[IDMAP_T_FORBID_GUEST] = { "forbid-guest", 2 },
};

static int ATTR_PRINTF(2, 3) fail(char err[static IDMAP_ERROR_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, IDMAP_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* n characters, decimal, with an optional plus sign: as Rust's u32. Returns what is wrong, or NULL. */
static const char *
parse_id(const char *s, size_t n, uint32_t *res)
{
	uint64_t v = 0;

	if (n == 0)
		return "cannot parse integer from empty string";
	if (*s == '+') {
		s++;
		n--;
	}
	if (n == 0)
		return "invalid digit found in string";
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)s[i]))
			return "invalid digit found in string";
		v = MIN(v * 10 + (uint64_t)(s[i] - '0'), UINT64_C(1) << 32);
	}
	if (v > UINT32_MAX)
		return "number too large to fit in target type";
	*res = (uint32_t)v;
	return NULL;
}

/* The numbers behind the type. *count: how many there are; only the first FIELDS_MAX are kept. */
static int
parse_fields(const char *s, uint32_t id[FIELDS_MAX], unsigned *count, char *err)
{
	const char separator = *s;
	const char *why;

	for (*count = 0; separator != '\0' && *s == separator; (*count)++) {
		const char *end = strchrnul(++s, separator);
		uint32_t v;

		why = parse_id(s, (size_t)(end - s), &v);
		if (why != NULL)
			return fail(err, "invalid value '%.*s': %s", (int)MIN(end - s, 40), s, why);
		if (*count < FIELDS_MAX)
			id[*count] = v;
		s = end;
	}
	return 0;
}

int
idmap_parse(const char *text, struct idmap_entry *e, char err[static IDMAP_ERROR_MAX])
{
	uint32_t id[FIELDS_MAX];
	unsigned n, t;
	size_t len = 0;
	int r;

	while (isalnum((unsigned char)text[len]) || text[len] == '-' || text[len] == '_')
		len++;
	if (text[len] == '\0')
		return fail(err, "invalid length, expected 1 got 0");
	if ((r = parse_fields(text + len, id, &n, err)) != 0)
		return r;
	for (t = 0; t < countof(types); t++)
		if (strlen(types[t].name) == len && strncasecmp(types[t].name, text, len) == 0)
			break;
	if (t == countof(types))
		return fail(err, "invalid prefix %.*s", (int)MIN(len, 40u), text);
	if (n != types[t].fields)
		return fail(err, "invalid length, expected %u got %u", types[t].fields, n);
	*e = (struct idmap_entry){
		.type = (enum idmap_type)t,
		.from = id[0],
		.to = n == 3 ? id[1] : 0,
		.count = id[n - 1],
		.text = text,
	};
	return 0;
}

/* A range and the entry it comes from. */
struct made {
	struct idmap_range r;
	const struct idmap_entry *e;
};

/* What an entry puts into the table to the host, or to the guest. Returns false if nothing. */
static bool
range_of(const struct idmap_entry *e, bool to_host, struct made *m)
{
	static const struct {
		bool to_host, to_guest;
		enum idmap_kind kind;
	} does[] = {
		[IDMAP_T_GUEST] = { true, false, IDMAP_SHIFT },
		[IDMAP_T_HOST] = { false, true, IDMAP_SHIFT },
		[IDMAP_T_SQUASH_GUEST] = { true, false, IDMAP_SQUASH },
		[IDMAP_T_SQUASH_HOST] = { false, true, IDMAP_SQUASH },
		[IDMAP_T_MAP] = { true, true, IDMAP_SHIFT },
		[IDMAP_T_FORBID_GUEST] = { true, false, IDMAP_FORBID },
	};
	const bool back = e->type == IDMAP_T_MAP && !to_host;

	if (to_host ? !does[e->type].to_host : !does[e->type].to_guest)
		return false;
	m->r = (struct idmap_range){ .base = back ? e->to : e->from,
		.count = e->count,
		.target = back ? e->from : e->to,
		.kind = does[e->type].kind };
	m->e = e;
	return e->count > 0;
}

static int
by_base(const void *a, const void *b)
{
	const struct made *x = a, *y = b;

	return x->r.base < y->r.base ? -1 : x->r.base > y->r.base;
}

static int
check(const struct made *m, size_t n, char *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct idmap_range *r = &m[i].r;

		if (r->count > UINT32_MAX - r->base)
			return fail(err, "range overflow in '%.60s'", m[i].e->text);
		if (r->kind == IDMAP_SHIFT ? r->count > UINT32_MAX - r->target
					   : r->kind == IDMAP_SQUASH && r->target == UINT32_MAX)
			return fail(err, "target range overflow in '%.60s'", m[i].e->text);
		if (i > 0 && r->base < m[i - 1].r.base + m[i - 1].r.count)
			return fail(
			    err, "'%.60s' overlaps '%.60s'", m[i].e->text, m[i - 1].e->text);
	}
	return 0;
}

static int
build_one(const struct idmap_entry *e, size_t n, bool to_host, struct idmap_range **res,
    size_t *nres, char *err)
{
	struct made *m = calloc(MAX(n, 1u), sizeof(*m));
	struct idmap_range *out = calloc(MAX(n, 1u), sizeof(*out));
	size_t k = 0;
	int r = 0;

	if (m == NULL || out == NULL) {
		snprintf(err, IDMAP_ERROR_MAX, "out of memory");
		r = -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		k += range_of(&e[i], to_host, &m[k]);
	if (r == 0) {
		qsort(m, k, sizeof(*m), by_base);
		r = check(m, k, err);
	}
	for (size_t i = 0; r == 0 && i < k; i++)
		out[i] = m[i].r;
	free(m);
	if (r != 0 || k == 0) {
		free(out);
		out = NULL;
		k = 0;
	}
	*res = out;
	*nres = k;
	return r;
}

int
idmap_build(const struct idmap_entry *e, size_t n, struct idmap_range **to_host, size_t *nhost,
    struct idmap_range **to_guest, size_t *nguest, char err[static IDMAP_ERROR_MAX])
{
	int r;

	*to_guest = NULL;
	*nguest = 0;
	if ((r = build_one(e, n, true, to_host, nhost, err)) == 0 &&
	    (r = build_one(e, n, false, to_guest, nguest, err)) != 0) {
		free(*to_host);
		*to_host = NULL;
		*nhost = 0;
	}
	return r;
}
