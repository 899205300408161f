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
#include "worker/killpriv.h"
#include "worker/ops.h"
#include "worker/resolve.h"

#define COPY_MAX UINT64_C(0x7ffff000) /* the kernel's MAX_RW_COUNT; the answer has 32 bits */

int
op_OPEN(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_open *q = (const void *)h;
	struct rpc_opened *reply;
	struct inode *in;
	uint32_t flags;
	mode_t mode = 0;
	int fd, r;

	if (q->oflags & ~(uint32_t)RPC_OPEN_ALL)
		return -EINVAL;
	r = resolve_node(q->node, &in);
	if (r != 0)
		return r;
	flags = q->flags;
	fd = ops_open_mode(in, &flags, q->oflags, q->gid, &mode);
	r = fd;
	if (fd >= 0)
		r = ops_settle_open(fd, in, q->fh, (int)flags, q->oflags, mode);
	inode_put(in);
	if (r < 0)
		return r;
	reply = lane_reply(l, h);
	reply->mode = mode;
	reply->flags = ops_is_wronly(flags, q->oflags) ? RPC_OPENED_WRONLY : 0;
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

/*
 * Move size bytes, however many calls that takes, until an error or the end of the file; flags are RWF_*. What was written
 * before an error counts (traps.md C22); what was read does not, because less than asked for is the end of the file to
 * the guest. Returns the count or a negative errno.
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
		/* O_DIRECT cannot go on behind an end of file that is not aligned. */
		if (n == -1 && done > 0 && (writing || errno == EINVAL))
			break;
		if (n == -1)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

static int
check_io(const struct rpc_io *q, uint32_t allowed)
{
	if (q->offset > INT64_MAX - (uint64_t)q->size || q->size > q->h.alen ||
	    q->size > RPC_IO_MAX)
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
	struct stat st;
	int64_t done = 0, n;

	if (past != NULL && past->state == JOURNAL_DONE)
		return MIN(past->error, (int64_t)q->size);
	if (fstat(fd, &st) == -1)
		return -errno;
	if (past != NULL && (uint64_t)st.st_size > past->ino1)
		done = (int64_t)MIN((uint64_t)st.st_size - past->ino1, q->size);
	journal_begin_number(&l->journal, &q->h, (uint64_t)st.st_size);
	n = move(true, fd, data + done, q->size - (size_t)done, 0, RWF_APPEND);
	n = n < 0 && done == 0 ? n : done + MAX(n, 0);
	journal_done(&l->journal, &q->h, (int)n);
	return n;
}

/* Open the file of a request whose content is about to change: until change_end(). */
static int
change_begin(const struct rpc_file *f, struct file_use *use, struct killpriv *k)
{
	int r = handle_begin(f, false, use);

	killpriv_none(k);
	if (r == 0 && (r = killpriv_drop_remapped(use->fd, S_IFREG)) != 0)
		handle_end(use);
	if (r == 0 && (f->hflags & RPC_FILE_KILLPRIV) != 0)
		killpriv_begin(k, use->fd, f->gid);
	return r;
}

static void
change_end(struct file_use *use, struct killpriv *k, bool done)
{
	killpriv_end(k, done);
	handle_end(use);
}

int
op_WRITE(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_io *q = (const void *)h;
	struct file_use use;
	struct killpriv k;
	int64_t n;
	int r;

	r = check_io(q, RPC_IO_ALL);
	if (r == 0)
		r = change_begin(&q->f, &use, &k);
	if (r != 0)
		return r;
	if ((q->ioflags & RPC_IO_APPEND) != 0)
		n = append_once(l, q, use.fd, lane_extent(l, h, q->size));
	else
		n = move(true, use.fd, lane_extent(l, h, q->size), q->size, (off_t)q->offset, 0);
	change_end(&use, &k, n >= 0);
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
	struct killpriv k;
	int r;

	if ((q->mode & ~(uint32_t)RPC_FALLOCATE_MODES) != 0)
		return -EOPNOTSUPP;
	r = change_begin(&q->f, &use, &k);
	if (r != 0)
		return r;
	do
		r = fallocate(use.fd, (int)q->mode, (off_t)q->offset, (off_t)q->length) == -1
		    ? -errno
		    : 0;
	while (r == -EINTR);
	change_end(&use, &k, r == 0);
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
	off_t from = (off_t)q->off_in, to = (off_t)q->off_out;
	struct file_use in, out;
	struct killpriv k;
	ssize_t n;
	int r;

	if (q->off_in > INT64_MAX || q->off_out > INT64_MAX)
		return -EINVAL;
	r = handle_begin(&q->in, false, &in);
	if (r != 0)
		return r;
	r = change_begin(&q->out, &out, &k);
	if (r != 0) {
		handle_end(&in);
		return r;
	}
	do
		n = copy_file_range(
		    in.fd, &from, out.fd, &to, (size_t)MIN(q->len, COPY_MAX), q->flags);
	while (n == -1 && errno == EINTR);
	r = n == -1 ? -errno : 0;
	change_end(&out, &k, r == 0);
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
	do
		r = syncfs(fd) == -1 ? -errno : 0;
	while (r == -EINTR);
	fd_close(&fd);
	return r != 0 ? r : ops_reply_ok(l, h);
}
