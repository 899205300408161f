/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse_attrs - GETATTR, SETATTR, ACCESS, STATFS, and who owns what a guest user makes.
 *
 * Runs in: check_fuse.
 */
#include "check_fuse.h"
#include "harness.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

START_TEST(test_getattr_root)
{
	struct fuse_attr a;
	struct stat st = h_stat("");

	OK(fc_getattr(&hc, FC_ROOT, &a));
	ck_assert_uint_eq(a.ino, st.st_ino);
	ck_assert_uint_eq(a.mode, st.st_mode);
	ck_assert_uint_eq(a.nlink, st.st_nlink);
}
END_TEST

START_TEST(test_setattr_mode)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 04751 };
	struct fuse_attr a;

	h_put("f", "x", 1);
	mkdir(h_path("d"), 0700);
	OK(fc_setattr(&hc, h_node("f"), &in, &a));
	ck_assert_uint_eq(a.mode, S_IFREG | 04751);
	ck_assert_uint_eq(h_stat("f").st_mode, S_IFREG | 04751);
	in.mode = 02755;
	OK(fc_setattr(&hc, h_node("d"), &in, &a));
	ck_assert_uint_eq(h_stat("d").st_mode, S_IFDIR | 02755);
	ck_assert(symlink("f", h_path("l")) == 0);
	FAILS(EOPNOTSUPP, fc_setattr(&hc, h_node("l"), &in, &a));
	ck_assert_uint_eq(h_stat("f").st_mode, S_IFREG | 04751);
}
END_TEST

START_TEST(test_setattr_owner)
{
	struct fuse_setattr_in in = { .valid = FATTR_UID, .uid = 501, .gid = 502 };
	struct fuse_attr a;

	h_put("f", "x", 1);
	OK(fc_setattr(&hc, h_node("f"), &in, &a));
	ck_assert_uint_eq(h_stat("f").st_uid, 501);
	ck_assert_uint_eq(h_stat("f").st_gid, 0);
	in.valid = FATTR_GID;
	OK(fc_setattr(&hc, h_node("f"), &in, &a));
	ck_assert_uint_eq(a.uid, 501);
	ck_assert_uint_eq(a.gid, 502);
	ck_assert_uint_eq(h_stat("f").st_gid, 502);
	ck_assert(symlink("f", h_path("l")) == 0);
	in.uid = in.gid = 77;
	in.valid = FATTR_UID | FATTR_GID;
	OK(fc_setattr(&hc, h_node("l"), &in, &a));
	ck_assert_uint_eq(h_stat("l").st_uid, 77);
	ck_assert_uint_eq(h_stat("f").st_uid, 501);
}
END_TEST

START_TEST(test_setattr_size)
{
	struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = 3 };
	struct fuse_open_out o;
	struct fuse_attr a;
	uint64_t node;

	h_put("f", "hello", 5);
	node = h_node("f");
	OK(fc_setattr(&hc, node, &in, &a));
	ck_assert_uint_eq(a.size, 3);
	ck_assert_int_eq((int)h_stat("f").st_size, 3);
	OK(fc_open_file(&hc, node, O_RDWR, &o));
	in.valid = FATTR_SIZE | FATTR_FH;
	in.fh = o.fh;
	in.size = 100000;
	OK(fc_setattr(&hc, node, &in, &a));
	ck_assert_uint_eq(a.size, 100000);
	ck_assert_int_eq((int)h_stat("f").st_size, 100000);
	OK(fc_release(&hc, node, o.fh));
	OK(fc_open_file(&hc, node, O_RDONLY, &o));
	in.fh = o.fh;
	FAILS(EINVAL, fc_setattr(&hc, node, &in, &a));
	in.valid = FATTR_SIZE;
	FAILS(EISDIR, fc_setattr(&hc, FC_ROOT, &in, &a));
	ck_assert(mkfifo(h_path("p"), 0666) == 0);
	FAILS(EBADF, fc_setattr(&hc, h_node("p"), &in, &a));
	in.size = 1ull << 63;
	FAILS(EINVAL, fc_setattr(&hc, node, &in, &a));
	ck_assert_int_eq((int)h_stat("f").st_size, 100000);
}
END_TEST

START_TEST(test_setattr_times)
{
	struct fuse_setattr_in in = {
		.valid = FATTR_ATIME | FATTR_MTIME,
		.atime = 1000000000, .atimensec = 123456789,
		.mtime = (uint64_t)-5, .mtimensec = 7,
	};
	struct fuse_attr a;
	struct stat st;
	uint64_t node;
	time_t now = time(NULL);

	h_put("f", "x", 1);
	node = h_node("f");
	OK(fc_setattr(&hc, node, &in, &a));
	st = h_stat("f");
	ck_assert_int_eq(st.st_atim.tv_sec, 1000000000);
	ck_assert_int_eq(st.st_atim.tv_nsec, 123456789);
	ck_assert_int_eq(st.st_mtim.tv_sec, -5);
	ck_assert_int_eq(st.st_mtim.tv_nsec, 7);
	ck_assert_uint_eq(a.mtime, (uint64_t)-5);
	/* Only mtime, to now; atime must stay. */
	in.valid = FATTR_MTIME | FATTR_MTIME_NOW;
	OK(fc_setattr(&hc, node, &in, &a));
	st = h_stat("f");
	ck_assert_int_eq(st.st_atim.tv_sec, 1000000000);
	ck_assert_int_ge(st.st_mtim.tv_sec, now - 1);
	/* NOW without the time itself does nothing. */
	in.valid = FATTR_ATIME_NOW;
	OK(fc_setattr(&hc, node, &in, &a));
	ck_assert_int_eq(h_stat("f").st_atim.tv_sec, 1000000000);
	in.valid = FATTR_ATIME;
	in.atimensec = 1000000000;
	FAILS(EINVAL, fc_setattr(&hc, node, &in, &a));
	ck_assert(symlink("f", h_path("l")) == 0);
	in.atimensec = 0;
	in.atime = 42;
	OK(fc_setattr(&hc, h_node("l"), &in, &a));
	ck_assert_int_eq(h_stat("l").st_atim.tv_sec, 42);
	ck_assert_int_eq(h_stat("f").st_atim.tv_sec, 1000000000);
}
END_TEST

START_TEST(test_setattr_nothing)
{
	struct fuse_setattr_in in = { .valid = 0, .mode = 07777, .uid = 9, .size = 9 };
	struct fuse_attr a;
	struct stat before, after;

	h_put("f", "abc", 3);
	before = h_stat("f");
	OK(fc_setattr(&hc, h_node("f"), &in, &a));
	in.valid = FATTR_CTIME | FATTR_LOCKOWNER;
	OK(fc_setattr(&hc, h_node("f"), &in, &a));
	after = h_stat("f");
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	ck_assert_uint_eq(after.st_uid, before.st_uid);
	ck_assert_int_eq((int)after.st_size, 3);
	ck_assert_int_eq(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
}
END_TEST

START_TEST(test_access)
{
	uint64_t node;

	h_put("f", "x", 1);
	chmod(h_path("f"), 0640);
	ck_assert_int_eq(chown(h_path("f"), 500, 600), 0);
	node = h_node("f");
	OK(fc_access(&hc, node, F_OK));
	OK(fc_access(&hc, node, R_OK | W_OK));
	FAILS(EACCES, fc_access(&hc, node, X_OK));
	hc.uid = 500;
	hc.gid = 500;
	OK(fc_access(&hc, node, R_OK | W_OK));
	hc.uid = 501;
	hc.gid = 600;
	OK(fc_access(&hc, node, R_OK));
	FAILS(EACCES, fc_access(&hc, node, W_OK));
	hc.gid = 601;
	OK(fc_access(&hc, node, F_OK));
	FAILS(EACCES, fc_access(&hc, node, R_OK));
	hc.uid = hc.gid = 0;
	chmod(h_path("f"), 0010);
	OK(fc_access(&hc, node, X_OK));
}
END_TEST

START_TEST(test_statfs)
{
	struct fuse_kstatfs got;
	struct statvfs want;

	ck_assert(statvfs(hv->share, &want) == 0);
	OK(fc_statfs(&hc, FC_ROOT, &got));
	ck_assert_uint_eq(got.blocks, want.f_blocks);
	ck_assert_uint_eq(got.bsize, want.f_bsize);
	ck_assert_uint_eq(got.frsize, want.f_frsize);
	ck_assert_uint_eq(got.namelen, want.f_namemax);
	ck_assert_uint_eq(got.files, want.f_files);
	ck_assert_uint_le(got.bfree, want.f_blocks);
	ck_assert_uint_le(got.bavail, got.bfree);
	h_put("f", "", 0);
	OK(fc_statfs(&hc, h_node("f"), &got));
	OK(fc_syncfs(&hc, FC_ROOT));
	OK(fc_syncfs(&hc, h_node("f")));
}
END_TEST

START_TEST(test_create_as_user)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct stat st;

	hc.uid = hc.gid = 1000;
	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0644, &e, &o));
	ck_assert_uint_eq(e.attr.uid, 1000);
	st = h_stat("f");
	ck_assert_uint_eq(st.st_uid, 1000);
	ck_assert_uint_eq(st.st_gid, 1000);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0644);
	OK(fc_mkdir(&hc, FC_ROOT, "d", 0700, &e));
	ck_assert_uint_eq(h_stat("d").st_uid, 1000);
	ck_assert_uint_eq(h_stat("d").st_gid, 1000);
	OK(fc_symlink(&hc, FC_ROOT, "l", "f", &e));
	ck_assert_uint_eq(h_stat("l").st_uid, 1000);
	OK(fc_mknod(&hc, FC_ROOT, "p", S_IFIFO | 0600, 0, &e));
	ck_assert_uint_eq(h_stat("p").st_gid, 1000);
	/* Back to root: nothing of the user is left on the daemon. */
	hc.uid = hc.gid = 0;
	OK(fc_mkdir(&hc, FC_ROOT, "rootdir", 0700, &e));
	ck_assert_uint_eq(h_stat("rootdir").st_uid, 0);
	ck_assert_uint_eq(h_stat("rootdir").st_gid, 0);
	/* gid alone. */
	hc.gid = 333;
	OK(fc_mkdir(&hc, FC_ROOT, "gdir", 0700, &e));
	ck_assert_uint_eq(h_stat("gdir").st_uid, 0);
	ck_assert_uint_eq(h_stat("gdir").st_gid, 333);
}
END_TEST

/* The user's rights decide about creation; a failure must leave no user behind on the daemon. */
START_TEST(test_create_denied)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	uint64_t dir;

	ck_assert(mkdir(h_path("priv"), 0700) == 0);
	dir = h_node("priv");
	hc.uid = hc.gid = 1000;
	FAILS(EACCES, fc_create(&hc, dir, "f", O_RDWR, 0644, &e, &o));
	FAILS(EACCES, fc_mkdir(&hc, dir, "d", 0755, &e));
	FAILS(EACCES, fc_mknod(&hc, dir, "n", S_IFREG | 0644, 0, &e));
	FAILS(EACCES, fc_symlink(&hc, dir, "l", "x", &e));
	hc.uid = hc.gid = 0;
	OK(fc_mkdir(&hc, dir, "d", 0755, &e));
	ck_assert_uint_eq(h_stat("priv/d").st_uid, 0);
}
END_TEST

/* CVE-2022-0358: a group-executable file made in a set-group-ID directory by an outsider. */
START_TEST(test_sgid_directory)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	uint64_t dir;
	struct stat st;

	ck_assert(mkdir(h_path("sg"), 0777) == 0);
	ck_assert_int_eq(chown(h_path("sg"), 0, 77), 0);
	ck_assert(chmod(h_path("sg"), 02777) == 0);
	dir = h_node("sg");
	hc.uid = hc.gid = 1000;
	OK(fc_create(&hc, dir, "f", O_RDWR, 02775, &e, &o));
	st = h_stat("sg/f");
	ck_assert_uint_eq(st.st_gid, 77);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0775);
	OK(fc_mkdir(&hc, dir, "d", 0755, &e));
	ck_assert_uint_eq(h_stat("sg/d").st_gid, 77);
	ck_assert_uint_eq(h_stat("sg/d").st_mode, S_IFDIR | 02755);
}
END_TEST

/* The supplementary groups of a creator count, and are gone afterwards. */
START_TEST(test_supplementary_group)
{
	struct {
		struct fuse_mkdir_in in;
		char name[4];
		uint32_t size, type, nr, gid;
	} __attribute__((packed)) req = { { .mode = 0755 }, "sup", 16, FC_EXT_GROUPS, 1, 77 };
	struct fc_part part = { &req, sizeof(req) };
	struct fuse_entry_out e;
	uint64_t dir;

	ck_assert((hc.init_flags & FC_CREATE_SUPP_GROUP) != 0);
	ck_assert(mkdir(h_path("team"), 0770) == 0);
	ck_assert_int_eq(chown(h_path("team"), 0, 77), 0);
	ck_assert(chmod(h_path("team"), 0770) == 0);
	dir = h_node("team");
	hc.uid = hc.gid = 1000;
	FAILS(EACCES, fc_mkdir(&hc, dir, "no", 0755, &e));
	OK(fc_call(&hc, FUSE_MKDIR, dir, &part, 1, sizeof(e)));
	ck_assert_uint_eq(h_stat("team/sup").st_uid, 1000);
	FAILS(EACCES, fc_mkdir(&hc, dir, "no", 0755, &e));
	ck_assert(!h_exists("team/no"));
}
END_TEST

TCase *
check_fuse_attrs(void)
{
	TCase *t = tcase_create("attrs");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, h_setup, h_stop);
	tcase_add_test(t, test_getattr_root);
	tcase_add_test(t, test_setattr_mode);
	tcase_add_test(t, test_setattr_owner);
	tcase_add_test(t, test_setattr_size);
	tcase_add_test(t, test_setattr_times);
	tcase_add_test(t, test_setattr_nothing);
	tcase_add_test(t, test_access);
	tcase_add_test(t, test_statfs);
	return t;
}

TCase *
check_fuse_creds(void)
{
	TCase *t = tcase_create("creds");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, h_setup, h_stop);
	tcase_add_test(t, test_create_as_user);
	tcase_add_test(t, test_create_denied);
	tcase_add_test(t, test_sgid_directory);
	tcase_add_test(t, test_supplementary_group);
	return t;
}
