/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starting workers, the first and those after it: what they are made of, what is known of the change from one to the
 * next, and when to give up. Main thread only; nothing here waits.
 */
#ifndef MONITOR_RESPAWN_H
#define MONITOR_RESPAWN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "monitor/options.h"
#include "monitor/plan.h"
#include "monitor/spawn.h"
#include "monitor/start.h"
#include "monitor/vault.h"
#include "proto/control.h"

struct respawn {
	bool on; /* a worker that dies is replaced */
	const struct options *opts;
	const struct plan *plan;
	const struct spawn_files *files;
	struct lanes lanes; /* arenas; the front's ends of a worker that is not ready */
	bool mntns_good; /* a worker has become ready in it */
	struct start_worker
	    give; /* share, journal, mntns: kept; incarnation: of the present worker */
	/* All times are CLOCK_MONOTONIC in ms, 0 = not running. */
	int64_t deaths[OPTIONS_DEATHS_MAX]; /* a ring: when the last ndeaths were */
	uint32_t ndeaths;
	int64_t since; /* the first death that the front has not resumed from */
	char how[64]; /* the last death */
	int64_t ready_by; /* the new worker must be ready */
	int64_t late_at; /* say that it takes long */
	int64_t closed_by; /* kill the worker, which has closed a lane */
	int64_t gone_by; /* say that the killed worker hangs */
	int64_t retry_at; /* try again to start a worker */
	uint32_t sent, resumed; /* incarnation in the last CTL_LANES and CTL_RESUMED */
};

int64_t respawn_now(void);

/*
 * Start the worker number give.incarnation with new lanes, and have the vault serve it. lanes.front are then the ends for
 * the front. Returns 0 or a negative errno (logged), and nothing of it runs.
 */
int respawn_start(struct respawn *, struct child *worker, struct vault *) ATTR_MUSTCHECK;

/* After the first start: close what only further workers need, if there are to be none. */
void respawn_settle(struct respawn *);

/*
 * The worker is gone (reaped, its messages read): start another one. Also to be called when retry_at has come. Returns
 * false, and has said why, if that is to end the daemon.
 */
bool respawn_died(struct respawn *, struct child *worker, struct vault *) ATTR_MUSTCHECK;

/* The new worker is ready: the front gets its lanes. Returns false (logged) if the front does not take them. */
bool respawn_ready(struct respawn *, const struct child *worker, int front_ctl) ATTR_MUSTCHECK;

/* What the front says about the change. Returns NULL, or what is wrong with it. */
const char *respawn_resumed(struct respawn *, const struct ctl_resumed *);
const char *respawn_stuck(struct respawn *, const struct ctl_stuck *, struct child *worker);
const char *respawn_broken(struct respawn *, const struct ctl_broken *, struct child *worker);

/* Kill the worker, if it is not gone, and watch for its end. */
void respawn_kill(struct respawn *, struct child *worker);

/*
 * When the next of these must be looked at, 0 = none; and look at them. Returns false, and has said why, if the daemon is
 * to end.
 */
int64_t respawn_deadline(const struct respawn *);
bool respawn_tick(struct respawn *, struct child *worker) ATTR_MUSTCHECK;

/* Close everything. */
void respawn_end(struct respawn *);

#endif
