/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane's side of the journal (proto/journal.h): what the last worker left there, and what this one notes around each
 * operation that must not be done twice. An old entry stays in the page until its request was sent again, because this
 * worker may die before that, too. Runs in: worker, the lane's thread. Old entries written by: an earlier worker.
 */
#ifndef WORKER_JOURNAL_H
#define WORKER_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "proto/journal.h"
#include "proto/rpc.h"

/* What an earlier worker noted of a request: a private copy. */
struct journal_past {
	uint64_t tag, ino1, ino2;
	struct timespec read_at; /* CLOCK_REALTIME, when no earlier worker lived any more */
	uint32_t state; /* enum journal_state */
	uint32_t dev1, dev2;
	int32_t error;
	uint16_t op;
};

struct journal {
	struct journal_entry *page; /* shared with the next worker */
	struct journal_past past[RPC_BATCH_MAX];
	uint64_t old; /* bit n: entry n is the last worker's, and may still be asked for */
	uint64_t used; /* bit n: entry n is of the batch being served */
	unsigned now; /* the entry of the operation being done */
};

/* Check and map the journal of nlanes lanes. Takes over fd. Ends the process if it is not what it should be. */
void *journal_map(int fd, unsigned nlanes);
/* Read what the last worker left in a lane's page. */
void journal_attach(struct journal *, void *page);

/*
 * A batch begins (first: its first request), the replies of the one before are out. Once a batch is no replay, nothing
 * old will be asked for any more: the front sends nothing else on a lane before its replays are answered.
 */
void journal_batch(struct journal *, const struct rpc_hdr *first);

/*
 * What an earlier worker did with this request (RPC_OP_ONCE): NULL if it is no replay or was never begun, else its state
 * is JOURNAL_EXECUTING or JOURNAL_DONE.
 */
const struct journal_past *journal_past(const struct journal *, const struct rpc_hdr *);

/*
 * The system call is next. st1, st2: what the names mean now (NULL = nothing, or of no interest). The notes of a worker
 * that began the same request are kept instead.
 */
void journal_begin(
    struct journal *, const struct rpc_hdr *, const struct statx *st1, const struct statx *st2);
/* The same where what was before is a number (struct journal_entry), as ino1. */
void journal_begin_number(struct journal *, const struct rpc_hdr *, uint64_t number);
/* Between the two: what came of it, for the next worker to find (as ino1; TMPFILE: the node). */
void journal_note(struct journal *, uint64_t ino1);
/* This is its result: 0 or a negative errno. */
void journal_done(struct journal *, const struct rpc_hdr *, int error);

#endif
