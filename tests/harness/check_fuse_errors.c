/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse_errors - node ids and file handles the daemon never gave out, or gave to another node.
 *
 * Runs in: check_fuse.
 */
#include "check_fuse.h"
#include "harness.h"

#include <fcntl.h>

#define NOWHERE 0x7fffffffffffull	/* a node id nobody was given */

/* Every operation that takes a node, on one that does not exist. */
static void
expect_unknown_node(uint64_t node)
{
	struct fuse_setattr_in sa = { .valid = FATTR_MODE, .mode = 0600 };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_kstatfs st;
	char buf[64];

	FAILS(EBADF, fc_lookup(&hc, node, "x", &e));
	FAILS(EBADF, fc_getattr(&hc, node, NULL));
	FAILS(EBADF, fc_setattr(&hc, node, &sa, NULL));
	FAILS(EBADF, fc_readlink(&hc, node, buf, sizeof(buf)));
	FAILS(EBADF, fc_symlink(&hc, node, "x", "t", &e));
	FAILS(EBADF, fc_mknod(&hc, node, "x", S_IFREG | 0644, 0, &e));
	FAILS(EBADF, fc_mkdir(&hc, node, "x", 0755, &e));
	FAILS(EBADF, fc_unlink(&hc, node, "x"));
	FAILS(EBADF, fc_rmdir(&hc, node, "x"));
	FAILS(EBADF, fc_rename(&hc, node, "x", FC_ROOT, "y"));
	FAILS(EBADF, fc_rename(&hc, FC_ROOT, "f", node, "y"));
	FAILS(EBADF, fc_rename2(&hc, node, "x", FC_ROOT, "y", 1));
	FAILS(EBADF, fc_link(&hc, node, FC_ROOT, "y", &e));
	FAILS(EBADF, fc_link(&hc, h_node("f"), node, "y", &e));
	FAILS(EBADF, fc_statfs(&hc, node, &st));
	FAILS(EBADF, fc_access(&hc, node, 4));
	FAILS(EBADF, fc_syncfs(&hc, node));
	FAILS(EBADF, fc_open_file(&hc, node, O_RDONLY, &o));
	FAILS(EBADF, fc_opendir(&hc, node, &o));
	FAILS(EBADF, fc_create(&hc, node, "x", O_RDWR, 0644, &e, &o));
	FAILS(EBADF, fc_setxattr(&hc, node, "user.a", "v", 1, 0));
	FAILS(EBADF, fc_getxattr(&hc, node, "user.a", buf, sizeof(buf)));
	FAILS(EBADF, fc_listxattr(&hc, node, buf, sizeof(buf)));
	FAILS(EBADF, fc_removexattr(&hc, node, "user.a"));
}

static void
start_xattr(void)
{
	static const char *const args[] = { "--xattr", NULL };

	h_start(args);
	h_put("f", "data", 4);
}

START_TEST(test_unknown_node)
{
	start_xattr();
	expect_unknown_node(NOWHERE);
	expect_unknown_node(0);
	expect_unknown_node(~0ull);
	ck_assert(h_exists("f"));
	h_stop();
}
END_TEST

START_TEST(test_forgotten_node)
{
	uint64_t node;

	start_xattr();
	node = h_node("f");
	OK(fc_forget(&hc, node, 1));
	expect_unknown_node(node);
	h_stop();
}
END_TEST

/* Operations on an open file or directory with a pair (node, fh) that does not belong together. */
static void
expect_bad_handle(uint64_t node, uint64_t fh)
{
	struct fuse_copy_file_range_in c = { .fh_in = fh, .nodeid_out = node, .fh_out = fh,
		.len = 1 };
	struct fuse_setattr_in sa = { .valid = FATTR_SIZE | FATTR_FH, .fh = fh, .size = 1 };
	char buf[512];
	uint64_t off;
	uint32_t n;

	FAILS(EBADF, fc_read(&hc, node, fh, 0, buf, sizeof(buf)));
	FAILS(EBADF, fc_write(&hc, node, fh, 0, buf, 1, 0));
	FAILS(EBADF, fc_fsync(&hc, node, fh, false, false));
	FAILS(EBADF, fc_fsync(&hc, node, fh, false, true));
	FAILS(EBADF, fc_flush(&hc, node, fh));
	FAILS(EBADF, fc_fallocate(&hc, node, fh, 0, 1, 0));
	FAILS(EBADF, fc_lseek(&hc, node, fh, 0, SEEK_SET, &off));
	FAILS(EBADF, fc_copy_file_range(&hc, &c, node, &n));
	FAILS(EBADF, fc_readdir(&hc, node, fh, 0, 512, false));
	FAILS(EBADF, fc_readdir(&hc, node, fh, 0, 512, true));
	FAILS(EBADF, fc_setattr(&hc, node, &sa, NULL));
	FAILS(EBADF, fc_release(&hc, node, fh));
	FAILS(EBADF, fc_releasedir(&hc, node, fh));
}

START_TEST(test_wrong_handle)
{
	struct fuse_open_out of, og, od;
	uint64_t f, g;

	h_start(NULL);
	h_put("f", "data", 4);
	h_put("g", "other", 5);
	f = h_node("f");
	g = h_node("g");
	OK(fc_open_file(&hc, f, O_RDWR, &of));
	OK(fc_open_file(&hc, g, O_RDWR, &og));
	OK(fc_opendir(&hc, FC_ROOT, &od));
	expect_bad_handle(f, 0xdeadbeefull);
	expect_bad_handle(f, ~0ull);
	expect_bad_handle(f, og.fh);
	expect_bad_handle(f, od.fh);
	expect_bad_handle(FC_ROOT, of.fh);
	expect_bad_handle(NOWHERE, of.fh);
	OK(fc_release(&hc, f, of.fh));
	expect_bad_handle(f, of.fh);
	ck_assert_int_eq((int)h_stat("f").st_size, 4);
	ck_assert_int_eq((int)h_stat("g").st_size, 5);
	OK(fc_releasedir(&hc, FC_ROOT, od.fh));
	OK(fc_release(&hc, g, og.fh));
	h_stop();
}
END_TEST

TCase *
check_fuse_errors(void)
{
	TCase *t = tcase_create("errors");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_test(t, test_unknown_node);
	tcase_add_test(t, test_forgotten_node);
	tcase_add_test(t, test_wrong_handle);
	return t;
}
