/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judging what an earlier worker may have done: requests that must not be done twice, sent again, of which the journal
 * says that they were begun. Runs in: worker, lane threads.
 */
#ifndef WORKER_REPLAY_H
#define WORKER_REPLAY_H

#include <stdbool.h>
#include <sys/stat.h>

#include "proto/rpc.h"
#include "worker/inode.h"
#include "worker/journal.h"
#include "worker/making.h"

/* Has it been done, so that nothing but the reply is missing? */
static inline bool
replay_is_done(const struct journal_past *past)
{
	return past != NULL && past->state == JOURNAL_DONE;
}

/*
 * SYMLINK, MKNOD, MKDIR, CREATE found that the name exists: is what stands there (in, st) what this request made?
 */
bool replay_made(const struct making *, const struct journal_past *, const struct inode *in,
    const struct statx *st);

/*
 * UNLINK, RMDIR: has the name gone already, or does it mean something else by now? now: what it means, NULL = nothing.
 */
bool replay_removed(const struct journal_past *, const struct statx *now);

/* RENAME: has it happened? now1, now2: what the names mean now, NULL = nothing; flags: RENAME_*. */
bool replay_renamed(const struct journal_past *, unsigned flags, const struct statx *now1,
    const struct statx *now2);

#endif
