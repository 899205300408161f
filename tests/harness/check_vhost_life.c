/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_vhost_life - how sessions end: by the front end, by its death, by signals; and second
 * guests.
 *
 * Runs in: check_vhost.
 */
#include "check_vhost.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

START_TEST(test_end_at_stage)
{
	vhost_start((enum vmm_stage)_i, NULL);
	h_stop();
}
END_TEST

/* The client goes in the middle of a message. */
START_TEST(test_partial_message)
{
	static const size_t lengths[] = { 1, 4, 11, 12, 13, 16 };
	struct {
		struct vu_header h;
		uint64_t value;
	} __attribute__((packed)) msg = { { VU_SET_FEATURES, VU_VERSION, 8 }, 0 };

	vhost_start(_i < 6 ? VMM_NEGOTIATED : VMM_RUNNING, NULL);
	ck_assert_int_eq((int)send(hv->sock, &msg, lengths[_i % 6], 0), (int)lengths[_i % 6]);
	h_stop();
}
END_TEST

static void
fill_ring(uint32_t opcode, const void *body, size_t len, uint64_t node)
{
	struct fc_part part = { body, len };
	struct vring_desc sg[2];
	unsigned int i;
	size_t n;

	n = fc_build(&hc, opcode, node, &part, 1);
	for (i = 0; i < 64; i++) {
		sg[0] = (struct vring_desc){ hc.req_gpa, (uint32_t)n, 0, 0 };
		sg[1] = (struct vring_desc){ hc.rep_gpa, 4096, VRING_DESC_F_WRITE, 0 };
		ck_assert_int_ge(vmm_queue_add(hc.q, sg, 2, false), 0);
	}
	vmm_queue_kick_now(hc.q);
}

/* 64 requests in flight and the front end is gone, as after SIGKILL. */
START_TEST(test_gone_with_requests)
{
	static const struct fuse_getattr_in getattr;
	struct fuse_fsync_in fsync_in = { 0 };
	struct fuse_entry_out e;
	struct fuse_open_out o;

	vhost_start(VMM_RUNNING, NULL);
	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0644, &e, &o));
	fsync_in.fh = o.fh;
	if (_i & 1)
		fill_ring(FUSE_FSYNC, &fsync_in, sizeof(fsync_in), e.nodeid);
	else
		fill_ring(FUSE_GETATTR, &getattr, sizeof(getattr), FC_ROOT);
	usleep(_i / 2 * 500);
	h_stop();
}
END_TEST

START_TEST(test_end_with_open_files)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char name[16];
	int i;

	vhost_start(VMM_RUNNING, NULL);
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		OK(fc_create(&hc, FC_ROOT, name, O_RDWR, 0644, &e, &o));
	}
	h_stop();
}
END_TEST

/* A second guest cannot disturb the first, whether it is refused or waits. */
START_TEST(test_second_connect)
{
	static const char junk[64] = "junk that is no vhost-user message";
	int fds[3], i, j;

	vhost_start(VMM_RUNNING, NULL);
	for (j = 0; j < 5; j++) {
		for (i = 0; i < 3; i++) {
			fds[i] = vmm_connect_again(hv);
			if (fds[i] >= 0)
				send(fds[i], junk, sizeof(junk), MSG_NOSIGNAL | MSG_DONTWAIT);
		}
		ck_assert(h_serves(&hc) && h_serves(&hother));
		for (i = 0; i < 3; i++) {
			if (fds[i] >= 0)
				close(fds[i]);
		}
		ck_assert(h_serves(&hc) && h_serves(&hother));
	}
	h_stop();
}
END_TEST

static const int signals[] = { SIGTERM, SIGHUP };

static void
settle(enum vmm_stage stage)
{
	/* Before the connection: the socket must be there, or the handlers may not be either. */
	struct stat st;
	int i;

	for (i = 0; stage == VMM_SPAWNED && i < 500 && stat(hv->sock_path, &st) != 0; i++)
		usleep(10000);
	if (stage == VMM_SPAWNED)
		usleep(200000);
}

static const enum vmm_stage signal_stages[] = { VMM_SPAWNED, VMM_CONNECTED, VMM_RUNNING };

/* To the whole group, as libvirt does, and to the started process alone. */
START_TEST(test_signal)
{
	int sig = signals[_i % 2];
	enum vmm_stage stage = signal_stages[_i / 2 % 3];
	bool group = _i / 6 == 0;

	vhost_start(stage, NULL);
	settle(stage);
	if (group)
		OK(vmm_kill_group(hv, sig));
	else
		ck_assert_int_eq(kill(hv->pid, sig), 0);
	h_expect_ended(1);
}
END_TEST

START_TEST(test_signal_under_load)
{
	static const struct fuse_getattr_in getattr;

	vhost_start(VMM_RUNNING, NULL);
	fill_ring(FUSE_GETATTR, &getattr, sizeof(getattr), FC_ROOT);
	OK(vmm_kill_group(hv, SIGTERM));
	h_expect_ended(1);
}
END_TEST

/* The started process is killed: the others must not outlive it. */
START_TEST(test_killed)
{
	vhost_start(VMM_RUNNING, NULL);
	ck_assert_int_eq(kill(hv->pid, SIGKILL), 0);
	h_expect_ended(256 + SIGKILL);
}
END_TEST

/* Nothing of the daemon spins or waits on anything while a guest is idle. */
START_TEST(test_idle_is_quiet)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned long before = 0, after = 0, u, s;
	char path[64], line[512];
	unsigned int n, i, pass;

	vhost_start(VMM_RUNNING, NULL);
	ck_assert(h_serves(&hc));
	usleep(200000);
	n = vmm_procs(hv, procs, VMM_MAX_PROCS);
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < n; i++) {
			FILE *f;

			snprintf(path, sizeof(path), "/proc/%d/stat", procs[i].pid);
			f = fopen(path, "re");
			ck_assert_ptr_nonnull(f);
			ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
			fclose(f);
			ck_assert_int_eq(sscanf(strrchr(line, ')') + 1,
			    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s), 2);
			*(pass == 0 ? &before : &after) += u + s;
		}
		if (pass == 0)
			sleep(1);
	}
	ck_assert_msg(after - before <= 2, "%lu clock ticks in an idle second", after - before);
	h_stop();
}
END_TEST

TCase *
check_vhost_life(void)
{
	TCase *t = tcase_create("life");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_end_at_stage, VMM_CONNECTED, VMM_RUNNING + 1);
	tcase_add_loop_test(t, test_partial_message, 0, 12);
	tcase_add_loop_test(t, test_gone_with_requests, 0, 8);
	tcase_add_test(t, test_end_with_open_files);
	tcase_add_test(t, test_second_connect);
	tcase_add_loop_test(t, test_signal, 0, 12);
	tcase_add_test(t, test_signal_under_load);
	tcase_add_test(t, test_killed);
	tcase_add_test(t, test_idle_is_quiet);
	return t;
}
