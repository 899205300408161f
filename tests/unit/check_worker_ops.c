/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the worker, operation by operation, against the real executable (WORKER_EXE, default build/virtiofsd-worker):
 * what it answers and what happens on the host. Links worker_rig*.c, proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/unit/worker_rig.h"

#define GUEST	1234u

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

static int
rename_op(uint64_t from, const char *old, uint64_t to, const char *new, uint32_t flags)
{
	struct rpc_rename *q = rig_add(0, RPC_RENAME, NULL, 0, old, new);

	q->olddir = from;
	q->newdir = to;
	q->flags = flags;
	return rig_call()->error;
}

static struct rpc_file
file(uint64_t node, uint64_t fh, uint32_t flags)
{
	return (struct rpc_file){ .node = node, .fh = fh, .flags = flags, .hflags = RPC_FILE_HANDLE };
}

START_TEST(names)
{
	struct rpc_entry_body e;
	struct rpc_link *k;
	struct rpc_entry *a;
	int64_t d, f, s;

	d = rig_made(RPC_MKDIR, 1, "d", NULL, 0751);
	ck_assert_int_gt(d, 1);
	ck_assert_uint_eq(host("d").st_mode, S_IFDIR | 0751);
	f = rig_made(RPC_MKNOD, (uint64_t)d, "f", NULL, S_IFREG | 0640);
	ck_assert_int_gt(f, d);
	ck_assert_uint_eq(host("d/f").st_mode, S_IFREG | 0640);
	ck_assert_int_eq(rig_made(RPC_MKNOD, (uint64_t)d, "f", NULL, S_IFREG | 0640), -EEXIST);
	s = rig_made(RPC_SYMLINK, 1, "s", "/etc/passwd", 0);
	ck_assert_int_gt(s, 1);
	/* The link, not what it points to. */
	ck_assert_int_eq(rig_lookup_attr(1, "s", &e), s);
	ck_assert_uint_eq(e.attr.mode & S_IFMT, S_IFLNK);
	((struct rpc_node *)rig_add(0, RPC_READLINK, NULL, 0, NULL, NULL))->node = (uint64_t)s;
	a = (void *)rig_call();
	ck_assert_str_eq(rpc_name1(RPC_REPLY, &a->h), "/etc/passwd");
	((struct rpc_node *)rig_add(0, RPC_READLINK, NULL, 0, NULL, NULL))->node = (uint64_t)f;
	ck_assert_int_lt(rig_call()->error, 0);
	ck_assert_int_eq(rig_lookup((uint64_t)s, "x"), -ENOTDIR);
	ck_assert_int_eq(rig_lookup((uint64_t)f, "x"), -ENOTDIR);

	k = rig_add(0, RPC_LINK, NULL, 0, "hard", NULL);
	k->node = (uint64_t)f;
	k->newdir = 1;
	a = (void *)rig_call();
	ck_assert_int_eq(a->h.error, 0);
	ck_assert_uint_eq(a->e.node, (uint64_t)f);
	ck_assert_uint_eq(a->e.attr.nlink, 2);
	ck_assert_uint_eq(host("hard").st_ino, host("d/f").st_ino);
	ck_assert_int_eq(rig_lookup(1, "hard"), f);

	ck_assert_int_eq(rename_op(1, "hard", (uint64_t)d, "moved", 0), 0);
	ck_assert_uint_eq(host("d/moved").st_ino, host("d/f").st_ino);
	host_file("other", "x", 0644);
	ck_assert_int_eq(rename_op((uint64_t)d, "moved", 1, "other", RENAME_NOREPLACE), -EEXIST);
	ck_assert_int_eq(rename_op((uint64_t)d, "moved", 1, "other", RENAME_EXCHANGE | 0x100), 0);
	ck_assert_uint_eq(host("d/moved").st_size, 1);
	ck_assert_int_eq(rig_remove(RPC_RMDIR, 1, "d"), -ENOTEMPTY);
	ck_assert_int_eq(rig_remove(RPC_UNLINK, 1, "d"), -EISDIR);
	ck_assert_int_eq(rig_remove(RPC_UNLINK, (uint64_t)d, "moved"), 0);
	ck_assert_int_eq(rig_remove(RPC_UNLINK, (uint64_t)d, "f"), 0);
	ck_assert_int_eq(rig_remove(RPC_UNLINK, (uint64_t)d, "f"), -ENOENT);
	ck_assert_int_eq(rig_remove(RPC_RMDIR, 1, "d"), 0);
	ck_assert_int_eq(access(rig_path("d"), F_OK), -1);
	ck_assert_int_eq(rig_lookup(1, "d"), -ENOENT);
	/* . and .. are the directory itself */
	ck_assert_int_eq(rig_lookup(1, "."), 1);
	ck_assert_int_eq(rig_lookup(1, ".."), 1);
	ck_assert_uint_eq(rig.repeated, 0);
}
END_TEST

START_TEST(credentials)
{
	uint32_t groups[2] = { 4000, 4001 };
	struct rpc_create *q;
	struct rpc_entry *a;
	struct stat st;

	ck_assert_int_eq(mkdir(rig_path("open"), 0777), 0);
	ck_assert_int_eq(chmod(rig_path("open"), 0777), 0);
	ck_assert_int_eq(mkdir(rig_path("closed"), 0700), 0);
	ck_assert_int_eq(mkdir(rig_path("group"), 0770), 0);
	ck_assert_int_eq(chown(rig_path("group"), 0, 4001), 0);
	ck_assert_int_eq(chmod(rig_path("group"), 02770), 0);
	int64_t o = rig_lookup(1, "open"), c = rig_lookup(1, "closed"), g = rig_lookup(1, "group");

	q = rig_make(RPC_MKDIR, (uint64_t)o, "d", NULL, 0777);
	q->uid = GUEST;
	q->gid = GUEST + 1;
	q->umask = 027;
	ck_assert_int_eq(rig_call()->error, 0);
	st = host("open/d");
	ck_assert_uint_eq(st.st_uid, GUEST);
	ck_assert_uint_eq(st.st_gid, GUEST + 1);
	ck_assert_uint_eq(st.st_mode & 07777, 0750);

	/* The umask is gone again, and so is the user: root makes things in a closed directory. */
	ck_assert_int_gt(rig_made(RPC_MKDIR, (uint64_t)c, "r", NULL, 0777), 0);
	ck_assert_uint_eq(host("closed/r").st_mode & 07777, 0777);
	ck_assert_uint_eq(host("closed/r").st_uid, 0);

	/* The groups are known, and there are none: no permission. */
	q = rig_make(RPC_MKDIR, (uint64_t)g, "x", NULL, 0777);
	q->uid = q->gid = GUEST;
	q->oflags = RPC_CREATE_GROUPS;
	ck_assert_int_eq(rig_call()->error, -EACCES);
	/* One of them allows it; a new file in a set-group-ID directory keeps S_ISGID for a member only (S3). */
	q = rig_add(0, RPC_CREATE, groups, 2, "x", NULL);
	q->dir = (uint64_t)g;
	q->mode = 02775;
	q->uid = q->gid = GUEST;
	q->oflags = RPC_CREATE_GROUPS | RPC_OPEN_NODONATE;
	q->flags = O_RDWR | O_EXCL;
	ck_assert_int_eq(rig_call()->error, 0);
	ck_assert_uint_eq(host("group/x").st_mode & 07777, 02775);
	ck_assert_uint_eq(host("group/x").st_gid, 4001);
	/* Groups with root as the user are given up as well (S5): the next one has none. */
	q = rig_add(0, RPC_MKDIR, groups, 2, "y", NULL);
	q->dir = 1;
	q->mode = 0700;
	q->oflags = RPC_CREATE_GROUPS;
	ck_assert_int_eq(rig_call()->error, 0);
	q = rig_make(RPC_MKDIR, (uint64_t)g, "z", NULL, 0777);
	q->uid = q->gid = GUEST;
	q->oflags = RPC_CREATE_GROUPS;
	ck_assert_int_eq(rig_call()->error, -EACCES);
	/* Groups unknown: DAC_OVERRIDE stands in for them; but S_ISGID goes (CVE-2022-0358). */
	q = rig_add(0, RPC_CREATE, NULL, 0, "z", NULL);
	q->dir = (uint64_t)g;
	q->mode = 02775;
	q->uid = q->gid = GUEST;
	q->flags = O_RDWR | O_EXCL;
	q->oflags = RPC_OPEN_NODONATE;
	ck_assert_int_eq(rig_call()->error, 0);
	ck_assert_uint_eq(host("group/z").st_mode & 07777, 0775);
	/* A device needs CAP_MKNOD, which the caller has not got. */
	q = rig_make(RPC_MKNOD, (uint64_t)o, "dev", NULL, S_IFCHR | 0666);
	q->uid = q->gid = GUEST;
	q->rdev = (uint32_t)makedev(1, 3);
	ck_assert_int_eq(rig_call()->error, -EPERM);
	q = rig_make(RPC_MKNOD, (uint64_t)o, "dev", NULL, S_IFCHR | 0666);
	q->rdev = (uint32_t)makedev(1, 3);
	a = (void *)rig_call();
	ck_assert_int_eq(a->h.error, 0);
	ck_assert_uint_eq(a->e.attr.rdev, (uint32_t)makedev(1, 3));
	q = rig_make(RPC_MKDIR, (uint64_t)o, "e", NULL, 0777);
	q->uid = (uint32_t)-1;
	ck_assert_int_eq(rig_call()->error, -EINVAL);
}
END_TEST

START_TEST(special_files_are_never_opened)
{
	static const char *const name[] = { "fifo", "null", "link", "sock" };
	struct rpc_setattr *q;
	struct rpc_node *n;
	int fd;

	ck_assert_int_eq(mkfifo(rig_path("fifo"), 0666), 0);
	ck_assert_int_eq(mknod(rig_path("null"), S_IFCHR | 0666, makedev(1, 3)), 0);
	ck_assert_int_eq(mknod(rig_path("sock"), S_IFSOCK | 0666, 0), 0);
	host_file("target", "secret", 0600);
	ck_assert_int_eq(symlink("target", rig_path("link")), 0);
	for (unsigned i = 0; i < 4; i++) {
		int64_t node = rig_lookup(1, name[i]);

		ck_assert_int_gt(node, 1);
		ck_assert_int_eq(rig_open((uint64_t)node, 7, O_RDONLY | O_NONBLOCK, 0, &fd), -EBADF);
		ck_assert_int_eq(rig_opendir((uint64_t)node, 8), -EBADF);
		ck_assert_int_eq((int)rig_io(RPC_READ, file((uint64_t)node, 9, O_RDONLY), 0, NULL, 0, 0), -EBADF);
		q = rig_add(0, RPC_SETATTR, NULL, 0, NULL, NULL);
		q->f.node = (uint64_t)node;
		q->valid = RPC_SET_SIZE;
		ck_assert_int_eq(rig_call()->error, -EBADF);
		n = rig_add(0, RPC_SYNCFS, NULL, 0, NULL, NULL);
		n->node = (uint64_t)node;
		ck_assert_int_eq(rig_call()->error, -EBADF);
		struct rpc_create *c = rig_make(RPC_CREATE, 1, name[i], NULL, 0644);
		c->flags = O_RDWR | O_NONBLOCK;
		ck_assert_int_eq(rig_call()->error, -EBADF);
	}
	ck_assert_uint_eq(host("target").st_size, 6);
}
END_TEST

START_TEST(donation)
{
	struct rpc_create *q;
	struct rpc_created *a;
	char buf[8] = "";
	int64_t n;
	int fd;

	q = rig_make(RPC_CREATE, 1, "f", NULL, 0644);
	/* What must not reach the new file: O_APPEND (P1), O_DIRECT (P3). */
	q->flags = O_RDWR | O_APPEND | O_DIRECT | O_NOATIME;
	q->fh = 1;
	q->uid = q->gid = 0;
	a = (void *)rig_call();
	ck_assert_int_eq(a->h.error, 0);
	ck_assert_uint_eq(rig.lane[0].nfds, 1);
	fd = rig.lane[0].fds[0];
	ck_assert_int_eq(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_DIRECT | O_NOATIME), O_RDWR);
	ck_assert_int_eq(pwrite(fd, "hello", 5, 0), 5);
	close(fd);
	n = (int64_t)a->e.node;
	ck_assert_uint_eq(host("f").st_ino, a->e.attr.ino);
	ck_assert_int_eq(rig_lookup(1, "f"), n);

	ck_assert_int_eq(rig_open((uint64_t)n, 2, O_RDONLY | O_APPEND, 0, &fd), 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, buf, 8, 0), 5);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	close(fd);
	/* set-id bits: not for writing */
	ck_assert_int_eq(chmod(rig_path("f"), 02644), 0);
	ck_assert_int_eq(rig_open((uint64_t)n, 3, O_RDWR, 0, &fd), 0);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(rig_open((uint64_t)n, 4, O_RDONLY, 0, &fd), 0);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(chmod(rig_path("f"), 0644), 0);
	ck_assert_int_eq(rig_open((uint64_t)n, 5, O_RDWR, RPC_OPEN_NODONATE, &fd), 0);
	ck_assert_int_eq(fd, -1);
	/* O_PATH, O_CREAT, O_TMPFILE are nothing an OPEN may say; a directory is not donated */
	ck_assert_int_eq(rig_open((uint64_t)n, 6, O_PATH | O_CREAT | O_EXCL, 0, &fd), 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_PATH, 0);
	close(fd);
	ck_assert_int_eq(rig_open(1, 7, O_TMPFILE | O_RDWR, 0, &fd), -EISDIR);
	ck_assert_int_eq(rig_open(1, 7, O_RDONLY, 0, &fd), 0);
	ck_assert_int_eq(fd, -1);
	/* Access mode 3 is for ioctl alone: neither read nor written. */
	ck_assert_int_eq(rig_open((uint64_t)n, 8, O_ACCMODE, 0, &fd), 0);
	ck_assert_int_eq(pread(fd, buf, 1, 0), -1);
	ck_assert_int_eq(pwrite(fd, buf, 1, 0), -1);
	close(fd);
	ck_assert_int_eq(rig_open((uint64_t)n, 8, O_RDONLY, 0x80, &fd), -EINVAL);
}
END_TEST

START_TEST(create_existing)
{
	struct rpc_create *q;
	struct rpc_created *a;
	int64_t n;

	host_file("f", "content", 0600);
	n = rig_lookup(1, "f");
	/* Not the creator's rights: the daemon's, as if it were OPEN; truncated */
	q = rig_make(RPC_CREATE, 1, "f", NULL, 0644);
	q->flags = O_RDWR | O_TRUNC;
	q->uid = q->gid = GUEST;
	a = (void *)rig_call();
	ck_assert_int_eq(a->h.error, 0);
	ck_assert_int_eq((int64_t)a->e.node, n);
	ck_assert_uint_eq(a->e.attr.size, 0);
	ck_assert_uint_eq(rig.lane[0].nfds, 1);
	close(rig.lane[0].fds[0]);
	ck_assert_uint_eq(host("f").st_size, 0);
	ck_assert_uint_eq(host("f").st_uid, 0);
	q = rig_make(RPC_CREATE, 1, "f", NULL, 0644);
	q->flags = O_RDWR | O_EXCL;
	ck_assert_int_eq(rig_call()->error, -EEXIST);
	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	q = rig_make(RPC_CREATE, 1, "d", NULL, 0644);
	ck_assert_int_eq(rig_call()->error, -EISDIR);
	/* A dangling link is not followed, and nothing is made where it points. */
	ck_assert_int_eq(symlink("/var/tmp/worker-test-escape", rig_path("dangling")), 0);
	q = rig_make(RPC_CREATE, 1, "dangling", NULL, 0644);
	q->flags = O_RDWR;
	ck_assert_int_eq(rig_call()->error, -EBADF);
	ck_assert_int_eq(access("/var/tmp/worker-test-escape", F_OK), -1);
	/* Sent again, but never begun by the worker that died (nothing in the journal): nothing is forgiven. */
	host_file("made", "", 0600);
	q = rig_make(RPC_CREATE, 1, "made", NULL, 0644);
	q->flags = O_RDWR | O_EXCL;
	q->h.flags = RPC_F_REPLAY;
	ck_assert_int_eq(rig_call()->error, -EEXIST);
}
END_TEST

START_TEST(files_of_the_worker)
{
	static const struct {
		uint64_t offset, length;
		uint32_t mode;
		int error;
	} fallocates[] = { { 0, 65536, 0, 0 }, { INT64_MAX, 2, 0, -EFBIG }, { UINT64_C(1) << 63, 2, 0, -EINVAL },
		{ 0, 4096, FALLOC_FL_COLLAPSE_RANGE, -EOPNOTSUPP }, { 0, 4096, FALLOC_FL_INSERT_RANGE, -EOPNOTSUPP } };
	struct rpc_file f, g;
	struct rpc_getattr *flush;
	struct rpc_fallocate *fa;
	struct rpc_lseek *s;
	struct rpc_copy *c;
	struct rpc_sync *sync;
	char buf[64] = "";
	int64_t n, m;
	int fd;

	host_file("a", "0123456789", 0644);
	host_file("b", "", 0644);
	n = rig_lookup(1, "a");
	m = rig_lookup(1, "b");
	ck_assert_int_eq(rig_open((uint64_t)n, 1, O_RDWR, RPC_OPEN_NODONATE, &fd), 0);
	f = file((uint64_t)n, 1, O_RDWR);
	ck_assert_int_eq(rig_io(RPC_READ, f, 2, buf, 64, 0), 8);
	ck_assert_str_eq(buf, "23456789");
	ck_assert_int_eq(rig_io(RPC_READ, f, 100, buf, 64, 0), 0);
	ck_assert_int_eq(rig_io(RPC_WRITE, f, 8, (char[]){ "xyz" }, 3, 0), 3);
	ck_assert_int_eq(rig_io(RPC_WRITE, f, 0, (char[]){ "END" }, 3, RPC_IO_APPEND), 3);
	ck_assert_int_eq(rig_io(RPC_READ, f, 0, buf, 64, 0), 14);
	ck_assert_mem_eq(buf, "01234567xyzEND", 14);
	/* offsets no file has (C21c) */
	ck_assert_int_eq(rig_io(RPC_READ, f, UINT64_C(1) << 63, buf, 1, 0), -EINVAL);
	ck_assert_int_eq(rig_io(RPC_WRITE, f, INT64_MAX, (char[]){ "ab" }, 2, 0), -EINVAL);
	ck_assert_int_eq(rig_io(RPC_WRITE, f, 0, (char[]){ "ab" }, 2, 8), -EINVAL);
	/* a handle is of one node and kind */
	ck_assert_int_eq(rig_io(RPC_READ, file((uint64_t)m, 1, O_RDWR), 0, buf, 64, 0), -EBADF);
	ck_assert_int_eq(rig_io(RPC_READDIR, f, 0, buf, 64, 0), -EBADF);
	/* one that was never opened here is opened by its flags, and stays within them */
	g = file((uint64_t)m, 99, O_RDONLY | O_TRUNC);
	ck_assert_int_eq(rig_io(RPC_WRITE, g, 0, (char[]){ "ab" }, 2, 0), -EBADF);
	g = file((uint64_t)m, 2, O_RDWR);

	for (unsigned i = 0; i < countof(fallocates); i++) {
		fa = rig_add(0, RPC_FALLOCATE, NULL, 0, NULL, NULL);
		fa->f = f;
		fa->offset = fallocates[i].offset;
		fa->length = fallocates[i].length;
		fa->mode = fallocates[i].mode;
		ck_assert_int_eq(rig_call()->error, fallocates[i].error);
		ck_assert_uint_eq(host("a").st_size, 65536);
	}
	s = rig_add(0, RPC_LSEEK, NULL, 0, NULL, NULL);
	s->f = f;
	s->offset = 65536;
	s->whence = SEEK_DATA;
	ck_assert_int_eq(rig_call()->error, -ENXIO);
	s = rig_add(0, RPC_LSEEK, NULL, 0, NULL, NULL);
	s->f = f;
	s->whence = SEEK_END;
	ck_assert_uint_eq(((struct rpc_count *)rig_call())->count, 65536);
	c = rig_add(0, RPC_COPY, NULL, 0, NULL, NULL);
	c->in = f;
	c->out = g;
	c->off_in = 8;
	c->len = 6;
	ck_assert_uint_eq(((struct rpc_count *)rig_call())->count, 6);
	ck_assert_uint_eq(host("b").st_size, 6);
	for (unsigned i = 0; i < 2; i++) {
		sync = rig_add(0, RPC_FSYNC, NULL, 0, NULL, NULL);
		sync->f = f;
		sync->datasync = i;
		ck_assert_int_eq(rig_call()->error, 0);
	}
	flush = rig_add(0, RPC_FLUSH, NULL, 0, NULL, NULL);
	flush->f = f;
	ck_assert_int_eq(rig_call()->error, 0);
	((struct rpc_node *)rig_add(0, RPC_SYNCFS, NULL, 0, NULL, NULL))->node = 1;
	ck_assert_int_eq(rig_call()->error, 0);

	unsigned before = rig_open_fds();
	flush = rig_add(0, RPC_RELEASE, NULL, 0, NULL, NULL);
	flush->f = f;
	ck_assert_int_eq(rig_call()->error, 0);
	ck_assert_uint_eq(rig_open_fds(), before - 1);
	/* once: nothing stays open */
	f.hflags |= RPC_FILE_ONCE;
	ck_assert_int_eq(rig_io(RPC_READ, f, 8, buf, 3, 0), 3);
	ck_assert_mem_eq(buf, "xyz", 3);
	ck_assert_uint_eq(rig_open_fds(), before - 1);
}
END_TEST

/* Each operation that changes content, on file "k" (node, opened as f). */
static int
change(unsigned how, uint64_t node, struct rpc_file f)
{
	struct rpc_setattr *s;
	struct rpc_fallocate *fa;
	struct rpc_copy *c;
	struct rpc_open *o;
	struct rpc_hdr *a;
	int64_t source;

	switch (how) {
	case 0:
		return (int)rig_io(RPC_WRITE, f, 0, (char[]){ "x" }, 1, 0) == 1 ? 0 : -EIO;
	case 1:
		return (int)rig_io(RPC_WRITE, f, 0, (char[]){ "x" }, 1, RPC_IO_APPEND) == 1 ? 0 : -EIO;
	case 2:
		s = rig_add(0, RPC_SETATTR, NULL, 0, NULL, NULL);
		s->f = f;
		s->f.hflags &= ~(uint32_t)RPC_FILE_HANDLE;
		s->valid = RPC_SET_SIZE;
		s->size = 1;
		break;
	case 3:
		fa = rig_add(0, RPC_FALLOCATE, NULL, 0, NULL, NULL);
		fa->f = f;
		fa->length = 8192;
		break;
	case 4:
		source = rig_lookup(1, "source");
		c = rig_add(0, RPC_COPY, NULL, 0, NULL, NULL);
		c->in = file((uint64_t)source, 77, O_RDONLY);
		c->out = f;
		c->len = 3;
		break;
	default:
		o = rig_add(0, RPC_OPEN, NULL, 0, NULL, NULL);
		o->node = node;
		o->fh = 78;
		o->flags = O_WRONLY | O_TRUNC;
		o->oflags = (f.hflags & RPC_FILE_KILLPRIV) != 0 ? RPC_OPEN_KILLPRIV : 0;
		o->gid = f.gid;
		break;
	}
	a = rig_call();
	for (size_t i = 0; i < rig.lane[0].nfds; i++)
		close(rig.lane[0].fds[i]);
	return a->error;
}
#define CHANGES 6

/* K1: what the kernel's rule for a caller without CAP_FSETID leaves; mode 0 in "kill": the caller has it. */
static const struct {
	mode_t mode;
	gid_t gid; /* of the file */
	uint32_t caller;
	bool kill;
	mode_t after;
} kills[] = {
	{ 06755, 0, 7, false, 06755 }, { 02644, 5, 7, false, 02644 }, { 06755, 0, 0, true, 0755 },
	{ 06755, 5, 7, true, 0755 }, { 06755, 5, RPC_NO_GID, true, 0755 }, { 04644, 5, 7, true, 0644 },
	{ 02755, 5, 5, true, 0755 },
	/* The group may not execute: it is a privilege only of those outside. */
	{ 02644, 5, 5, true, 02644 }, { 02644, 0, 0, true, 02644 }, { 02644, 5, 7, true, 0644 },
	{ 02644, 0, 7, true, 0644 }, { 02644, 65534, 7, true, 0644 }, { 02644, 5, RPC_NO_GID, true, 02644 },
	{ 06644, 5, 5, true, 02644 }, { 06644, 5, 7, true, 0644 }, { 06644, 0, RPC_NO_GID, true, 02644 },
	{ 06644, 5, RPC_NO_GID, true, 02644 },
};

static void
killpriv_all(void)
{
	const size_t n = sizeof(kills) / sizeof(kills[0]);

	host_file("source", "abc", 0644);
	for (unsigned i = 0; i < n * CHANGES; i++) {
		struct rpc_file f;
		int64_t node;
		int fd;

		host_file("k", "abc", 0600);
		ck_assert_int_eq(chown(rig_path("k"), 1234, kills[i / CHANGES].gid), 0);
		ck_assert_int_eq(chmod(rig_path("k"), kills[i / CHANGES].mode), 0);
		node = rig_lookup(1, "k");
		ck_assert_int_eq(rig_open((uint64_t)node, 1, O_RDWR, 0, &fd), 0);
		ck_assert_int_eq(fd, -1);
		f = file((uint64_t)node, 1, O_RDWR);
		f.gid = kills[i / CHANGES].caller;
		f.hflags |= kills[i / CHANGES].kill ? RPC_FILE_KILLPRIV : 0;
		ck_assert_int_eq(change(i % CHANGES, (uint64_t)node, f), 0);
		ck_assert_msg((host("k").st_mode & 07777) == kills[i / CHANGES].after,
		    "row %u, change %u: mode %o", i / CHANGES, i % CHANGES, host("k").st_mode & 07777);
		/* The thread is itself again: it makes root's files, and chmod keeps S_ISGID of a foreign group. */
		ck_assert_int_gt(rig_made(RPC_MKNOD, 1, "r", NULL, S_IFREG | 0644), 0);
		ck_assert_uint_eq(host("r").st_gid, 0);
		unlink(rig_path("r"));
		unlink(rig_path("k"));
	}
}

START_TEST(killpriv)
{
	struct rpc_setattr *q;
	int64_t n;

	killpriv_all();
	host_file("k", "abc", 0644);
	ck_assert_int_eq(chown(rig_path("k"), 5, 5), 0);
	n = rig_lookup(1, "k");
	q = rig_add(0, RPC_SETATTR, NULL, 0, NULL, NULL);
	q->f.node = (uint64_t)n;
	q->valid = RPC_SET_MODE;
	q->mode = 02755;
	ck_assert_int_eq(rig_call()->error, 0);
	ck_assert_uint_eq(host("k").st_mode & 07777, 02755);
}
END_TEST

/* tmpfs does not drop the bits by itself at a fallocate. */
START_TEST(killpriv_on_tmpfs)
{
	killpriv_all();
}
END_TEST

static void
tmpfs_setup(void)
{
	rig_setup();
	ck_assert_int_eq(mkdir(rig_path("m"), 0755), 0);
	ck_assert_int_eq(mount("test", rig_path("m"), "tmpfs", 0, "size=1m"), 0);
	strcat(rig.share, "/m");
	rig_start();
}

static void
tmpfs_teardown(void)
{
	ck_assert_int_eq(umount2(rig.share, MNT_DETACH), 0);
	*strrchr(rig.share, '/') = '\0';
	rig_teardown();
}

/* P2: a worker without privileges, and a file that may only be written. */
START_TEST(write_only)
{
	struct rpc_create *q;
	struct rpc_created *a;
	struct rpc_open *o;
	int64_t n;

	host_file("w", "abc", 0200);
	ck_assert_int_eq(chown(rig_path("w"), 65534, 65534), 0);
	n = rig_lookup(1, "w");
	for (unsigned i = 0; i < 4; i++) {
		const bool donated = i % 2 == 0;
		int fd = -1;

		if (i < 2) {
			o = rig_add(0, RPC_OPEN, NULL, 0, NULL, NULL);
			o->node = (uint64_t)n;
			o->fh = 1;
			o->flags = O_RDWR;
			o->oflags = RPC_OPEN_READ_TOO | (donated ? 0 : RPC_OPEN_NODONATE);
			ck_assert_int_eq(rig_call()->error, 0);
			ck_assert_uint_eq(((struct rpc_opened *)rpc_first(rig.lane[0].in))->flags, RPC_OPENED_WRONLY);
		} else {
			q = rig_make(RPC_CREATE, 1, "w", NULL, 0644);
			q->uid = q->gid = 65534;
			q->fh = 1;
			q->flags = O_RDWR;
			q->oflags = RPC_OPEN_READ_TOO | (donated ? 0 : RPC_OPEN_NODONATE);
			a = (void *)rig_call();
			ck_assert_int_eq(a->h.error, 0);
			ck_assert_uint_eq(a->e.flags, RPC_ENTRY_WRONLY);
		}
		ck_assert_uint_eq(rig.lane[0].nfds, donated);
		if (donated) {
			fd = rig.lane[0].fds[0];
			ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
			close(fd);
		}
		ck_assert_int_eq((int)rig_io(RPC_WRITE, file((uint64_t)n, 1, O_WRONLY), 0, (char[]){ "x" }, 1, 0), 1);
	}
	/* Without the wish it is what it was. */
	ck_assert_int_eq(rig_open((uint64_t)n, 2, O_RDWR, 0, &(int){ 0 }), -EACCES);
}
END_TEST

static void
rootless_setup(void)
{
	rig_setup();
	rig.opt.sandbox = SANDBOX_NONE;
	rig.opt.uid = 65534;
	ck_assert_int_eq(chown(rig.share, 65534, 65534), 0);
	rig_start();
}

/* Whatever the front says, a read-only worker changes nothing. */
START_TEST(readonly)
{
	struct rpc_create *q;
	int64_t n, d;
	int fd;

	host_file("f", "abc", 0644);
	n = rig_lookup(1, "f");
	d = 1;
	for (uint16_t nr = 1; nr < RPC_OP_END; nr++) {
		const struct rpc_op *op = rpc_op(nr);
		const char *n1 = op == NULL || op->n1 == RPC_K_NONE ? NULL : op->n1 == RPC_K_XATTR ? "user.a" : "f";
		struct rpc_node *r;

		if (op == NULL || (op->flags & RPC_OP_MUTATES) == 0 || nr == RPC_CREATE)
			continue;
		r = rig_add(0, nr, NULL, 0, n1, op->n2 == RPC_K_NONE ? NULL : "g");
		r->node = (uint64_t)(n1 == NULL || op->n1 == RPC_K_XATTR ? n : d);
		ck_assert_msg(rig_call()->error == -EROFS, "%s", op->name);
	}
	ck_assert_int_eq(rig_open((uint64_t)n, 1, O_RDWR, 0, &fd), -EROFS);
	ck_assert_int_eq(rig_open((uint64_t)n, 1, O_WRONLY, 0, &fd), -EROFS);
	ck_assert_int_eq(rig_open((uint64_t)n, 1, O_RDONLY | O_TRUNC, 0, &fd), -EROFS);
	ck_assert_int_eq(rig_open((uint64_t)n, 1, O_RDONLY, 0, &fd), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	static const struct {
		const char *name;
		uint32_t flags;
		int error;
	} creates[] = {
		{ "new", O_RDONLY, -EROFS }, { "new", O_RDWR | O_EXCL, -EROFS }, { "f", O_RDONLY, 0 },
		{ "f", O_RDWR, -EROFS }, { "f", O_RDONLY | O_EXCL, -EROFS }, { "f", O_RDONLY | O_TRUNC, -EINVAL },
	};
	for (unsigned i = 0; i < sizeof(creates) / sizeof(creates[0]); i++) {
		q = rig_make(RPC_CREATE, 1, creates[i].name, NULL, 0644);
		q->flags = creates[i].flags;
		ck_assert_int_eq(rig_call()->error, creates[i].error);
		for (size_t k = 0; k < rig.lane[0].nfds; k++)
			close(rig.lane[0].fds[k]);
	}
	ck_assert_int_eq(access(rig_path("new"), F_OK), -1);
	ck_assert_uint_eq(host("f").st_size, 3);
}
END_TEST

static void
readonly_setup(void)
{
	rig_setup();
	rig.opt.dev.flags |= DEV_READONLY;
	rig_start();
}

int
main(void)
{
	Suite *s = suite_create("worker operations");
	const TTest *const tests[] = {
		names, credentials, special_files_are_never_opened, donation, create_existing,
		files_of_the_worker, killpriv,
	};

	for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		rig_add_test(s, tests[i], rig_plain, rig_teardown, 1);
	rig_add_test(s, killpriv_on_tmpfs, tmpfs_setup, tmpfs_teardown, 1);
	rig_add_test(s, write_only, rootless_setup, rig_teardown, 1);
	rig_add_test(s, readonly, readonly_setup, rig_teardown, 1);
	return rig_run(s);
}
