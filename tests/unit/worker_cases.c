/* SPDX-License-Identifier: BSD-3-Clause */
/* See worker_cases.h. Runs in: tests. */
#include "tests/unit/worker_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/attr.h"
#include "tests/unit/worker_rig.h"

const struct worker_case worker_cases[] = {
	{ "mkdir", RPC_MKDIR, "new", NULL, 0755, 0, 0, 0, 0, -EEXIST, NULL },
	{ "mkdir of a user", RPC_MKDIR, "new", NULL, 0700, 0, 0, 1000, 1001, -EEXIST, NULL },
	{ "mknod fifo", RPC_MKNOD, "new", NULL, S_IFIFO | 0644, 0, 0, 0, 0, -EEXIST, NULL },
	{ "mknod device", RPC_MKNOD, "new", NULL, S_IFCHR | 0644, 0x103, 0, 0, 0, -EEXIST, NULL },
	{ "symlink", RPC_SYMLINK, "new", "to", 0, 0, 0, 0, 0, -EEXIST, NULL },
	{ "create excl", RPC_CREATE, "new", NULL, 0644, 0, O_RDWR | O_EXCL, 0, 0, -EEXIST, NULL },
	{ "create excl of a user", RPC_CREATE, "new", NULL, 0600, 0, O_RDWR | O_EXCL, 1000, 1001, -EEXIST, NULL },
	{ "create", RPC_CREATE, "new", NULL, 0644, 0, O_RDWR, 0, 0, 0, NULL },
	{ "create trunc", RPC_CREATE, "new", NULL, 0644, 0, O_RDWR | O_TRUNC, 0, 0, 0, NULL },
	{ "link", RPC_LINK, "new", NULL, 0, 0, 0, 0, 0, -EEXIST, NULL },
	{ "unlink", RPC_UNLINK, "f", NULL, 0, 0, 0, 0, 0, -ENOENT, "f" },
	{ "rmdir", RPC_RMDIR, "d", NULL, 0, 0, 0, 0, 0, -ENOENT, "d" },
	{ "rename", RPC_RENAME, "f", "new", 0, 0, 0, 0, 0, -ENOENT, NULL },
	{ "rename over", RPC_RENAME, "f", "h", 0, 0, 0, 0, 0, -ENOENT, "h" },
	{ "rename over a directory", RPC_RENAME, "e", "d", 0, 0, 0, 0, 0, -ENOENT, "d" },
	{ "rename noreplace", RPC_RENAME, "f", "new", 0, 0, RENAME_NOREPLACE, 0, 0, -ENOENT, NULL },
	{ "rename exchange", RPC_RENAME, "f", "h", 0, 0, RENAME_EXCHANGE, 0, 0, 1, NULL },
	{ "rename whiteout", RPC_RENAME, "f", "new", 0, 0, RENAME_WHITEOUT, 0, 0, 1, NULL },
};
const unsigned worker_ncases = countof(worker_cases);

static ino_t ino_f, ino_h, ino_e;

static ino_t
ino_of(const char *name)
{
	struct stat st;

	return lstat(rig_path(name), &st) == 0 ? st.st_ino : 0;
}

void
case_prepare(void)
{
	rig_host_file("f");
	rig_host_file("h");
	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	ck_assert_int_eq(mkdir(rig_path("e"), 0755), 0);
	ino_e = ino_of("e");
	ino_f = ino_of("f");
	ino_h = ino_of("h");
}

uint64_t
case_lookup(void)
{
	int64_t f = rig_lookup(1, "f");

	ck_assert_int_gt(f, 1);
	return (uint64_t)f;
}

void *
case_ask(const struct worker_case *c, uint64_t f)
{
	void *p = rig_add(0, c->op, NULL, 0, c->name1, c->name2);
	struct rpc_create *q = p;

	if (c->op == RPC_RENAME) {
		struct rpc_rename *r = p;

		r->olddir = r->newdir = 1;
		r->flags = c->flags;
	} else if (c->op == RPC_LINK) {
		struct rpc_link *k = p;

		k->node = f;
		k->newdir = 1;
	} else if (c->op == RPC_UNLINK || c->op == RPC_RMDIR)
		((struct rpc_node *)p)->node = 1;
	else {
		q->dir = 1;
		q->fh = 77;
		q->mode = c->mode;
		q->rdev = c->rdev;
		q->flags = c->op == RPC_CREATE ? c->flags : 0;
		q->uid = c->uid;
		q->gid = c->gid;
	}
	return p;
}

void
case_effect(const struct worker_case *c)
{
	const char *one = rig_path(c->name1), *two = c->name2 != NULL ? rig_path(c->name2) : "";
	int r = 0, fd;

	switch (c->op) {
	case RPC_MKDIR:
		r = mkdir(one, c->mode);
		break;
	case RPC_MKNOD:
		r = mknod(one, c->mode, c->rdev);
		break;
	case RPC_SYMLINK:
		r = symlink(c->name2, one);
		break;
	case RPC_CREATE:
		fd = open(one, O_RDWR | O_CREAT | O_EXCL, c->mode);
		ck_assert_int_ge(fd, 0);
		close(fd);
		break;
	case RPC_LINK:
		r = link(rig_path("f"), one);
		break;
	case RPC_UNLINK:
		r = unlink(one);
		break;
	case RPC_RMDIR:
		r = rmdir(one);
		break;
	default:
		r = renameat2(AT_FDCWD, one, AT_FDCWD, two, c->flags);
		break;
	}
	ck_assert_int_eq(r, 0);
	if (c->uid != 0)
		ck_assert_int_eq(lchown(one, c->uid, c->gid), 0);
}

bool
case_is_done(const struct worker_case *c)
{
	char target[16] = "";
	struct stat st;

	switch (c->op) {
	case RPC_UNLINK:
	case RPC_RMDIR:
		return ino_of(c->name1) == 0;
	case RPC_RENAME:
		if ((c->flags & RENAME_EXCHANGE) != 0)
			return ino_of("f") == ino_h && ino_of("h") == ino_f;
		if ((c->flags & RENAME_WHITEOUT) != 0)
			return lstat(rig_path("f"), &st) == 0 && S_ISCHR(st.st_mode) && ino_of(c->name2) == ino_f;
		return ino_of(c->name1) == 0 && ino_of(c->name2) == (c->name1[0] == 'e' ? ino_e : ino_f);
	case RPC_LINK:
		return ino_of("new") == ino_f && ino_of("f") == ino_f;
	default:
		break;
	}
	if (lstat(rig_path("new"), &st) != 0 || st.st_uid != c->uid || st.st_gid != c->gid)
		return false;
	if (c->op == RPC_SYMLINK)
		return S_ISLNK(st.st_mode) && readlink(rig_path("new"), target, 15) == 2 && strcmp(target, "to") == 0;
	if (c->op == RPC_MKNOD)
		return st.st_mode == c->mode && st.st_rdev == c->rdev;
	return st.st_mode == (c->mode | (mode_t)(c->op == RPC_MKDIR ? S_IFDIR : S_IFREG));
}

bool
case_is_undone(const struct worker_case *c)
{
	(void)c;
	return ino_of("f") == ino_f && ino_of("h") == ino_h && ino_of("new") == 0 && ino_of("d") != 0 &&
	    ino_of("e") == ino_e;
}

static void
note(const char *name, uint64_t *ino, uint32_t *dev)
{
	struct stat st;

	*ino = 0;
	*dev = 0;
	if (name == NULL || lstat(rig_path(name), &st) != 0)
		return;
	*ino = st.st_ino;
	*dev = major(st.st_dev) << 20 | minor(st.st_dev);
}

void
case_journal(const struct worker_case *c, struct journal_entry *e, uint64_t tag, enum journal_state state, int error)
{
	e->tag = tag;
	e->op = c->op;
	e->error = error;
	e->ino1 = e->ino2 = 0;
	e->dev1 = e->dev2 = 0;
	note(c->name1, &e->ino1, &e->dev1);
	if (!case_makes(c))
		note(c->name2, &e->ino2, &e->dev2);
	e->state = state;
}
