/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/handles.c. Links that file only; close() is replaced, so that each close of a donated fd is
 * counted. The case "threads" is for TSan too (CK_RUN_CASE=threads CK_FORK=no).
 */
#include "front/handles.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/attr.h"

#define FAKE_FD		1000000		/* no process has so many */
#define FDS		400000u
#define NTHREADS	4u
#define ROUNDS		60000u
#define PLACES		32u

#define REQUIRE(x)	do { if (!(x)) ck_abort_msg("%s", #x); } while (0)

static _Atomic uint32_t closed[FDS];
static _Atomic uint32_t next_fd;

int
close(int fd)
{
	if (fd < FAKE_FD)
		return (int)syscall(SYS_close, fd);
	if (fd >= FAKE_FD + (int)FDS)
		abort();
	atomic_fetch_add(&closed[fd - FAKE_FD], 1);
	return 0;
}

static void
setup(void)
{
	handles_wipe();
	memset((void *)closed, 0, sizeof(closed));
	next_fd = 0;
}

static uint32_t
rnd(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

static void
put(struct handle *h)
{
	int fd = handle_put(h);

	if (fd >= 0)
		close(fd);
}

/* A published handle whose node says which fd it has. */
static uint64_t
make(uint64_t *node)
{
	uint32_t k = atomic_fetch_add(&next_fd, 1);
	struct handle *h;
	uint64_t fh;

	if (k >= FDS || handle_new(&h) != 0)
		abort();
	h->fd = FAKE_FD + (int)k;
	h->node = 100 + k;
	*node = h->node;
	handle_publish(h);
	fh = handle_fh(h);
	put(h);
	return fh;
}

static bool
release(uint64_t fh, uint64_t node)
{
	struct handle *h = handle_get(fh, node);

	if (h == NULL)
		return false;
	handle_unpublish(h);
	put(h);
	return true;
}

START_TEST(life)
{
	struct handle *h, *g;
	uint64_t fh;

	ck_assert_int_eq(handle_new(&h), 0);
	fh = handle_fh(h);
	ck_assert_int_eq(h->fd, -1);
	ck_assert(!h->dir);
	ck_assert_ptr_null(handle_get(fh, 0));
	h->fd = FAKE_FD;
	h->node = 7;
	handle_publish(h);
	ck_assert_uint_eq(handle_fh(h), fh);
	g = handle_get(fh, 7);
	ck_assert_ptr_eq(g, h);
	ck_assert_int_eq(handle_put(g), -1);
	ck_assert_int_eq(handle_put(h), -1);
	/* Only the table holds it now. */
	g = handle_get(fh, 7);
	ck_assert_ptr_eq(g, h);
	handle_unpublish(g);
	handle_unpublish(g);
	ck_assert_ptr_null(handle_get(fh, 7));
	ck_assert_int_eq(handle_put(g), FAKE_FD);
	ck_assert_ptr_null(handle_get(fh, 7));
} END_TEST

START_TEST(never_published)
{
	struct handle *h;

	ck_assert_int_eq(handle_new(&h), 0);
	h->fd = FAKE_FD;
	handles_wipe();
	handles_mark_setid(0);
	ck_assert_int_eq(handle_put(h), FAKE_FD);
} END_TEST

START_TEST(wrong_ids)
{
	uint64_t node, fh = make(&node);

	ck_assert_ptr_null(handle_get(fh, node + 1));
	ck_assert_ptr_null(handle_get(fh, 0));
	for (unsigned bit = 0; bit < 64; bit++)
		ck_assert_ptr_null(handle_get(fh ^ UINT64_C(1) << bit, node));
	ck_assert_ptr_null(handle_get(UINT64_MAX, node));
	ck_assert_ptr_null(handle_get(UINT32_MAX, node));
	ck_assert_ptr_null(handle_get((1u << 20) - 1, node));
	ck_assert_ptr_null(handle_get(1u << 20, node));
	/* The failed attempts have kept nothing. */
	ck_assert(release(fh, node));
	ck_assert_uint_eq(closed[0], 1);
	ck_assert_ptr_null(handle_get(fh, node));
} END_TEST

/* A slot that is used again answers to its new id only. */
START_TEST(generations)
{
	uint64_t old[1000], node[1000];

	for (unsigned i = 0; i < countof(old); i++) {
		old[i] = make(&node[i]);
		for (unsigned k = 0; k < i; k++)
			REQUIRE(old[k] != old[i] && handle_get(old[k], node[i]) == NULL && handle_get(old[k], node[k]) == NULL);
		REQUIRE(release(old[i], node[i]));
		REQUIRE(closed[i] == 1);
	}
} END_TEST

START_TEST(held_over_release)
{
	uint64_t node, fh = make(&node), node2;
	struct handle *h = handle_get(fh, node);

	ck_assert_ptr_nonnull(h);
	ck_assert(release(fh, node));
	ck_assert(!release(fh, node));
	/* Its slot is not given away, its fd not closed, while it is in use. */
	ck_assert_uint_eq(closed[0], 0);
	make(&node2);
	ck_assert_int_eq(h->fd, FAKE_FD);
	ck_assert_uint_eq(h->node, node);
	handles_wipe();
	ck_assert_uint_eq(closed[0], 0);
	ck_assert_uint_eq(closed[1], 1);
	put(h);
	ck_assert_uint_eq(closed[0], 1);
} END_TEST

START_TEST(setid)
{
	uint64_t node[3], fh[3];
	struct handle *h;

	for (unsigned i = 0; i < 3; i++)
		fh[i] = make(&node[i]);
	handles_mark_setid(node[1]);
	for (unsigned i = 0; i < 3; i++) {
		h = handle_get(fh[i], node[i]);
		ck_assert_ptr_nonnull(h);
		ck_assert_int_eq(atomic_load(&h->setid), i == 1);
		handle_unpublish(h);
		put(h);
	}
	/* The mark goes with the handle. */
	for (unsigned i = 0; i < 3; i++) {
		h = NULL;
		ck_assert_int_eq(handle_new(&h), 0);
		ck_assert(!atomic_load(&h->setid));
		ck_assert(!atomic_load(&h->no_nowait));
	}
} END_TEST

START_TEST(full)
{
	static struct handle *h[1u << 20];
	struct handle *more;
	unsigned n = 0;

	while (n < countof(h) && handle_new(&h[n]) == 0)
		n++;
	ck_assert_uint_eq(n, countof(h));
	ck_assert_int_eq(handle_new(&more), -ENFILE);
	while (n-- > 0)
		REQUIRE(handle_put(h[n]) == -1);
	ck_assert_int_eq(handle_new(&more), 0);
	put(more);
} END_TEST

/* Random acts of one thread against a model. */
START_TEST(model)
{
	static struct {
		uint64_t fh, node;
		struct handle *held[3];
		bool	live;
	} m[PLACES];
	uint64_t state = 5;

	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < 300000; i++) {
		unsigned p = rnd(&state) % PLACES, k = rnd(&state) % 3;

		switch (rnd(&state) % 4) {
		case 0:
			if (!m[p].live && m[p].held[0] == NULL && m[p].held[1] == NULL && m[p].held[2] == NULL) {
				m[p].fh = make(&m[p].node);
				m[p].live = true;
			}
			break;
		case 1:
			REQUIRE(release(m[p].fh, m[p].node) == m[p].live);
			m[p].live = false;
			break;
		case 2:
			if (m[p].held[k] == NULL) {
				m[p].held[k] = handle_get(m[p].fh, m[p].node);
				REQUIRE((m[p].held[k] != NULL) == m[p].live);
			}
			break;
		default:
			if (m[p].held[k] != NULL) {
				REQUIRE(m[p].held[k]->node == m[p].node);
				REQUIRE(closed[m[p].node - 100] == 0);
				put(m[p].held[k]);
				m[p].held[k] = NULL;
			}
		}
		if (rnd(&state) % 5000 == 0) {
			handles_wipe();
			for (unsigned q = 0; q < PLACES; q++)
				m[q].live = false;
		}
	}
	for (unsigned p = 0; p < PLACES; p++)
		for (unsigned k = 0; k < 3; k++)
			if (m[p].held[k] != NULL)
				put(m[p].held[k]);
	handles_wipe();
	for (unsigned i = 0; i < next_fd; i++)
		REQUIRE(closed[i] == 1);
} END_TEST

static _Atomic uint64_t place[PLACES][2];	/* fh and node; not a pair, so a getter may be wrong, like a guest */

static void *
hammer(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg * 99 + 3, node;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned p = rnd(&state) % PLACES, act = rnd(&state) % 16;
		uint64_t fh = atomic_load(&place[p][0]);
		struct handle *h;

		node = atomic_load(&place[p][1]);
		if (act < 5) {
			fh = make(&node);
			fh = atomic_exchange(&place[p][0], fh);
			node = atomic_exchange(&place[p][1], node);
			release(fh, node);
		} else if (act < 13) {
			h = handle_get(fh, node);
			if (h == NULL)
				continue;
			/* While held: its node's fd, open. */
			if (h->node != node || h->fd != FAKE_FD + (int)(node - 100) || closed[node - 100] != 0)
				abort();
			put(h);
		} else if (act < 15)
			release(fh, node);
		else if (i % 64 == 0)
			handles_wipe();
		else
			handles_mark_setid(node);
	}
	return NULL;
}

START_TEST(threads)
{
	pthread_t t[NTHREADS];

	for (unsigned i = 0; i < NTHREADS; i++)
		REQUIRE(pthread_create(&t[i], NULL, hammer, (void *)(uintptr_t)i) == 0);
	for (unsigned i = 0; i < NTHREADS; i++)
		pthread_join(t[i], NULL);
	handles_wipe();
	ck_assert_uint_gt(next_fd, ROUNDS / 4);
	for (unsigned i = 0; i < next_fd; i++)
		if (closed[i] != 1)
			ck_abort_msg("fd %u closed %u times", i, closed[i]);
} END_TEST

int
main(void)
{
	Suite *s = suite_create("handles");
	TCase *ok = tcase_create("ok"), *hostile = tcase_create("hostile"), *limits = tcase_create("limits"),
	    *threaded = tcase_create("threads");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, setup, NULL);
	tcase_add_test(ok, life);
	tcase_add_test(ok, never_published);
	tcase_add_test(ok, held_over_release);
	tcase_add_test(ok, setid);
	tcase_add_test(ok, model);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(hostile, setup, NULL);
	tcase_add_test(hostile, wrong_ids);
	tcase_add_test(hostile, generations);
	suite_add_tcase(s, hostile);
	tcase_add_checked_fixture(threaded, setup, NULL);
	tcase_set_timeout(threaded, 60);
	tcase_add_test(threaded, threads);
	suite_add_tcase(s, threaded);
	tcase_add_checked_fixture(limits, setup, NULL);
	tcase_set_timeout(limits, 60);
	tcase_add_test(limits, full);
	suite_add_tcase(s, limits);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
