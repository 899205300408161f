/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of --translate-uid and --translate-gid where they apply (spec/idmap.md sections 3 to 5), against the real executable:
 * creation, supplementary groups, SETATTR, the attributes of every reply, ACCESS. Links worker_rig*.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/attr.h"
#include "tests/unit/worker_rig.h"

#define EIO_ UINT32_MAX	/* what making something as this id says */

/* Each type in both directions. owner: of a file on the host; seen: by the guest. caller: in the guest; made: on the host. */
static const struct row {
	const char *entry[3];
	struct { uint32_t owner, seen; } host[4];
	struct { uint32_t caller, made; } guest[4];
} rows[] = {
	{ { "guest:1000:5000:10" }, { { 5000, 5000 }, { 1000, 1000 }, { 7, 7 } }, { { 1000, 5000 }, { 1009, 5009 }, { 1010, 1010 } } },
	{ { "host:5000:1000:10" }, { { 5000, 1000 }, { 5009, 1009 }, { 5010, 5010 } }, { { 1000, 1000 }, { 5000, 5000 } } },
	{ { "squash-guest:1000:42:10" }, { { 42, 42 }, { 1000, 1000 } }, { { 1000, 42 }, { 1009, 42 }, { 999, 999 } } },
	{ { "squash-host:1:65534:1000" }, { { 1, 65534 }, { 1000, 65534 }, { 1001, 1001 } }, { { 1, 1 }, { 500, 500 } } },
	{ { "map:2000:4000:10" }, { { 4000, 2000 }, { 2000, 2000 }, { 4009, 2009 } }, { { 2000, 4000 }, { 4000, 4000 }, { 2009, 4009 } } },
	{ { "forbid-guest:1000:10" }, { { 1000, 1000 } }, { { 1000, EIO_ }, { 1009, EIO_ }, { 1010, 1010 }, { 5, 5 } } },
	/* root is not switched to on the host; a guest's root may be somebody else */
	{ { "guest:0:100000:65536", "host:100000:0:65536" }, { { 100000, 0 }, { 100005, 5 }, { 5, 5 } }, { { 5, 100005 }, { 70000, 70000 } } },
	{ { "squash-guest:1000:0:1" }, { { 7, 7 } }, { { 1000, 0 }, { 5, 5 } } },
	{ { "guest:0:7:1" }, { { 7, 7 } }, { { 5, 5 } } },
};

static void
setup(void)
{
	rig_setup();
}

static void
use(const char *const *uid, unsigned n, bool gids)
{
	rig.opt.tables.uid = uid;
	rig.opt.tables.nuid = n;
	if (gids) {
		rig.opt.tables.gid = uid;
		rig.opt.tables.ngid = n;
	}
}

static unsigned
count(const char *const *entry)
{
	unsigned n = 0;

	while (n < 3 && entry[n] != NULL)
		n++;
	return n;
}

/* What READDIRPLUS says of a name in the root. */
static struct rpc_attr
in_listing(const char *name)
{
	struct rpc_file f = { .node = 1, .fh = 50, .hflags = RPC_FILE_HANDLE };
	static char buf[65536];
	int64_t n;

	ck_assert_int_eq(rig_opendir(1, 50), 0);
	n = rig_io(RPC_READDIRPLUS, f, 0, buf, sizeof(buf), 0);
	ck_assert_int_gt(n, 0);
	for (int64_t at = 0; at < n;) {
		struct rpc_direntplus p;
		struct rpc_dirent d;

		memcpy(&p, buf + at, sizeof(p));
		memcpy(&d, buf + at + sizeof(p), sizeof(d));
		if (d.namelen == strlen(name) && memcmp(buf + at + sizeof(p) + sizeof(d), name, d.namelen) == 0)
			return p.e.attr;
		at += (int64_t)(sizeof(p) + ROUND_UP(sizeof(d) + d.namelen, 8));
	}
	ck_abort_msg("%s is not listed", name);
}

static struct rpc_attr_reply *
setattr(uint64_t node, uint32_t valid, uint32_t uid, uint32_t gid, uint32_t mode)
{
	struct rpc_setattr *q = rig_add(0, RPC_SETATTR, NULL, 0, NULL, NULL);

	q->f.node = node;
	q->valid = valid;
	q->uid = uid;
	q->gid = gid;
	q->mode = mode;
	return (void *)rig_call();
}

/* Every attribute that the guest is shown. Ids of users and of groups are translated apart: here only those of users. */
START_TEST(to_guest)
{
	const struct row *r = &rows[_i];
	struct rpc_entry_body e;
	struct rpc_attr a;
	int64_t node;

	use(r->entry, count(r->entry), false);
	rig_host_file("f");
	rig_start();
	for (unsigned i = 0; i < 4 && r->host[i].owner != 0; i++) {
		uint32_t owner = r->host[i].owner, seen = r->host[i].seen;

		ck_assert_int_eq(lchown(rig_path("f"), owner, owner), 0);
		node = rig_lookup_attr(1, "f", &e);
		ck_assert_uint_eq(e.attr.uid, seen);
		ck_assert_uint_eq(e.attr.gid, owner);
		ck_assert_int_eq(rig_getattr((uint64_t)node, &a), 0);
		ck_assert_uint_eq(a.uid, seen);
		ck_assert_uint_eq(a.gid, owner);
		a = in_listing("f");
		ck_assert_uint_eq(a.uid, seen);
		ck_assert_uint_eq(a.gid, owner);
		a = setattr((uint64_t)node, RPC_SET_MODE, 0, 0, 0640)->attr;
		ck_assert_uint_eq(a.uid, seen);
		ck_assert_uint_eq(a.gid, owner);
	}
}
END_TEST

START_TEST(to_guest_groups)
{
	const struct row *r = &rows[_i];
	struct rpc_entry_body e;

	rig.opt.tables.gid = r->entry;
	rig.opt.tables.ngid = count(r->entry);
	rig_host_file("f");
	rig_start();
	for (unsigned i = 0; i < 4 && r->host[i].owner != 0; i++) {
		ck_assert_int_eq(lchown(rig_path("f"), r->host[i].owner, r->host[i].owner), 0);
		rig_lookup_attr(1, "f", &e);
		ck_assert_uint_eq(e.attr.uid, r->host[i].owner);
		ck_assert_uint_eq(e.attr.gid, r->host[i].seen);
	}
}
END_TEST

static const struct {
	uint16_t op;
	const char *target;
	uint32_t mode;
} kinds[] = {
	{ RPC_MKDIR, NULL, 0755 },
	{ RPC_MKNOD, NULL, S_IFIFO | 0644 },
	{ RPC_SYMLINK, "t", 0 },
	{ RPC_CREATE, NULL, 0644 },
};

/* What a caller makes, in each way; and SETATTR. */
START_TEST(to_host)
{
	const struct row *r = &rows[_i];
	struct rpc_entry *a;
	struct stat st;
	int64_t node;

	use(r->entry, count(r->entry), true);
	ck_assert_int_eq(chmod(rig.share, 0777), 0);
	rig_host_file("f");
	rig_start();
	node = rig_lookup(1, "f");
	for (unsigned i = 0; i < 4 && r->guest[i].caller != 0; i++) {
		uint32_t caller = r->guest[i].caller, made = r->guest[i].made;

		for (unsigned k = 0; k < countof(kinds); k++) {
			struct rpc_create *q = rig_make(kinds[k].op, 1, "new", kinds[k].target, kinds[k].mode);

			q->uid = q->gid = caller;
			q->flags = O_RDWR | O_EXCL;
			q->oflags = RPC_CREATE_GROUPS | RPC_OPEN_NODONATE;
			a = (void *)rig_call();
			ck_assert_int_eq(a->h.error, made == EIO_ ? -EIO : 0);
			ck_assert_int_eq(lstat(rig_path("new"), &st), made == EIO_ ? -1 : 0);
			if (made == EIO_)
				continue;
			ck_assert_uint_eq(st.st_uid, made);
			ck_assert_uint_eq(st.st_gid, made);
			ck_assert_int_eq(remove(rig_path("new")), 0);
		}
		/* the mode is changed before the owner is found to be forbidden */
		a = (void *)setattr((uint64_t)node, RPC_SET_MODE | RPC_SET_UID | RPC_SET_GID, caller, caller, 0600 + i);
		ck_assert_int_eq(a->h.error, made == EIO_ ? -EIO : 0);
		ck_assert_int_eq(stat(rig_path("f"), &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0600 + i);
		if (made != EIO_)
			ck_assert(st.st_uid == made && st.st_gid == made);
	}
}
END_TEST

/* Guest root that is somebody else creates as that; without bits that say so nothing is translated. */
START_TEST(guest_root)
{
	static const char *const entry[] = { "squash-guest:0:7:1", "forbid-guest:9:1" };
	struct rpc_create *q;
	struct stat st;
	int64_t node;

	use(entry, 2, true);
	ck_assert_int_eq(chmod(rig.share, 0777), 0);
	rig_host_file("f");
	rig_start();
	ck_assert_int_gt(rig_made(RPC_MKDIR, 1, "d", NULL, 0755), 1);
	ck_assert(stat(rig_path("d"), &st) == 0 && st.st_uid == 7 && st.st_gid == 7);
	node = rig_lookup(1, "f");
	ck_assert_int_eq(setattr((uint64_t)node, RPC_SET_MODE, 9, 9, 0600)->h.error, 0);
	ck_assert_int_eq(setattr((uint64_t)node, RPC_SET_GID, 9, 3, 0)->h.error, 0);
	ck_assert_int_eq(setattr((uint64_t)node, RPC_SET_UID, 9, 3, 0)->h.error, -EIO);
	/* groups: each one */
	q = rig_add(0, RPC_MKDIR, (const uint32_t[]){ 4, 5, 9 }, 3, "e", NULL);
	q->dir = 1;
	q->mode = 0755;
	ck_assert_int_eq(rig_call()->error, -EIO);
	ck_assert_int_eq(access(rig_path("e"), F_OK), -1);
}
END_TEST

/* Supplementary groups are the host's by the time they count. */
START_TEST(groups)
{
	static const char *const gid[] = { "guest:50:77:1" };
	static uint32_t many[100];
	struct rpc_create *q;
	int64_t dir;

	rig.opt.tables.gid = gid;
	rig.opt.tables.ngid = 1;
	ck_assert_int_eq(mkdir(rig_path("team"), 0), 0);
	ck_assert_int_eq(chown(rig_path("team"), 5, 77), 0);
	ck_assert_int_eq(chmod(rig_path("team"), 0770), 0);
	rig_start();
	dir = rig_lookup(1, "team");
	for (unsigned i = 0; i < 3; i++) {
		/* 51 is nobody's; 50 is 77 on the host, alone or among a hundred */
		if (i < 2)
			q = rig_add(0, RPC_MKDIR, (const uint32_t[]){ 51 - i }, 1, "in", NULL);
		else {
			q = rig_add(0, RPC_MKDIR, NULL, 0, "in", NULL);
			many[99] = 50;
			q->ngroups = 100;
			q->h.alen = sizeof(many);
			memcpy(rig.lane[0].arena, many, sizeof(many));
		}
		q->dir = (uint64_t)dir;
		q->uid = q->gid = 1000;
		q->mode = 0755;
		q->oflags = RPC_CREATE_GROUPS;
		ck_assert_int_eq(rig_call()->error, i == 0 ? -EACCES : 0);
		if (i > 0)
			ck_assert_int_eq(rmdir(rig_path("team/in")), 0);
	}
}
END_TEST

/* The caller's ids are the guest's, and so are the file's that they are compared with. */
START_TEST(access_)
{
	static const char *const uid[] = { "host:5000:1000:1", "guest:1000:3:1" }, *const gid[] = { "host:600:60:1" };
	const struct { uint32_t uid, gid; int r, w; } who[] = {
		{ 1000, 1, 0, 0 }, { 5000, 1, -EACCES, -EACCES }, { 1, 60, 0, -EACCES }, { 1, 600, -EACCES, -EACCES }, { 0, 0, 0, 0 },
	};
	int64_t node;

	rig.opt.tables = (struct tables_source){ .uid = uid, .nuid = 2, .gid = gid, .ngid = 1 };
	rig_host_file("f");
	ck_assert_int_eq(chown(rig_path("f"), 5000, 600), 0);
	ck_assert_int_eq(chmod(rig_path("f"), 0640), 0);
	rig_start();
	node = rig_lookup(1, "f");
	for (unsigned i = 0; i < countof(who); i++)
		for (unsigned mask = 2; mask <= 4; mask += 2) {
			struct rpc_access *q = rig_add(0, RPC_ACCESS, NULL, 0, NULL, NULL);

			q->node = (uint64_t)node;
			q->uid = who[i].uid;
			q->gid = who[i].gid;
			q->mask = mask;
			ck_assert_int_eq(rig_call()->error, mask == 2 ? who[i].w : who[i].r);
		}
}
END_TEST

/* A creation sent again after a death: the next worker translates as well. */
START_TEST(over_death)
{
	static const char *const entry[] = { "map:1000:5000:10" };
	struct rpc_create *q;
	struct rpc_entry *a;
	uint64_t tag;

	use(entry, 1, true);
	ck_assert_int_eq(chmod(rig.share, 0777), 0);
	rig_start();
	q = rig_make(RPC_MKDIR, 1, "d", NULL, 0755);
	q->uid = q->gid = 1000;
	tag = q->h.tag;
	ck_assert_int_eq(rig_call()->error, 0);
	rig_kill();
	rig.journal[0][0].state = JOURNAL_EXECUTING;
	rig_start_next();
	q = rig_make(RPC_MKDIR, 1, "d", NULL, 0755);
	q->uid = q->gid = 1000;
	rig_replay(q, tag);
	a = (void *)rig_call();
	ck_assert_int_eq(a->h.error, 0);
	ck_assert_uint_eq(a->e.attr.uid, 1000);
}
END_TEST

/* A read-only share says so to whoever asks; and what is there is opened for whoever asks. */
START_TEST(readonly)
{
	static const char *const entry[] = { "forbid-guest:9:1" };
	static const struct {
		uint16_t op;
		const char *name, *target;
		uint32_t flags;
		int error;
	} makes[] = {
		{ RPC_CREATE, "n", NULL, O_RDWR | O_EXCL, -EROFS }, { RPC_CREATE, "n", NULL, O_RDONLY, -EROFS },
		{ RPC_CREATE, "f", NULL, O_RDWR, -EROFS }, { RPC_CREATE, "f", NULL, O_RDONLY | O_EXCL, -EROFS },
		{ RPC_CREATE, "f", NULL, O_RDONLY, 0 }, { RPC_MKDIR, "n", NULL, 0, -EROFS },
		{ RPC_MKNOD, "n", NULL, 0, -EROFS }, { RPC_SYMLINK, "n", "t", 0, -EROFS },
		{ RPC_TMPFILE, NULL, NULL, O_RDWR, -EROFS },
	};
	int64_t node;

	rig.opt.dev.flags |= DEV_READONLY;
	use(entry, 1, true);
	rig_host_file("f");
	rig_start();
	node = rig_lookup(1, "f");
	for (unsigned i = 0; i < 3 * countof(makes); i++) {
		const uint32_t group = 9;
		struct rpc_create *q = rig_add(0, makes[i / 3].op, &group, i % 3 == 2, makes[i / 3].name, makes[i / 3].target);
		int error;

		q->dir = 1;
		q->mode = 0644;
		q->uid = i % 3 == 0 ? 9 : 1;
		q->gid = i % 3 == 1 ? 9 : 1;
		q->flags = makes[i / 3].flags;
		error = rig_call()->error;
		ck_assert_msg(error == makes[i / 3].error, "row %u, id %u: %d", i / 3, i % 3, error);
		for (size_t k = 0; k < rig.lane[0].nfds; k++)
			close(rig.lane[0].fds[k]);
	}
	ck_assert_int_eq(setattr((uint64_t)node, RPC_SET_UID | RPC_SET_GID, 9, 9, 0)->h.error, -EROFS);
	ck_assert_uint_eq(rig_host_count(), 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("worker ids");

	rig_add_test(s, to_guest, setup, rig_teardown, (int)countof(rows));
	rig_add_test(s, to_guest_groups, setup, rig_teardown, (int)countof(rows));
	rig_add_test(s, to_host, setup, rig_teardown, (int)countof(rows));
	rig_add_test(s, guest_root, setup, rig_teardown, 1);
	rig_add_test(s, groups, setup, rig_teardown, 1);
	rig_add_test(s, access_, setup, rig_teardown, 1);
	rig_add_test(s, over_death, setup, rig_teardown, 1);
	rig_add_test(s, readonly, setup, rig_teardown, 1);
	return rig_run(s);
}
