/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of creations with a security label and with supplementary groups, against the real executable: what is made, what is not,
 * what a death in the middle leaves (crash/virtiofsd-worker beside WORKER_EXE). The label is called security.capability here,
 * because that can be set on every type of inode without CAP_SYS_ADMIN. Links worker_rig*.c. Needs root.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/unit/worker_rig.h"

#define LABEL "security.capability"
#define CRASH_FILE ".virtiofsd-crash"

static const struct vfs_cap_data value = { .magic_etc = VFS_CAP_REVISION_2, .data[0].permitted = 1u << CAP_CHOWN };

static const struct kind {
	uint16_t op;
	const char *target;
	mode_t mode;
	uint32_t flags;
} kinds[] = {
	{ RPC_MKDIR, NULL, S_IFDIR | 0755, 0 },
	{ RPC_MKNOD, NULL, S_IFIFO | 0644, 0 },
	{ RPC_MKNOD, NULL, S_IFREG | 0644, 0 },
	{ RPC_SYMLINK, "to", S_IFLNK | 0777, 0 },
	{ RPC_CREATE, NULL, S_IFREG | 0640, O_RDWR | O_EXCL },
	{ RPC_CREATE, NULL, S_IFREG | 0640, O_RDWR },
};

/* Collect a creation; label NULL: none. */
static struct rpc_create *
ask(const struct kind *k, const char *label, const void *bytes, uint32_t size)
{
	struct rpc_create *q = rig_make(k->op, 1, "new", k->target, k->op == RPC_MKDIR ? k->mode & 07777 : k->mode);
	char *p = rig.lane[0].arena + 4096;

	q->fh = 77;
	q->flags = k->flags;
	if (label == NULL)
		return q;
	q->label_name = (uint32_t)strlen(label);
	q->label_size = size;
	q->h.aoff = 4096;
	q->h.alen = RPC_CREATE_GROUPS_AT(q->label_name, size);
	memcpy(p, label, q->label_name);
	memcpy(p + q->label_name, bytes, size);
	return q;
}

/* Call; the donated fd is closed. Returns the error. */
static int
call(void)
{
	int r = rig_call()->error;

	if (rig.lane[0].nfds == 1)
		close(rig.lane[0].fds[0]);
	return r;
}

static bool
is_there(const struct kind *k)
{
	struct stat st;

	return lstat(rig_path("new"), &st) == 0 && st.st_mode == k->mode;
}

static bool
is_labelled(void)
{
	struct vfs_cap_data got;

	return lgetxattr(rig_path("new"), LABEL, &got, sizeof(got)) == sizeof(got) &&
	    got.data[0].permitted == value.data[0].permitted;
}

START_TEST(labelled)
{
	const struct kind *k = &kinds[_i];

	ask(k, LABEL, &value, sizeof(value));
	ck_assert_int_eq(call(), 0);
	ck_assert(is_there(k) && is_labelled());
	/* what is there is not labelled again, nor taken away */
	ck_assert_int_eq(lremovexattr(rig_path("new"), LABEL), 0);
	ask(k, LABEL, &value, sizeof(value));
	ck_assert_int_eq(call(), k->op == RPC_CREATE && (k->flags & O_EXCL) == 0 ? 0 : -EEXIST);
	ck_assert(is_there(k) && !is_labelled());
}
END_TEST

/* C14: whatever goes wrong, nothing was made and no fd is left. */
START_TEST(label_refused)
{
	const struct kind *k = &kinds[_i];
	const struct {
		const char *name;
		uint32_t size;
		int error;
	} rows[] = {
		{ "trusted.x", 4, -EPERM },		/* no CAP_SYS_ADMIN */
		{ "security.x", 4, -EPERM },
		{ LABEL, 4, -EINVAL },			/* not what this one looks like */
		{ "other.x", 4, -EOPNOTSUPP },
		{ "system.posix_acl_access", 4, -EOPNOTSUPP },
		{ "user.large", RPC_LABEL_MAX, S_ISREG(k->mode) || S_ISDIR(k->mode) ? -ENOSPC : -EPERM },
	};
	static const char junk[RPC_LABEL_MAX];
	unsigned before = rig_open_fds();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r;

		ask(k, rows[i].name, junk, rows[i].size);
		r = call();
		ck_assert_msg(r == rows[i].error || (rows[i].error == -ENOSPC && r == -E2BIG), "%s: %d", rows[i].name, r);
		ck_assert_int_eq(access(rig_path("new"), F_OK), -1);
		ck_assert(!is_there(k));
	}
	ck_assert_uint_eq(rig_open_fds(), before);
}
END_TEST

static void
setup_map(void)
{
	rig_setup();
	rig.opt.tables.xattrmap = ":map:security.selinux:user.virtiofs.: ";
	rig_start();
}

/* The name goes through the map like that of any request. */
START_TEST(label_mapped)
{
	char buf[16];

	ask(&kinds[0], "security.selinux", "t:s0", 5);
	ck_assert_int_eq(call(), 0);
	ck_assert_int_eq(getxattr(rig_path("new"), "user.virtiofs.security.selinux", buf, sizeof(buf)), 5);
	ck_assert_int_eq(rmdir(rig_path("new")), 0);
	ask(&kinds[0], "user.virtiofs.x", "t:s0", 5);
	ck_assert_int_eq(call(), -EPERM);
	ck_assert_int_eq(access(rig_path("new"), F_OK), -1);
	/* user.* cannot be on a symlink */
	ask(&kinds[3], "security.selinux", "t:s0", 5);
	ck_assert_int_eq(call(), -EPERM);
	ck_assert(!is_there(&kinds[3]));
}
END_TEST

/* A front that lies: nothing is made, the worker lives. */
START_TEST(hostile)
{
	struct rpc_create *q;
	uint32_t few[2] = { 1, 2 };

	for (unsigned i = 0; i < 9; i++) {
		q = ask(&kinds[0], LABEL, &value, sizeof(value));
		switch (i) {
		case 0: q->label_name = RPC_XATTR_MAX + 1; break;
		case 1: q->label_size = RPC_LABEL_MAX + 1; break;
		case 2: q->ngroups = RPC_GROUPS_ARENA_MAX + 1; break;
		case 3: q->label_size = q->h.alen - q->label_name + 1; break;
		case 4: q->ngroups = 1; break;
		case 5: rig.lane[0].arena[4096 + 3] = '\0'; break;
		case 6: q->label_size = 0; break;
		case 7: q->label_name = 0; break;
		case 8: q->oflags = 0x400; break;
		}
		ck_assert_msg(call() == -EINVAL, "%u", i);
	}
	q = rig_add(0, RPC_MKDIR, few, 2, "new", NULL);
	q->dir = 1;
	q->ngroups = 2;
	q->h.alen = 8;
	ck_assert_int_eq(call(), -EINVAL);
	ck_assert_int_eq(access(rig_path("new"), F_OK), -1);
}
END_TEST

static void
no_groups(void)
{
	char path[64], line[256];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)rig.pid);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL) {
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", (int)rig.pid, e->d_name);
		f = fopen(path, "r");
		ck_assert_ptr_nonnull(f);
		while (fgets(line, sizeof(line), f) != NULL) {
			if (strncmp(line, "Groups:", 7) == 0)
				ck_assert_uint_eq(strspn(line + 7, " \t\n"), strlen(line + 7));
			if (strncmp(line, "Uid:", 4) == 0)
				ck_assert_str_eq(line, "Uid:\t0\t0\t0\t0\n");
			if (strncmp(line, "Gid:", 4) == 0)
				ck_assert_str_eq(line, "Gid:\t0\t0\t0\t0\n");
		}
		fclose(f);
	}
	closedir(d);
}

/* Make "in" in a directory that only its group 77 may write to. */
static int
make_with_groups(uint64_t dir, uint32_t uid, uint32_t nr, uint32_t member, bool known)
{
	static uint32_t groups[RPC_GROUPS_ARENA_MAX];
	struct rpc_create *q;

	for (uint32_t i = 0; i < nr; i++)
		groups[i] = 100000 + i;
	if (nr > 0)
		groups[nr - 1] = member;
	if (nr <= RPC_GROUPS_MAX)
		q = rig_add(0, RPC_MKDIR, groups, nr, "in", NULL);
	else {
		q = rig_add(0, RPC_MKDIR, NULL, 0, "in", NULL);
		q->ngroups = nr;
		q->h.aoff = 8192;
		q->h.alen = nr * 4;
		memcpy(rig.lane[0].arena + 8192, groups, nr * sizeof(groups[0]));
	}
	q->dir = dir;
	q->uid = q->gid = uid;
	q->mode = 0755;
	q->oflags = known ? RPC_CREATE_GROUPS : 0;
	return call();
}

/* S3, S5: groups count while something is made, whoever makes it, and are gone afterwards, also after a failure. */
START_TEST(groups)
{
	const uint32_t counts[] = { 1, 2, 64, 65, 1000, 65536 };
	int64_t dir;

	ck_assert_int_eq(mkdir(rig_path("team"), 0), 0);
	ck_assert_int_eq(chown(rig_path("team"), 5, 77), 0);
	ck_assert_int_eq(chmod(rig_path("team"), 0770), 0);
	dir = rig_lookup(1, "team");
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		ck_assert_int_eq(make_with_groups((uint64_t)dir, 1000, counts[i], 78, true), -EACCES);
		no_groups();
		ck_assert_int_eq(make_with_groups((uint64_t)dir, 1000, counts[i], 77, true), 0);
		no_groups();
		ck_assert_int_eq(rmdir(rig_path("team/in")), 0);
		ck_assert_int_eq(make_with_groups((uint64_t)dir, 1000, 0, 0, true), -EACCES);
		/* nothing but groups changes */
		ck_assert_int_eq(make_with_groups((uint64_t)dir, 0, counts[i], 77, true), 0);
		no_groups();
		ck_assert_int_eq(rmdir(rig_path("team/in")), 0);
		/* no id: the groups were set already */
		ck_assert_int_eq(make_with_groups((uint64_t)dir, UINT32_MAX, counts[i], 77, true), -EINVAL);
		no_groups();
	}
	/* groups that the guest does not tell may be the reason for the access */
	ck_assert_int_eq(make_with_groups((uint64_t)dir, 1000, 0, 0, false), 0);
	no_groups();
}
END_TEST

/* ---- deaths ---- */

static const struct point {
	const char *place;
	bool there, has_label; /* what the death leaves */
} points[] = {
	{ "before-journal", false, false },
	{ "after-executing", false, false },
	{ "before-label", true, false },
	{ "after-label", true, true },
	{ "after-syscall", true, true },
	{ "after-done", true, true },
	{ "before-reply", true, true },
};
#define NPOINTS (sizeof(points) / sizeof(points[0]))
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static void
use_crash_worker(bool yes)
{
	static char plain[512], path[600];
	const char *slash;

	if (plain[0] == '\0')
		snprintf(plain, sizeof(plain), "%s", getenv("WORKER_EXE") != NULL ? getenv("WORKER_EXE") : "build/virtiofsd-worker");
	slash = strrchr(plain, '/');
	snprintf(path, sizeof(path), "%.*s/crash/virtiofsd-worker", slash != NULL ? (int)(slash - plain) : 1, slash != NULL ? plain : ".");
	setenv("WORKER_EXE", yes ? path : plain, 1);
}

static void
setup_crash(void)
{
	use_crash_worker(true);
	rig_plain();
}

static void
teardown_crash(void)
{
	rig_teardown();
	use_crash_worker(false);
}

static void
arm(uint16_t op, const char *place)
{
	FILE *f = fopen(rig_path(CRASH_FILE), "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "%s:%s\n", rpc_op_name(op), place);
	fclose(f);
}

/* Ask, die, ask the next worker the same. Its error. */
static int
ask_over_death(const struct kind *k, const char *place, const char *label, const void *bytes, uint32_t size)
{
	struct rpc_create *q;
	uint64_t tag;
	int status;

	arm(k->op, place);
	q = ask(k, label, bytes, size);
	tag = q->h.tag;
	rig_send(0);
	ck_assert_ptr_null(rig_recv(0));
	status = rig_wait_exit();
	ck_assert(status != -1 && WIFSIGNALED(status));
	rig_kill();
	ck_assert_int_eq(access(rig_path(CRASH_FILE), F_OK), -1);
	return (int)tag;
}

static int
ask_again(const struct kind *k, int tag, const char *label, const void *bytes, uint32_t size)
{
	rig_start_next();
	rig_replay(ask(k, label, bytes, size), (uint64_t)tag);
	return call();
}

START_TEST(label_over_death)
{
	const struct kind *k = &kinds[(unsigned)_i % NKINDS];
	const struct point *p = &points[(unsigned)_i / NKINDS];
	int tag = ask_over_death(k, p->place, LABEL, &value, sizeof(value));

	ck_assert_int_eq(is_there(k), p->there);
	ck_assert_int_eq(is_labelled(), p->has_label);
	ck_assert_int_eq(ask_again(k, tag, LABEL, &value, sizeof(value)), 0);
	ck_assert(is_there(k) && is_labelled());
}
END_TEST

/* The label cannot be set: whatever place the worker dies at, the answer is that, and nothing is there. */
START_TEST(refused_over_death)
{
	const struct kind *k = &kinds[(unsigned)_i % NKINDS];
	const struct point *p = &points[(unsigned)_i / NKINDS];
	int tag;

	if (strcmp(p->place, "before-reply") == 0)
		return; /* an error is no reply with a place in the batch */
	tag = ask_over_death(k, p->place, "trusted.x", "v", 1);
	ck_assert_int_eq(ask_again(k, tag, "trusted.x", "v", 1), -EPERM);
	ck_assert(!is_there(k));
}
END_TEST

/* What was there before is neither labelled nor removed by a request sent again. */
START_TEST(foreign_over_death)
{
	const struct kind *k = &kinds[_i];
	const bool may_exist = k->op == RPC_CREATE && (k->flags & O_EXCL) == 0;
	int tag;

	ask(k, NULL, NULL, 0);
	ck_assert_int_eq(call(), 0);
	tag = ask_over_death(k, "after-executing", LABEL, &value, sizeof(value));
	ck_assert_int_eq(ask_again(k, tag, LABEL, &value, sizeof(value)), may_exist ? 0 : -EEXIST);
	ck_assert(is_there(k) && !is_labelled());
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("worker making");

	use_crash_worker(false);
	rig_add_test(s, labelled, rig_plain, rig_teardown, (int)NKINDS);
	rig_add_test(s, label_refused, rig_plain, rig_teardown, (int)NKINDS);
	rig_add_test(s, label_mapped, setup_map, rig_teardown, 1);
	rig_add_test(s, hostile, rig_plain, rig_teardown, 1);
	rig_add_test(s, groups, rig_plain, rig_teardown, 1);
	rig_add_test(s, label_over_death, setup_crash, teardown_crash, (int)(NKINDS * NPOINTS));
	rig_add_test(s, refused_over_death, setup_crash, teardown_crash, (int)(NKINDS * NPOINTS));
	rig_add_test(s, foreign_over_death, setup_crash, teardown_crash, (int)NKINDS);
	return rig_run(s);
}
