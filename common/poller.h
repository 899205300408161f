/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a thread looks for the next event before it goes to sleep for it, as KVM's halt polling decides it: a wake-up
 * costs tens of microseconds where the peer runs on another core, so a short wait is better spent looking. The window
 * grows while events come soon after it was over, and shrinks to nothing when they do not: whoever is idle sleeps.
 *
 * Between looks the CPU is offered to others (sched_yield(2)): the peer may need this very one. Who gets it back late has
 * been in somebody's way, and sleeps at once. Runs in: front, worker; one per thread and kind of event.
 */
#ifndef COMMON_POLLER_H
#define COMMON_POLLER_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"

#define POLLER_FIRST_NS 10000u
#define POLLER_LOOKS 32u /* at memory, between yields */
/*
 * A yield that took so long was used by somebody with work of its own, and so will the next one be: do not look for a
 * while. (Where it was the peer, its requests take so long that looking for them gains little.)
 */
#define POLLER_CROWDED_NS 400000u
/* One that took longer than a system call does was used by somebody. */
#define POLLER_USED_NS 4000u
#define POLLER_OFF_MIN_NS 5000000u
#define POLLER_OFF_MAX_NS 160000000u

struct poller {
	uint32_t max; /* ns, --busy-poll-us; 0 = always sleep */
	uint32_t window; /* ns, to look now */
	bool off; /* until then */
	uint32_t off_ns; /* how long it was off last */
	uint64_t off_until;
};

/* One wait. */
struct poll_wait {
	uint64_t start, last; /* ns; 0 = the first yield is still to come */
	uint64_t used; /* ns that the peer had this CPU: nobody looked, and nothing was wasted */
};

static inline void
poller_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * How often to look between yields: where the peer ran last on this very CPU, looking twice keeps it from doing what is
 * waited for.
 */
static inline unsigned
poller_looks(bool same_cpu)
{
	return same_cpu ? 1 : POLLER_LOOKS;
}

/* Is it worth looking now? */
static inline bool
poller_may_look(struct poller *p)
{
	if (p->off && clock_ns() >= p->off_until)
		p->off = false;
	return p->window != 0 && !p->off;
}

static inline void
poller_turn_off(struct poller *p, uint64_t now)
{
	/* Soon after the last time: for longer. */
	if (p->off_ns != 0 && now - p->off_until < 4 * (uint64_t)p->off_ns)
		p->off_ns = p->off_ns < POLLER_OFF_MAX_NS / 2 ? p->off_ns * 2 : POLLER_OFF_MAX_NS;
	else
		p->off_ns = POLLER_OFF_MIN_NS;
	p->off_until = now + p->off_ns;
	p->off = true;
}

/*
 * Nothing has come: offer the CPU. same_cpu: the peer runs on this one, so that this hands it over. Returns false if it is
 * time to sleep: the window is over, or others need the CPU.
 */
static inline bool
poller_yield(struct poller *p, struct poll_wait *w, bool same_cpu)
{
	uint64_t now;

	if (w->start == 0)
		w->start = w->last = clock_ns();
	sched_yield();
	now = clock_ns();
	if (now - w->last > POLLER_CROWDED_NS) {
		poller_turn_off(p, now);
		return false;
	}
	if (same_cpu && now - w->last > POLLER_USED_NS)
		w->used += now - w->last;
	w->last = now;
	return now - w->start - w->used < p->window &&
	    now - w->start < MAX(p->window, POLLER_CROWDED_NS);
}

/* Before a sleep. */
static inline void
poller_sleep(const struct poller *p, struct poll_wait *w)
{
	if (p->max != 0 && w->start == 0)
		w->start = clock_ns();
}

/* What was waited for has come. */
static inline void
poller_learn(struct poller *p, const struct poll_wait *w)
{
	uint64_t waited;

	/* It came before the first yield, or nobody looks at all. */
	if (w->start == 0)
		return;
	waited = clock_ns() - w->start - w->used;
	if (waited <= p->window)
		return;
	if (waited > p->max)
		p->window = p->window / 2 < POLLER_FIRST_NS / 2 ? 0 : p->window / 2;
	else if (p->window == 0)
		p->window = p->max < POLLER_FIRST_NS ? p->max : POLLER_FIRST_NS;
	else
		p->window = p->window < p->max / 2 ? p->window * 2 : p->max;
}

#endif
