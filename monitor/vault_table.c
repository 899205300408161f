/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries lie densely in one mapping that grows by mremap(), which moves pages and copies nothing; memory that was never
 * touched costs nothing. Hash slots are 4-byte indices into it, so that doubling them (one pass over the entries) is
 * quick. The mapping is not there in child processes: starting one does not take longer for it. Runs in: monitor, vault
 * thread. Node ids come from the worker (hostile): chosen to collide they slow down nobody but the worker.
 */
#include "monitor/vault_table.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_ROOM 1024u
#define FIRST_SLOTS 2048u

static void *
map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Kept by mremap(). Where the kernel refuses, a child is started more slowly, and nothing else. */
	(void)madvise(p, size, MADV_DONTFORK);
	return p;
}

static uint32_t
slot_of(const struct vault_table *t, uint64_t node)
{
	/* Fibonacci hashing: spreads ids that are given out one after the other. */
	return (uint32_t)((node * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (t->nslots - 1);
}

int
vault_table_init(struct vault_table *t, uint32_t max)
{
	*t = (struct vault_table){ .room = FIRST_ROOM, .nslots = FIRST_SLOTS, .max = max };
	t->entries = map(FIRST_ROOM * sizeof(*t->entries));
	t->slots = map(FIRST_SLOTS * sizeof(*t->slots));
	t->same = map(FIRST_SLOTS * sizeof(*t->same));
	if (t->entries == NULL || t->slots == NULL || t->same == NULL) {
		vault_table_free(t);
		return -ENOMEM;
	}
	return 0;
}

void
vault_table_free(struct vault_table *t)
{
	if (t->entries != NULL)
		munmap(t->entries, t->room * sizeof(*t->entries));
	if (t->slots != NULL)
		munmap(t->slots, t->nslots * sizeof(*t->slots));
	if (t->same != NULL)
		munmap(t->same, t->nslots * sizeof(*t->same));
	*t = (struct vault_table){ .max = t->max };
}

/* Where node is, or the empty slot where it would be. */
static uint32_t
probe(const struct vault_table *t, uint64_t node)
{
	uint32_t s = slot_of(t, node);

	while (t->slots[s] != 0 && t->entries[t->slots[s] - 1].node != node)
		s = (s + 1) & (t->nslots - 1);
	return s;
}

struct vault_entry *
vault_table_find(const struct vault_table *t, uint64_t node)
{
	uint32_t i = node != 0 ? t->slots[probe(t, node)] : 0;

	return i != 0 ? &t->entries[i - 1] : NULL;
}

static int
grow_slots(struct vault_table *t)
{
	struct vault_table bigger = *t;
	uint32_t pos = 0;
	struct vault_entry *e;

	bigger.nslots = t->nslots * 2;
	bigger.slots = map(bigger.nslots * sizeof(*bigger.slots));
	bigger.same = map(bigger.nslots * sizeof(*bigger.same));
	if (bigger.slots == NULL || bigger.same == NULL) {
		if (bigger.slots != NULL)
			munmap(bigger.slots, bigger.nslots * sizeof(*bigger.slots));
		if (bigger.same != NULL)
			munmap(bigger.same, bigger.nslots * sizeof(*bigger.same));
		return -ENOMEM;
	}
	while ((e = vault_table_walk(t, &pos)) != NULL)
		bigger.slots[probe(&bigger, e->node)] = (uint32_t)(e - t->entries) + 1;
	for (uint32_t i = 0; i < t->nslots; i++) {
		uint32_t s;

		if (t->same[i] == 0)
			continue;
		s = t->entries[t->same[i] - 1].hash & (bigger.nslots - 1);
		while (bigger.same[s] != 0)
			s = (s + 1) & (bigger.nslots - 1);
		bigger.same[s] = t->same[i];
	}
	munmap(t->slots, t->nslots * sizeof(*t->slots));
	munmap(t->same, t->nslots * sizeof(*t->same));
	*t = bigger;
	return 0;
}

static int
grow_entries(struct vault_table *t)
{
	void *p = mremap(t->entries, t->room * sizeof(*t->entries),
	    2 * t->room * sizeof(*t->entries), MREMAP_MAYMOVE);

	if (p == MAP_FAILED)
		return -ENOMEM;
	t->entries = p;
	t->room *= 2;
	return 0;
}

int
vault_table_add(struct vault_table *t, uint64_t node, struct vault_entry **res)
{
	uint32_t i;
	int r;

	if ((*res = vault_table_find(t, node)) != NULL)
		return 0;
	if (t->count >= t->max)
		return -ENOSPC;
	if (t->count + 1 > t->nslots / 4 * 3 && (r = grow_slots(t)) != 0)
		return r;
	if (t->free == 0 && t->used == t->room && (r = grow_entries(t)) != 0)
		return r;
	if (t->free != 0) {
		i = t->free - 1;
		t->free = t->entries[i].u.next_free;
	} else
		i = t->used++;
	t->count++;
	t->entries[i] = (struct vault_entry){ .node = node, .kind = VAULT_FREE, .pin = -1 };
	t->slots[probe(t, node)] = i + 1;
	*res = &t->entries[i];
	return 0;
}

static uint32_t
home_of(const struct vault_table *t, const uint32_t *slots, uint32_t s)
{
	const struct vault_entry *e = &t->entries[slots[s] - 1];

	return slots == t->slots ? slot_of(t, e->node) : e->hash & (t->nslots - 1);
}

/* Empty slot s of one of the two tables, and move up those behind it that were displaced past it. */
static void
close_gap(const struct vault_table *t, uint32_t *slots, uint32_t s)
{
	const uint32_t mask = t->nslots - 1;

	for (uint32_t k = (s + 1) & mask; slots[k] != 0; k = (k + 1) & mask) {
		/* May stay if its home lies behind the gap. */
		if (((k - home_of(t, slots, k)) & mask) < ((k - s) & mask))
			continue;
		slots[s] = slots[k];
		s = k;
	}
	slots[s] = 0;
}

bool
vault_entry_same(const struct vault_entry *a, const struct vault_entry *b)
{
	if (a->hash != b->hash || a->kind != b->kind || a->mount != b->mount)
		return false;
	if (a->kind == VAULT_FD)
		return a->u.kept.ino == b->u.kept.ino && a->u.kept.dev == b->u.kept.dev;
	if (a->handle_type != b->handle_type || a->handle_len != b->handle_len)
		return false;
	if (a->kind == VAULT_HANDLE)
		return memcmp(a->u.bytes, b->u.bytes, a->handle_len) == 0;
	return a->kind == VAULT_LONG && memcmp(a->u.more, b->u.more, a->handle_len) == 0;
}

/* Where the entry that is the same as want is, or the empty slot where it would be. */
static uint32_t
probe_same(const struct vault_table *t, const struct vault_entry *want)
{
	uint32_t s = want->hash & (t->nslots - 1);

	while (t->same[s] != 0 && !vault_entry_same(&t->entries[t->same[s] - 1], want))
		s = (s + 1) & (t->nslots - 1);
	return s;
}

struct vault_entry *
vault_table_same(const struct vault_table *t, const struct vault_entry *want)
{
	uint32_t i = t->same[probe_same(t, want)];

	return i != 0 ? &t->entries[i - 1] : NULL;
}

void
vault_table_index(struct vault_table *t, struct vault_entry *e)
{
	t->same[probe_same(t, e)] = (uint32_t)(e - t->entries) + 1;
}

void
vault_table_unindex(struct vault_table *t, const struct vault_entry *e)
{
	const uint32_t i = (uint32_t)(e - t->entries) + 1;
	uint32_t s = e->hash & (t->nslots - 1);

	while (t->same[s] != 0 && t->same[s] != i)
		s = (s + 1) & (t->nslots - 1);
	if (t->same[s] == i)
		close_gap(t, t->same, s);
}

void
vault_table_remove(struct vault_table *t, struct vault_entry *e)
{
	uint32_t i = (uint32_t)(e - t->entries);

	close_gap(t, t->slots, probe(t, e->node));
	*e = (struct vault_entry){
		.node = 0, .kind = VAULT_FREE, .pin = -1, .u.next_free = t->free
	};
	t->free = i + 1;
	t->count--;
}

struct vault_entry *
vault_table_walk(const struct vault_table *t, uint32_t *pos)
{
	while (*pos < t->used) {
		struct vault_entry *e = &t->entries[(*pos)++];

		if (e->node != 0)
			return e;
	}
	return NULL;
}
