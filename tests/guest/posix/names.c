/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix names: links, renames, symlinks, long names and deep trees.
 * Runs in: the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix.h"

static int
rename2(const char *from, const char *to, unsigned int flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static ino_t
inode(const char *name)
{
	struct stat st;

	return lstat(name, &st) == -1 ? 0 : st.st_ino;
}

static nlink_t
links(const char *name)
{
	struct stat st;

	return lstat(name, &st) == -1 ? 0 : st.st_nlink;
}

static void
hard_links(void)
{
	int fd;

	posix_write_file("a", "linked");
	CHECK("one link", links("a") == 1);
	CHECK("link", link("a", "b") == 0 && links("a") == 2 && links("b") == 2 && inode("a") == inode("b"));
	FAILS("link over an existing name", EEXIST, link("a", "b"));
	FAILS("link of nothing", ENOENT, link("missing", "c"));
	NEED(mkdir("dir", 0755) == 0);
	FAILS("link of a directory", EPERM, link("dir", "c"));
	posix_write_file("b", "written through b");
	CHECK("both names show the same content", posix_file_is("a", "written through b"));
	CHECK("unlink one", unlink("a") == 0 && links("b") == 1 && posix_file_is("b", "written through b"));
	CHECK("link into another directory", link("b", "dir/c") == 0 && inode("dir/c") == inode("b"));
	NEED(symlink("b", "s") == 0);
	CHECK("link of a symlink", linkat(AT_FDCWD, "s", AT_FDCWD, "s2", 0) == 0 && links("s") == 2);
	CHECK("link through a symlink", linkat(AT_FDCWD, "s", AT_FDCWD, "b2", AT_SYMLINK_FOLLOW) == 0 && links("b") == 3);
	NEED((fd = open("b", O_PATH)) != -1);
	CHECK("link of an open file", linkat(fd, "", AT_FDCWD, "b3", AT_EMPTY_PATH) == 0 && links("b") == 4);
	close(fd);
	FAILS("unlink of a directory", EISDIR, unlink("dir"));
	FAILS("unlink of nothing", ENOENT, unlink("missing"));
}

static void
renames(void)
{
	char buffer[16];
	ino_t ino;
	int fd;

	posix_write_file("old", "old");
	ino = inode("old");
	CHECK("rename", rename("old", "new") == 0 && !posix_exists("old") && inode("new") == ino);
	posix_write_file("victim", "victim");
	NEED((fd = open("victim", O_RDONLY)) != -1);
	CHECK("rename over a file", rename("new", "victim") == 0 && posix_file_is("victim", "old"));
	CHECK("the file renamed over stays open", read(fd, buffer, 16) == 6 && memcmp(buffer, "victim", 6) == 0);
	close(fd);
	NEED(link("victim", "same") == 0);
	CHECK("rename of two links of one file does nothing",
	    rename("victim", "same") == 0 && posix_exists("victim") && posix_exists("same"));
	NEED(mkdir("r1", 0755) == 0 && mkdir("r2", 0755) == 0 && mkdir("r2/full", 0755) == 0);
	FAILS("rename file over directory", EISDIR, rename("victim", "r1"));
	FAILS("rename directory over file", ENOTDIR, rename("r1", "victim"));
	FAILS("rename directory over a full one", ENOTEMPTY, rename("r1", "r2"));
	FAILS("rename directory into itself", EINVAL, rename("r2", "r2/full/x"));
	CHECK("rename directory over an empty one", rename("r1", "r2/full") == 0 && !posix_exists("r1"));
	CHECK("rename into another directory", rename("victim", "r2/full/v") == 0 && posix_file_is("r2/full/v", "old"));
	CHECK("rename directory into another", rename("r2/full", "moved") == 0 && posix_file_is("moved/v", "old") &&
	    inode("moved/..") == inode("."));
	FAILS("rename of nothing", ENOENT, rename("missing", "x"));

	posix_write_file("x", "x");
	posix_write_file("y", "y");
	FAILS("RENAME_NOREPLACE over a file", EEXIST, rename2("x", "y", RENAME_NOREPLACE));
	CHECK("RENAME_NOREPLACE", rename2("x", "z", RENAME_NOREPLACE) == 0 && posix_file_is("z", "x"));
	CHECK("RENAME_EXCHANGE", rename2("z", "y", RENAME_EXCHANGE) == 0 && posix_file_is("z", "y") &&
	    posix_file_is("y", "x"));
	CHECK("RENAME_EXCHANGE of file and directory",
	    rename2("y", "moved", RENAME_EXCHANGE) == 0 && posix_file_is("moved", "x") && posix_file_is("y/v", "old"));
	FAILS("RENAME_EXCHANGE with nothing", ENOENT, rename2("z", "missing", RENAME_EXCHANGE));
}

static void
symlinks(void)
{
	static char target[PATH_MAX], buffer[PATH_MAX + 1];
	struct stat st;

	posix_write_file("target", "content");
	CHECK("symlink", symlink("target", "link") == 0 && lstat("link", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 6);
	CHECK("readlink", readlink("link", buffer, sizeof(buffer)) == 6 && memcmp(buffer, "target", 6) == 0);
	CHECK("readlink cuts to the buffer", readlink("link", buffer, 3) == 3);
	CHECK("symlink is followed", posix_file_is("link", "content"));
	FAILS("readlink of a file", EINVAL, readlink("target", buffer, sizeof(buffer)));
	FAILS("symlink over a name", EEXIST, symlink("x", "link"));
	NEED(symlink("loop2", "loop1") == 0 && symlink("loop1", "loop2") == 0);
	FAILS("symlink loop", ELOOP, open("loop1", O_RDONLY));
	memset(target, 't', sizeof(target) - 1);
	CHECK("longest symlink", symlink(target, "long") == 0 &&
	    readlink("long", buffer, sizeof(buffer)) == PATH_MAX - 1 && memcmp(buffer, target, PATH_MAX - 1) == 0);
	CHECK("absolute and strange targets are kept",
	    symlink("/../a//b/./%\n\\", "strange") == 0 && readlink("strange", buffer, sizeof(buffer)) == 14 &&
	    memcmp(buffer, "/../a//b/./%\n\\", 14) == 0);
}

static void
long_names(void)
{
	char name[257], path[600], bytes[256];
	unsigned int i;
	int dir, next;

	memset(name, 'n', 256);
	name[256] = '\0';
	FAILS("name of 256 bytes: create", ENAMETOOLONG, open(name, O_CREAT | O_WRONLY, 0644));
	FAILS("name of 256 bytes: mkdir", ENAMETOOLONG, mkdir(name, 0755));
	FAILS("name of 256 bytes: look up", ENAMETOOLONG, access(name, F_OK));
	FAILS("name of 256 bytes: rename", ENAMETOOLONG, rename("target", name));
	name[255] = '\0';
	posix_write_file(name, "long");
	CHECK("name of 255 bytes", posix_file_is(name, "long"));
	snprintf(path, sizeof(path), "%.254sm", name);
	CHECK("name of 255 bytes: rename", rename(name, path) == 0 && posix_file_is(path, "long"));
	for (i = 0; i < 255; i++)
		bytes[i] = (char)(i + 1 == '/' ? 'x' : i + 1);
	bytes[255] = '\0';
	posix_write_file(bytes, "all bytes");
	CHECK("name of all byte values", posix_file_is(bytes, "all bytes") && unlink(bytes) == 0);

	/* 40 levels of 200 bytes: far beyond PATH_MAX as one path. */
	name[200] = '\0';
	NEED((dir = open(".", O_RDONLY | O_DIRECTORY)) != -1);
	for (i = 0; i < 40; i++) {
		NEED(mkdirat(dir, name, 0755) == 0);
		NEED((next = openat(dir, name, O_RDONLY | O_DIRECTORY)) != -1);
		close(dir);
		dir = next;
	}
	CHECK("deep directory", (next = openat(dir, "bottom", O_CREAT | O_RDWR, 0644)) != -1 && write(next, "x", 1) == 1);
	close(next);
	for (i = 0; i < 40; i++) {
		NEED((next = openat(dir, "..", O_RDONLY | O_DIRECTORY)) != -1);
		close(dir);
		dir = next;
	}
	CHECK("up again", openat(dir, "bottom", O_RDONLY) == -1 && faccessat(dir, "strange", F_OK, AT_SYMLINK_NOFOLLOW) == 0);
	close(dir);
}

void
posix_names(void)
{
	hard_links();
	renames();
	symlinks();
	long_names();
}
