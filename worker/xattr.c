/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes: SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. The calls that take a path get "N", the name of the
 * inode's O_PATH fd in the fd directory, which is this thread's working directory: no inode is opened for its attributes,
 * and every type of inode is served alike. Values go between the arena and the kernel only.
 * Runs in: worker, lane threads. Requests written by: front.
 */
#include <errno.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include <sys/xattr.h>

#include "worker/ops.h"
#include "worker/replay.h"
#include "worker/resolve.h"

#ifndef XATTR_SIZE_MAX
#define XATTR_SIZE_MAX 65536
#endif

/* The inode, and the name it goes by in this thread's working directory. */
static int
begin(uint64_t node, struct inode **in, struct fd_name *path)
{
	int r = resolve_node(node, in);

	if (r == 0)
		*path = fd_name(inode_fd(*in));
	return r;
}

int
op_SETXATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_xattr *q = (const void *)h;
	const char *value = lane_extent(l, h, q->size);
	const struct journal_past *past;
	uint32_t flags;
	struct fd_name path;
	struct inode *in;
	int r;

	if (value == NULL)
		return -EINVAL;
	r = begin(q->node, &in, &path);
	if (r != 0)
		return r;
	past = journal_past(&l->journal, h);
	/* Set again, the value is what it would be; only XATTR_CREATE would stumble over its own work. */
	flags = past != NULL ? q->flags & ~(uint32_t)XATTR_CREATE : q->flags;
	if (replay_is_done(past))
		r = past->error;
	else {
		journal_begin(&l->journal, h, NULL, NULL);
		r = setxattr(path.s, rpc_name1(RPC_REQUEST, h), value, q->size, (int)flags) == -1
		    ? -errno
		    : 0;
		journal_done(&l->journal, h, r);
	}
	inode_put(in);
	return r != 0 ? r : ops_reply_ok(l, h);
}

int
op_GETXATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_xattr *q = (const void *)h;
	char *value = lane_extent(l, h, q->size);
	struct fd_name path;
	struct inode *in;
	ssize_t n;
	int r;

	if (value == NULL)
		return -EINVAL;
	r = begin(q->node, &in, &path);
	if (r != 0)
		return r;
	n = getxattr(
	    path.s, rpc_name1(RPC_REQUEST, h), value, MIN(q->size, (uint32_t)XATTR_SIZE_MAX));
	r = n == -1 ? -errno : 0;
	inode_put(in);
	return r != 0 ? r : ops_reply_count(l, h, (uint64_t)n);
}

int
op_LISTXATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_xattr *q = (const void *)h;
	char *list = lane_extent(l, h, q->size);
	struct fd_name path;
	struct inode *in;
	ssize_t n;
	int r;

	if (list == NULL)
		return -EINVAL;
	r = begin(q->node, &in, &path);
	if (r != 0)
		return r;
	n = listxattr(path.s, list, MIN(q->size, (uint32_t)XATTR_LIST_MAX));
	r = n == -1 ? -errno : 0;
	inode_put(in);
	return r != 0 ? r : ops_reply_count(l, h, (uint64_t)n);
}

int
op_REMOVEXATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_node *q = (const void *)h;
	const struct journal_past *past;
	struct fd_name path;
	struct inode *in;
	int r;

	r = begin(q->node, &in, &path);
	if (r != 0)
		return r;
	past = journal_past(&l->journal, h);
	if (replay_is_done(past))
		r = past->error;
	else {
		journal_begin(&l->journal, h, NULL, NULL);
		r = removexattr(path.s, rpc_name1(RPC_REQUEST, h)) == -1 ? -errno : 0;
		if (past != NULL && r == -ENODATA)
			r = 0;
		journal_done(&l->journal, h, r);
	}
	inode_put(in);
	return r != 0 ? r : ops_reply_ok(l, h);
}
