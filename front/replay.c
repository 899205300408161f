/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A new worker: each queue takes over the new sockets of its lanes and sends again what was unanswered, with the same tags
 * and the flag RPC_F_REPLAY, on the lane of the same number (whose journal page knows them). One request a message, the
 * next after its reply: a request that kills the worker again is alone on the wire then, and only what was on the
 * wire at two deaths is answered EIO. Runs in: front, queue threads.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "front/front.h"
#include "front/pool.h"
#include "front/restart.h"

void
lane_replay_next(struct queue *q, struct lane *l)
{
	for (; l->replay_msg < RPC_UNANSWERED_MAX; l->replay_msg++, l->replay_at = 0) {
		uint8_t *msg = l->tx[l->replay_msg];
		struct rpc_hdr *h;

		if (l->left[l->replay_msg] == 0)
			continue;
		h = l->replay_at == 0 ? rpc_first(msg) : (void *)(msg + l->replay_at);
		for (; h != NULL; h = rpc_next(msg, h)) {
			struct request *r = lanes_outstanding(q, l, l->replay_msg, h);
			struct rpc_batch *head = (void *)l->replay_tx;
			struct rpc_hdr *copy = rpc_first(head);

			if (r == NULL)
				continue;
			l->replay_at = (uint32_t)((uint8_t *)h - msg);
			if (r->on_wire)
				return;
			memcpy(copy, h, h->len);
			copy->flags |= RPC_F_REPLAY;
			head->len = (uint32_t)sizeof(*head) + h->len;
			head->count = 1;
			head->cpu = (uint16_t)sched_getcpu();
			r->on_wire = true;
			l->sent_ns[l->replay_msg] = clock_ns();
			if (!lane_post(l, l->replay_msg, head, head->len))
				restart_broken(l, BROKEN_CLOSED);
			return;
		}
	}
	l->replaying = false;
}

/*
 * Whether this took effect cannot be known: what the worker did with it was perhaps said behind a lie, and its entry in
 * the journal may have been used again since.
 */
static bool
is_unknowable(const struct lane *l, const struct request *r)
{
	return l->lied &&
	    ((rpc_op(r->op)->flags & RPC_OP_ONCE) != 0 ||
		(r->op == RPC_WRITE && (r->ioflags & RPC_IO_APPEND) != 0));
}

/*
 * All that the dead worker left: count its death against what it had received. What came too late for it, when death follows
 * death, has done nothing. (A worker that hides what it received is bounded by --worker-deaths.)
 */
static void
count_death(struct queue *q, struct lane *l, struct resumed *sum)
{
	for (uint8_t i = 0; i < RPC_UNANSWERED_MAX; i++) {
		if (l->left[i] == 0)
			continue;
		for (struct rpc_hdr *h = rpc_first(l->tx[i]); h != NULL;
		     h = rpc_next(l->tx[i], h)) {
			struct request *r = lanes_outstanding(q, l, i, h);
			bool was;

			if (r == NULL)
				continue;
			was = r->on_wire;
			r->on_wire = false;
			if (was && (l->lied || mailbox_heard(&l->mail, l->nth[i]))) {
				r->deaths++;
				sum->ops |= UINT64_C(1) << (r->op % 64);
			}
			if (r->deaths < 2 && !(was && is_unknowable(l, r))) {
				sum->replayed++;
				continue;
			}
			log_error("a %s request was in progress when %s: answered EIO",
			    rpc_op_name(r->op),
			    r->deaths < 2 ? "a worker lied" : "two workers died");
			sum->failed++;
			lanes_fail(q, r, -EIO);
		}
	}
}

static void
revive(struct queue *q, struct lane *l, uint64_t next, struct resumed *sum)
{
	/* What the dead worker still said counts, unless it lied; the monitor waited for its end. */
	lanes_drain(q, l);
	if (!l->dead)
		fatalx("lane %u: a new worker, but the old one has not ended", l->index);
	count_death(q, l, sum);
	mailbox_reset(&l->mail);
	l->posted = 0;
	l->awake = false;
	fd_close(&l->sock);
	l->sock = (int)(uint32_t)next - 1;
	l->incarnation = (uint32_t)(next >> 32);
	l->dead = l->lied = false;
	l->replaying = l->inflight > 0;
	l->replay_msg = 0;
	l->replay_at = 0;
	if (l->replaying)
		lane_replay_next(q, l);
	lanes_note_oldest(q, l);
}

void
lane_adopt(struct queue *q, struct lane *l)
{
	struct resumed sum = { 0 };
	uint64_t next = atomic_exchange(&l->next, 0);

	/* Nothing is on it: nothing to be sent again. */
	if (next != 0)
		revive(q, l, next, &sum);
}

void
lanes_revive(struct queue *q)
{
	struct resumed sum = { 0 };
	uint64_t buf;

	if (read(q->revive_fd, &buf, sizeof(buf)) == -1)
		return;
	for (unsigned i = 0; i < q->nlanes; i++) {
		struct lane *l = q->lane[i];
		uint64_t next = atomic_exchange(&l->next, 0);

		if (next != 0)
			revive(q, l, next, &sum);
	}
	sum.incarnation = q->lane[0]->incarnation;
	/* How long an average request took says nothing about the new worker. */
	q->service_ns = 0;
	restart_resumed(q, &sum);
}
