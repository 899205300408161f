/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/nodes.c against a model that is an array. Links that file and common/log.c. The case "threads" is
 * for TSan too (CK_RUN_CASE=threads CK_FORK=no).
 */
#include "front/nodes.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/attr.h"

static int
say(uint64_t id)
{
	return nodes_named(id, 0);
}

static bool
forget(uint64_t id, uint64_t n, uint64_t *count)
{
	struct rpc_forget1 f = { 0 };

	if (!nodes_forget(id, n, &f))
		return false;
	ck_assert_uint_eq(f.node, id);
	ck_assert_uint_eq(f.incarnation, 0);
	*count = f.named;
	return true;
}

#define MANY		1000000u
#define NTHREADS	4u
#define ROUNDS		100000u

#define REQUIRE(x)	do { if (!(x)) ck_abort_msg("%s", #x); } while (0)

static uint64_t seed;

static uint32_t
rnd(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

static void
setup(void)
{
	static bool done;

	seed = 42;
	if (!done)
		nodes_init();
	done = true;
	nodes_wipe();
}

START_TEST(semantics)
{
	uint64_t n = 77;

	ck_assert(nodes_known(NODE_ROOT));
	ck_assert(!nodes_known(0));
	ck_assert(!nodes_known(2));
	ck_assert(!nodes_known(UINT64_MAX));
	ck_assert_int_eq(say(2), 0);
	ck_assert(nodes_known(2));
	ck_assert_int_eq(say(2), 0);
	ck_assert(!forget(2, 1, &n));
	ck_assert_uint_eq(n, 77);
	ck_assert(forget(2, 1, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert(!nodes_known(2));
	ck_assert(!forget(2, 1, &n));
} END_TEST

/* What a dead worker said is not held against the next one. */
START_TEST(incarnations)
{
	struct rpc_forget1 f;

	ck_assert_int_eq(nodes_named(5, 0), 0);
	ck_assert_int_eq(nodes_named(5, 0), 0);
	ck_assert_int_eq(nodes_named(5, 2), 0);
	ck_assert_int_eq(nodes_named(5, 1), 0);
	ck_assert(!nodes_forget(5, 3, &f));
	ck_assert(nodes_forget(5, 1, &f));
	ck_assert(f.node == 5 && f.named == 1 && f.incarnation == 2);
} END_TEST

START_TEST(saturates)
{
	uint64_t n;

	ck_assert_int_eq(say(9), 0);
	ck_assert(!forget(9, 0, &n));
	ck_assert(nodes_known(9));
	ck_assert(forget(9, UINT64_MAX, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(say(UINT64_MAX), 0);
	ck_assert(nodes_known(UINT64_MAX));
	ck_assert(forget(UINT64_MAX, 2, &n));
} END_TEST

START_TEST(root_and_zero)
{
	uint64_t n = 5;

	ck_assert(!forget(NODE_ROOT, UINT64_MAX, &n));
	ck_assert(!forget(0, UINT64_MAX, &n));
	ck_assert_int_eq(say(NODE_ROOT), 0);
	ck_assert(nodes_known(NODE_ROOT));
	nodes_wipe();
	ck_assert(nodes_known(NODE_ROOT));
	ck_assert_uint_eq(n, 5);
} END_TEST

START_TEST(million)
{
	uint64_t n;

	for (uint64_t id = 2; id < 2 + MANY; id++)
		REQUIRE(say(id) == 0);
	for (uint64_t id = 2; id < 2 + 2 * MANY; id++)
		REQUIRE(nodes_known(id) == (id < 2 + MANY));
	/* Every third goes; the others must still be found. */
	for (uint64_t id = 2; id < 2 + MANY; id += 3)
		REQUIRE(forget(id, 1, &n) && n == 1);
	for (uint64_t id = 2; id < 2 + MANY; id++)
		REQUIRE(nodes_known(id) == (id % 3 != 2));
	for (uint64_t id = 2; id < 2 + MANY; id++)
		REQUIRE(forget(id, 1, &n) == (id % 3 != 2));
	for (uint64_t id = 2; id < 2 + MANY; id++)
		REQUIRE(!nodes_known(id));
	REQUIRE(say(7) == 0);
	nodes_wipe();
	REQUIRE(!nodes_known(7));
} END_TEST

struct model {
	uint32_t nlookup, named;
};

START_TEST(random_ops)
{
	static const uint32_t spaces[] = { 3, 100, 20000, 500000 };
	uint32_t space = spaces[_i];
	struct model *m = calloc(space, sizeof(*m));

	REQUIRE(m != NULL);
	for (unsigned i = 0; i < 2000000; i++) {
		uint32_t k = rnd(&seed) % space, op = rnd(&seed) % 16;
		/* Ids as a worker gives them, and far apart ones. */
		uint64_t id = (k % 2 == 0 ? 2 : UINT64_C(1) << 40) + k, n = 0;
		bool known = m[k].named > 0;

		if (op < 8) {
			REQUIRE(say(id) == 0);
			m[k].nlookup++;
			m[k].named++;
		} else if (op < 14) {
			uint32_t f = rnd(&seed) % 4;
			bool gone = known && m[k].nlookup <= f;

			REQUIRE(forget(id, f, &n) == gone);
			REQUIRE(!gone || n == m[k].named);
			m[k].nlookup -= known ? MIN(f, m[k].nlookup) : 0;
			if (gone)
				m[k] = (struct model){ 0 };
		} else if (op == 15 && rnd(&seed) % 100000 == 0) {
			nodes_wipe();
			memset(m, 0, space * sizeof(*m));
		} else
			REQUIRE(nodes_known(id) == known);
	}
	for (uint32_t k = 0; k < space; k++)
		REQUIRE(nodes_known((k % 2 == 0 ? 2 : UINT64_C(1) << 40) + k) == (m[k].named > 0));
	free(m);
} END_TEST

#define SHARED	64u
static _Atomic uint64_t named_total, told_total;

/* Several threads name and forget the same few nodes; none of the worker's counts may get lost. */
static void *
hammer(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg * 77 + 1, n, named = 0, told = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t id = 2 + rnd(&state) % SHARED, own = 1000 + (uint64_t)(uintptr_t)arg * ROUNDS + i;

		if (say(id) != 0)
			abort();
		named++;
		if (forget(id, rnd(&state) % 3, &n))
			told += n;
		/* And each its own, so that the tables grow meanwhile. */
		if (say(own) != 0 || !nodes_known(own))
			abort();
		if (i % 2 == 0 && !forget(own, 1, &n))
			abort();
	}
	atomic_fetch_add(&named_total, named);
	atomic_fetch_add(&told_total, told);
	return NULL;
}

START_TEST(threads)
{
	pthread_t t[NTHREADS];
	uint64_t n;

	named_total = told_total = 0;
	for (unsigned i = 0; i < NTHREADS; i++)
		REQUIRE(pthread_create(&t[i], NULL, hammer, (void *)(uintptr_t)i) == 0);
	for (unsigned i = 0; i < NTHREADS; i++)
		pthread_join(t[i], NULL);
	for (uint64_t id = 2; id < 2 + SHARED; id++)
		if (forget(id, UINT64_MAX, &n))
			told_total += n;
	ck_assert_uint_eq(named_total, told_total);
	for (uint64_t i = 0; i < (uint64_t)NTHREADS * ROUNDS; i++)
		REQUIRE(nodes_known(1000 + i) == (i % 2 != 0));
} END_TEST

static atomic_bool stop;

static void *
wiper(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		nodes_wipe();
	return NULL;
}

static void *
user(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg, n;

	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		uint64_t id = 2 + rnd(&state) % 1000;

		if (say(id) != 0)
			abort();
		nodes_known(id);
		forget(id, 1, &n);
	}
	return NULL;
}

#define HELD		48u
#define COMING		46u /* with those the shard is as full as it gets before it grows */

static uint64_t held[HELD], coming[COMING];

/* As front/nodes.c chooses the shard: ids that all meet in one, where each removal moves others. */
static bool
is_in_shard_0(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % 64 == 0;
}

static uint64_t
next_id(uint64_t id)
{
	while (!is_in_shard_0(++id))
		continue;
	return id;
}

static _Atomic uint32_t phase; /* odd: all of held[] are known */

/* What is held is known, whatever moves meanwhile. */
static void *
looker(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg;

	while (!atomic_load(&stop)) {
		const uint32_t before = atomic_load(&phase);
		const bool known = nodes_known(held[rnd(&state) % HELD]);

		if (before % 2 != 0 && !known && atomic_load(&phase) == before)
			abort();
	}
	return NULL;
}

START_TEST(lookers)
{
	pthread_t t[2];
	uint64_t id = 2, n;

	for (unsigned i = 0; i < COMING; i++)
		coming[i] = id = next_id(id);
	for (unsigned i = 0; i < HELD; i++)
		held[i] = id = next_id(id);
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < 2; i++)
		REQUIRE(pthread_create(&t[i], NULL, looker, (void *)i) == 0);
	for (unsigned round = 0; round < ROUNDS / 10; round++) {
		/* What is held comes behind the others, and moves up when they go. */
		for (unsigned i = 0; i < COMING; i++)
			REQUIRE(say(coming[i]) == 0);
		for (unsigned i = 0; i < HELD; i++)
			REQUIRE(say(held[i]) == 0);
		atomic_fetch_add(&phase, 1);
		for (unsigned i = 0; i < COMING; i++)
			REQUIRE(forget(coming[i], 1, &n));
		atomic_fetch_add(&phase, 1);
		for (unsigned i = 0; i < HELD; i++)
			REQUIRE(forget(held[i], 1, &n));
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
} END_TEST

START_TEST(wipe_races)
{
	pthread_t t[NTHREADS], w;

	atomic_store(&stop, false);
	REQUIRE(pthread_create(&w, NULL, wiper, NULL) == 0);
	for (unsigned i = 0; i < NTHREADS; i++)
		REQUIRE(pthread_create(&t[i], NULL, user, (void *)(uintptr_t)i) == 0);
	for (unsigned i = 0; i < NTHREADS; i++)
		pthread_join(t[i], NULL);
	atomic_store(&stop, true);
	pthread_join(w, NULL);
	nodes_wipe();
	for (uint64_t id = 2; id < 1002; id++)
		REQUIRE(!nodes_known(id));
} END_TEST

int
main(void)
{
	Suite *s = suite_create("nodes");
	TCase *ok = tcase_create("ok"), *limits = tcase_create("limits"), *threaded = tcase_create("threads");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, setup, NULL);
	tcase_add_test(ok, semantics);
	tcase_add_test(ok, incarnations);
	tcase_add_test(ok, saturates);
	tcase_add_test(ok, root_and_zero);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(limits, setup, NULL);
	tcase_set_timeout(limits, 60);
	tcase_add_test(limits, million);
	tcase_add_loop_test(limits, random_ops, 0, 4);
	suite_add_tcase(s, limits);
	tcase_add_checked_fixture(threaded, setup, NULL);
	tcase_set_timeout(threaded, 60);
	tcase_add_test(threaded, threads);
	tcase_add_test(threaded, lookers);
	tcase_add_test(threaded, wipe_races);
	suite_add_tcase(s, threaded);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
