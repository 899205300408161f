/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sandbox of the worker (PROBES.md items 1 to 3).
 *
 * namespace: the process was cloned into namespaces of its own but still sees the host's tree. It takes its fd directory
 * (no procfs mount may remain: with uid 0 a reachable procfs is host root), clones the shared directory with all mounts
 * below it, mounts the clone over the original, pivots into it and lets go of the rest. A later worker enters the mount
 * namespace of the first, so that mount ids stay what they were.
 * chroot: chroot. none: nothing; names are contained by the checks on them alone. Both stay in the mount namespace of the
 * host, whose later mounts they see.
 * Runs in: worker, before it serves.
 */
#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/landlock.h"
#include "common/log.h"
#include "common/privs.h"
#include "proto/control.h"
#include "worker/lane.h"
#include "worker/resolve.h"

/* FD_DIR is a mount that leads nowhere else, not a plain fd, whose ".." is /proc/PID. */
static bool fd_directory_private;

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

/* The parent of the fd directory's root is that root. */
static void
check_closed(void)
{
	struct statx here, above;
	int up;

	up = openat(FD_DIR, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (up == -1)
		return;
	identify(FD_DIR, "", &here);
	identify(up, "", &above);
	if (!same_inode(&here, &above) || here.stx_mnt_id != above.stx_mnt_id)
		fatalx("the fd directory has a way out");
	close(up);
}

static void
put_at_fd_dir(int fd)
{
	if (fd == FD_DIR)
		return;
	if (dup3(fd, FD_DIR, O_CLOEXEC) == -1)
		fatal("dup3 of the fd directory");
	close(fd);
}

void
sandbox_fd_directory(void)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
		    MOUNT_ATTR_NOEXEC,
	};
	int fd;

	fd = open_tree(AT_FDCWD, "/proc/self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	fd_directory_private = fd != -1 &&
	    mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0;
	if (!fd_directory_private) {
		fd_close(&fd);
		fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd == -1)
		fatal("open /proc/self/fd");
	put_at_fd_dir(fd);
	if (fd_directory_private)
		check_closed();
}

/* A private fd directory for kernels and containers without open_tree(). In a mount namespace of its own, mounts slaves. */
static void
bind_fd_directory(void)
{
	const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int fd;

	if (mount("/proc/self/fd", "/proc", NULL, MS_BIND, NULL) == -1)
		fatal("bind mount of the fd directory");
	if (mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND | flags, NULL) == -1)
		fatal("remount of the fd directory");
	fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		fatal("open the fd directory");
	/* By itself, not with the tree that it is mounted in: then it would stay connected to that. */
	if (umount2("/proc", MNT_DETACH) == -1)
		fatal("umount of the fd directory");
	put_at_fd_dir(fd);
	fd_directory_private = true;
}

/* The way to the shared directory, which the monitor has opened by its canonical path. */
static void
path_of(int share, char path[PATH_MAX])
{
	struct fd_name name = fd_name(share);
	ssize_t n = readlinkat(FD_DIR, name.s, path, PATH_MAX - 1);

	if (n <= 0 || path[0] != '/')
		fatalx("the path of the shared directory is unknown");
	path[n] = '\0';
}

/*
 * A mount can only be cloned from this process' own mount namespace, but the fd came from the monitor's: find the same
 * directory again by its path, and insist that it is the same. Instead of share, which is closed.
 */
static int
reopen_here(int share)
{
	struct statx want, got;
	char path[PATH_MAX];
	int fd;

	path_of(share, path);
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

/* Mount a copy of the shared directory, and all that is mounted in it, over it. Returns an fd of the copy, or -1. */
static int
mount_clone(int share)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};
	int tree;

	tree = open_tree(
	    share, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree == -1)
		return -1;
	/* A second line of defence only: device nodes are never opened. */
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) == -1)
		log_warn("the shared directory could not be made nodev, nosuid, noexec");
	if (move_mount(tree, "", share, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ==
	    -1)
		fd_close(&tree);
	return tree;
}

/* The same by mount(2); what is mounted below does not get the flags. */
static int
mount_bound(int share)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char path[PATH_MAX];
	int tree;

	path_of(share, path);
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) == -1)
		fatal("bind mount of the shared directory");
	if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | flags, NULL) == -1)
		log_warn("the shared directory could not be made nodev, nosuid, noexec");
	/* What is on top at this path. The root directory has nothing above: pivot_root() will say so. */
	tree = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (tree == -1)
		fatal("open the bind mount of the shared directory");
	return tree;
}

static void
make_slave(void)
{
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) == -1)
		fatal("mount / as slave");
}

/* Let go of everything but what is below tree. */
static void
pivot_to(int tree)
{
	struct statx want, got;

	if (fchdir(tree) == -1)
		fatal("fchdir to the shared directory");
	if (syscall(SYS_pivot_root, ".", ".") == -1)
		fatal("pivot_root");
	if (umount2(".", MNT_DETACH) == -1)
		fatal("umount the old root");
	if (chdir("/") == -1)
		fatal("chdir /");
	identify(tree, "", &want);
	identify(AT_FDCWD, "/", &got);
	if (!same_inode(&want, &got) || want.stx_mnt_id != got.stx_mnt_id)
		fatalx("the root is not the shared directory");
}

static void
pivot_into(int share)
{
	struct statx want, got;
	int tree;

	make_slave();
	share = reopen_here(share);
	identify(share, "", &want);
	tree = mount_clone(share);
	if (tree == -1) {
		log_debug("open_tree: %s: mounting the shared directory the old way",
		    strerrordesc_np(errno));
		tree = mount_bound(share);
	}
	close(share);
	identify(tree, "", &got);
	if (!same_inode(&want, &got))
		fatalx("the clone of the shared directory is not the shared directory");
	if (!fd_directory_private)
		bind_fd_directory();
	pivot_to(tree);
	close(tree);
}

/* The namespace that the first worker made, with the share as its root. */
static void
enter_kept(int share, int mntns)
{
	struct statx want, got;

	if (!fd_directory_private) {
		make_slave();
		bind_fd_directory();
	}
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
	int r;

	if (fchdir(share) == -1)
		fatal("fchdir to the shared directory");
	if (chroot(".") == -1 || chdir("/") == -1)
		fatal("chroot");
	if (!fd_directory_private) {
		/* What FD_DIR leads to, and all else outside, can then not be opened. */
		privs_no_new();
		if ((r = landlock_restrict(share)) != 0)
			log_warn("the worker process can reach /proc: there is neither "
				 "CAP_SYS_ADMIN, to prevent it, nor Landlock (%s)",
			    strerrordesc_np(-r));
	}
	close(share);
}

int
sandbox_enter(uint32_t mode, int share, int mntns)
{
	int root;

	switch (mode) {
	case SANDBOX_NAMESPACE:
		if (mntns >= 0)
			enter_kept(share, mntns);
		else
			pivot_into(share);
		check_closed();
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
