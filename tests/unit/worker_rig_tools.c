/* SPDX-License-Identifier: BSD-3-Clause */
/* What several check_worker_*.c do with the rig. Runs in: tests. */
#include "tests/unit/worker_rig.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
rig_host_file(const char *name)
{
	int fd = open(rig_path(name), O_WRONLY | O_CREAT | O_EXCL, 0644);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

ino_t
rig_host_ino(const char *name)
{
	struct stat st;

	ck_assert_int_eq(lstat(rig_path(name), &st), 0);
	return st.st_ino;
}

unsigned
rig_host_count(void)
{
	const struct dirent *d;
	DIR *dir = opendir(rig.share);
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir)) != NULL)
		n += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	closedir(dir);
	return n;
}

int
rig_remove(uint16_t op, uint64_t dir, const char *name)
{
	struct rpc_node *q = rig_add(0, op, NULL, 0, name, NULL);

	q->node = dir;
	return rig_call()->error;
}

/* Look up the names 0, 1, ... n-1, in batches. */
void
rig_lookup_many(uint64_t dir, unsigned n, uint64_t *node, uint64_t *ino)
{
	unsigned asked = 0, got = 0;

	while (got < n) {
		while (asked < n && asked - got < RPC_BATCH_MAX) {
			char name[32];
			struct rpc_node *q;

			snprintf(name, sizeof(name), "%u", asked++);
			q = rig_add(0, RPC_LOOKUP, NULL, 0, name, NULL);
			q->node = dir;
		}
		rig_send(0);
		while (got < asked) {
			struct rpc_hdr *h = rig_recv(0);

			ck_assert_ptr_nonnull(h);
			for (; h != NULL; h = rpc_next(rig.lane[0].in, h)) {
				struct rpc_entry *a = (void *)h;

				ck_assert_int_eq(h->error, 0);
				node[got] = a->e.node;
				if (ino != NULL)
					ino[got] = a->e.attr.ino;
				got++;
			}
		}
	}
}

/* Push every other inode's fd out of the cache. */
void
rig_flood(void)
{
	static unsigned round;
	uint64_t *node = calloc(rig.opt.fd_budget * 3, sizeof(*node));
	char dir[32], name[48];
	int64_t d;

	ck_assert_ptr_nonnull(node);
	snprintf(dir, sizeof(dir), "rig_flood%u", round++);
	ck_assert_int_eq(mkdir(rig_path(dir), 0755), 0);
	for (unsigned i = 0; i < rig.opt.fd_budget * 3; i++) {
		snprintf(name, sizeof(name), "%s/%u", dir, i);
		rig_host_file(name);
	}
	d = rig_lookup(1, dir);
	ck_assert_int_gt(d, 1);
	rig_lookup_many((uint64_t)d, rig.opt.fd_budget * 3, node, NULL);
	free(node);
}

unsigned
rig_list(uint64_t dir, uint16_t op, uint32_t size, bool *seen, unsigned n, unsigned *dots, bool once)
{
	struct rpc_file f = { .node = dir, .fh = 5, .hflags = RPC_FILE_HANDLE | (once ? RPC_FILE_ONCE : 0) };
	uint64_t offset = 0;
	unsigned count = 0;
	char *buf = malloc(size);
	int64_t len;

	ck_assert_ptr_nonnull(buf);
	while ((len = rig_io(op, f, offset, buf, size, 0)) > 0) {
		ck_assert_int_le(len, size);
		for (int64_t at = 0; at < len;) {
			struct rpc_direntplus plus = { .e.node = 0 };
			struct rpc_dirent e;
			char name[256] = "";

			if (op == RPC_READDIRPLUS) {
				memcpy(&plus, buf + at, sizeof(plus));
				at += (int64_t)sizeof(plus);
			}
			memcpy(&e, buf + at, sizeof(e));
			ck_assert_uint_lt(e.namelen, 256);
			memcpy(name, buf + at + sizeof(e), e.namelen);
			at += (int64_t)((sizeof(e) + e.namelen + 7) & ~(size_t)7);
			ck_assert_int_le(at, len);
			offset = e.off;
			if (name[0] == '.') {
				ck_assert_uint_eq(plus.e.node, 0);
				(*dots)++;
				continue;
			}
			unsigned nr = (unsigned)atoi(name + 5);

			ck_assert_uint_lt(nr, n);
			ck_assert(!seen[nr]);
			seen[nr] = true;
			count++;
			if (op == RPC_READDIRPLUS) {
				ck_assert_uint_gt(plus.e.node, 1);
				ck_assert_uint_eq(plus.e.attr.ino, e.ino);
				ck_assert_uint_eq(plus.e.attr.mode & S_IFMT, S_IFREG);
			}
		}
	}
	ck_assert_int_eq(len, 0);
	free(buf);
	return count;
}

int
rig_run(Suite *s)
{
	SRunner *r;
	int failed;

	if (geteuid() != 0) {
		fprintf(stderr, "the worker's tests need root\n");
		return 1;
	}
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}

void
rig_add_test(Suite *s, const TTest *t, SFun setup, SFun teardown, int loops)
{
	TCase *tc = tcase_create(t->name);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, t, 0, loops);
	suite_add_tcase(s, tc);
}

void
rig_plain(void)
{
	rig_setup();
	rig_start();
}
