/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes beyond the one that each queue owns: whichever queue has requests that take long borrows some, and gives them
 * back when it is done with them. Runs in: front, queue threads. Only taken lanes are touched, by their taker alone.
 */
#ifndef FRONT_LANE_POOL_H
#define FRONT_LANE_POOL_H

struct lane;

/* The lanes to lend, for ever. Before there are threads. */
void lane_pool_init(struct lane **lanes, unsigned n);
/* A lane that nobody has, or NULL. The taker sees to it that it leads to the present worker (lane_adopt()). */
struct lane *lane_pool_take(void);
/* Nothing is on it. */
void lane_pool_give(struct lane *);

#endif
