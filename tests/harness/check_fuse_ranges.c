/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse_ranges - FALLOCATE, LSEEK, COPY_FILE_RANGE, compared with what the host's kernel does. Of FALLOCATE's modes only
 * those that Linux's guests ask for.
 *
 * Runs in: check_fuse.
 */
#include "check_fuse.h"
#include "harness.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

static uint64_t node;
static struct fuse_open_out fh;

static void
setup(void)
{
	static char data[65536];

	h_setup();
	memset(data, 'd', sizeof(data));
	h_put("f", data, sizeof(data));
	h_put("host", data, sizeof(data));
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDWR, &fh));
}

static const int modes[] = {
	0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE,
	FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
};

static const struct {
	off_t offset;
	off_t length;
} ranges[] = { { 0, 4096 }, { 4096, 8192 }, { 60000, 10000 }, { 1 << 20, 4096 }, { 0, 0 } };

/* Each mode and range twice: by the guest on f, by the host on its twin; same result, same file. */
START_TEST(test_fallocate)
{
	static char a[1200000], b[1200000];
	size_t i, len_a, len_b;
	int err, fd;

	fd = open(h_path("host"), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		err = fallocate(fd, modes[_i], ranges[i].offset, ranges[i].length) == 0 ? 0
		    : -errno;
		ck_assert_int_eq(fc_fallocate(&hc, node, fh.fh, (uint64_t)ranges[i].offset,
		    (uint64_t)ranges[i].length, (uint32_t)modes[_i]), err);
		len_a = h_get("f", a, sizeof(a));
		len_b = h_get("host", b, sizeof(b));
		ck_assert_uint_eq(len_a, len_b);
		ck_assert(memcmp(a, b, len_a) == 0);
		ck_assert_uint_eq(h_stat("f").st_size, h_stat("host").st_size);
	}
	close(fd);
}
END_TEST

START_TEST(test_lseek)
{
	uint64_t off;
	off_t want;
	int fd;

	fd = open(h_path("f"), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert(ftruncate(fd, 1 << 20) == 0);
	ck_assert(pwrite(fd, "tail", 4, (1 << 20) - 4) == 4);
	want = lseek(fd, 0, SEEK_HOLE);
	OK(fc_lseek(&hc, node, fh.fh, 0, SEEK_HOLE, &off));
	ck_assert_uint_eq(off, (uint64_t)want);
	want = lseek(fd, want, SEEK_DATA);
	OK(fc_lseek(&hc, node, fh.fh, off, SEEK_DATA, &off));
	ck_assert_uint_eq(off, (uint64_t)want);
	FAILS(ENXIO, fc_lseek(&hc, node, fh.fh, 2 << 20, SEEK_DATA, &off));
	OK(fc_lseek(&hc, node, fh.fh, 0, SEEK_END, &off));
	ck_assert_uint_eq(off, 1 << 20);
	OK(fc_lseek(&hc, node, fh.fh, 77, SEEK_SET, &off));
	ck_assert_uint_eq(off, 77);
	FAILS(EINVAL, fc_lseek(&hc, node, fh.fh, 0, 99, &off));
	close(fd);
}
END_TEST

static int
copy(uint64_t out_node, uint64_t out_fh, uint64_t off_in, uint64_t off_out, uint64_t len,
    uint64_t flags, uint32_t *copied)
{
	struct fuse_copy_file_range_in in = {
		.fh_in = fh.fh, .off_in = off_in, .nodeid_out = out_node, .fh_out = out_fh,
		.off_out = off_out, .len = len, .flags = flags,
	};

	return fc_copy_file_range(&hc, &in, node, copied);
}

START_TEST(test_copy_file_range)
{
	struct fuse_entry_out e;
	struct fuse_open_out o, ro;
	uint32_t n = 0;
	char buf[16];

	h_put("f", "0123456789", 10);
	OK(fc_create(&hc, FC_ROOT, "out", O_RDWR, 0644, &e, &o));
	OK(copy(e.nodeid, o.fh, 2, 1, 5, 0, &n));
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq((int)h_get("out", buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "\00023456", 6);
	OK(copy(e.nodeid, o.fh, 8, 0, 100, 0, &n));
	ck_assert_uint_eq(n, 2);
	OK(copy(e.nodeid, o.fh, 100, 0, 100, 0, &n));
	ck_assert_uint_eq(n, 0);
	FAILS(EINVAL, copy(e.nodeid, o.fh, 0, 0, 1, 1, &n));
	FAILS(EINVAL, copy(node, fh.fh, 0, 1, 5, 0, &n));
	FAILS(EBADF, copy(e.nodeid, fh.fh, 0, 0, 1, 0, &n));
	FAILS(EBADF, copy(node, o.fh, 0, 0, 1, 0, &n));
	OK(fc_open_file(&hc, e.nodeid, O_RDONLY, &ro));
	FAILS(EBADF, copy(e.nodeid, ro.fh, 0, 0, 1, 0, &n));
}
END_TEST

/* A handle with O_APPEND on the guest's side is an ordinary one here. */
START_TEST(test_copy_to_append)
{
	struct fuse_open_out o;
	uint64_t out;
	uint32_t n;

	h_put("out", "abc", 3);
	out = h_node("out");
	OK(fc_open_file(&hc, out, O_RDWR | O_APPEND, &o));
	OK(copy(out, o.fh, 0, 0, 2, 0, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq((int)h_stat("out").st_size, 3);
}
END_TEST

TCase *
check_fuse_ranges(void)
{
	TCase *t = tcase_create("ranges");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, h_stop);
	tcase_add_loop_test(t, test_fallocate, 0, (int)(sizeof(modes) / sizeof(modes[0])));
	tcase_add_test(t, test_lseek);
	tcase_add_test(t, test_copy_file_range);
	tcase_add_test(t, test_copy_to_append);
	return t;
}
