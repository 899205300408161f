/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of what the worker is as a process: hostile requests, sandboxes, privileges, death and replacement. Against
 * the real executable (WORKER_EXE). Links worker_rig*.c, proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/msg.h"
#include "proto/mailbox.h"
#include "tests/unit/worker_rig.h"

/* Send raw bytes on lane 0; the worker must end with status 1, and say why. */
static void
breaks_protocol(const void *msg, size_t n, int *fds, size_t nfds)
{
	int status;

	ck_assert_int_eq(msg_send(rig.lane[0].sock, msg, n, fds, nfds, 0), 0);
	status = rig_wait_exit();
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	ck_assert_ptr_nonnull(strstr(rig.log, "broke the protocol"));
}

START_TEST(hostile_message)
{
	struct rig_lane *l = &rig.lane[0];
	struct rpc_node *q = rig_add(0, RPC_LOOKUP, NULL, 0, "name", NULL);
	char *name = (char *)(q + 1);
	size_t n = rpc_finish(&l->b);
	struct rpc_batch *b = (void *)l->out;
	int fd = -1;
	size_t nfds = 0;

	q->node = 1;
	switch (_i) {
	case 0: memcpy(name, "../x", 4); break;
	case 1: memcpy(name, "a/b", 4); break;
	case 2: name[2] = '\0'; break;
	case 3: name[4] = 'x'; break;
	case 4: q->h.len = 8; break;
	case 5: q->h.len = UINT32_MAX & ~7u; break;
	case 6: q->h.op = RPC_OP_END; break;
	case 7: q->h.op = 0; break;
	case 8: b->count = 2; break;
	case 9: b->count = 0; break;
	case 10: b->len--; break;
	case 11: q->h.aoff = 1; break;
	case 12: q->h.alen = 1; break;
	case 13: q->h.nx = 1; break;
	case 14: q->h.flags = 0x8000; break;
	case 15: q->h.n2 = 4; break;
	case 16: n = 4; break;
	case 17: fd = open("/dev/null", O_RDONLY); nfds = 1; break;
	case 18: q->h.error = -1; break;
	default: q->h.op = RPC_READ; break;
	}
	breaks_protocol(l->out, n, &fd, nfds);
}
END_TEST

/* What the front may leave in the mailbox, with a bell: the worker looks at nothing it has not checked. */
START_TEST(hostile_mailbox)
{
	struct mailbox_half *h = &((struct mailbox *)(void *)(rig.lane[0].arena + RPC_ARENA_SIZE))->to_worker;
	const struct rpc_batch bell = { .len = sizeof(bell) };

	ck_assert_int_eq(rig_getattr(1, NULL), 0);
	memset(h->slot, 0xff, sizeof(h->slot));
	h->slot[0].len = 64;
	switch (_i) {
	case 0: h->sent = 1; break;
	case 1: h->sent = MAILBOX_SLOTS + 1; break;
	case 2: h->sent = UINT32_MAX; break;
	case 3: h->slot[0].len = 0; h->sent = 1; break;
	case 4: h->slot[0].len = MAILBOX_SLOT_MAX + 1; h->sent = 1; break;
	default: h->slot[0].len = UINT32_MAX; h->sent = 1; break;
	}
	breaks_protocol(&bell, sizeof(bell), NULL, 0);
}
END_TEST

/* Bells without a message, and letters that never come, cost nothing but a look. */
START_TEST(empty_mailbox)
{
	struct mailbox_half *h = &((struct mailbox *)(void *)(rig.lane[0].arena + RPC_ARENA_SIZE))->to_worker;
	const struct rpc_batch bell = { .len = sizeof(bell) };

	ck_assert_int_eq(rig_getattr(1, NULL), 0);
	for (unsigned i = 0; i < 100; i++) {
		h->letters += 1u << 28;
		ck_assert_int_eq(msg_send(rig.lane[0].sock, &bell, sizeof(bell), NULL, 0, 0), 0);
		ck_assert_int_eq(rig_getattr(1, NULL), 0);
	}
}
END_TEST

START_TEST(unknown_nodes)
{
	static const uint64_t nodes[] = { 0, 2, 3, 99999, UINT64_MAX, UINT64_C(1) << 63 };

	for (unsigned i = 0; i < 6; i++) {
		struct rpc_file f = { .node = nodes[i], .fh = 1, .hflags = RPC_FILE_HANDLE };
		int fd;

		ck_assert_int_eq(rig_getattr(nodes[i], NULL), -ESTALE);
		ck_assert_int_eq(rig_lookup(nodes[i], "x"), -ESTALE);
		ck_assert_int_eq(rig_made(RPC_MKDIR, nodes[i], "x", NULL, 0755), -ESTALE);
		ck_assert_int_eq(rig_open(nodes[i], 1, O_RDONLY, 0, &fd), -ESTALE);
		ck_assert_int_eq(rig_io(RPC_READ, f, 0, NULL, 0, 0), -ESTALE);
		ck_assert_int_eq(rig_forget(nodes[i], UINT32_MAX), 0);
	}
	/* the root cannot be forgotten */
	ck_assert_int_eq(rig_forget(1, UINT32_MAX), 0);
	ck_assert_int_eq(rig_getattr(1, NULL), 0);
	/* counts beyond what was sent */
	rig_host_file("f");
	int64_t n = rig_lookup(1, "f");
	ck_assert_int_eq(rig_forget((uint64_t)n, UINT32_MAX), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)n, NULL), -ESTALE);
	ck_assert_int_ne(rig_lookup(1, "f"), n);
}
END_TEST

/* Replies that do not fit one message, in one batch. */
START_TEST(large_batch)
{
	char target[4001];
	int64_t n;
	unsigned got = 0, messages = 0;

	memset(target, 't', 4000);
	target[4000] = '\0';
	ck_assert_int_eq(symlink(target, rig_path("s")), 0);
	n = rig_lookup(1, "s");
	for (unsigned i = 0; i < RPC_BATCH_MAX; i++)
		((struct rpc_node *)rig_add(0, RPC_READLINK, NULL, 0, NULL, NULL))->node = (uint64_t)n;
	rig_send(0);
	while (got < RPC_BATCH_MAX) {
		messages++;
		for (struct rpc_hdr *h = rig_recv(0); h != NULL; h = rpc_next(rig.lane[0].in, h)) {
			ck_assert_int_eq(h->error, 0);
			ck_assert_str_eq(rpc_name1(RPC_REPLY, h), target);
			got++;
		}
	}
	ck_assert_uint_ge(messages, RPC_BATCH_MAX / 4);
}
END_TEST

START_TEST(restart)
{
	struct rpc_file f, d;
	char buf[600];
	struct rpc_attr attr;
	struct rpc_dirent e;
	bool seen[100] = { false };
	unsigned dots = 0, old_mounts;
	int64_t dir, file, len;
	int fd;

	ck_assert_int_eq(mkdir(rig_path("d"), 0755), 0);
	for (unsigned i = 0; i < 100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d/name-%u", i);
		rig_host_file(name);
	}
	dir = rig_lookup(1, "d");
	file = rig_lookup((uint64_t)dir, "name-7");
	ck_assert_int_eq(rig_open((uint64_t)file, 1, O_RDWR, RPC_OPEN_NODONATE, &fd), 0);
	ck_assert_int_eq(rig_opendir((uint64_t)dir, 2), 0);
	f = (struct rpc_file){ .node = (uint64_t)file, .fh = 1, .flags = O_RDWR, .hflags = RPC_FILE_HANDLE };
	d = (struct rpc_file){ .node = (uint64_t)dir, .fh = 2, .hflags = RPC_FILE_HANDLE };
	ck_assert_int_eq(rig_io(RPC_WRITE, f, 0, (char[]){ "data" }, 4, 0), 4);
	len = rig_io(RPC_READDIR, d, 0, buf, sizeof(buf), 0);
	ck_assert_int_gt(len, 0);
	old_mounts = rig.mounts;
	rig_restart();
	RIG_EVENTUALLY(rig.mounts == old_mounts + 1);

	/* Handles and nodes are as before. */
	ck_assert_int_eq(rig_io(RPC_READ, f, 0, buf + 400, 10, 0), 4);
	ck_assert_mem_eq(buf + 400, "data", 4);
	ck_assert_int_eq(rig_getattr((uint64_t)file, &attr), 0);
	ck_assert_uint_eq(attr.ino, rig_host_ino("d/name-7"));
	memcpy(&e, buf, sizeof(e));
	ck_assert_int_gt(rig_io(RPC_READDIR, d, e.off, buf, sizeof(buf), 0), 0);
	/* What the guest knows is found under the id it knows. */
	ck_assert_int_eq(rig_lookup((uint64_t)dir, "name-7"), file);
	ck_assert_int_gt(rig_lookup((uint64_t)dir, "name-8"), 99999);
	ck_assert_int_eq(rig_opendir((uint64_t)dir, 5), 0);
	ck_assert_uint_eq(rig_list((uint64_t)dir, RPC_READDIRPLUS, 4096, seen, 100, &dots, false), 100);
	/* One FORGET of all counts of both lives. */
	ck_assert_int_eq(rig_forget((uint64_t)file, 3), 0);
	ck_assert_int_eq(rig_getattr((uint64_t)file, NULL), -ESTALE);
}
END_TEST

START_TEST(submount)
{
	struct rpc_entry_body e;
	int64_t m;

	/* An inode on another mount than its parent's; both are put, each with its mount. */
	ck_assert_int_eq(rig_lookup_attr(1, "plain", &e) > 1, 1);
	ck_assert_uint_eq(e.flags, 0);
	m = rig_lookup_attr(1, "mnt", &e);
	ck_assert_int_gt(m, 1);
	ck_assert_uint_eq(e.flags, RPC_ENTRY_SUBMOUNT);
	RIG_EVENTUALLY(rig.mounts == 2);
	ck_assert_int_gt(rig_made(RPC_MKDIR, (uint64_t)m, "inside", NULL, 0755), 0);
	ck_assert_int_eq(rig_lookup_attr((uint64_t)m, "inside", &e) > 1, 1);
	ck_assert_uint_eq(e.flags, 0);
	ck_assert_int_eq(access(rig_path("mnt/inside"), F_OK), 0);
	ck_assert_int_eq(rig_lookup(1, "mnt"), m);
	ck_assert_int_eq(umount2(rig_path("mnt"), MNT_DETACH), 0);
}
END_TEST

static void
submount_setup(void)
{
	rig_setup();
	ck_assert_int_eq(mkdir(rig_path("mnt"), 0755), 0);
	ck_assert_int_eq(mkdir(rig_path("plain"), 0755), 0);
	ck_assert_int_eq(mount("test", rig_path("mnt"), "tmpfs", 0, "size=1m"), 0);
	rig_start();
}

/* The kernel refuses to pass fds on: the reply comes without, and the file is served by the worker. */
START_TEST(no_fd_can_be_sent)
{
	int s[2], null = open("/dev/null", O_RDONLY), fd;
	char c = 0;
	int64_t n;

	rig_host_file("f");
	ck_assert_int_eq(truncate(rig_path("f"), 3), 0);
	n = rig_lookup(1, "f");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
	for (unsigned i = 0; i < rig.opt.nofile + 10; i++) {
		int fds[1] = { null };

		ck_assert_int_eq(msg_send(s[0], &c, 1, fds, 1, MSG_DONTWAIT), 0);
	}
	ck_assert_int_eq(rig_open((uint64_t)n, 1, O_RDWR, 0, &fd), 0);
	ck_assert_int_eq(fd, -1);
	struct rpc_file f = { .node = (uint64_t)n, .fh = 1, .flags = O_RDWR, .hflags = RPC_FILE_HANDLE };
	ck_assert_int_eq(rig_io(RPC_READ, f, 0, (char[8]){ 0 }, 8, 0), 3);
	/* A new inode cannot be entrusted to the vault: it is served all the same. */
	n = rig_made(RPC_MKDIR, 1, "d", NULL, 0755);
	ck_assert_int_gt(n, 1);
	rig_flood();
	ck_assert_int_eq(rig_getattr((uint64_t)n, NULL), 0);
	close(s[0]);
	close(s[1]);
}
END_TEST

static void
few_fds_setup(void)
{
	rig_setup();
	rig.opt.fd_budget = 20;
	rig.opt.nofile = 200;
	rig_start();
}

/* What the kernel says of the sealed process. */
static void
check_status(const char *field, const char *want)
{
	char path[64], line[256], found[256] = "(none)";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)rig.pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, field, strlen(field)) == 0)
			sscanf(line + strlen(field), ": %255s", found);
	fclose(f);
	ck_assert_str_eq(found, want);
}

START_TEST(sealed)
{
	char path[64], line[1024];
	unsigned lines = 0;
	FILE *f;

	check_status("CapPrm", "00000000880000db");
	check_status("CapEff", "00000000880000db");
	check_status("CapInh", "0000000000000000");
	check_status("CapBnd", "0000000000000000");
	check_status("CapAmb", "0000000000000000");
	check_status("NoNewPrivs", "1");
	if (rig.opt.seccomp != SECCOMP_NONE)
		check_status("Seccomp", "2");
#ifdef __SANITIZE_THREAD__
	check_status("Threads", "5"); /* one is the sanitizer's */
#else
	check_status("Threads", "4");
#endif
	if (rig.opt.sandbox != SANDBOX_NAMESPACE)
		return;
	/* the tree is the share and nothing else */
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)rig.pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		ck_assert_ptr_nonnull(strstr(line, strrchr(rig.share, '/')));
		ck_assert_ptr_nonnull(strstr(line, "nosuid,nodev,noexec"));
		lines++;
	}
	fclose(f);
	ck_assert_uint_eq(lines, 1);
}
END_TEST

START_TEST(every_sandbox)
{
	struct rpc_entry_body e;
	struct rpc_xattr *q;
	int64_t n;

	rig_host_file("f");
	ck_assert_int_eq(symlink("/", rig_path("s")), 0);
	n = rig_lookup(1, "f");
	ck_assert_int_gt(n, 1);
	ck_assert_int_eq(rig_lookup(1, ".."), 1);
	ck_assert_int_gt(rig_lookup_attr(1, "s", &e), 1);
	ck_assert_uint_eq(e.attr.mode & S_IFMT, S_IFLNK);
	ck_assert_int_eq(rig_lookup(e.node, "etc"), -ENOTDIR);
	q = rig_add(0, RPC_REMOVEXATTR, NULL, 0, "user.none", NULL);
	q->node = (uint64_t)n;
	ck_assert_int_eq(rig_call()->error, -ENODATA);
	ck_assert_int_gt(rig_made(RPC_MKDIR, 1, "d", NULL, 0700), 1);
	ck_assert_int_eq(access(rig_path("d"), F_OK), 0);
}
END_TEST

static void
chroot_setup(void)
{
	rig_setup();
	rig.opt.sandbox = SANDBOX_CHROOT;
	rig_start();
}

static void
none_setup(void)
{
	rig_setup();
	rig.opt.sandbox = SANDBOX_NONE;
	rig_start();
}

START_TEST(share_is_root)
{
	struct stat st;
	struct rpc_attr attr;

	ck_assert_int_eq(stat("/", &st), 0);
	ck_assert_int_eq(rig_getattr(1, &attr), 0);
	ck_assert_uint_eq(attr.ino, st.st_ino);
	ck_assert_int_gt(rig_lookup(1, "etc"), 1);
}
END_TEST

/* Started by a plain user: no capability, no sandbox, and still everything that this user may do. */
START_TEST(rootless)
{
	struct rpc_create *q;
	struct rpc_file f;
	int64_t n;
	char buf[8];
	int fd;

	check_status("CapPrm", "0000000000000000");
	check_status("NoNewPrivs", "1");
	n = rig_made(RPC_MKDIR, 1, "d", NULL, 0700);
	ck_assert_int_gt(n, 1);
	q = rig_make(RPC_MKDIR, 1, "other", NULL, 0700);
	q->uid = q->gid = 1;
	ck_assert_int_eq(rig_call()->error, -EPERM);
	q = rig_make(RPC_CREATE, (uint64_t)n, "f", NULL, 0600);
	q->uid = q->gid = rig.opt.uid;
	q->fh = 1;
	q->flags = O_RDWR;
	q->oflags = RPC_OPEN_NODONATE;
	ck_assert_int_eq(rig_call()->error, 0);
	n = rig_lookup((uint64_t)n, "f");
	f = (struct rpc_file){ .node = (uint64_t)n, .fh = 1, .flags = O_RDWR, .hflags = RPC_FILE_HANDLE };
	ck_assert_int_eq(rig_io(RPC_WRITE, f, 0, (char[]){ "abc" }, 3, 0), 3);
	/* opened again through the fd directory */
	f.fh = 2;
	ck_assert_int_eq(rig_io(RPC_READ, f, 0, buf, 8, 0), 3);
	ck_assert_int_eq(rig_open((uint64_t)n, 3, O_RDWR, 0, &fd), 0);
	ck_assert_int_ge(fd, 0);
	close(fd);
	rig_host_file("roots");
	ck_assert_int_eq(rig_open((uint64_t)rig_lookup(1, "roots"), 4, O_RDWR, 0, &fd), -EACCES);
}
END_TEST

static void
rootless_setup(void)
{
	rig_setup();
	rig.opt.sandbox = SANDBOX_NONE;
	rig.opt.uid = 65534;
	ck_assert_int_eq(chown(rig.share, 65534, 65534), 0);
	rig_start();
}

static void
root_setup(void)
{
	rig_setup();
	ck_assert_int_eq(rmdir(rig.share), 0);
	rig.own_share = false;
	strcpy(rig.share, "/");
	rig_start();
}

int
main(void)
{
	Suite *s = suite_create("worker life");

	rig_add_test(s, hostile_message, rig_plain, rig_teardown, 20);
	rig_add_test(s, hostile_mailbox, rig_plain, rig_teardown, 6);
	rig_add_test(s, empty_mailbox, rig_plain, rig_teardown, 1);
	rig_add_test(s, unknown_nodes, rig_plain, rig_teardown, 1);
	rig_add_test(s, large_batch, rig_plain, rig_teardown, 1);
	rig_add_test(s, restart, rig_plain, rig_teardown, 1);
	rig_add_test(s, submount, submount_setup, rig_teardown, 1);
	rig_add_test(s, no_fd_can_be_sent, few_fds_setup, rig_teardown, 1);
	rig_add_test(s, sealed, rig_plain, rig_teardown, 1);
	rig_add_test(s, every_sandbox, rig_plain, rig_teardown, 1);
	rig_add_test(s, sealed, chroot_setup, rig_teardown, 1);
	rig_add_test(s, every_sandbox, chroot_setup, rig_teardown, 1);
	rig_add_test(s, sealed, none_setup, rig_teardown, 1);
	rig_add_test(s, every_sandbox, none_setup, rig_teardown, 1);
	rig_add_test(s, rootless, rootless_setup, rig_teardown, 1);
	rig_add_test(s, share_is_root, root_setup, rig_teardown, 1);
	return rig_run(s);
}
