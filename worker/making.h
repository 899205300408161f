/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What SYMLINK, MKNOD, MKDIR, CREATE and TMPFILE have in common: the guest's caller as the host knows him, the system call in his
 * name, and the security label of what was made. Runs in: worker, lane threads.
 */
#ifndef WORKER_MAKING_H
#define WORKER_MAKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "proto/rpc.h"
#include "worker/lane.h"

struct making {
	const struct rpc_create *q;
	uid_t uid; /* of the host */
	gid_t gid;
	const uint32_t *groups; /* of the host */
	size_t ngroups;
	uint32_t few[RPC_GROUPS_MAX];
	char label[RPC_XATTR_MAX + 1]; /* the host's name of the xattr; "" = no label */
	const char *value;
	size_t size;
};

/*
 * Take from a request what its creation needs, which is nothing on a read-only share. Much of it may lie in the lane's scratch
 * until the request is answered. Returns 0, -EINVAL (it makes no sense), -EIO (a forbidden id), or what the xattr map says of
 * the label's name.
 */
int making_begin(struct lane *, const struct rpc_create *, struct making *) ATTR_MUSTCHECK;

/* The system call, in the caller's name and with his umask. Returns its result (CREATE and TMPFILE: an fd) or a negative errno. */
int making_run(const struct making *, int dirfd);

/*
 * Give what was just made as the request's name in dirfd its label; fd is an fd of it, O_PATH will do. If that fails, the name
 * goes again (TMPFILE has none: closing fd is the caller's part). Returns 0 or a negative errno.
 */
int making_label(const struct making *, int dirfd, int fd) ATTR_MUSTCHECK;
/* Remove the name again: if it still is that of fd, or (fd -1) whatever it is. */
void making_undo(const struct making *, int dirfd, int fd);

#endif
