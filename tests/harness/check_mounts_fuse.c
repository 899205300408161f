/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_mounts_fuse - a file system in the share that is slow.
 *
 * Runs in: check_mounts.
 */
#include "check_mounts.h"
#include "harness.h"
#include "hostfs.h"

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

	snprintf(path, sizeof(path), "%s/slow", v->share);
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
		return fc_lookup(&hc, FC_ROOT, "slow", &e) == 0 ? &e : NULL;
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

TCase *
check_mounts_fuse(void)
{
	TCase *t = tcase_create("fuse");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, unmount_it);
	tcase_add_loop_test(t, test_slow_mount, 0, 4);
	return t;
}
