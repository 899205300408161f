/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attributes: GETATTR, SETATTR, ACCESS, STATFS, READLINK. Runs in: worker, lane threads. Requests written by: front.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "worker/handle.h"
#include "worker/killpriv.h"
#include "worker/ops.h"
#include "worker/resolve.h"
#include "worker/tables.h"

#define NSEC_MAX 999999999u

void
ops_attr(struct rpc_attr *a, const struct statx *st)
{
	memset(a, 0, sizeof(*a));
	a->ino = st->stx_ino;
	a->size = st->stx_size;
	a->blocks = st->stx_blocks;
	a->atime = st->stx_atime.tv_sec;
	a->mtime = st->stx_mtime.tv_sec;
	a->ctime = st->stx_ctime.tv_sec;
	a->atimensec = st->stx_atime.tv_nsec;
	a->mtimensec = st->stx_mtime.tv_nsec;
	a->ctimensec = st->stx_ctime.tv_nsec;
	a->mode = st->stx_mode;
	a->nlink = st->stx_nlink;
	a->uid = tables_to_guest(IDMAP_UID_TO_GUEST, st->stx_uid);
	a->gid = tables_to_guest(IDMAP_GID_TO_GUEST, st->stx_gid);
	a->rdev = (uint32_t)makedev(st->stx_rdev_major, st->stx_rdev_minor);
	a->blksize = st->stx_blksize;
}

static int
reply_attr(struct lane *l, const struct rpc_hdr *h, const struct inode *in)
{
	struct rpc_attr_reply *reply;
	struct statx st;
	int r;

	r = resolve_statx(inode_fd(in), "", &st);
	if (r != 0)
		return r;
	reply = lane_reply(l, h);
	ops_attr(&reply->attr, &st);
	return 0;
}

int
op_GETATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_getattr *q = (const void *)h;
	struct inode *in;
	int r;

	r = resolve_node(q->f.node, &in);
	if (r != 0)
		return r;
	r = reply_attr(l, h, in);
	inode_put(in);
	return r;
}

/* The file to truncate, opened before anything is changed: directories and special files fail here. */
static int
open_for_size(const struct rpc_setattr *q, const struct inode *in, struct file_use *use)
{
	int r;

	if (q->f.hflags & RPC_FILE_HANDLE)
		return handle_begin(&q->f, false, use);
	r = resolve_open(in, O_RDWR | O_NONBLOCK);
	if (r < 0)
		return r;
	use->fd = r;
	return 0;
}

static int
set_size(const struct rpc_setattr *q, int fd)
{
	struct killpriv k;
	int r;

	if (q->size > INT64_MAX)
		return -EINVAL;
	r = killpriv_drop_remapped(fd, S_IFREG);
	if (r != 0)
		return r;
	killpriv_none(&k);
	if (q->f.hflags & RPC_FILE_KILLPRIV)
		killpriv_begin(&k, fd, q->f.gid);
	do
		r = ftruncate(fd, (off_t)q->size) == -1 ? -errno : 0;
	while (r == -EINTR);
	killpriv_end(&k, r == 0);
	return r;
}

static int
set_owner(const struct rpc_setattr *q, const struct inode *in)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	int r = 0;

	if (((q->valid & RPC_SET_UID) && q->uid == uid) ||
	    ((q->valid & RPC_SET_GID) && q->gid == gid))
		return -EINVAL;
	if (q->valid & RPC_SET_UID)
		r = tables_to_host(IDMAP_UID_TO_HOST, q->uid, &uid);
	if (r == 0 && (q->valid & RPC_SET_GID))
		r = tables_to_host(IDMAP_GID_TO_HOST, q->gid, &gid);
	if (r == 0)
		r = killpriv_drop_remapped(inode_fd(in), in->type);
	if (r != 0)
		return r;
	if (fchownat(inode_fd(in), "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == -1)
		return -errno;
	return 0;
}

static struct timespec
stamp(bool set, bool now, int64_t sec, uint32_t nsec)
{
	if (now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (!set)
		return (struct timespec){ .tv_nsec = UTIME_OMIT };
	return (struct timespec){ .tv_sec = sec, .tv_nsec = nsec };
}

static int
set_times(const struct rpc_setattr *q, const struct inode *in)
{
	const struct timespec ts[2] = {
		stamp(
		    q->valid & RPC_SET_ATIME, q->valid & RPC_SET_ATIME_NOW, q->atime, q->atimensec),
		stamp(
		    q->valid & RPC_SET_MTIME, q->valid & RPC_SET_MTIME_NOW, q->mtime, q->mtimensec),
	};
	struct fd_name name = fd_name(inode_fd(in));

	/* A guest's number beyond a second could be one of the UTIME_ words. */
	if (((q->valid & RPC_SET_ATIME) && q->atimensec > NSEC_MAX) ||
	    ((q->valid & RPC_SET_MTIME) && q->mtimensec > NSEC_MAX))
		return -EINVAL;
	return utimensat(FD_DIR, name.s, ts, 0) == -1 ? -errno : 0;
}

/* The order of spec/fuse.md section 6.1: earlier steps stay if a later one fails. */
static int
set_all(const struct rpc_setattr *q, const struct inode *in, int size_fd)
{
	int r = 0;

	if (q->valid & RPC_SET_MODE) {
		struct fd_name name = fd_name(inode_fd(in));

		r = fchmodat(FD_DIR, name.s, q->mode & 07777, 0) == -1 ? -errno : 0;
	}
	if (r == 0 && (q->valid & (RPC_SET_UID | RPC_SET_GID)))
		r = set_owner(q, in);
	if (r == 0 && (q->valid & RPC_SET_SIZE))
		r = set_size(q, size_fd);
	if (r == 0 && (q->valid & (RPC_SET_ATIME | RPC_SET_MTIME)))
		r = set_times(q, in);
	/* The content is about to change, and the bits go first. */
	if (q->valid == 0 && (q->f.hflags & RPC_FILE_KILLPRIV) != 0)
		killpriv_now(inode_fd(in), q->f.gid);
	return r;
}

int
op_SETATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_setattr *q = (const void *)h;
	struct file_use use = { .fd = -1 };
	struct inode *in;
	int r;

	if (q->valid & ~(uint32_t)RPC_SET_ALL)
		return -EINVAL;
	r = resolve_node(q->f.node, &in);
	if (r != 0)
		return r;
	if (q->valid & RPC_SET_SIZE)
		r = open_for_size(q, in, &use);
	if (r == 0)
		r = set_all(q, in, use.fd);
	handle_end(&use);
	if (r == 0)
		r = reply_attr(l, h, in);
	inode_put(in);
	return r;
}

int
op_READLINK(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_node *q = (const void *)h;
	char target[RPC_TARGET_MAX + 1];
	struct inode *in;
	ssize_t n;
	int r;

	r = resolve_node(q->node, &in);
	if (r != 0)
		return r;
	n = readlinkat(inode_fd(in), "", target, sizeof(target));
	if (n == -1)
		r = -errno;
	else
		r = rpc_check_name(RPC_K_TARGET, target, (size_t)n);
	if (r == 0)
		lane_reply_name(l, h, target, (size_t)n);
	inode_put(in);
	return r;
}

/* In the guest's ids. Each class grants by itself, as the reference does; no groups beside the first, no ACL. */
static int
may_access(const struct rpc_access *q, const struct statx *st)
{
	const uint32_t uid = tables_to_guest(IDMAP_UID_TO_GUEST, st->stx_uid),
		       gid = tables_to_guest(IDMAP_GID_TO_GUEST, st->stx_gid);
	const uint32_t want = q->mask & 7;
	uint32_t have;

	if (want == 0)
		return 0;
	if (q->uid == 0)
		have = 6 | ((st->stx_mode & 0111) != 0);
	else {
		have = st->stx_mode & 7;
		if (q->uid == uid)
			have |= st->stx_mode >> 6 & 7;
		if (q->gid == gid)
			have |= st->stx_mode >> 3 & 7;
	}
	return (want & ~have) != 0 ? -EACCES : 0;
}

int
op_ACCESS(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_access *q = (const void *)h;
	struct inode *in;
	struct statx st;
	int r;

	r = resolve_node(q->node, &in);
	if (r != 0)
		return r;
	r = resolve_statx(inode_fd(in), "", &st);
	if (r == 0)
		r = may_access(q, &st);
	inode_put(in);
	return r != 0 ? r : ops_reply_ok(l, h);
}

int
op_STATFS(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_node *q = (const void *)h;
	struct rpc_statfs *reply;
	struct inode *in;
	struct statfs fs;
	int r;

	r = resolve_node(q->node, &in);
	if (r != 0)
		return r;
	r = fstatfs(inode_fd(in), &fs) == -1 ? -errno : 0;
	inode_put(in);
	if (r != 0)
		return r;
	reply = lane_reply(l, h);
	reply->blocks = fs.f_blocks;
	reply->bfree = fs.f_bfree;
	reply->bavail = fs.f_bavail;
	reply->files = fs.f_files;
	reply->ffree = fs.f_ffree;
	reply->bsize = (uint32_t)fs.f_bsize;
	reply->namelen = (uint32_t)fs.f_namelen;
	reply->frsize = (uint32_t)(fs.f_frsize != 0 ? fs.f_frsize : fs.f_bsize);
	return 0;
}
