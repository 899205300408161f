/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open files: OPEN, RELEASE, READ, WRITE, FLUSH, FSYNC, FALLOCATE, LSEEK, COPY, SYNCFS. Regular files are normally
 * donated to the front and read and written there; what arrives here is about files that are not, or about handles that
 * have to be opened again. Data moves between the file and the arena, which the front can change at any time: it is only
 * ever passed to the kernel. Runs in: worker, lane threads. Requests written by: front.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/fd.h"
#include "worker/cred.h"
#include "worker/handle.h"
#include "worker/ops.h"
#include "worker/resolve.h"

#define COPY_MAX 0x7ffff000u /* the kernel's MAX_RW_COUNT; the answer has 32 bits */

int
op_OPEN(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_open *q = (const void *)h;
	struct rpc_opened *reply;
	struct inode *in;
	struct statx st;
	int fd, r;

	if (q->oflags & ~(uint32_t)RPC_OPEN_ALL)
		return -EINVAL;
	r = resolve_node(q->node, &in);
	if (r != 0)
		return r;
	fd = ops_open(in, q->flags, q->oflags, &st);
	r = fd;
	if (fd >= 0)
		r = ops_settle_open(fd, in, q->fh, (int)q->flags, q->oflags, &st);
	inode_put(in);
	if (r < 0)
		return r;
	reply = lane_reply(l, h);
	reply->mode = st.stx_mode;
	if (r == 1)
		lane_donate(l, reply, fd, q->node, q->fh);
	return 0;
}

int
op_RELEASE(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_getattr *q = (const void *)h;

	handle_drop(q->f.fh, q->f.node);
	return ops_reply_ok(l, h);
}

/* An extent of a file that the kernel can express. */
static bool
extent_ok(uint64_t offset, uint64_t size)
{
	return offset <= INT64_MAX && size <= INT64_MAX - offset;
}

/*
 * Move size bytes, however many calls that takes. What was moved before an error or end of file counts; flags are RWF_*.
 * Returns the count or a negative errno.
 */
static int64_t
move(bool writing, int fd, char *p, size_t size, off_t offset, int flags)
{
	size_t done = 0;

	while (done < size) {
		struct iovec iov = { .iov_base = p + done, .iov_len = size - done };
		ssize_t n;

		if (writing)
			n = pwritev2(fd, &iov, 1, offset + (off_t)done, flags);
		else
			n = preadv2(fd, &iov, 1, offset + (off_t)done, flags);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return done > 0 ? (int64_t)done : -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

static int
check_io(const struct rpc_io *q, uint32_t allowed)
{
	if (!extent_ok(q->offset, q->size) || q->size > q->h.alen || q->size > RPC_IO_MAX)
		return -EINVAL;
	return (q->ioflags & ~allowed) != 0 ? -EINVAL : 0;
}

int
op_READ(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_io *q = (const void *)h;
	struct file_use use;
	int64_t n;
	int r;

	r = check_io(q, 0);
	if (r == 0)
		r = handle_begin(&q->f, false, &use);
	if (r != 0)
		return r;
	n = move(false, use.fd, lane_extent(l, h, q->size), q->size, (off_t)q->offset, 0);
	handle_end(&use);
	return n < 0 ? (int)n : ops_reply_count(l, h, (uint64_t)n);
}

/*
 * Appending is the one kind of write that must not be done twice. The journal has the size before it (as ino1) and, when
 * done, the count (as error): what the file has grown by is what was written.
 */
static int64_t
append_once(struct lane *l, const struct rpc_io *q, int fd, char *data)
{
	const struct journal_past *past = journal_past(&l->journal, &q->h);
	struct statx before = { 0 };
	struct stat st;
	int64_t done = 0, n;

	if (past != NULL && past->state == JOURNAL_DONE)
		return MIN(past->error, (int64_t)q->size);
	if (fstat(fd, &st) == -1)
		return -errno;
	before.stx_ino = (uint64_t)st.st_size;
	if (past != NULL && (uint64_t)st.st_size > past->ino1)
		done = (int64_t)MIN((uint64_t)st.st_size - past->ino1, q->size);
	journal_begin(&l->journal, &q->h, &before, NULL);
	n = move(true, fd, data + done, q->size - (size_t)done, 0, RWF_APPEND);
	n = n < 0 && done == 0 ? n : done + MAX(n, 0);
	journal_done(&l->journal, &q->h, (int)n);
	return n;
}

int
op_WRITE(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_io *q = (const void *)h;
	struct file_use use;
	bool begun = false;
	struct stat st;
	int64_t n;
	int r;

	r = check_io(q, RPC_IO_ALL);
	if (r == 0)
		r = handle_begin(&q->f, false, &use);
	if (r != 0)
		return r;
	if ((q->ioflags & RPC_IO_KILLPRIV) != 0 && fstat(use.fd, &st) == 0)
		begun = killpriv_begin(st.st_mode);
	if ((q->ioflags & RPC_IO_APPEND) != 0)
		n = append_once(l, q, use.fd, lane_extent(l, h, q->size));
	else
		n = move(true, use.fd, lane_extent(l, h, q->size), q->size, (off_t)q->offset, 0);
	killpriv_end(begun);
	handle_end(&use);
	return n < 0 ? (int)n : ops_reply_count(l, h, (uint64_t)n);
}

int
op_FLUSH(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_getattr *q = (const void *)h;
	struct file_use use;
	int fd, r;

	r = handle_begin(&q->f, false, &use);
	if (r != 0)
		return r;
	fd = dup(use.fd);
	r = fd == -1 || close(fd) == -1 ? -errno : 0;
	handle_end(&use);
	return r != 0 ? r : ops_reply_ok(l, h);
}

int
op_FSYNC(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_sync *q = (const void *)h;
	struct file_use use;
	int r;

	r = handle_begin(&q->f, q->isdir != 0, &use);
	if (r != 0)
		return r;
	do
		r = (q->datasync != 0 ? fdatasync(use.fd) : fsync(use.fd)) == -1 ? -errno : 0;
	while (r == -EINTR);
	handle_end(&use);
	return r != 0 ? r : ops_reply_ok(l, h);
}

int
op_FALLOCATE(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_fallocate *q = (const void *)h;
	struct file_use use;
	int r;

	if (!extent_ok(q->offset, q->length))
		return -EINVAL;
	r = handle_begin(&q->f, false, &use);
	if (r != 0)
		return r;
	r = fallocate(use.fd, (int)q->mode, (off_t)q->offset, (off_t)q->length) == -1 ? -errno : 0;
	handle_end(&use);
	return r != 0 ? r : ops_reply_ok(l, h);
}

int
op_LSEEK(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_lseek *q = (const void *)h;
	struct file_use use;
	off_t at;
	int r;

	r = handle_begin(&q->f, false, &use);
	if (r != 0)
		return r;
	at = lseek(use.fd, (off_t)q->offset, (int)q->whence);
	r = at == -1 ? -errno : 0;
	handle_end(&use);
	return r != 0 ? r : ops_reply_count(l, h, (uint64_t)at);
}

int
op_COPY(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_copy *q = (const void *)h;
	size_t len = (size_t)MIN(q->len, (uint64_t)COPY_MAX);
	struct file_use in, out;
	off_t from, to;
	ssize_t n;
	int r;

	if (!extent_ok(q->off_in, len) || !extent_ok(q->off_out, len))
		return -EINVAL;
	r = handle_begin(&q->in, false, &in);
	if (r != 0)
		return r;
	r = handle_begin(&q->out, false, &out);
	if (r != 0) {
		handle_end(&in);
		return r;
	}
	from = (off_t)q->off_in;
	to = (off_t)q->off_out;
	do
		n = copy_file_range(in.fd, &from, out.fd, &to, len, q->flags);
	while (n == -1 && errno == EINTR);
	r = n == -1 ? -errno : 0;
	handle_end(&out);
	handle_end(&in);
	return r != 0 ? r : ops_reply_count(l, h, (uint64_t)n);
}

int
op_SYNCFS(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_node *q = (const void *)h;
	struct inode *in;
	int fd, r;

	r = resolve_node(q->node, &in);
	if (r != 0)
		return r;
	fd = resolve_open(in, O_RDONLY | O_NONBLOCK);
	inode_put(in);
	if (fd < 0)
		return fd;
	r = syncfs(fd) == -1 ? -errno : 0;
	fd_close(&fd);
	return r != 0 ? r : ops_reply_ok(l, h);
}
