/* SPDX-License-Identifier: BSD-3-Clause */
/* The front's ear for the monitor: new workers, and the end. */
#ifndef FRONT_RESTART_H
#define FRONT_RESTART_H

#include <stdint.h>

#include "proto/control.h"

struct device;
struct lane;
struct queue;

/* What one queue found when it took over its new lanes. */
struct resumed {
	uint32_t incarnation;
	uint32_t replayed, failed; /* requests sent again; answered EIO */
	uint64_t ops; /* bit n: RPC op n was on the wire */
};

/*
 * Start the thread that listens to the monitor on control from now on: the end of control ends the process. It
 * also reports lanes that do not answer for stuck_after seconds (0 = never). lanes: all nlanes of them, for ever.
 * Before the seal.
 */
void restart_start(
    struct device *, int control, struct lane **lanes, uint32_t nlanes, uint32_t stuck_after);

/*
 * The worker at the other end of this lane has closed it, or has lied: the monitor hears of it, once an incarnation and
 * kind, and sees to it that there is another worker. Queue thread.
 */
void restart_broken(const struct lane *, enum ctl_broken_how);

/* A queue has taken over its lanes. Queue thread. */
void restart_resumed(struct queue *, const struct resumed *);

/*
 * A queue has been stopped, perhaps before it took over its lanes: nothing of a guest's is unanswered on them, and it takes
 * them over when it is started, which may be never. The monitor must not wait for that. Control thread.
 */
void restart_stopped(struct queue *);

#endif
