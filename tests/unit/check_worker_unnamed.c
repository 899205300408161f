/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of requests that fail when they have found their inode already: its entry reply was counted, and is not sent.
 * Against the real executable (WORKER_EXE). Links worker_rig*.c, proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/worker_rig.h"

/* What cannot be named in the reply after all, here for want of memory for its handle, is not left in the vault. */
START_TEST(no_memory_for_the_handle)
{
	const struct rlimit little = { 4096, RLIM_INFINITY };
	const uint16_t op = _i == 0 ? RPC_CREATE : RPC_TMPFILE;
	unsigned known = 0, refused = 0;
	uint64_t node = 0;

	ck_assert_int_eq(prlimit(rig.pid, RLIMIT_DATA, &little, NULL), 0);
	for (unsigned i = 0; refused < 2; i++) {
		struct rpc_create *q;
		struct rpc_entry *a;
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		q = rig_add(0, op, NULL, 0, op == RPC_CREATE ? name : NULL, NULL);
		q->dir = 1;
		q->mode = 0644;
		q->flags = O_RDWR;
		q->fh = 1000 + i;
		q->oflags = RPC_OPEN_NODONATE;
		a = (void *)rig_call();
		if (a->h.error == 0) {
			ck_assert_uint_lt(known++, 20000);
			node = a->e.node;
			continue;
		}
		ck_assert_int_eq(a->h.error, -ENOMEM);
		/* If there was none for the inode, now there is: but not for the handle as well. */
		if (refused++ == 0) {
			ck_assert_int_eq(rig_forget(node, 1), 0);
			known--;
		}
	}
	usleep(100000);
	ck_assert_uint_eq(rig_vault_nodes(), known);
}
END_TEST

/*
 * A CREATE finds what the guest knows, and waits for a lease of the host; meanwhile the guest forgets all it was told of the
 * inode; then the CREATE fails, because there is no O_DIRECT on ramfs. Nobody will ever forget that node again.
 */
START_TEST(forgotten_meanwhile)
{
	struct rpc_forget1 f;
	struct rpc_create *q;
	int64_t m, n;
	int lease;

	signal(SIGIO, SIG_IGN);
	m = rig_lookup(1, "m");
	n = rig_lookup((uint64_t)m, "f");
	ck_assert_int_gt(n, 1);
	if (_i > 0) {
		/* An earlier worker has told the guest as well. */
		rig_restart();
		ck_assert_int_eq(rig_lookup((uint64_t)m, "f"), n);
	}
	f = (struct rpc_forget1){ .node = (uint64_t)n, .named = 1, .incarnation = rig.incarnation };
	lease = open(rig_path("m/f"), O_RDWR);
	ck_assert_int_ge(lease, 0);
	ck_assert_int_eq(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
	q = rig_make(RPC_CREATE, (uint64_t)m, "f", NULL, 0644);
	q->flags = O_RDWR | O_DIRECT;
	rig_send(0);
	/* Until it waits. */
	usleep(300000);
	rig_add(1, RPC_FORGET, &f, 1, NULL, NULL);
	rig_send(1);
	ck_assert_int_eq(rig_recv(1)->error, 0);
	ck_assert_int_eq(fcntl(lease, F_SETLEASE, F_UNLCK), 0);
	ck_assert_int_eq(rig_recv(0)->error, -EINVAL);
	usleep(100000);
	ck_assert_uint_eq(rig_vault_nodes(), 1);
	ck_assert_int_eq(rig_getattr((uint64_t)n, NULL), -ESTALE);
	ck_assert_int_ne(rig_lookup((uint64_t)m, "f"), n);
	close(lease);
}
END_TEST

static void
ramfs_setup(void)
{
	rig_setup();
	rig.opt.dev.flags |= DEV_DIRECT_IO;
	ck_assert_int_eq(mkdir(rig_path("m"), 0755), 0);
	ck_assert_int_eq(mount("test", rig_path("m"), "ramfs", 0, NULL), 0);
	rig_host_file("m/f");
	rig_start();
}

static void
ramfs_teardown(void)
{
	umount2(rig_path("m"), MNT_DETACH);
	rig_teardown();
}

int
main(void)
{
	Suite *s = suite_create("worker unnamed");

	rig_add_test(s, no_memory_for_the_handle, rig_plain, rig_teardown, 2);
	rig_add_test(s, forgotten_meanwhile, ramfs_setup, ramfs_teardown, 2);
	return rig_run(s);
}
