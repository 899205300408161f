/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's side of a vault, for unit tests of monitor/vault.c: a vault with its thread, our ends of its sockets, and a
 * directory to play in. What cannot go wrong is asserted here. Included by: check_vault.c, check_vault_restart.c.
 */
#ifndef TESTS_UNIT_VAULT_RIG_H
#define TESTS_UNIT_VAULT_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/vault.h"
#include "proto/control.h"

struct rig {
	struct vault *vault;
	uint32_t incarnation; /* of the worker that rig_attach() attaches */
	int put, get;
	char path[128];
	int dir;
	uint64_t mnt;
};

/* For rig_begin(): everything is kept by fd. */
extern bool rig_no_handles;

uint64_t rig_mount_id(int fd);

void rig_attach(struct rig *r);

/* A vault and a new directory in place; max_fds 0 = plenty. */
void rig_begin(struct rig *r, const char *place, size_t max_fds, uint32_t max_nodes);

void rig_end(struct rig *r);

void rig_put_mount(struct rig *r, uint64_t id, int fd);

/* Send one node with an fd, which is closed. */
void rig_put_node(struct rig *r, uint64_t node, uint64_t mnt, int fd);

/* PUT, PIN: n nodes from first on, with n fds, which stay open. */
void rig_put_nodes(struct rig *r, uint32_t op, uint64_t first, const int *fds, uint32_t n);

/* KEEP one node; fd is closed. Its error. */
int rig_keep_node(struct rig *r, uint64_t node, uint64_t mnt, int fd);
void rig_unmount(struct rig *r, uint64_t mnt);

/* FIND: which nodes are these? The fds stay open. */
void rig_find_nodes(struct rig *r, const int *fds, uint32_t n, uint64_t *nodes);

/* The same with one fd, which is closed. */
uint64_t rig_find_node(struct rig *r, uint64_t mnt, int fd);

/* Hold a directory for fh; fd is closed. Fetch it: an fd or a negative errno. */
void rig_hold(struct rig *r, uint64_t fh, int fd);
int rig_fetch(struct rig *r, uint64_t fh);

int rig_path_fd(struct rig *r, const char *name);

void rig_send_nodes(int sock, uint32_t op, const uint64_t *nodes, uint32_t n);

void rig_forget(struct rig *r, uint64_t node);

/* Ask for n nodes: fds[i] is the inode, or a negative errno. */
void rig_get_nodes(struct rig *r, const uint64_t *nodes, uint32_t n, int *fds);

int rig_get_node(struct rig *r, uint64_t node);

/* fd must be an O_PATH fd of the same inode, on the same mount, as other. Closes both. */
void rig_assert_same(int fd, int other);

void rig_make_file(struct rig *r, const char *name);

int rig_count_fds(void);

/* After an answer the vault still closes what it sent: have it answer once more, with nothing. */
int rig_settled_fds(struct rig *r);

long rig_resident_kb(void);

/* Has the vault reported a breach within the time? */
bool rig_breached(struct rig *r, int ms);

#endif
