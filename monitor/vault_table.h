/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vault's map from node id to what brings the inode back, and from that back to the node id. Made for millions of
 * nodes: 48 bytes an entry and about 8 for its place in each of the two hash tables. One thread only.
 */
#ifndef MONITOR_VAULT_TABLE_H
#define MONITOR_VAULT_TABLE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

/* Handles up to this size lie in the entry itself: those of ext4, xfs, btrfs, tmpfs. */
#define VAULT_SHORT_HANDLE 24u

enum vault_kind {
	VAULT_FREE, /* no entry */
	VAULT_HANDLE, /* u.bytes */
	VAULT_LONG, /* u.more, allocated */
	VAULT_FD, /* u.kept */
	VAULT_LOST /* u.error: what GET is answered */
};

struct vault_entry {
	uint64_t node;
	int32_t handle_type;
	uint32_t hash; /* of the identity: of all but node and pin */
	int pin; /* an O_PATH fd kept beside the handle, or -1 */
	uint16_t mount; /* index of the vault's mount */
	uint8_t kind; /* enum vault_kind */
	uint8_t handle_len;
	union {
		unsigned char bytes[VAULT_SHORT_HANDLE];
		unsigned char *more;
		struct {
			uint64_t ino;
			uint32_t dev;
			int fd; /* kept open: nothing else can have this ino and dev meanwhile */
		} kept;
		int error; /* negative errno */
		uint32_t next_free;
	} u;
};

static_assert(sizeof(struct vault_entry) == 48, "an entry is small");

struct vault_table {
	struct vault_entry *entries;
	uint32_t room; /* entries that fit the mapping */
	uint32_t used; /* entries ever used; some of them are in the free list */
	uint32_t count; /* nodes */
	uint32_t max; /* nodes there may be */
	uint32_t free; /* 1 + index of the first free entry; 0 = none */
	uint32_t *slots; /* by node: 1 + index of an entry; 0 = empty; linear probing */
	uint32_t *same; /* by identity, likewise; of entries that are the same one only the last */
	uint32_t nslots; /* of each; a power of two */
};

/* An empty table for at most max nodes. Returns 0 or -ENOMEM. */
int vault_table_init(struct vault_table *, uint32_t max) ATTR_MUSTCHECK;

/* Free the table's memory; what entries own is the caller's to release before (vault_table_walk()). */
void vault_table_free(struct vault_table *);

/* The entry of node, or NULL. Valid until the next vault_table_add(). */
struct vault_entry *vault_table_find(const struct vault_table *, uint64_t node);

/*
 * The entry of node (not 0) in *res, made if there is none: then its kind is VAULT_FREE, and the caller sets it at once.
 * Returns 0, -ENOSPC (max reached) or -ENOMEM.
 */
int vault_table_add(struct vault_table *, uint64_t node, struct vault_entry **res) ATTR_MUSTCHECK;

/* Make e, whose identity is complete with its hash, the entry that vault_table_same() finds. */
void vault_table_index(struct vault_table *, struct vault_entry *e);

/* The contrary. To be called before the identity of an entry changes or what it owns is freed. */
void vault_table_unindex(struct vault_table *, const struct vault_entry *e);

/* The entry with the same identity as want (kind, mount, handle, or ino and dev), or NULL. */
struct vault_entry *vault_table_same(const struct vault_table *, const struct vault_entry *want);

/* Are these the same inode? False for entries without identity (VAULT_LOST). */
bool vault_entry_same(const struct vault_entry *, const struct vault_entry *);

/* Remove an entry of this table, which is not indexed, and whose belongings the caller has released. */
void vault_table_remove(struct vault_table *, struct vault_entry *);

/* Walk all entries: start with *pos 0; returns NULL at the end. */
struct vault_entry *vault_table_walk(const struct vault_table *, uint32_t *pos);

#endif
