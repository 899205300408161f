/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm_queue - the driver's side of a split virtqueue, and raw access to break it.
 *
 * Descriptors of well-formed chains come from a free list. A test that writes descriptors itself
 * (q->desc[], then vmm_queue_publish) does so while nothing else is in flight on that queue.
 *
 * Runs in: the test programs. used.idx, used elements and avail_event come from the daemon.
 */
#include "vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
has_event_idx(const struct vmm_queue *q)
{
	return (q->vmm->acked & VIRTIO_F_EVENT_IDX) != 0;
}

/* used_event lies behind the available ring, avail_event behind the used ring. */
static void
store_used_event(struct vmm_queue *q, uint16_t value)
{
	__atomic_store_n(&q->avail->ring[q->size], value, __ATOMIC_RELEASE);
}

static uint16_t
load_avail_event(const struct vmm_queue *q)
{
	const uint16_t *p = (const uint16_t *)(const void *)&q->used->ring[q->size];

	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static uint16_t
load_used_idx(const struct vmm_queue *q)
{
	return __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
}

static int
make_fds(struct vmm_queue *q)
{
	int pair[2];

	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick_fd < 0)
		return -errno;
	if (q->vmm->opts.call_pipe) {
		if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
			return -errno;
		q->call_fd = pair[0];
		q->call_peer = pair[1];
		return 0;
	}
	q->call_fd = q->call_peer = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return q->call_fd < 0 ? -errno : 0;
}

void
vmm_queue_clear_desc(struct vmm_queue *q)
{
	unsigned int i;

	memset(q->desc, 0, sizeof(*q->desc) * q->size);
	memset(q->chain_len, 0, sizeof(*q->chain_len) * q->size);
	for (i = 0; i < q->size; i++)
		q->desc[i].next = (uint16_t)(i + 1);
	q->free_head = 0;
	q->nr_free = q->size;
}

void
vmm_queue_clear(struct vmm_queue *q)
{
	vmm_queue_clear_desc(q);
	memset(q->avail, 0, 6 + 2u * q->size);
	memset(q->used, 0, 6 + 8u * q->size);
	q->avail_idx = 0;
	q->kicked_idx = 0;
	q->last_used = 0;
}

int
vmm_queue_create(struct vmm *v, unsigned int index, uint16_t size)
{
	struct vmm_queue *q = &v->queue[index];
	size_t table = sizeof(struct vring_desc) * size;
	int err;

	q->vmm = v;
	q->index = index;
	q->size = size;
	q->kick_fd = q->call_fd = q->call_peer = -1;
	if ((err = make_fds(q)) < 0)
		return err;
	/* Odd places within what alignment allows: 16, 2, 4. */
	q->desc_gpa = vmm_alloc(v, 0, table, 16);
	q->avail_gpa = vmm_alloc(v, 0, 6 + 2u * size, 2);
	q->used_gpa = vmm_alloc(v, 0, 6 + 8u * size, 4);
	q->table_gpa = vmm_alloc(v, 1, sizeof(struct vring_desc) * VMM_TABLE * size, 16);
	q->chain_len = calloc(size, sizeof(*q->chain_len));
	if (q->desc_gpa == 0 || q->avail_gpa == 0 || q->used_gpa == 0 || q->table_gpa == 0 ||
	    q->chain_len == NULL)
		return -ENOMEM;
	q->desc = vmm_ptr(v, q->desc_gpa, table);
	q->avail = vmm_ptr(v, q->avail_gpa, 6 + 2u * size);
	q->used = vmm_ptr(v, q->used_gpa, 6 + 8u * size);
	vmm_queue_clear(q);
	return 0;
}

void
vmm_queue_destroy(struct vmm_queue *q)
{
	if (q->vmm == NULL)
		return;
	if (q->call_peer >= 0 && q->call_peer != q->call_fd)
		close(q->call_peer);
	if (q->call_fd >= 0)
		close(q->call_fd);
	if (q->kick_fd >= 0)
		close(q->kick_fd);
	free(q->chain_len);
	memset(q, 0, sizeof(*q));
}

int
vmm_queue_setup(struct vmm_queue *q, uint32_t base)
{
	struct vmm *v = q->vmm;
	struct vu_addr a = {
		.index = q->index,
		.desc = vmm_uaddr(v, q->desc_gpa),
		.used = vmm_uaddr(v, q->used_gpa),
		.avail = vmm_uaddr(v, q->avail_gpa),
	};
	int err;

	if ((err = vmm_msg_set_state(v, VU_SET_VRING_NUM, q->index, q->size)) < 0 ||
	    (err = vmm_msg_set_state(v, VU_SET_VRING_BASE, q->index, base)) < 0 ||
	    (err = vmm_msg_set(v, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0)) < 0 ||
	    (err = vmm_msg_set_fd(v, VU_SET_VRING_KICK, q->index, q->kick_fd)) < 0)
		return err;
	return vmm_msg_set_fd(v, VU_SET_VRING_CALL, q->index, q->call_peer);
}

int
vmm_queue_enable(struct vmm_queue *q, bool on)
{
	return vmm_msg_set_state(q->vmm, VU_SET_VRING_ENABLE, q->index, on);
}

int
vmm_queue_restart(struct vmm_queue *q)
{
	uint32_t base;
	int err;

	if ((err = vmm_queue_enable(q, false)) < 0 ||
	    (err = vmm_msg_get_base(q->vmm, q->index, &base)) < 0)
		return err;
	vmm_queue_clear(q);
	if ((err = vmm_queue_setup(q, 0)) < 0)
		return err;
	return vmm_queue_enable(q, true);
}

void
vmm_queue_set_avail_idx(struct vmm_queue *q, uint16_t idx)
{
	q->avail_idx = idx;
	__atomic_store_n(&q->avail->idx, idx, __ATOMIC_RELEASE);
}

void
vmm_queue_publish(struct vmm_queue *q, uint16_t head)
{
	q->avail->ring[q->avail_idx % q->size] = head;
	vmm_queue_set_avail_idx(q, (uint16_t)(q->avail_idx + 1));
}

static int
add_indirect(struct vmm_queue *q, const struct vring_desc *sg, unsigned int n)
{
	uint16_t head = q->free_head;
	uint64_t at = q->table_gpa + (uint64_t)head * VMM_TABLE * sizeof(*sg);
	struct vring_desc *t = vmm_ptr(q->vmm, at, n * sizeof(*sg));
	unsigned int i;

	if (q->nr_free == 0 || n > VMM_TABLE || t == NULL)
		return -ENOSPC;
	for (i = 0; i < n; i++) {
		t[i] = sg[i];
		t[i].flags = (uint16_t)((sg[i].flags & VRING_DESC_F_WRITE) |
		    (i + 1 < n ? VRING_DESC_F_NEXT : 0));
		t[i].next = (uint16_t)(i + 1 < n ? i + 1 : 0);
	}
	q->free_head = q->desc[head].next;
	q->nr_free--;
	q->chain_len[head] = 1;
	q->desc[head].addr = at;
	q->desc[head].len = (uint32_t)(n * sizeof(*sg));
	q->desc[head].flags = VRING_DESC_F_INDIRECT;
	return head;
}

int
vmm_queue_add(struct vmm_queue *q, const struct vring_desc *sg, unsigned int n, bool indirect)
{
	uint16_t head = q->free_head, at = head, last = head;
	unsigned int i;

	if (indirect) {
		int err = add_indirect(q, sg, n);

		if (err >= 0)
			vmm_queue_publish(q, (uint16_t)err);
		return err;
	}
	if (n == 0 || n > q->nr_free)
		return -ENOSPC;
	for (i = 0; i < n; i++) {
		q->desc[at].addr = sg[i].addr;
		q->desc[at].len = sg[i].len;
		q->desc[at].flags = (uint16_t)((sg[i].flags & VRING_DESC_F_WRITE) |
		    VRING_DESC_F_NEXT);
		last = at;
		at = q->desc[at].next;
	}
	q->desc[last].flags &= (uint16_t)~VRING_DESC_F_NEXT;
	q->free_head = at;
	q->nr_free = (uint16_t)(q->nr_free - n);
	q->chain_len[head] = (uint16_t)n;
	vmm_queue_publish(q, head);
	return head;
}

static void
free_chain(struct vmm_queue *q, uint16_t head)
{
	uint16_t at = head;
	unsigned int i;

	for (i = 1; i < q->chain_len[head]; i++)
		at = q->desc[at].next;
	q->desc[at].next = q->free_head;
	q->free_head = head;
	q->nr_free = (uint16_t)(q->nr_free + q->chain_len[head]);
	q->chain_len[head] = 0;
}

void
vmm_queue_kick_now(struct vmm_queue *q)
{
	const uint64_t one = 1;

	if (write(q->kick_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		fprintf(stderr, "kick: %s\n", strerror(errno));
}

void
vmm_queue_kick(struct vmm_queue *q)
{
	bool wanted;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (has_event_idx(q))
		wanted = vring_need_event(load_avail_event(q), q->avail_idx, q->kicked_idx);
	else
		wanted = (__atomic_load_n(&q->used->flags, __ATOMIC_ACQUIRE) &
		    VRING_USED_F_NO_NOTIFY) == 0;
	q->kicked_idx = q->avail_idx;
	if (wanted)
		vmm_queue_kick_now(q);
}

bool
vmm_queue_has_used(const struct vmm_queue *q)
{
	return load_used_idx(q) != q->last_used;
}

static int
take_used(struct vmm_queue *q, uint32_t *id, uint32_t *len)
{
	const volatile struct vring_used_elem *e;

	/* More used entries than were made available: the daemon invents some. */
	if ((uint16_t)(load_used_idx(q) - q->last_used) > (uint16_t)(q->avail_idx - q->last_used))
		return -EPROTO;
	e = &q->used->ring[q->last_used % q->size];
	*id = e->id;
	*len = e->len;
	q->last_used++;
	if (*id >= q->size)
		return -EPROTO;
	if (q->chain_len[*id] > 0)
		free_chain(q, (uint16_t)*id);
	return 0;
}

/* Sleep until the call fd or the connection has something; false at the deadline. */
static int
wait_call(struct vmm_queue *q, bool *watch_sock, long deadline)
{
	struct pollfd p[2] = {
		{ .fd = q->call_fd, .events = POLLIN },
		{ .fd = *watch_sock ? q->vmm->sock : -1, .events = POLLIN },
	};
	long left = deadline - vmm_now_ms();
	uint64_t count[8];
	char byte;

	if (poll(p, 2, left > 0 ? (int)left : 0) == 0)
		return -ETIMEDOUT;
	if (p[0].revents & POLLIN) {
		if (read(q->call_fd, count, sizeof(count)) < 0 && errno != EAGAIN)
			return -errno;
		if (!vmm_queue_has_used(q))
			q->spurious++;
	}
	if (p[1].revents != 0) {
		if (recv(q->vmm->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			return -ECONNRESET;
		*watch_sock = false;
	}
	return 0;
}

int
vmm_queue_wait(struct vmm_queue *q, int timeout_ms, uint32_t *id, uint32_t *len)
{
	long deadline = vmm_now_ms() + timeout_ms;
	bool watch_sock = q->vmm->sock >= 0;
	int err;

	if (vmm_queue_has_used(q))
		return take_used(q, id, len);
	store_used_event(q, q->last_used);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (;;) {
		if (vmm_queue_has_used(q))
			return take_used(q, id, len);
		err = wait_call(q, &watch_sock, deadline);
		if (err == -ETIMEDOUT)
			return vmm_queue_has_used(q) ? -ETIME : err;
		if (err < 0 && !vmm_queue_has_used(q))
			return err;
	}
}
