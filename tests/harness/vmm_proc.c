/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm_proc - which processes belong to the daemon under test.
 *
 * The daemon leads a process group; its children must stay in it (libvirt kills the group). A child
 * that left the group is still found by its chain of parents. Zombies do not count as alive.
 *
 * Runs in: the test programs.
 */
#include "vmm.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SCAN 4096

struct scan {
	pid_t pid;
	pid_t ppid;
	pid_t pgrp;
	char state;
	char comm[16];
};

static int
read_stat(const char *pid, struct scan *s)
{
	char path[64], line[512], *open, *close;
	FILE *f;
	size_t n;
	int ppid, pgrp;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return -errno;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = '\0';
	open = strchr(line, '(');
	close = strrchr(line, ')');
	if (open == NULL || close == NULL || close < open)
		return -EIO;
	if (sscanf(close + 1, " %c %d %d", &s->state, &ppid, &pgrp) != 3)
		return -EIO;
	*close = '\0';
	snprintf(s->comm, sizeof(s->comm), "%s", open + 1);
	s->pid = (pid_t)atoi(pid);
	s->ppid = ppid;
	s->pgrp = pgrp;
	return 0;
}

static unsigned int
scan_proc(struct scan *all, unsigned int max)
{
	DIR *d;
	struct dirent *e;
	unsigned int n = 0;

	d = opendir("/proc");
	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL && n < max) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		if (read_stat(e->d_name, &all[n]) == 0)
			n++;
	}
	closedir(d);
	return n;
}

/* Is the process in the group, or below a member of it? Depth is bounded: /proc is no snapshot. */
static bool
belongs(const struct scan *all, unsigned int n, const struct scan *s, pid_t group)
{
	unsigned int depth, i;

	for (depth = 0; depth < 16; depth++) {
		if (s->pgrp == group || s->pid == group)
			return true;
		for (i = 0; i < n && all[i].pid != s->ppid; i++)
			;
		if (i == n)
			return false;
		s = &all[i];
	}
	return false;
}

unsigned int
vmm_procs(const struct vmm *v, struct vmm_proc *out, unsigned int max)
{
	struct scan *all;
	unsigned int n, i, found = 0;

	all = calloc(MAX_SCAN, sizeof(*all));
	if (all == NULL)
		return 0;
	n = scan_proc(all, MAX_SCAN);
	for (i = 0; i < n && found < max; i++) {
		if (all[i].state == 'Z' || all[i].state == 'X')
			continue;
		if (!belongs(all, n, &all[i], v->pid))
			continue;
		out[found].pid = all[i].pid;
		out[found].ppid = all[i].ppid;
		memcpy(out[found].comm, all[i].comm, sizeof(out[found].comm));
		found++;
	}
	free(all);
	return found;
}

bool
vmm_same_procs(const struct vmm *v, const struct vmm_proc *then, unsigned int n)
{
	struct vmm_proc now[VMM_MAX_PROCS];
	unsigned int nr_now, i, j;

	nr_now = vmm_procs(v, now, VMM_MAX_PROCS);
	for (i = 0; i < n; i++) {
		for (j = 0; j < nr_now && now[j].pid != then[i].pid; j++)
			;
		if (j == nr_now) {
			fprintf(stderr, "process %d (%s) is gone\n", then[i].pid, then[i].comm);
			return false;
		}
	}
	return true;
}

int
vmm_kill_group(const struct vmm *v, int sig)
{
	if (v->pid <= 0)
		return -ESRCH;
	return kill(-v->pid, sig) < 0 ? -errno : 0;
}
