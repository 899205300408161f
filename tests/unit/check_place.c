/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker/place.c: when a lane's thread is bound to its front's CPU. The test's thread stands for that of one lane, on two
 * CPUs, or one if there are no more, and says what another lane is told.
 */
#include <check.h>
#include <stdlib.h>

#include "common/log.h"
#include "worker/place.h"

#define MS 1000000u
#define LOOK 50000u

static uint16_t cpu[2];
static unsigned ncpus;
static uint64_t now = 1000 * MS;

static void
setup(void)
{
	cpu_set_t set, two;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	CPU_ZERO(&two);
	ncpus = 0;
	for (uint16_t i = 0; i < CPU_SETSIZE && ncpus < 2; i++)
		if (CPU_ISSET(i, &set)) {
			CPU_SET(i, &two);
			cpu[ncpus++] = i;
		}
	ck_assert_int_eq(sched_setaffinity(0, sizeof(two), &two), 0);
}

static void
check_bound(int to)
{
	cpu_set_t set;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	ck_assert_int_eq(CPU_COUNT(&set), to < 0 ? (int)ncpus : 1);
	if (to >= 0)
		ck_assert(CPU_ISSET(to, &set));
}

/* A message of n requests, served in ns, from a front on CPU at. */
static void
message(struct place *p, uint16_t at, unsigned n, uint64_t ns)
{
	place_front(p, at);
	place_served(p, n, now - ns, now);
}

/* 20 ms in which lane a gets na messages a millisecond and lane b nb of them. Only a judges. */
static void
pass(struct place *a, unsigned na, struct place *b, unsigned nb)
{
	for (unsigned i = 0; i < 20; i++, now += MS) {
		for (unsigned k = 0; k < na; k++)
			message(a, cpu[0], 1, 1000);
		b->judged = now;
		for (unsigned k = 0; k < nb; k++)
			message(b, cpu[0], 1, 1000);
	}
}

START_TEST(test_busy)
{
	struct place a, b;

	place_init(&a, 1, LOOK);
	place_init(&b, 2, LOOK);
	pass(&a, 10, &b, 0);
	ck_assert_int_eq(a.near, ncpus == 1);
	check_bound(ncpus == 1 ? cpu[0] : -1);
	/* A second queue that has something to say now and then. */
	pass(&a, 40, &b, 1);
	ck_assert_int_eq(a.near, ncpus == 1);
	/* Two queues, four threads. */
	pass(&a, 10, &b, 8);
	ck_assert(a.near);
	check_bound(cpu[0]);
	/* The front has gone elsewhere: it is answered first. */
	place_front(&a, cpu[ncpus - 1]);
	check_bound(cpu[0]);
	place_served(&a, 1, now, now);
	check_bound(cpu[ncpus - 1]);
	/* The other one is silent again. */
	pass(&a, 10, &b, 0);
	pass(&a, 10, &b, 0);
	ck_assert_int_eq(a.near, ncpus == 1);
	check_bound(ncpus == 1 ? cpu[0] : -1);
}
END_TEST

/* 20 ms of messages, one every `every` ns, of n requests, each of which takes ns. */
static void
serve(struct place *p, unsigned n, uint64_t ns, uint64_t every)
{
	for (uint64_t t = 0; t < 20 * MS; t += every, now += every) {
		message(p, cpu[0], n, n * ns);
	}
}

START_TEST(test_pace)
{
	static const struct {
		unsigned n;
		uint64_t ns, every;
		bool near;
	} rows[] = {
		{ 1, 1000, 90000, false }, /* who looks finds the next one */
		{ 1, 1000, 120000, true }, /* he would be asleep */
		{ 1, 90000, 100000, false },
		{ 1, 120000, 150000, true }, /* the front would be */
		{ 1, 1000, 30000, false },
		{ 1, 1000, 6 * MS, false }, /* nothing is proved */
		{ 16, 1000, 100000, false }, /* the front has as much to do */
		{ 16, 5000, 100000, true },
		{ 4, 20000, 100000, true },
		{ 2, 20000, 100000, true },
		{ 2, 2000, 100000, false },
		{ 16, 2000, 100000, false },
	};
	struct place p;

	place_init(&p, 1, LOOK);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		serve(&p, rows[i].n, rows[i].ns, rows[i].every);
		ck_assert_msg(p.near == (rows[i].near || ncpus == 1), "row %u", i);
		check_bound(rows[i].near || ncpus == 1 ? cpu[0] : -1);
	}
	/* A burst, and long after it one message. */
	serve(&p, 1, 1000, 30000);
	now += 1000 * (uint64_t)MS;
	message(&p, cpu[0], 1, 1000);
	ck_assert_int_eq(p.near, ncpus == 1);
}
END_TEST

/* Who never looks is woken by each message. */
START_TEST(test_nobody_looks)
{
	struct place p;

	place_init(&p, 1, 0);
	serve(&p, 1, 1000, 30000);
	ck_assert(p.near);
	serve(&p, 16, 1000, 30000);
	ck_assert_int_eq(p.near, ncpus == 1);
}
END_TEST

START_TEST(test_others)
{
	static const unsigned lanes[] = { 0, PLACE_LANES, PLACE_LANES + 7 };
	struct place p[3], own;

	place_init(&own, 1, LOOK);
	for (unsigned i = 0; i < 3; i++)
		place_init(&p[i], lanes[i], LOOK);
	for (unsigned i = 0; i < 3; i++) {
		pass(&p[i], 50, &own, 0);
		ck_assert(!p[i].near);
		check_bound(-1);
	}
}
END_TEST

START_TEST(test_hostile)
{
	static const uint16_t nowhere[] = { UINT16_MAX, CPU_SETSIZE, CPU_SETSIZE - 1 };
	struct place a, b;

	place_init(&a, 1, LOOK);
	place_init(&b, 2, LOOK);
	for (unsigned i = 0; i < 300; i++, now += MS) {
		message(&a, nowhere[i % 3], 1, 1000);
		message(&b, nowhere[i % 3], 1, 1000);
	}
	check_bound(-1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("place");
	TCase *t = tcase_create("place");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, test_busy);
	tcase_add_test(t, test_pace);
	tcase_add_test(t, test_nobody_looks);
	tcase_add_test(t, test_others);
	tcase_add_test(t, test_hostile);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
