/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The monitor with children of ours: this program is also its virtiofsd-worker and virtiofsd-front. What they do is
 * written in files beside them (fake_children.c). Which monitor: beside $WORKER_EXE, else build/virtiofsd. Needs root.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/fd.h"
#include "tests/unit/fake_children.h"

/* What the monitor keeps for children, and so what they begin with. */
#define CAPS_CHILD \
	(1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_KILL | 1ULL << CAP_SYS_ADMIN | \
	    1ULL << CAP_SYS_CHROOT | 1ULL << CAP_SETPCAP | 1ULL << CAP_CHOWN | \
	    1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER | 1ULL << CAP_FSETID | \
	    1ULL << CAP_SETGID | 1ULL << CAP_SETUID | 1ULL << CAP_MKNOD | 1ULL << CAP_SETFCAP)
#define CAPS_FEW (1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_KILL)

static char dir[64];
static pid_t monitor = -1;
static int conn = -1;

static void
copy(const char *from, const char *name)
{
	char cmd[1024];

	snprintf(cmd, sizeof(cmd), "cp %s %s/%s", from, dir, name);
	ck_assert_int_eq(system(cmd), 0);
}

static void
put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/share/%s", dir, name);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

/* The text of a file in dir, "" if there is none. */
static const char *
get_file(const char *name)
{
	static char text[1 << 16];
	char path[128];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) != -1)
		n = read(fd, text, sizeof(text) - 1);
	fd_close(&fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* The end of the log, for messages. */
static const char *
last_log(void)
{
	const char *text = get_file("log");
	const size_t n = strlen(text);

	return n > 2000 ? text + n - 2000 : text;
}

static void
begin(void)
{
	const char *worker = getenv("WORKER_EXE");
	char exe[512], self[512];

	snprintf(exe, sizeof(exe), "%s", worker != NULL ? worker : "build/virtiofsd-worker");
	*strrchr(exe, '-') = '\0';
	self[0] = '\0';
	ck_assert_int_gt(readlink("/proc/self/exe", memset(self, 0, sizeof(self)), 511), 0);
	snprintf(dir, sizeof(dir), "/var/tmp/check-respawn.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	copy(exe, "virtiofsd");
	copy(self, "virtiofsd-worker");
	copy(self, "virtiofsd-front");
	snprintf(exe, sizeof(exe), "%s/share", dir);
	ck_assert_int_eq(mkdir(exe, 0777), 0);
}

static void
end(void)
{
	char cmd[128];

	if (monitor != -1) {
		kill(monitor, SIGKILL);
		waitpid(monitor, NULL, 0);
	}
	monitor = -1;
	fd_close(&conn);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* Start the monitor with these children and a client. */
static void
start(const char *worker, const char *front, const char *opt1, const char *opt2)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char exe[128], share[128], sock[128], log[128];

	put_file("worker", worker);
	put_file("front", front);
	snprintf(exe, sizeof(exe), "%s/virtiofsd", dir);
	snprintf(share, sizeof(share), "--shared-dir=%s/share", dir);
	snprintf(sock, sizeof(sock), "--socket-path=%s/sock", dir);
	snprintf(log, sizeof(log), "%s/log", dir);
	monitor = fork();
	if (monitor == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		dup2(fd, STDERR_FILENO);
		execl(exe, "virtiofsd", share, sock, "--log-level=debug", opt1, opt2, NULL);
		_exit(99);
	}
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/sock", dir);
	conn = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int i = 0; i < 200 && connect(conn, (void *)&a, sizeof(a)) == -1; i++)
		usleep(10000);
}

/* Wait until the log has this text. */
static void
want_log(const char *text, int ms)
{
	for (int i = 0; i < ms / 5; i++) {
		if (strstr(get_file("log"), text) != NULL)
			return;
		usleep(5000);
	}
	ck_abort_msg("not in the log: %s\n%s", text, last_log());
}

static void
want_end(int status)
{
	int st;

	for (int i = 0; i < 600; i++) {
		if (waitpid(monitor, &st, WNOHANG) == monitor) {
			monitor = -1;
			ck_assert_msg(WIFEXITED(st) && WEXITSTATUS(st) == status, "status %x\n%s",
			    st, last_log());
			return;
		}
		usleep(5000);
	}
	ck_abort_msg("does not end\n%s", last_log());
}

/* The pid of worker number n once it is ready. */
static pid_t
worker_pid(unsigned n)
{
	char name[32];

	snprintf(name, sizeof(name), "share/pid.%u", n);
	for (int i = 0; i < 2000; i++) {
		const char *text = get_file(name);

		if (strchr(text, '\n') != NULL)
			return (pid_t)strtol(text, NULL, 10);
		usleep(5000);
	}
	ck_abort_msg("no worker %u\n%s", n, last_log());
}

static void
kill_worker(unsigned n)
{
	ck_assert_int_eq(kill(worker_pid(n), SIGKILL), 0);
}

static uint64_t
caps(const char *file, const char *which)
{
	const char *p = strstr(get_file(file), which);

	ck_assert_ptr_nonnull(p);
	return strtoull(p + strlen(which), NULL, 16);
}

static void
want_caps(unsigned n, uint64_t want)
{
	char file[32];

	snprintf(file, sizeof(file), "share/status.%u", n);
	ck_assert_uint_eq(caps(file, "CapPrm:"), want);
	ck_assert_uint_eq(caps(file, "CapEff:"), want);
	ck_assert_uint_eq(caps(file, "CapBnd:"), want);
	ck_assert_uint_eq(caps(file, "CapInh:"), 0);
	ck_assert_uint_eq(caps(file, "CapAmb:"), 0);
	ck_assert_ptr_nonnull(strstr(get_file(file), "NoNewPrivs:\t1"));
	ck_assert_ptr_nonnull(strstr(get_file(file), "Seccomp:\t2"));
}

/* Killed three times: each time another one, with the privileges it needs, and one line about it. */
START_TEST(test_restart)
{
	start("s", "r", NULL, NULL);
	for (unsigned n = 0; n < 3; n++) {
		char line[160];

		usleep(20000);
		kill_worker(n);
		(void)worker_pid(n + 1);
		snprintf(line, sizeof(line), "worker process %u is ready", n + 1);
		want_log(line, 2000);
		want_log("the worker process was killed by signal 9 (SIGKILL) while serving MKDIR, "
		         "READ; "
			 "a new one serves after ",
		    2000);
		want_caps(n + 1, CAPS_CHILD);
		want_log("(3 requests sent again, 1 answered EIO)", 2000);
	}
	fd_close(&conn);
	want_end(0);
}
END_TEST

/* It leaves by itself: no difference. */
START_TEST(test_exit)
{
	start("es", "r", NULL, NULL);
	want_log("the worker process exited with status 3 while serving", 3000);
	fd_close(&conn);
	want_end(0);
}
END_TEST

/* The client goes, and the front with it, between the end of a worker and the next. */
START_TEST(test_front_leaves)
{
	start("s", "x", NULL, NULL);
	kill_worker(0);
	(void)worker_pid(1);
	fd_close(&conn);
	want_end(0);
	want_log("Client disconnected", 100);
}
END_TEST

START_TEST(test_give_up)
{
	static const char *const scripts[] = { "d", "sd", "dds" };

	/* The first that is ready makes the mount namespace of those after it. */
	start(scripts[_i], "r", "--worker-deaths=3", NULL);
	if (_i == 1)
		kill_worker(0);
	if (_i == 2) {
		kill_worker(2);
		kill_worker(3);
	}
	want_end(1);
	ck_assert_ptr_nonnull(strstr(get_file("log"), "more than 3 ended within 60 s, giving up"));
	ck_assert_ptr_nonnull(strstr(get_file("share/begun.3"), "\n"));
	ck_assert_str_eq(get_file("share/begun.4"), "");
}
END_TEST

/* Deaths that lie further apart than the window do not add up. */
START_TEST(test_window)
{
	start("s", "r", "--worker-deaths=1", "--worker-window=1");
	for (unsigned n = 0; n < 3; n++) {
		(void)worker_pid(n);
		usleep(1100000);
		kill_worker(n);
	}
	kill_worker(3);
	want_end(1);
	want_log("more than 1 ended within 1 s", 100);
}
END_TEST

START_TEST(test_never)
{
	char path[64];

	start("s", "r", "--worker-deaths=0", NULL);
	(void)worker_pid(0);
	usleep(100000);
	snprintf(path, sizeof(path), "../../../proc/%d/status", monitor);
	ck_assert_uint_eq(caps(path, "CapPrm:"), CAPS_FEW);
	ck_assert_uint_eq(caps(path, "CapBnd:"), 0);
	kill_worker(0);
	want_end(1);
	want_log("ERROR virtiofsd] the worker process was killed by signal 9 (SIGKILL)", 100);
	ck_assert_str_eq(get_file("share/begun.1"), "");
}
END_TEST

START_TEST(test_not_ready)
{
	start("shs", "r", NULL, NULL);
	kill_worker(0);
	want_log("the new worker process is not ready after 10 s: it is killed", 12000);
	(void)worker_pid(2);
	want_log("a new one serves after", 2000);
	fd_close(&conn);
	want_end(0);
}
END_TEST

/* The front does not say that it goes on. */
START_TEST(test_late)
{
	start("s", "n", NULL, NULL);
	kill_worker(0);
	want_log("killed by signal 9 (SIGKILL); no other one serves yet after 1", 3000);
	fd_close(&conn);
	want_end(0);
}
END_TEST

START_TEST(test_stuck)
{
	start("s", "t", _i == 0 ? "--worker-timeout=7" : "--worker-timeout-restart", NULL);
	want_log("RENAME has not been answered by the worker process for 61 s", 3000);
	if (_i == 0) {
		usleep(100000);
		ck_assert_str_eq(get_file("share/begun.1"), "");
	} else {
		(void)worker_pid(1);
		want_log("a new one serves after", 2000);
	}
	fd_close(&conn);
	want_end(0);
}
END_TEST

/* A worker that lies, closes what it should keep, or of which the front says so, is replaced. */
static const struct {
	const char *worker, *front, *log;
} broken[] = {
	{ "Rs", "r", "the worker process broke the control protocol: unexpected RESUMED" },
	{ "Ks", "r", "the worker process broke the control protocol: unexpected STUCK" },
	{ "Bs", "r", "the worker process broke the control protocol: unexpected BROKEN" },
	{ "Ps", "r", "the worker process broke the vault protocol: put: unknown message" },
	{ "Ls", "r", "the worker process was killed by signal 9" },
	{ "s", "l", "the worker process broke the lane protocol: it is killed" },
	{ "s", "c", "the worker process closed a lane and did not end: it is killed" },
};

START_TEST(test_broken)
{
	start(broken[_i].worker, broken[_i].front, NULL, NULL);
	want_log(broken[_i].log, 3000);
	want_log("the worker process was killed by signal 9 (SIGKILL) while serving MKDIR, READ; a new "
		 "one serves after",
	    3000);
	(void)worker_pid(1);
	usleep(300000);
	ck_assert_str_eq(get_file("share/begun.2"), "");
	fd_close(&conn);
	want_end(0);
}
END_TEST

/* One that lies again and again is one that dies again and again. */
START_TEST(test_liar_for_ever)
{
	start("P", "r", "--worker-deaths=3", NULL);
	want_end(1);
	want_log("more than 3 ended within 60 s, giving up", 100);
}
END_TEST

/* Lies of the front about the restart end the daemon. */
static const struct {
	const char *worker, *front, *opt;
} lies[] = {
	{ "s", "1", NULL }, /* RESUMED that nobody asked for */
	{ "s", "2", NULL }, /* STUCK of an unknown op */
	{ "s", "3", NULL }, /* STUCK of an unknown lane */
	{ "s", "t", "--worker-timeout=0" }, { "s", "4", NULL }, /* STUCK too short */
	{ "s", "5", NULL }, /* BROKEN in a way that there is not */
	{ "s", "6", NULL }, /* BROKEN by a worker that there is not */
	{ "R", "r", "--worker-deaths=0" }, /* a worker says RESUMED, and there is to be no other */
};

START_TEST(test_lies)
{
	start(lies[_i].worker, lies[_i].front, lies[_i].opt, NULL);
	want_end(1);
	want_log("broke the control protocol", 100);
}
END_TEST

/* From SIGKILL until the front has its new lanes: with 10 and with 1,000,000 nodes in the vault. */
START_TEST(test_time)
{
	uint64_t best = UINT64_MAX;

	start(_i == 0 ? "v" : "V", "r", "--worker-window=1", NULL);
	for (unsigned n = 0; n < 10; n++) {
		char name[32];
		uint64_t t0, t1 = 0;

		(void)worker_pid(n);
		usleep(100000);
		t0 = fake_now_us();
		kill_worker(n);
		snprintf(name, sizeof(name), "share/lanes.%u", n + 1);
		for (int i = 0; i < 1000 && t1 == 0; i++) {
			usleep(5000);
			t1 = strtoull(get_file(name), NULL, 10);
		}
		ck_assert_uint_gt(t1, t0);
		best = MIN(best, t1 - t0);
	}
	printf("%s nodes in the vault: new lanes after %" PRIu64 " us at best of 10\n",
	    _i == 0 ? "10" : "1,000,000", best);
	ck_assert_uint_lt(best, 200000);
	fd_close(&conn);
	want_end(0);
}
END_TEST

int
main(int argc, char *argv[])
{
	Suite *s = suite_create("respawn");
	TCase *t = tcase_create("respawn");
	SRunner *sr;
	int failed;

	if (argc > 0 && strcmp(argv[0], "virtiofsd: worker") == 0)
		fake_worker();
	if (argc > 0 && strcmp(argv[0], "virtiofsd: front") == 0)
		fake_front();
	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, test_restart);
	tcase_add_test(t, test_exit);
	tcase_add_test(t, test_front_leaves);
	tcase_add_loop_test(t, test_give_up, 0, 3);
	tcase_add_test(t, test_window);
	tcase_add_test(t, test_never);
	tcase_add_test(t, test_not_ready);
	tcase_add_test(t, test_late);
	tcase_add_loop_test(t, test_stuck, 0, 2);
	tcase_add_loop_test(t, test_lies, 0, countof(lies));
	tcase_add_loop_test(t, test_broken, 0, countof(broken));
	tcase_add_test(t, test_liar_for_ever);
	tcase_add_loop_test(t, test_time, 0, 2);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
