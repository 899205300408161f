/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * assassin-kill: kills the worker of a daemon again and again, at random moments.
 *
 * usage: assassin-kill PIDFILE SIGNAL MIN MAX SEED SHARE
 * PIDFILE holds the pid of the daemon's first process; the worker is its child with the command name virtiofsd-worker.
 * Begins when SHARE/started exists. MIN to MAX milliseconds lie between one kill and the next, and a new worker is
 * always waited for. Ends when SHARE/ended exists or the daemon has gone; prints `kills N`. Exit status 1 if no new
 * worker appeared within five seconds.
 * Runs in: the host.
 */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../harness/segv.h"

static const char *share;
static long daemon_pid;

static long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
marked(const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", share, name);
	return access(path, F_OK) == 0;
}

static bool
over(void)
{
	return marked("ended") || kill((pid_t)daemon_pid, 0) == -1;
}

static bool
is_worker(long pid)
{
	char path[64], comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	if (fgets(comm, sizeof(comm), f) == NULL)
		comm[0] = '\0';
	fclose(f);
	return strcmp(comm, "virtiofsd-worke\n") == 0;
}

/* The worker's pid, 0 if there is none. A dead one that is not reaped yet may be it. */
static long
find_worker(void)
{
	char path[64];
	long pid, found = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", daemon_pid, daemon_pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	while (fscanf(f, "%ld", &pid) == 1) {
		if (is_worker(pid))
			found = pid;
	}
	fclose(f);
	return found;
}

static long
read_pid(const char *path)
{
	long pid = 0;
	FILE *f;

	for (int i = 0; i < 3000 && pid <= 0; i++) {
		usleep(10000);
		if ((f = fopen(path, "re")) == NULL)
			continue;
		if (fscanf(f, "%ld", &pid) != 1)
			pid = 0;
		fclose(f);
	}
	if (pid <= 0)
		errx(1, "no daemon");
	return pid;
}

/* Waits for a worker that is not old; 0 = all is over. */
static long
next_worker(long old)
{
	long deadline = now_ms() + 5000, pid;

	for (;;) {
		pid = find_worker();
		if (pid != 0 && pid != old)
			return pid;
		if (over())
			return 0;
		if (now_ms() > deadline)
			errx(1, "no new worker after 5 s");
		usleep(1000);
	}
}

int
main(int argc, char *argv[])
{
	long worker = 0, kills = 0, low, high, at;
	int sig;

	if (argc != 7)
		errx(2, "usage: assassin-kill PIDFILE SIGNAL MIN MAX SEED SHARE");
	sig = atoi(argv[2]);
	low = atol(argv[3]);
	high = atol(argv[4]);
	srandom((unsigned int)atol(argv[5]));
	share = argv[6];
	if (sig < 0 || low < 0 || high <= low)
		errx(2, "bad arguments");
	daemon_pid = read_pid(argv[1]);
	while (!marked("started") && !over())
		usleep(10000);
	at = now_ms();
	while (sig != 0) {
		at += low + random() % (high - low);
		if ((worker = next_worker(worker)) == 0)
			break;
		while (now_ms() < at && !over())
			usleep(1000);
		if (over())
			break;
		if (sig == SIGSEGV)
			errno = -segv_inject((pid_t)worker);
		else
			errno = kill((pid_t)worker, sig) == 0 ? 0 : errno;
		if (errno != 0)
			err(1, "kill %ld", worker);
		kills++;
		at = now_ms();
	}
	printf("kills %ld\n", kills);
	return 0;
}
