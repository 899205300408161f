/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's side of the vault: the monitor's memory of which node id is which inode. "put" is one-way and batched per
 * lane; "get" is one question and its answer. Runs in: worker.
 */
#ifndef WORKER_VAULTC_H
#define WORKER_VAULTC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "worker/inode.h"

struct lane;

/* Before threads exist. Takes over both sockets. budget: fds the vault may keep open. */
void vault_init(int put, int get, uint32_t budget);

/*
 * Make sure that the vault knows this inode before the lane's next message to the front. parent: the directory it was
 * found in, or NULL. What cannot be entrusted keeps its fd here for ever (until FORGET). Returns 0, or -ENFILE: the inode
 * would have to be kept by fd, and there are too many of those; it must not be named.
 */
int vault_put(struct lane *, struct inode *, struct inode *parent) ATTR_MUSTCHECK;
/* in: the inode that has left the table, or NULL if it was not there. */
void vault_forget(struct lane *, uint64_t node, struct inode *in);
/*
 * Have the vault keep the fd of an inode that its handle will not bring back; it is in the vault's queue when this
 * returns. Nothing happens if it is pinned already. dir: the directory it was found in.
 */
void vault_pin(struct lane *, struct inode *, struct inode *dir);
/* The same for n (<= VAULT_BATCH) inodes that the vault knows, in one message. */
void vault_pin_all(struct inode *const *, unsigned n);
/*
 * It has a name after all: its handle will bring it back. Returns true if it may have been pinned: and it may have lost
 * the name meanwhile, by another lane that relied on the pin.
 */
bool vault_unpin(struct inode *);
/*
 * What vault_put() was called for last is not named after all: not to be said, if it is not said yet. Else the vault would
 * hear of it when somebody else may have forgotten it.
 */
void vault_unput(struct lane *, struct inode *);
/* It has left the table, not by the front's word: forget it, if the vault was told of it. */
void vault_dropped(struct lane *, struct inode *);
/* Send what vault_put() and vault_forget() collected. */
void vault_flush(struct lane *);
/* Everything is forgotten. */
void vault_reset(struct lane *);
/* Have the vault let go of mounts on which no inode is known any more. */
void vault_unmount(struct lane *);
/* Announce the mount of this inode, which must be the root's. */
void vault_root(const struct inode *);

/*
 * Which node did earlier workers call an inode? First what may hang with its file system: the mount is announced, and stays
 * so until vault_query_end(). Then the question, whose answer is node: 0 where none did.
 */
struct vault_query {
	struct inode_ident id;
	uint64_t node;
	int fd; /* O_PATH; stays the caller's */
	uint16_t mount; /* its place in mounts.c */
};
/* dirfd: of the directory that it was found in. */
void vault_query_begin(struct vault_query *, int dirfd);
void vault_query_end(struct vault_query *);
/* Ask about n (<= VAULT_BATCH) of them at once. Returns 0, or -ENFILE: too many fds are in flight. */
int vault_find(struct vault_query *, size_t n) ATTR_MUSTCHECK;

/* An open file of dir that cannot be opened again at the same place: the vault keeps it for the next worker. */
void vault_hold(uint64_t fh, int fd, const struct inode *dir);
void vault_drop(uint64_t fh);
/* Get it back: fd or a negative errno. */
int vault_fetch(uint64_t fh);

/*
 * Get O_PATH fds for n (<= VAULT_BATCH) nodes: fd[i] is the caller's where error[i] is 0, else error[i] a negative
 * errno (-ESTALE: not known or gone; -EMFILE: no fd left here). Returns 0, or a negative errno for all of it.
 */
int vault_get(const uint64_t *node, size_t n, int *fd, int *error) ATTR_MUSTCHECK;

#endif
