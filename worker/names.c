/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names in directories: LOOKUP, FORGET, SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, CREATE, RESET. What is made
 * is made with the credentials and umask of the guest's caller.
 *
 * A request marked as replay may have been carried out by a worker that died before it could answer: where the name is
 * as the operation would have left it, that counts as success. Runs in: worker, lane threads. Requests written by: front.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "worker/cred.h"
#include "worker/handle.h"
#include "worker/ops.h"
#include "worker/resolve.h"
#include "worker/vaultc.h"

#define CREATE_TRIES 8 /* a name that comes and goes under our hands */

static bool
is_replay(const struct rpc_hdr *h)
{
	return (h->flags & RPC_F_REPLAY) != 0;
}

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
		r = resolve_name(inode_fd(dir), rpc_name1(RPC_REQUEST, h), &in, &st);
	if (r == 0)
		r = ops_reply_entry(l, h, in, dir, &st);
	inode_put(dir);
	return r;
}

int
op_FORGET(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_forget1 *f = rpc_x(RPC_REQUEST, h);

	for (unsigned i = 0; i < h->nx; i++) {
		struct inode *in = inode_by_node(f[i].node);

		/* A node this worker never met is known to the vault alone. */
		if (f[i].node != ROOT_NODE && (in == NULL || inode_forget(in, f[i].nlookup, true)))
			vault_forget(l, f[i].node);
		inode_put(in);
	}
	return ops_reply_ok(l, h);
}

int
op_RESET(struct lane *l, const struct rpc_hdr *h)
{
	handle_reset();
	inode_reset();
	vault_reset(l);
	return ops_reply_ok(l, h);
}

/* Run the system call of a SYMLINK, MKNOD, MKDIR or CREATE as the guest's caller. Returns its result or a negative errno. */
static int
make_as_caller(const struct rpc_create *q, int dirfd)
{
	const char *name = rpc_name1(RPC_REQUEST, &q->h);
	const int flags = (int)q->flags & (O_ACCMODE | O_TRUNC | O_NONBLOCK | O_SYNC | O_DSYNC);
	struct cred cred;
	int r;

	r = cred_switch(&cred, q->uid, q->gid, rpc_x(RPC_REQUEST, &q->h), q->h.nx,
	    (q->oflags & RPC_CREATE_GROUPS) != 0);
	if (r != 0)
		return r;
	if (q->umask != 0)
		umask(q->umask & 0777);
	switch (q->h.op) {
	case RPC_SYMLINK:
		r = symlinkat(rpc_name2(RPC_REQUEST, &q->h), dirfd, name);
		break;
	case RPC_MKNOD:
		r = mknodat(dirfd, name, q->mode, q->rdev);
		break;
	case RPC_MKDIR:
		r = mkdirat(dirfd, name, q->mode & 07777);
		break;
	default:
		r = open_beneath(
		    dirfd, name, (uint64_t)flags | O_CREAT | O_EXCL | O_LARGEFILE, q->mode & 07777);
		break;
	}
	if (r == -1 && q->h.op != RPC_CREATE)
		r = -errno;
	if (q->umask != 0)
		umask(0);
	cred_restore(&cred);
	return r;
}

/* Is what stands there what this request, sent before, would have made? */
static bool
made_before(const struct rpc_create *q, const struct inode *in, const struct statx *st)
{
	const char *want = rpc_name2(RPC_REQUEST, &q->h);
	char target[RPC_TARGET_MAX + 1];
	ssize_t n;

	switch (q->h.op) {
	case RPC_MKDIR:
		return in->type == S_IFDIR;
	case RPC_MKNOD:
		return in->type == ((q->mode & S_IFMT) != 0 ? (q->mode & S_IFMT) : S_IFREG) &&
		    st->stx_size == 0;
	case RPC_SYMLINK:
		n = readlinkat(inode_fd(in), "", target, sizeof(target));
		return n >= 0 && (size_t)n == strlen(want) && memcmp(target, want, (size_t)n) == 0;
	default:
		return in->type == S_IFREG && st->stx_size == 0 && st->stx_nlink == 1;
	}
}

/* SYMLINK, MKNOD and MKDIR. */
static int
make_node(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_create *q = (const void *)h;
	struct inode *dir, *in = NULL;
	struct statx st;
	int made, r;

	r = resolve_node(q->dir, &dir);
	if (r != 0)
		return r;
	made = make_as_caller(q, inode_fd(dir));
	if (made == 0 || (made == -EEXIST && is_replay(h)))
		r = resolve_new_name(inode_fd(dir), rpc_name1(RPC_REQUEST, h), &in, &st);
	else
		r = made;
	if (r == 0 && made != 0 && !made_before(q, in, &st)) {
		inode_forget(in, 1, false);
		inode_put(in);
		r = made;
	}
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

/* An inode without names cannot be brought back by its handle: its fd stays until FORGET. */
static void
after_removal(struct inode *in)
{
	struct statx st;

	if (in == NULL)
		return;
	if (resolve_statx(inode_fd(in), "", &st) == 0 && (st.stx_nlink == 0 || in->type == S_IFDIR))
		inode_pin(in);
	inode_put(in);
}

static int
remove_name(struct lane *l, const struct rpc_hdr *h, int flags)
{
	const struct rpc_node *q = (const void *)h;
	const char *name = rpc_name1(RPC_REQUEST, h);
	struct inode *dir, *in;
	int r;

	r = resolve_node(q->node, &dir);
	if (r != 0)
		return r;
	/* First, while it has a name by which an evicted one can be opened. */
	in = resolve_known(inode_fd(dir), name);
	r = unlinkat(inode_fd(dir), name, flags) == -1 ? -errno : 0;
	if (r == 0)
		after_removal(in);
	else
		inode_put(in);
	inode_put(dir);
	if (r == -ENOENT && is_replay(h))
		r = 0;
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

int
op_RENAME(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_rename *q = (const void *)h;
	const char *from = rpc_name1(RPC_REQUEST, h), *to = rpc_name2(RPC_REQUEST, h);
	const unsigned flags = q->flags & (RENAME_EXCHANGE | RENAME_NOREPLACE | RENAME_WHITEOUT);
	struct inode *old, *new, *victim = NULL;
	struct statx st;
	int r;

	r = resolve_node(q->olddir, &old);
	if (r != 0)
		return r;
	r = resolve_node(q->newdir, &new);
	if (r != 0) {
		inode_put(old);
		return r;
	}
	if ((flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)) == 0)
		victim = resolve_known(inode_fd(new), to);
	r = syscall(SYS_renameat2, inode_fd(old), from, inode_fd(new), to, flags) == -1 ? -errno
											: 0;
	if (r == -ENOENT && is_replay(h) && (flags & RENAME_EXCHANGE) == 0 &&
	    resolve_statx(inode_fd(new), to, &st) == 0)
		r = 0;
	if (r == 0)
		after_removal(victim);
	else
		inode_put(victim);
	inode_put(new);
	inode_put(old);
	return r != 0 ? r : ops_reply_ok(l, h);
}

/* After EEXIST of a replayed LINK: is the name one of this very inode? */
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

int
op_LINK(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_link *q = (const void *)h;
	const char *name = rpc_name1(RPC_REQUEST, h);
	struct inode *in, *dir;
	struct fd_name n;
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
	n = fd_name(inode_fd(in));
	r = linkat(FD_DIR, n.s, inode_fd(dir), name, AT_SYMLINK_FOLLOW) == -1 ? -errno : 0;
	if (r == -EEXIST && is_replay(h) && is_linked(inode_fd(dir), name, in))
		r = 0;
	/* The entry is this inode, whatever became of the name meanwhile. */
	if (r == 0)
		r = resolve_statx(inode_fd(in), "", &st);
	if (r == 0 && !inode_send(in))
		r = -ESTALE;
	if (r == 0)
		r = ops_reply_entry(l, h, in, dir, &st);
	else
		inode_put(in);
	inode_put(dir);
	return r;
}

/* The file of a CREATE exists: open it as OPEN would, with the worker's own credentials. */
static int
create_existing(const struct rpc_create *q, int dirfd, int *fd, struct inode **in, struct statx *st)
{
	const bool must_be_mine = (q->flags & O_EXCL) != 0;
	int r;

	r = resolve_new_name(dirfd, rpc_name1(RPC_REQUEST, &q->h), in, st);
	if (r != 0)
		return r;
	if (must_be_mine && !made_before(q, *in, st))
		r = -EEXIST;
	else if ((*in)->type == S_IFDIR)
		r = -EISDIR;
	if (r == 0)
		r = ops_open(*in, q->flags & ~(uint32_t)(O_CREAT | O_EXCL | O_DIRECT | O_NOATIME),
		    q->oflags, st);
	if (r < 0) {
		inode_forget(*in, 1, false);
		inode_put(*in);
		return r;
	}
	*fd = r;
	return 0;
}

static int
create_file(const struct rpc_create *q, int dirfd, int *fd, struct inode **in, struct statx *st)
{
	const bool exclusive = (q->flags & O_EXCL) != 0 && !is_replay(&q->h);
	int r = -ENOENT;

	for (int i = 0; i < CREATE_TRIES && r == -ENOENT; i++) {
		r = make_as_caller(q, dirfd);
		if (r >= 0) {
			*fd = r;
			r = resolve_created(*fd, in, st);
			if (r != 0)
				fd_close(fd);
			return r;
		}
		if (r != -EEXIST || exclusive)
			return r;
		r = create_existing(q, dirfd, fd, in, st);
	}
	return r;
}

int
op_CREATE(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_create *q = (const void *)h;
	struct rpc_created *reply;
	struct inode *dir, *in;
	struct statx st;
	int fd = -1, r;

	if ((q->flags & O_ACCMODE) == O_ACCMODE ||
	    (q->oflags & ~(uint32_t)(RPC_OPEN_ALL | RPC_CREATE_GROUPS)) != 0)
		return -EINVAL;
	r = resolve_node(q->dir, &dir);
	if (r != 0)
		return r;
	r = create_file(q, inode_fd(dir), &fd, &in, &st);
	if (r == 0) {
		r = ops_settle_open(fd, in->node, q->fh, (int)q->flags, q->oflags, &st);
		if (r < 0) {
			inode_forget(in, 1, false);
			inode_put(in);
		}
	}
	if (r >= 0) {
		vault_put(l, in, dir);
		reply = lane_reply(l, h);
		ops_entry(&reply->e, in, dir, &st);
		if (r == 1)
			lane_donate(l, reply, fd, in->node, q->fh);
		inode_put(in);
		r = 0;
	}
	inode_put(dir);
	return r;
}
