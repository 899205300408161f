/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On which CPU a lane's thread runs, relative to the front's. Runs in: worker, lane threads.
 *
 * A wake-up on the sender's CPU costs a fraction of one across CPUs, and what takes turns on one CPU does not depend on
 * who else uses another: so the thread follows the front to its CPU. Two that look for each other's messages are faster
 * still on two CPUs, if there is another with nothing to do, and much slower if there is not: so it tries that now and
 * then, measures, and stays where messages come faster.
 */
#ifndef WORKER_PLACE_H
#define WORKER_PLACE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

enum place_where {
	PLACE_FREE, /* where the scheduler likes */
	PLACE_NEAR, /* bound to the front's CPU */
	PLACE_AWAY /* anywhere but there */
};

struct place {
	enum place_where where;
	bool looks; /* --busy-poll-us is not 0: being away may be better */
	bool settled; /* being away has proved better */
	bool stuck; /* affinity cannot be changed here: give up */
	uint16_t front_cpu; /* where the front ran when it sent last */
	uint16_t bound; /* NEAR: to this CPU. FREE: how often the front has been where it is */
	unsigned count; /* messages in a row, near the front or away from it */
	uint64_t since; /* ns, when the count began */
	uint64_t near_ns; /* how long so many messages took near the front */
	uint64_t again; /* ns, no try before */
	uint64_t pause; /* ns, after a failed try */
	cpu_set_t home; /* where we may run */
};

void place_init(struct place *, bool looks);
/* A message came from a front that ran on cpu. */
void place_front(struct place *, uint16_t cpu);
/* Is the front's CPU this one? */
static inline bool
place_is_near(const struct place *p)
{
	return sched_getcpu() == p->front_cpu;
}
/* The thread is about to sleep; crowded: because others want this CPU. */
void place_rest(struct place *, bool crowded);

#endif
