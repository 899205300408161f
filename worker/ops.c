/* SPDX-License-Identifier: BSD-3-Clause */
/* What several operations share: replies, and the rules for opening and giving away. Runs in: worker, lane threads. */
#include "worker/ops.h"

#include <errno.h>
#include <fcntl.h>

#include "common/fd.h"
#include "worker/handle.h"
#include "worker/killpriv.h"
#include "worker/resolve.h"
#include "worker/vaultc.h"

static struct ctl_device device;

void
ops_init(const struct ctl_device *dev)
{
	device = *dev;
}

const struct ctl_device *
ops_device(void)
{
	return &device;
}

int
ops_reply_ok(struct lane *l, const struct rpc_hdr *h)
{
	lane_reply(l, h);
	return 0;
}

int
ops_reply_count(struct lane *l, const struct rpc_hdr *h, uint64_t count)
{
	struct rpc_count *reply = lane_reply(l, h);

	reply->count = count;
	return 0;
}

void
ops_entry(struct rpc_entry_body *e, const struct inode *in, const struct inode *parent,
    const struct statx *st)
{
	e->node = in->node;
	e->flags = 0;
	e->pad = 0;
	if (in->type == S_IFDIR && parent != NULL && (device.flags & DEV_ANNOUNCE_SUBMOUNTS) != 0 &&
	    (in->key.dev != parent->key.dev || in->key.mnt != parent->key.mnt))
		e->flags |= RPC_ENTRY_SUBMOUNT;
	ops_attr(&e->attr, st);
}

int
ops_reply_entry(struct lane *l, const struct rpc_hdr *h, struct inode *in, struct inode *parent,
    const struct statx *st)
{
	struct rpc_entry *reply;
	int r;

	/* Before the reply is begun: making room for it may send what is there. */
	r = vault_put(l, in, parent);
	if (r != 0) {
		resolve_unname(l, in);
		return r;
	}
	reply = lane_reply(l, h);
	ops_entry(&reply->e, in, parent, st);
	inode_put(in);
	return 0;
}

/* May this fd be given away? */
static bool
may_donate(mode_t mode, int flags, uint32_t oflags)
{
	if ((device.flags & DEV_NO_DONATION) != 0 || (oflags & RPC_OPEN_NODONATE) != 0 ||
	    !S_ISREG(mode))
		return false;
	if ((flags & O_ACCMODE) == O_RDONLY)
		return true;
	/* What a change has to take away must not be left to a writer that cannot. */
	return (mode & (S_ISUID | S_ISGID)) == 0 && !killpriv_is_remapped();
}

int
ops_open_mask(void)
{
	return O_ACCMODE | O_TRUNC | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECTORY |
	    ((device.flags & DEV_DIRECT_IO) != 0 ? O_DIRECT : 0) |
	    ((device.flags & DEV_NOATIME) != 0 ? O_NOATIME : 0);
}

bool
ops_is_wronly(uint32_t flags, uint32_t oflags)
{
	return (oflags & RPC_OPEN_READ_TOO) != 0 && (flags & O_ACCMODE) == O_WRONLY;
}

bool
ops_readonly(void)
{
	return (device.flags & DEV_READONLY) != 0;
}

/* As resolve_open(); where O_RDWR is only the better O_WRONLY, *flags says what it became. */
static int
open_either(const struct inode *in, uint32_t *flags, uint32_t oflags)
{
	int fd = resolve_open(in, (int)*flags & ops_open_mask());

	if (fd != -EACCES || (oflags & RPC_OPEN_READ_TOO) == 0)
		return fd;
	*flags = (*flags & ~(uint32_t)O_ACCMODE) | O_WRONLY;
	return resolve_open(in, (int)*flags & ops_open_mask());
}

int
ops_open(const struct inode *in, uint32_t *flags, uint32_t oflags, uint32_t gid, struct statx *st)
{
	const bool trunc = (*flags & O_TRUNC) != 0;
	struct killpriv k;
	int fd, r;

	if (ops_readonly() && ((*flags & O_ACCMODE) != O_RDONLY || trunc))
		return -EROFS;
	killpriv_none(&k);
	if (trunc && (oflags & RPC_OPEN_KILLPRIV) != 0)
		killpriv_begin(&k, inode_fd(in), gid);
	fd = open_either(in, flags, oflags);
	killpriv_end(&k, fd >= 0);
	if (fd < 0)
		return fd;
	r = resolve_statx(fd, "", st);
	if (r == 0 && (st->stx_mode & S_IFMT) != in->type)
		r = -EBADF;
	if (r == 0 && trunc)
		r = killpriv_drop_remapped(fd, st->stx_mode);
	if (r != 0) {
		fd_close(&fd);
		return r;
	}
	return fd;
}

int
ops_open_mode(const struct inode *in, uint32_t *flags, uint32_t oflags, uint32_t gid, mode_t *mode)
{
	struct statx st;
	int fd;

	if ((*flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY) {
		*mode = in->type;
		return open_either(in, flags, oflags);
	}
	fd = ops_open(in, flags, oflags, gid, &st);
	if (fd >= 0)
		*mode = st.stx_mode;
	return fd;
}

int
ops_settle_open(int fd, struct inode *in, uint64_t fh, int flags, uint32_t oflags, mode_t mode)
{
	if (may_donate(mode, flags, oflags))
		return 1;
	if (S_ISDIR(mode))
		return handle_add_dir(fh, in, fd);
	return handle_add(fh, in->node, fd, false, false);
}
