/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CPU of a lane's thread. What is compared is the time that COUNT messages take, whatever they ask for, so that all
 * costs count: the front's, the guest's, and those of whoever else runs on either CPU. A try that fails costs some
 * milliseconds, so the next one comes after a pause, which doubles with each failure. Runs in: worker, lane threads.
 */
#include "worker/place.h"

#include "common/log.h"
#include "common/poller.h"

#define COUNT 128u
#define STEADY 4u /* messages from one CPU before it is followed */
#define PAUSE_MIN 100000000u /* ns */
#define PAUSE_MAX 10000000000u
#define REST_PAUSE 5000000u /* after a sleep, which ends a stay without blame */

void
place_init(struct place *p, bool looks)
{
	*p = (struct place){ .looks = looks, .pause = PAUSE_MIN };
}

static bool
bind_to(struct place *p, const cpu_set_t *set, enum place_where where)
{
	if (sched_setaffinity(0, sizeof(*set), set) == -1) {
		log_debug("cannot choose my CPU");
		p->stuck = true;
		return false;
	}
	p->where = where;
	p->count = 0;
	return true;
}

static void
go_free(struct place *p)
{
	bind_to(p, &p->home, PLACE_FREE);
	p->bound = 0;
}

static void
go_near(struct place *p)
{
	cpu_set_t set;

	/* What an administrator has changed meanwhile counts. */
	if (p->where == PLACE_FREE && sched_getaffinity(0, sizeof(p->home), &p->home) == -1) {
		p->stuck = true;
		return;
	}
	if (p->front_cpu >= CPU_SETSIZE || !CPU_ISSET(p->front_cpu, &p->home))
		return;
	CPU_ZERO(&set);
	CPU_SET(p->front_cpu, &set);
	if (bind_to(p, &set, PLACE_NEAR))
		p->bound = p->front_cpu;
}

static void
go_away(struct place *p)
{
	cpu_set_t set = p->home;

	CPU_CLR(p->front_cpu, &set);
	p->settled = false;
	if (CPU_COUNT(&set) == 0)
		p->again = UINT64_MAX;
	else
		bind_to(p, &set, PLACE_AWAY);
}

/* From away. */
static void
come_back(struct place *p, uint64_t now, bool failed)
{
	go_near(p);
	p->again = now + (failed ? p->pause : REST_PAUSE);
	if (failed)
		p->pause = p->pause < PAUSE_MAX / 2 ? p->pause * 2 : PAUSE_MAX;
}

/* COUNT messages have come: is this the better place? */
static void
judge(struct place *p)
{
	const uint64_t now = poller_now(), took = now - p->since;

	p->count = 0;
	if (p->where == PLACE_NEAR) {
		p->near_ns = took;
		if (now >= p->again)
			go_away(p);
	} else if (took > p->near_ns || place_is_near(p)) {
		come_back(p, now, !p->settled);
	} else {
		p->settled = true;
		p->pause = PAUSE_MIN;
	}
}

void
place_front(struct place *p, uint16_t cpu)
{
	const bool same = cpu == p->front_cpu;

	p->front_cpu = cpu;
	if (p->stuck)
		return;
	if (p->where == PLACE_FREE) {
		p->bound = same ? p->bound + 1 : 1;
		if (p->bound >= STEADY || !p->looks)
			go_near(p);
		return;
	}
	if (p->where == PLACE_NEAR && p->bound != cpu) {
		if (p->looks)
			go_free(p);
		else
			go_near(p);
		return;
	}
	if (!p->looks)
		return;
	if (p->count++ == 0)
		p->since = poller_now();
	else if (p->count > COUNT)
		judge(p);
}

void
place_rest(struct place *p, bool crowded)
{
	p->count = 0;
	if (p->where == PLACE_AWAY)
		come_back(p, poller_now(), crowded);
}
