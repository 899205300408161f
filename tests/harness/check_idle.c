/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_idle - who looks for work before sleeping does sleep: ten daemons that have just been busy use no CPU for ten
 * seconds, and nothing wakes up in them. Runs in: the test program, as root.
 */
#include <unistd.h>

#include "harness.h"
#include "tests/bench/bench.h"

#define DAEMONS 10u
#define SECONDS 10u
#define BUSY 2000u		/* requests before, so that the windows are open */
#define CPU_MAX_NS 2000000u	/* of one daemon: a few wake-ups for what comes by the clock */
#define SWITCHES_MAX 12u

static struct vmm *daemon_of[DAEMONS];

static void
teardown(void)
{
	for (unsigned int i = 0; i < DAEMONS; i++)
		vmm_free(daemon_of[i]);
}

START_TEST(idle)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .mem_size = (size_t)16 << 20 };
	struct usage before[DAEMONS], after;
	struct fuse_client fc;
	struct fuse_attr a;

	for (unsigned int i = 0; i < DAEMONS; i++) {
		daemon_of[i] = vmm_start(&opts);
		ck_assert_ptr_nonnull(daemon_of[i]);
		OK(fc_open(&fc, daemon_of[i], 1));
		OK(fc_init(&fc, ~0ull));
		for (unsigned int k = 0; k < BUSY; k++)
			OK(fc_getattr(&fc, FC_ROOT, &a));
	}
	/* The last window, the last nap. */
	sleep(1);
	for (unsigned int i = 0; i < DAEMONS; i++)
		usage_read(daemon_of[i], &before[i], false);
	sleep(SECONDS);
	for (unsigned int i = 0; i < DAEMONS; i++) {
		usage_read(daemon_of[i], &after, false);
		ck_assert_uint_eq(after.procs, before[i].procs);
		ck_assert_uint_eq(after.procs, 3);
		ck_assert_msg(after.cpu_ns - before[i].cpu_ns < CPU_MAX_NS, "daemon %u used %llu us", i,
		    (unsigned long long)(after.cpu_ns - before[i].cpu_ns) / 1000);
		ck_assert_msg(after.switches - before[i].switches <= SWITCHES_MAX, "daemon %u woke up %llu times", i,
		    (unsigned long long)(after.switches - before[i].switches));
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("idle");
	TCase *t = tcase_create("idle");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, idle);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return h_main(s, 120);
}
