/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * READDIR and READDIRPLUS. The worker writes records into the arena whose sizes are those of FUSE's; they are copied
 * once into private memory and checked (lies.c), translated in place and copied to the guest.
 * Runs in: front, queue threads. Records written by: the worker, which may be hostile.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "front/fuse.h"
#include "front/handles.h"

#define DIRENT_SIZE(namelen) ROUND_UP(sizeof(struct rpc_dirent) + (namelen), 8)

static_assert(sizeof(struct rpc_dirent) == FUSE_NAME_OFFSET &&
	offsetof(struct fuse_dirent, off) == offsetof(struct rpc_dirent, off) &&
	offsetof(struct fuse_dirent, namelen) == offsetof(struct rpc_dirent, namelen) &&
	offsetof(struct fuse_dirent, type) == offsetof(struct rpc_dirent, type),
    "a dirent needs no translation");
static_assert(sizeof(struct fuse_entry_out) == sizeof(struct rpc_direntplus),
    "a plus entry is translated in place");

static void
translate_plus(struct request *r, const struct lane *l, uint8_t *p)
{
	struct rpc_direntplus w;
	struct fuse_entry_out out;

	memcpy(&w, p, sizeof(w));
	memset(&out, 0, sizeof(out));
	if (w.e.node == 0 || entry_to_fuse(r, l, &out, &w.e) != 0) {
		/* Not looked up: the guest takes only name, number and type from it. */
		memset(&out, 0, sizeof(out));
		out.attr.ino = w.e.attr.ino;
		out.attr.mode = w.e.attr.mode;
	}
	memcpy(p, &out, sizeof(out));
}

static void
readdir_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_count *w = (const void *)h;
	uint8_t *buf = r->q->bulk;
	bool plus = h->op == RPC_READDIRPLUS;
	size_t n, at = 0;

	(void)fd;
	if (h->error != 0) {
		reply_error(r, h->error);
		return;
	}
	n = (size_t)w->count;
	while (plus && at < n) {
		struct rpc_dirent d;

		translate_plus(r, l, buf + at);
		memcpy(&d, buf + at + sizeof(struct rpc_direntplus), sizeof(d));
		at += sizeof(struct rpc_direntplus) + DIRENT_SIZE(d.namelen);
	}
	reply_body(r, buf, n);
}

static int
list(struct request *r, uint16_t op, const struct fuse_read_in *in)
{
	struct rpc_io *w;
	int e;

	r->h = handle_get(in->fh, r->in.nodeid);
	if (r->h == NULL)
		return -EBADF;
	if (!r->h->dir)
		return -ENOTDIR;
	if (in->size > MAX_WRITE || reply_room(r) < in->size)
		return -ENOMEM;
	if (in->size == 0) {
		reply_error(r, 0);
		return 0;
	}
	r->size = in->size;
	e = lanes_add(r, op, readdir_done, in->size, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->f = file_of(r->h, false);
		w->offset = in->offset;
		w->size = in->size;
	}
	return e;
}

int
fuse_readdir(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return list(r, RPC_READDIR, arg);
}

int
fuse_readdirplus(struct request *r, const void *arg, const char *var, size_t varlen)
{
	(void)var;
	(void)varlen;
	return list(r, RPC_READDIRPLUS, arg);
}
