/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vault: remembers for each node id which inode it is, by file handle, so that the worker may forget and even die.
 * It runs in a thread of its own, because opening by handle or closing can hang with a file system, and nothing else
 * waits for it. The worker can only get back inodes whose O_PATH fds it once sent. Protocol: proto/control.h.
 */
#ifndef MONITOR_VAULT_H
#define MONITOR_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

#define VAULT_NODES_MAX (16u << 20)

struct vault;

/*
 * Make a vault that keeps at most max_fds fds open (of mounts, of inodes on file systems without handles, pins, directories) and
 * nodes for max_nodes. Without handles it keeps the fds of all inodes. Nothing runs yet. Returns 0 or a negative errno.
 */
int vault_new(size_t max_fds, uint32_t max_nodes, bool handles, struct vault **) ATTR_MUSTCHECK;

/*
 * Start the thread and wait until it runs. It inherits the capabilities (needs CAP_DAC_READ_SEARCH for handles) and the mask,
 * and calls seal(arg), if not NULL, before it reads anything: what seal() gives up, it gives up for this thread only.
 * Returns 0, a negative errno, or what seal() returned if that is not 0.
 */
int vault_start(struct vault *, int (*seal)(void *), void *arg) ATTR_MUSTCHECK;

/*
 * Serve the worker of this incarnation: takes over its put and get sockets. A worker served before must be dead: what it left in its sockets
 * is read to the end first, also if the vault had no time for it yet. Nodes and mounts are kept from one worker to the
 * next. Returns 0 or a negative errno (-EBUSY: too many workers died while the vault hung).
 */
int vault_attach(struct vault *, int put, int get, uint32_t incarnation) ATTR_MUSTCHECK;

/* Polls readable when a worker has broken the protocol; the vault then serves it no more. The vault's to close. */
int vault_fd(const struct vault *);

/* What rule was broken, and by which worker; or NULL: none since the last call. Any thread. */
const char *vault_breach(struct vault *, uint32_t *incarnation);

/* Stop the thread, if it runs, and free everything. Waits for a hanging file system: the daemon just exits instead. */
void vault_free(struct vault *);

#endif
