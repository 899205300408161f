/* SPDX-License-Identifier: BSD-3-Clause */
/* A lane's mailbox (proto/mailbox.h) as one of its two ends sees it. Runs in: front, worker; one thread an end. */
#ifndef COMMON_MAILBOX_H
#define COMMON_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "proto/mailbox.h"

struct mailbox_end {
	struct mailbox_half *out, *in; /* NULL: there is none, the socket carries everything */
	uint32_t sent, taken; /* ours of out, and of in */
	uint32_t letters_sent, letters_seen;
	uint32_t heard; /* of in */
};

/* memory: MAILBOX_SIZE bytes, or NULL. front: which end this is. */
void mailbox_init(struct mailbox_end *, void *memory, bool front);
/* Front's end, when there is a new worker: empty, and both ends asleep. */
void mailbox_reset(struct mailbox_end *);

/*
 * Put a message of len bytes. Returns 0; 1 if the receiver may have fallen asleep without seeing it and must be woken
 * by mailbox_bell(); -EAGAIN if it is for the socket to carry.
 */
int mailbox_put(struct mailbox_end *, const void *msg, size_t len) ATTR_MUSTCHECK;
/* A message was sent over the socket instead. */
void mailbox_letter(struct mailbox_end *);
/* The message on the socket that says "look into the mailbox". Fills a message of sizeof(struct rpc_batch) bytes. */
void mailbox_bell(struct rpc_batch *);
static inline bool
mailbox_is_bell(size_t len)
{
	return len == sizeof(struct rpc_batch);
}

/* Is there something to take, in a slot; on the socket? Looks at memory, no more. */
static inline bool
mailbox_has(const struct mailbox_end *e)
{
	return e->in != NULL && __atomic_load_n(&e->in->sent, __ATOMIC_ACQUIRE) != e->taken;
}
static inline bool
mailbox_has_letter(const struct mailbox_end *e)
{
	return e->in != NULL &&
	    (int32_t)(__atomic_load_n(&e->in->letters, __ATOMIC_ACQUIRE) - e->letters_seen) > 0;
}

/*
 * Copy the next message out, if there is one, into size bytes. Returns its length, 0 if there is none, -EPROTO if the
 * sender breaks the rules.
 */
ssize_t mailbox_take(struct mailbox_end *, void *buf, size_t size) ATTR_MUSTCHECK;
/* The socket gave a message, or (none) had nothing in spite of mailbox_has_letter(). */
void mailbox_seen(struct mailbox_end *, bool none);

/* A message was received, on whichever way. */
void mailbox_hear(struct mailbox_end *);
/*
 * Has the other side received the nth message that was sent to it (from 1, both ways counted)? A hint: one way may have
 * overtaken the other, and the other side may lie.
 */
bool mailbox_heard(const struct mailbox_end *, uint32_t nth);

/* Say that we look at the mailbox from now on. */
void mailbox_wake(struct mailbox_end *);
/*
 * Say that we do not. Returns false if something came meanwhile: then we are still awake. After true only the socket
 * brings news.
 */
bool mailbox_sleep(struct mailbox_end *) ATTR_MUSTCHECK;

#endif
