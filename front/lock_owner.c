/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of owners: lists in shards by node. A shard's lock is held for a walk and no system call; an owner's lock
 * around each call that changes what it holds, so that its ranges are what the kernel has. Only lock_owner_wait() waits
 * in the kernel, without a lock; what it got counts when lock_owner_try() has confirmed it.
 *
 * Bounds: owners (each an fd), and ranges (each kernel memory of the host), for all owners together. Owners that hold
 * nothing stay for the next lock, as many as there is room for.
 * Runs in: front, queue threads, I/O pool, lock threads. Keys and ranges come from: the guest, hostile, checked.
 */
#include "front/lock_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

#define SHARDS 64u
#define RANGES_A_CALL 2u /* that one call may add */

/* An open file that more than its owner may be using: a thread that waits on it. */
struct lock_fd {
	_Atomic unsigned refs;
	int fd;
};

struct lock_owner {
	struct lock_key key; /* constant */
	struct lock_owner *next; /* in its shard's list */
	unsigned refs; /* under the shard's lock; the list has one */
	bool listed; /* likewise */
	_Atomic uint64_t fh; /* through which it last locked something */

	pthread_mutex_t lock; /* what follows */
	struct lock_fd *file;
	bool writable, dead;
	struct lock_ranges ranges;
};

static struct shard {
	pthread_mutex_t lock;
	struct lock_owner *first;
} shards[SHARDS];

static unsigned max_owners, max_ranges;
static _Atomic unsigned nowners, nranges;

void
lock_owners_init(unsigned owners, unsigned ranges)
{
	max_owners = owners;
	max_ranges = ranges;
	for (unsigned i = 0; i < SHARDS; i++)
		pthread_mutex_init(&shards[i].lock, NULL);
}

static struct shard *
shard_of(uint64_t node)
{
	return &shards[(node * UINT64_C(0x9e3779b97f4a7c15)) >> 58];
}

static bool
same_key(const struct lock_key *a, const struct lock_key *b)
{
	return a->node == b->node && a->owner == b->owner && a->kind == b->kind;
}

/* In a locked shard. With a reference. */
static struct lock_owner *
search(struct shard *s, const struct lock_key *key)
{
	struct lock_owner *o;

	for (o = s->first; o != NULL; o = o->next)
		if (same_key(&o->key, key)) {
			o->refs++;
			return o;
		}
	return NULL;
}

struct lock_owner *
lock_owner_get(const struct lock_key *key)
{
	struct shard *s = shard_of(key->node);
	struct lock_owner *o;

	pthread_mutex_lock(&s->lock);
	o = search(s, key);
	pthread_mutex_unlock(&s->lock);
	return o;
}

static struct lock_fd *
file_new(int fd)
{
	struct lock_fd *f = malloc(sizeof(*f));

	if (f == NULL)
		fatalx("out of memory");
	atomic_init(&f->refs, 1);
	f->fd = fd;
	return f;
}

static void
file_put(struct lock_fd *f)
{
	if (atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	fd_close(&f->fd);
	free(f);
}

/* Nobody refers to it any more. */
static void
destroy(struct lock_owner *o)
{
	atomic_fetch_sub(&nranges, o->ranges.n);
	atomic_fetch_sub(&nowners, 1);
	file_put(o->file);
	lock_ranges_free(&o->ranges);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

void
lock_owner_put(struct lock_owner *o)
{
	struct shard *s = shard_of(o->key.node);
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --o->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (last)
		destroy(o);
}

/* Take it out of its shard, which is locked. Its list's reference is the caller's then. */
static void
unlist(struct shard *s, struct lock_owner *o)
{
	struct lock_owner **p = &s->first;

	while (*p != o)
		p = &(*p)->next;
	*p = o->next;
	o->listed = false;
}

/* An owner of a locked shard that holds nothing and that nobody uses, unlisted; or NULL. */
static struct lock_owner *
take_idle(struct shard *s)
{
	for (struct lock_owner *o = s->first; o != NULL; o = o->next)
		/* Without another reference nobody is inside its lock. */
		if (o->refs == 1 && o->ranges.n == 0) {
			unlist(s, o);
			return o;
		}
	return NULL;
}

/* Count one more owner, if need be in the place of one that is idle. */
static bool
admit(void)
{
	if (atomic_fetch_add(&nowners, 1) < max_owners)
		return true;
	for (unsigned i = 0; i < SHARDS; i++) {
		struct lock_owner *o;

		pthread_mutex_lock(&shards[i].lock);
		o = take_idle(&shards[i]);
		pthread_mutex_unlock(&shards[i].lock);
		if (o != NULL) {
			destroy(o);
			return true;
		}
	}
	atomic_fetch_sub(&nowners, 1);
	return false;
}

static struct lock_owner *
owner_new(const struct lock_key *key, int fd, bool writable)
{
	struct lock_owner *o = calloc(1, sizeof(*o));

	if (o == NULL)
		fatalx("out of memory");
	o->key = *key;
	o->refs = 2;
	o->listed = true;
	o->file = file_new(fd);
	o->writable = writable;
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

static struct flock
posix_lock(uint32_t type, uint64_t start, uint64_t end)
{
	return (struct flock){
		.l_type = (short)type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)start,
		/* 0: to the end, wherever that is. */
		.l_len = end == LOCK_OFFSET_MAX ? 0 : (off_t)(end - start + 1),
	};
}

static int
flock_operation(uint32_t type)
{
	return type == F_RDLCK ? LOCK_SH : type == F_WRLCK ? LOCK_EX : LOCK_UN;
}

/* -EACCES and -EAGAIN mean the same (fcntl(2)). */
static int
result(int r)
{
	return r != -1 ? 0 : errno == EACCES ? -EAGAIN : -errno;
}

/*
 * Move what a reader holds to an open file that can be write-locked. While it holds read locks there are no write locks of
 * others, so that each can be had a second time, and there is no moment without. Returns 0 or a negative errno.
 */
static int
move_to(struct lock_owner *o, int fd)
{
	for (uint32_t i = 0; i < o->ranges.n; i++) {
		const struct lock_range *r = &o->ranges.r[i];
		struct flock f = posix_lock(r->type, r->start, r->end);
		int e = result(fcntl(fd, F_OFD_SETLK, &f));

		if (e != 0)
			return e == -EAGAIN ? -ENOLCK : e;
	}
	file_put(o->file);
	o->file = file_new(fd);
	o->writable = true;
	return 0;
}

/* A second open file for an owner that has one. */
static int
better(struct lock_owner *o, int fd, bool writable)
{
	int e = 0;
	bool used = false;

	pthread_mutex_lock(&o->lock);
	if (writable && !o->writable && !o->dead && o->key.kind == LOCK_POSIX) {
		e = move_to(o, fd);
		used = e == 0;
	}
	pthread_mutex_unlock(&o->lock);
	if (!used)
		close(fd);
	return e;
}

int
lock_owner_open(const struct lock_key *key, int fd, bool writable, struct lock_owner **res)
{
	struct shard *s = shard_of(key->node);
	struct lock_owner *fresh = NULL, *o;
	int e = 0;

	if ((o = lock_owner_get(key)) == NULL) {
		if (!admit()) {
			close(fd);
			return -ENOLCK;
		}
		fresh = owner_new(key, fd, writable);
		pthread_mutex_lock(&s->lock);
		o = search(s, key);
		if (o == NULL) {
			o = fresh;
			fresh->next = s->first;
			s->first = fresh;
		}
		pthread_mutex_unlock(&s->lock);
	}
	if (o != fresh) {
		if (fresh != NULL) {
			/* Two requests of one owner: the first made it. */
			fresh->file->fd = -1;
			destroy(fresh);
		}
		e = better(o, fd, writable);
	}
	if (e != 0)
		lock_owner_put(o);
	else
		*res = o;
	return e;
}

bool
lock_owner_can(struct lock_owner *o, uint32_t type)
{
	bool can;

	pthread_mutex_lock(&o->lock);
	can = type != F_WRLCK || o->key.kind == LOCK_FLOCK || o->writable;
	pthread_mutex_unlock(&o->lock);
	return can;
}

/* The owner is locked. */
static void
note(struct lock_owner *o, uint64_t start, uint64_t end, uint32_t type, uint32_t pid)
{
	const unsigned before = o->ranges.n;

	lock_ranges_set(&o->ranges, start, end, type, pid);
	atomic_fetch_add(&nranges, o->ranges.n - before);
}

static int
try_posix(struct lock_owner *o, const struct lock_want *w)
{
	struct flock f = posix_lock(w->type, w->start, w->end);
	int e = result(fcntl(o->file->fd, F_OFD_SETLK, &f));

	if (e == 0)
		note(o, w->start, w->end, w->type, w->pid);
	return e;
}

static int
try_flock(struct lock_owner *o, const struct lock_want *w)
{
	int e = result(flock(o->file->fd, flock_operation(w->type) | LOCK_NB));

	if (e == 0)
		note(o, 0, LOCK_OFFSET_MAX, w->type, w->pid);
	else if (e == -EAGAIN && o->ranges.n > 0 && o->ranges.r[0].type != w->type)
		/* What it had is lost: a conversion is not atomic (flock(2)). */
		note(o, 0, LOCK_OFFSET_MAX, F_UNLCK, 0);
	return e;
}

int
lock_owner_try(struct lock_owner *o, const struct lock_want *w, bool granted)
{
	int e = 0;

	/* Unlocking may split a range in two, and needs room as well (fcntl(2), ENOLCK). */
	if (atomic_fetch_add(&nranges, RANGES_A_CALL) + RANGES_A_CALL > max_ranges && !granted)
		e = -ENOLCK;
	pthread_mutex_lock(&o->lock);
	if (e != 0 && w->type == F_UNLCK && w->start == 0 && w->end == LOCK_OFFSET_MAX)
		/* All of it: what has no room is what makes room. */
		e = 0;
	if (e == 0 && o->dead)
		e = -EBADF;
	if (e == 0 && lock_ranges_reserve(&o->ranges) != 0)
		fatalx("out of memory");
	if (e == 0)
		e = o->key.kind == LOCK_POSIX ? try_posix(o, w) : try_flock(o, w);
	if (e == 0 && w->type != F_UNLCK)
		atomic_store(&o->fh, w->fh);
	pthread_mutex_unlock(&o->lock);
	atomic_fetch_sub(&nranges, RANGES_A_CALL);
	return e;
}

/* Let go of all that it holds, also if somebody still waits on its open file. The owner is locked. */
static void
unlock_all(struct lock_owner *o)
{
	struct flock f = posix_lock(F_UNLCK, 0, LOCK_OFFSET_MAX);

	if (o->key.kind == LOCK_POSIX)
		(void)fcntl(o->file->fd, F_OFD_SETLK, &f);
	else
		(void)flock(o->file->fd, LOCK_UN);
	atomic_fetch_sub(&nranges, o->ranges.n);
	o->ranges.n = 0;
}

int
lock_owner_wait(struct lock_owner *o, const struct lock_want *w)
{
	struct flock f = posix_lock(w->type, w->start, w->end);
	struct lock_fd *file = NULL;
	int e;

	pthread_mutex_lock(&o->lock);
	if (!o->dead) {
		file = o->file;
		atomic_fetch_add(&file->refs, 1);
	}
	pthread_mutex_unlock(&o->lock);
	if (file == NULL)
		return -EBADF;
	if (o->key.kind == LOCK_POSIX)
		e = result(fcntl(file->fd, F_OFD_SETLKW, &f));
	else
		e = result(flock(file->fd, flock_operation(w->type)));
	file_put(file);
	pthread_mutex_lock(&o->lock);
	/* What came after its end would stay for as long as somebody refers to it: a request whose ring is stopped. */
	if (o->dead)
		unlock_all(o);
	pthread_mutex_unlock(&o->lock);
	return e;
}

/* Whose lock of this guest is that? 0 if it is nobody's here, or his owner is busy at the moment. */
static uint32_t
pid_of(const struct lock_key *asks, const struct flock *f)
{
	const uint64_t start = (uint64_t)f->l_start;
	struct shard *s = shard_of(asks->node);
	const struct lock_range *r;
	uint32_t pid = 0;

	pthread_mutex_lock(&s->lock);
	for (struct lock_owner *o = s->first; o != NULL && pid == 0; o = o->next) {
		if (o->key.node != asks->node || o->key.kind != LOCK_POSIX ||
		    o->key.owner == asks->owner || pthread_mutex_trylock(&o->lock) != 0)
			continue;
		r = lock_ranges_conflict(&o->ranges, start, start, F_WRLCK);
		if (r != NULL && r->type == (uint32_t)f->l_type)
			pid = r->pid;
		pthread_mutex_unlock(&o->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return pid;
}

int
lock_test(const struct lock_key *key, int fd, struct lock_want *w)
{
	struct lock_owner *o = lock_owner_get(key);
	struct flock f = posix_lock(w->type, w->start, w->end);
	int e;

	if (o != NULL) {
		pthread_mutex_lock(&o->lock);
		e = result(fcntl(o->file->fd, F_OFD_GETLK, &f));
		pthread_mutex_unlock(&o->lock);
		lock_owner_put(o);
	} else
		e = result(fcntl(fd, F_OFD_GETLK, &f));
	if (e != 0)
		return e;
	w->type = (uint32_t)f.l_type;
	if (f.l_type == F_UNLCK)
		return 0;
	w->start = (uint64_t)f.l_start;
	w->end = f.l_len == 0 ? LOCK_OFFSET_MAX : w->start + (uint64_t)f.l_len - 1;
	w->pid = pid_of(key, &f);
	return 0;
}

bool
lock_owners_any(void)
{
	return atomic_load_explicit(&nowners, memory_order_relaxed) > 0;
}

void
lock_owners_flush(const struct lock_key *key)
{
	struct shard *s = shard_of(key->node);
	struct lock_owner *o = lock_owner_get(key);
	bool last = false;

	if (o == NULL)
		return;
	pthread_mutex_lock(&o->lock);
	unlock_all(o);
	pthread_mutex_unlock(&o->lock);
	/* Somebody else who uses it is another thread of that process, which still waits for a lock. */
	pthread_mutex_lock(&s->lock);
	if (o->refs == 2 && o->listed) {
		unlist(s, o);
		o->refs = 0;
		last = true;
	}
	pthread_mutex_unlock(&s->lock);
	if (last)
		destroy(o);
	else
		lock_owner_put(o);
}

/* It ends, whoever uses it: nothing is locked by it any more. Takes over the reference of its list. */
static void
kill_owner(struct lock_owner *o)
{
	pthread_mutex_lock(&o->lock);
	o->dead = true;
	unlock_all(o);
	pthread_mutex_unlock(&o->lock);
	lock_owner_put(o);
}

/* Kill those of a shard that match, one after the other: no system call under its lock. */
static void
kill_all(struct shard *s, bool all, uint64_t node, uint64_t fh)
{
	struct lock_owner *o, *found;

	do {
		found = NULL;
		pthread_mutex_lock(&s->lock);
		for (o = s->first; o != NULL && found == NULL; o = o->next)
			if (all || (o->key.node == node && atomic_load(&o->fh) == fh))
				found = o;
		if (found != NULL)
			unlist(s, found);
		pthread_mutex_unlock(&s->lock);
		if (found != NULL)
			kill_owner(found);
	} while (found != NULL);
}

void
lock_owners_release(uint64_t node, uint64_t fh)
{
	kill_all(shard_of(node), false, node, fh);
}

void
lock_owners_wipe(void)
{
	for (unsigned i = 0; i < SHARDS; i++)
		kill_all(&shards[i], true, 0, 0);
}

void
lock_owners_count(unsigned *owners, unsigned *ranges)
{
	*owners = atomic_load(&nowners);
	*ranges = atomic_load(&nranges);
}
