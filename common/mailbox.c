/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mailbox's protocol. Sleep and put are Dekker's: the receiver says "asleep", then looks once more; the sender
 * publishes, then looks whether the receiver is awake; a full fence between the two on both sides, so that one of them
 * sees the other. Runs in: front, worker. The other side, which may be hostile, writes in and out as it likes.
 */
#include "common/mailbox.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

static uint32_t
load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void
store(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

void
mailbox_init(struct mailbox_end *e, void *memory, bool front)
{
	struct mailbox *m = memory;

	memset(e, 0, sizeof(*e));
	if (m == NULL)
		return;
	e->out = front ? &m->to_worker : &m->to_front;
	e->in = front ? &m->to_front : &m->to_worker;
}

static void
reset_half(struct mailbox_half *h)
{
	store(&h->awake, 0);
	store(&h->sent, 0);
	store(&h->letters, 0);
	store(&h->taken, 0);
	store(&h->heard, 0);
}

void
mailbox_reset(struct mailbox_end *e)
{
	if (e->out == NULL)
		return;
	reset_half(e->out);
	reset_half(e->in);
	e->sent = e->taken = e->letters_sent = e->letters_seen = e->heard = 0;
}

int
mailbox_put(struct mailbox_end *e, const void *msg, size_t len)
{
	struct mailbox_half *h = e->out;
	struct mailbox_slot *s;

	if (h == NULL || len == 0 || len > MAILBOX_SLOT_MAX || load(&h->awake) == 0 ||
	    e->sent - load(&h->taken) >= MAILBOX_SLOTS)
		return -EAGAIN;
	s = &h->slot[e->sent % MAILBOX_SLOTS];
	memcpy(s->msg, msg, len);
	__atomic_store_n(&s->len, (uint32_t)len, __ATOMIC_RELAXED);
	store(&h->sent, ++e->sent);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load(&h->awake) == 0;
}

void
mailbox_letter(struct mailbox_end *e)
{
	if (e->out != NULL)
		store(&e->out->letters, ++e->letters_sent);
}

void
mailbox_bell(struct rpc_batch *b)
{
	*b = (struct rpc_batch){ .len = sizeof(*b), .cpu = (uint16_t)sched_getcpu() };
}

ssize_t
mailbox_take(struct mailbox_end *e, void *buf, size_t size)
{
	const struct mailbox_slot *s;
	uint32_t sent, len;

	if (e->in == NULL || (sent = load(&e->in->sent)) == e->taken)
		return 0;
	s = &e->in->slot[e->taken % MAILBOX_SLOTS];
	len = __atomic_load_n(&s->len, __ATOMIC_RELAXED);
	if (sent - e->taken > MAILBOX_SLOTS || len == 0 || len > MAILBOX_SLOT_MAX || len > size)
		return -EPROTO;
	memcpy(buf, s->msg, len);
	store(&e->in->taken, ++e->taken);
	return (ssize_t)len;
}

void
mailbox_seen(struct mailbox_end *e, bool none)
{
	if (e->in == NULL)
		return;
	e->letters_seen = none ? load(&e->in->letters) : e->letters_seen + 1;
}

void
mailbox_hear(struct mailbox_end *e)
{
	if (e->in != NULL)
		store(&e->in->heard, ++e->heard);
}

bool
mailbox_heard(const struct mailbox_end *e, uint32_t nth)
{
	return e->out == NULL || (int32_t)(load(&e->out->heard) - nth) >= 0;
}

void
mailbox_wake(struct mailbox_end *e)
{
	if (e->in != NULL)
		store(&e->in->awake, 1);
}

bool
mailbox_sleep(struct mailbox_end *e)
{
	if (e->in == NULL)
		return true;
	store(&e->in->awake, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!mailbox_has(e) && !mailbox_has_letter(e))
		return true;
	store(&e->in->awake, 1);
	return false;
}
