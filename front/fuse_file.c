/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open files and directories. A handle with a donated fd is served here; any other over the lane, with all that a
 * worker needs to open it again. Runs in: front, queue threads and I/O pool.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "front/fuse.h"
#include "front/fuse_abi.h"
#include "front/handles.h"
#include "front/nodes.h"
#include "front/pool.h"

/* Take the handle that the request names; the reference goes back with the reply. Directories: what the kernel says. */
static int
take_handle(struct request *r, uint64_t fh, int error_if_dir)
{
	r->h = handle_get(fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	return r->h->dir ? error_if_dir : 0;
}

#define ASK_SAMPLE 8u /* while it is fast, the time of every eighth is taken */

static void
ask_timed(struct request *r)
{
	struct pace *pace = &r->q->s->ask_pace;
	uint64_t start = clock_ns();

	r->ask(r);
	pace_learn(pace, clock_ns() - start);
}

void
ask_file(struct request *r, void (*run)(struct request *))
{
	r->ask = run;
	if (!pace_fast(&r->q->s->ask_pace))
		pool_submit(r, ask_timed);
	else if (r->q->asked++ % ASK_SAMPLE == 0)
		ask_timed(r);
	else
		run(r);
}

static void
do_lane_op(struct request *r)
{
	int e = r->lane_op(r);

	if (e != 0)
		reply_error(r, e);
}

void
leave_to_worker(struct request *r, int (*lane_op)(struct request *))
{
	r->lane_op = lane_op;
	r->run = do_lane_op;
	request_return(r);
}

bool
is_refused(int error)
{
	return error == -EACCES || error == -EPERM || error == -ENOKEY || error == -EKEYEXPIRED ||
	    error == -EKEYREVOKED;
}

static void
flush_now(struct request *r)
{
	uint64_t start = clock_ns();
	int fd = dup(r->h->fd), e = 0;

	/* Without a number left for the duplicate there is nothing to report: the file stays open. */
	if ((fd == -1 && errno != EMFILE) || (fd != -1 && close(fd) == -1))
		e = -errno;
	pace_learn(&r->q->s->flush_pace, clock_ns() - start);
	reply_error(r, e);
}

int
fuse_flush(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_flush_in *in = arg;
	struct rpc_getattr *w;
	int e;

	(void)var;
	(void)varlen;
	if ((e = take_handle(r, in->fh, 0)) != 0)
		return e;
	locks_flush(r, in->lock_owner);
	/* Nothing waits to be written to a directory's fd. */
	if (r->h->dir) {
		reply_error(r, 0);
		return 0;
	}
	if (r->h->fd < 0) {
		e = lanes_add(r, RPC_FLUSH, reply_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
		if (e == 0)
			w->f = file_of(r->h, false);
		return e;
	}
	if (pace_fast(&r->q->s->flush_pace))
		flush_now(r);
	else
		pool_submit(r, flush_now);
	return 0;
}

static void
fsync_now(struct request *r)
{
	int e;

	do
		e = r->datasync ? fdatasync(r->h->fd) : fsync(r->h->fd);
	while (e == -1 && errno == EINTR);
	reply_error(r, e == -1 ? -errno : 0);
}

static int
sync_handle(struct request *r, const struct fuse_fsync_in *in)
{
	struct rpc_sync *w;
	int e;

	if ((e = take_handle(r, in->fh, 0)) != 0)
		return e;
	r->datasync = (in->fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
	if (r->h->fd >= 0) {
		pool_submit(r, fsync_now);
		return 0;
	}
	e = lanes_add(r, RPC_FSYNC, reply_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->f = file_of(r->h, false);
		w->datasync = r->datasync;
		w->isdir = r->h->dir;
	}
	return e;
}

int
fuse_fsync(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return sync_handle(r, arg);
}

int
fuse_fsyncdir(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return sync_handle(r, arg);
}

static int
fallocate_lane(struct request *r)
{
	const struct fuse_fallocate_in *in = &r->arg.fallocate;
	struct rpc_fallocate *w;
	int e;

	e = lanes_add(r, RPC_FALLOCATE, reply_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->f = file_to_change(r, r->h, r->kill);
		w->offset = in->offset;
		w->length = in->length;
		w->mode = in->mode;
	}
	return e;
}

/* No reserved blocks for an unprivileged process: the worker has the last word. */
static bool
is_no_space(struct request *r, int e)
{
	r->no_space = e == -ENOSPC || e == -EDQUOT ? (int16_t)e : 0;
	return r->no_space != 0;
}

static void
fallocate_now(struct request *r)
{
	const struct fuse_fallocate_in *in = &r->arg.fallocate;
	int e;

	/* The file may have become a set-id one while this waited. */
	if (atomic_load(&r->h->setid)) {
		leave_to_worker(r, fallocate_lane);
		return;
	}
	do
		e = fallocate(r->h->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) == -1
		    ? -errno
		    : 0;
	while (e == -EINTR);
	if (is_no_space(r, e) || is_refused(e))
		leave_to_worker(r, fallocate_lane);
	else
		reply_error(r, e);
}

int
fuse_fallocate(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_fallocate_in *in = arg;
	int e;

	(void)var;
	(void)varlen;
	if ((e = take_handle(r, in->fh, -EBADF)) != 0)
		return e;
	if ((in->mode & ~(uint32_t)RPC_FALLOCATE_MODES) != 0)
		return -EOPNOTSUPP;
	r->arg.fallocate = *in;
	/* The sum may overflow, and need not be exact. */
	handle_grown(r->h, MAX(in->offset, in->length));
	r->kill = caller_is_plain(r);
	if (r->h->fd < 0 || atomic_load(&r->h->setid))
		return fallocate_lane(r);
	pool_submit(r, fallocate_now);
	return 0;
}

static void
lseek_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_count *w = (const void *)h;
	struct fuse_lseek_out out = { .offset = w->count };

	(void)l;
	(void)fd;
	if (h->error != 0)
		reply_error(r, h->error);
	else
		reply_body(r, &out, sizeof(out));
}

static int
lseek_lane(struct request *r)
{
	struct rpc_lseek *w;
	int e;

	e = lanes_add(r, RPC_LSEEK, lseek_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->f = file_of(r->h, false);
		w->offset = r->offset;
		w->whence = r->ioflags;
	}
	return e;
}

static void
lseek_here(struct request *r)
{
	off_t off = lseek(r->h->fd, (off_t)r->offset, (int)r->ioflags);
	struct fuse_lseek_out out = { .offset = (uint64_t)off };

	if (off == -1 && is_refused(-errno))
		leave_to_worker(r, lseek_lane);
	else if (off == -1)
		reply_error(r, -errno);
	else
		reply_body(r, &out, sizeof(out));
}

int
fuse_lseek(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_lseek_in *in = arg;

	(void)var;
	(void)varlen;
	r->h = handle_get(in->fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	if (r->h->dir)
		return -EISDIR;
	r->offset = in->offset;
	r->ioflags = in->whence;
	if (r->h->fd < 0)
		return lseek_lane(r);
	ask_file(r, lseek_here);
	return 0;
}

static void
copy_reply(struct request *r, uint64_t count)
{
	const struct fuse_write_out out = { .size = (uint32_t)count };
	const struct abi_copy_out out64 = { .bytes = count };

	if (r->in.opcode == ABI_COPY_FILE_RANGE_64)
		reply_body(r, &out64, sizeof(out64));
	else
		reply_body(r, &out, sizeof(out));
}

static void
copy_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	(void)l;
	(void)fd;
	if (h->error != 0)
		reply_error(r, h->error);
	else
		copy_reply(r, ((const struct rpc_count *)(const void *)h)->count);
}

static int
copy_lane(struct request *r)
{
	const struct fuse_copy_file_range_in *in = &r->arg.copy;
	struct rpc_copy *w;
	int e;

	e = lanes_add(r, RPC_COPY, copy_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->in = file_of(r->h, r->h->fd >= 0);
		w->out = file_to_change(r, r->h2, r->kill);
		w->off_in = in->off_in;
		w->off_out = in->off_out;
		w->len = in->len;
		w->flags = (uint32_t)in->flags;
	}
	return e;
}

static void
copy_now(struct request *r)
{
	const struct fuse_copy_file_range_in *in = &r->arg.copy;
	off_t off_in = (off_t)in->off_in, off_out = (off_t)in->off_out;
	ssize_t n;

	if (atomic_load(&r->h2->setid)) {
		leave_to_worker(r, copy_lane);
		return;
	}
	do
		n = copy_file_range(r->h->fd, &off_in, r->h2->fd, &off_out, (size_t)in->len, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (is_no_space(r, -errno) || is_refused(-errno)))
		leave_to_worker(r, copy_lane);
	else if (n == -1)
		reply_error(r, -errno);
	else
		copy_reply(r, (uint64_t)n);
}

int
fuse_copy_file_range(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_copy_file_range_in *in = arg;
	int e;

	(void)var;
	(void)varlen;
	if ((e = take_handle(r, in->fh_in, -EISDIR)) != 0)
		return e;
	r->h2 = handle_get(in->fh_out, in->nodeid_out);
	if (r->h2 == NULL)
		return -EBADF;
	if (r->h2->dir)
		return -EISDIR;
	if (in->off_in > INT64_MAX || in->off_out > INT64_MAX || in->flags != 0)
		return -EINVAL;
	r->arg.copy = *in;
	/* The reply has 32 bits, and one request must not keep a thread for minutes. */
	r->arg.copy.len = MIN(in->len, UINT64_C(1) << 30);
	handle_grown(r->h2, r->arg.copy.off_out + r->arg.copy.len);
	r->kill = caller_is_plain(r);
	if (r->h->fd < 0 || r->h2->fd < 0 || atomic_load(&r->h2->setid))
		return copy_lane(r);
	pool_submit(r, copy_now);
	return 0;
}

int
fuse_syncfs(struct request *r, const void *arg, const char *var, size_t varlen)
{
	struct rpc_node *w;
	int e;

	(void)arg;
	(void)var;
	(void)varlen;
	e = lanes_add(r, RPC_SYNCFS, reply_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0)
		w->node = r->in.nodeid;
	return e;
}
