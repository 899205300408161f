/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front/pool.c: each request is run once, those of a queue in their order, and no queue waits behind all of another's. What
 * is begun is run by one thread a queue, unless that waits long.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "front/front.h"
#include "front/pool.h"

#define QUEUES 4u
#define MANY 2000u

static struct queue queues[QUEUES];
static _Atomic unsigned ran,
    order[QUEUES * MANY]; /* by number of the request: when it was run, from 1 */

static struct request *
new_requests(unsigned queue, unsigned n, unsigned first)
{
	struct request *r = calloc(n, sizeof(*r));

	ck_assert_ptr_nonnull(r);
	queues[queue].index = queue;
	for (unsigned i = 0; i < n; i++) {
		r[i].q = &queues[queue];
		r[i].size = first + i;
	}
	return r;
}

static void
note(struct request *r)
{
	if (atomic_exchange(&order[r->size], atomic_fetch_add(&ran, 1) + 1) != 0)
		abort();
}

static void
note_slowly(struct request *r)
{
	usleep(400); /* less than a reaper is replaced for */
	note(r);
}

static void
wait_for(unsigned n)
{
	while (atomic_load(&ran) < n)
		sched_yield();
}

static void *
submit_all(void *arg)
{
	struct request *r = arg;

	for (unsigned i = 0; i < MANY; i++)
		if (i % 3 == 0)
			pool_submit(&r[i], note);
		else
			pool_submit_begun(&r[i], note);
	return NULL;
}

/* One that waits until it is let go, and how many were run beside another. */
static _Atomic bool let_go;
static _Atomic unsigned inside, beside;

static void
note_stuck(struct request *r)
{
	while (!atomic_load(&let_go))
		usleep(100);
	note(r);
}

static void
note_others(struct request *r)
{
	if (atomic_fetch_add(&inside, 1) > 0)
		atomic_fetch_add(&beside, 1);
	usleep(50);
	note(r);
	atomic_fetch_sub(&inside, 1);
}

START_TEST(test_once)
{
	struct request *r[QUEUES];
	pthread_t t[QUEUES];

	pool_start(4);
	for (unsigned i = 0; i < QUEUES; i++) {
		r[i] = new_requests(i, MANY, i * MANY);
		ck_assert_int_eq(pthread_create(&t[i], NULL, submit_all, r[i]), 0);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		pthread_join(t[i], NULL);
	wait_for(QUEUES * MANY);
	usleep(1000);
	ck_assert_uint_eq(ran, QUEUES * MANY);
	for (unsigned i = 0; i < QUEUES; i++)
		free(r[i]);
}
END_TEST

/* One thread, which a queue with much to do, begun or not, does not keep from others. */
START_TEST(test_turns)
{
	struct request *busy = new_requests(1, 100, 0), *other = new_requests(2, 2, 100);

	pool_start(1);
	for (unsigned i = 0; i < 100; i++)
		(_i == 0 ? pool_submit : pool_submit_begun)(&busy[i], note_slowly);
	pool_submit(&other[0], note);
	pool_submit(&other[1], note);
	wait_for(102);
	for (unsigned i = 1; i < 100; i++)
		ck_assert_uint_lt(order[i - 1], order[i]);
	/* Its first is next in turn once both are there, its second after one of the busy queue's. */
	ck_assert_uint_lt(order[100], 50);
	ck_assert_uint_eq(order[101], order[100] + 2);
	free(busy);
	free(other);
}
END_TEST

/* One thread for nearly all, with four to choose from: a busy machine may let it wait for as long as a disk would. */
START_TEST(test_begun)
{
	struct request *r = new_requests(1, 200, 0);

	pool_start(4);
	for (unsigned i = 0; i < 200; i++)
		pool_submit_begun(&r[i], note_others);
	wait_for(200);
	ck_assert_uint_lt(beside, 50);
	free(r);
}
END_TEST

/* As many as there are threads, less one, may wait for ever: what is behind them, and other queues, go on. */
START_TEST(test_stuck)
{
	struct request *r = new_requests(1, 100, 0), *other = new_requests(2, 100, 100);

	pool_start(4);
	for (unsigned i = 0; i < 100; i++)
		pool_submit_begun(&r[i], i < 3 ? note_stuck : note);
	wait_for(97);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(order[i], 0);
	for (unsigned i = 0; i < 50; i++)
		pool_submit_begun(&other[i], note);
	wait_for(147);
	/* Who ends long after it was replaced takes nothing of its successor's. */
	atomic_store(&let_go, true);
	for (unsigned i = 50; i < 100; i++)
		pool_submit_begun(&other[i], note);
	wait_for(200);
	usleep(3000);
	ck_assert_uint_eq(ran, 200);
	free(r);
	free(other);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pool");
	TCase *t = tcase_create("pool");
	SRunner *sr;
	int failed;

	tcase_add_test(t, test_once);
	tcase_add_loop_test(t, test_turns, 0, 2);
	tcase_add_test(t, test_begun);
	tcase_add_test(t, test_stuck);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
