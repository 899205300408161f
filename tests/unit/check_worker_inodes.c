/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of the worker's inode table, its fd cache with the vault behind it, and of directories. Against the real
 * executable (WORKER_EXE). Links worker_rig*.c, proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/worker_rig.h"

#define MANY	100000u

START_TEST(many_inodes)
{
	uint64_t *node = calloc(MANY, sizeof(*node)), *ino = calloc(MANY, sizeof(*ino));
	char name[32];
	unsigned got = 0, asked = 0, at[RPC_BATCH_MAX];
	int dir;

	ck_assert(node != NULL && ino != NULL);
	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	dir = open(rig_path("d"), O_PATH | O_DIRECTORY);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ck_assert_int_eq(mknodat(dir, name, S_IFREG | 0644, 0), 0);
	}
	close(dir);
	rig_lookup_many((uint64_t)rig_lookup(1, "d"), MANY, node, ino);
	RIG_EVENTUALLY(rig.puts >= MANY);
	ck_assert_uint_eq(rig.repeated, 0);
	ck_assert_uint_le(rig_open_fds(), rig.opt.fd_budget + RPC_BATCH_MAX + 20);
	/* the same again: recognised by their handles, no new nodes */
	for (unsigned i = 0; i < MANY; i += 97) {
		snprintf(name, sizeof(name), "%u", i);
		ck_assert_int_eq(rig_lookup((uint64_t)rig_lookup(1, "d"), name), (int64_t)node[i]);
	}
	/* and by node id: through the vault */
	srandom(1);
	while (got < MANY) {
		struct rpc_hdr *h;

		for (asked = 0; asked < RPC_BATCH_MAX; asked++) {
			struct rpc_getattr *q = rig_add(0, RPC_GETATTR, NULL, 0, NULL, NULL);

			at[asked] = (unsigned)random() % MANY;
			q->f.node = node[at[asked]];
		}
		rig_send(0);
		for (asked = 0; asked < RPC_BATCH_MAX;) {
			for (h = rig_recv(0); h != NULL; h = rpc_next(rig.lane[0].in, h)) {
				ck_assert_int_eq(h->error, 0);
				ck_assert_uint_eq(((struct rpc_attr_reply *)h)->attr.ino, ino[at[asked]]);
				asked++;
				got++;
			}
		}
	}
	ck_assert_uint_gt(rig.got, MANY / 2);
	/* all misses of a batch in one question */
	ck_assert_uint_lt(rig.gets, MANY / RPC_BATCH_MAX * 3 + MANY / 97 + 100);
	ck_assert_uint_le(rig_open_fds(), rig.opt.fd_budget + RPC_BATCH_MAX + 20);
	ck_assert_int_eq(rig_reset(), 0);
	RIG_EVENTUALLY(rig.resets == 1);
	ck_assert_int_eq(rig_getattr(node[5], NULL), -ESTALE);
	ck_assert_int_eq(rig_getattr(1, NULL), 0);
	ck_assert_uint_le(rig_open_fds(), 30);
	ck_assert_int_gt(rig_lookup(1, "d"), (int64_t)node[MANY - 1]);
	free(node);
	free(ino);
}
END_TEST

/* C4: an inode number used again is not the inode that was known, when nobody held that. */
START_TEST(reuse)
{
	unsigned reused = 0;

	for (unsigned i = 0; i < 20; i++) {
		struct rpc_attr attr;
		int64_t old, new;
		ino_t ino;

		rig_host_file("f");
		ino = rig_host_ino("f");
		old = rig_lookup(1, "f");
		ck_assert_int_gt(old, 1);
		if (i % 2 == 0)
			rig_flood();
		ck_assert_int_eq(unlink(rig_path("f")), 0);
		rig_host_file("g");
		if (rig_host_ino("g") == ino)
			reused++;
		new = rig_lookup(1, "g");
		ck_assert_int_gt(new, 1);
		ck_assert_int_ne(new, old);
		ck_assert_int_eq(rig_getattr((uint64_t)new, &attr), 0);
		ck_assert_uint_eq(attr.ino, rig_host_ino("g"));
		/* The old node is gone or still the old inode; never the new one. */
		if (rig_getattr((uint64_t)old, &attr) == 0)
			ck_assert_uint_eq(attr.nlink, 0);
		ck_assert_int_eq(rig_lookup(1, "g"), new);
		ck_assert_int_eq(rig_forget((uint64_t)old, 1), 0);
		ck_assert_int_eq(rig_lookup(1, "g"), new);
		ck_assert_int_eq(rig_getattr((uint64_t)old, NULL), -ESTALE);
		ck_assert_int_eq(rig_forget((uint64_t)new, 3), 0);
		ck_assert_int_eq(unlink(rig_path("g")), 0);
	}
	/* The test is only a test where the file system reuses numbers at once, as ext4 does. */
	ck_assert_uint_ge(reused, 1);
}
END_TEST

START_TEST(removed_but_known)
{
	struct rpc_attr attr;
	int64_t f, d, over;
	struct rpc_rename *r;

	rig_host_file("f");
	rig_host_file("over");
	rig_host_file("by");
	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	f = rig_lookup(1, "f");
	d = rig_lookup(1, "d");
	over = rig_lookup(1, "over");
	rig_flood();
	ck_assert_int_eq(rig_remove(RPC_UNLINK, 1, "f"), 0);
	ck_assert_int_eq(rig_remove(RPC_RMDIR, 1, "d"), 0);
	r = rig_add(0, RPC_RENAME, NULL, 0, "by", "over");
	r->olddir = r->newdir = 1;
	ck_assert_int_eq(rig_call()->error, 0);
	rig_flood();
	ck_assert_int_eq(rig_getattr((uint64_t)f, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	ck_assert_int_eq(rig_getattr((uint64_t)over, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	ck_assert_int_eq(rig_getattr((uint64_t)d, NULL), 0);
	ck_assert_int_eq(rig_lookup((uint64_t)d, "x"), -ENOENT);
	ck_assert_int_eq(rig_made(RPC_MKDIR, (uint64_t)d, "x", NULL, 0755), -ENOENT);
	ck_assert_int_eq(rig_forget((uint64_t)f, 1), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)f, NULL), -ESTALE);
}
END_TEST

struct stormer {
	unsigned lane;
	uint64_t node;
	uint64_t seen;
};

static void *
look_up_often(void *arg)
{
	struct stormer *s = arg;

	for (unsigned i = 0; i < 300; i++) {
		for (unsigned k = 0; k < 16; k++) {
			struct rpc_node *q = rig_add(s->lane, RPC_LOOKUP, NULL, 0, "f", NULL);

			q->node = 1;
		}
		rig_send(s->lane);
		for (unsigned k = 0; k < 16;) {
			for (struct rpc_hdr *h = rig_recv(s->lane); h != NULL; h = rpc_next(rig.lane[s->lane].in, h)) {
				ck_assert_int_eq(h->error, 0);
				s->node = ((struct rpc_entry *)h)->e.node;
				s->seen++;
				k++;
			}
		}
	}
	return NULL;
}

/* C1: what was named to the front stays known, whatever is forgotten elsewhere meanwhile. */
START_TEST(forget_race)
{
	int64_t first;

	rig_host_file("f");
	for (unsigned round = 0; round < 10; round++) {
		struct stormer s = { .lane = 1 };
		pthread_t t;

		ck_assert_int_eq(pthread_create(&t, NULL, look_up_often, &s), 0);
		/* Lane 0 looks up and forgets what it got, all the time. */
		for (unsigned i = 0; i < 300; i++) {
			first = rig_lookup(1, "f");
			ck_assert_int_gt(first, 1);
			ck_assert_int_eq(rig_forget((uint64_t)first, 1), 0);
		}
		ck_assert_int_eq(pthread_join(t, NULL), 0);
		/* The last node that lane 1 was told is alive, until all of its count is given back. */
		ck_assert_int_eq(rig_getattr(s.node, NULL), 0);
		ck_assert_int_eq(rig_forget(s.node, s.seen), 0);
		ck_assert_int_eq(rig_getattr(s.node, NULL), -ESTALE);
	}
}
END_TEST

#define STORM_NAMES	64u

struct storm {
	unsigned lane, seed;
	struct { uint64_t node, count, ino; } known[STORM_NAMES];
	unsigned asked[16];
};

/*
 * Names below 32 are never removed and belong to both lanes; the others of each parity are made, removed and looked up
 * by one lane alone. Whatever was named to a lane must be there until that lane gives it back.
 */
static void
storm_ask(struct storm *s, unsigned k)
{
	unsigned i = (unsigned)rand_r(&s->seed) % STORM_NAMES, what = (unsigned)rand_r(&s->seed) % 8;
	char name[16];

	if (i >= 32)
		i = (i & ~1u) | s->lane;
	s->asked[k] = i;
	snprintf(name, sizeof(name), "n%u", i);
	if (what < 3 && s->known[i].count > 0) {
		struct rpc_getattr *q = rig_add(s->lane, RPC_GETATTR, NULL, 0, NULL, NULL);

		q->f.node = s->known[i].node;
	} else if (what == 3 && s->known[i].count > 0) {
		struct rpc_forget1 f = { .node = s->known[i].node, .named = (uint32_t)s->known[i].count,
			.incarnation = rig.incarnation };

		rig_add(s->lane, RPC_FORGET, &f, 1, NULL, NULL);
		s->known[i].count = 0;
	} else if (what == 4 && i >= 32) {
		struct rpc_node *q = rig_add(s->lane, RPC_UNLINK, NULL, 0, name, NULL);

		q->node = 1;
	} else if (what == 5 && i >= 32) {
		struct rpc_create *q = rig_add(s->lane, RPC_MKNOD, NULL, 0, name, NULL);

		q->dir = 1;
		q->mode = S_IFREG | 0644;
	} else {
		struct rpc_node *q = rig_add(s->lane, RPC_LOOKUP, NULL, 0, name, NULL);

		q->node = 1;
	}
}

/* A node may be replaced under its name: the count of the old one is given back at once. */
static void
storm_learn(struct storm *s, unsigned i, const struct rpc_entry *a, unsigned *nback, struct rpc_forget1 *back)
{
	if (a->h.error != 0) {
		ck_assert_msg(i >= 32 && (a->h.error == -ENOENT || a->h.error == -EEXIST), "name %u: %d", i, a->h.error);
		return;
	}
	if (s->known[i].count > 0 && s->known[i].node != a->e.node)
		back[(*nback)++] = (struct rpc_forget1){ .node = s->known[i].node, .named = (uint32_t)s->known[i].count,
			.incarnation = rig.incarnation };
	if (s->known[i].node != a->e.node)
		s->known[i].count = 0;
	s->known[i].node = a->e.node;
	s->known[i].ino = a->e.attr.ino;
	s->known[i].count++;
}

static void
storm_hear(struct storm *s, struct rpc_hdr *h, unsigned i, unsigned *nback, struct rpc_forget1 *back)
{
	switch (h->op) {
	case RPC_GETATTR:
		if (h->error != 0)
			ck_abort_msg("lane %u: node of name %u: %d", s->lane, i, h->error);
		break;
	case RPC_LOOKUP:
	case RPC_MKNOD:
		storm_learn(s, i, (void *)h, nback, back);
		break;
	case RPC_UNLINK:
		ck_assert(h->error == 0 || h->error == -ENOENT);
		break;
	default:
		ck_assert_int_eq(h->error, 0);
		break;
	}
}

static void *
storm_run(void *arg)
{
	struct storm *s = arg;
	struct rpc_forget1 back[16];

	for (unsigned round = 0; round < 3000; round++) {
		unsigned n = 1 + (unsigned)rand_r(&s->seed) % 16, nback = 0, k = 0;
		bool used[STORM_NAMES] = { false };

		/* No two requests on one name in a batch: the test would have to know their order. */
		for (unsigned i = 0; i < n; i++)
			for (;;) {
				struct rpc_builder before = rig.lane[s->lane].b;
				uint64_t counts[STORM_NAMES];

				for (unsigned c = 0; c < STORM_NAMES; c++)
					counts[c] = s->known[c].count;
				storm_ask(s, i);
				if (!used[s->asked[i]])
					break;
				rig.lane[s->lane].b = before;
				for (unsigned c = 0; c < STORM_NAMES; c++)
					s->known[c].count = counts[c];
			}
		for (unsigned i = 0; i < n; i++)
			used[s->asked[i]] = true;
		rig_send(s->lane);
		while (k < n) {
			struct rpc_hdr *h = rig_recv(s->lane);

			ck_assert_ptr_nonnull(h);
			for (; h != NULL; h = rpc_next(rig.lane[s->lane].in, h))
				storm_hear(s, h, s->asked[k++], &nback, back);
		}
		if (nback > 0) {
			rig_add(s->lane, RPC_FORGET, back, nback, NULL, NULL);
			rig_send(s->lane);
			ck_assert_ptr_nonnull(rig_recv(s->lane));
		}
	}
	return NULL;
}

/* Two lanes, a cache far too small, and inodes that come and go; in a second worker, where the vault knows half of them. */
START_TEST(storm)
{
	struct storm s[RIG_LANES];
	pthread_t t[RIG_LANES];

	memset(s, 0, sizeof(s));
	for (unsigned i = 0; i < 32; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		rig_host_file(name);
		if (_i == 1)
			ck_assert_int_gt(rig_lookup(1, name), 1);
	}
	if (_i == 1)
		rig_restart();
	for (unsigned i = 0; i < RIG_LANES; i++) {
		s[i].lane = i;
		s[i].seed = i + 1;
		ck_assert_int_eq(pthread_create(&t[i], NULL, storm_run, &s[i]), 0);
	}
	for (unsigned i = 0; i < RIG_LANES; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	ck_assert_uint_gt(rig.got, 1000);
	ck_assert_uint_lt(rig_open_fds(), 200);
	ck_assert_int_eq(rig.found >= 32, _i == 1);
}
END_TEST

START_TEST(listing)
{
	static const uint32_t sizes[] = { 200, 512, 4096, 32768, 1 << 20 };
	const unsigned n = 5000;
	bool *seen = calloc(n, sizeof(*seen));
	int64_t d;

	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	for (unsigned i = 0; i < n; i++) {
		char name[300];

		/* names of many lengths */
		snprintf(name, sizeof(name), "d/name-%u%.*s", i, (int)(i % 40), "........................................");
		rig_host_file(name);
	}
	d = rig_lookup(1, "d");
	ck_assert_int_eq(rig_opendir((uint64_t)d, 5), 0);
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned plus = 0; plus < 2; plus++) {
			unsigned dots = 0;

			if (plus && sizes[i] == 200)
				continue;
			memset(seen, 0, n);
			ck_assert_uint_eq(rig_list((uint64_t)d, plus ? RPC_READDIRPLUS : RPC_READDIR, sizes[i],
			    seen, n, &dots, i == 1), n);
			ck_assert_uint_eq(dots, 2);
		}
	}
	/* too small for anything; nothing; not a directory's handle */
	struct rpc_file f = { .node = (uint64_t)d, .fh = 5, .hflags = RPC_FILE_HANDLE };
	char buf[64];
	ck_assert_int_eq(rig_io(RPC_READDIR, f, 0, buf, 16, 0), -EINVAL);
	ck_assert_int_eq(rig_io(RPC_READDIR, f, 0, buf, 0, 0), 0);
	f.node = 1;
	ck_assert_int_eq(rig_io(RPC_READDIR, f, 0, buf, 64, 0), -EBADF);
	/* a handle this worker never saw is opened by its node */
	f.fh = 77;
	ck_assert_int_gt(rig_io(RPC_READDIR, f, 0, buf, 64, 0), 0);
	free(seen);
}
END_TEST

/* The budget was a lie: the process runs out of fds, and makes room. */
START_TEST(out_of_fds)
{
	const unsigned n = rig.opt.fd_budget * 3;
	uint64_t *node = calloc(n, sizeof(*node)), *ino = calloc(n, sizeof(*ino));
	struct rpc_attr attr;
	char name[32];
	int64_t d;

	ck_assert(node != NULL && ino != NULL);
	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "d/%u", i);
		rig_host_file(name);
	}
	d = rig_lookup(1, "d");
	ck_assert_int_gt(d, 1);
	rig_lookup_many((uint64_t)d, n, node, ino);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < n;) {
			unsigned first = i, k = first;

			for (; i < n && i - first < RPC_BATCH_MAX; i++)
				((struct rpc_getattr *)rig_add(0, RPC_GETATTR, NULL, 0, NULL, NULL))->f.node = node[i];
			rig_send(0);
			while (k < i)
				for (struct rpc_hdr *h = rig_recv(0); h != NULL; h = rpc_next(rig.lane[0].in, h)) {
					ck_assert_int_eq(h->error, 0);
					ck_assert_uint_eq(((struct rpc_attr_reply *)h)->attr.ino, ino[k++]);
				}
		}
	}
	ck_assert_int_eq(rig_getattr(node[0], &attr), 0);
	ck_assert_uint_le(rig_open_fds(), 64);
	free(node);
	free(ino);
}
END_TEST

static void
no_room_setup(void)
{
	rig_setup();
	rig.opt.fd_budget = 500;
	rig.opt.nofile = 64;
	rig_start();
}

/* A file system without handles: the vault keeps fds; and open directories that must not be closed. */
START_TEST(overlay)
{
	uint64_t node[100];
	struct rpc_attr attr;
	int64_t d;
	bool seen[100] = { false };
	unsigned dots = 0;
	char buf[512];

	d = rig_lookup(1, "d");
	ck_assert_int_gt(d, 1);
	ck_assert_int_eq(rig_opendir((uint64_t)d, 5), 0);
	for (unsigned i = 0; i < 100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "name-%u", i);
		node[i] = (uint64_t)rig_lookup((uint64_t)d, name);
		ck_assert_int_gt((int64_t)node[i], 1);
	}
	rig_flood();
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(rig_getattr(node[i], &attr), 0);
	ck_assert_uint_gt(rig.got, 50);
	ck_assert_int_eq(rig_lookup((uint64_t)d, "name-9"), (int64_t)node[9]);
	ck_assert_uint_eq(rig_list((uint64_t)d, RPC_READDIRPLUS, 512, seen, 100, &dots, false), 100);
	/* rm -r: read a little, remove what was read, read on: nothing is missed */
	struct rpc_file f = { .node = (uint64_t)d, .fh = 5, .hflags = RPC_FILE_HANDLE };
	uint64_t offset = 0;
	unsigned removed = 0;
	int64_t len;
	while ((len = rig_io(RPC_READDIR, f, offset, buf, sizeof(buf), 0)) > 0) {
		/* Many more handles than the cache takes: this one stays. */
		for (unsigned i = 0; removed == 0 && i < 200; i++) {
			int fd;

			ck_assert_int_eq(rig_open(node[i % 100], 1000 + i, O_RDONLY, RPC_OPEN_NODONATE, &fd), 0);
		}
		for (int64_t at = 0; at < len;) {
			struct rpc_dirent e;
			char name[256] = "";

			memcpy(&e, buf + at, sizeof(e));
			memcpy(name, buf + at + sizeof(e), e.namelen);
			at += (int64_t)((sizeof(e) + e.namelen + 7) & ~(size_t)7);
			offset = e.off;
			if (name[0] == '.')
				continue;
			ck_assert_int_eq(rig_remove(RPC_UNLINK, (uint64_t)d, name), 0);
			removed++;
		}
	}
	ck_assert_uint_eq(removed, 100);
}
END_TEST

static void
overlay_setup(void)
{
	static const char *const dirs[] = { "up", "work", "low", "low/d", "up/d", "m" };
	char opts[400];

	rig_setup();
	rig.opt.fd_budget = 40;
	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(mkdir(rig_path(dirs[i]), 0755), 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(opts, sizeof(opts), "up/d/name-%u", i);
		rig_host_file(opts);
	}
	snprintf(opts, sizeof(opts), "lowerdir=%s/low,upperdir=%s/up,workdir=%s/work", rig.share, rig.share, rig.share);
	ck_assert_int_eq(mount("test", rig_path("m"), "overlay", 0, opts), 0);
	strcat(rig.share, "/m");
	rig_start();
}

/* Too many fds in flight, of whomever: the worker asks again, and in the end says what the guest knows as ENFILE. */
START_TEST(vault_refuses)
{
	uint64_t node[2];
	int64_t n;

	for (unsigned i = 0; i < 2; i++) {
		char name[16];

		snprintf(name, sizeof(name), "known%u", i);
		rig_host_file(name);
		n = rig_lookup(1, name);
		ck_assert_int_gt(n, 1);
		node[i] = (uint64_t)n;
	}
	rig_flood();
	rig.refuse = 20;
	ck_assert_int_eq(rig_getattr(node[0], NULL), 0);
	ck_assert_uint_eq(rig.refuse, 0);
	rig_flood();
	rig.refuse = 100000;
	ck_assert_int_eq(rig_getattr(node[1], NULL), -ENFILE);
	rig.refuse = 0;
	ck_assert_int_eq(rig_getattr(node[1], NULL), 0);
}
END_TEST

static void
overlay_teardown(void)
{
	ck_assert_int_eq(umount2(rig.share, MNT_DETACH), 0);
	*strrchr(rig.share, '/') = '\0';
	rig_teardown();
}

static void
small_budget_setup(void)
{
	rig_setup();
	rig.opt.fd_budget = 200;
	rig_start();
}

static void
tiny_budget_setup(void)
{
	rig_setup();
	rig.opt.fd_budget = 20;
	rig.opt.nofile = 200;
	rig_start();
}

int
main(void)
{
	Suite *s = suite_create("worker inodes");

	rig_add_test(s, listing, rig_plain, rig_teardown, 1);
	rig_add_test(s, forget_race, rig_plain, rig_teardown, 1);
	rig_add_test(s, storm, tiny_budget_setup, rig_teardown, 2);
	rig_add_test(s, overlay, overlay_setup, overlay_teardown, 1);
	rig_add_test(s, out_of_fds, no_room_setup, rig_teardown, 1);
	rig_add_test(s, reuse, small_budget_setup, rig_teardown, 1);
	rig_add_test(s, removed_but_known, small_budget_setup, rig_teardown, 1);
	rig_add_test(s, vault_refuses, small_budget_setup, rig_teardown, 1);
	rig_add_test(s, many_inodes, small_budget_setup, rig_teardown, 1);
	return rig_run(s);
}
