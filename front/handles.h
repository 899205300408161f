/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's open files and directories. The id (fh) that the guest sees names a slot and its generation: a handle
 * that was released is never another one.
 */
#ifndef FRONT_HANDLES_H
#define FRONT_HANDLES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"

/* The last close of an unlinked file frees its blocks: 100 ms and more for a large one. */
#define HANDLE_SMALL (1u << 20)

struct handle {
	_Atomic uint64_t state; /* generation << 32 | live << 31 | references */
	uint32_t slot;
	int fd; /* donated; -1: the worker serves it */
	uint64_t node;
	uint32_t flags; /* Linux O_* it was opened with, for the worker to open it again */
	bool dir;
	_Atomic bool
	    small; /* when opened, and not made larger through this handle: its last close is fast */
	_Atomic bool setid; /* has set-id bits by now: changes go through the worker */
	_Atomic bool no_nowait; /* its file system has no RWF_NOWAIT */
};

/*
 * A new handle, not yet to be found by the guest, with one reference that is the caller's: handle_put() it. Returns 0, -ENFILE.
 */
int handle_new(struct handle **) ATTR_MUSTCHECK;
uint64_t handle_fh(const struct handle *);
/* From now on handle_get() finds it. The table takes a reference of its own. */
void handle_publish(struct handle *);

/* The handle fh of this node, with a reference to be put. NULL: no such handle, or another node's. */
struct handle *handle_get(uint64_t fh, uint64_t node);
/* Give a reference back. Returns the fd to close if it was the last one, or -1. */
int handle_put(struct handle *) ATTR_MUSTCHECK;
/* Take it from the guest: handle_get() finds it no more. The caller holds a reference of its own. */
void handle_unpublish(struct handle *);

/* Data was written, or room made, up to this end. */
static inline void
handle_grown(struct handle *h, uint64_t end)
{
	if (end > HANDLE_SMALL)
		atomic_store_explicit(&h->small, false, memory_order_relaxed);
}

/* All handles of node: their changes go through the worker from now on. */
void handles_mark_setid(uint64_t node);
/* How often that was done: a handle published after it may have to be looked at again. */
uint32_t handles_setid_marks(void);
/* Release all. */
void handles_wipe(void);

#endif
