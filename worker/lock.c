/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LOCKOPEN: an open file of its own for an owner of locks. It goes to the front, which locks it: so locks outlive this
 * process. Runs in: worker, lane threads. Requests written by: front.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "worker/ops.h"
#include "worker/resolve.h"

/*
 * What the guest has open, the host may deny since, if nobody here is root: then for writing only, which can hold fcntl's
 * locks for writing and flock's; else for reading only, which can hold fcntl's for reading and flock's.
 */
static int
open_node(uint64_t node, int flags, bool *rdonly)
{
	struct inode *in;
	int r = resolve_node(node, &in);

	*rdonly = false;
	if (r != 0)
		return r;
	r = in->type == S_IFREG ? resolve_open(in, flags | O_NONBLOCK) : -EBADF;
	if (r == -EACCES && flags == O_RDWR)
		r = resolve_open(in, O_WRONLY | O_NONBLOCK);
	if (r == -EACCES && flags == O_RDWR) {
		r = resolve_open(in, O_RDONLY | O_NONBLOCK);
		*rdonly = true;
	}
	inode_put(in);
	return r;
}

int
op_LOCKOPEN(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_open *q = (const void *)h;
	struct rpc_opened *reply;
	bool rdonly;
	int fd;

	if ((q->flags != O_RDONLY && q->flags != O_RDWR) || q->oflags != 0)
		return -EINVAL;
	if ((ops_device()->flags & (DEV_POSIX_LOCK | DEV_FLOCK)) == 0 ||
	    (ops_device()->flags & DEV_NO_DONATION) != 0)
		return -ENOLCK;
	if (ops_readonly() && q->flags != O_RDONLY)
		return -EROFS;
	fd = open_node(q->node, (int)q->flags, &rdonly);
	if (fd < 0)
		return fd;
	reply = lane_reply(l, h);
	reply->mode = S_IFREG;
	reply->flags = rdonly ? RPC_OPENED_RDONLY : 0;
	lane_donate(l, reply, fd, q->node, LANE_NO_HANDLE);
	return 0;
}
