/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of what the front's FUSE code does beyond the reference: STATX, IOCTL, COPY_FILE_RANGE_64, TMPFILE. Links what
 * check_fuse_decode links.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/fuse.h"
#include "front/fuse_abi.h"
#include "tests/unit/fuse_rig.h"

#define BASIC	((uint32_t)(STATX_BASIC_STATS))

static int
temp_file(const char *content)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	return fd;
}

static struct rpc_statx_reply
valid_statx(void)
{
	struct rpc_statx_reply w = { .attributes = STATX_ATTR_NODUMP, .attributes_mask = STATX_ATTR_NODUMP, .btime = -9,
		.btimensec = 10, .mask = BASIC | STATX_BTIME };
	struct rpc_entry_body e;

	rig_entry(&e, FILE_NODE, S_IFCHR | 0640);
	w.attr = e.attr;
	w.attr.rdev = (uint32_t)0x12345678;
	return w;
}

START_TEST(statx_on_the_lane)
{
	struct abi_statx_in in = { .mask = STATX_BTIME, .flags = AT_STATX_FORCE_SYNC | 1 };
	const struct rpc_statx_reply w = valid_statx();
	const struct abi_statx_out *o;
	const struct rpc_statx *q;

	rig_ask(ABI_STATX, FILE_NODE, &in, sizeof(in), NULL, 0);
	q = rig_rpc(RPC_STATX);
	ck_assert_uint_eq(q->f.node, FILE_NODE);
	ck_assert_uint_eq(q->f.hflags, 0);
	ck_assert_uint_eq(q->sync, AT_STATX_FORCE_SYNC);
	ck_assert(fake_answer((const char *)&w + sizeof(w.h), sizeof(w) - sizeof(w.h), NULL, 0, -1));
	o = rig_body(sizeof(*o));
	ck_assert_uint_eq(o->attr_valid, 1);
	ck_assert_uint_eq(o->attr_valid_nsec | o->flags, 0);
	ck_assert_uint_eq(o->stat.mask, BASIC | STATX_BTIME);
	ck_assert_uint_eq(o->stat.attributes, STATX_ATTR_NODUMP);
	ck_assert_uint_eq(o->stat.attributes_mask, STATX_ATTR_NODUMP);
	ck_assert_uint_eq(o->stat.ino, FILE_NODE + 100000);
	ck_assert_uint_eq(o->stat.size, 5);
	ck_assert_uint_eq(o->stat.blocks, 8);
	ck_assert_uint_eq(o->stat.mode, S_IFCHR | 0640);
	ck_assert_uint_eq(o->stat.nlink, 7);
	ck_assert_uint_eq(o->stat.uid, 8);
	ck_assert_uint_eq(o->stat.gid, 9);
	ck_assert_uint_eq(o->stat.blksize, 11);
	ck_assert_int_eq(o->stat.atime.sec, -1);
	ck_assert_uint_eq(o->stat.atime.nsec, 4);
	ck_assert_int_eq(o->stat.mtime.sec, 2);
	ck_assert_uint_eq(o->stat.mtime.nsec, 5);
	ck_assert_int_eq(o->stat.ctime.sec, 3);
	ck_assert_uint_eq(o->stat.ctime.nsec, 6);
	ck_assert_int_eq(o->stat.btime.sec, -9);
	ck_assert_uint_eq(o->stat.btime.nsec, 10);
	ck_assert_uint_eq(o->stat.rdev_major, 0x456);
	ck_assert_uint_eq(o->stat.rdev_minor, 0x12378);
	ck_assert_uint_eq(o->stat.dev_major | o->stat.dev_minor, 0);
	in.flags = AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC;
	rig_ask(ABI_STATX, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_expect_error(-EINVAL);
} END_TEST

/* Where the front may answer, and where ids are translated it may not. */
START_TEST(statx_of_a_handle)
{
	int fd = temp_file("0123456789");
	struct abi_statx_in in = { .getattr_flags = FUSE_GETATTR_FH, .fh = rig_open(FILE_NODE, O_RDWR, fd) };
	const struct rpc_statx_reply w = valid_statx();
	const struct abi_statx_out *o;
	struct statx st;

	ck_assert_int_eq(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st), 0);
	rig_ask(ABI_STATX, FILE_NODE, &in, sizeof(in), NULL, 0);
	o = rig_body(sizeof(*o));
	ck_assert_uint_eq(o->stat.mask, st.stx_mask & (BASIC | STATX_BTIME));
	ck_assert_uint_eq(o->stat.size, 10);
	ck_assert_uint_eq(o->stat.ino, st.stx_ino);
	ck_assert_int_eq(o->stat.btime.sec, st.stx_btime.tv_sec);
	ck_assert_uint_eq(o->stat.btime.nsec, st.stx_btime.tv_nsec);
	ck_assert_uint_eq(o->stat.mode, st.stx_mode);
	/* It stays valid as long as other attributes do. */
	fake.s.dev.cache = CACHE_NEVER;
	rig_ask(ABI_STATX, FILE_NODE, &in, sizeof(in), NULL, 0);
	ck_assert_uint_eq(((const struct abi_statx_out *)rig_body(sizeof(*o)))->attr_valid, 0);
	fake.s.dev.cache = CACHE_ALWAYS;
	rig_ask(ABI_STATX, FILE_NODE, &in, sizeof(in), NULL, 0);
	ck_assert_uint_eq(((const struct abi_statx_out *)rig_body(sizeof(*o)))->attr_valid, 86400);

	fake.s.dev.flags |= DEV_TRANSLATE;
	rig_ask(ABI_STATX, FILE_NODE, &in, sizeof(in), NULL, 0);
	ck_assert_uint_eq(((const struct rpc_statx *)rig_rpc(RPC_STATX))->f.fh, in.fh);
	ck_assert(fake_answer((const char *)&w + sizeof(w.h), sizeof(w) - sizeof(w.h), NULL, 0, -1));
	ck_assert_uint_eq(((const struct abi_statx_out *)rig_body(sizeof(*o)))->stat.uid, 8);
	/* An fh of nobody, or of another node: the node's. */
	in.fh ^= 1u << 20;
	rig_ask(ABI_STATX, FILE_NODE, &in, sizeof(in), NULL, 0);
	ck_assert_uint_eq(((const struct rpc_statx *)rig_rpc(RPC_STATX))->f.hflags, 0);
	ck_assert(fake_answer_error(-ESTALE));
	rig_expect_error(-ESTALE);
} END_TEST

static const struct ioctl_row {
	const char *title;
	uint32_t cmd, flags, in_size, out_size;
	size_t varlen, room;
	int error; /* or 0: it reaches the worker */
	uint16_t op;
	uint32_t extended;
} ioctl_rows[] = {
	{ "get", FS_IOC_GETFLAGS, 0, 0, 4, 0, 20, 0, RPC_FLAGS_GET, 0 },
	{ "get, 32 bits", FS_IOC32_GETFLAGS, FUSE_IOCTL_32BIT, 0, 4, 0, 20, 0, RPC_FLAGS_GET, 0 },
	{ "get, a page", FS_IOC_GETFLAGS, 0, 0, 8, 0, 4112, 0, RPC_FLAGS_GET, 0 },
	{ "get, no room", FS_IOC_GETFLAGS, 0, 0, 4, 0, 19, -EIO, 0, 0 },
	{ "get, no size", FS_IOC_GETFLAGS, 0, 0, 3, 0, 20, -EINVAL, 0, 0 },
	{ "get extended", FS_IOC_FSGETXATTR, 0, 0, 28, 0, 44, 0, RPC_FLAGS_GET, 1 },
	{ "get extended, no room", FS_IOC_FSGETXATTR, 0, 0, 28, 0, 43, -EIO, 0, 0 },
	{ "get extended, no size", FS_IOC_FSGETXATTR, 0, 0, 27, 0, 44, -EINVAL, 0, 0 },
	{ "set", FS_IOC_SETFLAGS, 0, 4, 0, 4, 16, 0, RPC_FLAGS_SET, 0 },
	{ "set, 32 bits", FS_IOC32_SETFLAGS, FUSE_IOCTL_COMPAT | FUSE_IOCTL_32BIT, 4, 0, 4, 16, 0, RPC_FLAGS_SET, 0 },
	{ "set, a long", FS_IOC_SETFLAGS, 0, 8, 0, 8, 16, 0, RPC_FLAGS_SET, 0 },
	{ "set, too little", FS_IOC_SETFLAGS, 0, 3, 0, 3, 16, -EINVAL, 0, 0 },
	{ "set, less than said", FS_IOC_SETFLAGS, 0, 8, 0, 4, 16, -EINVAL, 0, 0 },
	{ "set, more than said", FS_IOC_SETFLAGS, 0, 4, 0, 5, 16, -EINVAL, 0, 0 },
	{ "set extended", FS_IOC_FSSETXATTR, FUSE_IOCTL_DIR, 28, 0, 28, 16, 0, RPC_FLAGS_SET, 1 },
	{ "set extended, too little", FS_IOC_FSSETXATTR, 0, 27, 0, 27, 16, -EINVAL, 0, 0 },
	{ "unrestricted", FS_IOC_GETFLAGS, FUSE_IOCTL_UNRESTRICTED, 0, 4, 0, 20, -ENOSYS, 0, 0 },
	{ "another", FS_IOC_GETVERSION, 0, 0, 8, 0, 24, -ENOSYS, 0, 0 },
};

START_TEST(ioctls)
{
	const struct ioctl_row *row = &ioctl_rows[_i];
	const uint32_t body[6] = { 1, 2, 3, 4, 5, 0 }, data[7] = { 11, 12, 13, 14, 15 };
	struct fuse_ioctl_in in = { .fh = rig_open(FILE_NODE, O_RDONLY, -1), .cmd = row->cmd, .flags = row->flags,
		.in_size = row->in_size, .out_size = row->out_size };
	const struct rpc_flags *q;
	const uint32_t *p;

	rig_compose(FUSE_IOCTL, FILE_NODE, &in, sizeof(in), data, row->varlen);
	rig_send(16 + row->room);
	if (row->error != 0) {
		rig_expect_error(row->error);
		return;
	}
	q = rig_rpc(row->op);
	ck_assert_uint_eq(q->node, FILE_NODE);
	ck_assert_uint_eq(q->extended, row->extended);
	if (row->op == RPC_FLAGS_SET) {
		ck_assert_uint_eq(q->flags, 11);
		/* fsx_nextents is the file system's. */
		ck_assert_uint_eq(q->extsize, row->extended ? 12 : q->extsize);
		ck_assert_uint_eq(q->projid, row->extended ? 14 : q->projid);
		ck_assert_uint_eq(q->cowextsize, row->extended ? 15 : q->cowextsize);
		ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
		p = rig_body(16);
		ck_assert_uint_eq(p[0] | p[1] | p[2] | p[3], 0);
		return;
	}
	ck_assert(fake_answer(body, sizeof(body), NULL, 0, -1));
	p = rig_body(16 + (row->extended ? 28 : 4));
	ck_assert_uint_eq(p[0] | p[1] | p[2] | p[3], 0);
	ck_assert_uint_eq(p[4], 1);
	if (row->extended)
		ck_assert(p[5] == 2 && p[6] == 3 && p[7] == 4 && p[8] == 5 && p[9] == 0 && p[10] == 0);
} END_TEST

START_TEST(ioctls_refused)
{
	struct fuse_ioctl_in in = { .fh = rig_open(FILE_NODE, O_RDONLY, -1), .cmd = FS_IOC_SETFLAGS, .in_size = 4 };

	rig_compose(FUSE_IOCTL, DIR_NODE, &in, sizeof(in), "1234", 4);
	rig_send(4096);
	rig_expect_error(-EBADF);
	fake.s.dev.flags |= DEV_READONLY;
	rig_compose(FUSE_IOCTL, FILE_NODE, &in, sizeof(in), "1234", 4);
	rig_send(4096);
	rig_expect_error(-EROFS);
	fake.s.dev.flags = 0;
	rig_compose(FUSE_IOCTL, FILE_NODE, &in, sizeof(in), "1234", 4);
	rig_send(4096);
	rig_rpc(RPC_FLAGS_SET);
	ck_assert(fake_answer_error(-EPERM));
	rig_expect_error(-EPERM);
} END_TEST

/* However much is asked for, a request copies 1 GiB: the count fits both answers. */
START_TEST(copy_64)
{
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, -1), count = UINT64_C(1) << 30;
	struct fuse_copy_file_range_in in = { .fh_in = fh, .nodeid_out = FILE_NODE, .fh_out = fh, .len = UINT64_MAX };

	rig_ask(ABI_COPY_FILE_RANGE_64, FILE_NODE, &in, sizeof(in), NULL, 0);
	ck_assert_uint_eq(((const struct rpc_copy *)rig_rpc(RPC_COPY))->len, count);
	ck_assert(fake_answer(&count, sizeof(count), NULL, 0, -1));
	ck_assert_uint_eq(((const struct abi_copy_out *)rig_body(8))->bytes, count);
	rig_ask(FUSE_COPY_FILE_RANGE, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_rpc(RPC_COPY);
	ck_assert(fake_answer(&count, sizeof(count), NULL, 0, -1));
	ck_assert_uint_eq(((const struct fuse_write_out *)rig_body(8))->size, count);
	ck_assert_uint_eq(((const struct fuse_write_out *)rig_body(8))->padding, 0);
	rig_ask(ABI_COPY_FILE_RANGE_64, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_rpc(RPC_COPY);
	count++;
	rig_expect_lie(&count, sizeof(count));
} END_TEST

START_TEST(tmpfile_request)
{
	struct fuse_create_in in = { .flags = O_RDWR | O_EXCL | O_APPEND | O_TMPFILE | O_TRUNC, .mode = S_IFREG | 0640,
		.umask = 022 };
	/* "/", then the groups 7 and 8. */
	uint32_t ext[] = { 24, 32, 2, 7, 8, 0 };
	char var[2 + sizeof(ext)] = "/";
	const struct rpc_create *q;
	const struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} *out;
	struct rpc_entry_body e;
	int fd = temp_file("0123456789");

	memcpy(var + 2, ext, sizeof(ext));
	rig_ask(FUSE_TMPFILE, DIR_NODE, &in, sizeof(in), var, sizeof(var));
	q = rig_rpc(RPC_TMPFILE);
	ck_assert_uint_eq(q->dir, DIR_NODE);
	ck_assert_uint_eq(q->uid, 1000);
	ck_assert_uint_eq(q->gid, 1001);
	ck_assert_uint_eq(q->mode, S_IFREG | 0640);
	/* The guest has applied it: ACLs were not agreed on. */
	ck_assert_uint_eq(q->umask, 0);
	ck_assert_uint_eq(q->flags & O_ACCMODE, O_RDWR);
	ck_assert_uint_eq(q->flags & (O_APPEND | O_CREAT), 0);
	ck_assert_uint_ne(q->flags & O_EXCL, 0);
	ck_assert_uint_eq(q->oflags, RPC_CREATE_GROUPS);
	ck_assert_uint_eq(q->h.nx, 2);
	ck_assert_uint_eq(((const uint32_t *)rpc_x(RPC_REQUEST, &q->h))[1], 8);
	rig_entry(&e, 77, S_IFREG | 0640);
	ck_assert(fake_answer(&e, sizeof(e), NULL, 0, fd));
	out = rig_body(sizeof(*out));
	ck_assert_uint_eq(out->e.nodeid, 77);
	rig_ask(FUSE_LSEEK, 77, (const uint64_t[]){ out->o.fh, 0, SEEK_END }, 24, NULL, 0);
	ck_assert_uint_eq(((const struct fuse_lseek_out *)rig_body(8))->offset, 10);

	in.flags = O_RDWR;
	ext[1] = 33;
	memcpy(var + 2, ext, sizeof(ext));
	rig_ask(FUSE_TMPFILE, DIR_NODE, &in, sizeof(in), var, sizeof(var));
	rig_expect_error(-EINVAL);
	rig_ask(FUSE_TMPFILE, DIR_NODE, &in, sizeof(in), "/", 2);
	rig_rpc(RPC_TMPFILE);
	ck_assert(fake_answer_error(-EOPNOTSUPP));
	rig_expect_error(-EOPNOTSUPP);
	/* the question of overlayfs */
	in.mode = S_IFREG;
	rig_ask(FUSE_TMPFILE, DIR_NODE, &in, sizeof(in), "/", 2);
	rig_expect_error(-EOPNOTSUPP);
	fake.s.dev.flags |= DEV_READONLY;
	rig_ask(FUSE_TMPFILE, DIR_NODE, &in, sizeof(in), "/", 2);
	rig_expect_error(-EROFS);
} END_TEST

int
main(void)
{
	Suite *s = suite_create("fuse_beyond");
	TCase *t = tcase_create("ok");
	SRunner *r;
	int failed;

	log_init(rig_quiet, LOG_DEBUG);
	tcase_add_checked_fixture(t, rig_setup, fake_stop);
	tcase_add_test(t, statx_on_the_lane);
	tcase_add_test(t, statx_of_a_handle);
	tcase_add_loop_test(t, ioctls, 0, (int)countof(ioctl_rows));
	tcase_add_test(t, ioctls_refused);
	tcase_add_test(t, copy_64);
	tcase_add_test(t, tmpfile_request);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
