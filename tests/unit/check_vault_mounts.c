/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * monitor/vault.c: mounts, which it pins as long as something on them is known and no longer (traps.md F7, F8), and inodes that
 * cost an fd each, of which there is a limit. This process plays the worker. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "tests/unit/vault_rig.h"

static struct rig r;
static char sub[160];
static uint64_t sub_mnt;

static void
quiet(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

/* A tmpfs below the rig's directory, not known to the vault yet. */
static void
mount_sub(void)
{
	int fd;

	snprintf(sub, sizeof(sub), "%s/sub", r.path);
	mkdir(sub, 0755);
	ck_assert_int_eq(mount("sub", sub, "tmpfs", 0, NULL), 0);
	fd = open(sub, O_PATH | O_CLOEXEC);
	sub_mnt = rig_mount_id(fd);
	close(fd);
}

static void
begin(size_t max_fds)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
	rig_begin(&r, "/var/tmp", max_fds, 1000);
	rig_put_mount(&r, r.mnt, r.dir);
	mount_sub();
}

static void
setup(void)
{
	log_init(quiet, LOG_WARN);
	rig_no_handles = false;
	begin(0);
}

static void
teardown(void)
{
	ck_assert(!rig_breached(&r, 0));
	umount2(sub, MNT_DETACH);
	rig_end(&r);
}

static void
announce(void)
{
	int fd = open(sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	rig_put_mount(&r, sub_mnt, fd);
	close(fd);
}

static int
sub_file(unsigned nr)
{
	char path[192];
	int fd;

	snprintf(path, sizeof(path), "%s/%u", sub, nr);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	close(fd);
	return open(path, O_PATH | O_CLOEXEC);
}

/* Everything that was put has been taken, and what it costs been paid. */
static void
settle(void)
{
	(void)rig_settled_fds(&r);
}

static bool
can_unmount(void)
{
	settle();
	if (umount2(sub, 0) == 0) {
		mount_sub();
		return true;
	}
	ck_assert_int_eq(errno, EBUSY);
	return false;
}

START_TEST(test_pinned_by_nodes)
{
	ck_assert(can_unmount());
	announce();
	/* announced: the worker may put something any moment */
	ck_assert(!can_unmount());
	rig_put_node(&r, 2, sub_mnt, sub_file(1));
	rig_put_node(&r, 3, sub_mnt, sub_file(2));
	rig_unmount(&r, sub_mnt);
	ck_assert(!can_unmount());
	rig_assert_same(rig_get_node(&r, 2), sub_file(1));
	rig_forget(&r, 2);
	ck_assert(!can_unmount());
	rig_forget(&r, 3);
	ck_assert(can_unmount());
}
END_TEST

START_TEST(test_announced_again)
{
	announce();
	rig_unmount(&r, sub_mnt);
	ck_assert(can_unmount());
	announce();
	rig_put_node(&r, 2, sub_mnt, sub_file(1));
	rig_unmount(&r, sub_mnt);
	/* it is wanted again before its last node goes */
	announce();
	rig_forget(&r, 2);
	ck_assert(!can_unmount());
	rig_put_node(&r, 3, sub_mnt, sub_file(1));
	rig_assert_same(rig_get_node(&r, 3), sub_file(1));
	rig_forget(&r, 3);
	rig_unmount(&r, sub_mnt);
	ck_assert(can_unmount());
	/* what was never announced is nothing to forget */
	rig_unmount(&r, 123456);
}
END_TEST

START_TEST(test_reset)
{
	const struct vault_hdr reset = { VAULT_RESET, 0 };

	announce();
	rig_put_node(&r, 2, sub_mnt, sub_file(1));
	rig_unmount(&r, sub_mnt);
	ck_assert_int_eq(msg_send(r.put, &reset, sizeof(reset), NULL, 0, 0), 0);
	ck_assert(can_unmount());
}
END_TEST

/* The next worker announces what it meets; what only the one before it knew goes with its nodes. */
START_TEST(test_next_worker)
{
	announce();
	rig_put_node(&r, 2, sub_mnt, sub_file(1));
	settle();
	fd_close(&r.put);
	fd_close(&r.get);
	rig_attach(&r);
	ck_assert(!can_unmount());
	rig_assert_same(rig_get_node(&r, 2), sub_file(1));
	rig_forget(&r, 2);
	ck_assert(can_unmount());
	/* the root's too: announced anew, it is what it was */
	rig_put_mount(&r, r.mnt, r.dir);
	rig_make_file(&r, "file");
	rig_put_node(&r, 3, r.mnt, rig_path_fd(&r, "file"));
	rig_assert_same(rig_get_node(&r, 3), rig_path_fd(&r, "file"));
	/* dead before anything was known */
	announce();
	settle();
	fd_close(&r.put);
	fd_close(&r.get);
	rig_attach(&r);
	ck_assert(can_unmount());
}
END_TEST

/* F8: places are used again, under whatever ids come; nothing grows. */
START_TEST(test_many_mounts)
{
	int before = rig_settled_fds(&r);

	for (unsigned i = 0; i < 300; i++) {
		announce();
		rig_put_node(&r, 2 + i, sub_mnt, sub_file(i));
		rig_assert_same(rig_get_node(&r, 2 + i), sub_file(i));
		rig_forget(&r, 2 + i);
		rig_unmount(&r, sub_mnt);
		ck_assert(can_unmount());
	}
	ck_assert_int_eq(rig_settled_fds(&r), before);
}
END_TEST

/* ---- inodes that cost an fd each ---- */

static void
setup_never(void)
{
	log_init(quiet, LOG_WARN);
	rig_no_handles = true;
	begin(20);
}

START_TEST(test_never)
{
	int before = rig_settled_fds(&r), fd;

	rig_make_file(&r, "file");
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "file"));
	ck_assert_int_eq(rig_settled_fds(&r), before + 1);
	/* without a name it is there all the same: no handle would bring it back */
	ck_assert_int_eq(unlinkat(r.dir, "file", 0), 0);
	fd = rig_get_node(&r, 2);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, dup(fd)), 2);
	close(fd);
	rig_forget(&r, 2);
	ck_assert_int_eq(rig_settled_fds(&r), before);
}
END_TEST

START_TEST(test_limit)
{
	unsigned n = 0;
	int error;

	announce();
	while ((error = rig_keep_node(&r, 100 + n, sub_mnt, sub_file(n))) == 0 && n < 100)
		n++;
	/* 20, less two mounts */
	ck_assert_int_eq(error, -ENFILE);
	ck_assert_uint_eq(n, 18);
	ck_assert_int_eq(rig_get_node(&r, 100 + n), -EBADF);
	ck_assert_uint_eq(rig_find_node(&r, sub_mnt, sub_file(n)), 0);
	/* the same again is no new one */
	ck_assert_int_eq(rig_keep_node(&r, 100, sub_mnt, sub_file(0)), 0);
	rig_assert_same(rig_get_node(&r, 100), sub_file(0));
	rig_forget(&r, 105);
	ck_assert_int_eq(rig_keep_node(&r, 100 + n, sub_mnt, sub_file(n)), 0);
	rig_assert_same(rig_get_node(&r, 100 + n), sub_file(n));
	ck_assert_int_eq(rig_keep_node(&r, 101 + n, sub_mnt, sub_file(n + 1)), -ENFILE);
}
END_TEST

/* The place of a mount that was let go of is given back once, though the next worker finds it there. */
START_TEST(test_limit_of_the_next)
{
	unsigned n = 0;

	announce();
	rig_unmount(&r, sub_mnt);
	settle();
	for (int i = 0; i < 2; i++) {
		fd_close(&r.put);
		fd_close(&r.get);
		rig_attach(&r);
		settle();
	}
	rig_put_mount(&r, r.mnt, r.dir);
	announce();
	while (rig_keep_node(&r, 100 + n, sub_mnt, sub_file(n)) == 0 && n < 100)
		n++;
	ck_assert_uint_eq(n, 18);
}
END_TEST

/* Rules of the two messages. */
START_TEST(test_hostile)
{
	struct vault_mount m = { .h = { VAULT_UNMOUNT, 1 }, .mnt_id = r.mnt };
	struct vault_put p = { .h = { VAULT_KEEP, 1 }, .e = { { 2, r.mnt } } };
	int fd = open(r.path, O_PATH | O_CLOEXEC), real = open(r.path, O_RDONLY | O_CLOEXEC);
	const size_t len = sizeof(p.h) + sizeof(p.e[0]);
	struct rig *x = &r;

	switch (_i) {
	case 0: ck_assert_int_eq(msg_send(x->put, &m, sizeof(m) - 1, NULL, 0, 0), 0); break;
	case 1: ck_assert_int_eq(msg_send(x->put, &m, sizeof(m), &fd, 1, 0), 0); break;
	case 2: m.h.count = 2; ck_assert_int_eq(msg_send(x->put, &m, sizeof(m), NULL, 0, 0), 0); break;
	case 3: ck_assert_int_eq(msg_send(x->get, &p, len, NULL, 0, 0), 0); break;
	case 4: ck_assert_int_eq(msg_send(x->get, &p, len - 1, &fd, 1, 0), 0); break;
	case 5: p.h.count = 0; ck_assert_int_eq(msg_send(x->get, &p, len, &fd, 1, 0), 0); break;
	case 6: ck_assert_int_eq(msg_send(x->get, &p, len, &real, 1, 0), 0); break;
	case 7: p.e[0].mnt_id = 99999; ck_assert_int_eq(msg_send(x->get, &p, len, &fd, 1, 0), 0); break;
	case 8: p.e[0].node = 0; ck_assert_int_eq(msg_send(x->get, &p, len, &fd, 1, 0), 0); break;
	case 9: ck_assert_int_eq(msg_send(x->put, &p, len, &fd, 1, 0), 0); break;
	case 10: ck_assert_int_eq(msg_send(x->get, &m, sizeof(m), NULL, 0, 0), 0); break;
	}
	close(fd);
	close(real);
	ck_assert(rig_breached(&r, 2000));
	umount2(sub, MNT_DETACH);
	rig_end(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vault mounts");
	TCase *t = tcase_create("mounts"), *n = tcase_create("never"), *h = tcase_create("hostile");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_pinned_by_nodes);
	tcase_add_test(t, test_announced_again);
	tcase_add_test(t, test_reset);
	tcase_add_test(t, test_next_worker);
	tcase_add_test(t, test_many_mounts);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(n, setup_never, teardown);
	tcase_add_test(n, test_never);
	tcase_add_test(n, test_limit);
	tcase_add_test(n, test_limit_of_the_next);
	suite_add_tcase(s, n);
	tcase_add_checked_fixture(h, setup, NULL);
	tcase_add_loop_test(h, test_hostile, 0, 11);
	suite_add_tcase(s, h);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
