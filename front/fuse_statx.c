/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STATX (Linux >= 6.6): GETATTR with the time of birth. All basic attributes are always answered, whatever the guest's
 * mask says, because Linux keeps them only if they are complete. Runs in: front, queue threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "front/cache.h"
#include "front/fuse.h"
#include "front/fuse_abi.h"
#include "front/handles.h"

#define SYNC_FLAGS ((uint32_t)(AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC))
/* Of the inode; nothing of how the host has mounted it. */
#define ATTRIBUTES \
	(STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP | \
	    STATX_ATTR_ENCRYPTED | STATX_ATTR_VERITY | STATX_ATTR_DAX)

static void
reply_statx(struct request *r, const struct abi_statx *st)
{
	struct abi_statx_out out = { .attr_valid = cache_timeout(r->q->s), .stat = *st };

	reply_body(r, &out, sizeof(out));
}

static void
statx_done(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	const struct rpc_statx_reply *w = (const void *)h;
	const struct rpc_attr *a = &w->attr;
	struct abi_statx st;

	(void)l;
	(void)fd;
	if (h->error != 0) {
		reply_error(r, h->error);
		return;
	}
	note_setid(r, a->mode);
	memset(&st, 0, sizeof(st));
	st.mask = w->mask;
	st.attributes = w->attributes;
	st.attributes_mask = w->attributes_mask;
	st.blksize = a->blksize;
	st.nlink = a->nlink;
	st.uid = a->uid;
	st.gid = a->gid;
	st.mode = (uint16_t)a->mode;
	st.ino = a->ino;
	st.size = a->size;
	st.blocks = a->blocks;
	st.atime = (struct abi_time){ .sec = a->atime, .nsec = a->atimensec };
	st.mtime = (struct abi_time){ .sec = a->mtime, .nsec = a->mtimensec };
	st.ctime = (struct abi_time){ .sec = a->ctime, .nsec = a->ctimensec };
	st.btime = (struct abi_time){ .sec = w->btime, .nsec = w->btimensec };
	st.rdev_major = gnu_dev_major(a->rdev);
	st.rdev_minor = gnu_dev_minor(a->rdev);
	reply_statx(r, &st);
}

static struct abi_time
stamp(const struct statx_timestamp *t)
{
	return (struct abi_time){ .sec = t->tv_sec, .nsec = t->tv_nsec };
}

static int
statx_lane(struct request *r)
{
	struct rpc_statx *w;
	int e;

	e = lanes_add(r, RPC_STATX, statx_done, 0, NULL, 0, NULL, 0, NULL, 0, &w);
	if (e == 0) {
		w->f = r->h != NULL ? file_of(r->h, false)
				    : (struct rpc_file){ .node = r->in.nodeid };
		w->sync = r->ioflags;
	}
	return e;
}

/* As GETATTR: a donated file needs nobody's privileges. */
static void
statx_here(struct request *r)
{
	const int flags = AT_EMPTY_PATH | (int)r->ioflags;
	struct abi_statx st;
	struct statx x;

	if (statx(r->h->fd, "", flags, STATX_BASIC_STATS | STATX_BTIME, &x) == -1) {
		if (is_refused(-errno))
			leave_to_worker(r, statx_lane);
		else
			reply_error(r, -errno);
		return;
	}
	note_setid(r, x.stx_mode);
	memset(&st, 0, sizeof(st));
	st.mask = x.stx_mask & (STATX_BASIC_STATS | STATX_BTIME);
	st.attributes = x.stx_attributes & ATTRIBUTES;
	st.attributes_mask = x.stx_attributes_mask & ATTRIBUTES;
	st.blksize = x.stx_blksize;
	st.nlink = x.stx_nlink;
	st.uid = x.stx_uid;
	st.gid = x.stx_gid;
	st.mode = x.stx_mode;
	st.ino = x.stx_ino;
	st.size = x.stx_size;
	st.blocks = x.stx_blocks;
	st.atime = stamp(&x.stx_atime);
	st.mtime = stamp(&x.stx_mtime);
	st.ctime = stamp(&x.stx_ctime);
	if ((st.mask & STATX_BTIME) != 0)
		st.btime = stamp(&x.stx_btime);
	reply_statx(r, &st);
}

int
fuse_statx(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct abi_statx_in *in = arg;

	(void)var;
	(void)varlen;
	r->ioflags = in->flags & SYNC_FLAGS;
	if (r->ioflags == SYNC_FLAGS)
		return -EINVAL;
	if ((in->getattr_flags & FUSE_GETATTR_FH) != 0) {
		/* As GETATTR: a wrong one is no error. */
		r->h = handle_get(in->fh, r->in.nodeid);
		if (r->h != NULL && r->h->fd >= 0 && (r->q->s->dev.flags & DEV_TRANSLATE) == 0) {
			ask_file(r, statx_here);
			return 0;
		}
	}
	return statx_lane(r);
}
