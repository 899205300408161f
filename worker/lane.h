/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane as its thread sees it: the socket, the arena, the request being served and the replies collected so far. What a
 * lane owns is touched by its thread alone. Runs in: worker.
 */
#ifndef WORKER_LANE_H
#define WORKER_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "common/mailbox.h"
#include "common/poller.h"
#include "proto/control.h"
#include "proto/rpc.h"
#include "worker/journal.h"
#include "worker/place.h"

struct inode;

/* Enough for getdents64() of the largest READDIR; for a list of xattrs; for a label and many groups. */
#define LANE_SCRATCH_SIZE RPC_IO_MAX

/* An fd that leaves with the replies. */
struct lane_gift {
	int fd;
	struct rpc_hdr *reply;
	uint64_t node, fh;
};

struct lane {
	int sock;
	unsigned nr;
	char *arena; /* shared with the front; the mailbox is behind it */
	void *in, *out_buf; /* RPC_MSG_MAX each, 8-aligned */
	char *
	    scratch; /* private memory of this lane, LANE_SCRATCH_SIZE: what one operation works with */
	struct rpc_builder out;
	struct lane_gift gift[RPC_BATCH_MAX];
	unsigned ngifts;
	struct inode *put[VAULT_BATCH]; /* for the vault, a reference each */
	unsigned nputs;
	uint64_t forget[VAULT_BATCH];
	unsigned nforgets;
	struct journal journal;
	uint8_t fresh; /* resolve_guess() */
	uint64_t began; /* ns; when what is collected began to wait */
	struct mailbox_end mail;
	bool met; /* the front has spoken: the mailbox is ours */
	struct poller poll;
	struct place place;
};

/* The reply to request h: its fixed part, zeroed, in the message under construction. Never NULL. */
void *lane_reply(struct lane *, const struct rpc_hdr *h);
/* The same with a name of len bytes behind it. */
void *lane_reply_name(struct lane *, const struct rpc_hdr *h, const char *name, size_t len);

/*
 * Give fd (taken over) with the reply just made. If the kernel refuses to pass it on, the reply goes without, and the
 * fd becomes this worker's cached handle fh.
 */
void lane_donate(struct lane *, void *reply, int fd, uint64_t node, uint64_t fh);
/* As fh: what cannot be passed on is closed. */
#define LANE_NO_HANDLE UINT64_MAX

/* The arena extent of request h if it holds size bytes, else NULL. */
static inline char *
lane_extent(const struct lane *l, const struct rpc_hdr *h, uint32_t size)
{
	return size <= h->alen ? l->arena + h->aoff : NULL;
}

#endif
