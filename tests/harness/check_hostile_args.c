/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_hostile_args - well-formed requests with impossible numbers: ids, offsets, sizes, counts,
 * devices.
 *
 * Runs in: check_hostile.
 */
#include "check_hostile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAX_OFF (1ull << 63)

static uint64_t node;
static uint64_t fh;

static void
setup(void)
{
	static const char *const args[] = { "--xattr", NULL };
	struct fuse_open_out o;

	hostile_start(args);
	h_put("f", "0123456789", 10);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDWR, &o));
	fh = o.fh;
}

static const uint64_t far[] = { MAX_OFF, MAX_OFF + 1, MAX_OFF - 1, ~0ull, ~0ull - 4095 };

#define NR_FAR (sizeof(far) / sizeof(far[0]))

START_TEST(test_read_offsets)
{
	char buf[64];
	int err;

	for (size_t i = 0; i < NR_FAR; i++) {
		err = fc_read(&hc, node, fh, far[i], buf, sizeof(buf));
		/* 2^63-1 is an offset; whether a read there is EINVAL or at the end is the kernel's. */
		ck_assert_msg(err == -EINVAL || (err == 0 && far[i] < MAX_OFF),
		    "READ at %llx: %d", (unsigned long long)far[i], err);
		hostile_check_all("READ offset");
	}
}
END_TEST

START_TEST(test_write_offsets)
{
	int err;

	for (size_t i = 0; i < NR_FAR; i++) {
		err = fc_write(&hc, node, fh, far[i], "data", 4, O_RDWR);
		ck_assert_msg(err == -EINVAL || (err == -EFBIG && far[i] < MAX_OFF),
		    "WRITE at %llx: %d", (unsigned long long)far[i], err);
		hostile_check_all("WRITE offset");
	}
	ck_assert_int_eq((int)h_stat("f").st_size, 10);
}
END_TEST

START_TEST(test_range_offsets)
{
	struct fuse_copy_file_range_in c = { .fh_in = fh, .nodeid_out = node, .fh_out = fh };
	uint64_t off;
	uint32_t n;
	int err;

	for (size_t i = 0; i < NR_FAR; i++) {
		err = fc_fallocate(&hc, node, fh, far[i], 4096, 0);
		ck_assert_msg(err == -EINVAL || (err == -EFBIG && far[i] < MAX_OFF),
		    "FALLOCATE at %llx: %d", (unsigned long long)far[i], err);
		err = fc_fallocate(&hc, node, fh, 0, far[i], 0);
		ck_assert_msg(err == -EINVAL || (err == -EFBIG && far[i] < MAX_OFF),
		    "FALLOCATE of %llx: %d", (unsigned long long)far[i], err);
		for (uint32_t whence = SEEK_SET; whence <= SEEK_HOLE; whence++) {
			err = fc_lseek(&hc, node, fh, far[i], whence, &off);
			ck_assert_msg(err <= 0 && err != FC_BROKEN, "LSEEK: %d", err);
		}
		FAILS(EINVAL, fc_lseek(&hc, node, fh, 0, 5 + (uint32_t)i, &off));
		c.off_in = far[i];
		c.off_out = 0;
		c.len = 4096;
		err = fc_copy_file_range(&hc, &c, node, &n);
		ck_assert_msg(err < 0 || n == 0, "COPY from %llx", (unsigned long long)far[i]);
		c.off_in = 0;
		c.off_out = far[i];
		ck_assert_int_lt(fc_copy_file_range(&hc, &c, node, &n), 0);
		c.off_out = 4096;
		c.len = far[i];
		err = fc_copy_file_range(&hc, &c, node, &n);
		ck_assert_msg(err < 0 || n <= 10, "COPY of %llx", (unsigned long long)far[i]);
		hostile_check_all("range offset");
		ck_assert(truncate(h_path("f"), 10) == 0);
	}
}
END_TEST

START_TEST(test_readdir_offsets)
{
	struct fuse_open_out o;
	int err;

	OK(fc_opendir(&hc, FC_ROOT, &o));
	for (size_t i = 0; i < NR_FAR; i++) {
		for (int plus = 0; plus < 2; plus++) {
			err = fc_readdir(&hc, FC_ROOT, o.fh, far[i], 4096, plus);
			ck_assert_msg(err >= 0 || err == -EINVAL, "READDIR at %llx: %d",
			    (unsigned long long)far[i], err);
		}
		hostile_check_all("READDIR offset");
	}
	ck_assert_int_gt(fc_readdir(&hc, FC_ROOT, o.fh, 0, 4096, false), 0);
}
END_TEST

START_TEST(test_read_sizes)
{
	static const uint32_t sizes[] = { 0xffffffffu, 1u << 31, (1u << 20) + 1, 1u << 24 };
	struct fuse_read_in in = { .fh = fh };
	struct fc_part part = { &in, sizeof(in) };
	int err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		in.size = sizes[i];
		err = hostile_call("READ size", FUSE_READ, node, &part, 1, 80, 4096);
		ck_assert_msg(err == 0 || err == -ENOMEM || err == -EINVAL || err == -EIO,
		    "READ of %u: %d", sizes[i], err);
		if (err == 0) {
			ck_assert_uint_eq(hc.body_len, 10);
			ck_assert_mem_eq(hc.body, "0123456789", 10);
		}
		hostile_check_all("READ size");
	}
	/* Nowhere to put the data. */
	in.size = 10;
	ck_assert_int_eq(hostile_shoot("READ", fc_build(&hc, FUSE_READ, node, &part, 1), 0, 0), 1);
	hostile_check_all("READ without a buffer");
}
END_TEST

START_TEST(test_write_sizes)
{
	static const uint32_t sizes[] = { 0, 1, 3, 5, 4096, (1u << 20) + 1, 1u << 31, ~0u };
	struct fuse_write_in in = { .fh = fh, .flags = O_RDWR };
	struct fc_part parts[] = { { &in, sizeof(in) }, { "WXYZ", 4 } };
	struct fuse_write_out out;
	char buf[16];
	int err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		in.size = sizes[i];
		err = hostile_call("WRITE size", FUSE_WRITE, node, parts, 2, 84, 8);
		/* Never more than there is, never more than asked. */
		if (err == 0) {
			memcpy(&out, hc.body, sizeof(out));
			ck_assert_uint_le(out.size, 4);
			ck_assert_uint_le(out.size, sizes[i]);
		} else {
			ck_assert_msg(err == -EIO || err == -EINVAL || err == -ENOMEM,
			    "WRITE of %u: %d", sizes[i], err);
		}
		hostile_check_all("WRITE size");
		ck_assert_int_eq((int)h_get("f", buf, sizeof(buf)), 10);
		ck_assert_mem_eq(buf + 4, "456789", 6);
	}
}
END_TEST

/* A write whose data is not there at all. */
START_TEST(test_write_no_data)
{
	struct fuse_write_in in = { .fh = fh, .size = 4096, .flags = O_RDWR };
	struct fc_part part = { &in, sizeof(in) };
	struct fuse_write_out out;
	int err;

	err = hostile_call("WRITE without data", FUSE_WRITE, node, &part, 1, 80, 8);
	if (err == 0) {
		memcpy(&out, hc.body, sizeof(out));
		ck_assert_uint_eq(out.size, 0);
	} else {
		ck_assert(hostile_is_refusal(err));
	}
	ck_assert_int_eq((int)h_stat("f").st_size, 10);
	hostile_check_all("WRITE without data");
}
END_TEST

START_TEST(test_setxattr_lies)
{
	static const uint32_t sizes[] = { 0, 3, 5, 4096, 1u << 31, ~0u };
	struct {
		uint32_t size, flags;
	} in = { 0, 0 };
	struct fc_part parts[] = { { &in, 8 }, { "user.a", 7 }, { "vvvv", 4 } };
	int err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		in.size = sizes[i];
		err = hostile_call("SETXATTR size", FUSE_SETXATTR, node, parts, 3, 40 + 8 + 7 + 4,
		    0);
		ck_assert_msg(hostile_is_refusal(err) || err == -ENOMEM || err == -E2BIG,
		    "SETXATTR size %u: %d", sizes[i], err);
		hostile_check_all("SETXATTR size");
	}
	FAILS(ENODATA, fc_getxattr(&hc, node, "user.a", NULL, 0));
	in.size = 4;
	in.flags = 0xffffffffu;
	err = hostile_call("SETXATTR flags", FUSE_SETXATTR, node, parts, 3, 59, 0);
	ck_assert_int_lt(err, 0);
	hostile_check_all("SETXATTR flags");
}
END_TEST

START_TEST(test_xattr_sizes)
{
	struct fuse_getxattr_in in = { (1u << 20) + 1, 0 };
	int err;
	struct fc_part parts[] = { { &in, sizeof(in) }, { "user.a", 7 } };
	static const uint32_t sizes[] = { (1u << 20) + 1, 1u << 31, ~0u };
	static char name[600];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		in.size = sizes[i];
		FAILS(ENOMEM, hostile_call("GETXATTR", FUSE_GETXATTR, node, parts, 2, 55, 4096));
		FAILS(ENOMEM, hostile_call("LISTXATTR", FUSE_LISTXATTR, node, parts, 1, 48, 4096));
		hostile_check_all("xattr size");
	}
	/* Less room than asked for. */
	OK(fc_setxattr(&hc, node, "user.a", "0123456789012345678901234567890123456789", 40, 0));
	in.size = 4096;
	ck_assert_int_ne(hostile_call("GETXATTR", FUSE_GETXATTR, node, parts, 2, 55, 16), 0);
	hostile_check_all("xattr room");
	memset(name, 'x', sizeof(name) - 1);
	memcpy(name, "user.", 5);
	err = fc_setxattr(&hc, node, name, "v", 1, 0);
	ck_assert_msg(err == -ERANGE || err == -ENAMETOOLONG, "long xattr name: %d", err);
	hostile_check_all("long xattr name");
}
END_TEST

START_TEST(test_batch_forget_lies)
{
	static const uint32_t counts[] = { 1, 3, 1000, 65535 };
	static const uint32_t huge[] = { 65537, 1u << 28, (1u << 28) + 1, ~0u };
	struct fuse_batch_forget_in in = { 0, 0 };
	struct fuse_forget_one one = { 999999, 1 };
	struct fc_part parts[] = { { &in, sizeof(in) }, { &one, 0 } };
	int result;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		in.count = counts[i];
		result = hostile_call("BATCH_FORGET", FUSE_BATCH_FORGET, 0, parts, 2, 48, 0);
		ck_assert_msg(hostile_is_refusal(result), "count %u: %d", counts[i], result);
		hostile_check_all("BATCH_FORGET count");
	}
	for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		in.count = huge[i];
		result = hostile_call("BATCH_FORGET", FUSE_BATCH_FORGET, 0, parts, 2, 48, 0);
		ck_assert_msg(result == -ENOMEM, "count %u: %d", huge[i], result);
		hostile_check_all("BATCH_FORGET count");
	}
	parts[1].len = sizeof(one);
	in.count = 1;
	one.nodeid = node;
	one.nlookup = ~0ull;
	OK(fc_send(&hc, FUSE_BATCH_FORGET, 0, parts, 2));
	FAILS(EBADF, fc_getattr(&hc, node, NULL));
	hostile_check_all("BATCH_FORGET of all");
}
END_TEST

START_TEST(test_forget_root)
{
	struct fuse_forget_one ones[64];
	int i;

	for (i = 0; i < 100; i++)
		OK(fc_forget(&hc, FC_ROOT, 1));
	hostile_check_all("FORGET of the root");
	OK(fc_forget(&hc, FC_ROOT, ~0ull));
	OK(fc_forget(&hc, FC_ROOT, 1ull << 63));
	hostile_check_all("FORGET of the root by 2^64-1");
	for (i = 0; i < 64; i++) {
		ones[i].nodeid = FC_ROOT;
		ones[i].nlookup = ~0ull;
	}
	OK(fc_batch_forget(&hc, ones, 64));
	hostile_check_all("BATCH_FORGET of the root");
	ck_assert_uint_ne(h_node("f"), 0);
}
END_TEST

START_TEST(test_forgotten_while_open)
{
	struct fuse_entry_out e;
	char buf[16];
	int err;

	OK(fc_forget(&hc, node, ~0ull));
	err = fc_read(&hc, node, fh, 0, buf, sizeof(buf));
	ck_assert_msg(err == 10 || err == -EBADF, "READ after FORGET: %d", err);
	FAILS(EBADF, fc_link(&hc, node, FC_ROOT, "x", &e));
	err = fc_release(&hc, node, fh);
	ck_assert_msg(err == 0 || err == -EBADF, "RELEASE after FORGET: %d", err);
	FAILS(EBADF, fc_release(&hc, node, fh));
	hostile_check_all("FORGET of an open file");
}
END_TEST

/* CVE-2020-35517: guest root makes a device node and opens it. */
START_TEST(test_devices)
{
	static const struct {
		uint32_t mode;
		unsigned int major, minor;
	} devs[] = { { S_IFCHR, 1, 3 }, { S_IFCHR, 1, 1 }, { S_IFBLK, 254, 0 }, { S_IFIFO, 0, 0 },
		{ S_IFSOCK, 0, 0 } };
	struct fuse_setattr_in sa = { .valid = FATTR_SIZE };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char name[16];

	for (size_t i = 0; i < sizeof(devs) / sizeof(devs[0]); i++) {
		snprintf(name, sizeof(name), "dev%zu", i);
		OK(fc_mknod(&hc, FC_ROOT, name, devs[i].mode | 0666,
		    (uint32_t)makedev(devs[i].major, devs[i].minor), &e));
		FAILS(EBADF, fc_open_file(&hc, e.nodeid, O_RDONLY, &o));
		FAILS(EBADF, fc_open_file(&hc, e.nodeid, O_RDWR | O_NONBLOCK, &o));
		FAILS(EBADF, fc_open_file(&hc, e.nodeid, O_WRONLY | O_TRUNC, &o));
		FAILS(EBADF, fc_opendir(&hc, e.nodeid, &o));
		FAILS(EBADF, fc_setattr(&hc, e.nodeid, &sa, NULL));
		FAILS(EBADF, fc_create(&hc, FC_ROOT, name, O_RDWR, 0644, &e, &o));
		hostile_check_all("OPEN of a device");
	}
	/* Nobody else may make one. */
	hc.uid = hc.gid = 1000;
	FAILS(EPERM, fc_mknod(&hc, FC_ROOT, "no", S_IFCHR | 0666, (uint32_t)makedev(1, 3), &e));
	hc.uid = hc.gid = 0;
	ck_assert_int_lt(fc_mknod(&hc, FC_ROOT, "odd", 0170000 | 0666, 0, &e), 0);
	hostile_check_all("MKNOD of no type");
}
END_TEST

START_TEST(test_symlinks)
{
	static const char *const targets[] = { "/etc/passwd", "../log", "/proc/self/root",
		"/proc/self/environ", "f", "." };
	struct fuse_setattr_in sa = { .valid = FATTR_SIZE };
	struct fuse_entry_out e, in;
	struct fuse_open_out o;
	char name[16];
	struct stat before, after;

	ck_assert(stat("/etc/passwd", &before) == 0);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		snprintf(name, sizeof(name), "l%zu", i);
		OK(fc_symlink(&hc, FC_ROOT, name, targets[i], &e));
		FAILS(EBADF, fc_open_file(&hc, e.nodeid, O_RDONLY, &o));
		FAILS(EBADF, fc_open_file(&hc, e.nodeid, O_RDWR, &o));
		ck_assert_int_lt(fc_opendir(&hc, e.nodeid, &o), 0);
		FAILS(EBADF, fc_setattr(&hc, e.nodeid, &sa, NULL));
		ck_assert_int_lt(fc_create(&hc, FC_ROOT, name, O_RDWR | O_TRUNC, 0644, &in, &o), 0);
		ck_assert_int_lt(fc_lookup(&hc, e.nodeid, "x", &in), 0);
		ck_assert_int_lt(fc_create(&hc, e.nodeid, "x", O_RDWR, 0644, &in, &o), 0);
		hostile_check_all("symlink");
	}
	ck_assert(stat("/etc/passwd", &after) == 0);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	ck_assert_int_eq((int)h_stat("f").st_size, 10);
}
END_TEST

/* Open flags no kernel client sends. */
START_TEST(test_open_flags)
{
	static const uint32_t flags[] = { O_PATH, O_CREAT, O_CREAT | O_EXCL, O_TMPFILE | O_RDWR,
		O_ACCMODE, 0xffffffffu, O_DIRECTORY, O_NOFOLLOW, O_ASYNC, 0x80000000u, O_DIRECT };
	struct fuse_open_out o;
	char buf[16];
	int err;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		err = fc_open_file(&hc, node, flags[i], &o);
		ck_assert_int_ne(err, FC_BROKEN);
		if (err == 0) {
			ck_assert_int_ne(fc_read(&hc, node, o.fh, 0, buf, 4), FC_BROKEN);
			ck_assert_int_ne(fc_write(&hc, node, o.fh, 0, "0", 1, flags[i]), FC_BROKEN);
			OK(fc_release(&hc, node, o.fh));
		}
		err = fc_open_file(&hc, FC_ROOT, flags[i], &o);
		ck_assert_int_ne(err, FC_BROKEN);
		if (err == 0) {
			ck_assert_int_ne(fc_read(&hc, FC_ROOT, o.fh, 0, buf, 4), FC_BROKEN);
			OK(fc_release(&hc, FC_ROOT, o.fh));
		}
		err = fc_opendir(&hc, FC_ROOT, &o);
		OK(err);
		OK(fc_releasedir(&hc, FC_ROOT, o.fh));
		hostile_check_all("open flags");
	}
}
END_TEST

/* A set-up that runs out of nothing: handles and nodes without number, then all forgotten. */
START_TEST(test_many_nodes)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char name[16];
	int i, err = 0;

	for (i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		err = fc_create(&hc, FC_ROOT, name, O_RDWR, 0644, &e, &o);
		if (err != 0)
			break;
	}
	ck_assert_msg(i == 3000 || err == -ENFILE || err == -EMFILE, "CREATE %d: %d", i, err);
	hostile_check_all("thousands of open files");
	OK(fc_init(&hc, ~0ull));
	hostile_check_all("INIT with thousands of open files");
	OK(fc_create(&hc, FC_ROOT, "after", O_RDWR, 0644, &e, &o));
}
END_TEST

TCase *
check_hostile_args(void)
{
	TCase *t = tcase_create("args");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, hostile_stop);
	tcase_add_test(t, test_read_offsets);
	tcase_add_test(t, test_write_offsets);
	tcase_add_test(t, test_range_offsets);
	tcase_add_test(t, test_readdir_offsets);
	tcase_add_test(t, test_read_sizes);
	tcase_add_test(t, test_write_sizes);
	tcase_add_test(t, test_write_no_data);
	tcase_add_test(t, test_setxattr_lies);
	tcase_add_test(t, test_xattr_sizes);
	tcase_add_test(t, test_batch_forget_lies);
	tcase_add_test(t, test_forget_root);
	tcase_add_test(t, test_forgotten_while_open);
	tcase_add_test(t, test_devices);
	tcase_add_test(t, test_symlinks);
	tcase_add_test(t, test_open_flags);
	tcase_add_test(t, test_many_nodes);
	return t;
}
