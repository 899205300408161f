/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STATX: the attributes of GETATTR and, where the file system keeps them, when the inode was born and its flags.
 * Runs in: worker, lane threads. Requests written by: front.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>

#include "worker/ops.h"
#include "worker/resolve.h"

#define WANTED (STATX_BASIC_STATS | STATX_BTIME)
/* Of the inode. What says how the host has mounted it is nothing to the guest. */
#define ATTRIBUTES \
	(STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP | \
	    STATX_ATTR_ENCRYPTED | STATX_ATTR_VERITY | STATX_ATTR_DAX)

static int
look(const struct inode *in, uint32_t sync, struct statx *st)
{
	const int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (int)sync;

	if (statx(inode_fd(in), "", flags, WANTED, st) == -1)
		return -errno;
	return (st->stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS ? 0 : -ENOSYS;
}

int
op_STATX(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_statx *q = (const void *)h;
	struct rpc_statx_reply *reply;
	struct inode *in;
	struct statx st;
	int r;

	if (q->sync != AT_STATX_SYNC_AS_STAT && q->sync != AT_STATX_FORCE_SYNC &&
	    q->sync != AT_STATX_DONT_SYNC)
		return -EINVAL;
	r = resolve_node(q->f.node, &in);
	if (r != 0)
		return r;
	r = look(in, q->sync, &st);
	inode_put(in);
	if (r != 0)
		return r;
	reply = lane_reply(l, h);
	ops_attr(&reply->attr, &st);
	reply->mask = st.stx_mask & WANTED;
	reply->attributes = st.stx_attributes & ATTRIBUTES;
	reply->attributes_mask = st.stx_attributes_mask & ATTRIBUTES;
	if ((st.stx_mask & STATX_BTIME) != 0) {
		reply->btime = st.stx_btime.tv_sec;
		reply->btimensec = st.stx_btime.tv_nsec;
	}
	return 0;
}
