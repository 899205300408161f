/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a split virtqueue. All fields are little-endian and another process writes them whenever it likes,
 * so each is loaded once, by one load that the compiler may neither repeat nor tear, and only the copy is judged.
 *
 * A chain is walked once. Readable segments grow from the front of the caller's array, writable ones from its end,
 * which puts both into order without a second array however the driver mixed them.
 * Runs in: front (queue threads; push and signal also its I/O pool). The guest wrote the bytes.
 */
#include "front/vring.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "front/vring_layout.h"

#define DESC_SIZE 16u
#define INDIRECT_MAX 65535u /* entries of an indirect table */

static_assert(sizeof(struct vring_desc) == DESC_SIZE, "vring_desc layout");

/* An indirect table may begin at any address. */
struct unaligned64 {
	uint64_t v;
} __attribute__((packed, may_alias));

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct walk {
	const struct guest_memory *memory;
	struct vring_chain *chain;
	uint32_t total; /* bytes so far, both directions */
	bool noread,
	    nowrite; /* a gap: what follows in this direction would land in the wrong place */
};

static uint16_t
load16(const __virtio16 *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static void
store16(__virtio16 *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELAXED);
}

static void
store32(__virtio32 *p, uint32_t v)
{
	__atomic_store_n(p, htole32(v), __ATOMIC_RELAXED);
}

/* What the driver published up to here is visible after this load. */
static uint16_t
load_avail_idx(const struct vring *v)
{
	return le16toh(__atomic_load_n(&v->avail->idx, __ATOMIC_ACQUIRE));
}

/* With EVENT_IDX each side announces behind the other's ring at which index it wants to hear. */
static const __virtio16 *
used_event(const struct vring *v)
{
	return &v->avail->ring[v->num];
}

static __virtio16 *
avail_event(const struct vring *v)
{
	return (__virtio16 *)(void *)&v->used->ring[v->num];
}

void
vring_init(struct vring *v)
{
	memset(v, 0, sizeof(*v));
	v->call_fd = -1;
	pthread_mutex_init(&v->used_lock, NULL);
}

int
vring_start(struct vring *v, const struct guest_memory *memory)
{
	const uint64_t num = v->num;
	void *desc, *avail, *used;

	if (num == 0 || num > VRING_SIZE_MAX || (num & (num - 1)) != 0)
		return -EINVAL;
	desc = memory_at_uaddr(memory, v->desc_uaddr, DESC_SIZE * num);
	avail = memory_at_uaddr(memory, v->avail_uaddr, 2 * num + 6);
	used = memory_at_uaddr(memory, v->used_uaddr, 8 * num + 6);
	if (desc == NULL || avail == NULL || used == NULL)
		return -EFAULT;
	if ((uintptr_t)desc % VRING_DESC_ALIGN_SIZE != 0 ||
	    (uintptr_t)avail % VRING_AVAIL_ALIGN_SIZE != 0 ||
	    (uintptr_t)used % VRING_USED_ALIGN_SIZE != 0)
		return -EINVAL;
	pthread_mutex_lock(&v->used_lock);
	v->desc = desc;
	v->avail = avail;
	v->used = used;
	v->next_used = load16(&v->used->idx);
	v->signalled = v->next_used;
	v->signalled_valid = false;
	v->broken = false;
	pthread_mutex_unlock(&v->used_lock);
	return 0;
}

/* Two loads; the fields are taken out of the copy. */
static struct desc
load_desc(const void *table, uint32_t i)
{
	const volatile struct unaligned64 *p = table;
	const uint64_t addr = le64toh(p[2 * (size_t)i].v), rest = le64toh(p[2 * (size_t)i + 1].v);

	return (struct desc){ .addr = addr,
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48) };
}

/* Returns false when the chain ends here for us. */
static bool
add_segment(struct walk *w, const struct desc *d)
{
	struct vring_chain *c = w->chain;
	const bool write = (d->flags & VRING_DESC_F_WRITE) != 0;
	void *p;

	if (d->len == 0)
		return true;
	if (__builtin_add_overflow(w->total, d->len, &w->total))
		return false;
	p = memory_at(w->memory, d->addr, d->len);
	if (p == NULL) {
		c->bad = true;
		*(write ? &w->nowrite : &w->noread) = true;
		return true;
	}
	if (write ? w->nowrite : w->noread)
		return true;
	if (c->nread + c->nwrite == VRING_SEGS_MAX) {
		c->bad = true;
		return false;
	}
	if (write) {
		c->nwrite++;
		c->write_len += d->len;
		c->iov[VRING_SEGS_MAX - c->nwrite] = (struct iovec){ p, d->len };
	} else {
		c->iov[c->nread++] = (struct iovec){ p, d->len };
		c->read_len += d->len;
	}
	return true;
}

static void
walk_chain(struct walk *w, const void *table, uint32_t n, uint32_t i)
{
	bool indirect = false;
	uint32_t seen = 0;
	struct desc d;

	for (;;) {
		if (i >= n || seen++ == n)
			break;
		d = load_desc(table, i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (indirect || d.len == 0 || d.len % DESC_SIZE != 0 ||
			    d.len / DESC_SIZE > INDIRECT_MAX)
				break;
			table = memory_at(w->memory, d.addr, d.len);
			if (table == NULL)
				break;
			indirect = true;
			n = d.len / DESC_SIZE;
			seen = i = 0;
			continue;
		}
		if (!add_segment(w, &d) || !(d.flags & VRING_DESC_F_NEXT))
			return;
		i = d.next;
	}
	w->chain->bad = true;
}

/* Turn the writable segments, gathered backwards from the end of the array, round and join them to the others. */
static void
join(struct vring_chain *c)
{
	struct iovec *a = c->iov + VRING_SEGS_MAX - c->nwrite, *b = c->iov + VRING_SEGS_MAX, t;

	if (c->nwrite == 0)
		return;
	memmove(c->iov + c->nread, a, c->nwrite * sizeof(*a));
	a = c->iov + c->nread;
	b = a + c->nwrite - 1;
	for (; a < b; a++, b--) {
		t = *a;
		*a = *b;
		*b = t;
	}
}

static int
break_ring(struct vring *v, const char *what, unsigned value)
{
	static struct log_limit limit;

	v->broken = true;
	if (log_limit(&limit))
		log_error("virtqueue of %u entries stopped: %s %u while at %u", v->num, what, value,
		    v->next_avail);
	return -EPROTO;
}

static void
walk_again(const struct vring *v, struct walk *w)
{
	struct vring_chain *chain = w->chain;

	chain->nread = chain->nwrite = 0;
	chain->bad = false;
	chain->read_len = chain->write_len = 0;
	walk_chain(w, v->desc, v->num, chain->head);
	join(chain);
}

bool
vring_available(const struct vring *v)
{
	return !v->broken && load_avail_idx(v) != v->next_avail;
}

int
vring_pop(struct vring *v, const struct guest_memory *memory, struct vring_chain *chain)
{
	struct walk w = { .memory = memory, .chain = chain };
	uint16_t idx, head;

	if (v->broken)
		return -EPROTO;
	idx = load_avail_idx(v);
	if (idx == v->next_avail)
		return 0;
	if ((uint16_t)(idx - v->next_avail) > v->num)
		return break_ring(v, "available index", idx);
	head = load16(&v->avail->ring[v->next_avail & (v->num - 1)]);
	if (head >= v->num)
		return break_ring(v, "head", head);
	v->next_avail++;
	chain->head = head;
	walk_again(v, &w);
	return 1;
}

int
vring_again(struct vring *v, const struct guest_memory *memory, struct vring_chain *chain)
{
	struct walk w = { .memory = memory, .chain = chain };

	if (v->broken || chain->head >= v->num)
		return -EPROTO;
	walk_again(v, &w);
	return chain->bad ? -EPROTO : 0;
}

void
vring_push(struct vring *v, uint16_t head, uint32_t len)
{
	struct vring_used_elem *e;

	pthread_mutex_lock(&v->used_lock);
	e = &v->used->ring[v->next_used & (v->num - 1)];
	store32(&e->id, head);
	store32(&e->len, len);
	v->next_used++;
	__atomic_store_n(&v->used->idx, htole16(v->next_used), __ATOMIC_RELEASE);
	pthread_mutex_unlock(&v->used_lock);
}

/* Under used_lock. What is pushed from now on is for the next decision. */
static bool
wants_signal(struct vring *v)
{
	const uint16_t old = v->signalled, new = v->next_used;
	const bool valid = v->signalled_valid;
	uint16_t event;

	if (new == old)
		return false;
	v->signalled = new;
	v->signalled_valid = true;
	if (!v->event_idx || !valid)
		return true;
	/* used->idx must be out before used_event is read: the driver does it the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = load16(used_event(v));
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* The peer may have made its end of the file blocking again; an eventfd is never full in earnest, a pipe may be. */
static bool
can_write(const struct vring *v)
{
	struct pollfd p = { .fd = v->call_fd, .events = POLLOUT };
	const struct timespec none = { 0 };

	return !v->call_is_pipe || ppoll(&p, 1, &none, NULL) == 1;
}

void
vring_signal(struct vring *v)
{
	static struct log_limit limit;
	const uint64_t one = 1;
	ssize_t n;

	pthread_mutex_lock(&v->used_lock);
	/* Nobody to tell: decide when there is a call fd. */
	if (v->call_fd >= 0 && wants_signal(v) && can_write(v)) {
		do
			n = write(v->call_fd, &one, sizeof(one));
		while (n == -1 && errno == EINTR);
		if (n == -1 && errno != EAGAIN && log_limit(&limit))
			log_warn("signalling the guest: error %d", errno);
	}
	pthread_mutex_unlock(&v->used_lock);
}

bool
vring_enable_kick(struct vring *v)
{
	if (v->event_idx)
		store16(avail_event(v), v->next_avail);
	else
		store16(&v->used->flags, 0);
	/* The wish must be out before the last look: the driver publishes, fences and reads it the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !v->broken && load_avail_idx(v) != v->next_avail;
}

void
vring_disable_kick(struct vring *v)
{
	/* With EVENT_IDX the old avail_event lies behind: the driver is silent until it is moved. */
	if (!v->event_idx)
		store16(&v->used->flags, VRING_USED_F_NO_NOTIFY);
}
