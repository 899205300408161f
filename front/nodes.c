/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The node table: open addressing with linear probing in NSHARDS shards, on anonymous memory that grows by doubling. 24
 * bytes an inode. What changes a shard takes its lock; what every request does, asking whether the guest knows a node,
 * writes nothing: it looks, and has looked in vain if the shard's sequence number says that entries were moving. For its
 * sake a table that was outgrown keeps its addresses (all such of a shard: as many as the present one), not its memory.
 *
 * Node ids come from the worker, look-up counts from the guest; neither is trusted: an id the worker never named is
 * unknown, a count saturates.
 *
 * "named" counts the replies in which the worker of "incarnation" named the node since the entry was made. FORGET
 * carries both to the worker, which drops the inode only when it has named it that often: a forget that overtakes an entry reply on another
 * lane thus cannot drop an inode that the guest is about to see. Runs in: front, all queue threads.
 */
#include "front/nodes.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"

#define NSHARDS 64u
#define FIRST_SIZE 128u /* entries of a shard, a power of two */

struct node {
	_Atomic uint64_t id; /* 0 = free */
	uint64_t nlookup; /* the guest's */
	uint32_t named; /* by the worker of this incarnation */
	uint32_t incarnation;
};

struct shard {
	pthread_mutex_t lock;
	_Atomic uint32_t moves; /* odd: entries are moving */
	struct node *_Atomic tab;
	_Atomic uint32_t size;
	uint32_t used;
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
home(uint32_t size, uint64_t id)
{
	return (uint32_t)(mix(id) / NSHARDS) & (size - 1);
}

static uint64_t
id_of(const struct node *e)
{
	return atomic_load_explicit(&e->id, memory_order_relaxed);
}

/* Where id is in this table, or where it would go; NULL if it is full, which only somebody without the lock may see. */
static struct node *
find_in(struct node *tab, uint32_t size, uint64_t id)
{
	for (uint32_t i = home(size, id), n = size; n > 0; i = (i + 1) & (size - 1), n--)
		if (id_of(&tab[i]) == id || id_of(&tab[i]) == 0)
			return &tab[i];
	return NULL;
}

static struct node *
find(struct shard *s, uint64_t id)
{
	return find_in(s->tab, s->size, id);
}

static void
begin_move(struct shard *s)
{
	atomic_fetch_add_explicit(&s->moves, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void
end_move(struct shard *s)
{
	atomic_fetch_add_explicit(&s->moves, 1, memory_order_release);
}

/* Have entries moved since moves was read (and has everything read since been read)? */
static bool
have_moved(const struct shard *s, uint32_t moves)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&s->moves, memory_order_relaxed) != moves;
}

static void
copy(struct node *to, const struct node *from)
{
	to->nlookup = from->nlookup;
	to->named = from->named;
	to->incarnation = from->incarnation;
	atomic_store_explicit(&to->id, id_of(from), memory_order_relaxed);
}

static struct node *
alloc_table(uint32_t size)
{
	void *p = mmap(NULL, size * sizeof(struct node), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Forget what is in a table, and give its memory back. The addresses stay: zero pages. */
static void
clear(struct node *tab, uint32_t size)
{
	if (madvise(tab, size * sizeof(*tab), MADV_DONTNEED) == -1)
		memset(tab, 0, size * sizeof(*tab));
}

static int
grow(struct shard *s)
{
	struct node *old = s->tab, *tab = alloc_table(s->size * 2);
	const uint32_t n = s->size;

	if (tab == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (id_of(&old[i]) != 0)
			copy(find_in(tab, n * 2, id_of(&old[i])), &old[i]);
	begin_move(s);
	atomic_store_explicit(&s->tab, tab, memory_order_relaxed);
	atomic_store_explicit(&s->size, n * 2, memory_order_relaxed);
	clear(old, n);
	end_move(s);
	return 0;
}

/* Remove an entry and move up those behind it that would no longer be found (Knuth 6.4, algorithm R). */
static void
remove_at(struct shard *s, struct node *e)
{
	struct node *const tab = s->tab;
	const uint32_t size = s->size;
	uint32_t hole = (uint32_t)(e - tab), i = hole;

	begin_move(s);
	for (;;) {
		uint32_t h;

		i = (i + 1) & (size - 1);
		if (id_of(&tab[i]) == 0)
			break;
		h = home(size, id_of(&tab[i]));
		if (((i - h) & (size - 1)) >= ((i - hole) & (size - 1))) {
			copy(&tab[hole], &tab[i]);
			hole = i;
		}
	}
	copy(&tab[hole], &(const struct node){ 0 });
	s->used--;
	end_move(s);
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

/* Look without the lock. Returns false if that says nothing. */
static bool
look(struct shard *s, uint64_t id, bool *known)
{
	const uint32_t moves = atomic_load_explicit(&s->moves, memory_order_acquire);
	struct node *tab = atomic_load_explicit(&s->tab, memory_order_relaxed);
	const uint32_t size = atomic_load_explicit(&s->size, memory_order_relaxed);
	const struct node *e;

	/* The table and its size must belong together before anything is read from it. */
	if ((moves & 1) != 0 || have_moved(s, moves))
		return false;
	e = find_in(tab, size, id);
	*known = e != NULL && id_of(e) == id;
	return !have_moved(s, moves);
}

bool
nodes_known(uint64_t id)
{
	struct shard *s = shard_of(id);
	bool known;

	if (id <= NODE_ROOT)
		return id == NODE_ROOT;
	if (look(s, id, &known))
		return known;
	pthread_mutex_lock(&s->lock);
	known = id_of(find(s, id)) == id;
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
	if (id_of(e) == 0) {
		atomic_store_explicit(&e->id, id, memory_order_relaxed);
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
	if (id_of(e) == id) {
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
		begin_move(s);
		clear(s->tab, s->size);
		end_move(s);
		s->used = 0;
		pthread_mutex_unlock(&s->lock);
	}
}
