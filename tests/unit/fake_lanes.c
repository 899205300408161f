/* SPDX-License-Identifier: BSD-3-Clause */
/* See fake_lanes.h. Stands in for front/queue.c, front/lanes.c and front/pool.c; the arena is front/lane.c's. */
#include "tests/unit/fake_lanes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "front/fuse.h"
#include "front/nodes.h"
#include "front/pool.h"

struct fake fake;

static struct request *onlane[SLOTS_MAX];	/* in order */
static uint8_t *msg[SLOTS_MAX];			/* and what was sent for each */
static unsigned nonlane;
static uint64_t answer[RPC_MSG_MAX / 8];
static uint8_t *arena, *inbuf, *bulk;		/* made once */

#define REQUIRE(x)	do { if (!(x)) die(__LINE__, #x); } while (0)

static void
die(int line, const char *what)
{
	fprintf(stderr, "fake_lanes.c:%d: %s\n", line, what);
	abort();
}

static void *
need(void *p)
{
	REQUIRE(p != NULL);
	return p;
}

void
fake_start(uint32_t dev)
{
	static bool done;

	if (!done) {
		nodes_init();
		arena = need(calloc(1, LANE_MEMORY_SIZE));
		inbuf = need(malloc(REQUEST_MAX + 8));
		bulk = need(malloc(RPC_IO_MAX));
	}
	done = true;
	memset(&fake, 0, sizeof(fake));
	lock_owners_init(64, 256);
	fake.may_park = true;
	fake.s.dev.flags = dev;
	fake.lane = need(lane_new(0, -1, arena));
	fake.q.s = &fake.s;
	fake.q.lane = &fake.lane;
	fake.q.nlanes = 1;
	fake.q.inbuf = inbuf;
	fake.q.bulk = bulk;
	fake.q.slots = need(calloc(SLOTS_MAX, sizeof(*fake.q.slots)));
	for (unsigned i = SLOTS_MAX; i-- > 0;) {
		fake.q.slots[i].q = &fake.q;
		fake.q.slots[i].slot = i;
		fake.q.slots[i].next = fake.q.free;
		fake.q.free = &fake.q.slots[i];
	}
}

void
fake_stop(void)
{
	locks_wipe();
	forgets_flush(&fake.q);
	while (nonlane > 0)
		REQUIRE(fake_answer_error(-EIO));
	forgets_flush(&fake.q);
	while (nonlane > 0)
		REQUIRE(fake_answer_error(-EIO));
	/* Those of before wait for locks by now. */
	locks_wipe();
	REQUIRE(fake.live == 0);
	REQUIRE(fake.parked == 0);
	REQUIRE(fake.lane->used_pages == 0);
	session_wipe(&fake.s);
	free(fake.lane);
	free(fake.q.slots);
	free(fake.q.forgets);
	free(fake.reply);
	memset(&fake, 0, sizeof(fake));
}

static struct request *
slot_get(void)
{
	struct request *r = need(fake.q.free);

	fake.q.free = r->next;
	fake.live++;
	r->seq++;
	r->next = NULL;
	r->lane = NULL;
	r->internal = false;
	r->h = r->h2 = NULL;
	r->fd = -1;
	r->done_bytes = 0;
	return r;
}

struct request *
queue_internal_request(struct queue *q)
{
	struct request *r;

	REQUIRE(q == &fake.q);
	while (fake.q.free == NULL)
		REQUIRE(fake_answer_error(0) || fake_answer_error(-EIO));
	r = slot_get();
	r->internal = true;
	return r;
}

static void
free_segments(struct request *r)
{
	for (unsigned i = 0; i < (unsigned)r->chain.nread + r->chain.nwrite; i++)
		free(r->chain.iov[i].iov_base);
	free(r->chain.iov);
	r->chain.iov = NULL;
}

/* The chain is the guest's again: whoever touches it now is wrong, and ASan says so. */
void
request_finish(struct request *r, uint32_t len)
{
	REQUIRE(r->h == NULL && r->h2 == NULL);
	REQUIRE(r->lane == NULL);
	if (!r->internal) {
		uint8_t *p;

		REQUIRE(len <= r->chain.write_len);
		free(fake.reply);
		fake.reply = p = need(malloc(r->chain.write_len + 1));
		fake.room = r->chain.write_len;
		for (unsigned i = r->chain.nread; i < (unsigned)r->chain.nread + r->chain.nwrite; i++) {
			memcpy(p, r->chain.iov[i].iov_base, r->chain.iov[i].iov_len);
			p += r->chain.iov[i].iov_len;
		}
		fake.used = len;
		fake.finished++;
		free_segments(r);
	}
	REQUIRE(fake.live > 0);
	fake.live--;
	r->next = fake.q.free;
	fake.q.free = r;
}

void
pool_submit(struct request *r, void (*run)(struct request *))
{
	fake.pooled++;
	r->run = run;
	run(r);
}

void
pool_submit_begun(struct request *r, void (*run)(struct request *))
{
	fake.begun++;
	pool_submit(r, run);
}

bool
request_park(struct request *r)
{
	(void)r;
	if (!fake.may_park)
		return false;
	fake.parked++;
	return true;
}

/* A thread that waits for locks may be the one that says so: the rig has none. */
bool
request_unpark(struct request *r)
{
	REQUIRE(fake.parked > 0);
	fake.parked--;
	if (fake.guest_gone) {
		free_segments(r);
		r->internal = true;
	}
	return true;
}

void
request_return(struct request *r)
{
	fake.returned++;
	r->run(r);
}

_Bool
pace_fast(const struct pace *p)
{
	(void)p;
	return !fake.slow;
}

_Bool
pace_probe(struct pace *p)
{
	return pace_fast(p);
}

void
pace_probed(struct pace *p, uint64_t ns)
{
	pace_learn(p, ns);
}

void
pace_learn(struct pace *p, uint64_t ns)
{
	(void)p;
	(void)ns;
}

static void
drop_oldest(void)
{
	free(msg[0]);
	nonlane--;
	memmove(onlane, onlane + 1, nonlane * sizeof(onlane[0]));
	memmove(msg, msg + 1, nonlane * sizeof(msg[0]));
}

/* One message each. */
int
lanes_add(struct request *r, uint16_t op, lane_done done, uint32_t alen, const void *x, size_t nx,
    const char *n1, size_t l1, const char *n2, size_t l2, void *hdr_out)
{
	struct rpc_builder b;
	struct rpc_hdr *h;
	uint32_t aoff = 0;

	REQUIRE(r->lane == NULL && rpc_op(op) != NULL);
	if (alen > RPC_IO_MAX || l1 > RPC_TARGET_MAX || l2 > RPC_TARGET_MAX || nx > rpc_op(op)->xmax)
		return -EINVAL;
	while (alen > 0 && lane_arena_get(fake.lane, alen, &aoff) != 0)
		REQUIRE(fake_answer_error(-EIO));
	if (alen > 0)
		memset(arena + aoff, 0xdd, alen);
	msg[nonlane] = need(aligned_alloc(64, RPC_MSG_MAX));
	rpc_begin(&b, msg[nonlane]);
	h = need(rpc_add(&b, RPC_REQUEST, op, (uint64_t)r->seq << 32 | r->slot, x, nx, n1, l1, n2, l2));
	REQUIRE(rpc_finish(&b) != 0);
	h->aoff = r->aoff = aoff;
	h->alen = r->alen = alen;
	r->lane = fake.lane;
	r->op = op;
	r->done = done;
	onlane[nonlane++] = r;
	memcpy(hdr_out, &h, sizeof(h));
	return 0;
}

struct rpc_hdr *
fake_rpc(void)
{
	const struct rpc_batch *b = (const void *)msg[0];

	if (nonlane == 0)
		return NULL;
	REQUIRE(rpc_check(RPC_REQUEST, msg[0], b->len, 0) == 0);
	return rpc_first(msg[0]);
}

uint8_t *
fake_arena(void)
{
	return fake.lane->arena + fake_rpc()->aoff;
}

static bool
deliver(struct rpc_builder *b, int fd)
{
	struct request *r = onlane[0];
	uint32_t aoff = r->aoff, alen = r->alen;
	const struct rpc_hdr *h = rpc_first(answer);

	if (rpc_check(RPC_REPLY, answer, rpc_finish(b), fd >= 0) != 0)
		return false;
	fake.lie = reply_lie(r, fake.lane, h);
	if (fake.lie != NULL)
		return false;
	fake_rpc();
	drop_oldest();
	r->lane = NULL;
	r->done(r, fake.lane, h, fd);
	if (alen > 0)
		lane_arena_put(fake.lane, aoff, alen);
	return true;
}

bool
fake_answer(const void *body, size_t n, const char *name, size_t namelen, int fd)
{
	struct rpc_builder b;
	struct rpc_hdr *h;

	if (nonlane == 0)
		return false;
	rpc_begin(&b, answer);
	h = rpc_add(&b, RPC_REPLY, onlane[0]->op, 0, NULL, 0, name, namelen, NULL, 0);
	if (h == NULL || n != rpc_op(h->op)->reply - sizeof(*h))
		return false;
	if (n > 0)
		memcpy(h + 1, body, n);
	if (fd >= 0)
		h->flags = RPC_F_FD;
	return deliver(&b, fd);
}

bool
fake_answer_error(int error)
{
	struct rpc_builder b;

	if (nonlane == 0)
		return false;
	rpc_begin(&b, answer);
	need(rpc_add_error(&b, onlane[0]->op, 0, error));
	return deliver(&b, -1);
}

/* The length of segment i when left bytes remain. */
static size_t
cut(enum fake_split split, unsigned i, size_t left)
{
	static const size_t odd[] = { 3, 1, 35, 2, 13, 1, 8, 21, 5 };
	size_t n = left;

	if (i > 400)
		return left;
	switch (split) {
	case SPLIT_HEADER: n = i == 0 ? 40 : i == 1 ? 16 : left; break;
	case SPLIT_ODD: n = i < sizeof(odd) / sizeof(odd[0]) ? odd[i] : 4093; break;
	case SPLIT_BYTE: n = i < 64 ? 1 : left; break;
	case SPLIT_SEVEN: n = 7; break;
	default: break;
	}
	return n < left ? n : left;
}

static uint16_t
segments(struct iovec *v, const uint8_t *src, size_t len, enum fake_split split)
{
	uint16_t n = 0;

	while (len > 0) {
		size_t k = cut(split, n, len);

		v[n].iov_base = need(malloc(k));
		v[n].iov_len = k;
		if (src != NULL) {
			memcpy(v[n].iov_base, src, k);
			src += k;
		} else
			memset(v[n].iov_base, 0xee, k);
		len -= k;
		n++;
	}
	return n;
}

void
fake_send(const void *in, size_t inlen, enum fake_split insplit, size_t outlen, enum fake_split outsplit, bool bad)
{
	struct request *r;

	while (fake.q.free == NULL)
		REQUIRE(fake_answer_error(-EIO));
	r = slot_get();
	r->chain = (struct vring_chain){ .iov = need(calloc(VRING_SEGS_MAX, sizeof(struct iovec))), .bad = bad };
	r->chain.nread = segments(r->chain.iov, in, inlen, insplit);
	r->chain.nwrite = segments(r->chain.iov + r->chain.nread, NULL, outlen, outsplit);
	r->chain.read_len = inlen;
	r->chain.write_len = outlen;
	fuse_dispatch(&fake.q, r);
}
