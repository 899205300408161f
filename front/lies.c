/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a reply of the worker must not say although its form is right, judged before anything follows from it: a reply
 * that lies leaves its request unanswered, and the worker is replaced. Runs in: front, the queue's thread. Replies are
 * private memory; the arena is not: listings are copied once, judged, and used as that copy.
 */
#include <string.h>

#include "front/fuse.h"

#define DIRENT_SIZE(namelen) ROUND_UP(sizeof(struct rpc_dirent) + (namelen), 8)

/* Ids of workers to come would mean another inode then. 0: no inode, where that is allowed. */
static bool
is_node(const struct lane *l, uint64_t node)
{
	return node < NODE_FIRST((uint64_t)l->incarnation + 1);
}

/* The dirent at p, of which n bytes are there. Returns its size, or 0 for one that cannot be. */
static size_t
dirent_size(const uint8_t *p, size_t n)
{
	struct rpc_dirent d;

	if (n < sizeof(d))
		return 0;
	memcpy(&d, p, sizeof(d));
	if (d.namelen == 0 || d.namelen > RPC_NAME_MAX || DIRENT_SIZE(d.namelen) > n ||
	    memchr(p + sizeof(d), '/', d.namelen) != NULL ||
	    memchr(p + sizeof(d), '\0', d.namelen) != NULL)
		return 0;
	return DIRENT_SIZE(d.namelen);
}

static size_t
direntplus_size(const struct lane *l, const uint8_t *p, size_t n)
{
	struct rpc_direntplus d;
	size_t entry;

	if (n < sizeof(d))
		return 0;
	memcpy(&d, p, sizeof(d));
	entry = dirent_size(p + sizeof(d), n - sizeof(d));
	return entry == 0 || !is_node(l, d.e.node) ? 0 : sizeof(d) + entry;
}

/* Copies the listing of n bytes, for which there is room. */
static const char *
judge_listing(const struct request *r, const struct lane *l, size_t n)
{
	uint8_t *buf = r->q->bulk;
	size_t at, size;

	memcpy(buf, l->arena + r->aoff, n);
	for (at = 0; at < n; at += size) {
		size = r->op == RPC_READDIRPLUS ? direntplus_size(l, buf + at, n - at)
						: dirent_size(buf + at, n - at);
		if (size == 0)
			return "a directory entry that cannot be";
	}
	return NULL;
}

const char *
reply_lie(const struct request *r, const struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_entry *entry = (const void *)h;
	const struct rpc_count *count = (const void *)h;

	if (h->error != 0)
		return NULL;
	switch (r->op) {
	case RPC_LOOKUP:
	case RPC_SYMLINK:
	case RPC_MKNOD:
	case RPC_MKDIR:
	case RPC_LINK:
	case RPC_CREATE:
	case RPC_TMPFILE:
		if (entry->e.node == 0 || !is_node(l, entry->e.node))
			return "an entry without an inode";
		return NULL;
	case RPC_READ:
	case RPC_WRITE:
	case RPC_READDIR:
	case RPC_READDIRPLUS:
	case RPC_GETXATTR:
	case RPC_LISTXATTR:
		/* Without an extent it is the size of a value that was asked for. */
		if (r->alen > 0 && count->count > r->alen)
			return "more data than there is room for";
		return r->op == RPC_READDIR || r->op == RPC_READDIRPLUS
		    ? judge_listing(r, l, (size_t)count->count)
		    : NULL;
	case RPC_COPY:
		return count->count > r->arg.copy.len ? "more data copied than was asked for"
						      : NULL;
	default:
		return NULL;
	}
}

static_assert(offsetof(struct rpc_entry, e) == offsetof(struct rpc_created, e),
    "a CREATE is judged like the others");
