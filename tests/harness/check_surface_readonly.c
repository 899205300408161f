/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_readonly - --readonly: every request that changes is refused, and only those (spec/fuse.md section 7).
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fuse_beyond.h"
#include <sys/xattr.h>

#define RO "--readonly"
#define RO_XATTR "--readonly --xattr"
#define RO_LANE "--readonly --fd-donation=never"
#define NOWHERE 0x7fffffffffffull

static uint64_t f;	/* node of the file "f" in the row's directory; NOWHERE where a row wants none */
static struct fuse_open_out o;

static int
do_setattr(void)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 0600 };

	return fc_setattr(&hc, f, &in, NULL);
}

static int
do_setattr_nothing(void)
{
	struct fuse_setattr_in in = { .valid = 0 };

	return fc_setattr(&hc, f, &in, NULL);
}

static int
do_symlink(void)
{
	struct fuse_entry_out e;

	return fc_symlink(&hc, sf.dir, "n", "t", &e);
}

static int
do_mknod(void)
{
	struct fuse_entry_out e;

	return fc_mknod(&hc, sf.dir, "n", S_IFREG | 0644, 0, &e);
}

static int
do_mkdir(void)
{
	struct fuse_entry_out e;

	return fc_mkdir(&hc, sf.dir, "n", 0755, &e);
}

static int
do_unlink(void)
{
	return fc_unlink(&hc, sf.dir, "f");
}

static int
do_rmdir(void)
{
	return fc_rmdir(&hc, sf.dir, "d");
}

static int
do_rename(void)
{
	return fc_rename(&hc, sf.dir, "f", sf.dir, "n");
}

static int
do_rename2(void)
{
	return fc_rename2(&hc, sf.dir, "f", sf.dir, "d", 2);
}

static int
do_link(void)
{
	struct fuse_entry_out e;

	return fc_link(&hc, f, sf.dir, "n", &e);
}

static int
do_write(void)
{
	return sf_write(f, o.fh, 0, "x", 1, 1, 0, 0);
}

static int
do_write_nothing(void)
{
	return sf_write(f, o.fh, 0, "", 0, 0, 0, 0);
}

static int
do_fallocate(void)
{
	return fc_fallocate(&hc, f, o.fh, 0, 100, 0);
}

static int
do_copy(void)
{
	struct fuse_copy_file_range_in in = { .fh_in = o.fh, .nodeid_out = f, .fh_out = o.fh,
		.off_out = 10, .len = 2 };
	uint32_t n;

	return fc_copy_file_range(&hc, &in, f, &n);
}

static int
do_setxattr(void)
{
	return fc_setxattr(&hc, f, "user.a", "v", 1, 0);
}

static int
do_removexattr(void)
{
	return fc_removexattr(&hc, f, "user.host");
}

static int
do_tmpfile(void)
{
	struct fuse_entry_out e;
	struct fuse_open_out n;

	return fc_tmpfile(&hc, sf.dir, O_RDWR | O_TMPFILE, 0644, &e, &n);
}

static int
do_statx(void)
{
	struct fc_statx_in in = { 0 };
	struct fc_statx_out out;

	return fc_statx(&hc, f, &in, &out);
}

static int
do_copy_64(void)
{
	struct fuse_copy_file_range_in in = { .fh_in = o.fh, .nodeid_out = f, .fh_out = o.fh,
		.off_out = 10, .len = 2 };
	uint64_t n;

	return fc_copy_file_range_64(&hc, &in, f, &n);
}

/* Inode flags: looked at, not changed (an unsuitable file system says ENOTTY to the first). */
static int
do_setflags(void)
{
	return fc_setflags(&hc, f, o.fh, false, 0);
}

static int
do_getattr(void)
{
	return fc_getattr(&hc, f, NULL);
}

static int
do_read(void)
{
	char buf[8];
	int n = fc_read(&hc, f, o.fh, 0, buf, 8);

	return n == 4 && memcmp(buf, "data", 4) == 0 ? 0 : n;
}

static int
do_readlink(void)
{
	char buf[8];

	return fc_readlink(&hc, sf_node("l"), buf, sizeof(buf));
}

static int
do_lookup(void)
{
	struct fuse_entry_out e;

	return fc_lookup(&hc, sf.dir, "f", &e);
}

static int
do_statfs(void)
{
	struct fuse_kstatfs st;

	return fc_statfs(&hc, f, &st);
}

static int
do_flush(void)
{
	return fc_flush(&hc, f, o.fh);
}

static int
do_fsync(void)
{
	return fc_fsync(&hc, f, o.fh, false, false);
}

static int
do_syncfs(void)
{
	return fc_syncfs(&hc, f);
}

static int
do_lseek(void)
{
	uint64_t off;

	return fc_lseek(&hc, f, o.fh, 0, SEEK_END, &off);
}

static int
do_getxattr(void)
{
	char buf[8];
	int n = fc_getxattr(&hc, f, "user.host", buf, sizeof(buf));

	return n == 1 ? 0 : n;
}

static int
do_listxattr(void)
{
	char buf[64];
	int n = fc_listxattr(&hc, f, buf, sizeof(buf));

	return n > 0 ? 0 : n;
}

static int
do_readdir(void)
{
	struct fuse_open_out d;
	int n;

	SF_OK(sf_opendir(sf.dir, O_RDONLY, &d));
	n = fc_readdir(&hc, sf.dir, d.fh, 0, 4096, false);
	SF_OK(fc_fsync(&hc, sf.dir, d.fh, false, true));
	SF_OK(fc_releasedir(&hc, sf.dir, d.fh));
	return n > 0 ? 0 : n;
}

static int
do_readdirplus(void)
{
	struct fuse_open_out d;
	int n;

	SF_OK(sf_opendir(sf.dir, O_RDONLY, &d));
	n = fc_readdir(&hc, sf.dir, d.fh, 0, 4096, true);
	return n > 0 ? 0 : n;
}

struct op_row {
	const char *name;
	uint32_t opcode;
	int (*run)(void);
	int error;		/* with --readonly and --xattr */
	int error_no_xattr;	/* with --readonly alone */
};

static const struct op_row ops[] = {
	{ "SETATTR", FUSE_SETATTR, do_setattr, -EROFS, -EROFS },
	{ "SETATTR of nothing", FUSE_SETATTR, do_setattr_nothing, -EROFS, -EROFS },
	{ "SYMLINK", FUSE_SYMLINK, do_symlink, -EROFS, -EROFS },
	{ "MKNOD", FUSE_MKNOD, do_mknod, -EROFS, -EROFS },
	{ "MKDIR", FUSE_MKDIR, do_mkdir, -EROFS, -EROFS },
	{ "UNLINK", FUSE_UNLINK, do_unlink, -EROFS, -EROFS },
	{ "RMDIR", FUSE_RMDIR, do_rmdir, -EROFS, -EROFS },
	{ "RENAME", FUSE_RENAME, do_rename, -EROFS, -EROFS },
	{ "RENAME2 EXCHANGE", FUSE_RENAME2, do_rename2, -EROFS, -EROFS },
	{ "LINK", FUSE_LINK, do_link, -EROFS, -EROFS },
	{ "WRITE", FUSE_WRITE, do_write, -EROFS, -EROFS },
	{ "WRITE of nothing", FUSE_WRITE, do_write_nothing, -EROFS, -EROFS },
	{ "FALLOCATE", FUSE_FALLOCATE, do_fallocate, -EROFS, -EROFS },
	{ "COPY_FILE_RANGE", FUSE_COPY_FILE_RANGE, do_copy, -EROFS, -EROFS },
	{ "SETXATTR", FUSE_SETXATTR, do_setxattr, -EROFS, -EROFS },
	{ "REMOVEXATTR", FUSE_REMOVEXATTR, do_removexattr, -EROFS, -EROFS },
	{ "TMPFILE", FUSE_TMPFILE, do_tmpfile, -EROFS, -EROFS },
	{ "COPY_FILE_RANGE_64", FC_COPY_FILE_RANGE_64, do_copy_64, -EROFS, -EROFS },
	{ "GETXATTR", FUSE_GETXATTR, do_getxattr, 0, -ENOSYS },
	{ "LISTXATTR", FUSE_LISTXATTR, do_listxattr, 0, -ENOSYS },
	{ "LOOKUP", FUSE_LOOKUP, do_lookup, 0, 0 },
	{ "GETATTR", FUSE_GETATTR, do_getattr, 0, 0 },
	{ "STATX", FC_STATX, do_statx, 0, 0 },
	{ "READLINK", FUSE_READLINK, do_readlink, 0, 0 },
	{ "READ", FUSE_READ, do_read, 0, 0 },
	{ "STATFS", FUSE_STATFS, do_statfs, 0, 0 },
	{ "FLUSH", FUSE_FLUSH, do_flush, 0, 0 },
	{ "FSYNC", FUSE_FSYNC, do_fsync, 0, 0 },
	{ "SYNCFS", FUSE_SYNCFS, do_syncfs, 0, 0 },
	{ "LSEEK", FUSE_LSEEK, do_lseek, 0, 0 },
	{ "OPENDIR, READDIR, FSYNCDIR, RELEASEDIR", FUSE_READDIR, do_readdir, 0, 0 },
	{ "READDIRPLUS", FUSE_READDIRPLUS, do_readdirplus, 0, 0 },
};

static const char *const op_options[] = { RO_XATTR, RO, RO_LANE };

static void
make_share(void)
{
	sf_put("f", "data", 0, 0, 0644);
	SF_OK(mkdir(sf_path("d"), 0755));
	SF_OK(symlink("f", sf_path("l")));
	setxattr(sf_path("f"), "user.host", "v", 1, 0);
}

/* Nothing of what make_share() made has changed, and nothing was added. */
static void
expect_untouched(void)
{
	char rel[40], buf[16];
	struct stat st;

	snprintf(rel, sizeof(rel), "%s/f", sf.rel);
	SF_EQ(h_get(rel, buf, sizeof(buf)), 4);
	SF_OK(memcmp(buf, "data", 4));
	SF_EQ(sf_mode("f"), 0644);
	SF_OK(stat(sf_path("f"), &st));
	SF_EQ(st.st_nlink, 1);
	SF_OK(lstat(sf_path("d"), &st));
	ck_assert(S_ISDIR(st.st_mode));
	ck_assert(lstat(sf_path("n"), &st) != 0);
	SF_EQ(getxattr(sf_path("f"), "user.a", buf, sizeof(buf)), -1);
	SF_EQ(getxattr(sf_path("f"), "user.host", buf, sizeof(buf)), 1);
}

START_TEST(test_op)
{
	const char *options = op_options[(size_t)_i / countof(ops)];
	const struct op_row *r = &ops[(size_t)_i % countof(ops)];
	char name[100];

	snprintf(name, sizeof(name), "%s %s", options, r->name);
	sf_begin(name, options, SF_DIR, r->opcode);
	make_share();
	f = sf_node("f");
	SF_OK(sf_open(f, O_RDONLY, 0, &o));
	SF_EQ(r->run(), options == op_options[0] ? r->error : r->error_no_xattr);
	expect_untouched();
	/* Whatever it is about: not even that is looked at. */
	f = NOWHERE;
	if (r->error == -EROFS)
		SF_EQ(r->run(), -EROFS);
	sf_end();
}
END_TEST

/* The ioctl that changes goes by a handle. */
START_TEST(test_ioctl)
{
	sf_begin("IOCTL FS_IOC_SETFLAGS", RO, SF_DIR, FUSE_IOCTL);
	make_share();
	f = sf_node("f");
	SF_OK(sf_open(f, O_RDONLY, 0, &o));
	SF_EQ(do_setflags(), -EROFS);
	expect_untouched();
	sf_end();
}
END_TEST

/* OPEN and OPENDIR; O_PATH is allowed with anything, and opens to read. */
static const struct {
	const char *name;
	uint32_t opcode, flags;
	int error;
} opens[] = {
	{ "OPEN", FUSE_OPEN, O_RDONLY, 0 },
	{ "OPEN to write", FUSE_OPEN, O_WRONLY, -EROFS },
	{ "OPEN to read and write", FUSE_OPEN, O_RDWR, -EROFS },
	{ "OPEN, access mode 3", FUSE_OPEN, O_ACCMODE, -EROFS },
	{ "OPEN O_EXCL", FUSE_OPEN, O_RDONLY | O_EXCL, -EROFS },
	{ "OPEN O_CREAT", FUSE_OPEN, O_RDONLY | O_CREAT, 0 },
	{ "OPEN O_TRUNC", FUSE_OPEN, O_RDONLY | O_TRUNC, -EINVAL },
	{ "OPEN O_TRUNC to write", FUSE_OPEN, O_WRONLY | O_TRUNC, -EROFS },
	{ "OPEN O_TMPFILE to read", FUSE_OPEN, O_RDONLY | O_TMPFILE, -EINVAL },
	{ "OPEN O_TMPFILE", FUSE_OPEN, O_RDWR | O_TMPFILE, -EROFS },
	{ "OPEN O_APPEND", FUSE_OPEN, O_RDONLY | O_APPEND, 0 },
	{ "OPEN O_PATH", FUSE_OPEN, O_PATH, 0 },
	{ "OPEN O_PATH to write", FUSE_OPEN, O_PATH | O_WRONLY | O_TRUNC, 0 },
	{ "OPEN, bit 31", FUSE_OPEN, 0x80000000u, -EIO },
	{ "OPEN, all bits", FUSE_OPEN, ~0u, -EIO },
	{ "OPENDIR", FUSE_OPENDIR, O_RDONLY, 0 },
	{ "OPENDIR to write", FUSE_OPENDIR, O_RDWR, -EROFS },
	{ "OPENDIR O_EXCL", FUSE_OPENDIR, O_RDONLY | O_EXCL, -EROFS },
	{ "OPENDIR O_TRUNC", FUSE_OPENDIR, O_RDONLY | O_TRUNC, -EINVAL },
	{ "OPENDIR O_TMPFILE", FUSE_OPENDIR, O_RDONLY | O_TMPFILE, -EINVAL },
	{ "OPENDIR, bit 31", FUSE_OPENDIR, 0x80000000u, -EIO },
};

START_TEST(test_open)
{
	int err;

	sf_begin(opens[_i].name, RO, SF_DIR, opens[_i].opcode);
	make_share();
	if (opens[_i].opcode == FUSE_OPEN)
		err = sf_open(sf_node("f"), opens[_i].flags, 0, &o);
	else
		err = sf_opendir(sf_node("d"), opens[_i].flags, &o);
	SF_EQ(err, opens[_i].error);
	if (err == 0 && opens[_i].opcode == FUSE_OPEN)
		SF_EQ(sf_fd_flags(SF_FRONT, "f") & (O_ACCMODE | O_PATH), O_RDONLY);
	expect_untouched();
	sf_end();
}
END_TEST

static const struct {
	const char *name;
	const char *what;
	uint32_t flags;
	int error;
} creates[] = {
	{ "CREATE of a new file", "n", O_RDWR, -EROFS },
	{ "CREATE of a new file to read", "n", O_RDONLY, -EROFS },
	{ "CREATE O_EXCL", "n", O_RDWR | O_EXCL, -EROFS },
	{ "CREATE, bit 31", "n", 0x80000000u, -EIO },
	{ "CREATE of what is there", "f", O_RDONLY, 0 },
	{ "CREATE of what is there, to write", "f", O_RDWR, -EROFS },
	{ "CREATE O_EXCL of what is there", "f", O_RDONLY | O_EXCL, -EROFS },
	{ "CREATE O_TRUNC of what is there", "f", O_RDONLY | O_TRUNC, -EINVAL },
	{ "CREATE of a symlink", "l", O_RDONLY, -EBADF },
	{ "CREATE of a directory", "d", O_RDONLY, -EISDIR },
};

START_TEST(test_create)
{
	struct fuse_entry_out e;
	int err;

	sf_begin(creates[_i].name, RO, SF_DIR, FUSE_CREATE);
	make_share();
	err = sf_create(creates[_i].what, creates[_i].flags, 0644, 0, &e, &o);
	SF_EQ(err, creates[_i].error);
	expect_untouched();
	if (err == 0)
		SF_EQ(sf_fd_flags(SF_FRONT, "f") & O_ACCMODE, O_RDONLY);
	else if (creates[_i].what[0] != 'n') {
		/* C10: no look-up is left behind. */
		e.nodeid = sf_node(creates[_i].what);
		SF_OK(fc_forget(&hc, e.nodeid, 1));
		FAILS(EBADF, fc_getattr(&hc, e.nodeid, NULL));
	}
	sf_end();
}
END_TEST

/* Reading may change the access time. */
START_TEST(test_atime)
{
	static const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct stat st;

	sf_begin("atime of a read-only share", RO, SF_TMPFS, FUSE_READ);
	sf_put("f", "data", 0, 0, 0644);
	SF_OK(utimensat(AT_FDCWD, sf_path("f"), old, 0));
	f = sf_node("f");
	SF_OK(sf_open(f, O_RDONLY, 0, &o));
	SF_OK(do_read());
	SF_OK(stat(sf_path("f"), &st));
	ck_assert_int_ne(st.st_atim.tv_sec, 1000);
	sf_end();
}
END_TEST

TCase *
check_surface_readonly(void)
{
	TCase *t = tcase_create("readonly");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_op, 0, (int)(countof(ops) * countof(op_options)));
	tcase_add_test(t, test_ioctl);
	SF_TCASE(t, test_open, opens);
	SF_TCASE(t, test_create, creates);
	tcase_add_test(t, test_atime);
	return t;
}
