/* SPDX-License-Identifier: BSD-3-Clause */
/* A flag a lane; few lanes, seldom asked for. Runs in: front, queue threads. */
#include "front/lane_pool.h"

#include <stdatomic.h>
#include <stddef.h>

#include "front/lane.h"

static struct lane **lane;
static unsigned nlanes;

void
lane_pool_init(struct lane **lanes, unsigned n)
{
	lane = lanes;
	nlanes = n;
}

struct lane *
lane_pool_take(void)
{
	for (unsigned i = 0; i < nlanes; i++)
		if (!atomic_load_explicit(&lane[i]->taken, memory_order_relaxed) &&
		    !atomic_exchange_explicit(&lane[i]->taken, true, memory_order_acquire))
			return lane[i];
	return NULL;
}

void
lane_pool_give(struct lane *l)
{
	atomic_store_explicit(&l->taken, false, memory_order_release);
}
