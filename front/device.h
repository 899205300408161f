/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the vhost-user control thread does to the device: the seam between vhost_user.c, which decodes and checks
 * messages, and queue.c, which runs rings. All functions are called by the control thread only.
 */
#ifndef FRONT_DEVICE_H
#define FRONT_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "front/guest_memory.h"
#include "front/vring.h"
#include "proto/control.h"

#define NQUEUES (1 + REQUEST_QUEUES_MAX) /* queue 0: high priority */

struct queue;

struct device {
	struct guest_memory memory;
	struct queue *queue[NQUEUES];
	struct vring *ring[NQUEUES]; /* of the queues; to be configured while stopped */
	char tag[TAG_MAX]; /* NUL-padded */
	bool has_tag;
	int vmm; /* its socket */
	void (*vmm_gone)(void); /* the VMM has gone while a ring is waited for: ends the process */
	bool resetting; /* the worker may not have done yet what device_reset() asks for */
};

/* Is the queue's thread serving its ring? */
bool device_running(const struct device *, unsigned q);
/*
 * Start serving ring q, whose vring is set up, with kick_fd (stays the caller's; open while running). What is already
 * available is served without a kick. Returns 0 or what vring_start() said.
 */
int device_start(struct device *, unsigned q, int kick_fd) ATTR_MUSTCHECK;
/*
 * Stop taking chains from ring q and wait until everything taken was returned. No-op when stopped. That may take as long as a
 * file system hangs: if the VMM goes meanwhile, nobody waits any more (vmm_gone).
 */
void device_stop(struct device *, unsigned q);
/*
 * The connection is over and this process about to end: take nothing more from ring q, signal nobody. Waits for
 * nothing, neither for requests under way (a hung file system) nor for a peer that made its call fd block.
 */
void device_abandon(struct device *, unsigned q);
/* Pause all running queues between two requests (nothing is drained), and let them go on. */
void device_pause(struct device *);
void device_resume(struct device *);
/* Replace the call fd of ring q (takes it over; -1 = none), also while running. */
void device_set_call(struct device *, unsigned q, int fd);
/*
 * RESET_DEVICE: all rings are stopped; wipe the FUSE session as DESTROY does, here and in the worker. Does not wait for the
 * worker, which may have much to close: the next device_start() does.
 */
void device_reset(struct device *);

#endif
