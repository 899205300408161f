/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user socket and its pid file (spec/cli.md section 6).
 */
#ifndef MONITOR_SOCKET_H
#define MONITOR_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/attr.h"

struct listener {
	int fd; /* the listening socket */
	int pid_fd; /* the locked pid file, or -1; held until the end */
	int dir; /* of our socket, or -1 if it is not ours to remove */
	char name[108]; /* in dir */
	dev_t dev; /* of the socket at dir/name, so that another's is not removed */
	ino_t ino;
};

#define SOCKET_NO_GROUP ((gid_t)-1)

/*
 * Create path.pid, lock it, and listen at path; what is at path is removed first. The socket is the caller's (mode
 * 0700), or its group's too (0770, group gid). Logs one line and returns a negative errno on failure; no socket is left
 * then.
 */
int socket_listen(const char *path, gid_t gid, struct listener *) ATTR_MUSTCHECK;

/* Is the directory another user's, or one that may not be written to, so that it takes CAP_DAC_OVERRIDE to remove the socket? */
bool socket_is_elsewhere(const struct listener *);

/* Use fd, inherited: it must be a listening UNIX stream socket. Logs one line and returns a negative errno otherwise. */
int socket_inherited(int fd, struct listener *) ATTR_MUSTCHECK;

/*
 * Wait for the one connection. Returns 0 and its fd in *conn; -EINTR if sigfd (a signalfd) became readable first;
 * another negative errno, logged.
 */
int socket_accept(const struct listener *, int sigfd, int *conn) ATTR_MUSTCHECK;

/* Remove the socket, if it is still ours, and close everything. The pid file stays. */
void socket_close(struct listener *);

#endif
