/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the worker's operations that go beyond the reference: STATX, FLAGS_GET, FLAGS_SET, TMPFILE, LOCKOPEN;
 * against the real executable (WORKER_EXE). Links worker_rig*.c, proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
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

static struct rpc_create *
tmpfile_request(uint64_t dir, uint32_t flags, uint32_t mode)
{
	struct rpc_create *q = rig_add(0, RPC_TMPFILE, NULL, 0, NULL, NULL);

	q->dir = dir;
	q->fh = 5;
	q->flags = flags;
	q->mode = S_IFREG | mode;
	q->oflags = RPC_CREATE_GROUPS;
	return q;
}

/* A file without a name in the root; its donated fd (or -1). */
static struct rpc_entry_body
make_tmpfile(uint32_t flags, uint32_t mode, int *fd)
{
	const struct rpc_created *a;

	tmpfile_request(1, flags, mode);
	a = (const void *)rig_call();
	ck_assert_int_eq(a->h.error, 0);
	*fd = (a->h.flags & RPC_F_FD) != 0 ? rig.lane[0].fds[0] : -1;
	ck_assert_uint_eq(a->e.attr.nlink, 0);
	ck_assert_uint_gt(a->e.node, 1);
	return a->e;
}

static int
link_to(uint64_t node, const char *name, struct rpc_entry_body *e)
{
	struct rpc_link *q = rig_add(0, RPC_LINK, NULL, 0, name, NULL);
	const struct rpc_entry *a;

	q->node = node;
	q->newdir = 1;
	a = (const void *)rig_call();
	if (a->h.error == 0 && e != NULL)
		*e = a->e;
	return a->h.error;
}

static void
has_content(const char *name, const char *content)
{
	char buf[64] = "";
	int fd = open(rig_path(name), O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), (ssize_t)strlen(content));
	ck_assert_str_eq(buf, content);
	close(fd);
}

/* Written through the donated fd, then named: as often as workers come and go in between. */
START_TEST(tmpfile_linked)
{
	const bool restarts = (_i & 1) != 0, closed = (_i & 2) != 0;
	struct rpc_entry_body e, l;
	struct stat st;
	int fd;

	e = make_tmpfile(O_RDWR, 0640, &fd);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(e.attr.mode, S_IFREG | 0640);
	ck_assert_uint_eq(rig_host_count(), 0);
	RIG_EVENTUALLY(rig_vault_pinned() == 1);
	ck_assert_int_eq(write(fd, "data", 4), 4);
	/* The guest may close it, and keep it by its inode. */
	if (closed)
		close(fd);
	if (restarts) {
		rig_restart();
		rig_restart();
	}
	rig_flood();
	ck_assert_int_eq(rig_getattr(e.node, NULL), 0);
	ck_assert_int_eq(link_to(e.node, "named", &l), 0);
	ck_assert_uint_eq(l.node, e.node);
	ck_assert_uint_eq(l.attr.nlink, 1);
	ck_assert_uint_eq(l.attr.ino, rig_host_ino("named"));
	has_content("named", "data");
	/* From now on it is a file as any other: nobody keeps an fd of it. */
	RIG_EVENTUALLY(rig_vault_pinned() == 0);
	if (!closed)
		close(fd);
	rig_flood();
	ck_assert_int_eq(rig_getattr(e.node, NULL), 0);
	ck_assert_int_eq(link_to(e.node, "again", &l), 0);
	ck_assert_uint_eq(l.attr.nlink, 2);
	ck_assert_int_eq(stat(rig_path("again"), &st), 0);
	ck_assert_uint_eq(st.st_nlink, 2);
	/* TMPFILE and both LINKs named it. */
	ck_assert_int_eq(rig_forget(e.node, restarts ? 2 : 3), 0);
	ck_assert_int_eq(rig_getattr(e.node, NULL), -ESTALE);
}
END_TEST

/* O_EXCL: it never gets a name; nor does what has been forgotten. */
START_TEST(tmpfile_excl)
{
	struct rpc_entry_body e;
	int fd;

	e = make_tmpfile(O_RDWR | O_EXCL, 0600, &fd);
	ck_assert_int_eq(link_to(e.node, "named", NULL), -ENOENT);
	rig_restart();
	ck_assert_int_eq(link_to(e.node, "named", NULL), -ENOENT);
	close(fd);
	ck_assert_int_eq(rig_forget(e.node, 1), 0);
	RIG_EVENTUALLY(rig_vault_pinned() == 0);
	ck_assert_int_eq(link_to(e.node, "named", NULL), -ESTALE);
	ck_assert_uint_eq(rig_host_count(), 0);
}
END_TEST

/* Not donated: read and written here, by any worker. */
START_TEST(tmpfile_served)
{
	struct rpc_file f = { .fh = 5, .flags = O_RDWR, .hflags = RPC_FILE_HANDLE };
	const struct rpc_created *a;
	struct rpc_create *q;
	char buf[8] = "";

	q = tmpfile_request(1, O_RDWR, 0600);
	q->oflags |= RPC_OPEN_NODONATE;
	a = (const void *)rig_call();
	ck_assert_int_eq(a->h.error, 0);
	ck_assert_uint_eq(a->h.flags, 0);
	f.node = a->e.node;
	ck_assert_int_eq(rig_io(RPC_WRITE, f, 0, (char[]){ "data" }, 4, 0), 4);
	rig_restart();
	ck_assert_int_eq(rig_io(RPC_READ, f, 0, buf, 8, 0), 4);
	ck_assert_str_eq(buf, "data");
	ck_assert_int_eq(link_to(f.node, "named", NULL), 0);
	has_content("named", "data");
}
END_TEST

/* Whose it is, what may be done in whose directory, what mode it gets: as for CREATE. */
static const struct {
	const char *title;
	mode_t dirmode;
	uint32_t uid, gid, flags, mode, umask;
	int want;
	mode_t got;
	gid_t got_gid;
} made_as[] = {
	{ "root", 0755, 0, 0, O_RDWR, 0666, 0, 0, 0666, 0 },
	{ "umask", 0755, 0, 0, O_RDWR, 0666, 027, 0, 0640, 0 },
	{ "a user", 0777, 1000, 1001, O_WRONLY, 0600, 0, 0, 0600, 1001 },
	{ "a user, unwritable mode", 0777, 1000, 1001, O_RDWR, 0, 0, 0, 0, 1001 },
	{ "a user, no permission", 0755, 1000, 1001, O_RDWR, 0600, 0, -EACCES, 0, 0 },
	{ "a set-group-ID directory", 02777, 1000, 1001, O_RDWR, 0600, 0, 0, 0600, 44 },
	{ "read-only", 0777, 0, 0, O_RDONLY, 0600, 0, -EINVAL, 0, 0 },
	{ "no access mode", 0777, 0, 0, O_ACCMODE, 0600, 0, -EINVAL, 0, 0 },
	{ "flags that mean something else", 0777, 0, 0, O_RDWR | O_CREAT | O_PATH | O_TRUNC | O_APPEND, 0600, 0, 0, 0600, 0 },
	{ "unknown ids", 0777, UINT32_MAX, 0, O_RDWR, 0600, 0, -EINVAL, 0, 0 },
};

START_TEST(tmpfile_as)
{
	const struct rpc_created *a;
	struct rpc_create *q;
	uint64_t d;
	int r;

	ck_assert_int_eq(mkdir(rig_path("d"), 0700), 0);
	ck_assert_int_eq(chown(rig_path("d"), 0, made_as[_i].got_gid == 44 ? 44 : 0), 0);
	ck_assert_int_eq(chmod(rig_path("d"), made_as[_i].dirmode), 0);
	d = (uint64_t)rig_lookup(1, "d");
	q = tmpfile_request(d, made_as[_i].flags, made_as[_i].mode);
	q->uid = made_as[_i].uid;
	q->gid = made_as[_i].gid;
	q->umask = made_as[_i].umask;
	a = (const void *)rig_call();
	ck_assert_int_eq(a->h.error, made_as[_i].want);
	r = a->h.error;
	if (r == 0) {
		ck_assert_uint_eq(a->e.attr.mode, S_IFREG | made_as[_i].got);
		ck_assert_uint_eq(a->e.attr.uid, made_as[_i].uid);
		ck_assert_uint_eq(a->e.attr.gid, made_as[_i].got_gid);
		ck_assert_uint_eq(a->e.attr.nlink, 0);
		close(rig.lane[0].fds[0]);
	}
	/* The thread is itself again. */
	ck_assert_int_gt(rig_made(RPC_MKDIR, 1, "mine", NULL, 0777), 1);
}
END_TEST

START_TEST(tmpfile_refused)
{
	uint64_t f;

	rig_host_file("f");
	f = (uint64_t)rig_lookup(1, "f");
	tmpfile_request(f, O_RDWR, 0600);
	ck_assert_int_eq(rig_call()->error, -ENOTDIR);
	tmpfile_request(12345, O_RDWR, 0600);
	ck_assert_int_eq(rig_call()->error, -ESTALE);
	tmpfile_request(1, O_RDWR, 0600)->oflags = 0x8000;
	ck_assert_int_eq(rig_call()->error, -EINVAL);
	ck_assert_uint_eq(rig_vault_pinned(), 0);
}
END_TEST

#define TAG	(UINT64_C(77) << 32 | 5)

/* Sent again, in every state of the journal. */
static const struct {
	const char *title;
	enum journal_state state;
	int error;
	enum { NOBODY, THE_ONE, A_NAMED_ONE, NOT_THERE } node;
	int want;
	bool same; /* the node that was noted */
} replays[] = {
	{ "never begun", JOURNAL_NONE, 0, NOBODY, 0, false },
	{ "begun", JOURNAL_EXECUTING, 0, NOBODY, 0, false },
	{ "begun, noted, not in the vault", JOURNAL_EXECUTING, 0, NOT_THERE, 0, false },
	{ "begun, noted, in the vault", JOURNAL_EXECUTING, 0, THE_ONE, 0, true },
	{ "done, in the vault", JOURNAL_DONE, 0, THE_ONE, 0, true },
	{ "done, not in the vault", JOURNAL_DONE, 0, NOT_THERE, 0, false },
	{ "failed", JOURNAL_DONE, -ENOSPC, NOBODY, -ENOSPC, false },
	{ "a lie: the node of a file that has a name", JOURNAL_DONE, 0, A_NAMED_ONE, 0, false },
	{ "a lie, begun", JOURNAL_EXECUTING, 0, A_NAMED_ONE, 0, false },
};

START_TEST(tmpfile_replayed)
{
	struct journal_entry *e = &rig.journal[0][3];
	struct rpc_entry_body before;
	const struct rpc_created *a;
	uint64_t node = 0, f;
	int fd;

	rig_host_file("f");
	f = (uint64_t)rig_lookup(1, "f");
	before = make_tmpfile(O_RDWR, 0600, &fd);
	close(fd);
	rig_kill();
	if (replays[_i].node == THE_ONE)
		node = before.node;
	else if (replays[_i].node == A_NAMED_ONE)
		node = f;
	else if (replays[_i].node == NOT_THERE)
		node = 123456;
	*e = (struct journal_entry){ .tag = TAG, .op = RPC_TMPFILE, .error = replays[_i].error, .ino1 = node };
	e->state = replays[_i].state;
	rig_start_next();
	rig_replay(tmpfile_request(1, O_RDWR, 0600), TAG);
	a = (const void *)rig_call();
	ck_assert_int_eq(a->h.error, replays[_i].want);
	if (a->h.error != 0)
		return;
	ck_assert_int_eq(a->e.node == before.node, replays[_i].same);
	ck_assert_uint_ne(a->e.node, f);
	ck_assert_uint_eq(a->e.attr.nlink, 0);
	ck_assert_uint_eq(a->h.flags, RPC_F_FD);
	ck_assert_int_eq(write(rig.lane[0].fds[0], "x", 1), 1);
	close(rig.lane[0].fds[0]);
	node = a->e.node;
	/* What was made before and not asked for is the one that was noted nowhere. */
	RIG_EVENTUALLY(rig_vault_pinned() == (replays[_i].same ? 1 : 2));
	ck_assert_int_eq(link_to(node, "named", NULL), 0);
	has_content("named", "x");
}
END_TEST

static void
with_locks(void)
{
	rig_setup();
	rig.opt.dev.flags |= DEV_POSIX_LOCK;
	rig_start();
}

static void
rootless_locks(void)
{
	rig_setup();
	rig.opt.dev.flags |= DEV_POSIX_LOCK;
	rig.opt.sandbox = SANDBOX_NONE;
	rig.opt.uid = 65534;
	rig_start();
}

/* An open file for locks; its fd, or a negative errno. */
static int
lock_open(uint64_t node, uint32_t flags, uint32_t oflags)
{
	struct rpc_open *q = rig_add(0, RPC_LOCKOPEN, NULL, 0, NULL, NULL);
	const struct rpc_opened *a;

	q->node = node;
	q->flags = flags;
	q->oflags = oflags;
	a = (const void *)rig_call();
	if (a->h.error != 0)
		return a->h.error;
	ck_assert_uint_eq(a->h.flags, RPC_F_FD);
	ck_assert_uint_eq(rig.lane[0].nfds, 1);
	ck_assert_uint_eq(a->mode, S_IFREG);
	ck_assert_uint_eq(a->flags,
	    flags == O_RDWR && (fcntl(rig.lane[0].fds[0], F_GETFL) & O_ACCMODE) == O_RDONLY ? RPC_OPENED_RDONLY : 0);
	return rig.lane[0].fds[0];
}

START_TEST(lock_files)
{
	static const uint32_t bad[] = { O_WRONLY, O_ACCMODE, O_RDWR | O_TRUNC, O_RDWR | O_CREAT, O_RDONLY | O_APPEND,
		O_DIRECTORY, O_TMPFILE | O_RDWR, UINT32_MAX };
	unsigned before = rig_open_fds();
	struct stat a, b;
	uint64_t f, n;
	int fd, fd2;

	rig_host_file("f");
	ck_assert_int_eq(chmod(rig_path("f"), 06000), 0);
	f = (uint64_t)rig_lookup(1, "f");
	/* Whoever may read or write it: the guest's kernel has seen to that. Each is another open file. */
	fd = lock_open(f, O_RDWR, 0);
	fd2 = lock_open(f, O_RDONLY, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(fd2, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	ck_assert_int_eq(fcntl(fd2, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	ck_assert_int_eq(flock(fd2, LOCK_EX | LOCK_NB), -1);
	ck_assert_int_eq(fstat(fd, &a), 0);
	ck_assert_int_eq(stat(rig_path("f"), &b), 0);
	ck_assert_uint_eq(a.st_ino, b.st_ino);
	ck_assert_uint_eq(b.st_mode & 07777, 06000);
	/* Without a name, and after a restart. */
	ck_assert_int_eq(rig_remove(RPC_UNLINK, 1, "f"), 0);
	rig_restart();
	close(fd2);
	fd2 = lock_open(f, O_RDWR, 0);
	ck_assert_int_ge(fd2, 0);
	ck_assert_int_eq(flock(fd2, LOCK_EX | LOCK_NB), -1);
	close(fd);
	ck_assert_int_eq(flock(fd2, LOCK_EX | LOCK_NB), 0);
	close(fd2);
	for (size_t i = 0; i < countof(bad); i++)
		ck_assert_int_eq(lock_open(f, bad[i], 0), -EINVAL);
	ck_assert_int_eq(lock_open(f, O_RDWR, RPC_OPEN_KILLPRIV), -EINVAL);
	ck_assert_int_eq(lock_open(1, O_RDONLY, 0), -EBADF);
	ck_assert_int_eq(lock_open(12345, O_RDONLY, 0), -ESTALE);
	ck_assert_int_eq(mkfifo(rig_path("p"), 0666), 0);
	ck_assert_int_eq(symlink("f", rig_path("s")), 0);
	n = (uint64_t)rig_lookup(1, "p");
	ck_assert_int_eq(lock_open(n, O_RDWR, 0), -EBADF);
	n = (uint64_t)rig_lookup(1, "s");
	ck_assert_int_eq(lock_open(n, O_RDONLY, 0), -EBADF);
	/* The worker keeps none of them. */
	ck_assert_uint_le(rig_open_fds(), before + 4);
}
END_TEST

/* A worker without privileges, and modes that have changed since the guest opened the file for both. */
START_TEST(lock_files_denied)
{
	static const struct {
		mode_t mode;
		int got; /* O_ACCMODE, or a negative errno */
	} rows[] = {
		{ 0666, O_RDWR }, { 0222, O_WRONLY }, { 0444, O_RDONLY }, { 0, -EACCES },
	};
	uint64_t f;
	int fd;

	rig_host_file("f");
	f = (uint64_t)rig_lookup(1, "f");
	for (size_t i = 0; i < countof(rows); i++) {
		ck_assert_int_eq(chmod(rig_path("f"), rows[i].mode), 0);
		fd = lock_open(f, O_RDWR, 0);
		ck_assert_int_eq(fd < 0 ? fd : fcntl(fd, F_GETFL) & O_ACCMODE, rows[i].got);
	}
	ck_assert_int_eq(chmod(rig_path("f"), 0222), 0);
	ck_assert_int_eq(lock_open(f, O_RDONLY, 0), -EACCES);
}
END_TEST

/* Nobody asked for locks; or for fds in the front. */
START_TEST(no_lock_files)
{
	rig_setup();
	rig.opt.dev.flags |= _i == 0 ? 0 : _i == 1 ? DEV_FLOCK | DEV_NO_DONATION : DEV_FLOCK | DEV_READONLY;
	rig_start();
	rig_host_file("f");
	ck_assert_int_eq(lock_open((uint64_t)rig_lookup(1, "f"), O_RDWR, 0), _i < 2 ? -ENOLCK : -EROFS);
	ck_assert_int_eq(_i == 2, lock_open((uint64_t)rig_lookup(1, "f"), O_RDONLY, 0) >= 0);
}
END_TEST

static void
nothing(void)
{
}

int
main(void)
{
	Suite *s = suite_create("worker beyond the reference");

	rig_add_test(s, statx_of, rig_plain, rig_teardown, 1);
	rig_add_test(s, every_flag, rig_plain, rig_teardown, 1);
	rig_add_test(s, no_such_flags, rig_plain, rig_teardown, 1);
	rig_add_test(s, project, rig_plain, rig_teardown, 1);
	rig_add_test(s, tmpfile_linked, rig_plain, rig_teardown, 4);
	rig_add_test(s, tmpfile_excl, rig_plain, rig_teardown, 1);
	rig_add_test(s, tmpfile_served, rig_plain, rig_teardown, 1);
	rig_add_test(s, tmpfile_as, rig_plain, rig_teardown, (int)countof(made_as));
	rig_add_test(s, tmpfile_refused, rig_plain, rig_teardown, 1);
	rig_add_test(s, tmpfile_replayed, rig_plain, rig_teardown, (int)countof(replays));
	rig_add_test(s, lock_files, with_locks, rig_teardown, 1);
	rig_add_test(s, lock_files_denied, rootless_locks, rig_teardown, 1);
	rig_add_test(s, no_lock_files, nothing, rig_teardown, 3);
	return rig_run(s);
}
