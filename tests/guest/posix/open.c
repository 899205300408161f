/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix open: creating and opening: flags, modes, umask; what open files still can after their name
 * is gone; special files; running a program from the share.
 * Runs in: the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

static void
modes(void)
{
	mode_t old = umask(027);
	int fd;

	CHECK("open creates", (fd = open("mode", O_CREAT | O_WRONLY, 0666)) != -1);
	CHECK("umask on open", posix_mode("mode") == 0640);
	close(fd);
	CHECK("umask on mkdir", mkdir("modedir", 0777) == 0 && posix_mode("modedir") == 0750);
	CHECK("umask on mknod", mknod("modefifo", S_IFIFO | 0666, 0) == 0 && posix_mode("modefifo") == 0640);
	umask(0);
	CHECK("all mode bits on mkdir", mkdir("sticky", 01777) == 0 && posix_mode("sticky") == 01777);
	CHECK("all mode bits on open",
	    (fd = open("all", O_CREAT | O_WRONLY, 06777)) != -1 && posix_mode("all") == 06777);
	close(fd);
	CHECK("mode 0 file is writable by its creator",
	    (fd = open("none", O_CREAT | O_WRONLY, 0)) != -1 && write(fd, "x", 1) == 1 && posix_mode("none") == 0);
	close(fd);
	umask(old);
}

static void
flags(void)
{
	int fd, second;

	posix_write_file("f", "first");
	FAILS("O_EXCL on an existing file", EEXIST, open("f", O_CREAT | O_EXCL | O_WRONLY, 0644));
	NEED(symlink("nowhere", "dangling") == 0);
	FAILS("O_EXCL on a dangling symlink", EEXIST, open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644));
	FAILS("no such file", ENOENT, open("missing", O_RDONLY));
	FAILS("O_DIRECTORY on a file", ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
	FAILS("O_NOFOLLOW on a symlink", ELOOP, open("dangling", O_RDONLY | O_NOFOLLOW));
	FAILS("directory open for writing", EISDIR, open(".", O_WRONLY));
	FAILS("slash after a file", ENOTDIR, open("f/", O_RDONLY));
	FAILS("file as a directory", ENOTDIR, open("f/x", O_RDONLY));
	NEED(chmod("f", 0600) == 0);
	CHECK("O_CREAT keeps an existing mode and content",
	    (fd = open("f", O_CREAT | O_RDWR, 0777)) != -1 && posix_mode("f") == 0600 && posix_file_is("f", "first"));
	CHECK("F_GETFL", (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	close(fd);
	CHECK("O_TRUNC", (fd = open("f", O_WRONLY | O_TRUNC)) != -1 && posix_size("f") == 0);
	FAILS("read of a write-only file", EBADF, read(fd, &second, 1));
	close(fd);
	NEED((fd = open("f", O_RDONLY)) != -1);
	FAILS("write to a read-only file", EBADF, write(fd, "x", 1));
	close(fd);
	NEED((fd = open("log", O_CREAT | O_WRONLY | O_APPEND, 0644)) != -1);
	NEED((second = open("log", O_WRONLY | O_APPEND)) != -1);
	CHECK("O_APPEND, two writers in turn",
	    write(fd, "one ", 4) == 4 && write(second, "two ", 4) == 4 && write(fd, "three", 5) == 5 &&
	    posix_file_is("log", "one two three"));
	CHECK("O_APPEND after lseek",
	    lseek(fd, 0, SEEK_SET) == 0 && write(fd, "!", 1) == 1 && posix_file_is("log", "one two three!"));
	close(fd);
	close(second);
}

/* An open file whose name is gone is still a file. */
static void
unlinked(void)
{
	struct timespec times[2] = { { 1000, 0 }, { 2000, 0 } };
	char buffer[16];
	struct stat st;
	int fd;

	NEED((fd = open("gone", O_CREAT | O_RDWR, 0644)) != -1);
	NEED(write(fd, "before", 6) == 6);
	NEED(unlink("gone") == 0);
	CHECK("unlinked: no name", !posix_exists("gone"));
	CHECK("unlinked: fstat", fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 6);
	CHECK("unlinked: read", pread(fd, buffer, 16, 0) == 6 && memcmp(buffer, "before", 6) == 0);
	CHECK("unlinked: write", pwrite(fd, "after", 5, 6) == 5 && pread(fd, buffer, 16, 6) == 5);
	CHECK("unlinked: ftruncate", ftruncate(fd, 3) == 0 && pread(fd, buffer, 16, 0) == 3);
	CHECK("unlinked: fchmod", fchmod(fd, 0600) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600);
	if (posix_can(POSIX_OWNERS, "unlinked: fchown"))
		CHECK("unlinked: fchown", fchown(fd, POSIX_USER, POSIX_GROUP) == 0 && fstat(fd, &st) == 0 &&
		    st.st_uid == POSIX_USER && st.st_gid == POSIX_GROUP);
	else
		REFUSED("unlinked: fchown", fchown(fd, POSIX_USER, POSIX_GROUP));
	CHECK("unlinked: futimens", futimens(fd, times) == 0 && fstat(fd, &st) == 0 && st.st_mtime == 2000);
	CHECK("unlinked: fsync", fsync(fd) == 0);
	posix_write_file("gone", "new");
	CHECK("unlinked: a new file of that name is another one",
	    pread(fd, buffer, 16, 0) == 3 && memcmp(buffer, "bef", 3) == 0 && posix_file_is("gone", "new"));
	close(fd);
	CHECK("unlinked: the new file stays", posix_file_is("gone", "new"));
}

static void
devices(void)
{
	struct stat st;
	char byte;
	int fd;

	if (!posix_can(POSIX_DEVICES, "device nodes")) {
		REFUSED("character device", mknod("null", S_IFCHR | 0666, makedev(1, 3)));
		REFUSED("block device", mknod("block", S_IFBLK | 0600, makedev(8, 70000)));
		return;
	}
	CHECK("character device", mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && lstat("null", &st) == 0 &&
	    S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
	CHECK("character device opens", (fd = open("null", O_RDWR)) != -1 && read(fd, &byte, 1) == 0);
	close(fd);
	CHECK("block device with a large minor", mknod("block", S_IFBLK | 0600, makedev(8, 70000)) == 0 &&
	    lstat("block", &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == makedev(8, 70000));
	FAILS("mknod on an existing name", EEXIST, mknod("block", S_IFREG | 0600, 0));
}

static void
special(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	struct stat st;
	char byte;
	int fd, peer;

	CHECK("fifo", mkfifo("fifo", 0600) == 0 && lstat("fifo", &st) == 0 && S_ISFIFO(st.st_mode));
	CHECK("fifo carries data", (fd = open("fifo", O_RDWR | O_NONBLOCK)) != -1 &&
	    write(fd, "x", 1) == 1 && read(fd, &byte, 1) == 1 && byte == 'x');
	close(fd);
	devices();
	NEED((fd = socket(AF_UNIX, SOCK_STREAM, 0)) != -1);
	NEED((peer = socket(AF_UNIX, SOCK_STREAM, 0)) != -1);
	CHECK("socket binds", bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0 &&
	    lstat("socket", &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK("socket connects", connect(peer, (struct sockaddr *)&address, sizeof(address)) == 0);
	close(fd);
	close(peer);
}

static void
execute(void)
{
	static char buffer[1 << 16];
	ssize_t n;
	int in, out, status;
	pid_t pid;

	NEED((in = open("/proc/self/exe", O_RDONLY)) != -1);
	NEED((out = open("program", O_CREAT | O_WRONLY, 0755)) != -1);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		NEED(write(out, buffer, (size_t)n) == n);
	close(in);
	close(out);
	NEED((pid = fork()) != -1);
	if (pid == 0) {
		execl("program", "program", "--exit-7", (char *)NULL);
		_exit(1);
	}
	NEED(waitpid(pid, &status, 0) == pid);
	CHECK("a program runs from the share", WIFEXITED(status) && WEXITSTATUS(status) == 7);
	NEED(chmod("program", 0644) == 0);
	FAILS("not executable", EACCES, execl("program", "program", (char *)NULL));
}

void
posix_open(void)
{
	modes();
	flags();
	unlinked();
	special();
	execute();
}
