/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse_beyond - what goes beyond the reference: STATX, inode flags through IOCTL, COPY_FILE_RANGE_64.
 *
 * What the file system below /tmp does not support is refused by it, and that is asserted, too: the
 * tests have something to see on ext4, xfs, btrfs and tmpfs.
 * Runs in: check_fuse.
 */
#include "check_fuse.h"
#include "fuse_beyond.h"
#include "harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

static void
host_statx(const char *name, struct statx *st)
{
	OK(statx(AT_FDCWD, h_path(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, st));
}

static void
same_time(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
	ck_assert_int_eq(a->tv_sec, b->tv_sec);
	ck_assert_uint_eq(a->tv_nsec, b->tv_nsec);
}

static void
same_statx(const struct fc_statx_out *o, const struct statx *h)
{
	const struct statx *g = &o->stat;

	ck_assert_uint_eq(o->flags, 0);
	ck_assert_uint_eq(o->spare[0] | o->spare[1], 0);
	ck_assert_uint_eq(g->stx_mask, h->stx_mask & (STATX_BASIC_STATS | STATX_BTIME));
	ck_assert_uint_eq(g->stx_ino, h->stx_ino);
	ck_assert_uint_eq(g->stx_size, h->stx_size);
	ck_assert_uint_eq(g->stx_blocks, h->stx_blocks);
	ck_assert_uint_eq(g->stx_blksize, h->stx_blksize);
	ck_assert_uint_eq(g->stx_nlink, h->stx_nlink);
	ck_assert_uint_eq(g->stx_uid, h->stx_uid);
	ck_assert_uint_eq(g->stx_gid, h->stx_gid);
	ck_assert_uint_eq(g->stx_mode, h->stx_mode);
	ck_assert_uint_eq(g->stx_rdev_major, h->stx_rdev_major);
	ck_assert_uint_eq(g->stx_rdev_minor, h->stx_rdev_minor);
	/* Where it is on the host is none of the guest's business. */
	ck_assert_uint_eq(g->stx_dev_major | g->stx_dev_minor, 0);
	ck_assert_uint_eq(g->stx_attributes_mask & (STATX_ATTR_MOUNT_ROOT | STATX_ATTR_AUTOMOUNT), 0);
	ck_assert_uint_eq(g->stx_attributes & ~g->stx_attributes_mask, 0);
	same_time(&g->stx_atime, &h->stx_atime);
	same_time(&g->stx_mtime, &h->stx_mtime);
	same_time(&g->stx_ctime, &h->stx_ctime);
	same_time(&g->stx_btime, &h->stx_btime);
}

static const struct {
	const char *name;
	mode_t type;
} kinds[] = { { "file", S_IFREG }, { "dir", S_IFDIR }, { "link", S_IFLNK }, { "pipe", S_IFIFO },
	{ "dev", S_IFCHR } };

START_TEST(test_statx)
{
	const struct timespec old[2] = { { .tv_sec = -7, .tv_nsec = 5 }, { .tv_sec = 5000000000, .tv_nsec = 6 } };
	struct fc_statx_in in = { .sx_mask = STATX_BASIC_STATS | STATX_BTIME };
	struct fc_statx_out out;
	const char *name = kinds[_i].name;
	struct statx st;
	uint64_t node;

	switch (kinds[_i].type) {
	case S_IFREG:
		h_put(name, "content", 7);
		break;
	case S_IFDIR:
		OK(mkdir(h_path(name), 01777));
		break;
	case S_IFLNK:
		OK(symlink("target", h_path(name)));
		break;
	default:
		OK(mknod(h_path(name), kinds[_i].type | 0640, makedev(0x123, 0x45678)));
	}
	OK(lchown(h_path(name), 1234, 5678));
	OK(utimensat(AT_FDCWD, h_path(name), old, AT_SYMLINK_NOFOLLOW));
	node = h_node(name);
	OK(fc_statx(&hc, node, &in, &out));
	host_statx(name, &st);
	same_statx(&out, &st);
	ck_assert_uint_eq(out.attr_valid, 1);
	ck_assert_uint_eq(out.attr_valid_nsec, 0);
	/* It was born before its times say: nobody can set that. */
	if ((st.stx_mask & STATX_BTIME) != 0)
		ck_assert_int_gt(out.stat.stx_btime.tv_sec, 1500000000);
	/* Complete whatever the mask says; each of the synchronisations. */
	in.sx_mask = STATX_BTIME;
	in.sx_flags = AT_STATX_FORCE_SYNC;
	OK(fc_statx(&hc, node, &in, &out));
	same_statx(&out, &st);
	in.sx_flags = AT_STATX_DONT_SYNC | 0x10u;
	OK(fc_statx(&hc, node, &in, &out));
	same_statx(&out, &st);
	in.sx_flags = AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC;
	FAILS(EINVAL, fc_statx(&hc, node, &in, &out));
}
END_TEST

START_TEST(test_statx_handle)
{
	struct fc_statx_in in = { .getattr_flags = FUSE_GETATTR_FH };
	struct fuse_open_out o;
	struct fc_statx_out out;
	struct statx st;
	uint64_t node;

	h_put("f", "data", 4);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDWR, &o));
	ck_assert_int_eq(fc_write(&hc, node, o.fh, 4, "more", 4, O_RDWR), 4);
	in.fh = o.fh;
	OK(fc_statx(&hc, node, &in, &out));
	host_statx("f", &st);
	same_statx(&out, &st);
	ck_assert_uint_eq(out.stat.stx_size, 8);
	/* Without a name, too. */
	OK(fc_unlink(&hc, FC_ROOT, "f"));
	OK(fc_statx(&hc, node, &in, &out));
	ck_assert_uint_eq(out.stat.stx_nlink, 0);
	/* As GETATTR, it minds no wrong handle, but a wrong node. */
	in.fh = ~0ull;
	OK(fc_statx(&hc, node, &in, &out));
	ck_assert_uint_eq(out.stat.stx_nlink, 0);
	FAILS(EBADF, fc_statx(&hc, 0x7fffffffffffull, &in, &out));
	OK(fc_release(&hc, node, o.fh));
}
END_TEST

static int
host_flags(const char *name, unsigned long cmd, void *arg)
{
	int fd = open(h_path(name), O_RDONLY | O_NONBLOCK | O_CLOEXEC), r;

	ck_assert_int_ge(fd, 0);
	r = ioctl(fd, cmd, arg) == -1 ? -errno : 0;
	close(fd);
	return r;
}

/* Open name; returns its node and handle. */
static uint64_t
open_name(const char *name, bool dir, uint64_t *fh)
{
	struct fuse_open_out o;
	uint64_t node = h_node(name);

	if (dir)
		OK(fc_opendir(&hc, node, &o));
	else
		OK(fc_open_file(&hc, node, O_RDONLY, &o));
	*fh = o.fh;
	return node;
}

/* What a guest may change, and what it may not whatever the file system would say. */
static const struct {
	const char *title;
	uint32_t change;
	bool dir;
	int want;
} flag_rows[] = {
	{ "nodump", FS_NODUMP_FL, false, 0 },
	{ "noatime", FS_NOATIME_FL, false, 0 },
	{ "sync", FS_SYNC_FL, false, 0 },
	{ "nodump of a directory", FS_NODUMP_FL, true, 0 },
	{ "dirsync", FS_DIRSYNC_FL, true, 0 },
	{ "immutable", FS_IMMUTABLE_FL, false, -EPERM },
	{ "append-only", FS_APPEND_FL, false, -EPERM },
	{ "append-only directory", FS_APPEND_FL, true, -EPERM },
	{ "immutable and nodump", FS_IMMUTABLE_FL | FS_NODUMP_FL, false, -EPERM },
	{ "inherit the project", FS_PROJINHERIT_FL, true, -EPERM },
	{ "casefold", FS_CASEFOLD_FL, true, -EPERM },
	{ "extents", FS_EXTENT_FL, false, -EPERM },
	{ "journalled data", FS_JOURNAL_DATA_FL, false, -EPERM },
	{ "encrypted", FS_ENCRYPT_FL, true, -EPERM },
	{ "verity", FS_VERITY_FL, false, -EPERM },
	{ "DAX", FS_DAX_FL, false, -EPERM },
	{ "an unknown flag", 0x80000000u, false, -EPERM },
};

START_TEST(test_flags)
{
	const uint32_t change = flag_rows[_i].change;
	const bool dir = flag_rows[_i].dir;
	uint32_t before = 0, flags = 0;
	int host = 0, want;
	uint64_t node, fh;

	if (dir)
		OK(mkdir(h_path("x"), 0755));
	else
		h_put("x", "data", 4);
	/* What the host's kernel makes of a change that is allowed is the truth. */
	OK(host_flags("x", FS_IOC_GETFLAGS, &host));
	before = (uint32_t)host;
	want = flag_rows[_i].want;
	if (want == 0) {
		host = (int)(before ^ change);
		want = host_flags("x", FS_IOC_SETFLAGS, &host);
		host = (int)before;
		OK(host_flags("x", FS_IOC_SETFLAGS, &host));
	}
	node = open_name("x", dir, &fh);
	OK(fc_getflags(&hc, node, fh, dir, &flags));
	ck_assert_uint_eq(flags, before);
	ck_assert_int_eq(fc_setflags(&hc, node, fh, dir, before ^ change), want);
	OK(host_flags("x", FS_IOC_GETFLAGS, &host));
	ck_assert_uint_eq((uint32_t)host, want == 0 ? before ^ change : before);
	OK(fc_getflags(&hc, node, fh, dir, &flags));
	ck_assert_uint_eq(flags, (uint32_t)host);
	/* The same again is no change. */
	OK(fc_setflags(&hc, node, fh, dir, flags));
}
END_TEST

static const struct {
	const char *title;
	uint32_t change, projid, extsize;
	int want;
} xflag_rows[] = {
	{ "nodump", FS_XFLAG_NODUMP, 0, 0, 0 },
	{ "noatime and sync", FS_XFLAG_NOATIME | FS_XFLAG_SYNC, 0, 0, 0 },
	{ "nothing", 0, 0, 0, 0 },
	{ "a project", 0, 42, 0, -EPERM },
	{ "a project and nodump", FS_XFLAG_NODUMP, 42, 0, -EPERM },
	{ "inherit the project", FS_XFLAG_PROJINHERIT, 0, 0, -EPERM },
	{ "immutable", FS_XFLAG_IMMUTABLE, 0, 0, -EPERM },
	{ "append-only", FS_XFLAG_APPEND, 0, 0, -EPERM },
	{ "realtime", FS_XFLAG_REALTIME, 0, 0, -EPERM },
	{ "DAX", FS_XFLAG_DAX, 0, 0, -EPERM },
	{ "an unknown flag", 0x00800000u, 0, 0, -EPERM },
};

START_TEST(test_xflags)
{
	struct fsxattr host, x;
	uint64_t node, fh;
	uint32_t before;

	h_put("x", "data", 4);
	OK(host_flags("x", FS_IOC_FSGETXATTR, &host));
	before = host.fsx_xflags;
	node = open_name("x", false, &fh);
	memset(&x, 0xee, sizeof(x));
	OK(fc_getxflags(&hc, node, fh, false, &x));
	ck_assert_mem_eq(&x, &host, sizeof(x));
	x.fsx_xflags ^= xflag_rows[_i].change;
	x.fsx_projid = xflag_rows[_i].projid;
	x.fsx_extsize = xflag_rows[_i].extsize;
	ck_assert_int_eq(fc_setxflags(&hc, node, fh, false, &x), xflag_rows[_i].want);
	OK(host_flags("x", FS_IOC_FSGETXATTR, &host));
	ck_assert_uint_eq(host.fsx_xflags,
	    xflag_rows[_i].want == 0 ? before ^ xflag_rows[_i].change : before);
	ck_assert_uint_eq(host.fsx_projid, 0);
}
END_TEST

/* A flag that the host has set is seen, and binds the guest as any other process. */
START_TEST(test_immutable_on_the_host)
{
	struct fuse_setattr_in sa = { .valid = FATTR_MODE, .mode = 0600 };
	struct fc_statx_in in = { 0 };
	struct fc_statx_out out;
	int flags, clear;
	uint32_t seen = 0;
	uint64_t node, fh;

	h_put("x", "data", 4);
	OK(host_flags("x", FS_IOC_GETFLAGS, &flags));
	clear = flags;
	flags |= FS_IMMUTABLE_FL;
	OK(host_flags("x", FS_IOC_SETFLAGS, &flags));
	node = open_name("x", false, &fh);
	OK(fc_getflags(&hc, node, fh, false, &seen));
	if (seen != (uint32_t)flags)
		host_flags("x", FS_IOC_SETFLAGS, &clear);
	ck_assert_uint_eq(seen, (uint32_t)flags);
	OK(fc_statx(&hc, node, &in, &out));
	if ((out.stat.stx_attributes_mask & STATX_ATTR_IMMUTABLE) != 0)
		ck_assert_uint_ne(out.stat.stx_attributes & STATX_ATTR_IMMUTABLE, 0);
	FAILS(EPERM, fc_setflags(&hc, node, fh, false, (uint32_t)clear));
	FAILS(EPERM, fc_setattr(&hc, node, &sa, NULL));
	OK(host_flags("x", FS_IOC_SETFLAGS, &clear));
	OK(fc_setattr(&hc, node, &sa, NULL));
}
END_TEST

/* Requests that are no such thing, sizes that are not theirs, handles that are not the node's. */
static const struct {
	const char *title;
	uint32_t cmd, flags, in_size, out_size;
	int want; /* > 0: bytes that come back */
} ioctl_rows[] = {
	{ "GETFLAGS of a long", FS_IOC_GETFLAGS, 0, 0, 8, 4 },
	{ "GETFLAGS of a 32-bit kernel", FS_IOC32_GETFLAGS, FUSE_IOCTL_32BIT, 0, 4, 4 },
	{ "GETFLAGS, too small", FS_IOC_GETFLAGS, 0, 0, 3, -EINVAL },
	{ "GETFLAGS, nothing", FS_IOC_GETFLAGS, 0, 0, 0, -EINVAL },
	{ "SETFLAGS, too small", FS_IOC_SETFLAGS, 0, 3, 0, -EINVAL },
	{ "SETFLAGS, nothing", FS_IOC_SETFLAGS, 0, 0, 0, -EINVAL },
	{ "FSGETXATTR, too small", FS_IOC_FSGETXATTR, 0, 0, 27, -EINVAL },
	{ "FSGETXATTR, larger", FS_IOC_FSGETXATTR, 0, 0, 4096, 28 },
	{ "FSSETXATTR, too small", FS_IOC_FSSETXATTR, 0, 27, 0, -EINVAL },
	{ "unrestricted", FS_IOC_GETFLAGS, FUSE_IOCTL_UNRESTRICTED, 0, 4, -ENOSYS },
	{ "TCGETS", 0x5401, 0, 0, 4096, -ENOSYS },
	{ "FIGETBSZ", FIGETBSZ, 0, 0, 4096, -ENOSYS },
	{ "FITRIM", FITRIM, 0, 24, 4096, -ENOSYS },
	{ "FIFREEZE", FIFREEZE, 0, 4, 4096, -ENOSYS },
	{ "FICLONE", FICLONE, 0, 4, 4096, -ENOSYS },
	{ "FS_IOC_GETVERSION", FS_IOC_GETVERSION, 0, 0, 8, -ENOSYS },
	{ "FS_IOC_FIEMAP", _IOWR('f', 11, char[32]), 0, 32, 32, -ENOSYS },
	{ "number 0", 0, 0, 0, 4096, -ENOSYS },
	{ "all ones", 0xffffffffu, 0, 0, 4096, -ENOSYS },
};

START_TEST(test_ioctl)
{
	static const char zeros[64];
	char back[8192];
	struct fuse_ioctl_in args = {
		.cmd = ioctl_rows[_i].cmd,
		.flags = ioctl_rows[_i].flags,
		.in_size = ioctl_rows[_i].in_size,
		.out_size = ioctl_rows[_i].out_size,
	};
	uint64_t node, fh, other;

	h_put("x", "data", 4);
	h_put("y", "data", 4);
	node = open_name("x", false, &fh);
	other = h_node("y");
	args.fh = fh;
	ck_assert_int_eq(fc_ioctl(&hc, node, &args, zeros, back), ioctl_rows[_i].want);
	if (ioctl_rows[_i].want == -ENOSYS)
		return;
	FAILS(EBADF, fc_ioctl(&hc, other, &args, zeros, back));
	args.fh = ~0ull;
	FAILS(EBADF, fc_ioctl(&hc, node, &args, zeros, back));
}
END_TEST

/* in_size says more than there is. */
START_TEST(test_ioctl_lies)
{
	struct fuse_ioctl_in args = { .cmd = FS_IOC_SETFLAGS, .in_size = 8 };
	struct fc_part parts[] = { { &args, sizeof(args) }, { "abcd", 4 } };
	uint64_t node;

	h_put("x", "data", 4);
	node = open_name("x", false, &args.fh);
	FAILS(EINVAL, fc_call(&hc, FUSE_IOCTL, node, parts, 2, 16));
	args.in_size = 0xffffffffu;
	FAILS(EINVAL, fc_call(&hc, FUSE_IOCTL, node, parts, 2, 16));
	args.in_size = 3;
	FAILS(EINVAL, fc_call(&hc, FUSE_IOCTL, node, parts, 2, 16));
	/* Less room than out_size promises. */
	args = (struct fuse_ioctl_in){ .fh = args.fh, .cmd = FS_IOC_GETFLAGS, .out_size = 4 };
	FAILS(EIO, fc_call(&hc, FUSE_IOCTL, node, parts, 1, 16));
	FAILS(EIO, fc_call(&hc, FUSE_IOCTL, node, parts, 1, 19));
	OK(fc_call(&hc, FUSE_IOCTL, node, parts, 1, 20));
	ck_assert(h_serves(&hc));
}
END_TEST

START_TEST(test_copy_64)
{
	struct fuse_copy_file_range_in in = { .len = UINT64_MAX };
	struct fuse_open_out a, b;
	uint64_t from, to, n = 0;
	char buf[16];

	h_put("a", "0123456789", 10);
	h_put("b", "xxxxx", 5);
	from = h_node("a");
	to = h_node("b");
	OK(fc_open_file(&hc, from, O_RDONLY, &a));
	OK(fc_open_file(&hc, to, O_RDWR, &b));
	in.fh_in = a.fh;
	in.nodeid_out = to;
	in.fh_out = b.fh;
	in.off_in = 2;
	in.off_out = 4;
	OK(fc_copy_file_range_64(&hc, &in, from, &n));
	ck_assert_uint_eq(n, 8);
	ck_assert_uint_eq(h_get("b", buf, sizeof(buf)), 12);
	ck_assert_mem_eq(buf, "xxxx23456789", 12);
	in.flags = 1;
	FAILS(EINVAL, fc_copy_file_range_64(&hc, &in, from, &n));
	in.flags = 0;
	in.off_out = 1ull << 63;
	FAILS(EINVAL, fc_copy_file_range_64(&hc, &in, from, &n));
	in.off_out = 0;
	in.fh_in = ~0ull;
	FAILS(EBADF, fc_copy_file_range_64(&hc, &in, from, &n));
}
END_TEST

/* Written, read, named; every file that was not named is gone with its last handle. */
START_TEST(test_tmpfile)
{
	struct fuse_entry_out e, l;
	struct fuse_open_out o;
	struct fuse_attr a;
	char buf[16];

	OK(mkdir(h_path("d"), 0777));
	OK(chmod(h_path("d"), 0777));
	hc.uid = hc.gid = 1000;
	OK(fc_tmpfile(&hc, h_node("d"), O_RDWR, 0640, &e, &o));
	ck_assert_uint_eq(e.attr.nlink, 0);
	ck_assert_uint_eq(e.attr.mode, S_IFREG | 0640);
	ck_assert_uint_eq(e.attr.uid, 1000);
	ck_assert_uint_eq(e.attr.gid, 1000);
	hc.uid = hc.gid = 0;
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "content", 7, O_RDWR), 7);
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 0, buf, sizeof(buf)), 7);
	ck_assert_int_eq(rmdir(h_path("d")), 0);
	OK(fc_getattr(&hc, e.nodeid, &a));
	ck_assert_uint_eq(a.size, 7);
	OK(fc_link(&hc, e.nodeid, FC_ROOT, "named", &l));
	ck_assert_uint_eq(l.nodeid, e.nodeid);
	ck_assert_uint_eq(l.attr.nlink, 1);
	ck_assert_uint_eq(h_get("named", buf, sizeof(buf)), 7);
	ck_assert_mem_eq(buf, "content", 7);
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 7, "!", 1, O_RDWR), 1);
	ck_assert_int_eq((int)h_stat("named").st_size, 8);
	OK(fc_release(&hc, e.nodeid, o.fh));
	ck_assert_uint_eq(h_node("named"), e.nodeid);

	OK(fc_tmpfile(&hc, FC_ROOT, O_RDWR | O_EXCL, 0600, &e, &o));
	FAILS(ENOENT, fc_link(&hc, e.nodeid, FC_ROOT, "never", &l));
	OK(fc_release(&hc, e.nodeid, o.fh));
	OK(fc_forget(&hc, e.nodeid, 1));
	FAILS(EBADF, fc_getattr(&hc, e.nodeid, &a));
}
END_TEST

/* What a guest's kernel does not send. */
START_TEST(test_tmpfile_lies)
{
	struct fuse_create_in in = { .flags = O_RDWR | O_TMPFILE, .mode = S_IFREG | 0600 };
	struct fc_part parts[] = { { &in, sizeof(in) }, { NULL, 0 } };
	const struct fuse_entry_out *e;
	static const struct {
		const char *name;
		size_t len;
		int want;
	} names[] = { { "/", 2, 0 }, { "", 1, -ENOENT }, { "x", 2, 0 }, { "../../../tmp/x", 15, 0 }, { "/", 1, -EINVAL },
		{ "/\0junk", 7, -EINVAL } };

	for (size_t i = 0; i < NELEM(names); i++) {
		parts[1] = (struct fc_part){ names[i].name, names[i].len };
		ck_assert_int_eq(fc_call(&hc, FUSE_TMPFILE, FC_ROOT, parts, 2, 144), names[i].want);
		if (names[i].want == 0) {
			e = hc.body;
			ck_assert_uint_eq(e->attr.nlink, 0);
		}
	}
	ck_assert(!h_exists("x"));
	parts[1] = (struct fc_part){ "/", 2 };
	FAILS(EIO, fc_call(&hc, FUSE_TMPFILE, FC_ROOT, parts, 2, 143));
	h_put("f", "data", 4);
	FAILS(ENOTDIR, fc_call(&hc, FUSE_TMPFILE, h_node("f"), parts, 2, 144));
	FAILS(EBADF, fc_call(&hc, FUSE_TMPFILE, 0x7fffffffffffull, parts, 2, 144));
	in.flags = O_TMPFILE;
	FAILS(EINVAL, fc_call(&hc, FUSE_TMPFILE, FC_ROOT, parts, 2, 144));
	in.flags = ~0u;
	FAILS(EINVAL, fc_call(&hc, FUSE_TMPFILE, FC_ROOT, parts, 2, 144));
	in.flags = O_RDWR;
	in.mode = S_IFREG;
	FAILS(EOPNOTSUPP, fc_call(&hc, FUSE_TMPFILE, FC_ROOT, parts, 2, 144));
	in.mode = S_IFREG | 0200;
	OK(fc_call(&hc, FUSE_TMPFILE, FC_ROOT, parts, 2, 144));
	hc.uid = hc.gid = 1000;
	OK(chmod(h_path(""), 0755));
	FAILS(EACCES, fc_call(&hc, FUSE_TMPFILE, FC_ROOT, parts, 2, 144));
	hc.uid = hc.gid = 0;
	ck_assert(h_serves(&hc));
}
END_TEST

/* More of them than the worker and the vault can have fds for: an error at worst, and everything else goes on. */
START_TEST(test_tmpfile_many)
{
	struct fuse_entry_out e, l;
	struct fuse_open_out o;
	char name[16];
	int i, err = 0;

	for (i = 0; i < 3000 && err == 0; i++) {
		err = fc_tmpfile(&hc, FC_ROOT, O_RDWR, 0600, &e, &o);
		if (err == 0 && i % 3 == 0) {
			snprintf(name, sizeof(name), "n%d", i);
			OK(fc_link(&hc, e.nodeid, FC_ROOT, name, &l));
		}
		if (err == 0 && i % 3 == 1)
			OK(fc_release(&hc, e.nodeid, o.fh));
	}
	ck_assert_msg(i == 3000 || err == -ENFILE || err == -EMFILE, "TMPFILE %d: %d", i, err);
	ck_assert(h_serves(&hc));
	OK(fc_init(&hc, ~0ull));
	OK(fc_tmpfile(&hc, FC_ROOT, O_RDWR, 0600, &e, &o));
}
END_TEST

static void
restart_with(const char *arg)
{
	const char *const args[] = { arg, NULL };

	h_stop();
	h_start(args);
}

START_TEST(test_readonly)
{
	struct fuse_copy_file_range_in in = { .len = 4 };
	struct fc_statx_in sx = { 0 };
	struct fc_statx_out out;
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fsxattr x;
	uint64_t node, fh, n;
	uint32_t flags = 0;

	restart_with("--readonly");
	h_put("x", "data", 4);
	node = open_name("x", false, &fh);
	in.fh_in = in.fh_out = fh;
	in.nodeid_out = node;
	OK(fc_statx(&hc, node, &sx, &out));
	ck_assert_uint_eq(out.stat.stx_size, 4);
	OK(fc_getflags(&hc, node, fh, false, &flags));
	OK(fc_getxflags(&hc, node, fh, false, &x));
	FAILS(EROFS, fc_setflags(&hc, node, fh, false, flags));
	FAILS(EROFS, fc_setxflags(&hc, node, fh, false, &x));
	FAILS(EROFS, fc_copy_file_range_64(&hc, &in, node, &n));
	FAILS(EROFS, fc_tmpfile(&hc, FC_ROOT, O_RDWR, 0600, &e, &o));
}
END_TEST

/* Whoever it belongs to in the guest, asked by name or by an open file. */
START_TEST(test_statx_translated)
{
	struct fc_statx_in in = { 0 };
	struct fuse_open_out o;
	struct fc_statx_out out;
	uint64_t node;

	restart_with("--translate-uid=host:1234:77:1");
	h_put("x", "data", 4);
	OK(chown(h_path("x"), 1234, 0));
	node = h_node("x");
	OK(fc_statx(&hc, node, &in, &out));
	ck_assert_uint_eq(out.stat.stx_uid, 77);
	OK(fc_open_file(&hc, node, O_RDWR, &o));
	in.getattr_flags = FUSE_GETATTR_FH;
	in.fh = o.fh;
	OK(fc_statx(&hc, node, &in, &out));
	ck_assert_uint_eq(out.stat.stx_uid, 77);
}
END_TEST

TCase *
check_fuse_beyond(void)
{
	TCase *t = tcase_create("beyond");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, h_setup, h_stop);
	tcase_add_loop_test(t, test_statx, 0, NELEM(kinds));
	tcase_add_test(t, test_statx_handle);
	tcase_add_loop_test(t, test_flags, 0, NELEM(flag_rows));
	tcase_add_loop_test(t, test_xflags, 0, NELEM(xflag_rows));
	tcase_add_test(t, test_immutable_on_the_host);
	tcase_add_loop_test(t, test_ioctl, 0, NELEM(ioctl_rows));
	tcase_add_test(t, test_ioctl_lies);
	tcase_add_test(t, test_copy_64);
	tcase_add_test(t, test_tmpfile);
	tcase_add_test(t, test_tmpfile_lies);
	tcase_add_test(t, test_tmpfile_many);
	tcase_add_test(t, test_readonly);
	tcase_add_test(t, test_statx_translated);
	return t;
}
