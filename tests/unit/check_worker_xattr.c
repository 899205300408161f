/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of mapped names, of POSIX ACLs and of a remapped security.capability, against the real executable: the rows of
 * spec/xattrmap.md sections 4 to 6. Links worker_rig*.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/attr.h"
#include "tests/unit/worker_rig.h"

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

/* The value, if there is one, in the arena afterwards. Returns the error or the size. */
static int64_t
call(uint16_t op, uint64_t node, const char *name, const void *value, uint32_t size, uint32_t xflags)
{
	struct rpc_xattr *q = rig_add(0, op, NULL, 0, name, NULL);
	struct rpc_count *a;

	q->node = node;
	q->size = size;
	q->xflags = xflags;
	q->h.alen = size;
	if (value != NULL)
		memcpy(rig.lane[0].arena, value, size);
	a = (void *)rig_call();
	return a->h.error != 0 || op == RPC_SETXATTR || op == RPC_REMOVEXATTR ? a->h.error : (int64_t)a->count;
}

static int64_t
set(uint64_t node, const char *name, const char *value)
{
	return call(RPC_SETXATTR, node, name, value, (uint32_t)strlen(value), 0);
}

static int64_t
get(uint64_t node, const char *name)
{
	return call(RPC_GETXATTR, node, name, NULL, 64, 0);
}

static int64_t
del(uint64_t node, const char *name)
{
	return call(RPC_REMOVEXATTR, node, name, NULL, 0, 0);
}

static bool
host_has(const char *file, const char *name)
{
	return lgetxattr(rig_path(file), name, NULL, 0) >= 0;
}

static void
host_set(const char *file, const char *name)
{
	ck_assert_int_eq(lsetxattr(rig_path(file), name, "host", 4, 0), 0);
}

/* Does the guest's list hold exactly these, in any order? */
static void
check_list(uint64_t node, uint32_t xflags, const char *const *want)
{
	int64_t whole = call(RPC_LISTXATTR, node, NULL, NULL, 0, xflags),
		n = call(RPC_LISTXATTR, node, NULL, NULL, 4096, xflags);
	const char *list = rig.lane[0].arena;
	unsigned found = 0, k = 0;

	ck_assert_int_ge(n, 0);
	/* P17 */
	ck_assert_int_ge(whole, n);
	for (int64_t at = 0; at < n; at += (int64_t)strlen(list + at) + 1, found++) {
		unsigned i = 0;

		while (want[i] != NULL && strcmp(want[i], list + at) != 0)
			i++;
		ck_assert_msg(want[i] != NULL, "'%s' is listed", list + at);
	}
	while (want[k] != NULL)
		k++;
	ck_assert_uint_eq(found, k);
	if (whole > 0)
		ck_assert_int_eq(call(RPC_LISTXATTR, node, NULL, NULL, (uint32_t)whole - 1, xflags), -ERANGE);
}

#define TRUSTED ":map:trusted.:user.virtiofs.:"
#define ALLOF ":map::user.virtiofs.:"
#define REFUSE ":bad:all:user.bad:user.bad: :unsupported:all:user.uns:user.uns: :prefix:client:trusted.:user.t.: :ok:all:::"

/* For each row: set, get, what the host has, remove. */
static const struct {
	const char *map, *name, *host;
	int set, get;
} rows[] = {
	{ NULL, "user.a", "user.a", 0, 1 },
	{ NULL, "trusted.a", NULL, -EPERM, -ENODATA },
	{ NULL, "what.a", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ TRUSTED, "trusted.a", "user.virtiofs.trusted.a", 0, 1 },
	{ TRUSTED, "user.a", "user.a", 0, 1 },
	{ TRUSTED, "user.virtiofs.a", NULL, -EPERM, -ENODATA },
	{ ALLOF, "user.a", "user.virtiofs.user.a", 0, 1 },
	{ ALLOF, "security.selinux", "user.virtiofs.security.selinux", 0, 1 },
	{ ALLOF, "what.ever", "user.virtiofs.what.ever", 0, 1 },
	{ ALLOF, "system.posix_acl_access", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ REFUSE, "user.bad.x", NULL, -EPERM, -ENODATA },
	{ REFUSE, "user.uns.x", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ REFUSE, "trusted.x", "user.t.trusted.x", 0, 1 },
	{ ":ok:all:user.a:user.a:", "user.a", "user.a", 0, 1 },
	{ ":ok:all:user.a:user.a:", "user.b", NULL, -EPERM, -ENODATA },
	/* section 4: what begins one of the names is blocked as well */
	{ NULL, "s", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ NULL, "system.", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ NULL, "system.posix_acl", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ NULL, ACCESS, NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ NULL, DEFAULT, NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ ALLOF, "system.posix_acl_access2", "user.virtiofs.system.posix_acl_access2", 0, 1 },
	{ ALLOF, "system.posix_acl_b", "user.virtiofs.system.posix_acl_b", 0, 1 },
};

static void
setup_row(void)
{
	rig_setup();
}

START_TEST(round_trip)
{
	static const char *const types[] = { "file", "dir" };
	int64_t node;

	rig.opt.tables.xattrmap = rows[_i].map;
	rig_host_file("file");
	ck_assert_int_eq(mkdir(rig_path("dir"), 0755), 0);
	rig_start();
	for (unsigned i = 0; i < countof(types); i++) {
		node = rig_lookup(1, types[i]);
		ck_assert_int_eq(set((uint64_t)node, rows[_i].name, "v"), rows[_i].set);
		ck_assert_int_eq(get((uint64_t)node, rows[_i].name), rows[_i].get);
		if (rows[_i].host == NULL) {
			ck_assert_int_eq(llistxattr(rig_path(types[i]), NULL, 0), 0);
			check_list((uint64_t)node, 0, (const char *[]){ NULL });
			ck_assert_int_eq(del((uint64_t)node, rows[_i].name), rows[_i].set);
			continue;
		}
		ck_assert_mem_eq(rig.lane[0].arena, "v", 1);
		ck_assert(host_has(types[i], rows[_i].host));
		check_list((uint64_t)node, 0, (const char *[]){ rows[_i].map == NULL || strcmp(rows[_i].host, "user.t.trusted.x") != 0 ?
		    rows[_i].name : rows[_i].host, NULL });
		ck_assert_int_eq(del((uint64_t)node, rows[_i].name), 0);
		ck_assert(!host_has(types[i], rows[_i].host));
		ck_assert_int_eq(del((uint64_t)node, rows[_i].name), -ENODATA);
		ck_assert_int_eq(get((uint64_t)node, rows[_i].name), -ENODATA);
	}
}
END_TEST

static const struct {
	const char *map;
	const char *want[8];
} lists[] = {
	{ NULL, { "user.a", "user.bad.x", "user.uns", "user.virtiofs.trusted.x", "user.virtiofs.", "trusted.y", NULL } },
	{ TRUSTED, { "user.a", "user.bad.x", "user.uns", "trusted.x", NULL } },
	{ ALLOF, { "trusted.x", NULL } },
	{ REFUSE, { "user.a", "user.virtiofs.trusted.x", "user.virtiofs.", "trusted.y", NULL } },
	{ ":ok:server::user.a:", { "user.a", NULL } },
	{ ":ok:client:::", { NULL } },
	{ ":prefix:server::user.: :bad:all:::", { "a", "bad.x", "uns", "virtiofs.trusted.x", "virtiofs.", NULL } },
};

/* trusted.y is listed to a lister with CAP_SYS_ADMIN only, which the worker is not. */
START_TEST(listed)
{
	const char *want[8];
	unsigned k = 0;
	int64_t node;

	rig.opt.tables.xattrmap = lists[_i].map;
	rig_host_file("file");
	host_set("file", "user.a");
	host_set("file", "user.bad.x");
	host_set("file", "user.uns");
	host_set("file", "user.virtiofs.trusted.x");
	host_set("file", "user.virtiofs.");
	host_set("file", "trusted.y");
	rig_start();
	node = rig_lookup(1, "file");
	for (unsigned i = 0; lists[_i].want[i] != NULL; i++)
		if (strcmp(lists[_i].want[i], "trusted.y") != 0)
			want[k++] = lists[_i].want[i];
	want[k] = NULL;
	check_list((uint64_t)node, 0, want);
}
END_TEST

struct acl {
	struct posix_acl_xattr_header head;
	struct posix_acl_xattr_entry e[5];
};

/* user::rw- user:1000:rw- group::r-- mask::rw- other::--- */
static const struct acl acl = {
	{ 2 },
	{ { 1, 6, UINT32_MAX }, { 2, 6, 1000 }, { 4, 4, UINT32_MAX }, { 0x10, 6, UINT32_MAX }, { 0x20, 0, UINT32_MAX } },
};

START_TEST(acls)
{
	int64_t file, dir;
	struct stat st;

	rig_host_file("file");
	ck_assert_int_eq(chmod(rig_path("file"), 0604), 0);
	ck_assert_int_eq(mkdir(rig_path("dir"), 0755), 0);
	rig_start();
	file = rig_lookup(1, "file");
	dir = rig_lookup(1, "dir");
	/* not negotiated: as if there were none, also those that the host has */
	ck_assert_int_eq(call(RPC_SETXATTR, (uint64_t)file, ACCESS, &acl, sizeof(acl), 0), -EOPNOTSUPP);
	ck_assert_int_eq(lsetxattr(rig_path("file"), ACCESS, &acl, sizeof(acl), 0), 0);
	check_list((uint64_t)file, 0, (const char *[]){ NULL });
	ck_assert_int_eq(get((uint64_t)file, ACCESS), -EOPNOTSUPP);
	ck_assert_int_eq(del((uint64_t)file, ACCESS), -EOPNOTSUPP);
	/* negotiated */
	check_list((uint64_t)file, RPC_XATTR_ACL, (const char *[]){ ACCESS, NULL });
	ck_assert_int_eq(call(RPC_GETXATTR, (uint64_t)file, ACCESS, NULL, 64, RPC_XATTR_ACL), sizeof(acl));
	ck_assert_mem_eq(rig.lane[0].arena, &acl, sizeof(acl));
	ck_assert_int_eq(call(RPC_REMOVEXATTR, (uint64_t)file, ACCESS, NULL, 0, RPC_XATTR_ACL), 0);
	ck_assert(!host_has("file", ACCESS));
	ck_assert_int_eq(call(RPC_SETXATTR, (uint64_t)dir, DEFAULT, &acl, sizeof(acl), RPC_XATTR_ACL), 0);
	ck_assert(host_has("dir", DEFAULT));
	ck_assert_int_eq(call(RPC_SETXATTR, (uint64_t)file, DEFAULT, &acl, sizeof(acl), RPC_XATTR_ACL), -EACCES);
	ck_assert_int_eq(call(RPC_SETXATTR, (uint64_t)file, ACCESS, &acl, sizeof(acl), RPC_XATTR_ACL), 0);
	ck_assert_int_eq(stat(rig_path("file"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	ck_assert_int_eq(call(RPC_SETXATTR, (uint64_t)file, "user.x", "v", 1, 4), -EINVAL);
}
END_TEST

/* P15: a default ACL decides, and the umask does not; without one the umask does. */
START_TEST(inherited)
{
	struct rpc_create *q;
	struct stat st;
	int64_t dir;

	ck_assert_int_eq(mkdir(rig_path("dir"), 0755), 0);
	ck_assert_int_eq(mkdir(rig_path("plain"), 0755), 0);
	ck_assert_int_eq(lsetxattr(rig_path("dir"), DEFAULT, &acl, sizeof(acl), 0), 0);
	rig_start();
	for (unsigned i = 0; i < 2; i++) {
		dir = rig_lookup(1, i == 0 ? "dir" : "plain");
		q = rig_make(RPC_CREATE, (uint64_t)dir, "f", NULL, 0666);
		q->umask = 0077;
		q->flags = O_RDWR;
		q->oflags = RPC_CREATE_ACL | RPC_OPEN_NODONATE;
		ck_assert_int_eq(rig_call()->error, 0);
		q = rig_make(RPC_MKDIR, (uint64_t)dir, "d", NULL, 0777);
		q->umask = 0077;
		ck_assert_int_eq(rig_call()->error, 0);
		q = rig_make(RPC_MKNOD, (uint64_t)dir, "n", NULL, S_IFIFO | 0666);
		q->umask = 0077;
		ck_assert_int_eq(rig_call()->error, 0);
	}
	ck_assert(host_has("dir/f", ACCESS) && host_has("dir/n", ACCESS) && host_has("dir/d", DEFAULT));
	ck_assert(stat(rig_path("dir/f"), &st) == 0 && (st.st_mode & 07777) == 0660);
	ck_assert(stat(rig_path("dir/d"), &st) == 0 && (st.st_mode & 07777) == 0660);
	ck_assert(stat(rig_path("dir/n"), &st) == 0 && (st.st_mode & 07777) == 0660);
	ck_assert(stat(rig_path("plain/f"), &st) == 0 && (st.st_mode & 07777) == 0600);
	ck_assert(stat(rig_path("plain/d"), &st) == 0 && (st.st_mode & 07777) == 0700);
	ck_assert(stat(rig_path("plain/n"), &st) == 0 && (st.st_mode & 07777) == 0600);
	/* and the mask is nobody's afterwards */
	dir = rig_lookup(1, "plain");
	ck_assert_int_gt(rig_made(RPC_MKDIR, (uint64_t)dir, "open", NULL, 0777), 1);
	ck_assert(stat(rig_path("plain/open"), &st) == 0 && (st.st_mode & 07777) == 0777);
}
END_TEST

static mode_t
sgid_after(uint64_t node, const char *name, uint32_t xflags, int error)
{
	struct stat st;

	ck_assert_int_eq(chmod(rig_path("file"), 02770), 0);
	ck_assert_int_eq(call(RPC_SETXATTR, node, name, &acl, sizeof(acl), xflags), error);
	ck_assert_int_eq(stat(rig_path("file"), &st), 0);
	return st.st_mode & 07000;
}

START_TEST(kill_sgid)
{
	const uint32_t both = RPC_XATTR_ACL | RPC_XATTR_KILL_SGID;
	int64_t node;

	rig_host_file("file");
	rig_start();
	node = rig_lookup(1, "file");
	ck_assert_uint_eq(sgid_after((uint64_t)node, ACCESS, RPC_XATTR_ACL, 0), 02000);
	ck_assert_uint_eq(sgid_after((uint64_t)node, ACCESS, both, 0), 0);
	ck_assert_uint_eq(sgid_after((uint64_t)node, "user.x", both, 0), 02000);
	ck_assert_uint_eq(sgid_after((uint64_t)node, DEFAULT, both, -EACCES), 02000);
	ck_assert_uint_eq(sgid_after((uint64_t)node, ACCESS, RPC_XATTR_KILL_SGID, -EOPNOTSUPP), 02000);
}
END_TEST

/* ---- a remapped security.capability (section 6, S17) ---- */

#define R "user.virtiofs.security.capability"

static const struct change {
	const char *what;
	bool drops;
} changes[] = {
	{ "write", true },
	{ "append", true },
	{ "truncate", true },
	{ "truncate by handle", true },
	{ "chown", true },
	{ "chgrp", true },
	{ "setxattr", true },
	{ "open trunc", true },
	{ "create trunc", true },
	{ "fallocate", true },
	{ "copy", true },
	{ "chmod", false },
	{ "times", false },
	{ "open", false },
	{ "read", false },
	{ "removexattr", false },
	{ "write nothing there", false },
};

static struct rpc_setattr *
setattr(uint64_t node, uint32_t valid)
{
	struct rpc_setattr *q = rig_add(0, RPC_SETATTR, NULL, 0, NULL, NULL);

	q->f.node = node;
	q->valid = valid;
	return q;
}

static void
do_change(const char *what, uint64_t node, struct rpc_file f)
{
	struct rpc_fallocate *fa;
	struct rpc_create *c;
	struct rpc_copy *cp;
	char buf[8];
	int fd;

	if (strcmp(what, "write") == 0)
		ck_assert_int_eq(rig_io(RPC_WRITE, f, 0, (char[]){ "x" }, 1, 0), 1);
	else if (strcmp(what, "append") == 0)
		ck_assert_int_eq(rig_io(RPC_WRITE, f, 0, (char[]){ "x" }, 1, RPC_IO_APPEND), 1);
	else if (strcmp(what, "read") == 0)
		ck_assert_int_eq(rig_io(RPC_READ, f, 0, buf, 1, 0), 1);
	else if (strcmp(what, "truncate") == 0) {
		setattr(node, RPC_SET_SIZE);
		ck_assert_int_eq(rig_call()->error, 0);
	} else if (strcmp(what, "truncate by handle") == 0) {
		setattr(node, RPC_SET_SIZE)->f = f;
		ck_assert_int_eq(rig_call()->error, 0);
	} else if (strcmp(what, "chown") == 0 || strcmp(what, "chgrp") == 0 || strcmp(what, "chmod") == 0 ||
	    strcmp(what, "times") == 0) {
		setattr(node, strcmp(what, "chown") == 0 ? RPC_SET_UID : strcmp(what, "chgrp") == 0 ? RPC_SET_GID :
		    strcmp(what, "chmod") == 0 ? RPC_SET_MODE : RPC_SET_MTIME);
		ck_assert_int_eq(rig_call()->error, 0);
	} else if (strcmp(what, "setxattr") == 0)
		ck_assert_int_eq(set(node, "user.y", "v"), 0);
	else if (strcmp(what, "removexattr") == 0)
		ck_assert_int_eq(del(node, "user.none"), -ENODATA);
	else if (strncmp(what, "open", 4) == 0) {
		ck_assert_int_eq(rig_open(node, 8, O_RDWR | (what[4] != '\0' ? O_TRUNC : 0), 0, &fd), 0);
		/* A writer that cannot remove what has to go gets no fd. */
		ck_assert_int_eq(fd, -1);
	} else if (strcmp(what, "create trunc") == 0) {
		c = rig_make(RPC_CREATE, 1, "file", NULL, 0644);
		c->fh = 8;
		c->flags = O_RDWR | O_TRUNC;
		ck_assert_int_eq(rig_call()->error, 0);
		ck_assert_uint_eq(rig.lane[0].nfds, 0);
	} else if (strcmp(what, "fallocate") == 0) {
		fa = rig_add(0, RPC_FALLOCATE, NULL, 0, NULL, NULL);
		fa->f = f;
		fa->length = 100;
		ck_assert_int_eq(rig_call()->error, 0);
	} else if (strcmp(what, "copy") == 0) {
		cp = rig_add(0, RPC_COPY, NULL, 0, NULL, NULL);
		cp->in = cp->out = f;
		cp->off_out = 100;
		cp->len = 2;
		ck_assert_int_eq(rig_call()->error, 0);
	} else if (strcmp(what, "write nothing there") != 0)
		ck_abort_msg("%s", what);
}

START_TEST(capability)
{
	const struct change *c = &changes[_i];
	struct rpc_file f = { .fh = 7, .flags = O_RDWR, .hflags = RPC_FILE_HANDLE };
	int64_t node;
	int fd;

	rig.opt.tables.xattrmap = ALLOF;
	rig_host_file("file");
	ck_assert_int_eq(truncate(rig_path("file"), 4), 0);
	rig_start();
	node = rig_lookup(1, "file");
	f.node = (uint64_t)node;
	ck_assert_int_eq(rig_open(f.node, 7, O_RDWR, 0, &fd), 0);
	ck_assert_int_eq(fd, -1);
	/* nothing to remove is no error */
	do_change(c->what, f.node, f);
	ck_assert_int_eq(truncate(rig_path("file"), 4), 0);
	ck_assert_int_eq(set(f.node, "security.capability", "caps"), 0);
	ck_assert(host_has("file", R));
	/* set again: remove, then set */
	ck_assert_int_eq(set(f.node, "security.capability", "caps"), 0);
	ck_assert(host_has("file", R));
	do_change(c->what, f.node, f);
	ck_assert_int_eq(host_has("file", R), !c->drops);
	if (c->drops)
		ck_assert_int_eq(get(f.node, "security.capability"), -ENODATA);
	/* for reading, a file is given away as ever */
	ck_assert_int_eq(rig_open(f.node, 9, O_RDONLY, 0, &fd), 0);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

/* Section 6: regular files only. user.* could not even be removed from the others. */
START_TEST(capability_of_others)
{
	int64_t node;

	rig.opt.tables.xattrmap = ALLOF;
	ck_assert_int_eq(mkfifo(rig_path("p"), 0644), 0);
	ck_assert_int_eq(symlink("to", rig_path("l")), 0);
	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	ck_assert_int_eq(mknod(rig_path("c"), S_IFCHR | 0644, 0x103), 0);
	host_set("d", R);
	rig_start();
	for (const char *p = "pldc"; *p != '\0'; p++) {
		char name[2] = { *p, '\0' };

		node = rig_lookup(1, name);
		setattr((uint64_t)node, RPC_SET_UID)->uid = 5;
		ck_assert_int_eq(rig_call()->error, 0);
	}
	ck_assert(host_has("d", R));
	/* not remapped: the kernel's own business, and files are given away */
	rig_kill();
	rig.opt.tables.xattrmap = TRUSTED;
	rig_start_next();
	rig_host_file("file");
	node = rig_lookup(1, "file");
	host_set("file", R);
	ck_assert_int_eq(set((uint64_t)node, "user.a", "v"), 0);
	ck_assert(host_has("file", R));
}
END_TEST

/* The next worker maps as the one before it. */
START_TEST(over_death)
{
	int64_t node;

	rig.opt.tables.xattrmap = TRUSTED;
	rig_host_file("file");
	rig_start();
	node = rig_lookup(1, "file");
	ck_assert_int_eq(set((uint64_t)node, "trusted.a", "v"), 0);
	rig_restart();
	ck_assert_int_eq(get((uint64_t)node, "trusted.a"), 1);
	check_list((uint64_t)node, 0, (const char *[]){ "trusted.a", NULL });
	ck_assert_int_eq(get((uint64_t)node, "user.virtiofs.trusted.a"), -ENODATA);
}
END_TEST

/* Without --xattr nothing is served, whoever asks. */
START_TEST(disabled)
{
	int64_t node;

	rig.opt.dev.flags &= ~(uint32_t)DEV_XATTR;
	rig_host_file("file");
	host_set("file", "user.a");
	rig_start();
	node = rig_lookup(1, "file");
	ck_assert_int_eq(get((uint64_t)node, "user.a"), -ENOSYS);
	ck_assert_int_eq(set((uint64_t)node, "user.a", "v"), -ENOSYS);
	ck_assert_int_eq(del((uint64_t)node, "user.a"), -ENOSYS);
	ck_assert_int_eq(call(RPC_LISTXATTR, (uint64_t)node, NULL, NULL, 0, 0), -ENOSYS);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("worker xattrs");

	rig_add_test(s, round_trip, setup_row, rig_teardown, (int)countof(rows));
	rig_add_test(s, listed, setup_row, rig_teardown, (int)countof(lists));
	rig_add_test(s, acls, setup_row, rig_teardown, 1);
	rig_add_test(s, inherited, setup_row, rig_teardown, 1);
	rig_add_test(s, kill_sgid, setup_row, rig_teardown, 1);
	rig_add_test(s, capability, setup_row, rig_teardown, (int)countof(changes));
	rig_add_test(s, capability_of_others, setup_row, rig_teardown, 1);
	rig_add_test(s, over_death, setup_row, rig_teardown, 1);
	rig_add_test(s, disabled, setup_row, rig_teardown, 1);
	return rig_run(s);
}
