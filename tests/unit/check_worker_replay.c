/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of what a new worker makes of requests that were sent before, to a worker that died: every operation that must
 * not be done twice, with every state of the journal. Against the real executable (WORKER_EXE). Links worker_cases.c,
 * worker_rig*.c, proto/rpc.c, common/msg.c. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/attr.h"
#include "tests/unit/worker_cases.h"
#include "tests/unit/worker_rig.h"

#define TAG	(UINT64_C(77) << 32 | 5)
#define PLACE	13
#define CLOCK_TICK_US	20000	/* at least: a file system's time stamps */

/* By the host, between the two workers; BEFORE: already before the first, LATER: when the second is there. */
enum what { NO_EFFECT, EFFECT, EFFECT_AND_NEWCOMER, SOMETHING_ELSE, OTHER_OWNER, BEFORE, LATER };
enum outcome {
	SUCCEEDS,	/* the op says 0, and it has been done once */
	NATURAL,	/* the op is done again, and says what the kernel says */
	RECORDED,	/* the op says -ENOSPC, and nothing happened */
	LEAVES,		/* the op says 0, and the newcomer is still there */
	OWNED,		/* creating ops: the op says 0, whosever it is */
	EXISTS		/* creating ops: -EEXIST; what is there stays */
};

static const struct point {
	const char *title;
	enum journal_state state;
	int error;
	enum what what;
	enum outcome outcome;
} points[] = {
	{ "never begun", JOURNAL_NONE, 0, NO_EFFECT, SUCCEEDS },
	{ "never begun, done by somebody else", JOURNAL_NONE, 0, EFFECT, NATURAL },
	{ "done, not answered", JOURNAL_DONE, 0, EFFECT, SUCCEEDS },
	{ "done, and something new under the name since", JOURNAL_DONE, 0, EFFECT_AND_NEWCOMER, LEAVES },
	{ "failed, not answered", JOURNAL_DONE, -ENOSPC, NO_EFFECT, RECORDED },
	{ "begun, done", JOURNAL_EXECUTING, 0, EFFECT, SUCCEEDS },
	{ "begun, not done", JOURNAL_EXECUTING, 0, NO_EFFECT, SUCCEEDS },
	{ "begun, done, and something new under the name since", JOURNAL_EXECUTING, 0, EFFECT_AND_NEWCOMER, LEAVES },
	{ "begun, refused because something is there", JOURNAL_EXECUTING, 0, SOMETHING_ELSE, EXISTS },
	{ "begun, done, by a file system that knows no owners", JOURNAL_EXECUTING, 0, OTHER_OWNER, OWNED },
	{ "begun, refused because the same was there", JOURNAL_EXECUTING, 0, BEFORE, EXISTS },
	{ "begun, not done, and done by somebody else since", JOURNAL_EXECUTING, 0, LATER, EXISTS },
};

/* What the host does between the two workers. Returns false where it makes no sense for this op. */
static bool
happen(const struct worker_case *c, enum what what)
{
	const bool plain_rename = c->op == RPC_RENAME && (c->flags & (RENAME_EXCHANGE | RENAME_WHITEOUT)) == 0;
	const bool exclusive = case_makes(c) && (c->op != RPC_CREATE || (c->flags & O_EXCL) != 0);

	switch (what) {
	case NO_EFFECT:
		return true;
	case EFFECT:
		case_effect(c);
		return true;
	case EFFECT_AND_NEWCOMER:
		if (c->op != RPC_UNLINK && c->op != RPC_RMDIR && !plain_rename)
			return false;
		/* Made before, or it might get the inode number that has just become free. */
		rig_host_file("spare");
		ck_assert_int_eq(mkdir(rig_path("spare dir"), 0755), 0);
		case_effect(c);
		ck_assert_int_eq(rename(rig_path(c->op == RPC_RMDIR ? "spare dir" : "spare"), rig_path(c->name1)), 0);
		return true;
	case SOMETHING_ELSE:
		if (!exclusive)
			return false;
		ck_assert_int_eq(symlink("elsewhere", rig_path(c->name1)), 0);
		return true;
	case OTHER_OWNER:
		if (!exclusive)
			return false;
		case_effect(c);
		ck_assert_int_eq(lchown(rig_path(c->name1), 65534, 65534), 0);
		return true;
	case BEFORE:
		return exclusive;
	default:
		/* A link has no birth of its own. */
		return exclusive && c->op != RPC_LINK;
	}
}

static void
check_entry(const struct worker_case *c, struct rpc_hdr *h)
{
	const struct rpc_entry_body *e = &((struct rpc_entry *)h)->e;

	if (!case_makes(c))
		return;
	ck_assert_uint_gt(e->node, 1);
	ck_assert_uint_eq(e->attr.ino, rig_host_ino(c->name1));
	if (c->op == RPC_LINK)
		ck_assert_uint_eq(e->attr.nlink, 2);
	if (c->op == RPC_CREATE) {
		ck_assert_uint_eq(h->flags, RPC_F_FD);
		ck_assert_int_eq(write(rig.lane[0].fds[0], "x", 1), 1);
		close(rig.lane[0].fds[0]);
	}
}

static void
check_outcome(const struct worker_case *c, const struct point *p, ino_t newcomer, struct rpc_hdr *h)
{
	switch (p->outcome) {
	case SUCCEEDS:
		ck_assert_int_eq(h->error, 0);
		ck_assert(case_is_done(c));
		check_entry(c, h);
		break;
	case NATURAL:
		/* The same twice: for these the guest cannot tell, or it is its own second time. */
		ck_assert_int_eq(h->error, c->foreign == 1 ? 0 : c->foreign);
		if (c->foreign == -EEXIST || c->foreign == -ENOENT)
			ck_assert(case_is_done(c));
		break;
	case RECORDED:
		ck_assert_int_eq(h->error, -ENOSPC);
		ck_assert(case_is_undone(c));
		break;
	case LEAVES:
		ck_assert_int_eq(h->error, 0);
		ck_assert_uint_eq(rig_host_ino(c->name1), newcomer);
		break;
	case OWNED:
		ck_assert_int_eq(h->error, 0);
		ck_assert_uint_eq(rig_host_ino(c->name1), newcomer);
		check_entry(c, h);
		break;
	case EXISTS:
		ck_assert_int_eq(h->error, -EEXIST);
		ck_assert_uint_eq(rig_host_ino(c->name1), newcomer);
		break;
	}
}

START_TEST(every_point)
{
	const struct worker_case *c = &worker_cases[(unsigned)_i % worker_ncases];
	const struct point *p = &points[(unsigned)_i / worker_ncases];
	struct journal_entry *e = &rig.journal[0][PLACE];
	struct rpc_hdr *h;
	struct stat st;
	uint64_t f;

	case_prepare();
	f = case_lookup();
	rig_kill();
	if (p->what == BEFORE && happen(c, BEFORE))
		case_effect(c);
	/* Beside it, what must not be taken for it. */
	case_journal(c, &rig.journal[0][0], TAG + 1, JOURNAL_DONE, -EXDEV);
	case_journal(c, &rig.journal[1][PLACE], TAG, JOURNAL_DONE, -EXDEV);
	case_journal(c, &rig.journal[0][1], TAG, JOURNAL_DONE, -EXDEV);
	rig.journal[0][1].op = RPC_READ;
	if (p->state != JOURNAL_NONE)
		case_journal(c, e, TAG, p->state, p->error);
	if (happen(c, p->what)) {
		ino_t newcomer;

		rig_start_next();
		if (p->what == LATER) {
			usleep(CLOCK_TICK_US);
			case_effect(c);
		}
		newcomer = lstat(rig_path(c->name1), &st) == 0 ? st.st_ino : 0;
		rig_replay(case_ask(c, f), TAG);
		h = rig_call();
		ck_assert_uint_eq(h->tag, TAG);
		check_outcome(c, p, newcomer, h);
		/* A third worker would find it done. */
		if (p->state == JOURNAL_EXECUTING && p->what <= EFFECT && case_makes(c)) {
			ck_assert_uint_eq(e->state, JOURNAL_DONE);
			ck_assert_int_eq(e->error, 0);
		}
		/* What follows is judged by itself. */
		ck_assert_int_eq(rig_made(RPC_MKDIR, 1, "afterwards", NULL, 0755) > 1, 1);
	} else
		rig_start_next();
}
END_TEST

/* A second death before a request of the first was sent again: the third worker still knows of it. */
START_TEST(two_deaths)
{
	const struct worker_case *mkdir_case = &worker_cases[0], *unlink_case = &worker_cases[10];
	uint64_t f;

	ck_assert_uint_eq(unlink_case->op, RPC_UNLINK);
	case_prepare();
	f = case_lookup();
	rig_kill();
	case_journal(mkdir_case, &rig.journal[0][0], TAG, JOURNAL_DONE, 0);
	case_journal(unlink_case, &rig.journal[0][1], TAG + 1, JOURNAL_EXECUTING, 0);
	case_effect(mkdir_case);
	case_effect(unlink_case);
	rig_start_next();
	rig_replay(case_ask(mkdir_case, f), TAG);
	ck_assert_int_eq(rig_call()->error, 0);
	rig_restart();
	rig_replay(case_ask(unlink_case, f), TAG + 1);
	ck_assert_int_eq(rig_call()->error, 0);
	/* And one of which nobody knows does not hide what is still to come. */
	rig_replay(rig_make(RPC_MKDIR, 1, "other", NULL, 0755), TAG + 2);
	ck_assert_int_eq(rig_call()->error, 0);
	rig_restart();
	rig_replay(case_ask(mkdir_case, f), TAG);
	ck_assert_int_eq(rig_call()->error, 0);
	/* New requests end all that. */
	ck_assert_int_gt(rig_made(RPC_MKDIR, 1, "fresh", NULL, 0755), 1);
	rig_replay(case_ask(mkdir_case, f), TAG);
	ck_assert_int_eq(rig_call()->error, -EEXIST);
}
END_TEST

/* What this worker writes is what the next one reads: each op, begun and done by a worker, then sent again to the next. */
START_TEST(own_journal)
{
	const struct worker_case *c = &worker_cases[_i];
	struct rpc_hdr *h;
	uint64_t f, tag;

	case_prepare();
	f = case_lookup();
	h = case_ask(c, f);
	tag = h->tag;
	ck_assert_int_eq(rig_call()->error, 0);
	if (rig.lane[0].nfds == 1)
		close(rig.lane[0].fds[0]);
	ck_assert(case_is_done(c));
	ck_assert_uint_eq(rig.journal[0][0].state, JOURNAL_DONE);
	ck_assert_uint_eq(rig.journal[0][0].tag, tag);
	rig_restart();
	rig_replay(case_ask(c, f), tag);
	h = rig_call();
	ck_assert_int_eq(h->error, 0);
	ck_assert(case_is_done(c));
	check_entry(c, h);
	/* A directory that has gone is no success for what makes something. */
	ck_assert_int_eq(rig_forget(f, 1), 0);
}
END_TEST

static struct rpc_xattr *
ask_setxattr(uint64_t node)
{
	struct rpc_xattr *q = rig_add(0, RPC_SETXATTR, NULL, 0, "user.x", NULL);

	q->node = node;
	q->size = 5;
	q->flags = XATTR_CREATE;
	q->h.alen = 5;
	memcpy(rig.lane[0].arena, "value", 5);
	return q;
}

static struct rpc_xattr *
ask_removexattr(uint64_t node)
{
	struct rpc_xattr *q = rig_add(0, RPC_REMOVEXATTR, NULL, 0, "user.x", NULL);

	q->node = node;
	return q;
}

/* Created with XATTR_CREATE, removed: a second time would be an error. */
START_TEST(xattrs)
{
	uint64_t f, tag;

	rig_host_file("f");
	f = (uint64_t)rig_lookup(1, "f");
	tag = ask_setxattr(f)->h.tag;
	ck_assert_int_eq(rig_call()->error, 0);
	/* The worker died before it could note that it was done. */
	rig.journal[0][0].state = JOURNAL_EXECUTING;
	rig_restart();
	rig_replay(ask_setxattr(f), tag);
	ck_assert_int_eq(rig_call()->error, 0);
	/* Not begun by anybody: an error as ever. */
	rig_replay(ask_setxattr(f), tag + 1);
	ck_assert_int_eq(rig_call()->error, -EEXIST);
	tag = ask_removexattr(f)->h.tag;
	ck_assert_int_eq(rig_call()->error, 0);
	rig.journal[0][0].state = JOURNAL_EXECUTING;
	rig_restart();
	rig_replay(ask_removexattr(f), tag);
	ck_assert_int_eq(rig_call()->error, 0);
	rig_replay(ask_removexattr(f), tag + 1);
	ck_assert_int_eq(rig_call()->error, -ENODATA);
}
END_TEST

/* Refused by what was there, or because nothing was: so it is by the next worker. */
START_TEST(xattrs_refused)
{
	uint64_t f, tag;
	char value[8] = "";

	rig_host_file("f");
	ck_assert_int_eq(setxattr(rig_path("f"), "user.x", "old", 3, 0), 0);
	f = (uint64_t)rig_lookup(1, "f");
	tag = ask_setxattr(f)->h.tag;
	ck_assert_int_eq(rig_call()->error, -EEXIST);
	rig.journal[0][0].state = JOURNAL_EXECUTING;
	rig_restart();
	rig_replay(ask_setxattr(f), tag);
	ck_assert_int_eq(rig_call()->error, -EEXIST);
	ck_assert_int_eq(getxattr(rig_path("f"), "user.x", value, 8), 3);
	ck_assert_str_eq(value, "old");
	/* Absent when the first worker looked, and set by somebody else since. */
	ck_assert_int_eq(removexattr(rig_path("f"), "user.x"), 0);
	tag = ask_setxattr(f)->h.tag;
	ck_assert_int_eq(rig_call()->error, 0);
	rig.journal[0][0].state = JOURNAL_EXECUTING;
	ck_assert_int_eq(setxattr(rig_path("f"), "user.x", "new", 3, 0), 0);
	rig_restart();
	rig_replay(ask_setxattr(f), tag);
	ck_assert_int_eq(rig_call()->error, -EEXIST);
	ck_assert_int_eq(getxattr(rig_path("f"), "user.x", value, 8), 3);
	ck_assert_str_eq(value, "new");
	ck_assert_int_eq(removexattr(rig_path("f"), "user.x"), 0);
	tag = ask_removexattr(f)->h.tag;
	ck_assert_int_eq(rig_call()->error, -ENODATA);
	rig.journal[0][0].state = JOURNAL_EXECUTING;
	rig_restart();
	rig_replay(ask_removexattr(f), tag);
	ck_assert_int_eq(rig_call()->error, -ENODATA);
}
END_TEST

static struct rpc_io *
ask_append(uint64_t node, const char *data, uint32_t size)
{
	struct rpc_io *q = rig_add(0, RPC_WRITE, NULL, 0, NULL, NULL);

	q->f = (struct rpc_file){ .node = node, .fh = 7, .flags = O_WRONLY, .hflags = RPC_FILE_HANDLE };
	q->size = size;
	q->ioflags = RPC_IO_APPEND;
	q->h.alen = size;
	memcpy(rig.lane[0].arena, data, size);
	return q;
}

static const struct append_point {
	const char *there;	/* of "hello", when the worker died */
	enum journal_state state;
} append_points[] = {
	{ "", JOURNAL_EXECUTING },
	{ "hel", JOURNAL_EXECUTING },
	{ "hello", JOURNAL_EXECUTING },
	{ "hello", JOURNAL_DONE },
};

/* An append is in the file once, however far it had come. */
START_TEST(appends)
{
	const struct append_point *p = &append_points[_i];
	struct journal_entry *e = &rig.journal[0][PLACE];
	const struct rpc_count *w;
	char text[32] = "";
	uint64_t f;
	int fd;

	rig_host_file("f");
	fd = open(rig_path("f"), O_RDWR);
	ck_assert_int_eq(write(fd, "before ", 7), 7);
	f = (uint64_t)rig_lookup(1, "f");
	rig_kill();
	ck_assert_int_eq(write(fd, p->there, strlen(p->there)), (int)strlen(p->there));
	*e = (struct journal_entry){ .tag = TAG, .op = RPC_WRITE, .ino1 = 7,
		.error = p->state == JOURNAL_DONE ? 5 : 0 };
	e->state = p->state;
	rig_start_next();
	rig_replay(ask_append(f, "hello", 5), TAG);
	w = (const void *)rig_call();
	ck_assert_int_eq(w->h.error, 0);
	ck_assert_uint_eq(w->count, 5);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 12);
	ck_assert_str_eq(text, "before hello");
	close(fd);
}
END_TEST

/* A whole batch: each request has its own entry, and failures are noted as well. */
START_TEST(batch)
{
	unsigned got = 0, done = 0, failed = 0;

	rig_host_file("n7");
	for (unsigned i = 0; i < RPC_BATCH_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		rig_make(RPC_MKDIR, 1, name, NULL, 0755);
	}
	rig_send(0);
	while (got < RPC_BATCH_MAX)
		for (struct rpc_hdr *h = rig_recv(0); h != NULL; h = rpc_next(rig.lane[0].in, h))
			got++;
	for (unsigned i = 0; i < RPC_BATCH_MAX; i++) {
		done += rig.journal[0][i].state == JOURNAL_DONE;
		failed += rig.journal[0][i].error == -EEXIST;
	}
	ck_assert_uint_eq(done, RPC_BATCH_MAX);
	ck_assert_uint_eq(failed, 1);
	/* The next batch begins with an empty page. */
	ck_assert_int_gt(rig_lookup(1, "n7"), 1);
	for (unsigned i = 0; i < RPC_BATCH_MAX; i++)
		ck_assert_uint_eq(rig.journal[0][i].state, JOURNAL_NONE);
	/* Garbage in the journal harms nobody. */
	rig_kill();
	memset(rig.journal, 0xff, RIG_LANES * JOURNAL_PAGE);
	rig_start_next();
	rig_replay(rig_make(RPC_MKDIR, 1, "new", NULL, 0755), UINT64_MAX);
	ck_assert_int_eq(rig_call()->error, 0);
	/* A directory that the guest has given up. */
	struct rpc_create *q = rig_make(RPC_MKDIR, 12345, "x", NULL, 0755);
	rig_replay(q, TAG);
	ck_assert_int_eq(rig_call()->error, -ESTALE);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("worker replay");

	rig_add_test(s, every_point, rig_plain, rig_teardown, (int)(countof(points) * worker_ncases));
	rig_add_test(s, own_journal, rig_plain, rig_teardown, (int)worker_ncases);
	rig_add_test(s, two_deaths, rig_plain, rig_teardown, 1);
	rig_add_test(s, xattrs, rig_plain, rig_teardown, 1);
	rig_add_test(s, xattrs_refused, rig_plain, rig_teardown, 1);
	rig_add_test(s, appends, rig_plain, rig_teardown, (int)countof(append_points));
	rig_add_test(s, batch, rig_plain, rig_teardown, 1);
	return rig_run(s);
}
