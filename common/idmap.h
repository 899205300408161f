/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translation of user and group ids (spec/idmap.md section 2): sorted tables of disjoint ranges, made by the monitor
 * (monitor/idmap_parse.c), looked up by each worker on every attribute. Ids that no range has are themselves. Pure.
 */
#ifndef COMMON_IDMAP_H
#define COMMON_IDMAP_H

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

enum idmap_kind { IDMAP_SHIFT, IDMAP_SQUASH, IDMAP_FORBID };

struct idmap_range {
	uint32_t base, count; /* ids [base, base + count), count > 0, never including 4294967295 */
	uint32_t target; /* SHIFT: of base; SQUASH: of all */
	uint32_t kind; /* enum idmap_kind */
};

/* The tables: both directions of both kinds of ids. */
enum idmap_table { IDMAP_UID_TO_HOST, IDMAP_UID_TO_GUEST, IDMAP_GID_TO_HOST, IDMAP_GID_TO_GUEST };
#define IDMAP_TABLES 4u

/* Can these n ranges be used without further checks? Returns 0 or -EINVAL. */
int idmap_check(const struct idmap_range *, size_t n) ATTR_MUSTCHECK;

/* Translate id. Returns 0, or -EIO: forbidden (the reference's errno, spec/idmap.md section 4). */
int idmap_lookup(const struct idmap_range *, size_t n, uint32_t id, uint32_t *res) ATTR_MUSTCHECK;

#endif
