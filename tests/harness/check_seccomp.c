/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_seccomp - a forbidden system call in a running daemon ends the process that makes it, all of it, and exactly that
 * process: the guest of a worker notices a pause, the end of front or monitor ends the daemon and leaves nothing.
 *
 * usage: check_seccomp (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group;
 *        APPARMOR_LABELS adds the group "labels": each process is under its AppArmor profile)
 *
 * The call is put into a thread of the daemon by ptrace: a thread that waits in a system call is stopped, and continues
 * with another. Runs in: the test program.
 */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRONT	"virtiofsd-front"
#define WORKER	"virtiofsd-worke"	/* 15 bytes of it are all that the kernel keeps */
#define ANY_ARG (-1L)

struct call {
	const char *name;
	long nr, arg[4];
};

static const struct call socket_call = { "socket", SYS_socket, { ANY_ARG, ANY_ARG, ANY_ARG, 0 } };

static pid_t
find_proc(const char *comm)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS), i;

	for (i = 0; i < n; i++) {
		if (strcmp(procs[i].comm, comm) == 0)
			return procs[i].pid;
	}
	return 0;
}

/* A thread of the process, the main one or another. */
static pid_t
thread_of(pid_t pid, bool main)
{
	char path[64];
	struct dirent *e;
	pid_t tid = 0;
	DIR *d;

	if (main)
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while (tid == 0 && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.' && atoi(e->d_name) != pid)
			tid = atoi(e->d_name);
	}
	closedir(d);
	ck_assert_int_ne(tid, 0);
	return tid;
}

/* Make the thread, which waits in a system call, continue with this one instead. */
static void
inject(pid_t tid, const struct call *c)
{
#ifdef __x86_64__
	struct user_regs_struct r;
	int status;

	ck_assert_msg(ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0, "ptrace: %s", strerror(errno));
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(tid, &status, __WALL), tid);
	ck_assert_msg(WIFSTOPPED(status), "status %#x", status);
	ck_assert_int_eq(ptrace(PTRACE_GETREGS, tid, NULL, &r), 0);
	/* The instruction `syscall`, 0f 05, is behind it. */
	ck_assert_int_eq((int)(ptrace(PTRACE_PEEKTEXT, tid, r.rip - 2, NULL) & 0xffff), 0x050f);
	r.rip -= 2;
	r.rax = (unsigned long long)c->nr;
	r.orig_rax = (unsigned long long)-1;
	r.rdi = (unsigned long long)c->arg[0];
	r.rsi = (unsigned long long)c->arg[1];
	r.rdx = (unsigned long long)c->arg[2];
	r.r10 = (unsigned long long)c->arg[3];
	ck_assert_int_eq(ptrace(PTRACE_SETREGS, tid, NULL, &r), 0);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
#else
	(void)tid;
	(void)c;
	ck_abort_msg("not written for this machine");
#endif
}

/* What is outside the worker's profile: a call, or the arguments of one. */
static const struct call worker_calls[] = {
	{ "socket", SYS_socket, { ANY_ARG, ANY_ARG, ANY_ARG, 0 } },
	{ "execve", SYS_execve, { 0, 0, 0, 0 } },
	{ "ioctl", SYS_ioctl, { ANY_ARG, 0, 0, 0 } },
	{ "openat of a path", SYS_openat, { AT_FDCWD, 0, O_RDONLY, 0 } },
	{ "executable memory", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS } },
	{ "setresuid of all three", SYS_setresuid, { 0, 0, 0, 0 } },
	{ "futex of priority inheritance", SYS_futex, { 0, FUTEX_LOCK_PI, 0, 0 } },
};
#define NR_WORKER_CALLS ((int)(sizeof(worker_calls) / sizeof(worker_calls[0])))

static bool
another_worker(void *arg)
{
	pid_t now = find_proc(WORKER);

	return now != 0 && now != *(pid_t *)arg;
}

static bool
log_says_how(void *arg)
{
	(void)arg;
	return vmm_log_has(hv, "SIGSYS");
}

static void
worker_dies(const struct call *c, bool main)
{
	pid_t monitor = hv->pid, front = find_proc(FRONT), worker = find_proc(WORKER);
	struct fuse_entry_out e;

	ck_assert(front != 0 && worker != 0);
	inject(thread_of(worker, main), c);
	OK(fc_lookup(&hc, FC_ROOT, "file", &e));
	ck_assert_msg(h_eventually(another_worker, &worker, 10000), "%s: no new worker", c->name);
	ck_assert(h_serves(&hc) && h_serves(&hother));
	ck_assert_msg(hv->pid == monitor && find_proc(FRONT) == front, "%s: others died, too", c->name);
	ck_assert_msg(h_eventually(log_says_how, NULL, 5000), "%s: the log does not say how", c->name);
}

START_TEST(test_worker)
{
	h_start(NULL);
	h_put("file", "x", 1);
	worker_dies(&worker_calls[_i], _i % 2 == 1);
	h_stop();
}
END_TEST

START_TEST(test_front)
{
	pid_t front;

	h_start(NULL);
	front = find_proc(FRONT);
	ck_assert_int_ne(front, 0);
	inject(thread_of(front, _i == 1), &socket_call);
	h_expect_ended(1);
}
END_TEST

/* The monitor's main thread, and the vault's: the process ends as a whole, and its children with it. */
START_TEST(test_monitor)
{
	h_start(NULL);
	inject(thread_of(hv->pid, _i == 1), &socket_call);
	h_expect_ended(256 + SIGSYS);
}
END_TEST

/* A call that is in the profile does nothing to anybody: what kills in the other tests is the profile, not the tracer. */
START_TEST(test_control)
{
	struct fuse_entry_out e;
	static const struct call harmless = { "lseek", SYS_lseek, { ANY_ARG, 0, 0, 0 } };
	pid_t worker;

	h_start(NULL);
	h_put("file", "x", 1);
	worker = find_proc(WORKER);
	inject(thread_of(worker, true), &harmless);
	OK(fc_lookup(&hc, FC_ROOT, "file", &e));
	ck_assert_int_eq(find_proc(WORKER), worker);
	h_stop();
}
END_TEST

static const struct {
	const char *comm, *label;
} labels[] = {
	{ "virtiofsd", "virtiofsd (enforce)" },
	{ FRONT, "virtiofsd-front (enforce)" },
	{ WORKER, "virtiofsd//&virtiofsd-worker (enforce)" },
};

START_TEST(test_label)
{
	char path[64], label[128];
	FILE *f;

	h_start(NULL);
	snprintf(path, sizeof(path), "/proc/%d/attr/current", find_proc(labels[_i].comm));
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	ck_assert_ptr_nonnull(fgets(label, sizeof(label), f));
	fclose(f);
	label[strcspn(label, "\n")] = '\0';
	ck_assert_str_eq(label, labels[_i].label);
	h_stop();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("seccomp");
	TCase *t;
	const struct {
		const char *name;
		const TTest *test;
		int n;
	} cases[] = {
		{ "control", test_control, 1 },
		{ "worker", test_worker, NR_WORKER_CALLS },
		{ "front", test_front, 2 },
		{ "monitor", test_monitor, 2 },
		{ "labels", test_label, getenv("APPARMOR_LABELS") != NULL ? 3 : 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t = tcase_create(cases[i].name);
		tcase_add_checked_fixture(t, NULL, h_abandon);
		tcase_add_loop_test(t, cases[i].test, 0, cases[i].n);
		tcase_set_timeout(t, 60);
		suite_add_tcase(s, t);
	}
	return h_main(s, 200);
}
