/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sockets: what a shell cannot do with sockets that have names.
 *
 * usage: sockets pair NAME              makes one, connects to it and sends something through
 *        sockets refused NAME           nobody listens there
 *        sockets hold NAME FIFO HEARD   listens at NAME, keeps FIFO open, and writes to HEARD, which exists, when something
 *                                       comes; until HEARD is removed
 * Runs in: the guest; `hold` on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void
check(int fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	exit(1);
}

static int
named(const char *name, int (*call)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	check(fd >= 0, "socket");
	memcpy(a.sun_path, name, strnlen(name, sizeof(a.sun_path) - 1));
	if (call(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
listening(const char *name)
{
	int fd = named(name, bind);

	check(fd >= 0, "bind");
	check(listen(fd, 1) == 0, "listen");
	return fd;
}

static void
pair(const char *name)
{
	int fd = listening(name), far = named(name, connect), near;
	char got[6] = "";

	check(far >= 0, "connect");
	near = accept(fd, NULL, NULL);
	check(near >= 0, "accept");
	check(write(far, "hello", 5) == 5, "write");
	check(read(near, got, 5) == 5 && strcmp(got, "hello") == 0, "read");
}

static void
hold(const char *name, const char *fifo, const char *heard)
{
	struct pollfd p[] = { { .fd = listening(name), .events = POLLIN },
		{ .fd = open(fifo, O_RDWR | O_NONBLOCK), .events = POLLIN } };
	int out = open(heard, O_WRONLY | O_APPEND);
	struct stat st;

	check(p[1].fd >= 0 && out >= 0, "open");
	/* said when it is ready */
	check(write(out, "\n", 1) == 1, "write");
	while (fstat(out, &st) == 0 && st.st_nlink > 0) {
		if (poll(p, 2, 200) <= 0)
			continue;
		check(write(out, "something\n", 10) == 10, "write");
		return;
	}
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "pair") == 0)
		pair(argv[2]);
	else if (argc == 3 && strcmp(argv[1], "refused") == 0)
		check(named(argv[2], connect) < 0 && errno == ECONNREFUSED, "refused");
	else if (argc == 5 && strcmp(argv[1], "hold") == 0)
		hold(argv[2], argv[3], argv[4]);
	else
		return 2;
	return 0;
}
