/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_ids_reach - what a guest cannot reach, in every sandbox mode: names that are no single component
 * (S8), magic links (S9), and devices, FIFOs and sockets, which are never opened (S1, S2).
 *
 * Runs in: check_ids.
 */
#include "check_ids.h"
#include "harness.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *const modes[] = { "--sandbox=namespace", "--sandbox=chroot", "--sandbox=none" };
#define NMODES 3

static void
start(int i)
{
	const char *args[] = { modes[i], "--xattr", NULL };

	h_start(args);
	h_put("f", "x", 1);
	ck_assert_int_eq(mkdir(h_path("d"), 0755), 0);
}

/* S8 */
START_TEST(test_names)
{
	static const struct {
		const char *name;
		int error;
	} names[] = { { "", -ENOENT }, { ".", -EINVAL }, { "..", -EINVAL }, { "a/b", -EINVAL }, { "/", -EINVAL },
		{ "../out", -EINVAL }, { "/tmp/out", -EINVAL }, { "d/../f", -EINVAL }, { "f/", -EINVAL } };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	uint64_t f, d;
	size_t i;

	start(_i);
	f = h_node("f");
	d = h_node("d");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *n = names[i].name;
		const int want = names[i].error;

		if (strcmp(n, ".") != 0 && strcmp(n, "..") != 0)
			ck_assert_int_eq(fc_lookup(&hc, FC_ROOT, n, &e), want);
		ck_assert_int_eq(fc_mkdir(&hc, d, n, 0755, &e), want);
		ck_assert_int_eq(fc_mknod(&hc, d, n, S_IFREG | 0644, 0, &e), want);
		ck_assert_int_eq(fc_symlink(&hc, d, n, "t", &e), want);
		ck_assert_int_eq(fc_create(&hc, d, n, O_RDWR, 0644, &e, &o), want);
		ck_assert_int_eq(fc_link(&hc, f, d, n, &e), want);
		ck_assert_int_eq(fc_unlink(&hc, d, n), want);
		ck_assert_int_eq(fc_rmdir(&hc, d, n), want);
		ck_assert_int_eq(fc_rename(&hc, FC_ROOT, "f", d, n), want);
		ck_assert_int_eq(fc_rename(&hc, d, n, FC_ROOT, "g"), want);
	}
	/* the root is its own parent */
	OK(fc_lookup(&hc, FC_ROOT, "..", &e));
	ck_assert_uint_eq(e.nodeid, FC_ROOT);
	ck_assert(h_exists("f") && h_exists("d"));
	h_stop();
}
END_TEST

/*
 * S1, S2: opened, the terminal or a FIFO without a writer would block, /dev/null would be readable, and an
 * access time of a real device node would change.
 */
START_TEST(test_devices)
{
	static const struct {
		const char *name;
		mode_t mode;
		dev_t dev;
	} nodes[] = {
		{ "null", S_IFCHR | 0666, 0x103 },
		{ "zero", S_IFCHR | 0666, 0x105 },
		{ "tty", S_IFCHR | 0666, 0x500 },
		{ "disk", S_IFBLK | 0666, 0x7c8 },
		{ "fifo", S_IFIFO | 0666, 0 },
		{ "sock", S_IFSOCK | 0666, 0 },
	};
	struct fuse_setattr_in size = { .valid = FATTR_SIZE, .size = 0 };
	struct fuse_setattr_in chmod_in = { .valid = FATTR_MODE, .mode = 0600 };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_attr a;
	size_t i;

	start(_i);
	for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		OK(fc_mknod(&hc, FC_ROOT, nodes[i].name, nodes[i].mode, (uint32_t)nodes[i].dev, &e));
		FAILS(EBADF, fc_open_file(&hc, e.nodeid, O_RDONLY, &o));
		FAILS(EBADF, fc_open_file(&hc, e.nodeid, O_RDWR | O_NONBLOCK, &o));
		FAILS(EBADF, fc_opendir(&hc, e.nodeid, &o));
		FAILS(EBADF, fc_create(&hc, FC_ROOT, nodes[i].name, O_RDWR, 0644, &e, &o));
		FAILS(EEXIST, fc_create(&hc, FC_ROOT, nodes[i].name, O_RDWR | O_EXCL, 0644, &e, &o));
		OK(fc_lookup(&hc, FC_ROOT, nodes[i].name, &e));
		FAILS(EBADF, fc_setattr(&hc, e.nodeid, &size, &a));
		FAILS(EBADF, fc_syncfs(&hc, e.nodeid));
		/* what needs no open file works */
		OK(fc_setattr(&hc, e.nodeid, &chmod_in, &a));
		ck_assert_uint_eq(h_stat(nodes[i].name).st_mode, (nodes[i].mode & S_IFMT) | 0600);
		ck_assert_int_eq(fc_listxattr(&hc, e.nodeid, NULL, 0), 0);
		FAILS(EPERM, fc_setxattr(&hc, e.nodeid, "user.x", "v", 1, 0));
	}
	h_stop();
}
END_TEST

/* A file that turns into a device between look-up and open is found by what it is, not by its name. */
START_TEST(test_swapped)
{
	struct fuse_open_out o;
	uint64_t f;
	char c;

	start(_i);
	f = h_node("f");
	ck_assert_int_eq(rename(h_path("f"), h_path("g")), 0);
	ck_assert_int_eq(mknod(h_path("f"), S_IFCHR | 0666, makedev(1, 5)), 0);
	OK(fc_open_file(&hc, f, O_RDONLY, &o));
	ck_assert_int_eq(fc_read(&hc, f, o.fh, 0, &c, 1), 1);
	ck_assert_int_eq(c, 'x');
	h_stop();
}
END_TEST

/* S9: links are the guest's to follow, wherever they point. */
START_TEST(test_symlinks)
{
	struct fuse_entry_out e, sub;
	struct fuse_open_out o;

	start(_i);
	ck_assert_int_eq(symlink("/", h_path("root")), 0);
	ck_assert_int_eq(symlink("/proc/self/root", h_path("magic")), 0);
	OK(fc_lookup(&hc, FC_ROOT, "root", &e));
	ck_assert_uint_eq(e.attr.mode & S_IFMT, S_IFLNK);
	FAILS(ENOTDIR, fc_lookup(&hc, e.nodeid, "etc", &sub));
	FAILS(EBADF, fc_opendir(&hc, e.nodeid, &o));
	FAILS(EBADF, fc_open_file(&hc, e.nodeid, O_RDONLY, &o));
	OK(fc_lookup(&hc, FC_ROOT, "magic", &e));
	FAILS(ENOTDIR, fc_mkdir(&hc, e.nodeid, "x", 0755, &sub));
	FAILS(EBADF, fc_create(&hc, FC_ROOT, "root", O_RDWR, 0644, &e, &o));
	h_stop();
}
END_TEST

TCase *
check_ids_reach(void)
{
	TCase *t = tcase_create("reach");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_names, 0, NMODES);
	tcase_add_loop_test(t, test_devices, 0, NMODES);
	tcase_add_loop_test(t, test_swapped, 0, NMODES);
	tcase_add_loop_test(t, test_symlinks, 0, NMODES);
	return t;
}
