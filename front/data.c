/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * READ and WRITE. A donated file: straight between the page cache and guest memory, no copy, no RPC. Reads try
 * RWF_NOWAIT in the queue thread; what the page cache does not have is finished in the pool, because a short read would
 * be the end of the file to the guest. Writes, and reads where there is no RWF_NOWAIT, go where they were fast lately.
 * Other files: over the lane and its arena.
 *
 * A large READ is done in rounds, in the pool or over the lane, each behind what waits there already. It is answered in
 * full or with an error; with less only where a round has found the end of the file.
 * Runs in: front, queue threads and I/O pool.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "front/fuse.h"
#include "front/handles.h"
#include "front/pool.h"

#define READ_UNIT 4096u /* no page is smaller */
/* The guest's pages may be larger than ours, up to 64 KiB, and INIT grants 256 of them. */
#define READ_MAX (256u * 65536u)
/* So much of a READ at a time: a larger one keeps nobody waiting for longer than the usual ones do. */
#define READ_ROUND RPC_IO_MAX
/* Of a READ up to this size RWF_NOWAIT has started all: Linux's usual read-ahead. */
#define READ_BEGUN (128u << 10)
#define OUT_HEADER sizeof(struct fuse_out_header)
#define WRITE_HEADER (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))

/* The part [skip, skip + max) of n segments, into dst (VRING_SEGS_MAX). Returns the number of segments. */
static int
part(const struct iovec *v, unsigned n, size_t skip, size_t max, struct iovec *dst)
{
	int out = 0;

	for (unsigned i = 0; i < n && max > 0; i++) {
		size_t len = v[i].iov_len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		len = MIN(len - skip, max);
		dst[out].iov_base = (char *)v[i].iov_base + skip;
		dst[out].iov_len = len;
		out++;
		max -= len;
		skip = 0;
	}
	return out;
}

/* Guest memory to or from a flat buffer, by the same rule. */
static void
gather(const struct request *r, size_t skip, size_t len, uint8_t *dst)
{
	struct iovec v[VRING_SEGS_MAX];
	int n = part(r->chain.iov, r->chain.nread, skip, len, v);

	for (int i = 0; i < n; i++) {
		memcpy(dst, v[i].iov_base, v[i].iov_len);
		dst += v[i].iov_len;
	}
}

static ssize_t
read_some(struct request *r, size_t max, int flags)
{
	struct iovec v[VRING_SEGS_MAX];
	int n = part(
	    r->chain.iov + r->chain.nread, r->chain.nwrite, OUT_HEADER + r->done_bytes, max, v);
	ssize_t got;

	do
		got = preadv2(r->h->fd, v, n, (off_t)(r->offset + r->done_bytes), flags);
	while (got == -1 && errno == EINTR);
	return got;
}

/* How much of a READ comes next. */
static uint32_t
read_round(const struct request *r)
{
	return (uint32_t)MIN(r->size - r->done_bytes, READ_ROUND);
}

/*
 * Read one round, and answer if it is the last one, or at the end of file or an error. Returns false if there is more to
 * be read: another round, or what would block (with RWF_NOWAIT only).
 */
static bool
read_loop(struct request *r, int flags)
{
	const size_t end = r->done_bytes + read_round(r);
	/* 0: how long it takes says nothing, because it does not block or is expected to. */
	uint64_t start = flags == 0 && atomic_load(&r->h->no_nowait) ? clock_ns() : 0;

	while (r->done_bytes < end) {
		ssize_t n = read_some(r, end - r->done_bytes, flags);

		if (n == -1 && errno == EAGAIN && (flags & RWF_NOWAIT) != 0)
			return false;
		if (n == -1 && errno == EOPNOTSUPP && (flags & RWF_NOWAIT) != 0) {
			/* tmpfs, overlayfs: without the flag, here and from now on. */
			atomic_store(&r->h->no_nowait, true);
			flags = 0;
			start = clock_ns();
			continue;
		}
		/* O_DIRECT has no way to go on behind an end of file that is not aligned. */
		if (n == -1 && errno == EINVAL && r->done_bytes > 0 &&
		    (r->h->flags & O_DIRECT) != 0)
			break;
		if (n == -1) {
			reply_error(r, -errno);
			return true;
		}
		if (n == 0)
			break;
		r->done_bytes += (size_t)n;
		/*
		 * From the page cache, RWF_NOWAIT stops short of a page that is not there: what ends within a page is the end of
		 * the file. Not so past the cache, where any block may be the last that needs no waiting.
		 */
		if ((flags & RWF_NOWAIT) != 0 && (r->h->flags & O_DIRECT) == 0 &&
		    (r->offset + r->done_bytes) % READ_UNIT != 0)
			break;
	}
	if (start != 0)
		pace_learn(&r->q->s->read_pace, clock_ns() - start);
	if (r->done_bytes == end && end < r->size)
		return false;
	reply_in_place(r, r->done_bytes);
	return true;
}

static void
read_in_pool(struct request *r)
{
	if (!read_loop(r, 0))
		pool_submit(r, read_in_pool);
}

static void
read_donated(struct request *r)
{
	const bool nowait = !atomic_load(&r->h->no_nowait);

	/*
	 * O_DIRECT waits for the disk in any case. Neither a slow file system nor milliseconds of copying must hold up the
	 * queue (traps.md C20).
	 */
	if ((r->h->flags & O_DIRECT) != 0 || r->size > READ_ROUND ||
	    (!nowait && !pace_fast(&r->q->s->read_pace)))
		pool_submit(r, read_in_pool);
	else if (read_loop(r, nowait ? RWF_NOWAIT : 0))
		return;
	else if (r->size <= READ_BEGUN)
		pool_submit_begun(r, read_in_pool);
	else
		pool_submit(r, read_in_pool);
}

static int read_lane(struct request *);

static void
read_lane_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_count *w = (const void *)h;
	const uint32_t asked = read_round(r);

	(void)fd;
	if (h->error != 0) {
		reply_error(r, h->error);
		return;
	}
	if (w->count > asked) {
		reply_error(r, -EIO);
		return;
	}
	r->done_bytes += reply_copy(r, r->done_bytes, l->arena + r->aoff, (size_t)w->count);
	if (w->count == asked && r->done_bytes < r->size)
		leave_to_worker(r, read_lane);
	else
		reply_in_place(r, r->done_bytes);
}

/* The next round of a read, through the worker. */
static int
read_lane(struct request *r)
{
	const uint32_t size = read_round(r);
	struct rpc_io *w;
	int e;

	e = lanes_add(r, RPC_READ, read_lane_done, MAX(size, 1), NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->f = file_of(r->h, false);
		w->offset = r->offset + r->done_bytes;
		w->size = size;
	}
	return e;
}

int
fuse_read(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_read_in *in = arg;
	/* The reply cannot hold more than the guest made room for. */
	const size_t size = MIN(in->size, reply_room(r));

	(void)var;
	(void)varlen;
	r->h = handle_get(in->fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	if (r->h->dir)
		return -EISDIR;
	/* Not answered with less, which would be the end of the file: page by page the guest gets it all. */
	if (size > READ_MAX)
		return -ENOMEM;
	r->size = (uint32_t)size;
	r->offset = in->offset;
	if (in->offset > INT64_MAX - (uint64_t)r->size)
		return -EINVAL;
	if (r->h->fd < 0)
		return read_lane(r);
	read_donated(r);
	return 0;
}

static void
write_reply(struct request *r)
{
	struct fuse_write_out out = { .size = (uint32_t)r->done_bytes };

	reply_body(r, &out, sizeof(out));
}

/*
 * Bytes that are in the file are never denied to a program (traps.md C22). Linux's page cache, when it is written back,
 * looks at the error and not at the count: less than all would be lost without a word, fsync() included.
 */
static void
write_ended(struct request *r, int error)
{
	if (error == 0 && r->whole && r->done_bytes < r->size)
		error = -EIO;
	if (error != 0 && (r->done_bytes == 0 || r->whole))
		reply_error(r, error);
	else
		write_reply(r);
}

static int write_lane(struct request *);

static void
write_lane_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_count *w = (const void *)h;

	(void)l;
	(void)fd;
	if (h->error == 0)
		r->done_bytes += (size_t)MIN(w->count, r->size - r->done_bytes);
	/* Why it did not come further it says when it is asked for the rest. */
	if (h->error == 0 && w->count > 0 && r->whole && r->done_bytes < r->size)
		leave_to_worker(r, write_lane);
	else
		write_ended(r, h->error);
}

/* What is left of a write, through the worker. */
static int
write_lane(struct request *r)
{
	uint32_t left = r->size - (uint32_t)r->done_bytes;
	struct rpc_io *w;
	int e;

	e = lanes_add(r, RPC_WRITE, write_lane_done, MAX(left, 1), NULL, 0, NULL, 0, NULL, 0, &w);
	if (e != 0)
		return e;
	w->f = file_to_change(r, r->h, r->kill);
	w->offset = r->offset + r->done_bytes;
	w->size = left;
	w->ioflags = r->ioflags;
	gather(r, WRITE_HEADER + r->done_bytes, left, r->lane->arena + r->aoff);
	return 0;
}

/* How long it took less what copying takes, at 4 GB/s. */
static uint64_t
waited(const struct request *r, uint64_t start)
{
	const uint64_t took = clock_ns() - start, copying = r->done_bytes / 4;

	return took > copying ? took - copying : 0;
}

/* Write all that is left, or say what the worker shall try. Returns false for the latter. */
static bool
write_loop(struct request *r, void (*learn)(struct pace *, uint64_t ns))
{
	int flags = (r->ioflags & RPC_IO_APPEND) != 0 ? RWF_APPEND : 0, error = 0;
	uint64_t start = clock_ns();

	while (r->done_bytes < r->size) {
		struct iovec v[VRING_SEGS_MAX];
		int n = part(r->chain.iov, r->chain.nread, WRITE_HEADER + r->done_bytes,
		    r->size - r->done_bytes, v);
		ssize_t put;

		/* The file may have become a set-id one meanwhile. */
		if (atomic_load(&r->h->setid))
			return false;
		put = pwritev2(r->h->fd, v, n, (off_t)(r->offset + r->done_bytes), flags);

		if (put == -1 && errno == EINTR)
			continue;
		/* ext4 keeps reserved blocks from the unprivileged: the worker has the last word. */
		if (put == -1 && (errno == ENOSPC || errno == EDQUOT)) {
			r->no_space = (int16_t)-errno;
			return false;
		}
		if (put == -1 && r->done_bytes == 0) {
			reply_error(r, -errno);
			return true;
		}
		if (put <= 0) {
			error = put == -1 ? -errno : 0;
			break;
		}
		r->done_bytes += (size_t)put;
	}
	learn(&r->q->s->write_pace, waited(r, start));
	write_ended(r, error);
	return true;
}

static void
write_in_pool(struct request *r)
{
	if (!write_loop(r, pace_learn))
		leave_to_worker(r, write_lane);
}

int
fuse_write(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_write_in *in = arg;
	uint64_t data = r->chain.read_len - WRITE_HEADER;

	(void)var;
	(void)varlen;
	r->h = handle_get(in->fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	if (r->h->dir)
		return -EBADF;
	r->size = (uint32_t)MIN(MIN(in->size, data), MAX_WRITE);
	r->offset = in->offset;
	if (in->offset > INT64_MAX - (uint64_t)r->size)
		return -EINVAL;
	r->ioflags = (in->flags & O_APPEND) != 0 && (in->write_flags & FUSE_WRITE_CACHE) == 0
	    ? RPC_IO_APPEND
	    : 0;
	/* Where an append goes is not known. */
	handle_grown(r->h, r->ioflags != 0 ? UINT64_MAX : r->offset + r->size);
	r->whole = (in->write_flags & FUSE_WRITE_CACHE) != 0;
	r->kill = (in->write_flags & FUSE_WRITE_KILL_SUIDGID) != 0 &&
	    (r->q->s->dev.flags & DEV_KILLPRIV_V2) != 0;
	if (r->h->fd < 0 || atomic_load(&r->h->setid))
		return write_lane(r);
	if ((r->h->flags & (O_DIRECT | O_SYNC | O_DSYNC)) != 0 || !pace_probe(&r->q->s->write_pace))
		pool_submit(r, write_in_pool);
	else if (!write_loop(r, pace_probed))
		return write_lane(r);
	return 0;
}
