/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_vhost_ring - rings: set-up, notification, stop and resume, reset.
 *
 * Runs in: check_vhost.
 */
#include "check_vhost.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SLOT 8192u	/* bytes of request and reply memory per chain in flight */

static uint64_t slots;	/* guest address of the memory for chains in flight */

/* Make request number i (its own memory) available without waiting. */
static void
submit(unsigned int i, uint32_t opcode, const void *body, size_t len)
{
	struct fc_part part = { body, len };
	uint64_t at = slots + (uint64_t)i * SLOT;
	struct vring_desc sg[2];
	size_t n = fc_build(&hc, opcode, FC_ROOT, &part, 1);

	memcpy(vmm_ptr(hv, at, SLOT), hc.req, n);
	sg[0] = (struct vring_desc){ at, (uint32_t)n, 0, 0 };
	sg[1] = (struct vring_desc){ at + 4096, 4096, VRING_DESC_F_WRITE, 0 };
	ck_assert_int_ge(vmm_queue_add(hc.q, sg, 2, false), 0);
}

static void
submit_getattrs(unsigned int first, unsigned int n)
{
	static const struct fuse_getattr_in in;
	unsigned int i;

	if (slots == 0)
		slots = vmm_alloc(hv, 1, 128 * SLOT, 4096);
	ck_assert_uint_ne(slots, 0);
	for (i = 0; i < n; i++)
		submit(first + i, FUSE_GETATTR, &in, sizeof(in));
}

static void
reap(unsigned int n)
{
	uint32_t id, len;
	unsigned int i;

	for (i = 0; i < n; i++) {
		OK(vmm_queue_wait(hc.q, VMM_TIMEOUT_MS, &id, &len));
		ck_assert_uint_eq(len, 120);
	}
}

static void
start(const struct vmm_opts *opts)
{
	slots = 0;
	h_start_opts(opts, true);
}

static const struct vmm_opts modes[] = {
	{ .stage = VMM_RUNNING },
	{ .stage = VMM_RUNNING, .no_event_idx = true },
	{ .stage = VMM_RUNNING, .no_indirect = true },
	{ .stage = VMM_RUNNING, .no_event_idx = true, .no_indirect = true, .mem_table = true },
	{ .stage = VMM_RUNNING, .no_reply_ack = true },
	{ .stage = VMM_RUNNING, .call_pipe = true },
	{ .stage = VMM_RUNNING, .call_pipe = true, .no_event_idx = true },
	{ .stage = VMM_RUNNING, .regions = 1 },
	{ .stage = VMM_RUNNING, .queue_size = 8 },
	{ .stage = VMM_RUNNING, .queue_size = 1024 },
	{ .stage = VMM_RUNNING, .queue_size = 32768, .mem_size = (size_t)512 << 20 },
	{ .stage = VMM_RUNNING, .queues = VMM_MAX_QUEUES },
	{ .stage = VMM_RUNNING, .queues = 2 },
};

/* Ordinary service in every mode; enough requests to go round the small rings. */
START_TEST(test_modes)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char buf[64];
	int i;

	start(&modes[_i]);
	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0644, &e, &o));
	for (i = 0; i < 300; i++) {
		ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, (uint64_t)i, "abc", 3, O_RDWR), 3);
		ck_assert(h_serves(&hother));
	}
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 298, buf, sizeof(buf)), 4);
	h_stop();
}
END_TEST

START_TEST(test_many_in_flight)
{
	unsigned int round;

	start(&modes[_i]);
	for (round = 0; round < 30; round++) {
		submit_getattrs(0, 60);
		vmm_queue_kick(hc.q);
		reap(60);
	}
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

START_TEST(test_base_after_traffic)
{
	uint32_t base;

	start(NULL);
	/* INIT was the first request of this ring. */
	submit_getattrs(0, 10);
	vmm_queue_kick(hc.q);
	reap(10);
	OK(vmm_msg_get_base(hv, 1, &base));
	ck_assert_uint_eq(base, 11);
	OK(vmm_msg_get_base(hv, hother.q->index, &base));
	ck_assert_uint_eq(base, 0);
	h_stop();
}
END_TEST

/*
 * What was taken is completed before the answer; what was not taken stays, and is served on
 * resume.
 */
START_TEST(test_stop_drains)
{
	uint32_t base;
	uint16_t used;
	unsigned int round, done;

	start(NULL);
	for (round = 0; round < 20; round++) {
		submit_getattrs(0, 60);
		vmm_queue_kick(hc.q);
		OK(vmm_msg_get_base(hv, 1, &base));
		used = hc.q->used->idx;
		ck_assert_msg((uint16_t)base == used, "base %u, used %u", base, used);
		usleep(20000);
		ck_assert_msg(hc.q->used->idx == used, "used after the stop");
		done = (uint16_t)(used - hc.q->last_used);
		OK(vmm_queue_setup(hc.q, base));
		OK(vmm_queue_enable(hc.q, true));
		reap(60);
		ck_assert_uint_le(done, 60);
	}
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

/* As a VMM's stop and cont: all rings, each resumed where it stood. */
START_TEST(test_stop_and_resume)
{
	uint32_t base[VMM_MAX_QUEUES];
	unsigned int i, round;

	start(NULL);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < hv->nr_queues; i++)
			OK(vmm_queue_enable(&hv->queue[i], false));
		for (i = 0; i < hv->nr_queues; i++)
			OK(vmm_msg_get_base(hv, i, &base[i]));
		/* Requests made while it is stopped wait. */
		submit_getattrs(0, 3);
		vmm_queue_kick_now(hc.q);
		usleep(10000);
		ck_assert(!vmm_queue_has_used(hc.q));
		for (i = 0; i < hv->nr_queues; i++)
			OK(vmm_queue_setup(&hv->queue[i], base[i]));
		for (i = 0; i < hv->nr_queues; i++)
			OK(vmm_queue_enable(&hv->queue[i], true));
		reap(3);
		ck_assert(h_serves(&hc) && h_serves(&hother));
	}
	h_stop();
}
END_TEST

/* A ring that is disabled only; a kick meanwhile is not lost. */
START_TEST(test_disable)
{
	int i;

	start(NULL);
	for (i = 0; i < 20; i++) {
		OK(vmm_queue_enable(hc.q, false));
		submit_getattrs(0, 2);
		vmm_queue_kick_now(hc.q);
		usleep(5000);
		ck_assert_msg(!vmm_queue_has_used(hc.q), "a disabled ring was served");
		ck_assert(h_serves(&hother));
		OK(vmm_queue_enable(hc.q, true));
		reap(2);
	}
	h_stop();
}
END_TEST

START_TEST(test_kick_before_enable)
{
	struct vmm_opts opts = { .stage = VMM_MEMORY };
	struct fuse_init_in in = { .major = 7, .minor = 38 };
	struct fc_part part = { &in, sizeof(in) };
	struct vring_desc sg[2];
	uint32_t id, len;

	h_start_opts(&opts, false);
	OK(vmm_queue_create(hv, 1, 64));
	OK(vmm_queue_setup(&hv->queue[1], 0));
	OK(fc_open(&hc, hv, 1));
	sg[0] = (struct vring_desc){ hc.req_gpa,
		(uint32_t)fc_build(&hc, FUSE_INIT, 0, &part, 1), 0, 0 };
	sg[1] = (struct vring_desc){ hc.rep_gpa, 80, VRING_DESC_F_WRITE, 0 };
	ck_assert_int_ge(vmm_queue_add(hc.q, sg, 2, false), 0);
	vmm_queue_kick_now(hc.q);
	usleep(50000);
	ck_assert(!vmm_queue_has_used(hc.q));
	OK(vmm_queue_enable(hc.q, true));
	OK(vmm_queue_wait(hc.q, VMM_TIMEOUT_MS, &id, &len));
	ck_assert_uint_eq(len, 80);
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

/* Buffers already there when the kick fd comes: served without any kick. */
START_TEST(test_no_kick_at_start)
{
	uint32_t base;

	start(NULL);
	OK(vmm_msg_get_base(hv, 1, &base));
	submit_getattrs(0, 5);
	OK(vmm_queue_setup(hc.q, base));
	OK(vmm_queue_enable(hc.q, true));
	reap(5);
	h_stop();
}
END_TEST

/* Indices go round at 65536. */
START_TEST(test_index_wraps)
{
	const uint16_t at = 65500;
	uint32_t base;
	int i;

	start(&modes[_i]);
	OK(vmm_msg_get_base(hv, 1, &base));
	vmm_queue_clear(hc.q);
	hc.q->avail->idx = hc.q->used->idx = at;
	hc.q->avail_idx = hc.q->kicked_idx = hc.q->last_used = at;
	/* avail_event, as a stop at this place would have left it. */
	hc.q->used->ring[hc.q->size].id = at;
	OK(vmm_queue_setup(hc.q, at));
	OK(vmm_queue_enable(hc.q, true));
	for (i = 0; i < 100; i++)
		ck_assert(h_serves(&hc));
	submit_getattrs(0, 30);
	vmm_queue_kick(hc.q);
	reap(30);
	OK(vmm_msg_get_base(hv, 1, &base));
	ck_assert_uint_eq((uint16_t)base, (uint16_t)(at + 130));
	h_stop();
}
END_TEST

START_TEST(test_replace_call)
{
	int i, fd, old;

	start(NULL);
	for (i = 0; i < 50; i++) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ck_assert_int_ge(fd, 0);
		if (i & 1) {
			/* In the middle of traffic. */
			submit_getattrs(0, 20);
			vmm_queue_kick(hc.q);
		}
		OK(vmm_msg_set_fd(hv, VU_SET_VRING_CALL, 1, fd));
		old = hc.q->call_fd;
		hc.q->call_fd = hc.q->call_peer = fd;
		if (i & 1)
			reap(20);
		close(old);
		ck_assert(h_serves(&hc));
	}
	h_stop();
}
END_TEST

START_TEST(test_replace_kick)
{
	int i, fd;

	start(NULL);
	for (i = 0; i < 20; i++) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ck_assert_int_ge(fd, 0);
		OK(vmm_msg_set_fd(hv, VU_SET_VRING_KICK, 1, fd));
		close(hc.q->kick_fd);
		hc.q->kick_fd = fd;
		ck_assert(h_serves(&hc) && h_serves(&hother));
	}
	h_stop();
}
END_TEST

/* Without a call fd nobody is signalled, and requests are served all the same. */
START_TEST(test_no_call)
{
	uint32_t id, len;
	long deadline;

	start(NULL);
	OK(vmm_msg_set_fd(hv, VU_SET_VRING_CALL, 1, -1));
	submit_getattrs(0, 3);
	vmm_queue_kick(hc.q);
	deadline = vmm_now_ms() + VMM_TIMEOUT_MS;
	while ((uint16_t)(hc.q->used->idx - hc.q->last_used) < 3 && vmm_now_ms() < deadline)
		usleep(1000);
	reap(3);
	FAILS(ETIMEDOUT, vmm_queue_wait(hc.q, 50, &id, &len));
	OK(vmm_msg_set_fd(hv, VU_SET_VRING_CALL, 1, hc.q->call_peer));
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

/* Who reads the calls has gone: a pipe without a reader must not end the daemon. */
START_TEST(test_call_pipe_broken)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .call_pipe = true };
	long deadline;

	start(&opts);
	close(hc.q->call_fd);
	hc.q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	close(hc.q->call_peer);
	hc.q->call_peer = -1;
	submit_getattrs(0, 3);
	vmm_queue_kick(hc.q);
	deadline = vmm_now_ms() + VMM_TIMEOUT_MS;
	while ((uint16_t)(hc.q->used->idx - hc.q->last_used) < 3 && vmm_now_ms() < deadline)
		usleep(1000);
	reap(3);
	ck_assert(h_serves(&hother));
	h_stop();
}
END_TEST

/* A pipe that nobody empties: the daemon must not block in it. */
START_TEST(test_call_pipe_full)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING };
	int pair[2], i;
	long deadline;

	start(&opts);
	ck_assert_int_eq(pipe(pair), 0);
	OK(vmm_msg_set_fd(hv, VU_SET_VRING_CALL, 1, pair[1]));
	ck_assert_int_ge(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	while (write(pair[1], "xxxxxxxx", 8) == 8)
		;
	ck_assert_int_ge(fcntl(pair[1], F_SETFL, 0), 0);
	for (i = 0; i < 10; i++) {
		hc.q->avail->ring[hc.q->size] = hc.q->last_used;
		submit_getattrs(0, 1);
		vmm_queue_kick(hc.q);
		deadline = vmm_now_ms() + VMM_TIMEOUT_MS;
		while (!vmm_queue_has_used(hc.q) && vmm_now_ms() < deadline)
			usleep(1000);
		reap(1);
	}
	ck_assert(h_serves(&hother));
	close(pair[0]);
	close(pair[1]);
	h_stop();
}
END_TEST

static void
set_up_again(void)
{
	unsigned int i;

	OK(vmm_set_features(hv));
	for (i = 0; i < hv->nr_queues; i++) {
		vmm_queue_clear(&hv->queue[i]);
		OK(vmm_queue_setup(&hv->queue[i], 0));
	}
	for (i = 0; i < hv->nr_queues; i++)
		OK(vmm_queue_enable(&hv->queue[i], true));
}

/* QEMU 11.1: RESET_DEVICE, then the rings anew; memory and protocol features are not sent again. */
START_TEST(test_reset_device)
{
	uint64_t node;
	uint32_t base;
	int round;

	start(NULL);
	h_put("f", "x", 1);
	for (round = 0; round < 3; round++) {
		node = h_node("f");
		for (unsigned int i = 0; round > 0 && i < hv->nr_queues; i++)
			OK(vmm_msg_get_base(hv, i, &base));
		OK(vmm_msg_set(hv, VU_RESET_DEVICE, NULL, 0, NULL, 0));
		set_up_again();
		/* The session's state is gone, as after DESTROY. */
		FAILS(EBADF, fc_getattr(&hc, node, NULL));
		OK(fc_init(&hc, ~0ull));
		ck_assert(h_serves(&hc) && h_serves(&hother));
	}
	h_stop();
}
END_TEST

/* Does a process of the daemon have a descriptor of this file? */
static bool
is_held(const char *rel)
{
	const struct stat want = h_stat(rel);
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS);
	bool held = false;

	for (unsigned int i = 0; i < n; i++) {
		char path[300];
		struct dirent *e;
		struct stat st;
		DIR *d;

		snprintf(path, sizeof(path), "/proc/%d/fd", procs[i].pid);
		d = opendir(path);
		while (d != NULL && (e = readdir(d)) != NULL) {
			snprintf(path, sizeof(path), "/proc/%d/fd/%s", procs[i].pid, e->d_name);
			held |= stat(path, &st) == 0 && st.st_ino == want.st_ino && st.st_dev == want.st_dev;
		}
		if (d != NULL)
			closedir(d);
	}
	return held;
}

/* What the guest knew and had open is let go of at the reset: not at the INIT of the next one, which may never come. */
START_TEST(test_reset_releases)
{
	static const char *const args[] = { "--fd-donation=never", NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = _i == 0 ? NULL : args };
	struct fuse_open_out o;

	start(&opts);
	h_put("f", "x", 1);
	OK(mkdir(h_path("d"), 0755));
	OK(fc_open_file(&hc, h_node("f"), O_RDWR, &o));
	OK(fc_opendir(&hc, h_node("d"), &o));
	ck_assert(is_held("f") && is_held("d"));
	OK(vmm_msg_set(hv, VU_RESET_DEVICE, NULL, 0, NULL, 0));
	for (int ms = 0; is_held("f") || is_held("d"); ms += 10) {
		ck_assert_int_lt(ms, VMM_TIMEOUT_MS);
		usleep(10000);
	}
	/* What is new stays. */
	set_up_again();
	OK(fc_init(&hc, ~0ull));
	OK(fc_open_file(&hc, h_node("f"), O_RDWR, &o));
	ck_assert_int_eq(fc_write(&hc, h_node("f"), o.fh, 1, "yz", 2, O_RDWR), 2);
	ck_assert_int_eq((int)h_stat("f").st_size, 3);
	h_stop();
}
END_TEST

/* With requests in flight: they are completed or never, but not after the answer. */
START_TEST(test_reset_in_flight)
{
	uint16_t used;
	int round;

	start(NULL);
	for (round = 0; round < 10; round++) {
		submit_getattrs(0, 60);
		vmm_queue_kick(hc.q);
		OK(vmm_msg_set(hv, VU_RESET_DEVICE, NULL, 0, NULL, 0));
		used = hc.q->used->idx;
		usleep(20000);
		ck_assert_uint_eq(hc.q->used->idx, used);
		set_up_again();
		OK(fc_init(&hc, ~0ull));
		ck_assert(h_serves(&hc));
	}
	h_stop();
}
END_TEST

START_TEST(test_reset_first)
{
	struct vmm_opts opts = { .stage = VMM_NEGOTIATED };
	unsigned int i;

	h_start_opts(&opts, false);
	OK(vmm_msg_set(hv, VU_RESET_DEVICE, NULL, 0, NULL, 0));
	OK(vmm_msg_set(hv, VU_RESET_DEVICE, NULL, 0, NULL, 0));
	OK(vmm_set_features(hv));
	OK(vmm_set_memory(hv));
	for (i = 0; i < 2; i++)
		OK(vmm_queue_create(hv, i, 64));
	for (i = 0; i < 2; i++)
		OK(vmm_queue_setup(&hv->queue[i], 0));
	for (i = 0; i < 2; i++)
		OK(vmm_queue_enable(&hv->queue[i], true));
	OK(fc_open(&hc, hv, 1));
	OK(fc_init(&hc, ~0ull));
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

/* Guest reboot without RESET_DEVICE: rings stopped and made anew, INIT again. */
START_TEST(test_guest_reboot)
{
	uint32_t base;
	unsigned int i;
	int round;

	start(NULL);
	for (round = 0; round < 5; round++) {
		for (i = 0; i < hv->nr_queues; i++)
			OK(vmm_queue_enable(&hv->queue[i], false));
		for (i = 0; i < hv->nr_queues; i++)
			OK(vmm_msg_get_base(hv, i, &base));
		set_up_again();
		OK(fc_init(&hc, ~0ull));
		ck_assert(h_serves(&hc) && h_serves(&hother));
	}
	h_stop();
}
END_TEST

/* Without VHOST_USER_F_PROTOCOL_FEATURES acknowledged, rings are enabled by their kick fd. */
START_TEST(test_no_protocol_bit)
{
	struct vmm_opts opts = { .stage = VMM_CONNECTED, .mem_table = true };
	uint64_t v = VIRTIO_F_VERSION1;

	h_start_opts(&opts, false);
	OK(vmm_msg_get_u64(hv, VU_GET_FEATURES, &hv->features));
	OK(vmm_msg_set(hv, VU_SET_OWNER, NULL, 0, NULL, 0));
	hv->acked = v;
	OK(vmm_msg_set_u64(hv, VU_SET_FEATURES, v));
	OK(vmm_set_memory(hv));
	OK(vmm_queue_create(hv, 1, 64));
	OK(vmm_queue_setup(&hv->queue[1], 0));
	OK(fc_open(&hc, hv, 1));
	OK(fc_init(&hc, ~0ull));
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

TCase *
check_vhost_ring(void)
{
	TCase *t = tcase_create("ring");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_modes, 0, (int)(sizeof(modes) / sizeof(modes[0])));
	tcase_add_loop_test(t, test_many_in_flight, 0, 2);
	tcase_add_test(t, test_base_after_traffic);
	tcase_add_test(t, test_stop_drains);
	tcase_add_test(t, test_stop_and_resume);
	tcase_add_test(t, test_disable);
	tcase_add_test(t, test_kick_before_enable);
	tcase_add_test(t, test_no_kick_at_start);
	tcase_add_loop_test(t, test_index_wraps, 0, 2);
	tcase_add_test(t, test_replace_call);
	tcase_add_test(t, test_replace_kick);
	tcase_add_test(t, test_no_call);
	tcase_add_test(t, test_call_pipe_broken);
	tcase_add_test(t, test_call_pipe_full);
	tcase_add_test(t, test_reset_device);
	tcase_add_loop_test(t, test_reset_releases, 0, 2);
	tcase_add_test(t, test_reset_in_flight);
	tcase_add_test(t, test_reset_first);
	tcase_add_test(t, test_guest_reboot);
	tcase_add_test(t, test_no_protocol_bit);
	return t;
}
