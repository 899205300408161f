/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_other - SETATTR's order and times, STATFS and SYNCFS with a submount.
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* SETATTR of times: seconds on the host, or OLD where the host's are to stay. */
#define OLD 1000000
#define NOW INT64_MAX

static const struct {
	const char *name;
	uint32_t valid;
	uint64_t atime, mtime;
	int64_t want_atime, want_mtime;
} times[] = {
	{ "both", FATTR_ATIME | FATTR_MTIME, 11, 22, 11, 22 },
	{ "atime", FATTR_ATIME, 11, 22, 11, OLD },
	{ "mtime", FATTR_MTIME, 11, 22, OLD, 22 },
	{ "both now", FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW, 11, 22, NOW, NOW },
	{ "atime now, mtime set", FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW, 11, 22, NOW, 22 },
	{ "P7: ATIME_NOW alone", FATTR_ATIME_NOW, 11, 22, OLD, OLD },
	{ "P7: MTIME_NOW alone", FATTR_MTIME_NOW, 11, 22, OLD, OLD },
	{ "CTIME and unknown bits", FATTR_CTIME | 0xfffff000u, 11, 22, OLD, OLD },
	{ "nothing", 0, 11, 22, OLD, OLD },
	{ "P6: before 1970", FATTR_ATIME | FATTR_MTIME, (uint64_t)-5, (uint64_t)-6, -5, -6 },
};

START_TEST(test_times)
{
	const struct timespec old[2] = { { .tv_sec = OLD }, { .tv_sec = OLD } };
	struct fuse_setattr_in in = { .valid = times[_i].valid, .atime = times[_i].atime,
		.mtime = times[_i].mtime, .mode = 0777, .uid = 5, .gid = 5 };
	struct fuse_attr a;
	struct stat st;
	char name[100];

	snprintf(name, sizeof(name), "SETATTR %s", times[_i].name);
	sf_begin(name, "", SF_TMPFS, FUSE_SETATTR);
	sf_put("f", "data", 0, 0, 0644);
	SF_OK(utimensat(AT_FDCWD, sf_path("f"), old, 0));
	SF_OK(fc_setattr(&hc, sf_node("f"), &in, &a));
	SF_OK(stat(sf_path("f"), &st));
	if (times[_i].want_atime == NOW)
		SF_EQ(st.st_atim.tv_sec > OLD, true);
	else
		SF_EQ(st.st_atim.tv_sec, times[_i].want_atime);
	if (times[_i].want_mtime == NOW)
		SF_EQ(st.st_mtim.tv_sec > OLD, true);
	else
		SF_EQ(st.st_mtim.tv_sec, times[_i].want_mtime);
	/* C16: the reply is what it is afterwards. */
	SF_EQ((int64_t)a.atime, st.st_atim.tv_sec);
	SF_EQ((int64_t)a.mtime, st.st_mtim.tv_sec);
	SF_EQ(st.st_mode & 07777, 0644);
	SF_EQ(st.st_uid, 0);
	sf_end();
}
END_TEST

/* SETATTR of the size: what is opened first decides; and of what cannot be. f has 4 bytes. */
static const struct {
	const char *name;
	const char *what;
	int handle;	/* O_* of a handle to go by, -1 = none */
	uint64_t size;
	int error;
	off_t after;
} setsizes[] = {
	{ "smaller", "f", -1, 1, 0, 1 }, { "larger", "f", -1, 100, 0, 100 },
	{ "by a handle", "f", O_RDWR, 2, 0, 2 }, { "by a handle to read", "f", O_RDONLY, 2, -EINVAL, 4 },
	{ "of a directory", "d", -1, 0, -EISDIR, 4 }, { "S1: of a FIFO", "p", -1, 0, -EBADF, 4 },
	{ "S1: of a symlink", "l", -1, 0, -EBADF, 4 }, { "2^63", "f", -1, 1ull << 63, -EINVAL, 4 },
	{ "2^64 - 1", "f", -1, ~0ull, -EINVAL, 4 },
	{ "2^63 - 1", "f", -1, INT64_MAX, -EFBIG, 4 },
};

START_TEST(test_size)
{
	struct fuse_setattr_in in = { .valid = FATTR_SIZE | FATTR_MODE, .mode = 0600,
		.size = setsizes[_i].size };
	struct fuse_open_out o;
	struct fuse_attr a;
	struct stat st;
	uint64_t node;
	char name[100];

	snprintf(name, sizeof(name), "SETATTR size %s", setsizes[_i].name);
	sf_begin(name, "", SF_DIR, FUSE_SETATTR);
	sf_put("f", "data", 0, 0, 0644);
	SF_OK(mkdir(sf_path("d"), 0755));
	SF_OK(mkfifo(sf_path("p"), 0644));
	SF_OK(symlink("f", sf_path("l")));
	node = sf_node(setsizes[_i].what);
	if (setsizes[_i].handle >= 0) {
		SF_OK(sf_open(node, (uint32_t)setsizes[_i].handle, 0, &o));
		in.valid |= FATTR_FH;
		in.fh = o.fh;
	}
	SF_EQ(fc_setattr(&hc, node, &in, &a), setsizes[_i].error);
	SF_OK(stat(sf_path("f"), &st));
	SF_EQ(st.st_size, setsizes[_i].after);
	if (setsizes[_i].error == 0)
		SF_EQ(a.size, setsizes[_i].after);
	/* What cannot be opened to be cut is not changed at all. */
	if (setsizes[_i].error == -EISDIR)
		SF_EQ(sf_mode("d"), 0755);
	sf_end();
}
END_TEST

/* Each file system of the share by itself (P20): that of the very inode. */
static const struct {
	const char *name;
	const char *path;
} statfses[] = { { "P20: STATFS of the share", "." }, { "P20: STATFS of a submount", "sub" },
	{ "P20: STATFS of a file on it", "sub/f" } };

static uint64_t
walk(const char *path)
{
	uint64_t node = FC_ROOT;
	struct fuse_entry_out e;
	char copy[64], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *w = strtok_r(copy, "/", &save); w != NULL; w = strtok_r(NULL, "/", &save)) {
		SF_OK(fc_lookup(&hc, node, w, &e));
		node = e.nodeid;
	}
	return node;
}

START_TEST(test_statfs)
{
	struct fuse_kstatfs got;
	struct statvfs want;

	sf_begin(statfses[_i].name, "", SF_SUBMOUNT, FUSE_STATFS);
	h_put("sub/f", "data", 4);
	SF_OK(fc_statfs(&hc, walk(statfses[_i].path), &got));
	SF_OK(statvfs(h_path(statfses[_i].path), &want));
	SF_EQ(got.blocks, want.f_blocks);
	SF_EQ(got.bfree, want.f_bfree);
	SF_EQ(got.bavail, want.f_bavail);
	SF_EQ(got.files, want.f_files);
	SF_EQ(got.ffree, want.f_ffree);
	SF_EQ(got.bsize, want.f_bsize);
	SF_EQ(got.frsize, want.f_frsize);
	SF_EQ(got.namelen, want.f_namemax);
	SF_EQ((uint64_t)got.blocks * got.frsize, (_i == 0 ? 8ull : 3ull) << 20);
	sf_end();
}
END_TEST

/* SYNCFS opens what it is about, so that there must be something to open. */
static const struct {
	const char *name;
	const char *what;
	int error;
} syncs[] = {
	{ "SYNCFS of the root", ".", 0 }, { "SYNCFS of a file", "f", 0 },
	{ "SYNCFS of a submount", "sub", 0 }, { "S1: SYNCFS of a FIFO", "p", -EBADF },
	{ "S1: SYNCFS of a symlink", "l", -EBADF },
};

START_TEST(test_syncfs)
{
	struct stat st;

	sf_begin(syncs[_i].name, "", SF_SUBMOUNT, FUSE_SYNCFS);
	h_put("f", "data", 4);
	if (lstat(h_path("p"), &st) != 0) {
		SF_OK(mkfifo(h_path("p"), 0644));
		SF_OK(symlink("f", h_path("l")));
	}
	SF_EQ(fc_syncfs(&hc, walk(syncs[_i].what)), syncs[_i].error);
	sf_end();
}
END_TEST

/* The last file: its daemon ends here. */
static void
last(void)
{
	sf_stop();
}

TCase *
check_surface_other(void)
{
	TCase *t = tcase_create("other");

	tcase_add_unchecked_fixture(t, NULL, last);
	SF_TCASE(t, test_times, times);
	SF_TCASE(t, test_size, setsizes);
	SF_TCASE(t, test_statfs, statfses);
	SF_TCASE(t, test_syncfs, syncs);
	return t;
}
