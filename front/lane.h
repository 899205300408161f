/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane as its owning queue thread sees it: the socket, the message being built, what is out, and the arena's pages.
 * Runs in: front, one queue thread; no locks.
 */
#ifndef FRONT_LANE_H
#define FRONT_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "proto/rpc.h"

#define ARENA_PAGE 4096u
#define ARENA_PAGES (RPC_ARENA_SIZE / ARENA_PAGE)

struct lane {
	unsigned index;
	int sock;
	uint8_t *arena;
	struct rpc_builder b;
	uint8_t *tx; /* RPC_MSG_MAX, b's buffer */
	uint8_t tx_msg; /* which of left[] b will be */
	unsigned inflight; /* requests sent and not answered */
	uint64_t sent_ns[RPC_UNANSWERED_MAX]; /* CLOCK_MONOTONIC */
	uint16_t total[RPC_UNANSWERED_MAX]; /* requests in each message out */
	uint16_t left[RPC_UNANSWERED_MAX]; /* not yet answered; 0 = free */
	uint64_t used[ARENA_PAGES / 64]; /* a bit a page */
	unsigned used_pages;
};

/* A lane on sock and arena (both from the monitor, checked). NULL when out of memory. */
struct lane *lane_new(unsigned index, int sock, uint8_t *arena);

/* Take len bytes (> 0) of the arena. Returns 0 and *off, or -EAGAIN. */
int lane_arena_get(struct lane *, uint32_t len, uint32_t *off) ATTR_MUSTCHECK;
void lane_arena_put(struct lane *, uint32_t off, uint32_t len);

/* Is there a free message to build, and room in it? */
bool lane_has_room(const struct lane *);

/*
 * Send the message under construction, if any. Returns 0, or -EPIPE when the worker is gone.
 */
int lane_send(struct lane *) ATTR_MUSTCHECK;

#endif
