/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting for locks. A few threads wait in the kernel, which hands a lock over at once and in turn; those who come when all
 * of them wait are asked for again every few milliseconds, and take the place of the next that is done. Nobody else waits:
 * no queue thread, no lane, no thread of the I/O pool.
 */
#ifndef FRONT_LOCK_WAIT_H
#define FRONT_LOCK_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "front/lock_owner.h"

struct lock_waiter {
	struct lock_owner *owner; /* a reference that stays the caller's */
	uint64_t node;
	struct lock_want want;
	uint64_t unique; /* of the guest's request */
	uint64_t id; /* the caller's: no two waiters have the same */
	void *request; /* the caller's */
	/* Called once, by any thread: 0, or why not. The waiter is the callee's from there. */
	void (*done)(struct lock_waiter *, int error);

	/* lock_wait.c */
	struct lock_waiter *next;
	int cancelled; /* 0, or the negative errno it was cancelled with */
};

/* Start the threads. Before the seal; ends the process on failure. */
void lock_wait_start(void);

/* Wait until the waiter has its lock. done() may be called before this returns. */
void lock_wait(struct lock_waiter *);
/* Whoever waits for locks of this owner shall look at its open file again: it has another one. */
void lock_wait_again(const struct lock_owner *);

/* End waits with this error, unless they end otherwise first. Of this request; of this id; through this handle; all. */
void lock_wait_cancel(uint64_t unique, int error);
void lock_wait_cancel_id(uint64_t id, int error);
void lock_wait_cancel_handle(uint64_t node, uint64_t fh, int error);
void lock_wait_cancel_all(int error);

#define LOCK_THREADS 16u

#endif
