/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Creates, accepts on and removes the vhost-user socket. The directory is opened once: what is removed at the end is
 * named relative to it, so that a path that has come to mean something else by then does no harm.
 * Runs in: monitor. Bytes written by: nobody yet, the connection is passed on unread.
 */
#include "monitor/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

#define LOCK_MS 300
#define LOCK_NAP_MS 10

static int
fail(const char *what, const char *path, int error)
{
	log_error("%s '%s': %s", what, path, strerrordesc_np(error));
	return -error;
}

/* Open the directory of path and find the name in it. */
static int
open_dir(const char *path, struct listener *l)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

	if (strlen(path) >= sizeof(dir))
		return fail("invalid socket file name", path, ENAMETOOLONG);
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return fail("invalid socket file name", path, EINVAL);
	strcpy(l->name, name);
	if (slash == NULL)
		strcpy(dir, ".");
	else
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	l->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l->dir == -1)
		log_error(
		    "%s does not exist or is not a directory: %s", dir, strerrordesc_np(errno));
	return l->dir == -1 ? -ENOENT : 0;
}

/*
 * flock(), tried for a while: the lock is the daemon's first process' alone, but if that was killed while it started
 * another, that one has a copy of the descriptor until it executes its program.
 */
static int
lock_pid_file(int fd)
{
	const struct timespec nap = { .tv_nsec = LOCK_NAP_MS * 1000000L };

	for (int ms = 0; flock(fd, LOCK_EX | LOCK_NB) == -1; ms += LOCK_NAP_MS) {
		if (errno != EWOULDBLOCK || ms >= LOCK_MS)
			return -errno;
		nanosleep(&nap, NULL);
	}
	return 0;
}

/* Open and lock the file; *again is set when it was replaced between the two. */
static int
try_pid_file(int dir, const char *name, int *fd, bool *again)
{
	struct stat by_fd, by_name;
	int r;

	*again = false;
	*fd = openat(
	    dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0600);
	if (*fd == -1)
		return -errno;
	if ((r = lock_pid_file(*fd)) == 0 && fstat(*fd, &by_fd) == -1)
		r = -errno;
	if (r == 0 && !S_ISREG(by_fd.st_mode))
		r = -EINVAL;
	if (r == 0)
		*again = fstatat(dir, name, &by_name, AT_SYMLINK_NOFOLLOW) == -1 ||
		    by_fd.st_dev != by_name.st_dev || by_fd.st_ino != by_name.st_ino;
	if (r != 0 || *again)
		fd_close(fd);
	return r;
}

static int
make_pid_file(const char *path, struct listener *l)
{
	char name[sizeof(l->name) + 8], text[32];
	bool again = true;
	int fd = -1, n, r = 0;

	snprintf(name, sizeof(name), "%s.pid", l->name);
	while (again && r == 0)
		r = try_pid_file(l->dir, name, &fd, &again);
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (r == 0 && (ftruncate(fd, 0) == -1 || pwrite(fd, text, (size_t)n, 0) != n))
		r = -errno;
	if (r != 0) {
		log_error("error creating pid file '%s.pid': %s%s", path, strerrordesc_np(-r),
		    r == -EWOULDBLOCK ? " (is another daemon running?)" : "");
		fd_close(&fd);
		return r;
	}
	l->pid_fd = fd;
	return 0;
}

static int
make_socket(const char *path, gid_t gid, struct listener *l)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;

	strcpy(sa.sun_path, path); /* open_dir() knows that it fits */
	(void)unlinkat(l->dir, l->name, 0);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd == -1)
		return fail("socket for", path, errno);
	if (bind(l->fd, (struct sockaddr *)&sa, sizeof(sa)) == -1)
		return fail("cannot create the socket", path, errno);
	if (fstatat(l->dir, l->name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return fail("socket", path, errno);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	if (gid != SOCKET_NO_GROUP &&
	    fchownat(l->dir, l->name, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) == -1)
		return fail("cannot change the group of the socket", path, errno);
	/* Only now can anybody connect. */
	return listen(l->fd, SOMAXCONN) == -1 ? fail("cannot listen at", path, errno) : 0;
}

int
socket_listen(const char *path, gid_t gid, struct listener *l)
{
	mode_t old;
	int r;

	*l = (struct listener){ .fd = -1, .pid_fd = -1, .dir = -1 };
	old = umask(gid == SOCKET_NO_GROUP ? 077 : 007);
	if ((r = open_dir(path, l)) == 0 && (r = make_pid_file(path, l)) == 0)
		r = make_socket(path, gid, l);
	umask(old);
	if (r != 0)
		socket_close(l);
	return r;
}

bool
socket_is_elsewhere(const struct listener *l)
{
	struct stat st;

	return l->dir != -1 &&
	    (fstat(l->dir, &st) == -1 || st.st_uid != geteuid() || (st.st_mode & 0300) != 0300);
}

static int
sock_int(int fd, int what)
{
	socklen_t len = sizeof(int);
	int v;

	return getsockopt(fd, SOL_SOCKET, what, &v, &len) == -1 ? -1 : v;
}

int
socket_inherited(int fd, struct listener *l)
{
	*l = (struct listener){ .fd = fd, .pid_fd = -1, .dir = -1 };
	if (sock_int(fd, SO_DOMAIN) != AF_UNIX || sock_int(fd, SO_TYPE) != SOCK_STREAM ||
	    sock_int(fd, SO_ACCEPTCONN) != 1) {
		log_error("--fd %d: not a listening UNIX stream socket", fd);
		l->fd = -1;
		return -EINVAL;
	}
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return -errno;
	return 0;
}

/* Errors of accept() that are one client's, not ours. */
static bool
try_again(int error)
{
	return error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPROTO;
}

int
socket_accept(const struct listener *l, int sigfd, int *conn)
{
	struct pollfd p[2] = { { .fd = sigfd, .events = POLLIN },
		{ .fd = l->fd, .events = POLLIN } };
	int flags = fcntl(l->fd, F_GETFL), r = 0;

	/* Who shares an inherited socket with us may be faster: then accept() must not wait, as no signal ends it. */
	if (flags == -1 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return fail("listening socket", "", errno);
	*conn = -1;
	while (*conn == -1 && r == 0) {
		if (ppoll(p, countof(p), NULL, NULL) == -1 && errno != EINTR)
			r = fail("poll", "", errno);
		else if (p[0].revents != 0)
			r = -EINTR;
		else if (p[1].revents != 0 &&
		    (*conn = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC)) == -1 && !try_again(errno))
			r = fail("accept", l->name, errno);
	}
	if (fcntl(l->fd, F_SETFL, flags) == -1)
		log_warn("the listening socket stays non-blocking: %s", strerrordesc_np(errno));
	return r;
}

void
socket_close(struct listener *l)
{
	struct statx stx;

	if (l->dir != -1 && l->ino != 0 &&
	    statx(l->dir, l->name, AT_SYMLINK_NOFOLLOW, STATX_INO, &stx) == 0 &&
	    stx.stx_ino == l->ino && makedev(stx.stx_dev_major, stx.stx_dev_minor) == l->dev &&
	    unlinkat(l->dir, l->name, 0) == -1)
		log_warn("cannot remove the socket '%s': %s", l->name, strerrordesc_np(errno));
	fd_close(&l->fd);
	fd_close(&l->dir);
	fd_close(&l->pid_fd);
}
