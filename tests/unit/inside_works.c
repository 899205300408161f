/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the processes do in normal service, made under their profiles by check_inside.c. A profile that forbids
 * everything would pass the other half of that test.
 */
#include "inside.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/msg.h"
#include "worker/lane.h"

volatile int *inside_line;

/* Leaves the line behind where it can be seen after a death, too. */
#define MUST(expr) \
	do { \
		*inside_line = __LINE__; \
		if (!(expr)) \
			return -1; \
	} while (0)

static int file, other, event, pair[2], dir, child;
static struct inside_handle handle;

static void
need(bool ok)
{
	if (!ok)
		_exit(98);
}

/* In a tmpfs of this process' own: nothing to clean up. FD_DIR is the fd directory, as in the worker. */
static void
prepare(void)
{
	int fds;

	need(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
	need(mount("none", "/mnt", "tmpfs", 0, NULL) == 0);
	need((fds = open("/proc/self/fd", O_PATH | O_DIRECTORY)) != -1);
	dir = open("/mnt", O_RDONLY | O_DIRECTORY);
	file = openat(dir, "file", O_RDWR | O_CREAT, 0644);
	other = openat(dir, "other", O_RDWR | O_CREAT, 0644);
	event = eventfd(0, 0);
	need(dir != -1 && file != -1 && other != -1 && event != -1);
	need((dir = fcntl(dir, F_DUPFD, 50)) != -1 && (file = fcntl(file, F_DUPFD, 50)) != -1);
	need(
	    (other = fcntl(other, F_DUPFD, 50)) != -1 && (event = fcntl(event, F_DUPFD, 50)) != -1);
	need(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	need((pair[0] = fcntl(pair[0], F_DUPFD, 50)) != -1 &&
	    (pair[1] = fcntl(pair[1], F_DUPFD, 50)) != -1);
	need((fds = fcntl(fds, F_DUPFD, 50)) != -1 && dup2(fds, FD_DIR) == FD_DIR &&
	    fchdir(FD_DIR) == 0);
}

static void
prepare_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	need(pid > 0 && (child = pidfd_open(pid, 0)) != -1);
}

static int
memory(void)
{
	const size_t large = 4u << 20;
	char *p = malloc(100), *q = malloc(large);
	void *m;

	MUST(p != NULL && q != NULL);
	memset(q, 1, large);
	MUST((q = realloc(q, 2 * large)) != NULL);
	free(q);
	free(p);
	m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(m != MAP_FAILED && mprotect(m, 4096, PROT_READ) == 0 &&
	    madvise(m, 8192, MADV_DONTNEED) == 0);
	MUST(munmap(m, 8192) == 0);
	return 0;
}

static int
messages(void)
{
	int fd = file, got = -1;
	size_t n = 1;
	char c;

	MUST(msg_send(pair[0], "x", 1, &fd, 1, 0) == 0);
	MUST(msg_recv(pair[1], &c, 1, &got, &n, NULL, 0) == 1 && n == 1);
	MUST(close(got) == 0);
	return 0;
}

static int
waits(void)
{
	struct pollfd p = { .fd = event, .events = POLLOUT };
	struct timespec ts = { .tv_nsec = 1000 }, now;

	MUST(ppoll(&p, 1, &ts, NULL) == 1);
	MUST(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0);
	/* FUTEX_WAIT for a value that is not there. */
	MUST(syscall(SYS_futex, &(int){ 1 }, 0, 2, NULL, NULL, 0) == -1 && errno == EAGAIN);
	return 0;
}

static int
event_fds(void)
{
	uint64_t one = 1;

	MUST(write(event, &one, sizeof(one)) == sizeof(one));
	MUST(read(event, &one, sizeof(one)) == sizeof(one) && one == 1);
	return 0;
}

/* READ, WRITE and their kin, on a file that is open. */
static int
file_data(void)
{
	char data[] = "data";
	struct iovec iov = { data, sizeof(data) };
	off_t from = 0, to = 0;
	int again;

	MUST(pwritev2(file, &iov, 1, 0, 0) == sizeof(data));
	MUST(preadv2(file, &iov, 1, 0, 0) == sizeof(data));
	MUST(fsync(file) == 0 && fdatasync(file) == 0);
	MUST(fallocate(file, 0, 0, 8192) == 0 && lseek(file, 0, SEEK_DATA) == 0);
	MUST(ftruncate(file, 8192) == 0);
	MUST(copy_file_range(file, &from, other, &to, 4, 0) > 0);
	MUST((again = dup(file)) >= 0 && close(again) == 0);
	return 0;
}

static int
front_attributes(void)
{
	struct statx stx;
	struct stat st;

	MUST(statx(file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) == 0);
	MUST(statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &stx) == 0);
	MUST(fstat(file, &st) == 0);
	MUST(fcntl(event, F_GETFL) != -1 && fcntl(event, F_SETFL, O_NONBLOCK) == 0);
	return 0;
}

/* What a lock thread does when it is called away comes with it. */
static int
front_locks(void)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	MUST(fcntl(file, F_OFD_SETLK, &f) == 0 && fcntl(file, F_OFD_SETLKW, &f) == 0);
	MUST(fcntl(file, F_OFD_GETLK, &f) == 0);
	MUST(flock(file, LOCK_EX | LOCK_NB) == 0 && flock(file, LOCK_UN) == 0);
	MUST(pthread_kill(pthread_self(), 0) == 0);
	return 0;
}

static int
worker_names(void)
{
	struct open_how how = {
		.flags = O_RDWR | O_CREAT, .mode = 0600, .resolve = RESOLVE_BENEATH
	};
	struct open_how path = { .flags = O_PATH | O_NOFOLLOW, .resolve = RESOLVE_BENEATH };
	struct statx stx;
	char buf[16], name[16];
	int fd, held;

	MUST((fd = (int)syscall(SYS_openat2, dir, "new", &how, sizeof(how))) >= 0);
	MUST((held = (int)syscall(SYS_openat2, dir, "new", &path, sizeof(path))) >= 0);
	snprintf(name, sizeof(name), "%d", held);
	MUST(close(fd) == 0 && (fd = openat(FD_DIR, name, O_RDWR | O_CLOEXEC)) >= 0);
	MUST(mkdirat(dir, "d", 0700) == 0 && mknodat(dir, "p", S_IFIFO | 0600, 0) == 0);
	MUST(symlinkat("target", dir, "l") == 0 && readlinkat(dir, "l", buf, sizeof(buf)) == 6);
	MUST(linkat(dir, "new", dir, "new2", 0) == 0);
	MUST(syscall(SYS_renameat2, dir, "new2", dir, "new3", RENAME_NOREPLACE) == 0);
	MUST(unlinkat(dir, "new3", 0) == 0 && unlinkat(dir, "d", AT_REMOVEDIR) == 0);
	MUST(statx(dir, "new", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx) == 0 &&
	    umask(022) != (mode_t)-1);
	return 0;
}

static int
worker_attributes(void)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	char name[16], buf[4096];
	struct statfs fs;
	struct stat st;
	int mnt;

	snprintf(name, sizeof(name), "%d", file);
	MUST(fchmodat(FD_DIR, name, 0600, 0) == 0 && fchownat(file, "", 1, 1, AT_EMPTY_PATH) == 0);
	MUST(utimensat(FD_DIR, name, ts, 0) == 0 && ftruncate(file, 10) == 0);
	/* The working directory is the fd directory. */
	MUST(setxattr(name, "trusted.a", "v", 1, 0) == 0 &&
	    getxattr(name, "trusted.a", buf, sizeof(buf)) == 1);
	MUST(listxattr(name, buf, sizeof(buf)) > 0 && removexattr(name, "trusted.a") == 0);
	MUST(fstatfs(file, &fs) == 0 && fstat(file, &st) == 0 && syncfs(file) == 0);
	MUST(syscall(SYS_getdents64, dir, buf, sizeof(buf)) > 0);
	/* Whatever the file system says. */
	MUST(ioctl(file, FS_IOC_GETFLAGS, buf) == 0 || errno == ENOTTY);
	MUST(ioctl(file, FS_IOC_SETFLAGS, buf) == 0 || errno == ENOTTY);
	MUST(ioctl(file, FS_IOC_FSGETXATTR, buf) == 0 || errno == ENOTTY);
	MUST(ioctl(file, FS_IOC_FSSETXATTR, buf) == 0 || errno == ENOTTY || errno == EPERM);
	handle.h.handle_bytes = MAX_HANDLE_SZ;
	MUST(name_to_handle_at(file, "", &handle.h, &mnt, AT_EMPTY_PATH) == 0);
	return 0;
}

static int
worker_credentials(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	MUST(syscall(SYS_setgroups, 0, NULL) == 0);
	MUST(
	    syscall(SYS_setresgid, -1, 1000, -1) == 0 && syscall(SYS_setresuid, -1, 1000, -1) == 0);
	MUST(syscall(SYS_setresuid, -1, 0, -1) == 0 && syscall(SYS_setresgid, -1, 0, -1) == 0);
	MUST(syscall(SYS_capget, &h, data) == 0);
	data[0].effective &= ~(1u << CAP_FSETID);
	MUST(syscall(SYS_capset, &h, data) == 0);
	return 0;
}

static void
prepare_handle(void)
{
	int mnt;

	prepare();
	handle.h.handle_bytes = MAX_HANDLE_SZ;
	need(name_to_handle_at(file, "", &handle.h, &mnt, AT_EMPTY_PATH) == 0);
}

static int
monitor_vault(void)
{
	struct statx stx;
	int fd, mnt;

	MUST((fd = open_by_handle_at(dir, &handle.h, O_PATH | O_CLOEXEC | O_NOFOLLOW)) >= 0);
	MUST((fcntl(fd, F_GETFL) & O_PATH) != 0);
	MUST(statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) == 0);
	MUST(name_to_handle_at(fd, "", &handle.h, &mnt, AT_EMPTY_PATH) == 0);
	MUST(sched_yield() == 0);
	MUST(close(fd) == 0);
	return 0;
}

static int
monitor_end(void)
{
	siginfo_t si;
	struct statx stx;

	MUST(pidfd_send_signal(child, SIGKILL, NULL, 0) == 0);
	MUST(waitid(P_PIDFD, (id_t)child, &si, WEXITED) == 0 && si.si_status == SIGKILL);
	MUST(statx(AT_FDCWD, "/nothing", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx) == -1 &&
	    errno == ENOENT);
	MUST(unlinkat(INSIDE_SOCKET_DIR, "nothing", 0) == -1 && errno == EBADF);
	return 0;
}

const struct inside_work inside_works[] = {
	{ "memory", ALL_ | R_, NULL, memory },
	{ "messages with fds", ALL_ | R_, prepare, messages },
	{ "waiting", F_ | MV_ | R_, prepare, waits },
	{ "eventfds", F_ | MV_ | R_, prepare, event_fds },
	{ "data of files", F_ | W_ | R_, prepare, file_data },
	{ "attributes of open files", F_, prepare, front_attributes },
	{ "locks of open files", LOCKS_, prepare, front_locks },
	{ "names", W_ | R_, prepare, worker_names },
	{ "attributes", W_ | R_, prepare, worker_attributes },
	{ "credentials", W_ | R_, NULL, worker_credentials },
	{ "vault", V_, prepare_handle, monitor_vault },
	{ "end of a child", M_ | R_, prepare_child, monitor_end },
};
const int inside_works_n = countof(inside_works);
