/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests for each queue, and a few threads that serve the queues in turn: one that has much to wait for does not make
 * the others wait behind all of it, and queues share no lock.
 *
 * A request that only waits for what the disk has been asked for already (RWF_NOWAIT starts the read of what it does not
 * find) needs no thread of its own: one thread a queue, its reaper, takes them one after the other and finds most of them
 * done. Each thread more would be two switches a request, half of what such a READ costs. Where the reaper comes
 * no further for a millisecond, because one read of many waits long, another takes its place, and it ends with what it has.
 *
 * Runs in: front.
 */
#include "front/pool.h"

#include <poll.h>
#include <semaphore.h>
#include <stddef.h>

#include "common/clock.h"
#include "front/front.h"
#include "front/threads.h"

#define FAST_NS 200000u
#define PROBE_MIN UINT64_C(100000000)
#define PROBE_MAX UINT64_C(10000000000)
#define TICK_NS 1000000

struct fifo {
	struct request *_Atomic head;
	struct request *last; /* valid if there is a head */
};

struct list {
	_Alignas(64) pthread_mutex_t lock;
	struct fifo ready; /* each has been promised a thread */
	struct fifo begun; /* for the reaper, when it comes to them */
	uint64_t reaper; /* number of the present one; 0: none */
	uint64_t reapers; /* how many there were */
	unsigned reaped, seen; /* requests; as many at the last tick */
};

static struct list lists[NQUEUES];
static sem_t waiting; /* requests in the ready lists, less those that a thread is about to take */
static sem_t watch; /* something is begun and waits for a reaper */
static _Atomic _Bool watched;

static void
append(struct fifo *f, struct request *r)
{
	r->next = NULL;
	if (f->head == NULL)
		f->head = r;
	else
		f->last->next = r;
	f->last = r;
}

static struct request *
pop(struct fifo *f)
{
	struct request *r = f->head;

	if (r != NULL)
		f->head = r->next;
	return r;
}

static _Bool
empty(struct fifo *f)
{
	return atomic_load_explicit(&f->head, memory_order_relaxed) == NULL;
}

static void
appoint(struct list *l, struct request *r)
{
	l->reaper = ++l->reapers;
	r->reaper = l->reaper;
	append(&l->ready, r);
}

static struct request *
take_from(struct list *l)
{
	struct request *r;

	if (empty(&l->ready))
		return NULL;
	pthread_mutex_lock(&l->lock);
	r = pop(&l->ready);
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

/* What comes after a request, if this thread is still the list's reaper and no other list waits for a thread. */
static struct request *
reap_next(struct list *l, uint64_t reaper)
{
	struct request *r = NULL;
	int others;

	pthread_mutex_lock(&l->lock);
	if (l->reaper == reaper) {
		l->reaped++;
		r = pop(&l->begun);
		if (r == NULL)
			l->reaper = 0;
		else
			r->reaper = reaper;
	}
	sem_getvalue(&waiting, &others);
	if (r != NULL && others > 0) {
		append(&l->ready, r);
		r = NULL;
		sem_post(&waiting);
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

static void *
pool_main(void *arg)
{
	unsigned last = 0;

	(void)arg;
	for (;;) {
		struct request *r;
		uint64_t reaper;

		while (sem_wait(&waiting) == -1)
			continue;
		r = take(&last);
		do {
			reaper = r->reaper;
			r->run(r);
			r = reaper != 0 ? reap_next(&lists[last], reaper) : NULL;
		} while (r != NULL);
	}
	return NULL;
}

/* Replace reapers that have come no further since the last time. Returns false if nothing waits for one. */
static _Bool
watch_reapers(void)
{
	_Bool any = false;

	for (unsigned i = 0; i < NQUEUES; i++) {
		struct list *l = &lists[i];
		struct request *r;

		if (empty(&l->begun))
			continue;
		pthread_mutex_lock(&l->lock);
		any = any || !empty(&l->begun);
		if (l->reaped == l->seen && (r = pop(&l->begun)) != NULL) {
			appoint(l, r);
			sem_post(&waiting);
		}
		l->seen = l->reaped;
		pthread_mutex_unlock(&l->lock);
	}
	return any;
}

static void *
watch_main(void *arg)
{
	const struct timespec tick = { .tv_nsec = TICK_NS };

	(void)arg;
	for (;;) {
		while (sem_wait(&watch) == -1)
			continue;
		do {
			ppoll(NULL, 0, &tick, NULL);
			/* Who finds nobody watching from here on says so. */
			atomic_store(&watched, false);
		} while (watch_reapers());
	}
	return NULL;
}

void
pool_start(unsigned n)
{
	for (unsigned i = 0; i < NQUEUES; i++)
		pthread_mutex_init(&lists[i].lock, NULL);
	sem_init(&waiting, 0, 0);
	sem_init(&watch, 0, 0);
	while (n-- > 0)
		thread_start(pool_main, NULL);
	thread_start(watch_main, NULL);
}

void
pool_submit(struct request *r, void (*run)(struct request *))
{
	struct list *l = &lists[r->q->index];

	r->run = run;
	r->reaper = 0;
	pthread_mutex_lock(&l->lock);
	append(&l->ready, r);
	pthread_mutex_unlock(&l->lock);
	sem_post(&waiting);
}

void
pool_submit_begun(struct request *r, void (*run)(struct request *))
{
	struct list *l = &lists[r->q->index];
	_Bool reaped;

	r->run = run;
	pthread_mutex_lock(&l->lock);
	reaped = l->reaper != 0;
	if (reaped)
		append(&l->begun, r);
	else
		appoint(l, r);
	pthread_mutex_unlock(&l->lock);
	if (!reaped)
		sem_post(&waiting);
	else if (!atomic_exchange(&watched, true))
		sem_post(&watch);
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
