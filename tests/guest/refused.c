/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * refused: tries every system call that changes a file system on one that must not be changed, and a few that must work.
 * The current directory has: file (content "data"), dir, link (to file), fifo.
 *
 * usage: refused
 * Runs in: the guest, as root, on a mount that is writable as far as the guest knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static unsigned int failures;

static void
judge(const char *what, long result, int error, int want)
{
	if (want == 0 ? result != -1 : result == -1 && error == want)
		return;
	failures++;
	printf("not ok %s: %ld, %s; expected %s\n", what, result, result == -1 ? strerror(error) : "-",
	    want == 0 ? "success" : strerror(want));
}

#define JUDGE(want, call) \
	do { \
		errno = 0; \
		long result_ = (call); \
		judge(#call, result_, errno, want); \
	} while (0)
#define REFUSED(call) JUDGE(EROFS, call)
#define WORKS(call) JUDGE(0, call)

int
main(void)
{
	static const struct timespec times[2] = { { 1, 0 }, { 2, 0 } };
	struct statfs fs;
	char buf[16];
	int fd;

	REFUSED(open("new", O_CREAT | O_WRONLY, 0644));
	REFUSED(open("new", O_CREAT | O_EXCL | O_RDWR, 0644));
	REFUSED(open("new", O_CREAT | O_RDONLY, 0644));
	REFUSED(open("file", O_WRONLY));
	REFUSED(open("file", O_RDWR));
	REFUSED(open("file", O_WRONLY | O_APPEND));
	REFUSED(open("file", O_WRONLY | O_TRUNC));
	REFUSED(open("file", O_CREAT | O_RDWR, 0644));
	REFUSED(truncate("file", 0));
	REFUSED(mkdir("new", 0755));
	REFUSED(mknod("new", S_IFREG | 0644, 0));
	REFUSED(mknod("new", S_IFCHR | 0644, makedev(1, 3)));
	REFUSED(mkfifo("new", 0644));
	REFUSED(symlink("x", "new"));
	REFUSED(link("file", "new"));
	REFUSED(unlink("file"));
	REFUSED(unlink("link"));
	REFUSED(rmdir("dir"));
	REFUSED(rename("file", "new"));
	REFUSED(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "fifo", RENAME_EXCHANGE));
	REFUSED(chmod("file", 0600));
	REFUSED(chmod("dir", 0700));
	REFUSED(chown("file", 1, 1));
	REFUSED(lchown("link", 1, 1));
	REFUSED(utimensat(AT_FDCWD, "file", times, 0));
	REFUSED(utimensat(AT_FDCWD, "file", NULL, 0));
	REFUSED(setxattr("file", "user.a", "v", 1, 0));
	REFUSED(removexattr("file", "user.host"));
	/* On an open file. */
	WORKS(fd = open("file", O_RDONLY));
	REFUSED(fchmod(fd, 0600));
	REFUSED(fchown(fd, 1, 1));
	REFUSED(futimens(fd, times));
	REFUSED(fsetxattr(fd, "user.a", "v", 1, 0));
	/* And by whoever holds nothing but a directory. */
	REFUSED(openat(open("dir", O_RDONLY | O_DIRECTORY), "new", O_CREAT | O_RDWR, 0644));

	WORKS(read(fd, buf, sizeof(buf)) == 4 && memcmp(buf, "data", 4) == 0 ? 0 : -1);
	WORKS(mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	WORKS(lseek(fd, 0, SEEK_DATA));
	WORKS(fsync(fd));
	WORKS(syncfs(fd));
	WORKS(close(fd));
	WORKS(readlink("link", buf, sizeof(buf)));
	WORKS(access("file", R_OK));
	WORKS(statfs(".", &fs));
	WORKS(getxattr("file", "user.host", buf, sizeof(buf)));
	printf("refused: %u failures\n", failures);
	return failures == 0 ? 0 : 1;
}
