/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inode table. Two hash tables of 256 shards each, by node id and by key; a shard's lock is held for a few
 * instructions and never around a system call. Lock order: key shard, node shard. Which fds stay open is the business of
 * inode_cache.c. Runs in: worker, all threads.
 */
#include "worker/inode.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "worker/inode_cache.h"
#include "worker/mounts.h"
#include "worker/siphash.h"

#define SHARDS 256u
#define BUCKETS_FIRST 8u

struct shard {
	pthread_mutex_t lock;
	struct inode **bucket;
	uint32_t nbuckets, count;
};

static struct shard by_node[SHARDS], by_key[SHARDS];
static _Atomic uint64_t next_node;
static uint32_t my_incarnation;
static uint64_t hash_key[2];

int
inode_hash_handle(int fd, uint64_t *hash)
{
	union {
		struct file_handle h;
		unsigned char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} fh = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount;

	if (name_to_handle_at(fd, "", &fh.h, &mount, AT_EMPTY_PATH) == -1)
		return -errno;
	*hash = siphash24(
	    hash_key, &fh, offsetof(struct file_handle, f_handle) + fh.h.handle_bytes);
	return 0;
}

static int
shards_init(struct shard *s)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		if (pthread_mutex_init(&s[i].lock, NULL) != 0)
			return -ENOMEM;
		s[i].bucket = calloc(BUCKETS_FIRST, sizeof(struct inode *));
		if (s[i].bucket == NULL)
			return -ENOMEM;
		s[i].nbuckets = BUCKETS_FIRST;
	}
	return 0;
}

int
inode_init(uint32_t budget, uint64_t first_node, uint32_t incarnation)
{
	if (getrandom(hash_key, sizeof(hash_key), 0) != sizeof(hash_key))
		return -EIO;
	inode_cache_init(budget);
	my_incarnation = incarnation;
	atomic_store(&next_node, MAX(first_node, (uint64_t)ROOT_NODE + 1));
	if (shards_init(by_node) != 0 || shards_init(by_key) != 0)
		return -ENOMEM;
	return 0;
}

/* Hashes: the low bits choose the shard, the rest the bucket. */
static uint64_t
key_hash(const struct inode_key *k)
{
	uint64_t h = k->ino ^ hash_key[0];

	h ^= ((uint64_t)k->dev << 32 | k->mnt) * 0x9e3779b97f4a7c15u;
	h ^= h >> 32;
	h *= hash_key[1] | 1;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9u;
	return h ^ h >> 32;
}

static struct shard *
key_shard(const struct inode_key *k, uint64_t *h)
{
	*h = key_hash(k);
	return &by_key[*h % SHARDS];
}

static struct inode **
key_bucket(struct shard *s, uint64_t h)
{
	return &s->bucket[h / SHARDS & (s->nbuckets - 1)];
}

static struct inode **
node_bucket(struct shard *s, uint64_t node)
{
	return &s->bucket[node / SHARDS & (s->nbuckets - 1)];
}

static bool
key_equal(const struct inode_key *a, const struct inode_key *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->mnt == b->mnt;
}

/* Move one shard to a larger array, made by the caller. Returns the array to free. */
static struct inode **
rehash(struct shard *s, struct inode **bigger, uint32_t n, bool keys)
{
	struct inode **old = s->bucket, *in, *next;
	uint32_t nold = s->nbuckets;

	s->bucket = bigger;
	s->nbuckets = n;
	for (uint32_t i = 0; i < nold; i++) {
		for (in = old[i]; in != NULL; in = next) {
			struct inode **b;

			next = keys ? in->next_key : in->next_node;
			if (keys) {
				b = key_bucket(s, key_hash(&in->key));
				in->next_key = *b;
			} else {
				b = node_bucket(s, in->node);
				in->next_node = *b;
			}
			*b = in;
		}
	}
	return old;
}

/* A shard of 1 million inodes' table has 4000: moving them takes a fraction of a millisecond. */
static void
grow(struct shard *s, bool keys)
{
	struct inode **bigger, **spare;
	uint32_t n;

	pthread_mutex_lock(&s->lock);
	n = s->count > s->nbuckets ? s->nbuckets * 2 : 0;
	pthread_mutex_unlock(&s->lock);
	if (n == 0)
		return;
	/* Without memory the chains just get longer. */
	bigger = calloc(n, sizeof(*bigger));
	if (bigger == NULL)
		return;
	spare = bigger;
	pthread_mutex_lock(&s->lock);
	if (s->nbuckets * 2 == n)
		spare = rehash(s, bigger, n, keys);
	pthread_mutex_unlock(&s->lock);
	free(spare);
}

/* One more reference to an inode that somebody (a locked table, the caller) already holds. */
static void
ref(struct inode *in)
{
	uint32_t before = atomic_fetch_add_explicit(&in->refs, 1, memory_order_acquire);

	while ((before & INODE_EVICTING) != 0)
		before = atomic_load_explicit(&in->refs, memory_order_acquire);
}

static void
touch(struct inode *in)
{
	if (atomic_load_explicit(&in->used, memory_order_relaxed) == 0)
		atomic_store_explicit(&in->used, 1, memory_order_relaxed);
}

static void
destroy(struct inode *in)
{
	mounts_leave(in->mount);
	free(in);
}

void
inode_put(struct inode *in)
{
	if (in == NULL || atomic_fetch_sub_explicit(&in->refs, 1, memory_order_acq_rel) != 1)
		return;
	inode_cache_leave(in);
	destroy(in);
}

static struct inode *
node_search(struct shard *s, uint64_t node)
{
	struct inode *in;

	for (in = *node_bucket(s, node); in != NULL; in = in->next_node)
		if (in->node == node)
			return in;
	return NULL;
}

struct inode *
inode_by_node(uint64_t node)
{
	struct shard *s = &by_node[node % SHARDS];
	struct inode *in;

	pthread_mutex_lock(&s->lock);
	in = node_search(s, node);
	if (in != NULL)
		ref(in);
	pthread_mutex_unlock(&s->lock);
	if (in != NULL)
		touch(in);
	return in;
}

bool
inode_is_live(uint64_t node)
{
	struct shard *s = &by_node[node % SHARDS];
	struct inode *in;
	bool live;

	pthread_mutex_lock(&s->lock);
	in = node_search(s, node);
	live = in != NULL && inode_fd(in) >= 0;
	if (live)
		touch(in);
	pthread_mutex_unlock(&s->lock);
	return live;
}

bool
inode_may_miss(void)
{
	return my_incarnation > 0 || inode_cache_has_gaps();
}

uint32_t
inode_incarnation(void)
{
	return my_incarnation;
}

/* Does its key say which inode it is, while it has an fd? */
static bool
is_told_by_key(const struct inode *in)
{
	return !inode_has(in, INODE_AMBIGUOUS) || !inode_is_hashed(in);
}

/* The same for an inode whose handle nobody has asked for: one that has a handle may have the number of one without. */
static bool
is_told_by_key_alone(const struct inode *in)
{
	return !inode_has(in, INODE_AMBIGUOUS) ||
	    (!inode_is_hashed(in) && !mounts_have_some(in->mount));
}

struct inode *
inode_by_key(const struct inode_key *key, uint16_t type, uint32_t seq, bool counted)
{
	struct inode *in;
	struct shard *s;
	uint64_t h;

	s = key_shard(key, &h);
	pthread_mutex_lock(&s->lock);
	for (in = *key_bucket(s, h); in != NULL; in = in->next_key)
		if (in->type == type && key_equal(&in->key, key))
			break;
	if (in != NULL) {
		ref(in);
		if (inode_fd(in) >= 0 && (int32_t)(seq - atomic_load(&in->since)) >= 0 &&
		    is_told_by_key_alone(in))
			in->sent += counted;
		else {
			/* The table's own reference remains: this cannot be the last one. */
			atomic_fetch_sub(&in->refs, 1);
			in = NULL;
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (in != NULL)
		touch(in);
	return in;
}

bool
inode_key_known(const struct inode_key *key)
{
	struct inode *in;
	struct shard *s;
	uint64_t h;

	s = key_shard(key, &h);
	pthread_mutex_lock(&s->lock);
	for (in = *key_bucket(s, h); in != NULL; in = in->next_key)
		if (key_equal(&in->key, key))
			break;
	pthread_mutex_unlock(&s->lock);
	return in != NULL;
}

/* Take an inode out of its key shard, which is locked. */
static void
unindex(struct shard *s, uint64_t h, struct inode *in)
{
	struct inode **p = key_bucket(s, h);

	while (*p != in)
		p = &(*p)->next_key;
	*p = in->next_key;
	s->count--;
	atomic_fetch_and(&in->flags, (uint16_t)~INODE_INDEXED);
}

static void
index_by_key(struct shard *s, uint64_t h, struct inode *in)
{
	struct inode **b = key_bucket(s, h);

	in->next_key = *b;
	*b = in;
	s->count++;
	inode_set(in, INODE_INDEXED);
}

/* Is this entry the inode that ident was just read from, by an fd that is still held? */
static bool
recognise(const struct inode *in, const struct inode_ident *id)
{
	if (in->type != id->type)
		return false;
	if (inode_has(in, INODE_AMBIGUOUS) && inode_is_hashed(in) != id->hashed)
		return false;
	if (inode_fd(in) >= 0 && is_told_by_key(in))
		return true;
	if (!inode_has(in, INODE_HANDLE))
		return inode_has(in, INODE_VAULTED);
	return id->hashed && inode_is_hashed(in) && in->hash == id->hash;
}

/* Was it not recognised only for want of the handle that ident is known to have? */
static bool
is_doubtful(const struct inode *in, const struct inode_ident *id)
{
	return id->has_handle && !id->hashed && in->type == id->type && inode_has(in, INODE_HANDLE);
}

/*
 * Search a locked key shard for ident. Entries that turn out to be another inode whose number was reused leave the
 * index: they stay reachable by their node id. Those that may share it stay. The result has a reference. *doubt: nothing
 * can be said without the handle; NULL: ident has what there is.
 */
static struct inode *
search_ident(struct shard *s, uint64_t h, const struct inode_ident *id, bool *doubt)
{
	struct inode *in, *next;

	for (in = *key_bucket(s, h); in != NULL; in = next) {
		next = in->next_key;
		if (!key_equal(&in->key, &id->key))
			continue;
		if (recognise(in, id)) {
			ref(in);
			return in;
		}
		if (doubt != NULL && is_doubtful(in, id)) {
			*doubt = true;
			return NULL;
		}
		if (!inode_has(in, INODE_AMBIGUOUS))
			unindex(s, h, in);
	}
	return NULL;
}

/* A new inode with its fd in place already: nobody ever finds it without one. The clock does not know it yet. */
static struct inode *
make(const struct inode_ident *id, uint64_t node, int fd)
{
	struct inode *in = malloc(sizeof(*in));
	bool unique;

	if (in == NULL)
		return NULL;
	memset(in, 0, sizeof(*in));
	in->node = node;
	in->key = id->key;
	in->hash = id->hash;
	in->type = id->type;
	in->mount = mounts_enter(id->key.mnt, fd, id->hashed, &unique);
	atomic_init(&in->since, inode_cache_stamp());
	atomic_init(&in->fd, fd);
	atomic_init(&in->refs, 2);
	atomic_init(&in->flags,
	    (id->has_handle ? INODE_HANDLE : 0) | (id->hashed ? INODE_HASHED : 0) |
		(unique ? 0 : INODE_AMBIGUOUS));
	atomic_init(&in->used, 1);
	return in;
}

/*
 * What follows an attempt to enter fresh: either in is it, and the clock learns of it; or another was there first (fresh
 * is not NULL), and gets the fd if it has none.
 */
static void
settle(struct inode *in, struct inode *fresh, int fd)
{
	uint64_t h;

	if (fresh != NULL) {
		destroy(fresh);
		inode_set_fd(in, fd);
		return;
	}
	grow(key_shard(&in->key, &h), true);
	grow(&by_node[in->node % SHARDS], false);
	inode_cache_enter(in);
}

static void
add_by_node(struct shard *s, struct inode *in)
{
	struct inode **b = node_bucket(s, in->node);

	in->next_node = *b;
	*b = in;
	s->count++;
}

struct inode *
inode_find(const struct inode_ident *id, int fd)
{
	struct inode *in;
	struct shard *s;
	uint64_t h;

	s = key_shard(&id->key, &h);
	pthread_mutex_lock(&s->lock);
	in = search_ident(s, h, id, NULL);
	pthread_mutex_unlock(&s->lock);
	if (in != NULL)
		inode_set_fd(in, fd);
	return in;
}

bool
inode_is_known(const struct inode_ident *id)
{
	struct inode *in;
	struct shard *s;
	uint64_t h;

	s = key_shard(&id->key, &h);
	pthread_mutex_lock(&s->lock);
	in = search_ident(s, h, id, NULL);
	/* The table's own reference remains. */
	if (in != NULL)
		atomic_fetch_sub(&in->refs, 1);
	pthread_mutex_unlock(&s->lock);
	return in != NULL;
}

int
inode_claim(const struct inode_ident *id, int fd, struct inode **out)
{
	struct inode *in, *fresh;
	struct shard *s, *n;
	bool doubt = false;
	uint64_t h;

	fresh = make(id, 0, fd);
	if (fresh == NULL) {
		close(fd);
		return -ENOMEM;
	}
	s = key_shard(&id->key, &h);
	pthread_mutex_lock(&s->lock);
	in = search_ident(s, h, id, &doubt);
	if (doubt) {
		pthread_mutex_unlock(&s->lock);
		destroy(fresh);
		return -EAGAIN;
	}
	if (in == NULL) {
		in = fresh;
		fresh = NULL;
		in->node = atomic_fetch_add(&next_node, 1);
		index_by_key(s, h, in);
		n = &by_node[in->node % SHARDS];
		pthread_mutex_lock(&n->lock);
		add_by_node(n, in);
		pthread_mutex_unlock(&n->lock);
	}
	in->sent++;
	pthread_mutex_unlock(&s->lock);

	settle(in, fresh, fd);
	touch(in);
	*out = in;
	return 0;
}

int
inode_restore(uint64_t node, const struct inode_ident *id, int fd, struct inode **out)
{
	struct inode *in, *fresh, *other;
	struct shard *s, *n;
	uint64_t h;

	fresh = make(id, node, fd);
	if (fresh == NULL) {
		close(fd);
		return -ENOMEM;
	}
	inode_set(fresh, INODE_VAULTED | INODE_RESTORED);
	s = key_shard(&id->key, &h);
	n = &by_node[node % SHARDS];
	pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&n->lock);
	in = node_search(n, node);
	if (in != NULL) {
		ref(in);
	} else {
		in = fresh;
		fresh = NULL;
		add_by_node(n, in);
	}
	pthread_mutex_unlock(&n->lock);
	if (fresh == NULL) {
		other = search_ident(s, h, id, NULL);
		if (other == NULL)
			index_by_key(s, h, in);
		else
			atomic_fetch_sub(&other->refs, 1);
	}
	pthread_mutex_unlock(&s->lock);

	settle(in, fresh, fd);
	*out = in;
	return 0;
}

int
inode_add_root(const struct inode_ident *id, int fd)
{
	struct inode *in = NULL;
	int r = inode_restore(ROOT_NODE, id, fd, &in);

	if (r != 0)
		return r;
	inode_pin(in);
	inode_put(in);
	return 0;
}

bool
inode_send(struct inode *in)
{
	struct shard *s;
	uint64_t h;
	bool alive;

	s = key_shard(&in->key, &h);
	pthread_mutex_lock(&s->lock);
	alive = !inode_has(in, INODE_DEAD);
	if (alive)
		in->sent++;
	pthread_mutex_unlock(&s->lock);
	return alive;
}

bool
inode_forget(struct inode *in, uint64_t count, bool final)
{
	struct inode **p;
	struct shard *s, *n;
	uint64_t h;
	bool drop = false;

	if (in->node == ROOT_NODE)
		return false;
	s = key_shard(&in->key, &h);
	pthread_mutex_lock(&s->lock);
	if (!inode_has(in, INODE_DEAD)) {
		in->sent -= MIN(count, in->sent);
		/* What is left is in replies that are under way, or that come to nothing. */
		if (final)
			inode_set(in, INODE_COUNTED);
		drop = in->sent == 0 &&
		    (inode_has(in, INODE_COUNTED) || !inode_has(in, INODE_RESTORED));
	}
	if (drop) {
		inode_set(in, INODE_DEAD);
		if (inode_has(in, INODE_INDEXED))
			unindex(s, h, in);
		n = &by_node[in->node % SHARDS];
		pthread_mutex_lock(&n->lock);
		for (p = node_bucket(n, in->node); *p != in; p = &(*p)->next_node)
			;
		*p = in->next_node;
		n->count--;
		pthread_mutex_unlock(&n->lock);
	}
	pthread_mutex_unlock(&s->lock);
	if (drop) {
		/* A last reference beside the table's is somebody's now, who needs the fd. */
		inode_pin(in);
		inode_put(in);
	}
	return drop;
}

/* From bucket *at on, which is where one was found then: what grows meanwhile moves nothing to before it. */
static struct inode *
any_but_root(struct shard *s, uint32_t *at)
{
	for (; *at < s->nbuckets; ++*at)
		for (struct inode *in = s->bucket[*at]; in != NULL; in = in->next_node)
			if (in->node != ROOT_NODE)
				return in;
	return NULL;
}

struct inode *
inode_reset(void)
{
	struct inode *in, *gone = NULL;

	for (unsigned i = 0; i < SHARDS; i++) {
		uint32_t at = 0;

		for (;;) {
			pthread_mutex_lock(&by_node[i].lock);
			in = any_but_root(&by_node[i], &at);
			if (in != NULL)
				ref(in);
			pthread_mutex_unlock(&by_node[i].lock);
			if (in == NULL)
				break;
			if (inode_forget(in, UINT64_MAX, true)) {
				/* In no table any more. */
				in->next_node = gone;
				gone = in;
			} else
				inode_put(in);
		}
	}
	return gone;
}

void
inode_put_all(struct inode *in)
{
	struct inode *next;

	for (; in != NULL; in = next) {
		next = in->next_node;
		inode_put(in);
	}
}
