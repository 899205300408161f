/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names in directories: LOOKUP, FORGET, SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, CREATE, RESET. What is made
 * is made with the credentials and umask of the guest's caller.
 *
 * Whatever changes names is noted in the lane's journal before and after the system call. Of a request sent again
 * the journal knows (past) that it is done, or was begun: then what is there decides (worker/replay.h).
 * Runs in: worker, lane threads. Requests written by: front.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "worker/handle.h"
#include "worker/making.h"
#include "worker/ops.h"
#include "worker/replay.h"
#include "worker/resolve.h"
#include "worker/tmpfile.h"
#include "worker/vaultc.h"

#define CREATE_TRIES 8 /* a name that comes and goes under our hands */

int
op_LOOKUP(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_node *q = (const void *)h;
	struct inode *dir, *in;
	struct statx st;
	int r;

	r = resolve_node(q->node, &dir);
	if (r != 0)
		return r;
	if (dir->type != S_IFDIR)
		r = -ENOTDIR;
	if (r == 0)
		r = resolve_guess(inode_fd(dir), rpc_name1(RPC_REQUEST, h), &l->fresh, &in, &st);
	if (r == 0)
		r = ops_reply_entry(l, h, in, dir, &st);
	inode_put(dir);
	return r;
}

int
op_FORGET(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_forget1 *f = rpc_x(RPC_REQUEST, h);
	struct inode *in[RPC_FORGETS_MAX];

	resolve_forget_begin();
	for (unsigned i = 0; i < h->nx; i++) {
		uint64_t named = f[i].incarnation == inode_incarnation() ? f[i].named : 0;

		in[i] = inode_by_node(f[i].node);
		/* A node this worker never met is known to the vault alone. */
		if (f[i].node != ROOT_NODE && (in[i] == NULL || inode_forget(in[i], named, true)))
			vault_forget(l, f[i].node, in[i]);
	}
	resolve_forget_end(l);
	/* The last close of a removed file takes its time. */
	for (unsigned i = 0; i < h->nx; i++)
		inode_put(in[i]);
	vault_unmount(l);
	return ops_reply_ok(l, h);
}

int
op_RESET(struct lane *l, const struct rpc_hdr *h)
{
	struct inode *gone;

	handle_reset();
	resolve_forget_begin();
	gone = inode_reset();
	vault_reset(l);
	resolve_forget_end(l);
	/* A million closes; and the last one of a removed file takes its time. */
	inode_put_all(gone);
	vault_unmount(l);
	return ops_reply_ok(l, h);
}

/*
 * Begin to make a name, and note whether it means something before: only where it did not, what a next worker finds there
 * can be this request's own work. No time stamp could say that: what is made now is born in the same clock tick as what
 * somebody else has just made. past: what stands in the journal counts.
 */
static void
begin_new(struct lane *l, const struct rpc_hdr *h, const struct journal_past *past, int dirfd)
{
	struct statx st;
	bool there = false;

	/* What cannot be looked at may be there. */
	if (past == NULL)
		there = resolve_statx(dirfd, rpc_name1(RPC_REQUEST, h), &st) != -ENOENT;
	journal_begin_number(&l->journal, h, there);
}

/*
 * A request sent again found that the name exists. If that is its own work, all that may be missing is the label. in: with an
 * entry reply counted, which is taken back on failure.
 */
static int
accept_made(struct lane *l, const struct making *m, const struct journal_past *past, int dirfd,
    struct inode *in, const struct statx *st)
{
	int r = -EEXIST;

	if (replay_made(m, past, in, st))
		r = making_label(m, dirfd, inode_fd(in));
	if (r != 0)
		resolve_unname(l, in);
	return r;
}

/* SYMLINK, MKNOD and MKDIR in a directory. On success *in is counted as named. */
static int
make_in(struct lane *l, const struct making *m, int dirfd, struct inode **in, struct statx *st)
{
	const struct rpc_hdr *h = &m->q->h;
	const struct journal_past *past = journal_past(&l->journal, h);
	const char *name = rpc_name1(RPC_REQUEST, h);
	int r;

	if (replay_is_done(past))
		return past->error != 0 ? past->error : resolve_new_name(dirfd, name, in, st);
	begin_new(l, h, past, dirfd);
	r = making_run(m, dirfd);
	if (r == 0 && m->label[0] == '\0') {
		journal_done(&l->journal, h, 0);
		return resolve_new_name(dirfd, name, in, st);
	}
	if (r == 0) {
		r = resolve_new_name(dirfd, name, in, st);
		if (r != 0)
			making_undo(m, dirfd, -1);
		else if ((r = making_label(m, dirfd, inode_fd(*in))) != 0)
			resolve_unname(l, *in);
	} else if (r == -EEXIST && past != NULL) {
		r = resolve_new_name(dirfd, name, in, st);
		if (r == 0)
			r = accept_made(l, m, past, dirfd, *in, st);
	}
	journal_done(&l->journal, h, r);
	return r;
}

static int
make_node(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_create *q = (const void *)h;
	struct inode *dir, *in = NULL;
	struct making m;
	struct statx st;
	int r;

	r = making_begin(l, q, &m);
	if (r == 0)
		r = resolve_node(q->dir, &dir);
	if (r != 0)
		return r;
	r = make_in(l, &m, inode_fd(dir), &in, &st);
	if (r == 0)
		r = ops_reply_entry(l, h, in, dir, &st);
	inode_put(dir);
	return r;
}

int
op_SYMLINK(struct lane *l, const struct rpc_hdr *h)
{
	return make_node(l, h);
}

int
op_MKNOD(struct lane *l, const struct rpc_hdr *h)
{
	return make_node(l, h);
}

int
op_MKDIR(struct lane *l, const struct rpc_hdr *h)
{
	return make_node(l, h);
}

/*
 * A victim (NULL: unknown to the guest) that may be about to lose its last name: the vault gets its fd while it still has
 * one, because without names no handle brings it back, and the next system call may be this worker's last.
 */
static void
before_removal(struct lane *l, struct inode *victim, const struct statx *st, struct inode *dir)
{
	if (victim != NULL && (victim->type == S_IFDIR || st->stx_nlink <= 1))
		vault_pin(l, victim, dir);
}

static bool
is_removal(const struct rpc_hdr *h)
{
	return h->op == RPC_UNLINK || h->op == RPC_RMDIR;
}

/* What a removal will take the last name from, if that can be said now, with a reference; or NULL. */
static struct inode *
victim_ahead(const struct rpc_hdr *h)
{
	struct inode *dir = inode_by_node(((const struct rpc_node *)h)->node), *victim = NULL;
	struct statx st;

	if (dir != NULL && inode_fd(dir) >= 0 &&
	    resolve_known(inode_fd(dir), rpc_name1(RPC_REQUEST, h), &victim, &st) == 0 &&
	    victim != NULL &&
	    ((victim->type == S_IFDIR) != (h->op == RPC_RMDIR) ||
		(h->op == RPC_UNLINK && st.stx_nlink > 1))) {
		inode_put(victim);
		victim = NULL;
	}
	inode_put(dir);
	return victim;
}

void
ops_ahead(struct lane *l)
{
	struct inode *victim[RPC_BATCH_MAX];
	unsigned removals = 0, n = 0;
	struct rpc_hdr *h;

	for (h = rpc_first(l->in); h != NULL; h = rpc_next(l->in, h))
		removals += is_removal(h);
	if (removals < 2 || (ops_device()->flags & DEV_READONLY) != 0)
		return;
	for (h = rpc_first(l->in); h != NULL; h = rpc_next(l->in, h)) {
		if (is_removal(h) && (victim[n] = victim_ahead(h)) != NULL)
			n++;
	}
	vault_pin_all(victim, n);
	while (n > 0)
		inode_put(victim[--n]);
}

static bool
is_nameless(const struct inode *in)
{
	struct statx st;

	return resolve_statx(inode_fd(in), "", &st) == 0 && st.stx_nlink == 0;
}

/*
 * After the system call, which succeeded if removed. last: the name was the victim's only one. Without names its fd stays until
 * FORGET, here and in the vault; with names it is not in need of that (but may have it: one that it gets just now is not
 * looked for).
 */
static void
after_removal(struct lane *l, struct inode *victim, struct inode *dir, bool removed, bool last)
{
	if (victim == NULL)
		return;
	if (removed && (last || victim->type == S_IFDIR || is_nameless(victim))) {
		inode_pin(victim);
		vault_pin(l, victim, dir);
	} else if (inode_has(victim, INODE_VAULT_PIN) && vault_unpin(victim) &&
	    is_nameless(victim)) {
		/* Somebody else removed it just now. */
		vault_pin(l, victim, dir);
	}
	inode_put(victim);
}

static int
remove_name(struct lane *l, const struct rpc_hdr *h, int flags)
{
	const struct rpc_node *q = (const void *)h;
	const char *name = rpc_name1(RPC_REQUEST, h);
	const struct journal_past *past = journal_past(&l->journal, h);
	struct inode *dir, *victim;
	struct statx st;
	bool there;
	int r;

	if (replay_is_done(past))
		return past->error != 0 ? past->error : ops_reply_ok(l, h);
	r = resolve_node(q->node, &dir);
	if (r != 0)
		return r;
	/* First, while it has a name by which an evicted one can be opened. */
	there = resolve_known(inode_fd(dir), name, &victim, &st) == 0;
	if (past != NULL && replay_removed(past, there ? &st : NULL)) {
		inode_put(victim);
		inode_put(dir);
		return ops_reply_ok(l, h);
	}
	before_removal(l, victim, &st, dir);
	journal_begin(&l->journal, h, there ? &st : NULL, NULL);
	r = unlinkat(inode_fd(dir), name, flags) == -1 ? -errno : 0;
	journal_done(&l->journal, h, r);
	after_removal(l, victim, dir, r == 0, there && st.stx_nlink <= 1);
	inode_put(dir);
	return r != 0 ? r : ops_reply_ok(l, h);
}

int
op_UNLINK(struct lane *l, const struct rpc_hdr *h)
{
	return remove_name(l, h, 0);
}

int
op_RMDIR(struct lane *l, const struct rpc_hdr *h)
{
	return remove_name(l, h, AT_REMOVEDIR);
}

static int
rename_in(struct lane *l, const struct rpc_rename *q, struct inode *old, struct inode *new)
{
	const char *from = rpc_name1(RPC_REQUEST, &q->h), *to = rpc_name2(RPC_REQUEST, &q->h);
	const unsigned flags = q->flags & (RENAME_EXCHANGE | RENAME_NOREPLACE | RENAME_WHITEOUT);
	const struct journal_past *past = journal_past(&l->journal, &q->h);
	const struct statx *now1, *now2;
	struct inode *victim = NULL;
	struct statx st1, st2;
	int r;

	now1 = resolve_statx(inode_fd(old), from, &st1) == 0 ? &st1 : NULL;
	if ((flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)) == 0)
		r = resolve_known(inode_fd(new), to, &victim, &st2);
	else
		r = resolve_statx(inode_fd(new), to, &st2);
	now2 = r == 0 ? &st2 : NULL;
	if (past != NULL && replay_renamed(past, flags, now1, now2)) {
		inode_put(victim);
		return 0;
	}
	if (now1 != NULL)
		before_removal(l, victim, &st2, new);
	journal_begin(&l->journal, &q->h, now1, now2);
	r = syscall(SYS_renameat2, inode_fd(old), from, inode_fd(new), to, flags) == -1 ? -errno
											: 0;
	journal_done(&l->journal, &q->h, r);
	/* It may be the very inode that was renamed, and still be there. */
	after_removal(l, victim, new, r == 0, false);
	return r;
}

int
op_RENAME(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_rename *q = (const void *)h;
	const struct journal_past *past = journal_past(&l->journal, h);
	struct inode *old, *new;
	int r;

	if (replay_is_done(past))
		return past->error != 0 ? past->error : ops_reply_ok(l, h);
	r = resolve_node(q->olddir, &old);
	if (r != 0)
		return r;
	r = resolve_node(q->newdir, &new);
	if (r == 0) {
		r = rename_in(l, q, old, new);
		inode_put(new);
	}
	inode_put(old);
	return r != 0 ? r : ops_reply_ok(l, h);
}

/* Is the name one of this very inode? */
static bool
is_linked(int dirfd, const char *name, const struct inode *in)
{
	struct inode_key key;
	struct statx st;

	if (resolve_statx(dirfd, name, &st) != 0)
		return false;
	resolve_key(&st, &key);
	return key.ino == in->key.ino && key.dev == in->key.dev && key.mnt == in->key.mnt;
}

static int
link_in(struct lane *l, const struct rpc_hdr *h, const struct inode *in, int dirfd)
{
	const struct journal_past *past = journal_past(&l->journal, h);
	const char *name = rpc_name1(RPC_REQUEST, h);
	const struct fd_name n = fd_name(inode_fd(in));
	int r;

	if (replay_is_done(past))
		return past->error;
	begin_new(l, h, past, dirfd);
	r = linkat(FD_DIR, n.s, dirfd, name, AT_SYMLINK_FOLLOW) == -1 ? -errno : 0;
	if (r == -EEXIST && past != NULL && past->ino1 == 0 && is_linked(dirfd, name, in))
		r = 0;
	journal_done(&l->journal, h, r);
	return r;
}

int
op_LINK(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_link *q = (const void *)h;
	struct inode *in, *dir;
	struct statx st;
	int r;

	r = resolve_node(q->node, &in);
	if (r != 0)
		return r;
	r = resolve_node(q->newdir, &dir);
	if (r != 0) {
		inode_put(in);
		return r;
	}
	r = link_in(l, h, in, inode_fd(dir));
	/* The entry is this inode, whatever became of the name meanwhile. */
	if (r == 0)
		r = resolve_statx(inode_fd(in), "", &st);
	if (r == 0 && st.stx_nlink == 1)
		tmpfile_named(l, in, dir);
	if (r == 0 && !inode_send(in))
		r = -ESTALE;
	if (r == 0)
		r = ops_reply_entry(l, h, in, dir, &st);
	else
		inode_put(in);
	inode_put(dir);
	return r;
}

/* May a CREATE on a read-only share open what is there? (spec/fuse.md section 7) */
static int
create_readonly(uint32_t flags)
{
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_EXCL) != 0)
		return -EROFS;
	return (flags & O_TRUNC) != 0 ? -EINVAL : 0;
}

/*
 * The file of a CREATE exists: open it as OPEN would, with the worker's own credentials. past: of a request sent again;
 * what was made already is neither emptied again nor refused for being there. *flags: as of ops_open().
 */
static int
create_existing(struct lane *l, const struct making *m, const struct journal_past *past, int dirfd,
    int *fd, uint32_t *flags, struct inode **in, struct statx *st)
{
	const struct rpc_create *q = m->q;
	int r;

	*flags = q->flags;
	r = resolve_new_name(dirfd, rpc_name1(RPC_REQUEST, &q->h), in, st);
	if (r != 0)
		return r;
	if (ops_readonly())
		r = create_readonly(*flags);
	else if (replay_is_done(past))
		*flags &= ~(uint32_t)O_TRUNC;
	else if (past != NULL && replay_made(m, past, *in, st))
		r = making_label(m, dirfd, inode_fd(*in));
	else if ((q->flags & O_EXCL) != 0)
		r = -EEXIST;
	if (r == 0 && (*in)->type == S_IFDIR)
		r = -EISDIR;
	if (r == 0)
		r = ops_open(*in, flags, q->oflags, q->gid, st);
	if (r < 0) {
		resolve_unname(l, *in);
		return r;
	}
	*fd = r;
	return 0;
}

/* A file was made and is open: label it, and find out what it is. Takes over *fd on failure. */
static int
create_new(
    struct lane *l, const struct making *m, int dirfd, int *fd, struct inode **in, struct statx *st)
{
	int r = making_label(m, dirfd, *fd);

	journal_done(&l->journal, &m->q->h, r);
	if (r == 0)
		r = resolve_created(*fd, in, st);
	if (r != 0)
		fd_close(fd);
	return r;
}

static int
create_file(struct lane *l, const struct making *m, int dirfd, int *fd, uint32_t *flags,
    struct inode **in, struct statx *st)
{
	const struct rpc_hdr *h = &m->q->h;
	const struct journal_past *past = journal_past(&l->journal, h);
	const bool exclusive = (m->q->flags & O_EXCL) != 0;
	int r = -ENOENT;

	*flags = m->q->flags;
	if (ops_readonly()) {
		r = create_existing(l, m, NULL, dirfd, fd, flags, in, st);
		return r == -ENOENT ? -EROFS : r;
	}
	if (replay_is_done(past))
		return past->error != 0 ? past->error
					: create_existing(l, m, past, dirfd, fd, flags, in, st);
	/* Else what is there is opened, whoever made it. */
	if (exclusive || m->label[0] != '\0')
		begin_new(l, h, past, dirfd);
	else
		journal_begin_number(&l->journal, h, 0);
	for (int i = 0; i < CREATE_TRIES && r == -ENOENT; i++) {
		r = making_run(m, dirfd);
		if (r >= 0) {
			*fd = r;
			return create_new(l, m, dirfd, fd, in, st);
		}
		if (r != -EEXIST || (exclusive && past == NULL))
			break;
		r = create_existing(l, m, past, dirfd, fd, flags, in, st);
	}
	journal_done(&l->journal, h, r);
	return r;
}

int
op_CREATE(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_create *q = (const void *)h;
	struct rpc_created *reply;
	struct inode *dir, *in;
	struct making m;
	struct statx st;
	uint32_t flags;
	int fd = -1, r;

	r = making_begin(l, q, &m);
	if (r == 0)
		r = resolve_node(q->dir, &dir);
	if (r != 0)
		return r;
	r = create_file(l, &m, inode_fd(dir), &fd, &flags, &in, &st);
	if (r == 0) {
		r = vault_put(l, in, dir);
		if (r != 0)
			fd_close(&fd);
		else {
			r = ops_settle_open(fd, in, q->fh, (int)flags, q->oflags, st.stx_mode);
			if (r < 0)
				vault_unput(l, in);
		}
		if (r < 0)
			resolve_unname(l, in);
	}
	if (r >= 0) {
		reply = lane_reply(l, h);
		ops_entry(&reply->e, in, dir, &st);
		if (ops_is_wronly(flags, q->oflags))
			reply->e.flags |= RPC_ENTRY_WRONLY;
		if (r == 1)
			lane_donate(l, reply, fd, in->node, q->fh);
		inode_put(in);
		r = 0;
	}
	inode_put(dir);
	return r;
}
