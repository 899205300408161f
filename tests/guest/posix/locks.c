/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix locks: flock, fcntl and open-file-description locks between programs of one guest.
 * Runs in: the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "posix.h"

static int
lock(int fd, int command, short type, off_t start, off_t length)
{
	struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };

	return fcntl(fd, command, &range);
}

/* fcntl locks belong to a process, so another one has to ask. */
static int
other_process_locks(const void *name)
{
	int fd = open(name, O_RDWR);

	if (fd == -1)
		return 100;
	if (lock(fd, F_SETLK, F_WRLCK, 200, 100) == -1)
		return 101;
	return lock(fd, F_SETLK, F_WRLCK, 50, 100) == -1 ? errno : 0;
}

static int
other_process_asks(const void *name)
{
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
	int fd = open(name, O_RDWR);

	if (fd == -1 || fcntl(fd, F_GETLK, &range) == -1)
		return 100;
	return range.l_type == F_WRLCK && range.l_start == 0 && range.l_len == 100 && range.l_pid == getppid() ? 0 : 1;
}

void
posix_locks(void)
{
	int a, b;

	posix_write_file("l", "");
	NEED((a = open("l", O_RDWR)) != -1 && (b = open("l", O_RDWR)) != -1);
	CHECK("flock, shared twice", flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
	FAILS("flock, exclusive beside shared", EWOULDBLOCK, flock(a, LOCK_EX | LOCK_NB));
	CHECK("flock, exclusive alone", flock(b, LOCK_UN) == 0 && flock(a, LOCK_EX | LOCK_NB) == 0);
	FAILS("flock, shared beside exclusive", EWOULDBLOCK, flock(b, LOCK_SH | LOCK_NB));
	close(a);
	CHECK("close ends flock", flock(b, LOCK_EX | LOCK_NB) == 0);
	close(b);

	NEED((a = open("l", O_RDWR)) != -1 && (b = open("l", O_RDWR)) != -1);
	CHECK("fcntl lock", lock(a, F_SETLK, F_WRLCK, 0, 100) == 0);
	CHECK("fcntl lock of another process", posix_as(0, 0, other_process_locks, "l") == EAGAIN);
	CHECK("F_GETLK", posix_as(0, 0, other_process_asks, "l") == 0);
	CHECK("fcntl unlock", lock(a, F_SETLK, F_UNLCK, 0, 0) == 0 && posix_as(0, 0, other_process_locks, "l") == 0);
	CHECK("open-file-description lock", lock(a, F_OFD_SETLK, F_WRLCK, 0, 10) == 0);
	FAILS("open-file-description lock, again", EAGAIN, lock(b, F_OFD_SETLK, F_WRLCK, 5, 10));
	close(a);
	CHECK("close ends open-file-description locks", lock(b, F_OFD_SETLK, F_WRLCK, 5, 10) == 0);
	close(b);
}
