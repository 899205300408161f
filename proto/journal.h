/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal of a lane: what its worker was doing, in memory that outlives it (a memfd kept by the monitor). Written by a
 * worker around each operation that must not be done twice (RPC_OP_ONCE), read by the next worker when the front sends
 * the request again. One page a lane, one entry for each place in a batch: an entry is used again only after the
 * reply of its batch is in the socket's queue, which outlives the worker as well.
 *
 * The next worker reads it as data of unknown quality: an entry can only make it answer or judge its own tag.
 */
#ifndef PROTO_JOURNAL_H
#define PROTO_JOURNAL_H

#include <assert.h>
#include <stdint.h>

#include "proto/rpc.h"

#define JOURNAL_PAGE 4096u

enum journal_state {
	JOURNAL_NONE,
	JOURNAL_EXECUTING, /* the system call may or may not have happened */
	JOURNAL_DONE /* it has, with this result; the reply may or may not have been sent */
};

struct journal_entry {
	uint64_t tag; /* of the request */
	_Atomic uint32_t state; /* written last, with release */
	int32_t error; /* DONE: 0 or a negative errno; WRITE: the count */
	/*
	 * EXECUTING: what was before the system call, by which a replay is judged. UNLINK, RMDIR, RENAME: what the names
	 * meant (0 = nothing). What makes a name, SETXATTR with XATTR_CREATE, REMOVEXATTR: ino1 says whether it was there.
	 * WRITE: ino1 is the size of the file. TMPFILE: ino1 is the node that it became, also when DONE.
	 */
	uint64_t ino1, ino2;
	uint32_t dev1, dev2; /* major << 20 | minor */
	uint16_t op;
	uint16_t pad[11];
};

static_assert(sizeof(struct journal_entry) == 64, "journal_entry layout");
static_assert(RPC_BATCH_MAX * sizeof(struct journal_entry) == JOURNAL_PAGE, "a page holds a batch");

#endif
