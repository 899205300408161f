/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FLAGS_GET, FLAGS_SET: inode flags (lsattr, chattr) and extended attributes of the allocator (xfs_io), the only ioctls
 * there are. On a fresh read-only fd of a regular file or directory; the numbers are fixed here and in the profile.
 *
 * What a guest may change is a list (SETTABLE below): hints about storage and caching of its own files. Anything else must
 * be as it is:
 * - immutable and append-only could tie the host's hands; the kernel wants CAP_LINUX_IMMUTABLE for them, which this
 *   process does not have, and says EPERM itself;
 * - project ids and their inheritance are how a host limits what a guest may store;
 * - encryption, verity, case folding, extents, DAX, journalled data change how the host's kernel reads the inode.
 * Runs in: worker, lane threads. Requests written by: front.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "common/fd.h"
#include "worker/ops.h"
#include "worker/resolve.h"

#define SETTABLE \
	(FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL | FS_NODUMP_FL | FS_NOATIME_FL | \
	    FS_NOCOMP_FL | FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_NOCOW_FL)
#define SETTABLE_EXTENDED \
	(FS_XFLAG_SYNC | FS_XFLAG_NOATIME | FS_XFLAG_NODUMP | FS_XFLAG_NODEFRAG | \
	    FS_XFLAG_EXTSIZE | FS_XFLAG_EXTSZINHERIT | FS_XFLAG_COWEXTSIZE)
/* Passed on, for the kernel to refuse. */
#define KERNEL_DECIDES (FS_IMMUTABLE_FL | FS_APPEND_FL)
#define KERNEL_DECIDES_EXTENDED (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND)
/* The file system's own, ignored when set: they may have changed since the guest asked. */
#define NOBODYS (FS_INDEX_FL)
#define NOBODYS_EXTENDED (FS_XFLAG_HASATTR | FS_XFLAG_PREALLOC)

static int
open_node(uint64_t node)
{
	struct inode *in;
	int r = resolve_node(node, &in);

	if (r != 0)
		return r;
	/* Other types: as the guest's kernel says it. */
	r = in->type == S_IFREG || in->type == S_IFDIR ? resolve_open(in, O_RDONLY | O_NONBLOCK)
						       : -ENOTTY;
	inode_put(in);
	return r;
}

/* The kernel reads and writes an int, whatever the numbers of these two say. */
static int
get_flags(int fd, uint32_t *flags)
{
	int v = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &v) == -1)
		return -errno;
	*flags = (uint32_t)v;
	return 0;
}

static int
set_flags(int fd, const struct rpc_flags *q)
{
	int v = (int)q->flags, r;
	uint32_t now = 0;

	r = get_flags(fd, &now);
	if (r != 0)
		return r;
	if (((now ^ q->flags) & ~(uint32_t)(SETTABLE | KERNEL_DECIDES | NOBODYS)) != 0)
		return -EPERM;
	return ioctl(fd, FS_IOC_SETFLAGS, &v) == -1 ? -errno : 0;
}

static int
set_extended(int fd, const struct rpc_flags *q)
{
	struct fsxattr x;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) == -1)
		return -errno;
	if (((x.fsx_xflags ^ q->flags) &
		~(uint32_t)(SETTABLE_EXTENDED | KERNEL_DECIDES_EXTENDED | NOBODYS_EXTENDED)) != 0 ||
	    x.fsx_projid != q->projid)
		return -EPERM;
	x.fsx_xflags = q->flags;
	x.fsx_extsize = q->extsize;
	x.fsx_cowextsize = q->cowextsize;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x) == -1 ? -errno : 0;
}

int
op_FLAGS_GET(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_flags *q = (const void *)h;
	struct fsxattr x = { 0 };
	struct rpc_flags_reply *reply;
	int fd, r;

	if (q->extended > 1)
		return -EINVAL;
	fd = open_node(q->node);
	if (fd < 0)
		return fd;
	if (q->extended)
		r = ioctl(fd, FS_IOC_FSGETXATTR, &x) == -1 ? -errno : 0;
	else
		r = get_flags(fd, &x.fsx_xflags);
	fd_close(&fd);
	if (r != 0)
		return r;
	reply = lane_reply(l, h);
	reply->flags = x.fsx_xflags;
	reply->extsize = x.fsx_extsize;
	reply->nextents = x.fsx_nextents;
	reply->projid = x.fsx_projid;
	reply->cowextsize = x.fsx_cowextsize;
	return 0;
}

int
op_FLAGS_SET(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_flags *q = (const void *)h;
	int fd, r;

	if (q->extended > 1)
		return -EINVAL;
	fd = open_node(q->node);
	if (fd < 0)
		return fd;
	r = q->extended ? set_extended(fd, q) : set_flags(fd, q);
	fd_close(&fd);
	return r != 0 ? r : ops_reply_ok(l, h);
}
