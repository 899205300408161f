/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel drops set-id bits in the same step in which it changes the content; it is made to by giving up CAP_FSETID,
 * and, for S_ISGID of a file that its group may not execute, by being or not being in that group, for the time of
 * one system call. All of it is per thread, and a thread that cannot get back what it gave up ends the process.
 * Where a file system does not do it (tmpfs: fallocate) the bits are taken away afterwards.
 * Runs in: worker, lane threads.
 */
#include "worker/killpriv.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/log.h"
#include "proto/rpc.h"
#include "worker/cred.h"
#include "worker/lane.h"
#include "worker/resolve.h"
#include "worker/tables.h"

#define OTHER_GROUP 65534u /* nobody's; any number but the file's would do */

static bool
is_plain_sgid(mode_t mode)
{
	return (mode & (S_ISGID | S_IXGRP)) == S_ISGID;
}

/*
 * What the kernel's rule takes from a caller who has no privileges; gid: the guest's number. Supplementary groups are not
 * known here; of an unknown caller FUSE says that the bit goes only if the group may execute (FUSE_HANDLE_KILLPRIV_V2).
 */
static mode_t
bits_to_drop(const struct stat *st, gid_t gid)
{
	mode_t drop = st->st_mode & S_ISUID;

	if (!S_ISREG(st->st_mode))
		return 0;
	if (gid != RPC_NO_GID && tables_to_host(IDMAP_GID_TO_HOST, gid, &gid) != 0)
		gid = RPC_NO_GID;
	if ((st->st_mode & S_ISGID) != 0 &&
	    (!is_plain_sgid(st->st_mode) || (gid != (gid_t)RPC_NO_GID && gid != st->st_gid)))
		drop |= S_ISGID;
	return drop;
}

/* Be in the file's group, or out of it. Returns whether that took a change. */
static bool
change_group(gid_t group, bool in)
{
	gid_t own = cred_group(0), want = in ? group : own;

	if (!in && own == group)
		want = group != OTHER_GROUP ? OTHER_GROUP : OTHER_GROUP - 1;
	if (want == own)
		return false;
	/* Not permitted in a rootless worker, which has no CAP_FSETID either: then the kernel judges by what it is. */
	return syscall(SYS_setresgid, -1, want, -1) == 0;
}

void
killpriv_none(struct killpriv *k)
{
	k->fd = -1;
	k->drop = 0;
	k->fsetid = k->gid = false;
}

void
killpriv_begin(struct killpriv *k, int fd, gid_t gid)
{
	struct stat st;

	killpriv_none(k);
	if (fstat(fd, &st) == -1)
		return;
	k->drop = bits_to_drop(&st, gid);
	if (k->drop == 0)
		return;
	k->fd = fd;
	k->fsetid = cred_drop_fsetid();
	if (is_plain_sgid(st.st_mode))
		k->gid = change_group(st.st_gid, (k->drop & S_ISGID) == 0);
}

static void
take_away(int fd, mode_t drop)
{
	static struct log_limit limit;
	struct fd_name name = fd_name(fd);
	struct stat st;

	if (fstat(fd, &st) == -1 || (st.st_mode & drop) == 0)
		return;
	if (fchmodat(FD_DIR, name.s, st.st_mode & 07777 & ~drop, 0) == -1 && log_limit(&limit))
		log_warn("set-id bits of a changed file stay (%s)", strerrorname_np(errno));
}

void
killpriv_end(struct killpriv *k, bool done)
{
	int saved = errno;

	if (k->drop == 0)
		return;
	if (k->gid)
		cred_restore_group();
	if (k->fsetid)
		cred_restore_fsetid();
	if (done)
		take_away(k->fd, k->drop);
	errno = saved;
}

void
killpriv_now(int fd, gid_t gid)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		take_away(fd, bits_to_drop(&st, gid));
}

bool
killpriv_is_remapped(void)
{
	return tables_capability() != NULL;
}

int
killpriv_drop_remapped(int fd, mode_t mode)
{
	const char *remapped = tables_capability();
	struct fd_name name;

	if (remapped == NULL || !S_ISREG(mode))
		return 0;
	name = fd_name(fd);
	if (removexattr(name.s, remapped) == 0 || errno == ENODATA || errno == EOPNOTSUPP)
		return 0;
	return -errno;
}
