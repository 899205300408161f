/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A list of requests for each queue, and a few threads that serve the lists in turn: a queue that has much to wait for
 * does not make the others wait behind all of it, and queues share no lock. Runs in: front.
 */
#include "front/pool.h"

#include <semaphore.h>
#include <stddef.h>

#include "common/clock.h"
#include "front/front.h"
#include "front/threads.h"

#define FAST_NS 200000u
#define PROBE_MIN UINT64_C(100000000)
#define PROBE_MAX UINT64_C(10000000000)

struct list {
	_Alignas(64) pthread_mutex_t lock;
	struct request *_Atomic head;
	struct request *last; /* valid if there is a head */
};

static struct list lists[NQUEUES];
static sem_t waiting; /* requests in the lists, less those that a thread is about to take */

static struct request *
take_from(struct list *l)
{
	struct request *r;

	if (atomic_load_explicit(&l->head, memory_order_relaxed) == NULL)
		return NULL;
	pthread_mutex_lock(&l->lock);
	r = l->head;
	if (r != NULL)
		l->head = r->next;
	pthread_mutex_unlock(&l->lock);
	return r;
}

/* One request, which waiting has promised: from the list behind *last, round to that one. */
static struct request *
take(unsigned *last)
{
	struct request *r;

	do {
		*last = (*last + 1) % NQUEUES;
		r = take_from(&lists[*last]);
	} while (r == NULL);
	return r;
}

static void *
pool_main(void *arg)
{
	unsigned last = 0;

	(void)arg;
	for (;;) {
		struct request *r;

		while (sem_wait(&waiting) == -1)
			continue;
		r = take(&last);
		r->run(r);
	}
	return NULL;
}

void
pool_start(unsigned n)
{
	for (unsigned i = 0; i < NQUEUES; i++)
		pthread_mutex_init(&lists[i].lock, NULL);
	sem_init(&waiting, 0, 0);
	while (n-- > 0)
		thread_start(pool_main, NULL);
}

void
pool_submit(struct request *r, void (*run)(struct request *))
{
	struct list *l = &lists[r->q->index];

	r->run = run;
	r->next = NULL;
	pthread_mutex_lock(&l->lock);
	if (l->head == NULL)
		l->head = r;
	else
		l->last->next = r;
	l->last = r;
	pthread_mutex_unlock(&l->lock);
	sem_post(&waiting);
}

_Bool
pace_fast(const struct pace *p)
{
	return atomic_load_explicit(&p->ns, memory_order_relaxed) < FAST_NS;
}

void
pace_learn(struct pace *p, uint64_t ns)
{
	int64_t old = atomic_load_explicit(&p->ns, memory_order_relaxed);
	int64_t now = ns > UINT32_MAX / 2 ? UINT32_MAX / 2 : (int64_t)ns;

	/* Racing threads may lose a sample: it is an average. */
	atomic_store_explicit(&p->ns, (uint32_t)(old + (now - old) / 8), memory_order_relaxed);
}

_Bool
pace_probe(struct pace *p)
{
	uint64_t at, now, pause;

	if (pace_fast(p))
		return true;
	now = clock_ns();
	at = atomic_load_explicit(&p->probe_at, memory_order_relaxed);
	pause = atomic_load_explicit(&p->probe_pause, memory_order_relaxed);
	pause = pause == 0 ? PROBE_MIN : pause < PROBE_MAX / 2 ? 2 * pause : PROBE_MAX;
	/* One of those who find that it is time; not as soon as it has become slow. */
	if (now < at || !atomic_compare_exchange_strong(&p->probe_at, &at, now + pause) || at == 0)
		return false;
	atomic_store_explicit(&p->probe_pause, pause, memory_order_relaxed);
	return true;
}

void
pace_probed(struct pace *p, uint64_t ns)
{
	if (ns < FAST_NS && !pace_fast(p)) {
		atomic_store_explicit(&p->ns, (uint32_t)ns, memory_order_relaxed);
		atomic_store_explicit(&p->probe_pause, 0, memory_order_relaxed);
		atomic_store_explicit(&p->probe_at, 0, memory_order_relaxed);
	} else
		pace_learn(p, ns);
}
