/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * beyond: what virtiofsd does not give its guests, and a local file system does: O_TMPFILE and linkat(), the time of
 * birth, inode flags.
 *
 * usage: beyond DIRECTORY [FILE SECONDS NANOSECONDS]
 * FILE: in DIRECTORY, born then as the host says; without it the kernel is too old to ask (Linux < 6.6).
 * The file "named" is left behind: the host looks at it.
 * Runs in: the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned int checks, failures;

static void
check(bool ok, const char *what, int line)
{
	int error = errno;

	checks++;
	failures += !ok;
	printf("%s %u %s", ok ? "ok" : "not ok", checks, what);
	if (!ok)
		printf(" (line %d, errno: %s)", line, strerror(error));
	putchar('\n');
}
#define CHECK(what, expr) (errno = 0, check((expr), what, __LINE__))

static const char *
fd_path(int fd)
{
	static char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static void
temporary_files(void)
{
	char buf[16] = "";
	struct stat st = { 0 };
	int fd, held;

	CHECK("O_TMPFILE", (fd = open(".", O_TMPFILE | O_RDWR, 0640)) >= 0);
	CHECK("it has no name", fstat(fd, &st) == 0 && st.st_nlink == 0 && S_ISREG(st.st_mode));
	CHECK("its mode", (st.st_mode & 07777) == 0640);
	CHECK("write", write(fd, "content", 7) == 7);
	CHECK("read", pread(fd, buf, sizeof(buf), 0) == 7 && strcmp(buf, "content") == 0);
	CHECK("truncate", ftruncate(fd, 3) == 0 && fstat(fd, &st) == 0 && st.st_size == 3);
	CHECK("chmod", fchmod(fd, 0600) == 0);
	CHECK("linkat", linkat(AT_FDCWD, fd_path(fd), AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
	CHECK("it has a name", fstat(fd, &st) == 0 && st.st_nlink == 1);
	CHECK("a second name", linkat(AT_FDCWD, fd_path(fd), AT_FDCWD, "second", AT_SYMLINK_FOLLOW) == 0);
	CHECK("both", stat("second", &st) == 0 && st.st_nlink == 2 && unlink("second") == 0);
	CHECK("close", close(fd) == 0);

	CHECK("O_TMPFILE | O_EXCL", (fd = open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0600)) >= 0);
	CHECK("never gets a name",
	    linkat(AT_FDCWD, fd_path(fd), AT_FDCWD, "never", AT_SYMLINK_FOLLOW) == -1 && errno == ENOENT);
	close(fd);

	/* Held by nothing but an O_PATH descriptor. */
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	CHECK("O_PATH", (held = open(fd_path(fd), O_PATH)) >= 0);
	CHECK("write", write(fd, "held", 4) == 4 && close(fd) == 0);
	CHECK("linkat of O_PATH", linkat(AT_FDCWD, fd_path(held), AT_FDCWD, "held", AT_SYMLINK_FOLLOW) == 0);
	CHECK("its content", (fd = open("held", O_RDONLY)) >= 0 && read(fd, buf, sizeof(buf)) == 4 &&
	    memcmp(buf, "held", 4) == 0);
	close(fd);
	close(held);
	CHECK("unlink", unlink("held") == 0);
}

static void
birth(char *const arg[])
{
	struct statx st;
	int fd;

	memset(&st, 0, sizeof(st));
	CHECK("statx", statx(AT_FDCWD, arg[0], 0, STATX_BASIC_STATS | STATX_BTIME, &st) == 0);
	CHECK("has a time of birth", (st.stx_mask & STATX_BTIME) != 0);
	CHECK("it is the host's", st.stx_btime.tv_sec == atoll(arg[1]) && st.stx_btime.tv_nsec == atol(arg[2]));
	memset(&st, 0, sizeof(st));
	CHECK("of an open file", (fd = open(arg[0], O_RDWR)) >= 0 &&
	    statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BTIME, &st) == 0 &&
	    st.stx_btime.tv_sec == atoll(arg[1]) && st.stx_btime.tv_nsec == atol(arg[2]));
	CHECK("basic attributes with it", write(fd, "0123456789", 10) == 10 && fsync(fd) == 0 &&
	    statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS | STATX_BTIME, &st) == 0 &&
	    st.stx_size == 10 && st.stx_nlink == 1);
	close(fd);
	memset(&st, 0, sizeof(st));
	CHECK("of a directory", statx(AT_FDCWD, ".", 0, STATX_BTIME, &st) == 0 && (st.stx_mask & STATX_BTIME) != 0);
}

static int
flags_of(int fd)
{
	int flags = 0;

	return ioctl(fd, FS_IOC_GETFLAGS, &flags) == -1 ? -1 : flags;
}

static int
set_flags(int fd, int flags)
{
	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static void
inode_flags(void)
{
	struct fsxattr x;
	int fd, dir, flags;

	fd = open("named", O_RDONLY);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	CHECK("FS_IOC_GETFLAGS", (flags = flags_of(fd)) != -1);
	CHECK("of a directory", flags_of(dir) != -1);
	CHECK("nodump", set_flags(fd, flags | FS_NODUMP_FL) == 0 && flags_of(fd) == (flags | FS_NODUMP_FL));
	CHECK("FS_IOC_FSGETXATTR", ioctl(fd, FS_IOC_FSGETXATTR, &x) == 0 && (x.fsx_xflags & FS_XFLAG_NODUMP) != 0);
	x.fsx_xflags |= FS_XFLAG_NOATIME;
	CHECK("FS_IOC_FSSETXATTR", ioctl(fd, FS_IOC_FSSETXATTR, &x) == 0 && (flags_of(fd) & FS_NOATIME_FL) != 0);
	x.fsx_projid = 42;
	CHECK("no other project", ioctl(fd, FS_IOC_FSSETXATTR, &x) == -1 && errno == EPERM);
	CHECK("not immutable", set_flags(fd, flags | FS_IMMUTABLE_FL) == -1 && errno == EPERM);
	CHECK("not append-only", set_flags(fd, flags | FS_APPEND_FL) == -1 && errno == EPERM);
	CHECK("back", set_flags(fd, flags) == 0 && flags_of(fd) == flags);
	/* ENOSYS: Linux < 6.3. */
	CHECK("no other ioctl", ioctl(fd, FS_IOC_GETVERSION, &flags) == -1 && (errno == ENOTTY || errno == ENOSYS));
	close(fd);
	close(dir);
}

int
main(int argc, char *argv[])
{
	if ((argc != 2 && argc != 5) || chdir(argv[1]) == -1) {
		fprintf(stderr, "usage: beyond DIRECTORY [FILE SECONDS NANOSECONDS]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(0);
	temporary_files();
	inode_flags();
	if (argc == 5)
		birth(argv + 2);
	printf("%u passed, %u failed\n", checks - failures, failures);
	return failures == 0 ? 0 : 1;
}
