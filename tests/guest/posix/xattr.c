/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix xattr: extended attributes where the daemon offers them, and a clear refusal where not.
 * Runs in: the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "posix.h"

static int
user_sets(const void *name)
{
	return setxattr(name, "user.new", "v", 1, 0) == -1 ? errno : 0;
}

static void
attributes(void)
{
	static char large[2000], buffer[4096];
	int fd;

	memset(large, 'x', sizeof(large));
	CHECK("setxattr", setxattr("f", "user.a", "value", 5, 0) == 0);
	CHECK("getxattr", getxattr("f", "user.a", buffer, sizeof(buffer)) == 5 && memcmp(buffer, "value", 5) == 0);
	CHECK("getxattr, size alone", getxattr("f", "user.a", NULL, 0) == 5);
	FAILS("getxattr, buffer too small", ERANGE, getxattr("f", "user.a", buffer, 4));
	FAILS("getxattr of nothing", ENODATA, getxattr("f", "user.none", buffer, sizeof(buffer)));
	FAILS("XATTR_CREATE over one", EEXIST, setxattr("f", "user.a", "x", 1, XATTR_CREATE));
	FAILS("XATTR_REPLACE of nothing", ENODATA, setxattr("f", "user.none", "x", 1, XATTR_REPLACE));
	CHECK("XATTR_REPLACE", setxattr("f", "user.a", "", 0, XATTR_REPLACE) == 0 &&
	    getxattr("f", "user.a", buffer, sizeof(buffer)) == 0);
	CHECK("large value", setxattr("f", "user.large", large, sizeof(large), 0) == 0 &&
	    getxattr("f", "user.large", buffer, sizeof(buffer)) == (ssize_t)sizeof(large) &&
	    memcmp(buffer, large, sizeof(large)) == 0);
	CHECK("listxattr", listxattr("f", buffer, sizeof(buffer)) == 18 &&
	    (memcmp(buffer, "user.a\0user.large", 18) == 0 || memcmp(buffer, "user.large\0user.a", 18) == 0));
	CHECK("listxattr, size alone", listxattr("f", NULL, 0) == 18);
	FAILS("listxattr, buffer too small", ERANGE, listxattr("f", buffer, 3));
	NEED((fd = open("f", O_RDWR)) != -1);
	CHECK("fsetxattr and fgetxattr", fsetxattr(fd, "user.f", "1", 1, 0) == 0 && fgetxattr(fd, "user.f", buffer, 10) == 1);
	close(fd);
	CHECK("removexattr", removexattr("f", "user.f") == 0 && getxattr("f", "user.f", buffer, 10) == -1);
	FAILS("removexattr of nothing", ENODATA, removexattr("f", "user.f"));
	CHECK("xattr of a directory", setxattr(".", "user.d", "1", 1, 0) == 0 && getxattr(".", "user.d", buffer, 10) == 1);
	FAILS("user xattr of a symlink", EPERM, lsetxattr("l", "user.l", "1", 1, 0));
	CHECK("another user sets no xattr", posix_as(POSIX_USER, POSIX_USER, user_sets, "f") == EACCES);
}

void
posix_xattr(bool enabled)
{
	char buffer[64];

	posix_write_file("f", "");
	NEED(symlink("f", "l") == 0);
	if (enabled) {
		attributes();
		return;
	}
	FAILS("setxattr without --xattr", EOPNOTSUPP, setxattr("f", "user.a", "value", 5, 0));
	FAILS("getxattr without --xattr", EOPNOTSUPP, getxattr("f", "user.a", buffer, sizeof(buffer)));
	FAILS("removexattr without --xattr", EOPNOTSUPP, removexattr("f", "user.a"));
}
