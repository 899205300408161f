/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front's queues with their real threads, and its ear for the monitor; this program is the VMM, the monitor and the
 * worker. Links all of the front but its main.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "front/front.h"
#include "front/nodes.h"
#include "front/restart.h"
#include "proto/mailbox.h"

#define REQUIRE(x)	do { if (!(x)) ck_abort_msg("line %d: %s", __LINE__, #x); } while (0)

#define GUEST_SIZE	(NQUEUES * 4096u)
#define GUEST_UADDR	0x100000u
#define SOON_MS		10000
#define QUIET_MS	200

static struct device device;
static struct session session;
static struct lane *lanes[NQUEUES];
static int worker[NQUEUES];		/* its ends of the lanes */
static int monitor;			/* its end of the control socket */

static void
quiet(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static void
pair(int *ours, int *theirs)
{
	int s[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) == 0);
	*ours = s[0];
	*theirs = s[1];
}

/* A queue of four entries in a page of the guest's. */
static void
place_ring(unsigned n)
{
	struct vring *v = device.ring[n];

	v->num = 4;
	v->desc_uaddr = GUEST_UADDR + n * 4096u;
	v->avail_uaddr = v->desc_uaddr + 1024;
	v->used_uaddr = v->desc_uaddr + 2048;
}

/* And wait until its thread has heard of it. */
static void
start(unsigned n)
{
	struct queue *q = device.queue[n];
	bool running = false;

	ck_assert_int_eq(device_start(&device, n, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), 0);
	for (unsigned ms = 0; !running; ms++) {
		REQUIRE(ms < SOON_MS);
		usleep(1000);
		pthread_mutex_lock(&q->ctl_lock);
		running = q->running;
		pthread_mutex_unlock(&q->ctl_lock);
	}
}

static void
setup(void)
{
	int fd, control;

	log_init(quiet, LOG_DEBUG);
	nodes_init();
	pair(&device.vmm, &fd);
	fd = memfd_create("guest", MFD_CLOEXEC);
	REQUIRE(fd >= 0 && ftruncate(fd, GUEST_SIZE) == 0);
	REQUIRE(memory_add(&device.memory, 0, GUEST_SIZE, GUEST_UADDR, fd, 0) == 0);
	for (unsigned i = 0; i < NQUEUES; i++) {
		uint8_t *arena = mmap(NULL, LANE_MEMORY_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		int sock;

		REQUIRE(arena != MAP_FAILED);
		pair(&worker[i], &sock);
		lanes[i] = lane_new(i, sock, arena);
		REQUIRE(lanes[i] != NULL);
		queue_new(&device, &session, i, lanes[i], 1);
		place_ring(i);
	}
	pair(&monitor, &control);
	restart_start(&device, control, lanes, NQUEUES, 0);
}

/* The worker ends, and another one has begun. Returns when the front has heard of it. */
static void
new_worker(uint32_t incarnation)
{
	const struct ctl_lanes m = {
		.h = { .op = CTL_LANES, .len = sizeof(m) }, .nlanes = NQUEUES, .incarnation = incarnation
	};
	int socks[NQUEUES];

	for (unsigned i = 0; i < NQUEUES; i++) {
		fd_close(&worker[i]);
		pair(&worker[i], &socks[i]);
		/* Of a queue that stands still; the others clear it again. */
		atomic_store(&device.queue[i]->woken, false);
	}
	ck_assert_int_eq(msg_send(monitor, &m, sizeof(m), socks, NQUEUES, 0), 0);
	fd_close_all(socks, NQUEUES);
	/* The last one never runs here. */
	for (unsigned ms = 0; !atomic_load(&device.queue[NQUEUES - 1]->woken); ms++) {
		REQUIRE(ms < SOON_MS);
		usleep(1000);
	}
}

/* Has the front said, within that time, that it has resumed? */
static bool
has_resumed(uint32_t incarnation, int ms)
{
	union {
		struct ctl_hdr h;
		struct ctl_resumed resumed;
		struct ctl_broken broken;
	} m;
	struct pollfd p = { .fd = monitor, .events = POLLIN };
	size_t nfds = 0;

	do {
		if (poll(&p, 1, ms) != 1)
			return false;
		REQUIRE(msg_recv(monitor, &m, sizeof(m), NULL, &nfds, NULL, 0) > 0);
		/* Who looks at a lane of the dead worker says so, too. */
	} while (m.h.op == CTL_BROKEN);
	ck_assert_uint_eq(m.h.op, CTL_RESUMED);
	ck_assert_uint_eq(m.resumed.incarnation, incarnation);
	return true;
}

START_TEST(resumed_when_all_have_taken_over)
{
	start(0);
	start(1);
	new_worker(1);
	ck_assert(has_resumed(1, SOON_MS));
	/* One that stands still holds it up, and the last one says it. */
	device_pause(&device);
	new_worker(2);
	ck_assert(!has_resumed(2, QUIET_MS));
	device_resume(&device);
	ck_assert(has_resumed(2, SOON_MS));
	/* A ring that is stopped has nothing in flight. */
	device_stop(&device, 0);
	device_stop(&device, 1);
	new_worker(3);
	ck_assert(has_resumed(3, SOON_MS));
} END_TEST

/* Stopped after it was to take over its lanes, and before it did: the monitor must not wait for its next start. */
START_TEST(stopped_before_it_took_over)
{
	start(0);
	start(1);
	start(2);
	device_pause(&device);
	new_worker(1);
	/* The one that goes on first, or last. */
	if (_i == 0)
		device_stop(&device, 1);
	device_resume(&device);
	if (_i == 1)
		device_stop(&device, 1);
	ck_assert(has_resumed(1, SOON_MS));
	/* It takes them over now, and has been counted. */
	start(1);
	ck_assert(!has_resumed(1, QUIET_MS));
	ck_assert_uint_eq(atomic_load(&lanes[1]->next), 0);
	new_worker(2);
	ck_assert(has_resumed(2, SOON_MS));
} END_TEST

START_TEST(all_stopped_before_they_took_over)
{
	start(0);
	start(1);
	device_pause(&device);
	new_worker(1);
	device_stop(&device, 0);
	ck_assert(!has_resumed(1, QUIET_MS));
	device_stop(&device, 1);
	ck_assert(has_resumed(1, SOON_MS));
	start(0);
	start(1);
	ck_assert(!has_resumed(1, QUIET_MS));
} END_TEST

/* The RPC on the high priority queue's lane: RESET, its tag. It is to come within ms. */
static bool
reset_came(uint64_t *tag, int ms)
{
	static uint64_t msg[RPC_MSG_MAX / 8];
	struct pollfd p = { .fd = worker[0], .events = POLLIN };
	size_t nfds = 0;
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return false;
	n = msg_recv(worker[0], msg, sizeof(msg), NULL, &nfds, NULL, 0);
	REQUIRE(n > 0 && rpc_check(RPC_REQUEST, msg, (size_t)n, 0) == 0);
	ck_assert_str_eq(rpc_op_name(rpc_first(msg)->op), "RESET");
	*tag = rpc_first(msg)->tag;
	return true;
}

static void
answer_reset(uint64_t tag)
{
	static uint64_t msg[RPC_MSG_MAX / 8];
	struct rpc_builder b;

	rpc_begin(&b, msg);
	REQUIRE(rpc_add(&b, RPC_REPLY, RPC_RESET, tag, NULL, 0, NULL, 0, NULL, 0) != NULL);
	ck_assert_int_eq(msg_send(worker[0], msg, rpc_finish(&b), NULL, 0, 0), 0);
}

static _Atomic bool started;

static void *
start_all(void *arg)
{
	(void)arg;
	start(1);
	start(0);
	atomic_store(&started, true);
	return NULL;
}

/* The worker forgets what the guest had, and no ring starts before it has: it might forget what is new. */
START_TEST(reset_reaches_the_worker)
{
	pthread_t thread;
	uint64_t tag;

	for (int round = 0; round < 3; round++) {
		/* Before the first start, too. */
		if (round > 0) {
			device_stop(&device, 0);
			device_stop(&device, 1);
		}
		atomic_store(&started, false);
		device_reset(&device);
		ck_assert(reset_came(&tag, SOON_MS));
		ck_assert_int_eq(pthread_create(&thread, NULL, start_all, NULL), 0);
		usleep(QUIET_MS * 1000);
		ck_assert(!atomic_load(&started));
		/* A worker that dies leaves it to the next one. */
		if (round == 1) {
			new_worker(1);
			ck_assert(reset_came(&tag, SOON_MS));
		}
		answer_reset(tag);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		ck_assert(atomic_load(&started));
	}
	ck_assert(!reset_came(&tag, QUIET_MS));
} END_TEST

START_TEST(reset_twice)
{
	uint64_t tag;

	device_reset(&device);
	ck_assert(reset_came(&tag, SOON_MS));
	device_reset(&device);
	answer_reset(tag);
	ck_assert(reset_came(&tag, SOON_MS));
	answer_reset(tag);
	start(0);
} END_TEST

int
main(void)
{
	Suite *s = suite_create("queue");
	TCase *t = tcase_create("restart");
	SRunner *r;
	int failed;

	/* Threads that never end: each test is a process of its own. */
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, resumed_when_all_have_taken_over);
	tcase_add_loop_test(t, stopped_before_it_took_over, 0, 2);
	tcase_add_test(t, all_stopped_before_they_took_over);
	tcase_add_test(t, reset_reaches_the_worker);
	tcase_add_test(t, reset_twice);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
