/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse_files - open files: create, read, write, append, truncate, sync, and what may be
 * opened.
 *
 * Runs in: check_fuse.
 */
#include "check_fuse.h"
#include "harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static char big[FC_MAX_WRITE];
static char back[FC_MAX_WRITE];

static void
setup(void)
{
	size_t i;

	h_setup();
	for (i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + (i >> 9));
	memset(back, 0, sizeof(back));
}

START_TEST(test_create_write_read)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char buf[32];

	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0640, &e, &o));
	ck_assert_uint_eq(e.attr.mode, S_IFREG | 0640);
	ck_assert_uint_eq(e.attr.size, 0);
	ck_assert_uint_eq(o.open_flags, 0);
	ck_assert_uint_eq(h_stat("f").st_mode, S_IFREG | 0640);
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "hello world", 11, O_RDWR), 11);
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 20, "x", 1, O_RDWR), 1);
	ck_assert_int_eq((int)h_get("f", buf, sizeof(buf)), 21);
	ck_assert_mem_eq(buf, "hello world\0\0\0\0\0\0\0\0\0x", 21);
	memset(buf, 1, sizeof(buf));
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 6, buf, 5), 5);
	ck_assert_mem_eq(buf, "world", 5);
	/* Up to the end, at the end, behind the end. */
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 18, buf, 32), 3);
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 21, buf, 32), 0);
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 1 << 20, buf, 32), 0);
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 0, buf, 0), 0);
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "", 0, O_RDWR), 0);
	OK(fc_release(&hc, e.nodeid, o.fh));
}
END_TEST

START_TEST(test_create_existing)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	h_put("f", "old", 3);
	ck_assert_int_eq(chown(h_path("f"), 5, 5), 0);
	FAILS(EEXIST, fc_create(&hc, FC_ROOT, "f", O_RDWR | O_EXCL, 0600, &e, &o));
	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0600, &e, &o));
	ck_assert_int_eq((int)h_stat("f").st_size, 3);
	ck_assert_uint_eq(h_stat("f").st_mode, S_IFREG | 0644);
	ck_assert_uint_eq(e.attr.uid, 5);
	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR | O_TRUNC, 0600, &e, &o));
	ck_assert_int_eq((int)h_stat("f").st_size, 0);
	mkdir(h_path("d"), 0755);
	FAILS(EISDIR, fc_create(&hc, FC_ROOT, "d", O_RDWR, 0600, &e, &o));
	ck_assert(symlink("f", h_path("l")) == 0);
	FAILS(EBADF, fc_create(&hc, FC_ROOT, "l", O_RDWR, 0600, &e, &o));
	ck_assert(mkfifo(h_path("p"), 0666) == 0);
	FAILS(EBADF, fc_create(&hc, FC_ROOT, "p", O_RDWR, 0600, &e, &o));
}
END_TEST

/* The mode is for others; the creator's handle has the access it asked for. */
START_TEST(test_create_unwritable)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	hc.uid = hc.gid = 1000;
	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0, &e, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "abc", 3, O_RDWR), 3);
	ck_assert_uint_eq(h_stat("f").st_mode, S_IFREG);
	ck_assert_int_eq((int)h_stat("f").st_size, 3);
}
END_TEST

START_TEST(test_open_modes)
{
	struct fuse_open_out o;
	uint64_t node;
	char buf[8];

	h_put("f", "data", 4);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDONLY, &o));
	ck_assert_int_eq(fc_read(&hc, node, o.fh, 0, buf, 8), 4);
	FAILS(EBADF, fc_write(&hc, node, o.fh, 0, "x", 1, O_RDONLY));
	OK(fc_release(&hc, node, o.fh));
	FAILS(EBADF, fc_read(&hc, node, o.fh, 0, buf, 8));
	OK(fc_open_file(&hc, node, O_WRONLY, &o));
	FAILS(EBADF, fc_read(&hc, node, o.fh, 0, buf, 8));
	ck_assert_int_eq(fc_write(&hc, node, o.fh, 0, "D", 1, O_WRONLY), 1);
	OK(fc_release(&hc, node, o.fh));
	OK(fc_open_file(&hc, node, O_RDWR | O_TRUNC, &o));
	ck_assert_int_eq((int)h_stat("f").st_size, 0);
	OK(fc_release(&hc, node, o.fh));
}
END_TEST

START_TEST(test_append)
{
	struct fuse_open_out o;
	uint64_t node;
	char buf[16];

	h_put("f", "12345", 5);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDWR | O_APPEND, &o));
	ck_assert_int_eq(fc_write(&hc, node, o.fh, 0, "ab", 2, O_RDWR | O_APPEND), 2);
	ck_assert_int_eq((int)h_get("f", buf, sizeof(buf)), 7);
	ck_assert_mem_eq(buf, "12345ab", 7);
	/* Without the flag in the request the same handle writes where it is told. */
	ck_assert_int_eq(fc_write(&hc, node, o.fh, 0, "X", 1, O_RDWR), 1);
	ck_assert_int_eq((int)h_get("f", buf, sizeof(buf)), 7);
	ck_assert_mem_eq(buf, "X2345ab", 7);
}
END_TEST

START_TEST(test_large)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0644, &e, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 3, big, sizeof(big), O_RDWR), sizeof(big));
	ck_assert_int_eq((int)h_stat("f").st_size, (int)sizeof(big) + 3);
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 3, back, sizeof(back)), sizeof(back));
	ck_assert(memcmp(big, back, sizeof(big)) == 0);
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 1003, back, sizeof(back)),
	    sizeof(back) - 1000);
	ck_assert(memcmp(big + 1000, back, sizeof(back) - 1000) == 0);
}
END_TEST

/* Far offsets: sparse files beyond 4 GiB. */
START_TEST(test_far_offset)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	const uint64_t far = 5ull << 30;
	char buf[8];

	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0644, &e, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, far, "end", 3, O_RDWR), 3);
	ck_assert_uint_eq((uint64_t)h_stat("f").st_size, far + 3);
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, far - 2, buf, 8), 5);
	ck_assert_mem_eq(buf, "\0\0end", 5);
	OK(fc_getattr(&hc, e.nodeid, &e.attr));
	ck_assert_uint_eq(e.attr.size, far + 3);
}
END_TEST

/* Less room for the reply than READ asks for: what fits, and no more. */
START_TEST(test_read_short_buffer)
{
	struct fuse_read_in in = { .size = 4096 };
	struct fc_part part = { &in, sizeof(in) };
	struct fuse_open_out o;
	uint64_t node;

	h_put("f", big, 4096);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDONLY, &o));
	in.fh = o.fh;
	OK(fc_call(&hc, FUSE_READ, node, &part, 1, 1000));
	ck_assert_uint_eq(hc.body_len, 1000);
	ck_assert_mem_eq(hc.body, big, 1000);
	/* More room than asked for: what was asked for. */
	in.size = 10;
	OK(fc_call(&hc, FUSE_READ, node, &part, 1, 1000));
	ck_assert_uint_eq(hc.body_len, 10);
}
END_TEST

START_TEST(test_sync_flush)
{
	struct fuse_open_out o, d;
	uint64_t node;

	h_put("f", "data", 4);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDWR, &o));
	OK(fc_opendir(&hc, FC_ROOT, &d));
	OK(fc_fsync(&hc, node, o.fh, false, false));
	OK(fc_fsync(&hc, node, o.fh, true, false));
	OK(fc_fsync(&hc, FC_ROOT, d.fh, false, true));
	OK(fc_fsync(&hc, FC_ROOT, d.fh, true, true));
	OK(fc_flush(&hc, node, o.fh));
	OK(fc_flush(&hc, node, o.fh));
	OK(fc_release(&hc, node, o.fh));
	OK(fc_releasedir(&hc, FC_ROOT, d.fh));
}
END_TEST

START_TEST(test_unlinked_open)
{
	struct fuse_entry_out e;
	struct fuse_setattr_in sa = { .valid = FATTR_MODE, .mode = 0600 };
	struct fuse_open_out o, again;
	struct fuse_attr a;
	char buf[8];

	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0644, &e, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "data", 4, O_RDWR), 4);
	OK(fc_unlink(&hc, FC_ROOT, "f"));
	ck_assert(!h_exists("f"));
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 0, buf, 8), 4);
	ck_assert_mem_eq(buf, "data", 4);
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 4, "more", 4, O_RDWR), 4);
	OK(fc_getattr(&hc, e.nodeid, &a));
	ck_assert_uint_eq(a.nlink, 0);
	ck_assert_uint_eq(a.size, 8);
	OK(fc_setattr(&hc, e.nodeid, &sa, &a));
	ck_assert_uint_eq(a.mode, S_IFREG | 0600);
	/* Through its id it can be opened once more. */
	OK(fc_open_file(&hc, e.nodeid, O_RDONLY, &again));
	ck_assert_int_eq(fc_read(&hc, e.nodeid, again.fh, 4, buf, 8), 4);
	OK(fc_release(&hc, e.nodeid, o.fh));
	OK(fc_release(&hc, e.nodeid, again.fh));
	OK(fc_forget(&hc, e.nodeid, 1));
}
END_TEST

/* A file replaced by rename: the old one lives on for whoever has it open. */
START_TEST(test_replaced_name)
{
	struct fuse_open_out o;
	struct fuse_entry_out e;
	uint64_t node;
	char buf[8];

	h_put("f", "first", 5);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDONLY, &o));
	h_put("tmp", "second", 6);
	OK(fc_rename(&hc, FC_ROOT, "tmp", FC_ROOT, "f"));
	ck_assert_int_eq(fc_read(&hc, node, o.fh, 0, buf, 8), 5);
	ck_assert_mem_eq(buf, "first", 5);
	OK(fc_lookup(&hc, FC_ROOT, "f", &e));
	ck_assert_uint_ne(e.nodeid, node);
	ck_assert_uint_eq(e.attr.size, 6);
}
END_TEST

START_TEST(test_open_special)
{
	struct fuse_open_out o;

	ck_assert(mkfifo(h_path("p"), 0666) == 0);
	ck_assert(mknod(h_path("null"), S_IFCHR | 0666, makedev(1, 3)) == 0);
	ck_assert(mknod(h_path("blk"), S_IFBLK | 0666, makedev(7, 0)) == 0);
	h_put("f", "x", 1);
	ck_assert(symlink("f", h_path("l")) == 0);
	FAILS(EBADF, fc_open_file(&hc, h_node("p"), O_RDONLY, &o));
	FAILS(EBADF, fc_open_file(&hc, h_node("null"), O_RDWR, &o));
	FAILS(EBADF, fc_open_file(&hc, h_node("blk"), O_RDONLY, &o));
	FAILS(EBADF, fc_open_file(&hc, h_node("l"), O_RDONLY, &o));
	FAILS(EBADF, fc_opendir(&hc, h_node("p"), &o));
	FAILS(ENOTDIR, fc_opendir(&hc, h_node("f"), &o));
	FAILS(EISDIR, fc_open_file(&hc, FC_ROOT, O_RDWR, &o));
}
END_TEST

/* Set-user-ID files stay what they are when guest root writes them. */
START_TEST(test_setid_write)
{
	struct fuse_open_out o;
	uint64_t node;
	char buf[16];

	h_put("f", "data", 4);
	ck_assert(chmod(h_path("f"), 06755) == 0);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDWR, &o));
	ck_assert_int_eq(fc_write(&hc, node, o.fh, 4, "more", 4, O_RDWR), 4);
	ck_assert_uint_eq(h_stat("f").st_mode, S_IFREG | 06755);
	ck_assert_int_eq(fc_read(&hc, node, o.fh, 0, buf, sizeof(buf)), 8);
	ck_assert_mem_eq(buf, "datamore", 8);
	OK(fc_fallocate(&hc, node, o.fh, 0, 100, 0));
	ck_assert_uint_eq(h_stat("f").st_mode, S_IFREG | 06755);
	OK(fc_fsync(&hc, node, o.fh, false, false));
	OK(fc_release(&hc, node, o.fh));
}
END_TEST

/* Many handles of one file at once. */
START_TEST(test_many_handles)
{
	static struct fuse_open_out o[300];
	uint64_t node;
	char buf[8];
	int i;

	h_put("f", "data", 4);
	node = h_node("f");
	for (i = 0; i < 300; i++)
		OK(fc_open_file(&hc, node, O_RDONLY, &o[i]));
	for (i = 0; i < 300; i += 37)
		ck_assert_int_eq(fc_read(&hother, node, o[i].fh, 0, buf, 8), 4);
	for (i = 0; i < 300; i++)
		OK(fc_release(&hother, node, o[i].fh));
	FAILS(EBADF, fc_read(&hc, node, o[299].fh, 0, buf, 8));
}
END_TEST

TCase *
check_fuse_files(void)
{
	TCase *t = tcase_create("files");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, h_stop);
	tcase_add_test(t, test_create_write_read);
	tcase_add_test(t, test_create_existing);
	tcase_add_test(t, test_create_unwritable);
	tcase_add_test(t, test_open_modes);
	tcase_add_test(t, test_append);
	tcase_add_test(t, test_large);
	tcase_add_test(t, test_far_offset);
	tcase_add_test(t, test_read_short_buffer);
	tcase_add_test(t, test_sync_flush);
	tcase_add_test(t, test_unlinked_open);
	tcase_add_test(t, test_replaced_name);
	tcase_add_test(t, test_open_special);
	tcase_add_test(t, test_setid_write);
	tcase_add_test(t, test_many_handles);
	return t;
}
