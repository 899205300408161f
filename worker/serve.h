/* SPDX-License-Identifier: BSD-3-Clause */
/* The lane loop. Runs in: worker. */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include "common/attr.h"
#include "worker/lane.h"

/*
 * Map the buffers of a lane, and read what the last worker left in its page of the journal; sock, arena and page are its
 * own from here. Before seccomp. Ends the process if it cannot.
 */
struct lane *serve_lane_new(unsigned nr, int sock, char *arena, void *journal_page);

/* Serve requests until the process ends. */
void serve_lane(struct lane *) ATTR_NORETURN;

#endif
