/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who shall have which privileges: decided once, at the start, from the options and from what the caller has, and tried as
 * far as it can be tried without a client (spec/sandbox.md sections 1 to 6).
 */
#ifndef MONITOR_PLAN_H
#define MONITOR_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "monitor/options.h"
#include "monitor/spawn.h"

struct plan {
	struct spawn_how how[CHILD_ROLES]; /* user namespaces: the plan's to close */
	uint32_t worker_flags, front_flags; /* of their START messages */
	uint64_t worker_caps; /* what the worker keeps, if it has it */
	uid_t front_uid; /* what the front becomes, as its user namespace has it; 0: it stays */
	gid_t front_gid;
	uint64_t watch; /* what the monitor keeps to the end */
	uint64_t restart; /* and what it takes to start another worker */
	bool handles; /* the vault may open file handles */
};

/*
 * Make the plan. share: O_PATH fd of what is shared. Also drops the supplementary groups of this process, if they are to
 * be dropped. Returns 0, or a negative errno if the daemon cannot start like this (logged: which step, what to do).
 */
int plan_make(const struct options *, int share, struct plan *) ATTR_MUSTCHECK;

/* The monitor keeps these capabilities too, to the end, if it has them. */
void plan_keep(struct plan *, uint64_t caps);

/* Close what is only needed to start children. keep_worker: another worker may have to be started. */
void plan_close(struct plan *, bool keep_worker);

#endif
