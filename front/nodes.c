/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The node table: open addressing with linear probing in NSHARDS shards, each with its lock, on anonymous memory that
 * grows by doubling. 24 bytes an inode. Node ids come from the worker, look-up counts from the guest; neither is
 * trusted: an id the worker never named is unknown, a count saturates.
 *
 * "named" counts the replies in which the worker of "incarnation" named the node since the entry was made. FORGET
 * carries both to the worker, which drops the inode only when it has named it that often: a forget that overtakes an entry reply on another
 * lane thus cannot drop an inode that the guest is about to see. Runs in: front, all queue threads.
 */
#include "front/nodes.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"

#define NSHARDS 64u
#define FIRST_SIZE 128u /* entries of a shard, a power of two */

struct node {
	uint64_t id; /* 0 = free */
	uint64_t nlookup; /* the guest's */
	uint32_t named; /* by the worker of this incarnation */
	uint32_t incarnation;
};

struct shard {
	pthread_mutex_t lock;
	struct node *tab;
	uint32_t size, used;
} __attribute__((aligned(64)));

static struct shard shards[NSHARDS];

static uint64_t
mix(uint64_t x)
{
	/* Ids are consecutive: spread them (the finaliser of splitmix64). */
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static struct shard *
shard_of(uint64_t id)
{
	return &shards[mix(id) % NSHARDS];
}

static uint32_t
home(const struct shard *s, uint64_t id)
{
	return (uint32_t)(mix(id) / NSHARDS) & (s->size - 1);
}

/* Where id is, or where it would go. */
static struct node *
find(struct shard *s, uint64_t id)
{
	uint32_t i = home(s, id);

	while (s->tab[i].id != 0 && s->tab[i].id != id)
		i = (i + 1) & (s->size - 1);
	return &s->tab[i];
}

static struct node *
alloc_table(uint32_t size)
{
	void *p = mmap(NULL, size * sizeof(struct node), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int
grow(struct shard *s)
{
	struct node *old = s->tab, *tab = alloc_table(s->size * 2);
	uint32_t n = s->size;

	if (tab == NULL)
		return -ENOMEM;
	s->tab = tab;
	s->size = n * 2;
	for (uint32_t i = 0; i < n; i++)
		if (old[i].id != 0)
			*find(s, old[i].id) = old[i];
	munmap(old, n * sizeof(*old));
	return 0;
}

/* Remove an entry and move up those behind it that would no longer be found (Knuth 6.4, algorithm R). */
static void
remove_at(struct shard *s, struct node *e)
{
	uint32_t hole = (uint32_t)(e - s->tab), i = hole;

	for (;;) {
		uint32_t h;

		i = (i + 1) & (s->size - 1);
		if (s->tab[i].id == 0)
			break;
		h = home(s, s->tab[i].id);
		if (((i - h) & (s->size - 1)) >= ((i - hole) & (s->size - 1))) {
			s->tab[hole] = s->tab[i];
			hole = i;
		}
	}
	memset(&s->tab[hole], 0, sizeof(s->tab[hole]));
	s->used--;
}

void
nodes_init(void)
{
	for (unsigned i = 0; i < NSHARDS; i++) {
		shards[i].size = FIRST_SIZE;
		shards[i].tab = alloc_table(FIRST_SIZE);
		if (shards[i].tab == NULL || pthread_mutex_init(&shards[i].lock, NULL) != 0)
			fatalx("node table");
	}
}

bool
nodes_known(uint64_t id)
{
	struct shard *s = shard_of(id);
	bool known;

	if (id <= NODE_ROOT)
		return id == NODE_ROOT;
	pthread_mutex_lock(&s->lock);
	known = find(s, id)->id == id;
	pthread_mutex_unlock(&s->lock);
	return known;
}

int
nodes_named(uint64_t id, uint32_t incarnation)
{
	struct shard *s = shard_of(id);
	struct node *e;
	int r = 0;

	if (id <= NODE_ROOT)
		return 0;
	pthread_mutex_lock(&s->lock);
	if ((s->used + 1) * 4 > s->size * 3 && grow(s) != 0) {
		r = -ENOMEM;
		goto out;
	}
	e = find(s, id);
	if (e->id == 0) {
		e->id = id;
		s->used++;
	}
	/* A late reply of a dead worker names nothing to the present one. */
	if (incarnation > e->incarnation) {
		e->incarnation = incarnation;
		e->named = 0;
	}
	if (incarnation == e->incarnation)
		e->named++;
	e->nlookup++;
out:
	pthread_mutex_unlock(&s->lock);
	return r;
}

bool
nodes_forget(uint64_t id, uint64_t n, struct rpc_forget1 *f)
{
	struct shard *s = shard_of(id);
	struct node *e;
	bool gone = false;

	if (id <= NODE_ROOT)
		return false;
	pthread_mutex_lock(&s->lock);
	e = find(s, id);
	if (e->id == id) {
		e->nlookup -= e->nlookup < n ? e->nlookup : n;
		if (e->nlookup == 0) {
			*f = (struct rpc_forget1){
				.node = id, .named = e->named, .incarnation = e->incarnation
			};
			remove_at(s, e);
			gone = true;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return gone;
}

void
nodes_wipe(void)
{
	for (unsigned i = 0; i < NSHARDS; i++) {
		struct shard *s = &shards[i];

		pthread_mutex_lock(&s->lock);
		/* Zero pages again, and what was used goes back to the system. */
		if (madvise(s->tab, s->size * sizeof(*s->tab), MADV_DONTNEED) == -1)
			memset(s->tab, 0, s->size * sizeof(*s->tab));
		s->used = 0;
		pthread_mutex_unlock(&s->lock);
	}
}
