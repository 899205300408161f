/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart - what the groups of tests of the worker's restart share.
 *
 * Runs in: check_restart. The worker is the daemon's child whose command name is virtiofsd-worker.
 */
#ifndef HARNESS_CHECK_RESTART_H
#define HARNESS_CHECK_RESTART_H

#include "harness.h"

/* Start a daemon that does not give up (a thousand deaths a second). opts->args replaces the
 * arguments for that. opts may be NULL. */
void restart_start_opts(const struct vmm_opts *opts);
void restart_setup(void);

/* The same with the build that has crash points, CRASH_POINTS in the environment or crash/virtiofsd beside it. */
void restart_start_crash(const struct vmm_opts *opts);
void restart_setup_crash(void);

/* End the session as h_stop does; only the first process of the daemon, the monitor, and the front have never changed. */
void restart_stop(void);

/* The worker's pid; asserted to exist soon. */
pid_t restart_worker(void);

/* Wait for a worker that is not `old`; returns its pid. */
pid_t restart_wait(pid_t old);

/* SIGKILL for the worker, nothing is waited for; returns its pid. */
pid_t restart_kill(void);

/* SIGKILL, wait for the next worker and for its first answer. */
void restart_once(void);

/* Directory of the daemon's executables, from VIRTIOFSD. */
const char *restart_build_dir(void);

/* Microseconds of the monotonic clock. */
long restart_now_us(void);

/* Each returns a new test case for the suite, which owns it. */
TCase *check_restart_pause(void);
TCase *check_restart_flight(void);
TCase *check_restart_frozen(void);
TCase *check_restart_locks(void);
TCase *check_restart_points(void);
TCase *check_restart_owners(void);
TCase *check_restart_state(void);
TCase *check_restart_liar(void);

#endif
