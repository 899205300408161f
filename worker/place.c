/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CPU of a lane's thread. How many lanes are busy is known from how many messages each has got: a counter a lane, in
 * a cache line of its own, which the others read now and then. The front spends about 1 us on a request, so beside a
 * worker that needs much longer it waits most of the time, for many answers at once: that gains nothing if it looks on
 * another CPU, and costs that CPU. Runs in: worker, lane threads.
 */
#include "worker/place.h"

#include <stdatomic.h>

#include "common/log.h"

#define JUDGE_NS 10000000u
#define SLOW_NS 3000u /* that one request of several takes here */
#define MESSAGES_MIN 5u /* fewer prove nothing */

static struct {
	_Alignas(64) _Atomic uint32_t n;
} messages[PLACE_LANES];

void
place_init(struct place *p, unsigned lane, uint32_t look)
{
	/* Nobody waits for what lane 0 does. */
	*p = (struct place){
		.lane = lane, .look = look, .stuck = lane == 0 || lane >= PLACE_LANES
	};
}

static void
bind_to(struct place *p, const cpu_set_t *set)
{
	if (sched_setaffinity(0, sizeof(*set), set) == -1) {
		log_debug("cannot choose my CPU");
		p->stuck = true;
	}
}

static void
go_free(struct place *p)
{
	p->near = false;
	bind_to(p, &p->home);
}

static void
go_near(struct place *p)
{
	cpu_set_t set;

	if (p->front_cpu >= CPU_SETSIZE || !CPU_ISSET(p->front_cpu, &p->home))
		return;
	CPU_ZERO(&set);
	CPU_SET(p->front_cpu, &set);
	p->near = true;
	p->bound = p->front_cpu;
	bind_to(p, &set);
}

/* How many lanes have got about as much to do as this one since it judged last? It is one of them. */
static unsigned
busy_lanes(struct place *p)
{
	uint32_t got[PLACE_LANES];
	unsigned n = 0;

	for (unsigned i = 1; i < PLACE_LANES; i++) {
		const uint32_t now = atomic_load_explicit(&messages[i].n, memory_order_relaxed);

		got[i] = now - p->seen[i];
		p->seen[i] = now;
	}
	for (unsigned i = 1; i < PLACE_LANES; i++)
		n += got[i] > 0 && got[i] >= got[p->lane] / 4;
	return n;
}

/*
 * Do messages come one by one, and so late that the two have to wake each other? Learning makes a thread look for less than
 * it may, and being woken makes it late: twice that time is what tells.
 */
static bool
must_wake(const struct place *p, uint64_t elapsed)
{
	const uint64_t look = 2 * (uint64_t)p->look * p->batches;

	return p->batches >= MESSAGES_MIN && elapsed < 2 * JUDGE_NS &&
	    (p->busy_ns > look || elapsed - p->busy_ns > look);
}

/* Is it the worker that everything waits for? */
static bool
is_slow(const struct place *p)
{
	return p->busy_ns > SLOW_NS * (uint64_t)p->requests;
}

static void
judge(struct place *p, uint64_t elapsed)
{
	const unsigned busy = busy_lanes(p);
	const bool several = 2 * p->requests > 3 * p->batches;
	bool near = several ? is_slow(p) : must_wake(p, elapsed);

	p->requests = p->batches = 0;
	p->busy_ns = 0;
	/* What an administrator has changed meanwhile counts. */
	if (!p->near && sched_getaffinity(0, sizeof(p->home), &p->home) == -1) {
		p->stuck = true;
		return;
	}
	near = near || 2 * busy > (unsigned)CPU_COUNT(&p->home);
	if (near && !p->near)
		go_near(p);
	else if (!near && p->near)
		go_free(p);
}

void
place_front(struct place *p, uint16_t cpu)
{
	_Atomic uint32_t *n;

	p->front_cpu = cpu;
	if (p->stuck)
		return;
	n = &messages[p->lane].n;
	atomic_store_explicit(
	    n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}

void
place_served(struct place *p, unsigned n, uint64_t start, uint64_t now)
{
	if (p->stuck)
		return;
	p->batches++;
	p->requests += n;
	p->busy_ns += now - start;
	if (now - p->judged >= JUDGE_NS) {
		judge(p, now - p->judged);
		p->judged = now;
	}
	if (p->near && p->front_cpu != p->bound)
		go_near(p);
}
