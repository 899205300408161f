/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On which CPU a lane's thread runs: the front's, or wherever the scheduler likes. Runs in: worker, lane threads.
 *
 * Two threads serve a queue. If there is a CPU for each, they work at the same time, and see each other's messages while
 * they look for them. If there is not, because several queues are busy, a pair does best on one CPU: a wake-up there
 * costs a fraction of one across CPUs. So it does where each message needs a wake-up, because looking is over or off before
 * it comes, and where the front has little to do beside the worker.
 */
#ifndef WORKER_PLACE_H
#define WORKER_PLACE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/control.h"

#define PLACE_LANES (1 + REQUEST_QUEUES_MAX) /* one a queue; others are always free */

struct place {
	unsigned lane;
	bool near; /* bound to the CPU `bound`, which was the front's */
	bool stuck; /* affinity cannot be changed */
	uint16_t bound;
	uint16_t front_cpu; /* where the front ran when it sent last */
	uint32_t look; /* ns */
	uint64_t judged; /* ns */
	uint32_t seen[PLACE_LANES]; /* how many messages each lane had got then */
	unsigned batches, requests; /* served since */
	uint64_t busy_ns; /* and how long that took */
	cpu_set_t home; /* where we may run */
};

/* look: for how many ns a thread looks for a message at most. */
void place_init(struct place *, unsigned lane, uint32_t look);
/* A message came, from a front that ran on cpu. */
void place_front(struct place *, uint16_t cpu);
/*
 * It had n requests, which have been served and answered from start to now (ns, CLOCK_MONOTONIC). Here the thread may move:
 * if it moved to the front's CPU before it answers, the scheduler would move the front, which wakes up, to the CPU left.
 */
void place_served(struct place *, unsigned n, uint64_t start, uint64_t now);
/* Is the front's CPU this one? */
static inline bool
place_is_near(const struct place *p)
{
	return sched_getcpu() == p->front_cpu;
}

#endif
