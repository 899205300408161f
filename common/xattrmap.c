/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Matching names against a compiled map. A map has few rules: they are tried in order, as they were written.
 * Runs in: monitor (checks at start), worker (each request). The map comes from the command line, guest names from the guest,
 * host names from the file system.
 */
#include "common/xattrmap.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>

static bool
inside(const struct xattrmap *m, const struct xattrmap_text *t, size_t texts)
{
	return t->off >= texts && t->off <= m->len && t->len <= m->len - t->off;
}

int
xattrmap_check(const void *p, size_t n)
{
	const struct xattrmap *m = p;
	size_t texts;

	if (n < sizeof(*m) || (uintptr_t)p % alignof(struct xattrmap) != 0 || m->len != n ||
	    m->nrules == 0 || m->nrules > (n - sizeof(*m)) / sizeof(m->rule[0]))
		return -EINVAL;
	texts = sizeof(*m) + m->nrules * sizeof(m->rule[0]);
	for (uint32_t i = 0; i < m->nrules; i++) {
		const struct xattrmap_rule *r = &m->rule[i];

		if (r->type > XATTRMAP_UNSUPPORTED || r->scope == 0 ||
		    (r->scope & ~XATTRMAP_ALL) != 0 || !inside(m, &r->key, texts) ||
		    !inside(m, &r->prepend, texts))
			return -EINVAL;
	}
	return 0;
}

static const char *
text(const struct xattrmap *m, const struct xattrmap_text *t)
{
	return (const char *)m + t->off;
}

static bool
begins(const struct xattrmap *m, const struct xattrmap_text *t, const char *name, size_t n)
{
	return t->len <= n && memcmp(text(m, t), name, t->len) == 0;
}

static const struct xattrmap_rule *
find(const struct xattrmap *m, unsigned scope, const char *name, size_t n)
{
	for (uint32_t i = 0; i < m->nrules; i++) {
		const struct xattrmap_rule *r = &m->rule[i];

		if ((r->scope & scope) != 0 &&
		    begins(m, scope == XATTRMAP_CLIENT ? &r->key : &r->prepend, name, n))
			return r;
	}
	return NULL;
}

static int
join(const char *a, size_t na, const char *b, size_t nb, char *out)
{
	if (na > XATTRMAP_NAME_MAX || nb > XATTRMAP_NAME_MAX - na)
		return -ERANGE;
	memcpy(out, a, na);
	memcpy(out + na, b, nb);
	out[na + nb] = '\0';
	return 0;
}

int
xattrmap_client(const struct xattrmap *m, const char *name, char host[static XATTRMAP_NAME_MAX + 1])
{
	const struct xattrmap_rule *r;
	const size_t n = strlen(name);

	if (m == NULL)
		return join("", 0, name, n, host);
	r = find(m, XATTRMAP_CLIENT, name, n);
	if (r == NULL)
		return -EPERM;
	switch (r->type) {
	case XATTRMAP_PREFIX:
		return join(text(m, &r->prepend), r->prepend.len, name, n, host);
	case XATTRMAP_OK:
		return join("", 0, name, n, host);
	case XATTRMAP_UNSUPPORTED:
		return -EOPNOTSUPP;
	default:
		return -EPERM;
	}
}

const char *
xattrmap_server(const struct xattrmap *m, const char *name)
{
	const struct xattrmap_rule *r;

	if (m == NULL)
		return name;
	r = find(m, XATTRMAP_SERVER, name, strlen(name));
	if (r == NULL || r->type == XATTRMAP_BAD || r->type == XATTRMAP_UNSUPPORTED)
		return NULL;
	if (r->type == XATTRMAP_PREFIX)
		name += r->prepend.len;
	return *name != '\0' ? name : NULL;
}

bool
xattrmap_catches_all(const struct xattrmap *m, unsigned scope)
{
	return m == NULL || find(m, scope, "", 0) != NULL;
}
