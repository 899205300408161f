/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread listens to the monitor, so that news of a worker arrive while the vhost-user conversation waits for a ring to
 * drain. It hands the new sockets to the queues that own the lanes, and when all running queues have taken them over,
 * or were stopped, it tells the monitor what was in flight.
 * Runs in: front, a thread of its own. Bytes written by: the monitor.
 */
#include "front/restart.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "front/front.h"
#include "front/pool.h"
#include "front/threads.h"
#include "proto/control.h"

static struct {
	struct device *dev;
	int control;
	struct lane **lanes;
	uint32_t nlanes;
	uint32_t stuck_after;
	uint64_t told[RPC_LANES_MAX]; /* waiting_since of what was reported last */
	_Atomic uint32_t broken[BROKEN_HOWS]; /* 1 + incarnation reported last */

	pthread_mutex_t lock;
	struct resumed sum; /* of the queues so far */
	unsigned pending; /* queues that have not taken over yet */
	bool owed[NQUEUES];
} me = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
tell_monitor(const void *msg, size_t len)
{
	if (msg_send(me.control, msg, len, NULL, 0, 0) != 0)
		_exit(0);
}

static void
tell_resumed(void)
{
	const struct ctl_resumed m = {
		.h = { .op = CTL_RESUMED, .len = sizeof(m) },
		.incarnation = me.sum.incarnation,
		.replayed = me.sum.replayed,
		.failed = me.sum.failed,
		.ops = me.sum.ops,
	};

	tell_monitor(&m, sizeof(m));
}

void
restart_broken(const struct lane *l, enum ctl_broken_how how)
{
	const struct ctl_broken m = {
		.h = { .op = CTL_BROKEN, .len = sizeof(m) },
		.incarnation = l->incarnation,
		.how = how,
	};
	uint32_t told = atomic_load(&me.broken[how]);

	do {
		if (told > l->incarnation)
			return;
	} while (!atomic_compare_exchange_weak(&me.broken[how], &told, l->incarnation + 1));
	tell_monitor(&m, sizeof(m));
}

/* One queue less to wait for. Under me.lock. */
static void
settle(const struct queue *q)
{
	me.owed[q->index] = false;
	if (--me.pending == 0)
		tell_resumed();
}

void
restart_resumed(struct queue *q, const struct resumed *found)
{
	pthread_mutex_lock(&me.lock);
	if (me.owed[q->index] && found->incarnation == me.sum.incarnation) {
		me.sum.replayed += found->replayed;
		me.sum.failed += found->failed;
		me.sum.ops |= found->ops;
		settle(q);
	}
	pthread_mutex_unlock(&me.lock);
}

void
restart_stopped(struct queue *q)
{
	pthread_mutex_lock(&me.lock);
	if (me.owed[q->index])
		settle(q);
	pthread_mutex_unlock(&me.lock);
}

/* Put the new sockets where their owners find them; a worker that came and went unseen leaves its sockets behind. */
static void
hand_out(const int *socks, uint32_t incarnation)
{
	for (uint32_t i = 0; i < me.nlanes; i++) {
		uint64_t next = (uint64_t)incarnation << 32 | ((uint32_t)socks[i] + 1);
		int old = (int)(uint32_t)atomic_exchange(&me.lanes[i]->next, next) - 1;

		fd_close(&old);
	}
}

static void
wake_queues(uint32_t incarnation)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&me.lock);
	me.sum = (struct resumed){ .incarnation = incarnation };
	me.pending = 0;
	for (unsigned i = 0; i < NQUEUES; i++) {
		struct queue *q = me.dev->queue[i];

		/* A queue that does not run takes over when it is started. */
		pthread_mutex_lock(&q->ctl_lock);
		me.owed[i] = q->running;
		me.pending += q->running;
		pthread_mutex_unlock(&q->ctl_lock);
	}
	if (me.pending == 0)
		tell_resumed();
	pthread_mutex_unlock(&me.lock);
	for (unsigned i = 0; i < NQUEUES; i++) {
		if (write(me.dev->queue[i]->revive_fd, &one, sizeof(one)) == -1 && errno != EAGAIN)
			fatal("eventfd");
		/* After it, so that who sees it can read that. */
		atomic_store(&me.dev->queue[i]->woken, true);
	}
}

static bool
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void
take_lanes(void)
{
	struct ctl_lanes m;
	int fds[MSG_FDS_MAX];
	size_t nfds = MSG_FDS_MAX;
	ssize_t n;

	n = msg_recv(me.control, &m, sizeof(m), fds, &nfds, NULL, MSG_DONTWAIT);
	if (n == -EAGAIN)
		return;
	if (n == 0 || n == -ECONNRESET)
		_exit(0);
	if (n != sizeof(m) || m.h.op != CTL_LANES || m.h.len != sizeof(m) ||
	    m.nlanes != me.nlanes || nfds != me.nlanes)
		fatalx("bad message from the monitor");
	for (size_t i = 0; i < nfds; i++)
		if (!is_socket(fds[i]))
			fatalx("bad lane from the monitor");
	hand_out(fds, m.incarnation);
	wake_queues(m.incarnation);
}

/* Report each wait once. */
static void
look_for_stuck(void)
{
	const uint64_t now = clock_ns(), limit = (uint64_t)me.stuck_after * 1000000000u;

	for (uint32_t i = 0; i < me.nlanes; i++) {
		uint64_t since = atomic_load(&me.lanes[i]->waiting_since);
		struct ctl_stuck m = { .h = { .op = CTL_STUCK, .len = sizeof(m) }, .lane = i };

		if (since == 0 || since == me.told[i] || now - since < limit || now < since)
			continue;
		me.told[i] = since;
		m.op = atomic_load(&me.lanes[i]->waiting_op);
		m.seconds = (uint32_t)((now - since) / 1000000000u);
		tell_monitor(&m, sizeof(m));
	}
}

static void *
restart_main(void *arg)
{
	/* Seldom enough to cost nothing, often enough to be late by a quarter at most. */
	const struct timespec every = { .tv_sec = MAX(me.stuck_after / 4, 1) };

	(void)arg;
	for (;;) {
		struct pollfd p = { .fd = me.control, .events = POLLIN };

		if (ppoll(&p, 1, me.stuck_after != 0 ? &every : NULL, NULL) == -1 && errno != EINTR)
			fatal("ppoll");
		if (p.revents != 0)
			take_lanes();
		if (me.stuck_after != 0)
			look_for_stuck();
	}
	return NULL;
}

void
restart_start(
    struct device *dev, int control, struct lane **lanes, uint32_t nlanes, uint32_t stuck_after)
{
	me.dev = dev;
	me.control = control;
	me.lanes = lanes;
	me.nlanes = nlanes;
	me.stuck_after = stuck_after;
	thread_start(restart_main, NULL);
}
