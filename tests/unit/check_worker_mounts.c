/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of mounts below the shared directory, of what the vault is told of them (traps.md F7, F8), and of
 * --inode-file-handles=never and =mandatory, against the real executable. Links worker_rig*.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/attr.h"
#include "tests/unit/worker_rig.h"

static void
mount_at(const char *name, const char *type)
{
	ck_assert_int_eq(mkdir(rig_path(name), 0755), 0);
	ck_assert_int_eq(mount(type, rig_path(name), type, 0, NULL), 0);
}

static void
begin(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
	rig_setup();
	mount_at("tmp", "tmpfs");
	mount_at("proc", "proc");
	rig_host_file("tmp/f");
	rig_host_file("f");
}

static void
end(void)
{
	umount2(rig_path("bound"), MNT_DETACH);
	umount2(rig_path("tmp"), MNT_DETACH);
	umount2(rig_path("proc"), MNT_DETACH);
	rig_teardown();
}

static void
setup(void)
{
	begin();
	rig_start();
}

START_TEST(submounts)
{
	struct rpc_entry_body e, f, g;
	struct rpc_statfs *st;
	struct rpc_node *q;
	int64_t file;

	ck_assert_int_gt(rig_lookup_attr(1, "tmp", &e), 1);
	ck_assert_uint_eq(e.flags, RPC_ENTRY_SUBMOUNT);
	ck_assert_uint_eq(e.attr.ino, rig_host_ino("tmp"));
	ck_assert_int_gt(rig_lookup_attr(e.node, "f", &f), 1);
	ck_assert_uint_eq(f.flags, 0);
	ck_assert_int_gt(rig_lookup_attr(e.node, "..", &g), 1);
	ck_assert_int_gt(rig_lookup_attr(1, "f", &g), 1);
	ck_assert_uint_eq(g.flags, 0);
	/* P20: each its own file system */
	q = rig_add(0, RPC_STATFS, NULL, 0, NULL, NULL);
	q->node = f.node;
	st = (void *)rig_call();
	ck_assert_int_eq(st->h.error, 0);
	ck_assert_uint_eq(st->bsize, 4096);
	ck_assert_uint_eq(st->namelen, 255);
	/* Brought back by handles of two mounts. */
	rig_flood();
	file = rig_lookup(1, "f");
	ck_assert_int_eq(rig_getattr(f.node, &f.attr), 0);
	ck_assert_uint_eq(f.attr.ino, rig_host_ino("tmp/f"));
	ck_assert_int_eq(rig_getattr((uint64_t)file, NULL), 0);
}
END_TEST

START_TEST(not_announced)
{
	struct rpc_entry_body e;

	rig_kill();
	rig.opt.dev.flags &= ~(uint32_t)DEV_ANNOUNCE_SUBMOUNTS;
	rig_start_next();
	ck_assert_int_gt(rig_lookup_attr(1, "tmp", &e), 1);
	ck_assert_uint_eq(e.flags, 0);
}
END_TEST

/* F7: with the last inode the mount goes, and comes back with the next. */
START_TEST(withdrawn)
{
	int64_t tmp, f;

	RIG_EVENTUALLY(rig.mounts == 1);
	for (unsigned i = 1; i <= 3; i++) {
		tmp = rig_lookup(1, "tmp");
		f = rig_lookup((uint64_t)tmp, "f");
		ck_assert_int_eq(rig_getattr((uint64_t)f, NULL), 0);
		RIG_EVENTUALLY(rig.mounts == 1 + i);
		ck_assert_int_eq(rig_forget((uint64_t)tmp, 1), 0);
		ck_assert_int_eq(rig_getattr((uint64_t)f, NULL), 0);
		ck_assert_uint_eq(rig.unmounts, i - 1);
		ck_assert_int_eq(rig_forget((uint64_t)f, 1), 0);
		RIG_EVENTUALLY(rig.unmounts == i);
		/* nothing is left open there */
		ck_assert_int_eq(rig_getattr(1, NULL), 0);
	}
	tmp = rig_lookup(1, "tmp");
	ck_assert_int_eq(rig_reset(), 0);
	RIG_EVENTUALLY(rig.unmounts == 4);
	ck_assert_int_gt(rig_lookup(1, "tmp"), tmp);
}
END_TEST

static void *
hammer(void *arg)
{
	const uint64_t end_at = 3000;

	for (uint64_t i = 0; i < end_at; i++) {
		struct rpc_node *q = rig_add(1, RPC_LOOKUP, NULL, 0, "tmp", NULL);
		struct rpc_forget1 f = { .named = 1, .incarnation = rig.incarnation };
		struct rpc_entry *e;

		q->node = 1;
		rig_send(1);
		e = (void *)rig_recv(1);
		if (e == NULL || e->h.error != 0)
			return arg;
		f.node = e->e.node;
		rig_add(1, RPC_FORGET, &f, 1, NULL, NULL);
		rig_send(1);
		if (rig_recv(1) == NULL)
			return arg;
	}
	return NULL;
}

/* The rig's vault ends the test when something is put on a mount that is not announced. */
START_TEST(two_lanes)
{
	pthread_t t;
	void *bad;

	if (_i == 1)
		rig_restart();
	ck_assert_int_eq(pthread_create(&t, NULL, hammer, &rig), 0);
	for (unsigned i = 0; i < 3000; i++) {
		int64_t tmp = rig_lookup(1, "tmp");

		ck_assert_int_gt(tmp, 1);
		ck_assert_int_eq(rig_forget((uint64_t)tmp, 1), 0);
	}
	pthread_join(t, &bad);
	ck_assert_ptr_null(bad);
	ck_assert_uint_gt(rig.unmounts, 0);
}
END_TEST

/* ---- --inode-file-handles ---- */

static void
begin_never(void)
{
	begin();
	rig.opt.dev.file_handles = HANDLES_NEVER;
	rig.opt.fd_budget = 100;
	for (unsigned i = 0; i < 400; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		rig_host_file(name);
	}
}

static void
setup_never(void)
{
	begin_never();
	rig_start();
}

/* With a mount that cannot be opened, so that the vault is never told of it. */
static void
setup_private(void)
{
	begin_never();
	rig_host_file("bound");
	ck_assert_int_eq(mkfifo(rig_path("fifo"), 0644), 0);
	ck_assert_int_eq(mount(rig_path("fifo"), rig_path("bound"), NULL, MS_BIND, NULL), 0);
	rig_start();
}

static int64_t
numbered(unsigned i)
{
	char name[16];

	snprintf(name, sizeof(name), "n%u", i);
	return rig_lookup(1, name);
}

START_TEST(never)
{
	int64_t node[400];
	struct rpc_attr a;

	for (unsigned i = 0; i < 400; i++) {
		node[i] = numbered(i);
		ck_assert_int_gt(node[i], 1);
	}
	/* the first half of what the vault may keep is put without asking */
	ck_assert_uint_ge(rig.keeps, 400 - 51);
	ck_assert_uint_le(rig.keeps, 400 - 49);
	ck_assert_uint_le(rig_open_fds(), 100 + RPC_BATCH_MAX + 20);
	/* evicted, removed, and back: the vault has the fd */
	ck_assert_int_eq(unlink(rig_path("n3")), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)node[3], &a), 0);
	ck_assert_uint_eq(a.nlink, 0);
	ck_assert_uint_gt(rig.got, 0);
	for (unsigned i = 4; i < 400; i += 7)
		ck_assert_int_eq(numbered(i), node[i]);
	rig_restart();
	ck_assert_int_eq(rig_getattr((uint64_t)node[3], &a), 0);
	for (unsigned i = 4; i < 400; i += 7)
		ck_assert_int_eq(numbered(i), node[i]);
}
END_TEST

/* Those that are forgotten make room for others, without asking. */
START_TEST(forgotten_make_room)
{
	for (unsigned round = 0; round < 5; round++)
		for (unsigned i = 0; i < 40; i++)
			ck_assert_int_eq(rig_forget((uint64_t)numbered(i), 1), 0);
	ck_assert_uint_eq(rig.keeps, 0);
}
END_TEST

/* What the vault never got does not make room when it is forgotten. */
START_TEST(private_not_counted)
{
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(rig_forget((uint64_t)rig_lookup(1, "bound"), 1), 0);
	ck_assert_uint_eq(rig.puts, 0);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_gt(numbered(i), 1);
	ck_assert_uint_ge(rig.keeps, 50);
}
END_TEST

#define BOTH 20u

/* Two lanes that meet an inode at once put it twice, and it counts once. */
START_TEST(counted_once)
{
	for (unsigned round = 0; round < 400; round++) {
		struct rpc_forget1 f[BOTH];

		for (unsigned lane = 0; lane < 2; lane++)
			for (unsigned i = 0; i < BOTH; i++) {
				struct rpc_node *q;
				char name[16];

				snprintf(name, sizeof(name), "n%u", i);
				q = rig_add(lane, RPC_LOOKUP, NULL, 0, name, NULL);
				q->node = 1;
			}
		rig_send(0);
		rig_send(1);
		for (unsigned lane = 0; lane < 2; lane++)
			for (unsigned got = 0; got < BOTH;)
				for (struct rpc_hdr *h = rig_recv(lane); h != NULL; h = rpc_next(rig.lane[lane].in, h), got++) {
					ck_assert_int_eq(h->error, 0);
					f[got] = (struct rpc_forget1){ .node = ((struct rpc_entry *)h)->e.node,
						.named = 2, .incarnation = rig.incarnation };
				}
		rig_add(0, RPC_FORGET, f, BOTH, NULL, NULL);
		ck_assert_int_eq(rig_call()->error, 0);
	}
	ck_assert_uint_gt(rig.repeated, 0);
	ck_assert_uint_eq(rig.keeps, 0);
}
END_TEST

/* The limit is said when something is looked up or made, and nothing is left of it. */
START_TEST(limit)
{
	struct rpc_file dir = { .node = 1, .fh = 5, .hflags = RPC_FILE_HANDLE };
	static char buf[65536];
	struct rpc_create *q;
	unsigned named = 0, seen = 0, fds;
	int64_t n;

	for (unsigned i = 0; i < 60; i++)
		ck_assert_int_gt(numbered(i), 1);
	rig.vault_full = true;
	fds = rig_open_fds();
	ck_assert_int_eq(numbered(100), -ENFILE);
	ck_assert_int_gt(numbered(5), 1);
	ck_assert_int_eq(rig_made(RPC_MKDIR, 1, "d", NULL, 0755), -ENFILE);
	ck_assert_int_eq(access(rig_path("d"), F_OK), 0);
	q = rig_make(RPC_CREATE, 1, "c", NULL, 0644);
	q->flags = O_RDWR;
	q->fh = 9;
	ck_assert_int_eq(rig_call()->error, -ENFILE);
	ck_assert_uint_eq(rig_open_fds(), fds);
	/* a listing has every name, those that are known with their nodes */
	ck_assert_int_eq(rig_opendir(1, 5), 0);
	n = rig_io(RPC_READDIRPLUS, dir, 0, buf, sizeof(buf), 0);
	ck_assert_int_gt(n, 0);
	for (int64_t at = 0; at < n; seen++) {
		struct rpc_direntplus p;
		struct rpc_dirent d;

		memcpy(&p, buf + at, sizeof(p));
		memcpy(&d, buf + at + sizeof(p), sizeof(d));
		named += p.e.node != 0;
		at += (int64_t)(sizeof(p) + ROUND_UP(sizeof(d) + d.namelen, 8));
	}
	ck_assert_uint_ge(seen, 400);
	ck_assert_uint_eq(named, 60);
	rig.vault_full = false;
	ck_assert_int_gt(numbered(100), 1);
	ck_assert_int_gt(rig_lookup(1, "d"), 1);
}
END_TEST

static void
setup_mandatory(void)
{
	begin();
	rig.opt.dev.file_handles = HANDLES_MANDATORY;
	rig_start();
}

START_TEST(mandatory)
{
	int64_t tmp;

	ck_assert_int_gt(rig_lookup(1, "f"), 1);
	tmp = rig_lookup(1, "tmp");
	ck_assert_int_gt(tmp, 1);
	ck_assert_int_gt(rig_lookup((uint64_t)tmp, "f"), 1);
	ck_assert_int_eq(rig_lookup(1, "proc"), -EOPNOTSUPP);
	ck_assert_int_eq(rig_getattr(1, NULL), 0);
}
END_TEST

/* Where handles are preferred, each file system is judged by itself. */
START_TEST(prefer)
{
	int64_t proc = rig_lookup(1, "proc"), version = rig_lookup((uint64_t)proc, "version");

	ck_assert_int_gt(proc, 1);
	ck_assert_int_gt(version, 1);
	rig_restart();
	ck_assert_int_eq(rig_getattr((uint64_t)version, NULL), 0);
	ck_assert_int_eq(rig_lookup(1, "proc"), proc);
	/* what an earlier worker has put there is not known: it is asked */
	ck_assert_uint_eq(rig.keeps, 0);
	ck_assert_int_gt(rig_lookup((uint64_t)proc, "uptime"), 1);
	ck_assert_uint_eq(rig.keeps, 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("worker mounts");

	rig_add_test(s, submounts, setup, end, 1);
	rig_add_test(s, not_announced, setup, end, 1);
	rig_add_test(s, withdrawn, setup, end, 1);
	rig_add_test(s, two_lanes, setup, end, 2);
	rig_add_test(s, never, setup_never, end, 1);
	rig_add_test(s, forgotten_make_room, setup_never, end, 1);
	rig_add_test(s, private_not_counted, setup_private, end, 1);
	rig_add_test(s, counted_once, setup_never, end, 1);
	rig_add_test(s, limit, setup_never, end, 1);
	rig_add_test(s, mandatory, setup_mandatory, end, 1);
	rig_add_test(s, prefer, setup, end, 1);
	return rig_run(s);
}
