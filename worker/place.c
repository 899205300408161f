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
#define DEEP 3u /* requests in a message: so many are in flight that nobody waits for one answer */
#define SLOW_NS 3000u /* that one takes here */

static struct {
	_Alignas(64) _Atomic uint32_t n;
} messages[PLACE_LANES];

void
place_init(struct place *p, unsigned lane)
{
	/* Nobody waits for what lane 0 does. */
	*p = (struct place){ .lane = lane, .stuck = lane == 0 || lane >= PLACE_LANES };
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

static void
judge(struct place *p)
{
	const unsigned busy = busy_lanes(p);
	const bool slow = p->requests > DEEP * p->batches &&
	    p->busy_ns > SLOW_NS * (uint64_t)p->requests;
	bool near;

	p->requests = p->batches = 0;
	p->busy_ns = 0;
	/* What an administrator has changed meanwhile counts. */
	if (!p->near && sched_getaffinity(0, sizeof(p->home), &p->home) == -1) {
		p->stuck = true;
		return;
	}
	near = slow || 2 * busy > (unsigned)CPU_COUNT(&p->home);
	if (near && !p->near)
		go_near(p);
	else if (!near && p->near)
		go_free(p);
}

void
place_front(struct place *p, uint16_t cpu, uint64_t now)
{
	_Atomic uint32_t *n;

	p->front_cpu = cpu;
	if (p->stuck)
		return;
	n = &messages[p->lane].n;
	atomic_store_explicit(
	    n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
	if (now - p->judged >= JUDGE_NS) {
		p->judged = now;
		judge(p);
	}
	if (p->near && cpu != p->bound)
		go_near(p);
}

void
place_served(struct place *p, unsigned n, uint64_t ns)
{
	p->batches++;
	p->requests += n;
	p->busy_ns += ns;
}
