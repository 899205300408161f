/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parked requests. A VMM that is paused stops its rings, and GET_VRING_BASE is answered when everything taken has been
 * returned: a wait for a lock would be in its way. The driver knows nothing of a pause, so that an error would be a lie: its
 * chain stays out, and is answered when the ring runs again. If the ring begins anew instead (another index, a reset), the
 * guest that asked is gone, and its chain is never touched again.
 * Runs in: front; park and unpark: any thread; the rest: control thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/fd.h"
#include "front/front.h"

/*
 * At most so many chains of a ring: a chain of a SETLKW has three descriptors, and the rest of the ring must be
 * able to carry what will end the wait.
 */
#define RING_SHARE 4u
#define SLOT_SHARE 2u

static unsigned
limit(const struct queue *q)
{
	return MAX(MIN(q->ring.num / RING_SHARE, SLOTS_MAX / SLOT_SHARE), 1);
}

bool
request_park(struct request *r)
{
	struct queue *q = r->q;
	bool room;

	pthread_mutex_lock(&q->park_lock);
	room = q->nparked < limit(q);
	if (room) {
		r->late = r->dropped = false;
		r->park_next = q->parked_list;
		r->park_at = &q->parked_list;
		if (r->park_next != NULL)
			r->park_next->park_at = &r->park_next;
		q->parked_list = r;
		q->nparked++;
	}
	pthread_mutex_unlock(&q->park_lock);
	/* It no longer counts as taken; the queue thread may be waiting for the last one. */
	if (room && atomic_fetch_sub(&q->inflight, 1) == 1 && atomic_load(&q->attention))
		queue_wake(q);
	return room;
}

/* It counts again, or never will: there is no chain. The list is locked. */
static void
leave(struct queue *q, struct request *r)
{
	*r->park_at = r->park_next;
	if (r->park_next != NULL)
		r->park_next->park_at = r->park_at;
	q->nparked--;
	if (r->dropped)
		r->internal = true;
	else
		atomic_fetch_add(&q->inflight, 1);
}

bool
request_unpark(struct request *r)
{
	struct queue *q = r->q;
	bool now;

	pthread_mutex_lock(&q->park_lock);
	now = !q->stopped || r->dropped;
	if (now)
		leave(q, r);
	else
		r->late = true;
	pthread_mutex_unlock(&q->park_lock);
	return now;
}

void
park_stop(struct queue *q)
{
	pthread_mutex_lock(&q->park_lock);
	q->stopped = true;
	pthread_mutex_unlock(&q->park_lock);
}

void
park_stopped(struct queue *q)
{
	q->stopped_at = q->ring.next_avail;
}

void
park_reset(struct queue *q)
{
	q->was_reset = true;
}

/* Ids of waits, to be ended without holding the lock that they end under. */
struct ids {
	uint64_t id[SLOTS_MAX];
	unsigned n;
};

/* Keep what can be kept. Takes those that have their result out of the list: returns them, chained by next. */
static struct request *
sort_out(struct queue *q, struct ids *gone)
{
	const bool same = !q->was_reset && q->ring.next_avail == q->stopped_at;
	struct request *late = NULL, *r, *next;

	for (r = q->parked_list; r != NULL; r = next) {
		next = r->park_next;
		if (!same || vring_again(&q->ring, &q->dev->memory, &r->chain) != 0) {
			r->dropped = true;
			if (!r->late)
				gone->id[gone->n++] = r->arg.lock.waiter.id;
		}
		if (r->late) {
			leave(q, r);
			r->next = late;
			late = r;
		}
	}
	return late;
}

void
park_start(struct queue *q)
{
	struct ids gone = { .n = 0 };
	struct request *late, *next;

	pthread_mutex_lock(&q->park_lock);
	late = sort_out(q, &gone);
	q->stopped = q->was_reset = false;
	pthread_mutex_unlock(&q->park_lock);
	for (unsigned i = 0; i < gone.n; i++)
		lock_wait_cancel_id(gone.id[i], -ENOTCONN);
	for (; late != NULL; late = next) {
		next = late->next;
		late->run(late);
	}
}
