/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table of chunks that never move, so that a handle is found without a lock: the state word's generation, live bit and
 * reference count change together by compare-and-swap. Only making and freeing a slot takes the lock.
 * fh values come back from the guest: any number may. Runs in: front, all queue threads and the I/O pool.
 */
#include "front/handles.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK 1024u
#define CHUNKS_MAX 1024u /* 1 Mi handles */
#define LIVE (UINT64_C(1) << 31)
#define REFS (LIVE - 1)

static struct handle *_Atomic chunks[CHUNKS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t nslots; /* ever used */
static uint32_t free_list = UINT32_MAX; /* chained by .node */
static _Atomic uint32_t setid_marks;

static struct handle *
at(uint32_t slot)
{
	struct handle *c;

	if (slot / CHUNK >= CHUNKS_MAX)
		return NULL;
	c = atomic_load_explicit(&chunks[slot / CHUNK], memory_order_acquire);
	return c != NULL ? &c[slot % CHUNK] : NULL;
}

static struct handle *
new_slot(void)
{
	uint32_t slot = nslots;
	struct handle *c;

	if (slot / CHUNK >= CHUNKS_MAX)
		return NULL;
	if (slot % CHUNK == 0) {
		c = mmap(NULL, CHUNK * sizeof(*c), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (c == MAP_FAILED)
			return NULL;
		atomic_store_explicit(&chunks[slot / CHUNK], c, memory_order_release);
	}
	nslots++;
	c = at(slot);
	c->slot = slot;
	return c;
}

int
handle_new(struct handle **out)
{
	struct handle *h;
	uint64_t gen;

	pthread_mutex_lock(&lock);
	if (free_list != UINT32_MAX) {
		h = at(free_list);
		free_list = (uint32_t)h->node;
	} else
		h = new_slot();
	pthread_mutex_unlock(&lock);
	if (h == NULL)
		return -ENFILE;
	gen = atomic_load(&h->state) >> 32;
	h->fd = -1;
	h->node = 0;
	h->flags = 0;
	h->dir = false;
	atomic_store(&h->setid, false);
	atomic_store(&h->no_nowait, false);
	atomic_store(&h->state, gen << 32 | 1);
	*out = h;
	return 0;
}

uint64_t
handle_fh(const struct handle *h)
{
	return (atomic_load(&h->state) >> 32) << 32 | h->slot;
}

void
handle_publish(struct handle *h)
{
	atomic_fetch_add(&h->state, LIVE + 1);
}

static bool
try_ref(struct handle *h, uint32_t gen)
{
	uint64_t s = atomic_load(&h->state);

	do {
		if (s >> 32 != gen || (s & LIVE) == 0 || (s & REFS) == REFS)
			return false;
	} while (!atomic_compare_exchange_weak(&h->state, &s, s + 1));
	return true;
}

struct handle *
handle_get(uint64_t fh, uint64_t node)
{
	struct handle *h = at((uint32_t)fh);

	if (h == NULL || !try_ref(h, (uint32_t)(fh >> 32)))
		return NULL;
	if (h->node != node) {
		int fd = handle_put(h);

		if (fd >= 0)
			close(fd);
		return NULL;
	}
	return h;
}

int
handle_put(struct handle *h)
{
	uint64_t s = atomic_fetch_sub(&h->state, 1);
	int fd;

	if ((s & REFS) != 1)
		return -1;
	fd = h->fd;
	h->fd = -1;
	pthread_mutex_lock(&lock);
	/* The next user of the slot has another generation. */
	atomic_store(&h->state, ((s >> 32) + 1) << 32);
	h->node = free_list;
	free_list = h->slot;
	pthread_mutex_unlock(&lock);
	return fd;
}

/* Drop the table's reference, if it is still there. */
static bool
unpublish(struct handle *h)
{
	return (atomic_fetch_and(&h->state, ~LIVE) & LIVE) != 0;
}

void
handle_unpublish(struct handle *h)
{
	if (unpublish(h))
		atomic_fetch_sub(&h->state, 1);
}

static void
each(void (*f)(struct handle *, uint64_t), uint64_t arg)
{
	uint32_t n;

	pthread_mutex_lock(&lock);
	n = nslots;
	pthread_mutex_unlock(&lock);
	for (uint32_t i = 0; i < n; i++) {
		struct handle *h = at(i);
		int fd;

		if (!try_ref(h, (uint32_t)(atomic_load(&h->state) >> 32)))
			continue;
		f(h, arg);
		fd = handle_put(h);
		if (fd >= 0)
			close(fd);
	}
}

static void
mark_setid(struct handle *h, uint64_t node)
{
	if (h->node == node)
		atomic_store(&h->setid, true);
}

void
handles_mark_setid(uint64_t node)
{
	atomic_fetch_add(&setid_marks, 1);
	each(mark_setid, node);
}

uint32_t
handles_setid_marks(void)
{
	return atomic_load(&setid_marks);
}

static void
drop(struct handle *h, uint64_t unused)
{
	(void)unused;
	handle_unpublish(h);
}

void
handles_wipe(void)
{
	each(drop, 0);
}
