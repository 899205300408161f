/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse_names - operations on names: lookup, make, remove, rename, link, and look-up counts.
 *
 * Runs in: check_fuse.
 */
#include "check_fuse.h"
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#define RENAME_WHITEOUT 4
#endif

static char long_name[257];	/* 256 letters */

static void
setup(void)
{
	h_setup();
	memset(long_name, 'n', 256);
}

START_TEST(test_lookup)
{
	struct fuse_entry_out e, again;
	struct stat st;

	h_put("f", "hello", 5);
	chmod(h_path("f"), 0640);
	ck_assert_int_eq(chown(h_path("f"), 12, 34), 0);
	OK(fc_lookup(&hc, FC_ROOT, "f", &e));
	st = h_stat("f");
	ck_assert_uint_eq(e.attr.ino, st.st_ino);
	ck_assert_uint_eq(e.attr.size, 5);
	ck_assert_uint_eq(e.attr.mode, S_IFREG | 0640);
	ck_assert_uint_eq(e.attr.uid, 12);
	ck_assert_uint_eq(e.attr.gid, 34);
	ck_assert_uint_eq(e.attr.nlink, 1);
	ck_assert_uint_eq(e.attr.blocks, (uint64_t)st.st_blocks);
	ck_assert_uint_eq(e.attr.blksize, (uint32_t)st.st_blksize);
	ck_assert_uint_eq(e.attr.mtime, (uint64_t)st.st_mtim.tv_sec);
	ck_assert_uint_eq(e.attr.mtimensec, (uint32_t)st.st_mtim.tv_nsec);
	ck_assert_uint_eq(e.attr.ctimensec, (uint32_t)st.st_ctim.tv_nsec);
	ck_assert_uint_eq(e.generation, 0);
	ck_assert_uint_eq(e.entry_valid, 1);
	ck_assert_uint_eq(e.attr_valid, 1);
	ck_assert_uint_eq(e.entry_valid_nsec, 0);
	ck_assert_uint_eq(e.attr.flags, 0);
	OK(fc_lookup(&hc, FC_ROOT, "f", &again));
	ck_assert_uint_eq(again.nodeid, e.nodeid);
	ck_assert_uint_ne(e.nodeid, FC_ROOT);
}
END_TEST

START_TEST(test_lookup_errors)
{
	struct fuse_entry_out e;

	h_put("f", "", 0);
	FAILS(ENOENT, fc_lookup(&hc, FC_ROOT, "none", &e));
	FAILS(ENAMETOOLONG, fc_lookup(&hc, FC_ROOT, long_name, &e));
	FAILS(ENOTDIR, fc_lookup(&hc, h_node("f"), "x", &e));
	ck_assert_int_ne(symlink("f", h_path("l")), -1);
	OK(fc_lookup(&hc, FC_ROOT, "l", &e));
	ck_assert_uint_eq(e.attr.mode & S_IFMT, S_IFLNK);
}
END_TEST

START_TEST(test_lookup_longest)
{
	struct fuse_entry_out e;

	long_name[255] = '\0';
	h_put(long_name, "", 0);
	OK(fc_lookup(&hc, FC_ROOT, long_name, &e));
	OK(fc_unlink(&hc, FC_ROOT, long_name));
	ck_assert(!h_exists(long_name));
}
END_TEST

START_TEST(test_mkdir_rmdir)
{
	struct fuse_entry_out e, sub;

	OK(fc_mkdir(&hc, FC_ROOT, "d", 0751, &e));
	ck_assert_uint_eq(e.attr.mode, S_IFDIR | 0751);
	ck_assert_uint_eq(h_stat("d").st_mode, S_IFDIR | 0751);
	FAILS(EEXIST, fc_mkdir(&hc, FC_ROOT, "d", 0755, &sub));
	FAILS(ENAMETOOLONG, fc_mkdir(&hc, FC_ROOT, long_name, 0755, &sub));
	OK(fc_mkdir(&hc, e.nodeid, "sub", 01777, &sub));
	ck_assert_uint_eq(h_stat("d/sub").st_mode, S_IFDIR | 01777);
	FAILS(ENOTEMPTY, fc_rmdir(&hc, FC_ROOT, "d"));
	OK(fc_rmdir(&hc, e.nodeid, "sub"));
	OK(fc_rmdir(&hc, FC_ROOT, "d"));
	ck_assert(!h_exists("d"));
	FAILS(ENOENT, fc_rmdir(&hc, FC_ROOT, "d"));
	h_put("f", "", 0);
	FAILS(ENOTDIR, fc_rmdir(&hc, FC_ROOT, "f"));
	/* The removed directory is still known by its id. */
	OK(fc_getattr(&hc, e.nodeid, &e.attr));
	FAILS(ENOENT, fc_mkdir(&hc, e.nodeid, "x", 0755, &sub));
}
END_TEST

START_TEST(test_mknod)
{
	struct fuse_entry_out e;
	struct stat st;

	OK(fc_mknod(&hc, FC_ROOT, "reg", S_IFREG | 0604, 0, &e));
	ck_assert_uint_eq(h_stat("reg").st_mode, S_IFREG | 0604);
	OK(fc_mknod(&hc, FC_ROOT, "fifo", S_IFIFO | 0622, 0, &e));
	ck_assert_uint_eq(e.attr.mode, S_IFIFO | 0622);
	ck_assert_uint_eq(h_stat("fifo").st_mode, S_IFIFO | 0622);
	OK(fc_mknod(&hc, FC_ROOT, "sock", S_IFSOCK | 0600, 0, &e));
	ck_assert(S_ISSOCK(h_stat("sock").st_mode));
	OK(fc_mknod(&hc, FC_ROOT, "null", S_IFCHR | 0666, (uint32_t)makedev(1, 3), &e));
	st = h_stat("null");
	ck_assert(S_ISCHR(st.st_mode));
	ck_assert_uint_eq(st.st_rdev, makedev(1, 3));
	ck_assert_uint_eq(e.attr.rdev, (uint32_t)makedev(1, 3));
	FAILS(EEXIST, fc_mknod(&hc, FC_ROOT, "reg", S_IFREG | 0600, 0, &e));
	hc.uid = hc.gid = 1000;
	FAILS(EPERM, fc_mknod(&hc, FC_ROOT, "dev2", S_IFCHR | 0666, (uint32_t)makedev(1, 3), &e));
	OK(fc_mknod(&hc, FC_ROOT, "fifo2", S_IFIFO | 0600, 0, &e));
	ck_assert_uint_eq(h_stat("fifo2").st_uid, 1000);
}
END_TEST

START_TEST(test_symlink)
{
	struct fuse_entry_out e;
	char target[4096 + 1], long_target[4095 + 1];
	ssize_t n;

	OK(fc_symlink(&hc, FC_ROOT, "l", "../some/where", &e));
	ck_assert_uint_eq(e.attr.mode, S_IFLNK | 0777);
	n = readlink(h_path("l"), target, sizeof(target));
	ck_assert_int_eq((int)n, 13);
	ck_assert_mem_eq(target, "../some/where", 13);
	OK(fc_readlink(&hc, e.nodeid, target, sizeof(target)));
	ck_assert_str_eq(target, "../some/where");
	FAILS(EEXIST, fc_symlink(&hc, FC_ROOT, "l", "x", &e));
	memset(long_target, 't', sizeof(long_target) - 1);
	long_target[sizeof(long_target) - 1] = '\0';
	OK(fc_symlink(&hc, FC_ROOT, "long", long_target, &e));
	OK(fc_readlink(&hc, e.nodeid, target, sizeof(target)));
	ck_assert_str_eq(target, long_target);
	h_put("f", "", 0);
	FAILS(ENOENT, fc_readlink(&hc, h_node("f"), target, sizeof(target)));
}
END_TEST

START_TEST(test_unlink)
{
	uint64_t node;
	struct fuse_attr a;

	h_put("f", "x", 1);
	node = h_node("f");
	OK(fc_unlink(&hc, FC_ROOT, "f"));
	ck_assert(!h_exists("f"));
	/* Known by its id still: the guest may have it open or as a cwd. */
	OK(fc_getattr(&hc, node, &a));
	ck_assert_uint_eq(a.nlink, 0);
	FAILS(ENOENT, fc_unlink(&hc, FC_ROOT, "f"));
	mkdir(h_path("d"), 0755);
	FAILS(EISDIR, fc_unlink(&hc, FC_ROOT, "d"));
	ck_assert(h_exists("d"));
}
END_TEST

START_TEST(test_link)
{
	struct fuse_entry_out e;
	uint64_t node;

	h_put("f", "x", 1);
	mkdir(h_path("d"), 0755);
	node = h_node("f");
	OK(fc_link(&hc, node, h_node("d"), "hard", &e));
	ck_assert_uint_eq(e.nodeid, node);
	ck_assert_uint_eq(e.attr.nlink, 2);
	ck_assert_uint_eq(h_stat("d/hard").st_ino, h_stat("f").st_ino);
	FAILS(EEXIST, fc_link(&hc, node, FC_ROOT, "f", &e));
	FAILS(EPERM, fc_link(&hc, h_node("d"), FC_ROOT, "dirlink", &e));
	ck_assert(symlink("nowhere", h_path("l")) == 0);
	/* A link to the symlink itself, never to what it points at. */
	OK(fc_link(&hc, h_node("l"), FC_ROOT, "l2", &e));
	ck_assert(S_ISLNK(h_stat("l2").st_mode));
	ck_assert_uint_eq(h_stat("l2").st_ino, h_stat("l").st_ino);
}
END_TEST

START_TEST(test_rename)
{
	struct fuse_entry_out e;
	uint64_t node, dir;
	char buf[8];

	h_put("a", "AA", 2);
	h_put("b", "B", 1);
	mkdir(h_path("d"), 0755);
	node = h_node("a");
	dir = h_node("d");
	OK(fc_rename(&hc, FC_ROOT, "a", dir, "moved"));
	ck_assert(!h_exists("a") && h_exists("d/moved"));
	OK(fc_lookup(&hc, dir, "moved", &e));
	ck_assert_uint_eq(e.nodeid, node);
	OK(fc_rename(&hc, dir, "moved", FC_ROOT, "b"));
	ck_assert_int_eq((int)h_get("b", buf, sizeof(buf)), 2);
	FAILS(ENOENT, fc_rename(&hc, FC_ROOT, "a", FC_ROOT, "c"));
	FAILS(EINVAL, fc_rename(&hc, FC_ROOT, "d", dir, "inside"));
	FAILS(EISDIR, fc_rename(&hc, FC_ROOT, "b", FC_ROOT, "d"));
	FAILS(ENOTDIR, fc_rename(&hc, FC_ROOT, "d", FC_ROOT, "b"));
	FAILS(ENAMETOOLONG, fc_rename(&hc, FC_ROOT, "b", FC_ROOT, long_name));
	ck_assert(h_exists("b") && h_exists("d"));
}
END_TEST

START_TEST(test_rename_flags)
{
	char buf[8];

	h_put("a", "A", 1);
	h_put("b", "BB", 2);
	FAILS(EEXIST, fc_rename2(&hc, FC_ROOT, "a", FC_ROOT, "b", RENAME_NOREPLACE));
	OK(fc_rename2(&hc, FC_ROOT, "a", FC_ROOT, "c", RENAME_NOREPLACE));
	ck_assert(!h_exists("a") && h_exists("c"));
	OK(fc_rename2(&hc, FC_ROOT, "c", FC_ROOT, "b", RENAME_EXCHANGE));
	ck_assert_int_eq((int)h_get("c", buf, sizeof(buf)), 2);
	ck_assert_int_eq((int)h_get("b", buf, sizeof(buf)), 1);
	FAILS(ENOENT, fc_rename2(&hc, FC_ROOT, "b", FC_ROOT, "none", RENAME_EXCHANGE));
	FAILS(EINVAL, fc_rename2(&hc, FC_ROOT, "b", FC_ROOT, "c",
	    RENAME_NOREPLACE | RENAME_EXCHANGE));
	/* Unknown bits are dropped, not passed on. */
	OK(fc_rename2(&hc, FC_ROOT, "b", FC_ROOT, "d", 0x80));
	ck_assert(!h_exists("b") && h_exists("d"));
}
END_TEST

START_TEST(test_rename_whiteout)
{
	struct stat st;
	int err;

	h_put("a", "A", 1);
	/* The host says whether its file system can. */
	h_put("probe", "", 0);
	err = renameat2(AT_FDCWD, h_path("probe"), AT_FDCWD, h_path("p2"), RENAME_WHITEOUT) == 0
	    ? 0 : -errno;
	ck_assert_int_eq(fc_rename2(&hc, FC_ROOT, "a", FC_ROOT, "b", RENAME_WHITEOUT), err);
	if (err == 0) {
		st = h_stat("a");
		ck_assert(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	}
}
END_TEST

START_TEST(test_forget)
{
	struct fuse_entry_out e;
	uint64_t node;

	h_put("f", "x", 1);
	node = h_node("f");
	ck_assert_uint_eq(h_node("f"), node);
	ck_assert_uint_eq(h_node("f"), node);
	OK(fc_forget(&hc, node, 2));
	OK(fc_getattr(&hc, node, NULL));
	OK(fc_forget(&hc, node, 1));
	FAILS(EBADF, fc_getattr(&hc, node, NULL));
	/* Still there by name. */
	OK(fc_lookup(&hc, FC_ROOT, "f", &e));
	OK(fc_getattr(&hc, e.nodeid, NULL));
	/* More than were given out, and nodes that never were: ignored. */
	OK(fc_forget(&hc, e.nodeid, ~0ull));
	FAILS(EBADF, fc_getattr(&hc, e.nodeid, NULL));
	OK(fc_forget(&hc, e.nodeid, 1));
	OK(fc_forget(&hc, 0x123456789abcull, 1));
}
END_TEST

START_TEST(test_batch_forget)
{
	struct fuse_forget_one ones[40];
	char name[16];
	unsigned int i;

	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		h_put(name, "", 0);
		ones[i].nodeid = h_node(name);
		ones[i].nlookup = i == 7 ? 0 : 1;
	}
	OK(fc_batch_forget(&hc, ones, 40));
	for (i = 0; i < 40; i++)
		ck_assert_int_eq(fc_getattr(&hc, ones[i].nodeid, NULL), i == 7 ? 0 : -EBADF);
	OK(fc_batch_forget(&hc, ones, 0));
}
END_TEST

/* Forgetting a directory must not lose the children that are still known. */
START_TEST(test_forget_parent)
{
	struct fuse_entry_out d, f;
	struct fuse_open_out o;
	char buf[8];

	OK(fc_mkdir(&hc, FC_ROOT, "d", 0755, &d));
	h_put("d/f", "data", 4);
	OK(fc_lookup(&hc, d.nodeid, "f", &f));
	OK(fc_forget(&hc, d.nodeid, 1));
	OK(fc_getattr(&hc, f.nodeid, NULL));
	OK(fc_open_file(&hc, f.nodeid, O_RDONLY, &o));
	ck_assert_int_eq(fc_read(&hc, f.nodeid, o.fh, 0, buf, 8), 4);
}
END_TEST

/* What the host does meanwhile is seen. */
START_TEST(test_host_changes)
{
	struct fuse_entry_out e;
	uint64_t node;

	h_put("f", "x", 1);
	node = h_node("f");
	ck_assert(rename(h_path("f"), h_path("g")) == 0);
	FAILS(ENOENT, fc_lookup(&hc, FC_ROOT, "f", &e));
	OK(fc_lookup(&hc, FC_ROOT, "g", &e));
	ck_assert_uint_eq(e.nodeid, node);
	h_put("g", "longer", 6);
	OK(fc_getattr(&hc, node, &e.attr));
	ck_assert_uint_eq(e.attr.size, 6);
	h_put("new", "", 0);
	ck_assert(rename(h_path("new"), h_path("g")) == 0);
	OK(fc_lookup(&hc, FC_ROOT, "g", &e));
	ck_assert_uint_ne(e.nodeid, node);
}
END_TEST

TCase *
check_fuse_names(void)
{
	TCase *t = tcase_create("names");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, h_stop);
	tcase_add_test(t, test_lookup);
	tcase_add_test(t, test_lookup_errors);
	tcase_add_test(t, test_lookup_longest);
	tcase_add_test(t, test_mkdir_rmdir);
	tcase_add_test(t, test_mknod);
	tcase_add_test(t, test_symlink);
	tcase_add_test(t, test_unlink);
	tcase_add_test(t, test_link);
	tcase_add_test(t, test_rename);
	tcase_add_test(t, test_rename_flags);
	tcase_add_test(t, test_rename_whiteout);
	tcase_add_test(t, test_forget);
	tcase_add_test(t, test_batch_forget);
	tcase_add_test(t, test_forget_parent);
	tcase_add_test(t, test_host_changes);
	return t;
}
