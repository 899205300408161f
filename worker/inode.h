/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inode table: which host inode a node id means, and a cache of O_PATH fds for them. Runs in: worker.
 *
 * An inode is found by node id, or by what statx says of it: (mount id, device, inode number). That triple is proof of
 * identity only while somebody holds the inode, because file systems reuse inode numbers; a live fd in this table is
 * such a hold. An entry whose fd was evicted is recognised by its file handle (a keyed 64-bit hash of it), or, where the
 * file system has no handles, by the triple, because there the vault holds an fd. As long as the fd is there the handle is
 * not needed, so it is read when the fd is evicted. That an inode will have one is known from others of its mount.
 * All this holds where inode numbers are unique (mounts.h). Elsewhere the handle is read at once, and decides.
 *
 * Life: the table owns one reference, everybody who works with an inode another. sent counts the entry replies that
 * named the inode; FORGET subtracts, at 0 the inode leaves the table. While a reference beside the table's exists, the
 * fd stays. Node ids are never used twice.
 */
#ifndef WORKER_INODE_H
#define WORKER_INODE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/attr.h"

#define ROOT_NODE 1u

struct inode_key {
	uint64_t ino;
	uint32_t dev; /* major << 20 | minor, as in the kernel */
	uint32_t mnt; /* STATX_MNT_ID */
};

/* What a fresh O_PATH fd says about its inode. */
struct inode_ident {
	struct inode_key key;
	uint64_t hash; /* of the file handle, if hashed */
	uint16_t type; /* S_IFMT bits */
	bool has_handle; /* others on its mount have one, at least */
	bool hashed;
};

struct inode {
	uint64_t node;
	struct inode_key key; /* constant, as are node and type */
	uint64_t hash; /* with INODE_HASHED, and constant then */
	uint64_t sent; /* under the key shard's lock */
	struct inode *next_node, *next_key;
	TAILQ_ENTRY(inode) clock; /* under the clock's lock */
	_Atomic int fd; /* O_PATH, -1 = evicted */
	_Atomic uint32_t refs;
	_Atomic uint32_t since; /* inode_seq() when fd was set */
	uint16_t type;
	uint16_t mount; /* its place in mounts.c */
	_Atomic uint8_t used; /* second chance */
	_Atomic uint16_t flags; /* INODE_* */
};
static_assert(sizeof(struct inode) <= 96, "memory per known inode");

#define INODE_HANDLE 0x01u /* it has a file handle */
#define INODE_VAULTED 0x02u /* the vault knows it */
#define INODE_PINNED 0x04u /* its fd is never evicted */
#define INODE_INDEXED 0x08u /* found by its key */
#define INODE_DEAD 0x10u /* left the table */
#define INODE_RESTORED \
	0x20u /* known to the guest from an earlier worker: sent is only part of the count */
#define INODE_LISTED 0x40u /* on the clock */
#define INODE_PRIVATE 0x80u /* cannot be entrusted to the vault */
#define INODE_VAULT_PIN 0x100u /* the vault was told to keep its fd */
#define INODE_HASHED 0x200u /* hash is valid; without it, one that has a handle keeps its fd */
#define INODE_KEPT 0x400u /* counted by vaultc.c as one that costs the vault an fd */
#define INODE_AMBIGUOUS 0x800u /* another on its mount may have its number */
#define INODE_COUNTED 0x1000u /* the front has given all back once: sent is the whole count */

/*
 * Before threads exist. budget: fds to keep, cached handles included; first_node: first id to give out (> ROOT_NODE);
 * incarnation: of this worker, 0 = there was none before it. Returns 0 or a negative errno.
 */
int inode_init(uint32_t budget, uint64_t first_node, uint32_t incarnation) ATTR_MUSTCHECK;
uint32_t inode_incarnation(void);
/* Enter the root as ROOT_NODE, pinned for ever. Takes over fd. */
int inode_add_root(const struct inode_ident *, int fd) ATTR_MUSTCHECK;

/* The inode with this node id, with a reference, or NULL. Its fd may be -1. */
struct inode *inode_by_node(uint64_t node);
/* Only the answer to "is a live fd known for this node?". */
bool inode_is_live(uint64_t node);
/* Can a request meet an inode without a live fd at all? */
bool inode_may_miss(void);

/*
 * The hot look-up: an indexed inode of this key and type, which tell it, with an fd that has been live since before seq
 * (inode_seq() read before the statx that gave the key). counted: this is an entry reply. Returns it with a reference, or
 * NULL.
 */
struct inode *inode_by_key(const struct inode_key *, uint16_t type, uint32_t seq, bool counted);
uint32_t inode_seq(void);
/* A hint: is some inode with this key indexed? */
bool inode_key_known(const struct inode_key *);

/*
 * The indexed inode that is ident's, or NULL; with a reference, no entry reply counted. The caller holds an fd of
 * ident's inode. A live fd is given to it if it had none: fd is taken over unless the answer is NULL.
 */
struct inode *inode_find(const struct inode_ident *, int fd) ATTR_MUSTCHECK;
/* Would inode_find() find it? */
bool inode_is_known(const struct inode_ident *);

/*
 * Find or make the inode for ident, whose O_PATH fd is taken over. Counts an entry reply. With a reference. Returns 0 or
 * -ENOMEM; or -EAGAIN, with the fd still the caller's, if only the handle can tell, which ident does not have.
 */
int inode_claim(const struct inode_ident *, int fd, struct inode **) ATTR_MUSTCHECK;
/* Enter an inode that an earlier worker knew under this node id. Takes over fd. With a reference. */
int
inode_restore(uint64_t node, const struct inode_ident *, int fd, struct inode **) ATTR_MUSTCHECK;

/* Count one more entry reply; false when the inode has left the table meanwhile. */
bool inode_send(struct inode *);
/*
 * Subtract entry replies. final: by the front's word; else see resolve_unname(). Returns true if the inode left the table:
 * the vault must hear of it.
 */
bool inode_forget(struct inode *, uint64_t n, bool final);
/*
 * Drop everything but the root. Nothing is closed, which may take its time, before inode_put_all() gives back the
 * references to what was dropped.
 */
struct inode *inode_reset(void) ATTR_MUSTCHECK;
void inode_put_all(struct inode *);

void inode_put(struct inode *);

static inline int
inode_fd(const struct inode *in)
{
	return atomic_load_explicit(&in->fd, memory_order_acquire);
}

static inline bool
inode_has(const struct inode *in, unsigned flag)
{
	return (atomic_load_explicit(&in->flags, memory_order_relaxed) & flag) != 0;
}

/* With INODE_HASHED comes the hash. */
static inline bool
inode_is_hashed(const struct inode *in)
{
	return (atomic_load_explicit(&in->flags, memory_order_acquire) & INODE_HASHED) != 0;
}

static inline void
inode_set(struct inode *in, unsigned flag)
{
	atomic_fetch_or_explicit(&in->flags, (uint16_t)flag, memory_order_relaxed);
}

static inline void
inode_clear(struct inode *in, unsigned flag)
{
	atomic_fetch_and_explicit(&in->flags, (uint16_t)~flag, memory_order_relaxed);
}

/* Give an inode without fd this one (taken over in any case); the caller holds a reference. */
void inode_set_fd(struct inode *, int fd);
/* Never evict its fd again, until it is unpinned. */
void inode_pin(struct inode *);
void inode_unpin(struct inode *);

/* Account for fds of others (cached handles): n may be negative. Evicts when the budget is exceeded. */
void inode_fds_add(int n);
/* Close up to n fds of inodes not in use. Returns how many. */
unsigned inode_evict(unsigned n);

/* Keyed 64-bit hash (SipHash-2-4, key made at start) of the fd's file handle. Returns 0 or a negative errno. */
int inode_hash_handle(int fd, uint64_t *) ATTR_MUSTCHECK;

#endif
