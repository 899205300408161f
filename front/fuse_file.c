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

#include "common/fd.h"
#include "common/log.h"
#include "front/fuse.h"
#include "front/handles.h"
#include "front/nodes.h"
#include "front/pool.h"

/* What of the guest's open flags reaches the worker; O_APPEND travels with each write (traps.md P1). */
#define FLAGS_KEPT (O_ACCMODE | O_TRUNC | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECTORY)

uint32_t
open_flags(uint32_t guest)
{
	return guest & FLAGS_KEPT;
}

struct rpc_file
file_of(const struct handle *h, bool once)
{
	return (struct rpc_file){
		.node = h->node,
		.fh = handle_fh(h),
		.flags = h->flags & ~(uint32_t)O_TRUNC,
		.hflags = RPC_FILE_HANDLE | (once ? RPC_FILE_ONCE : 0),
	};
}

void
handle_drop(struct handle *h)
{
	int fd = handle_put(h);

	/* Not the last use, or cheap: what is slow was sent to the pool by RELEASE. */
	fd_close(&fd);
}

uint64_t
handle_open(struct request *r, uint64_t node, uint32_t mode, int fd)
{
	struct handle *h = r->h;

	h->node = node;
	h->fd = fd;
	if (S_ISREG(mode) && (mode & (S_ISUID | S_ISGID)) != 0)
		atomic_store(&h->setid, true);
	handle_publish(h);
	return handle_fh(h);
}

static void
open_done(struct request *r, struct lane *l, const struct rpc_hdr *w, int fd)
{
	const struct rpc_opened *opened = (const void *)w;
	struct fuse_open_out out = { 0 };

	(void)l;
	if (w->error != 0) {
		reply_error(r, w->error);
		return;
	}
	out.fh = handle_open(r, r->in.nodeid, opened->mode, fd);
	reply_body(r, &out, sizeof(out));
}

static int
open_node(struct request *r, uint16_t op, uint32_t flags)
{
	struct rpc_open *w;
	int e;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if ((e = handle_new(&r->h)) != 0)
		return e;
	r->h->flags = open_flags(flags);
	r->h->dir = op == RPC_OPENDIR;
	e = lanes_add(r, op, open_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e != 0)
		return e;
	w->node = r->in.nodeid;
	w->fh = handle_fh(r->h);
	w->flags = r->h->flags;
	w->oflags = (r->q->s->dev.flags & DEV_NO_DONATION) != 0 ? RPC_OPEN_NODONATE : 0;
	return 0;
}

int
fuse_open(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_open_in *in = arg;

	(void)var;
	(void)varlen;
	return open_node(r, RPC_OPEN, in->flags);
}

int
fuse_opendir(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_open_in *in = arg;

	(void)var;
	(void)varlen;
	return open_node(r, RPC_OPENDIR, (in->flags & ~(uint32_t)O_ACCMODE) | O_DIRECTORY);
}

/* Take the handle that the request names; the reference goes back with the reply. */
static int
take_handle(struct request *r, uint64_t fh, bool dir)
{
	r->h = handle_get(fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	return r->h->dir == dir ? 0 : dir ? -ENOTDIR : -EISDIR;
}

static void
release_in_pool(struct request *r)
{
	reply_error(r, 0);
}

static int
release(struct request *r, uint64_t fh)
{
	struct rpc_getattr *w;
	struct stat st;
	int e;

	r->h = handle_get(fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	handle_unpublish(r->h);
	if (r->h->fd < 0) {
		e = lanes_add(r, RPC_RELEASE, reply_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
		if (e == 0)
			w->f = file_of(r->h, false);
		return e;
	}
	/* The last close of an unlinked file frees its blocks: 100 ms and more for a large one. */
	if (fstat(r->h->fd, &st) == 0 && st.st_nlink > 0)
		reply_error(r, 0);
	else
		pool_submit(r, release_in_pool);
	return 0;
}

int
fuse_release(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_release_in *in = arg;

	(void)var;
	(void)varlen;
	return release(r, in->fh);
}

int
fuse_releasedir(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_release_in *in = arg;

	(void)var;
	(void)varlen;
	return release(r, in->fh);
}

static void
flush_now(struct request *r)
{
	uint64_t start = pace_now();
	int fd = dup(r->h->fd), e = 0;

	/* Without a number left for the duplicate there is nothing to report: the file stays open. */
	if ((fd == -1 && errno != EMFILE) || (fd != -1 && close(fd) == -1))
		e = -errno;
	pace_learn(&r->q->s->flush_pace, pace_now() - start);
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
	if ((e = take_handle(r, in->fh, false)) != 0)
		return e;
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
	int e = r->datasync ? fdatasync(r->h->fd) : fsync(r->h->fd);

	reply_error(r, e == -1 ? -errno : 0);
}

static int
sync_handle(struct request *r, const struct fuse_fsync_in *in, bool dir)
{
	struct rpc_sync *w;
	int e;

	if ((e = take_handle(r, in->fh, dir)) != 0)
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
		w->isdir = dir;
	}
	return e;
}

int
fuse_fsync(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return sync_handle(r, arg, false);
}

int
fuse_fsyncdir(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return sync_handle(r, arg, true);
}

static int
fallocate_lane(struct request *r)
{
	const struct fuse_fallocate_in *in = &r->arg.fallocate;
	struct rpc_fallocate *w;
	int e;

	e = lanes_add(r, RPC_FALLOCATE, reply_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->f = file_of(r->h, r->h->fd >= 0);
		w->offset = in->offset;
		w->length = in->length;
		w->mode = in->mode;
	}
	return e;
}

static void
fallocate_again(struct request *r)
{
	int e = fallocate_lane(r);

	if (e != 0)
		reply_error(r, e);
}

static void
fallocate_now(struct request *r)
{
	const struct fuse_fallocate_in *in = &r->arg.fallocate;
	int e = 0;

	if (fallocate(r->h->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) == -1)
		e = -errno;
	/* No reserved blocks for an unprivileged process: the worker has the last word. */
	if (e == -ENOSPC || e == -EDQUOT) {
		r->run = fallocate_again;
		request_return(r);
	} else
		reply_error(r, e);
}

int
fuse_fallocate(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_fallocate_in *in = arg;
	int e;

	(void)var;
	(void)varlen;
	if ((e = take_handle(r, in->fh, false)) != 0)
		return e;
	if (in->offset > INT64_MAX || in->length > INT64_MAX || in->mode > INT32_MAX)
		return -EINVAL;
	r->arg.fallocate = *in;
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

int
fuse_lseek(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_lseek_in *in = arg;
	struct rpc_lseek *w;
	struct fuse_lseek_out out;
	off_t off;
	int e;

	(void)var;
	(void)varlen;
	r->h = handle_get(in->fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	if (in->offset > INT64_MAX)
		return -EINVAL;
	if (r->h->fd >= 0) {
		off = lseek(r->h->fd, (off_t)in->offset, (int)in->whence);
		if (off == -1)
			return -errno;
		out.offset = (uint64_t)off;
		reply_body(r, &out, sizeof(out));
		return 0;
	}
	e = lanes_add(r, RPC_LSEEK, lseek_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->f = file_of(r->h, false);
		w->offset = in->offset;
		w->whence = in->whence;
	}
	return e;
}

static void
copy_reply(struct request *r, uint64_t count)
{
	struct fuse_write_out out = { .size = (uint32_t)count };

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
		w->out = file_of(r->h2, r->h2->fd >= 0);
		w->off_in = in->off_in;
		w->off_out = in->off_out;
		w->len = in->len;
		w->flags = (uint32_t)in->flags;
	}
	return e;
}

static void
copy_again(struct request *r)
{
	int e = copy_lane(r);

	if (e != 0)
		reply_error(r, e);
}

static void
copy_now(struct request *r)
{
	const struct fuse_copy_file_range_in *in = &r->arg.copy;
	off_t off_in = (off_t)in->off_in, off_out = (off_t)in->off_out;
	ssize_t n;

	n = copy_file_range(
	    r->h->fd, &off_in, r->h2->fd, &off_out, (size_t)in->len, (unsigned)in->flags);
	if (n == -1 && (errno == ENOSPC || errno == EDQUOT)) {
		r->run = copy_again;
		request_return(r);
	} else if (n == -1)
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
	if ((e = take_handle(r, in->fh_in, false)) != 0)
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
