/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * -o: the options of QEMU's virtiofsd, comma separated. They are applied after all others, left to right, and so override
 * them (spec/cli.md section 3.1). Runs in: monitor. Bytes written by: whoever starts the daemon (trusted).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/options_table.h"

#define FIELD(f) .at = offsetof(struct options, f), .size = sizeof(((struct options *)NULL)->f)

static const struct word cache_words[] = {
	{ "auto", CACHE_AUTO, "" },
	{ "always", CACHE_ALWAYS, "" },
	{ "none", CACHE_NEVER, "" },
	{ "metadata", CACHE_METADATA, "" },
	{ NULL, 0, NULL },
};

static const struct word log_words[] = {
	{ "debug", LOG_DEBUG, "" },
	{ "info", LOG_INFO, "" },
	{ "warn", LOG_WARN, "" },
	{ "err", LOG_ERROR, "" },
	{ NULL, 0, NULL },
};

static const struct word sandbox_words[] = {
	{ "namespace", SANDBOX_NAMESPACE, "" },
	{ "chroot", SANDBOX_CHROOT, "" },
	{ NULL, 0, NULL },
};

static const struct word negotiation_words[] = {
	{ "always", NEGOTIATE_ALWAYS, "" },
	{ "never", NEGOTIATE_NEVER, "" },
	{ NULL, 0, NULL },
};

const struct row options_items[] = {
	{ "source", .arg = "PATH", .set = set_string, FIELD(shared_dir) },
	{ "cache", .arg = "POLICY", .set = set_word, FIELD(dev.cache), .words = cache_words },
	{ "loglevel", .arg = "LEVEL", .set = set_word, FIELD(log_level), .words = log_words },
	{ "sandbox", .arg = "MODE", .set = set_word, FIELD(sandbox), .words = sandbox_words },
	{ "xattrmap", .arg = "MAP", .set = set_xattrmap, FIELD(xattrmap) },
	{ "modcaps", .arg = "LIST", .set = set_string, FIELD(modcaps) },
	{ "xattr", .set = set_flag, .flag = DEV_XATTR },
	{ "no_xattr", .set = clear_flag, .flag = DEV_XATTR },
	{ "readdirplus", .set = clear_flag, .flag = DEV_NO_READDIRPLUS },
	{ "no_readdirplus", .set = set_flag, .flag = DEV_NO_READDIRPLUS },
	{ "writeback", .set = set_flag, .flag = DEV_WRITEBACK },
	{ "no_writeback", .set = clear_flag, .flag = DEV_WRITEBACK },
	{ "allow_direct_io", .set = set_flag, .flag = DEV_DIRECT_IO },
	{ "no_allow_direct_io", .set = clear_flag, .flag = DEV_DIRECT_IO },
	/* Without effect also in virtiofsd: --no-announce-submounts wins. */
	{ "announce_submounts", .set = NULL },
	{ "killpriv_v2", .set = set_flag, .flag = DEV_KILLPRIV_V2 },
	{ "no_killpriv_v2", .set = clear_flag, .flag = DEV_KILLPRIV_V2 },
	{ "posix_acl", .set = set_word, FIELD(dev.posix_acl), .words = negotiation_words,
	    .bare = "always" },
	{ "no_posix_acl", .set = set_word, FIELD(dev.posix_acl), .words = negotiation_words,
	    .bare = "never" },
	{ "security_label", .set = set_word, FIELD(dev.security_label), .words = negotiation_words,
	    .bare = "always" },
	{ "no_security_label", .set = set_word, FIELD(dev.security_label),
	    .words = negotiation_words, .bare = "never" },
	{ "no_posix_lock", .set = clear_flag, .flag = DEV_POSIX_LOCK },
	{ "no_flock", .set = clear_flag, .flag = DEV_FLOCK },
	{ .name = NULL },
};

/* "name" or "name=value", which is cut in two. */
static int
one_item(struct parse *p, char *item)
{
	char err[OPTIONS_ERROR_MAX];
	struct parse inner = { .o = p->o, .err = err };
	char *value = strchr(item, '=');
	const size_t n = value != NULL ? (size_t)(value - item) : strlen(item);
	const struct row *row = NULL;

	for (const struct row *i = options_items; !row_is_end(i) && row == NULL; i++)
		if (strlen(i->name) == n && memcmp(i->name, item, n) == 0)
			row = i;
	if (row == NULL || (row->arg != NULL) != (value != NULL) ||
	    (value != NULL && strchr(value + 1, '=') != NULL))
		return parse_fail(p, "Invalid compat argument '-o %.80s'", item);
	if (value != NULL)
		*value++ = '\0';
	if (row_apply(&inner, row, value) != 0)
		return parse_fail(p, "Invalid compat value '%.80s' for '-o %s'", value, row->name);
	return 0;
}

int
options_compat(struct parse *p)
{
	struct options *o = p->o;
	int r = 0;

	o->compat = calloc(o->o.n + 1, sizeof(*o->compat));
	if (o->compat == NULL)
		return parse_fail(p, "out of memory");
	for (size_t i = 0; i < o->o.n && r == 0; i++) {
		char *rest = strdup(o->o.text[i]);

		if (rest == NULL)
			return parse_fail(p, "out of memory");
		o->compat[o->ncompat++] = rest;
		while (r == 0 && rest != NULL)
			r = one_item(p, strsep(&rest, ","));
	}
	return r;
}
