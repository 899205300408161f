/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the vault remembers: mounts, nodes, pins and held directories, and the rules by which it takes them. One thread
 * only. Where a function returns a string, that is the rule the worker broke, and NULL means that all is well.
 */
#ifndef MONITOR_VAULT_STORE_H
#define MONITOR_VAULT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "monitor/vault_table.h"
#include "proto/control.h"

struct vault_place; /* a mount */

struct vault_store {
	struct vault_table table; /* nodes */
	struct vault_table
	    holds; /* open directories, by file handle + 1; all of them VAULT_FD or VAULT_LOST */
	struct vault_place *places;
	size_t nplaces, places_room;
	bool places_missed; /* a mount could not be remembered: nodes on it are lost, and no lie */
	bool handles; /* false: none can be opened, all fds are kept */
	bool pins_refused; /* said once */
	uint64_t first, end; /* the node ids that the present worker may give out */
	size_t fds, max_fds; /* kept open: of mounts, inodes, pins and directories */
	uint64_t seed; /* so that nobody can choose names that collide */
};

/* Returns 0 or a negative errno; vault_store_free() is due in both cases. */
int vault_store_init(
    struct vault_store *, size_t max_fds, uint32_t max_nodes, bool handles) ATTR_MUSTCHECK;
void vault_store_free(struct vault_store *);

/*
 * What is taken from now on is the word of the worker of this incarnation: new nodes must have ids of its own, and no
 * worker can make a node that is known mean another inode.
 */
void vault_store_worker(struct vault_store *, uint32_t incarnation);

/* Take one element. *fd is what came with it, or -1 if it was lost on the way; it is taken if it is kept. */
const char *vault_store_mount(struct vault_store *, uint64_t mnt_id, int *fd);
/* A mount that the worker does not know any more; unknown ones are nothing to forget. */
void vault_store_unmount(struct vault_store *, uint64_t mnt_id);
/* The worker has gone, and with it what it knew of mounts: the next one announces those that it meets. */
void vault_store_next_worker(struct vault_store *);
const char *vault_store_put(struct vault_store *, const struct vault_put1 *, int *fd);
/* As put; *error says whether it is kept: if not (negative errno), the node is not known. */
const char *vault_store_keep(struct vault_store *, const struct vault_put1 *, int *fd, int *error);
const char *vault_store_pin(struct vault_store *, const struct vault_put1 *, int *fd);
/* Close what vault_store_pin() took, if it did. */
void vault_store_unpin(struct vault_store *, uint64_t node);
const char *vault_store_hold(struct vault_store *, uint64_t fh, int *fd);

/* Which node is the inode of fd (-1: lost on the way)? *node 0: none that is known. */
const char *
vault_store_find(const struct vault_store *, const struct vault_put1 *, int fd, uint64_t *node);

/* Unknown nodes and file handles are nothing to forget. */
void vault_store_forget(struct vault_store *, uint64_t node);
void vault_store_drop(struct vault_store *, uint64_t fh);
/* Forget all but the mounts. */
void vault_store_reset(struct vault_store *);

/*
 * The inode of a node as an O_PATH fd, or a negative errno; *ours: to be closed by the caller. The directory held for
 * a file handle likewise, never to be closed.
 */
int vault_store_open(const struct vault_store *, uint64_t node, bool *ours) ATTR_MUSTCHECK;
int vault_store_fetch(const struct vault_store *, uint64_t fh) ATTR_MUSTCHECK;

#endif
