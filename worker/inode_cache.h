/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the inode table and the cache of its fds say to each other; everybody else uses worker/inode.h.
 * Runs in: worker. Included by: worker/inode*.c.
 */
#ifndef WORKER_INODE_CACHE_H
#define WORKER_INODE_CACHE_H

#include "worker/inode.h"

/* In refs: the fd is being taken. Whoever adds a reference meanwhile waits until this is gone. */
#define INODE_EVICTING 0x80000000u

void inode_cache_init(uint32_t budget);
/* For inode.since of an inode that gets its fd now. */
uint32_t inode_cache_stamp(void);
/* Are there inodes without fd? */
bool inode_cache_has_gaps(void);
/* A new inode with its fd is in the table. */
void inode_cache_enter(struct inode *);
/* Nobody refers to this inode any more: close its fd. */
void inode_cache_leave(struct inode *);

#endif
