/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Directories: OPENDIR, READDIR, READDIRPLUS. A directory is read in pieces small enough that everything the kernel gave
 * fits into the reply, so that hardly anything is read twice. Position and reading are one step under the handle's lock.
 * Runs in: worker, lane threads. Requests written by: front; entries by: the host kernel.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "worker/handle.h"
#include "worker/ops.h"
#include "worker/resolve.h"
#include "worker/vaultc.h"

/* The kernel's largest entry. */
#define DIRENT64_MAX ((uint32_t)ROUND_UP(offsetof(struct dirent64, d_name) + PATH_MAX, 8))

/* A listing under construction. */
struct listing {
	struct lane *lane;
	struct inode *dir; /* PLUS: the directory's inode, else NULL */
	int fd;
	char *out; /* arena */
	uint32_t size, used;
	uint64_t last; /* d_off of the last entry written */
	bool guess_new; /* PLUS: the last look-up met an unknown inode */
};

int
op_OPENDIR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_open *q = (const void *)h;
	struct rpc_opened *reply;
	struct inode *in;
	uint32_t flags;
	mode_t mode = 0;
	int fd, r;

	r = resolve_node(q->node, &in);
	if (r != 0)
		return r;
	flags = (q->flags & ~(uint32_t)(O_TRUNC | O_DIRECT)) | O_DIRECTORY;
	fd = ops_open_mode(in, &flags, 0, RPC_NO_GID, &mode);
	r = fd < 0 ? fd : handle_add_dir(q->fh, in, fd);
	inode_put(in);
	if (r != 0)
		return r;
	reply = lane_reply(l, h);
	reply->mode = mode;
	return 0;
}

static uint32_t
record_size(const struct listing *d, size_t namelen)
{
	size_t n = ROUND_UP(sizeof(struct rpc_dirent) + namelen, RPC_ALIGN);

	return (uint32_t)(n + (d->dir != NULL ? sizeof(struct rpc_direntplus) : 0));
}

static void
put_dirent(struct listing *d, uint32_t at, const struct dirent64 *e, size_t namelen)
{
	struct rpc_dirent rec = {
		.ino = e->d_ino,
		.off = (uint64_t)e->d_off,
		.namelen = (uint32_t)namelen,
		.type = e->d_type,
	};
	size_t end = ROUND_UP(sizeof(rec) + namelen, RPC_ALIGN);
	char *p = d->out + at;

	memcpy(p, &rec, sizeof(rec));
	memcpy(p + sizeof(rec), e->d_name, namelen);
	memset(p + sizeof(rec) + namelen, 0, end - sizeof(rec) - namelen);
}

static bool
is_dot(const char *name, size_t n)
{
	return name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.'));
}

/* Look up by the cheaper way: entries of one directory are mostly all known or all new. */
static int
look_up(struct listing *d, const char *name, struct inode **in, struct statx *st)
{
	int r;

	if (d->guess_new)
		r = resolve_new_name(d->fd, name, in, st);
	else
		r = resolve_name(d->fd, name, in, st);
	return r;
}

/* The entry part of a plus record. Returns false if the entry has vanished and is to be left out. */
static bool
put_plus(struct listing *d, const struct dirent64 *e, size_t namelen)
{
	struct rpc_direntplus plus;
	struct inode_key key = d->dir->key;
	struct inode *in;
	struct statx st;
	int r;

	memset(&plus, 0, sizeof(plus));
	plus.e.attr.ino = e->d_ino;
	plus.e.attr.mode = (uint32_t)e->d_type << 12;
	if (!is_dot(e->d_name, namelen)) {
		key.ino = e->d_ino;
		d->guess_new = !inode_key_known(&key);
		r = look_up(d, e->d_name, &in, &st);
		if (r == -ENOENT)
			return false;
		/* Any other failure costs the node id, not the entry. */
		if (r == 0) {
			if (vault_put(d->lane, in, d->dir) == 0) {
				ops_entry(&plus.e, in, d->dir, &st);
				inode_put(in);
			} else
				resolve_unname(d->lane, in);
		}
	}
	memcpy(d->out + d->used, &plus, sizeof(plus));
	return true;
}

/*
 * After a restart every entry may be unknown here and known to the guest: ask the vault about many at once. Returns where
 * in the buffer the entries end that were taken care of.
 */
static size_t
look_ahead(struct listing *d, const char *buf, size_t at, size_t n, struct resolve_ahead *a)
{
	const char *name[RESOLVE_AHEAD];
	struct inode_key key = d->dir->key;
	unsigned k = 0;

	resolve_ahead_end(d->lane, a);
	while (at < n && k < RESOLVE_AHEAD) {
		const struct dirent64 *e = (const void *)(buf + at);
		size_t namelen = strlen(e->d_name);

		key.ino = e->d_ino;
		if (!is_dot(e->d_name, namelen) && namelen <= RPC_NAME_MAX &&
		    !inode_key_known(&key))
			name[k++] = e->d_name;
		at += e->d_reclen;
	}
	if (k > 1)
		resolve_ahead(d->fd, name, k, a);
	return at;
}

/* Write as many of n bytes of kernel entries as fit. Returns false when one did not. */
static bool
take_entries(struct listing *d, const char *buf, size_t n)
{
	const bool ahead = d->dir != NULL && inode_incarnation() > 0;
	struct resolve_ahead a = { .n = 0 };
	size_t asked = 0, at = 0;

	while (at < n) {
		const struct dirent64 *e = (const void *)(buf + at);
		size_t namelen = strlen(e->d_name);
		/* A longer one would cost the guest the whole listing. */
		const bool listed = namelen <= RPC_NAME_MAX;
		uint32_t need = listed ? record_size(d, namelen) : 0;

		/* Before the look-up: what is looked up is delivered. */
		if (need > d->size - d->used)
			break;
		if (ahead && at >= asked)
			asked = look_ahead(d, buf, at, n, &a);
		if (listed && (d->dir == NULL || put_plus(d, e, namelen))) {
			put_dirent(d,
			    d->used +
				(d->dir != NULL ? (uint32_t)sizeof(struct rpc_direntplus) : 0),
			    e, namelen);
			d->used += need;
		}
		d->last = (uint64_t)e->d_off;
		at += e->d_reclen;
	}
	resolve_ahead_end(d->lane, &a);
	return at >= n;
}

/* How much to ask the kernel for so that all of it fits into room: the worst ratio is that of one-letter names. */
static size_t
ask_for(const struct listing *d, uint32_t room)
{
	return d->dir != NULL ? (size_t)room * 3 / 20 : (size_t)room * 3 / 4;
}

/*
 * Fill the reply from the current position. On return *more says that the fd stands behind entries that did not fit.
 * Returns 0 or a negative errno with nothing written.
 */
static int
fill(struct listing *d, bool *more)
{
	char *buf = d->lane->scratch;
	ssize_t n;

	*more = false;
	do {
		size_t ask = ask_for(d, d->size - d->used);

		n = getdents64(d->fd, buf, MIN(ask, (size_t)LANE_SCRATCH_SIZE));
		/*
		 * Too little for the next entry: it may still fit, because the reply has more room
		 * than we asked for, or be left out.
		 */
		if (n == -1 && errno == EINVAL) {
			ask = d->used == 0 ? MAX(d->size, DIRENT64_MAX) : d->size - d->used;
			n = getdents64(d->fd, buf, MIN(ask, (size_t)LANE_SCRATCH_SIZE));
		}
		if (n == -1)
			return d->used > 0 ? 0 : -errno;
		if (!take_entries(d, buf, (size_t)n)) {
			*more = true;
			return d->used > 0 ? 0 : -EINVAL;
		}
	} while (n > 0 && (d->used == 0 || d->size - d->used > d->size / 4));
	return 0;
}

/*
 * Some file systems hand out offsets that lseek() refuses (bit 63): find the entry by reading on from the beginning.
 * Entries behind it that came in the same piece are taken at once; if there are none, the fd stands where the listing
 * goes on. Returns 0, 1 if the entry is not there (any more), or a negative errno.
 */
static int
seek_by_reading(struct listing *d, uint64_t offset)
{
	char *buf = d->lane->scratch;
	ssize_t n;

	if (lseek(d->fd, 0, SEEK_SET) == -1)
		return -errno;
	while ((n = getdents64(d->fd, buf, MAX(d->size, DIRENT64_MAX))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *e = (const void *)(buf + at);

			at += e->d_reclen;
			if ((uint64_t)e->d_off != offset)
				continue;
			if (!take_entries(d, buf + at, (size_t)(n - at)) && d->used == 0)
				return -EINVAL;
			return 0;
		}
	}
	return n == -1 ? -errno : 1;
}

static int
list(struct listing *d, struct handle *pos, uint64_t offset)
{
	bool more = true;
	int r = 0;

	d->last = offset;
	if (pos == NULL || !pos->pos_valid || pos->pos != offset || offset == 0) {
		if (lseek(d->fd, (off_t)offset, SEEK_SET) == -1) {
			r = -errno;
			if (r != -EINVAL || offset >> 63 == 0)
				return r;
			if (pos != NULL)
				pos->pos_valid = false;
			r = seek_by_reading(d, offset);
			if (r != 0 || d->used > 0)
				return r > 0 ? 0 : r;
		}
	}
	r = fill(d, &more);
	if (pos != NULL) {
		pos->pos_valid = r == 0 && !more;
		pos->pos = d->last;
	}
	return r;
}

static int
readdir_common(struct lane *l, const struct rpc_hdr *h, bool plus)
{
	const struct rpc_io *q = (const void *)h;
	struct listing d = { .lane = l, .size = q->size };
	struct file_use use;
	int r = 0;

	d.out = lane_extent(l, h, q->size);
	if (d.out == NULL || q->size > RPC_IO_MAX || q->ioflags != 0)
		return -EINVAL;
	if (q->size == 0)
		return ops_reply_count(l, h, 0);
	if (plus)
		r = resolve_node(q->f.node, &d.dir);
	if (r == 0 && plus && d.dir->type != S_IFDIR)
		r = -ENOTDIR;
	if (r == 0)
		r = handle_begin(&q->f, true, &use);
	if (r == 0) {
		d.fd = use.fd;
		if (use.handle != NULL)
			pthread_mutex_lock(&use.handle->lock);
		r = list(&d, use.handle, q->offset);
		if (use.handle != NULL)
			pthread_mutex_unlock(&use.handle->lock);
		handle_end(&use);
	}
	inode_put(d.dir);
	return r != 0 ? r : ops_reply_count(l, h, d.used);
}

int
op_READDIR(struct lane *l, const struct rpc_hdr *h)
{
	return readdir_common(l, h, false);
}

int
op_READDIRPLUS(struct lane *l, const struct rpc_hdr *h)
{
	return readdir_common(l, h, true);
}
