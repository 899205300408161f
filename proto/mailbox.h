/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mailbox: the short cut of a lane. While the receiver is awake and looking, a message that carries no fds is put
 * into a slot of shared memory instead of the lane's socket: that saves the four system calls of a round trip, which
 * cost more than all the rest of a small request. Everything else travels over the socket: fds, what a slot does not
 * hold, and all that is sent to a receiver that sleeps, who is woken by it. So the two orders mix; no request needs one.
 *
 * The memory follows the arena in its memfd, and both processes may write all of it at any time. Nothing in it is used
 * in place: the receiver copies a message once, into private memory, and only the copy is judged, as with recvmsg(2).
 * The counters of the other side are hints; each side keeps its own in private. All zero = empty, both asleep.
 */
#ifndef PROTO_MAILBOX_H
#define PROTO_MAILBOX_H

#include <assert.h>
#include <stdint.h>

#include "proto/rpc.h"

#define MAILBOX_SLOTS 4u
#define MAILBOX_SLOT_MAX 8256u /* 64 answers to GETATTR */

struct mailbox_slot {
	uint32_t len;
	uint32_t pad;
	uint8_t msg[MAILBOX_SLOT_MAX];
};

/* One direction. */
struct mailbox_half {
	/* the sender's */
	_Alignas(64) uint32_t sent; /* messages put into slots */
	uint32_t letters; /* messages sent over the socket */
	/* the receiver's */
	_Alignas(64) uint32_t taken; /* messages copied out of slots */
	uint32_t awake; /* looks at sent and letters */
	uint32_t heard; /* messages received, either way: what it may have begun to serve */
	_Alignas(64) struct mailbox_slot slot[MAILBOX_SLOTS];
};

struct mailbox {
	struct mailbox_half to_worker, to_front;
};

#define MAILBOX_SIZE ((sizeof(struct mailbox) + 4095) / 4096 * 4096)
/* The memfd of a lane: the arena, then the mailbox. */
#define LANE_MEMORY_SIZE (RPC_ARENA_SIZE + MAILBOX_SIZE)

static_assert(RPC_ARENA_SIZE % 64 == 0, "mailbox alignment");

#endif
