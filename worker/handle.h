/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cached open files and directories that the worker serves itself. Each can be rebuilt from what a request carries (node
 * and open flags), so that a cached one may be closed at any time when nobody uses it; only directories on overlayfs and
 * file systems that are not known are kept, here and in the vault, because a new open file of those would lose or repeat
 * entries. Runs in: worker.
 */
#ifndef WORKER_HANDLE_H
#define WORKER_HANDLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/attr.h"
#include "proto/rpc.h"

struct inode;

struct handle {
	uint64_t fh, node;
	int fd;
	uint32_t refs; /* under the shard's lock; the cache owns one */
	bool dir, keep, cached;
	pthread_mutex_t lock; /* around the position of a directory: what follows */
	uint64_t pos; /* where fd stands */
	bool pos_valid;
	TAILQ_ENTRY(handle) lru;
};

/* An open file for the time of one request. */
struct file_use {
	int fd;
	struct handle *handle; /* NULL: fd is ours alone */
};

/* budget: the fds that inodes and handles may have together. */
void handle_init(uint32_t budget);

/*
 * Cache an open file under fh (fd is taken over); a handle of that number is replaced. keep: never evict.
 * Returns 0 or -ENOMEM (fd closed).
 */
int handle_add(uint64_t fh, uint64_t node, int fd, bool dir, bool keep) ATTR_MUSTCHECK;
/* Cache an open directory; where offsets do not outlive an open file, for ever, and the vault has it as well. */
int handle_add_dir(uint64_t fh, const struct inode *dir, int fd) ATTR_MUSTCHECK;
void handle_drop(uint64_t fh, uint64_t node);
void handle_reset(void);
/* Close up to n cached files not in use. Returns how many. */
unsigned handle_evict(unsigned n);

/*
 * The open file a request is about: the cached one, or opened again. -EBADF: fh belongs to another node or is of the
 * other kind. End with handle_end().
 */
int handle_begin(const struct rpc_file *, bool dir, struct file_use *) ATTR_MUSTCHECK;
void handle_end(struct file_use *);

#endif
