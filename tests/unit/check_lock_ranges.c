/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/lock_ranges.c: against a map of bytes, and against the kernel's own idea of the same locks.
 * Links that file only.
 */
#include "front/lock_ranges.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES	48u
#define REQUIRE(x)	do { if (!(x)) ck_abort_msg("%s", #x); } while (0)

static struct lock_ranges s;

static void
teardown(void)
{
	lock_ranges_free(&s);
}

static void
set(uint64_t start, uint64_t end, uint32_t type, uint32_t pid)
{
	uint32_t before = s.n;

	REQUIRE(lock_ranges_reserve(&s) == 0);
	lock_ranges_set(&s, start, end, type, pid);
	REQUIRE(s.n <= before + 2 && s.n <= s.room);
	for (uint32_t i = 0; i < s.n; i++) {
		REQUIRE(s.r[i].start <= s.r[i].end && s.r[i].end <= LOCK_OFFSET_MAX);
		REQUIRE(i == 0 || s.r[i - 1].end < s.r[i].start);
		/* Neighbours that are the same are one. */
		REQUIRE(i == 0 || s.r[i - 1].end + 1 < s.r[i].start || s.r[i - 1].type != s.r[i].type ||
		    s.r[i - 1].pid != s.r[i].pid);
	}
}

/* "start-end type pid", one after the other. */
static const char *
shown(void)
{
	static char text[512];
	size_t at = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < s.n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%llu-%llu%c%u ", (unsigned long long)s.r[i].start,
		    (unsigned long long)s.r[i].end, s.r[i].type == F_RDLCK ? 'r' : 'w', s.r[i].pid);
	return text;
}

#define OP(start, end, type) { start, end, type, true }
static const struct {
	const char *title;
	struct {
		uint64_t start, end;
		uint32_t type;
		bool	set;
	} op[5];
	const char *want;
} rows[] = {
	{ "one", { OP(5, 9, F_RDLCK) }, "5-9r1 " },
	{ "the whole file", { OP(0, INT64_MAX, F_WRLCK) }, "0-9223372036854775807w1 " },
	{ "nothing held", { OP(5, 9, F_UNLCK) }, "" },
	{ "neighbours join", { OP(5, 9, F_RDLCK), OP(10, 12, F_RDLCK), OP(0, 4, F_RDLCK) }, "0-12r1 " },
	{ "neighbours of another type", { OP(5, 9, F_RDLCK), OP(10, 12, F_WRLCK) }, "5-9r1 10-12w1 " },
	{ "a gap", { OP(5, 9, F_RDLCK), OP(11, 12, F_RDLCK) }, "5-9r1 11-12r1 " },
	{ "a gap filled", { OP(5, 9, F_RDLCK), OP(11, 12, F_RDLCK), OP(10, 10, F_RDLCK) }, "5-12r1 " },
	{ "a gap filled otherwise", { OP(5, 9, F_RDLCK), OP(11, 12, F_RDLCK), OP(10, 10, F_WRLCK) },
	    "5-9r1 10-10w1 11-12r1 " },
	{ "split", { OP(0, 9, F_RDLCK), OP(4, 5, F_UNLCK) }, "0-3r1 6-9r1 " },
	{ "changed inside", { OP(0, 9, F_RDLCK), OP(4, 5, F_WRLCK) }, "0-3r1 4-5w1 6-9r1 " },
	{ "changed and back", { OP(0, 9, F_RDLCK), OP(4, 5, F_WRLCK), OP(4, 5, F_RDLCK) }, "0-9r1 " },
	{ "over several", { OP(0, 1, F_RDLCK), OP(3, 4, F_WRLCK), OP(6, 9, F_RDLCK), OP(1, 7, F_WRLCK) },
	    "0-0r1 1-7w1 8-9r1 " },
	{ "all gone", { OP(0, 1, F_RDLCK), OP(3, 4, F_WRLCK), OP(0, INT64_MAX, F_UNLCK) }, "" },
	{ "at the end", { OP(INT64_MAX, INT64_MAX, F_WRLCK), OP(INT64_MAX - 1, INT64_MAX - 1, F_WRLCK) },
	    "9223372036854775806-9223372036854775807w1 " },
	{ "the last byte freed", { OP(0, INT64_MAX, F_WRLCK), OP(INT64_MAX, INT64_MAX, F_UNLCK) },
	    "0-9223372036854775806w1 " },
	{ "the first byte freed", { OP(0, INT64_MAX, F_WRLCK), OP(0, 0, F_UNLCK) }, "1-9223372036854775807w1 " },
};

START_TEST(table)
{
	for (int i = 0; i < 5; i++)
		if (rows[_i].op[i].set)
			set(rows[_i].op[i].start, rows[_i].op[i].end, rows[_i].op[i].type, 1);
	ck_assert_str_eq(shown(), rows[_i].want);
}
END_TEST

START_TEST(pids)
{
	set(0, 9, F_RDLCK, 1);
	set(10, 19, F_RDLCK, 2);
	ck_assert_str_eq(shown(), "0-9r1 10-19r2 ");
	set(5, 14, F_RDLCK, 2);
	ck_assert_str_eq(shown(), "0-4r1 5-19r2 ");
	ck_assert_uint_eq(lock_ranges_conflict(&s, 3, 6, F_WRLCK)->pid, 1);
	ck_assert_uint_eq(lock_ranges_conflict(&s, 5, 6, F_WRLCK)->pid, 2);
	ck_assert_ptr_null(lock_ranges_conflict(&s, 3, 6, F_RDLCK));
	ck_assert_ptr_null(lock_ranges_conflict(&s, 20, 30, F_WRLCK));
	set(6, 6, F_WRLCK, 3);
	ck_assert_uint_eq(lock_ranges_conflict(&s, 0, 100, F_RDLCK)->pid, 3);
}
END_TEST

/* Does another open file see a conflict at this byte? */
static int
kernel_says(int other, uint64_t byte)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1 };

	REQUIRE(fcntl(other, F_OFD_GETLK, &f) == 0);
	return f.l_type;
}

/* Long walks: the table, a plain map, and the kernel say the same of each byte after each step. */
START_TEST(random_walk)
{
	uint8_t map[BYTES];
	char path[64];
	int fd = memfd_create("locks", 0), other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_ge(other = open(path, O_RDWR), 0);
	memset(map, F_UNLCK, sizeof(map));
	srandom((unsigned)_i);
	for (unsigned step = 0; step < 400; step++) {
		static const uint32_t types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
		const uint64_t a = (uint64_t)random() % BYTES, b = (uint64_t)random() % BYTES;
		const uint64_t start = a < b ? a : b, end = a < b ? b : a;
		const uint32_t type = types[random() % 3];
		struct flock f = { .l_type = (short)type, .l_whence = SEEK_SET, .l_start = (off_t)start,
			.l_len = (off_t)(end - start + 1) };

		set(start, end, type, 1);
		memset(map + start, (int)type, end - start + 1);
		REQUIRE(fcntl(fd, F_OFD_SETLK, &f) == 0);
		for (uint64_t i = 0; i < BYTES; i++) {
			const struct lock_range *r = lock_ranges_conflict(&s, i, i, F_WRLCK);

			REQUIRE((r != NULL ? r->type : F_UNLCK) == map[i]);
			if (step % 20 == 0)
				REQUIRE(kernel_says(other, i) == map[i]);
		}
	}
	close(fd);
	close(other);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("lock_ranges");
	TCase *t = tcase_create("ok");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_loop_test(t, table, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(t, pids);
	tcase_add_loop_test(t, random_walk, 0, 20);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
