/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * locker: counts in a file, each time under a lock that it waits for.
 *
 * usage: locker FILE COUNT fcntl|ofd|flock [PROCESSES]
 * Increments the number in FILE COUNT times in each of PROCESSES (default 1). Whoever does not exclude the others, here and
 * in other guests, loses counts. Also sees that a lock held by another process is found in the way (F_GETLK, trylock).
 * Runs in: the guest.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *how;

static int
operate(int fd, short type, int wait)
{
	struct flock f = { .l_type = type, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1 };

	if (strcmp(how, "flock") == 0)
		return flock(fd, type == F_UNLCK ? LOCK_UN : LOCK_EX | (wait ? 0 : LOCK_NB));
	if (strcmp(how, "ofd") == 0)
		return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &f);
	return fcntl(fd, wait ? F_SETLKW : F_SETLK, &f);
}

static void
count_once(const char *file)
{
	char text[32] = "";
	int fd = open(file, O_RDWR | O_CREAT, 0666);
	long n;

	if (fd == -1)
		err(1, "%s", file);
	while (operate(fd, F_WRLCK, 1) == -1)
		if (errno != EINTR)
			err(1, "lock");
	if (pread(fd, text, sizeof(text) - 1, 0) == -1)
		err(1, "read");
	n = atol(text) + 1;
	snprintf(text, sizeof(text), "%ld\n", n);
	if (pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text))
		err(1, "write");
	/* By turns by unlocking and by closing. */
	if (n % 2 == 0 && operate(fd, F_UNLCK, 0) == -1)
		err(1, "unlock");
	if (close(fd) == -1)
		err(1, "close");
}

/* A child holds it: the parent is told so. */
static void
see_another(const char *file)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int there[2], go[2], fd, status;
	char c = 0;
	pid_t pid;

	if (pipe(there) == -1 || pipe(go) == -1)
		err(1, "pipe");
	if ((pid = fork()) == 0) {
		fd = open(file, O_RDWR);
		_exit(operate(fd, F_WRLCK, 1) == -1 || write(there[1], &c, 1) != 1 || read(go[0], &c, 1) != 1);
	}
	if (read(there[0], &c, 1) != 1)
		errx(1, "the child got no lock");
	if ((fd = open(file, O_RDWR)) == -1)
		err(1, "%s", file);
	if (operate(fd, F_WRLCK, 0) != -1)
		errx(1, "%s: two processes have the lock", how);
	if (errno != EAGAIN && errno != EACCES)
		err(1, "%s: locked by another", how);
	if (strcmp(how, "fcntl") == 0 && (fcntl(fd, F_GETLK, &f) == -1 || f.l_type != F_WRLCK || f.l_pid != pid))
		errx(1, "F_GETLK: type %d, process %d, not %d", f.l_type, f.l_pid, pid);
	if (write(go[1], &c, 1) != 1 || waitpid(pid, &status, 0) != pid || status != 0)
		errx(1, "the child: %x", (unsigned)status);
	/* Its end was the end of its lock. */
	if (operate(fd, F_WRLCK, 0) == -1)
		err(1, "%s: still locked", how);
	close(fd);
}

int
main(int argc, char *argv[])
{
	int n, processes = argc > 4 ? atoi(argv[4]) : 1, status, failed = 0;

	if (argc < 4)
		errx(2, "usage: locker FILE COUNT fcntl|ofd|flock [PROCESSES]");
	how = argv[3];
	for (n = 0; n < processes; n++)
		if (fork() == 0) {
			for (int i = atoi(argv[2]); i > 0; i--)
				count_once(argv[1]);
			_exit(0);
		}
	while (wait(&status) > 0)
		failed |= status;
	if (failed == 0) {
		char other[4096];

		/* Not by this process's number, which a process of the other guest may have, too. */
		snprintf(other, sizeof(other), "%s.XXXXXX", argv[1]);
		close(mkstemp(other));
		see_another(other);
		unlink(other);
	}
	return failed != 0;
}
