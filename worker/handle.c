/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache of open files, in 16 shards by fh, each with its own least-recently-used list. No system call under a shard's
 * lock. Runs in: worker, all lane threads.
 */
#include "worker/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fd.h"
#include "worker/inode.h"
#include "worker/resolve.h"
#include "worker/vaultc.h"

#define SHARDS 16u
#define BUCKETS 64u

TAILQ_HEAD(bucket, handle);

struct shard {
	pthread_mutex_t lock;
	struct bucket bucket[BUCKETS]; /* each oldest first */
	uint32_t count, hand;
};

static struct shard shards[SHARDS];
static uint32_t shard_max = 64;

void
handle_init(uint32_t budget)
{
	shard_max = MAX(budget / 2 / SHARDS, 1u);
	for (unsigned i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&shards[i].lock, NULL);
		for (unsigned b = 0; b < BUCKETS; b++)
			TAILQ_INIT(&shards[i].bucket[b]);
	}
}

static struct shard *
shard_of(uint64_t fh)
{
	return &shards[fh % SHARDS];
}

static struct bucket *
bucket_of(struct shard *s, uint64_t fh)
{
	return &s->bucket[fh / SHARDS % BUCKETS];
}

static struct handle *
search(struct shard *s, uint64_t fh)
{
	struct handle *h;

	TAILQ_FOREACH(h, bucket_of(s, fh), lru)
	if (h->fh == fh)
		return h;
	return NULL;
}

/* Take a handle out of its locked shard. Returns it if nobody uses it any more: the caller destroys it unlocked. */
static struct handle *
unlink_handle(struct shard *s, struct handle *h)
{
	TAILQ_REMOVE(bucket_of(s, h->fh), h, lru);
	s->count--;
	h->cached = false;
	return --h->refs == 0 ? h : NULL;
}

static void
destroy(struct handle *h)
{
	if (h == NULL)
		return;
	close(h->fd);
	inode_fds_add(-1);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* The least recently used handle of the next bucket that has one to spare; the shard is locked. */
static struct handle *
victim(struct shard *s)
{
	struct handle *h;

	for (unsigned i = 0; i < BUCKETS; i++) {
		s->hand = (s->hand + 1) % BUCKETS;
		TAILQ_FOREACH(h, &s->bucket[s->hand], lru)
		if (h->refs == 1 && !h->keep)
			return unlink_handle(s, h);
	}
	return NULL;
}

unsigned
handle_evict(unsigned n)
{
	unsigned done = 0;

	for (unsigned i = 0; i < SHARDS && done < n; i++) {
		struct handle *h;

		pthread_mutex_lock(&shards[i].lock);
		h = victim(&shards[i]);
		pthread_mutex_unlock(&shards[i].lock);
		done += h != NULL;
		destroy(h);
	}
	return done;
}

static struct handle *
make(uint64_t fh, uint64_t node, int fd, bool dir, bool keep)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (h == NULL || pthread_mutex_init(&h->lock, NULL) != 0) {
		free(h);
		close(fd);
		return NULL;
	}
	h->fh = fh;
	h->node = node;
	h->fd = fd;
	h->dir = dir;
	h->keep = keep;
	h->refs = 1;
	h->cached = true;
	inode_fds_add(1);
	return h;
}

/* Enter h. replace: an older one of that number goes; else it is kept and h is not entered. With a reference. */
static struct handle *
enter(struct handle *h, bool replace)
{
	struct shard *s = shard_of(h->fh);
	struct handle *old, *spare = NULL, *gone = NULL;

	pthread_mutex_lock(&s->lock);
	old = search(s, h->fh);
	if (old != NULL && !replace) {
		spare = h;
		h = old;
	} else {
		if (old != NULL)
			gone = unlink_handle(s, old);
		else if (s->count >= shard_max)
			gone = victim(s);
		TAILQ_INSERT_TAIL(bucket_of(s, h->fh), h, lru);
		s->count++;
	}
	h->refs++;
	pthread_mutex_unlock(&s->lock);
	destroy(spare);
	destroy(gone);
	return h;
}

static void
put(struct handle *h)
{
	struct shard *s = shard_of(h->fh);
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --h->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (last)
		destroy(h);
}

int
handle_add(uint64_t fh, uint64_t node, int fd, bool dir, bool keep)
{
	struct handle *h = make(fh, node, fd, dir, keep);

	if (h == NULL)
		return -ENOMEM;
	put(enter(h, true));
	return 0;
}

void
handle_drop(uint64_t fh, uint64_t node)
{
	struct shard *s = shard_of(fh);
	bool held = inode_incarnation() > 0;
	struct handle *h;

	pthread_mutex_lock(&s->lock);
	h = search(s, fh);
	if (h != NULL && h->node == node) {
		held = h->keep;
		h = unlink_handle(s, h);
	} else
		h = NULL;
	pthread_mutex_unlock(&s->lock);
	destroy(h);
	/* One that an earlier worker opened may be held without ever having been used here. */
	if (held)
		vault_drop(fh);
}

void
handle_reset(void)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *s = &shards[i];

		for (unsigned b = 0; b < BUCKETS; b++) {
			for (;;) {
				struct handle *h, *gone = NULL;

				pthread_mutex_lock(&s->lock);
				h = TAILQ_FIRST(&s->bucket[b]);
				if (h != NULL)
					gone = unlink_handle(s, h);
				pthread_mutex_unlock(&s->lock);
				if (h == NULL)
					break;
				destroy(gone);
			}
		}
	}
}

static int
find(const struct rpc_file *f, bool dir, struct handle **out)
{
	struct shard *s = shard_of(f->fh);
	struct handle *h;
	int r = 0;

	*out = NULL;
	pthread_mutex_lock(&s->lock);
	h = search(s, f->fh);
	if (h != NULL && (h->node != f->node || h->dir != dir))
		r = -EBADF;
	else if (h != NULL) {
		TAILQ_REMOVE(bucket_of(s, f->fh), h, lru);
		TAILQ_INSERT_TAIL(bucket_of(s, f->fh), h, lru);
		h->refs++;
		*out = h;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

/*
 * On these file systems an offset means the same entry in every open file of a directory, as long as that entry or its
 * place exists. Elsewhere, above all on overlayfs, a new open file may lose or repeat entries after changes.
 */
static bool
has_stable_offsets(int fd)
{
	static const uint32_t stable[] = {
		EXT4_SUPER_MAGIC,
		XFS_SUPER_MAGIC,
		BTRFS_SUPER_MAGIC,
		TMPFS_MAGIC,
		F2FS_SUPER_MAGIC,
		NFS_SUPER_MAGIC,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) == -1)
		return false;
	for (size_t i = 0; i < countof(stable); i++)
		if ((uint32_t)fs.f_type == stable[i])
			return true;
	return false;
}

int
handle_add_dir(uint64_t fh, const struct inode *dir, int fd)
{
	bool keep = !has_stable_offsets(fd);

	if (keep)
		vault_hold(fh, fd, dir);
	return handle_add(fh, dir->node, fd, true, keep);
}

/* Instead of a directory just opened again (*fd), the one that an earlier worker entrusted to the vault, if it is there. */
static bool
fetch_held(const struct rpc_file *f, int *fd)
{
	struct stat want, have;
	bool same = false;
	int held;

	held = vault_fetch(f->fh);
	if (held < 0)
		return false;
	if (fstat(*fd, &want) == 0 && fstat(held, &have) == 0 && S_ISDIR(have.st_mode) &&
	    want.st_ino == have.st_ino && want.st_dev == have.st_dev) {
		int spare = *fd;

		*fd = held;
		held = spare;
		same = true;
	}
	fd_close(&held);
	return same;
}

/*
 * ext4 decides at the first getdents where a directory's hash order begins, and decides wrong if that is a read at the
 * end: the stream stays empty even when it is rewound. So the first one is at the start; there is no room for an entry in
 * one byte, so it reads nothing.
 */
static void
begin_at_start(int fd)
{
	char none;

	(void)syscall(SYS_getdents64, fd, &none, sizeof(none));
}

/* Open the file of a request again: the flags it was opened with, without what happens only once. */
static int
reopen(const struct rpc_file *f, bool dir)
{
	const int keep = O_ACCMODE | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT | O_NOATIME;
	struct inode *in;
	int r;

	r = resolve_node(f->node, &in);
	if (r != 0)
		return r;
	if (dir)
		r = in->type == S_IFDIR ? resolve_open(in, O_RDONLY | O_DIRECTORY) : -ENOTDIR;
	else
		r = resolve_open(in, (int)f->flags & keep);
	if (dir && r >= 0)
		begin_at_start(r);
	inode_put(in);
	return r;
}

static void
hold(const struct rpc_file *f, int fd)
{
	struct inode *dir;

	if (resolve_node(f->node, &dir) != 0)
		return;
	vault_hold(f->fh, fd, dir);
	inode_put(dir);
}

int
handle_begin(const struct rpc_file *f, bool dir, struct file_use *use)
{
	const bool cache = (f->hflags & (RPC_FILE_HANDLE | RPC_FILE_ONCE)) == RPC_FILE_HANDLE;
	bool keep = false, held = false;
	struct handle *h;
	int r;

	use->handle = NULL;
	use->fd = -1;
	if (cache) {
		r = find(f, dir, &h);
		if (r != 0)
			return r;
		if (h != NULL) {
			use->handle = h;
			use->fd = h->fd;
			return 0;
		}
	}
	r = reopen(f, dir);
	if (r < 0)
		return r;
	if (cache && dir && !has_stable_offsets(r)) {
		keep = true;
		held = fetch_held(f, &r);
	}
	if (!cache) {
		use->fd = r;
		return 0;
	}
	h = make(f->fh, f->node, r, dir, keep);
	if (h == NULL)
		return -ENOMEM;
	/* Two requests may rebuild one handle at once: the first wins. It is of this node, or the front is confused. */
	use->handle = enter(h, false);
	use->fd = use->handle->fd;
	if (use->handle->node != f->node || use->handle->dir != dir) {
		handle_end(use);
		return -EBADF;
	}
	if (keep && !held && use->fd == r)
		hold(f, r);
	return 0;
}

void
handle_end(struct file_use *use)
{
	if (use->handle != NULL)
		put(use->handle);
	else if (use->fd >= 0)
		close(use->fd);
	use->handle = NULL;
	use->fd = -1;
}
