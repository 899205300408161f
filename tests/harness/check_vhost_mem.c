/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_vhost_mem - the memory table: how it is set, what is refused, changes while serving.
 *
 * Runs in: check_vhost.
 */
#include "check_vhost.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct table {
	uint32_t num;
	uint32_t padding;
	struct vu_region reg[40];
};

static void
start_table(enum vmm_stage stage)
{
	struct vmm_opts opts = { .stage = stage, .mem_table = true };

	h_start_opts(&opts, stage == VMM_RUNNING);
}

START_TEST(test_mem_table)
{
	start_table(VMM_RUNNING);
	ck_assert(h_serves(&hc) && h_serves(&hother));
	/* The same again, while serving. */
	OK(vmm_set_memory(hv));
	ck_assert(h_serves(&hc) && h_serves(&hother));
	h_stop();
}
END_TEST

/* UML 6.1: room for two regions, one of them filled in. */
START_TEST(test_mem_table_room)
{
	struct vmm_opts opts = { .stage = VMM_NEGOTIATED, .mem_table = true, .regions = 1 };
	struct table t = { .num = 1 };

	h_start_opts(&opts, false);
	OK(vmm_set_features(hv));
	t.reg[0] = hv->region[0];
	OK(vmm_msg_set(hv, VU_SET_MEM_TABLE, &t, 72, &hv->mem_fd, 1));
	OK(vmm_queue_create(hv, 1, 64));
	OK(vmm_queue_setup(&hv->queue[1], 0));
	OK(vmm_queue_enable(&hv->queue[1], true));
	OK(fc_open(&hc, hv, 1));
	OK(fc_init(&hc, ~0ull));
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

static const struct {
	uint32_t num, padding, size;
	unsigned int nr_fds;
} bad_tables[] = {
	{ 0, 0, 8, 0 }, { 0, 0, 8, 1 }, { 1, 1, 40, 1 }, { 1, 0, 40, 0 }, { 1, 0, 40, 2 },
	{ 2, 0, 40, 2 }, { 2, 0, 72, 1 }, { 33, 0, 8 + 33 * 32, 8 }, { 0xffffffffu, 0, 40, 1 },
	{ 1, 0, 39, 1 },
};

START_TEST(test_bad_table)
{
	struct vu_header h = { VU_SET_MEM_TABLE, VU_VERSION | VU_NEED_REPLY,
		bad_tables[_i].size };
	struct table t = { .num = bad_tables[_i].num, .padding = bad_tables[_i].padding };
	int fds[8], i;

	start_table(VMM_NEGOTIATED);
	for (i = 0; i < 8; i++)
		fds[i] = hv->mem_fd;
	for (i = 0; i < 40; i++)
		t.reg[i] = (struct vu_region){ (uint64_t)i << 20, 1 << 20,
			hv->region[0].uaddr + ((uint64_t)i << 20), (uint64_t)i << 20 };
	vhost_expect_end(&h, &t, fds, bad_tables[_i].nr_fds);
}
END_TEST

enum bad_region { ZERO_SIZE, BEYOND_END, BEYOND_END_OFFSET, GPA_WRAPS, OFFSET_UNALIGNED, OVERLAP,
	OVERLAP_INSIDE, SAME_AGAIN, OFFSET_HUGE, NR_BAD_REGIONS };

static struct vu_region
make_bad_region(enum bad_region kind)
{
	struct vu_region r = { hv->opts.mem_size + (1 << 20), 1 << 20, 0x600000000000ull, 0 };

	switch (kind) {
	case ZERO_SIZE: r.size = 0; break;
	case BEYOND_END: r.size = hv->opts.mem_size + 4096; break;
	case BEYOND_END_OFFSET: r.offset = hv->opts.mem_size - 4096; break;
	case GPA_WRAPS: r.gpa = ~0ull - 4095; break;
	case OFFSET_UNALIGNED: r.offset = 512; break;
	case OVERLAP: r.gpa = hv->opts.mem_size - 4096; break;
	case OVERLAP_INSIDE: r.gpa = 1 << 20; break;
	case SAME_AGAIN: r = hv->region[0]; break;
	case OFFSET_HUGE: r.offset = 1ull << 63; break;
	case NR_BAD_REGIONS: break;
	}
	return r;
}

/* While a ring is served: the session ends all the same, with the acknowledgement first. */
START_TEST(test_bad_region)
{
	struct vu_one_region one = { 0, { 0 } };

	vhost_start(VMM_RUNNING, NULL);
	one.reg = make_bad_region((enum bad_region)_i);
	vhost_expect_refused(VU_ADD_MEM_REG, &one, sizeof(one), &hv->mem_fd, 1);
}
END_TEST

START_TEST(test_bad_region_table)
{
	struct table t = { .num = 3 };
	int fds[3];

	start_table(VMM_NEGOTIATED);
	OK(vmm_set_features(hv));
	t.reg[0] = hv->region[0];
	t.reg[1] = hv->region[1];
	t.reg[2] = make_bad_region((enum bad_region)_i);
	fds[0] = fds[1] = fds[2] = hv->mem_fd;
	vhost_expect_refused(VU_SET_MEM_TABLE, &t, 8 + 3 * 32, fds, 3);
}
END_TEST

START_TEST(test_add_fds)
{
	static const unsigned int counts[] = { 0, 2 };
	struct vu_header h = { VU_ADD_MEM_REG, VU_VERSION | VU_NEED_REPLY, 40 };
	struct vu_one_region one = { 0, { 0 } };
	int fds[2];

	vhost_start(VMM_MEMORY, NULL);
	one.reg = (struct vu_region){ 1ull << 32, 4096, 0x600000000000ull, 0 };
	fds[0] = fds[1] = hv->mem_fd;
	vhost_expect_end(&h, &one, fds, counts[_i]);
}
END_TEST

/* A third region appears, is used for buffers, and goes away while everything else goes on. */
START_TEST(test_add_and_remove)
{
	struct vu_one_region one = { 0, { 1ull << 32, 1 << 20, 0x600000000000ull, 4096 } };
	struct fuse_getattr_in in = { 0 };
	struct fc_part part = { &in, sizeof(in) };
	struct fuse_out_header out;
	struct vring_desc sg[2];
	uint32_t id, len;
	uint8_t *p;
	int fd, i;

	vhost_start(VMM_RUNNING, NULL);
	fd = memfd_create("more", MFD_CLOEXEC);
	ck_assert(fd >= 0 && ftruncate(fd, 2 << 20) == 0);
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
	ck_assert(p != MAP_FAILED);
	for (i = 0; i < 5; i++) {
		OK(vmm_msg_set(hv, VU_ADD_MEM_REG, &one, sizeof(one), &fd, 1));
		len = (uint32_t)fc_build(&hc, FUSE_GETATTR, FC_ROOT, &part, 1);
		memset(p, 0, 65536);
		memcpy(p + 100, hc.req, len);
		sg[0] = (struct vring_desc){ one.reg.gpa + 100, len, 0, 0 };
		sg[1] = (struct vring_desc){ one.reg.gpa + 8192, 120, VRING_DESC_F_WRITE, 0 };
		ck_assert_int_ge(vmm_queue_add(hc.q, sg, 2, i & 1), 0);
		vmm_queue_kick(hc.q);
		OK(vmm_queue_wait(hc.q, VMM_TIMEOUT_MS, &id, &len));
		memcpy(&out, p + 8192, sizeof(out));
		ck_assert_uint_eq(len, 120);
		ck_assert_uint_eq(out.len, 120);
		OK(vmm_msg_set(hv, VU_REM_MEM_REG, &one, sizeof(one), NULL, 0));
		/* Now these addresses are nowhere. */
		ck_assert_int_ge(vmm_queue_add(hc.q, sg, 2, i & 1), 0);
		vmm_queue_kick(hc.q);
		OK(vmm_queue_wait(hc.q, VMM_TIMEOUT_MS, &id, &len));
		ck_assert_uint_eq(len, 0);
		ck_assert(h_serves(&hc) && h_serves(&hother));
	}
	munmap(p, 1 << 20);
	close(fd);
	h_stop();
}
END_TEST

START_TEST(test_remove_with_fd)
{
	struct vu_one_region one = { 0, { 1ull << 32, 1 << 20, 0x600000000000ull, 0 } };

	vhost_start(VMM_RUNNING, NULL);
	OK(vmm_msg_set(hv, VU_ADD_MEM_REG, &one, sizeof(one), &hv->mem_fd, 1));
	OK(vmm_msg_set(hv, VU_REM_MEM_REG, &one, sizeof(one), &hv->mem_fd, 1));
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

START_TEST(test_remove_unknown)
{
	struct vu_one_region one = { 0, { 1ull << 32, 1 << 20, 0x600000000000ull, 0 } };

	vhost_start(VMM_RUNNING, NULL);
	vhost_expect_refused(VU_REM_MEM_REG, &one, sizeof(one), NULL, 0);
	vhost_start(VMM_RUNNING, NULL);
	one.reg = hv->region[1];
	one.reg.size -= 4096;
	vhost_expect_refused(VU_REM_MEM_REG, &one, sizeof(one), NULL, 0);
}
END_TEST

/* The memory the rings live in goes away: nothing may be touched, and it may come back. */
START_TEST(test_remove_under_ring)
{
	int err;

	vhost_start(VMM_RUNNING, NULL);
	err = vmm_rem_region(hv, 0);
	if (err == 0) {
		vmm_queue_kick_now(hc.q);
		usleep(50000);
		ck_assert(!vmm_is_closed(hv, 0));
		OK(vmm_add_region(hv, 0));
		OK(vmm_queue_restart(hc.q));
		ck_assert(h_serves(&hc));
		h_stop();
	} else {
		FAILS(EREMOTEIO, err);
		h_expect_ended(0);
	}
}
END_TEST

/* As QEMU does for regions that changed: all of them are removed, then added again, and the rings are told nothing. */
START_TEST(test_removed_and_added_again)
{
	vhost_start(VMM_RUNNING, NULL);
	for (unsigned int i = 0; i < hv->nr_regions; i++)
		OK(vmm_rem_region(hv, i));
	for (unsigned int i = 0; i < hv->nr_regions; i++)
		OK(vmm_add_region(hv, i));
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

/* Every message makes all queues' threads stand still: none of them may miss that, nor its end. */
START_TEST(test_add_and_remove_often)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .queues = 17 };
	struct vu_one_region one[8] = { 0 };

	h_start_opts(&opts, true);
	for (uint64_t i = 0; i < 8; i++)
		one[i].reg = (struct vu_region){ .gpa = (1ull << 46) + (i << 30), .size = 1 << 20,
			.uaddr = (3ull << 45) + (i << 30) };
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < 8; i++)
			OK(vmm_msg_set(hv, VU_ADD_MEM_REG, &one[i], sizeof(one[i]), &hv->mem_fd, 1));
		for (unsigned int i = 0; i < 8; i++)
			OK(vmm_msg_set(hv, VU_REM_MEM_REG, &one[i], sizeof(one[i]), NULL, 0));
	}
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

static const struct {
	uint64_t desc_add, avail_add, used_add;
	uint32_t flags;
} bad_addrs[] = {
	{ 8, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 2, 0 }, { 0, 0, 0, 2 }, { 1ull << 46, 0, 0, 0 },
	{ 0, 1ull << 46, 0, 0 }, { 0, 0, 1ull << 46, 0 },
};

/* Misaligned is a malformed message, unmapped a failed one: acknowledged or not, it is the end. */
START_TEST(test_bad_ring_address)
{
	struct vu_header h = { VU_SET_VRING_ADDR, VU_VERSION | VU_NEED_REPLY, sizeof(struct vu_addr) };
	struct vmm_queue *q;
	struct vu_addr a;

	vhost_start(VMM_MEMORY, NULL);
	OK(vmm_queue_create(hv, 1, 64));
	q = &hv->queue[1];
	OK(vmm_msg_set_state(hv, VU_SET_VRING_NUM, 1, 64));
	a = (struct vu_addr){ .index = 1, .flags = bad_addrs[_i].flags,
		.desc = vmm_uaddr(hv, q->desc_gpa) + bad_addrs[_i].desc_add,
		.avail = vmm_uaddr(hv, q->avail_gpa) + bad_addrs[_i].avail_add,
		.used = vmm_uaddr(hv, q->used_gpa) + bad_addrs[_i].used_add };
	vhost_expect_end(&h, &a, NULL, 0);
}
END_TEST

START_TEST(test_ring_without_memory)
{
	struct vu_addr a = { .index = 1, .desc = 4096, .avail = 8192, .used = 12288 };

	vhost_start(VMM_NEGOTIATED, NULL);
	OK(vmm_set_features(hv));
	OK(vmm_msg_set_state(hv, VU_SET_VRING_NUM, 1, 64));
	vhost_expect_refused(VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
}
END_TEST

/* The last bytes of the ring must lie in the region too. */
START_TEST(test_ring_at_region_end)
{
	struct vu_addr a = { .index = 1 };
	int err;

	vhost_start(VMM_MEMORY, NULL);
	OK(vmm_msg_set_state(hv, VU_SET_VRING_NUM, 1, 1024));
	a.avail = hv->region[0].uaddr + 4096;
	a.used = hv->region[0].uaddr + 8192;
	a.desc = hv->region[0].uaddr + hv->region[0].size - 4096;
	err = vmm_msg_set(hv, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
	if (err == 0) {
		/* Accepted: then it must not be used. */
		OK(vmm_queue_create(hv, 1, 64));
		OK(vmm_msg_set_fd(hv, VU_SET_VRING_KICK, 1, hv->queue[1].kick_fd));
		OK(vmm_msg_set_state(hv, VU_SET_VRING_ENABLE, 1, 1));
		vmm_queue_kick_now(&hv->queue[1]);
		usleep(50000);
		ck_assert(!vmm_is_closed(hv, 0));
		h_stop();
	} else {
		FAILS(EREMOTEIO, err);
		h_expect_ended(0);
	}
}
END_TEST

TCase *
check_vhost_mem(void)
{
	TCase *t = tcase_create("mem");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_mem_table);
	tcase_add_test(t, test_mem_table_room);
	tcase_add_loop_test(t, test_bad_table, 0,
	    (int)(sizeof(bad_tables) / sizeof(bad_tables[0])));
	tcase_add_loop_test(t, test_bad_region, 0, NR_BAD_REGIONS);
	tcase_add_loop_test(t, test_bad_region_table, 0, NR_BAD_REGIONS);
	tcase_add_loop_test(t, test_add_fds, 0, 2);
	tcase_add_test(t, test_add_and_remove);
	tcase_add_test(t, test_remove_with_fd);
	tcase_add_test(t, test_remove_unknown);
	tcase_add_test(t, test_remove_under_ring);
	tcase_add_test(t, test_removed_and_added_again);
	tcase_add_test(t, test_add_and_remove_often);
	tcase_add_loop_test(t, test_bad_ring_address, 0,
	    (int)(sizeof(bad_addrs) / sizeof(bad_addrs[0])));
	tcase_add_test(t, test_ring_without_memory);
	tcase_add_test(t, test_ring_at_region_end);
	return t;
}
