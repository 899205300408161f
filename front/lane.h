/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane as its owning queue thread sees it: the socket, the message being built, what is out, and the arena's pages.
 * Runs in: front, one queue thread; no locks.
 */
#ifndef FRONT_LANE_H
#define FRONT_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/mailbox.h"
#include "proto/rpc.h"

#define ARENA_PAGE 4096u
#define ARENA_PAGES (RPC_ARENA_SIZE / ARENA_PAGE)

struct lane {
	unsigned index;
	_Atomic bool taken; /* lane_pool.c */
	int sock;
	uint8_t *arena;
	struct rpc_builder b;
	uint8_t tx_msg; /* which message b will be */
	unsigned inflight; /* requests sent and not answered */
	struct mailbox_end mail;
	uint32_t posted; /* messages to this worker */
	uint64_t used_ns; /* when something was sent last */
	uint64_t heard_ns, done_ns; /* when something was answered last; a message to its end */
	uint16_t cpu; /* where the worker's thread ran when it answered last */
	bool awake; /* what the mailbox says of us */
	/* Messages out. Their bytes stay until all is answered: the next worker may have to hear them again. */
	uint8_t *tx[RPC_UNANSWERED_MAX]; /* RPC_MSG_MAX each */
	uint64_t sent_ns[RPC_UNANSWERED_MAX]; /* CLOCK_MONOTONIC */
	uint32_t nth[RPC_UNANSWERED_MAX]; /* which of all messages to this worker */
	uint16_t total[RPC_UNANSWERED_MAX]; /* requests in it */
	uint16_t left[RPC_UNANSWERED_MAX]; /* not yet answered; 0 = free */
	uint64_t used[ARENA_PAGES / 64]; /* a bit a page */
	unsigned used_pages;

	/* The worker's death (front/restart.c, front/replay.c) */
	uint32_t incarnation; /* of the worker at the other end */
	bool dead; /* read to its end: wait for the next worker */
	bool lied; /* dead because of what its worker said */
	bool replaying; /* one by one; nothing new meanwhile */
	uint8_t replay_msg; /* where in tx[] the replay is */
	uint32_t replay_at;
	uint8_t *replay_tx; /* RPC_MSG_MAX */
	_Atomic uint64_t next; /* from the monitor: incarnation << 32 | socket + 1; 0 = none */

	/* For the watch: since when the oldest request waits (CLOCK_MONOTONIC ns, 0 = none), and which op it is. */
	_Atomic uint64_t waiting_since;
	_Atomic uint16_t waiting_op;
};

/* A lane on sock and LANE_MEMORY_SIZE bytes at arena (both from the monitor, checked). NULL when out of memory. */
struct lane *lane_new(unsigned index, int sock, uint8_t *arena);

/* Take len bytes (> 0) of the arena. Returns 0 and *off, or -EAGAIN. */
int lane_arena_get(struct lane *, uint32_t len, uint32_t *off) ATTR_MUSTCHECK;
void lane_arena_put(struct lane *, uint32_t off, uint32_t len);

/* Is there a message to add to: one begun, or room for another? False while the lane is dead or replays. */
bool lane_has_room(const struct lane *);
/* Begin a message if none is; lane_has_room() was true. */
void lane_begin(struct lane *);

/*
 * Hand what tx[i] holds, or a part of it, to the worker, by the mailbox or the socket. A worker that is gone shows at the
 * next receive.
 */
bool lane_post(struct lane *, uint8_t i, const void *msg, size_t len);
/* Look at the mailbox from now on; or only at the socket, unless (false) something has come. */
void lane_awake(struct lane *);
bool lane_asleep(struct lane *) ATTR_MUSTCHECK;

/*
 * Send the message under construction, if any. If the worker is gone, the message counts as sent all the same: it is
 * unanswered, and the next worker will hear it. Returns false if the worker has closed its end.
 */
bool lane_send(struct lane *);

#endif
