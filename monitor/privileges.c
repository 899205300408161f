/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads procfs: one row for each role, more if its threads differ. SECURITY.md has the same table for each mode, and
 * tests/harness/check_priv compares them. Runs in: monitor, instead of serving. Bytes written by: the kernel, and the
 * processes that are looked at (their names).
 */
#include "monitor/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/fd.h"

#define ROW_MAX 320
#define ROWS_MAX 16
#define FORMAT "%-8s %-6s %-6s %-7s %-9s %-9s %-9s %-6s %-6s %-32s %-3s %-7s %-8s %s"

static const char *const namespaces[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup" };

/* Rows of one role that are there already. */
struct table {
	char row[ROWS_MAX][ROW_MAX];
	size_t n;
};

/* The errno for which namespaces or the root of a process may not be looked at. */
static int hidden;

/* A process that has gone meanwhile hides nothing. */
static void
note_hidden(void)
{
	if (errno == EACCES || errno == EPERM)
		hidden = errno;
}

static int
fail(int error, const char *what)
{
	fprintf(stderr, "virtiofsd: %s: %s\n", what, strerrordesc_np(error));
	return -error;
}

/* The file's text, "" if it cannot be read. */
static void
read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t k;

	while (fd != -1 && n < size - 1 && (k = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)k;
	fd_close(&fd);
	text[n] = '\0';
}

/* The words behind "\nNAME:\t", or "?". */
static void
field(const char *status, const char *name, char *value, size_t size)
{
	char key[24];
	const char *p;

	snprintf(key, sizeof(key), "\n%s:", name);
	p = strstr(status, key);
	snprintf(value, size, "?");
	if (p == NULL)
		return;
	p += strlen(key);
	p += strspn(p, " \t");
	snprintf(value, size, "%.*s", (int)strcspn(p, "\n"), p);
}

/* Real, effective, saved and file system id: one number if they are equal. */
static void
ids(const char *status, const char *name, char *value, size_t size)
{
	char text[64];
	unsigned id[4];

	field(status, name, text, sizeof(text));
	if (sscanf(text, "%u %u %u %u", &id[0], &id[1], &id[2], &id[3]) != 4)
		snprintf(value, size, "?");
	else if (id[0] == id[1] && id[1] == id[2] && id[2] == id[3])
		snprintf(value, size, "%u", id[0]);
	else
		snprintf(value, size, "%u/%u/%u/%u", id[0], id[1], id[2], id[3]);
}

static void
groups(const char *status, char *value, size_t size)
{
	size_t n;

	field(status, "Groups", value, size);
	n = strlen(value);
	while (n > 0 && value[n - 1] == ' ')
		value[--n] = '\0';
	if (n == 0)
		snprintf(value, size, "-");
	for (char *p = value; *p != '\0'; p++)
		if (*p == ' ')
			*p = ',';
}

static void
caps(const char *status, const char *name, char *value, size_t size)
{
	char text[32], *end;
	uint64_t set;

	field(status, name, text, sizeof(text));
	set = strtoull(text, &end, 16);
	if (end == text)
		snprintf(value, size, "?");
	else
		snprintf(value, size, "%" PRIx64, set);
}

/* The namespaces of pid that are not those of the other process, or "-". */
static void
own_namespaces(const char *pid, const char *other, char *value, size_t size)
{
	char path[64], a[64], b[64];
	size_t used = 0;

	snprintf(value, size, "-");
	for (size_t i = 0; i < countof(namespaces); i++) {
		ssize_t n, m;

		snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, namespaces[i]);
		n = readlink(path, a, sizeof(a));
		snprintf(path, sizeof(path), "/proc/%s/ns/%s", other, namespaces[i]);
		m = readlink(path, b, sizeof(b));
		if (n == -1 || m == -1) {
			note_hidden();
			snprintf(value, size, "?");
			return;
		}
		if (n != m || memcmp(a, b, (size_t)n) != 0)
			used += (size_t)snprintf(
			    value + used, size - used, "%s%s", used > 0 ? "," : "", namespaces[i]);
	}
}

/* A directory that nothing can be in: it has no name any more, or is read-only and holds nothing. */
static bool
is_empty(const char *path, const struct stat *st)
{
	struct statvfs fs;
	struct dirent *e;
	bool empty;
	DIR *d;

	if (st->st_nlink == 0)
		return true;
	if (statvfs(path, &fs) == -1 || (fs.f_flag & ST_RDONLY) == 0 || (d = opendir(path)) == NULL)
		return false;
	empty = true;
	while ((e = readdir(d)) != NULL)
		empty = empty && e->d_name[0] == '.';
	closedir(d);
	return empty;
}

/* Its root directory: that of the other process ("host"), an empty one, or one of its own. */
static const char *
root(const char *pid, const char *other)
{
	char path[64];
	struct stat a, b;

	snprintf(path, sizeof(path), "/proc/%s/root/.", other);
	if (stat(path, &b) == -1) {
		note_hidden();
		return "?";
	}
	snprintf(path, sizeof(path), "/proc/%s/root/.", pid);
	if (stat(path, &a) == -1) {
		note_hidden();
		return "?";
	}
	if (a.st_ino == b.st_ino && a.st_dev == b.st_dev)
		return "host";
	return is_empty(path, &a) ? "empty" : "own";
}

/*
 * procfs gives files of a process that is not dumpable to the root of its user namespace; of a process that is this root
 * it says nothing.
 */
static const char *
dumpable(const char *pid, const char *status)
{
	unsigned id[4], inside = 1, outside = 0;
	char path[32], text[256];
	struct stat st;

	field(status, "Uid", text, sizeof(text));
	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	if (sscanf(text, "%u %u %u %u", &id[0], &id[1], &id[2], &id[3]) != 4 ||
	    stat(path, &st) == -1)
		return "?";
	if (st.st_uid != id[1])
		return "no";
	snprintf(path, sizeof(path), "/proc/%s/uid_map", pid);
	read_text(path, text, sizeof(text));
	if (sscanf(text, "%u %u", &inside, &outside) == 2 && inside == 0 && outside == id[1])
		return "?";
	return "yes";
}

/* The row of one thread, if the role has none like it yet. */
static void
add_row(struct table *t, const char *role, const char *pid, const char *tid, const char *other)
{
	char path[64], status[4096], uid[48], gid[48], grp[128], cap[5][24], ns[48], nnp[8], sec[8];
	static const char *const sets[] = { "CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh" };

	if (t->n == ROWS_MAX)
		return;
	snprintf(path, sizeof(path), "/proc/%s/task/%s/status", pid, tid);
	read_text(path, status, sizeof(status));
	if (status[0] == '\0')
		return;
	ids(status, "Uid", uid, sizeof(uid));
	ids(status, "Gid", gid, sizeof(gid));
	groups(status, grp, sizeof(grp));
	for (size_t i = 0; i < countof(sets); i++)
		caps(status, sets[i], cap[i], sizeof(cap[i]));
	own_namespaces(pid, other, ns, sizeof(ns));
	field(status, "NoNewPrivs", nnp, sizeof(nnp));
	field(status, "Seccomp", sec, sizeof(sec));
	snprintf(t->row[t->n], ROW_MAX, FORMAT, role, uid, gid, grp, cap[0], cap[1], cap[2], cap[3],
	    cap[4], ns, nnp, sec, dumpable(pid, status), root(pid, other));
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->row[i], t->row[t->n]) == 0)
			return;
	puts(t->row[t->n++]);
}

/* Is that a number? */
static bool
is_pid(const char *name)
{
	return name[0] != '\0' && strspn(name, "0123456789") == strlen(name) && strlen(name) < 12;
}

/* All threads of a process. rest: the role of those that are not the first, or NULL: the same. */
static void
print_process(const char *role, const char *rest, const char *pid, const char *other)
{
	struct table first = { .n = 0 }, others = { .n = 0 };
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	add_row(&first, role, pid, pid, other);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (is_pid(e->d_name) && strcmp(e->d_name, pid) != 0)
			add_row(rest != NULL ? &others : &first, rest != NULL ? rest : role, pid,
			    e->d_name, other);
	if (d != NULL)
		closedir(d);
}

/* Is pid a child of parent that runs this executable? The kernel keeps 15 bytes of its name. */
static bool
is_child(const char *pid, const char *parent, const char *exe)
{
	char path[64], status[4096], value[32];

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	/* "Name:" is the first line. */
	status[0] = '\n';
	read_text(path, status + 1, sizeof(status) - 1);
	field(status, "PPid", value, sizeof(value));
	if (strcmp(value, parent) != 0)
		return false;
	field(status, "Name", value, sizeof(value));
	return strncmp(value, exe, 15) == 0;
}

static int
print_children(const char *role, const char *exe, const char *parent)
{
	struct dirent *e;
	DIR *d = opendir("/proc");
	int n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (is_pid(e->d_name) && is_child(e->d_name, parent, exe)) {
			print_process(role, NULL, e->d_name, parent);
			n++;
		}
	if (d != NULL)
		closedir(d);
	return n;
}

/* The pid in who, or in the file that it names. */
static int
find_pid(const char *who, char pid[static 16])
{
	char text[16];

	if (is_pid(who)) {
		snprintf(pid, 16, "%s", who);
		return 0;
	}
	errno = 0;
	read_text(who, text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	if (!is_pid(text))
		return fail(errno != 0 ? errno : EINVAL, who);
	snprintf(pid, 16, "%s", text);
	return 0;
}

int
privileges_print(const char *who)
{
	char pid[16], path[32];
	int r = find_pid(who, pid);

	if (r != 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%s", pid);
	if (access(path, F_OK) == -1)
		return fail(ESRCH, pid);
	printf(FORMAT "\n", "role", "uid", "gid", "groups", "CapEff", "CapPrm", "CapBnd", "CapAmb",
	    "CapInh", "own-namespaces", "nnp", "seccomp", "dumpable", "root");
	print_process("monitor", "vault", pid, "self");
	r = print_children("front", "virtiofsd-front", pid);
	r += print_children("worker", "virtiofsd-worker", pid);
	if (r == 0)
		fprintf(stderr,
		    "virtiofsd: no front, no worker: %s has no client yet, or is no "
		    "virtiofsd\n",
		    pid);
	if (fflush(stdout) != 0)
		return -EIO;
	if (hidden == 0)
		return 0;
	return fail(hidden,
	    "namespaces and roots of other processes cannot be seen, which takes root and no "
	    "AppArmor profile (a copy of this program has none)");
}
