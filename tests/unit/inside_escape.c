/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ways out that check_inside.c tries. Each function runs in a process of its own and returns 0 if it reached
 * something of the host: usually /proc/sys/kernel/core_pattern (opened for writing, or its name found; never written) or
 * the file beside the shared directory.
 */
#include "inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/msg.h"
#include "worker/lane.h"

#define FDS 128 /* as many numbers are looked at */
#define CLIMB 14 /* as many ".." */

/* Special values of open_by_handle_at()'s first argument (linux/fcntl.h, since 6.17). */
#define PIDFS_ROOT (-10002)
#define NSFS_ROOT (-10003)

/* Open a file for writing; a name that can be resolved is a way out already. */
static int
touch(int dir, const char *path)
{
	int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1)
		fd = openat(dir, path, O_PATH | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	close(fd);
	return 0;
}

/* From dir, or a name below it, up and up, and down again to something of the host. */
static int
climb_from(int dir, const char *prefix)
{
	const char *const goals[] = {
		CORE_PATTERN,
		"sys/kernel/core_pattern",
		"kernel/core_pattern",
		"secret",
		inside.secret + 1,
		"root/" CORE_PATTERN,
	};
	char path[256];
	int r = -ENOENT;

	for (int up = 0; up < CLIMB; up++) {
		size_t n = (size_t)snprintf(path, sizeof(path), "%s", prefix);

		for (int i = 0; i < up; i++)
			n += (size_t)snprintf(path + n, sizeof(path) - n, "../");
		for (size_t i = 0; i < countof(goals); i++) {
			snprintf(path + n, sizeof(path) - n, "%s", goals[i]);
			if ((r = touch(dir, path)) == 0)
				return 0;
		}
	}
	return r;
}

static int
climb(int dir)
{
	return climb_from(dir, "");
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static int
by_path(const char *path)
{
	return touch(AT_FDCWD, path);
}

static int
secret_path(const char *unused)
{
	(void)unused;
	return touch(AT_FDCWD, inside.secret);
}

static int
from_root(const char *prefix)
{
	return climb_from(AT_FDCWD, prefix);
}

static int
from_cwd(const char *unused)
{
	(void)unused;
	return climb(AT_FDCWD);
}

static int
from_fds(const char *unused)
{
	int r = -EBADF;

	(void)unused;
	for (int fd = 0; fd < FDS && r != 0; fd++)
		if (is_open(fd))
			r = climb(fd);
	return r;
}

static int
from_fchdir(const char *unused)
{
	int r = -EBADF;

	(void)unused;
	for (int fd = 0; fd < FDS && r != 0; fd++)
		if (is_open(fd))
			r = fchdir(fd) == -1 ? -errno : climb(AT_FDCWD);
	return r;
}

static int
fd_dir_path(const char *path)
{
	return touch(FD_DIR, path);
}

static int
fd_dir_climb(const char *prefix)
{
	return climb_from(FD_DIR, prefix);
}

/* Through the magic link of each fd. */
static int
fd_dir_links(const char *rest)
{
	char path[80];
	int r = -EBADF;

	for (int fd = 0; fd < FDS && r != 0; fd++) {
		if (!is_open(fd))
			continue;
		snprintf(path, sizeof(path), "%d/%s", fd, rest);
		r = climb_from(FD_DIR, path);
	}
	return r;
}

/* Each fd opened again, not as O_PATH, and what was opened as the start of a climb. */
static int
fd_dir_reopen(const char *unused)
{
	char name[12];
	int r = -EBADF;

	(void)unused;
	for (int fd = 0; fd < FDS / 2 && r != 0; fd++) {
		int again;

		snprintf(name, sizeof(name), "%d", fd);
		again = is_open(fd) ? openat(FD_DIR, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		if (again != -1)
			r = climb(again);
	}
	return r;
}

static int
by_link(const char *name)
{
	return touch(inside.root, name);
}

static int
own_link(const char *target)
{
	char path[32];

	if (symlinkat(target, inside.root, "own") == -1)
		return -errno;
	snprintf(path, sizeof(path), "%d/own", inside.root);
	if (touch(FD_DIR, path) == 0)
		return 0;
	return touch(inside.root, "own");
}

static int
link_to_fd_dir(const char *unused)
{
	char path[32];
	int r;

	(void)unused;
	/* A directory cannot be linked; an fd's link in the fd directory can be, if the kernel allows. */
	snprintf(path, sizeof(path), "%d", FD_DIR);
	if (linkat(FD_DIR, path, inside.root, "procdir", AT_SYMLINK_FOLLOW) == -1)
		return -errno;
	r = inside.root >= 0 ? climb_from(inside.root, "procdir/") : -EBADF;
	return r;
}

static int
try_chroot(const char *unused)
{
	(void)unused;
	/* The working directory stays outside the new root: ".." never meets it. */
	if (chdir("/") == -1 || chroot(inside.mnt) == -1)
		return -errno;
	return climb(AT_FDCWD);
}

/* A directory that was moved out from above a process' own working directory. */
static int
rename_escape(const char *unused)
{
	int fd;

	(void)unused;
	if (mkdirat(inside.root, "sub/deep", 0777) == -1 ||
	    (fd = openat(inside.root, "sub/deep", O_PATH)) == -1)
		return -errno;
	if (renameat(inside.root, "sub/deep", inside.root, "deep") == -1)
		return -errno;
	return climb(fd);
}

static int
mount_type(const char *type)
{
	/* Nothing of these may come into being inside; what can be done with it is not tried. */
	return mount("none", inside.mnt, type, 0, NULL) == -1 ? -errno : 0;
}

static int
fsopen_type(const char *type)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs == -1 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1)
		return -errno;
	return fsmount(fs, FSMOUNT_CLOEXEC, 0) == -1 ? -errno : 0;
}

/* procfs with all but the processes hidden: mem and oom_score_adj of processes would still be there. */
static int
fsopen_subset(const char *unused)
{
	int fs = fsopen("proc", FSOPEN_CLOEXEC);

	(void)unused;
	if (fs == -1 || fsconfig(fs, FSCONFIG_SET_STRING, "subset", "pid", 0) == -1 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1)
		return -errno;
	return fsmount(fs, FSMOUNT_CLOEXEC, 0) == -1 ? -errno : 0;
}

/* With the worker's piece of procfs attached, does the kernel find that a procfs is visible already? */
static int
proc_beside_fd_dir(const char *unused)
{
	(void)unused;
	if (move_mount(FD_DIR, "", AT_FDCWD, inside.mnt, MOVE_MOUNT_F_EMPTY_PATH) == -1)
		return -errno;
	if (mount("proc", inside.mnt, "proc", 0, NULL) == 0)
		return 0;
	return climb_from(AT_FDCWD, inside.mnt);
}

static int
clone_tree(const char *path)
{
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	return fd == -1 ? -errno : climb(fd);
}

static int
clone_fd_tree(const char *path)
{
	int r = -EBADF;

	for (int fd = 0; fd < FDS / 2 && r != 0; fd++) {
		int tree;

		if (!is_open(fd))
			continue;
		tree = open_tree(
		    fd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
		r = tree == -1 ? -errno : climb(tree);
	}
	return r;
}

static int
bind_mount(const char *source)
{
	int fd;

	if (mount(source, inside.mnt, NULL, MS_BIND | MS_REC, NULL) == -1 && errno == EINVAL &&
	    mount(source, inside.mnt, NULL, MS_BIND, NULL) == -1)
		return -errno;
	fd = open(inside.mnt, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd == -1 ? -errno : climb(fd);
}

static int
try_pivot(const char *unused)
{
	(void)unused;
	if (mount(inside.mnt, inside.mnt, NULL, MS_BIND | MS_REC, NULL) == -1 ||
	    chdir(inside.mnt) == -1 || syscall(SYS_pivot_root, ".", ".") == -1)
		return -errno;
	return climb(AT_FDCWD);
}

/* What lies under the root? */
static int
umount_root(const char *unused)
{
	(void)unused;
	if (chdir("/") == -1 || umount2("/", MNT_DETACH) == -1)
		return -errno;
	return climb_from(AT_FDCWD, "/") == 0 ? 0 : climb(AT_FDCWD);
}

static int
umount_fd_dir(const char *unused)
{
	(void)unused;
	if (fchdir(FD_DIR) == -1 || umount2(".", MNT_DETACH) == -1)
		return -errno;
	return climb(AT_FDCWD);
}

static int
remount_writable(const char *path)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV |
		    MOUNT_ATTR_NOSUID };

	return mount_setattr(AT_FDCWD, path, 0, &attr, sizeof(attr)) == -1 ? -errno : 0;
}

static int
setns_fds(const char *unused)
{
	int r = -EBADF;

	(void)unused;
	for (int fd = 0; fd < FDS && r != 0; fd++)
		if (is_open(fd))
			r = setns(fd, 0) == -1 ? -errno : climb(AT_FDCWD);
	return r;
}

static int
setns_process(const char *unused)
{
	int fd = pidfd_open(inside.host_pid, 0);

	(void)unused;
	if (fd == -1 || setns(fd, CLONE_NEWNS) == -1)
		return -errno;
	return climb(AT_FDCWD);
}

/* A handle names a namespace, too. */
static int
setns_handle(const char *unused)
{
	int fd;

	(void)unused;
	if (inside.h_mntns.h.handle_bytes == 0)
		return -EOPNOTSUPP;
	fd = open_by_handle_at(NSFS_ROOT, &inside.h_mntns.h, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || setns(fd, CLONE_NEWNS) == -1)
		return -errno;
	return climb(AT_FDCWD);
}

static int
process_handle(const char *unused)
{
	int fd;

	(void)unused;
	if (inside.h_process.h.handle_bytes == 0)
		return -EOPNOTSUPP;
	fd = open_by_handle_at(PIDFS_ROOT, &inside.h_process.h, O_CLOEXEC);
	return fd == -1 ? -errno : 0;
}

static int
open_handle(struct inside_handle *h, int flags)
{
	int r = -EBADF;

	/* The mount fd must not be O_PATH, and the mount may have to be one of this process' own namespace. */
	(void)openat(inside.root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int on = 0; on < FDS && r != 0; on++)
		if (is_open(on))
			r = open_by_handle_at(on, &h->h, flags | O_CLOEXEC) == -1 ? -errno : 0;
	return r;
}

static int
handle_of_root(const char *unused)
{
	(void)unused;
	return open_handle(&inside.h_root, O_RDONLY | O_DIRECTORY);
}

static int
handle_of_secret(const char *unused)
{
	(void)unused;
	return open_handle(&inside.h_secret, O_RDONLY);
}

static int
open_device(int dir, mode_t type, dev_t dev)
{
	char path[32];

	if (mknodat(dir, "device", type | 0666, dev) == -1)
		return -errno;
	if (openat(dir, "device", O_RDONLY | O_NONBLOCK | O_CLOEXEC) != -1)
		return 0;
	snprintf(path, sizeof(path), "%d/device", dir);
	return openat(FD_DIR, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) == -1 ? -errno : 0;
}

static int
device_disk(const char *unused)
{
	(void)unused;
	return open_device(inside.root, S_IFBLK, inside.disk);
}

static int
device_zero(const char *unused)
{
	(void)unused;
	return open_device(inside.root, S_IFCHR, makedev(1, 5));
}

/* A child's user namespace may mount a tmpfs without nodev, and the parent may make device nodes: together? */
static int
device_two(const char *unused)
{
	int pair[2], dir = -1;
	size_t n = 1;
	pid_t pid;
	char c;

	(void)unused;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1 ||
	    (pid = fork()) == -1)
		return -errno;
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1 ||
		    mount("none", inside.mnt, "tmpfs", 0, NULL) == -1 ||
		    chmod(inside.mnt, 0777) == -1 ||
		    (dir = open(inside.mnt, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1)
			_exit(1);
		_exit(msg_send(pair[1], "", 1, &dir, 1, 0) != 0);
	}
	close(pair[1]);
	if (msg_recv(pair[0], &c, 1, &dir, &n, NULL, 0) != 1 || n != 1)
		return -EPERM;
	return open_device(dir, S_IFCHR, makedev(1, 5));
}

static int
abstract_socket(const char *unused)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	size_t n = strlen(inside.abstract);

	(void)unused;
	memcpy(un.sun_path + 1, inside.abstract, n);
	n += offsetof(struct sockaddr_un, sun_path) + 1;
	return connect(fd, (struct sockaddr *)&un, (socklen_t)n) == -1 ? -errno : 0;
}

static int
tcp_socket(const char *unused)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = inside.port,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)unused;
	return connect(fd, (struct sockaddr *)&in, sizeof(in)) == -1 ? -errno : 0;
}

static int
sysv_queue(const char *unused)
{
	(void)unused;
	return msgget(inside.key, 0) == -1 ? -errno : 0;
}

static int
signal_host(const char *unused)
{
	(void)unused;
	return kill(inside.host_pid, 0) == -1 ? -errno : 0;
}

static int
signal_all(const char *unused)
{
	(void)unused;
	return kill(-1, 0) == -1 ? -errno : 0;
}

static int
trace_host(const char *unused)
{
	(void)unused;
	return ptrace(PTRACE_SEIZE, inside.host_pid, NULL, NULL) == -1 ? -errno : 0;
}

static int
read_host_memory(const char *unused)
{
	char c;
	/* The same image: the variable is there too. */
	struct iovec mine = { &c, 1 }, theirs = { inside.base, 1 };

	(void)unused;
	return process_vm_readv(inside.host_pid, &mine, 1, &theirs, 1, 0) == -1 ? -errno : 0;
}

static int
pidfd_of_host(const char *unused)
{
	(void)unused;
	return pidfd_open(inside.host_pid, 0) == -1 ? -errno : 0;
}

static int
fd_of_host(const char *unused)
{
	int pidfd = pidfd_open(inside.host_pid, 0), fd;

	(void)unused;
	if (pidfd == -1 || (fd = pidfd_getfd(pidfd, inside.host_dir, 0)) == -1)
		return -errno;
	return climb(fd);
}

#define C INSIDE_CONTROL_REACHES
#define U INSIDE_USER_REACHES

const struct inside_attempt inside_attempts[] = {
	/* paths */
	{ "absolute path", by_path, "/" CORE_PATTERN, C | U },
	{ "absolute path of a file beside the share", secret_path, NULL, C | U },
	{ "from the working directory up", from_cwd, NULL, C | U },
	{ "from / up", from_root, "/", C | U },
	{ "from every fd up", from_fds, NULL, C | U },
	{ "fchdir to every fd, then up", from_fchdir, NULL, C | U },
	{ "/proc/self/root", by_path, "/proc/self/root/" CORE_PATTERN, C },
	{ "/proc/thread-self/root", by_path, "/proc/thread-self/root/" CORE_PATTERN, C },
	{ "/proc/1/root", by_path, "/proc/1/root/" CORE_PATTERN, 0 },
	{ "/proc/1/status", by_path, "/proc/1/status", C | U },
	{ "/proc/self/mem", by_path, "/proc/self/mem", C },
	{ "/proc/1/ns/mnt", by_path, "/proc/1/ns/mnt", 0 },
	{ "/dev/null", by_path, "/dev/null", C | U },
	{ "/dev/kmsg", by_path, "/dev/kmsg", C | U },
	{ "/sys", by_path, "/sys/kernel", C | U },
	{ "/etc", by_path, "/etc/passwd", C | U },
	/* the worker's fd directory */
	{ "fd directory, up", fd_dir_climb, "", C | U },
	{ "fd directory, ./ up", fd_dir_climb, "./", C | U },
	{ "fd directory, ../root", fd_dir_path, "../root/" CORE_PATTERN, C },
	{ "fd directory, ../cwd", fd_dir_path, "../cwd/" CORE_PATTERN, C },
	{ "fd directory, ../ns/mnt", fd_dir_path, "../ns/mnt", C },
	{ "fd directory, ../task", fd_dir_path, "../task", C | U },
	{ "fd directory, ../exe", fd_dir_path, "../exe", C },
	{ "fd directory, ../mem", fd_dir_path, "../mem", C },
	{ "fd directory, ../oom_score_adj", fd_dir_path, "../oom_score_adj", C | U },
	{ "fd directory, ../../sys", fd_dir_path, "../../sys/kernel/core_pattern", C | U },
	{ "fd directory, ../../1/root", fd_dir_path, "../../1/root/" CORE_PATTERN, 0 },
	{ "fd directory, self", fd_dir_path, "self/root/" CORE_PATTERN, 0 },
	{ "fd directory, N/", fd_dir_links, "", C },
	{ "fd directory, N/..", fd_dir_links, "../", C },
	{ "fd directory, N/root", fd_dir_links, "root/", 0 },
	{ "fd directory, N/../root", fd_dir_links, "../root/", C },
	{ "fd directory, N opened again, up", fd_dir_reopen, NULL, C },
	/* links in the share */
	{ "link to an absolute path", by_link, "abs", C | U },
	{ "link to ../../..", by_link, "up", C | U },
	{ "link to a file beside the share", by_link, "sibling", C | U },
	{ "link through /proc/self/root", by_link, "magic", C },
	{ "link to /, then proc", by_link, "slash/" CORE_PATTERN, C | U },
	{ "link to ../.., then secret", by_link, "dotdot/../proc", C | U },
	{ "link to /proc/self/fd", by_link, "fds/../root/" CORE_PATTERN, C },
	{ "own link to an absolute path", own_link, "/" CORE_PATTERN, C },
	{ "own link to the parent", own_link, "../secret", C },
	{ "own link to a magic link", own_link, "/proc/self/fd/../root/" CORE_PATTERN, C },
	{ "hard link to the fd directory", link_to_fd_dir, NULL, 0 },
	{ "directory moved away above an fd", rename_escape, NULL, C },
	/* mounts and roots */
	{ "chroot below the working directory", try_chroot, NULL, C | U },
	{ "pivot_root", try_pivot, NULL, C },
	{ "umount of the root", umount_root, NULL, 0 },
	{ "umount of the fd directory", umount_fd_dir, NULL, 0 },
	{ "mount of proc", mount_type, "proc", C | U },
	{ "mount of sysfs", mount_type, "sysfs", C | U },
	{ "mount of devtmpfs", mount_type, "devtmpfs", C },
	{ "mount of debugfs", mount_type, "debugfs", 0 },
	{ "fsopen of proc", fsopen_type, "proc", C | U },
	{ "fsopen of proc, subset=pid", fsopen_subset, NULL, C | U },
	{ "fsopen of sysfs", fsopen_type, "sysfs", C | U },
	{ "proc beside the fd directory", proc_beside_fd_dir, NULL, 0 },
	{ "open_tree of /", clone_tree, "/", C | U },
	{ "open_tree of ..", clone_tree, "..", C | U },
	{ "open_tree of /..", clone_tree, "/..", C | U },
	{ "open_tree of every fd", clone_fd_tree, "", 0 },
	{ "open_tree of every fd's ..", clone_fd_tree, "..", C },
	{ "open_tree of every fd's ../..", clone_fd_tree, "../..", C },
	{ "bind mount of ..", bind_mount, "..", C | U },
	{ "bind mount of /..", bind_mount, "/..", C | U },
	{ "bind mount of /proc", bind_mount, "/proc", C | U },
	{ "remount without nodev and nosuid", remount_writable, "/", C },
	/* namespaces */
	{ "setns to every fd", setns_fds, NULL, 0 },
	{ "setns to a process of the host", setns_process, NULL, C },
	{ "setns to a namespace's handle", setns_handle, NULL, 0 },
	{ "handle of a process of the host", process_handle, NULL, 0 },
	/* file handles */
	{ "file handle of the host's root", handle_of_root, NULL, C },
	{ "file handle of a file beside the share", handle_of_secret, NULL, C },
	/* devices; a device cgroup of the host may forbid the disk to everyone */
	{ "mknod and open of the disk", device_disk, NULL, 0 },
	{ "mknod and open of /dev/zero", device_zero, NULL, C },
	{ "mknod on a child's tmpfs", device_two, NULL, 0 },
	/* the rest of the host */
	{ "abstract socket", abstract_socket, NULL, C },
	{ "loopback", tcp_socket, NULL, C },
	{ "System V message queue", sysv_queue, NULL, C },
	{ "signal to a process of the host", signal_host, NULL, C },
	{ "signal to all", signal_all, NULL, C },
	{ "ptrace of a process of the host", trace_host, NULL, C },
	{ "memory of a process of the host", read_host_memory, NULL, C },
	{ "pidfd of a process of the host", pidfd_of_host, NULL, C },
	{ "fd of a process of the host", fd_of_host, NULL, C },
};
const int inside_attempts_n = countof(inside_attempts);
