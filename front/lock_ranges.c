/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs in: front, any thread; the caller locks. Ranges and types were checked; the guest chose them. */
#include "front/lock_ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"

#define FIRST_ROOM 8u

int
lock_ranges_reserve(struct lock_ranges *s)
{
	uint32_t room = MAX(s->room, FIRST_ROOM);
	void *p;

	if (s->room - s->n >= 2)
		return 0;
	while (room - s->n < 2)
		room *= 2;
	p = reallocarray(s->r, room, sizeof(*s->r));
	if (p == NULL)
		return -ENOMEM;
	s->r = p;
	s->room = room;
	return 0;
}

/* The first range that ends at or behind offset; s->n if there is none. */
static uint32_t
find(const struct lock_ranges *s, uint64_t offset)
{
	uint32_t lo = 0, hi = s->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->r[mid].end < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Replace ranges [from, to) by n others. */
static void
replace(struct lock_ranges *s, uint32_t from, uint32_t to, const struct lock_range *by, uint32_t n)
{
	memmove(s->r + from + n, s->r + to, (s->n - to) * sizeof(*s->r));
	if (n > 0)
		memcpy(s->r + from, by, n * sizeof(*by));
	s->n = s->n - (to - from) + n;
}

static bool
joins(const struct lock_range *a, const struct lock_range *b)
{
	return a->end + 1 == b->start && a->type == b->type && a->pid == b->pid;
}

static void
join(struct lock_ranges *s, uint32_t i)
{
	if (i + 1 >= s->n || !joins(&s->r[i], &s->r[i + 1]))
		return;
	s->r[i].end = s->r[i + 1].end;
	replace(s, i + 1, i + 2, NULL, 0);
}

void
lock_ranges_set(struct lock_ranges *s, uint64_t start, uint64_t end, uint32_t type, uint32_t pid)
{
	struct lock_range by[3] = { { .start = 0 } };
	uint32_t from = find(s, start), to = from, n = 0;

	while (to < s->n && s->r[to].start <= end)
		to++;
	/* What sticks out on either side stays. */
	if (from < to && s->r[from].start < start) {
		by[n] = s->r[from];
		by[n++].end = start - 1;
	}
	if (type != F_UNLCK)
		by[n++] = (struct lock_range){
			.start = start, .end = end, .type = type, .pid = pid
		};
	if (from < to && s->r[to - 1].end > end) {
		by[n] = s->r[to - 1];
		by[n++].start = end + 1;
	}
	replace(s, from, to, by, n);
	/* From behind, so that places before stay what they are. */
	for (uint32_t i = from + n; i-- > from;)
		join(s, i);
	if (from > 0)
		join(s, from - 1);
}

const struct lock_range *
lock_ranges_conflict(const struct lock_ranges *s, uint64_t start, uint64_t end, uint32_t type)
{
	for (uint32_t i = find(s, start); i < s->n && s->r[i].start <= end; i++)
		if (type == F_WRLCK || s->r[i].type == F_WRLCK)
			return &s->r[i];
	return NULL;
}

void
lock_ranges_free(struct lock_ranges *s)
{
	free(s->r);
	*s = (struct lock_ranges){ .n = 0 };
}
