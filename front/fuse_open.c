/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening and closing: OPEN, OPENDIR, RELEASE, and what CREATE shares with them. Which of the guest's flags reach the
 * file is decided here (spec/fuse.md sections 6.2 and 7); flags that would make a file, or one without data, never do.
 * Runs in: front, queue threads. Flags and ids written by: the guest, hostile.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "front/cache.h"
#include "front/fuse.h"
#include "front/handles.h"
#include "front/pool.h"

/* O_APPEND travels with each write (traps.md P1). */
#define FLAGS_ALWAYS (O_ACCMODE | O_TRUNC | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECTORY)
#define TMPFILE_BIT ((uint32_t)(O_TMPFILE & ~O_DIRECTORY))

void
open_how(const struct request *r, uint32_t guest, uint32_t fuse_flags, struct open_how *how)
{
	const struct ctl_device *dev = &r->q->s->dev;
	uint32_t keep = FLAGS_ALWAYS;

	if ((dev->flags & DEV_DIRECT_IO) != 0)
		keep |= O_DIRECT;
	if ((dev->flags & DEV_NOATIME) != 0)
		keep |= O_NOATIME;
	how->flags = guest & keep;
	how->oflags = (dev->flags & DEV_NO_DONATION) != 0 ? RPC_OPEN_NODONATE : 0;
	/* A guest that writes back whole pages reads what it does not write (P2). */
	if (session_has(r->q->s, FUSE_WRITEBACK_CACHE) && (guest & O_ACCMODE) == O_WRONLY) {
		how->flags = (how->flags & ~(uint32_t)O_ACCMODE) | O_RDWR;
		how->oflags |= RPC_OPEN_READ_TOO;
	}
	if ((dev->flags & DEV_KILLPRIV_V2) != 0 && (fuse_flags & FUSE_OPEN_KILL_SUIDGID) != 0)
		how->oflags |= RPC_OPEN_KILLPRIV;
}

/* What may be opened with --readonly. */
static int
check_readonly(uint32_t guest)
{
	if (guest > INT32_MAX)
		return -EIO;
	if ((guest & O_PATH) != 0)
		return 0;
	if ((guest & O_ACCMODE) != O_RDONLY || (guest & O_EXCL) != 0)
		return -EROFS;
	return (guest & (TMPFILE_BIT | O_TRUNC)) != 0 ? -EINVAL : 0;
}

struct rpc_file
file_of(const struct handle *h, bool once)
{
	return (struct rpc_file){
		.node = h->node,
		.fh = handle_fh(h),
		.flags = h->flags & ~(uint32_t)O_TRUNC,
		.hflags = RPC_FILE_HANDLE | (once ? RPC_FILE_ONCE : 0),
		.gid = RPC_NO_GID,
	};
}

struct rpc_file
file_to_change(const struct request *r, const struct handle *h, bool kill)
{
	struct rpc_file f = file_of(h, h->fd >= 0);

	if (kill) {
		f.hflags |= RPC_FILE_KILLPRIV;
		f.gid = r->in.gid;
	}
	return f;
}

bool
caller_is_plain(const struct request *r)
{
	return session_has(r->q->s, FUSE_HANDLE_KILLPRIV_V2) && r->in.uid != 0 &&
	    r->in.uid != UINT32_MAX;
}

void
handle_drop(struct handle *h)
{
	int fd = handle_put(h);

	/* Not the last use, or cheap: what is slow was sent to the pool by RELEASE. */
	fd_close(&fd);
}

uint64_t
handle_open(struct request *r, uint64_t node, uint32_t mode, bool wronly, int fd)
{
	struct handle *h = r->h;

	h->node = node;
	h->fd = fd;
	if (S_ISDIR(mode))
		h->dir = true;
	h->small = r->fd_size < HANDLE_SMALL;
	if (wronly)
		h->flags = (h->flags & ~(uint32_t)O_ACCMODE) | O_WRONLY;
	if (S_ISREG(mode) && (mode & (S_ISUID | S_ISGID)) != 0)
		atomic_store(&h->setid, true);
	handle_publish(h);
	/* Whoever marked the handles of some file while this was under way did not see this one: it may be of that file. */
	if (handles_setid_marks() != r->marks)
		atomic_store(&h->setid, true);
	/* Nobody who was forgotten meanwhile will release it. */
	if (atomic_load(&r->q->s->wipes) != r->wipes)
		handle_unpublish(h);
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
	out.fh = handle_open(
	    r, r->in.nodeid, opened->mode, (opened->flags & RPC_OPENED_WRONLY) != 0, fd);
	out.open_flags = cache_open_flags(r->q->s, (r->h->flags & O_DIRECTORY) != 0);
	reply_body(r, &out, sizeof(out));
}

static int
open_node(struct request *r, uint16_t op, const struct fuse_open_in *in)
{
	const bool readonly = (r->q->s->dev.flags & DEV_READONLY) != 0;
	struct open_how how;
	struct rpc_open *w;
	int e;

	if (readonly && (e = check_readonly(in->flags)) != 0)
		return e;
	if ((e = handle_new(&r->h)) != 0)
		return e;
	open_how(r, in->flags, in->open_flags, &how);
	if (op == RPC_OPENDIR)
		how.flags |= O_DIRECTORY;
	/* O_PATH is allowed with any access mode, because it has none. */
	if (readonly)
		how.flags &= ~(uint32_t)(O_ACCMODE | O_TRUNC);
	r->h->flags = how.flags;
	r->h->dir = op == RPC_OPENDIR;
	r->marks = handles_setid_marks();
	e = lanes_add(r, op, open_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e != 0)
		return e;
	w->node = r->in.nodeid;
	w->fh = handle_fh(r->h);
	w->flags = how.flags;
	w->oflags = how.oflags;
	w->gid = r->in.gid;
	return 0;
}

int
fuse_open(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return open_node(r, RPC_OPEN, arg);
}

int
fuse_opendir(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return open_node(r, RPC_OPENDIR, arg);
}

static void
release_in_pool(struct request *r)
{
	reply_error(r, 0);
}

/*
 * May the close take long? What is known here will do, no server is asked; a file that has become large by others since it was
 * opened costs its own queue a pause.
 */
static bool
may_free_much(const struct handle *h)
{
	struct statx st;

	return !h->small &&
	    (statx(h->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_NLINK, &st) == -1 ||
		st.stx_nlink == 0);
}

static int
release(struct request *r, uint64_t fh)
{
	struct rpc_getattr *w;
	int e;

	r->h = handle_get(fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	handle_unpublish(r->h);
	locks_release(r, fh);
	if (r->h->fd < 0) {
		e = lanes_add(r, RPC_RELEASE, reply_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
		if (e == 0)
			w->f = file_of(r->h, false);
		return e;
	}
	if (may_free_much(r->h))
		pool_submit(r, release_in_pool);
	else
		reply_error(r, 0);
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
