/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_priv - the privileges of the three running processes, against the table in SECURITY.md.
 *
 * usage: check_priv (as root, from the project's directory; VIRTIOFSD names the daemon,
 *        HARNESS_SECURITY the document, default SECURITY.md)
 *
 * The table is a fenced block ```privileges of lines `role key value`; roles monitor, front,
 * worker; '#' begins a comment. The state compared is "serving, idle". Keys and their form:
 *   uid          number of all four ids, or "unprivileged" (not 0, all four equal)
 *   CapEff, CapPrm, CapBnd   hexadecimal, as in /proc/PID/status, or names: "CHOWN,SETUID", or "0"
 *   NoNewPrivs, Seccomp      number
 *   ns-private   list of mnt,pid,net,ipc,uts,cgroup,user, or "-"; the others are the test's own
 *   fds          list of the kinds of fd the process may hold
 * Every key must be there for every role; a line that is not understood is a failure too. All
 * values hold for every thread.
 */
#include "harness.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAX_ROWS 64

struct row {
	char role[16];
	char key[16];
	char value[512];
	bool used;
};

static struct row rows[MAX_ROWS];
static unsigned int nr_rows;

static const struct {
	const char *role;
	const char *comm;	/* cut to 15 bytes by the kernel */
} roles[] = {
	{ "monitor", "virtiofsd" },
	{ "front", "virtiofsd-front" },
	{ "worker", "virtiofsd-worke" },
};

#define NR_ROLES 3

static pid_t pids[NR_ROLES];

static const char *const namespaces[] = { "mnt", "pid", "net", "ipc", "uts", "cgroup", "user" };

static const char *const cap_names[] = { "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER",
	"FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE",
	"NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO",
	"SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE",
	"AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
	"BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE" };

#define NR_CAPS (sizeof(cap_names) / sizeof(cap_names[0]))

static void
read_table(void)
{
	const char *path = getenv("HARNESS_SECURITY");
	char line[640];
	bool inside = false;
	FILE *f;

	nr_rows = 0;
	if (path == NULL)
		path = "SECURITY.md";
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "```", 3) == 0) {
			inside = !inside && strncmp(line + 3, "privileges", 10) == 0;
			continue;
		}
		if (!inside || nr_rows == MAX_ROWS || line[0] == '#' || line[0] == '\n')
			continue;
		memset(&rows[nr_rows], 0, sizeof(rows[0]));
		ck_assert_msg(sscanf(line, "%15s %15s %511[^\n]", rows[nr_rows].role,
		    rows[nr_rows].key, rows[nr_rows].value) == 3, "%s: bad line: %s", path, line);
		nr_rows++;
	}
	fclose(f);
	ck_assert_msg(nr_rows > 0, "%s has no ```privileges block", path);
}

static const char *
expected_of(const char *role, const char *key)
{
	unsigned int i;

	for (i = 0; i < nr_rows; i++) {
		if (strcmp(rows[i].role, role) == 0 && strcmp(rows[i].key, key) == 0) {
			rows[i].used = true;
			return rows[i].value;
		}
	}
	ck_abort_msg("the table says nothing about %s %s", role, key);
	return "";
}

static const char *
expected(unsigned int role, const char *key)
{
	return expected_of(roles[role].role, key);
}

/* The monitor's second thread has rows of its own: it holds less. */
static const char *
row_name(unsigned int role, const char *status_path)
{
	const char *task = strstr(status_path, "/task/");

	return role == 0 && task != NULL && atoi(task + 6) != pids[0] ? "vault" : roles[role].role;
}

static bool
in_list(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p = list;

	while ((p = strstr(p, word)) != NULL) {
		if ((p == list || p[-1] == ',' || p[-1] == ' ') &&
		    (p[n] == '\0' || p[n] == ',' || p[n] == ' '))
			return true;
		p += n;
	}
	return false;
}

static unsigned long long
parse_caps(const char *value)
{
	unsigned long long set = 0;
	char word[64];
	unsigned int i;
	int n;

	if (isdigit((unsigned char)value[0]))
		return strtoull(value, NULL, 16);
	while (sscanf(value, " %63[A-Za-z_]%n", word, &n) == 1) {
		const char *name = strncmp(word, "CAP_", 4) == 0 ? word + 4 : word;

		for (i = 0; i < NR_CAPS && strcmp(cap_names[i], name) != 0; i++)
			;
		ck_assert_msg(i < NR_CAPS, "unknown capability %s", word);
		set |= 1ull << i;
		value += n;
		value += strspn(value, ", ");
	}
	return set;
}

/* One line of a status file, or "" . */
static void
status_field(const char *path, const char *field, char *out, size_t cap)
{
	char line[512];
	size_t n = strlen(field);
	FILE *f;

	out[0] = '\0';
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, field, n) == 0 && line[n] == ':') {
			line[strcspn(line, "\n")] = '\0';
			snprintf(out, cap, "%s", line + n + 1 + strspn(line + n + 1, " \t"));
		}
	}
	fclose(f);
	ck_assert_msg(out[0] != '\0', "%s has no %s", path, field);
}

/* Call fn for the status file of every thread. */
static void
each_thread(unsigned int role, void (*fn)(unsigned int, const char *))
{
	char path[300];
	struct dirent *e;
	unsigned int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pids[role]);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pids[role], e->d_name);
		fn(role, path);
		n++;
	}
	closedir(d);
	ck_assert_uint_ge(n, 1);
}

static void
check_ids(unsigned int role, const char *path)
{
	const char *want = expected(role, "uid");
	unsigned int id[4], gid[4], i;
	char text[128];

	status_field(path, "Uid", text, sizeof(text));
	ck_assert_int_eq(sscanf(text, "%u %u %u %u", &id[0], &id[1], &id[2], &id[3]), 4);
	status_field(path, "Gid", text, sizeof(text));
	ck_assert_int_eq(sscanf(text, "%u %u %u %u", &gid[0], &gid[1], &gid[2], &gid[3]), 4);
	for (i = 0; i < 4; i++) {
		ck_assert_msg(id[i] == id[0], "%s: uids differ: %s", path, text);
		if (strcmp(want, "unprivileged") == 0) {
			ck_assert_msg(id[i] != 0, "%s: uid 0", path);
			ck_assert_msg(gid[i] != 0, "%s: gid 0", path);
		} else {
			ck_assert_msg(id[i] == (unsigned int)strtoul(want, NULL, 10),
			    "%s: uid %u, table %s", path, id[i], want);
		}
	}
}

static void
check_status(unsigned int role, const char *path)
{
	static const char *const caps[] = { "CapEff", "CapPrm", "CapBnd" };
	static const char *const numbers[] = { "NoNewPrivs", "Seccomp" };
	unsigned long long have, want;
	char text[128];
	size_t i;

	check_ids(role, path);
	for (i = 0; i < 3; i++) {
		status_field(path, caps[i], text, sizeof(text));
		have = strtoull(text, NULL, 16);
		want = parse_caps(expected_of(row_name(role, path), caps[i]));
		ck_assert_msg(have == want, "%s (%s): %s %016llx, table %016llx", path,
		    roles[role].role, caps[i], have, want);
	}
	/* Never in a table: these two are empty everywhere. */
	status_field(path, "CapInh", text, sizeof(text));
	ck_assert_msg(strtoull(text, NULL, 16) == 0, "%s: CapInh %s", path, text);
	status_field(path, "CapAmb", text, sizeof(text));
	ck_assert_msg(strtoull(text, NULL, 16) == 0, "%s: CapAmb %s", path, text);
	for (i = 0; i < 2; i++) {
		status_field(path, numbers[i], text, sizeof(text));
		ck_assert_msg(strcmp(text, expected(role, numbers[i])) == 0,
		    "%s (%s): %s %s, table %s", path, roles[role].role, numbers[i], text,
		    expected(role, numbers[i]));
	}
}

static void
find_roles(void)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n, i, r;

	memset(pids, 0, sizeof(pids));
	n = vmm_procs(hv, procs, VMM_MAX_PROCS);
	for (i = 0; i < n; i++) {
		for (r = 0; r < NR_ROLES && strcmp(procs[i].comm, roles[r].comm) != 0; r++)
			;
		ck_assert_msg(r < NR_ROLES, "process %d (%s) has no role", procs[i].pid,
		    procs[i].comm);
		ck_assert_msg(pids[r] == 0, "two processes are %s", procs[i].comm);
		pids[r] = procs[i].pid;
	}
	for (r = 0; r < NR_ROLES; r++)
		ck_assert_msg(pids[r] != 0, "there is no %s", roles[r].comm);
	ck_assert_int_eq(pids[0], hv->pid);
}

/* A session with something open, so that fds of every kind are there. */
static void
setup(void)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	read_table();
	h_setup();
	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0644, &e, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "x", 1, O_RDWR), 1);
	OK(fc_opendir(&hc, FC_ROOT, &o));
	ck_assert_int_gt(fc_readdir(&hc, FC_ROOT, o.fh, 0, 4096, true), 0);
	ck_assert(h_serves(&hother));
	find_roles();
}

START_TEST(test_status)
{
	each_thread((unsigned int)_i, check_status);
}
END_TEST

START_TEST(test_namespaces)
{
	const char *want = expected((unsigned int)_i, "ns-private");
	char path[64], ours[64], theirs[64];
	bool private;
	ssize_t n;
	size_t i;

	for (i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i]);
		n = readlink(path, ours, sizeof(ours) - 1);
		ck_assert_int_gt((int)n, 0);
		ours[n] = '\0';
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pids[_i], namespaces[i]);
		n = readlink(path, theirs, sizeof(theirs) - 1);
		ck_assert_msg(n > 0, "%s: %s", path, strerror(errno));
		theirs[n] = '\0';
		private = strcmp(ours, theirs) != 0;
		ck_assert_msg(private == in_list(want, namespaces[i]), "%s: %s namespace is %s",
		    roles[_i].role, namespaces[i], private ? "private" : "shared");
	}
}
END_TEST

/* The kind of /proc/PID/fd/N, in the words of the table. */
static const char *
fd_kind(pid_t pid, const char *fd)
{
	char path[300], target[256], line[128];
	unsigned long flags = 0;
	struct stat st;
	ssize_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return NULL;
	target[n] = '\0';
	if (strncmp(target, "anon_inode:", 11) == 0) {
		static char kind[64];
		size_t from = 11 + (target[11] == '[');

		snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(target + from, "]"),
		    target + from);
		return kind;
	}
	if (strncmp(target, "socket:", 7) == 0)
		return "socket";
	if (strncmp(target, "pipe:", 5) == 0)
		return "pipe";
	if (strncmp(target, "/memfd:", 7) == 0)
		return "memfd";
	if (strcmp(target, "pidfd:") == 0 || strncmp(target, "pidfd:[", 7) == 0)
		return "pidfd";
	if (strcmp(target, "/dev/null") == 0)
		return "null";
	if (strstr(target, ":[") != NULL && target[0] != '/')
		return "ns";
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, fd);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "flags: %lo", &flags);
	if (f != NULL)
		fclose(f);
	if ((flags & O_PATH) != 0)
		return "o_path";
	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, fd);
	if (stat(path, &st) < 0)
		return "unknown";
	return S_ISREG(st.st_mode) ? "regular" : S_ISDIR(st.st_mode) ? "directory" : "unknown";
}

START_TEST(test_fds)
{
	const char *want = expected((unsigned int)_i, "fds"), *kind;
	char path[64], target[300], link[300];
	struct dirent *e;
	unsigned int n = 0;
	ssize_t len;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pids[_i]);
	d = opendir(path);
	ck_assert_msg(d != NULL, "%s: %s", path, strerror(errno));
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		kind = fd_kind(pids[_i], e->d_name);
		ck_assert_ptr_nonnull(kind);
		snprintf(link, sizeof(link), "%.60s/%.200s", path, e->d_name);
		len = readlink(link, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = '\0';
		ck_assert_msg(in_list(want, kind), "%s holds fd %s, a %s (%s); table: %s",
		    roles[_i].role, e->d_name, kind, target, want);
		n++;
	}
	closedir(d);
	ck_assert_uint_ge(n, 1);
}
END_TEST

/* What the design promises of the front, whatever the table says. */
START_TEST(test_front)
{
	static const char *const zero[] = { "CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh" };
	char path[64], text[256];
	const char *kind;
	struct dirent *e;
	struct statvfs vfs;
	unsigned int id;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/status", pids[1]);
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++) {
		status_field(path, zero[i], text, sizeof(text));
		ck_assert_msg(strtoull(text, NULL, 16) == 0, "front: %s %s", zero[i], text);
	}
	status_field(path, "Uid", text, sizeof(text));
	ck_assert_int_eq(sscanf(text, "%u", &id), 1);
	ck_assert_uint_ne(id, 0);
	snprintf(path, sizeof(path), "/proc/%d/root", pids[1]);
	ck_assert_int_eq(statvfs(path, &vfs), 0);
	ck_assert_msg((vfs.f_flag & ST_RDONLY) != 0, "the front's root is writable");
	d = opendir(path);
	ck_assert_msg(d != NULL, "%s: %s", path, strerror(errno));
	while ((e = readdir(d)) != NULL)
		ck_assert_msg(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0,
		    "the front's root holds %s", e->d_name);
	closedir(d);
	snprintf(path, sizeof(path), "/proc/%d/fd", pids[1]);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		kind = fd_kind(pids[1], e->d_name);
		ck_assert_msg(kind != NULL && strcmp(kind, "directory") != 0 &&
		    strcmp(kind, "o_path") != 0 && strcmp(kind, "ns") != 0,
		    "the front holds fd %s, a %s", e->d_name, kind);
	}
	closedir(d);
}
END_TEST

/* No supplementary groups. */
static void
check_groups(unsigned int role, const char *path)
{
	char line[512];
	FILE *f;

	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		ck_assert_msg(line[7 + strspn(line + 7, " \t\n")] == '\0', "%s: %s %s",
		    roles[role].role, path, line);
	}
	fclose(f);
}

/* From 1: the monitor keeps its caller's groups. */
START_TEST(test_groups)
{
	each_thread((unsigned int)_i, check_groups);
}
END_TEST

/* The worker sees the share as its root. */
START_TEST(test_worker_root)
{
	char path[64];
	struct stat root, share = h_stat("");

	snprintf(path, sizeof(path), "/proc/%d/root/.", pids[2]);
	ck_assert_int_eq(stat(path, &root), 0);
	ck_assert_uint_eq(root.st_ino, share.st_ino);
	ck_assert_uint_eq(root.st_dev, share.st_dev);
}
END_TEST

/* Every line of the table was looked at: a misspelt key is not a promise kept. */
START_TEST(test_table_is_complete)
{
	static const char *const keys[] = { "uid", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs",
		"Seccomp", "ns-private", "fds" };
	unsigned int i;
	size_t k;

	for (k = 1; k <= 3; k++)
		ck_assert_str_ne(expected_of("vault", keys[k]), "");
	for (i = 0; i < NR_ROLES; i++) {
		for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			ck_assert_str_ne(expected(i, keys[k]), "");
	}
	for (i = 0; i < nr_rows; i++)
		ck_assert_msg(rows[i].used, "the table's line %s %s is not known to this test",
		    rows[i].role, rows[i].key);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("privileges");
	TCase *t = tcase_create("privileges");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, h_stop);
	tcase_add_loop_test(t, test_status, 0, NR_ROLES);
	tcase_add_loop_test(t, test_namespaces, 0, NR_ROLES);
	tcase_add_loop_test(t, test_fds, 0, NR_ROLES);
	tcase_add_test(t, test_front);
	tcase_add_loop_test(t, test_groups, 1, NR_ROLES);
	tcase_add_test(t, test_worker_root);
	tcase_add_test(t, test_table_is_complete);
	suite_add_tcase(s, t);
	return h_main(s, 120);
}
