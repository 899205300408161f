/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/vhost_user*.c: what a VMM may do. Links vhost_user_peer.c, front/vhost_user*.c, front/vring.c,
 * front/guest_memory.c, common/log.c.
 */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "tests/unit/vhost_user_peer.h"

START_TEST(offers)
{
	ck_assert_uint_eq(peer_get(VU_GET_FEATURES), 0x170000000);
	ck_assert_uint_eq(peer_get(VU_GET_PROTOCOL_FEATURES), 0xa629);
	peer_features(PEER_FEATURES, PEER_PROTO);
	ck_assert_uint_eq(peer_get(VU_GET_QUEUE_NUM), 17);
	ck_assert_uint_eq(peer_get(VU_GET_MAX_MEM_SLOTS), 509);
	ck_assert_int_eq(peer_finish(), VHOST_EOF);
}
END_TEST

START_TEST(no_tag)
{
	const struct vu_config c = { .size = 4 };

	dev.has_tag = false;
	ck_assert_uint_eq(peer_get(VU_GET_PROTOCOL_FEATURES), 0xa429);
	peer_features(PEER_FEATURES, PEER_PROTO);
	ck_assert_int_eq(peer_ack(VU_GET_CONFIG, &c, VU_CONFIG_HDR + 4, NULL, 0), -1);
	ck_assert_int_eq(peer_finish(), VHOST_BAD);
}
END_TEST

/* As QEMU does: two rings, stop, RESET_DEVICE, again. */
START_TEST(qemu)
{
	const char *starts[] = { "start0 ", "start1 " };

	peer_told(VU_RESET_OWNER, NULL, 0, -1);
	peer_told(VU_SET_OWNER, NULL, 0, -1);
	for (uint32_t q = 0; q < 2; q++)
		ck_assert_str_eq(peer_told_fd(VU_SET_VRING_CALL, q), q == 0 ? "call0 " : "call1 ");
	peer_ready();
	ck_assert(rings[0].event_idx && rings[16].event_idx);
	for (int round = 0; round < 3; round++) {
		for (uint32_t q = 0; q < 2; q++) {
			peer_told_state(VU_SET_VRING_NUM, q, 128);
			peer_told_state(VU_SET_VRING_BASE, q, 65000 + q);
			peer_told_addr(q);
			ck_assert_str_eq(peer_told_fd(VU_SET_VRING_KICK, q), "");
			peer_told_fd(VU_SET_VRING_ERR, q);
		}
		for (uint32_t q = 0; q < 2; q++)
			ck_assert_str_eq(peer_told_state(VU_SET_VRING_ENABLE, q, 1), starts[q]);
		ck_assert_str_eq(peer_told_fd(VU_SET_VRING_CALL, 1), "call1 ");
		ck_assert_str_eq(peer_told_state(VU_SET_VRING_ENABLE, 0, 0), "stop0 ");
		for (uint32_t q = 0; q < 2; q++) {
			rings[q].next_avail++;
			ck_assert_uint_eq(peer_base(q), 65001 + q);
			ck_assert_int_eq(rings[q].call_fd, -1);
			ck_assert(!running[q]);
		}
		ck_assert_str_eq(peer_told(VU_RESET_DEVICE, NULL, 0, -1), "reset0 ");
		ck_assert_str_eq(peer_told(VU_RESET_DEVICE, NULL, 0, -1), "reset0 ");
		ck_assert_uint_eq(dev.memory.nregions, 1);
		peer_told(VU_SET_FEATURES, &(uint64_t){ PEER_FEATURES }, 8, -1);
	}
	ck_assert_int_eq(peer_finish(), VHOST_EOF);
}
END_TEST

/* A ring starts with the last of the four things it needs, in whatever order they come. */
START_TEST(start_order)
{
	unsigned perm = (unsigned)_i, left[4] = { 0, 1, 2, 3 };

	peer_ready();
	for (unsigned n = 4; n > 0; n--) {
		unsigned k = perm % n, what = left[k];
		const char *s = what == 0 ? peer_told_state(VU_SET_VRING_NUM, 3, 16) : what == 1 ? peer_told_addr(3) :
		    what == 2 ? peer_told_fd(VU_SET_VRING_KICK, 3) : peer_told_state(VU_SET_VRING_ENABLE, 3, 1);

		perm /= n;
		left[k] = left[n - 1];
		ck_assert_str_eq(s, n == 1 ? "start3 " : "");
	}
	/* Any of them while it runs: stopped and started again. */
	ck_assert_str_eq(peer_told_state(VU_SET_VRING_NUM, 3, 32), "stop3 start3 ");
	ck_assert_str_eq(peer_told_state(VU_SET_VRING_BASE, 3, 5), "stop3 start3 ");
	ck_assert_uint_eq(rings[3].next_avail, 5);
	ck_assert_str_eq(peer_told_addr(3), "stop3 start3 ");
	ck_assert_str_eq(peer_told_fd(VU_SET_VRING_KICK, 3), "stop3 start3 ");
	ck_assert_str_eq(peer_told_fd(VU_SET_VRING_CALL, 3), "call3 ");
	ck_assert_str_eq(peer_told_state(VU_SET_VRING_ENABLE, 3, 1), "");
	ck_assert_str_eq(peer_told(VU_SET_FEATURES, &(uint64_t){ PEER_FEATURES }, 8, -1), "");
	ck_assert_str_eq(peer_told(VU_SET_FEATURES, &(uint64_t){ PEER_FEATURES & ~VU_FEAT_EVENT_IDX }, 8, -1), "stop3 start3 ");
	ck_assert(!rings[3].event_idx);
	ck_assert_str_eq(peer_told(VU_SET_VRING_KICK, &(uint64_t){ 3 | VU_VRING_NOFD }, 8, -1), "stop3 ");
	ck_assert_str_eq(peer_told_fd(VU_SET_VRING_KICK, 3), "start3 ");
	ck_assert_str_eq(peer_told(VU_RESET_DEVICE, NULL, 0, -1), "stop3 reset0 ");
	ck_assert_str_eq(peer_told_state(VU_SET_VRING_ENABLE, 3, 1), "start3 ");
}
END_TEST

/* GET_VRING_BASE takes the kick fd away: the ring waits for another one. */
START_TEST(base_stops)
{
	peer_ready();
	peer_told_state(VU_SET_VRING_NUM, 3, 16);
	peer_told_addr(3);
	peer_told_fd(VU_SET_VRING_KICK, 3);
	ck_assert_str_eq(peer_told_state(VU_SET_VRING_ENABLE, 3, 1), "start3 ");
	ck_assert_uint_eq(peer_base(3), 0);
	ck_assert(!running[3]);
	ck_assert_str_eq(peer_told_addr(3), "");
	ck_assert_str_eq(peer_told_fd(VU_SET_VRING_KICK, 3), "start3 ");
}
END_TEST

/* The second channel takes the place of the first, which is closed (teardown counts). */
START_TEST(backend_channels)
{
	int p[2];

	peer_ready();
	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	for (int i = 0; i < 3; i++)
		peer_told(VU_SET_BACKEND_REQ_FD, NULL, 0, p[1]);
	fd_close_all(p, 2);
	ck_assert_int_eq(peer_finish(), VHOST_EOF);
}
END_TEST

/* Address 0 may be memory: a ring that was never placed does not run there. */
START_TEST(no_addr)
{
	const struct vu_one_region r = { 0, { 0, MEMSIZE, 0, 0 } };

	peer_features(PEER_FEATURES, PEER_PROTO);
	peer_told(VU_ADD_MEM_REG, &r, sizeof(r), memfd);
	peer_told_state(VU_SET_VRING_NUM, 0, 16);
	peer_told_fd(VU_SET_VRING_KICK, 0);
	ck_assert_str_eq(peer_told_state(VU_SET_VRING_ENABLE, 0, 1), "");
	ck_assert(!running[0]);
}
END_TEST

START_TEST(no_protocol_features)
{
	const uint64_t f = PEER_FEATURES & ~VU_FEAT_PROTOCOL_FEATURES;
	const struct vu_mem_table t = { 1, 0, { { GPA, MEMSIZE, UADDR, 0 } } };

	peer_told(VU_SET_FEATURES, &f, 8, -1);
	/* Room for two regions, one used: UML 6.1. */
	peer_told(VU_SET_MEM_TABLE, &t, 72, memfd);
	ck_assert_uint_eq(dev.memory.nregions, 1);
	peer_told_state(VU_SET_VRING_NUM, 16, 16);
	peer_told_addr(16);
	ck_assert_str_eq(peer_told_fd(VU_SET_VRING_KICK, 16), "start16 ");
}
END_TEST

START_TEST(memory_changes)
{
	struct vu_one_region r = { 0, { GPA + MEMSIZE, MEMSIZE, UADDR + MEMSIZE, MEMSIZE } };
	struct vu_mem_table t = { 1, 0, { { GPA, MEMSIZE, UADDR, 0 } } };
	int fds[2] = { memfd, memfd };

	peer_ready();
	peer_told_state(VU_SET_VRING_NUM, 1, 16);
	peer_told_addr(1);
	peer_told_fd(VU_SET_VRING_KICK, 1);
	ck_assert_str_eq(peer_told_state(VU_SET_VRING_ENABLE, 1, 1), "start1 ");
	ck_assert_str_eq(peer_told(VU_ADD_MEM_REG, &r, sizeof(r), memfd), "pause0 resume2 ");
	/* With an fd, as the VMMs were told; the ring lies in the other region and goes on. */
	ck_assert_str_eq(peer_told(VU_REM_MEM_REG, &r, sizeof(r), memfd), "stop1 start1 ");
	ck_assert_uint_eq(dev.memory.nregions, 1);
	ck_assert_str_eq(peer_told(VU_SET_MEM_TABLE, &t, 40, memfd), "stop1 start1 ");
	/* Its own region goes: it stays stopped until that is back, the session goes on. */
	r.region = t.region[0];
	ck_assert_str_eq(peer_told(VU_REM_MEM_REG, &r, sizeof(r), -1), "stop1 ");
	ck_assert_str_eq(peer_told(VU_ADD_MEM_REG, &r, sizeof(r), memfd), "pause0 resume1 start1 ");
	ck_assert_str_eq(peer_told_addr(1), "stop1 start1 ");
	t.num = 2;
	t.region[1] = (struct vu_region){ GPA + MEMSIZE, MEMSIZE, UADDR + MEMSIZE, MEMSIZE };
	peer_send(VU_SET_MEM_TABLE, VU_VERSION, &t, 72, fds, 2);
	ck_assert(peer_alive());
	ck_assert_uint_eq(dev.memory.nregions, 2);
	ck_assert(running[1]);
}
END_TEST

/* The guest's driver chose a place at the end of memory: its ring does not run, nothing else happens. */
START_TEST(ring_outside)
{
	const struct vu_vring_addr a = { .index = 2, .desc = UADDR, .avail = UADDR + MEMSIZE - 16, .used = UADDR + 0x20000 };

	peer_ready();
	peer_told_state(VU_SET_VRING_NUM, 2, 16);
	peer_told(VU_SET_VRING_ADDR, &a, sizeof(a), -1);
	peer_told_fd(VU_SET_VRING_KICK, 2);
	ck_assert_str_eq(peer_told_state(VU_SET_VRING_ENABLE, 2, 1), "");
	ck_assert_str_eq(peer_told_addr(2), "start2 ");
}
END_TEST

START_TEST(config)
{
	struct vu_config c;
	uint8_t want[64] = "share";

	want[36] = 16;
	peer_features(PEER_FEATURES, PEER_PROTO);
	for (uint32_t off = 0; off < 45; off += 5) {
		for (uint32_t size = 1; off + size <= 64; size++) {
			memset(&c, 0xee, sizeof(c));
			c.offset = off;
			c.size = size;
			c.flags = size % 4;
			peer_send(VU_GET_CONFIG, VU_VERSION, &c, VU_CONFIG_HDR + size, NULL, 0);
			ck_assert_int_eq(peer_receive(VU_GET_CONFIG, &c, sizeof(c)), VU_CONFIG_HDR + size);
			ck_assert_uint_eq(c.offset, off);
			ck_assert_uint_eq(c.size, size);
			ck_assert_mem_eq(c.data, want + off, size);
		}
	}
	c = (struct vu_config){ .size = 4 };
	ck_assert_int_eq(peer_ack(VU_SET_CONFIG, &c, VU_CONFIG_HDR + 4, NULL, 0), 0);
	c = (struct vu_config){ .offset = 12, .size = VU_PAYLOAD_MAX - 12 };
	peer_send(VU_GET_CONFIG, VU_VERSION, &c, VU_PAYLOAD_MAX, NULL, 0);
	ck_assert_int_eq(peer_receive(VU_GET_CONFIG, &c, sizeof(c)), VU_PAYLOAD_MAX);
}
END_TEST

START_TEST(acks)
{
	const uint64_t proto = PEER_PROTO, none = PEER_PROTO & ~VU_PROTO_REPLY_ACK;
	const struct vu_vring_state odd = { 0, 100 }, most = { 0, VRING_SIZE_MAX };

	/* Not before GET_FEATURES, not before REPLY_ACK; the message that brings it is the first. */
	peer_send(VU_SET_OWNER, VU_VERSION | VU_F_NEED_REPLY, NULL, 0, NULL, 0);
	peer_send(VU_SET_PROTOCOL_FEATURES, VU_VERSION | VU_F_NEED_REPLY, &proto, 8, NULL, 0);
	peer_send(VU_RESET_OWNER, VU_VERSION | VU_F_NEED_REPLY, NULL, 0, NULL, 0);
	ck_assert(peer_alive());
	peer_told(VU_SET_PROTOCOL_FEATURES, &none, 8, -1);
	peer_send(VU_SET_OWNER, VU_VERSION | VU_F_NEED_REPLY, NULL, 0, NULL, 0);
	peer_send(VU_RESET_OWNER, VU_VERSION | VU_F_NEED_REPLY, NULL, 0, NULL, 0);
	ck_assert(peer_alive());
	ck_assert_int_eq(peer_ack(VU_SET_PROTOCOL_FEATURES, &proto, 8, NULL, 0), 0);
	ck_assert_int_eq(peer_ack(VU_SET_OWNER, NULL, 0, NULL, 0), 0);
	/* Not a power of two: logged, ignored, good. */
	ck_assert_int_eq(peer_ack(VU_SET_VRING_NUM, &odd, sizeof(odd), NULL, 0), 0);
	ck_assert_uint_eq(rings[0].num, 0);
	ck_assert_int_eq(peer_ack(VU_SET_VRING_NUM, &most, sizeof(most), NULL, 0), 0);
	ck_assert_uint_eq(rings[0].num, VRING_SIZE_MAX);
	/* A message with its own reply has no other. */
	peer_send(VU_GET_QUEUE_NUM, VU_VERSION | VU_F_NEED_REPLY, NULL, 0, NULL, 0);
	ck_assert_int_eq(peer_receive(VU_GET_QUEUE_NUM, &(uint64_t){ 0 }, 8), 8);
	ck_assert(peer_alive());
}
END_TEST

/* The message arrives byte by byte, its fd with the first one. */
START_TEST(dribble)
{
	struct {
		struct vu_hdr h;
		struct vu_one_region r;
	} __attribute__((packed)) msg = {
		{ VU_ADD_MEM_REG, VU_VERSION | VU_F_NEED_REPLY, sizeof(msg.r) }, { 0, { GPA, MEMSIZE, UADDR, 0 } }
	};
	const uint8_t *p = (const uint8_t *)&msg;
	uint64_t v;

	peer_features(PEER_FEATURES, PEER_PROTO);
	for (size_t i = 0; i < sizeof(msg); i++)
		peer_send_raw(p + i, 1, &memfd, i == 0);
	ck_assert_int_eq(peer_receive(VU_ADD_MEM_REG, &v, 8), 8);
	ck_assert_uint_eq(v, 0);
	ck_assert_uint_eq(dev.memory.nregions, 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vhost_user");
	TCase *ok = tcase_create("ok");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, peer_setup, peer_teardown);
	tcase_add_test(ok, offers);
	tcase_add_test(ok, no_tag);
	tcase_add_test(ok, qemu);
	tcase_add_loop_test(ok, start_order, 0, 24);
	tcase_add_test(ok, base_stops);
	tcase_add_test(ok, backend_channels);
	tcase_add_test(ok, no_addr);
	tcase_add_test(ok, no_protocol_features);
	tcase_add_test(ok, memory_changes);
	tcase_add_test(ok, ring_outside);
	tcase_add_test(ok, config);
	tcase_add_test(ok, acks);
	tcase_add_test(ok, dribble);
	suite_add_tcase(s, ok);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
