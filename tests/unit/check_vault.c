/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * monitor/vault_table.c, and monitor/vault.c over its sockets, on ext4 (/var/tmp), tmpfs (/dev/shm), overlayfs (long
 * handles) and procfs (no handles). This process plays the worker. Needs root: CAP_DAC_READ_SEARCH, and CAP_SYS_ADMIN
 * for the overlay.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "monitor/vault_table.h"
#include "tests/unit/vault_rig.h"

static const char *const places[] = { "/var/tmp", "/dev/shm" };

/* The table against an array that knows the truth. */
START_TEST(test_table)
{
	enum { IDS = 60000, STEPS = 400000 };
	static bool there[IDS];
	struct vault_table t;
	struct vault_entry *e;
	uint64_t seed = 88172645463325252u;
	uint32_t count = 0, pos = 0, walked = 0;
	/* Ids that differ only in high bits crowd each other in the hash table. */
	const uint64_t step = _i == 0 ? 1 : UINT64_C(1) << 40;

	ck_assert_int_eq(vault_table_init(&t, IDS), 0);
	for (int i = 0; i < STEPS; i++) {
		uint64_t id;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		id = seed % IDS;
		e = vault_table_find(&t, (id + 1) * step);
		ck_assert_int_eq(e != NULL, there[id]);
		if (e != NULL)
			ck_assert_int_eq(e->u.error, -(int)id);
		if (e != NULL && (seed >> 32) % 4 == 0) {
			vault_table_remove(&t, e);
			there[id] = false;
			count--;
		} else if (e == NULL) {
			ck_assert_int_eq(vault_table_add(&t, (id + 1) * step, &e), 0);
			ck_assert_uint_eq(e->kind, VAULT_FREE);
			e->kind = VAULT_LOST;
			e->u.error = -(int)id;
			there[id] = true;
			count++;
		}
		ck_assert_uint_eq(t.count, count);
	}
	while ((e = vault_table_walk(&t, &pos)) != NULL)
		walked++;
	ck_assert_uint_eq(walked, count);
	for (uint64_t id = 0; id < IDS; id++)
		ck_assert_int_eq(vault_table_find(&t, (id + 1) * step) != NULL, there[id]);
	ck_assert_ptr_null(vault_table_find(&t, 0));
	vault_table_free(&t);
}
END_TEST

START_TEST(test_table_full)
{
	struct vault_table t;
	struct vault_entry *e;

	ck_assert_int_eq(vault_table_init(&t, 3), 0);
	for (uint64_t n = 1; n <= 3; n++)
		ck_assert_int_eq(vault_table_add(&t, n, &e), 0);
	ck_assert_int_eq(vault_table_add(&t, 4, &e), -ENOSPC);
	ck_assert_int_eq(vault_table_add(&t, 3, &e), 0);
	ck_assert_uint_eq(e->node, 3);
	vault_table_remove(&t, e);
	ck_assert_int_eq(vault_table_add(&t, 4, &e), 0);
	vault_table_free(&t);
}
END_TEST

/* Every kind of inode comes back, by handle; what is not there says so. */
START_TEST(test_round_trip)
{
	static const char *const names[] = { "file", "dir", "link", "fifo", "." };
	const uint64_t nodes[] = { 2, 3, 4, 5, 6, 99, 0 };
	struct rig r;
	int fds[countof(nodes)], before;

	rig_begin(&r, places[_i], 0, 1000);
	rig_make_file(&r, "file");
	ck_assert_int_eq(mkdirat(r.dir, "dir", 0700), 0);
	ck_assert_int_eq(symlinkat("nowhere", r.dir, "link"), 0);
	ck_assert_int_eq(mkfifoat(r.dir, "fifo", 0600), 0);
	rig_put_mount(&r, r.mnt, r.dir);
	rig_put_mount(&r, r.mnt, r.dir);
	before = rig_settled_fds(&r);
	for (size_t i = 0; i < countof(names); i++)
		rig_put_node(&r, nodes[i], r.mnt, rig_path_fd(&r, names[i]));
	rig_get_nodes(&r, nodes, countof(nodes), fds);
	ck_assert_int_eq(fds[5], -EBADF);
	ck_assert_int_eq(fds[6], -EBADF);
	for (size_t i = 0; i < countof(names); i++)
		rig_assert_same(fds[i], rig_path_fd(&r, names[i]));
	/* Nothing but the mount is kept open. */
	ck_assert_int_eq(rig_settled_fds(&r), before);

	rig_forget(&r, 3);
	rig_forget(&r, 12345);
	ck_assert_int_eq(rig_get_node(&r, 3), -EBADF);
	rig_forget(&r, 2);
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "dir"));
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "dir"));
	rig_assert_same(rig_get_node(&r, 2), rig_path_fd(&r, "dir"));
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

START_TEST(test_reset)
{
	const struct vault_hdr reset = { VAULT_RESET, 0 };
	struct rig r;

	rig_begin(&r, places[_i], 0, 1000);
	rig_make_file(&r, "file");
	rig_put_mount(&r, r.mnt, r.dir);
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "file"));
	rig_assert_same(rig_get_node(&r, 2), rig_path_fd(&r, "file"));
	ck_assert_int_eq(msg_send(r.put, &reset, sizeof(reset), NULL, 0, 0), 0);
	ck_assert_int_eq(rig_get_node(&r, 2), -EBADF);
	/* The mount is still known. */
	rig_put_node(&r, 3, r.mnt, rig_path_fd(&r, "file"));
	rig_assert_same(rig_get_node(&r, 3), rig_path_fd(&r, "file"));
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* 100,000 nodes in batches: all come back, in little memory, without fds. */
START_TEST(test_many)
{
	enum { FILES = VAULT_BATCH, NODES = 100000 };
	struct vault_put m = { .h = { VAULT_PUT, VAULT_BATCH } };
	uint64_t nodes[VAULT_BATCH];
	int path[FILES], fds[VAULT_BATCH];
	long before;
	struct rig r;
	char name[16];

	rig_begin(&r, places[_i], 8, NODES + VAULT_BATCH);
	rig_put_mount(&r, r.mnt, r.dir);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		rig_make_file(&r, name);
		path[i] = rig_path_fd(&r, name);
	}
	before = rig_resident_kb();
	for (uint64_t node = 2; node < NODES; node += VAULT_BATCH) {
		for (size_t i = 0; i < VAULT_BATCH; i++)
			m.e[i] = (struct vault_put1){ node + i, r.mnt };
		ck_assert_int_eq(msg_send(r.put, &m, sizeof(m), path, FILES, 0), 0);
	}
	ck_assert_int_eq(rig_get_node(&r, NODES + VAULT_BATCH), -EBADF);
#ifndef SANITIZE
	ck_assert_int_le(rig_resident_kb() - before, NODES * 72 / 1024 + 1024);
#else
	(void)before;
#endif
	for (uint64_t node = 2; node < NODES; node += 97 * VAULT_BATCH) {
		for (size_t i = 0; i < VAULT_BATCH; i++)
			nodes[i] = node + i;
		rig_get_nodes(&r, nodes, VAULT_BATCH, fds);
		for (size_t i = 0; i < VAULT_BATCH; i++)
			rig_assert_same(fds[i], dup(path[i]));
	}
	for (uint64_t node = 2; node < NODES; node += VAULT_BATCH) {
		for (size_t i = 0; i < VAULT_BATCH; i++)
			nodes[i] = node + i;
		rig_send_nodes(r.put, VAULT_FORGET, nodes, VAULT_BATCH);
	}
	ck_assert_int_eq(rig_get_node(&r, 2), -EBADF);
	ck_assert_int_eq(rig_get_node(&r, NODES), -EBADF);
	ck_assert(!rig_breached(&r, 0));
	fd_close_all(path, FILES);
	rig_end(&r);
}
END_TEST

/* A removed file is gone, also when another has its inode number: never another file. */
START_TEST(test_reuse)
{
	struct stat old, new = { .st_ino = 0 };
	struct rig r;
	int tries = 0;

	rig_begin(&r, places[_i], 0, 1000);
	rig_put_mount(&r, r.mnt, r.dir);
	rig_make_file(&r, "old");
	ck_assert_int_eq(fstatat(r.dir, "old", &old, 0), 0);
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "old"));
	rig_assert_same(rig_get_node(&r, 2), rig_path_fd(&r, "old"));
	ck_assert_int_eq(unlinkat(r.dir, "old", 0), 0);
	ck_assert_int_eq(rig_get_node(&r, 2), -ESTALE);
	while (new.st_ino != old.st_ino && tries++ < 200) {
		char name[16];

		snprintf(name, sizeof(name), "new%d", tries);
		rig_make_file(&r, name);
		ck_assert_int_eq(fstatat(r.dir, name, &new, 0), 0);
		ck_assert_int_eq(rig_get_node(&r, 2), -ESTALE);
	}
	/* ext4 reuses numbers at once; tmpfs does not. */
	if (strcmp(places[_i], "/var/tmp") == 0)
		ck_assert_uint_eq(new.st_ino, old.st_ino);
	rig_end(&r);
}
END_TEST

/* procfs has no handles: fds are kept, up to the limit, and given back. */
START_TEST(test_kept_fds)
{
	enum { MAX = 5 };
	const struct vault_hdr reset = { VAULT_RESET, 0 };
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), before;
	uint64_t mnt = rig_mount_id(proc);
	struct rig r;

	log_init(NULL, LOG_OFF);
	rig_begin(&r, "/dev/shm", MAX, 1000);
	rig_put_mount(&r, mnt, proc);
	before = rig_settled_fds(&r);
	for (uint64_t node = 2; node < 2 + MAX - 1; node++)
		rig_put_node(&r, node, mnt, openat(proc, "version", O_PATH | O_CLOEXEC));
	rig_put_node(&r, 50, mnt, openat(proc, "uptime", O_PATH | O_CLOEXEC));
	ck_assert_int_eq(rig_get_node(&r, 50), -ENFILE);
	ck_assert_int_eq(rig_settled_fds(&r), before + MAX - 1);
	rig_assert_same(rig_get_node(&r, 2), openat(proc, "version", O_PATH | O_CLOEXEC));
	rig_assert_same(rig_get_node(&r, 2), openat(proc, "version", O_PATH | O_CLOEXEC));
	/* Room again. */
	rig_forget(&r, 3);
	rig_put_node(&r, 50, mnt, openat(proc, "uptime", O_PATH | O_CLOEXEC));
	rig_assert_same(rig_get_node(&r, 50), openat(proc, "uptime", O_PATH | O_CLOEXEC));
	/* Put again: no other fd is kept. */
	rig_put_node(&r, 50, mnt, openat(proc, "uptime", O_PATH | O_CLOEXEC));
	rig_assert_same(rig_get_node(&r, 50), openat(proc, "uptime", O_PATH | O_CLOEXEC));
	ck_assert_int_eq(rig_settled_fds(&r), before + MAX - 1);
	ck_assert_int_eq(msg_send(r.put, &reset, sizeof(reset), NULL, 0, 0), 0);
	ck_assert_int_eq(rig_get_node(&r, 2), -EBADF);
	ck_assert_int_eq(rig_settled_fds(&r), before);
	ck_assert(!rig_breached(&r, 0));
	close(proc);
	rig_end(&r);
}
END_TEST

/* overlayfs with nfs_export has handles that do not fit an entry. */
START_TEST(test_long_handles)
{
	char options[512];
	static const char *const dirs[] = { "lower", "upper", "work", "merged" };
	struct rig r;
	int ov;
	uint64_t mnt;

	rig_begin(&r, "/var/tmp", 0, 1000);
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
	for (size_t i = 0; i < countof(dirs); i++)
		ck_assert_int_eq(mkdirat(r.dir, dirs[i], 0700), 0);
	ck_assert_int_eq(chdir(r.path), 0);
	snprintf(options, sizeof(options),
	    "lowerdir=lower,upperdir=upper,workdir=work,index=on,nfs_export=on");
	ck_assert_msg(mount("overlay", "merged", "overlay", 0, options) == 0, "mount overlay: %s",
	    strerror(errno));
	ov = open("merged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mnt = rig_mount_id(ov);
	ck_assert_uint_ne(mnt, r.mnt);
	close(openat(ov, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	rig_put_mount(&r, mnt, ov);
	for (uint64_t node = 2; node < 10; node++)
		rig_put_node(&r, node, mnt, openat(ov, "file", O_PATH | O_CLOEXEC));
	rig_assert_same(rig_get_node(&r, 2), openat(ov, "file", O_PATH | O_CLOEXEC));
	rig_forget(&r, 2);
	ck_assert_int_eq(rig_get_node(&r, 2), -EBADF);
	rig_assert_same(rig_get_node(&r, 9), openat(ov, "file", O_PATH | O_CLOEXEC));
	ck_assert_int_eq(unlinkat(ov, "file", 0), 0);
	ck_assert_int_eq(rig_get_node(&r, 9), -ESTALE);
	close(ov);
	vault_free(r.vault);
	r.vault = NULL;
	ck_assert_int_eq(umount2("merged", 0), 0);
	ck_assert_int_eq(system("rm -rf lower upper work merged"), 0);
	rig_end(&r);
}
END_TEST

/* A worker dies with everything in its queues and answers unread; the next one finds it all. */
START_TEST(test_next_worker)
{
	struct rig r;
	char name[16];

	rig_begin(&r, places[_i], 0, 1000);
	rig_put_mount(&r, r.mnt, r.dir);
	for (uint64_t n = 2; n < 52; n++) {
		snprintf(name, sizeof(name), "%d", (int)n);
		rig_make_file(&r, name);
	}
	for (int round = 0; round < 20; round++) {
		for (uint64_t n = 2; n < 52; n++) {
			snprintf(name, sizeof(name), "%d", (int)n);
			rig_put_node(&r, 100 * (uint64_t)round + n, r.mnt, rig_path_fd(&r, name));
		}
		rig_send_nodes(r.get, VAULT_GET, (uint64_t[]){ 2 }, 1);
		close(r.put);
		close(r.get);
		rig_attach(&r);
		for (uint64_t n = 2; n < 52; n++) {
			snprintf(name, sizeof(name), "%d", (int)n);
			rig_assert_same(
			    rig_get_node(&r, 100 * (uint64_t)round + n), rig_path_fd(&r, name));
		}
		for (uint64_t n = 2; n < 52; n++)
			rig_forget(&r, 100 * (uint64_t)round + n + (round % 2 == 0 ? 10000 : 0));
	}
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* What was put before a get counts in its answer, however the thread was caught by the two. */
START_TEST(test_order)
{
	struct rig r;

	rig_begin(&r, "/dev/shm", 0, 20000);
	rig_make_file(&r, "file");
	rig_put_mount(&r, r.mnt, r.dir);
	for (uint64_t n = 2; n < 9000; n += 3) {
		for (uint64_t k = 0; k < 3; k++)
			rig_put_node(&r, n + k, r.mnt, rig_path_fd(&r, "file"));
		rig_assert_same(rig_get_node(&r, n + 2), rig_path_fd(&r, "file"));
	}
	rig_end(&r);
}
END_TEST

/* Workers that come and die faster than the vault looks. */
START_TEST(test_many_workers)
{
	struct rig r;

	rig_begin(&r, "/dev/shm", 0, 1000);
	rig_make_file(&r, "file");
	rig_put_mount(&r, r.mnt, r.dir);
	for (uint64_t n = 2; n < 12; n++) {
		rig_put_node(&r, n, r.mnt, rig_path_fd(&r, "file"));
		close(r.put);
		close(r.get);
		rig_attach(&r);
	}
	for (uint64_t n = 2; n < 12; n++)
		rig_assert_same(rig_get_node(&r, n), rig_path_fd(&r, "file"));
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* No room: the node is not remembered, the worker not blamed, and the vault serves on. */
START_TEST(test_full)
{
	struct rig r;

	log_init(NULL, LOG_OFF);
	rig_begin(&r, "/dev/shm", 0, 2);
	rig_make_file(&r, "file");
	rig_put_mount(&r, r.mnt, r.dir);
	for (uint64_t n = 2; n < 5; n++)
		rig_put_node(&r, n, r.mnt, rig_path_fd(&r, "file"));
	ck_assert_int_eq(rig_get_node(&r, 4), -EBADF);
	rig_assert_same(rig_get_node(&r, 3), rig_path_fd(&r, "file"));
	rig_forget(&r, 2);
	rig_put_node(&r, 4, r.mnt, rig_path_fd(&r, "file"));
	rig_assert_same(rig_get_node(&r, 4), rig_path_fd(&r, "file"));
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* A mount that finds no room makes its nodes lost, not the worker a liar. */
START_TEST(test_mounts_full)
{
	struct rig r;

	log_init(NULL, LOG_OFF);
	rig_begin(&r, "/dev/shm", 1, 100);
	rig_make_file(&r, "file");
	rig_put_mount(&r, r.mnt, r.dir);
	{
		int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		rig_put_mount(&r, rig_mount_id(proc), proc);
		rig_put_node(
		    &r, 2, rig_mount_id(proc), openat(proc, "version", O_PATH | O_CLOEXEC));
		close(proc);
	}
	ck_assert_int_eq(rig_get_node(&r, 2), -ENFILE);
	rig_put_node(&r, 3, r.mnt, rig_path_fd(&r, "file"));
	rig_assert_same(rig_get_node(&r, 3), rig_path_fd(&r, "file"));
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* What only a compromised worker sends. The fds named: p = O_PATH of a file (node 2), D = of the directory, P = of /proc/version, d = the directory,
 * r = the file, readable, f = a fifo, readable. */
static const struct {
	const char *what;
	bool on_get;
	uint32_t op, count;
	int body; /* bytes behind the header; -n: the message is only n bytes long */
	const char *fds;
	uint64_t node; /* first word of the body, of each element */
	int mnt; /* second word: 0 = the right mount id, 1 = a wrong one, 2 = that of /proc */
} hostile[] = {
	{ "one byte", false, VAULT_PUT, 1, -1, "p", 2, 0 },
	{ "half a header", false, VAULT_PUT, 1, -4, "", 2, 0 },
	{ "no op", false, 0, 1, 16, "p", 2, 0 },
	{ "unknown op", false, 77, 1, 16, "p", 2, 0 },
	{ "GET in the put queue", false, VAULT_GET, 1, 8, "", 2, 0 },
	{ "GOT in the put queue", false, VAULT_GOT, 1, 8, "", 2, 0 },
	{ "PUT without elements", false, VAULT_PUT, 0, 0, "", 2, 0 },
	{ "PUT of 65", false, VAULT_PUT, 65, 64 * 16, "p", 2, 0 },
	{ "PUT too long", false, VAULT_PUT, 65, 65 * 16, "p", 2, 0 },
	{ "PUT count above length", false, VAULT_PUT, 2, 16, "pp", 2, 0 },
	{ "PUT count below length", false, VAULT_PUT, 1, 32, "p", 2, 0 },
	{ "PUT with half an element", false, VAULT_PUT, 1, 8, "p", 2, 0 },
	{ "PUT with huge count", false, VAULT_PUT, 0x10000001, 16, "p", 2, 0 },
	{ "PUT without fd", false, VAULT_PUT, 1, 16, "", 2, 0 },
	{ "PUT with too few fds", false, VAULT_PUT, 2, 32, "p", 2, 0 },
	{ "PUT with too many fds", false, VAULT_PUT, 1, 16, "pp", 2, 0 },
	{ "PUT of node 0", false, VAULT_PUT, 1, 16, "p", 0, 0 },
	{ "PUT of a readable fd", false, VAULT_PUT, 1, 16, "r", 2, 0 },
	{ "PUT of a readable directory", false, VAULT_PUT, 1, 16, "d", 2, 0 },
	{ "PUT with a wrong mount", false, VAULT_PUT, 1, 16, "p", 2, 1 },
	{ "PUT of another mount's fd", false, VAULT_PUT, 1, 16, "P", 2, 0 },
	{ "PUT on an unknown mount", false, VAULT_PUT, 1, 16, "P", 2, 2 },
	{ "PUT whose first fd lies", false, VAULT_PUT, 2, 32, "Pp", 2, 0 },
	{ "PUT whose second fd lies", false, VAULT_PUT, 2, 32, "pP", 2, 0 },
	{ "PUT of a known node as another inode", false, VAULT_PUT, 1, 16, "D", 2, 0 },
	{ "PUT of the root", false, VAULT_PUT, 1, 16, "D", 1, 0 },
	{ "PUT of a later worker's node", false, VAULT_PUT, 1, 16, "D", NODE_FIRST(1), 0 },
	{ "PUT of the last node", false, VAULT_PUT, 1, 16, "D", UINT64_MAX, 0 },
	{ "MOUNT by O_PATH", false, VAULT_MOUNT, 1, 8, "p", 0, 0 },
	{ "MOUNT without fd", false, VAULT_MOUNT, 1, 8, "", 0, 0 },
	{ "MOUNT with two fds", false, VAULT_MOUNT, 1, 8, "dd", 0, 0 },
	{ "MOUNT with a wrong id", false, VAULT_MOUNT, 1, 8, "d", 12345678, 0 },
	{ "MOUNT by a fifo", false, VAULT_MOUNT, 1, 8, "f", 0, 0 },
	{ "MOUNT too short", false, VAULT_MOUNT, 1, 4, "d", 0, 0 },
	{ "MOUNT too long", false, VAULT_MOUNT, 1, 16, "d", 0, 0 },
	{ "MOUNT of two", false, VAULT_MOUNT, 2, 8, "d", 0, 0 },
	{ "FORGET with an fd", false, VAULT_FORGET, 1, 8, "p", 2, 0 },
	{ "FORGET of none", false, VAULT_FORGET, 0, 0, "", 2, 0 },
	{ "FORGET too short", false, VAULT_FORGET, 2, 8, "", 2, 0 },
	{ "FORGET of 65", false, VAULT_FORGET, 65, 65 * 8, "", 2, 0 },
	{ "RESET with a body", false, VAULT_RESET, 0, 8, "", 2, 0 },
	{ "RESET with a count", false, VAULT_RESET, 1, 0, "", 2, 0 },
	{ "RESET with an fd", false, VAULT_RESET, 0, 0, "p", 2, 0 },
	{ "one byte", true, VAULT_GET, 1, -1, "", 2, 0 },
	{ "PUT in the get queue", true, VAULT_PUT, 1, 16, "p", 2, 0 },
	{ "RESET in the get queue", true, VAULT_RESET, 0, 0, "", 2, 0 },
	{ "GET of none", true, VAULT_GET, 0, 0, "", 2, 0 },
	{ "GET of 65", true, VAULT_GET, 65, 65 * 8, "", 2, 0 },
	{ "GET too short", true, VAULT_GET, 2, 8, "", 2, 0 },
	{ "GET too long", true, VAULT_GET, 1, 16, "", 2, 0 },
	{ "GET with an fd", true, VAULT_GET, 1, 8, "p", 2, 0 },
};

static int
hostile_fd(struct rig *r, char kind)
{
	switch (kind) {
	case 'p':
		return rig_path_fd(r, "file");
	case 'D':
		return rig_path_fd(r, ".");
	case 'P':
		return open("/proc/version", O_PATH | O_CLOEXEC);
	case 'd':
		return open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 'r':
		return openat(r->dir, "file", O_RDONLY | O_CLOEXEC);
	default:
		return openat(r->dir, "fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	}
}

START_TEST(test_hostile)
{
	struct {
		struct vault_hdr h;
		uint64_t w[200];
	} m = { .h = { hostile[_i].op, hostile[_i].count } };
	struct pollfd hangup[2];
	size_t len = hostile[_i].body < 0 ? (size_t)-hostile[_i].body
					  : sizeof(m.h) + (size_t)hostile[_i].body,
	       nfds;
	int fds[4] = { -1, -1, -1, -1 }, before, proc = open("/proc", O_PATH | O_CLOEXEC);
	bool is_mount = hostile[_i].op == VAULT_MOUNT;
	struct rig r;

	rig_begin(&r, "/dev/shm", 0, 1000);
	rig_make_file(&r, "file");
	ck_assert_int_eq(mkfifoat(r.dir, "fifo", 0600), 0);
	rig_put_mount(&r, r.mnt, r.dir);
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "file"));
	rig_assert_same(rig_get_node(&r, 2), rig_path_fd(&r, "file"));
	before = rig_settled_fds(&r);

	for (size_t i = 0; i < countof(m.w) - 1; i += 2) {
		m.w[i] = is_mount && hostile[_i].node == 0 ? r.mnt : hostile[_i].node;
		m.w[i + 1] = hostile[_i].mnt == 0 ? r.mnt
		    : hostile[_i].mnt == 1        ? r.mnt + 1000
						  : rig_mount_id(proc);
	}
	nfds = strlen(hostile[_i].fds);
	for (size_t i = 0; i < nfds; i++)
		ck_assert_int_ge(fds[i] = hostile_fd(&r, hostile[_i].fds[i]), 0);
	ck_assert_int_eq(msg_send(hostile[_i].on_get ? r.get : r.put, &m, len, fds, nfds, 0), 0);
	fd_close_all(fds, nfds);

	ck_assert_msg(rig_breached(&r, 2000), "'%s' went through", hostile[_i].what);
	/* It is served no more, and no fd of the message stays open. */
	hangup[0] = (struct pollfd){ .fd = r.put };
	hangup[1] = (struct pollfd){ .fd = r.get };
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(poll(&hangup[i], 1, 2000), 1);
		ck_assert(hangup[i].revents & POLLHUP);
	}
	for (int i = 0; i < 200 && rig_count_fds() != before - 2; i++)
		usleep(1000);
	ck_assert_int_eq(rig_count_fds(), before - 2);
	close(proc);
	rig_end(&r);
}
END_TEST

/* The same messages made good: the checks above refuse what is wrong, and not everything. */
START_TEST(test_not_hostile)
{
	struct rig r;
	int before = rig_count_fds();

	rig_begin(&r, "/dev/shm", 0, 1000);
	rig_make_file(&r, "file");
	rig_put_mount(&r, r.mnt, openat(r.dir, "file", O_RDONLY | O_CLOEXEC));
	rig_put_node(&r, NODE_FIRST(1) - 1, r.mnt, rig_path_fd(&r, "file"));
	rig_assert_same(rig_get_node(&r, NODE_FIRST(1) - 1), rig_path_fd(&r, "file"));
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
	/* The fd of the mount, opened here and sent, is the only one left. */
	ck_assert_int_eq(rig_count_fds(), before + 1);
}
END_TEST

/* Both sockets closed: the thread idles, uses no CPU, and ends when told. */
START_TEST(test_idle)
{
	struct rusage a, b;
	struct rig r;

	rig_begin(&r, "/dev/shm", 0, 1000);
	fd_close(&r.put);
	fd_close(&r.get);
	usleep(50000);
	getrusage(RUSAGE_SELF, &a);
	usleep(200000);
	getrusage(RUSAGE_SELF, &b);
	ck_assert_int_lt(
	    (b.ru_utime.tv_sec - a.ru_utime.tv_sec + b.ru_stime.tv_sec - a.ru_stime.tv_sec) *
		    1000000 +
		b.ru_utime.tv_usec - a.ru_utime.tv_usec + b.ru_stime.tv_usec - a.ru_stime.tv_usec,
	    50000);
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* How often the vault's thread has offered its CPU, while held: the first time it waits until it may go on. */
static _Atomic unsigned yields;
static _Atomic bool held;
static sem_t yielding, go_on;

int
sched_yield(void)
{
	if (held && atomic_fetch_add(&yields, 1) == 0) {
		sem_post(&yielding);
		sem_wait(&go_on);
	}
	return 0;
}

/* It gives way to others while it takes what was put, but only a few times before it has looked at its sockets again. */
START_TEST(test_gives_way)
{
	const unsigned n = 900 / VAULT_BATCH;
	int fds[VAULT_BATCH];
	struct rig r;

	sem_init(&yielding, 0, 0);
	sem_init(&go_on, 0, 0);
	held = true;
	rig_begin(&r, "/dev/shm", 0, 2000);
	rig_make_file(&r, "file");
	rig_put_mount(&r, r.mnt, r.dir);
	for (uint32_t i = 0; i < VAULT_BATCH; i++)
		fds[i] = rig_path_fd(&r, "file");
	/* Messages until one takes long enough; the others wait in the queue meanwhile. */
	for (unsigned i = 0; i < n; i++)
		rig_put_nodes(&r, VAULT_PUT, 2 + i * VAULT_BATCH, fds, VAULT_BATCH);
	sem_wait(&yielding);
	for (unsigned i = n; i < 2 * n; i++)
		rig_put_nodes(&r, VAULT_PUT, 2 + i * VAULT_BATCH, fds, VAULT_BATCH);
	sem_post(&go_on);
	rig_assert_same(rig_get_node(&r, 1 + 2 * n * VAULT_BATCH), rig_path_fd(&r, "file"));
	ck_assert_uint_eq(yields, 8);
	fd_close_all(fds, VAULT_BATCH);
	rig_end(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vault");
	TCase *t = tcase_create("vault");
	SRunner *sr;
	int failed;

	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_table, 0, 2);
	tcase_add_test(t, test_table_full);
	tcase_add_loop_test(t, test_round_trip, 0, countof(places));
	tcase_add_loop_test(t, test_reset, 0, countof(places));
	tcase_add_loop_test(t, test_many, 0, countof(places));
	tcase_add_loop_test(t, test_reuse, 0, countof(places));
	tcase_add_test(t, test_kept_fds);
	tcase_add_test(t, test_long_handles);
	tcase_add_loop_test(t, test_next_worker, 0, countof(places));
	tcase_add_test(t, test_order);
	tcase_add_loop_test(t, test_many_workers, 0, 20);
	tcase_add_test(t, test_full);
	tcase_add_test(t, test_mounts_full);
	tcase_add_loop_test(t, test_hostile, 0, countof(hostile));
	tcase_add_test(t, test_not_hostile);
	tcase_add_test(t, test_idle);
	tcase_add_test(t, test_gives_way);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
