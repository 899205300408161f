/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the vault does for the restart of a worker: PIN, FIND, HOLD, DROP, FETCH, over its sockets, on ext4 (/var/tmp),
 * tmpfs (/dev/shm) and procfs (no handles). This process plays the workers, also hostile ones. Needs root.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "monitor/vault_table.h"
#include "tests/unit/vault_rig.h"

static const char *const places[] = { "/var/tmp", "/dev/shm" };

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
pin(struct rig *r, uint64_t node, int fd)
{
	ck_assert_int_ge(fd, 0);
	rig_put_nodes(r, VAULT_PIN, node, &fd, 1);
	close(fd);
}

/* A pinned inode comes back without a name, for the next worker too, until it is forgotten. */
START_TEST(test_pin)
{
	struct rig r;
	int before, keep;

	rig_begin(&r, places[_i], 0, 100);
	rig_put_mount(&r, r.mnt, r.dir);
	rig_make_file(&r, "a");
	rig_make_file(&r, "b");
	before = rig_settled_fds(&r);
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "a"));
	rig_put_node(&r, 3, r.mnt, rig_path_fd(&r, "b"));
	keep = rig_path_fd(&r, "a");
	pin(&r, 2, rig_path_fd(&r, "a"));
	pin(&r, 2, rig_path_fd(&r, "a"));
	pin(&r, 99, rig_path_fd(&r, "a"));
	ck_assert_int_eq(rig_settled_fds(&r), before + 2);
	ck_assert_int_eq(unlinkat(r.dir, "a", 0), 0);
	ck_assert_int_eq(unlinkat(r.dir, "b", 0), 0);
	rig_assert_same(rig_get_node(&r, 2), dup(keep));
	ck_assert_int_eq(rig_get_node(&r, 3), -ESTALE);
	ck_assert_int_eq(rig_get_node(&r, 99), -EBADF);
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, dup(keep)), 2);

	fd_close(&r.put);
	fd_close(&r.get);
	rig_attach(&r);
	rig_assert_same(rig_get_node(&r, 2), dup(keep));
	/* The new worker reports it again: nothing changes. */
	rig_put_node(&r, 2, r.mnt, dup(keep));
	rig_assert_same(rig_get_node(&r, 2), dup(keep));
	rig_forget(&r, 2);
	ck_assert_int_eq(rig_get_node(&r, 2), -EBADF);
	close(keep);
	ck_assert_int_eq(rig_settled_fds(&r), before);
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

static void
unpin(struct rig *r, uint64_t node)
{
	rig_send_nodes(r->put, VAULT_UNPIN, &node, 1);
}

static const char *
fd_path(int fd)
{
	static char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

/* A file that has got its name: the fd goes, the handle will do; what is not pinned or not known is no matter. */
START_TEST(test_unpin)
{
	struct rig r;
	int before, fd, keep;

	rig_begin(&r, places[_i], 0, 100);
	rig_put_mount(&r, r.mnt, r.dir);
	fd = openat(r.dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd == -1) {
		/* A kernel without O_TMPFILE on that file system. */
		ck_assert_int_eq(errno, EOPNOTSUPP);
		rig_end(&r);
		return;
	}
	keep = openat(AT_FDCWD, fd_path(fd), O_PATH | O_CLOEXEC);
	before = rig_settled_fds(&r);
	rig_put_node(&r, 2, r.mnt, dup(keep));
	pin(&r, 2, dup(keep));
	ck_assert_int_eq(rig_settled_fds(&r), before + 1);
	fd_close(&fd);
	rig_assert_same(rig_get_node(&r, 2), dup(keep));
	ck_assert_int_eq(linkat(AT_FDCWD, fd_path(keep), r.dir, "named", AT_SYMLINK_FOLLOW), 0);
	unpin(&r, 2);
	unpin(&r, 2);
	unpin(&r, 99);
	unpin(&r, 0);
	ck_assert_int_eq(rig_settled_fds(&r), before - 1);
	rig_assert_same(rig_get_node(&r, 2), dup(keep));
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, keep), 2);
	rig_forget(&r, 2);
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* A pin is given back when its inode keeps a name; the node stays, and can be pinned again. */
START_TEST(test_pin_given_back)
{
	const uint64_t nodes[] = { 2, 3, 99 };
	struct rig r;
	int before;

	rig_begin(&r, places[_i], 0, 100);
	rig_put_mount(&r, r.mnt, r.dir);
	rig_make_file(&r, "a");
	before = rig_settled_fds(&r);
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "a"));
	pin(&r, 2, rig_path_fd(&r, "a"));
	ck_assert_int_eq(rig_settled_fds(&r), before + 1);
	/* Also of nodes without one, and of unknown ones. */
	rig_send_nodes(r.put, VAULT_UNPIN, nodes, 3);
	rig_send_nodes(r.put, VAULT_UNPIN, nodes, 1);
	ck_assert_int_eq(rig_settled_fds(&r), before);
	rig_assert_same(rig_get_node(&r, 2), rig_path_fd(&r, "a"));
	pin(&r, 2, rig_path_fd(&r, "a"));
	ck_assert_int_eq(rig_settled_fds(&r), before + 1);
	ck_assert_int_eq(unlinkat(r.dir, "a", 0), 0);
	rig_send_nodes(r.put, VAULT_UNPIN, nodes, 1);
	ck_assert_int_eq(rig_get_node(&r, 2), -ESTALE);
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* A worker cannot make what another one has named mean another inode, neither by PUT nor by PIN. */
START_TEST(test_identity_of_another_time)
{
	struct rig r;

	log_init(NULL, LOG_OFF);
	rig_begin(&r, places[_i], 0, 100);
	rig_put_mount(&r, r.mnt, r.dir);
	rig_make_file(&r, "a");
	rig_make_file(&r, "b");
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "a"));
	rig_assert_same(rig_get_node(&r, 2), rig_path_fd(&r, "a"));
	fd_close(&r.put);
	fd_close(&r.get);
	r.incarnation = 1;
	rig_attach(&r);
	pin(&r, 2, rig_path_fd(&r, "b"));
	rig_assert_same(rig_get_node(&r, 2), rig_path_fd(&r, "a"));
	rig_put_node(&r, NODE_FIRST(1), r.mnt, rig_path_fd(&r, "b"));
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "a"));
	rig_assert_same(rig_get_node(&r, NODE_FIRST(1)), rig_path_fd(&r, "b"));
	ck_assert(!rig_breached(&r, 0));
	/* Not even one that is free again. */
	rig_forget(&r, 2);
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "b"));
	ck_assert(rig_breached(&r, 2000));
	/* The next worker is served all the same. */
	fd_close(&r.put);
	fd_close(&r.get);
	r.incarnation = 2;
	rig_attach(&r);
	ck_assert_int_eq(rig_get_node(&r, 2), -EBADF);
	rig_assert_same(rig_get_node(&r, NODE_FIRST(1)), rig_path_fd(&r, "b"));
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* Pins stay within the limit of fds; RESET drops them and makes room. */
START_TEST(test_pin_budget)
{
	struct rig r;
	char name[2] = "a";
	int before;

	log_init(NULL, LOG_OFF);
	rig_begin(&r, "/dev/shm", 4, 100);
	rig_put_mount(&r, r.mnt, r.dir);
	before = rig_settled_fds(&r);
	for (uint64_t node = 2; node < 8; node++, name[0]++) {
		rig_make_file(&r, name);
		rig_put_node(&r, node, r.mnt, rig_path_fd(&r, name));
		/* What is given back, once or twice, counts no more, and not for less. */
		pin(&r, node, rig_path_fd(&r, name));
		unpin(&r, node);
		unpin(&r, node);
		pin(&r, node, rig_path_fd(&r, name));
		ck_assert_int_eq(unlinkat(r.dir, name, 0), 0);
	}
	ck_assert_int_eq(rig_settled_fds(&r), before + 3);
	for (uint64_t node = 2; node < 8; node++) {
		int fd = rig_get_node(&r, node);

		ck_assert_int_eq(fd >= 0, node < 5);
		fd_close(&fd);
	}
	ck_assert_int_eq(msg_send(r.put, &(struct vault_hdr){ VAULT_RESET, 0 },
			     sizeof(struct vault_hdr), NULL, 0, 0),
	    0);
	ck_assert_int_eq(rig_settled_fds(&r), before);
	rig_make_file(&r, "z");
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "z"));
	pin(&r, 2, rig_path_fd(&r, "z"));
	ck_assert_int_eq(rig_settled_fds(&r), before + 1);
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* FIND: by handle, also under another name; not what is forgotten, replaced, or a new file with the old number. */
START_TEST(test_find)
{
	struct rig r;

	rig_begin(&r, places[_i], 0, 1000);
	rig_put_mount(&r, r.mnt, r.dir);
	rig_make_file(&r, "a");
	rig_make_file(&r, "b");
	ck_assert_int_eq(linkat(r.dir, "a", r.dir, "c", 0), 0);
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, rig_path_fd(&r, "a")), 0);
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "a"));
	rig_put_node(&r, 3, r.mnt, rig_path_fd(&r, "b"));
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, rig_path_fd(&r, "c")), 2);
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, rig_path_fd(&r, "b")), 3);
	fd_close(&r.put);
	fd_close(&r.get);
	rig_attach(&r);
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, rig_path_fd(&r, "a")), 2);
	/* An inode of two nodes, of which one is forgotten. */
	rig_forget(&r, 3);
	rig_put_node(&r, 3, r.mnt, rig_path_fd(&r, "a"));
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, rig_path_fd(&r, "b")), 0);
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, rig_path_fd(&r, "a")), 3);
	rig_forget(&r, 2);
	ck_assert_uint_eq(rig_find_node(&r, r.mnt, rig_path_fd(&r, "a")), 3);
	for (uint64_t node = 10; node < 60; node++) {
		rig_make_file(&r, "x");
		ck_assert_uint_eq(rig_find_node(&r, r.mnt, rig_path_fd(&r, "x")), 0);
		rig_put_node(&r, node, r.mnt, rig_path_fd(&r, "x"));
		ck_assert_uint_eq(rig_find_node(&r, r.mnt, rig_path_fd(&r, "x")), node);
		ck_assert_int_eq(unlinkat(r.dir, "x", 0), 0);
	}
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* Without file handles: by the fd that is kept. */
START_TEST(test_find_kept)
{
	struct rig r;
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t mnt = rig_mount_id(proc);

	rig_begin(&r, "/dev/shm", 0, 1000);
	rig_put_mount(&r, mnt, proc);
	rig_put_node(&r, 2, mnt, openat(proc, "version", O_PATH | O_CLOEXEC));
	rig_put_node(&r, 3, mnt, openat(proc, "uptime", O_PATH | O_CLOEXEC));
	ck_assert_uint_eq(rig_find_node(&r, mnt, openat(proc, "version", O_PATH | O_CLOEXEC)), 2);
	ck_assert_uint_eq(rig_find_node(&r, mnt, openat(proc, "uptime", O_PATH | O_CLOEXEC)), 3);
	ck_assert_uint_eq(rig_find_node(&r, mnt, openat(proc, "stat", O_PATH | O_CLOEXEC)), 0);
	rig_forget(&r, 2);
	ck_assert_uint_eq(rig_find_node(&r, mnt, openat(proc, "version", O_PATH | O_CLOEXEC)), 0);
	ck_assert(!rig_breached(&r, 0));
	close(proc);
	rig_end(&r);
}
END_TEST

/* Directories: the same open file description comes back, at the same position, until dropped. */
START_TEST(test_hold)
{
	struct rig r;
	int before, fd, dir;
	const uint64_t fh[] = { 0, 7 };

	rig_begin(&r, places[_i], 3, 1000);
	log_init(NULL, LOG_OFF);
	rig_put_mount(&r, r.mnt, r.dir);
	before = rig_settled_fds(&r);
	dir = open(r.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rig_hold(&r, 0, dup(dir));
	rig_hold(&r, 7, open(r.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	rig_hold(&r, 8, open(r.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	ck_assert_int_eq(lseek(dir, 1, SEEK_SET), 1);
	fd = rig_fetch(&r, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 1);
	fd_close(&fd);
	fd_close(&dir);
	ck_assert_int_eq(rig_fetch(&r, 8), -ENFILE);
	ck_assert_int_eq(rig_fetch(&r, 9), -EBADF);
	ck_assert_int_eq(rig_fetch(&r, UINT64_MAX), -EBADF);

	fd_close(&r.put);
	fd_close(&r.get);
	rig_attach(&r);
	rig_put_mount(&r, r.mnt, r.dir);
	fd = rig_fetch(&r, 7);
	ck_assert_int_ge(fd, 0);
	fd_close(&fd);
	ck_assert_int_eq(rig_settled_fds(&r), before + 2);
	rig_send_nodes(r.put, VAULT_DROP, fh, 2);
	ck_assert_int_eq(rig_fetch(&r, 7), -EBADF);
	ck_assert_int_eq(rig_settled_fds(&r), before);
	/* The same file handle once more; RESET. */
	rig_hold(&r, 7, open(r.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	rig_hold(&r, 7, open(r.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	ck_assert_int_eq(rig_settled_fds(&r), before + 1);
	ck_assert_int_eq(msg_send(r.put, &(struct vault_hdr){ VAULT_RESET, 0 },
			     sizeof(struct vault_hdr), NULL, 0, 0),
	    0);
	ck_assert_int_eq(rig_fetch(&r, 7), -EBADF);
	ck_assert_int_eq(rig_settled_fds(&r), before);
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

/* Workers that come and die while the thread hangs wait for it, but not without bound. */
START_TEST(test_attach_bound)
{
	const int before = rig_count_fds();
	struct vault *v;
	int s[2];

	ck_assert_int_eq(vault_new(100, 100, true, &v), 0);
	for (uint32_t i = 0; i < 20; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
		ck_assert_int_eq(vault_attach(v, s[0], s[1], i), i < 16 ? 0 : -EBUSY);
	}
	vault_free(v);
	ck_assert_int_eq(rig_count_fds(), before);
}
END_TEST

/* What only a compromised worker sends. Fds: p = O_PATH of a file, P = of /proc/version, d = a directory, D = /proc, r =
 * a file, readable. */
static const struct {
	const char *what;
	bool on_get;
	uint32_t op, count;
	int body; /* bytes behind the header */
	const char *fds;
	uint64_t node; /* first word of each element */
	int mnt; /* second word: 0 = the right mount id, 1 = a wrong one, 2 = that of /proc */
} hostile[] = {
	{ "PIN of node 0", false, VAULT_PIN, 1, 16, "p", 0, 0 },
	{ "PIN of a readable fd", false, VAULT_PIN, 1, 16, "r", 2, 0 },
	{ "PIN of a readable directory", false, VAULT_PIN, 1, 16, "d", 2, 0 },
	{ "PIN with a wrong mount", false, VAULT_PIN, 1, 16, "p", 2, 1 },
	{ "PIN of another mount's fd", false, VAULT_PIN, 1, 16, "P", 2, 0 },
	{ "PIN on an unknown mount", false, VAULT_PIN, 1, 16, "P", 2, 2 },
	{ "PIN whose first fd lies", false, VAULT_PIN, 2, 32, "Pp", 2, 0 },
	{ "PIN without fd", false, VAULT_PIN, 1, 16, "", 2, 0 },
	{ "PIN with two fds", false, VAULT_PIN, 1, 16, "pp", 2, 0 },
	{ "PIN of none", false, VAULT_PIN, 0, 0, "", 2, 0 },
	{ "PIN of 65", false, VAULT_PIN, 65, 64 * 16, "p", 2, 0 },
	{ "UNPIN with an fd", false, VAULT_UNPIN, 1, 8, "p", 2, 0 },
	{ "UNPIN of none", false, VAULT_UNPIN, 0, 0, "", 2, 0 },
	{ "UNPIN of 65", false, VAULT_UNPIN, 65, 65 * 8, "", 2, 0 },
	{ "UNPIN in the get queue", true, VAULT_UNPIN, 1, 8, "", 2, 0 },
	{ "HOLD of O_PATH", false, VAULT_HOLD, 1, 8, "p", 2, 0 },
	{ "HOLD of a file", false, VAULT_HOLD, 1, 8, "r", 2, 0 },
	{ "HOLD on an unknown mount", false, VAULT_HOLD, 1, 8, "D", 2, 0 },
	{ "HOLD without fd", false, VAULT_HOLD, 1, 8, "", 2, 0 },
	{ "HOLD with two fds", false, VAULT_HOLD, 1, 8, "dd", 2, 0 },
	{ "HOLD of two", false, VAULT_HOLD, 2, 16, "dd", 2, 0 },
	{ "HOLD too long", false, VAULT_HOLD, 1, 16, "d", 2, 0 },
	{ "HOLD too short", false, VAULT_HOLD, 1, 4, "d", 2, 0 },
	{ "HOLD for an impossible file handle", false, VAULT_HOLD, 1, 8, "d", UINT64_MAX, 0 },
	{ "DROP with an fd", false, VAULT_DROP, 1, 8, "p", 2, 0 },
	{ "DROP of none", false, VAULT_DROP, 0, 0, "", 2, 0 },
	{ "DROP of 65", false, VAULT_DROP, 65, 65 * 8, "", 2, 0 },
	{ "FIND in the put queue", false, VAULT_FIND, 1, 16, "p", 0, 0 },
	{ "FETCH in the put queue", false, VAULT_FETCH, 1, 8, "", 2, 0 },
	{ "FOUND in the put queue", false, VAULT_FOUND, 1, 8, "", 2, 0 },
	{ "FIND of a node", true, VAULT_FIND, 1, 16, "p", 2, 0 },
	{ "FIND by a readable fd", true, VAULT_FIND, 1, 16, "r", 0, 0 },
	{ "FIND with a wrong mount", true, VAULT_FIND, 1, 16, "p", 0, 1 },
	{ "FIND of another mount's fd", true, VAULT_FIND, 1, 16, "P", 0, 0 },
	{ "FIND on an unknown mount", true, VAULT_FIND, 1, 16, "P", 0, 2 },
	{ "FIND without fd", true, VAULT_FIND, 1, 16, "", 0, 0 },
	{ "FIND with too many fds", true, VAULT_FIND, 1, 16, "pp", 0, 0 },
	{ "FIND whose second fd lies", true, VAULT_FIND, 2, 32, "pP", 0, 0 },
	{ "FIND of none", true, VAULT_FIND, 0, 0, "", 0, 0 },
	{ "FIND of 65", true, VAULT_FIND, 65, 64 * 16, "p", 0, 0 },
	{ "FETCH with an fd", true, VAULT_FETCH, 1, 8, "p", 2, 0 },
	{ "FETCH of none", true, VAULT_FETCH, 0, 0, "", 2, 0 },
	{ "FETCH of 65", true, VAULT_FETCH, 65, 65 * 8, "", 2, 0 },
	{ "PIN in the get queue", true, VAULT_PIN, 1, 16, "p", 2, 0 },
	{ "HOLD in the get queue", true, VAULT_HOLD, 1, 8, "d", 2, 0 },
	{ "DROP in the get queue", true, VAULT_DROP, 1, 8, "", 2, 0 },
};

static int
hostile_fd(struct rig *r, char kind)
{
	switch (kind) {
	case 'p':
		return rig_path_fd(r, "file");
	case 'P':
		return open("/proc/version", O_PATH | O_CLOEXEC);
	case 'd':
		return open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 'D':
		return open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	default:
		return openat(r->dir, "file", O_RDONLY | O_CLOEXEC);
	}
}

START_TEST(test_hostile)
{
	struct {
		struct vault_hdr h;
		uint64_t words[2 * VAULT_BATCH + 8];
	} m = { .h = { hostile[_i].op, hostile[_i].count } };
	const size_t n = strlen(hostile[_i].fds), len = sizeof(m.h) + (size_t)hostile[_i].body;
	int fds[2], before, proc = open("/proc", O_PATH | O_CLOEXEC);
	const int wrong = 1, element = hostile[_i].body % 16 == 0 ? 2 : 1;
	struct rig r;

	log_init(NULL, LOG_OFF);
	rig_begin(&r, "/dev/shm", 0, 1000);
	rig_make_file(&r, "file");
	rig_put_mount(&r, r.mnt, r.dir);
	rig_put_node(&r, 2, r.mnt, rig_path_fd(&r, "file"));
	before = rig_settled_fds(&r);
	for (size_t i = 0; i < countof(m.words); i++) {
		m.words[i] = hostile[_i].node;
		if (element == 2 && i % 2 == 1)
			m.words[i] = hostile[_i].mnt == 0 ? r.mnt
			    : hostile[_i].mnt == wrong    ? r.mnt + 12345
							  : rig_mount_id(proc);
	}
	close(proc);
	for (size_t i = 0; i < n; i++)
		fds[i] = hostile_fd(&r, hostile[_i].fds[i]);
	ck_assert_int_eq(msg_send(hostile[_i].on_get ? r.get : r.put, &m, len, fds, n, 0), 0);
	fd_close_all(fds, n);
	ck_assert_msg(rig_breached(&r, 2000), "%s", hostile[_i].what);
	/* The vault's ends are closed, and what came with the message; /proc was ours. */
	ck_assert_int_eq(rig_count_fds(), before - 1 - 2);
	rig_end(&r);
}
END_TEST

/*
 * 1,000,000 nodes, each an inode of its own as far as the vault can tell: 1000 files seen through 1000 mounts. Memory for a
 * node; FIND and GET of 1000 random ones by a new worker; how long it waits for its first answer.
 */
START_TEST(test_million)
{
	enum { FILES = 1000, MOUNTS = 1000, PROBES = 1000 };
	static int file[FILES];
	struct rig r;
	uint64_t node, seed = 88172645463325252u;
	long before, used;
	double t0, t1, t2;
	int fd;

	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	rig_begin(&r, "/dev/shm", 3000, 2000000);
	for (int i = 0; i < FILES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		rig_make_file(&r, name);
	}
	before = rig_resident_kb();
	node = 2;
	for (int k = 0; k < MOUNTS; k++) {
		int tree = open_tree(
		    r.dir, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		int dir;

		ck_assert_int_ge(tree, 0);
		r.mnt = rig_mount_id(tree);
		dir = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rig_put_mount(&r, r.mnt, dir);
		for (int i = 0; i < FILES; i += 50) {
			for (int j = i; j < i + 50; j++) {
				char name[16];

				snprintf(name, sizeof(name), "%d", j);
				file[j] = openat(dir, name, O_PATH | O_CLOEXEC);
			}
			rig_put_nodes(&r, VAULT_PUT, node, file + i, 50);
			fd_close_all(file + i, 50);
			node += 50;
		}
		fd_close(&dir);
		fd_close(&tree);
	}
	ck_assert_int_eq(rig_get_node(&r, UINT64_MAX), -EBADF);
	used = rig_resident_kb() - before;
#ifndef SANITIZE
	ck_assert_int_le(used, (long)FILES * MOUNTS * 72 / 1024 + 1024);
#endif
	fd_close(&r.put);
	fd_close(&r.get);
	t0 = now();
	rig_attach(&r);
	ck_assert_int_eq(rig_get_node(&r, UINT64_MAX), -EBADF);
	t1 = now();
	for (int i = 0; i < PROBES; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		node = 2 + seed % ((uint64_t)FILES * MOUNTS);
		fd = rig_get_node(&r, node);
		ck_assert_int_ge(fd, 0);
		ck_assert_uint_eq(rig_find_node(&r, rig_mount_id(fd), fd), node);
	}
	t2 = now();
	printf(
	    "1,000,000 nodes: %.1f bytes each; first answer to a new worker after %.2f ms; GET and "
	    "FIND %.1f us\n",
	    (double)used * 1024 / (FILES * MOUNTS), (t1 - t0) * 1e3, (t2 - t1) * 1e6 / PROBES);
	ck_assert_double_lt(t1 - t0, 0.5);
	ck_assert(!rig_breached(&r, 0));
	rig_end(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vault_restart");
	TCase *t = tcase_create("vault_restart");
	SRunner *sr;
	int failed;

	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_pin, 0, countof(places));
	tcase_add_loop_test(t, test_unpin, 0, countof(places));
	tcase_add_loop_test(t, test_pin_given_back, 0, countof(places));
	tcase_add_loop_test(t, test_identity_of_another_time, 0, countof(places));
	tcase_add_test(t, test_pin_budget);
	tcase_add_test(t, test_attach_bound);
	tcase_add_loop_test(t, test_find, 0, countof(places));
	tcase_add_test(t, test_find_kept);
	tcase_add_loop_test(t, test_hold, 0, countof(places));
	tcase_add_loop_test(t, test_hostile, 0, countof(hostile));
	tcase_add_test(t, test_million);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
