/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VMM's side of a vhost-user conversation for unit tests, and the fake device behind the server, which writes down
 * what it is told. Linked with: check_vhost_user.c, check_vhost_user_hostile.c.
 */
#include "tests/unit/vhost_user_peer.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "front/vhost_user_session.h"

struct queue { int unused; };

struct device dev;
struct vring rings[NQUEUES];
static struct queue queues[NQUEUES];
_Atomic bool running[NQUEUES];
static int kick[NQUEUES]; /* of those that run */
int sock, memfd, control[2];

static char calls[512];			/* what the device was told, since the last peer_told(); under the lock */
static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;
static int server_sock, before;
static bool joined;
static enum vhost_end ended;
static pthread_t server;

/* ---- the fake device ---- */

static void
note(const char *what, unsigned q)
{
	size_t n;

	pthread_mutex_lock(&calls_lock);
	n = strlen(calls);
	snprintf(calls + n, sizeof(calls) - n, "%s%u ", what, q);
	pthread_mutex_unlock(&calls_lock);
}

bool
device_running(const struct device *d, unsigned q)
{
	(void)d;
	return running[q];
}

int
device_start(struct device *d, unsigned q, int kick_fd)
{
	int rc = vring_start(d->ring[q], &d->memory);

	if (rc != 0)
		return rc;
	if (running[q] || fcntl(kick_fd, F_GETFD) != FD_CLOEXEC || !(fcntl(kick_fd, F_GETFL) & O_NONBLOCK))
		note("WRONG", q);
	note("start", q);
	running[q] = true;
	kick[q] = kick_fd;
	return 0;
}

void
device_stop(struct device *d, unsigned q)
{
	(void)d;
	if (running[q])
		note("stop", q);
	running[q] = false;
}

void
device_pause(struct device *d)
{
	(void)d;
	note("pause", 0);
}

void
device_resume(struct device *d)
{
	note("resume", d->memory.nregions);
}

void
device_abandon(struct device *d, unsigned q)
{
	/* The process ends next, and its fds with it. */
	if (running[q])
		fd_close(&kick[q]);
	device_stop(d, q);
	device_set_call(d, q, -1);
}

void
device_set_call(struct device *d, unsigned q, int fd)
{
	if (fd != -1)
		note("call", q);
	fd_close(&d->ring[q]->call_fd);
	d->ring[q]->call_fd = fd;
}

void
device_reset(struct device *d)
{
	(void)d;
	for (unsigned q = 0; q < NQUEUES; q++)
		if (running[q])
			note("WRONG", q);
	note("reset", 0);
}

/* ---- the session ---- */

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void *
serve(void *arg)
{
	(void)arg;
	ended = vhost_user_serve(&dev, server_sock, control[1]);
	shutdown(server_sock, SHUT_RDWR);
	return NULL;
}

static void
no_log(enum log_level level, const char *line)
{
	(void)level;
	if (getenv("VERBOSE") != NULL)
		fprintf(stderr, "  %s\n", line);
}

static void
begin(void)
{
	struct timeval tv = { .tv_sec = 5 };
	int sv[2];

	before = count_fds();
	log_init(no_log, LOG_DEBUG);
	memset(&dev, 0, sizeof(dev));
	calls[0] = '\0';
	dev.has_tag = true;
	memcpy(dev.tag, "share", 5);
	for (unsigned q = 0; q < NQUEUES; q++) {
		running[q] = false;
		vring_init(&rings[q]);
		dev.ring[q] = &rings[q];
		dev.queue[q] = &queues[q];
	}
	memfd = memfd_create("guest", MFD_CLOEXEC);
	ck_assert_int_ge(memfd, 0);
	ck_assert_int_eq(ftruncate(memfd, (off_t)(2 * MEMSIZE)), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	sock = sv[0];
	server_sock = sv[1];
	ck_assert_int_eq(setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
}

void
peer_setup(void)
{
	begin();
	joined = false;
	ck_assert_int_eq(pthread_create(&server, NULL, serve, NULL), 0);
}

void
peer_join(void)
{
	if (!joined)
		ck_assert_int_eq(pthread_join(server, NULL), 0);
	joined = true;
}

enum vhost_end
peer_finish(void)
{
	fd_close(&sock);
	peer_join();
	for (unsigned q = 0; q < NQUEUES; q++)
		ck_assert_msg(!running[q] && rings[q].call_fd == -1, "ring %u", q);
	memory_clear(&dev.memory);
	fd_close(&server_sock);
	fd_close(&memfd);
	fd_close_all(control, 2);
	ck_assert_int_eq(count_fds(), before);
	return ended;
}

void
peer_teardown(void)
{
	if (sock != -1)
		peer_finish();
}

void
peer_send_raw(const void *buf, size_t len, const int *fds, unsigned nfds)
{
	union {
		struct cmsghdr align;
		char	buf[CMSG_SPACE(64 * sizeof(int))];
	} c;
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds > 0) {
		memset(&c, 0, sizeof(c));
		c.align.cmsg_level = SOL_SOCKET;
		c.align.cmsg_type = SCM_RIGHTS;
		c.align.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&c.align), fds, nfds * sizeof(int));
		mh.msg_control = &c;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	}
	/* The server may have closed already. */
	if (sendmsg(sock, &mh, MSG_NOSIGNAL) == -1)
		ck_assert(errno == EPIPE || errno == ECONNRESET);
}

void
peer_send(uint32_t request, uint32_t flags, const void *payload, uint32_t size, const int *fds, unsigned nfds)
{
	uint8_t buf[sizeof(struct vu_hdr) + VU_PAYLOAD_MAX + 64];
	const struct vu_hdr h = { request, flags, size };

	ck_assert_uint_le(size, VU_PAYLOAD_MAX + 64);
	memcpy(buf, &h, sizeof(h));
	if (size > 0)
		memcpy(buf + sizeof(h), payload, size);
	peer_send_raw(buf, sizeof(h) + size, fds, nfds);
}

ssize_t
peer_receive(uint32_t request, void *payload, size_t size)
{
	struct vu_hdr h;
	ssize_t n = recv(sock, &h, sizeof(h), MSG_WAITALL);

	if (n == 0 || (n == -1 && errno == ECONNRESET))
		return -1;
	ck_assert_int_eq(n, sizeof(h));
	ck_assert_uint_eq(h.request, request);
	ck_assert_uint_eq(h.flags, VU_VERSION | VU_F_REPLY);
	ck_assert_uint_le(h.size, size);
	if (h.size > 0)
		ck_assert_int_eq(recv(sock, payload, h.size, MSG_WAITALL), h.size);
	return h.size;
}

uint64_t
peer_get(uint32_t request)
{
	uint64_t v;

	peer_send(request, VU_VERSION, NULL, 0, NULL, 0);
	ck_assert_int_eq(peer_receive(request, &v, sizeof(v)), 8);
	return v;
}

bool
peer_alive(void)
{
	uint64_t v;

	peer_send(VU_GET_FEATURES, VU_VERSION, NULL, 0, NULL, 0);
	return peer_receive(VU_GET_FEATURES, &v, sizeof(v)) == 8;
}

const char *
peer_told(uint32_t request, const void *payload, uint32_t size, int fd)
{
	static char copy[sizeof(calls)];

	pthread_mutex_lock(&calls_lock);
	calls[0] = '\0';
	pthread_mutex_unlock(&calls_lock);
	peer_send(request, VU_VERSION, payload, size, &fd, fd != -1);
	ck_assert_msg(peer_alive(), "request %u", request);
	pthread_mutex_lock(&calls_lock);
	strcpy(copy, calls);
	pthread_mutex_unlock(&calls_lock);
	return copy;
}

int
peer_ack(uint32_t request, const void *payload, uint32_t size, const int *fds, unsigned nfds)
{
	uint64_t v;

	peer_send(request, VU_VERSION | VU_F_NEED_REPLY, payload, size, fds, nfds);
	return peer_receive(request, &v, sizeof(v)) == 8 ? (int)v : -1;
}

const char *
peer_told_state(uint32_t request, uint32_t index, uint32_t num)
{
	const struct vu_vring_state st = { index, num };

	return peer_told(request, &st, sizeof(st), -1);
}

const char *
peer_told_addr(uint32_t index)
{
	const struct vu_vring_addr a = { .index = index, .desc = UADDR, .avail = UADDR + 0x10000, .used = UADDR + 0x20000 };

	return peer_told(VU_SET_VRING_ADDR, &a, sizeof(a), -1);
}

const char *
peer_told_fd(uint32_t request, uint64_t index)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	const char *s = peer_told(request, &index, sizeof(index), fd);

	close(fd);
	return s;
}

void
peer_features(uint64_t f, uint64_t proto)
{
	peer_get(VU_GET_FEATURES);
	peer_told(VU_SET_PROTOCOL_FEATURES, &proto, 8, -1);
	peer_told(VU_SET_FEATURES, &f, 8, -1);
}

static void
add_memory(void)
{
	const struct vu_one_region r = { 0, { GPA, MEMSIZE, UADDR, 0 } };

	ck_assert_str_eq(peer_told(VU_ADD_MEM_REG, &r, sizeof(r), memfd), "pause0 resume1 ");
}

void
peer_ready(void)
{
	peer_features(PEER_FEATURES, PEER_PROTO);
	add_memory();
}

uint32_t
peer_base(uint32_t q)
{
	struct vu_vring_state st = { q, 0 };

	peer_send(VU_GET_VRING_BASE, VU_VERSION, &st, sizeof(st), NULL, 0);
	ck_assert_int_eq(peer_receive(VU_GET_VRING_BASE, &st, sizeof(st)), sizeof(st));
	ck_assert_uint_eq(st.index, q);
	return st.num;
}
