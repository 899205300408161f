/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the command line says about names of xattrs and about ids: the tables of START (struct ctl_tables). Constant once
 * threads exist. Runs in: worker.
 */
#ifndef WORKER_TABLES_H
#define WORKER_TABLES_H

#include <stdint.h>

#include "common/attr.h"
#include "common/idmap.h"

/* Map and check the memfd of len bytes; takes over fd. Ends the process if it is not what it should be. */
void tables_map(int fd, uint32_t len);

/* The host's name for the guest's xattr name: see xattrmap_client(). */
int tables_xattr_to_host(const char *name, char host[static 256]) ATTR_MUSTCHECK;
/* The guest's for the host's: name or its end, NULL = hidden. */
const char *tables_xattr_to_guest(const char *name);
/*
 * The name by which the host keeps what the guest calls security.capability, if it is another: the host's kernel does not
 * look after that one, so that it is removed here whenever a file changes (spec/xattrmap.md section 6). Else NULL.
 */
const char *tables_capability(void);

/* Translate an id. to_host: 0, or -EIO for one that is forbidden. */
int tables_to_host(enum idmap_table, uint32_t id, uint32_t *res) ATTR_MUSTCHECK;
uint32_t tables_to_guest(enum idmap_table, uint32_t id);

#endif
