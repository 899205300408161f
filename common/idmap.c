/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking ids up. Runs in: monitor (checks), worker (each request). Tables come from the command line; ids from the guest and
 * from the file system.
 */
#include "common/idmap.h"

#include <errno.h>

static int
range_ok(const struct idmap_range *r)
{
	if (r->count == 0 || r->count > UINT32_MAX - r->base || r->kind > IDMAP_FORBID)
		return 0;
	if (r->kind == IDMAP_SHIFT)
		return r->count <= UINT32_MAX - r->target;
	return r->kind == IDMAP_FORBID || r->target != UINT32_MAX;
}

int
idmap_check(const struct idmap_range *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!range_ok(&r[i]))
			return -EINVAL;
		if (i > 0 && r[i].base < r[i - 1].base + r[i - 1].count)
			return -EINVAL;
	}
	return 0;
}

int
idmap_lookup(const struct idmap_range *r, size_t n, uint32_t id, uint32_t *res)
{
	size_t low = 0, high = n;

	/* The last range that begins at or below id. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r[mid].base <= id)
			low = mid + 1;
		else
			high = mid;
	}
	*res = id;
	if (low == 0 || id - r[low - 1].base >= r[low - 1].count)
		return 0;
	r = &r[low - 1];
	if (r->kind == IDMAP_FORBID)
		return -EIO;
	*res = r->kind == IDMAP_SHIFT ? r->target + (id - r->base) : r->target;
	return 0;
}
