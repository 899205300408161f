/* SPDX-License-Identifier: BSD-3-Clause */
/* Unit tests of front/lane.c. Links that file, common/msg.c and proto/rpc.c. */
#include "front/lane.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/msg.h"

#define REQUIRE(x)	do { if (!(x)) ck_abort_msg("%s", #x); } while (0)

static int s[2];
static struct lane *l;

static void
setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	l = lane_new(3, s[0], NULL);
	ck_assert_ptr_nonnull(l);
	ck_assert_uint_eq(l->index, 3);
}

static void
teardown(void)
{
	free(l);
	fd_close_all(s, 2);
}

static bool page[ARENA_PAGES];			/* the model */

static unsigned
pages_of(uint32_t len)
{
	return (unsigned)(((uint64_t)len + ARENA_PAGE - 1) / ARENA_PAGE);
}

static bool
fits(unsigned need)
{
	unsigned run = 0;

	for (unsigned p = 0; p < ARENA_PAGES && run < need; p++)
		run = page[p] ? 0 : run + 1;
	return run >= need;
}

START_TEST(arena_model)
{
	struct {
		uint32_t off, len;
	} e[64] = { 0 };
	unsigned refused = 0;

	memset(page, 0, sizeof(page));
	srandom((unsigned)_i);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned k = (unsigned)random() % 64, used = 0;

		if (e[k].len != 0) {
			lane_arena_put(l, e[k].off, e[k].len);
			for (unsigned p = 0; p < pages_of(e[k].len); p++)
				page[e[k].off / ARENA_PAGE + p] = false;
			e[k].len = 0;
		} else {
			uint32_t len = 1 + (uint32_t)random() % (random() % 2 == 0 ? 3 * ARENA_PAGE : RPC_IO_MAX), off;
			bool can = fits(pages_of(len));

			REQUIRE((lane_arena_get(l, len, &off) == 0) == can);
			refused += !can;
			if (!can)
				continue;
			REQUIRE(off % ARENA_PAGE == 0 && off + len <= RPC_ARENA_SIZE);
			for (unsigned p = off / ARENA_PAGE; p < off / ARENA_PAGE + pages_of(len); p++) {
				REQUIRE(!page[p]);
				page[p] = true;
			}
			e[k].off = off;
			e[k].len = len;
		}
		for (unsigned p = 0; i % 64 == 0 && p < ARENA_PAGES; p++) {
			used += page[p];
			REQUIRE((l->used[p / 64] >> p % 64 & 1) == page[p]);
		}
		REQUIRE(i % 64 != 0 || used == l->used_pages);
	}
	ck_assert_uint_gt(refused, 100);
	for (unsigned k = 0; k < 64; k++)
		lane_arena_put(l, e[k].off, e[k].len);
	ck_assert_uint_eq(l->used_pages, 0);
} END_TEST

START_TEST(arena_limits)
{
	uint32_t off;

	ck_assert_int_eq(lane_arena_get(l, RPC_ARENA_SIZE, &off), 0);
	ck_assert_uint_eq(off, 0);
	ck_assert_int_eq(lane_arena_get(l, 1, &off), -EAGAIN);
	lane_arena_put(l, 0, RPC_ARENA_SIZE);
	ck_assert_uint_eq(l->used_pages, 0);
	ck_assert_int_eq(lane_arena_get(l, RPC_ARENA_SIZE + 1, &off), -EAGAIN);
	for (unsigned i = 0; i < ARENA_PAGES; i++) {
		ck_assert_int_eq(lane_arena_get(l, 1, &off), 0);
		ck_assert_uint_eq(off, i * ARENA_PAGE);
	}
	ck_assert_int_eq(lane_arena_get(l, 1, &off), -EAGAIN);
	lane_arena_put(l, (ARENA_PAGES - 1) * ARENA_PAGE, 1);
	ck_assert_int_eq(lane_arena_get(l, ARENA_PAGE + 1, &off), -EAGAIN);
	ck_assert_int_eq(lane_arena_get(l, ARENA_PAGE, &off), 0);
	ck_assert_uint_eq(off, (ARENA_PAGES - 1) * ARENA_PAGE);
} END_TEST

/* Lengths that a wrap in the rounding would make small. */
START_TEST(arena_huge)
{
	uint32_t off = 1;

	ck_assert_int_eq(lane_arena_get(l, UINT32_MAX, &off), -EAGAIN);
	ck_assert_int_eq(lane_arena_get(l, UINT32_MAX - 4094, &off), -EAGAIN);
	ck_assert_int_eq(lane_arena_get(l, 0, &off), -EAGAIN);
	ck_assert_uint_eq(l->used_pages, 0);
} END_TEST

static void
fill(unsigned n)
{
	lane_begin(l);
	for (unsigned i = 0; i < n; i++)
		ck_assert_ptr_nonnull(rpc_add(&l->b, RPC_REQUEST, RPC_LOOKUP, i, NULL, 0, "a", 1, NULL, 0));
}

START_TEST(sends)
{
	_Alignas(8) uint8_t buf[RPC_MSG_MAX];
	unsigned k = 0;
	ssize_t n;

	lane_send(l);
	ck_assert_int_eq(msg_recv(s[1], buf, sizeof(buf), NULL, NULL, NULL, MSG_DONTWAIT), -EAGAIN);
	ck_assert(lane_has_room(l));
	for (unsigned i = 0; i < RPC_UNANSWERED_MAX; i++) {
		ck_assert(lane_has_room(l));
		fill(i + 1);
		ck_assert_uint_eq(l->tx_msg, i);
		ck_assert(lane_has_room(l));
		lane_send(l);
		ck_assert_uint_eq(l->left[i], i + 1);
		ck_assert_uint_eq(l->total[i], i + 1);
		ck_assert_uint_gt(l->sent_ns[i], 0);
		ck_assert_uint_eq(l->b.count, 0);
	}
	ck_assert_uint_eq(l->inflight, 1 + 2 + 3 + 4);
	ck_assert(!lane_has_room(l));
	l->left[2] = 0;
	ck_assert(lane_has_room(l));
	for (unsigned i = 0; i < RPC_UNANSWERED_MAX; i++) {
		n = msg_recv(s[1], buf, sizeof(buf), NULL, NULL, NULL, MSG_DONTWAIT);
		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(rpc_check(RPC_REQUEST, buf, (size_t)n, 0), 0);
		k = 0;
		for (struct rpc_hdr *h = rpc_first(buf); h != NULL; h = rpc_next(buf, h))
			ck_assert_uint_eq(h->tag, k++);
		ck_assert_uint_eq(k, i + 1);
	}
} END_TEST

/* The largest batches there can be do not block. */
START_TEST(never_blocks)
{
	static char name[RPC_NAME_MAX];

	memset(name, 'a', sizeof(name));
	for (unsigned i = 0; i < RPC_UNANSWERED_MAX; i++) {
		lane_begin(l);
		while (rpc_add(&l->b, RPC_REQUEST, RPC_LOOKUP, i, NULL, 0, name, 200, NULL, 0) != NULL)
			;
		ck_assert_uint_gt(l->b.len, RPC_MSG_MAX - 300);
		lane_send(l);
	}
} END_TEST

START_TEST(peer_gone)
{
	/* What could not be sent is unanswered, and kept: the next worker hears it. */
	fd_close(&s[1]);
	fill(1);
	lane_send(l);
	ck_assert_uint_eq(l->inflight, 1);
	ck_assert_uint_eq(l->left[0], 1);
	ck_assert_uint_eq(rpc_first(l->tx[0])->op, RPC_LOOKUP);
	l->dead = true;
	ck_assert(!lane_has_room(l));
	l->dead = false;
	l->replaying = true;
	ck_assert(!lane_has_room(l));
} END_TEST

int
main(void)
{
	Suite *suite = suite_create("lane");
	TCase *ok = tcase_create("ok"), *limits = tcase_create("limits");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, setup, teardown);
	tcase_add_loop_test(ok, arena_model, 0, 4);
	tcase_add_test(ok, sends);
	tcase_add_test(ok, peer_gone);
	suite_add_tcase(suite, ok);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_test(limits, arena_limits);
	tcase_add_test(limits, arena_huge);
	tcase_add_test(limits, never_blocks);
	suite_add_tcase(suite, limits);

	r = srunner_create(suite);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
