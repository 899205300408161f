/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of proto/rpc.c: what the lane protocol's checker says of one element, and its accessors. Links that file only.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/rpc_rig.h"

START_TEST(valid)
{
	static const size_t names[] = { 1, 2, 7, 8, 254, 255, 256, 1023, 1024, 1025, 4094, 4095 }, nxs[] = { 0, 1, 2, 3, 63, 64 };
	enum rpc_dir dir = dir_of(_i);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t k = 0; k < sizeof(nxs) / sizeof(nxs[0]); k++) {
			size_t n = one(dir, op_of(_i), names[i], nxs[k]);

			ck_assert_uint_eq(n % RPC_ALIGN, 0);
			ck_assert_msg(judge(dir, storage, n, 0) == 0, "%s dir %d", rpc_op_name(op_of(_i)), dir);
			ck_assert_int_eq(judge(dir, storage, n, RPC_FDS_LOST), 0);
		}
} END_TEST

START_TEST(content)
{
	enum rpc_dir dir = dir_of(_i);
	const struct rpc_op *op = rpc_op(op_of(_i));
	struct rpc_hdr *h;

	one(dir, op_of(_i), 5, 3);
	h = elem(storage);
	ck_assert_uint_eq(h->tag, UINT64_C(0x0123456789abcdef));
	ck_assert_uint_eq(h->op, op_of(_i));
	if (dir == RPC_REQUEST && op->n1 != RPC_K_NONE)
		ck_assert_str_eq(rpc_name1(dir, h), "nnnnn");
	if (dir == RPC_REQUEST && op->n2 != RPC_K_NONE)
		ck_assert_str_eq(rpc_name2(dir, h), "nnnnn");
	if (dir == RPC_REQUEST && op->xmax > 0)
		ck_assert_uint_eq(((const uint32_t *)rpc_x(dir, h))[0], 1);
	if (dir == RPC_REPLY && op->reply_name != RPC_K_NONE)
		ck_assert_str_eq(rpc_name1(dir, h), "nnnnn");
} END_TEST

/* Every other length, with the batch telling the old or the new one, and every length of the element. */
START_TEST(lengths)
{
	enum rpc_dir dir = dir_of(_i);
	size_t n = one(dir, op_of(_i), 3, 1);
	uint32_t len = elem(storage)->len;

	for (size_t k = 0; k <= n + 8; k++) {
		memset(scratch, 0, sizeof(scratch));
		memcpy(scratch, storage, n);
		REQUIRE(judge(dir, scratch, k, 0) == (k == n ? 0 : -EPROTO));
		set_len(scratch, k);
		REQUIRE(judge(dir, scratch, k, 0) == (k == n ? 0 : -EPROTO));
	}
	for (uint32_t k = 0; k <= len + 64; k++) {
		memset(scratch, 0, sizeof(scratch));
		memcpy(scratch, storage, n);
		elem(scratch)->len = k;
		REQUIRE(judge(dir, scratch, n, 0) == (k == len ? 0 : -EPROTO));
		/* The message is as long as the element says: room for it is there, what it is to hold is not. */
		set_len(scratch, BATCH + k);
		REQUIRE(judge(dir, scratch, BATCH + k, 0) == (k == len ? 0 : -EPROTO));
	}
	elem(storage)->len = UINT32_MAX;
	REQUIRE(judge(dir, storage, n, 0) == (-EPROTO));
	elem(storage)->len = UINT32_MAX - 7;
	REQUIRE(judge(dir, storage, n, 0) == (-EPROTO));
} END_TEST

/* What a single bit flipped in these bytes must lead to. */
enum flip { FLIP_ANY, FLIP_OK, FLIP_BAD };
static const struct {
	size_t	off, len;
	enum flip what;
	const char *name;
} fields[] = {
	{ offsetof(struct rpc_batch, len), 4, FLIP_BAD, "batch.len" },
	{ offsetof(struct rpc_batch, count), 2, FLIP_BAD, "batch.count" },
	{ offsetof(struct rpc_batch, cpu), 2, FLIP_OK, "batch.cpu" },
	{ BATCH + offsetof(struct rpc_hdr, len), 4, FLIP_BAD, "len" },
	{ BATCH + offsetof(struct rpc_hdr, op), 2, FLIP_ANY, "op" },
	{ BATCH + offsetof(struct rpc_hdr, flags), 2, FLIP_ANY, "flags" },
	{ BATCH + offsetof(struct rpc_hdr, tag), 8, FLIP_OK, "tag" },
	{ BATCH + offsetof(struct rpc_hdr, error), 4, FLIP_ANY, "error" },
	{ BATCH + offsetof(struct rpc_hdr, n1), 2, FLIP_BAD, "n1" },
	{ BATCH + offsetof(struct rpc_hdr, n2), 2, FLIP_BAD, "n2" },
	{ BATCH + offsetof(struct rpc_hdr, nx), 2, FLIP_BAD, "nx" },
	{ BATCH + offsetof(struct rpc_hdr, pad0), 2, FLIP_BAD, "pad0" },
	{ BATCH + offsetof(struct rpc_hdr, aoff), 4, FLIP_ANY, "aoff" },
	{ BATCH + offsetof(struct rpc_hdr, alen), 4, FLIP_ANY, "alen" },
	{ BATCH + offsetof(struct rpc_hdr, pad1), 4, FLIP_BAD, "pad1" },
};

/* Those whose outcome depends on op and direction. */
static bool
flipped_ok(enum rpc_dir dir, const struct rpc_hdr *old, const struct rpc_hdr *h, size_t nfds)
{
	const struct rpc_op *was = rpc_op(old->op), *op = rpc_op(h->op);

	if (op == NULL)
		return false;
	if (h->op != old->op) {
		/* Another op of the same shape. */
		if (dir == RPC_REQUEST)
			return op->request == was->request && op->n1 == was->n1 && op->n2 == was->n2 &&
			    op->xsize * h->nx == was->xsize * h->nx && h->nx <= op->xmax &&
			    (op->arena != RPC_A_NONE || h->alen == 0);
		return op->reply == was->reply && op->reply_name == was->reply_name;
	}
	if (h->flags != old->flags)
		return dir == RPC_REQUEST ? h->flags == RPC_F_REPLAY :
		    h->flags == RPC_F_FD && (op->flags & RPC_OP_FD) != 0 && nfds == 1;
	if (h->error != old->error)
		return false;
	if (h->alen == 0)
		return h->aoff == 0;
	return dir == RPC_REQUEST && op->arena != RPC_A_NONE && (uint64_t)h->aoff + h->alen <= RPC_ARENA_SIZE;
}

/* LOOKUP's name may be a component, and the other way round: shapes differ only in what the name may be. */
static bool
name_kinds_blur(enum rpc_dir dir, uint16_t a, uint16_t c)
{
	const struct rpc_op *x = rpc_op(a), *y = rpc_op(c);

	return dir == RPC_REQUEST && x != NULL && y != NULL && (x->n1 != y->n1 || x->n2 != y->n2);
}

START_TEST(bit_flips)
{
	enum rpc_dir dir = dir_of(_i);
	size_t n = one(dir, op_of(_i), 3, 1);

	for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++)
		for (size_t bit = 0; bit < fields[f].len * 8; bit++)
			for (size_t nfds = 0; nfds < 2; nfds++) {
				bool ok = fields[f].what == FLIP_OK && nfds == 0;
				int r;

				memcpy(scratch, storage, n);
				((uint8_t *)scratch)[fields[f].off + bit / 8] ^= (uint8_t)(1u << bit % 8);
				r = judge(dir, scratch, n, nfds);
				if (fields[f].what == FLIP_ANY) {
					if (name_kinds_blur(dir, elem(scratch)->op, op_of(_i)))
						continue;
					ok = flipped_ok(dir, elem(storage), elem(scratch), nfds) &&
					    (nfds == 0 || (elem(scratch)->flags & RPC_F_FD) != 0 || dir == RPC_REQUEST);
					ok = ok && (dir == RPC_REPLY || nfds == 0);
				}
				if ((r == 0) != ok)
					ck_abort_msg("%s dir %d: %s bit %zu nfds %zu: %d", rpc_op_name(op_of(_i)), dir,
					    fields[f].name, bit, nfds, r);
			}
} END_TEST

START_TEST(fd_counts)
{
	enum rpc_dir dir = dir_of(_i);
	size_t n = one(dir, op_of(_i), 3, 1);
	bool may = dir == RPC_REPLY && (rpc_op(op_of(_i))->flags & RPC_OP_FD) != 0;

	REQUIRE(judge(dir, storage, n, 0) == (0));
	REQUIRE(judge(dir, storage, n, 1) == (-EPROTO));
	REQUIRE(judge(dir, storage, n, 253) == (-EPROTO));
	elem(storage)->flags = RPC_F_FD;
	REQUIRE(judge(dir, storage, n, 0) == (-EPROTO));
	REQUIRE(judge(dir, storage, n, 1) == (may ? 0 : -EPROTO));
	REQUIRE(judge(dir, storage, n, 2) == (-EPROTO));
	REQUIRE(judge(dir, storage, n, RPC_FDS_LOST) == (may ? 0 : -EPROTO));
} END_TEST

/* Names that a request of this op must not carry, by the kind of its first name. */
static const struct {
	const char *name;
	size_t	n;
	unsigned good;			/* bits of enum rpc_kind */
} names[] = {
	{ "a", 1, 1u << RPC_K_LOOKUP | 1u << RPC_K_COMP | 1u << RPC_K_TARGET | 1u << RPC_K_XATTR },
	{ ".", 1, 1u << RPC_K_LOOKUP | 1u << RPC_K_TARGET | 1u << RPC_K_XATTR },
	{ "..", 2, 1u << RPC_K_LOOKUP | 1u << RPC_K_TARGET | 1u << RPC_K_XATTR },
	{ "...", 3, 1u << RPC_K_LOOKUP | 1u << RPC_K_COMP | 1u << RPC_K_TARGET | 1u << RPC_K_XATTR },
	{ ".a", 2, 1u << RPC_K_LOOKUP | 1u << RPC_K_COMP | 1u << RPC_K_TARGET | 1u << RPC_K_XATTR },
	{ "/", 1, 1u << RPC_K_TARGET | 1u << RPC_K_XATTR },
	{ "a/", 2, 1u << RPC_K_TARGET | 1u << RPC_K_XATTR },
	{ "../x", 4, 1u << RPC_K_TARGET | 1u << RPC_K_XATTR },
	{ "a\0b", 3, 0 },
	{ "\0a", 2, 0 },
	{ "a\0", 2, 0 },
	{ "", 0, 0 },
	{ long_name, 255, 1u << RPC_K_LOOKUP | 1u << RPC_K_COMP | 1u << RPC_K_TARGET | 1u << RPC_K_XATTR },
	{ long_name, 256, 1u << RPC_K_LOOKUP | 1u << RPC_K_COMP | 1u << RPC_K_TARGET },
	{ long_name, 1024, 1u << RPC_K_LOOKUP | 1u << RPC_K_COMP | 1u << RPC_K_TARGET },
	{ long_name, 1025, 1u << RPC_K_TARGET },
	{ long_name, 4095, 1u << RPC_K_TARGET },
};

START_TEST(bad_names)
{
	enum rpc_dir dir = dir_of(_i);
	const struct rpc_op *op = rpc_op(op_of(_i));
	enum rpc_kind k1 = dir == RPC_REQUEST ? op->n1 : op->reply_name, k2 = dir == RPC_REQUEST ? op->n2 : RPC_K_NONE;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n;

		rpc_begin(&b, storage);
		rpc_add(&b, dir, op_of(_i), 0, NULL, 0, names[i].name, names[i].n, k2 != RPC_K_NONE ? "ok" : NULL,
		    k2 != RPC_K_NONE ? 2 : 0);
		n = rpc_finish(&b);
		ck_assert_msg((judge(dir, storage, n, 0) == 0) == ((names[i].good >> k1 & 1u) != 0 && k1 != RPC_K_NONE),
		    "%s name1 row %zu", op->name, i);
		rpc_begin(&b, storage);
		rpc_add(&b, dir, op_of(_i), 0, NULL, 0, k1 != RPC_K_NONE ? "ok" : NULL, k1 != RPC_K_NONE ? 2 : 0,
		    names[i].name, names[i].n);
		n = rpc_finish(&b);
		ck_assert_msg((judge(dir, storage, n, 0) == 0) == ((names[i].good >> k2 & 1u) != 0 && k2 != RPC_K_NONE),
		    "%s name2 row %zu", op->name, i);
	}
	if (k1 != RPC_K_NONE) {
		/* Absent, and not terminated. */
		size_t n = one(dir, op_of(_i), 7, 0);

		((char *)(uintptr_t)rpc_name1(dir, elem(storage)))[7] = 'x';
		ck_assert_int_eq(judge(dir, storage, n, 0), -EPROTO);
		rpc_begin(&b, storage);
		rpc_add(&b, dir, op_of(_i), 0, NULL, 0, NULL, 0, NULL, 0);
		ck_assert_int_eq(judge(dir, storage, rpc_finish(&b), 0), -EPROTO);
	}
} END_TEST

START_TEST(check_name)
{
	for (enum rpc_kind k = RPC_K_LOOKUP; k <= RPC_K_XATTR; k++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			int r = rpc_check_name(k, names[i].name, names[i].n), want = -EINVAL;

			if ((names[i].good >> k & 1u) != 0)
				want = 0;
			else if (names[i].n == 0)
				want = -ENOENT;
			else if (names[i].n > name_max(k))
				want = -ENAMETOOLONG;
			ck_assert_msg(r == want, "kind %d row %zu: %d, not %d", (int)k, i, r, want);
		}
	ck_assert_int_eq(rpc_check_name(RPC_K_NONE, "", 0), 0);
	ck_assert_int_eq(rpc_check_name(RPC_K_NONE, "a", 1), -EINVAL);
	ck_assert_int_eq(rpc_check_name(RPC_K_TARGET, long_name, 4096), -ENAMETOOLONG);
} END_TEST

/* More array elements than allowed, the bytes being there. */
START_TEST(arrays)
{
	enum rpc_dir dir = dir_of(_i);
	const struct rpc_op *op = rpc_op(op_of(_i));
	size_t n = one(dir, op_of(_i), 3, 0), size = op->xsize != 0 ? op->xsize : 8;

	for (unsigned nx = 1; nx <= 128; nx++) {
		size_t grow = (nx * size + 7) / 8 * 8, fixed = dir == RPC_REQUEST ? op->request : op->reply;
		bool ok = dir == RPC_REQUEST && nx <= op->xmax;

		memset(scratch, 0, sizeof(scratch));
		memcpy(scratch, storage, BATCH + fixed);
		memcpy((uint8_t *)scratch + BATCH + fixed + grow, (uint8_t *)storage + BATCH + fixed, n - BATCH - fixed);
		elem(scratch)->nx = (uint16_t)nx;
		elem(scratch)->len += (uint32_t)grow;
		set_len(scratch, n + grow);
		REQUIRE(judge(dir, scratch, n + grow, 0) == (ok ? 0 : -EPROTO));
	}
} END_TEST

/* What fills the array up to a whole word. */
START_TEST(array_padding)
{
	enum rpc_dir dir = dir_of(_i);
	const struct rpc_op *op = rpc_op(op_of(_i));

	if (dir == RPC_REPLY || op->xsize % 8 == 0)
		return;
	for (unsigned nx = 1; nx <= op->xmax; nx += 2) {
		size_t n = one(dir, op_of(_i), 3, nx), end;

		end = (size_t)((const char *)rpc_x(dir, elem(storage)) - (const char *)storage) + nx * op->xsize;
		REQUIRE(judge(dir, storage, n, 0) == 0);
		for (size_t i = end; i < (end + 7) / 8 * 8; i++) {
			memcpy(scratch, storage, n);
			((uint8_t *)scratch)[i] = 1;
			REQUIRE(judge(dir, scratch, n, 0) == (-EPROTO));
		}
	}
} END_TEST

START_TEST(padding)
{
	enum rpc_dir dir = dir_of(_i);
	size_t n;

	for (size_t name = 1; name <= 8; name++) {
		const struct rpc_hdr *h;
		size_t used;

		n = one(dir, op_of(_i), name, 1);
		h = elem(storage);
		used = (size_t)(rpc_name2(dir, h) + h->n2 - (const char *)storage);
		for (size_t i = used; i < n; i++) {
			memcpy(scratch, storage, n);
			((uint8_t *)scratch)[i] = 1;
			REQUIRE(judge(dir, scratch, n, 0) == (-EPROTO));
		}
	}
	/* A whole word more than needed. */
	n = one(dir, op_of(_i), 3, 1);
	memset((uint8_t *)storage + n, 0, 8);
	elem(storage)->len += 8;
	set_len(storage, n + 8);
	REQUIRE(judge(dir, storage, n + 8, 0) == (-EPROTO));
} END_TEST

START_TEST(arena)
{
	static const struct {
		uint32_t off, len;
		bool	ok;
	} rows[] = {
		{ 0, 0, true }, { 0, 1, true }, { 4096, 4096, true }, { 0, RPC_ARENA_SIZE, true },
		{ RPC_ARENA_SIZE - 1, 1, true }, { 1, 0, false }, { 1, RPC_ARENA_SIZE, false },
		{ RPC_ARENA_SIZE, 1, false }, { 0, RPC_ARENA_SIZE + 1, false }, { 0, UINT32_MAX, false },
		{ UINT32_MAX, 1, false }, { UINT32_MAX, UINT32_MAX, false }, { UINT32_MAX - 4095, 4096, false },
		{ RPC_ARENA_SIZE, 0, false }, { 0x80000000, 0x80000000, false },
	};
	enum rpc_dir dir = dir_of(_i);
	bool may = dir == RPC_REQUEST && rpc_op(op_of(_i))->arena != RPC_A_NONE;
	size_t n = one(dir, op_of(_i), 3, 1);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		elem(storage)->aoff = rows[i].off;
		elem(storage)->alen = rows[i].len;
		ck_assert_msg((judge(dir, storage, n, 0) == 0) == (rows[i].ok && (may || rows[i].len == 0)), "%s row %zu",
		    rpc_op_name(op_of(_i)), i);
	}
} END_TEST

START_TEST(errors)
{
	static const int bad[] = { 1, -4096, INT32_MIN, INT32_MAX, 4095 };
	uint16_t nr = op_of(_i);
	enum rpc_dir dir = dir_of(_i);
	size_t n;

	rpc_begin(&b, storage);
	ck_assert_ptr_nonnull(rpc_add_error(&b, nr, 7, -4095));
	n = rpc_finish(&b);
	ck_assert_uint_eq(n, BATCH + HDR);
	ck_assert_int_eq(judge(dir, storage, n, 0), dir == RPC_REPLY ? 0 : -EPROTO);
	if (dir == RPC_REQUEST)
		return;
	elem(storage)->flags = RPC_F_FD;
	ck_assert_int_eq(judge(dir, storage, n, 1), -EPROTO);
	elem(storage)->flags = 0;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		elem(storage)->error = bad[i];
		ck_assert_int_eq(judge(dir, storage, n, 0), -EPROTO);
	}
	/* Success without its result, and an error with one. */
	elem(storage)->error = 0;
	ck_assert_int_eq(judge(dir, storage, n, 0),
	    rpc_op(nr)->reply == HDR && rpc_op(nr)->reply_name == RPC_K_NONE ? 0 : -EPROTO);
	n = one(dir, nr, 3, 0);
	elem(storage)->error = -ENOENT;
	ck_assert_int_eq(judge(dir, storage, n, 0), n == BATCH + HDR ? 0 : -EPROTO);
} END_TEST

START_TEST(unknown_ops)
{
	size_t n = one(RPC_REQUEST, RPC_RESET, 0, 0);

	for (unsigned nr = 0; nr <= UINT16_MAX; nr++) {
		bool known = nr > 0 && nr < RPC_OP_END;

		REQUIRE((rpc_op((uint16_t)nr) != NULL) == known);
		REQUIRE((strcmp(rpc_op_name((uint16_t)nr), "?") == 0) != known);
		elem(storage)->op = (uint16_t)nr;
		if (!known)
			REQUIRE(judge(RPC_REQUEST, storage, n, 0) == (-EPROTO));
		REQUIRE(known || rpc_add(&b, RPC_REQUEST, (uint16_t)nr, 0, NULL, 0, NULL, 0, NULL, 0) == NULL);
	}
} END_TEST

int
main(void)
{
	Suite *s = suite_create("rpc");
	TCase *ok = tcase_create("ok"), *hostile = tcase_create("hostile");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, setup, teardown);
	tcase_add_loop_test(ok, valid, 0, OPS);
	tcase_add_loop_test(ok, content, 0, OPS);
	tcase_add_test(ok, check_name);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_loop_test(hostile, lengths, 0, OPS);
	tcase_add_loop_test(hostile, bit_flips, 0, OPS);
	tcase_add_loop_test(hostile, fd_counts, 0, OPS);
	tcase_add_loop_test(hostile, bad_names, 0, OPS);
	tcase_add_loop_test(hostile, arrays, 0, OPS);
	tcase_add_loop_test(hostile, array_padding, 0, OPS);
	tcase_add_loop_test(hostile, padding, 0, OPS);
	tcase_add_loop_test(hostile, arena, 0, OPS);
	tcase_add_loop_test(hostile, errors, 0, OPS);
	tcase_add_test(hostile, unknown_ops);
	suite_add_tcase(s, hostile);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
