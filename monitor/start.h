/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the children are given when they start: lanes, arenas, vault sockets, the connection, the shared directory.
 */
#ifndef MONITOR_START_H
#define MONITOR_START_H

#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "monitor/options.h"
#include "monitor/plan.h"
#include "proto/rpc.h"

/* Both ends of all lanes, and their arenas. Unused elements are -1. */
struct lanes {
	uint32_t n;
	int front[RPC_LANES_MAX];
	int worker[RPC_LANES_MAX];
	int arena[RPC_LANES_MAX];
};

/* How many lanes these options need: one, and one for each request queue or thread asked for. */
uint32_t start_nlanes(const struct options *);

/* How many lanes one request queue may use, whatever --thread-pool-size says. */
#define START_LANES_PER_QUEUE_MAX (RPC_LANES_MAX - REQUEST_QUEUES_MAX)

/*
 * Make n lanes (<= RPC_LANES_MAX) and their arenas. Logs one line and returns a negative errno on failure; nothing is
 * left then.
 */
int start_lanes(uint32_t n, struct lanes *) ATTR_MUSTCHECK;

/* New sockets for lanes whose ends are all closed; the arenas stay. On failure (logged) there are none. */
int start_lanes_again(struct lanes *) ATTR_MUSTCHECK;

/* Close what the children have been given: their ends must be theirs alone, or no end is ever seen. */
void start_lanes_close_worker(struct lanes *);
void start_lanes_close_front(struct lanes *);
void start_lanes_close_arenas(struct lanes *);

/* The journal of n lanes, proto/journal.h. Logs on failure. */
int start_journal(uint32_t n, int *fd) ATTR_MUSTCHECK;

/* A pair of connected SOCK_SEQPACKET sockets with room enough in their queues. Logs on failure. */
int start_pair(int pair[2]) ATTR_MUSTCHECK;

/* What a worker is given, beside options. The fds stay the caller's to close. */
struct start_worker {
	const struct lanes *lanes;
	int share, put, get, journal, lifeline;
	int mntns; /* -1: it makes its own */
	uint32_t incarnation;
	uint64_t fd_limit; /* effective RLIMIT_NOFILE */
	int tables; /* monitor/tables.h; -1 with tables_len 0 */
	uint32_t tables_len;
};

/*
 * Send CTL_START_WORKER / CTL_START_FRONT over ctl, CTL_LANES over the front's. The fds stay the caller's to close. Logs
 * one line and returns a negative errno on failure. start_new_lanes() never waits: a front that does not read is one.
 */
int start_worker(int ctl, const struct options *, const struct plan *,
    const struct start_worker *) ATTR_MUSTCHECK;
int start_front(int ctl, const struct options *, const struct plan *, const struct lanes *,
    int conn) ATTR_MUSTCHECK;
int start_new_lanes(int ctl, const struct lanes *, uint32_t incarnation) ATTR_MUSTCHECK;

/* How many fds a process may keep for inodes under this limit, so that some are left for all else. */
uint32_t start_fd_budget(uint64_t fd_limit);

#endif
