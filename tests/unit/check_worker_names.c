/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names, nodes and handles that lead, or pretend to lead, out of the share: asked for by a front that lies, in each
 * sandbox mode, --sandbox=none above all. Beside the share there is something to be reached, and it must stay as it is.
 * Links worker_rig*.c, proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/msg.h"
#include "tests/unit/worker_rig.h"

static const enum sandbox_mode modes[] = { SANDBOX_NAMESPACE, SANDBOX_CHROOT, SANDBOX_NONE };
#define NMODES (int)countof(modes)

static char base[64]; /* the rig's directory: the share is base/share, and beside it is base/out */
static char before[8192]; /* what was beside the share at first */

/* Names, kinds, owners, sizes and modes of all that is beside the share. */
static void
look_outside(char *text, size_t size)
{
	char cmd[256];
	FILE *f;
	size_t n;

	snprintf(cmd, sizeof(cmd),
	    "cd %s && find . -path ./share -prune -o -printf '%%p %%y %%m %%U %%G %%s %%l %%n %%C@\\n' | sort", base);
	f = popen(cmd, "r");
	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	ck_assert_int_eq(pclose(f), 0);
}

static void
start_mode(int mode)
{
	char cmd[512];

	rig_setup();
	strcpy(base, rig.share);
	snprintf(cmd, sizeof(cmd),
	    "cd %s && mkdir -p out/dir share/dir share/sub && echo secret >out/file && touch share/file && "
	    "ln -s ../out share/updir && ln -s ../out/file share/upfile && ln -s %s/out share/absdir && "
	    "ln -s %s/out/file share/absfile && ln -s / share/slash && ln -s .. share/dotdot && ln -s new share/dangling && "
	    "ln -s ../out/made share/upmade && mkfifo share/fifo && mknod share/null c 1 3",
	    base, base, base);
	ck_assert_int_eq(system(cmd), 0);
	strcat(rig.share, "/share");
	rig.opt.sandbox = modes[mode];
	look_outside(before, sizeof(before));
	ck_assert_ptr_nonnull(strstr(before, "./out/file"));
	rig_start();
}

static void
stop(void)
{
	char after[sizeof(before)];

	look_outside(after, sizeof(after));
	ck_assert_str_eq(after, before);
	strcpy(rig.share, base);
	rig_teardown();
}

/* Which requests carry which kind of name: from the table that the checker is made of. */
struct carrier {
	uint16_t op;
	enum rpc_kind kind;
	bool second;
};

static unsigned
carriers(struct carrier out[static 64])
{
	unsigned n = 0;

#define X(NAME, nr, req, rep, k1, k2, ...)					\
	if ((k1) != RPC_K_NONE)							\
		out[n++] = (struct carrier){ nr, k1, false };			\
	if ((k2) != RPC_K_NONE)							\
		out[n++] = (struct carrier){ nr, k2, true };
	RPC_OPS(X)
#undef X
	ck_assert_uint_lt(n, 64);
	return n;
}

static const struct {
	const char *name;
	size_t len; /* 0: its length */
	bool only_path; /* no bad name of a symlink's content or an extended attribute */
	bool may_look; /* LOOKUP has an answer */
} names[] = {
	{ "", 0, false, false },
	{ ".", 0, true, true },
	{ "..", 0, true, true },
	{ "/", 0, true, false },
	{ "a/b", 0, true, false },
	{ "/etc", 0, true, false },
	{ "../out/file", 0, true, false },
	{ "./file", 0, true, false },
	{ "file/", 0, true, false },
	{ "../share/file", 0, true, false },
	{ "\0", 1, false, false },
	{ "file\0", 5, false, false },
	{ "..\0x", 4, false, false },
};
/* And one that is as long as no name can be. */
#define TOO_LONG ((int)countof(names))

static void
hostile_name(const struct carrier *c, int which)
{
	static char longest[MAX(RPC_NAME_MAX, RPC_XATTR_MAX) + 2];
	const char *bad = longest, *good = c->kind == RPC_K_XATTR ? "user.a" : "file", *one, *two;
	struct rig_lane *l = &rig.lane[0];
	size_t n, len1, len2;
	int status;

	n = c->kind == RPC_K_XATTR ? RPC_XATTR_MAX + 1 : RPC_NAME_MAX + 1;
	if (which < TOO_LONG) {
		bad = names[which].name;
		n = names[which].len != 0 ? names[which].len : strlen(bad);
	} else
		memset(longest, 'x', n);
	one = c->second ? good : bad;
	len1 = c->second ? strlen(good) : n;
	two = c->second ? bad : "target";
	len2 = c->second ? n : rpc_op(c->op)->n2 != RPC_K_NONE ? strlen(two) : 0;
	/* All nodes and directories are 1, where there is room for them. */
	rpc_begin(&l->b, l->out);
	char *q = rpc_add(&l->b, RPC_REQUEST, c->op, 4711, NULL, 0, one, len1, len2 > 0 || c->second ? two : NULL, len2);
	ck_assert_ptr_nonnull(q);
	((struct rpc_node *)(void *)q)->node = 1;
	if (c->op == RPC_RENAME)
		((struct rpc_rename *)(void *)q)->newdir = 1;
	if (c->op == RPC_LINK)
		((struct rpc_link *)(void *)q)->newdir = 1;
	n = rpc_finish(&l->b);
	ck_assert_int_eq(msg_send(l->sock, l->out, n, NULL, 0, 0), 0);
	status = rig_wait_exit();
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1 && strstr(rig.log, "broke the protocol") != NULL,
	    "%s with bad name %d (%s): status %#x, %s", rpc_op_name(c->op), which, c->second ? "second" : "first", status,
	    rig.log);
}

/* Each bad name, as each name of each request: who sends it is no front of ours, and the worker ends. */
START_TEST(hostile_names)
{
	struct carrier c[64];
	unsigned n = carriers(c);
	bool dead = false;

	ck_assert_uint_ge(n, 12);
	start_mode(_i / (TOO_LONG + 1));
	for (unsigned i = 0; i < n; i++) {
		const int which = _i % (TOO_LONG + 1);
		const bool path = c[i].kind == RPC_K_COMP || c[i].kind == RPC_K_LOOKUP;

		/* A target that is too long does not fit a message. */
		if (which == TOO_LONG && c[i].kind == RPC_K_TARGET)
			continue;
		if (which < TOO_LONG && ((names[which].only_path && !path) ||
		    (names[which].may_look && c[i].kind == RPC_K_LOOKUP)))
			continue;
		if (dead) {
			rig_kill();
			rig.log[0] = '\0';
			rig_start_next();
		}
		hostile_name(&c[i], which);
		dead = true;
	}
	ck_assert(dead);
	stop();
}
END_TEST

/* "." and ".." of a look-up are the directory itself, wherever it is. */
START_TEST(dots)
{
	int64_t dir, sub;

	start_mode(_i);
	dir = rig_lookup(1, "dir");
	ck_assert_int_gt(dir, 1);
	ck_assert_int_eq(rig_lookup(1, "."), 1);
	ck_assert_int_eq(rig_lookup(1, ".."), 1);
	ck_assert_int_eq(rig_lookup((uint64_t)dir, "."), dir);
	ck_assert_int_eq(rig_lookup((uint64_t)dir, ".."), dir);
	/* Moved out of the share while it is held: no way on from there. */
	ck_assert_int_eq(mkdir(rig_path("dir/deep"), 0755), 0);
	sub = rig_lookup((uint64_t)dir, "deep");
	ck_assert_int_gt(sub, 1);
	char moved[96];
	snprintf(moved, sizeof(moved), "%s/out/moved", base);
	ck_assert_int_eq(rename(rig_path("dir"), moved), 0);
	ck_assert_int_eq(rig_lookup((uint64_t)dir, ".."), dir);
	ck_assert_int_eq(rig_lookup((uint64_t)sub, ".."), sub);
	ck_assert_int_eq(rig_lookup((uint64_t)dir, "file"), -ENOENT);
	ck_assert_int_eq(rig_getattr((uint64_t)sub, NULL), 0);
	/* What is held stays usable, as for a process that is there. */
	ck_assert_int_gt(rig_made(RPC_MKDIR, (uint64_t)dir, "made", NULL, 0755), 1);
	ck_assert_int_eq(rename(moved, rig_path("dir")), 0);
	ck_assert_int_eq(access(rig_path("dir/made"), F_OK), 0);
	/* out itself was changed by the moves of this test. */
	look_outside(before, sizeof(before));
	stop();
}
END_TEST

/* A link is an inode of its own: nothing goes through it. */
static void
link_leads_nowhere(uint64_t dir, const char *name)
{
	struct rpc_entry_body e;
	struct rpc_setattr *set;
	struct rpc_create *create;
	struct rpc_rename *rename;
	struct rpc_access *mask;
	int64_t node;
	int fd, r;

	node = rig_lookup_attr(dir, name, &e);
	ck_assert_msg(node > 1, "%s: %ld", name, (long)node);
	ck_assert_msg(S_ISLNK(e.attr.mode), "%s is no link: %o", name, e.attr.mode);
	ck_assert_int_eq(rig_open((uint64_t)node, 9, O_RDONLY, 0, &fd), -EBADF);
	ck_assert_int_eq(rig_open((uint64_t)node, 9, O_RDWR | O_TRUNC, 0, &fd), -EBADF);
	ck_assert_int_lt(rig_opendir((uint64_t)node, 9), 0);
	ck_assert_int_eq(rig_lookup((uint64_t)node, "file"), -ENOTDIR);
	ck_assert_int_lt(rig_made(RPC_MKDIR, (uint64_t)node, "new", NULL, 0755), 0);
	ck_assert_int_lt(rig_made(RPC_SYMLINK, (uint64_t)node, "new", "x", 0), 0);
	ck_assert_int_lt(rig_made(RPC_MKNOD, (uint64_t)node, "new", NULL, S_IFIFO | 0644), 0);
	ck_assert_int_lt(rig_remove(RPC_UNLINK, (uint64_t)node, "file"), 0);
	ck_assert_int_lt(rig_remove(RPC_RMDIR, (uint64_t)node, "dir"), 0);
	/* Not made through a link that points to nothing, not emptied through one that points to a file. */
	for (unsigned i = 0; i < 4; i++) {
		create = rig_make(RPC_CREATE, i < 2 ? dir : (uint64_t)node, i < 2 ? name : "new", NULL, 0644);
		create->flags = O_RDWR | (i % 2 == 0 ? O_TRUNC : O_EXCL);
		r = rig_call()->error;
		ck_assert_msg(r < 0, "%s was opened through a link", name);
	}
	rename = rig_add(0, RPC_RENAME, NULL, 0, "file", "file");
	rename->olddir = (uint64_t)node;
	rename->newdir = 1;
	ck_assert_int_lt(rig_call()->error, 0);
	rename = rig_add(0, RPC_RENAME, NULL, 0, "file", "new");
	rename->olddir = 1;
	rename->newdir = (uint64_t)node;
	ck_assert_int_lt(rig_call()->error, 0);
	/* Changes are refused or are the link's own. */
	for (uint32_t what = RPC_SET_MODE; what <= RPC_SET_MTIME_NOW; what <<= 1) {
		set = rig_add(0, RPC_SETATTR, NULL, 0, NULL, NULL);
		set->f.node = (uint64_t)node;
		set->valid = what;
		set->mode = 0777;
		set->uid = set->gid = 99;
		(void)rig_call();
	}
	mask = rig_add(0, RPC_ACCESS, NULL, 0, NULL, NULL);
	mask->node = (uint64_t)node;
	mask->mask = R_OK;
	(void)rig_call();
	ck_assert_int_eq(rig_forget((uint64_t)node, 1), 0);
}

START_TEST(links)
{
	static const char *const names_[] = { "updir", "upfile", "absdir", "absfile", "slash", "dotdot", "dangling", "upmade" };
	struct rpc_link *link;
	int64_t node;

	start_mode(_i);
	for (unsigned i = 0; i < countof(names_); i++)
		link_leads_nowhere(1, names_[i]);
	/* A hard link to a link is one to the link. */
	node = rig_lookup(1, "absfile");
	link = rig_add(0, RPC_LINK, NULL, 0, "hard", NULL);
	link->node = (uint64_t)node;
	link->newdir = 1;
	ck_assert_int_eq(rig_call()->error, 0);
	link_leads_nowhere(1, "hard");
	stop();
}
END_TEST

/* A procfs in the share, as in a directory that holds a container: its magic links lead everywhere, for others. */
START_TEST(magic_links)
{
	static const char *const names_[] = { "root", "cwd", "exe" };
	int64_t proc, pid, fds;
	char path[96], self[16];

	rig_setup();
	strcpy(base, rig.share);
	snprintf(path, sizeof(path), "%s/share", base);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	strcpy(rig.share, path);
	ck_assert_int_eq(mkdir(rig_path("proc"), 0755), 0);
	ck_assert_int_eq(mount("proc", rig_path("proc"), "proc", 0, NULL), 0);
	rig.opt.sandbox = modes[_i];
	rig_start();
	snprintf(self, sizeof(self), "%d", getpid());
	proc = rig_lookup(1, "proc");
	ck_assert_int_gt(proc, 1);
	link_leads_nowhere((uint64_t)proc, "self");
	pid = rig_lookup((uint64_t)proc, self);
	ck_assert_int_gt(pid, 1);
	for (unsigned i = 0; i < countof(names_); i++)
		link_leads_nowhere((uint64_t)pid, names_[i]);
	fds = rig_lookup((uint64_t)pid, "fd");
	ck_assert_int_gt(fds, 1);
	link_leads_nowhere((uint64_t)fds, "0");
	rig_kill();
	ck_assert_int_eq(umount2(rig_path("proc"), MNT_DETACH), 0);
	strcpy(rig.share, base);
	rig.pid = 0;
	snprintf(path, sizeof(path), "rm -rf %s", base);
	ck_assert_int_eq(system(path), 0);
}
END_TEST

/* Nodes that were never given out, in every place of every request. */
START_TEST(forged_nodes)
{
	static const uint64_t forged[] = { 0, 77, UINT64_C(1) << 40, (UINT64_C(1) << 40) + 2, UINT64_C(1) << 63, UINT64_MAX };
	struct rpc_hdr *h;

	start_mode(_i);
	for (uint16_t op = 1; op < RPC_OP_END; op++) {
		const struct rpc_op *o = rpc_op(op);
		const unsigned places = op == RPC_RENAME || op == RPC_LINK || op == RPC_COPY ? 2 : 1;

		if (o == NULL || op == RPC_FORGET || op == RPC_RESET || op == RPC_RELEASE)
			continue;
		for (unsigned i = 0; i < countof(forged) * places; i++) {
			const char *name = o->n1 == RPC_K_NONE ? NULL : o->n1 == RPC_K_XATTR ? "user.a" : "file";
			uint64_t *q = rig_add(0, op, NULL, 0, name, o->n2 == RPC_K_NONE ? NULL : "new");

			if (o->arena != RPC_A_NONE) {
				((struct rpc_hdr *)(void *)q)->alen = 4096;
				if (o->request == sizeof(struct rpc_io))
					((struct rpc_io *)(void *)q)->size = 512;
			}
			/* The node, or the nodes, stand first behind the header; COPY has one in each of two files. */
			q += sizeof(struct rpc_hdr) / sizeof(*q);
			q[0] = 1;
			if (op == RPC_RENAME || op == RPC_LINK)
				q[1] = 1;
			if (op == RPC_COPY)
				q[sizeof(struct rpc_file) / sizeof(*q)] = 1;
			q[i / countof(forged) * (op == RPC_COPY ? sizeof(struct rpc_file) / sizeof(*q) : 1)] =
			    forged[i % countof(forged)];
			h = rig_call();
			ck_assert_msg(h->error < 0, "%s of node %#lx: %d", o->name,
			    (unsigned long)forged[i % countof(forged)], h->error);
		}
	}
	ck_assert_int_eq(rig_getattr(1, NULL), 0);
	stop();
}
END_TEST

/* File handles that were never given out, on inodes that are not what they pretend to be. */
START_TEST(forged_handles)
{
	static const char *const special[] = { "fifo", "null", "absfile", "upmade" };
	static const uint32_t flags[] = { O_RDONLY, O_RDWR, O_PATH, O_WRONLY | O_CREAT | O_TRUNC, O_TMPFILE | O_RDWR,
		UINT32_MAX };
	int64_t node, dir = 0;
	char buf[64];

	start_mode(_i);
	/* Only regular files and directories are ever opened, whatever the flags and the handle. */
	for (unsigned i = 0; i < countof(special); i++) {
		node = rig_lookup(1, special[i]);
		ck_assert_int_gt(node, 1);
		for (unsigned k = 0; k < countof(flags); k++) {
			struct rpc_file f = { .node = (uint64_t)node, .fh = 1000 + k, .flags = flags[k],
				.hflags = k % 2 != 0 ? RPC_FILE_HANDLE : 0 };
			int fd;

			ck_assert_int_lt(rig_io(RPC_READ, f, 0, buf, sizeof(buf), 0), 0);
			ck_assert_int_lt(rig_io(RPC_WRITE, f, 0, buf, sizeof(buf), 0), 0);
			ck_assert_int_lt(rig_io(RPC_READDIR, f, 0, buf, sizeof(buf), 0), 0);
			ck_assert_int_lt(rig_open((uint64_t)node, 2000 + k, flags[k], 0, &fd), 0);
			ck_assert_int_eq(fd, -1);
		}
	}
	/* A handle belongs to its node. */
	node = rig_lookup(1, "file");
	dir = rig_lookup(1, "dir");
	ck_assert_int_eq(rig_opendir((uint64_t)dir, 5), 0);
	struct rpc_file f = { .node = (uint64_t)node, .fh = 5, .hflags = RPC_FILE_HANDLE };
	ck_assert_int_eq(rig_io(RPC_READ, f, 0, buf, sizeof(buf), 0), -EBADF);
	f.node = 1;
	ck_assert_int_eq(rig_io(RPC_READDIR, f, 0, buf, sizeof(buf), 0), -EBADF);
	/* A file is not made or emptied by what a handle says of its flags. */
	f = (struct rpc_file){ .node = (uint64_t)node, .fh = 6, .flags = O_RDWR, .hflags = RPC_FILE_HANDLE };
	ck_assert_int_eq(rig_io(RPC_WRITE, f, 0, strcpy(buf, "content"), 7, 0), 7);
	f.fh = 7;
	f.flags = O_RDWR | O_TRUNC | O_CREAT;
	ck_assert_int_eq(rig_io(RPC_READ, f, 0, buf, sizeof(buf), 0), 7);
	stop();
}
END_TEST

int
main(void)
{
	const struct {
		const TTest *test;
		int loops;
	} tests[] = {
		{ hostile_names, NMODES * (TOO_LONG + 1) },
		{ dots, NMODES },
		{ links, NMODES },
		{ magic_links, NMODES },
		{ forged_nodes, NMODES },
		{ forged_handles, NMODES },
	};
	Suite *s = suite_create("worker names");

	for (unsigned i = 0; i < countof(tests); i++)
		rig_add_test(s, tests[i].test, NULL, NULL, tests[i].loops);
	return rig_run(s);
}
