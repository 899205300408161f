/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one lock owner holds of a file, as the kernel sees it: sorted ranges that do not overlap. The kernel cannot be asked
 * for it, and it is needed to bound how many ranges there are, to move a reader's locks to another open file, and to
 * say whose lock is in the way. Pure.
 */
#ifndef FRONT_LOCK_RANGES_H
#define FRONT_LOCK_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"

#define LOCK_OFFSET_MAX ((uint64_t)INT64_MAX)

struct lock_range {
	uint64_t start, end; /* both included; end <= LOCK_OFFSET_MAX */
	uint32_t type; /* F_RDLCK or F_WRLCK */
	uint32_t pid; /* of the guest's process that locked it */
};

struct lock_ranges {
	struct lock_range *r;
	uint32_t n, room;
};

/* Make sure that the next lock_ranges_set() finds memory. Returns 0 or -ENOMEM. */
int lock_ranges_reserve(struct lock_ranges *) ATTR_MUSTCHECK;
/* Lock, or with F_UNLCK unlock, [start, end]. At most two ranges more than before. lock_ranges_reserve() came before. */
void
lock_ranges_set(struct lock_ranges *, uint64_t start, uint64_t end, uint32_t type, uint32_t pid);
/* The first range that a lock of this type would conflict with, were it another owner's; or NULL. */
const struct lock_range *
lock_ranges_conflict(const struct lock_ranges *, uint64_t start, uint64_t end, uint32_t type);
void lock_ranges_free(struct lock_ranges *);

#endif
