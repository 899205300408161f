/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lane loop: one message of requests in, their replies out. A batch is answered by one message unless it takes long
 * or the replies do not fit. A message that breaks the protocol means that the front is compromised: the process ends.
 * Runs in: worker, lane threads. Messages written by: the front, hostile.
 */
#include "worker/serve.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "worker/crash.h"
#include "worker/handle.h"
#include "worker/ops.h"
#include "worker/resolve.h"
#include "worker/vaultc.h"

/*
 * A batch is answered in one message, which spares both sides a wake-up each time; but nobody waits longer than this for an
 * answer that is there.
 */
#define FLUSH_AFTER_NS 250000

static op_handler *const handlers[RPC_OP_END] = {
#define X(NAME, ...) [RPC_##NAME] = op_##NAME,
	RPC_OPS(X)
#undef X
};

struct lane *
serve_lane_new(unsigned nr, int sock, char *arena, void *journal)
{
	/* Pages that are never touched cost nothing. */
	const size_t size = ROUND_UP(sizeof(struct lane), 64) + 2 * (size_t)RPC_MSG_MAX +
	    LANE_SCRATCH_SIZE;
	struct lane *l;
	char *p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		fatal("mmap of a lane");
	l = (void *)p;
	p += ROUND_UP(sizeof(struct lane), 64);
	l->sock = sock;
	l->nr = nr;
	l->arena = arena;
	mailbox_init(&l->mail, arena + RPC_ARENA_SIZE, false);
	l->poll.max = ops_device()->busy_poll_us * 1000;
	place_init(&l->place, nr, l->poll.max);
	l->in = p;
	l->out_buf = p + RPC_MSG_MAX;
	l->scratch = p + 2 * (size_t)RPC_MSG_MAX;
	journal_attach(&l->journal, journal);
	return l;
}

/* The kernel did not pass the fds on: the replies go without them, and the files are served here. */
static void
keep_gifts(struct lane *l)
{
	for (unsigned i = 0; i < l->ngifts; i++) {
		struct lane_gift *g = &l->gift[i];

		g->reply->flags &= (uint16_t)~RPC_F_FD;
		if (g->fh == LANE_NO_HANDLE) {
			fd_close(&g->fd);
			continue;
		}
		/* Not cached for want of memory: the first request on it opens it again. */
		if (handle_add(g->fh, g->node, g->fd, false, false) != 0)
			log_debug("a handle was not cached");
	}
	l->ngifts = 0;
}

static void
crash_all(struct lane *l, const char *place)
{
#ifdef CRASH_POINTS
	for (const struct rpc_hdr *h = rpc_first(l->out_buf); h != NULL;
	     h = rpc_next(l->out_buf, (struct rpc_hdr *)h))
		crash_point(h, place);
#else
	(void)l;
	(void)place;
#endif
}

/* Send what is collected: by the short cut if no fds go with it. Returns what msg_send() says. */
static int
post(struct lane *l, size_t len, const int *fds, size_t nfds)
{
	struct rpc_batch bell;
	int r = nfds == 0 ? mailbox_put(&l->mail, l->out_buf, len) : -EAGAIN;

	if (r == 0)
		return 0;
	if (r > 0) {
		mailbox_bell(&bell);
		return msg_send(l->sock, &bell, sizeof(bell), NULL, 0, 0);
	}
	r = msg_send(l->sock, l->out_buf, len, fds, nfds, 0);
	mailbox_letter(&l->mail);
	return r;
}

static void
lane_flush(struct lane *l)
{
	int fds[RPC_BATCH_MAX];
	size_t len;
	int r;

	vault_flush(l);
	len = rpc_finish(&l->out);
	if (len == 0)
		return;
	((struct rpc_batch *)l->out_buf)->cpu = (uint16_t)sched_getcpu();
	for (unsigned i = 0; i < l->ngifts; i++)
		fds[i] = l->gift[i].fd;
	crash_all(l, "before-reply");
	r = post(l, len, fds, l->ngifts);
	if (r == -ETOOMANYREFS && l->ngifts > 0) {
		keep_gifts(l);
		r = post(l, len, NULL, 0);
	}
	fd_close_all(fds, l->ngifts);
	l->ngifts = 0;
	/* A front that is gone shows at the next receive. */
	if (r != 0 && r != -EPIPE && r != -ECONNRESET)
		fatalx("lane %u: send failed (%d)", l->nr, r);
	crash_all(l, "after-reply");
	rpc_begin(&l->out, l->out_buf);
}

void *
lane_reply_name(struct lane *l, const struct rpc_hdr *h, const char *name, size_t len)
{
	void *reply = rpc_add(&l->out, RPC_REPLY, h->op, h->tag, NULL, 0, name, len, NULL, 0);

	if (reply == NULL) {
		lane_flush(l);
		reply = rpc_add(&l->out, RPC_REPLY, h->op, h->tag, NULL, 0, name, len, NULL, 0);
	}
	if (reply == NULL)
		fatalx("lane %u: a reply larger than a message", l->nr);
	return reply;
}

void *
lane_reply(struct lane *l, const struct rpc_hdr *h)
{
	return lane_reply_name(l, h, NULL, 0);
}

void
lane_donate(struct lane *l, void *reply, int fd, uint64_t node, uint64_t fh)
{
	struct rpc_hdr *h = reply;

	h->flags |= RPC_F_FD;
	l->gift[l->ngifts++] = (struct lane_gift){ .fd = fd, .reply = h, .node = node, .fh = fh };
}

static void
reply_error(struct lane *l, const struct rpc_hdr *h, int error)
{
	if (rpc_add_error(&l->out, h->op, h->tag, error) != NULL)
		return;
	lane_flush(l);
	if (rpc_add_error(&l->out, h->op, h->tag, error) == NULL)
		fatalx("lane %u: no room for an error", l->nr);
}

/* One request: 0 when its reply is made, else its error. */
static int
serve_one(struct lane *l, const struct rpc_hdr *h)
{
	const uint32_t flags = rpc_op(h->op)->flags;
	int r;

	if (ops_readonly() && (flags & RPC_OP_MUTATES) != 0 && (flags & RPC_OP_JUDGES) == 0)
		return -EROFS;
	r = handlers[h->op](l, h);
	/* It is not the guest's process that has too many files open. */
	return r == -EMFILE ? -ENFILE : r;
}

static void
serve_batch(struct lane *l)
{
	struct rpc_hdr *h, *next;
	int r;

	rpc_begin(&l->out, l->out_buf);
	journal_batch(&l->journal, rpc_first(l->in));
	if (inode_may_miss())
		resolve_batch(l->in);
	ops_ahead(l);
	for (h = rpc_first(l->in); h != NULL; h = next) {
		next = rpc_next(l->in, h);
		CRASH_POISON(h);
		r = serve_one(l, h);
		if (r < 0)
			reply_error(l, h, r);
		if (next != NULL && clock_ns() - l->began > FLUSH_AFTER_NS) {
			lane_flush(l);
			l->began = clock_ns();
		}
	}
	lane_flush(l);
}

/* The front has gone. The monitor closes the control socket when it has seen why: that ends this process. */
static void ATTR_NORETURN
park(void)
{
	for (;;)
		poll(NULL, 0, -1);
}

/* A message from the socket. A bell is none. */
static ssize_t
receive(struct lane *l, int flags)
{
	ssize_t n = msg_recv(l->sock, l->in, RPC_MSG_MAX, NULL, NULL, NULL, flags);

	if (n > 0 && mailbox_is_bell((size_t)n))
		return -EAGAIN;
	if (n > 0 || (n == -EAGAIN && (flags & MSG_DONTWAIT) != 0))
		mailbox_seen(&l->mail, n < 0);
	return n;
}

/* What is there already, or -EAGAIN. */
static ssize_t
take(struct lane *l)
{
	ssize_t n = mailbox_take(&l->mail, l->in, RPC_MSG_MAX);

	if (n != 0)
		return n;
	return mailbox_has_letter(&l->mail) ? receive(l, MSG_DONTWAIT) : -EAGAIN;
}

/* Look for the next message. Returns false if it is time to sleep. */
static bool
look(struct lane *l, struct poll_wait *w)
{
	do {
		for (unsigned i = poller_looks(place_is_near(&l->place)); i > 0; i--) {
			if (mailbox_has(&l->mail) || mailbox_has_letter(&l->mail))
				return true;
			poller_relax();
		}
	} while (poller_yield(&l->poll, w, false));
	return false;
}

static ssize_t
next_message(struct lane *l)
{
	struct poll_wait w = { 0 };
	ssize_t n;

	/* Until the front has spoken, the mailbox holds what a dead worker left. */
	if (!l->met) {
		n = receive(l, 0);
		l->met = n > 0;
		if (l->met)
			mailbox_wake(&l->mail);
		return n;
	}
	while ((n = take(l)) == -EAGAIN) {
		if (poller_may_look(&l->poll) && look(l, &w))
			continue;
		poller_sleep(&l->poll, &w);
		if (!mailbox_sleep(&l->mail))
			continue;
		n = receive(l, 0);
		mailbox_wake(&l->mail);
		if (n != -EAGAIN)
			break;
	}
	poller_learn(&l->poll, &w);
	return n;
}

void
serve_lane(struct lane *l)
{
	const struct rpc_batch *b = l->in;

	for (;;) {
		ssize_t n = next_message(l);
		uint64_t start;

		if (n == -ECONNRESET)
			continue;
		if (n == 0)
			park();
		if (n > 0)
			mailbox_hear(&l->mail);
		if (n < 0 || rpc_check(RPC_REQUEST, l->in, (size_t)n, 0) != 0)
			fatalx("lane %u: the front broke the protocol (%zd)", l->nr, n);
		start = clock_ns();
		place_front(&l->place, b->cpu);
		l->began = start;
		serve_batch(l);
		place_served(&l->place, b->count, start, clock_ns());
	}
}
