/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_locks_two - locks of two guests, each with a daemon of its own, on one share: they exclude each other.
 *
 * Runs in: check_locks.
 */
#include "check_locks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct vmm *other_vmm;
static struct fuse_client other;
static uint64_t other_node;
static struct fuse_open_out other_open;

static void
setup_two(void)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = locks_args };

	locks_start(NULL);
	opts.share = hv->share;
	other_vmm = vmm_start(&opts);
	ck_assert_ptr_nonnull(other_vmm);
	OK(fc_open(&other, other_vmm, 1));
	OK(fc_init(&other, ~0ull));
	{
		struct fuse_entry_out e;

		OK(fc_lookup(&other, FC_ROOT, "f", &e));
		other_node = e.nodeid;
	}
	OK(fc_open_file(&other, other_node, O_RDWR, &other_open));
}

static void
teardown_two(void)
{
	struct vmm_end e;

	if (other_vmm != NULL) {
		OK(vmm_end(other_vmm, &e));
		ck_assert_int_eq(e.exit_status, 0);
	}
	vmm_free(other_vmm);
	other_vmm = NULL;
	h_stop();
}

static struct fc_lock
other_want(uint64_t owner, uint32_t type, uint64_t start_, uint64_t end, uint32_t lk_flags)
{
	return (struct fc_lock){ .node = other_node, .fh = other_open.fh, .owner = owner, .type = type, .start = start_,
		.end = end, .lk_flags = lk_flags };
}

START_TEST(test_two_guests)
{
	struct fc_lock l = other_want(1, F_WRLCK, 5, 20, 0), g = other_want(1, F_RDLCK, 0, TO_END, FLOCK);
	struct fuse_file_lock lk;

	/* The same owner's number means nothing here. */
	OK(locks_setlk(1, F_WRLCK, 0, 9));
	FAILS(EAGAIN, fc_setlk(&other, &l, false));
	OK(fc_getlk(&other, &l, &lk));
	ck_assert(lk.type == F_WRLCK && lk.start == 0 && lk.end == 9 && lk.pid == 0);
	OK(fc_setlkw_post(&other, &l));
	usleep(10000);
	ck_assert(!vmm_queue_has_used(other.q));
	OK(locks_setlk(1, F_UNLCK, 0, 9));
	OK(fc_setlkw_collect(&other));
	FAILS(EAGAIN, locks_setlk(1, F_RDLCK, 20, 20));
	OK(locks_set_flock(1, F_WRLCK));
	FAILS(EAGAIN, fc_setlk(&other, &g, false));
	/* One guest dies: the other goes on. */
	OK(fc_setlkw_post(&other, &g));
	h_stop();
	OK(fc_setlkw_collect(&other));
}
END_TEST

static long
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int
by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return x < y ? -1 : x > y;
}

/* From the unlock of one guest to the answer that the other waits for, back and forth. */
START_TEST(test_hand_over)
{
	enum { ROUNDS = 200 };
	static long us[ROUNDS];
	struct fc_lock a = locks_want(1, F_WRLCK, 0, 9), b = other_want(1, F_WRLCK, 0, 9, 0);

	if (_i == 1) {
		a = locks_want_flock(1, F_WRLCK);
		b = other_want(1, F_WRLCK, 0, TO_END, FLOCK);
	}
	OK(fc_setlk(&hc, &a, false));
	for (int i = 0; i < ROUNDS; i++) {
		struct fuse_client *has = i % 2 == 0 ? &hc : &other, *waits = i % 2 == 0 ? &other : &hother;
		struct fc_lock *l = i % 2 == 0 ? &a : &b, unlock;

		if (i % 2 == 1)
			has = &other;
		OK(fc_setlkw_post(waits, i % 2 == 0 ? &b : &a));
		usleep(1000);
		ck_assert(!vmm_queue_has_used(waits->q));
		unlock = *l;
		unlock.type = F_UNLCK;
		us[i] = now_us();
		OK(fc_setlk(has == &other && waits == &hother ? &other : has, &unlock, false));
		OK(fc_setlkw_collect(waits));
		us[i] = now_us() - us[i];
	}
	qsort(us, ROUNDS, sizeof(us[0]), by_value);
	printf("locks: %s: hand-over between two daemons, %d times: median %ld us, 99 %% %ld us, worst %ld us\n",
	    _i == 1 ? "flock" : "fcntl", ROUNDS, us[ROUNDS / 2], us[ROUNDS * 99 / 100], us[ROUNDS - 1]);
	/* A wait that is asked for again and again would show. */
	ck_assert_int_lt(us[ROUNDS / 2], 5000);
}
END_TEST

TCase *
check_locks_two(void)
{
	TCase *two = tcase_create("two");

	tcase_set_timeout(two, 60);
	tcase_add_checked_fixture(two, setup_two, teardown_two);
	tcase_add_test(two, test_two_guests);
	tcase_add_loop_test(two, test_hand_over, 0, 2);
	return two;
}
