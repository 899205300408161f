/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_hostile_ring - available and used rings with impossible contents, kicks for nothing.
 *
 * Runs in: check_hostile. Here a ring may stop; it alone, and a driver that sets it up again has
 * it back.
 */
#include "check_hostile.h"

#include <string.h>
#include <unistd.h>

#define QUIET_MS 300	/* how long a stopped ring is watched */

static uint64_t
publish_getattr(void)
{
	struct fuse_getattr_in in = { 0 };
	struct fc_part part = { &in, sizeof(in) };
	uint64_t unique = hc.unique;

	vmm_queue_clear_desc(hc.q);
	fc_build(&hc, FUSE_GETATTR, FC_ROOT, &part, 1);
	hc.q->desc[0] = (struct vring_desc){ hc.req_gpa, 56, VRING_DESC_F_NEXT, 1 };
	hc.q->desc[1] = (struct vring_desc){ hc.rep_gpa, 120, VRING_DESC_F_WRITE, 0 };
	return unique;
}

/* Whatever the ring did, after a new set-up it serves. */
static void
expect_recovers(const char *what)
{
	hostile_check_others(what);
	OK(vmm_queue_restart(hc.q));
	hostile_check_all(what);
}

static const uint16_t jumps[] = { 129, 130, 0x100, 0x7fff, 0x8000, 0xfffe, 0xffff };

START_TEST(test_avail_jump)
{
	uint16_t before;

	publish_getattr();
	before = hc.q->used->idx;
	memset(hc.q->avail->ring, 0, 2u * hc.q->size);
	vmm_queue_set_avail_idx(hc.q, (uint16_t)(hc.q->avail_idx + jumps[_i]));
	vmm_queue_kick_now(hc.q);
	usleep(QUIET_MS * 1000);
	hostile_check_others("a jump of avail.idx");
	ck_assert_msg(hc.q->used->idx == before, "%u entries of an impossible ring were used",
	    (unsigned int)(uint16_t)(hc.q->used->idx - before));
	/* A stopped ring costs nothing and stays quiet under kicks. */
	for (int i = 0; i < 100; i++)
		vmm_queue_kick_now(hc.q);
	ck_assert(h_serves(&hother));
	expect_recovers("a jump of avail.idx");
}
END_TEST

/* Exactly `size` entries at once are allowed. */
START_TEST(test_avail_full)
{
	uint16_t before = hc.q->used->idx;
	uint32_t id, len;
	unsigned int i;

	publish_getattr();
	for (i = 0; i < hc.q->size; i++)
		vmm_queue_publish(hc.q, 0);
	vmm_queue_kick_now(hc.q);
	for (i = 0; i < hc.q->size; i++) {
		OK(vmm_queue_wait(hc.q, VMM_TIMEOUT_MS, &id, &len));
		ck_assert_uint_eq(id, 0);
	}
	ck_assert_uint_eq((uint16_t)(hc.q->used->idx - before), hc.q->size);
	vmm_queue_clear_desc(hc.q);
	hostile_check_all("the same chain as often as the ring has room");
}
END_TEST

static const uint16_t heads[] = { 128, 129, 0x7fff, 0x8000, 0xffff };

START_TEST(test_head_too_large)
{
	uint16_t before = hc.q->used->idx;

	publish_getattr();
	vmm_queue_publish(hc.q, heads[_i]);
	vmm_queue_kick_now(hc.q);
	usleep(QUIET_MS * 1000);
	ck_assert_uint_le((uint16_t)(hc.q->used->idx - before), 1);
	expect_recovers("a head outside the table");
}
END_TEST

struct used_wait {
	uint16_t idx;
};

static bool
used_is(void *arg)
{
	const struct used_wait *w = arg;

	return __atomic_load_n(&hc.q->used->idx, __ATOMIC_ACQUIRE) == w->idx;
}

/* The driver scribbles over the used ring: the device knows by itself where it is. */
START_TEST(test_used_scribbled)
{
	struct used_wait w = { (uint16_t)(hc.q->used->idx + 1) };

	publish_getattr();
	memset(hc.q->used, 0x5a, 4 + 8u * hc.q->size);
	vmm_queue_publish(hc.q, 0);
	vmm_queue_kick_now(hc.q);
	ck_assert(h_eventually(used_is, &w, 2000));
	expect_recovers("a scribbled used ring");
}
END_TEST

START_TEST(test_avail_flags)
{
	hc.q->avail->flags = 0xffff;
	hostile_check_others("avail.flags");
	publish_getattr();
	vmm_queue_publish(hc.q, 0);
	vmm_queue_kick_now(hc.q);
	{
		struct used_wait w = { hc.q->avail_idx };

		ck_assert(h_eventually(used_is, &w, 2000));
	}
	expect_recovers("avail.flags");
}
END_TEST

/* Every value of used_event: at worst a signal is missing, nothing else. */
START_TEST(test_used_event)
{
	static const uint16_t values[] = { 0, 1, 0x7fff, 0x8000, 0xffff };
	struct used_wait w;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		publish_getattr();
		hc.q->avail->ring[hc.q->size] = values[i];
		w.idx = (uint16_t)(hc.q->avail_idx + 1);
		vmm_queue_publish(hc.q, 0);
		vmm_queue_kick_now(hc.q);
		ck_assert(h_eventually(used_is, &w, 2000));
		hostile_check_others("used_event");
	}
	expect_recovers("used_event");
}
END_TEST

/* Kicks without buffers, also by values other than 1. */
START_TEST(test_kick_storm)
{
	const uint64_t many = 0xfffffffffffffffdull;
	const uint64_t one = 1;

	for (int i = 0; i < 5000; i++) {
		if (write(hc.q->kick_fd, &one, sizeof(one)) < 0)
			ck_assert_int_eq(errno, EAGAIN);
	}
	if (write(hc.q->kick_fd, &many, sizeof(many)) < 0)
		ck_assert_int_eq(errno, EAGAIN);
	hostile_check_all("a storm of kicks");
}
END_TEST

/* A request rewritten while it is being read: one of its versions is answered, or it is refused. */
START_TEST(test_changing_request)
{
	struct fuse_in_header h;
	long deadline;
	uint32_t id, len;
	unsigned int i;

	for (i = 0; i < 2000; i++) {
		publish_getattr();
		memcpy(&h, hc.req, sizeof(h));
		vmm_queue_publish(hc.q, 0);
		vmm_queue_kick_now(hc.q);
		deadline = vmm_now_ms() + VMM_TIMEOUT_MS;
		while (!vmm_queue_has_used(hc.q) && vmm_now_ms() < deadline) {
			h.len ^= 0xfff0;
			h.opcode ^= FUSE_GETATTR ^ FUSE_READDIR;
			memcpy(hc.req, &h, sizeof(h));
			hc.q->desc[1].len ^= 0xffff0000u;
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
		}
		OK(vmm_queue_wait(hc.q, VMM_TIMEOUT_MS, &id, &len));
		ck_assert(len == 0 || len == 16 || len == 120);
	}
	vmm_queue_clear_desc(hc.q);
	hostile_check_all("a changing request");
}
END_TEST

/* The queue is stopped by a guest again and again: no thread, no fd may leak. */
START_TEST(test_break_often)
{
	int i;

	for (i = 0; i < 50; i++) {
		vmm_queue_set_avail_idx(hc.q, (uint16_t)(hc.q->avail_idx + 1000));
		vmm_queue_kick_now(hc.q);
		OK(vmm_queue_restart(hc.q));
		ck_assert(h_serves(&hc));
	}
	hostile_check_all("fifty broken rings");
}
END_TEST

TCase *
check_hostile_ring(void)
{
	TCase *t = tcase_create("ring");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, hostile_setup, hostile_stop);
	tcase_add_loop_test(t, test_avail_jump, 0, (int)(sizeof(jumps) / sizeof(jumps[0])));
	tcase_add_test(t, test_avail_full);
	tcase_add_loop_test(t, test_head_too_large, 0, (int)(sizeof(heads) / sizeof(heads[0])));
	tcase_add_test(t, test_used_scribbled);
	tcase_add_test(t, test_avail_flags);
	tcase_add_test(t, test_used_event);
	tcase_add_test(t, test_kick_storm);
	tcase_add_test(t, test_changing_request);
	tcase_add_test(t, test_break_often);
	return t;
}
