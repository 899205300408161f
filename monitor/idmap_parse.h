/* SPDX-License-Identifier: BSD-3-Clause */
/* --translate-uid and --translate-gid: their grammar (spec/cli.md section 4.2) and what they amount to (spec/idmap.md). */
#ifndef MONITOR_IDMAP_PARSE_H
#define MONITOR_IDMAP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/idmap.h"

#define IDMAP_ERROR_MAX 200

enum idmap_type {
	IDMAP_T_GUEST,
	IDMAP_T_HOST,
	IDMAP_T_SQUASH_GUEST,
	IDMAP_T_SQUASH_HOST,
	IDMAP_T_MAP,
	IDMAP_T_FORBID_GUEST
};

/* One option, as it was typed: from, to and count of those ids; forbid-guest has no to. */
struct idmap_entry {
	enum idmap_type type;
	uint32_t from, to, count;
	const char *text;
};

/* Parse one value. Keeps text. Returns 0, or -EINVAL with what is wrong in err: a usage error. */
int idmap_parse(
    const char *text, struct idmap_entry *, char err[static IDMAP_ERROR_MAX]) ATTR_MUSTCHECK;

/*
 * The two tables of n entries, both to be freed with free() (NULL where empty). Returns 0, -EINVAL (ranges that overflow or
 * overlap; err names the entry), -ENOMEM.
 */
int idmap_build(const struct idmap_entry *, size_t n, struct idmap_range **to_host, size_t *nhost,
    struct idmap_range **to_guest, size_t *nguest, char err[static IDMAP_ERROR_MAX]) ATTR_MUSTCHECK;

#endif
