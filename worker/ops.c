/* SPDX-License-Identifier: BSD-3-Clause */
/* What several operations share: replies, and the rules for opening and giving away. Runs in: worker, lane threads. */
#include "worker/ops.h"

#include <errno.h>
#include <fcntl.h>

#include "common/fd.h"
#include "worker/cred.h"
#include "worker/handle.h"
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

	/* Before the reply is begun: making room for it may send what is there. */
	vault_put(l, in, parent);
	reply = lane_reply(l, h);
	ops_entry(&reply->e, in, parent, st);
	inode_put(in);
	return 0;
}

bool
ops_may_donate(mode_t mode, int flags, uint32_t oflags)
{
	if ((device.flags & DEV_NO_DONATION) != 0 || (oflags & RPC_OPEN_NODONATE) != 0 ||
	    !S_ISREG(mode))
		return false;
	return (flags & O_ACCMODE) == O_RDONLY || (mode & (S_ISUID | S_ISGID)) == 0;
}

int
ops_open(const struct inode *in, uint32_t flags, uint32_t oflags, struct statx *st)
{
	const int mask = O_ACCMODE | O_TRUNC | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT |
	    O_NOATIME | O_DIRECTORY;
	bool begun = false;
	int fd, r;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if ((oflags & RPC_OPEN_KILLPRIV) != 0 && (flags & O_TRUNC) != 0) {
		r = resolve_statx(inode_fd(in), "", st);
		if (r != 0)
			return r;
		begun = killpriv_begin(st->stx_mode);
	}
	fd = resolve_open(in, (int)flags & mask);
	killpriv_end(begun);
	if (fd < 0)
		return fd;
	r = resolve_statx(fd, "", st);
	if (r == 0 && (st->stx_mode & S_IFMT) != in->type)
		r = -EBADF;
	if (r != 0) {
		fd_close(&fd);
		return r;
	}
	return fd;
}

int
ops_settle_open(
    int fd, struct inode *in, uint64_t fh, int flags, uint32_t oflags, const struct statx *st)
{
	if (ops_may_donate(st->stx_mode, flags, oflags))
		return 1;
	inode_set(in, INODE_SERVED);
	return handle_add(fh, in->node, fd, false, false);
}
