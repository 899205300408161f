/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sandbox of the worker (PROBES.md items 1 to 3).
 *
 * namespace: the process was cloned into namespaces of its own but still sees the host's tree. It takes its fd directory
 * (no procfs mount may remain: with uid 0 a reachable procfs is host root), clones the shared directory with all mounts
 * below it, mounts the clone over the original, pivots into it and lets go of the rest. A later worker enters the mount
 * namespace of the first, so that mount ids stay what they were.
 * chroot: chroot. none: nothing; names are contained by the checks on them alone.
 * Runs in: worker, before it serves.
 */
#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "proto/control.h"
#include "worker/lane.h"
#include "worker/resolve.h"

static void
identify(int fd, const char *name, struct statx *st)
{
	int r = resolve_statx(fd, name, st);

	if (r != 0) {
		errno = -r;
		fatal("statx");
	}
}

static bool
same_inode(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	    a->stx_dev_minor == b->stx_dev_minor;
}

/* The parent of the clone's root is the clone's root. */
static void
check_closed(int fd)
{
	struct statx here, above;
	int up;

	up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (up == -1)
		return;
	identify(fd, "", &here);
	identify(up, "", &above);
	if (!same_inode(&here, &above) || here.stx_mnt_id != above.stx_mnt_id)
		fatalx("the fd directory has a way out");
	close(up);
}

bool
sandbox_fd_directory(void)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
		    MOUNT_ATTR_NOEXEC,
	};
	bool private = true;
	int fd;

	fd = open_tree(AT_FDCWD, "/proc/self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd >= 0 && mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == -1)
		fatal("mount_setattr of the fd directory");
	if (fd == -1) {
		private = false;
		fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd == -1)
		fatal("open /proc/self/fd");
	if (fd != FD_DIR) {
		if (dup3(fd, FD_DIR, O_CLOEXEC) == -1)
			fatal("dup3 of the fd directory");
		close(fd);
	}
	if (private)
		check_closed(FD_DIR);
	return private;
}

/*
 * A mount can only be cloned from this process' own mount namespace, but the fd came from the monitor's: find the same
 * directory again by its path, and insist that it is the same.
 */
static int
reopen_here(int share)
{
	struct fd_name name = fd_name(share);
	struct statx want, got;
	char path[4096];
	ssize_t n;
	int fd;

	n = readlinkat(FD_DIR, name.s, path, sizeof(path) - 1);
	if (n <= 0 || path[0] != '/')
		fatalx("the path of the shared directory is unknown");
	path[n] = '\0';
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		fatal("open the shared directory");
	identify(share, "", &want);
	identify(fd, "", &got);
	if (!same_inode(&want, &got))
		fatalx("another file system is mounted over the shared directory");
	close(share);
	return fd;
}

/* A detached copy of the shared directory and all that is mounted in it. */
static int
clone_share(int *share)
{
	const unsigned flags = AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};
	int tree;

	tree = open_tree(*share, "", flags);
	if (tree == -1 && errno == EINVAL) {
		*share = reopen_here(*share);
		tree = open_tree(*share, "", flags);
	}
	if (tree == -1)
		fatal("open_tree of the shared directory");
	/* A second line of defence only: device nodes are never opened. */
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) == -1)
		log_warn("the shared directory could not be made nodev, nosuid, noexec");
	return tree;
}

static void
pivot_into(int share)
{
	struct statx want, got;
	int tree;

	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) == -1)
		fatal("mount / as slave");
	tree = clone_share(&share);
	identify(tree, "", &want);
	if (!same_inode(&want, (identify(share, "", &got), &got)))
		fatalx("the clone of the shared directory is not the shared directory");
	if (move_mount(tree, "", share, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ==
	    -1)
		fatal("move_mount of the shared directory");
	close(share);
	if (fchdir(tree) == -1)
		fatal("fchdir to the shared directory");
	if (syscall(SYS_pivot_root, ".", ".") == -1)
		fatal("pivot_root");
	if (umount2(".", MNT_DETACH) == -1)
		fatal("umount the old root");
	if (chdir("/") == -1)
		fatal("chdir /");
	identify(AT_FDCWD, "/", &got);
	if (!same_inode(&want, &got) || want.stx_mnt_id != got.stx_mnt_id)
		fatalx("the root is not the shared directory");
	close(tree);
}

/* The namespace that the first worker made, with the share as its root. */
static void
enter_kept(int share, int mntns)
{
	struct statx want, got;

	identify(share, "", &want);
	if (setns(mntns, CLONE_NEWNS) == -1)
		fatal("setns to the kept mount namespace");
	close(mntns);
	identify(AT_FDCWD, "/", &got);
	if (!same_inode(&want, &got))
		fatalx("the root of the kept mount namespace is not the shared directory");
	close(share);
}

static void
change_root(int share)
{
	if (fchdir(share) == -1)
		fatal("fchdir to the shared directory");
	if (chroot(".") == -1 || chdir("/") == -1)
		fatal("chroot");
	close(share);
}

int
sandbox_enter(uint32_t mode, int share, int mntns, bool private_fd_directory)
{
	int root;

	switch (mode) {
	case SANDBOX_NAMESPACE:
		if (!private_fd_directory)
			fatalx("no private fd directory: cannot enter the namespace sandbox");
		if (mntns >= 0)
			enter_kept(share, mntns);
		else
			pivot_into(share);
		check_closed(FD_DIR);
		break;
	case SANDBOX_CHROOT:
		change_root(share);
		break;
	case SANDBOX_NONE:
		return share;
	default:
		fatalx("unknown sandbox mode %u", mode);
	}
	root = open("/", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root == -1)
		fatal("open the root");
	return root;
}
