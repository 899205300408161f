/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart_locks - locks outlive the worker: they are held, waited for and released as if nothing had happened.
 *
 * Runs in: check_restart.
 */
#include "check_restart.h"
#include "fuse_beyond.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define TO_END 0x7fffffffffffffffull

static uint64_t node;
static struct fuse_open_out o;

static void
setup(void)
{
	static const char *const args[] = { "--worker-deaths=1000", "--worker-window=1", "--posix-lock", "--flock",
		NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args };

	restart_start_opts(&opts);
	h_put("f", "content", 7);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDWR, &o));
}

static struct fc_lock
want(uint64_t owner, uint32_t type, uint64_t start, uint64_t end, uint32_t lk_flags)
{
	return (struct fc_lock){ .node = node, .fh = o.fh, .owner = owner, .type = type, .start = start, .end = end,
		.lk_flags = lk_flags };
}

static int
setlk(uint64_t owner, uint32_t type, uint64_t start, uint64_t end, uint32_t lk_flags)
{
	struct fc_lock l = want(owner, type, start, end, lk_flags);

	return fc_setlk(&hc, &l, false);
}

static int
host_sees(off_t byte)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
	int fd = open(h_path("f"), O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	OK(fcntl(fd, F_GETLK, &f));
	close(fd);
	return f.l_type;
}

START_TEST(test_held)
{
	struct fc_lock l = want(2, F_WRLCK, 5, 20, 0);
	int fd = open(h_path("f"), O_RDONLY | O_CLOEXEC);

	OK(setlk(1, F_WRLCK, 0, 9, 0));
	OK(setlk(3, F_WRLCK, 0, TO_END, FUSE_LK_FLOCK));
	OK(fc_setlkw_post(&hother, &l));
	for (int i = 0; i < 5; i++) {
		pid_t pid = restart_kill();

		/* Also while there is no worker. */
		ck_assert_int_eq(host_sees(0), F_WRLCK);
		ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), -1);
		OK(setlk(1, F_RDLCK, 50, 59, 0));
		OK(setlk(1, F_UNLCK, 50, 59, 0));
		restart_wait(pid);
		ck_assert_int_eq(host_sees(0), F_WRLCK);
		ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), -1);
		ck_assert(!vmm_queue_has_used(hother.q));
		/* A new owner, by the new worker. */
		FAILS(EAGAIN, setlk(10 + (uint64_t)i, F_RDLCK, 0, 0, 0));
		OK(setlk(10 + (uint64_t)i, F_RDLCK, 100, 100, 0));
	}
	OK(setlk(1, F_UNLCK, 0, 9, 0));
	OK(fc_setlkw_collect(&hother));
	FAILS(EAGAIN, setlk(1, F_WRLCK, 20, 20, 0));
	OK(setlk(3, F_UNLCK, 0, TO_END, FUSE_LK_FLOCK));
	OK(flock(fd, LOCK_EX | LOCK_NB));
	OK(fc_release(&hc, node, o.fh));
	ck_assert_int_eq(host_sees(5), F_UNLCK);
	ck_assert_int_eq(host_sees(100), F_UNLCK);
	close(fd);
}
END_TEST

/* The first lock of an owner needs the worker: it comes late, and is had once. */
START_TEST(test_in_flight)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct fc_lock l = want(1000 + i, F_WRLCK, i, i, 0);
		pid_t pid = restart_worker();

		if (i % 2 == 0)
			restart_kill();
		OK(fc_setlkw_post(&hother, &l));
		if (i % 2 == 1)
			restart_kill();
		OK(fc_setlkw_collect(&hother));
		restart_wait(pid);
		ck_assert_int_eq(host_sees((off_t)i), F_WRLCK);
		FAILS(EAGAIN, setlk(1, F_RDLCK, i, i, 0));
		OK(setlk(1000 + i, F_UNLCK, i, i, 0));
		ck_assert_int_eq(host_sees((off_t)i), F_UNLCK);
	}
}
END_TEST

TCase *
check_restart_locks(void)
{
	TCase *c = tcase_create("locks");

	tcase_add_checked_fixture(c, setup, restart_stop);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_held);
	tcase_add_test(c, test_in_flight);
	return c;
}
