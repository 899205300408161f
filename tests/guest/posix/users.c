/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix users: what users other than root may do, who owns what they make, and which bits their
 * writes clear.
 * Runs in: the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "posix.h"

/* What a child tries, as posix_as() wants it: 0, or why not. */
static int
result(int rc)
{
	return rc == -1 ? errno : 0;
}

static int
try_read(const void *name)
{
	return result(open(name, O_RDONLY));
}

static int
try_write(const void *name)
{
	int fd = open(name, O_WRONLY);

	return fd == -1 ? errno : result(write(fd, "w", 1) == 1 ? 0 : -1);
}

static int
try_truncate(const void *name)
{
	return result(truncate(name, 0));
}

static int
try_create(const void *name)
{
	return result(open(name, O_CREAT | O_EXCL | O_WRONLY, 0666));
}

static int
try_mkdir(const void *name)
{
	return result(mkdir(name, 0777));
}

static int
try_symlink(const void *name)
{
	return result(symlink("x", name));
}

static int
try_mkfifo(const void *name)
{
	return result(mkfifo(name, 0666));
}

static int
try_mknod(const void *name)
{
	return result(mknod(name, S_IFCHR | 0666, makedev(1, 3)));
}

static int
try_unlink(const void *name)
{
	return result(unlink(name));
}

static int
try_chmod(const void *name)
{
	return result(chmod(name, 0600));
}

static int
try_chmod_setgid(const void *name)
{
	return result(chmod(name, 02755));
}

static int
try_chown(const void *name)
{
	return result(chown(name, POSIX_OTHER, (gid_t)-1));
}

static int
try_access_read(const void *name)
{
	return result(access(name, R_OK));
}

static int
try_access_write(const void *name)
{
	return result(access(name, W_OK));
}

static int
try_touch(const void *name)
{
	return result(utimensat(AT_FDCWD, name, NULL, 0));
}

static int
try_set_times(const void *name)
{
	static const struct timespec times[2] = { { 1, 0 }, { 2, 0 } };

	return result(utimensat(AT_FDCWD, name, times, 0));
}

static int
try_stat(const void *name)
{
	struct stat st;

	return result(stat(name, &st));
}

static int
user(int (*fn)(const void *), const char *name)
{
	return posix_as(POSIX_USER, POSIX_USER, fn, name);
}

static bool
made_by_user(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0 && st.st_uid == POSIX_USER && st.st_gid == POSIX_USER;
}

static void
prepare(const char *name, uid_t owner, mode_t mode)
{
	posix_write_file(name, "content");
	NEED(chown(name, owner, owner) == 0);
	NEED(chmod(name, mode) == 0);
}

static void
owners(void)
{
	NEED(mkdir("open", 0755) == 0 && chmod("open", 0777) == 0);
	CHECK("user creates", user(try_create, "open/f") == 0 && made_by_user("open/f"));
	CHECK("user makes a directory", user(try_mkdir, "open/d") == 0 && made_by_user("open/d"));
	CHECK("user makes a symlink", user(try_symlink, "open/l") == 0 && made_by_user("open/l"));
	CHECK("user makes a fifo", user(try_mkfifo, "open/p") == 0 && made_by_user("open/p"));
	CHECK("user makes no device", user(try_mknod, "open/c") == EPERM && !posix_exists("open/c"));
	CHECK("user makes nothing in a directory of root's", user(try_create, "f") == EACCES &&
	    user(try_mkdir, "d") == EACCES && user(try_unlink, "open") != 0);
	CHECK("user removes their own", user(try_unlink, "open/f") == 0);
}

static void
permissions(void)
{
	prepare("private", 0, 0600);
	prepare("public", 0, 0644);
	prepare("own", POSIX_USER, 0400);
	prepare("writable", 0, 0666);
	CHECK("private file: read, write", user(try_read, "private") == EACCES && user(try_write, "private") == EACCES);
	CHECK("public file: read, not write", user(try_read, "public") == 0 && user(try_write, "public") == EACCES);
	CHECK("own file without write permission", user(try_write, "own") == EACCES && user(try_read, "own") == 0);
	CHECK("access as another user", user(try_access_read, "private") == EACCES &&
	    user(try_access_read, "public") == 0 && user(try_access_write, "public") == EACCES);
	CHECK("root may do all", access("own", R_OK | W_OK) == 0 && try_write("own") == 0);
	CHECK("root cannot run what nobody can", access("own", X_OK) == -1);
	CHECK("truncate without permission", user(try_truncate, "public") == EACCES);
	CHECK("chmod, chown of another's file", user(try_chmod, "public") == EPERM && user(try_chown, "public") == EPERM);
	CHECK("chmod of one's own", user(try_chmod, "own") == 0 && posix_mode("own") == 0600);
	CHECK("chown of one's own to another", user(try_chown, "own") == EPERM);
	CHECK("times of another's file", user(try_touch, "public") == EACCES && user(try_set_times, "public") == EPERM);
	CHECK("times of a writable file", user(try_touch, "writable") == 0 && user(try_set_times, "writable") == EPERM);
	NEED(mkdir("closed", 0700) == 0);
	posix_write_file("closed/f", "");
	CHECK("closed directory", user(try_stat, "closed/f") == EACCES && user(try_read, "closed") == EACCES);
	NEED(chmod("closed", 0711) == 0);
	CHECK("searchable directory", user(try_stat, "closed/f") == 0 && user(try_read, "closed") == EACCES);
	NEED(mkdir("tmp", 0755) == 0 && chmod("tmp", 01777) == 0);
	prepare("tmp/theirs", POSIX_OTHER, 0666);
	prepare("tmp/mine", POSIX_USER, 0666);
	CHECK("sticky directory", user(try_unlink, "tmp/theirs") == EPERM && user(try_unlink, "tmp/mine") == 0);
}

static void
set_id_bits(void)
{
	prepare("suid", 0, 06777);
	CHECK("write of another user clears set-id bits", user(try_write, "suid") == 0 && posix_mode("suid") == 0777);
	prepare("suid", 0, 06777);
	CHECK("truncate of another user clears set-id bits", user(try_truncate, "suid") == 0 && posix_mode("suid") == 0777);
	prepare("suid", 0, 06777);
	if (posix_can(POSIX_FSETID, "root's write keeps them"))
		CHECK("root's write keeps them", try_write("suid") == 0 && posix_mode("suid") == 06777);
	else
		CHECK("root's write clears them", try_write("suid") == 0 && posix_mode("suid") == 0777);
	prepare("sgid", POSIX_USER, 0755);
	NEED(chown("sgid", POSIX_USER, POSIX_GROUP) == 0);
	CHECK("chmod of a user not in the group clears set-group-ID",
	    user(try_chmod_setgid, "sgid") == 0 && posix_mode("sgid") == 0755);
}

void
posix_users(void)
{
	owners();
	permissions();
	set_id_bits();
}
