/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_mounts_handles - --inode-file-handles: what is remembered by handle and what by fd, the limits of
 * both (F11), file systems without handles (F5), inode numbers used again (C4).
 *
 * Runs in: check_mounts.
 */
#include "check_mounts.h"
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define MANY 800u
#define NOFILE 700u

static void
make_files(void)
{
	char name[16];
	unsigned int i;
	int dir = open(hv->share, O_PATH | O_CLOEXEC);

	ck_assert_int_eq(mkdir(h_path("many"), 0755), 0);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many/%u", i);
		ck_assert_int_eq(mknodat(dir, name, S_IFREG | 0644, 0), 0);
	}
	close(dir);
}

static int
look(uint64_t dir, unsigned int i, struct fuse_entry_out *e)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", i);
	return fc_lookup(&hc, dir, name, e);
}

/* fds of all processes of the daemon together. */
static unsigned int
open_fds(void)
{
	struct vmm_proc p[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, p, VMM_MAX_PROCS), i, sum = 0;

	for (i = 0; i < n; i++) {
		char path[64];
		DIR *d;

		snprintf(path, sizeof(path), "/proc/%d/fd", p[i].pid);
		d = opendir(path);
		while (d != NULL && readdir(d) != NULL)
			sum++;
		if (d != NULL)
			closedir(d);
	}
	return sum;
}

/* More files than there may be fds, all known at once. */
START_TEST(test_more_than_fds)
{
	static const char *const args[][3] = {
		{ "--inode-file-handles=prefer", "--rlimit-nofile=700" },
		{ "--inode-file-handles=fallback", "--rlimit-nofile=700" },
		{ "--inode-file-handles=mandatory", "--rlimit-nofile=700" },
	};
	static struct fuse_entry_out e[MANY];
	struct fuse_entry_out again;
	struct fuse_attr a;
	uint64_t dir;
	unsigned int i;

	h_start(args[_i]);
	make_files();
	dir = h_node("many");
	for (i = 0; i < MANY; i++)
		OK(look(dir, i, &e[i]));
	ck_assert_uint_lt(open_fds(), NOFILE);
	for (i = 0; i < MANY; i += 13) {
		OK(fc_getattr(&hc, e[i].nodeid, &a));
		ck_assert_uint_eq(a.ino, e[i].attr.ino);
		OK(look(dir, i, &again));
		ck_assert_uint_eq(again.nodeid, e[i].nodeid);
	}
	ck_assert_int_eq(vmm_log_has(hv, "Use of deprecated value 'fallback'"), _i == 1);
	h_stop();
}
END_TEST

/* Each costs an fd: the limit is said by LOOKUP, and what is forgotten makes room again. */
START_TEST(test_never)
{
	static const char *const args[] = { "--inode-file-handles=never", "--rlimit-nofile=700", NULL };
	static struct fuse_entry_out e[MANY];
	struct fuse_entry_out x;
	struct fuse_open_out o;
	struct fuse_attr a;
	unsigned int i, n = 0;
	uint64_t dir;
	int err = 0;

	h_start(args);
	make_files();
	dir = h_node("many");
	while (n < MANY && (err = look(dir, n, &e[n])) == 0)
		n++;
	ck_assert_int_eq(err, -ENFILE);
	/* 700 less what is kept for other things */
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_lt(n, 190);
	FAILS(ENFILE, look(dir, n, &x));
	FAILS(ENFILE, fc_mkdir(&hc, FC_ROOT, "new", 0755, &x));
	ck_assert(h_exists("new"));
	FAILS(ENFILE, fc_create(&hc, FC_ROOT, "file", O_RDWR, 0644, &x, &o));
	ck_assert(vmm_log_has(hv, "--rlimit-nofile"));
	/* all that is known works */
	for (i = 0; i < n; i += 7) {
		OK(fc_getattr(&hc, e[i].nodeid, &a));
		ck_assert_uint_eq(a.ino, e[i].attr.ino);
	}
	OK(fc_open_file(&hc, e[3].nodeid, O_RDWR, &o));
	/* C10: nothing of what failed is left */
	for (i = 0; i < 10; i++)
		OK(fc_forget(&hc, e[i].nodeid, 1));
	for (i = 0; i < 10; i++)
		OK(look(dir, n + i, &x));
	FAILS(ENFILE, look(dir, n + i, &x));
	/* without a name, without a handle: it is there */
	ck_assert_int_eq(unlink(h_path("many/20")), 0);
	OK(fc_getattr(&hc, e[20].nodeid, &a));
	ck_assert_uint_eq(a.nlink, 0);
	h_stop();
}
END_TEST

/* C4: a number that is used again is another inode, whatever is remembered of the one before. */
START_TEST(test_reused_number)
{
	static const char *const args[][3] = {
		{ "--inode-file-handles=prefer", "--rlimit-nofile=700" },
		{ "--inode-file-handles=never", "--rlimit-nofile=700" },
	};
	struct fuse_entry_out old, new;
	struct fuse_attr a;
	unsigned int i, reused = 0;

	h_start(args[_i]);
	for (i = 0; i < 30; i++) {
		h_put("f", "x", 1);
		OK(fc_lookup(&hc, FC_ROOT, "f", &old));
		ck_assert_int_eq(unlink(h_path("f")), 0);
		h_put("g", "y", 1);
		OK(fc_lookup(&hc, FC_ROOT, "g", &new));
		reused += new.attr.ino == old.attr.ino;
		ck_assert_uint_ne(new.nodeid, old.nodeid);
		if (fc_getattr(&hc, old.nodeid, &a) == 0)
			ck_assert_uint_eq(a.nlink, 0);
		OK(fc_getattr(&hc, new.nodeid, &a));
		ck_assert_uint_eq(a.nlink, 1);
		OK(fc_forget(&hc, old.nodeid, 1));
		OK(fc_forget(&hc, new.nodeid, 1));
		ck_assert_int_eq(unlink(h_path("g")), 0);
	}
	h_stop();
}
END_TEST

/* F5: procfs has no handles. */
static const struct {
	const char *args[3];
	int status;
	const char *text;
} refused[] = {
	{ { "--inode-file-handles=mandatory", "--shared-dir=/proc/sys/fs" }, 1,
	    "Failed to open file handle for the root node" },
	{ { "--inode-file-handles=Never" }, 2, "invalid value 'Never'" },
	{ { "--inode-file-handles", "never" }, 2, "equal sign is needed" },
};

START_TEST(test_refused)
{
	h_refuses(refused[_i].args, refused[_i].status, refused[_i].text);
}
END_TEST

static bool
warned(void *unused)
{
	(void)unused;
	return vmm_log_has(hv, "a file system without file handles is in use");
}

START_TEST(test_root_without)
{
	static const char *const args[] = { "--inode-file-handles=prefer", "--shared-dir=/proc/sys/fs", NULL };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char buf[32];

	h_start(args);
	OK(fc_lookup(&hc, FC_ROOT, "nr_open", &e));
	ck_assert(h_eventually(warned, NULL, 2000));
	OK(fc_open_file(&hc, e.nodeid, O_RDONLY, &o));
	ck_assert_int_gt(fc_read(&hc, e.nodeid, o.fh, 0, buf, sizeof(buf)), 3);
	h_stop();
}
END_TEST

/* Below a root that has them, each file system is judged by itself. */
START_TEST(test_submount_without)
{
	static const char *const args[][2] = { { "--inode-file-handles=prefer" }, { "--inode-file-handles=mandatory" } };
	struct fuse_entry_out e, f;

	h_start(args[_i]);
	ck_assert_int_eq(mkdir(h_path("proc"), 0755), 0);
	ck_assert_int_eq(mount("proc", h_path("proc"), "proc", 0, NULL), 0);
	if (_i == 0) {
		OK(fc_lookup(&hc, FC_ROOT, "proc", &e));
		OK(fc_lookup(&hc, e.nodeid, "version", &f));
		OK(fc_getattr(&hc, f.nodeid, NULL));
		ck_assert(h_eventually(warned, NULL, 2000));
	} else {
		FAILS(EOPNOTSUPP, fc_lookup(&hc, FC_ROOT, "proc", &e));
		ck_assert(h_serves(&hc));
	}
	ck_assert_int_eq(umount2(h_path("proc"), MNT_DETACH), 0);
	h_stop();
}
END_TEST

TCase *
check_mounts_handles(void)
{
	TCase *t = tcase_create("handles");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_more_than_fds, 0, 3);
	tcase_add_test(t, test_never);
	tcase_add_loop_test(t, test_reused_number, 0, 2);
	tcase_add_loop_test(t, test_refused, 0, (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(t, test_root_without);
	tcase_add_loop_test(t, test_submount_without, 0, 2);
	return t;
}
