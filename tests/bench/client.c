/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clients: threads that keep `depth` operations going on a queue each, as cheaply as they can. Requests are laid out
 * as Linux does: header, arguments, data pages | header, arguments, data pages, in an indirect table; each is kicked by
 * itself where the device wants it (EVENT_IDX); the client sleeps on the call fd and sets used_event only before that.
 *
 * Runs in: the bench program.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define TABLE_MAX (PAGES_MAX + 8u)
#define FORGET_SIZE 64u	/* of a buffer; the request has 48 bytes */
#define STUCK_SECONDS 20

uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint32_t
slot_random(struct slot *s)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 17;
	s->rng ^= s->rng << 5;
	return s->rng;
}

/* ---- requests ---- */

static void
segment(struct slot *s, unsigned int *n, uint64_t gpa, uint32_t len, uint16_t flags)
{
	s->table[*n] = (struct vring_desc){ .addr = gpa, .len = len,
		.flags = (uint16_t)(flags | VRING_DESC_F_NEXT), .next = (uint16_t)(*n + 1) };
	++*n;
}

static void
data_segments(struct slot *s, unsigned int *n, uint32_t len, uint16_t flags)
{
	for (unsigned int i = 0; len > 0 && i < s->npages; i++) {
		uint32_t part = len < PAGE ? len : PAGE;

		segment(s, n, s->page_gpa[i], part, flags);
		len -= part;
	}
}

static void
publish(struct slot *s, unsigned int n)
{
	struct vmm_queue *q = s->cl->q;
	struct vring_desc *d = &q->desc[s->head];

	s->table[n - 1].flags &= (uint16_t)~VRING_DESC_F_NEXT;
	d->addr = s->table_gpa;
	d->len = n * (uint32_t)sizeof(*s->table);
	d->flags = VRING_DESC_F_INDIRECT;
	vmm_queue_publish(q, s->head);
	vmm_queue_kick(q);
}

void
slot_request(struct slot *s, uint32_t opcode, uint64_t node, const void *arg, size_t len,
    const char *name1, const char *name2, uint32_t put, uint32_t body, uint32_t get)
{
	struct fuse_in_header *h = (void *)s->in;
	uint8_t *p = s->in + sizeof(*h);
	unsigned int n = 0;
	size_t size;

	memcpy(p, arg, len);
	if (name1 != NULL) {
		size = strlen(name1) + 1;
		memcpy(p + len, name1, size);
		len += size;
	}
	if (name2 != NULL) {
		size = strlen(name2) + 1;
		memcpy(p + len, name2, size);
		len += size;
	}
	s->unique += 2;
	*h = (struct fuse_in_header){ .len = (uint32_t)(sizeof(*h) + len + put), .opcode = opcode,
		.unique = s->unique, .nodeid = node, .pid = 1000 };
	segment(s, &n, s->in_gpa, sizeof(*h), 0);
	if (len > 0)
		segment(s, &n, s->in_gpa + sizeof(*h), (uint32_t)len, 0);
	data_segments(s, &n, put, 0);
	segment(s, &n, s->out_gpa, sizeof(struct fuse_out_header), VRING_DESC_F_WRITE);
	if (body > 0)
		segment(s, &n, s->out_gpa + sizeof(struct fuse_out_header), body, VRING_DESC_F_WRITE);
	data_segments(s, &n, get, VRING_DESC_F_WRITE);
	publish(s, n);
}

/* Take a used entry; returns its slot, or NULL after saying what is wrong with it. */
static struct slot *
take(struct client *c)
{
	struct vmm_queue *q = c->q;
	const volatile struct vring_used_elem *e = &q->used->ring[q->last_used % q->size];
	uint32_t id = e->id, len = e->len;
	struct fuse_out_header h;
	struct slot *s;

	q->last_used++;
	if (id >= c->nslots) {
		fprintf(stderr, "%s: used id %u\n", c->se->label, id);
		return NULL;
	}
	s = &c->slot[id];
	memcpy(&h, s->out, sizeof(h));
	if (h.len != len || h.unique != s->unique || len < sizeof(h)) {
		fprintf(stderr, "%s: used.len %u, length %u, unique %llu of %llu\n", c->se->label, len,
		    h.len, (unsigned long long)h.unique, (unsigned long long)s->unique);
		return NULL;
	}
	s->error = h.error;
	s->body_len = h.len - (uint32_t)sizeof(h);
	s->step++;
	return s;
}

/* ---- the loop ---- */

static void
record(struct client *c, uint64_t ns)
{
	unsigned int msb, i;

	if (ns < HIST_SUB) {
		i = (unsigned int)ns;
	} else {
		msb = 63u - (unsigned int)__builtin_clzll(ns);
		i = (msb - 4) * HIST_SUB + (unsigned int)(ns >> (msb - 5)) % HIST_SUB;
	}
	c->hist[i < HIST_SIZE ? i : HIST_SIZE - 1]++;
}

/* Begin an operation. Returns false when there is none. */
static bool
begin(struct slot *s, uint64_t now)
{
	if (now >= s->cl->deadline)
		return false;
	s->step = 0;
	s->began = now;
	return s->se->c->load->step(s) == STEP_REQUEST;
}

/* An answer has come. Returns false if the operation failed. */
static bool
go_on(struct slot *s, uint64_t now)
{
	struct client *c = s->cl;

	switch (s->se->c->load->step(s)) {
	case STEP_REQUEST:
		return true;
	case STEP_DONE:
		c->ops++;
		record(c, now - s->began);
		if (!begin(s, now))
			c->active--;
		return true;
	case STEP_END:
		break;
	}
	fprintf(stderr, "%s: %s failed at step %u: %s\n", s->se->label, s->se->c->load->name, s->step,
	    strerror(-s->error));
	return false;
}

static bool
reap(struct client *c)
{
	uint64_t now = now_ns();
	struct slot *s;

	while (vmm_queue_has_used(c->q)) {
		s = take(c);
		if (s == NULL || !go_on(s, now))
			return false;
	}
	c->finished = now;
	return true;
}

/* Sleep until the device signals. Returns false when it will not. */
static bool
wait_used(struct client *c)
{
	struct vmm_queue *q = c->q;
	uint64_t count;
	int stuck = 0;

	while (opt.poll) {
		for (unsigned int i = 0; i < 100000; i++) {
			if (vmm_queue_has_used(q))
				return true;
			__builtin_ia32_pause();
		}
		sched_yield();
	}
	__atomic_store_n(&q->avail->ring[q->size], q->last_used, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (!vmm_queue_has_used(q)) {
		if (read(q->call_fd, &count, sizeof(count)) > 0)
			continue;
		/* The watch interrupts it once a second. */
		if (errno != EINTR || ++stuck >= STUCK_SECONDS) {
			fprintf(stderr, "%s: no answer on queue %u\n", c->se->label, q->index);
			return false;
		}
	}
	return true;
}

static void *
client_main(void *arg)
{
	struct client *c = arg;
	uint64_t now;

	if (opt.client_cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((unsigned int)opt.client_cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	now = now_ns();
	for (unsigned int i = 0; i < c->nslots; i++)
		c->active += begin(&c->slot[i], now);
	while (c->active > 0) {
		if (!vmm_queue_has_used(c->q) && !wait_used(c))
			c->failed = true;
		else if (!reap(c))
			c->failed = true;
		if (c->failed)
			break;
	}
	atomic_store(&c->running, false);
	return NULL;
}

/* ---- forgets ---- */

static void
hiprio_reap(struct vmm_queue *q)
{
	uint32_t id, len;

	while (vmm_queue_has_used(q))
		if (vmm_queue_wait(q, 0, &id, &len) < 0)
			return;
	__atomic_store_n(&q->avail->ring[q->size], q->last_used, __ATOMIC_RELEASE);
}

void
slot_forget(struct slot *s, uint64_t node, uint64_t nlookup)
{
	struct session *se = s->se;
	struct vmm_queue *q = &se->v->queue[0];
	struct {
		struct fuse_in_header h;
		struct fuse_forget_in arg;
	} in = { .h = { .len = sizeof(in), .opcode = FUSE_FORGET, .nodeid = node, .unique = 2 },
		.arg = { .nlookup = nlookup } };
	struct vring_desc sg = { .len = sizeof(in) };
	uint16_t head;

	pthread_mutex_lock(&se->hiprio);
	hiprio_reap(q);
	while (q->nr_free == 0) {
		usleep(20);
		hiprio_reap(q);
	}
	head = q->free_head;
	memcpy(se->forget + (size_t)head * FORGET_SIZE, &in, sizeof(in));
	sg.addr = se->forget_gpa + (uint64_t)head * FORGET_SIZE;
	if (vmm_queue_add(q, &sg, 1, false) >= 0)
		vmm_queue_kick(q);
	pthread_mutex_unlock(&se->hiprio);
}

int
forgets_drain(struct session *se)
{
	struct vmm_queue *q = &se->v->queue[0];
	uint64_t end = now_ns() + STUCK_SECONDS * 1000000000ull;

	for (;;) {
		hiprio_reap(q);
		if (q->last_used == q->avail_idx)
			return 0;
		if (now_ns() > end)
			return complain(se, "forgets were not taken", 0);
		usleep(100);
	}
}

/* ---- set-up ---- */

/* Page-sized buffers in an order as a guest's memory has it: none. */
static int
give_pages(struct session *se, struct client *c, unsigned int each)
{
	unsigned int n = each * c->nslots;
	uint64_t base = vmm_alloc(se->v, 0, (size_t)n * PAGE + 1, PAGE);
	unsigned int *order = calloc(n + 1, sizeof(*order));
	uint32_t rng = 12345;

	if (base == 0 || order == NULL) {
		free(order);
		return complain(se, "too little guest memory", 0);
	}
	for (unsigned int i = 0; i < n; i++) {
		unsigned int j = (rng = rng * 1103515245u + 12345u) / 65536u % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct slot *s = &c->slot[i / each];

		s->page_gpa[s->npages] = base + (uint64_t)order[i] * PAGE;
		s->page[s->npages] = vmm_ptr(se->v, s->page_gpa[s->npages], PAGE);
		memset(s->page[s->npages], (int)i, PAGE);
		s->npages++;
	}
	free(order);
	return 0;
}

static int
open_slot(struct session *se, struct slot *s)
{
	s->in_gpa = vmm_alloc(se->v, 0, PAGE, PAGE);
	s->out_gpa = vmm_alloc(se->v, 0, PAGE, PAGE);
	s->table_gpa = vmm_alloc(se->v, 0, TABLE_MAX * sizeof(*s->table), 16);
	if (s->in_gpa == 0 || s->out_gpa == 0 || s->table_gpa == 0)
		return complain(se, "too little guest memory", 0);
	s->in = vmm_ptr(se->v, s->in_gpa, PAGE);
	s->out = vmm_ptr(se->v, s->out_gpa, PAGE);
	s->table = vmm_ptr(se->v, s->table_gpa, TABLE_MAX * sizeof(*s->table));
	s->body = s->out + sizeof(struct fuse_out_header);
	s->unique = (uint64_t)s->index << 40;
	s->rng = 2463534242u + s->index;
	return 0;
}

int
clients_open(struct session *se)
{
	unsigned int depth = se->c->depth, have = se->v->nr_queues - 1;

	pthread_mutex_init(&se->hiprio, NULL);
	se->forget_gpa = vmm_alloc(se->v, 0, (size_t)se->v->queue[0].size * FORGET_SIZE, 64);
	se->forget = vmm_ptr(se->v, se->forget_gpa, (size_t)se->v->queue[0].size * FORGET_SIZE);
	/* Fewer queues than asked for: as much work on those that are there. */
	se->nclients = se->c->queues < have ? se->c->queues : have;
	depth = depth * se->c->queues / se->nclients;
	for (unsigned int i = 0; i < se->nclients; i++) {
		struct client *c = &se->client[i];

		c->se = se;
		c->q = &se->v->queue[1 + i];
		c->nslots = depth;
		c->slot = calloc(depth, sizeof(*c->slot));
		fcntl(c->q->call_fd, F_SETFL, 0);
		if (c->slot == NULL || se->forget == NULL || depth > c->q->size)
			return complain(se, "no room for the slots", 0);
		for (unsigned int k = 0; k < depth; k++) {
			struct slot *s = &c->slot[k];

			s->se = se;
			s->cl = c;
			s->head = (uint16_t)k;
			s->index = i * depth + k;
			if (open_slot(se, s) != 0)
				return -1;
		}
		if (give_pages(se, c, (se->c->bs + PAGE - 1) / PAGE) != 0)
			return -1;
	}
	return 0;
}

void
clients_close(struct session *se)
{
	for (unsigned int i = 0; i < se->nclients; i++)
		free(se->client[i].slot);
	free(se->dirs);
}

/* ---- a run ---- */

static double
percentile(const struct session *se, uint64_t total, double p)
{
	uint64_t want = (uint64_t)((double)total * p), seen = 0;

	for (unsigned int i = 0; i < HIST_SIZE; i++) {
		for (unsigned int k = 0; k < se->nclients; k++)
			seen += se->client[k].hist[i];
		if (seen > want) {
			unsigned int e = i / HIST_SUB;

			if (e < 1)
				return i / 1e3;
			return (double)((uint64_t)(HIST_SUB + i % HIST_SUB) << (e - 1)) / 1e3;
		}
	}
	return 0;
}

static void
on_tick(int sig)
{
	(void)sig;
}

/* Wait for the threads, and interrupt their sleep now and then, so that none sleeps for ever. */
static void
watch(struct session *se)
{
	const struct timespec ms = { .tv_nsec = 2000000 };
	unsigned int ticks = 0;
	bool any = true;

	while (any) {
		nanosleep(&ms, NULL);
		any = false;
		for (unsigned int i = 0; i < se->nclients; i++) {
			if (!atomic_load(&se->client[i].running))
				continue;
			any = true;
			if (++ticks % 500 == 0)
				pthread_kill(se->client[i].thread, SIGUSR1);
		}
	}
}

static int
run_threads(struct session *se, double seconds, uint64_t *start, uint64_t *end)
{
	struct sigaction tick = { .sa_handler = on_tick };
	bool failed = false;

	sigaction(SIGUSR1, &tick, NULL);
	*start = now_ns();
	for (unsigned int i = 0; i < se->nclients; i++) {
		struct client *c = &se->client[i];

		c->deadline = *start + (uint64_t)(seconds * 1e9);
		c->ops = c->active = 0;
		memset(c->hist, 0, sizeof(c->hist));
		atomic_store(&c->running, true);
		if (pthread_create(&c->thread, NULL, client_main, c) != 0)
			return complain(se, "cannot start a thread", errno);
	}
	watch(se);
	*end = *start + 1;
	for (unsigned int i = 0; i < se->nclients; i++) {
		pthread_join(se->client[i].thread, NULL);
		failed = failed || se->client[i].failed;
		if (se->client[i].finished > *end)
			*end = se->client[i].finished;
	}
	return failed ? -1 : 0;
}

int
clients_run(struct session *se, double seconds, struct result *r)
{
	const struct load *load = se->c->load;
	struct usage u0, u1, s0, s1;
	uint64_t start = 0, end = 0, ops = 0;
	double n;

	memset(r, 0, sizeof(*r));
	if (load->before != NULL && load->before(se) != 0)
		return -1;
	if ((load->flags & LOAD_TOTAL) != 0)
		seconds = 1000;
	usage_read(se->v, &u0, false);
	usage_self(&s0);
	if (run_threads(se, seconds, &start, &end) != 0 || forgets_drain(se) != 0)
		return -1;
	usage_self(&s1);
	usage_read(se->v, &u1, true);
	se->run++;
	for (unsigned int i = 0; i < se->nclients; i++)
		ops += se->client[i].ops;
	r->done = ops;
	n = ops > 0 ? (double)ops : 1;
	r->ops = n * 1e9 / (double)(end - start);
	r->mbs = (load->flags & LOAD_DATA) != 0 ? r->ops * se->c->bs / 1e6 : 0;
	r->cpu_us = (double)(u1.cpu_ns - u0.cpu_ns) / 1e3 / n;
	r->switches = (double)(u1.switches - u0.switches) / n;
	r->client_us = (double)(s1.cpu_ns - s0.cpu_ns) / 1e3 / n;
	r->p50 = percentile(se, ops, 0.5);
	r->p99 = percentile(se, ops, 0.99);
	r->p999 = percentile(se, ops, 0.999);
	r->pss_kib = (double)u1.pss_kib;
	return 0;
}
