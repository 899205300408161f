/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending on one lane and keeping its arena. At most RPC_UNANSWERED_MAX messages are out on a lane: they fit the
 * socket's queue, so neither side ever blocks in send. Runs in: front, the queue thread that owns the lane.
 */
#include "front/lane.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/clock.h"
#include "common/msg.h"

struct lane *
lane_new(unsigned index, int sock, uint8_t *arena)
{
	const size_t size = (RPC_UNANSWERED_MAX + 1) * (size_t)RPC_MSG_MAX;
	struct lane *l = calloc(1, sizeof(*l));
	uint8_t *p;

	if (l == NULL)
		return NULL;
	/* Pages that are never touched cost nothing. */
	p = mmap(
	    NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		free(l);
		return NULL;
	}
	for (unsigned i = 0; i < RPC_UNANSWERED_MAX; i++)
		l->tx[i] = p + i * (size_t)RPC_MSG_MAX;
	l->replay_tx = p + RPC_UNANSWERED_MAX * (size_t)RPC_MSG_MAX;
	l->index = index;
	l->sock = sock;
	l->arena = arena;
	mailbox_init(&l->mail, arena != NULL ? arena + RPC_ARENA_SIZE : NULL, true);
	return l;
}

static bool
page_used(const struct lane *l, unsigned page)
{
	return (l->used[page / 64] >> (page % 64) & 1) != 0;
}

static void
mark(struct lane *l, unsigned first, unsigned n, bool used)
{
	for (unsigned p = first; p < first + n; p++) {
		if (used)
			l->used[p / 64] |= UINT64_C(1) << (p % 64);
		else
			l->used[p / 64] &= ~(UINT64_C(1) << (p % 64));
	}
}

int
lane_arena_get(struct lane *l, uint32_t len, uint32_t *off)
{
	unsigned need = (len + ARENA_PAGE - 1) / ARENA_PAGE, run = 0;

	if (need == 0 || need > ARENA_PAGES - l->used_pages)
		return -EAGAIN;
	/* First fit: small arenas, few extents; the low pages stay warm. */
	for (unsigned p = 0; p < ARENA_PAGES; p++) {
		run = page_used(l, p) ? 0 : run + 1;
		if (run == need) {
			mark(l, p + 1 - need, need, true);
			l->used_pages += need;
			*off = (p + 1 - need) * ARENA_PAGE;
			return 0;
		}
	}
	return -EAGAIN;
}

void
lane_arena_put(struct lane *l, uint32_t off, uint32_t len)
{
	unsigned n = (len + ARENA_PAGE - 1) / ARENA_PAGE;

	mark(l, off / ARENA_PAGE, n, false);
	l->used_pages -= n;
}

bool
lane_has_room(const struct lane *l)
{
	if (l->dead || l->replaying)
		return false;
	if (l->b.count > 0)
		return true;
	for (unsigned i = 0; i < RPC_UNANSWERED_MAX; i++)
		if (l->left[i] == 0)
			return true;
	return false;
}

void
lane_begin(struct lane *l)
{
	if (l->b.count > 0)
		return;
	for (l->tx_msg = 0; l->left[l->tx_msg] != 0;)
		l->tx_msg++;
	rpc_begin(&l->b, l->tx[l->tx_msg]);
}

void
lane_awake(struct lane *l)
{
	if (!l->awake)
		mailbox_wake(&l->mail);
	l->awake = true;
}

bool
lane_asleep(struct lane *l)
{
	if (l->awake && !mailbox_sleep(&l->mail))
		return false;
	l->awake = false;
	return true;
}

bool
lane_post(struct lane *l, uint8_t i, const void *msg, size_t len)
{
	struct rpc_batch bell;
	int r;

	l->nth[i] = ++l->posted;
	lane_awake(l);
	r = mailbox_put(&l->mail, msg, len);
	if (r == 0)
		return true;
	if (r > 0) {
		mailbox_bell(&bell);
		r = msg_send(l->sock, &bell, sizeof(bell), NULL, 0, 0);
	} else {
		r = msg_send(l->sock, msg, len, NULL, 0, 0);
		mailbox_letter(&l->mail);
	}
	return r == 0;
}

bool
lane_send(struct lane *l)
{
	struct rpc_batch *head;
	size_t n;

	if (l->b.count == 0 || (n = rpc_finish(&l->b)) == 0)
		return true;
	head = (void *)l->tx[l->tx_msg];
	head->cpu = (uint16_t)sched_getcpu();
	l->used_ns = l->sent_ns[l->tx_msg] = clock_ns();
	l->total[l->tx_msg] = l->left[l->tx_msg] = l->b.count;
	if (l->inflight == 0) {
		atomic_store_explicit(&l->waiting_op, rpc_first(head)->op, memory_order_relaxed);
		atomic_store_explicit(
		    &l->waiting_since, l->sent_ns[l->tx_msg], memory_order_relaxed);
	}
	l->inflight += l->b.count;
	l->b.count = 0;
	return lane_post(l, l->tx_msg, head, n);
}
