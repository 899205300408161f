/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lanes of one queue: which lane a request takes, batching, and matching replies to requests.
 *
 * Packing: while requests are served fast, a queue fills its own lane, so that a batch costs one message and one wake-up;
 * when the average service time says that they block (cold disk, NFS), or its lane is silent for long, it borrows more and
 * spreads them.
 *
 * Runs in: front, the queue's thread. Replies are written by the worker, which may be hostile: one that breaks the
 * protocol, or answers what was not asked, is a lie. Nothing follows from it, the lane is not read any more, and the
 * monitor replaces the worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "front/fuse.h"
#include "front/lane_pool.h"
#include "front/pool.h"
#include "front/restart.h"

#define SLOW_NS 200000u /* a service time above this spreads */
#define STALL_NS 1000000u /* and so does a lane of which nothing is heard for so long */
#define CERTAIN_NS 1000000u /* nothing is that long but because it waits */
#define SPREAD_NS 50000000u /* for so long */
/* A message of replies, the lanes of a new worker, the fds of all rings, and some more. */
#define FDS_RESERVED (RPC_BATCH_MAX + RPC_LANES_MAX + 3 * NQUEUES + 61)
#define KEEP_NS 20000000u /* for so long a borrowed lane is kept that has nothing to do */

static uint64_t fds_end = UINT64_MAX; /* numbers from here on are not for files of the guest */

static uint64_t
tag_of(const struct request *r)
{
	return (uint64_t)r->seq << 32 | r->q->index << 16 | r->slot;
}

/* The request that a tag of this queue's means, or NULL. Lanes change hands, so the queue is part of it. */
static struct request *
request_of(struct queue *q, uint64_t tag)
{
	const uint32_t slot = (uint32_t)tag & 0xffff;
	struct request *r;

	if (slot >= SLOTS_MAX || ((uint32_t)tag >> 16) != q->index)
		return NULL;
	r = &q->slots[slot];
	return r->seq == tag >> 32 ? r : NULL;
}

static uint64_t
turn_now(struct queue *q)
{
	if (q->turn_ns == 0)
		q->turn_ns = clock_ns();
	return q->turn_ns;
}

unsigned
lanes_inflight(const struct queue *q)
{
	unsigned n = 0;

	for (unsigned i = 0; i < q->nlanes; i++)
		n += q->lane[i]->inflight + q->lane[i]->b.count;
	return n;
}

/* The lane with the least on it that can take one more, or NULL. */
static struct lane *
least_loaded(struct queue *q)
{
	struct lane *best = NULL;

	for (unsigned i = 0; i < q->nlanes; i++) {
		struct lane *l = q->lane[i];

		if (lane_has_room(l) &&
		    (best == NULL || l->inflight + l->b.count < best->inflight + best->b.count))
			best = l;
	}
	return best;
}

static struct lane *
borrow(struct queue *q)
{
	struct lane *l;

	if (q->nlanes == q->lanes_max || (l = lane_pool_take()) == NULL)
		return NULL;
	lane_adopt(q, l);
	q->lane[q->nlanes++] = l;
	return l;
}

/*
 * Shall the queue be spread? What takes long because it waits does not take longer beside others; what takes long because
 * there is much to do does, on the same CPUs and for the locks of the same directory. So how long requests take is learnt
 * on one lane alone, and a spread ends after a while, to be justified again, unless it takes so long that it can only wait.
 */
static bool
is_spread(struct queue *q)
{
	if (q->service_ns >= SLOW_NS) {
		q->spread_until = turn_now(q) + SPREAD_NS;
		q->service_ns = 0;
	}
	if (q->spread_until != 0 && turn_now(q) >= q->spread_until)
		q->spread_until = 0;
	return q->spread_until != 0;
}

/* Would something new on this lane have to wait for something that waits? */
static bool
is_slow(struct queue *q, const struct lane *l)
{
	uint64_t since;

	if (is_spread(q))
		return true;
	since = atomic_load_explicit(&l->waiting_since, memory_order_relaxed);
	return l->inflight > 0 && since != 0 && turn_now(q) > MAX(since, l->heard_ns) + STALL_NS;
}

static struct lane *
choose(struct queue *q)
{
	struct lane *l = q->lane[0];

	if (lane_has_room(l) && (q->lanes_max == 1 || !is_slow(q, l)))
		return l;
	l = least_loaded(q);
	/* Not behind others, while there is a way around them. */
	if (l == NULL || l->inflight + l->b.count > 0) {
		struct lane *more = borrow(q);

		if (more != NULL && lane_has_room(more))
			return more;
	}
	return l;
}

void
lanes_give_back(struct queue *q)
{
	unsigned kept = 1;

	if (q->nlanes == 1)
		return;
	for (unsigned i = 1; i < q->nlanes; i++) {
		struct lane *l = q->lane[i];

		if (l->inflight + l->b.count > 0 || l->dead || l->replaying ||
		    turn_now(q) < l->used_ns + KEEP_NS)
			q->lane[kept++] = l;
		else
			lane_pool_give(l);
	}
	q->nlanes = kept;
}

/* Add to this lane, which has room. Returns the element, or NULL when the batch or arena is full. */
static void *
add_to(struct lane *l, struct request *r, uint16_t op, uint32_t alen, const void *x, size_t nx,
    const char *n1, size_t l1, const char *n2, size_t l2)
{
	struct rpc_hdr *h;
	uint32_t aoff = 0;

	if (alen > 0 && lane_arena_get(l, alen, &aoff) != 0)
		return NULL;
	lane_begin(l);
	h = rpc_add(&l->b, RPC_REQUEST, op, tag_of(r), x, nx, n1, l1, n2, l2);
	if (h == NULL) {
		if (alen > 0)
			lane_arena_put(l, aoff, alen);
		return NULL;
	}
	h->aoff = r->aoff = aoff;
	h->alen = r->alen = alen;
	r->lane = l;
	r->msg = l->tx_msg;
	r->deaths = 0;
	r->on_wire = true;
	return h;
}

/*
 * Put a request for r into a batch, waiting on the lanes for room if need be. alen: bytes of arena wanted. *hdr_out: the
 * element, to be filled in at once. Returns 0, or -EINVAL for parts that no message can hold.
 */
int
lanes_add(struct request *r, uint16_t op, lane_done done, uint32_t alen, const void *x, size_t nx,
    const char *n1, size_t l1, const char *n2, size_t l2, void *hdr_out)
{
	struct queue *q = r->q;
	void *h = NULL;

	if (alen > RPC_IO_MAX || l1 > RPC_TARGET_MAX || l2 > RPC_TARGET_MAX ||
	    nx > rpc_op(op)->xmax)
		return -EINVAL;
	while (h == NULL) {
		struct lane *l = choose(q);

		if (l != NULL) {
			h = add_to(l, r, op, alen, x, nx, n1, l1, n2, l2);
			if (h != NULL)
				break;
			lane_send(l);
			if (lane_has_room(l) &&
			    (h = add_to(l, r, op, alen, x, nx, n1, l1, n2, l2)) != NULL)
				break;
		}
		lanes_wait(q);
	}
	r->op = op;
	r->done = done;
	memcpy(hdr_out, &h, sizeof(h));
	return 0;
}

void
lanes_flush(struct queue *q)
{
	for (unsigned i = 0; i < q->nlanes; i++)
		if (!q->lane[i]->dead && !q->lane[i]->replaying && !lane_send(q->lane[i]))
			restart_broken(q->lane[i], BROKEN_CLOSED);
}

static bool
is_alone(const struct queue *q, const struct lane *l)
{
	for (unsigned i = 0; i < q->nlanes; i++)
		if (q->lane[i] != l && q->lane[i]->inflight > 0)
			return false;
	return true;
}

/* A message is answered to its end: learn how long a request of it took, when it was its turn. */
static void
learn(struct queue *q, struct lane *l, uint8_t msg)
{
	const uint64_t now = clock_ns();
	const uint64_t each = (now - MAX(l->sent_ns[msg], l->done_ns)) / l->total[msg];
	int64_t diff;

	l->done_ns = now;
	/* Beside others it may be long because of them. */
	if (!is_alone(q, l))
		return;
	if (each >= CERTAIN_NS) {
		/* Once may be the journal of a file system, for which all wait. */
		if (q->certain)
			q->spread_until = MAX(q->spread_until, now + SPREAD_NS);
		q->certain = true;
		return;
	}
	q->certain = false;
	diff = (int64_t)MIN(each, 2 * SLOW_NS) - q->service_ns;
	q->service_ns = (uint32_t)(q->service_ns + diff / 8);
}

/*
 * Is this no regular file? Without asking a server: the type never changes, and about the size it will do what is known here.
 * Closes it, and says no, if this process may not even look: a FUSE file system of the host shows nothing to other users
 * than who mounted it. The worker serves it then.
 */
static bool
is_no_file(int *fd, uint64_t *size)
{
	struct statx st;

	if (statx(*fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &st) ==
	    -1) {
		fd_close(fd);
		return false;
	}
	*size = st.stx_size;
	return !S_ISREG(st.stx_mode);
}

void
lanes_note_oldest(struct queue *q, struct lane *l)
{
	uint64_t oldest = 0;
	uint16_t op = 0;

	for (uint8_t i = 0; i < RPC_UNANSWERED_MAX; i++) {
		if (l->left[i] == 0 || (oldest != 0 && l->sent_ns[i] >= oldest))
			continue;
		for (struct rpc_hdr *h = rpc_first(l->tx[i]); h != NULL;
		     h = rpc_next(l->tx[i], h)) {
			const struct request *r = lanes_outstanding(q, l, i, h);

			/* What is to be sent again waits for nobody yet. */
			if (r != NULL && r->on_wire) {
				oldest = l->sent_ns[i];
				op = h->op;
				break;
			}
		}
	}
	atomic_store_explicit(&l->waiting_op, op, memory_order_relaxed);
	atomic_store_explicit(&l->waiting_since, oldest, memory_order_relaxed);
}

struct request *
lanes_outstanding(struct queue *q, struct lane *l, uint8_t msg, const struct rpc_hdr *h)
{
	struct request *r = request_of(q, h->tag);

	return r != NULL && r->lane == l && r->msg == msg ? r : NULL;
}

/* The request has its reply: account for it, let it go on, and give its arena back. */
static void
answer(struct queue *q, struct request *r, const struct rpc_hdr *h, int fd)
{
	struct lane *l = r->lane;
	uint32_t aoff = r->aoff, alen = r->alen;

	if (--l->left[r->msg] == 0 && !l->dead && !l->replaying)
		learn(q, l, r->msg);
	l->inflight--;
	r->lane = NULL;
	r->done(r, l, h, fd);
	if (alen > 0)
		lane_arena_put(l, aoff, alen);
}

void
lanes_fail(struct queue *q, struct request *r, int error)
{
	const struct rpc_hdr h = { .len = sizeof(h), .op = r->op, .error = error };

	answer(q, r, &h, -1);
}

/* Takes over fd. Returns NULL or the lie. */
static const char *
take_reply(struct queue *q, struct lane *l, const struct rpc_hdr *h, int fd)
{
	struct request *r = request_of(q, h->tag);
	const char *lie = NULL;

	/* A request that is to be sent again is not on the wire: nobody can answer it. */
	if (r == NULL || r->lane != l || r->op != h->op || l->left[r->msg] == 0 || !r->on_wire)
		lie = "a reply to what was not asked";
	else if (fd != -1 && is_no_file(&fd, &r->fd_size))
		lie = "an fd of something that is no regular file";
	else
		lie = reply_lie(r, l, h);
	if (lie != NULL)
		fd_close(&fd);
	else
		answer(q, r, h, fd);
	return lie;
}

void
lanes_reserve_fds(uint64_t limit)
{
	fds_end = limit > 2 * FDS_RESERVED ? limit - FDS_RESERVED : limit / 2;
}

/* An fd of a file for this process, if there is room for one; else the worker serves the file. */
static void
keep_room(int *fd)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;

	if (*fd < 0 || (uint64_t)*fd < fds_end)
		return;
	fd_close(fd);
	if (!atomic_flag_test_and_set(&said))
		log_warn("too many open files: the worker process reads and writes more of them, "
			 "which is slower (--rlimit-nofile)");
}

static const char *
take_message(struct queue *q, struct lane *l, size_t n, int *fds, size_t nfds, bool lost)
{
	const char *lie = NULL;
	size_t next_fd = 0;

	if (rpc_check(RPC_REPLY, q->rx, n, lost ? RPC_FDS_LOST : nfds) != 0)
		return "a malformed message";
	l->cpu = ((const struct rpc_batch *)q->rx)->cpu;
	l->heard_ns = turn_now(q);
	for (struct rpc_hdr *h = rpc_first(q->rx); lie == NULL && h != NULL;
	     h = rpc_next(q->rx, h)) {
		int fd = -1;

		/* Fds arrive in order; those the kernel could not deliver are the last ones. */
		if ((h->flags & RPC_F_FD) != 0 && next_fd < nfds)
			fd = fd_take(&fds[next_fd++]);
		keep_room(&fd);
		lie = take_reply(q, l, h, fd);
	}
	return lie == NULL && next_fd < nfds ? "fds that belong to nothing" : lie;
}

static void
condemn(struct lane *l, const char *lie)
{
	static struct log_limit limit;

	if (log_limit(&limit))
		log_error("lane %u: the worker sent %s", l->index, lie);
	l->dead = l->lied = true;
	restart_broken(l, BROKEN_LIE);
}

/* Take one message from the lane's socket if there is one; at the end of the worker the lane is dead. */
static bool
take_letter(struct queue *q, struct lane *l)
{
	int fds[RPC_BATCH_MAX], lost = 0;
	const char *lie;
	size_t nfds;
	ssize_t n;

	/* A worker that dies with messages unread is reported once, before what it sent. */
	do {
		nfds = RPC_BATCH_MAX;
		n = msg_recv(l->sock, q->rx, RPC_MSG_MAX, fds, &nfds, &lost, MSG_DONTWAIT);
	} while (n == -ECONNRESET);
	if (n == -EAGAIN) {
		mailbox_seen(&l->mail, true);
		return false;
	}
	if (n == 0) {
		l->dead = true;
		restart_broken(l, BROKEN_CLOSED);
		return false;
	}
	if (n < 0)
		lie = "an unreadable message";
	else if (mailbox_is_bell((size_t)n) && nfds == 0)
		return true;
	else {
		mailbox_seen(&l->mail, false);
		lie = take_message(q, l, (size_t)n, fds, nfds, lost != 0);
		fd_close_all(fds, nfds);
	}
	if (lie != NULL)
		condemn(l, lie);
	return true;
}

/* Take one message from the lane's mailbox if there is one. */
static bool
take_mail(struct queue *q, struct lane *l)
{
	ssize_t n = l->lied ? 0 : mailbox_take(&l->mail, q->rx, RPC_MSG_MAX);
	const char *lie = NULL;

	if (n < 0)
		lie = "an unreadable message";
	else if (n > 0)
		lie = take_message(q, l, (size_t)n, NULL, 0, false);
	if (lie != NULL)
		condemn(l, lie);
	return n > 0 && lie == NULL;
}

void
lanes_drain(struct queue *q, struct lane *l)
{
	while (!l->dead && take_letter(q, l))
		continue;
	while (take_mail(q, l))
		continue;
}

/* Take what is there; letters: the socket has something, whatever the mailbox says of it. */
static bool
reap(struct queue *q, struct lane *l, bool letters)
{
	const unsigned before = l->inflight;

	while (!l->dead && l->inflight > 0) {
		if (letters || mailbox_has_letter(&l->mail)) {
			letters = false;
			take_letter(q, l);
		} else if (!take_mail(q, l))
			break;
		if (l->replaying && !l->dead)
			lane_replay_next(q, l);
	}
	if (l->inflight != before)
		lanes_note_oldest(q, l);
	return l->inflight != before;
}

void
lanes_stand_still(struct queue *q)
{
	for (unsigned i = 0; i < q->nlanes; i++)
		atomic_store_explicit(&q->lane[i]->waiting_since, 0, memory_order_relaxed);
}

void
lanes_go_on(struct queue *q)
{
	lanes_reap(q);
	for (unsigned i = 0; i < q->nlanes; i++)
		lanes_note_oldest(q, q->lane[i]);
}

bool
lanes_reap(struct queue *q)
{
	bool any = false;

	for (unsigned i = 0; i < q->nlanes; i++)
		any |= reap(q, q->lane[i], false);
	return any;
}

bool
lanes_look(const struct queue *q)
{
	for (unsigned i = 0; i < q->nlanes; i++) {
		const struct lane *l = q->lane[i];

		if (l->inflight > 0 && !l->dead &&
		    (mailbox_has(&l->mail) || mailbox_has_letter(&l->mail)))
			return true;
	}
	return false;
}

int
lanes_sleep(struct queue *q, struct lanes_sleep *s)
{
	s->n = 0;
	for (unsigned i = 0; i < q->nlanes; i++) {
		struct lane *l = q->lane[i];

		if (l->inflight == 0 || l->dead)
			continue;
		if (!lane_asleep(l)) {
			lanes_woken(q, s);
			return -EAGAIN;
		}
		s->lane[s->n] = l;
		s->fd[s->n++] = (struct pollfd){ .fd = l->sock, .events = POLLIN };
	}
	return 0;
}

void
lanes_woken(struct queue *q, struct lanes_sleep *s)
{
	for (nfds_t i = 0; i < s->n; i++) {
		lane_awake(s->lane[i]);
		reap(q, s->lane[i], s->fd[i].revents != 0);
	}
}

/* Send what is built and sleep until some lane has answered, or there is a new worker. */
void
lanes_wait(struct queue *q)
{
	struct lanes_sleep s;
	struct pollfd *revive;

	lanes_flush(q);
	if (lanes_reap(q) || lanes_sleep(q, &s) != 0)
		return;
	revive = &s.fd[s.n];
	*revive = (struct pollfd){ .fd = q->revive_fd, .events = POLLIN };
	if (ppoll(s.fd, s.n + 1, NULL, NULL) == -1 && errno != EINTR)
		fatal("ppoll");
	q->turn_ns = 0;
	lanes_woken(q, &s);
	if (revive->revents != 0)
		lanes_revive(q);
}
