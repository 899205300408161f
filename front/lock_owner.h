/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lock owners of the guest (a process, an open file) and what they hold on the host. Each owner of a file has an open file
 * of its own there, because locks of the host belong to open files (fcntl(2), "Open file description locks"; flock(2)):
 * two owners on one would not exclude each other. The worker opens them (RPC LOCKOPEN); here they are locked and nothing
 * else. Closing one releases all that it holds; so does the end of this process. All functions: any thread.
 */
#ifndef FRONT_LOCK_OWNER_H
#define FRONT_LOCK_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "front/lock_ranges.h"

enum lock_kind { LOCK_POSIX, LOCK_FLOCK };

/* Which owner of which file; the guest's numbers. */
struct lock_key {
	uint64_t node, owner;
	enum lock_kind kind;
};

/* Checked: start <= end <= LOCK_OFFSET_MAX, type one of F_RDLCK, F_WRLCK, F_UNLCK. flock: all of the file. */
struct lock_want {
	uint64_t start, end;
	uint32_t type;
	uint32_t pid; /* of the guest's process */
	uint64_t fh; /* the handle it locks through */
};

struct lock_owner;

/* Before the seal. max_owners: open files there may be; max_ranges: ranges of all owners. */
void lock_owners_init(unsigned max_owners, unsigned max_ranges);

/* The owner of this key with a reference, or NULL. */
struct lock_owner *lock_owner_get(const struct lock_key *);
/*
 * Make it, with its own open file fd (taken over), open for writing if writable; or give it a better one: what it holds
 * moves. Returns 0 and *o with a reference, or -ENOLCK: there are too many.
 */
int lock_owner_open(
    const struct lock_key *, int fd, bool writable, struct lock_owner **o) ATTR_MUSTCHECK;
void lock_owner_put(struct lock_owner *);
/* Can its open file hold such a lock? F_WRLCK of fcntl needs one that is open for writing. */
bool lock_owner_can(struct lock_owner *, uint32_t type);

/*
 * Lock or unlock without waiting. granted: lock_owner_wait() has already got it, so that the limit of ranges does not
 * matter any more. Returns 0, -EAGAIN (another owner's lock is in the way), -ENOLCK, -EBADF (the owner is gone), or
 * what the file system says.
 */
int lock_owner_try(struct lock_owner *, const struct lock_want *, bool granted) ATTR_MUSTCHECK;
/*
 * Wait until it is there, which then may be lost again: lock_owner_try() has the last word. Returns 0, -EINTR (a signal),
 * or what the file system says.
 */
int lock_owner_wait(struct lock_owner *, const struct lock_want *) ATTR_MUSTCHECK;

/*
 * GETLK: which lock is in the way of *w? Asked through fd, an open file that the owner's own locks do not belong to, or
 * (-1) through the owner's. *w becomes that lock, or of type F_UNLCK. pid: 0 if it is not of this guest.
 */
int lock_test(const struct lock_key *, int fd, struct lock_want *w) ATTR_MUSTCHECK;

/* Is there any owner at all? */
bool lock_owners_any(void);
/* Close of a file by a process: its fcntl locks on it end (POSIX close()). */
void lock_owners_flush(const struct lock_key *);
/* The last close of a handle: whatever was locked through it ends. */
void lock_owners_release(uint64_t node, uint64_t fh);
/* Everything ends. */
void lock_owners_wipe(void);

/* How many owners and ranges there are; for tests. */
void lock_owners_count(unsigned *owners, unsigned *ranges);

#endif
