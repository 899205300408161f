/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conversation with the VMM: receive one message, check it against its row of VU_MESSAGES, run its handler, answer.
 * Strictly serial. All bytes and fds are the VMM's; nothing reaches a handler before header, size, number of fds and
 * negotiated features were found right. Waiting always includes the monitor's socket.
 * Runs in: front (control thread).
 */
#include "front/vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/fd.h"
#include "common/log.h"
#include "front/vhost_user_session.h"

struct row {
	const char *name; /* NULL: not served */
	int (*handler)(struct vu_session *, struct vu_msg *);
	uint32_t size_min, size_max;
	unsigned fds_min, fds_max;
	uint64_t needs;
	enum vu_answer answer;
};

static const struct row rows[VU_REQUEST_END] = {
#define X(NAME, handler, nr, smin, smax, fmin, fmax, needs, answer) \
	[nr] = { #NAME, vu_##handler, smin, smax, fmin, fmax, needs, answer },
	VU_MESSAGES(X)
#undef X
};

/* How receiving and sending end, beside 0. */
enum { IO_EOF = 1, IO_LEAVE, IO_BAD };

static int
wait_for(const struct vu_session *s, short events)
{
	struct pollfd p[2] = { { .fd = s->control, .events = POLLIN },
		{ .fd = s->sock, .events = events } };

	for (;;) {
		if (ppoll(p, 2, NULL, NULL) == -1) {
			if (errno == EINTR)
				continue;
			log_error("vhost-user: ppoll: error %d", errno);
			return IO_LEAVE;
		}
		return p[0].revents != 0 ? IO_LEAVE : 0;
	}
}

/* Collect the fds of one recvmsg() into m; false if there is anything else or too much. */
static bool
take_fds(struct vu_msg *m, struct msghdr *mh)
{
	bool good = (mh->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		const unsigned char *data = CMSG_DATA(c);
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			good = false;
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, data + i * sizeof(int), sizeof(fd));
			if (m->nfds < VU_FDS_MAX)
				m->fds[m->nfds++] = fd;
			else {
				fd_close(&fd);
				good = false;
			}
		}
	}
	return good;
}

/* Read exactly len bytes; fds may come with them only if with_fds. IO_EOF: the end came before the first byte. */
static int
receive(const struct vu_session *s, struct vu_msg *m, void *buf, size_t len, bool with_fds)
{
	/* Room for more than is allowed: an overlong set is seen whole and closed. */
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE((VU_FDS_MAX + 1) * sizeof(int))];
	} control;
	size_t done = 0;
	ssize_t n;
	int rc;

	while (done < len) {
		struct iovec iov = { (char *)buf + done, len - done };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

		rc = wait_for(s, POLLIN);
		if (rc != 0)
			return rc;
		mh.msg_control = with_fds ? &control : NULL;
		mh.msg_controllen = with_fds ? sizeof(control) : 0;
		n = recvmsg(s->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n == -1 && errno != ECONNRESET) {
			log_warn("vhost-user: recvmsg: error %d", errno);
			return IO_BAD;
		}
		/* A peer that left without reading our last answer resets the connection: an end like another. */
		if (n <= 0 && done == 0 && m->nfds == 0)
			return IO_EOF;
		if (n <= 0) {
			log_error("vhost-user: the connection ended inside a message");
			return IO_BAD;
		}
		if (!take_fds(m, &mh)) {
			log_warn("vhost-user: fds where none belong, or too many");
			return IO_BAD;
		}
		done += (size_t)n;
	}
	return 0;
}

static int
send_reply(const struct vu_session *s, const struct vu_msg *m)
{
	size_t done = 0, len = sizeof(m->h) + m->h.size;
	ssize_t n;
	int rc;

	while (done < len) {
		const size_t h = MIN(done, sizeof(m->h));
		struct iovec iov[2] = { { (char *)(uintptr_t)&m->h + h, sizeof(m->h) - h },
			{ (char *)(uintptr_t)&m->p + (done - h), m->h.size - (done - h) } };
		struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

		n = sendmsg(s->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1 && errno == EAGAIN) {
			rc = wait_for(s, POLLOUT);
			if (rc != 0)
				return rc;
			continue;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EPIPE || errno == ECONNRESET ? IO_EOF : IO_BAD;
		done += (size_t)n;
	}
	return 0;
}

/* Is the header good, and which row is it? NULL after saying what is wrong. */
static const struct row *
check(const struct vu_session *s, const struct vu_msg *m)
{
	const struct vu_hdr *h = &m->h;
	const struct row *row;

	if ((h->flags & ~VU_F_NEED_REPLY) != VU_VERSION) {
		log_error("vhost-user: request %u has flags 0x%x", h->request, h->flags);
		return NULL;
	}
	row = h->request < VU_REQUEST_END ? &rows[h->request] : NULL;
	if (row == NULL || row->name == NULL) {
		log_error("vhost-user: request %u is not supported", h->request);
		return NULL;
	}
	if (h->size < row->size_min || h->size > row->size_max) {
		log_error("vhost-user: %s with %u bytes", row->name, h->size);
		return NULL;
	}
	if (m->nfds < row->fds_min || m->nfds > row->fds_max) {
		log_error("vhost-user: %s with %u fds", row->name, m->nfds);
		return NULL;
	}
	if ((s->protocol & row->needs) != row->needs) {
		log_error("vhost-user: %s without its protocol feature", row->name);
		return NULL;
	}
	return row;
}

/* One message from its first byte to its answer. */
static int
serve_one(struct vu_session *s, struct vu_msg *m)
{
	const struct row *row;
	bool ack;
	int rc, r;

	rc = receive(s, m, &m->h, sizeof(m->h), true);
	if (rc != 0)
		return rc;
	row = check(s, m);
	if (row == NULL)
		return IO_BAD;
	rc = receive(s, m, &m->p, m->h.size, false);
	if (rc == IO_EOF) {
		log_error("vhost-user: the connection ended inside %s", row->name);
		return IO_BAD;
	}
	if (rc != 0)
		return rc;

	r = row->handler(s, m);
	if (r != 0)
		log_error("vhost-user: %s failed: error %d", row->name, -r);
	/* With the features as they are after the handler: SET_PROTOCOL_FEATURES is acknowledged by what it set. */
	ack = row->answer == VU_ANSWER_ACK && (m->h.flags & VU_F_NEED_REPLY) != 0 &&
	    (s->protocol & VU_PROTO_REPLY_ACK) != 0 && s->features_asked;
	if (r == -EPROTO || (r != 0 && !ack))
		return IO_BAD;
	if (row->answer == VU_ANSWER_ACK) {
		if (!ack)
			return 0;
		m->p.u64 = r != 0;
		m->h.size = sizeof(m->p.u64);
	}
	m->h.flags = VU_VERSION | VU_F_REPLY;
	rc = send_reply(s, m);
	return r != 0 ? IO_BAD : rc;
}

enum vhost_end
vhost_user_serve(struct device *dev, int sock, int control)
{
	struct vu_session s = { .dev = dev, .sock = sock, .control = control, .backend_fd = -1 };
	struct vu_msg m;
	int rc;

	for (unsigned q = 0; q < NQUEUES; q++)
		s.ring[q].kick_fd = -1;
	do {
		m.nfds = 0;
		rc = serve_one(&s, &m);
		fd_close_all(m.fds, m.nfds);
	} while (rc == 0);

	for (unsigned q = 0; q < NQUEUES; q++) {
		bool runs = device_running(dev, q);

		device_abandon(dev, q);
		/* The thread of one that runs may be looking at it: it stays until the process ends, which is next. */
		if (!runs)
			fd_close(&s.ring[q].kick_fd);
	}
	fd_close(&s.backend_fd);
	return rc == IO_BAD ? VHOST_BAD : VHOST_EOF;
}
