/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can code do that runs inside the front or the worker? Needs root, user namespaces, /proc and /sys.
 *
 * Suite "sandbox": every attempt of inside_escape.c, made with the role's privileges and view but without its seccomp
 * profile, must fail, also as root of a user namespace of its own. The same attempts without a sandbox show that they
 * could succeed. Suite "seccomp": the profiles alone, without a sandbox, one process a call.
 *
 * Links all of worker/ but main.c, front/seccomp.c, monitor/seccomp.c, proto/rpc.c, common/child.c and the rest of common/.
 */
#include "inside.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/privs.h"
#include "front/seccomp.h"
#include "monitor/seccomp.h"
#include "worker/seccomp.h"

static void
must_not_reach(enum inside_role role, const char *where, int i, bool user)
{
	const struct inside_attempt *a = &inside_attempts[i];
	int r = inside_run(role, a, user);

	ck_assert_msg(r != 0, "%s%s: reached the host by: %s", where,
	    user ? " (user namespace)" : "", a->name);
}

START_TEST(front)
{
	must_not_reach(INSIDE_FRONT, "front", _i, false);
}
END_TEST

START_TEST(front_user)
{
	must_not_reach(INSIDE_FRONT, "front", _i, true);
}
END_TEST

START_TEST(worker)
{
	must_not_reach(INSIDE_WORKER, "worker", _i, false);
}
END_TEST

START_TEST(worker_user)
{
	must_not_reach(INSIDE_WORKER, "worker", _i, true);
}
END_TEST

START_TEST(worker_again)
{
	must_not_reach(INSIDE_WORKER_AGAIN, "later worker", _i, false);
}
END_TEST

START_TEST(worker_again_user)
{
	must_not_reach(INSIDE_WORKER_AGAIN, "later worker", _i, true);
}
END_TEST

/* Were the attempts worth anything? */
START_TEST(control)
{
	const struct inside_attempt *a = &inside_attempts[_i];
	int r = inside_run(INSIDE_CONTROL, a, false);

	if (a->control & INSIDE_CONTROL_REACHES)
		ck_assert_msg(r == 0, "without a sandbox failed: %s: %s", a->name, strerror(-r));
}
END_TEST

START_TEST(control_user)
{
	const struct inside_attempt *a = &inside_attempts[_i];
	int r = inside_run(INSIDE_CONTROL, a, true);

	if (a->control & INSIDE_USER_REACHES)
		ck_assert_msg(r == 0, "in a user namespace without a sandbox failed: %s: %s",
		    a->name, strerror(-r));
}
END_TEST

/* Sanitizers make calls of their own: any of them would be a death by SIGSYS, whatever is tested. */
#ifndef SANITIZE
static const char *const profile_names[PROFILES] = { "front", "worker", "monitor", "vault",
	"monitor that restarts workers", "front with locks" };

static void
load_profile(enum inside_profile p)
{
	privs_no_new();
	switch (p) {
	case PROFILE_FRONT:
		front_seccomp(SECCOMP_KILL, false);
		break;
	case PROFILE_WORKER:
		worker_seccomp(SC_ACT_KILL);
		break;
	case PROFILE_MONITOR:
		/* Without restarts: with them it allows what a worker does, which the worker's own profile narrows. */
		if (seccomp_monitor(SECCOMP_KILL, NULL, INSIDE_SOCKET_DIR) != 0)
			_exit(99);
		break;
	case PROFILE_VAULT:
		if (seccomp_vault(SECCOMP_KILL) != 0)
			_exit(99);
		break;
	case PROFILE_RESTART:
		if (seccomp_monitor(SECCOMP_KILL, &inside_how, INSIDE_SOCKET_DIR) != 0)
			_exit(99);
		break;
	case PROFILE_LOCKS:
		front_seccomp(SECCOMP_KILL, true);
		break;
	case PROFILES:
		_exit(98);
	}
}

#define LAST_CALL 512 /* numbers up to here: more than any kernel has */
#define CALL_NOSYS 100
#define CALL_RETURNED 101

static void
do_call(const struct inside_call *c)
{
	long r;

	errno = 0;
	r = syscall(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4], c->arg[5]);
	_exit(r == -1 && errno == ENOSYS ? CALL_NOSYS : CALL_RETURNED);
}

static int
status_of(pid_t pid)
{
	int status;

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static int
run_call(enum inside_profile p, const struct inside_call *c)
{
	pid_t pid = fork();

	if (pid == 0) {
		load_profile(p);
		do_call(c);
	}
	return status_of(pid);
}

START_TEST(forbidden)
{
	const struct inside_call *c = &inside_forbidden[_i];

	for (unsigned p = 0; p < countof(profile_names); p++) {
		int status;

		if (!(c->who & (1u << p)))
			continue;
		status = run_call((enum inside_profile)p, c);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
		    "%s: the profile lets through: %s (status %#x)", profile_names[p], c->name,
		    status);
	}
}
END_TEST

START_TEST(probes)
{
	const struct inside_call *c = &inside_probes[_i];

	for (unsigned p = 0; p < countof(profile_names); p++) {
		int status = run_call((enum inside_profile)p, c);

		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == CALL_NOSYS,
		    "%s: %s is not answered ENOSYS (status %#x)", profile_names[p], c->name,
		    status);
	}
}
END_TEST

/* The table of a profile, as --print-seccomp shows it. */
static size_t
rules_of(enum inside_profile p, struct sc_rule all[static SECCOMP_RULES_MAX])
{
	const struct sc_rule *rules;
	size_t n;

	switch (p) {
	case PROFILE_MONITOR:
		return seccomp_monitor_rules(all, NULL);
	case PROFILE_RESTART:
		return seccomp_monitor_rules(all, &inside_how);
	case PROFILE_VAULT:
		return seccomp_vault_rules(all);
	case PROFILE_FRONT:
	case PROFILE_LOCKS:
		rules = front_seccomp_rules(p == PROFILE_LOCKS, &n);
		break;
	default:
		rules = worker_seccomp_rules(&n);
		break;
	}
	ck_assert_uint_lt(n, SECCOMP_RULES_MAX);
	memcpy(all, rules, n * sizeof(*all));
	return n;
}

static bool
has_rule(const struct sc_rule *rules, size_t n, int nr)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].nr == nr)
			return true;
	return false;
}

/*
 * uretprobe and uprobe of x86_64: from Linux 6.14 on no filter sees them, whatever it says. Made by anything but the
 * kernel's own trampoline they are refused, by SIGILL or ENXIO.
 */
static bool
is_probe_call(int nr)
{
#ifdef __x86_64__
	return nr == 335 || nr == 336;
#else
	(void)nr;
	return false;
#endif
}

/* Every number that the table does not name, known to this kernel or not, is a death: nothing is let through unseen. */
START_TEST(every_other_call)
{
	struct sc_rule rules[SECCOMP_RULES_MAX];
	size_t n = rules_of((enum inside_profile)_i, rules);

	for (int nr = 0; nr < LAST_CALL; nr++) {
		struct inside_call c = { .nr = nr, .arg = { -1, -1, -1, -1, -1, -1 } };
		int status;

		if (is_probe_call(nr) || has_rule(rules, n, nr) ||
		    has_rule(seccomp_probes, seccomp_probes_n, nr))
			continue;
		status = run_call((enum inside_profile)_i, &c);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
		    "%s: the profile lets number %d through (status %#x)", profile_names[_i], nr,
		    status);
	}
}
END_TEST

/* Rules must be such that libseccomp and container runtimes read them alike. */
START_TEST(rules_are_sound)
{
	struct sc_rule rules[SECCOMP_RULES_MAX];
	size_t n = rules_of((enum inside_profile)_i, rules);

	ck_assert_uint_gt(n, 0);
	for (size_t i = 0; i < n; i++) {
		const struct sc_rule *r = &rules[i];
		unsigned seen = 0;

		ck_assert_int_ge(r->nr, 0);
		ck_assert_msg(r->why != NULL && r->why[0] != '\0', "%s has no reason", r->name);
		ck_assert_msg(strpbrk(r->why, "\"\\\n\t") == NULL, "reason of %s", r->name);
		ck_assert_uint_le(r->ncmp, SC_CMPS_MAX);
		for (unsigned k = 0; k < r->ncmp; k++) {
			const struct sc_cmp *c = &r->cmp[k];

			/* runc takes two conditions on one argument for alternatives. */
			ck_assert_msg(!(seen & (1u << c->arg)), "%s: two conditions on argument %u",
			    r->name, c->arg);
			seen |= 1u << c->arg;
			ck_assert_msg((c->value & ~c->mask) == 0, "%s can never be", r->name);
		}
	}
}
END_TEST

static void *
forbidden_thread(void *arg)
{
	load_profile(*(const enum inside_profile *)arg);
	syscall(SYS_socket, -1, -1, -1);
	return NULL;
}

/* The process dies, not only the thread that made the call. */
START_TEST(whole_process)
{
	enum inside_profile p = (enum inside_profile)_i;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		pthread_t t;

		if (pthread_create(&t, NULL, forbidden_thread, &p) != 0)
			_exit(98);
		pthread_join(t, NULL);
		_exit(97);
	}
	status = status_of(pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
	    "%s: a thread's forbidden call ended with %#x", profile_names[_i], status);
}
END_TEST

/* With no profile the calls that must not be get through return: the kernel, not the profile, would be judged. */
START_TEST(forbidden_control)
{
	static const struct inside_call calls[] = {
		{ "openat", 0, SYS_openat, { AT_FDCWD, 0, O_RDONLY, 0, 0, 0 } },
		{ "ioctl", 0, SYS_ioctl, { -1, 0, 0, 0, 0, 0 } },
	};
	pid_t pid = fork();
	int status;

	if (pid == 0)
		do_call(&calls[_i]);
	status = status_of(pid);
	ck_assert_msg(
	    WIFEXITED(status) && WEXITSTATUS(status) == CALL_RETURNED, "status %#x", status);
}
END_TEST

#ifdef __x86_64__
static void
do_int80(void)
{
	long r = 20; /* getpid of i386 */

	__asm__ volatile("int $0x80" : "+a"(r) : : "r8", "r9", "r10", "r11", "memory");
	_exit(CALL_RETURNED);
}

/* Without i386 emulation in the kernel the instruction itself is a fault. */
START_TEST(int80)
{
	int bare, status;
	pid_t pid = fork();

	if (pid == 0)
		do_int80();
	bare = status_of(pid);
	ck_assert((WIFEXITED(bare) && WEXITSTATUS(bare) == CALL_RETURNED) ||
	    (WIFSIGNALED(bare) && WTERMSIG(bare) == SIGSEGV));
	if ((pid = fork()) == 0) {
		load_profile((enum inside_profile)_i);
		do_int80();
	}
	status = status_of(pid);
	ck_assert_msg(
	    WIFSIGNALED(status) && WTERMSIG(status) == (WIFEXITED(bare) ? SIGSYS : SIGSEGV),
	    "%s: an i386 call ended with %#x", profile_names[_i], status);
}
END_TEST
#endif

START_TEST(works)
{
	const struct inside_work *w = &inside_works[_i];

	inside_line = mmap(
	    NULL, sizeof(*inside_line), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne((void *)inside_line, MAP_FAILED);
	for (unsigned p = 0; p < countof(profile_names); p++) {
		pid_t pid;
		int status;

		if (!(w->who & (1u << p)))
			continue;
		*inside_line = 0;
		if ((pid = fork()) == 0) {
			if (w->prepare != NULL)
				w->prepare();
			load_profile((enum inside_profile)p);
			_exit(w->work() != 0);
		}
		status = status_of(pid);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		    "%s: does not work under the profile: %s (inside_works.c:%d, status %#x)",
		    profile_names[p], w->name, *inside_line, status);
	}
}
END_TEST

/* A worker's start under what it inherits: into a sandbox that it makes, and into the first worker's. */
START_TEST(works_restart)
{
	inside_restart(_i == 1);
}
END_TEST

static void
on_abort(int sig)
{
	(void)sig;
	_exit(134);
}

/* A failed assertion in libc must be told as what it is. */
START_TEST(works_abort)
{
	struct sigaction sa = { .sa_handler = on_abort };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (sigaction(SIGABRT, &sa, NULL) == -1)
			_exit(1);
		load_profile((enum inside_profile)_i);
		abort();
	}
	status = status_of(pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 134, "%s: abort() ended with %#x",
	    profile_names[_i], status);
}
END_TEST

static Suite *
seccomp_suite(void)
{
	Suite *s = suite_create("seccomp");
	TCase *tc = tcase_create("profiles");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, forbidden, 0, inside_forbidden_n);
	tcase_add_loop_test(tc, forbidden_control, 0, 2);
	tcase_add_loop_test(tc, probes, 0, inside_probes_n);
	tcase_add_loop_test(tc, every_other_call, 0, PROFILES);
	tcase_add_loop_test(tc, rules_are_sound, 0, PROFILES);
	tcase_add_loop_test(tc, whole_process, 0, PROFILES);
#ifdef __x86_64__
	tcase_add_loop_test(tc, int80, 0, countof(profile_names));
#endif
	tcase_add_loop_test(tc, works, 0, inside_works_n);
	tcase_add_loop_test(tc, works_restart, 0, 2);
	tcase_add_loop_test(tc, works_abort, 0, countof(profile_names));
	suite_add_tcase(s, tc);
	return s;
}
#endif

static Suite *
sandbox_suite(void)
{
	Suite *s = suite_create("sandbox");
	TCase *tc;
	const struct {
		const char *name;
		const TTest *test;
	} cases[] = {
		{ "control", control },
		{ "control_user", control_user },
		{ "front", front },
		{ "front_user", front_user },
		{ "worker", worker },
		{ "worker_user", worker_user },
		{ "worker_again", worker_again },
		{ "worker_again_user", worker_again_user },
	};

	for (size_t i = 0; i < countof(cases); i++) {
		tc = tcase_create(cases[i].name);
		tcase_set_timeout(tc, 60);
		tcase_add_loop_test(tc, cases[i].test, 0, inside_attempts_n);
		suite_add_tcase(s, tc);
	}
	return s;
}

int
main(void)
{
	const struct rlimit no_core = { 0, 0 };
	SRunner *sr;
	int failed;

	/* Some hundred deaths by SIGSYS. */
	if (setrlimit(RLIMIT_CORE, &no_core) == -1)
		return EXIT_FAILURE;
	sr = srunner_create(sandbox_suite());
#ifdef SANITIZE
	puts("check_inside: a sanitized build: the suite \"seccomp\" is not run");
#else
	srunner_add_suite(sr, seccomp_suite());
#endif
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
