/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A split virtqueue, device side (virtio 1.2, 2.7), with VIRTIO_RING_F_INDIRECT_DESC and VIRTIO_RING_F_EVENT_IDX.
 * The driver is hostile: each field of the ring is read once. Nothing here ends the process; a ring that lies about
 * its avail index is broken and stays so until it is set up anew, every other defect concerns one chain only.
 *
 * The available half is used by one thread (the queue's own). The used half may be used by several (queue thread and
 * I/O pool): vring_push() and vring_signal() take used_lock.
 */
#ifndef FRONT_VRING_H
#define FRONT_VRING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/attr.h"
#include "front/guest_memory.h"

#define VRING_SIZE_MAX 32768u
#define VRING_SEGS_MAX 1024u /* of a chain, both directions together; IOV_MAX */

struct vring {
	/* Set up by vhost-user messages while the ring is stopped. */
	uint32_t num; /* entries, a power of two <= VRING_SIZE_MAX */
	uint64_t desc_uaddr, avail_uaddr, used_uaddr;
	bool event_idx;
	int call_fd; /* eventfd or pipe, non-blocking; -1 = none. Changed under used_lock */
	bool call_is_pipe;

	/* Host addresses, from vring_start(). */
	struct vring_desc *desc; /* <linux/virtio_ring.h> */
	struct vring_avail *avail;
	struct vring_used *used;

	uint16_t next_avail; /* SET/GET_VRING_BASE */
	uint16_t next_used; /* what we published, under used_lock */
	uint16_t signalled; /* next_used at the last decision to signal, under used_lock */
	bool signalled_valid;
	bool broken; /* the driver lied; nothing is taken any more */
	pthread_mutex_t used_lock;
};

/* One chain, translated to host addresses: readable segments first in iov, then the writable ones. */
struct vring_chain {
	uint16_t head;
	uint16_t nread, nwrite; /* segments */
	/* malformed: what could be translated is there, the rest is not; answer an error */
	bool bad;
	uint64_t read_len,
	    write_len; /* bytes in them; each < 4 GiB (virtio_ring: a longer chain is cut) */
	struct iovec *iov; /* the caller's array of VRING_SEGS_MAX */
};

void vring_init(struct vring *);

/*
 * Resolve the three areas in memory and take next_used from used->idx (spec/vhost-user.md, SET_VRING_ADDR).
 * Returns 0, -EINVAL (num not set, misaligned), -EFAULT (not in one region).
 */
int vring_start(struct vring *, const struct guest_memory *) ATTR_MUSTCHECK;

/*
 * Take the next available chain. Returns 1 and fills chain; 0 if there is none; -EPROTO if the ring is, or has just
 * become, broken (available index too far ahead, or a head outside the table).
 * Descriptors outside memory or across two regions, a loop (more than num descriptors), next >= num, an indirect table
 * that is outside memory, of odd length, or nested: chain->bad. Zero-length descriptors are skipped.
 */
int
vring_pop(struct vring *, const struct guest_memory *, struct vring_chain *chain) ATTR_MUSTCHECK;

/*
 * Walk the chain with this head again, after the ring was stopped and started and memory may lie elsewhere: the driver has
 * not had it back. Returns 0, or -EPROTO if there is no such chain any more.
 */
int
vring_again(struct vring *, const struct guest_memory *, struct vring_chain *chain) ATTR_MUSTCHECK;

/* Is there something for vring_pop()? A look at memory, no more. */
bool vring_available(const struct vring *);

/* Return a chain to the driver with len bytes written. Publishes used->idx. Any thread. */
void vring_push(struct vring *, uint16_t head, uint32_t len);

/*
 * Signal the driver if it wants to know what was pushed since the last decision (EVENT_IDX: used_event; without: always,
 * as virtiofsd). Any thread. Never blocks: a full pipe or eventfd is signalled already.
 */
void vring_signal(struct vring *);

/*
 * Tell the driver to kick for the next chain (EVENT_IDX: avail_event = next_avail, then a full fence). Returns true if
 * something has become available meanwhile: take it before sleeping.
 */
bool vring_enable_kick(struct vring *);
/* Tell the driver not to kick while we look by ourselves. Without EVENT_IDX: VRING_USED_F_NO_NOTIFY. */
void vring_disable_kick(struct vring *);

#endif
