/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix attr: modes, owners and times as root sets them, and as writes change them.
 * Runs in: the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "posix.h"

static bool
owner_is(const char *name, uid_t uid, gid_t gid)
{
	struct stat st;

	return lstat(name, &st) == 0 && st.st_uid == uid && st.st_gid == gid;
}

/* Sets both times of a file and asks for them again. */
static bool
times_hold(const char *name, struct timespec atime, struct timespec mtime)
{
	const struct timespec times[2] = { atime, mtime };
	struct stat st;

	return utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW) == 0 && lstat(name, &st) == 0 &&
	    st.st_atim.tv_sec == atime.tv_sec && st.st_atim.tv_nsec == atime.tv_nsec &&
	    st.st_mtim.tv_sec == mtime.tv_sec && st.st_mtim.tv_nsec == mtime.tv_nsec;
}

static void
times(void)
{
	struct timespec times[2];
	struct stat st, before;
	time_t now = time(NULL);
	int fd;

	posix_write_file("t", "");
	NEED(symlink("nowhere", "s") == 0);
	NEED(mkdir("d", 0755) == 0);
	CHECK("times to the nanosecond",
	    times_hold("t", (struct timespec){ 1, 1 }, (struct timespec){ 1700000000, 123456789 }));
	CHECK("times before 1970", times_hold("t", (struct timespec){ -1, 999999999 }, (struct timespec){ -1000000000, 5 }));
	CHECK("times after 2038", times_hold("t", (struct timespec){ 2147483648, 0 }, (struct timespec){ 4102444800, 7 }));
	CHECK("times of a symlink", times_hold("s", (struct timespec){ 10, 0 }, (struct timespec){ 20, 0 }));
	CHECK("times of a directory", times_hold("d", (struct timespec){ 10, 0 }, (struct timespec){ 20, 0 }));
	times[0] = (struct timespec){ 0, UTIME_OMIT };
	times[1] = (struct timespec){ 42, 0 };
	NEED(stat("t", &before) == 0);
	CHECK("UTIME_OMIT", utimensat(AT_FDCWD, "t", times, 0) == 0 && stat("t", &st) == 0 &&
	    st.st_atim.tv_sec == before.st_atim.tv_sec && st.st_mtim.tv_sec == 42);
	times[1] = (struct timespec){ 0, UTIME_NOW };
	CHECK("UTIME_NOW", utimensat(AT_FDCWD, "t", times, 0) == 0 && stat("t", &st) == 0 &&
	    st.st_mtim.tv_sec >= now - 2 && st.st_mtim.tv_sec <= now + 60);
	NEED((fd = open("t", O_WRONLY)) != -1);
	times[0] = (struct timespec){ 77, 0 };
	times[1] = (struct timespec){ 88, 0 };
	CHECK("futimens", futimens(fd, times) == 0 && fstat(fd, &st) == 0 && st.st_atim.tv_sec == 77 && st.st_mtim.tv_sec == 88);
	CHECK("write sets the modification time", write(fd, "x", 1) == 1 && fsync(fd) == 0 && fstat(fd, &st) == 0 &&
	    st.st_mtim.tv_sec >= now - 2);
	close(fd);
	NEED(times_hold("d", (struct timespec){ 10, 0 }, (struct timespec){ 20, 0 }));
	posix_write_file("d/f", "");
	CHECK("create sets the directory's modification time", stat("d", &st) == 0 && st.st_mtim.tv_sec >= now - 2);
	NEED(times_hold("d", (struct timespec){ 10, 0 }, (struct timespec){ 20, 0 }));
	NEED(unlink("d/f") == 0);
	CHECK("unlink sets the directory's modification time", stat("d", &st) == 0 && st.st_mtim.tv_sec >= now - 2);
	NEED(times_hold("t", (struct timespec){ 10, 0 }, (struct timespec){ 20, 0 }));
	CHECK("chmod sets the change time alone", chmod("t", 0600) == 0 && stat("t", &st) == 0 &&
	    st.st_ctim.tv_sec >= now - 2 && st.st_mtim.tv_sec == 20);
}

/* fd is that of m. */
static void
owners(int fd)
{
	if (!posix_can(POSIX_OWNERS, "changes of owner")) {
		REFUSED("chown", chown("m", POSIX_USER, POSIX_GROUP));
		REFUSED("fchown", fchown(fd, POSIX_USER, POSIX_GROUP));
		CHECK("chown of nothing", chown("m", (uid_t)-1, (gid_t)-1) == 0);
		return;
	}
	CHECK("chown", chown("m", POSIX_USER, POSIX_GROUP) == 0 && owner_is("m", POSIX_USER, POSIX_GROUP));
	CHECK("chown of the user alone", chown("m", POSIX_OTHER, (gid_t)-1) == 0 && owner_is("m", POSIX_OTHER, POSIX_GROUP));
	CHECK("chown of the group alone", chown("m", (uid_t)-1, 3000) == 0 && owner_is("m", POSIX_OTHER, 3000));
	CHECK("chown of nothing", chown("m", (uid_t)-1, (gid_t)-1) == 0 && owner_is("m", POSIX_OTHER, 3000));
	if (posix_can(POSIX_LARGE_IDS, "large ids"))
		CHECK("large ids", chown("m", 4000000000U, 4000000001U) == 0 && owner_is("m", 4000000000U, 4000000001U));
	else
		REFUSED("large ids", chown("m", 4000000000U, 4000000001U));
	CHECK("fchown", fchown(fd, 1, 2) == 0 && owner_is("m", 1, 2));
	NEED(symlink("m", "l") == 0);
	CHECK("lchown", lchown("l", 5, 6) == 0 && owner_is("l", 5, 6) && owner_is("m", 1, 2));
	CHECK("chown through a symlink", chown("l", 7, 8) == 0 && owner_is("l", 5, 6) && owner_is("m", 7, 8));
	NEED(chmod("m", 06755) == 0);
	CHECK("chown clears set-id bits", chown("m", POSIX_USER, POSIX_GROUP) == 0 && posix_mode("m") == 0755);
}

static void
modes_and_owners(void)
{
	struct stat st;
	int fd;

	posix_write_file("m", "");
	CHECK("chmod", chmod("m", 0) == 0 && posix_mode("m") == 0);
	CHECK("chmod with all bits", chmod("m", 07777) == 0 && posix_mode("m") == 07777);
	NEED((fd = open("m", O_RDONLY)) != -1);
	CHECK("fchmod", fchmod(fd, 0640) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
	owners(fd);
	close(fd);
	FAILS("chmod of nothing", ENOENT, chmod("missing", 0644));
	CHECK("mode of the type", stat("m", &st) == 0 && S_ISREG(st.st_mode));
}

/* A set-group-ID directory hands on its group, and to directories the bit as well. */
static void
group_inheritance(void)
{
	struct stat st;

	NEED(mkdir("g", 0755) == 0 && chown("g", 0, POSIX_GROUP) == 0 && chmod("g", 02775) == 0);
	posix_write_file("g/f", "");
	CHECK("set-group-ID directory: file", owner_is("g/f", 0, POSIX_GROUP) && posix_mode("g/f") == 0644);
	CHECK("set-group-ID directory: directory", mkdir("g/d", 0755) == 0 && owner_is("g/d", 0, POSIX_GROUP) &&
	    posix_mode("g/d") == 02755);
	CHECK("set-group-ID directory: symlink", symlink("x", "g/l") == 0 && owner_is("g/l", 0, POSIX_GROUP));
	CHECK("set-group-ID directory: fifo", mkfifo("g/p", 0644) == 0 && lstat("g/p", &st) == 0 && st.st_gid == POSIX_GROUP);
}

void
posix_attr(void)
{
	times();
	modes_and_owners();
	if (posix_can(POSIX_OWNERS, "a directory of another group"))
		group_inheritance();
}
