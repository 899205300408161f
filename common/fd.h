/* SPDX-License-Identifier: BSD-3-Clause */
/* Small helpers around file descriptors. Included by: all. */
#ifndef COMMON_FD_H
#define COMMON_FD_H

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

/* Close *fd if it is open and forget it; keeps errno. */
static inline void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static inline void
fd_close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(&fds[i]);
}

/* Move an fd out of its variable: the caller owns it from here. */
static inline int
fd_take(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

#endif
