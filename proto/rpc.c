/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lane protocol's one checker and one builder, generated from RPC_OPS. Pure: no system call, no state, no
 * allocation. Runs in: front (replies written by a worker), worker (requests written by a front). Both may be hostile;
 * the bytes judged are a private copy that msg_recv() made.
 */
#include "proto/rpc.h"

#include <errno.h>
#include <string.h>

#define ROUND8(n) (((n) + (size_t)7) & ~(size_t)7)

static const struct rpc_op ops[RPC_OP_END] = {
#define X(NAME, nr, req, rep, k1, k2, xs, xm, rk, ar, fl) \
	[nr] = { #NAME, sizeof(struct rpc_##req), sizeof(struct rpc_##rep), k1, k2, xs, xm, rk, \
		ar, fl },
	RPC_OPS(X)
#undef X
};

const struct rpc_op *
rpc_op(uint16_t nr)
{
	return nr < RPC_OP_END && ops[nr].name != NULL ? &ops[nr] : NULL;
}

const char *
rpc_op_name(uint16_t nr)
{
	const struct rpc_op *op = rpc_op(nr);

	return op != NULL ? op->name : "?";
}

int
rpc_check_name(enum rpc_kind kind, const char *name, size_t n)
{
	size_t max = kind == RPC_K_TARGET ? RPC_TARGET_MAX
	    : kind == RPC_K_XATTR         ? RPC_XATTR_MAX
					  : RPC_NAME_MAX;

	if (kind == RPC_K_NONE)
		return n == 0 ? 0 : -EINVAL;
	if (n == 0)
		return -ENOENT;
	if (memchr(name, '\0', n) != NULL)
		return -EINVAL;
	if (n > max)
		return -ENAMETOOLONG;
	if (kind == RPC_K_COMP || kind == RPC_K_LOOKUP) {
		if (memchr(name, '/', n) != NULL)
			return -EINVAL;
		if (kind == RPC_K_COMP && name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.')))
			return -EINVAL;
	}
	return 0;
}

static size_t
fixed_size(enum rpc_dir dir, const struct rpc_hdr *h)
{
	if (dir == RPC_REQUEST)
		return ops[h->op].request;
	return h->error != 0 ? sizeof(struct rpc_hdr) : ops[h->op].reply;
}

/* A name as it stands in an element: n bytes with its NUL, or nothing. */
static bool
name_ok(enum rpc_kind kind, const char *name, size_t n)
{
	if (kind == RPC_K_NONE)
		return n == 0;
	return n >= 2 && name[n - 1] == '\0' && rpc_check_name(kind, name, n - 1) == 0;
}

static bool
variable_ok(enum rpc_dir dir, const struct rpc_op *op, const struct rpc_hdr *h, size_t fixed)
{
	const char *base = (const char *)h, *p;
	size_t used = fixed, xlen = 0;
	enum rpc_kind k1 = op->n1, k2 = op->n2;

	if (dir == RPC_REPLY) {
		k1 = h->error == 0 ? op->reply_name : RPC_K_NONE;
		k2 = RPC_K_NONE;
		if (h->nx != 0)
			return false;
	} else {
		if (h->nx > op->xmax)
			return false;
		xlen = ROUND8((size_t)h->nx * op->xsize);
	}
	if (ROUND8(used + xlen + h->n1 + h->n2) != h->len)
		return false;
	for (p = base + used + (size_t)h->nx * op->xsize; p < base + used + xlen; p++)
		if (*p != '\0')
			return false;
	if (!name_ok(k1, p, h->n1) || !name_ok(k2, p + h->n1, h->n2))
		return false;
	for (p += h->n1 + h->n2; p < base + h->len; p++)
		if (*p != '\0')
			return false;
	return true;
}

static bool
arena_ok(enum rpc_dir dir, const struct rpc_op *op, const struct rpc_hdr *h)
{
	if (h->alen == 0)
		return h->aoff == 0;
	if (dir == RPC_REPLY || op->arena == RPC_A_NONE)
		return false;
	return h->alen <= RPC_ARENA_SIZE && h->aoff <= RPC_ARENA_SIZE - h->alen;
}

static bool
element_ok(enum rpc_dir dir, const struct rpc_hdr *h, size_t left)
{
	const struct rpc_op *op;
	size_t fixed;

	if (left < sizeof(*h) || h->len < sizeof(*h) || h->len > left || h->len % RPC_ALIGN != 0)
		return false;
	op = rpc_op(h->op);
	if (op == NULL || h->pad0 != 0 || h->pad1 != 0)
		return false;
	if (dir == RPC_REQUEST) {
		if (h->error != 0 || (h->flags & ~RPC_F_REPLAY) != 0)
			return false;
	} else {
		if (h->error > 0 || h->error < -4095 || (h->flags & ~RPC_F_FD) != 0)
			return false;
		if ((h->flags & RPC_F_FD) != 0 && (h->error != 0 || (op->flags & RPC_OP_FD) == 0))
			return false;
	}
	fixed = fixed_size(dir, h);
	if (h->len < fixed)
		return false;
	return variable_ok(dir, op, h, fixed) && arena_ok(dir, op, h);
}

int
rpc_check(enum rpc_dir dir, const void *msg, size_t n, size_t nfds)
{
	const struct rpc_batch *b = msg;
	const char *p = msg;
	size_t at = sizeof(*b), fds = 0;

	if (n < sizeof(*b) || n > RPC_MSG_MAX || b->len != n || b->count == 0 ||
	    b->count > RPC_BATCH_MAX)
		return -EPROTO;
	for (unsigned i = 0; i < b->count; i++) {
		const struct rpc_hdr *h = (const void *)(p + at);

		if (!element_ok(dir, h, n - at))
			return -EPROTO;
		fds += dir == RPC_REPLY && (h->flags & RPC_F_FD) != 0;
		at += h->len;
	}
	return at == n && (fds == nfds || nfds == RPC_FDS_LOST) ? 0 : -EPROTO;
}

struct rpc_hdr *
rpc_first(void *msg)
{
	return (void *)((char *)msg + sizeof(struct rpc_batch));
}

struct rpc_hdr *
rpc_next(void *msg, struct rpc_hdr *h)
{
	const struct rpc_batch *b = msg;
	char *next = (char *)h + h->len;

	return next < (char *)msg + b->len ? (void *)next : NULL;
}

const void *
rpc_x(enum rpc_dir dir, const struct rpc_hdr *h)
{
	return (const char *)h + fixed_size(dir, h);
}

const char *
rpc_name1(enum rpc_dir dir, const struct rpc_hdr *h)
{
	size_t x = dir == RPC_REQUEST ? ROUND8((size_t)h->nx * ops[h->op].xsize) : 0;

	return (const char *)h + fixed_size(dir, h) + x;
}

const char *
rpc_name2(enum rpc_dir dir, const struct rpc_hdr *h)
{
	return rpc_name1(dir, h) + h->n1;
}

void
rpc_begin(struct rpc_builder *b, void *buf)
{
	b->buf = buf;
	b->len = sizeof(struct rpc_batch);
	b->count = 0;
}

static char *
put(char *p, const void *src, size_t n)
{
	if (n > 0)
		memcpy(p, src, n);
	return p + n;
}

void *
rpc_add(struct rpc_builder *b, enum rpc_dir dir, uint16_t nr, uint64_t tag, const void *x,
    size_t nx, const char *name1, size_t len1, const char *name2, size_t len2)
{
	const struct rpc_op *op = rpc_op(nr);
	size_t fixed, xlen, n1, n2, total;
	struct rpc_hdr *h;
	char *p;

	if (op == NULL || nx > op->xmax || len1 > RPC_TARGET_MAX || len2 > RPC_TARGET_MAX)
		return NULL;
	fixed = dir == RPC_REQUEST ? op->request : op->reply;
	xlen = ROUND8(nx * op->xsize);
	n1 = name1 != NULL ? len1 + 1 : 0;
	n2 = name2 != NULL ? len2 + 1 : 0;
	total = ROUND8(fixed + xlen + n1 + n2);
	if (b->count == RPC_BATCH_MAX || total > RPC_MSG_MAX - b->len)
		return NULL;

	h = (void *)((char *)b->buf + b->len);
	memset(h, 0, fixed);
	h->len = (uint32_t)total;
	h->op = nr;
	h->tag = tag;
	h->n1 = (uint16_t)n1;
	h->n2 = (uint16_t)n2;
	h->nx = (uint16_t)nx;
	p = put((char *)h + fixed, x, nx * op->xsize);
	memset(p, 0, xlen - nx * op->xsize);
	p = (char *)h + fixed + xlen;
	if (n1 > 0) {
		p = put(p, name1, len1);
		*p++ = '\0';
	}
	if (n2 > 0) {
		p = put(p, name2, len2);
		*p++ = '\0';
	}
	memset(p, 0, (size_t)((char *)h + total - p));
	b->len += (uint32_t)total;
	b->count++;
	return h;
}

void *
rpc_add_error(struct rpc_builder *b, uint16_t nr, uint64_t tag, int error)
{
	struct rpc_hdr *h;

	if (b->count == RPC_BATCH_MAX || sizeof(*h) > RPC_MSG_MAX - b->len)
		return NULL;
	h = (void *)((char *)b->buf + b->len);
	memset(h, 0, sizeof(*h));
	h->len = sizeof(*h);
	h->op = nr;
	h->tag = tag;
	h->error = error;
	b->len += h->len;
	b->count++;
	return h;
}

void
rpc_undo(struct rpc_builder *b, struct rpc_hdr *h)
{
	b->len = (uint32_t)((char *)h - (char *)b->buf);
	b->count--;
}

size_t
rpc_finish(struct rpc_builder *b)
{
	struct rpc_batch *head = b->buf;

	if (b->count == 0)
		return 0;
	head->len = b->len;
	head->count = b->count;
	head->cpu = 0;
	return b->len;
}
