/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starting the two child processes, and what the monitor knows of each.
 */
#ifndef MONITOR_SPAWN_H
#define MONITOR_SPAWN_H

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "monitor/logsink.h"

/* All the namespaces that a child can be given besides a user namespace. */
#define SPAWN_NAMESPACES \
	(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

enum child_role { CHILD_WORKER, CHILD_FRONT, CHILD_ROLES };

/* Where a child lives. */
struct spawn_how {
	unsigned long namespaces; /* to be made for it: of SPAWN_NAMESPACES */
	int userns; /* a user namespace, to be entered first; -1: it stays in the monitor's */
	bool bind_mounts; /* there is no open_tree(): its sandbox is made of bind mounts */
	uint64_t caps; /* what it begins with (PRIVS_CAP()); 0: what exec gives to its uid */
};

/* The flags of the clone() that makes such a child, for the seccomp profile; in userns it follows a clone(SIGCHLD). */
static inline unsigned long
spawn_clone_flags(const struct spawn_how *how)
{
	return how->namespaces | CLONE_PIDFD | SIGCHLD | (how->userns != -1 ? CLONE_PARENT : 0);
}

struct child {
	enum child_role role;
	struct logsink_source log;
	int pidfd; /* -1: not running, or reaped */
	int ctl; /* the monitor's end of the control socket; -1: end of file seen */
	bool ready; /* CTL_READY seen */
	bool done; /* CTL_DONE seen */
	bool gone; /* reaped: how holds */
	bool killed; /* by spawn_kill() */
	int lifeline; /* worker: ends when it is being killed, whatever its threads hang in; -1 = ended */
	int how_code, how_status; /* si_code and si_status of waitid() */
	int64_t leave_by; /* CLOCK_MONOTONIC ms by which it must have ended; 0 = may stay */
};

/* "front" or "worker" */
const char *spawn_name(enum child_role);

/* "virtiofsd::front": what the lines of its log are called. */
const char *spawn_module(enum child_role);

/* What children are made of; opened at start, so that a later change of the file system changes nothing. */
struct spawn_files {
	int exe[CHILD_ROLES]; /* O_PATH */
	int null; /* /dev/null */
};

/* Close what is not needed to start another worker, or everything. */
void spawn_close_files(struct spawn_files *, bool keep_worker);

/*
 * Continue as the executable of a child, with this argument instead of a control socket. Returns only if it fails: a negative
 * errno, logged.
 */
int spawn_become(enum child_role, const char *arg) ATTR_MUSTCHECK;

/* Find the executables beside this one. Logs one line and returns a negative errno if one is missing. */
int spawn_open_files(struct spawn_files *) ATTR_MUSTCHECK;

/*
 * Start a child where how says, with its control socket as CONTROL_FD and /dev/null as 0, 1 and 2, nothing else open, no
 * environment, no signal blocked or ignored. To be called from the main thread only: the child's death signal is tied to
 * the thread that made it. Fills *c, but keeps the rate limit of its log; on failure (logged, negative errno) nothing
 * runs. If mntns is not NULL, *mntns is the child's new mount namespace (the caller's to close), or -1 if it could not be
 * had.
 */
int spawn_child(const struct spawn_files *, enum child_role, const struct spawn_how *how,
    struct child *c, int *mntns) ATTR_MUSTCHECK;

/* Reap the child if it has ended (fills how_code, how_status, sets gone). Never waits. */
void spawn_reap(struct child *);

/* Kill the child, which may be gone already. Does not wait. */
void spawn_kill(struct child *);

/* How the child ended, as text; valid once gone is set. */
void spawn_describe(const struct child *, char *buf, size_t size);

#endif
