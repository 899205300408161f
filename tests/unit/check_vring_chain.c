/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/vring.c: what a chain of descriptors becomes. The test is the driver. Links that file,
 * front/guest_memory.c and common/log.c.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/vring_rig.h"

/*
 * Chains as rows: the descriptors, what must come out. want: indices of the readable segments, '|', of the writable
 * ones. Each row is tried as a direct chain and inside an indirect table.
 */
static const struct row {
	const char *why;
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} d[8];
	unsigned n;
	const char *want;
	bool bad;
} rows[] = {
	{ "one readable", { { DATA, 40, R, 0 } }, 1, "0|", false },
	{ "one writable", { { DATA, 40, W, 0 } }, 1, "|0", false },
	{ "read and write", { { DATA, 40, N, 1 }, { DATA + 64, 80, W, 0 } }, 2, "0|1", false },
	{ "interleaved", { { DATA, 1, W | N, 1 }, { DATA + 1, 2, N, 2 }, { DATA + 3, 3, W | N, 3 },
	    { DATA + 6, 4, N, 4 }, { DATA + 10, 5, W, 0 } }, 5, "13|024", false },
	{ "writable first", { { DATA, 1, W | N, 1 }, { DATA + 1, 2, W | N, 2 }, { DATA + 3, 3, R, 0 } }, 3, "2|01", false },
	{ "any order of indices", { { DATA, 1, N, 3 }, { DATA + 1, 2, W, 9 }, { DATA + 3, 3, W | N, 1 },
	    { DATA + 6, 4, N, 2 } }, 4, "03|21", false },
	{ "length 0 skipped", { { DATA, 0, N, 1 }, { DATA, 7, N, 2 }, { 0, 0, W | N, 3 }, { DATA, 9, W, 0 } }, 4, "1|3", false },
	{ "nothing but length 0", { { DATA, 0, W, 0 } }, 1, "|", false },
	{ "last byte of the region", { { GPA2 - 1, 1, R, 0 } }, 1, "0|", false },
	{ "first byte of the next", { { GPA2, 1, R, 0 } }, 1, "0|", false },
	{ "unknown flags", { { DATA, 4, 0xfff0, 0 } }, 1, "0|", false },
	{ "no NEXT, next is rubbish", { { DATA, 4, R, 0xffff } }, 1, "0|", false },
	{ "across regions", { { GPA2 - 1, 2, R, 0 } }, 1, "|", true },
	{ "below memory", { { GPA - 1, 1, R, 0 } }, 1, "|", true },
	{ "behind memory", { { GPA2 + SIZE, 1, W, 0 } }, 1, "|", true },
	{ "beyond the end", { { GPA2 + SIZE - 1, 2, W, 0 } }, 1, "|", true },
	{ "address wraps", { { UINT64_MAX, 2, R, 0 } }, 1, "|", true },
	{ "length huge", { { DATA, UINT32_MAX, R, 0 } }, 1, "|", true },
	{ "bad request, good answer", { { 1, 40, N, 1 }, { DATA + 64, 80, W, 0 } }, 2, "|1", true },
	{ "gap in the request", { { DATA, 40, N, 1 }, { 1, 40, N, 2 }, { DATA, 8, N, 3 }, { DATA, 80, W, 0 } }, 4, "0|3", true },
	{ "gap in the answer", { { DATA, 40, N, 1 }, { DATA, 16, W | N, 2 }, { 1, 1, W | N, 3 }, { DATA, 9, W, 0 } }, 4,
	    "0|1", true },
	{ "next out of table", { { DATA, 40, N, 1 }, { DATA, 80, W | N, 0xffff } }, 2, "0|1", true },
	{ "u32 sum overflows", { { DATA, 40, N, 1 }, { DATA, 80, W | N, 2 }, { DATA, UINT32_MAX - 119, R, 0 } }, 3, "0|1", false },
	{ "u32 sum overflows, and goes on", { { DATA, 40, N, 1 }, { DATA, 80, W | N, 2 }, { DATA, UINT32_MAX - 119, N, 3 },
	    { DATA, 9, W, 0 } }, 4, "0|1", false },
	{ "indirect out of memory", { { DATA, 40, N, 1 }, { 16, 16, I, 0 } }, 2, "0|", true },
	{ "indirect of length 0", { { DATA, 0, I, 0 } }, 1, "|", true },
	{ "indirect of odd length", { { DATA, 17, I, 0 } }, 1, "|", true },
	{ "indirect too short", { { DATA, 8, I, 0 } }, 1, "|", true },
	{ "indirect too long", { { GPA, 65536 * 16, I, 0 } }, 1, "|", true },
};

static void
check_row(const struct row *t, const char *form)
{
	const char *bar = strchr(t->want, '|');
	uint64_t read_len = 0, write_len = 0;
	unsigned k = 0;

	ck_assert_msg(chain.bad == t->bad, "%s, %s: bad %d", t->why, form, chain.bad);
	ck_assert_msg(chain.nread == bar - t->want && chain.nwrite == strlen(bar + 1), "%s, %s: %u and %u segments",
	    t->why, form, chain.nread, chain.nwrite);
	for (const char *p = t->want; *p != '\0'; p++) {
		unsigned d = (unsigned)(*p - '0');

		if (*p == '|')
			continue;
		ck_assert_msg(iov[k].iov_base == memory_at(&memory, t->d[d].addr, t->d[d].len) &&
		    iov[k].iov_len == t->d[d].len, "%s, %s: segment %u", t->why, form, k);
		*(p < bar ? &read_len : &write_len) += t->d[d].len;
		k++;
	}
	ck_assert_uint_eq(chain.read_len, read_len);
	ck_assert_uint_eq(chain.write_len, write_len);
}

START_TEST(walk)
{
	const struct row *t = &rows[_i];

	for (unsigned i = 0; i < t->n; i++)
		set_desc(DESC, i, t->d[i].addr, t->d[i].len, t->d[i].flags, t->d[i].next);
	publish(0);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert_uint_eq(chain.head, 0);
	check_row(t, "direct");

	/* Behind a zero-length normal descriptor, the flags NEXT and WRITE of the indirect one without meaning, at an odd address. */
	for (unsigned i = 0; i < t->n; i++)
		set_desc(TABLE + 3, i, t->d[i].addr, t->d[i].len, t->d[i].flags, t->d[i].next);
	set_desc(DESC, 7, DATA, 0, N, 8);
	set_desc(DESC, 8, TABLE + 3, t->n * 16, I | N | W, 9);
	set_desc(DESC, 9, DATA, 5, W, 0);
	publish(7);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert_uint_eq(chain.head, 7);
	check_row(t, "indirect");
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 0);
	ck_assert(!ring.broken);
}
END_TEST

START_TEST(nested)
{
	set_desc(TABLE, 0, DATA, 10, N, 1);
	set_desc(TABLE, 1, TABLE + 64, 16, I, 0);
	set_desc(TABLE + 64, 0, DATA, 10, R, 0);
	set_desc(DESC, 0, TABLE, 32, I, 0);
	publish(0);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert(chain.bad);
	ck_assert_uint_eq(chain.nread, 1);
}
END_TEST

/* What follows the table is no descriptor, whatever it looks like. */
START_TEST(behind_the_table)
{
	set_desc(DESC, 0, DATA, 10, N, NUM);
	set_desc(DESC, NUM, DATA, 10, R, 0);
	publish(0);
	set_desc(DESC, 1, TABLE, 32, I, 0);
	set_desc(TABLE, 0, DATA, 10, N, 2);
	set_desc(TABLE, 2, DATA, 10, R, 0);
	publish(1);
	for (int k = 0; k < 2; k++) {
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert(chain.bad);
		ck_assert_uint_eq(chain.nread, 1);
	}
}
END_TEST

/* Tables of as many entries as may be, and of one more. */
START_TEST(indirect_max)
{
	for (uint32_t n = 65535; n <= 65536; n++) {
		set_desc(GPA2, 0, DATA, 10, N, 65534);
		set_desc(GPA2, 65534, DATA, 10, R, 0);
		set_desc(DESC, 0, GPA2, n * 16, I, 0);
		publish(0);
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert_int_eq(chain.bad, n > 65535);
		ck_assert_uint_eq(chain.nread, n > 65535 ? 0 : 2);
	}
}
END_TEST

/* A chain that waited is read again: as it stands now, and only if it still is one. */
START_TEST(again)
{
	set_desc(DESC, 5, DATA, 10, N, 6);
	set_desc(DESC, 6, DATA, 20, W, 0);
	publish(5);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	set_desc(DESC, 6, DATA, 7, W, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), 0);
	ck_assert_uint_eq(chain.head, 5);
	ck_assert_uint_eq(chain.nread + 10 * chain.nwrite, 11);
	ck_assert_uint_eq(chain.read_len, 10);
	ck_assert_uint_eq(chain.write_len, 7);

	set_desc(DESC, 6, 1, 7, W, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), -EPROTO);
	set_desc(DESC, 6, DATA, 7, W, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), 0);
	ring.broken = true;
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), -EPROTO);

	/* The ring is a smaller one now, with what looks like a descriptor behind it. */
	start(4);
	chain.head = 4;
	set_desc(DESC, 4, DATA, 10, R, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), -EPROTO);
	chain.head = 3;
	set_desc(DESC, 3, DATA, 10, R, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), 0);
}
END_TEST

START_TEST(loops)
{
	/* Of itself, of two, of all but the head; of empty segments; in a table. What was there before stays. */
	set_desc(DESC, 0, DATA, 8, N, 0);
	publish(0);
	set_desc(DESC, 1, DATA, 8, N | W, 2);
	set_desc(DESC, 2, DATA, 8, N, 1);
	publish(1);
	for (uint16_t i = 3; i < NUM; i++)
		set_desc(DESC, i, DATA, 0, N, (uint16_t)(i + 1 == NUM ? 3 : i + 1));
	publish(3);
	for (int k = 0; k < 3; k++) {
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert(chain.bad);
		ck_assert_uint_le(chain.nread + chain.nwrite, NUM);
	}
	set_desc(DESC, 0, TABLE, 4 * 16, I, 0);
	for (uint16_t i = 0; i < 4; i++)
		set_desc(TABLE, i, DATA, 8, N, (uint16_t)((i + 1) % 4));
	publish(0);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert(chain.bad);
	ck_assert_uint_eq(chain.nread, 4);

	/* As long as the table, and no loop. */
	for (uint16_t i = 0; i < NUM; i++)
		set_desc(DESC, i, DATA, 8, i + 1u == NUM ? R : N, (uint16_t)(i + 1));
	publish(0);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert(!chain.bad);
	ck_assert_uint_eq(chain.nread, NUM);
}
END_TEST

START_TEST(segments_max)
{
	const uint32_t n[] = { VRING_SEGS_MAX, VRING_SEGS_MAX + 1, 4095 };

	/* Odd ones writable, so that both halves meet in the middle. */
	for (uint16_t i = 0; i < 4096; i++)
		set_desc(TABLE, i, DATA + i, 1, i % 2 ? W | N : N, (uint16_t)(i + 1));
	for (unsigned k = 0; k < countof(n); k++) {
		set_desc(TABLE, n[k] - 1, DATA, 1, W, 0);
		set_desc(DESC, 0, TABLE, n[k] * 16, I, 0);
		publish(0);
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert_int_eq(chain.bad, n[k] > VRING_SEGS_MAX);
		ck_assert_uint_eq(chain.nread + chain.nwrite, VRING_SEGS_MAX);
		for (unsigned i = 0; i < chain.nread; i++)
			ck_assert_ptr_eq(iov[i].iov_base, at(DATA + 2 * i));
		for (unsigned i = 0; i + 1 < chain.nwrite; i++)
			ck_assert_ptr_eq(iov[chain.nread + i].iov_base, at(DATA + 2 * i + 1));
		set_desc(TABLE, n[k] - 1, DATA + n[k] - 1, 1, (n[k] - 1) % 2 ? W | N : N, (uint16_t)n[k]);
	}
	/* All of one direction. */
	for (unsigned dir = 0; dir < 2; dir++) {
		for (uint16_t i = 0; i < VRING_SEGS_MAX; i++)
			set_desc(TABLE, i, DATA + i, 1, (uint16_t)((dir ? W : R) | (i + 1u < VRING_SEGS_MAX ? N : 0)),
			    (uint16_t)(i + 1));
		set_desc(DESC, 0, TABLE, VRING_SEGS_MAX * 16, I, 0);
		publish(0);
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert(!chain.bad);
		ck_assert_uint_eq(dir ? chain.nwrite : chain.nread, VRING_SEGS_MAX);
		for (unsigned i = 0; i < VRING_SEGS_MAX; i++)
			ck_assert_ptr_eq(iov[i].iov_base, at(DATA + i));
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vring chain");
	TCase *ok = tcase_create("ok"), *hostile = tcase_create("hostile");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, setup, teardown);
	tcase_add_loop_test(ok, walk, 0, (int)countof(rows));
	tcase_add_test(ok, segments_max);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(hostile, nested);
	tcase_add_test(hostile, behind_the_table);
	tcase_add_test(hostile, indirect_max);
	tcase_add_test(hostile, again);
	tcase_add_test(hostile, loops);
	suite_add_tcase(s, hostile);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
