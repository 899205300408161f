/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_priv - the privileges of the running processes in each sandbox mode, against the tables in SECURITY.md: as
 * `virtiofsd --print-privileges` prints them, and as procfs has them.
 *
 * usage: check_priv (as root, from the project's directory; VIRTIOFSD names the daemon,
 *        HARNESS_SECURITY the document, default SECURITY.md)
 *
 * The tables are fenced blocks ```privileges MODE with the columns of --print-privileges; modes as in modes.c. "caller"
 * stands for the ids of the user who starts the daemon, or the bounding set that this one has anyway. One block ```fds
 * has lines `role kind,kind...`: what a process may hold. The state compared is "serving, idle". All of it holds for
 * every thread.
 */
#include "check_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAX_ROWS 8
#define MODE (&modes[_i])

/* Columns of the table. */
enum { ROLE, UID, GID, GROUPS, EFF, PRM, BND, AMB, INH, NS, NNP, SECCOMP, DUMPABLE, ROOT, COLUMNS };

struct row {
	char col[COLUMNS][48];
};

static const struct {
	const char *role;
	const char *comm;	/* cut to 15 bytes by the kernel */
} roles[] = {
	{ "monitor", "virtiofsd" },
	{ "front", "virtiofsd-front" },
	{ "worker", "virtiofsd-worke" },
};
#define NR_ROLES 3

static struct row rows[MAX_ROWS];
static unsigned int nr_rows;
static char fds[NR_ROLES][256];
static pid_t pids[NR_ROLES];

static const char *const namespaces[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup" };

static bool
split(char *line, struct row *r)
{
	char *save = NULL, *word;
	unsigned int n = 0;

	memset(r, 0, sizeof(*r));
	for (word = strtok_r(line, " \n", &save); word != NULL; word = strtok_r(NULL, " \n", &save)) {
		if (n == COLUMNS)
			return false;
		snprintf(r->col[n++], sizeof(r->col[0]), "%s", word);
	}
	return n == COLUMNS;
}

/* Put in what "caller" stands for. */
static void
fill_in(const struct mode *m, struct row *r)
{
	unsigned int i;
	char text[32];

	for (i = 0; i < COLUMNS; i++) {
		if (strcmp(r->col[i], "caller") != 0)
			continue;
		if (i == BND)
			priv_field("/proc/self/status", "CapBnd", text, sizeof(text), true);
		else
			snprintf(text, sizeof(text), "%u", m->owner);
		memset(r->col[i], 0, sizeof(r->col[i]));
		snprintf(r->col[i], sizeof(r->col[i]), "%s", text);
	}
}

static void
read_fds(const char *line)
{
	char role[16], kinds[256];
	unsigned int i;

	ck_assert_msg(sscanf(line, "%15s %255s", role, kinds) == 2, "bad line: %s", line);
	for (i = 0; i < NR_ROLES; i++)
		if (strcmp(role, roles[i].role) == 0)
			snprintf(fds[i], sizeof(fds[i]), "%s", kinds);
}

/* The tables of a mode. */
static void
read_tables(const struct mode *m)
{
	const char *path = getenv("HARNESS_SECURITY");
	char line[640], title[80];
	enum { OUTSIDE, PRIVILEGES, FDS } where = OUTSIDE;
	FILE *f;

	nr_rows = 0;
	if (path == NULL)
		path = "SECURITY.md";
	snprintf(title, sizeof(title), "```privileges %s\n", m->name);
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "```", 3) == 0) {
			where = where != OUTSIDE		? OUTSIDE :
			    strcmp(line, title) == 0		? PRIVILEGES :
			    strcmp(line, "```fds\n") == 0	? FDS :
								  OUTSIDE;
		} else if (where == FDS) {
			read_fds(line);
		} else if (where == PRIVILEGES && strncmp(line, "role ", 5) != 0) {
			ck_assert_uint_lt(nr_rows, MAX_ROWS);
			ck_assert_msg(split(line, &rows[nr_rows]), "%s: bad line: %s", path, line);
			fill_in(m, &rows[nr_rows++]);
		}
	}
	fclose(f);
	ck_assert_msg(nr_rows >= NR_ROLES, "%s has no table of %s", path, m->name);
}

static const struct row *
row_of(const char *role)
{
	unsigned int i;

	for (i = 0; i < nr_rows; i++)
		if (strcmp(rows[i].col[ROLE], role) == 0)
			return &rows[i];
	ck_abort_msg("the table has no %s", role);
	return NULL;
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
		ck_assert_msg(r < NR_ROLES, "process %d (%s) has no role", procs[i].pid, procs[i].comm);
		ck_assert_msg(pids[r] == 0, "two processes are %s", procs[i].comm);
		pids[r] = procs[i].pid;
	}
	for (r = 0; r < NR_ROLES; r++)
		ck_assert_msg(pids[r] != 0, "there is no %s", roles[r].comm);
	ck_assert_int_eq(pids[0], hv->pid);
}

/* The monitor is the last one: children serve already. */
static bool
is_sealed(void *unused)
{
	char path[64], text[8];

	(void)unused;
	snprintf(path, sizeof(path), "/proc/%d/status", hv->pid);
	priv_field(path, "Seccomp", text, sizeof(text), false);
	return strcmp(text, "2") == 0;
}

/* A session with something open, so that fds of every kind are there. */
static void
start(const struct mode *m)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	read_tables(m);
	modes_start(m, NULL);
	OK(fc_create(&hc, FC_ROOT, "f", O_RDWR, 0644, &e, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "x", 1, O_RDWR), 1);
	OK(fc_opendir(&hc, FC_ROOT, &o));
	ck_assert_int_gt(fc_readdir(&hc, FC_ROOT, o.fh, 0, 4096, true), 0);
	ck_assert(h_serves(&hother));
	ck_assert(h_eventually(is_sealed, NULL, 2000));
	find_roles();
}

/* Every row of the table is printed, and nothing else. */
static void
check_printed(const char *who)
{
	const char *daemon = getenv("VIRTIOFSD");
	unsigned int seen = 0, i;
	char cmd[600], line[640];
	struct row r;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "%s --print-privileges=%s", daemon, who);
	f = popen(cmd, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "role ", 5) == 0)
			continue;
		ck_assert_msg(split(line, &r), "bad line: %s", line);
		for (i = 0; i < nr_rows && memcmp(&r, &rows[i], sizeof(r)) != 0; i++)
			;
		ck_assert_msg(i < nr_rows, "not in the table: %s", line);
		ck_assert_msg((seen & 1u << i) == 0, "printed twice: %s", line);
		seen |= 1u << i;
	}
	ck_assert_int_eq(pclose(f), 0);
	ck_assert_msg(seen == (1u << nr_rows) - 1, "not all rows are printed (%#x)", seen);
}

START_TEST(test_printed)
{
	char who[128];

	start(MODE);
	snprintf(who, sizeof(who), "%d", hv->pid);
	check_printed(who);
	/* The next worker has no more and no less. */
	modes_restart();
	snprintf(who, sizeof(who), "%s.pid", hv->sock_path);
	check_printed(who);
	h_stop();
}
END_TEST

static void
check_field(const char *path, const char *field, const char *want, bool number)
{
	char text[300];

	priv_field(path, field, text, sizeof(text), number);
	ck_assert_msg(strcmp(text, want) == 0, "%s: %s is %s, table %s", path, field, text, want);
}

static void
check_thread(unsigned int role, const char *tid)
{
	const bool vault = role == 0 && atoi(tid) != pids[0];
	const struct row *r = row_of(vault ? "vault" : roles[role].role);
	char path[64], ids[256];

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", pids[role], tid);
	snprintf(ids, sizeof(ids), "%s\t%s\t%s\t%s", r->col[UID], r->col[UID], r->col[UID], r->col[UID]);
	check_field(path, "Uid", ids, false);
	snprintf(ids, sizeof(ids), "%s\t%s\t%s\t%s", r->col[GID], r->col[GID], r->col[GID], r->col[GID]);
	check_field(path, "Gid", ids, false);
	check_field(path, "Groups", strcmp(r->col[GROUPS], "-") == 0 ? "" : r->col[GROUPS], false);
	check_field(path, "CapEff", r->col[EFF], true);
	check_field(path, "CapPrm", r->col[PRM], true);
	check_field(path, "CapBnd", r->col[BND], true);
	check_field(path, "CapAmb", r->col[AMB], true);
	check_field(path, "CapInh", r->col[INH], true);
	check_field(path, "NoNewPrivs", r->col[NNP], false);
	check_field(path, "Seccomp", r->col[SECCOMP], false);
}

START_TEST(test_threads)
{
	unsigned int role, n;
	struct dirent *e;
	char path[64];
	DIR *d;

	start(MODE);
	for (role = 0; role < NR_ROLES; role++) {
		snprintf(path, sizeof(path), "/proc/%d/task", pids[role]);
		d = opendir(path);
		ck_assert_ptr_nonnull(d);
		for (n = 0; (e = readdir(d)) != NULL; n++)
			if (e->d_name[0] != '.')
				check_thread(role, e->d_name);
		closedir(d);
		ck_assert_uint_ge(n, 3);
	}
	h_stop();
}
END_TEST

static void
check_namespaces(unsigned int role)
{
	const char *want = row_of(roles[role].role)->col[NS];
	char path[64], ours[64], theirs[64];
	ssize_t n, m;
	size_t i;

	for (i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i]);
		n = readlink(path, ours, sizeof(ours) - 1);
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pids[role], namespaces[i]);
		m = readlink(path, theirs, sizeof(theirs) - 1);
		ck_assert_msg(n > 0 && m > 0, "%s: %s", path, strerror(errno));
		ours[n] = theirs[m] = '\0';
		ck_assert_msg((strcmp(ours, theirs) != 0) == priv_in_list(want, namespaces[i]),
		    "%s: %s namespace, table %s", roles[role].role, namespaces[i], want);
	}
}

/* Where a process is: its root directory is what the table says. */
static void
check_root(unsigned int role)
{
	const char *want = row_of(roles[role].role)->col[ROOT];
	struct stat root, host, share = h_stat("");
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root/.", pids[role]);
	OK(stat("/", &host));
	ck_assert_msg(stat(path, &root) == 0, "%s: %s", path, strerror(errno));
	if (strcmp(want, "host") == 0)
		ck_assert(root.st_ino == host.st_ino && root.st_dev == host.st_dev);
	else if (role == 2)
		ck_assert(root.st_ino == share.st_ino && root.st_dev == share.st_dev);
	else
		ck_assert_msg(priv_is_void(path), "the root of the %s is not empty for good", roles[role].role);
}

START_TEST(test_places)
{
	unsigned int role;

	start(MODE);
	for (role = 0; role < NR_ROLES; role++) {
		check_namespaces(role);
		check_root(role);
	}
	h_stop();
}
END_TEST

static void
check_fds(unsigned int role)
{
	char path[64], target[300], link[300];
	const char *kind;
	struct dirent *e;
	unsigned int n = 0;
	ssize_t len;
	DIR *d;

	ck_assert_msg(fds[role][0] != '\0', "SECURITY.md does not say which fds the %s holds", roles[role].role);
	snprintf(path, sizeof(path), "/proc/%d/fd", pids[role]);
	d = opendir(path);
	ck_assert_msg(d != NULL, "%s: %s", path, strerror(errno));
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		kind = priv_fd_kind(pids[role], e->d_name);
		ck_assert_ptr_nonnull(kind);
		snprintf(link, sizeof(link), "%.60s/%.200s", path, e->d_name);
		len = readlink(link, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = '\0';
		ck_assert_msg(priv_in_list(fds[role], kind), "%s holds fd %s, a %s (%s); table: %s",
		    roles[role].role, e->d_name, kind, target, fds[role]);
		/* Whatever the table says. */
		ck_assert_msg(role != 1 || !priv_in_list("directory,o_path,ns", kind), "the front holds fd %s, a %s",
		    e->d_name, kind);
		n++;
	}
	closedir(d);
	ck_assert_uint_ge(n, 1);
}

START_TEST(test_fds)
{
	unsigned int role;

	start(MODE);
	for (role = 0; role < NR_ROLES; role++)
		check_fds(role);
	h_stop();
}
END_TEST

/* What the design promises, whatever the tables say. */
START_TEST(test_promises)
{
	const struct row *front, *worker;
	const bool root = MODE->owner == 0;

	read_tables(MODE);
	front = row_of("front");
	worker = row_of("worker");
	ck_assert_str_eq(front->col[EFF], "0");
	ck_assert_str_eq(front->col[PRM], "0");
	ck_assert_str_ne(front->col[UID], "0");
	ck_assert_str_ne(front->col[GID], "0");
	if (strstr(MODE->name, "container") == NULL) {
		ck_assert_str_eq(front->col[ROOT], "empty");
		ck_assert_str_eq(front->col[BND], "0");
		ck_assert_str_eq(front->col[NS], root ? "mnt,pid,net,ipc,uts,cgroup" : "user,mnt,pid,net,ipc,uts,cgroup");
	}
	/* CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN are never the worker's. */
	ck_assert_uint_eq(strtoull(worker->col[PRM], NULL, 16) & (1ull << 2 | 1ull << 21), 0);
	if (strstr(MODE->name, "none") == NULL)
		ck_assert_str_eq(worker->col[ROOT], "own");
}
END_TEST

/* --print-privileges of what is not there. */
START_TEST(test_nothing_to_print)
{
	static const char *const who[] = { "999999999", "/nonexistent.pid", "/etc/passwd" };
	static const char *const says[] = { "No such process", "No such file", "Invalid argument" };
	char cmd[600], line[256] = "";
	FILE *f;

	snprintf(cmd, sizeof(cmd), "%s --print-privileges %s 2>&1", getenv("VIRTIOFSD"), who[_i]);
	f = popen(cmd, "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	ck_assert_msg(strstr(line, says[_i]) != NULL, "%s", line);
	ck_assert_int_eq(WEXITSTATUS(pclose(f)), 1);
}
END_TEST

/* Somebody who may not look gets '?' for what it takes rights to see, and an error. */
START_TEST(test_hidden)
{
	char cmd[600], line[640];
	bool unseen = false, says = false;
	FILE *f;

	start(modes_named("root namespace"));
	snprintf(cmd, sizeof(cmd), "setpriv --reuid %u --regid %u --clear-groups %s --print-privileges=%d 2>&1",
	    MODES_USER, MODES_USER, getenv("VIRTIOFSD"), hv->pid);
	f = popen(cmd, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		unseen = unseen || strncmp(line, "front ", 6) == 0;
		says = says || strstr(line, "namespaces and roots of other processes cannot be seen") != NULL;
	}
	ck_assert_int_eq(WEXITSTATUS(pclose(f)), 1);
	ck_assert(unseen && says);
	h_stop();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("privileges");
	TCase *t = tcase_create("privileges");

	modes_init();
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_printed, 0, modes_documented_n);
	tcase_add_loop_test(t, test_threads, 0, modes_documented_n);
	tcase_add_loop_test(t, test_places, 0, modes_documented_n);
	tcase_add_loop_test(t, test_fds, 0, modes_documented_n);
	tcase_add_loop_test(t, test_promises, 0, modes_documented_n);
	tcase_add_loop_test(t, test_nothing_to_print, 0, 3);
	tcase_add_test(t, test_hidden);
	suite_add_tcase(s, t);
	return h_main(s, 120);
}
