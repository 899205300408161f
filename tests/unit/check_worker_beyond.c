/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the worker's operations that go beyond the reference: STATX, FLAGS_GET, FLAGS_SET; against the real executable
 * (WORKER_EXE). Links worker_rig.c, worker_rig_tools.c, proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/attr.h"
#include "tests/unit/worker_rig.h"

static struct rpc_statx_reply *
ask_statx(uint64_t node, uint32_t sync)
{
	struct rpc_statx *q = rig_add(0, RPC_STATX, NULL, 0, NULL, NULL);

	q->f.node = node;
	q->sync = sync;
	return (void *)rig_call();
}

START_TEST(statx_of)
{
	static const uint32_t bad[] = { 1, AT_EMPTY_PATH, AT_SYMLINK_FOLLOW, AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC,
		UINT32_MAX };
	const struct rpc_statx_reply *a;
	struct statx st;
	uint64_t f;

	rig_host_file("f");
	f = (uint64_t)rig_lookup(1, "f");
	ck_assert_int_eq(statx(AT_FDCWD, rig_path("f"), 0, STATX_BASIC_STATS | STATX_BTIME, &st), 0);
	for (uint32_t sync = 0; sync <= AT_STATX_DONT_SYNC; sync += AT_STATX_FORCE_SYNC) {
		a = ask_statx(f, sync);
		ck_assert_int_eq(a->h.error, 0);
		ck_assert_uint_eq(a->mask, st.stx_mask & (STATX_BASIC_STATS | STATX_BTIME));
		ck_assert_int_eq(a->btime, st.stx_btime.tv_sec);
		ck_assert_uint_eq(a->btimensec, st.stx_btime.tv_nsec);
		ck_assert_uint_eq(a->attr.ino, st.stx_ino);
		ck_assert_uint_eq(a->attr.mode, st.stx_mode);
		ck_assert_uint_eq(a->attributes & ~a->attributes_mask, 0);
		ck_assert_uint_eq(a->attributes_mask & STATX_ATTR_MOUNT_ROOT, 0);
	}
	for (size_t i = 0; i < countof(bad); i++)
		ck_assert_int_eq(ask_statx(f, bad[i])->h.error, -EINVAL);
	ck_assert_int_eq(ask_statx(12345, 0)->h.error, -ESTALE);
}
END_TEST

static struct rpc_flags *
flags_request(uint16_t op, uint64_t node, uint32_t extended, uint32_t flags)
{
	struct rpc_flags *q = rig_add(0, op, NULL, 0, NULL, NULL);

	q->node = node;
	q->extended = extended;
	q->flags = flags;
	return q;
}

static int
set_flags(uint64_t node, uint32_t extended, uint32_t flags)
{
	flags_request(RPC_FLAGS_SET, node, extended, flags);
	return rig_call()->error;
}

static int
get_flags(uint64_t node, uint32_t extended, uint32_t *flags)
{
	const struct rpc_flags_reply *a;

	flags_request(RPC_FLAGS_GET, node, extended, 0);
	a = (const void *)rig_call();
	if (a->h.error == 0)
		*flags = a->flags;
	return a->h.error;
}

/* Every single bit: nothing changes but what is in the list, and what the kernel says to that is said. */
START_TEST(every_flag)
{
	const uint32_t listed = FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL | FS_NODUMP_FL | FS_NOATIME_FL |
	    FS_NOCOMP_FL | FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_NOCOW_FL;
	uint32_t before, now = 0;
	uint64_t f;
	int r;

	rig_host_file("f");
	f = (uint64_t)rig_lookup(1, "f");
	ck_assert_int_eq(get_flags(f, 0, &before), 0);
	for (uint32_t bit = 1; bit != 0; bit <<= 1) {
		r = set_flags(f, 0, before ^ bit);
		ck_assert_int_eq(get_flags(f, 0, &now), 0);
		if ((bit & listed) == 0 && bit != FS_INDEX_FL) {
			ck_assert_msg(r == -EPERM, "bit %x: %d", bit, r);
			ck_assert_uint_eq(now, before);
		} else {
			ck_assert_msg(now == (r == 0 && bit != FS_INDEX_FL ? before ^ bit : before) || r == 0,
			    "bit %x: %d, %x to %x", bit, r, before, now);
			ck_assert_int_eq(set_flags(f, 0, before), 0);
		}
	}
	ck_assert_int_eq(get_flags(f, 0, &now), 0);
	ck_assert_uint_eq(now, before);
}
END_TEST

/* Links, pipes and devices are not opened for this; nor is anything nobody named; sizes are what they are. */
START_TEST(no_such_flags)
{
	uint32_t flags;
	uint64_t n;

	ck_assert_int_eq(symlink("f", rig_path("s")), 0);
	ck_assert_int_eq(mkfifo(rig_path("p"), 0666), 0);
	n = (uint64_t)rig_lookup(1, "s");
	ck_assert_int_eq(get_flags(n, 0, &flags), -ENOTTY);
	ck_assert_int_eq(set_flags(n, 0, 0), -ENOTTY);
	n = (uint64_t)rig_lookup(1, "p");
	ck_assert_int_eq(get_flags(n, 1, &flags), -ENOTTY);
	ck_assert_int_eq(set_flags(n, 1, 0), -ENOTTY);
	ck_assert_int_eq(get_flags(1, 2, &flags), -EINVAL);
	ck_assert_int_eq(set_flags(1, UINT32_MAX, 0), -EINVAL);
	ck_assert_int_eq(get_flags(12345, 0, &flags), -ESTALE);
	ck_assert_int_eq(set_flags(12345, 0, 0), -ESTALE);
	/* Even a file nobody may read. */
	rig_host_file("f");
	ck_assert_int_eq(chmod(rig_path("f"), 0), 0);
	n = (uint64_t)rig_lookup(1, "f");
	ck_assert_int_eq(get_flags(n, 0, &flags), 0);
	ck_assert_int_eq(set_flags(n, 0, flags | FS_NODUMP_FL), 0);
	ck_assert_int_eq(set_flags(n, 0, flags), 0);
}
END_TEST

/* A project id of the host's stays, whatever else is set with it. */
START_TEST(project)
{
	const struct rpc_flags_reply *a;
	struct rpc_flags *q;
	struct fsxattr x;
	uint64_t f;
	int fd;

	rig_host_file("f");
	fd = open(rig_path("f"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(ioctl(fd, FS_IOC_FSGETXATTR, &x), 0);
	x.fsx_projid = 77;
	if (ioctl(fd, FS_IOC_FSSETXATTR, &x) == -1) {
		/* A file system made without project ids. */
		x.fsx_projid = 0;
		ck_assert(errno == EOPNOTSUPP || errno == EINVAL);
	}
	f = (uint64_t)rig_lookup(1, "f");
	flags_request(RPC_FLAGS_GET, f, 1, 0);
	a = (const void *)rig_call();
	ck_assert_int_eq(a->h.error, 0);
	ck_assert_uint_eq(a->projid, x.fsx_projid);
	for (uint32_t id = 0; id < 200; id++) {
		q = flags_request(RPC_FLAGS_SET, f, 1, x.fsx_xflags | FS_XFLAG_NODUMP);
		q->projid = id;
		ck_assert_int_eq(rig_call()->error, id == x.fsx_projid ? 0 : -EPERM);
	}
	ck_assert_int_eq(ioctl(fd, FS_IOC_FSGETXATTR, &x), 0);
	ck_assert_uint_ne(x.fsx_xflags & FS_XFLAG_NODUMP, 0);
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("worker beyond the reference");

	rig_add_test(s, statx_of, rig_plain, rig_teardown, 1);
	rig_add_test(s, every_flag, rig_plain, rig_teardown, 1);
	rig_add_test(s, no_such_flags, rig_plain, rig_teardown, 1);
	rig_add_test(s, project, rig_plain, rig_teardown, 1);
	return rig_run(s);
}
