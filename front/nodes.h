/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which inodes the guest knows, and how many look-ups it holds of each. What an inode is, only the worker knows; here
 * it is a number that a guest may or may not use.
 */
#ifndef FRONT_NODES_H
#define FRONT_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "proto/rpc.h"

#define NODE_ROOT 1u

/* Before anything else; ends the process on failure. */
void nodes_init(void);

/* May the guest use this number? */
bool nodes_known(uint64_t node);

/*
 * The worker of this incarnation named node in a reply that the guest will see. Returns 0 or -ENOMEM (not counted).
 */
int nodes_named(uint64_t node, uint32_t incarnation) ATTR_MUSTCHECK;

/*
 * The guest forgets n look-ups. Returns true if it has none left: *f is what the worker must be told. The root and unknown
 * nodes are never forgotten.
 */
bool nodes_forget(uint64_t node, uint64_t n, struct rpc_forget1 *f);

/* Forget everything but the root, without telling the worker (which gets RESET). */
void nodes_wipe(void);

#endif
