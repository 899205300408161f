/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IOCTL: four requests and no others, which Linux (>= 5.14) sends for lsattr, chattr and their kin; an older kernel
 * passes a program's own ioctl on with the same numbers. What may be set is the worker's to judge (worker/flags.c).
 * Everything else is ENOSYS, as for all of IOCTL in virtiofsd; Linux makes ENOTTY of it. Runs in: front, queue threads.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "front/fuse.h"
#include "front/handles.h"

/* The flags are an int, whatever size the numbers say: a long of the caller's kernel. */
#define FLAGS_SIZE sizeof(uint32_t)

struct reply_flags {
	struct fuse_ioctl_out out;
	uint32_t flags;
};

struct reply_extended {
	struct fuse_ioctl_out out;
	struct fsxattr x;
};

static void
get_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_flags_reply *w = (const void *)h;
	struct reply_flags flags = { .out = { 0 } };
	struct reply_extended ext;

	(void)l;
	(void)fd;
	if (h->error != 0) {
		reply_error(r, h->error);
		return;
	}
	if (r->size == FLAGS_SIZE) {
		flags.flags = w->flags;
		reply_body(r, &flags, sizeof(flags));
		return;
	}
	memset(&ext, 0, sizeof(ext));
	ext.x.fsx_xflags = w->flags;
	ext.x.fsx_extsize = w->extsize;
	ext.x.fsx_nextents = w->nextents;
	ext.x.fsx_projid = w->projid;
	ext.x.fsx_cowextsize = w->cowextsize;
	reply_body(r, &ext, sizeof(ext));
}

static int
get(struct request *r, const struct fuse_ioctl_in *in, uint32_t size)
{
	struct rpc_flags *w;
	int e;

	if (in->out_size < size)
		return -EINVAL;
	if (reply_room(r) < sizeof(struct fuse_ioctl_out) + size)
		return -EIO;
	r->size = size;
	e = lanes_add(r, RPC_FLAGS_GET, get_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->node = r->in.nodeid;
		w->extended = size != FLAGS_SIZE;
	}
	return e;
}

static void
set_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct fuse_ioctl_out out = { 0 };

	(void)l;
	(void)fd;
	if (h->error != 0)
		reply_error(r, h->error);
	else
		reply_body(r, &out, sizeof(out));
}

static int
set(struct request *r, const struct fuse_ioctl_in *in, uint32_t size, const char *var,
    size_t varlen)
{
	struct fsxattr x = { 0 };
	struct rpc_flags *w;
	int e;

	if (in->in_size < size || in->in_size != varlen)
		return -EINVAL;
	if ((r->q->s->dev.flags & DEV_READONLY) != 0)
		return -EROFS;
	/* fsx_xflags, too, stands first. */
	memcpy(&x, var, size);
	e = lanes_add(r, RPC_FLAGS_SET, set_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->node = r->in.nodeid;
		w->extended = size != FLAGS_SIZE;
		w->flags = x.fsx_xflags;
		w->extsize = x.fsx_extsize;
		w->projid = x.fsx_projid;
		w->cowextsize = x.fsx_cowextsize;
	}
	return e;
}

int
fuse_ioctl(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_ioctl_in *in = arg;

	if ((in->flags & FUSE_IOCTL_UNRESTRICTED) != 0)
		return -ENOSYS;
	switch (in->cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC32_GETFLAGS:
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
	case FS_IOC_FSGETXATTR:
	case FS_IOC_FSSETXATTR:
		break;
	default:
		return -ENOSYS;
	}
	r->h = handle_get(in->fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	switch (in->cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC32_GETFLAGS:
		return get(r, in, FLAGS_SIZE);
	case FS_IOC_FSGETXATTR:
		return get(r, in, sizeof(struct fsxattr));
	case FS_IOC_FSSETXATTR:
		return set(r, in, sizeof(struct fsxattr), var, varlen);
	default:
		return set(r, in, FLAGS_SIZE, var, varlen);
	}
}
