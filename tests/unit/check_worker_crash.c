/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests with a worker that really dies in the middle of an operation (built with CRASH_POINTS: crash/virtiofsd-worker
 * beside WORKER_EXE), and a next one that is asked again. Links worker_cases.c, worker_rig*.c,
 * proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/attr.h"
#include "proto/rpc.h"
#include "tests/unit/worker_cases.h"
#include "tests/unit/worker_rig.h"

#define CRASH_FILE	".virtiofsd-crash"

/* Every point, and what the death there leaves behind. */
static const struct point {
	const char *place;
	enum journal_state state;
	bool	effect, answered;
} points[] = {
	{ "before-journal", JOURNAL_NONE, false, false },
	{ "after-executing", JOURNAL_EXECUTING, false, false },
	{ "after-syscall", JOURNAL_EXECUTING, true, false },
	{ "after-done", JOURNAL_DONE, true, false },
	{ "before-reply", JOURNAL_DONE, true, false },
	{ "after-reply", JOURNAL_DONE, true, true },
};

static void
arm(uint16_t op, const char *place)
{
	FILE *f = fopen(rig_path(CRASH_FILE), "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "%s:%s\n", rpc_op_name(op), place);
	fclose(f);
}

static void
dies(void)
{
	int status = rig_wait_exit();

	ck_assert_int_ne(status, -1);
	ck_assert(WIFSIGNALED(status));
	rig_kill();
}

/* What lost its last name is known by its node: to this worker and to the next, until it is forgotten. */
static void
victim_lives(uint64_t node)
{
	struct rpc_attr a;

	for (unsigned round = 0; round < 2; round++) {
		ck_assert_int_eq(rig_getattr(node, &a), 0);
		ck_assert_uint_eq(a.nlink, 0);
		rig_restart();
	}
	ck_assert_int_eq(rig_forget(node, 0), 0);
	ck_assert_int_eq(rig_getattr(node, NULL), -ESTALE);
}

START_TEST(every_place)
{
	const struct worker_case *c = &worker_cases[(unsigned)_i % worker_ncases];
	const struct point *p = &points[(unsigned)_i / worker_ncases];
	struct rpc_hdr *h;
	int64_t victim = 0;
	uint64_t f, tag;

	case_prepare();
	f = case_lookup();
	if (c->victim != NULL)
		victim = rig_lookup(1, c->victim);
	ck_assert_int_ge(victim, 0);
	arm(c->op, p->place);
	h = case_ask(c, f);
	tag = h->tag;
	rig_send(0);
	h = rig_recv(0);
	ck_assert_int_eq(h != NULL, p->answered);
	if (h != NULL) {
		ck_assert_int_eq(h->error, 0);
		if (rig.lane[0].nfds == 1)
			close(rig.lane[0].fds[0]);
	}
	dies();
	ck_assert_int_eq(access(rig_path(CRASH_FILE), F_OK), -1);
	ck_assert_uint_eq(rig.journal[0][0].state, p->state);
	ck_assert(p->effect ? case_is_done(c) : case_is_undone(c));
	rig_start_next();
	if (!p->answered) {
		rig_replay(case_ask(c, f), tag);
		h = rig_call();
		ck_assert_int_eq(h->error, 0);
		if (case_makes(c))
			ck_assert_uint_eq(((struct rpc_entry *)h)->e.attr.ino, rig_host_ino(c->name1));
		if (rig.lane[0].nfds == 1)
			close(rig.lane[0].fds[0]);
	}
	ck_assert(case_is_done(c));
	ck_assert_int_eq(rig_getattr(f, NULL), 0);
	if (victim > 0)
		victim_lives((uint64_t)victim);
}
END_TEST

/* What makes something that is there already is refused, wherever the worker died. */
START_TEST(refused_at_every_place)
{
	const struct worker_case *c = &worker_cases[(unsigned)_i % worker_ncases];
	const struct point *p = &points[(unsigned)_i / worker_ncases];
	uint64_t f, tag;
	ino_t there;

	/* An error comes to no place of the reply. */
	if (c->foreign != -EEXIST || strcmp(p->place, "before-reply") == 0 || p->answered)
		return;
	case_prepare();
	f = case_lookup();
	case_effect(c);
	there = rig_host_ino(c->name1);
	arm(c->op, p->place);
	tag = ((struct rpc_hdr *)case_ask(c, f))->tag;
	rig_send(0);
	ck_assert_ptr_null(rig_recv(0));
	dies();
	ck_assert_int_eq(access(rig_path(CRASH_FILE), F_OK), -1);
	ck_assert_uint_eq(rig.journal[0][0].state, p->state);
	rig_start_next();
	rig_replay(case_ask(c, f), tag);
	ck_assert_int_eq(rig_call()->error, -EEXIST);
	ck_assert_uint_eq(rig_host_ino(c->name1), there);
}
END_TEST

/* A file that the worker serves is read and written on after its last name has gone, wherever the worker died. */
START_TEST(open_file_survives)
{
	const bool over = (unsigned)_i >= countof(points);
	const struct point *p = &points[(unsigned)_i % countof(points)];
	struct rpc_file file = { .fh = 9, .flags = O_RDWR, .hflags = RPC_FILE_HANDLE };
	const struct worker_case *c = worker_cases;
	char buf[8] = "";
	uint64_t f, tag;
	int64_t h;
	int fd;

	while (c->op != (over ? RPC_RENAME : RPC_UNLINK) || (over && strcmp(c->title, "rename over") != 0))
		c++;
	case_prepare();
	f = case_lookup();
	h = rig_lookup(1, "h");
	file.node = over ? (uint64_t)h : f;
	ck_assert_int_eq(rig_open(file.node, 9, O_RDWR, RPC_OPEN_NODONATE, &fd), 0);
	ck_assert_int_eq(rig_io(RPC_WRITE, file, 0, (char[]){ "data" }, 4, 0), 4);
	arm(c->op, p->place);
	tag = ((struct rpc_hdr *)case_ask(c, f))->tag;
	rig_send(0);
	ck_assert_int_eq(rig_recv(0) != NULL, p->answered);
	dies();
	rig_start_next();
	if (!p->answered) {
		rig_replay(case_ask(c, f), tag);
		ck_assert_int_eq(rig_call()->error, 0);
	}
	ck_assert(case_is_done(c));
	ck_assert_int_eq(rig_io(RPC_READ, file, 0, buf, 8, 0), 4);
	ck_assert_str_eq(buf, "data");
	ck_assert_int_eq(rig_io(RPC_WRITE, file, 4, (char[]){ "more" }, 4, 0), 4);
	rig_restart();
	ck_assert_int_eq(rig_io(RPC_READ, file, 0, buf, 8, 0), 8);
	ck_assert_mem_eq(buf, "datamore", 8);
	/* Until it is forgotten. */
	ck_assert_int_eq(rig_forget(file.node, 0), 0);
	rig_restart();
	ck_assert_int_eq(rig_getattr(file.node, NULL), -ESTALE);
}
END_TEST

static struct rpc_create *
ask_tmpfile(void)
{
	struct rpc_create *q = rig_add(0, RPC_TMPFILE, NULL, 0, NULL, NULL);

	q->dir = 1;
	q->fh = 5;
	q->flags = O_RDWR;
	q->mode = S_IFREG | 0600;
	q->uid = 1000;
	q->gid = 1001;
	return q;
}

static void
name_it(uint64_t node, const char *name)
{
	struct rpc_link *q = rig_add(0, RPC_LINK, NULL, 0, name, NULL);

	q->node = node;
	q->newdir = 1;
	ck_assert_int_eq(rig_call()->error, 0);
}

/* A file without a name: wherever the worker died the guest gets one, and nobody keeps another. */
START_TEST(tmpfile_made)
{
	const struct point *p = &points[_i];
	const struct rpc_created *a;
	uint64_t tag, node = 0, put;
	struct stat st;
	int fd = -1;

	ck_assert_int_eq(chmod(rig_path(""), 0777), 0);
	arm(RPC_TMPFILE, p->place);
	tag = ask_tmpfile()->h.tag;
	rig_send(0);
	a = (const void *)rig_recv(0);
	ck_assert_int_eq(a != NULL, p->answered);
	if (a != NULL) {
		node = a->e.node;
		fd = rig.lane[0].fds[0];
	}
	dies();
	ck_assert_uint_eq(rig.journal[0][0].state, p->state);
	put = rig_vault_pinned();
	ck_assert_uint_eq(put, strcmp(p->place, "before-reply") == 0 || p->answered);
	rig_start_next();
	if (!p->answered) {
		rig_replay(ask_tmpfile(), tag);
		a = (const void *)rig_call();
		ck_assert_int_eq(a->h.error, 0);
		node = a->e.node;
		fd = rig.lane[0].fds[0];
		/* The one that the vault knows, or a new one. */
		ck_assert_int_eq(node >> 40 == 0, put == 1);
	}
	RIG_EVENTUALLY(rig_vault_pinned() == 1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(st.st_uid == 1000 && st.st_gid == 1001 && st.st_nlink == 0 && st.st_size == 0);
	ck_assert_int_eq(write(fd, "data", 4), 4);
	close(fd);
	name_it(node, "named");
	ck_assert_int_eq(lstat(rig_path("named"), &st), 0);
	ck_assert(st.st_uid == 1000 && st.st_nlink == 1 && st.st_size == 4);
	RIG_EVENTUALLY(rig_vault_pinned() == 0);
}
END_TEST

/* And LINK, which gives it its name, wherever that dies. */
START_TEST(tmpfile_named)
{
	const struct point *p = &points[_i];
	struct rpc_link *q;
	uint64_t tag, node;
	struct stat st;
	int fd;

	ck_assert_int_eq(chmod(rig_path(""), 0777), 0);
	ask_tmpfile();
	node = ((const struct rpc_created *)(const void *)rig_call())->e.node;
	fd = rig.lane[0].fds[0];
	ck_assert_int_eq(write(fd, "data", 4), 4);
	close(fd);
	arm(RPC_LINK, p->place);
	q = rig_add(0, RPC_LINK, NULL, 0, "named", NULL);
	q->node = node;
	q->newdir = 1;
	tag = q->h.tag;
	rig_send(0);
	ck_assert_int_eq(rig_recv(0) != NULL, p->answered);
	dies();
	rig_start_next();
	if (!p->answered) {
		q = rig_add(0, RPC_LINK, NULL, 0, "named", NULL);
		q->node = node;
		q->newdir = 1;
		rig_replay(q, tag);
		ck_assert_int_eq(rig_call()->error, 0);
	}
	ck_assert_int_eq(lstat(rig_path("named"), &st), 0);
	ck_assert(st.st_nlink == 1 && st.st_size == 4);
	RIG_EVENTUALLY(rig_vault_pinned() == 0);
	ck_assert_int_eq(rig_getattr(node, NULL), 0);
}
END_TEST

START_TEST(poison)
{
	for (unsigned round = 0; round < 2; round++) {
		arm(RPC_MKDIR, "poison");
		ck_assert_int_gt(rig_made(RPC_MKDIR, 1, round == 0 ? "a" : "b", NULL, 0755), 1);
		rig_make(RPC_MKDIR, 1, "poison", NULL, 0755);
		rig_send(0);
		ck_assert_ptr_null(rig_recv(0));
		dies();
		rig_start_next();
	}
	ck_assert_int_eq(unlink(rig_path(CRASH_FILE)), 0);
	ck_assert_int_gt(rig_made(RPC_MKDIR, 1, "poison", NULL, 0755), 1);
}
END_TEST

/* Nothing of this is in the worker that is installed. */
START_TEST(not_in_production)
{
	const char *exe = getenv("WORKER_REAL_EXE");
	char *text = malloc(16 << 20);
	FILE *f = fopen(exe, "r");
	size_t n;

	ck_assert(f != NULL && text != NULL);
	n = fread(text, 1, 16 << 20, f);
	fclose(f);
	ck_assert_uint_gt(n, 10000);
	ck_assert_ptr_nonnull(memmem(text, n, "broke the protocol", 18));
	ck_assert_ptr_null(memmem(text, n, CRASH_FILE, strlen(CRASH_FILE)));
	ck_assert_ptr_null(memmem(text, n, "after-executing", 15));
	ck_assert_ptr_null(memmem(text, n, "crash_point", 11));
	free(text);
}
END_TEST

static void
nothing(void)
{
}

int
main(void)
{
	const char *exe = getenv("WORKER_EXE");
	char path[4096];
	const char *slash;
	Suite *s;

	if (exe == NULL)
		exe = "build/virtiofsd-worker";
	slash = strrchr(exe, '/');
	snprintf(path, sizeof(path), "%.*s/crash/virtiofsd-worker", slash != NULL ? (int)(slash - exe) : 1,
	    slash != NULL ? exe : ".");
	if (access(path, X_OK) == -1) {
		fprintf(stderr, "%s: no worker with crash points: make crash-worker\n", path);
		return 1;
	}
	setenv("WORKER_REAL_EXE", exe, 1);
	setenv("WORKER_EXE", path, 1);
	s = suite_create("worker crash");
	rig_add_test(s, every_place, rig_plain, rig_teardown, (int)(countof(points) * worker_ncases));
	rig_add_test(s, refused_at_every_place, rig_plain, rig_teardown, (int)(countof(points) * worker_ncases));
	rig_add_test(s, open_file_survives, rig_plain, rig_teardown, 2 * (int)countof(points));
	rig_add_test(s, tmpfile_made, rig_plain, rig_teardown, (int)countof(points));
	rig_add_test(s, tmpfile_named, rig_plain, rig_teardown, (int)countof(points));
	rig_add_test(s, poison, rig_plain, rig_teardown, 1);
	rig_add_test(s, not_in_production, nothing, nothing, 1);
	return rig_run(s);
}
