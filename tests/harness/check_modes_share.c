/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_modes_share - what can be shared: the root directory, a relative path, a symbolic link, a file, a directory that
 * only the caller can reach (traps.md F14, F15; inodes.md section 2).
 *
 * Runs in: check_modes.
 */
#include "check_modes.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODE (&modes[_i])

static bool
has_sandbox(const struct mode *m)
{
	return strstr(m->name, "none") == NULL;
}

START_TEST(test_root_directory)
{
	static const char *const more[] = { "--shared-dir=/", NULL };
	struct fuse_entry_out e;
	struct stat st;
	int i;

	modes_start(MODE, more);
	for (i = 0; i < 2; i++) {
		OK(stat("/etc/passwd", &st));
		OK(fc_lookup(&hc, FC_ROOT, "etc", &e));
		OK(fc_lookup(&hc, e.nodeid, "passwd", &e));
		ck_assert_uint_eq(e.attr.ino, st.st_ino);
		ck_assert_uint_eq(e.attr.size, (uint64_t)st.st_size);
		/* No way up. */
		OK(fc_lookup(&hc, FC_ROOT, "..", &e));
		ck_assert_uint_eq(e.nodeid, FC_ROOT);
		modes_restart();
	}
	h_stop();
}
END_TEST

/* A directory with a file "inside" and a link to it, below one that belongs to the mode's user. */
struct place {
	char dir[64];
};

static void
make_place(struct place *p, uid_t owner, mode_t mode)
{
	char path[128];
	int fd;

	snprintf(p->dir, sizeof(p->dir), "/tmp/modes-share.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p->dir));
	snprintf(path, sizeof(path), "%s/real", p->dir);
	OK(mkdir(path, 0777));
	OK(chmod(path, 0777));
	OK(chown(path, owner, owner));
	snprintf(path, sizeof(path), "%s/link", p->dir);
	OK(symlink("real", path));
	snprintf(path, sizeof(path), "%s/real/inside", p->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	close(fd);
	OK(chmod(p->dir, mode));
	OK(chown(p->dir, owner, owner));
}

static void
remove_place(const struct place *p)
{
	static const char *const names[] = { "real/inside", "real/made", "real", "link", "" };
	char path[128];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", p->dir, names[i]);
		if (remove(path) < 0)
			ck_assert_int_eq(errno, ENOENT);
	}
}

static void
use_place(const struct mode *m, const char *shared)
{
	const char *const more[] = { "--shared-dir", shared, NULL };
	struct fuse_entry_out e;
	struct fuse_open_out o;

	modes_start(m, more);
	OK(fc_lookup(&hc, FC_ROOT, "inside", &e));
	modes_restart();
	OK(fc_create(&hc, FC_ROOT, "made", O_RDWR, 0644, &e, &o));
	OK(fc_release(&hc, e.nodeid, o.fh));
	h_stop();
}

START_TEST(test_symlink)
{
	struct place p;
	char path[128];

	make_place(&p, MODE->owner, 0755);
	snprintf(path, sizeof(path), "%s/link", p.dir);
	use_place(MODE, path);
	snprintf(path, sizeof(path), "%s/real/made", p.dir);
	OK(access(path, F_OK));
	remove_place(&p);
}
END_TEST

START_TEST(test_relative)
{
	char cwd[256];
	struct place p;

	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	make_place(&p, MODE->owner, 0755);
	OK(chdir(p.dir));
	use_place(MODE, "./real/../link");
	OK(chdir(cwd));
	remove_place(&p);
}
END_TEST

/* Who runs the daemon, as the host sees it. */
static uid_t
caller(const struct mode *m)
{
	return strncmp(m->name, "outer ranges", 12) == 0 ? MODES_SUBID : m->owner;
}

/* Nobody but the caller can look into the directory above: also not the root of a user namespace with ranges of ids. */
START_TEST(test_private_parent)
{
	struct place p;
	char path[128];

	make_place(&p, caller(MODE), 0700);
	snprintf(path, sizeof(path), "%s/real", p.dir);
	use_place(MODE, path);
	remove_place(&p);
}
END_TEST

/* A file can be shared without a sandbox only. */
START_TEST(test_file)
{
	char path[128];
	const char *const more[] = { "--shared-dir", path, NULL };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_attr a;
	struct place p;
	int i;

	if (has_sandbox(MODE))
		return; /* check_modes_start: it does not start */
	make_place(&p, MODE->owner, 0755);
	snprintf(path, sizeof(path), "%s/real/inside", p.dir);
	OK(chmod(path, 0666));
	modes_start(MODE, more);
	for (i = 0; i < 2; i++) {
		OK(fc_getattr(&hc, FC_ROOT, &a));
		ck_assert(S_ISREG(a.mode));
		FAILS(ENOTDIR, fc_lookup(&hc, FC_ROOT, "x", &e));
		OK(fc_open_file(&hc, FC_ROOT, O_RDWR, &o));
		ck_assert_int_eq(fc_write(&hc, FC_ROOT, o.fh, 0, "y", 1, O_RDWR), 1);
		OK(fc_release(&hc, FC_ROOT, o.fh));
		FAILS(ENOTDIR, fc_mkdir(&hc, FC_ROOT, "x", 0755, &e));

		OK(kill(modes_worker(), SIGKILL));
		OK(fc_getattr(&hc, FC_ROOT, &a));
	}
	h_stop();
	remove_place(&p);
}
END_TEST

TCase *
check_modes_share(void)
{
	TCase *t = tcase_create("share");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_root_directory, 0, modes_n);
	tcase_add_loop_test(t, test_symlink, 0, modes_n);
	tcase_add_loop_test(t, test_relative, 0, modes_n);
	tcase_add_loop_test(t, test_private_parent, 0, modes_n);
	tcase_add_loop_test(t, test_file, 0, modes_n);
	return t;
}
