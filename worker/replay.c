/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See worker/replay.h. The journal says what the names meant before; a name that was never there has inode number 0.
 * A wrong judgement needs the host to change the same names between that look and the end of the restart.
 * Runs in: worker, lane threads.
 */
#include "worker/replay.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

static bool
has_target(const struct inode *in, const char *want)
{
	char target[RPC_TARGET_MAX + 1];
	ssize_t n = readlinkat(inode_fd(in), "", target, sizeof(target));

	return n >= 0 && (size_t)n == strlen(want) && memcmp(target, want, (size_t)n) == 0;
}

static bool
has_device(const struct rpc_create *q, const struct statx *st)
{
	const uint32_t type = (q->mode & S_IFMT) != 0 ? q->mode & S_IFMT : S_IFREG;

	if ((st->stx_mode & S_IFMT) != type)
		return false;
	if (type != S_IFCHR && type != S_IFBLK)
		return st->stx_size == 0;
	return makedev(st->stx_rdev_major, st->stx_rdev_minor) == (dev_t)q->rdev;
}

static bool
is_inode(const struct statx *st, uint64_t ino, uint32_t dev)
{
	return st != NULL && ino != 0 && st->stx_ino == ino &&
	    (st->stx_dev_major << 20 | st->stx_dev_minor) == dev;
}

static bool
is_after(const struct statx_timestamp *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/*
 * Was it born after the last worker had died? By this machine's clock, that is, which is the local file systems'; one within
 * a clock tick after the beginning may be stamped with the time before it.
 */
static bool
is_too_young(const struct inode *in, const struct timespec *read_at)
{
	struct timespec now;
	struct statx st;

	if (inode_has(in, INODE_AMBIGUOUS) ||
	    statx(inode_fd(in), "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BTIME, &st) == -1 ||
	    (st.stx_mask & STATX_BTIME) == 0)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	return is_after(&st.stx_btime, read_at) && !is_after(&st.stx_btime, &now);
}

bool
replay_made(const struct making *m, const struct journal_past *p, const struct inode *in,
    const struct statx *st)
{
	if (p->ino1 != 0 || is_too_young(in, &p->read_at))
		return false;
	/* Not by its owners: they need not be what was asked for (grpid, vfat, NFS with squashing). */
	switch (m->q->h.op) {
	case RPC_MKDIR:
		return in->type == S_IFDIR;
	case RPC_MKNOD:
		return has_device(m->q, st);
	case RPC_SYMLINK:
		return in->type == S_IFLNK && has_target(in, rpc_name2(RPC_REQUEST, &m->q->h));
	default:
		return in->type == S_IFREG && st->stx_size == 0;
	}
}

bool
replay_removed(const struct journal_past *p, const struct statx *now)
{
	return p->ino1 != 0 && !is_inode(now, p->ino1, p->dev1);
}

bool
replay_renamed(const struct journal_past *p, unsigned flags, const struct statx *now1,
    const struct statx *now2)
{
	const bool same = p->ino1 == p->ino2 && p->dev1 == p->dev2;

	if (p->ino1 == 0 || is_inode(now1, p->ino1, p->dev1))
		return false;
	if ((flags & RENAME_EXCHANGE) != 0)
		return !same && is_inode(now1, p->ino2, p->dev2) &&
		    is_inode(now2, p->ino1, p->dev1);
	return is_inode(now2, p->ino1, p->dev1);
}
