/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart - the worker is killed, and the guest must not notice more than a pause.
 *
 * usage: check_restart (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group;
 *        RESTART_INODES the number of inodes known in the second pause test, default 1,000,000;
 *        CRASH_VIRTIOFSD the build with crash points, default crash/virtiofsd beside the daemon;
 *        LIAR the hostile worker, default tests/liar beside the daemon)
 */
#include "check_restart.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COMM "virtiofsd-worke"	/* 15 bytes of it are all that the kernel keeps */

static struct vmm_proc others[VMM_MAX_PROCS];
static unsigned int nr_others;

long
restart_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

const char *
restart_build_dir(void)
{
	static char dir[400];
	const char *daemon = getenv("VIRTIOFSD");
	char *slash;

	snprintf(dir, sizeof(dir), "%s", daemon != NULL ? daemon : "build/virtiofsd");
	dir[strcspn(dir, " ")] = '\0';
	slash = strrchr(dir, '/');
	ck_assert_msg(slash != NULL, "VIRTIOFSD=%s has no directory", dir);
	*slash = '\0';
	return dir;
}

static pid_t
find_worker(void)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS), i;

	for (i = 0; i < n; i++) {
		if (procs[i].ppid == hv->pid && strcmp(procs[i].comm, COMM) == 0)
			return procs[i].pid;
	}
	return 0;
}

pid_t
restart_wait(pid_t old)
{
	const struct timespec nap = { 0, 1000000 };
	long deadline = vmm_now_ms() + VMM_TIMEOUT_MS;
	pid_t pid;

	for (;;) {
		pid = find_worker();
		if (pid != 0 && pid != old)
			return pid;
		if (vmm_now_ms() > deadline) {
			vmm_print_log(hv);
			ck_abort_msg("no new worker");
		}
		nanosleep(&nap, NULL);
	}
}

pid_t
restart_worker(void)
{
	return restart_wait(0);
}

pid_t
restart_kill(void)
{
	pid_t pid = restart_worker();

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	return pid;
}

void
restart_once(void)
{
	pid_t pid = restart_kill();

	restart_wait(pid);
	ck_assert(h_serves(&hc));
}

void
restart_start_opts(const struct vmm_opts *opts)
{
	static const char *const args[] = { "--worker-deaths=1000", "--worker-window=1", NULL };
	struct vmm_opts o = { .stage = VMM_RUNNING };
	unsigned int n, i;

	if (opts != NULL)
		o = *opts;
	if (o.args == NULL)
		o.args = args;
	h_start_opts(&o, true);
	n = vmm_procs(hv, others, VMM_MAX_PROCS);
	nr_others = 0;
	for (i = 0; i < n; i++) {
		if (strcmp(others[i].comm, COMM) != 0)
			others[nr_others++] = others[i];
	}
	ck_assert_uint_eq(nr_others, 2);
}

void
restart_setup(void)
{
	restart_start_opts(NULL);
}

void
restart_start_crash(const struct vmm_opts *opts)
{
	const char *path = getenv("CRASH_VIRTIOFSD"), *daemon = getenv("VIRTIOFSD"), *more;
	char value[512], saved[512];

	snprintf(saved, sizeof(saved), "%s", daemon != NULL ? daemon : "build/virtiofsd");
	more = strchr(saved, ' ');
	if (path != NULL)
		snprintf(value, sizeof(value), "%s%s", path, more != NULL ? more : "");
	else
		snprintf(value, sizeof(value), "%s/crash/virtiofsd%s", restart_build_dir(),
		    more != NULL ? more : "");
	setenv("VIRTIOFSD", value, 1);
	restart_start_opts(opts);
	setenv("VIRTIOFSD", saved, 1);
}

void
restart_setup_crash(void)
{
	restart_start_crash(NULL);
}

void
restart_stop(void)
{
	if (hv != NULL)
		ck_assert_msg(vmm_same_procs(hv, others, nr_others),
		    "monitor or front is not the one that was there at first");
	h_stop();
}

int
main(void)
{
	Suite *s = suite_create("restart");

	suite_add_tcase(s, check_restart_state());
	suite_add_tcase(s, check_restart_frozen());
	suite_add_tcase(s, check_restart_locks());
	suite_add_tcase(s, check_restart_points());
	suite_add_tcase(s, check_restart_owners());
	suite_add_tcase(s, check_restart_flight());
	suite_add_tcase(s, check_restart_pause());
	suite_add_tcase(s, check_restart_liar());
	return h_main(s, 900);
}
