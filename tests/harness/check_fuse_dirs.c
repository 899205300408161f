/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse_dirs - READDIR and READDIRPLUS: completeness, paging, look-up counts; and xattrs.
 *
 * Runs in: check_fuse.
 */
#include "check_fuse.h"
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NR_FILES 300

static uint64_t dir;
static struct fuse_open_out fh;
static unsigned char seen[NR_FILES];
static unsigned int dots;

static void
make_files(int n)
{
	static const char data[NR_FILES];
	char name[64];
	int i;

	ck_assert(mkdir(h_path("dir"), 0755) == 0);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "dir/file-%d%s", i, i % 3 ? "" : "-with-longer-name");
		if (i % 10 == 9)
			ck_assert(mkdir(h_path(name), 0755) == 0);
		else
			h_put(name, data, (size_t)i);
	}
	memset(seen, 0, sizeof(seen));
	dots = 0;
	dir = h_node("dir");
	OK(fc_opendir(&hc, dir, &fh));
}

/* Count one entry, and compare what it says with the host. */
static void
note(const char *name, const struct fuse_dirent *d, const struct fuse_entry_out *e, bool plus)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "dir/%s", name);
	st = h_stat(path);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		dots++;
		ck_assert_uint_eq(d->type, DT_DIR);
		ck_assert_uint_eq(e->nodeid, 0);
		return;
	}
	ck_assert_uint_eq(d->ino, st.st_ino);
	ck_assert_uint_eq(d->type, (st.st_mode & S_IFMT) >> 12);
	ck_assert_int_lt(atoi(name + 5), NR_FILES);
	seen[atoi(name + 5)]++;
	if (!plus)
		return;
	ck_assert_uint_ne(e->nodeid, 0);
	ck_assert_uint_eq(e->attr.ino, st.st_ino);
	ck_assert_uint_eq(e->attr.mode, st.st_mode);
	ck_assert_uint_eq(e->attr.size, (uint64_t)st.st_size);
	ck_assert_uint_eq(e->entry_valid, 1);
}

/* Read all of it in pages of `size`; returns the number of requests. */
static int
read_all(uint32_t size, bool plus)
{
	struct fuse_entry_out e;
	struct fuse_dirent d;
	char name[256];
	uint64_t off = 0;
	int n, calls = 0;
	size_t pos;

	for (;;) {
		n = fc_readdir(&hc, dir, fh.fh, off, size, plus);
		ck_assert_int_ge(n, 0);
		ck_assert_int_le(n, (int)size);
		calls++;
		if (n == 0)
			return calls;
		pos = 0;
		while ((n = fc_next_dirent(&hc, &pos, plus, &e, &d, name)) == 1) {
			note(name, &d, &e, plus);
			off = d.off;
		}
		ck_assert_int_eq(n, 0);
		ck_assert_int_lt(calls, 10000);
	}
}

static const struct {
	uint32_t size;
	bool plus;
} pages[] = {
	{ 65536, false }, { 4096, false }, { 512, false }, { 128, false }, { 65536, true },
	{ 4096, true }, { 512, true }, { FC_MAX_WRITE, false }, { FC_MAX_WRITE, true },
};

START_TEST(test_paging)
{
	int i;

	h_setup();
	make_files(NR_FILES);
	read_all(pages[_i].size, pages[_i].plus);
	ck_assert_uint_eq(dots, 2);
	for (i = 0; i < NR_FILES; i++)
		ck_assert_msg(seen[i] == 1, "file-%d was seen %d times", i, seen[i]);
	/* And from the start again on the same handle. */
	read_all(pages[_i].size, pages[_i].plus);
	for (i = 0; i < NR_FILES; i++)
		ck_assert_int_eq(seen[i], 2);
	OK(fc_releasedir(&hc, dir, fh.fh));
	h_stop();
}
END_TEST

START_TEST(test_sizes)
{
	struct fuse_read_in in = { .size = 4096 };
	struct fc_part part = { &in, sizeof(in) };

	h_setup();
	make_files(20);
	FAILS(EINVAL, fc_readdir(&hc, dir, fh.fh, 0, 16, false));
	ck_assert_int_eq(fc_readdir(&hc, dir, fh.fh, 0, 0, false), 0);
	ck_assert_int_eq(fc_readdir(&hc, dir, fh.fh, 0, 0, true), 0);
	in.fh = fh.fh;
	/* Less room than the size field says. */
	FAILS(ENOMEM, fc_call(&hc, FUSE_READDIR, dir, &part, 1, 1024));
	FAILS(ENOMEM, fc_call(&hc, FUSE_READDIRPLUS, dir, &part, 1, 1024));
	in.size = FC_MAX_WRITE + 1;
	FAILS(ENOMEM, fc_call(&hc, FUSE_READDIR, dir, &part, 1, 1024));
	FAILS(ENOMEM, fc_call(&hc, FUSE_READDIRPLUS, dir, &part, 1, 1024));
	h_stop();
}
END_TEST

START_TEST(test_not_a_directory)
{
	struct fuse_open_out o;
	uint64_t f;
	char buf[64];

	h_setup();
	make_files(2);
	h_put("f", "x", 1);
	f = h_node("f");
	OK(fc_open_file(&hc, f, O_RDONLY, &o));
	FAILS(ENOTDIR, fc_readdir(&hc, f, o.fh, 0, 4096, false));
	FAILS(ENOTDIR, fc_readdir(&hc, f, o.fh, 0, 4096, true));
	FAILS(EISDIR, fc_read(&hc, dir, fh.fh, 0, buf, sizeof(buf)));
	h_stop();
}
END_TEST

/* READDIRPLUS counts one look-up per entry it delivers, and none for . and .. */
START_TEST(test_plus_counts)
{
	struct fuse_entry_out e, again;
	struct fuse_dirent d;
	char name[256];
	size_t pos = 0;
	unsigned int n = 0;
	uint64_t ids[64];

	h_setup();
	make_files(20);
	ck_assert_int_gt(fc_readdir(&hc, dir, fh.fh, 0, 65536, true), 0);
	while (fc_next_dirent(&hc, &pos, true, &e, &d, name) == 1 && n < 64) {
		if (e.nodeid != 0)
			ids[n++] = e.nodeid;
	}
	ck_assert_uint_eq(n, 20);
	OK(fc_lookup(&hc, dir, "file-1", &again));
	for (unsigned int i = 0; i < n; i++) {
		OK(fc_getattr(&hc, ids[i], NULL));
		OK(fc_forget(&hc, ids[i], 1));
		/* Only the one that LOOKUP found too is left. */
		ck_assert_int_eq(fc_getattr(&hc, ids[i], NULL),
		    ids[i] == again.nodeid ? 0 : -EBADF);
	}
	OK(fc_getattr(&hc, dir, NULL));
	OK(fc_lookup(&hc, dir, "file-2", &e));
	OK(fc_getattr(&hc, e.nodeid, NULL));
	h_stop();
}
END_TEST

/* Entries that did not fit into the reply are not counted. */
START_TEST(test_plus_counts_partial)
{
	struct fuse_entry_out e;
	struct fuse_dirent d;
	char name[256];
	size_t pos = 0;
	unsigned int n = 0;
	uint64_t ids[64];

	h_setup();
	make_files(20);
	ck_assert_int_gt(fc_readdir(&hc, dir, fh.fh, 0, 700, true), 0);
	while (fc_next_dirent(&hc, &pos, true, &e, &d, name) == 1 && n < 64) {
		if (e.nodeid != 0)
			ids[n++] = e.nodeid;
	}
	ck_assert_uint_ge(n, 1);
	ck_assert_uint_le(n, 4);
	for (unsigned int i = 0; i < n; i++)
		OK(fc_forget(&hc, ids[i], 1));
	/* Whatever is looked up now and forgotten once must be gone. */
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "file-%d%s", i, i % 3 ? "" : "-with-longer-name");
		OK(fc_lookup(&hc, dir, name, &e));
		OK(fc_forget(&hc, e.nodeid, 1));
		FAILS(EBADF, fc_getattr(&hc, e.nodeid, NULL));
	}
	h_stop();
}
END_TEST

/* Two handles of one directory have two positions; entries removed behind a handle's back. */
START_TEST(test_two_handles)
{
	struct fuse_open_out second;
	struct fuse_dirent d;
	struct fuse_entry_out e;
	char name[256], first[256];
	size_t pos = 0;

	h_setup();
	make_files(50);
	OK(fc_opendir(&hc, dir, &second));
	ck_assert_int_ne(second.fh, fh.fh);
	ck_assert_int_gt(fc_readdir(&hc, dir, fh.fh, 0, 128, false), 0);
	ck_assert_int_eq(fc_next_dirent(&hc, &pos, false, &e, &d, first), 1);
	ck_assert_int_gt(fc_readdir(&hc, dir, second.fh, 0, 4096, false), 0);
	pos = 0;
	ck_assert_int_eq(fc_next_dirent(&hc, &pos, false, &e, &d, name), 1);
	ck_assert_str_eq(name, first);
	h_stop();
}
END_TEST

START_TEST(test_removed_directory)
{
	h_setup();
	make_files(0);
	OK(fc_rmdir(&hc, FC_ROOT, "dir"));
	FAILS(ENOENT, fc_readdir(&hc, dir, fh.fh, 0, 4096, false));
	OK(fc_releasedir(&hc, dir, fh.fh));
	h_stop();
}
END_TEST

TCase *
check_fuse_dirs(void)
{
	TCase *t = tcase_create("dirs");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_paging, 0, (int)(sizeof(pages) / sizeof(pages[0])));
	tcase_add_test(t, test_sizes);
	tcase_add_test(t, test_not_a_directory);
	tcase_add_test(t, test_plus_counts);
	tcase_add_test(t, test_plus_counts_partial);
	tcase_add_test(t, test_two_handles);
	tcase_add_test(t, test_removed_directory);
	return t;
}

static const char *const with_xattr[] = { "--xattr", NULL };

START_TEST(test_xattr)
{
	char buf[256];
	uint64_t f;

	h_start(with_xattr);
	h_put("f", "x", 1);
	f = h_node("f");
	OK(fc_setxattr(&hc, f, "user.a", "value", 5, 0));
	ck_assert_int_eq((int)getxattr(h_path("f"), "user.a", buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "value", 5);
	ck_assert_int_eq(fc_getxattr(&hc, f, "user.a", NULL, 0), 5);
	memset(buf, 0, sizeof(buf));
	ck_assert_int_eq(fc_getxattr(&hc, f, "user.a", buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "value", 5);
	FAILS(ERANGE, fc_getxattr(&hc, f, "user.a", buf, 3));
	FAILS(ENODATA, fc_getxattr(&hc, f, "user.b", buf, sizeof(buf)));
	FAILS(EEXIST, fc_setxattr(&hc, f, "user.a", "v", 1, XATTR_CREATE));
	FAILS(ENODATA, fc_setxattr(&hc, f, "user.b", "v", 1, XATTR_REPLACE));
	OK(fc_setxattr(&hc, f, "user.b", "", 0, XATTR_CREATE));
	ck_assert_int_eq(fc_getxattr(&hc, f, "user.b", NULL, 0), 0);
	ck_assert_int_ge(fc_listxattr(&hc, f, NULL, 0), 14);
	ck_assert_int_ge(fc_listxattr(&hc, f, buf, sizeof(buf)), 14);
	ck_assert(memmem(buf, 256, "user.a\0", 7) != NULL);
	ck_assert(memmem(buf, 256, "user.b\0", 7) != NULL);
	FAILS(ERANGE, fc_listxattr(&hc, f, buf, 3));
	OK(fc_removexattr(&hc, f, "user.a"));
	FAILS(ENODATA, fc_removexattr(&hc, f, "user.a"));
	ck_assert_int_eq((int)getxattr(h_path("f"), "user.a", buf, sizeof(buf)), -1);
	FAILS(EOPNOTSUPP, fc_setxattr(&hc, f, "nonamespace", "v", 1, 0));
	h_stop();
}
END_TEST

START_TEST(test_xattr_kinds)
{
	char buf[64];
	uint64_t d;

	h_start(with_xattr);
	ck_assert(mkdir(h_path("d"), 0755) == 0);
	ck_assert(symlink("d", h_path("l")) == 0);
	d = h_node("d");
	OK(fc_setxattr(&hc, d, "user.dir", "1", 1, 0));
	ck_assert_int_eq((int)getxattr(h_path("d"), "user.dir", buf, sizeof(buf)), 1);
	/* user.* is not allowed on a symlink, and must not land on what it points at. */
	FAILS(EPERM, fc_setxattr(&hc, h_node("l"), "user.x", "1", 1, 0));
	ck_assert_int_eq((int)getxattr(h_path("d"), "user.x", buf, sizeof(buf)), -1);
	ck_assert(mkfifo(h_path("p"), 0666) == 0);
	FAILS(EPERM, fc_setxattr(&hc, h_node("p"), "user.x", "1", 1, 0));
	FAILS(ENODATA, fc_getxattr(&hc, h_node("p"), "security.none", buf, sizeof(buf)));
	h_stop();
}
END_TEST

START_TEST(test_xattr_off)
{
	char buf[64];
	uint64_t f;

	h_start(NULL);
	h_put("f", "x", 1);
	f = h_node("f");
	FAILS(ENOSYS, fc_setxattr(&hc, f, "user.a", "v", 1, 0));
	FAILS(ENOSYS, fc_getxattr(&hc, f, "user.a", buf, sizeof(buf)));
	FAILS(ENOSYS, fc_listxattr(&hc, f, buf, sizeof(buf)));
	FAILS(ENOSYS, fc_removexattr(&hc, f, "user.a"));
	h_stop();
}
END_TEST

TCase *
check_fuse_xattr(void)
{
	TCase *t = tcase_create("xattr");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_xattr);
	tcase_add_test(t, test_xattr_kinds);
	tcase_add_test(t, test_xattr_off);
	return t;
}
