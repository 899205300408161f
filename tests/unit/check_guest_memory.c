/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/guest_memory.c over memfds. Links only that file.
 */
#include "front/guest_memory.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096u

/* How many mappings of the file there are. */
static unsigned
mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned n = 0;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, "memfd:guest") != NULL;
	fclose(f);
	return n;
}

static struct guest_memory m;
static int fd;

static void
setup(void)
{
	memset(&m, 0, sizeof(m));
	fd = memfd_create("guest", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 16 * PAGE), 0);
}

static void
teardown(void)
{
	memory_clear(&m);
	close(fd);
}

START_TEST(shared_with_the_file)
{
	char b[4] = "";

	ck_assert_int_eq(memory_add(&m, 0x10000, 4 * PAGE, 0x7000000, fd, 2 * PAGE), 0);
	memcpy(memory_at(&m, 0x10000 + 5, 3), "abc", 3);
	ck_assert_int_eq(pread(fd, b, 3, 2 * PAGE + 5), 3);
	ck_assert_str_eq(b, "abc");
	ck_assert_ptr_eq(memory_at(&m, 0x10000 + 5, 3), memory_at_uaddr(&m, 0x7000000 + 5, 3));
}
END_TEST

/* Regions may touch on either side, and none may reach into another by a byte. */
START_TEST(touching)
{
	ck_assert_int_eq(memory_add(&m, 0x10000, PAGE, 0, fd, 0), 0);
	ck_assert_int_eq(memory_add(&m, 0x10000 - PAGE, PAGE + 1, 0, fd, 0), -EINVAL);
	ck_assert_int_eq(memory_add(&m, 0x10000 - PAGE, PAGE, 0, fd, 0), 0);
	ck_assert_int_eq(memory_add(&m, 0x10000 + PAGE - 1, PAGE, 0, fd, 0), -EINVAL);
	ck_assert_int_eq(memory_add(&m, 0x10000 + PAGE, PAGE, 0, fd, 0), 0);
	ck_assert_uint_eq(m.nregions, 3);
}
END_TEST

/* Two regions that touch, one apart: a buffer must lie in one. */
static const struct {
	uint64_t gpa, len;
	int region;			/* -1: none */
} lookups[] = {
	{ 0x10000, 1, 0 }, { 0x10000, 4 * PAGE, 0 }, { 0x10000 + 4 * PAGE - 1, 1, 0 },
	{ 0x10000, 4 * PAGE + 1, -1 }, { 0x10000 + 4 * PAGE - 1, 2, -1 },
	{ 0x10000 + 4 * PAGE, 2 * PAGE, 1 }, { 0x10000 + 6 * PAGE, 1, -1 },
	{ 0xffff, 1, -1 }, { 0xffff, 2, -1 }, { 0, 1, -1 }, { 0x10000, 0, -1 },
	{ 0x100000000, PAGE, 2 }, { 0x100000000, PAGE + 1, -1 }, { 0x100000000 + PAGE, 1, -1 },
	{ UINT64_MAX, 1, -1 }, { UINT64_MAX, UINT64_MAX, -1 }, { 0x10000, UINT64_MAX, -1 },
	{ 0x10001, UINT64_MAX - 0x10000, -1 }, { 0x100000001, UINT64_MAX, -1 },
};

START_TEST(lookup)
{
	void *p;

	ck_assert_int_eq(memory_add(&m, 0x100000000, PAGE, 0x500000000, fd, 0), 0);
	ck_assert_int_eq(memory_add(&m, 0x10000, 4 * PAGE, 0x400000000, fd, 0), 0);
	ck_assert_int_eq(memory_add(&m, 0x10000 + 4 * PAGE, 2 * PAGE, 0x300000000, fd, 4 * PAGE), 0);
	p = memory_at(&m, lookups[_i].gpa, lookups[_i].len);
	if (lookups[_i].region == -1)
		ck_assert_ptr_null(p);
	else
		ck_assert_ptr_eq(p, m.region[lookups[_i].region].host +
		    (lookups[_i].gpa - m.region[lookups[_i].region].gpa));
}
END_TEST

START_TEST(lookup_uaddr)
{
	ck_assert_int_eq(memory_add(&m, 0, 4 * PAGE, UINT64_MAX - 4 * PAGE, fd, 0), 0);
	ck_assert_int_eq(memory_add(&m, 4 * PAGE, 4 * PAGE, 0x1000, fd, 4 * PAGE), 0);
	ck_assert_ptr_eq(memory_at_uaddr(&m, 0x1000, 4 * PAGE), m.region[1].host);
	ck_assert_ptr_eq(memory_at_uaddr(&m, UINT64_MAX - 4 * PAGE, 4 * PAGE), m.region[0].host);
	ck_assert_ptr_null(memory_at_uaddr(&m, 0xfff, 1));
	ck_assert_ptr_null(memory_at_uaddr(&m, 0x1000, 4 * PAGE + 1));
	ck_assert_ptr_null(memory_at_uaddr(&m, 0x1000, 0));
	ck_assert_ptr_null(memory_at_uaddr(&m, UINT64_MAX, 1));
	ck_assert_ptr_null(memory_at_uaddr(&m, UINT64_MAX - 1, 3));
	ck_assert_ptr_null(memory_at_uaddr(&m, 0x1001, UINT64_MAX));
}
END_TEST

static const struct {
	const char *why;
	uint64_t gpa, size, uaddr, offset;
} refused[] = {
	{ "size 0", 0, 0, 0, 0 },
	{ "gpa wraps", UINT64_MAX - PAGE + 2, PAGE, 0, 0 },
	{ "uaddr wraps", 0, PAGE, UINT64_MAX - PAGE + 2, 0 },
	{ "offset wraps", 0, PAGE, 0, UINT64_MAX - PAGE + 1 },
	{ "offset negative", 0, PAGE, 0, UINT64_C(1) << 63 },
	{ "size negative", 0, UINT64_C(1) << 63, 0, 0 },
	{ "behind the end", 0, PAGE, 0, 16 * PAGE },
	{ "one page too long", 0, 17 * PAGE, 0, 0 },
	{ "one byte too long", 0, 16 * PAGE + 1, 0, 0 },
	{ "too long from an offset", 0, 16 * PAGE, 0, PAGE },
	{ "offset not aligned", 0, PAGE, 0, 16 },
	{ "overlap: same", 0x100000, PAGE, 0, 0 },
	{ "overlap: head", 0x100000 - PAGE, PAGE + 1, 0, 0 },
	{ "overlap: tail", 0x100000 + 2 * PAGE - 1, PAGE, 0, 0 },
	{ "overlap: around", 0x100000 - PAGE, 4 * PAGE, 0, 0 },
	{ "overlap: inside", 0x100000 + 1, 1, 0, 0 },
};

START_TEST(refuse)
{
	ck_assert_int_eq(memory_add(&m, 0x100000, 2 * PAGE, 0x100000, fd, 0), 0);
	ck_assert_msg(memory_add(&m, refused[_i].gpa, refused[_i].size, refused[_i].uaddr, fd,
	    refused[_i].offset) == -EINVAL, "%s", refused[_i].why);
	ck_assert_uint_eq(m.nregions, 1);
}
END_TEST

START_TEST(refuse_fds)
{
	char path[] = "/tmp/check_guest_memory.XXXXXX";
	int p[2], ro, f;

	ck_assert_int_eq(memory_add(&m, 0, PAGE, 0, -1, 0), -EBADF);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(memory_add(&m, 0, PAGE, 0, p[0], 0), -EINVAL);
	f = mkstemp(path);
	ck_assert_int_ge(f, 0);
	ck_assert_int_eq(ftruncate(f, PAGE), 0);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(ro, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(memory_add(&m, 0, PAGE, 0, ro, 0), -EACCES);
	ck_assert_uint_eq(m.nregions, 0);
	ck_assert_int_eq(memory_add(&m, 0, PAGE, 0, f, 0), 0);
	close(ro);
	close(f);
	close(p[0]);
	close(p[1]);
}
END_TEST

/* A region may be of any size; the mapping is of whole pages. */
START_TEST(odd_size)
{
	ck_assert_int_eq(memory_add(&m, 0x1000, PAGE + 7, 0, fd, PAGE), 0);
	ck_assert_ptr_nonnull(memory_at(&m, 0x1000 + PAGE + 6, 1));
	ck_assert_ptr_null(memory_at(&m, 0x1000 + PAGE + 7, 1));
	ck_assert_uint_eq(m.region[0].map_len, 2 * PAGE);
}
END_TEST

START_TEST(remove_exact)
{
	ck_assert_int_eq(memory_add(&m, 0, PAGE, 0, fd, 0), 0);
	ck_assert_int_eq(memory_add(&m, PAGE, 2 * PAGE, 0, fd, 0), 0);
	ck_assert_int_eq(memory_add(&m, 3 * PAGE, PAGE, 0, fd, 0), 0);
	ck_assert_int_eq(memory_remove(&m, PAGE, PAGE), -ENOENT);
	ck_assert_int_eq(memory_remove(&m, PAGE + 1, 2 * PAGE - 1), -ENOENT);
	ck_assert_int_eq(memory_remove(&m, 4 * PAGE, PAGE), -ENOENT);
	ck_assert_int_eq(memory_remove(&m, PAGE, 2 * PAGE), 0);
	ck_assert_int_eq(memory_remove(&m, PAGE, 2 * PAGE), -ENOENT);
	ck_assert_uint_eq(m.nregions, 2);
	ck_assert_uint_eq(mappings(), 2);
	ck_assert_ptr_null(memory_at(&m, PAGE, 1));
	ck_assert_ptr_nonnull(memory_at(&m, 0, PAGE));
	ck_assert_ptr_nonnull(memory_at(&m, 3 * PAGE, PAGE));
	memory_clear(&m);
	ck_assert_uint_eq(mappings(), 0);
	ck_assert_int_eq(memory_remove(&m, 0, PAGE), -ENOENT);
	ck_assert_ptr_null(memory_at(&m, 0, 1));
}
END_TEST

/* Filled in an order that is neither up nor down; every region is then found, and the gaps are not. */
START_TEST(many)
{
	for (uint64_t i = 0; i < MEMORY_REGIONS_MAX; i++) {
		uint64_t k = i * 100 % MEMORY_REGIONS_MAX;

		ck_assert_int_eq(memory_add(&m, k * 2 * PAGE, PAGE, k * PAGE, fd, 0), 0);
	}
	ck_assert_int_eq(memory_add(&m, UINT64_C(1) << 40, PAGE, 0, fd, 0), -ENOSPC);
	for (uint64_t k = 0; k < MEMORY_REGIONS_MAX; k++) {
		ck_assert_ptr_eq(memory_at(&m, k * 2 * PAGE + 1, PAGE - 1), memory_at_uaddr(&m, k * PAGE + 1, 2));
		ck_assert_ptr_null(memory_at(&m, k * 2 * PAGE + PAGE, 1));
	}
	for (uint64_t k = 0; k < MEMORY_REGIONS_MAX; k += 2)
		ck_assert_int_eq(memory_remove(&m, k * 2 * PAGE, PAGE), 0);
	for (uint64_t k = 0; k < MEMORY_REGIONS_MAX; k++)
		ck_assert_int_eq(memory_at(&m, k * 2 * PAGE, 1) != NULL, k % 2 == 1);
}
END_TEST

/* Where the machine has huge pages: an offset and a size that are no multiples of one. */
START_TEST(huge_pages)
{
	const uint64_t huge = 2u << 20;
	int h = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	uint8_t *p;

	if (h == -1 || ftruncate(h, (off_t)(2 * huge)) == -1 ||
	    (p = mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_SHARED, h, (off_t)huge)) == MAP_FAILED) {
		printf("check_guest_memory: no huge pages here, huge_pages not tested\n");
		if (h != -1)
			close(h);
		return;
	}
	ck_assert_int_eq(memory_add(&m, 0, huge - PAGE - 5, 0, h, huge + PAGE), 0);
	p[PAGE + 9] = 77;
	ck_assert_uint_eq(*(uint8_t *)memory_at(&m, 9, 1), 77);
	ck_assert_uint_eq(m.region[0].map_len, huge);
	ck_assert_int_eq(memory_remove(&m, 0, huge - PAGE - 5), 0);
	munmap(p, huge);
	close(h);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("guest_memory");
	TCase *ok = tcase_create("ok"), *hostile = tcase_create("hostile");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, setup, teardown);
	tcase_add_test(ok, shared_with_the_file);
	tcase_add_test(ok, touching);
	tcase_add_test(ok, lookup_uaddr);
	tcase_add_test(ok, odd_size);
	tcase_add_test(ok, remove_exact);
	tcase_add_test(ok, many);
	tcase_add_test(ok, huge_pages);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_loop_test(hostile, lookup, 0, (int)countof(lookups));
	tcase_add_loop_test(hostile, refuse, 0, (int)countof(refused));
	tcase_add_test(hostile, refuse_fds);
	suite_add_tcase(s, hostile);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
