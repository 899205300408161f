/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GETLK, SETLK, SETLKW: with --posix-lock and --flock the guest's locks are the host's, so that guests on one share, and
 * processes of the host, exclude each other. An owner's first lock on a file costs a way to the worker, for an open file of
 * its own; whatever follows is one system call here (front/lock_owner.c). Who waits, waits parked (front/park.c)
 * in a thread for that (front/lock_wait.c).
 *
 * What ends a lock without an unlock: FLUSH, which Linux sends for each close() of a process, ends its fcntl locks; RELEASE
 * ends everything that was locked through that handle: flock locks, and fcntl locks of open files, for whose end
 * Linux sends nothing else. Deadlocks between owners are not found (EDEADLK): the host has no such thing for these.
 * Runs in: front, queue threads, I/O pool, lock threads. Arguments are a private copy of what the guest wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "front/fuse.h"
#include "front/handles.h"
#include "front/pool.h"

static const struct lock_want *
want_of(const struct request *r)
{
	return &r->arg.lock.waiter.want;
}

static bool
is_known_handle(uint64_t node, uint64_t fh)
{
	struct handle *h = handle_get(fh, node);

	if (h != NULL)
		handle_drop(h);
	return h != NULL;
}

/* The end of a SETLK or SETLKW. */
static void
set_ended(struct request *r)
{
	const struct lock_want *w = want_of(r);
	int e = r->arg.lock.result;

	lock_owner_put(r->arg.lock.waiter.owner);
	/* The handle was released, or the guest has gone, meanwhile: nobody would ever unlock it. */
	if (e == 0 && w->type != F_UNLCK && !is_known_handle(r->in.nodeid, w->fh)) {
		lock_owners_release(r->in.nodeid, w->fh);
		e = -EBADF;
	}
	if (r->internal)
		reply_none(r);
	else
		reply_error(r, e);
}

static void
wait_ended(struct lock_waiter *w, int error)
{
	struct request *r = w->request;

	r->arg.lock.result = error;
	r->run = set_ended;
	if (request_unpark(r))
		set_ended(r);
}

static void
begin_wait(struct request *r)
{
	struct lock_waiter *w = &r->arg.lock.waiter;
	const uint64_t node = r->in.nodeid, fh = w->want.fh;

	w->request = r;
	w->node = node;
	w->unique = r->in.unique;
	w->id = (uint64_t)r->q->index << 56 | (uint64_t)r->slot << 32 | r->seq;
	w->done = wait_ended;
	if (!request_park(r)) {
		r->arg.lock.result = -ENOLCK;
		set_ended(r);
		return;
	}
	lock_wait(w);
	/* From here on it may be over. It may also have begun behind the back of the one who would have ended it. */
	if (!is_known_handle(node, fh))
		lock_wait_cancel_handle(node, fh, -EBADF);
}

static void
set_now(struct request *r)
{
	uint64_t start = clock_ns();
	int e = lock_owner_try(r->arg.lock.waiter.owner, want_of(r), false);

	pace_learn(&r->q->s->lock_pace, clock_ns() - start);
	if (e == -EAGAIN && r->arg.lock.sleep) {
		begin_wait(r);
		return;
	}
	r->arg.lock.result = e;
	set_ended(r);
}

static void
test_now(struct request *r)
{
	struct lock_want w = *want_of(r);
	uint64_t start = clock_ns();
	int e = lock_test(&r->arg.lock.key, r->h->fd, &w);
	struct fuse_lk_out out;

	pace_learn(&r->q->s->lock_pace, clock_ns() - start);
	if (r->arg.lock.waiter.owner != NULL)
		lock_owner_put(r->arg.lock.waiter.owner);
	if (e != 0) {
		reply_error(r, e);
		return;
	}
	memset(&out, 0, sizeof(out));
	out.lk.type = w.type;
	if (w.type != F_UNLCK) {
		out.lk.start = w.start;
		out.lk.end = w.end;
		out.lk.pid = w.pid;
	}
	reply_body(r, &out, sizeof(out));
}

/* On a network's file system even this takes its time. */
static void
run(struct request *r, void (*now)(struct request *))
{
	if (pace_fast(&r->q->s->lock_pace))
		now(r);
	else
		pool_submit(r, now);
}

static void
go_on(struct request *r)
{
	run(r, r->in.opcode == FUSE_GETLK ? test_now : set_now);
}

static bool
is_writable(const struct handle *h)
{
	return (h->flags & O_ACCMODE) != O_RDONLY;
}

static void
opened(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_opened *body = (const void *)h;
	const bool write_lock = r->arg.lock.key.kind == LOCK_POSIX && want_of(r)->type == F_WRLCK &&
	    r->in.opcode != FUSE_GETLK;
	struct lock_owner **o = &r->arg.lock.waiter.owner;
	bool writable = is_writable(r->h);
	int e = h->error;

	(void)l;
	/* Whoever had no number for it, or may not open again what it has open: EACCES would speak of another's lock. */
	if (e == -EMFILE || e == -ENFILE || e == -EACCES || e == -EPERM || (e == 0 && fd < 0))
		e = -ENOLCK;
	if (e == 0 && (body->flags & RPC_OPENED_RDONLY) != 0)
		writable = false;
	if (e == 0 && write_lock && !writable) {
		close(fd);
		e = -ENOLCK;
	}
	if (e == 0)
		e = lock_owner_open(&r->arg.lock.key, fd, writable, o);
	if (e != 0) {
		reply_error(r, e);
		return;
	}
	if (writable)
		lock_wait_again(*o);
	go_on(r);
}

/* Open for what the handle is open for: nothing shows on the host that the handle does not show already. */
static int
open_file(struct request *r)
{
	struct rpc_open *w;
	int e;

	e = lanes_add(r, RPC_LOCKOPEN, opened, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->node = r->in.nodeid;
		w->flags = is_writable(r->h) ? O_RDWR : O_RDONLY;
	}
	return e;
}

static int
check(const struct request *r, const struct fuse_lk_in *in, bool get)
{
	const bool flock = (in->lk_flags & FUSE_LK_FLOCK) != 0;
	const uint32_t mode = r->h->flags & O_ACCMODE;

	if ((in->lk_flags & ~(uint32_t)FUSE_LK_FLOCK) != 0 || (flock && get))
		return -EINVAL;
	if (in->lk.start > in->lk.end || in->lk.end > LOCK_OFFSET_MAX)
		return -EINVAL;
	switch (in->lk.type) {
	case F_UNLCK:
		return get ? -EINVAL : 0;
	case F_RDLCK:
		return flock || get || mode != O_WRONLY ? 0 : -EBADF;
	case F_WRLCK:
		return flock || get || mode != O_RDONLY ? 0 : -EBADF;
	default:
		return -EINVAL;
	}
}

static int
begin(struct request *r, const struct fuse_lk_in *in)
{
	const bool flock = (in->lk_flags & FUSE_LK_FLOCK) != 0;
	int e;

	if (!session_has(r->q->s, flock ? FUSE_FLOCK_LOCKS : FUSE_POSIX_LOCKS))
		return -ENOSYS;
	r->h = handle_get(in->fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	if (r->h->dir)
		return -EISDIR;
	if ((e = check(r, in, r->in.opcode == FUSE_GETLK)) != 0)
		return e;
	memset(&r->arg.lock, 0, sizeof(r->arg.lock));
	r->arg.lock.key = (struct lock_key){
		.node = r->in.nodeid,
		.owner = in->owner,
		.kind = flock ? LOCK_FLOCK : LOCK_POSIX,
	};
	r->arg.lock.waiter.want = (struct lock_want){
		.start = flock ? 0 : in->lk.start,
		.end = flock ? LOCK_OFFSET_MAX : in->lk.end,
		.type = in->lk.type,
		.pid = in->lk.pid,
		.fh = in->fh,
	};
	r->arg.lock.waiter.owner = lock_owner_get(&r->arg.lock.key);
	return 0;
}

int
fuse_getlk(struct request *r, const void *arg, const char *var, size_t varlen)
{
	int e = begin(r, arg);

	(void)var;
	(void)varlen;
	if (e != 0)
		return e;
	if (r->arg.lock.waiter.owner == NULL && r->h->fd < 0)
		return open_file(r);
	run(r, test_now);
	return 0;
}

static int
set(struct request *r, const struct fuse_lk_in *in, bool sleep)
{
	struct lock_owner *o;
	int e = begin(r, in);

	if (e != 0)
		return e;
	r->arg.lock.sleep = sleep;
	o = r->arg.lock.waiter.owner;
	if (o == NULL && in->lk.type == F_UNLCK) {
		reply_error(r, 0);
		return 0;
	}
	if (o != NULL && lock_owner_can(o, in->lk.type)) {
		run(r, set_now);
		return 0;
	}
	if (o != NULL)
		lock_owner_put(o);
	return open_file(r);
}

int
fuse_setlk(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return set(r, arg, false);
}

int
fuse_setlkw(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return set(r, arg, true);
}

void
locks_flush(const struct request *r, uint64_t owner)
{
	const struct lock_key k = { .node = r->in.nodeid, .owner = owner, .kind = LOCK_POSIX };

	if (lock_owners_any())
		lock_owners_flush(&k);
}

void
locks_release(const struct request *r, uint64_t fh)
{
	if (!lock_owners_any())
		return;
	lock_wait_cancel_handle(r->in.nodeid, fh, -EBADF);
	lock_owners_release(r->in.nodeid, fh);
}

void
locks_wipe(void)
{
	if (!lock_owners_any())
		return;
	lock_wait_cancel_all(-ENOTCONN);
	lock_owners_wipe();
}
