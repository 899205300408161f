/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding: a chain's request is copied once into private memory (WRITE: its header and fixed part), checked against
 * one table, then handed to its operation. What is malformed is answered EINVAL where there is room for an answer.
 * Runs in: front, queue threads. Bytes written by: the guest, hostile.
 */
#include "front/fuse.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "front/fuse_abi.h"
#include "front/nodes.h"

#define IN_HEADER sizeof(struct fuse_in_header)
#define OUT_HEADER sizeof(struct fuse_out_header)

/* What dispatch checks before the operation runs. */
#define F_NODE 0x1 /* nodeid must be known */
#define F_NOREPLY 0x2 /* never answered */
#define F_NOINIT 0x4 /* allowed before INIT */
#define F_XATTR 0x8 /* ENOSYS unless --xattr */
#define F_DATA 0x10 /* data follows the fixed part and stays in guest memory */
#define F_CHANGES 0x20 /* EROFS with --readonly */
#define F_LOCKS 0x40 /* ENOSYS unless locks of some kind are the host's */

struct fuse_op {
	const char *name;
	fuse_fn fn;
	uint16_t fixed; /* bytes after the header */
	uint16_t body; /* bytes a successful reply has at least */
	uint32_t flags;
};

/* clang-format off */
#define OP_ROW(index, nr, func, in, out, f) \
	[index] = { .name = #nr, .fn = func, .fixed = in, .body = out, .flags = f }
#define OP(nr, ...)	OP_ROW(FUSE_##nr, nr, __VA_ARGS__)
#define OP_NEW(nr, ...)	OP_ROW(ABI_##nr, nr, __VA_ARGS__)
#define ENTRY	sizeof(struct fuse_entry_out)

static const struct fuse_op ops[] = {
	OP(LOOKUP, fuse_lookup, 0, ENTRY, F_NODE),
	OP(FORGET, fuse_forget, 8, 0, F_NOREPLY),
	OP(GETATTR, fuse_getattr, 16, sizeof(struct fuse_attr_out), F_NODE),
	OP(SETATTR, fuse_setattr, sizeof(struct fuse_setattr_in), sizeof(struct fuse_attr_out), F_NODE | F_CHANGES),
	OP(READLINK, fuse_readlink, 0, 0, F_NODE),
	OP(SYMLINK, fuse_symlink, 0, ENTRY, F_NODE | F_CHANGES),
	OP(MKNOD, fuse_mknod, sizeof(struct fuse_mknod_in), ENTRY, F_NODE | F_CHANGES),
	OP(MKDIR, fuse_mkdir, sizeof(struct fuse_mkdir_in), ENTRY, F_NODE | F_CHANGES),
	OP(UNLINK, fuse_unlink, 0, 0, F_NODE | F_CHANGES),
	OP(RMDIR, fuse_rmdir, 0, 0, F_NODE | F_CHANGES),
	OP(RENAME, fuse_rename, sizeof(struct fuse_rename_in), 0, F_NODE | F_CHANGES),
	OP(LINK, fuse_link, sizeof(struct fuse_link_in), ENTRY, F_NODE | F_CHANGES),
	OP(OPEN, fuse_open, sizeof(struct fuse_open_in), sizeof(struct fuse_open_out), F_NODE),
	OP(READ, fuse_read, sizeof(struct fuse_read_in), 0, 0),
	OP(WRITE, fuse_write, sizeof(struct fuse_write_in), sizeof(struct fuse_write_out), F_DATA | F_CHANGES),
	OP(STATFS, fuse_statfs, 0, sizeof(struct fuse_statfs_out), F_NODE),
	OP(RELEASE, fuse_release, sizeof(struct fuse_release_in), 0, 0),
	OP(FSYNC, fuse_fsync, sizeof(struct fuse_fsync_in), 0, 0),
	OP(SETXATTR, fuse_setxattr, 8, 0, F_NODE | F_XATTR | F_CHANGES),
	OP(GETXATTR, fuse_getxattr, sizeof(struct fuse_getxattr_in), 0, F_NODE | F_XATTR),
	OP(LISTXATTR, fuse_listxattr, sizeof(struct fuse_getxattr_in), 0, F_NODE | F_XATTR),
	OP(REMOVEXATTR, fuse_removexattr, 0, 0, F_NODE | F_XATTR | F_CHANGES),
	OP(FLUSH, fuse_flush, sizeof(struct fuse_flush_in), 0, 0),
	OP(INIT, fuse_init, 16, sizeof(struct fuse_init_out), F_NOINIT),
	OP(OPENDIR, fuse_opendir, sizeof(struct fuse_open_in), sizeof(struct fuse_open_out), F_NODE),
	OP(READDIR, fuse_readdir, sizeof(struct fuse_read_in), 0, 0),
	OP(RELEASEDIR, fuse_releasedir, sizeof(struct fuse_release_in), 0, 0),
	OP(FSYNCDIR, fuse_fsyncdir, sizeof(struct fuse_fsync_in), 0, 0),
	OP(ACCESS, fuse_access, sizeof(struct fuse_access_in), 0, F_NODE),
	OP(CREATE, fuse_create, sizeof(struct fuse_create_in), ENTRY + sizeof(struct fuse_open_out), F_NODE),
	OP(INTERRUPT, fuse_interrupt, 0, 0, F_NOREPLY),
	OP(DESTROY, fuse_destroy, 0, 0, F_NOREPLY | F_NOINIT),
	OP(BATCH_FORGET, fuse_batch_forget, sizeof(struct fuse_batch_forget_in), 0, F_NOREPLY),
	OP(FALLOCATE, fuse_fallocate, sizeof(struct fuse_fallocate_in), 0, F_CHANGES),
	OP(READDIRPLUS, fuse_readdirplus, sizeof(struct fuse_read_in), 0, 0),
	OP(RENAME2, fuse_rename2, sizeof(struct fuse_rename2_in), 0, F_NODE | F_CHANGES),
	OP(LSEEK, fuse_lseek, sizeof(struct fuse_lseek_in), sizeof(struct fuse_lseek_out), 0),
	OP(COPY_FILE_RANGE, fuse_copy_file_range, sizeof(struct fuse_copy_file_range_in), sizeof(struct fuse_write_out),
	    F_CHANGES),
	OP(SYNCFS, fuse_syncfs, 0, 0, F_NODE),
	OP(GETLK, fuse_getlk, sizeof(struct fuse_lk_in), sizeof(struct fuse_lk_out), F_NODE | F_LOCKS),
	OP(SETLK, fuse_setlk, sizeof(struct fuse_lk_in), 0, F_NODE | F_LOCKS),
	OP(SETLKW, fuse_setlkw, sizeof(struct fuse_lk_in), 0, F_NODE | F_LOCKS),
	OP(TMPFILE, fuse_tmpfile, sizeof(struct fuse_create_in), ENTRY + sizeof(struct fuse_open_out), F_NODE | F_CHANGES),
	OP(IOCTL, fuse_ioctl, sizeof(struct fuse_ioctl_in), 0, F_NODE),
	OP_NEW(STATX, fuse_statx, sizeof(struct abi_statx_in), sizeof(struct abi_statx_out), F_NODE),
	OP_NEW(COPY_FILE_RANGE_64, fuse_copy_file_range, sizeof(struct fuse_copy_file_range_in), sizeof(struct abi_copy_out), F_CHANGES),
};
/* clang-format on */

static const struct fuse_op *
find_op(uint32_t opcode)
{
	return opcode < countof(ops) && ops[opcode].fn != NULL ? &ops[opcode] : NULL;
}

/* Copy the first len bytes of the readable segments; false if there are fewer. */
static bool
copy_in(const struct vring_chain *c, void *dst, size_t len)
{
	char *p = dst;

	for (unsigned i = 0; i < c->nread && len > 0; i++) {
		size_t n = MIN(c->iov[i].iov_len, len);

		memcpy(p, c->iov[i].iov_base, n);
		p += n;
		len -= n;
	}
	return len == 0;
}

int
fuse_name(enum rpc_kind kind, const char **var, size_t *varlen, const char **name, size_t *len)
{
	const char *end = memchr(*var, '\0', *varlen);

	if (end == NULL)
		return -EINVAL;
	*name = *var;
	*len = (size_t)(end - *var);
	*varlen -= *len + 1;
	*var = end + 1;
	return rpc_check_name(kind, *name, *len);
}

/* Header and sizes. On success *op is the operation and inbuf holds the request. */
static int
decode(struct queue *q, struct request *r, const struct fuse_op **op)
{
	const struct vring_chain *c = &r->chain;
	size_t want;

	memset(&r->in, 0, sizeof(r->in));
	if (c->read_len < IN_HEADER || !copy_in(c, &r->in, IN_HEADER))
		return -EINVAL;
	*op = find_op(r->in.opcode);
	if (c->bad) {
		static struct log_limit limit;

		if (log_limit(&limit))
			log_warn("queue %u: malformed descriptor chain (opcode %u)", q->index,
			    r->in.opcode);
		return -EFAULT;
	}
	if (r->in.len > REQUEST_MAX)
		return -ENOMEM;
	if (*op == NULL)
		return -ENOSYS;
	if (!atomic_load(&q->s->inited) && ((*op)->flags & F_NOINIT) == 0)
		return -EBADF;
	/* Also for what is not served at all, and whatever it is about (spec/fuse.md section 7). */
	if (((*op)->flags & F_CHANGES) != 0 && (q->s->dev.flags & DEV_READONLY) != 0)
		return -EROFS;
	if (((*op)->flags & F_XATTR) != 0 && (q->s->dev.flags & DEV_XATTR) == 0)
		return -ENOSYS;
	if (((*op)->flags & F_LOCKS) != 0 &&
	    !session_has(q->s, FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS))
		return -ENOSYS;
	if (r->in.len < IN_HEADER + (*op)->fixed || c->read_len < r->in.len)
		return -EINVAL;
	want = ((*op)->flags & F_DATA) != 0 ? IN_HEADER + (*op)->fixed : r->in.len;
	if (!copy_in(c, q->inbuf, want))
		return -EINVAL;
	/* The guest may have rewritten the header meanwhile: the one that was judged counts. */
	memcpy(q->inbuf, &r->in, IN_HEADER);
	if (c->write_len < OUT_HEADER + (*op)->body && ((*op)->flags & F_NOREPLY) == 0)
		return -EIO;
	if (((*op)->flags & F_NODE) != 0 && !nodes_known(r->in.nodeid))
		return -EBADF;
	return 0;
}

void
fuse_dispatch(struct queue *q, struct request *r)
{
	const struct fuse_op *op = NULL;
	const uint8_t *arg = q->inbuf + IN_HEADER;
	int e;

	r->wipes = atomic_load(&q->s->wipes);
	e = decode(q, r, &op);
	if (log_enabled(LOG_DEBUG))
		log_debug("queue %u: %s (%u): inode %llu unique %llu pid %u", q->index,
		    op != NULL ? op->name : "?", r->in.opcode, (unsigned long long)r->in.nodeid,
		    (unsigned long long)r->in.unique, r->in.pid);
	if (e == 0)
		e = op->fn(r, arg, (const char *)arg + op->fixed,
		    (op->flags & F_DATA) != 0 ? 0 : r->in.len - IN_HEADER - op->fixed);
	if (e == 0)
		return;
	if (op != NULL && (op->flags & F_NOREPLY) != 0 && e != -ENOMEM)
		reply_none(r);
	else
		reply_error(r, e);
}
