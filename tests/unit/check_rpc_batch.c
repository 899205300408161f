/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of proto/rpc.c: messages as a whole, their builder, and random damage. Links that file only.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/rpc_rig.h"

/* 64 elements of all ops, and every wrong count. */
START_TEST(batch)
{
	enum rpc_dir dir = dir_of(_i);
	unsigned k = 0;
	size_t n;

	rpc_begin(&b, storage);
	for (unsigned i = 0; i < RPC_BATCH_MAX; i++)
		add_valid(&b, dir, (uint16_t)(1 + i % (RPC_OP_END - 1)), i % 9 + 1, i % 4)->tag = i;
	ck_assert_ptr_null(rpc_add(&b, dir, RPC_RESET, 0, NULL, 0, NULL, 0, NULL, 0));
	ck_assert_ptr_null(rpc_add_error(&b, RPC_RESET, 0, -EIO));
	n = rpc_finish(&b);
	REQUIRE(judge(dir, storage, n, 0) == (0));
	for (struct rpc_hdr *h = rpc_first(storage); h != NULL; h = rpc_next(storage, h), k++) {
		ck_assert_uint_eq(h->tag, k);
		ck_assert_uint_eq(h->op, 1 + k % (RPC_OP_END - 1));
	}
	ck_assert_uint_eq(k, RPC_BATCH_MAX);
	for (unsigned c = 0; c <= UINT16_MAX; c++) {
		head(storage)->count = (uint16_t)c;
		REQUIRE(judge(dir, storage, n, 0) == (c == RPC_BATCH_MAX ? 0 : -EPROTO));
	}
	/* 65 elements that are all there. */
	head(storage)->count = RPC_BATCH_MAX + 1;
	memset((uint8_t *)storage + n, 0, HDR);
	((struct rpc_hdr *)(void *)((uint8_t *)storage + n))->len = HDR;
	((struct rpc_hdr *)(void *)((uint8_t *)storage + n))->op = RPC_RESET;
	set_len(storage, n + HDR);
	REQUIRE(judge(dir, storage, n + HDR, 0) == (-EPROTO));
} END_TEST

/* A head and nothing else: what rings the bell of a mailbox is no message. */
START_TEST(nothing)
{
	memset(storage, 0, sizeof(storage));
	set_len(storage, BATCH);
	for (int dir = 0; dir < DIRS; dir++)
		ck_assert_int_eq(judge(dir_of(dir), storage, BATCH, 0), -EPROTO);
} END_TEST

/* fds belong to elements: as many as there are flags. */
START_TEST(batch_fds)
{
	size_t n;

	rpc_begin(&b, storage);
	for (unsigned i = 0; i < 3; i++)
		add_valid(&b, RPC_REPLY, RPC_OPEN, 0, 0)->flags = i == 1 ? 0 : RPC_F_FD;
	add_valid(&b, RPC_REPLY, RPC_CREATE, 0, 0)->flags = RPC_F_FD;
	n = rpc_finish(&b);
	for (size_t nfds = 0; nfds < 6; nfds++)
		ck_assert_int_eq(judge(RPC_REPLY, storage, n, nfds), nfds == 3 ? 0 : -EPROTO);
	ck_assert_int_eq(judge(RPC_REPLY, storage, n, RPC_FDS_LOST), 0);
} END_TEST

START_TEST(too_long)
{
	size_t n;

	memset(storage, 0, sizeof(storage));
	rpc_begin(&b, storage);
	while (rpc_add(&b, RPC_REQUEST, RPC_SYMLINK, 0, NULL, 0, "n", 1, long_name, 4000) != NULL)
		;
	ck_assert_uint_eq(b.count, 3);
	n = rpc_finish(&b);
	ck_assert_int_eq(judge(RPC_REQUEST, storage, n, 0), 0);
	/* The builder fills a message to its last byte. */
	while (rpc_add(&b, RPC_REQUEST, RPC_LOOKUP, 0, NULL, 0, long_name, 200, NULL, 0) != NULL ||
	    rpc_add(&b, RPC_REQUEST, RPC_RESET, 0, NULL, 0, NULL, 0, NULL, 0) != NULL)
		;
	ck_assert_uint_gt(b.len + HDR, RPC_MSG_MAX);
	n = rpc_finish(&b);
	ck_assert_uint_le(n, RPC_MSG_MAX);
	ck_assert_int_eq(judge(RPC_REQUEST, storage, n, 0), 0);
	/* There is not even room for an error. */
	while (rpc_add_error(&b, RPC_RESET, 0, -EIO) != NULL)
		;
	ck_assert_uint_lt(b.count, RPC_BATCH_MAX);
	ck_assert_uint_le(b.len, RPC_MSG_MAX);
	/* A well-formed message of more than RPC_MSG_MAX. */
	memset(scratch, 0, sizeof(scratch));
	memcpy(scratch, storage, n);
	for (size_t at = n; at <= RPC_MSG_MAX; at += HDR) {
		struct rpc_hdr *h = (void *)((uint8_t *)scratch + at);

		h->len = HDR;
		h->op = RPC_RESET;
		head(scratch)->count++;
		set_len(scratch, at + HDR);
	}
	ck_assert_int_eq(judge(RPC_REQUEST, scratch, head(scratch)->len, 0), -EPROTO);
	/* And one that says so. */
	set_len(storage, RPC_MSG_MAX + 8);
	ck_assert_int_eq(judge(RPC_REQUEST, storage, RPC_MSG_MAX + 8, 0), -EPROTO);
} END_TEST

START_TEST(builder)
{
	struct rpc_hdr *h;
	uint32_t before;

	rpc_begin(&b, storage);
	ck_assert_uint_eq(rpc_finish(&b), 0);
	ck_assert_ptr_nonnull(rpc_add(&b, RPC_REQUEST, RPC_LOOKUP, 1, NULL, 0, "a", 1, NULL, 0));
	before = b.len;
	h = rpc_add(&b, RPC_REQUEST, RPC_LOOKUP, 2, NULL, 0, "bb", 2, NULL, 0);
	ck_assert_ptr_nonnull(h);
	rpc_undo(&b, h);
	ck_assert_uint_eq(b.len, before);
	ck_assert_uint_eq(b.count, 1);
	ck_assert_int_eq(judge(RPC_REQUEST, storage, rpc_finish(&b), 0), 0);
	/* Parts that are too long, and an element where only a part of it fits. */
	ck_assert_ptr_null(rpc_add(&b, RPC_REQUEST, RPC_SYMLINK, 0, NULL, 0, "n", 1, long_name, 4096));
	ck_assert_ptr_null(rpc_add(&b, RPC_REQUEST, RPC_SYMLINK, 0, NULL, 0, long_name, SIZE_MAX, "t", 1));
	ck_assert_ptr_null(rpc_add(&b, RPC_REQUEST, RPC_FORGET, 0, long_name, 65, NULL, 0, NULL, 0));
	ck_assert_ptr_null(rpc_add(&b, RPC_REQUEST, RPC_FORGET, 0, long_name, SIZE_MAX, NULL, 0, NULL, 0));
	ck_assert_ptr_null(rpc_add(&b, RPC_REQUEST, RPC_LOOKUP, 0, long_name, 1, "a", 1, NULL, 0));
	ck_assert_uint_eq(b.len, before);
	ck_assert_uint_eq(b.count, 1);
} END_TEST

/* Random damage to a random message: what is accepted can be read without leaving it (judge() does). */
START_TEST(damage)
{
	unsigned accepted = 0;

	srandom((unsigned)_i + 1);
	for (unsigned round = 0; round < 20000; round++) {
		enum rpc_dir dir = dir_of((int)random());
		unsigned hits = (unsigned)random() % 4;
		size_t n;

		rpc_begin(&b, storage);
		for (long i = random() % 5; i >= 0; i--)
			add_valid(&b, dir, (uint16_t)(1 + random() % (RPC_OP_END - 1)), (size_t)random() % 20 + 1,
			    (size_t)random() % 5);
		n = rpc_finish(&b);
		while (hits-- > 0) {
			size_t at = (size_t)random() % n;

			switch (random() % 3) {
			case 0: ((uint8_t *)storage)[at] ^= (uint8_t)(1u << random() % 8); break;
			case 1: ((uint8_t *)storage)[at] = (uint8_t)random(); break;
			default: ((uint16_t *)storage)[at / 2] = (uint16_t)(random() % 64); break;
			}
		}
		accepted += judge(dir, storage, n, random() % 2 == 0 ? RPC_FDS_LOST : 0) == 0;
	}
	ck_assert_uint_gt(accepted, 1000);
} END_TEST

int
main(void)
{
	Suite *s = suite_create("rpc batch");
	TCase *ok = tcase_create("ok"), *hostile = tcase_create("hostile"), *limits = tcase_create("limits");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, setup, teardown);
	tcase_add_test(ok, builder);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_loop_test(hostile, damage, 0, 4);
	suite_add_tcase(s, hostile);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_loop_test(limits, batch, 0, DIRS);
	tcase_add_test(limits, nothing);
	tcase_add_test(limits, batch_fds);
	tcase_add_test(limits, too_long);
	suite_add_tcase(s, limits);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
