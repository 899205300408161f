/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's memory: regions the VMM gave us by fd, mapped shared. Everything in it may change under us at any time.
 *
 * Changed only by the control thread, and only while all queue threads are paused (ADD) or have nothing in flight
 * (REM, SET): readers need no lock.
 */
#ifndef FRONT_GUEST_MEMORY_H
#define FRONT_GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/attr.h"

#define MEMORY_REGIONS_MAX 509 /* what virtiofsd answers to GET_MAX_MEM_SLOTS */

struct memory_region {
	uint64_t gpa; /* guest physical address */
	uint64_t size; /* bytes, > 0; gpa + size and uaddr + size do not wrap */
	uint64_t uaddr; /* the VMM's address of the same byte */
	uint8_t *host; /* ours */
	void *map; /* what to unmap: host minus the offset in the first page(s) */
	size_t map_len;
};

struct guest_memory {
	unsigned nregions;
	struct memory_region region[MEMORY_REGIONS_MAX]; /* sorted by gpa, not overlapping */
};

/*
 * Map and add a region: fd (stays the caller's) from offset on. Refused: size 0, wrap, overlap in gpa, beyond the end
 * of the file (fstat), not a mappable file, too many. Returns 0, -EINVAL, -ENOSPC, -errno of mmap.
 */
int memory_add(struct guest_memory *, uint64_t gpa, uint64_t size, uint64_t uaddr, int fd,
    uint64_t offset) ATTR_MUSTCHECK;
/* Unmap the region with exactly this gpa and size. Returns 0 or -ENOENT. */
int memory_remove(struct guest_memory *, uint64_t gpa, uint64_t size) ATTR_MUSTCHECK;
void memory_clear(struct guest_memory *);

/* Host address of len bytes at guest physical address gpa, all in one region; NULL otherwise. len 0 is NULL. */
void *memory_at(const struct guest_memory *, uint64_t gpa, uint64_t len);
/* The same for an address of the VMM (SET_VRING_ADDR). */
void *memory_at_uaddr(const struct guest_memory *, uint64_t uaddr, uint64_t len);

#endif
