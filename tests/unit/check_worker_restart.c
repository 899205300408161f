/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of what outlives a worker in the vault: identities, inodes without names, open directories. Against the real
 * executable (WORKER_EXE). Links worker_rig*.c, proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/worker_rig.h"

#define MANY	500u

static int
forget(uint64_t node, uint32_t named, uint32_t incarnation)
{
	struct rpc_forget1 f = { .node = node, .named = named, .incarnation = incarnation };

	rig_add(0, RPC_FORGET, &f, 1, NULL, NULL);
	return rig_call()->error;
}

static void
make_files(unsigned n)
{
	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	for (unsigned i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d/name-%u", i);
		rig_host_file(name);
	}
}

/* Every way to a name says what the guest knows already. */
START_TEST(same_identity)
{
	struct rpc_create *q;
	struct rpc_link *k;
	int64_t d, f, g, x;

	make_files(3);
	d = rig_lookup(1, "d");
	f = rig_lookup((uint64_t)d, "name-0");
	g = rig_lookup((uint64_t)d, "name-1");
	rig_restart();
	ck_assert_int_eq(rig_lookup(1, "d"), d);
	ck_assert_int_eq(rig_lookup((uint64_t)d, "name-0"), f);
	ck_assert_uint_ge(rig.found, 1);
	/* a CREATE of what is there */
	q = rig_make(RPC_CREATE, (uint64_t)d, "name-1", NULL, 0644);
	q->flags = O_RDWR;
	ck_assert_uint_eq(((struct rpc_entry *)rig_call())->e.node, (uint64_t)g);
	close(rig.lane[0].fds[0]);
	/* a new name of a known inode, by the host and by the guest */
	ck_assert_int_eq(link(rig_path("d/name-1"), rig_path("again")), 0);
	ck_assert_int_eq(rig_lookup(1, "again"), g);
	k = rig_add(0, RPC_LINK, NULL, 0, "third", NULL);
	k->node = (uint64_t)f;
	k->newdir = 1;
	ck_assert_uint_eq(((struct rpc_entry *)rig_call())->e.node, (uint64_t)f);
	/* what nobody knew gets an id of this worker, and keeps it in the next */
	x = rig_lookup((uint64_t)d, "name-2");
	ck_assert_uint_ge((uint64_t)x, NODE_FIRST(1));
	ck_assert_uint_lt((uint64_t)x, NODE_FIRST(2));
	rig_restart();
	ck_assert_int_eq(rig_lookup((uint64_t)d, "name-2"), x);
	ck_assert_int_eq(rig_lookup((uint64_t)d, "name-0"), f);
	/* the hot path asks nobody */
	unsigned before = rig.finds + rig.gets;
	for (unsigned i = 0; i < 50; i++)
		ck_assert_int_eq(rig_lookup((uint64_t)d, "name-2"), x);
	ck_assert_uint_eq(rig.finds + rig.gets, before);
}
END_TEST

/* A listing of what the guest knows, in a worker that knows nothing: few questions, and the right ids. */
START_TEST(listing_asks_little)
{
	uint64_t node[MANY];
	bool seen[MANY] = { false };
	unsigned dots = 0;
	int64_t d;

	make_files(MANY);
	d = rig_lookup(1, "d");
	for (unsigned i = 0; i < MANY; i += 2) {
		char name[32];

		snprintf(name, sizeof(name), "name-%u", i);
		node[i] = (uint64_t)rig_lookup((uint64_t)d, name);
	}
	rig_restart();
	ck_assert_int_eq(rig_opendir((uint64_t)d, 5), 0);
	unsigned before = rig.puts;
	ck_assert_uint_eq(rig_list((uint64_t)d, RPC_READDIRPLUS, 32768, seen, MANY, &dots, false), MANY);
	ck_assert_uint_lt(rig.finds, MANY / 20);
	ck_assert_uint_eq(rig.found, MANY / 2);
	/* Only what is new is put. */
	RIG_EVENTUALLY(rig.puts >= before + MANY / 2);
	ck_assert_uint_eq(rig.puts, before + MANY / 2);
	for (unsigned i = 0; i < MANY; i++) {
		char name[32];
		int64_t n;

		snprintf(name, sizeof(name), "name-%u", i);
		n = rig_lookup((uint64_t)d, name);
		if (i % 2 == 0)
			ck_assert_int_eq(n, (int64_t)node[i]);
		else
			ck_assert_uint_ge((uint64_t)n, NODE_FIRST(1));
	}
	ck_assert_uint_eq(rig.repeated, 0);
}
END_TEST

/* Only what this worker named is taken off; one of an earlier incarnation means: none is left of those. */
START_TEST(forget_of_another_time)
{
	int64_t f, g, h;

	make_files(3);
	uint64_t d = (uint64_t)rig_lookup(1, "d");
	f = rig_lookup(d, "name-0");
	g = rig_lookup(d, "name-1");
	h = rig_lookup(d, "name-2");
	rig_restart();
	/* not met by this worker: the vault alone forgets */
	ck_assert_int_eq(forget((uint64_t)f, 1, 0), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)f, NULL), -ESTALE);
	ck_assert_uint_ge((uint64_t)rig_lookup(d, "name-0"), NODE_FIRST(1));
	/* met, but never named: gone */
	ck_assert_int_eq(rig_getattr((uint64_t)g, NULL), 0);
	ck_assert_int_eq(forget((uint64_t)g, 1, 0), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)g, NULL), -ESTALE);
	/* named by this worker after the front decided to forget: stays, until that is forgotten, too */
	ck_assert_int_eq(rig_lookup(d, "name-2"), h);
	ck_assert_int_eq(forget((uint64_t)h, 1, 0), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)h, NULL), 0);
	ck_assert_int_eq(rig_lookup(d, "name-2"), h);
	ck_assert_int_eq(forget((uint64_t)h, 2, 1), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)h, NULL), -ESTALE);
	ck_assert_uint_ge((uint64_t)rig_lookup(d, "name-2"), NODE_FIRST(1));
	ck_assert_uint_eq(rig.forgets, 3);
}
END_TEST

/* What the guest knows and holds survives its last name, and then two restarts. */
START_TEST(pins)
{
	struct rpc_rename *r;
	struct rpc_attr attr;
	int64_t f, over, d, again;

	rig_host_file("f");
	rig_host_file("over");
	rig_host_file("from");
	rig_host_file("unknown");
	rig_host_file("two");
	ck_assert_int_eq(link(rig_path("two"), rig_path("names")), 0);
	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	f = rig_lookup(1, "f");
	over = rig_lookup(1, "over");
	d = rig_lookup(1, "d");
	ck_assert_int_gt(rig_lookup(1, "two"), 1);
	ck_assert_int_eq(rig_remove(RPC_UNLINK, 1, "f"), 0);
	ck_assert_int_eq(rig_remove(RPC_RMDIR, 1, "d"), 0);
	r = rig_add(0, RPC_RENAME, NULL, 0, "from", "over");
	r->olddir = r->newdir = 1;
	ck_assert_int_eq(rig_call()->error, 0);
	RIG_EVENTUALLY(rig.pins == 3);
	/* nobody knows this one; that one has another name */
	ck_assert_int_eq(rig_remove(RPC_UNLINK, 1, "unknown"), 0);
	ck_assert_int_eq(rig_remove(RPC_UNLINK, 1, "two"), 0);
	ck_assert_int_eq(rig_getattr(1, NULL), 0);
	ck_assert_uint_eq(rig.pins, 3);
	for (unsigned round = 0; round < 2; round++) {
		rig_restart();
		ck_assert_int_eq(rig_getattr((uint64_t)f, &attr), 0);
		ck_assert_uint_eq(attr.nlink, 0);
		ck_assert_int_eq(rig_getattr((uint64_t)over, &attr), 0);
		ck_assert_uint_eq(attr.nlink, 0);
		ck_assert_int_eq(rig_getattr((uint64_t)d, NULL), 0);
		ck_assert_int_eq(rig_lookup((uint64_t)d, "x"), -ENOENT);
	}
	/* A victim that only the vault remembers is known to the guest all the same. */
	rig_host_file("late");
	again = rig_lookup(1, "late");
	rig_restart();
	ck_assert_int_eq(rig_remove(RPC_UNLINK, 1, "late"), 0);
	rig_restart();
	ck_assert_int_eq(rig_getattr((uint64_t)again, NULL), 0);
}
END_TEST

/* A removal that fails gives its pin back; what is not removed costs the vault nothing. */
START_TEST(pins_given_back)
{
	struct rpc_rename *r;
	int64_t f, d;

	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	ck_assert_int_eq(mkdir(rig_path("e"), 0755), 0);
	rig_host_file("d/f");
	d = rig_lookup(1, "d");
	f = rig_lookup((uint64_t)d, "f");
	ck_assert_int_eq(rig_remove(RPC_RMDIR, 1, "d"), -ENOTEMPTY);
	ck_assert_int_eq(rig_remove(RPC_UNLINK, 1, "d"), -EISDIR);
	ck_assert_int_eq(rig_remove(RPC_RMDIR, (uint64_t)d, "f"), -ENOTDIR);
	r = rig_add(0, RPC_RENAME, NULL, 0, "e", "d");
	r->olddir = r->newdir = 1;
	ck_assert_int_eq(rig_call()->error, -ENOTEMPTY);
	/* onto itself: nothing happens */
	r = rig_add(0, RPC_RENAME, NULL, 0, "f", "f");
	r->olddir = r->newdir = (uint64_t)d;
	ck_assert_int_eq(rig_call()->error, 0);
	RIG_EVENTUALLY(rig.unpins == 5);
	ck_assert_uint_eq(rig.pins, 5);
	rig_restart();
	ck_assert_int_eq(rig_getattr((uint64_t)f, NULL), 0);
	/* what was given back is pinned again when it is in need of it */
	ck_assert_int_eq(rig_remove(RPC_UNLINK, (uint64_t)d, "f"), 0);
	ck_assert_int_eq(rig_remove(RPC_RMDIR, 1, "d"), 0);
	rig_restart();
	ck_assert_int_eq(rig_getattr((uint64_t)f, NULL), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)d, NULL), 0);
	ck_assert_uint_eq(rig.pins, 7);
	ck_assert_uint_eq(rig.unpins, 5);
}
END_TEST

/*
 * Many in one batch: one message, in which nothing is that was not known, has another name, or is no victim when its turn
 * comes; what gets into the way in the same batch is seen all the same.
 */
START_TEST(pins_of_a_batch)
{
	int64_t n[8], moved;
	struct rpc_rename *r;
	char name[8];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		rig_host_file(name);
		n[i] = i == 2 ? 0 : rig_lookup(1, name);
	}
	rig_host_file("moved");
	moved = rig_lookup(1, "moved");
	ck_assert_int_eq(link(rig_path("n3"), rig_path("other")), 0);
	/* n4 is another file when its turn comes. */
	r = rig_add(0, RPC_RENAME, NULL, 0, "moved", "n4");
	r->olddir = r->newdir = 1;
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		((struct rpc_node *)rig_add(0, RPC_UNLINK, NULL, 0, name, NULL))->node = 1;
	}
	((struct rpc_node *)rig_add(0, RPC_UNLINK, NULL, 0, "absent", NULL))->node = 1;
	rig_send(0);
	for (unsigned got = 0; got < 10;)
		for (struct rpc_hdr *h = rig_recv(0); h != NULL; h = rpc_next(rig.lane[0].in, h), got++)
			ck_assert_int_eq(h->error, got < 9 ? 0 : -ENOENT);
	ck_assert_int_eq(rig_getattr(1, NULL), 0);
	/* six of the eight, and the one that was moved there */
	RIG_EVENTUALLY(rig.pins == 7);
	ck_assert_uint_eq(rig.pin_messages, 2);
	ck_assert_uint_eq(rig.unpins, 0);
	rig_restart();
	for (unsigned i = 0; i < 8; i++)
		if (i != 2)
			ck_assert_int_eq(rig_getattr((uint64_t)n[i], NULL), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)moved, NULL), 0);
}
END_TEST

/* Read a piece of d's listing; mark what it brings. Returns the next offset, 0 at the end; the first name is removed. */
static uint64_t
piece(uint64_t d, uint64_t offset, bool *seen, unsigned n)
{
	struct rpc_file f = { .node = d, .fh = 5, .hflags = RPC_FILE_HANDLE };
	char buf[512], first[64] = "";
	int64_t len = rig_io(RPC_READDIR, f, offset, buf, sizeof(buf), 0);

	ck_assert_int_ge(len, 0);
	for (int64_t at = 0; at < len;) {
		struct rpc_dirent e;
		char name[256] = "";
		unsigned nr;

		memcpy(&e, buf + at, sizeof(e));
		memcpy(name, buf + at + sizeof(e), e.namelen);
		at += (int64_t)((sizeof(e) + e.namelen + 7) & ~(size_t)7);
		offset = e.off;
		if (name[0] == '.')
			continue;
		nr = (unsigned)atoi(name + 5);
		ck_assert_uint_lt(nr, n);
		ck_assert(!seen[nr]);
		seen[nr] = true;
		if (first[0] == '\0')
			strcpy(first, name);
	}
	if (len > 0 && first[0] != '\0')
		ck_assert_int_eq(rig_remove(RPC_UNLINK, d, first), 0);
	return len == 0 ? 0 : offset;
}

/* The worker dies again and again while a directory is listed and emptied: nothing is missed, nothing comes twice. */
static void
list_over_restarts(bool held)
{
	bool seen[100] = { false };
	struct rpc_getattr *q;
	uint64_t offset = 0;
	unsigned pieces = 0, n = 0;
	int64_t d;

	d = rig_lookup(1, "d");
	ck_assert_int_eq(rig_opendir((uint64_t)d, 5), 0);
	do {
		offset = piece((uint64_t)d, offset, seen, 100);
		if (pieces++ % 3 == 0)
			rig_restart();
	} while (offset != 0);
	for (unsigned i = 0; i < 100; i++)
		n += seen[i];
	ck_assert_uint_eq(n, 100);
	ck_assert_uint_ge(pieces, 7);
	ck_assert_uint_eq(rig.holds, held ? 1 : 0);
	ck_assert_int_eq(rig.fetches > 0, held);
	q = rig_add(0, RPC_RELEASE, NULL, 0, NULL, NULL);
	q->f = (struct rpc_file){ .node = (uint64_t)d, .fh = 5, .hflags = RPC_FILE_HANDLE };
	ck_assert_int_eq(rig_call()->error, 0);
	RIG_EVENTUALLY(rig.drops == (held ? 1u : 0u));
}

START_TEST(listing)
{
	make_files(100);
	list_over_restarts(false);
}
END_TEST

START_TEST(overlay_listing)
{
	list_over_restarts(true);
}
END_TEST

/* Mounts that no worker met before, or only the first: the vault is never asked about one it does not know. */
START_TEST(submounts)
{
	static const char *const specials[] = { "fifo", "link", "socket", "device" };
	int64_t seen, inside, special[4];
	struct rpc_attr attr;

	seen = rig_lookup(1, "seen");
	inside = rig_lookup((uint64_t)seen, "f");
	ck_assert_int_gt(inside, 1);
	rig_restart();
	ck_assert_int_eq(rig_lookup((uint64_t)seen, "f"), inside);
	ck_assert_int_eq(rig_lookup(1, "seen"), seen);
	ck_assert_uint_ge((uint64_t)rig_lookup((uint64_t)rig_lookup(1, "unseen"), "s"), NODE_FIRST(1));
	/* what is never opened is asked for through the directory it is in */
	for (unsigned i = 0; i < 4; i++)
		special[i] = rig_lookup((uint64_t)seen, specials[i]);
	rig_restart();
	ck_assert_int_eq(rig_getattr((uint64_t)seen, NULL), 0);
	ck_assert_int_eq(rig_lookup((uint64_t)seen, specials[_i]), special[_i]);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(rig_lookup((uint64_t)seen, specials[i]), special[i]);
	/* also by what removes it, which has the vault keep it */
	rig_restart();
	ck_assert_int_eq(rig_remove(RPC_UNLINK, (uint64_t)seen, specials[_i]), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)special[_i], &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	RIG_EVENTUALLY(rig.pins == 1);
	/* a mount that is nothing but a file, and one that is nothing but a fifo, which is never opened */
	ck_assert_uint_ge((uint64_t)rig_lookup(1, "file"), NODE_FIRST(1));
	ck_assert_uint_ge((uint64_t)rig_lookup(1, "fifo"), NODE_FIRST(1));
	ck_assert_int_eq(rig_getattr((uint64_t)rig_lookup(1, "fifo"), NULL), 0);
}
END_TEST

static void
submounts_setup(void)
{
	static const char *const dirs[] = { "seen", "unseen" };

	rig_setup();
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(mkdir(rig_path(dirs[i]), 0755), 0);
		ck_assert_int_eq(mount("test", rig_path(dirs[i]), "tmpfs", 0, "size=1m"), 0);
	}
	rig_host_file("seen/f");
	rig_host_file("file");
	rig_host_file("fifo");
	rig_host_file("unseen/f");
	ck_assert_int_eq(symlink("f", rig_path("unseen/s")), 0);
	ck_assert_int_eq(mkfifo(rig_path("seen/fifo"), 0644), 0);
	ck_assert_int_eq(symlink("f", rig_path("seen/link")), 0);
	ck_assert_int_eq(mknod(rig_path("seen/socket"), S_IFSOCK | 0644, 0), 0);
	ck_assert_int_eq(mknod(rig_path("seen/device"), S_IFCHR | 0644, makedev(1, 3)), 0);
	ck_assert_int_eq(mount(rig_path("seen/f"), rig_path("file"), NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(mount(rig_path("seen/fifo"), rig_path("fifo"), NULL, MS_BIND, NULL), 0);
	rig_start();
}

static void
submounts_teardown(void)
{
	static const char *const names[] = { "fifo", "file", "seen", "unseen" };

	for (unsigned i = 0; i < 4; i++)
		umount2(rig_path(names[i]), MNT_DETACH);
	rig_teardown();
}

/* RELEASE in a worker that never used the handle. */
START_TEST(overlay_release)
{
	struct rpc_getattr *q;
	int64_t d = rig_lookup(1, "d");

	ck_assert_int_eq(rig_opendir((uint64_t)d, 5), 0);
	rig_restart();
	q = rig_add(0, RPC_RELEASE, NULL, 0, NULL, NULL);
	q->f = (struct rpc_file){ .node = (uint64_t)d, .fh = 5, .hflags = RPC_FILE_HANDLE };
	ck_assert_int_eq(rig_call()->error, 0);
	RIG_EVENTUALLY(rig.drops == 1);
	ck_assert_uint_eq(rig.fetches, 0);
}
END_TEST

/* A file system without handles: the vault keeps fds, and knows them again. */
START_TEST(overlay_identity)
{
	int64_t d = rig_lookup(1, "d"), f = rig_lookup((uint64_t)d, "name-3");

	rig_restart();
	ck_assert_int_eq(rig_lookup(1, "d"), d);
	ck_assert_int_eq(rig_lookup((uint64_t)d, "name-3"), f);
	ck_assert_int_eq(rig_getattr((uint64_t)f, NULL), 0);
}
END_TEST

/* A merged directory: half of the entries in each layer. */
static void
overlay_setup(void)
{
	static const char *const dirs[] = { "up", "work", "low", "low/d", "up/d", "m" };
	char opts[400];

	rig_setup();
	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(mkdir(rig_path(dirs[i]), 0755), 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(opts, sizeof(opts), "%s/d/name-%u", i % 2 ? "up" : "low", i);
		rig_host_file(opts);
	}
	snprintf(opts, sizeof(opts), "lowerdir=%s/low,upperdir=%s/up,workdir=%s/work", rig.share, rig.share, rig.share);
	ck_assert_int_eq(mount("test", rig_path("m"), "overlay", 0, opts), 0);
	strcat(rig.share, "/m");
	rig_start();
}

static void
overlay_teardown(void)
{
	ck_assert_int_eq(umount2(rig.share, MNT_DETACH), 0);
	*strrchr(rig.share, '/') = '\0';
	rig_teardown();
}

#define THAW_MS	6000	/* in any case */

/* Freeze a file system until the result is closed: by a process of its own, so that a test that fails leaves nothing frozen. */
static int
freeze(const char *dir)
{
	int fs = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), pair[2];
	struct pollfd p;
	char c = 0;

	ck_assert_int_ge(fs, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	if (fork() == 0) {
		setsid();
		close(pair[0]);
		p = (struct pollfd){ .fd = pair[1], .events = POLLIN };
		if (ioctl(fs, FIFREEZE, 0) == -1 || write(pair[1], &c, 1) != 1)
			_exit(1);
		poll(&p, 1, THAW_MS);
		_exit(ioctl(fs, FITHAW, 0) == -1);
	}
	close(fs);
	close(pair[1]);
	ck_assert_int_eq((int)read(pair[0], &c, 1), 1);
	return pair[0];
}

/* RESET, where the last close of a file waits for its file system: nobody else does. */
START_TEST(reset_hangs_alone)
{
	int64_t m = rig_lookup(1, "m"), f = rig_lookup((uint64_t)m, "f");
	struct pollfd p;
	int leash, status;

	ck_assert_int_gt(f, 1);
	rig_restart();
	rig_host_file("new");
	ck_assert_int_eq(rig_lookup((uint64_t)m, "f"), f);
	/* The host's doing: nobody has pinned it. */
	ck_assert_int_eq(unlink(rig_path("m/f")), 0);
	leash = freeze(rig_path("m"));
	rig_add(0, RPC_RESET, NULL, 0, NULL, NULL);
	rig_send(0);
	usleep(200000);
	/* What the vault is asked about. */
	((struct rpc_node *)rig_add(1, RPC_LOOKUP, NULL, 0, "new", NULL))->node = 1;
	rig_send(1);
	p = (struct pollfd){ .fd = rig.lane[1].sock, .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, THAW_MS / 2), 1);
	ck_assert_int_eq(rig_recv(1)->error, 0);
	ck_assert_uint_eq(rig.resets, 1);
	p = (struct pollfd){ .fd = rig.lane[0].sock, .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	close(leash);
	ck_assert(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(rig_recv(0)->error, 0);
	ck_assert_int_eq(rig_getattr((uint64_t)f, NULL), -ESTALE);
	RIG_EVENTUALLY(rig.unmounts == 1);
}
END_TEST

static void
frozen_setup(void)
{
	char cmd[200];

	rig_setup();
	ck_assert_int_eq(mkdir(rig_path("m"), 0755), 0);
	snprintf(cmd, sizeof(cmd), "cd %s && truncate -s 200M image && mkfs.btrfs -q image >/dev/null && mount -o loop image m",
	    rig.share);
	ck_assert_int_eq(system(cmd), 0);
	rig_host_file("m/f");
	rig_start();
}

static void
frozen_teardown(void)
{
	umount2(rig_path("m"), MNT_DETACH);
	rig_teardown();
}

int
main(void)
{
	Suite *s = suite_create("worker restart");

	rig_add_test(s, same_identity, rig_plain, rig_teardown, 1);
	rig_add_test(s, listing_asks_little, rig_plain, rig_teardown, 1);
	rig_add_test(s, forget_of_another_time, rig_plain, rig_teardown, 1);
	rig_add_test(s, pins, rig_plain, rig_teardown, 1);
	rig_add_test(s, pins_given_back, rig_plain, rig_teardown, 1);
	rig_add_test(s, pins_of_a_batch, rig_plain, rig_teardown, 1);
	rig_add_test(s, listing, rig_plain, rig_teardown, 1);
	rig_add_test(s, submounts, submounts_setup, submounts_teardown, 4);
	rig_add_test(s, overlay_listing, overlay_setup, overlay_teardown, 1);
	rig_add_test(s, overlay_release, overlay_setup, overlay_teardown, 1);
	rig_add_test(s, overlay_identity, overlay_setup, overlay_teardown, 1);
	rig_add_test(s, reset_hangs_alone, frozen_setup, frozen_teardown, 1);
	return rig_run(s);
}
