/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes what connects front and worker, and hands it to them in one message each. The monitor keeps the arenas and
 * the journal for the next worker, and no end of a lane. Runs in: monitor, when the client has connected, and when a
 * worker has died.
 */
#include "monitor/start.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "monitor/spawn.h"
#include "proto/control.h"
#include "proto/journal.h"
#include "proto/mailbox.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

/* Queue of a lane: as Linux has it by default (net.core.wmem_default), also where an administrator chose less. */
#define SNDBUF 212992
#define FD_RESERVE 512u
#define FD_BUDGET_MIN 64u
#define LANES_PER_QUEUE 8u /* without --thread-pool-size */

static int
fail(const char *what, int error)
{
	log_error("%s: %s", what, strerrordesc_np(error));
	return -error;
}

static int
want_sndbuf(int fd)
{
	const int half = SNDBUF / 2; /* the kernel doubles what it is told */
	socklen_t len = sizeof(int);
	int have;

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &have, &len) == -1)
		return -errno;
	if (have >= SNDBUF)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &half, sizeof(half)) == 0)
		return 0;
	/* Sealed, it may only ask; net.core.wmem_max is seldom so small that this does not do. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half)) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &have, &len) == -1)
		return -errno;
	return have >= SNDBUF ? 0 : -EPERM;
}

int
start_pair(int pair[2])
{
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) {
		r = fail("socketpair", errno);
		pair[0] = pair[1] = -1;
		return r;
	}
	if ((r = want_sndbuf(pair[0])) == 0 && (r = want_sndbuf(pair[1])) == 0)
		return 0;
	fd_close_all(pair, 2);
	return fail("size of a socket buffer", -r);
}

static int
make_memory(const char *name, size_t size, int *fd)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

	*fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (*fd == -1 && errno == EINVAL)
		*fd = memfd_create(name, flags);
	if (*fd == -1 || ftruncate(*fd, (off_t)size) == -1 ||
	    fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		return fail(errno == EFBIG ? "memory for a lane (RLIMIT_FSIZE is too small)"
					   : "memory for a lane",
		    errno);
	return 0;
}

int
start_journal(uint32_t n, int *fd)
{
	return make_memory("virtiofsd-journal", (size_t)n * JOURNAL_PAGE, fd);
}

/* How many lanes one request queue may use at most. */
static uint32_t
lanes_per_queue(const struct options *o)
{
	if (!o->pool_given)
		return LANES_PER_QUEUE;
	return (uint32_t)MIN(MAX(o->pool_size, 1), START_LANES_PER_QUEUE_MAX);
}

uint32_t
start_nlanes(const struct options *o)
{
	/* One each, and what is lent. */
	return 1 + REQUEST_QUEUES_MAX + lanes_per_queue(o) - 1;
}

int
start_lanes_again(struct lanes *l)
{
	int pair[2], r = 0;

	for (uint32_t i = 0; i < l->n && r == 0; i++) {
		r = start_pair(pair);
		l->front[i] = pair[0];
		l->worker[i] = pair[1];
	}
	if (r != 0) {
		start_lanes_close_front(l);
		start_lanes_close_worker(l);
	}
	return r;
}

int
start_lanes(uint32_t n, struct lanes *l)
{
	int r;

	l->n = n;
	for (uint32_t i = 0; i < RPC_LANES_MAX; i++)
		l->front[i] = l->worker[i] = l->arena[i] = -1;
	r = start_lanes_again(l);
	for (uint32_t i = 0; i < n && r == 0; i++)
		r = make_memory("virtiofsd-arena", LANE_MEMORY_SIZE, &l->arena[i]);
	if (r != 0) {
		start_lanes_close_front(l);
		start_lanes_close_worker(l);
		start_lanes_close_arenas(l);
	}
	return r;
}

void
start_lanes_close_front(struct lanes *l)
{
	fd_close_all(l->front, l->n);
}

void
start_lanes_close_worker(struct lanes *l)
{
	fd_close_all(l->worker, l->n);
}

void
start_lanes_close_arenas(struct lanes *l)
{
	fd_close_all(l->arena, l->n);
}

uint32_t
start_fd_budget(uint64_t fd_limit)
{
	if (fd_limit < FD_RESERVE + FD_BUDGET_MIN)
		return FD_BUDGET_MIN;
	return (uint32_t)MIN(fd_limit - FD_RESERVE, UINT32_MAX);
}

int
start_worker(int ctl, const struct options *o, const struct plan *p, const struct start_worker *w)
{
	const struct lanes *l = w->lanes;
	struct ctl_start_worker m = {
		.h = { .op = CTL_START_WORKER, .len = sizeof(m) },
		.seccomp = o->seccomp,
		.log_level = logsink_level(spawn_module(CHILD_WORKER)),
		.dev = o->dev,
		.nlanes = l->n,
		.sandbox = o->sandbox,
		.fd_budget = start_fd_budget(w->fd_limit),
		.first_node = NODE_FIRST(w->incarnation),
		.incarnation = w->incarnation,
		.flags = p->worker_flags,
		.caps = p->worker_caps,
		.tables_len = w->tables_len,
	};
	int fds[MSG_FDS_MAX] = { w->share, w->put, w->get, w->journal, w->lifeline }, r;
	size_t nfds = 5;

	for (uint32_t i = 0; i < l->n; i++)
		fds[nfds++] = l->worker[i];
	for (uint32_t i = 0; i < l->n; i++)
		fds[nfds++] = l->arena[i];
	if (w->tables_len > 0)
		fds[nfds++] = w->tables;
	if (w->mntns != -1)
		fds[nfds++] = w->mntns;
	r = msg_send(ctl, &m, sizeof(m), fds, nfds, 0);
	return r != 0 ? fail("cannot send to the worker process", -r) : 0;
}

int
start_new_lanes(int ctl, const struct lanes *l, uint32_t incarnation)
{
	struct ctl_lanes m = {
		.h = { .op = CTL_LANES, .len = sizeof(m) },
		.nlanes = l->n,
		.incarnation = incarnation,
	};
	int r = msg_send(ctl, &m, sizeof(m), l->front, l->n, MSG_DONTWAIT);

	if (r == -EPIPE || r == -ECONNRESET)
		return r;
	return r != 0 ? fail("cannot send to the front process", -r) : 0;
}

int
start_front(int ctl, const struct options *o, const struct plan *p, const struct lanes *l, int conn)
{
	struct ctl_start_front m = {
		.h = { .op = CTL_START_FRONT, .len = sizeof(m) },
		.seccomp = o->seccomp,
		.log_level = logsink_level(spawn_module(CHILD_FRONT)),
		.dev = o->dev,
		.nlanes = l->n,
		.lanes_per_queue = lanes_per_queue(o),
		.stuck_after = o->worker_timeout,
		.uid = p->front_uid,
		.gid = p->front_gid,
		.flags = p->front_flags,
	};
	int fds[MSG_FDS_MAX] = { conn }, r;
	size_t nfds = 1;

	if (p->how[CHILD_FRONT].userns != p->how[CHILD_WORKER].userns)
		m.dev.flags |= DEV_TRANSLATE;
	if (o->tag != NULL) {
		m.taglen = (uint32_t)strlen(o->tag);
		memcpy(m.tag, o->tag, MIN(m.taglen, sizeof(m.tag)));
	}
	for (uint32_t i = 0; i < l->n; i++)
		fds[nfds++] = l->front[i];
	for (uint32_t i = 0; i < l->n; i++)
		fds[nfds++] = l->arena[i];
	r = msg_send(ctl, &m, sizeof(m), fds, nfds, 0);
	return r != 0 ? fail("cannot send to the front process", -r) : 0;
}

static_assert(7 + 2 * RPC_LANES_MAX <= MSG_FDS_MAX, "a START message holds all lanes");
