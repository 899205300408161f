/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations on names: everything here is the worker's to do; this file decodes, checks and translates.
 * Runs in: front, queue threads. Arguments are a private copy of what the guest wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/log.h"
#include "front/cache.h"
#include "front/fuse.h"
#include "front/handles.h"
#include "front/nodes.h"

struct name {
	const char *s;
	size_t n;
};

/* One name and nothing behind it. */
static int
only_name(enum rpc_kind kind, const char *var, size_t varlen, struct name *out)
{
	int e = fuse_name(kind, &var, &varlen, &out->s, &out->n);

	return e != 0 ? e : varlen == 0 ? 0 : -EINVAL;
}

static void
entry_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_entry *w = (const void *)h;
	struct fuse_entry_out out;
	int e = h->error;

	(void)l;
	(void)fd;
	if (e == 0)
		e = entry_to_fuse(r, l, &out, &w->e);
	if (e != 0)
		reply_error(r, e);
	else
		reply_body(r, &out, sizeof(out));
}

int
fuse_lookup(struct request *r, const void *arg, const char *var, size_t varlen)
{
	struct rpc_node *w;
	struct name name;
	int e;

	(void)arg;
	if ((e = only_name(RPC_K_LOOKUP, var, varlen, &name)) != 0)
		return e;
	e = lanes_add(r, RPC_LOOKUP, entry_done, 0, NULL, 0, name.s, name.n, NULL, 0, &w);
	if (e == 0)
		w->node = r->in.nodeid;
	return e;
}

static void
readlink_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	(void)l;
	(void)fd;
	if (h->error != 0)
		reply_error(r, h->error);
	else
		reply_body(r, rpc_name1(RPC_REPLY, h), h->n1 - 1u);
}

int
fuse_readlink(struct request *r, const void *arg, const char *var, size_t varlen)
{
	struct rpc_node *w;
	int e;

	(void)arg;
	(void)var;
	(void)varlen;
	e = lanes_add(r, RPC_READLINK, readlink_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0)
		w->node = r->in.nodeid;
	return e;
}

/* What CREATE, MKDIR, MKNOD and SYMLINK have in common. Everything points into the private copy of the request. */
struct making {
	struct name name, target;
	const char *groups; /* ngroups of uint32_t, not aligned */
	uint32_t ngroups;
	struct name label, value; /* label.n 0: no security label */
	bool has_groups, has_labels; /* the extension was there */
};

/*
 * The supplementary groups extension: {size, type} {nr, gids...}, padded to 8 (spec/fuse.md, "Create extensions").
 */
static int
groups_extension(struct making *m, const char *p, size_t n)
{
	uint32_t nr;

	if (m->has_groups || n < sizeof(nr))
		return -EINVAL;
	memcpy(&nr, p, sizeof(nr));
	if (nr > RPC_GROUPS_ARENA_MAX ||
	    n != ROUND_UP(sizeof(nr) + (size_t)nr * sizeof(uint32_t), 8))
		return -EINVAL;
	m->groups = p + sizeof(nr);
	m->ngroups = nr;
	m->has_groups = true;
	return 0;
}

/*
 * The security context extension: {size, how many} and, for the one that there may be, {size of the value, pad}, its name
 * with NUL, its value; what follows up to the size is padding.
 */
static int
label_extension(struct making *m, uint32_t nr, const char *p, size_t n)
{
	uint32_t head[2];
	int e;

	if (m->has_labels || nr > 1)
		return -EINVAL;
	m->has_labels = true;
	if (nr == 0)
		return 0;
	if (n < sizeof(head))
		return -EINVAL;
	memcpy(head, p, sizeof(head));
	p += sizeof(head);
	n -= sizeof(head);
	if ((e = fuse_name(RPC_K_XATTR, &p, &n, &m->label.s, &m->label.n)) != 0)
		return e;
	if (head[0] == 0 || head[0] > n)
		return -EINVAL;
	if (head[0] > RPC_LABEL_MAX)
		return -E2BIG;
	m->value.s = p;
	m->value.n = head[0];
	return 0;
}

static int
extension(
    const struct session *s, struct making *m, const uint32_t head[2], const char *p, size_t n)
{
	if (head[1] == FUSE_EXTENSION_GROUPS && session_has(s, FUSE_CREATE_SUPP_GROUP))
		return groups_extension(m, p, n);
	if (head[1] < FUSE_EXTENSION_GROUPS && session_has(s, FUSE_SECURITY_CTX))
		return label_extension(m, head[1], p, n);
	return -EINVAL;
}

static int
extensions(const struct session *s, struct making *m, const char *p, size_t n)
{
	while (n > 0) {
		uint32_t head[2]; /* size, type */
		int e;

		if (n < sizeof(head))
			return -EINVAL;
		memcpy(head, p, sizeof(head));
		if (head[0] < sizeof(head) || head[0] > n)
			return -EINVAL;
		e = extension(s, m, head, p + sizeof(head), head[0] - sizeof(head));
		if (e != 0)
			return e;
		p += head[0];
		n -= head[0];
	}
	/* Who negotiated labels says with each request whether there is one. */
	return session_has(s, FUSE_SECURITY_CTX) && !m->has_labels ? -EINVAL : 0;
}

static int
making_decode(
    const struct request *r, struct making *m, bool with_target, const char *var, size_t varlen)
{
	int e;

	memset(m, 0, sizeof(*m));
	if ((e = fuse_name(RPC_K_COMP, &var, &varlen, &m->name.s, &m->name.n)) != 0)
		return e;
	if (with_target &&
	    (e = fuse_name(RPC_K_TARGET, &var, &varlen, &m->target.s, &m->target.n)) != 0)
		return e;
	return extensions(r->q->s, m, var, varlen);
}

static uint8_t *
put(uint8_t *p, const char *src, size_t n)
{
	if (n > 0)
		memcpy(p, src, n);
	return p + n;
}

/* The arena extent of a creation: the label, and groups that are too many for the message. */
static void
fill_extent(const struct request *r, const struct making *m, size_t ngroups)
{
	uint8_t *p = r->lane->arena + r->aoff;
	uint8_t *groups = p + RPC_CREATE_GROUPS_AT(m->label.n, m->value.n);

	p = put(p, m->label.s, m->label.n);
	p = put(p, m->value.s, m->value.n);
	memset(p, 0, (size_t)(groups - p));
	put(groups, m->groups, ngroups * sizeof(uint32_t));
}

static int
making_send(
    struct request *r, uint16_t op, lane_done done, const struct making *m, struct rpc_create **out)
{
	const struct session *s = r->q->s;
	uint32_t few[RPC_GROUPS_MAX] = { 0 }, nfew = m->ngroups <= RPC_GROUPS_MAX ? m->ngroups : 0;
	uint32_t many = m->ngroups - nfew, alen = 0;
	struct rpc_create *w;
	int e;

	if (nfew > 0)
		memcpy(few, m->groups, nfew * sizeof(few[0]));
	if (m->label.n > 0 || many > 0)
		alen = (uint32_t)(RPC_CREATE_GROUPS_AT(m->label.n, m->value.n) +
		    many * sizeof(uint32_t));
	e = lanes_add(
	    r, op, done, alen, few, nfew, m->name.s, m->name.n, m->target.s, m->target.n, &w);
	if (e != 0)
		return e;
	if (alen > 0)
		fill_extent(r, m, many);
	w->dir = r->in.nodeid;
	w->uid = r->in.uid;
	w->gid = r->in.gid;
	w->label_name = (uint32_t)m->label.n;
	w->label_size = (uint32_t)m->value.n;
	w->ngroups = many;
	if (session_has(s, FUSE_CREATE_SUPP_GROUP))
		w->oflags |= RPC_CREATE_GROUPS;
	if (session_has(s, FUSE_POSIX_ACL))
		w->oflags |= RPC_CREATE_ACL;
	*out = w;
	return 0;
}

/* Who negotiated it leaves masking to us; everybody else has done it, and says the mask all the same. */
static uint32_t
umask_of(const struct request *r, uint32_t umask)
{
	return session_has(r->q->s, FUSE_DONT_MASK) ? umask & 0777 : 0;
}

int
fuse_symlink(struct request *r, const void *arg, const char *var, size_t varlen)
{
	struct rpc_create *w;
	struct making m;
	int e;

	(void)arg;
	if ((e = making_decode(r, &m, true, var, varlen)) != 0)
		return e;
	return making_send(r, RPC_SYMLINK, entry_done, &m, &w);
}

int
fuse_mknod(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_mknod_in *in = arg;
	struct rpc_create *w;
	struct making m;
	int e;

	if ((e = making_decode(r, &m, false, var, varlen)) != 0 ||
	    (e = making_send(r, RPC_MKNOD, entry_done, &m, &w)) != 0)
		return e;
	w->mode = in->mode;
	w->rdev = in->rdev;
	w->umask = umask_of(r, in->umask);
	return 0;
}

int
fuse_mkdir(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_mkdir_in *in = arg;
	struct rpc_create *w;
	struct making m;
	int e;

	if ((e = making_decode(r, &m, false, var, varlen)) != 0 ||
	    (e = making_send(r, RPC_MKDIR, entry_done, &m, &w)) != 0)
		return e;
	w->mode = in->mode;
	w->umask = umask_of(r, in->umask);
	return 0;
}

static int
remove_name(struct request *r, uint16_t op, const char *var, size_t varlen)
{
	struct rpc_node *w;
	struct name name;
	int e;

	if ((e = only_name(RPC_K_COMP, var, varlen, &name)) != 0)
		return e;
	e = lanes_add(r, op, reply_done, 0, NULL, 0, name.s, name.n, NULL, 0, &w);
	if (e == 0)
		w->node = r->in.nodeid;
	return e;
}

int
fuse_unlink(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)arg;
	return remove_name(r, RPC_UNLINK, var, varlen);
}

int
fuse_rmdir(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)arg;
	return remove_name(r, RPC_RMDIR, var, varlen);
}

static int
rename_to(struct request *r, uint64_t newdir, uint32_t flags, const char *var, size_t varlen)
{
	struct name from, to;
	struct rpc_rename *w;
	int e;

	if ((e = fuse_name(RPC_K_COMP, &var, &varlen, &from.s, &from.n)) != 0 ||
	    (e = only_name(RPC_K_COMP, var, varlen, &to)) != 0)
		return e;
	if (!nodes_known(newdir))
		return -EBADF;
	e = lanes_add(r, RPC_RENAME, reply_done, 0, NULL, 0, from.s, from.n, to.s, to.n, &w);
	if (e == 0) {
		w->olddir = r->in.nodeid;
		w->newdir = newdir;
		w->flags = flags;
	}
	return e;
}

int
fuse_rename(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_rename_in *in = arg;

	return rename_to(r, in->newdir, 0, var, varlen);
}

int
fuse_rename2(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_rename2_in *in = arg;

	return rename_to(r, in->newdir, in->flags, var, varlen);
}

int
fuse_link(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_link_in *in = arg;
	struct rpc_link *w;
	struct name name;
	int e;

	if ((e = only_name(RPC_K_COMP, var, varlen, &name)) != 0)
		return e;
	if (!nodes_known(in->oldnodeid))
		return -EBADF;
	e = lanes_add(r, RPC_LINK, entry_done, 0, NULL, 0, name.s, name.n, NULL, 0, &w);
	if (e == 0) {
		w->node = in->oldnodeid;
		w->newdir = r->in.nodeid;
	}
	return e;
}

static void
create_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_created *w = (const void *)h;
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} out;
	int e = h->error;

	(void)l;
	if (e == 0)
		e = entry_to_fuse(r, l, &out.e, &w->e);
	if (e != 0) {
		/* The handle was never published: the caller's reference was its only one. */
		fd_close(&fd);
		reply_error(r, e);
		return;
	}
	memset(&out.o, 0, sizeof(out.o));
	out.o.fh = handle_open(
	    r, w->e.node, w->e.attr.mode, (w->e.flags & RPC_ENTRY_WRONLY) != 0, fd);
	out.o.open_flags = cache_open_flags(r->q->s, false);
	reply_body(r, &out, sizeof(out));
}

/* CREATE and TMPFILE. */
static int
create_send(struct request *r, uint16_t op, const struct fuse_create_in *in, const struct making *m)
{
	struct rpc_create *w;
	struct open_how how;
	int e;

	if ((e = handle_new(&r->h)) != 0)
		return e;
	open_how(r, in->flags, in->open_flags, &how);
	how.flags &= ~(uint32_t)O_DIRECTORY;
	r->h->flags = how.flags;
	r->marks = handles_setid_marks();
	if ((e = making_send(r, op, create_done, m, &w)) != 0)
		return e;
	w->fh = handle_fh(r->h);
	w->mode = in->mode;
	w->umask = umask_of(r, in->umask);
	w->flags = how.flags | (in->flags & O_EXCL);
	w->oflags |= how.oflags;
	return 0;
}

int
fuse_create(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_create_in *in = arg;
	struct making m;
	int e;

	if ((r->q->s->dev.flags & DEV_READONLY) != 0 && in->flags > INT32_MAX)
		return -EIO;
	e = making_decode(r, &m, false, var, varlen);
	return e != 0 ? e : create_send(r, RPC_CREATE, in, &m);
}

/*
 * Linux (>= 6.1) sends a CREATE whose name is "/".
 *
 * Not one without any permissions: overlayfs asks for such when it is mounted, to see if its upper layer can do this. It
 * would make its copies so, keep the dentry that has no name, and have FUSE look up that when the entry's time is over:
 * every file that it copied were stale a second later.
 */
int
fuse_tmpfile(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_create_in *in = arg;
	struct making m = { .has_groups = false };
	const char *name;
	size_t len;
	int e;

	if ((e = fuse_name(RPC_K_TARGET, &var, &varlen, &name, &len)) != 0 ||
	    (e = extensions(r->q->s, &m, var, varlen)) != 0)
		return e;
	return (in->mode & 07777) == 0 ? -EOPNOTSUPP : create_send(r, RPC_TMPFILE, in, &m);
}
