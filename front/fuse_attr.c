/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attributes, statfs, access and extended attributes. Runs in: front, queue threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/cache.h"
#include "front/fuse.h"
#include "front/handles.h"
#include "front/pool.h"

static void
reply_attr(struct request *r, const struct fuse_attr *a)
{
	struct fuse_attr_out out = { .attr_valid = cache_timeout(r->q->s), .attr = *a };

	reply_body(r, &out, sizeof(out));
}

void
note_setid(struct request *r, uint32_t mode)
{
	if (r->h != NULL && S_ISREG(mode) && (mode & (S_ISUID | S_ISGID)) != 0)
		atomic_store(&r->h->setid, true);
}

static void
attr_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_attr_reply *w = (const void *)h;
	struct fuse_attr a;

	(void)l;
	(void)fd;
	if (h->error != 0) {
		reply_error(r, h->error);
		return;
	}
	note_setid(r, w->attr.mode);
	attr_to_fuse(&a, &w->attr);
	reply_attr(r, &a);
}

static int
getattr_lane(struct request *r)
{
	struct rpc_getattr *w;
	int e;

	e = lanes_add(r, RPC_GETATTR, attr_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0)
		w->f = r->h != NULL ? file_of(r->h, false)
				    : (struct rpc_file){ .node = r->in.nodeid };
	return e;
}

/*
 * A donated file needs nobody's privileges: one statx here saves the way to the worker, which alone can translate ids.
 */
static void
getattr_here(struct request *r)
{
	struct statx x;
	struct fuse_attr a = { 0 };

	if (statx(r->h->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x) == -1) {
		if (is_refused(-errno))
			leave_to_worker(r, getattr_lane);
		else
			reply_error(r, -errno);
		return;
	}
	note_setid(r, x.stx_mode);
	a.ino = x.stx_ino;
	a.size = x.stx_size;
	a.blocks = x.stx_blocks;
	a.atime = (uint64_t)x.stx_atime.tv_sec;
	a.mtime = (uint64_t)x.stx_mtime.tv_sec;
	a.ctime = (uint64_t)x.stx_ctime.tv_sec;
	a.atimensec = x.stx_atime.tv_nsec;
	a.mtimensec = x.stx_mtime.tv_nsec;
	a.ctimensec = x.stx_ctime.tv_nsec;
	a.mode = x.stx_mode;
	a.nlink = x.stx_nlink;
	a.uid = x.stx_uid;
	a.gid = x.stx_gid;
	a.blksize = x.stx_blksize;
	reply_attr(r, &a);
}

int
fuse_getattr(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_getattr_in *in = arg;

	(void)var;
	(void)varlen;
	if ((in->getattr_flags & FUSE_GETATTR_FH) != 0) {
		/* The reference does not look at fh: a wrong one is no error. */
		r->h = handle_get(in->fh, r->in.nodeid);
		if (r->h != NULL && r->h->fd >= 0 && (r->q->s->dev.flags & DEV_TRANSLATE) == 0) {
			ask_file(r, getattr_here);
			return 0;
		}
	}
	return getattr_lane(r);
}

static int setattr_lane(struct request *);

static void
truncate_here(struct request *r)
{
	int e;

	do
		e = ftruncate(r->h->fd, (off_t)r->arg.setattr.size) == -1 ? -errno : 0;
	while (e == -EINTR);
	if (e != 0) {
		reply_error(r, e);
		return;
	}
	r->arg.setattr.valid &= ~(uint32_t)FATTR_SIZE;
	leave_to_worker(r, setattr_lane);
}

/*
 * A worker without privileges opens the file by its mode now, which says nothing about who has it open already. Only what
 * comes before anything else is done here.
 */
static bool
may_truncate_here(const struct request *r, int error)
{
	const uint32_t before = FATTR_MODE | FATTR_UID | FATTR_GID;

	return is_refused(error) && r->h != NULL && r->h->fd >= 0 && !atomic_load(&r->h->setid) &&
	    (r->arg.setattr.valid & FATTR_SIZE) != 0 && (r->arg.setattr.valid & before) == 0;
}

static void
setattr_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_attr_reply *w = (const void *)h;

	if (may_truncate_here(r, h->error)) {
		pool_submit(r, truncate_here);
		return;
	}
	/* A write without CAP_FSETID would strip the bits that the guest has just set: those go through the worker now. */
	if (h->error == 0 && r->size != 0 && S_ISREG(w->attr.mode) &&
	    (w->attr.mode & (S_ISUID | S_ISGID)) != 0)
		handles_mark_setid(r->in.nodeid);
	attr_done(r, l, h, fd);
}

static uint32_t
set_bits(uint32_t valid)
{
	/* clang-format off */
	static const struct {
		uint32_t fuse, rpc;
	} map[] = {
		{ FATTR_MODE, RPC_SET_MODE }, { FATTR_UID, RPC_SET_UID }, { FATTR_GID, RPC_SET_GID },
		{ FATTR_SIZE, RPC_SET_SIZE }, { FATTR_ATIME, RPC_SET_ATIME }, { FATTR_MTIME, RPC_SET_MTIME },
		{ FATTR_ATIME_NOW, RPC_SET_ATIME_NOW }, { FATTR_MTIME_NOW, RPC_SET_MTIME_NOW },
	};
	/* clang-format on */
	uint32_t out = 0;

	for (size_t i = 0; i < countof(map); i++)
		if ((valid & map[i].fuse) != 0)
			out |= map[i].rpc;
	return out;
}

/*
 * A SETATTR that sets nothing is how Linux says, under HANDLE_KILLPRIV_V2, that a caller without CAP_FSETID is about to
 * change the content: it would clear set-id bits if they were not left to us (file_remove_privs()).
 */
static bool
kills_privileges(const struct request *r, uint32_t valid)
{
	if ((r->q->s->dev.flags & DEV_KILLPRIV_V2) == 0)
		return false;
	if ((valid & FATTR_KILL_SUIDGID) != 0)
		return true;
	return set_bits(valid) == 0 && session_has(r->q->s, FUSE_HANDLE_KILLPRIV_V2);
}

static int
setattr_lane(struct request *r)
{
	const struct fuse_setattr_in *in = &r->arg.setattr;
	struct rpc_setattr *w;
	int e;

	e = lanes_add(r, RPC_SETATTR, setattr_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e != 0)
		return e;
	w->f = r->h != NULL ? file_of(r->h, r->h->fd >= 0)
			    : (struct rpc_file){ .node = r->in.nodeid };
	w->f.gid = r->in.gid;
	if (kills_privileges(r, in->valid))
		w->f.hflags |= RPC_FILE_KILLPRIV;
	w->valid = set_bits(in->valid);
	r->size = in->valid & FATTR_MODE;
	w->mode = in->mode;
	w->uid = in->uid;
	w->gid = in->gid;
	w->size = in->size;
	w->atime = (int64_t)in->atime;
	w->mtime = (int64_t)in->mtime;
	w->atimensec = in->atimensec;
	w->mtimensec = in->mtimensec;
	return 0;
}

int
fuse_setattr(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_setattr_in *in = arg;

	(void)var;
	(void)varlen;
	if ((in->valid & FATTR_FH) != 0) {
		r->h = handle_get(in->fh, r->in.nodeid);
		if (r->h == NULL)
			return -EBADF;
	}
	if ((in->valid & FATTR_SIZE) != 0 && in->size > INT64_MAX)
		return -EINVAL;
	/* Before the bits are there: no write that comes behind this request may cost the file them again. */
	if ((in->valid & FATTR_MODE) != 0 && (in->mode & (S_ISUID | S_ISGID)) != 0)
		handles_mark_setid(r->in.nodeid);
	r->arg.setattr = *in;
	return setattr_lane(r);
}

static void
statfs_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_statfs *w = (const void *)h;
	struct fuse_statfs_out out;

	(void)l;
	(void)fd;
	if (h->error != 0) {
		reply_error(r, h->error);
		return;
	}
	memset(&out, 0, sizeof(out));
	out.st.blocks = w->blocks;
	out.st.bfree = w->bfree;
	out.st.bavail = w->bavail;
	out.st.files = w->files;
	out.st.ffree = w->ffree;
	out.st.bsize = w->bsize;
	out.st.namelen = w->namelen;
	out.st.frsize = w->frsize;
	reply_body(r, &out, sizeof(out));
}

int
fuse_statfs(struct request *r, const void *arg, const char *var, size_t varlen)
{
	struct rpc_node *w;
	int e;

	(void)arg;
	(void)var;
	(void)varlen;
	e = lanes_add(r, RPC_STATFS, statfs_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0)
		w->node = r->in.nodeid;
	return e;
}

int
fuse_access(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_access_in *in = arg;
	struct rpc_access *w;
	int e;

	(void)var;
	(void)varlen;
	if ((in->mask & W_OK) != 0 && (r->q->s->dev.flags & DEV_READONLY) != 0)
		return -EROFS;
	e = lanes_add(r, RPC_ACCESS, reply_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->node = r->in.nodeid;
		w->uid = r->in.uid;
		w->gid = r->in.gid;
		w->mask = in->mask;
	}
	return e;
}

/* What was negotiated travels with each request: the worker that serves it may be a new one. */
static uint32_t
xattr_flags(const struct request *r)
{
	return session_has(r->q->s, FUSE_POSIX_ACL) ? RPC_XATTR_ACL : 0;
}

int
fuse_setxattr(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_setxattr_in *in = arg;
	uint32_t ext[2] = { 0 }; /* setxattr_flags, padding */
	struct rpc_xattr *w;
	const char *name;
	size_t len;
	int e;

	/* The struct has its second half only for who negotiated it. */
	if (session_has(r->q->s, FUSE_SETXATTR_EXT)) {
		if (varlen < sizeof(ext))
			return -EINVAL;
		memcpy(ext, var, sizeof(ext));
		var += sizeof(ext);
		varlen -= sizeof(ext);
	}
	if ((e = fuse_name(RPC_K_XATTR, &var, &varlen, &name, &len)) != 0)
		return e;
	if (varlen != in->size)
		return -EINVAL;
	if (varlen > RPC_IO_MAX)
		return -E2BIG;
	e = lanes_add(r, RPC_SETXATTR, reply_done, in->size, NULL, 0, name, len, NULL, 0, &w);
	if (e != 0)
		return e;
	w->node = r->in.nodeid;
	w->size = in->size;
	w->flags = in->flags;
	w->xflags = xattr_flags(r);
	if ((ext[0] & FUSE_SETXATTR_ACL_KILL_SGID) != 0)
		w->xflags |= RPC_XATTR_KILL_SGID;
	if (varlen > 0)
		memcpy(r->lane->arena + r->aoff, var, varlen);
	return 0;
}

/* The value, or with size 0 in the request its size. */
static void
value_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_count *w = (const void *)h;
	struct fuse_getxattr_out out = { 0 };

	(void)fd;
	if (h->error != 0)
		reply_error(r, h->error);
	else if (r->size == 0) {
		out.size = (uint32_t)w->count;
		reply_body(r, &out, sizeof(out));
	} else if (w->count > r->alen)
		reply_error(r, -EIO);
	else
		reply_body(r, l->arena + r->aoff, (size_t)w->count);
}

static int
get_value(struct request *r, uint16_t op, uint32_t size, const char *name, size_t len)
{
	struct rpc_xattr *w;
	int e;

	if (size > RPC_IO_MAX)
		return -ENOMEM;
	if (reply_room(r) < (size == 0 ? sizeof(struct fuse_getxattr_out) : size))
		return -EIO;
	r->size = size;
	e = lanes_add(r, op, value_done, size, NULL, 0, name, len, NULL, 0, &w);
	if (e == 0) {
		w->node = r->in.nodeid;
		w->size = size;
		w->xflags = xattr_flags(r);
	}
	return e;
}

int
fuse_getxattr(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_getxattr_in *in = arg;
	const char *name;
	size_t len;
	int e;

	if ((e = fuse_name(RPC_K_XATTR, &var, &varlen, &name, &len)) != 0)
		return e;
	if (varlen != 0)
		return -EINVAL;
	return get_value(r, RPC_GETXATTR, in->size, name, len);
}

int
fuse_listxattr(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_getxattr_in *in = arg;

	(void)var;
	(void)varlen;
	return get_value(r, RPC_LISTXATTR, in->size, NULL, 0);
}

int
fuse_removexattr(struct request *r, const void *arg, const char *var, size_t varlen)
{
	struct rpc_xattr *w;
	const char *name;
	size_t len;
	int e;

	(void)arg;
	if ((e = fuse_name(RPC_K_XATTR, &var, &varlen, &name, &len)) != 0)
		return e;
	if (varlen != 0)
		return -EINVAL;
	e = lanes_add(r, RPC_REMOVEXATTR, reply_done, 0, NULL, 0, name, len, NULL, 0, &w);
	if (e == 0) {
		w->node = r->in.nodeid;
		w->xflags = xattr_flags(r);
	}
	return e;
}
