/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a session: what happens when something ends.
 */
#ifndef MONITOR_SUPERVISE_H
#define MONITOR_SUPERVISE_H

#include <stdint.h>

#include "common/attr.h"
#include "monitor/respawn.h"
#include "monitor/spawn.h"
#include "monitor/vault.h"

struct session {
	struct child child[CHILD_ROLES];
	struct vault *vault;
	struct respawn respawn;
	int sigfd;
	int64_t
	    cause_by; /* CLOCK_MONOTONIC ms at which the worker's end is judged; 0 = not ended */
};

/*
 * Block the signals that end the daemon and make *sigfd report them. SIGINT is left alone where it is ignored (nohup, a
 * shell's background job). Before threads exist.
 */
int supervise_signals(int *sigfd) ATTR_MUSTCHECK;

/* The signal that *sigfd reports, which the log then names, or 0 when there is none. Does not wait. */
int supervise_take_signal(int sigfd);

/*
 * Watch both children until the front, a worker that is not to be replaced, a signal, or a breach of the protocol ends the session; says why in the log.
 * Returns the exit status of the daemon, or the negative number of the signal that ended it. Children may still live:
 * supervise_end().
 */
int supervise(struct session *) ATTR_MUSTCHECK;

/* Kill what lives, reap it, print what it still had to say. Waits a second at most: a hung file system holds a child. */
void supervise_end(struct session *);

#endif
