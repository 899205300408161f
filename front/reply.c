/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replies: out header and body into the guest's writable segments, used.len equal to out_header.len to the byte. Guest
 * memory is written here, never read. Runs in: front, queue threads and I/O pool.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "front/cache.h"
#include "front/fuse.h"
#include "front/handles.h"
#include "front/nodes.h"

#define OUT_HEADER sizeof(struct fuse_out_header)

/* A buffer comes to one thread after another by way of the guest, where ThreadSanitizer cannot see it. */
#ifdef __SANITIZE_THREAD__
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#else
#define AnnotateIgnoreWritesBegin(file, line) ((void)0)
#define AnnotateIgnoreWritesEnd(file, line) ((void)0)
#endif

static size_t
copy_out(const struct request *r, size_t off, const void *src, size_t len)
{
	const struct iovec *v = r->chain.iov + r->chain.nread;
	size_t done = 0;

	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
	for (unsigned i = 0; i < r->chain.nwrite && done < len; i++) {
		size_t n;

		if (off >= v[i].iov_len) {
			off -= v[i].iov_len;
			continue;
		}
		n = MIN(v[i].iov_len - off, len - done);
		memcpy((char *)v[i].iov_base + off, (const char *)src + done, n);
		done += n;
		off = 0;
	}
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	return done;
}

size_t
reply_room(const struct request *r)
{
	return r->chain.write_len > OUT_HEADER ? (size_t)r->chain.write_len - OUT_HEADER : 0;
}

size_t
reply_copy(struct request *r, size_t off, const void *src, size_t len)
{
	return copy_out(r, OUT_HEADER + off, src, len);
}

static void
finish(struct request *r, uint32_t len)
{
	if (r->h != NULL)
		handle_drop(r->h);
	if (r->h2 != NULL)
		handle_drop(r->h2);
	r->h = r->h2 = NULL;
	request_finish(r, len);
}

static void
send_header(struct request *r, int error, size_t body)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(OUT_HEADER + body), .error = error, .unique = r->in.unique
	};

	if (log_enabled(LOG_DEBUG))
		log_debug("reply: unique %llu: %s%zu", (unsigned long long)r->in.unique,
		    error != 0 ? strerrorname_np(-error) : "", body);
	if (copy_out(r, 0, &out, OUT_HEADER) != OUT_HEADER) {
		/* Not even an error fits: the chain goes back empty. */
		finish(r, 0);
		return;
	}
	finish(r, out.len);
}

void
reply_error(struct request *r, int error)
{
	/* A worker without privileges may not even open the file again: that says nothing about the space. */
	if (r->no_space != 0 && is_refused(error))
		error = r->no_space;
	/* The worker may say any number; the guest's kernel knows only real ones. */
	if (error != 0 && strerrorname_np(-error) == NULL)
		error = -EIO;
	send_header(r, error, 0);
}

void
reply_body(struct request *r, const void *body, size_t len)
{
	if (reply_copy(r, 0, body, len) != len)
		send_header(r, -EIO, 0);
	else
		send_header(r, 0, len);
}

void
reply_in_place(struct request *r, size_t len)
{
	send_header(r, 0, len);
}

void
reply_none(struct request *r)
{
	finish(r, 0);
}

void
reply_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	(void)l;
	(void)fd;
	reply_error(r, h->error);
}

void
attr_to_fuse(struct fuse_attr *a, const struct rpc_attr *w)
{
	memset(a, 0, sizeof(*a));
	a->ino = w->ino;
	a->size = w->size;
	a->blocks = w->blocks;
	/* Signed on the host, unsigned words in FUSE: the bits stay (traps.md P6). */
	a->atime = (uint64_t)w->atime;
	a->mtime = (uint64_t)w->mtime;
	a->ctime = (uint64_t)w->ctime;
	a->atimensec = w->atimensec;
	a->mtimensec = w->mtimensec;
	a->ctimensec = w->ctimensec;
	a->mode = w->mode;
	a->nlink = w->nlink;
	a->uid = w->uid;
	a->gid = w->gid;
	a->rdev = w->rdev;
	a->blksize = w->blksize;
}

int
entry_to_fuse(struct request *r, const struct lane *l, struct fuse_entry_out *out,
    const struct rpc_entry_body *e)
{
	struct rpc_forget1 f = { .node = e->node, .named = 1, .incarnation = l->incarnation };
	int ret;

	ret = nodes_named(e->node, l->incarnation);
	if (ret != 0) {
		forgets_add(r->q, &f);
		return ret;
	}
	/* Nobody who was forgotten meanwhile will forget it. */
	if (atomic_load(&r->q->s->wipes) != r->wipes) {
		if (nodes_forget(e->node, 1, &f))
			forgets_add(r->q, &f);
		return -EIO;
	}
	memset(out, 0, sizeof(*out));
	out->nodeid = e->node;
	out->entry_valid = out->attr_valid = cache_timeout(r->q->s);
	attr_to_fuse(&out->attr, &e->attr);
	if ((e->flags & RPC_ENTRY_SUBMOUNT) != 0 && session_has(r->q->s, FUSE_SUBMOUNTS))
		out->attr.flags |= FUSE_ATTR_SUBMOUNT;
	return 0;
}
