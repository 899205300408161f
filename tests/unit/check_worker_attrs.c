/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the worker's attributes and extended attributes, against the real executable (WORKER_EXE). Links worker_rig*.c,
 * proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/unit/worker_rig.h"

static struct stat
host(const char *name)
{
	struct stat st = { 0 };

	if (lstat(rig_path(name), &st) == -1)
		ck_abort_msg("%s: %s", name, strerror(errno));
	return st;
}

static void
host_file(const char *name, const char *content, mode_t mode)
{
	int fd = open(rig_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static struct rpc_attr_reply *
setattr(uint64_t node, uint32_t valid, const struct rpc_setattr *v)
{
	struct rpc_setattr *q = rig_add(0, RPC_SETATTR, NULL, 0, NULL, NULL);
	struct rpc_hdr h = q->h;

	*q = *v;
	q->h = h;
	q->f.node = node;
	q->valid = valid;
	return (void *)rig_call();
}

START_TEST(attributes)
{
	struct rpc_attr_reply *a;
	struct rpc_attr at;
	struct rpc_access *x;
	struct rpc_statfs *sf;
	struct rpc_node *nq;
	struct stat st;
	int64_t n, s, d;

	host_file("f", "abc", 0644);
	ck_assert_int_eq(symlink("f", rig_path("s")), 0);
	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	n = rig_lookup(1, "f");
	s = rig_lookup(1, "s");
	d = rig_lookup(1, "d");
	ck_assert_int_eq(rig_getattr((uint64_t)n, &at), 0);
	st = host("f");
	ck_assert_uint_eq(at.ino, st.st_ino);
	ck_assert_uint_eq(at.size, 3);
	ck_assert_uint_eq(at.mode, st.st_mode);
	ck_assert_int_eq(at.mtime, st.st_mtim.tv_sec);
	ck_assert_uint_eq(at.mtimensec, (uint32_t)st.st_mtim.tv_nsec);

	a = setattr((uint64_t)n, RPC_SET_MODE | RPC_SET_UID | RPC_SET_GID | RPC_SET_SIZE,
	    &(struct rpc_setattr){ .mode = S_IFREG | 0604, .uid = 7, .gid = 8, .size = 10 });
	ck_assert_int_eq(a->h.error, 0);
	ck_assert_uint_eq(a->attr.mode, S_IFREG | 0604);
	ck_assert_uint_eq(a->attr.uid, 7);
	ck_assert_uint_eq(a->attr.gid, 8);
	ck_assert_uint_eq(a->attr.size, 10);
	a = setattr((uint64_t)n, RPC_SET_ATIME | RPC_SET_MTIME,
	    &(struct rpc_setattr){ .atime = -5, .atimensec = 1, .mtime = INT64_C(5000000000), .mtimensec = 2 });
	ck_assert_int_eq(a->attr.atime, -5);
	ck_assert_int_eq(a->attr.mtime, INT64_C(5000000000));
	ck_assert_uint_eq(a->attr.mtimensec, 2);
	/* a "now" bit alone does nothing (P7); words that mean something to utimensat() do not pass */
	a = setattr((uint64_t)n, RPC_SET_MTIME_NOW, &(struct rpc_setattr){ .size = 0 });
	ck_assert_int_eq(a->attr.mtime, INT64_C(5000000000));
	a = setattr((uint64_t)n, RPC_SET_MTIME, &(struct rpc_setattr){ .mtimensec = UTIME_NOW });
	ck_assert_int_eq(a->h.error, -EINVAL);
	a = setattr((uint64_t)n, RPC_SET_MTIME | RPC_SET_MTIME_NOW, &(struct rpc_setattr){ .size = 0 });
	ck_assert_int_ge(a->attr.mtime, st.st_mtim.tv_sec);
	ck_assert_int_eq(a->attr.atime, -5);
	ck_assert_int_eq(setattr((uint64_t)n, 0x8000, &(struct rpc_setattr){ .size = 0 })->h.error, -EINVAL);
	ck_assert_int_eq(setattr((uint64_t)n, RPC_SET_SIZE, &(struct rpc_setattr){ .size = UINT64_MAX })->h.error,
	    -EINVAL);
	ck_assert_int_eq(setattr((uint64_t)d, RPC_SET_SIZE | RPC_SET_MODE, &(struct rpc_setattr){ .mode = 0 })->h.error,
	    -EISDIR);
	ck_assert_uint_eq(host("d").st_mode & 07777, 0755);
	/* symlinks: owner and times are their own, the mode cannot be set */
	ck_assert_int_eq(setattr((uint64_t)s, RPC_SET_MODE, &(struct rpc_setattr){ .mode = 0600 })->h.error, -EOPNOTSUPP);
	a = setattr((uint64_t)s, RPC_SET_UID | RPC_SET_MTIME, &(struct rpc_setattr){ .uid = 9, .mtime = 99 });
	ck_assert_int_eq(a->h.error, 0);
	ck_assert_uint_eq(host("s").st_uid, 9);
	ck_assert_int_eq(host("s").st_mtime, 99);
	ck_assert_uint_eq(host("f").st_uid, 7);

	for (unsigned mask = 0; mask < 8; mask++) {
		x = rig_add(0, RPC_ACCESS, NULL, 0, NULL, NULL);
		x->node = (uint64_t)n;		/* 0604, 7:8 */
		x->uid = 7;
		x->gid = 1;
		x->mask = mask;
		ck_assert_int_eq(rig_call()->error, (mask & 1) ? -EACCES : 0);
		x = rig_add(0, RPC_ACCESS, NULL, 0, NULL, NULL);
		x->node = (uint64_t)n;
		x->mask = mask;
		ck_assert_int_eq(rig_call()->error, (mask & 1) ? -EACCES : 0);
		x = rig_add(0, RPC_ACCESS, NULL, 0, NULL, NULL);
		x->node = (uint64_t)n;
		x->uid = 1;
		x->gid = 8;
		x->mask = mask;
		ck_assert_int_eq(rig_call()->error, (mask & 3) ? -EACCES : 0);
	}
	nq = rig_add(0, RPC_STATFS, NULL, 0, NULL, NULL);
	nq->node = (uint64_t)n;
	sf = (void *)rig_call();
	ck_assert_int_eq(sf->h.error, 0);
	ck_assert_uint_gt(sf->blocks, 0);
	ck_assert_uint_eq(sf->namelen, 255);
	ck_assert_uint_eq(sf->frsize, 4096);
}
END_TEST

static int64_t
xattr(uint16_t op, uint64_t node, const char *name, const char *value, uint32_t size, uint32_t flags)
{
	struct rpc_xattr *q = rig_add(0, op, NULL, 0, name, NULL);
	struct rpc_count *a;

	q->node = node;
	q->size = size;
	q->flags = flags;
	q->h.alen = size;
	if (value != NULL)
		memcpy(rig.lane[0].arena, value, size);
	a = (void *)rig_call();
	return a->h.error != 0 || op == RPC_SETXATTR ? a->h.error : (int64_t)a->count;
}

START_TEST(xattrs)
{
	struct rpc_xattr *q;
	struct rpc_node *r;
	char buf[64];
	int64_t n, s, p;

	host_file("f", "", 0000);
	ck_assert_int_eq(symlink("f", rig_path("s")), 0);
	ck_assert_int_eq(mkfifo(rig_path("p"), 0666), 0);
	n = rig_lookup(1, "f");
	s = rig_lookup(1, "s");
	p = rig_lookup(1, "p");
	ck_assert_int_eq(xattr(RPC_SETXATTR, (uint64_t)n, "user.a", "value", 5, 0), 0);
	ck_assert_int_eq(getxattr(rig_path("f"), "user.a", buf, sizeof(buf)), 5);
	ck_assert_int_eq(xattr(RPC_SETXATTR, (uint64_t)n, "user.a", "value", 5, XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(xattr(RPC_SETXATTR, (uint64_t)n, "user.b", "", 0, 0), 0);
	ck_assert_int_eq(xattr(RPC_GETXATTR, (uint64_t)n, "user.a", NULL, 0, 0), 5);
	ck_assert_int_eq(xattr(RPC_GETXATTR, (uint64_t)n, "user.a", NULL, 4, 0), -ERANGE);
	ck_assert_int_eq(xattr(RPC_GETXATTR, (uint64_t)n, "user.a", NULL, 1 << 20, 0), 5);
	ck_assert_mem_eq(rig.lane[0].arena, "value", 5);
	ck_assert_int_eq(xattr(RPC_GETXATTR, (uint64_t)n, "user.none", NULL, 64, 0), -ENODATA);
	ck_assert_int_eq(xattr(RPC_LISTXATTR, (uint64_t)n, NULL, NULL, 0, 0), 14);
	ck_assert_int_eq(xattr(RPC_LISTXATTR, (uint64_t)n, NULL, NULL, 1 << 20, 0), 14);
	/* links and fifos themselves, not what they lead to */
	ck_assert_int_eq(xattr(RPC_SETXATTR, (uint64_t)s, "user.a", "v", 1, 0), -EPERM);
	ck_assert_int_eq(xattr(RPC_SETXATTR, (uint64_t)p, "user.a", "v", 1, 0), -EPERM);
	ck_assert_int_eq(xattr(RPC_LISTXATTR, (uint64_t)s, NULL, NULL, 64, 0), 0);
	/* no CAP_SYS_ADMIN here */
	ck_assert_int_eq(xattr(RPC_SETXATTR, (uint64_t)n, "trusted.a", "v", 1, 0), -EPERM);
	/* more than the extent holds */
	q = rig_add(0, RPC_GETXATTR, NULL, 0, "user.a", NULL);
	q->node = (uint64_t)n;
	q->size = 100;
	q->h.alen = 10;
	ck_assert_int_eq(rig_call()->error, -EINVAL);
	r = rig_add(0, RPC_REMOVEXATTR, NULL, 0, "user.a", NULL);
	r->node = (uint64_t)n;
	ck_assert_int_eq(rig_call()->error, 0);
	ck_assert_int_eq(getxattr(rig_path("f"), "user.a", buf, sizeof(buf)), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("worker attributes");

	rig_add_test(s, attributes, rig_plain, rig_teardown, 1);
	rig_add_test(s, xattrs, rig_plain, rig_teardown, 1);
	return rig_run(s);
}
