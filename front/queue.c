/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue thread: takes chains from its ring, has them decoded and served, reaps its lanes, sleeps. And the control
 * thread's handle on it (device.h): start, stop (which waits until everything taken has been returned), pause.
 * Runs in: front.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "front/front.h"
#include "front/restart.h"
#include "front/threads.h"

#define DRAIN_MAX 64u /* chains taken before the lanes are looked at again */
#define LOOK_S 1 /* how often to look whether the VMM is still there, while a ring is waited for */
#define NAP_MIN_NS 30000u
#define NAP_MAX_NS 1000000u

void
queue_wake(struct queue *q)
{
	const uint64_t one = 1;

	atomic_store(&q->woken, true);
	if (write(q->wake_fd, &one, sizeof(one)) == -1 && errno != EAGAIN)
		fatal("queue %u: eventfd", q->index);
}

/* The next slot that was never used: what no guest needs is not touched. */
static struct request *
new_slot(struct queue *q)
{
	struct request *r = &q->slots[q->nslots];

	r->q = q;
	r->slot = q->nslots++;
	return r;
}

static struct request *
slot_get(struct queue *q, unsigned leave)
{
	struct request *r = NULL;

	pthread_mutex_lock(&q->slot_lock);
	if (q->nfree > leave) {
		r = q->free;
		if (r != NULL)
			q->free = r->next;
		else
			r = new_slot(q);
		q->nfree--;
	}
	pthread_mutex_unlock(&q->slot_lock);
	if (r != NULL) {
		r->seq++;
		r->next = NULL;
		r->lane = NULL;
		r->internal = false;
		r->h = r->h2 = NULL;
		r->fd = -1;
		r->done_bytes = 0;
		r->no_space = 0;
	}
	return r;
}

static void
slot_put(struct queue *q, struct request *r)
{
	pthread_mutex_lock(&q->slot_lock);
	r->next = q->free;
	q->free = r;
	q->nfree++;
	pthread_mutex_unlock(&q->slot_lock);
	if (atomic_load(&q->starved) && atomic_exchange(&q->starved, false))
		queue_wake(q);
}

struct request *
queue_internal_request(struct queue *q)
{
	struct request *r;

	while ((r = slot_get(q, 0)) == NULL)
		lanes_wait(q);
	r->internal = true;
	return r;
}

void
request_finish(struct request *r, uint32_t len)
{
	struct queue *q = r->q;
	bool mine = pthread_equal(pthread_self(), q->thread) != 0, internal = r->internal;

	if (!internal) {
		vring_push(&q->ring, r->chain.head, len);
		if (mine)
			q->signal = true;
		else
			vring_signal(&q->ring);
	}
	slot_put(q, r);
	/* The queue thread may be waiting for the last one before it parks. */
	if (!internal && atomic_fetch_sub(&q->inflight, 1) == 1 && !mine &&
	    atomic_load(&q->attention))
		queue_wake(q);
}

void
request_return(struct request *r)
{
	struct queue *q = r->q;

	pthread_mutex_lock(&q->slot_lock);
	r->next = q->returned;
	q->returned = r;
	pthread_mutex_unlock(&q->slot_lock);
	queue_wake(q);
}

/* Run what the pool has handed back. */
static void
take_returned(struct queue *q)
{
	struct request *r, *next;

	pthread_mutex_lock(&q->slot_lock);
	r = q->returned;
	q->returned = NULL;
	pthread_mutex_unlock(&q->slot_lock);
	for (; r != NULL; r = next) {
		next = r->next;
		r->run(r);
	}
}

static void
signal_guest(struct queue *q)
{
	if (q->signal) {
		q->signal = false;
		vring_signal(&q->ring);
	}
}

/* Take chains from the ring and serve them. */
static void
drain(struct queue *q)
{
	bool early = true;

	for (unsigned n = 0; n < DRAIN_MAX && vring_available(&q->ring); n++) {
		struct request *r = slot_get(q, SLOTS_INTERNAL);
		int got;

		if (r == NULL) {
			atomic_store(&q->starved, true);
			/* One may have come back before starved was seen. */
			if ((r = slot_get(q, SLOTS_INTERNAL)) == NULL)
				break;
			atomic_store(&q->starved, false);
		}
		r->chain.iov = q->iovs + (size_t)r->slot * VRING_SEGS_MAX;
		got = vring_pop(&q->ring, &q->dev->memory, &r->chain);
		if (got != 1) {
			slot_put(q, r);
			break;
		}
		atomic_store_explicit(&q->served,
		    atomic_load_explicit(&q->served, memory_order_relaxed) + 1,
		    memory_order_relaxed);
		atomic_fetch_add(&q->inflight, 1);
		fuse_dispatch(q, r);
		if (early && q->signal) {
			signal_guest(q);
			early = false;
		}
	}
}

static void
drain_fd(int fd)
{
	uint64_t buf;

	if (read(fd, &buf, sizeof(buf)) == -1 && errno != EAGAIN && errno != EINTR)
		log_debug("kick: %s", strerrordesc_np(errno));
}

/* Is there a chain, a reply, or somebody's wish? Looks at memory alone. */
static bool
has_work(const struct queue *q, bool kicks)
{
	return (kicks && vring_available(&q->ring)) || atomic_load(&q->woken) || lanes_look(q);
}

/* Does a worker's thread that has something to do for us need this CPU for it? */
static bool
worker_is_here(const struct queue *q)
{
	const int here = sched_getcpu();

	for (unsigned i = 0; i < q->nlanes; i++)
		if (q->lane[i]->inflight > 0 && q->lane[i]->cpu == here)
			return true;
	return false;
}

/* To hand this CPU over to a worker that needs it is cheaper than to sleep and be woken, even where nobody ever looks. */
static bool
may_look(const struct queue *q, struct poller *p)
{
	return poller_may_look(p) || (!p->off && worker_is_here(q));
}

/* Look for work until the window is over. Returns true if there is some. */
static bool
look_for_work(const struct queue *q, struct poller *p, bool kicks, struct poll_wait *w)
{
	bool same_cpu;

	do {
		same_cpu = worker_is_here(q);
		for (unsigned i = poller_looks(same_cpu); i > 0; i--) {
			if (has_work(q, kicks))
				return true;
			poller_relax();
		}
	} while (poller_yield(p, w, same_cpu));
	return has_work(q, kicks);
}

static void
sleep_until_work(struct queue *q, bool kicks)
{
	struct lanes_sleep s;
	struct pollfd *p;

	lanes_give_back(q);
	if (lanes_sleep(q, &s) != 0)
		return;
	p = &s.fd[s.n];
	p[0] = (struct pollfd){ .fd = q->wake_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = kicks && !q->ring.broken ? q->kick_fd : -1,
		.events = POLLIN };
	p[2] = (struct pollfd){ .fd = q->revive_fd, .events = POLLIN };
	if (!kicks || !vring_enable_kick(&q->ring)) {
		if (ppoll(s.fd, s.n + 3, NULL, NULL) == -1 && errno != EINTR)
			fatal("queue %u: ppoll", q->index);
		if (kicks)
			vring_disable_kick(&q->ring);
	}
	if ((p[0].revents | p[2].revents) != 0)
		atomic_store(&q->woken, true);
	if (p[1].revents != 0) {
		drain_fd(q->kick_fd);
		/* Nobody can kick any more: the ring is dead until it is set up anew. */
		if ((p[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
			q->ring.broken = true;
	}
	lanes_woken(q, &s);
}

/* Wait for work, looking first where that has been worth it lately; take what replies there are. */
static void
wait_for_work(struct queue *q, bool taking)
{
	const bool kicks = taking && !atomic_load(&q->starved);
	struct poller *p = lanes_inflight(q) > 0 ? &q->reply_poll : &q->kick_poll;
	struct poll_wait w = { 0 };

	if (!has_work(q, kicks) && (!may_look(q, p) || !look_for_work(q, p, kicks, &w))) {
		poller_sleep(p, &w);
		sleep_until_work(q, kicks);
	}
	poller_learn(p, &w);
	q->turn_ns = 0;
	lanes_reap(q);
}

/*
 * Nobody waits for a forgotten inode to be dropped. While the high priority queue brings nothing but forgets, it is looked
 * at once a millisecond, and neither the guest kicks nor the worker wakes anybody meanwhile; more often when they come
 * so fast that the ring fills up.
 */
static void
nap(struct queue *q, uint64_t taken)
{
	struct pollfd p[] = {
		{ .fd = q->wake_fd, .events = POLLIN },
		{ .fd = q->revive_fd, .events = POLLIN },
	};
	struct timespec t = { 0 };

	if (taken * 4 > q->ring.num || taken >= DRAIN_MAX)
		q->nap_ns = MAX(q->nap_ns / 4, NAP_MIN_NS);
	else if (taken * 16 < q->ring.num)
		q->nap_ns = MIN(q->nap_ns * 2, NAP_MAX_NS);
	/* There is more. */
	if (taken >= DRAIN_MAX && vring_available(&q->ring))
		return;
	t.tv_nsec = q->nap_ns;
	if (ppoll(p, countof(p), &t, NULL) == -1 && errno != EINTR)
		fatal("queue %u: ppoll", q->index);
	if ((p[0].revents | p[1].revents) != 0)
		atomic_store(&q->woken, true);
	q->turn_ns = 0;
	lanes_reap(q);
}

/* Read what woke us up; there may be a new worker. */
static void
heed_wake(struct queue *q)
{
	if (!atomic_load(&q->woken))
		return;
	atomic_store(&q->woken, false);
	drain_fd(q->wake_fd);
	lanes_revive(q);
}

/*
 * Do what the control thread wishes. Returns true when chains may be taken; false while only what was taken is to be
 * finished. Blocks while parked.
 */
static bool
obey(struct queue *q)
{
	bool taking, reset = false, stood = false;

	if (!atomic_load(&q->attention))
		return true;
	pthread_mutex_lock(&q->ctl_lock);
	for (;;) {
		bool drained = atomic_load(&q->inflight) == 0;

		if (q->want_run && !q->want_pause) {
			q->running = true;
			q->parked = false;
			atomic_store(&q->attention, false);
			taking = true;
			break;
		}
		if (q->want_pause || drained) {
			q->parked = true;
			if (!q->want_run && drained)
				q->running = false;
			if (!stood)
				lanes_stand_still(q);
			stood = true;
			pthread_cond_broadcast(&q->ctl_cond);
			pthread_cond_wait(&q->ctl_cond, &q->ctl_lock);
			continue;
		}
		q->parked = false;
		taking = false;
		reset = q->want_reset;
		q->want_reset = false;
		break;
	}
	pthread_mutex_unlock(&q->ctl_lock);
	/* While it stood still there may have been a new worker. */
	lanes_revive(q);
	if (stood)
		lanes_go_on(q);
	if (reset)
		session_wipe_worker(q);
	return taking;
}

static void *
queue_main(void *arg)
{
	struct queue *q = arg;

	for (;;) {
		const uint64_t served = q->served, forgotten = q->forgotten;
		bool taking;

		/* In this order: who wants something says so first, and wakes then. */
		heed_wake(q);
		taking = obey(q);
		if (taking)
			drain(q);
		take_returned(q);
		forgets_flush(q);
		lanes_flush(q);
		signal_guest(q);
		if (q->index == 0 && q->served > served &&
		    q->served - served == q->forgotten - forgotten)
			nap(q, q->served - served);
		else
			wait_for_work(q, taking);
		signal_guest(q);
	}
	return NULL;
}

/* What the control thread asks for, and the thread's answer. */
static void
wish(struct queue *q, bool run, bool pause)
{
	pthread_mutex_lock(&q->ctl_lock);
	q->want_run = run;
	q->want_pause = pause;
	atomic_store(&q->attention, true);
	pthread_cond_broadcast(&q->ctl_cond);
	pthread_mutex_unlock(&q->ctl_lock);
	queue_wake(q);
}

/* The same for a reset; the ring is stopped. Until it is done the thread is not parked. */
static void
wish_reset(struct queue *q)
{
	pthread_mutex_lock(&q->ctl_lock);
	if (!q->want_reset) {
		q->want_reset = true;
		atomic_fetch_add(&q->inflight, 1);
	}
	q->parked = false;
	atomic_store(&q->attention, true);
	pthread_cond_broadcast(&q->ctl_cond);
	pthread_mutex_unlock(&q->ctl_lock);
	queue_wake(q);
}

static bool
is_gone(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLRDHUP };
	const struct timespec now = { 0 };

	return ppoll(&p, 1, &now, NULL) == 1;
}

static void
wait_parked(struct queue *q, bool stopped)
{
	struct timespec t;

	pthread_mutex_lock(&q->ctl_lock);
	while (!q->parked || (stopped && q->running)) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_sec += LOOK_S;
		if (pthread_cond_timedwait(&q->ctl_cond, &q->ctl_lock, &t) == ETIMEDOUT &&
		    is_gone(q->dev->vmm))
			q->dev->vmm_gone();
	}
	pthread_mutex_unlock(&q->ctl_lock);
}

static void
init_parking(struct queue *q)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&q->ctl_lock, NULL);
	if (pthread_condattr_init(&attr) != 0 ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&q->ctl_cond, &attr) != 0)
		fatal("queue");
	pthread_condattr_destroy(&attr);
}

bool
device_running(const struct device *d, unsigned n)
{
	return d->queue[n]->want_run;
}

int
device_start(struct device *d, unsigned n, int kick_fd)
{
	struct queue *q = d->queue[n];
	int r;

	if (q->want_run)
		return 0;
	/* The worker might forget what is about to begin. */
	if (d->resetting)
		wait_parked(d->queue[0], true);
	d->resetting = false;
	r = vring_start(&q->ring, &d->memory);
	if (r != 0)
		return r;
	q->kick_fd = kick_fd;
	park_start(q);
	wish(q, true, false);
	return 0;
}

void
device_stop(struct device *d, unsigned n)
{
	struct queue *q = d->queue[n];

	if (!q->want_run)
		return;
	park_stop(q);
	wish(q, false, false);
	wait_parked(q, true);
	park_stopped(q);
	restart_stopped(q);
	vring_signal(&q->ring);
	q->kick_fd = -1;
}

void
device_abandon(struct device *d, unsigned n)
{
	if (d->queue[n]->want_run)
		wish(d->queue[n], false, false);
}

void
device_pause(struct device *d)
{
	for (unsigned i = 0; i < NQUEUES; i++)
		if (d->queue[i]->want_run)
			wish(d->queue[i], true, true);
	for (unsigned i = 0; i < NQUEUES; i++)
		if (d->queue[i]->want_run)
			wait_parked(d->queue[i], false);
}

void
device_resume(struct device *d)
{
	for (unsigned i = 0; i < NQUEUES; i++)
		if (d->queue[i]->want_run)
			wish(d->queue[i], true, false);
}

void
device_set_call(struct device *d, unsigned n, int fd)
{
	struct queue *q = d->queue[n];
	struct stat st;
	int old;

	pthread_mutex_lock(&q->ring.used_lock);
	old = q->ring.call_fd;
	q->ring.call_fd = fd;
	q->ring.call_is_pipe = fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
	pthread_mutex_unlock(&q->ring.used_lock);
	fd_close(&old);
	/* What was pushed meanwhile may have been signalled to nobody. */
	if (fd >= 0 && q->want_run)
		vring_signal(&q->ring);
}

void
device_reset(struct device *d)
{
	session_wipe(d->queue[0]->s);
	for (unsigned i = 0; i < NQUEUES; i++)
		park_reset(d->queue[i]);
	d->resetting = true;
	wish_reset(d->queue[0]);
}

static void *
pages(size_t size)
{
	void *p = mmap(
	    NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fatal("mmap of %zu bytes", size);
	return p;
}

static void
make_slots(struct queue *q)
{
	q->slots = pages(SLOTS_MAX * sizeof(*q->slots));
	q->iovs = pages((size_t)SLOTS_MAX * VRING_SEGS_MAX * sizeof(*q->iovs));
	q->nfree = SLOTS_MAX;
}

struct queue *
queue_new(struct device *d, struct session *s, unsigned index, struct lane *own, unsigned lanes_max)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		fatal("queue");
	q->index = index;
	q->dev = d;
	q->s = s;
	q->lane = calloc(lanes_max, sizeof(*q->lane));
	if (q->lane == NULL)
		fatal("queue");
	q->lane[0] = own;
	q->nlanes = 1;
	q->lanes_max = lanes_max;
	q->kick_fd = -1;
	q->nap_ns = NAP_MAX_NS;
	q->kick_poll.max = q->reply_poll.max = s->dev.busy_poll_us * 1000;
	q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->revive_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->wake_fd == -1 || q->revive_fd == -1)
		fatal("eventfd");
	vring_init(&q->ring);
	make_slots(q);
	q->rx = pages(RPC_MSG_MAX);
	q->inbuf = pages(REQUEST_MAX + 8);
	q->bulk = pages(RPC_IO_MAX);
	init_parking(q);
	pthread_mutex_init(&q->slot_lock, NULL);
	pthread_mutex_init(&q->park_lock, NULL);
	q->stopped = true;
	atomic_store(&q->attention, true);
	d->queue[index] = q;
	d->ring[index] = &q->ring;
	q->thread = thread_start(queue_main, q);
	return q;
}
