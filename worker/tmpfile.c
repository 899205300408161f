/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TMPFILE: a regular file in a directory's file system that has no name, made as the guest's caller. What it is found by
 * is its node alone, so its fd is pinned here and in the vault until it is forgotten, or until LINK names it.
 *
 * Done twice it would leave an inode that nobody asks for in the vault. So the journal notes the node before the vault
 * hears of it: a worker that is asked again takes that node if the vault has it, and makes the file anew if not.
 * Runs in: worker, lane threads. Requests written by: front.
 */
#include "worker/tmpfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "worker/cred.h"
#include "worker/making.h"
#include "worker/ops.h"
#include "worker/resolve.h"
#include "worker/vaultc.h"

/* The file that an earlier worker made for this request, if it is to be had. Returns its fd or a negative errno. */
static int
adopt(const struct making *m, const struct journal_past *past, struct inode **in, struct statx *st)
{
	const struct rpc_create *q = m->q;
	uint32_t flags = q->flags & ~(uint32_t)(O_TRUNC | O_DIRECTORY);
	int r;

	if (past == NULL || past->ino1 == 0)
		return -ESTALE;
	r = resolve_node(past->ino1, in);
	if (r != 0)
		return r;
	/* The guest has not seen it: it is as it was made. */
	r = resolve_statx(inode_fd(*in), "", st);
	if (r == 0 &&
	    ((*in)->type != S_IFREG || st->stx_nlink != 0 || st->stx_size != 0 ||
		st->stx_uid != cred_owner(m->uid)))
		r = -ESTALE;
	if (r == 0)
		r = ops_open(*in, &flags, q->oflags & ~(uint32_t)RPC_OPEN_READ_TOO, RPC_NO_GID, st);
	if (r >= 0 && !inode_send(*in)) {
		fd_close(&r);
		r = -ESTALE;
	}
	if (r < 0)
		inode_put(*in);
	return r;
}

static int
make(struct lane *l, const struct making *m, int dirfd, struct inode **in, struct statx *st)
{
	int fd = making_run(m, dirfd), r;

	if (fd < 0)
		return fd;
	r = making_label(m, dirfd, fd);
	if (r == 0)
		r = resolve_created(fd, in, st);
	if (r != 0) {
		fd_close(&fd);
		return r;
	}
	journal_note(&l->journal, (*in)->node);
	return fd;
}

static int
make_once(struct lane *l, const struct making *m, int dirfd, struct inode **in, struct statx *st)
{
	const struct rpc_create *q = m->q;
	const struct journal_past *past = journal_past(&l->journal, &q->h);
	int fd;

	if (past != NULL && past->state == JOURNAL_DONE && past->error != 0)
		return past->error;
	fd = adopt(m, past, in, st);
	if (fd >= 0)
		return fd;
	journal_begin(&l->journal, &q->h, NULL, NULL);
	fd = make(l, m, dirfd, in, st);
	journal_done(&l->journal, &q->h, fd < 0 ? fd : 0);
	return fd;
}

/* Takes over fd and the reference to in. */
static int
reply_with(struct lane *l, const struct rpc_create *q, struct inode *in, struct inode *dir, int fd,
    const struct statx *st)
{
	struct rpc_created *reply;
	int r;

	r = vault_put(l, in, dir);
	if (r != 0)
		fd_close(&fd);
	else {
		r = ops_settle_open(fd, in, q->fh, (int)q->flags, q->oflags, st->stx_mode);
		if (r < 0)
			vault_unput(l, in);
	}
	if (r < 0) {
		resolve_unname(l, in);
		return r;
	}
	inode_pin(in);
	vault_pin(l, in, dir);
	reply = lane_reply(l, &q->h);
	ops_entry(&reply->e, in, dir, st);
	if (r == 1)
		lane_donate(l, reply, fd, in->node, q->fh);
	inode_put(in);
	return 0;
}

int
op_TMPFILE(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_create *q = (const void *)h;
	struct inode *dir, *in;
	struct making m;
	struct statx st;
	int fd, r;

	if ((q->flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	r = making_begin(l, q, &m);
	if (r == 0)
		r = resolve_node(q->dir, &dir);
	if (r != 0)
		return r;
	fd = dir->type == S_IFDIR ? make_once(l, &m, inode_fd(dir), &in, &st) : -ENOTDIR;
	r = fd;
	if (fd >= 0)
		r = reply_with(l, q, in, dir, fd, &st);
	inode_put(dir);
	return r;
}

void
tmpfile_named(struct lane *l, struct inode *in, struct inode *dir)
{
	struct statx st;

	inode_unpin(in);
	/* Unless another lane has taken the name away again, and its pin was just dropped. */
	if (vault_unpin(in) && resolve_statx(inode_fd(in), "", &st) == 0 && st.stx_nlink == 0) {
		inode_pin(in);
		vault_pin(l, in, dir);
	}
}
