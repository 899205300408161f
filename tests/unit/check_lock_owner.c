/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/lock_owner.c and front/lock_wait.c: the owners of one guest on real files, and somebody else who
 * holds locks as another guest or a process of the host would. Links those, lock_ranges.c, threads.c, common/log.c.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/log.h"
#include "front/lock_owner.h"
#include "front/lock_ranges.h"
#include "front/lock_wait.h"

#define NODE	20u
#define OWNERS	64u
#define RANGES	1000u
#define WAIT_MS	10000

static int file;	/* the file of NODE */

static int
opened(int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	fd = open(path, flags | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void
setup(void)
{
	char name[] = "/tmp/check_lock_owner.XXXXXX";

	file = mkostemp(name, O_CLOEXEC);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(unlink(name), 0);
	lock_owners_init(OWNERS, RANGES);
}

static void
teardown(void)
{
	unsigned owners, ranges;

	lock_wait_cancel_all(-ENOTCONN);
	lock_owners_wipe();
	lock_owners_count(&owners, &ranges);
	ck_assert_uint_eq(owners, 0);
	ck_assert_uint_eq(ranges, 0);
	close(file);
}

static struct lock_key
key(uint64_t owner, enum lock_kind kind)
{
	return (struct lock_key){ .node = NODE, .owner = owner, .kind = kind };
}

static struct lock_owner *
owner(uint64_t id, enum lock_kind kind, int flags)
{
	const struct lock_key k = key(id, kind);
	struct lock_owner *o = lock_owner_get(&k);

	if (o == NULL)
		ck_assert_int_eq(lock_owner_open(&k, opened(flags), (flags & O_ACCMODE) != O_RDONLY, &o), 0);
	return o;
}

static struct lock_want
want(uint32_t type, uint64_t start, uint64_t end)
{
	return (struct lock_want){ .start = start, .end = end, .type = type, .pid = 7, .fh = 70 };
}

static int
lock(uint64_t id, uint32_t type, uint64_t start, uint64_t end)
{
	const struct lock_want w = want(type, start, end);
	struct lock_owner *o = owner(id, LOCK_POSIX, O_RDWR);
	int e = lock_owner_try(o, &w, false);

	lock_owner_put(o);
	return e;
}

static int
lock_flock(uint64_t id, uint32_t type)
{
	const struct lock_want w = want(type, 0, LOCK_OFFSET_MAX);
	struct lock_owner *o = owner(id, LOCK_FLOCK, O_RDONLY);
	int e = lock_owner_try(o, &w, false);

	lock_owner_put(o);
	return e;
}

/* Somebody else. */
static int
other(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock f = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &f) == -1 ? -errno : cmd == F_OFD_GETLK ? f.l_type : 0;
}

/* Type of the lock on one byte, as somebody else sees it. */
static int
seen(off_t byte)
{
	int fd = opened(O_RDWR), type = other(fd, F_OFD_GETLK, F_WRLCK, byte, 1);

	close(fd);
	return type;
}

START_TEST(owners_exclude_each_other)
{
	ck_assert_int_eq(lock(1, F_RDLCK, 0, 9), 0);
	ck_assert_int_eq(lock(2, F_RDLCK, 5, 14), 0);
	ck_assert_int_eq(lock(2, F_WRLCK, 5, 14), -EAGAIN);
	ck_assert_int_eq(lock(2, F_WRLCK, 10, 14), 0);
	ck_assert_int_eq(lock(1, F_RDLCK, 14, 20), -EAGAIN);
	ck_assert_int_eq(seen(4), F_RDLCK);
	ck_assert_int_eq(seen(12), F_WRLCK);
	ck_assert_int_eq(lock(2, F_UNLCK, 0, LOCK_OFFSET_MAX), 0);
	ck_assert_int_eq(seen(12), F_UNLCK);
	ck_assert_int_eq(lock(1, F_WRLCK, 0, LOCK_OFFSET_MAX), 0);
	ck_assert_int_eq(lock(2, F_RDLCK, LOCK_OFFSET_MAX, LOCK_OFFSET_MAX), -EAGAIN);
	ck_assert_int_eq(lock(1, F_UNLCK, LOCK_OFFSET_MAX, LOCK_OFFSET_MAX), 0);
	ck_assert_int_eq(lock(2, F_RDLCK, LOCK_OFFSET_MAX, LOCK_OFFSET_MAX), 0);
	/* Another kind of lock, another owner, whatever its number. */
	ck_assert_int_eq(lock_flock(1, F_WRLCK), 0);
	ck_assert_int_eq(lock_flock(2, F_RDLCK), -EAGAIN);
	ck_assert_int_eq(lock_flock(1, F_UNLCK), 0);
	ck_assert_int_eq(lock_flock(2, F_RDLCK), 0);
	ck_assert_int_eq(lock_flock(1, F_RDLCK), 0);
	/* A conversion that fails has lost what there was. */
	ck_assert_int_eq(lock_flock(1, F_WRLCK), -EAGAIN);
	ck_assert_int_eq(lock_flock(2, F_WRLCK), 0);
}
END_TEST

START_TEST(host_excludes_and_sees)
{
	int fd = opened(O_RDWR);

	ck_assert_int_eq(other(fd, F_OFD_SETLK, F_WRLCK, 100, 10), 0);
	ck_assert_int_eq(lock(1, F_RDLCK, 0, 100), -EAGAIN);
	ck_assert_int_eq(lock(1, F_RDLCK, 0, 99), 0);
	ck_assert_int_eq(other(fd, F_OFD_SETLK, F_WRLCK, 99, 1), -EAGAIN);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	ck_assert_int_eq(lock_flock(1, F_RDLCK), -EAGAIN);
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	ck_assert_int_eq(lock_flock(1, F_RDLCK), 0);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
	/* The locks of a process, too: not this one's, which are all its own. */
	close(fd);
}
END_TEST

START_TEST(getlk)
{
	const struct lock_key one = key(1, LOCK_POSIX), three = key(3, LOCK_POSIX);
	struct lock_want w;
	int fd;

	ck_assert_int_eq(lock(1, F_RDLCK, 10, 19), 0);
	ck_assert_int_eq(lock(2, F_WRLCK, 30, LOCK_OFFSET_MAX), 0);
	/* His own are not in his way. */
	w = want(F_WRLCK, 0, 19);
	ck_assert_int_eq(lock_test(&one, file, &w), 0);
	ck_assert_uint_eq(w.type, F_UNLCK);
	/* One who holds nothing asks through any open file. */
	w = want(F_WRLCK, 0, 100);
	ck_assert_int_eq(lock_test(&three, file, &w), 0);
	ck_assert(w.type == F_RDLCK && w.start == 10 && w.end == 19 && w.pid == 7);
	w = want(F_RDLCK, 0, 100);
	ck_assert_int_eq(lock_test(&three, file, &w), 0);
	ck_assert(w.type == F_WRLCK && w.start == 30 && w.end == LOCK_OFFSET_MAX && w.pid == 7);
	/* Somebody's who is no guest's process. */
	fd = opened(O_RDWR);
	ck_assert_int_eq(other(fd, F_OFD_SETLK, F_WRLCK, 0, 5), 0);
	w = want(F_WRLCK, 0, 9);
	ck_assert_int_eq(lock_test(&one, file, &w), 0);
	ck_assert(w.type == F_WRLCK && w.start == 0 && w.end == 4 && w.pid == 0);
	close(fd);
}
END_TEST

/* A reader that becomes a writer gets another open file; its locks are never free meanwhile. */
START_TEST(reader_becomes_writer)
{
	const struct lock_key k = key(1, LOCK_POSIX);
	const struct lock_want r = want(F_RDLCK, 0, 9), r2 = want(F_RDLCK, 20, 29), w = want(F_WRLCK, 0, 4);
	struct lock_owner *o = owner(1, LOCK_POSIX, O_RDONLY), *same;
	unsigned owners, ranges;

	ck_assert_int_eq(lock_owner_try(o, &r, false), 0);
	ck_assert_int_eq(lock_owner_try(o, &r2, false), 0);
	ck_assert(!lock_owner_can(o, F_WRLCK));
	ck_assert_int_eq(lock_owner_try(o, &w, false), -EBADF);
	ck_assert_int_eq(lock(2, F_RDLCK, 5, 9), 0);
	ck_assert_int_eq(lock_owner_open(&k, opened(O_RDONLY), false, &same), 0);
	ck_assert(same == o && !lock_owner_can(o, F_WRLCK));
	lock_owner_put(same);
	ck_assert_int_eq(lock_owner_open(&k, opened(O_RDWR), true, &same), 0);
	ck_assert(same == o && lock_owner_can(o, F_WRLCK));
	lock_owner_put(same);
	ck_assert_int_eq(seen(0), F_RDLCK);
	ck_assert_int_eq(seen(25), F_RDLCK);
	ck_assert_int_eq(lock_owner_try(o, &w, false), 0);
	ck_assert_int_eq(seen(0), F_WRLCK);
	ck_assert_int_eq(seen(25), F_RDLCK);
	lock_owners_count(&owners, &ranges);
	ck_assert_uint_eq(owners, 2);
	ck_assert_uint_eq(ranges, 4);
	lock_owner_put(o);
}
END_TEST

/* close() of one process ends its fcntl locks and nobody else's; the last close of an open file what it locked. */
START_TEST(flush_and_release)
{
	const struct lock_key one = key(1, LOCK_POSIX), two = key(2, LOCK_POSIX), none = key(9, LOCK_POSIX);
	struct lock_want w = want(F_WRLCK, 50, 59);
	struct lock_owner *o;

	ck_assert_int_eq(lock(1, F_WRLCK, 0, 9), 0);
	ck_assert_int_eq(lock(2, F_WRLCK, 10, 19), 0);
	ck_assert_int_eq(lock_flock(1, F_WRLCK), 0);
	lock_owners_flush(&none);
	lock_owners_flush(&one);
	ck_assert_int_eq(seen(5), F_UNLCK);
	ck_assert_int_eq(seen(15), F_WRLCK);
	ck_assert_int_eq(lock_flock(2, F_RDLCK), -EAGAIN);
	ck_assert_ptr_null(lock_owner_get(&one));
	/* In use by another thread: it stays, and holds nothing. */
	o = owner(2, LOCK_POSIX, O_RDWR);
	lock_owners_flush(&two);
	ck_assert_int_eq(seen(15), F_UNLCK);
	ck_assert_int_eq(lock_owner_try(o, &w, false), 0);
	ck_assert_int_eq(seen(55), F_WRLCK);
	/* Through another handle. */
	w.fh = 71;
	w.start = w.end = 80;
	ck_assert_int_eq(lock_owner_try(o, &w, false), 0);
	lock_owners_release(NODE, 70);
	ck_assert_int_eq(lock_flock(2, F_RDLCK), 0);
	ck_assert_int_eq(seen(80), F_WRLCK);
	lock_owners_release(NODE + 1, 71);
	ck_assert_int_eq(seen(80), F_WRLCK);
	lock_owners_release(NODE, 71);
	ck_assert_int_eq(seen(80), F_UNLCK);
	/* Who still has it can do nothing with it. */
	ck_assert_int_eq(lock_owner_try(o, &w, false), -EBADF);
	ck_assert_int_eq(lock_owner_wait(o, &w), -EBADF);
	lock_owner_put(o);
}
END_TEST

/* Nothing that a guest does takes more fds or kernel memory than was said. */
START_TEST(limits)
{
	struct lock_owner *busy, *o;
	const struct lock_want w = want(F_WRLCK, 0, 0);
	unsigned owners, ranges, n;
	struct lock_key k;
	int e = 0;

	for (n = 0; n < 10 * RANGES && e == 0; n++)
		e = lock(1, F_RDLCK, 2 * n, 2 * n);
	ck_assert_int_eq(e, -ENOLCK);
	lock_owners_count(&owners, &ranges);
	ck_assert_uint_le(ranges, RANGES);
	ck_assert_uint_ge(ranges, RANGES - 2);
	/* Unlocking the middle of something would make two of it. */
	ck_assert_int_eq(lock(2, F_RDLCK, 0, 10), -ENOLCK);
	ck_assert_int_eq(lock(1, F_UNLCK, 0, LOCK_OFFSET_MAX), 0);
	ck_assert_int_eq(lock(1, F_WRLCK, 0, LOCK_OFFSET_MAX), 0);
	e = 0;
	for (n = 1; n < 10 * RANGES && e == 0; n++)
		e = lock(1, F_UNLCK, 2 * n, 2 * n);
	ck_assert_int_eq(e, -ENOLCK);
	lock_owners_count(&owners, &ranges);
	ck_assert_uint_le(ranges, RANGES);
	ck_assert_int_eq(seen(2 * (off_t)n + 100), F_WRLCK);
	ck_assert_int_eq(lock(1, F_UNLCK, 0, LOCK_OFFSET_MAX), 0);
	lock_owners_wipe();

	/* As many owners as there may be, each with a lock: one more is refused. */
	for (n = 0; n < OWNERS; n++)
		ck_assert_int_eq(lock(n, F_WRLCK, n, n), 0);
	k = key(OWNERS, LOCK_POSIX);
	ck_assert_int_eq(lock_owner_open(&k, opened(O_RDWR), true, &o), -ENOLCK);
	lock_owners_count(&owners, &ranges);
	ck_assert_uint_eq(owners, OWNERS);
	/* One that holds nothing makes room, one that is being used does not. */
	busy = owner(5, LOCK_POSIX, O_RDWR);
	ck_assert_int_eq(lock(5, F_UNLCK, 0, LOCK_OFFSET_MAX), 0);
	ck_assert_int_eq(lock_owner_open(&k, opened(O_RDWR), true, &o), -ENOLCK);
	lock_owner_put(busy);
	ck_assert_int_eq(lock_owner_open(&k, opened(O_RDWR), true, &o), 0);
	ck_assert_int_eq(lock_owner_try(o, &w, false), -EAGAIN);
	lock_owner_put(o);
	k = key(5, LOCK_POSIX);
	ck_assert_ptr_null(lock_owner_get(&k));
}
END_TEST

static struct waiting {
	struct lock_waiter w;
	_Atomic int result;	/* 1: not done */
	int64_t done_ns;
} waiting[200];

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
done(struct lock_waiter *w, int error)
{
	struct waiting *p = (void *)w;

	p->done_ns = now_ns();
	lock_owner_put(w->owner);
	atomic_store(&p->result, error);
}

static struct waiting *
prepare_wait(unsigned i, uint64_t id, enum lock_kind kind, uint32_t type, uint64_t start, uint64_t end)
{
	struct waiting *p = &waiting[i];

	memset(p, 0, sizeof(*p));
	p->w.owner = owner(id, kind, O_RDWR);
	p->w.node = NODE;
	p->w.want = want(type, start, end);
	p->w.want.fh = 1000 + i;
	p->w.unique = 100 + i;
	p->w.done = done;
	atomic_store(&p->result, 1);
	return p;
}

static struct waiting *
begin_wait(unsigned i, uint64_t id, enum lock_kind kind, uint32_t type, uint64_t start, uint64_t end)
{
	struct waiting *p = prepare_wait(i, id, kind, type, start, end);

	lock_wait(&p->w);
	return p;
}

static int
ended(struct waiting *p)
{
	for (int i = 0; i < WAIT_MS && atomic_load(&p->result) == 1; i++)
		usleep(1000);
	return atomic_load(&p->result);
}

static void
still_waits(struct waiting *p)
{
	usleep(20000);
	ck_assert_int_eq(atomic_load(&p->result), 1);
}

static void
waiting_setup(void)
{
	setup();
	lock_wait_start();
}

START_TEST(waits)
{
	const bool flocks = (_i & 1) != 0, foreign = (_i & 2) != 0;
	const enum lock_kind kind = flocks ? LOCK_FLOCK : LOCK_POSIX;
	struct waiting *p;
	int fd = opened(O_RDWR);
	int64_t t;

	/* Nobody is in the way. */
	p = begin_wait(0, 9, kind, F_RDLCK, 500, 500);
	ck_assert_int_eq(ended(p), 0);
	if (flocks)
		ck_assert_int_eq(lock_flock(9, F_UNLCK), 0);
	if (foreign)
		ck_assert_int_eq(flocks ? flock(fd, LOCK_EX) : other(fd, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
	else
		ck_assert_int_eq(flocks ? lock_flock(1, F_WRLCK) : lock(1, F_WRLCK, 0, 9), 0);
	p = begin_wait(1, 2, kind, F_WRLCK, 5, 20);
	still_waits(p);
	t = now_ns();
	if (foreign)
		ck_assert_int_eq(flocks ? flock(fd, LOCK_UN) : other(fd, F_OFD_SETLK, F_UNLCK, 0, 10), 0);
	else
		ck_assert_int_eq(flocks ? lock_flock(1, F_UNLCK) : lock(1, F_UNLCK, 0, 9), 0);
	ck_assert_int_eq(ended(p), 0);
	printf("locks: a thread had it after %lld us\n", (long long)(p->done_ns - t) / 1000);
	ck_assert_int_eq(flocks ? lock_flock(3, F_RDLCK) : lock(3, F_RDLCK, 20, 20), -EAGAIN);
	close(fd);
}
END_TEST

/* Interrupted, released, everything over: of those who wait in a thread and of those who have none. */
START_TEST(cancelled)
{
	const unsigned n = LOCK_THREADS + 20;
	unsigned i;

	ck_assert_int_eq(lock(1, F_WRLCK, 0, 9), 0);
	for (i = 0; i < n; i++)
		begin_wait(i, 10 + i, LOCK_POSIX, F_WRLCK, 0, 9);
	still_waits(&waiting[0]);
	still_waits(&waiting[n - 1]);
	lock_wait_cancel(5, -EINTR);
	for (i = 0; i < n; i += 3) {
		lock_wait_cancel(100 + i, -EINTR);
		ck_assert_int_eq(ended(&waiting[i]), -EINTR);
	}
	for (i = 1; i < n; i += 3) {
		lock_wait_cancel_handle(NODE, 1000 + i, -EBADF);
		ck_assert_int_eq(ended(&waiting[i]), -EBADF);
	}
	lock_wait_cancel_handle(NODE + 1, 1002, -EBADF);
	still_waits(&waiting[2]);
	lock_wait_cancel_all(-ENOTCONN);
	for (i = 2; i < n; i += 3)
		ck_assert_int_eq(ended(&waiting[i]), -ENOTCONN);
	/* Nobody got it by mistake. */
	ck_assert_int_eq(lock(1, F_UNLCK, 0, 9), 0);
	ck_assert_int_eq(seen(0), F_UNLCK);
}
END_TEST

/* What a thread gets when everything is over already stays with nobody, though its request still refers to the owner. */
START_TEST(got_too_late)
{
	const bool flocks = _i == 1;
	const enum lock_kind kind = flocks ? LOCK_FLOCK : LOCK_POSIX;
	struct lock_owner *o = owner(2, kind, O_RDWR);
	struct waiting *p;
	int fd = opened(O_RDWR);

	ck_assert_int_eq(flocks ? lock_flock(1, F_WRLCK) : lock(1, F_WRLCK, 0, 9), 0);
	p = begin_wait(0, 2, kind, F_WRLCK, 5, 20);
	still_waits(p);
	lock_owners_wipe();
	/* Or it got it before its owner was reached: then the owner's end took it away. */
	ck_assert_int_le(ended(p), 0);
	ck_assert_int_eq(flocks ? flock(fd, LOCK_EX | LOCK_NB) : other(fd, F_OFD_SETLK, F_WRLCK, 0, 100), 0);
	lock_owner_put(o);
	close(fd);
}
END_TEST

/* Far more than there are threads: all of them get it, one after the other. */
START_TEST(many)
{
	const unsigned n = 100;
	int64_t t;

	ck_assert_int_eq(lock(1, F_WRLCK, 0, 9), 0);
	for (unsigned i = 0; i < n; i++)
		begin_wait(i, 1000 + i % (OWNERS - 10), LOCK_POSIX, F_WRLCK, 0, 9);
	still_waits(&waiting[n - 1]);
	t = now_ns();
	ck_assert_int_eq(lock(1, F_UNLCK, 0, 9), 0);
	for (unsigned left = n; left > 0;) {
		unsigned got = 0;

		for (unsigned i = 0; i < n; i++)
			if (atomic_load(&waiting[i].result) == 0) {
				atomic_store(&waiting[i].result, 2);
				got++;
				ck_assert_int_eq(lock(1000 + i % (OWNERS - 10), F_UNLCK, 0, 9), 0);
			}
		left -= got;
		ck_assert_int_lt((int)((now_ns() - t) / 1000000), WAIT_MS);
		if (got == 0)
			usleep(100);
	}
	printf("locks: %u waits one after the other took %lld ms\n", n, (long long)(now_ns() - t) / 1000000);
}
END_TEST

/* Two come at once when one thread is left: the other one gets its lock nevertheless, while all threads wait. */
START_TEST(last_thread)
{
	struct waiting *p[2];

	for (unsigned i = 0; i <= LOCK_THREADS; i++)
		ck_assert_int_eq(lock(1, F_WRLCK, 10 * i, 10 * i), 0);
	for (unsigned i = 0; i < LOCK_THREADS - 1; i++)
		still_waits(begin_wait(i, 2 + i, LOCK_POSIX, F_WRLCK, 10 * i, 10 * i));
	for (unsigned i = 0; i < 2; i++) {
		const unsigned k = LOCK_THREADS - 1 + i;

		p[i] = prepare_wait(k, 2 + k, LOCK_POSIX, F_WRLCK, 10 * k, 10 * k);
	}
	lock_wait(&p[0]->w);
	lock_wait(&p[1]->w);
	still_waits(p[1]);
	ck_assert_int_eq(lock(1, F_UNLCK, 10 * LOCK_THREADS, 10 * LOCK_THREADS), 0);
	ck_assert_int_eq(ended(p[1]), 0);
	ck_assert_int_eq(atomic_load(&p[0]->result), 1);
	ck_assert_int_eq(lock(1, F_UNLCK, 0, 10 * LOCK_THREADS), 0);
	for (unsigned i = 0; i < LOCK_THREADS; i++)
		ck_assert_int_eq(ended(&waiting[i]), 0);
}
END_TEST

/* One of another guest's, who asks for it again as soon as he has let go of it, does not starve a waiter. */
static _Atomic bool stop;

static void *
greedy(void *arg)
{
	int fd = *(int *)arg;

	while (!atomic_load(&stop)) {
		ck_assert_int_eq(other(fd, F_OFD_SETLKW, F_WRLCK, 0, 10), 0);
		usleep(2000);
		ck_assert_int_eq(other(fd, F_OFD_SETLK, F_UNLCK, 0, 10), 0);
		usleep(50);
	}
	return NULL;
}

START_TEST(not_starved)
{
	int fd = opened(O_RDWR);
	pthread_t t;
	int64_t begun;

	atomic_store(&stop, false);
	ck_assert_int_eq(pthread_create(&t, NULL, greedy, &fd), 0);
	usleep(10000);
	begun = now_ns();
	for (unsigned i = 0; i < 50; i++) {
		struct waiting *p = begin_wait(i, 1, LOCK_POSIX, F_WRLCK, 0, 9);

		ck_assert_int_eq(ended(p), 0);
		ck_assert_int_eq(lock(1, F_UNLCK, 0, 9), 0);
	}
	printf("locks: 50 turns against a greedy one took %lld ms\n", (long long)(now_ns() - begun) / 1000000);
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	close(fd);
}
END_TEST

/* An owner that waits as a reader becomes a writer: he is not in his own way. */
START_TEST(waits_through_a_change)
{
	const struct lock_key k = key(2, LOCK_POSIX);
	struct lock_want w = want(F_WRLCK, 30, 39);
	struct waiting *p = &waiting[0];
	struct lock_owner *o;
	int fd = opened(O_RDWR);

	ck_assert_int_eq(other(fd, F_OFD_SETLK, F_WRLCK, 0, 10), 0);
	memset(p, 0, sizeof(*p));
	p->w.owner = owner(2, LOCK_POSIX, O_RDONLY);
	p->w.node = NODE;
	p->w.want = want(F_RDLCK, 0, 9);
	p->w.done = done;
	atomic_store(&p->result, 1);
	lock_wait(&p->w);
	still_waits(p);
	ck_assert_int_eq(lock_owner_open(&k, opened(O_RDWR), true, &o), 0);
	lock_wait_again(o);
	ck_assert_int_eq(lock_owner_try(o, &w, false), 0);
	still_waits(p);
	/* Once the other is gone the same owner may write what he waits to read. */
	ck_assert_int_eq(other(fd, F_OFD_SETLK, F_UNLCK, 0, 10), 0);
	w.start = 0;
	w.end = 9;
	for (int i = 0; lock_owner_try(o, &w, false) != 0; i++) {
		ck_assert_int_lt(i, 1000);
		usleep(1000);
	}
	ck_assert_int_eq(ended(p), 0);
	lock_owner_put(o);
	close(fd);
}
END_TEST

/* Chance: several threads of a guest on a few owners and ranges, cancelled and released at any moment. */
static void *
chaos(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < 300; i++) {
		const uint64_t id = (uint64_t)rand_r(&seed) % 4, start = (uint64_t)rand_r(&seed) % 8;
		const struct lock_key k = key(id, LOCK_POSIX);
		static const uint32_t types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
		const uint32_t type = types[rand_r(&seed) % 3];
		struct waiting *p = &waiting[(unsigned)(uintptr_t)arg];

		switch (rand_r(&seed) % 8) {
		case 0:
			lock_owners_flush(&k);
			break;
		case 1:
			lock_owners_release(NODE, 70);
			break;
		case 2:
		case 3:
			if (type == F_UNLCK)
				break;
			begin_wait((unsigned)(uintptr_t)arg, id, LOCK_POSIX, type, start, start + 3);
			usleep((unsigned)rand_r(&seed) % 300);
			lock_wait_cancel(p->w.unique, -EINTR);
			if (ended(p) == 1)
				abort();
			break;
		default:
			(void)lock(id, type, start, start + (uint64_t)rand_r(&seed) % 8);
		}
	}
	return NULL;
}

START_TEST(by_chance)
{
	pthread_t t[6];

	for (uintptr_t i = 0; i < countof(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, chaos, (void *)i), 0);
	for (unsigned i = 0; i < countof(t); i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	lock_owners_wipe();
	for (off_t i = 0; i < 20; i++)
		ck_assert_int_eq(seen(i), F_UNLCK);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("lock_owner");
	TCase *t = tcase_create("owners"), *w = tcase_create("waits");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, owners_exclude_each_other);
	tcase_add_test(t, host_excludes_and_sees);
	tcase_add_test(t, getlk);
	tcase_add_test(t, reader_becomes_writer);
	tcase_add_test(t, flush_and_release);
	tcase_add_test(t, limits);
	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(w, waiting_setup, teardown);
	tcase_set_timeout(w, 60);
	tcase_add_loop_test(w, waits, 0, 4);
	tcase_add_test(w, cancelled);
	tcase_add_loop_test(w, got_too_late, 0, 2);
	tcase_add_test(w, many);
	tcase_add_loop_test(w, last_thread, 0, 10);
	tcase_add_test(w, not_starved);
	tcase_add_test(w, waits_through_a_change);
	tcase_add_test(w, by_chance);
	suite_add_tcase(suite, w);
	r = srunner_create(suite);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
