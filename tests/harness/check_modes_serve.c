/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_modes_serve - what a guest can do in each mode, before and after the worker has died.
 *
 * Runs in: check_modes.
 */
#include "check_modes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MODE (&modes[_i])

static void
stop(void)
{
	h_stop();
}

/* One of everything, on names that end in n. */
static void
use_all(unsigned int n)
{
	struct fuse_entry_out d, f, l;
	struct fuse_setattr_in mode = { .valid = FATTR_MODE, .mode = 0600 };
	struct fuse_open_out o;
	struct fuse_attr a, open_a;
	char dir[16], buf[32];

	snprintf(dir, sizeof(dir), "dir%u", n);
	OK(fc_mkdir(&hc, FC_ROOT, dir, 0755, &d));
	OK(fc_create(&hc, d.nodeid, "file", O_RDWR, 0644, &f, &o));
	ck_assert_int_eq(fc_write(&hc, f.nodeid, o.fh, 0, "content", 7, O_RDWR), 7);
	ck_assert_int_eq(fc_read(&hc, f.nodeid, o.fh, 0, buf, sizeof(buf)), 7);
	ck_assert_mem_eq(buf, "content", 7);
	OK(fc_getattr(&hc, f.nodeid, &a));
	OK(fc_getattr_fh(&hc, f.nodeid, o.fh, &open_a));
	ck_assert_mem_eq(&a, &open_a, sizeof(a));
	OK(fc_release(&hc, f.nodeid, o.fh));
	OK(fc_setattr(&hc, f.nodeid, &mode, &a));
	ck_assert_uint_eq(a.mode & 07777, 0600);
	OK(fc_link(&hc, f.nodeid, d.nodeid, "hard", &l));
	ck_assert_uint_eq(l.nodeid, f.nodeid);
	OK(fc_symlink(&hc, d.nodeid, "soft", "file", &l));
	OK(fc_readlink(&hc, l.nodeid, buf, sizeof(buf)));
	ck_assert_str_eq(buf, "file");
	OK(fc_setxattr(&hc, f.nodeid, "user.a", "b", 1, 0));
	ck_assert_int_eq(fc_getxattr(&hc, f.nodeid, "user.a", buf, sizeof(buf)), 1);
	OK(fc_opendir(&hc, d.nodeid, &o));
	ck_assert_int_gt(fc_readdir(&hc, d.nodeid, o.fh, 0, 4096, true), 0);
	OK(fc_releasedir(&hc, d.nodeid, o.fh));
	OK(fc_rename(&hc, d.nodeid, "file", FC_ROOT, "moved"));
	OK(fc_unlink(&hc, d.nodeid, "hard"));
	OK(fc_unlink(&hc, d.nodeid, "soft"));
	OK(fc_rmdir(&hc, FC_ROOT, dir));
	ck_assert_int_eq((int)h_get("moved", buf, sizeof(buf)), 7);
	OK(fc_unlink(&hc, FC_ROOT, "moved"));
	ck_assert(h_serves(&hother));
}

START_TEST(test_use)
{
	static const char *const more[] = { "--xattr", NULL };
	unsigned int n;

	modes_start(MODE, more);
	for (n = 0; n < 3; n++) {
		use_all(n);
		modes_restart();
	}
	use_all(n);
	stop();
}
END_TEST

/* Who has a file open for writing may change its size, whatever its mode says. */
START_TEST(test_no_write_bits)
{
	struct fuse_setattr_in in = { .valid = FATTR_SIZE | FATTR_FH | FATTR_MTIME, .size = 5 };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_attr a;
	char buf[16];

	modes_start(MODE, NULL);
	OK(fc_create(&hc, FC_ROOT, "file", O_RDWR, 0444, &e, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "content", 7, O_RDWR), 7);
	in.fh = o.fh;
	in.mtime = 1000;
	OK(fc_setattr(&hc, e.nodeid, &in, &a));
	ck_assert_uint_eq(a.size, 5);
	ck_assert_uint_eq(a.mtime, 1000);
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 5, "!", 1, O_RDWR), 1);
	ck_assert_int_eq((int)h_get("file", buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "conte!", 6);
	stop();
}
END_TEST

/* And hears of a full file system as it is. */
START_TEST(test_full)
{
	static const char *const args[] = { "--sandbox=none", NULL };
	const struct vmm_opts opts = {
		.stage = VMM_RUNNING, .args = args, .owner = MODES_USER, .share_mib = 4
	};
	static char data[1 << 20];
	struct fuse_entry_out e;
	struct fuse_open_out o;
	uint64_t end = 0;
	int r;

	h_start_opts(&opts, true);
	OK(fc_create(&hc, FC_ROOT, "file", O_RDWR, 0444, &e, &o));
	while ((r = fc_write(&hc, e.nodeid, o.fh, end, data, sizeof(data), O_RDWR)) > 0)
		end += (uint64_t)r;
	ck_assert_int_eq(r, -ENOSPC);
	FAILS(ENOSPC, fc_fallocate(&hc, e.nodeid, o.fh, 0, 64 << 20, 0));
	stop();
}
END_TEST

/* With a umask, and many at once: each its own. */
START_TEST(test_umask)
{
	static const char *const more[] = { "--posix-acl", NULL };
	struct fuse_mkdir_in in = { .mode = 0777, .umask = 027 };
	struct fc_part parts[] = { { &in, sizeof(in) }, { "masked", 7 } };
	struct fuse_entry_out e;

	modes_start(MODE, more);
	OK(fc_call(&hc, FUSE_MKDIR, FC_ROOT, parts, 2, sizeof(e)));
	OK(fc_mkdir(&hother, FC_ROOT, "plain", 0777, &e));
	ck_assert_uint_eq(h_stat("masked").st_mode & 07777, 0750);
	ck_assert_uint_eq(h_stat("plain").st_mode & 07777, 0777);
	stop();
}
END_TEST

static void
check_owner(const char *name, uid_t want)
{
	struct stat st = h_stat(name);

	ck_assert_msg(st.st_uid == want && st.st_gid == want, "%s belongs to %u:%u, not %u", name, st.st_uid,
	    st.st_gid, want);
}

/* spec/sandbox.md section 8 */
static void
check_ids(const struct mode *m, const char *root, const char *other, const char *dev)
{
	struct fuse_setattr_in chown = { .valid = FATTR_UID | FATTR_GID, .uid = 1000, .gid = 1000 };
	struct fuse_entry_out e;
	struct fuse_attr a;

	OK(fc_mkdir(&hc, FC_ROOT, root, 0777, &e));
	ck_assert_uint_eq(e.attr.uid, m->seen);
	ck_assert_uint_eq(e.attr.gid, m->seen);
	check_owner(root, m->root);
	hc.uid = hc.gid = 1000;
	ck_assert_int_eq(fc_mkdir(&hc, FC_ROOT, other, 0777, &e), -m->other_error);
	hc.uid = hc.gid = 0;
	if (m->other_error == 0) {
		ck_assert_uint_eq(e.attr.uid, 1000);
		check_owner(other, m->other);
	} else
		ck_assert(!h_exists(other));
	ck_assert_int_eq(fc_setattr(&hc, h_node(root), &chown, &a), -m->other_error);
	check_owner(root, m->other_error == 0 ? m->other : m->root);
	ck_assert_int_eq(fc_mknod(&hc, FC_ROOT, dev, S_IFCHR | 0600, (uint32_t)makedev(1, 3), &e), -m->device_error);
}

START_TEST(test_ids)
{
	struct fuse_entry_out e;

	modes_start(MODE, NULL);
	h_put("foreign", "", 0);
	OK(chown(h_path("foreign"), 12, 13));
	OK(fc_lookup(&hc, FC_ROOT, "foreign", &e));
	ck_assert_uint_eq(e.attr.uid, MODE->host_ids ? 12 : 65534);
	ck_assert_uint_eq(e.attr.gid, MODE->host_ids ? 13 : 65534);
	check_ids(MODE, "root", "other", "dev");
	modes_restart();
	check_ids(MODE, "root2", "other2", "dev2");
	stop();
}
END_TEST

/* What the guest holds is the same after the worker has died: by look-up only, open, removed, a directory. */
START_TEST(test_held)
{
	struct fuse_entry_out known, gone, dir, in, e;
	struct fuse_open_out of, og, od;
	struct fuse_attr a;
	char buf[8];
	int i;

	modes_start(MODE, NULL);
	OK(fc_create(&hc, FC_ROOT, "known", O_RDWR, 0644, &known, &of));
	OK(fc_create(&hc, FC_ROOT, "gone", O_RDWR, 0644, &gone, &og));
	OK(fc_mkdir(&hc, FC_ROOT, "dir", 0755, &dir));
	OK(fc_opendir(&hc, dir.nodeid, &od));
	OK(fc_create(&hc, dir.nodeid, "in", O_RDWR, 0644, &in, &od));
	OK(fc_release(&hc, in.nodeid, od.fh));
	OK(fc_unlink(&hc, FC_ROOT, "gone"));
	for (i = 0; i < 3; i++) {
		modes_restart();
		ck_assert_int_eq(fc_write(&hc, gone.nodeid, og.fh, (uint64_t)i, "x", 1, O_RDWR), 1);
		ck_assert_int_eq(fc_read(&hc, gone.nodeid, og.fh, 0, buf, sizeof(buf)), i + 1);
		OK(fc_getattr(&hc, gone.nodeid, &a));
		ck_assert_uint_eq(a.nlink, 0);
		OK(fc_getattr(&hc, in.nodeid, &a));
		ck_assert_uint_eq(a.ino, in.attr.ino);
		/* The mount is the same one: the vault knows the inode by it. */
		OK(fc_lookup(&hc, FC_ROOT, "known", &e));
		ck_assert_uint_eq(e.nodeid, known.nodeid);
		OK(fc_lookup(&hc, dir.nodeid, "in", &e));
		ck_assert_uint_eq(e.nodeid, in.nodeid);
	}
	OK(fc_release(&hc, gone.nodeid, og.fh));
	OK(fc_release(&hc, known.nodeid, of.fh));
	stop();
}
END_TEST

/* Set-id bits are the file's and the guest's business: that the worker's mount is nosuid changes nothing. */
START_TEST(test_setid)
{
	struct fuse_setattr_in mode = { .valid = FATTR_MODE, .mode = 06755 };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_attr a;

	modes_start(MODE, NULL);
	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0755, &e, &o));
	OK(fc_release(&hc, e.nodeid, o.fh));
	OK(fc_setattr(&hc, e.nodeid, &mode, &a));
	ck_assert_uint_eq(a.mode & 07777, 06755);
	OK(fc_open_file(&hc, e.nodeid, O_RDWR, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "x", 1, O_RDWR), 1);
	OK(fc_release(&hc, e.nodeid, o.fh));
	/* Without CAP_FSETID in the first user namespace the kernel takes them at a write. */
	ck_assert_uint_eq(h_stat("f").st_mode & 07777, MODE->owner != 0 ? 0755 : 06755);
	stop();
}
END_TEST

TCase *
check_modes_serve(void)
{
	TCase *t = tcase_create("serve");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_use, 0, modes_n);
	tcase_add_loop_test(t, test_no_write_bits, 0, modes_n);
	tcase_add_test(t, test_full);
	tcase_add_loop_test(t, test_umask, 0, modes_n);
	tcase_add_loop_test(t, test_ids, 0, modes_n);
	tcase_add_loop_test(t, test_held, 0, modes_n);
	tcase_add_loop_test(t, test_setid, 0, modes_n);
	return t;
}
