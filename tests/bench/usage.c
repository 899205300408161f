/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all processes and threads of a daemon have used, out of /proc: CPU time to the nanosecond (schedstat), context
 * switches, proportional set size.
 *
 * Runs in: the bench program, as root.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/bench/bench.h"

static bool
slurp(const char *path, char *buf, size_t cap)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return false;
	n = fread(buf, 1, cap - 1, f);
	fclose(f);
	buf[n] = '\0';
	return n > 0;
}

static uint64_t
field(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p != NULL ? strtoull(p + strlen(name), NULL, 10) : 0;
}

static void
add_thread(int pid, const char *tid, struct usage *u)
{
	char path[80], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/schedstat", pid, tid);
	if (slurp(path, text, sizeof(text)))
		u->cpu_ns += strtoull(text, NULL, 10);
	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", pid, tid);
	/* The second name is in the first, so the first must be found with its line's beginning. */
	if (slurp(path, text, sizeof(text)))
		u->switches += field(text, "\nvoluntary_ctxt_switches:") +
		    field(text, "\nnonvoluntary_ctxt_switches:");
	u->threads++;
}

/* All mappings but those of guest memory (vmm_mem.c names it), which are the guest's. */
static uint64_t
pss(int pid)
{
	char path[64], line[512];
	bool guest = false;
	uint64_t sum = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] < 'A' || line[0] > 'Z')
			guest = strstr(line, "memfd:guest") != NULL;
		else if (!guest && strncmp(line, "Pss:", 4) == 0)
			sum += strtoull(line + 4, NULL, 10);
	}
	fclose(f);
	return sum;
}

void
usage_read(const struct vmm *v, struct usage *u, bool memory)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	char path[64];
	struct dirent *e;
	DIR *d;

	memset(u, 0, sizeof(*u));
	u->procs = vmm_procs(v, procs, VMM_MAX_PROCS);
	for (unsigned int i = 0; i < u->procs; i++) {
		snprintf(path, sizeof(path), "/proc/%d/task", procs[i].pid);
		d = opendir(path);
		if (d == NULL)
			continue;
		while ((e = readdir(d)) != NULL)
			if (e->d_name[0] != '.')
				add_thread(procs[i].pid, e->d_name, u);
		closedir(d);
		if (!memory)
			continue;
		u->pss_kib += pss(procs[i].pid);
	}
}

void
usage_self(struct usage *u)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	memset(u, 0, sizeof(*u));
	u->cpu_ns = ((uint64_t)r.ru_utime.tv_sec + (uint64_t)r.ru_stime.tv_sec) * 1000000000u +
	    ((uint64_t)r.ru_utime.tv_usec + (uint64_t)r.ru_stime.tv_usec) * 1000u;
}
