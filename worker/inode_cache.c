/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which inodes keep their fd: a clock with a second chance over those that may lose it. Eviction needs no lock of the
 * inode table: it swaps the reference count from "only the table" to EVICTING, which every new reference waits out (a few
 * instructions). The clock's lock is never held around a system call or with a lock of the table.
 * Runs in: worker, all threads.
 */
#include "worker/inode_cache.h"

#include <pthread.h>
#include <unistd.h>

#include "worker/mounts.h"

#define SCAN_MAX 256u /* inodes looked at for one eviction */
#define TRIES_MORE 8u /* for inodes that somebody began to use meanwhile */

TAILQ_HEAD(clock, inode);

static struct clock clock_list = TAILQ_HEAD_INITIALIZER(clock_list);
static pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t fd_seq;
static _Atomic int64_t fds_open, without_fd;
static int64_t fd_budget;

void
inode_cache_init(uint32_t budget)
{
	fd_budget = budget;
}

uint32_t
inode_seq(void)
{
	return atomic_load_explicit(&fd_seq, memory_order_acquire);
}

uint32_t
inode_cache_stamp(void)
{
	return atomic_fetch_add(&fd_seq, 1) + 1;
}

bool
inode_cache_has_gaps(void)
{
	return atomic_load_explicit(&without_fd, memory_order_relaxed) > 0;
}

/* The clock is locked. */
static void
enlist(struct inode *in)
{
	if (!inode_has(in, INODE_PINNED | INODE_DEAD)) {
		TAILQ_INSERT_TAIL(&clock_list, in, clock);
		inode_set(in, INODE_LISTED);
	}
}

static void
delist(struct inode *in)
{
	if (inode_has(in, INODE_LISTED)) {
		TAILQ_REMOVE(&clock_list, in, clock);
		atomic_fetch_and(&in->flags, (uint16_t)~INODE_LISTED);
	}
}

void
inode_cache_enter(struct inode *in)
{
	pthread_mutex_lock(&clock_lock);
	enlist(in);
	pthread_mutex_unlock(&clock_lock);
	inode_fds_add(1);
}

void
inode_cache_leave(struct inode *in)
{
	int fd;

	pthread_mutex_lock(&clock_lock);
	delist(in);
	pthread_mutex_unlock(&clock_lock);
	fd = inode_fd(in);
	if (fd >= 0) {
		close(fd);
		atomic_fetch_sub(&fds_open, 1);
	} else
		atomic_fetch_sub(&without_fd, 1);
}

void
inode_set_fd(struct inode *in, int fd)
{
	bool taken = false;

	pthread_mutex_lock(&clock_lock);
	if (inode_fd(in) < 0) {
		atomic_store(&in->since, inode_cache_stamp());
		atomic_store_explicit(&in->fd, fd, memory_order_release);
		enlist(in);
		taken = true;
	}
	pthread_mutex_unlock(&clock_lock);
	if (!taken) {
		close(fd);
		return;
	}
	atomic_fetch_sub(&without_fd, 1);
	inode_fds_add(1);
}

void
inode_pin(struct inode *in)
{
	pthread_mutex_lock(&clock_lock);
	inode_set(in, INODE_PINNED);
	delist(in);
	pthread_mutex_unlock(&clock_lock);
}

void
inode_unpin(struct inode *in)
{
	pthread_mutex_lock(&clock_lock);
	if (inode_has(in, INODE_PINNED) && !inode_has(in, INODE_PRIVATE) && in->node != ROOT_NODE) {
		atomic_fetch_and(&in->flags, (uint16_t)~INODE_PINNED);
		if (inode_fd(in) >= 0 && !inode_has(in, INODE_LISTED))
			enlist(in);
	}
	pthread_mutex_unlock(&clock_lock);
}

/* Would it not be recognised without its fd? */
static bool
needs_hash(const struct inode *in)
{
	return inode_has(in, INODE_HANDLE) && !inode_is_hashed(in);
}

/* A reference to an inode on the clock, which is locked, if nobody else has one. */
static bool
hold(struct inode *in)
{
	uint32_t one = 1;

	return inode_has(in, INODE_VAULTED) && atomic_compare_exchange_strong(&in->refs, &one, 2);
}

/* The last moment for it. */
static void
read_hash(struct inode *in)
{
	uint64_t hash;

	if (inode_is_hashed(in))
		return;
	if (inode_hash_handle(inode_fd(in), &hash) == 0) {
		in->hash = hash;
		atomic_fetch_or_explicit(&in->flags, INODE_HASHED, memory_order_release);
		return;
	}
	/* Others on its mount have a handle: it keeps its fd, and from now on each one there is asked for its own. */
	mounts_distrust(in->mount);
	inode_set(in, INODE_PRIVATE);
	inode_pin(in);
}

/*
 * Try to take the fd of an inode on the clock, which is locked: so the table has a reference, and refs, which is that and the
 * caller's, says that nobody else has one. Only the table's is left.
 */
static int
take_fd(struct inode *in, uint32_t refs)
{
	int fd;

	if (!inode_has(in, INODE_VAULTED) || needs_hash(in) ||
	    !atomic_compare_exchange_strong(&in->refs, &refs, 1 | INODE_EVICTING))
		return -1;
	fd = atomic_exchange(&in->fd, -1);
	delist(in);
	atomic_fetch_add(&without_fd, 1);
	atomic_fetch_and_explicit(&in->refs, ~INODE_EVICTING, memory_order_release);
	return fd;
}

/* Returns the fd of an inode that has none now, or -1; then *held has a reference, if one only needs its hash before. */
static int
evict_one(struct inode **held)
{
	struct inode *in;
	int fd = -1;

	*held = NULL;
	pthread_mutex_lock(&clock_lock);
	for (unsigned i = 0; i < SCAN_MAX; i++) {
		in = TAILQ_FIRST(&clock_list);
		if (in == NULL)
			break;
		if (atomic_exchange_explicit(&in->used, 0, memory_order_relaxed) == 0) {
			if (needs_hash(in) && hold(in))
				*held = in;
			else
				fd = take_fd(in, 1);
			if (*held != NULL || fd >= 0)
				break;
		}
		TAILQ_REMOVE(&clock_list, in, clock);
		TAILQ_INSERT_TAIL(&clock_list, in, clock);
	}
	pthread_mutex_unlock(&clock_lock);
	return fd;
}

/* Evict one that evict_one() held: that has a live fd. Returns the fd, or -1 if somebody uses it now. */
static int
evict_held(struct inode *in)
{
	int fd = -1;

	read_hash(in);
	pthread_mutex_lock(&clock_lock);
	if (inode_has(in, INODE_LISTED))
		fd = take_fd(in, 2);
	pthread_mutex_unlock(&clock_lock);
	if (fd < 0)
		inode_put(in);
	return fd;
}

unsigned
inode_evict(unsigned n)
{
	struct inode *held;
	unsigned done = 0;

	for (unsigned tries = 0; done < n && tries < n + TRIES_MORE; tries++) {
		int fd = evict_one(&held);

		if (held != NULL && (fd = evict_held(held)) < 0)
			continue;
		if (fd < 0)
			break;
		atomic_fetch_sub(&fds_open, 1);
		close(fd);
		done++;
	}
	return done;
}

void
inode_fds_add(int n)
{
	atomic_fetch_add(&fds_open, n);
	while (atomic_load(&fds_open) > fd_budget && inode_evict(1) == 1)
		;
}
