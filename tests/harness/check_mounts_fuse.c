/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_mounts_fuse - a file system in the share that is slow, or has one inode number twice.
 *
 * Runs in: check_mounts.
 */
#include "check_mounts.h"
#include "harness.h"
#include "hostfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define SLOW_MS 2000u

static int
mount_it(const struct vmm *v)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/fuse", v->share);
	if (mount("test", v->share, "tmpfs", 0, "size=1m") == -1 || mkdir(path, 0755) == -1)
		return -errno;
	return hostfs_mount(path);
}

static void
unmount_it(void)
{
	hostfs.opendir_ms = 0;
	h_abandon();
	hostfs_stop();
}

static void
kill_worker(void)
{
	struct vmm_proc p[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, p, VMM_MAX_PROCS), i;

	for (i = 0; i < n; i++)
		if (strcmp(p[i].comm, "virtiofsd-worke") == 0)
			ck_assert_int_eq(kill(p[i].pid, SIGKILL), 0);
	/* until the next one answers */
	OK(fc_getattr(&hc, FC_ROOT, NULL));
}

static void *
look_it_up(void *plus)
{
	static struct fuse_entry_out e;
	static struct fuse_open_out o;

	if (plus == NULL)
		return fc_lookup(&hc, FC_ROOT, "fuse", &e) == 0 ? &e : NULL;
	if (fc_opendir(&hc, FC_ROOT, &o) != 0)
		return NULL;
	return fc_readdir(&hc, FC_ROOT, o.fh, 0, 65536, true) > 0 ? &o : NULL;
}

/*
 * The first worker and a later one, which has to ask what the inodes are called: what hangs is the one request that is on
 * the slow file system, also when somebody forgets something meanwhile.
 */
START_TEST(test_slow_mount)
{
	const bool later = _i % 2 == 1, plus = _i >= 2;
	struct vmm_opts opts = { .mount_share = mount_it, .stage = VMM_RUNNING };
	struct fuse_entry_out e;
	uint64_t gone;
	pthread_t t;
	void *done;
	long start;

	h_start_opts(&opts, true);
	h_put("a", "", 0);
	h_put("b", "", 0);
	h_put("c", "", 0);
	gone = h_node("a");
	if (later)
		kill_worker();
	OK(fc_lookup(&hother, FC_ROOT, "b", &e));
	hostfs.opendir_ms = SLOW_MS;
	start = vmm_now_ms();
	ck_assert_int_eq(pthread_create(&t, NULL, look_it_up, plus ? &opts : NULL), 0);
	usleep(200000);
	OK(fc_forget(&hother, gone, 1));
	usleep(50000);
	OK(fc_lookup(&hother, FC_ROOT, "c", &e));
	ck_assert_int_lt(vmm_now_ms() - start, SLOW_MS / 2);
	ck_assert_int_eq(pthread_join(t, &done), 0);
	ck_assert_ptr_nonnull(done);
	/* or it was not slow */
	ck_assert_int_ge(vmm_now_ms() - start, SLOW_MS);
	hostfs.opendir_ms = 0;
	h_stop();
}
END_TEST

/* Two files of one number are two nodes, each the file it says. */
START_TEST(test_same_number)
{
	static const char *const name[] = { "f7", "f8" };
	struct vmm_opts opts = { .mount_share = mount_it, .stage = VMM_RUNNING };
	struct fuse_entry_out e[2], again, x;
	struct fuse_open_out o;
	struct fuse_dirent ent;
	char listed[256];
	size_t pos = 0;
	uint64_t dir;

	h_start_opts(&opts, true);
	hostfs.twins = true;
	dir = h_node("fuse");
	for (int i = 0; i < 2; i++)
		OK(fc_lookup(&hc, dir, name[i], &e[i]));
	ck_assert_uint_eq(e[0].attr.ino, e[1].attr.ino);
	ck_assert_uint_ne(e[0].nodeid, e[1].nodeid);
	for (unsigned int i = 0; i < 12; i++) {
		if (i == 6)
			kill_worker();
		OK(fc_lookup(i % 3 == 0 ? &hother : &hc, dir, name[i % 2], &again));
		ck_assert_uint_eq(again.nodeid, e[i % 2].nodeid);
		OK(fc_open_file(&hc, again.nodeid, O_WRONLY, &o));
		ck_assert_int_eq(fc_write(&hc, again.nodeid, o.fh, 0, "x", 1, O_WRONLY), 1);
		ck_assert_uint_eq(hostfs.written_to, 7 + i % 2);
		OK(fc_release(&hc, again.nodeid, o.fh));
	}
	OK(fc_opendir(&hc, dir, &o));
	ck_assert_int_gt(fc_readdir(&hc, dir, o.fh, 0, 65536, true), 0);
	while (fc_next_dirent(&hc, &pos, true, &x, &ent, listed) == 1)
		for (int i = 0; i < 2; i++)
			if (strcmp(listed, name[i]) == 0)
				ck_assert_uint_eq(x.nodeid, e[i].nodeid);
	OK(fc_releasedir(&hc, dir, o.fh));
	OK(fc_forget(&hc, e[0].nodeid, 8));
	OK(fc_getattr(&hc, e[1].nodeid, NULL));
	FAILS(EBADF, fc_getattr(&hc, e[0].nodeid, NULL));
	h_stop();
}
END_TEST

/* Mounted for its owner alone: the front, who is nobody, may not even look at a file that the worker has opened. */
START_TEST(test_private)
{
	struct vmm_opts opts = { .mount_share = mount_it, .stage = VMM_RUNNING };
	struct fuse_entry_out e;
	struct fuse_attr a;
	struct fuse_open_out o;
	char buf[8];

	hostfs_private = true;
	h_start_opts(&opts, true);
	OK(fc_lookup(&hc, h_node("fuse"), "f3", &e));
	for (unsigned int i = 0; i < 20; i++) {
		OK(fc_open_file(&hc, e.nodeid, O_RDWR, &o));
		ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 0, buf, sizeof(buf)), sizeof(buf));
		ck_assert_mem_eq(buf, "abcdefgh", sizeof(buf));
		ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "x", 1, O_RDWR), 1);
		OK(fc_getattr_fh(&hc, e.nodeid, o.fh, &a));
		ck_assert_uint_eq(a.size, HOSTFS_SIZE);
		OK(fc_release(&hc, e.nodeid, o.fh));
	}
	ck_assert(!vmm_log_has(hv, "killed"));
	h_stop();
}
END_TEST

TCase *
check_mounts_fuse(void)
{
	TCase *t = tcase_create("fuse");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, unmount_it);
	tcase_add_loop_test(t, test_slow_mount, 0, 4);
	tcase_add_test(t, test_same_number);
	tcase_add_test(t, test_private);
	return t;
}
