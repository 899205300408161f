/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart_state - what the guest holds is the same after the worker's death: nodes, open files, positions in
 * directories, credentials; and the daemon's end when the worker dies too often.
 *
 * Runs in: check_restart.
 */
#include "check_restart.h"
#include "segv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES 100u
#define LIST_FILES 2000u

static void
name_of(char name[32], unsigned int i)
{
	snprintf(name, 32, "file%u", i);
}

START_TEST(nodes_are_the_same)
{
	uint64_t node[FILES], ino[FILES];
	struct fuse_entry_out e;
	struct fuse_attr a;
	unsigned int round, i, k;
	char name[32];

	for (i = 0; i < FILES; i++) {
		name_of(name, i);
		h_put(name, name, strlen(name));
		ino[i] = h_stat(name).st_ino;
		node[i] = h_node(name);
	}
	for (round = 0; round < 5; round++) {
		restart_once();
		for (i = 0; i < FILES; i++) {
			name_of(name, i);
			if ((i + round) % 2 == 0)
				OK(fc_getattr(&hc, node[i], &a));
			OK(fc_lookup(&hc, FC_ROOT, name, &e));
			ck_assert_uint_eq(e.nodeid, node[i]);
			ck_assert_uint_eq(e.attr.ino, ino[i]);
		}
		/* A new inode has a node id of its own. */
		snprintf(name, sizeof(name), "later%u", round);
		OK(fc_mkdir(&hc, FC_ROOT, name, 0755, &e));
		for (k = 0; k < FILES; k++)
			ck_assert_uint_ne(e.nodeid, node[k]);
	}
}
END_TEST

/* Whatever signals the parent ignores and blocks. */
static void
ignore_and_block(struct vmm *v)
{
	sigset_t all;

	(void)v;
	signal(SIGCHLD, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

START_TEST(inherited_signals)
{
	const struct vmm_opts opts = { .stage = VMM_RUNNING, .child = ignore_and_block };

	restart_stop();
	restart_start_opts(&opts);
	restart_once();
}
END_TEST

START_TEST(forget_after_death)
{
	struct fuse_entry_out e;
	struct fuse_attr a;
	uint64_t node;

	h_put("file", "1", 1);
	node = h_node("file");
	ck_assert_uint_eq(h_node("file"), node);
	restart_once();
	OK(fc_forget(&hc, node, 1));
	OK(fc_getattr(&hc, node, &a));
	OK(fc_forget(&hc, node, 1));
	ck_assert_int_ne(fc_getattr(&hc, node, &a), 0);
	OK(fc_lookup(&hc, FC_ROOT, "file", &e));
	ck_assert_uint_eq(e.attr.ino, h_stat("file").st_ino);
	restart_once();
	OK(fc_getattr(&hc, e.nodeid, &a));
}
END_TEST

START_TEST(credentials_and_modes)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct stat st;

	restart_once();
	hc.uid = 1000;
	hc.gid = 1001;
	OK(fc_mkdir(&hc, FC_ROOT, "dir", 0751, &e));
	OK(fc_create(&hc, e.nodeid, "file", O_RDWR | O_CREAT | O_EXCL, S_IFREG | 0604, &e, &o));
	OK(fc_release(&hc, e.nodeid, o.fh));
	hc.uid = hc.gid = 0;
	st = h_stat("dir");
	ck_assert_uint_eq(st.st_uid, 1000);
	ck_assert_uint_eq(st.st_gid, 1001);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0751);
	st = h_stat("dir/file");
	ck_assert_uint_eq(st.st_uid, 1000);
	ck_assert_uint_eq(st.st_gid, 1001);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0604);
	hc.uid = 1002;
	OK(chmod(h_path("dir"), 0700));
	FAILS(EACCES, fc_mkdir(&hc, h_node("dir"), "no", 0755, &e));
	hc.uid = 0;
}
END_TEST

/* A file open for writing, unlinked, read and written after deaths: by the front or by the worker. */
static void
held_file(const char *name, mode_t mode)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_attr a;
	char buf[16];

	OK(fc_create(&hc, FC_ROOT, name, O_RDWR | O_CREAT | O_EXCL, S_IFREG | 0644, &e, &o));
	OK(fc_release(&hc, e.nodeid, o.fh));
	OK(chmod(h_path(name), mode));
	OK(fc_open_file(&hc, e.nodeid, O_RDWR, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, "one", 3, O_RDWR), 3);
	restart_once();
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 0, buf, 16), 3);
	OK(fc_unlink(&hc, FC_ROOT, name));
	restart_once();
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 3, "two", 3, O_RDWR), 3);
	restart_once();
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 0, buf, 16), 6);
	ck_assert_mem_eq(buf, "onetwo", 6);
	OK(fc_getattr(&hc, e.nodeid, &a));
	ck_assert_uint_eq(a.nlink, 0);
	ck_assert_uint_eq(a.size, 6);
	OK(fc_release(&hc, e.nodeid, o.fh));
	OK(fc_forget(&hc, e.nodeid, 1));
}

START_TEST(held_files)
{
	held_file("ordinary", 0644);
	held_file("setuid", 04755);
}
END_TEST

START_TEST(held_files_undonated)
{
	static const char *const args[] = {
		"--worker-deaths=1000", "--worker-window=1", "--fd-donation=never", NULL
	};
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args };

	restart_start_opts(&opts);
	held_file("ordinary", 0644);
	held_file("setuid", 04755);
	restart_stop();
}
END_TEST

START_TEST(removed_directory)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_attr a;

	OK(fc_mkdir(&hc, FC_ROOT, "gone", 0755, &e));
	OK(fc_opendir(&hc, e.nodeid, &o));
	OK(fc_rmdir(&hc, FC_ROOT, "gone"));
	restart_once();
	OK(fc_getattr(&hc, e.nodeid, &a));
	ck_assert(S_ISDIR(a.mode));
	/* A directory without a name cannot be listed. */
	FAILS(ENOENT, fc_readdir(&hc, e.nodeid, o.fh, 0, 4096, false));
	restart_once();
	OK(fc_releasedir(&hc, e.nodeid, o.fh));
	OK(fc_getattr(&hc, e.nodeid, &a));
}
END_TEST

/* A listing that goes on behind a death, every so many replies: each name once. */
START_TEST(directory_position)
{
	unsigned int seen[LIST_FILES] = { 0 }, i, replies = 0;
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_dirent d;
	char name[256];
	uint64_t node, offset = 0;
	size_t pos;
	int n;

	OK(mkdir(h_path("list"), 0755));
	for (i = 0; i < LIST_FILES; i++) {
		snprintf(name, sizeof(name), "list/file%u", i);
		h_put(name, "", 0);
	}
	node = h_node("list");
	OK(fc_opendir(&hc, node, &o));
	while ((n = fc_readdir(&hc, node, o.fh, offset, 4096, _i == 1)) > 0) {
		for (pos = 0; (n = fc_next_dirent(&hc, &pos, _i == 1, &e, &d, name)) == 1; offset = d.off) {
			if (strncmp(name, "file", 4) == 0 && (i = (unsigned int)atoi(name + 4)) < LIST_FILES)
				seen[i]++;
		}
		ck_assert_int_eq(n, 0);
		if (++replies % 3 == 0)
			restart_once();
	}
	ck_assert_int_eq(n, 0);
	ck_assert_uint_gt(replies, 6);
	for (i = 0; i < LIST_FILES; i++)
		ck_assert_msg(seen[i] == 1, "file%u was listed %u times", i, seen[i]);
	OK(fc_releasedir(&hc, node, o.fh));
}
END_TEST

/* How many names a listing from the beginning gives, with a death before every nth reply (0 = never). */
static unsigned int
list_all(uint64_t node, uint64_t fh, bool plus, unsigned int nth)
{
	struct fuse_entry_out e;
	struct fuse_dirent d;
	char name[256];
	uint64_t offset = 0;
	unsigned int found = 0, replies = 0;
	size_t pos;
	int n;

	for (;;) {
		if (nth != 0 && replies++ % nth == 0)
			restart_once();
		n = fc_readdir(&hc, node, fh, offset, 4096, plus);
		if (n <= 0)
			break;
		for (pos = 0; (n = fc_next_dirent(&hc, &pos, plus, &e, &d, name)) == 1; offset = d.off)
			found += name[0] != '.';
	}
	ck_assert_int_eq(n, 0);
	return found;
}

/* One open directory, listed again and again from its beginning: also where it was at its end when the worker died. */
START_TEST(directory_again)
{
	struct fuse_open_out o;
	char name[64];
	uint64_t node;
	unsigned int i, nth;

	OK(mkdir(h_path("list"), 0755));
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "list/entry-%u", i);
		h_put(name, "", 0);
	}
	node = h_node("list");
	OK(fc_opendir(&hc, node, &o));
	for (nth = 0; nth < 5; nth++) {
		ck_assert_uint_eq(list_all(node, o.fh, _i == 1, nth), 300);
		ck_assert_uint_eq(list_all(node, o.fh, _i == 1, 0), 300);
		restart_once();
		ck_assert_uint_eq(list_all(node, o.fh, _i == 1, 0), 300);
	}
	OK(fc_releasedir(&hc, node, o.fh));
}
END_TEST

static bool
log_says_restart(void *arg)
{
	(void)arg;
	return vmm_log_has(hv, "signal 11 (SIGSEGV)") && vmm_log_has(hv, "a new one serves after");
}

/* The signal is meant to be one: it is not a sanitizer's to report. */
static void
leave_segv_alone(const char *options)
{
	const char *old = getenv(options);
	char value[256];

	snprintf(value, sizeof(value), "%s:handle_segv=0", old != NULL ? old : "");
	setenv(options, value, 1);
}

START_TEST(one_line_a_death)
{
	pid_t pid;

	leave_segv_alone("ASAN_OPTIONS");
	leave_segv_alone("TSAN_OPTIONS");
	restart_start_opts(NULL);
	pid = restart_worker();
	OK(segv_inject(pid));
	restart_wait(pid);
	ck_assert(h_serves(&hc));
	ck_assert(h_eventually(log_says_restart, NULL, 2000));
}
END_TEST

START_TEST(gives_up)
{
	static const char *const args[] = { "--worker-deaths=3", "--worker-window=60", NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args };
	unsigned int i;

	restart_start_opts(&opts);
	for (i = 0; i < 3; i++)
		restart_once();
	restart_kill();
	h_expect_ended(1);
}
END_TEST

static bool
log_says_stuck(void *arg)
{
	(void)arg;
	return vmm_log_has(hv, "GETATTR") && vmm_log_has(hv, "has not been answered");
}

static bool
all_stopped(void *arg)
{
	char path[300], line[300];
	bool stopped = true;
	struct dirent *e;
	FILE *f;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)*(pid_t *)arg);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)*(pid_t *)arg, e->d_name);
		if ((f = fopen(path, "re")) == NULL)
			continue;
		if (fgets(line, sizeof(line), f) == NULL || strstr(line, ") T ") == NULL)
			stopped = false;
		fclose(f);
	}
	closedir(d);
	return stopped;
}

/* A signal stops each thread when it is scheduled next: until then it may still answer. */
static void
stop_worker(pid_t worker)
{
	OK(kill(worker, SIGSTOP));
	ck_assert(h_eventually(all_stopped, &worker, VMM_TIMEOUT_MS));
}

/* A worker that hangs is reported, and goes on when it can. */
START_TEST(hangs)
{
	static const char *const args[] = { "--worker-timeout=1", NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args };
	pid_t worker, child;
	int status;

	restart_start_opts(&opts);
	worker = restart_worker();
	stop_worker(worker);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		bool said = h_eventually(log_says_stuck, NULL, VMM_TIMEOUT_MS - 1000);

		kill(worker, SIGCONT);
		_exit(said ? 0 : 1);
	}
	ck_assert(h_serves(&hc));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(restart_worker(), worker);
}
END_TEST

/* With --worker-timeout-restart it is replaced, and the request served by the next one. */
START_TEST(hangs_and_is_replaced)
{
	static const char *const args[] = { "--worker-timeout=1", "--worker-timeout-restart", NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args };
	pid_t worker;

	restart_start_opts(&opts);
	worker = restart_worker();
	stop_worker(worker);
	ck_assert(h_serves(&hc));
	ck_assert(log_says_stuck(NULL));
	ck_assert_int_ne(restart_worker(), worker);
}
END_TEST

/* The VMM's end is seen also while it had asked for a ring that the worker holds up. */
START_TEST(hangs_and_the_vmm_goes)
{
	const struct vu_state base = { .index = 1 };
	const struct vu_header h = { VU_GET_VRING_BASE, VU_VERSION, sizeof(base) };
	const struct fc_part name[] = { { "name", 5 } };

	restart_start_opts(NULL);
	stop_worker(restart_worker());
	OK(fc_post(&hc, fc_build(&hc, FUSE_LOOKUP, FC_ROOT, name, 1), 200));
	OK(vmm_msg_send(hv, &h, &base, NULL, 0));
	/* The front is to have read it. */
	usleep(100000);
	vmm_hangup(hv);
	h_expect_ended(0);
}
END_TEST

static bool
log_says_open_files(void *arg)
{
	(void)arg;
	return vmm_log_has(hv, "too many open files");
}

/* However many files the guest has open, there are fds left for what the VMM and the monitor send. */
START_TEST(many_open_files)
{
	static const char *const prefix[] = { "prlimit", "--nofile=1024:1024", NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .prefix = prefix };
	struct fuse_open_out o, last;
	struct fuse_entry_out e;
	char content[8];

	restart_start_opts(&opts);
	OK(fc_create(&hc, FC_ROOT, "file", O_RDWR, 0644, &e, &o));
	for (unsigned int i = 0; i < 1500; i++)
		OK(fc_open_file(&hc, e.nodeid, O_RDWR, &last));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, last.fh, 0, "CONTENT", 7, O_RDWR), 7);
	OK(vmm_msg_set_fd(hv, VU_SET_VRING_CALL, 1, hv->queue[1].call_peer));
	restart_once();
	ck_assert_int_eq(fc_write(&hc, e.nodeid, last.fh, 1, "ontent", 6, O_RDWR), 6);
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 7, ".", 1, O_RDWR), 1);
	ck_assert_uint_eq(h_get("file", content, sizeof(content)), 8);
	ck_assert_mem_eq(content, "Content.", 8);
	ck_assert(h_eventually(log_says_open_files, NULL, 2000));
}
END_TEST

TCase *
check_restart_state(void)
{
	TCase *c = tcase_create("state");

	tcase_add_checked_fixture(c, restart_setup, restart_stop);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, nodes_are_the_same);
	tcase_add_test(c, inherited_signals);
	tcase_add_test(c, forget_after_death);
	tcase_add_test(c, credentials_and_modes);
	tcase_add_test(c, held_files);
	tcase_add_test(c, held_files_undonated);
	tcase_add_test(c, removed_directory);
	tcase_add_loop_test(c, directory_position, 0, 2);
	tcase_add_loop_test(c, directory_again, 0, 2);
	tcase_add_test(c, one_line_a_death);
	tcase_add_test(c, gives_up);
	tcase_add_test(c, hangs);
	tcase_add_test(c, hangs_and_is_replaced);
	tcase_add_test(c, hangs_and_the_vmm_goes);
	tcase_add_test(c, many_open_files);
	return c;
}
