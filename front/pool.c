/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue of requests under one lock, taken by a few threads. Runs in: front. */
#include "front/pool.h"

#include <stddef.h>
#include <time.h>

#include "front/front.h"
#include "front/threads.h"

#define FAST_NS 200000u
#define PROBE_MIN UINT64_C(100000000)
#define PROBE_MAX UINT64_C(10000000000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct request *head, **tail = &head;

static void *
pool_main(void *arg)
{
	(void)arg;
	for (;;) {
		struct request *r;

		pthread_mutex_lock(&lock);
		while (head == NULL)
			pthread_cond_wait(&more, &lock);
		r = head;
		head = r->next;
		if (head == NULL)
			tail = &head;
		pthread_mutex_unlock(&lock);
		r->run(r);
	}
	return NULL;
}

void
pool_start(unsigned n)
{
	while (n-- > 0)
		thread_start(pool_main, NULL);
}

void
pool_submit(struct request *r, void (*run)(struct request *))
{
	r->run = run;
	r->next = NULL;
	pthread_mutex_lock(&lock);
	*tail = r;
	tail = &r->next;
	pthread_mutex_unlock(&lock);
	pthread_cond_signal(&more);
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
	now = pace_now();
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

uint64_t
pace_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
