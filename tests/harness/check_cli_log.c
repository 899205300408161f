/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_cli_log - what is logged, in which form, and where: standard error, in whatever state it is,
 * and the system log.
 *
 * Runs in: check_cli.
 */
#include "check_cli.h"

#include <fcntl.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DIR "--shared-dir=@/share"
#define SOCK "--socket-path=@/sock"

/* ---- form and levels ---- */

START_TEST(test_form)
{
	static const char *const args[] = { DIR, "--fd=77", "-f", NULL };
	time_t now = time(NULL), said;
	struct tm tm;
	regex_t re;
	char *line, *save;
	int lines = 0;

	setenv("TZ", "Asia/Tokyo", 1);
	ck_assert_int_eq(cli_run(args, NULL), 1);
	unsetenv("TZ");
	ck_assert_int_eq(regcomp(&re, "^\\[20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z "
	    "(ERROR|WARN |INFO ) virtiofsd\\] [^ ].*[^ ]$", REG_EXTENDED | REG_NOSUB), 0);
	ck_assert_int_eq(cli.text_err[strlen(cli.text_err) - 1], '\n');
	for (line = strtok_r(cli.text_err, "\n", &save); line != NULL;
	    line = strtok_r(NULL, "\n", &save), lines++) {
		ck_assert_msg(regexec(&re, line, 0, NULL, 0) == 0, "%s", line);
		ck_assert_ptr_nonnull(strptime(line, "[%Y-%m-%dT%H:%M:%SZ", &tm));
		said = timegm(&tm);
		ck_assert_msg(said >= now && said <= now + 10, "%s: it is not that time", line);
	}
	regfree(&re);
	ck_assert_int_ge(lines, 2);
	cli_assert_clean("");
}
END_TEST

/* Which of an error, a warning and nothing else is kept. */
static const struct {
	const char *option;
	const char *rust_log;
	bool error, warn;
} levels[] = {
	{ "-f", NULL, true, true },
	{ "--log-level=off", NULL, false, false },
	{ "--log-level=error", NULL, true, false },
	{ "--log-level=Warn", NULL, true, true },
	{ "--log-level=trace", NULL, true, true },
	{ "-ologlevel=err", NULL, true, false },
	{ "-ologlevel=warn", NULL, true, true },
	{ "-d", NULL, true, true },
	/* RUST_LOG decides alone */
	{ "-d", "off", false, false },
	{ "-d", "error", true, false },
	{ "--log-level=off", "warn", true, true },
	{ "--log-level=trace", "", true, false },
	{ "-f", "virtiofsd=error", true, false },
	{ "-f", "virtiofsd::front=trace", false, false },
	{ "-f", "off,virtiofsd=warn", true, true },
	{ "-f", "warn/deprecated", false, true },
	{ "-f", "warn/listening UNIX", true, false },
	{ "-f", "virtiofsd=nonsense", true, false },
	/* but not of the system log, which is not there */
	{ "--syslog", "off", true, true },
};

START_TEST(test_level)
{
	const char *args[] = { DIR, "--fd=77", "-f", levels[_i].option, NULL };
	const struct cli_how how = { .rust_log = levels[_i].rust_log };

	ck_assert_int_eq(cli_run(args, &how), 1);
	ck_assert_msg((strstr(cli.text_err, "ERROR virtiofsd] --fd 77") != NULL) ==
	    levels[_i].error, "%s: %s", levels[_i].option, cli.text_err);
	ck_assert_msg((strstr(cli.text_err, "WARN  virtiofsd] Use of deprecated flag '-f'") !=
	    NULL) == levels[_i].warn, "%s: %s", levels[_i].option, cli.text_err);
	ck_assert_msg((strstr(cli.text_err, "warning: invalid logging spec 'nonsense', ignoring it\n")
	    != NULL) == (levels[_i].rust_log != NULL &&
	    strstr(levels[_i].rust_log, "nonsense") != NULL), "%s", cli.text_err);
	cli_assert_clean("");
}
END_TEST

/* ---- standard error ---- */

static int err_pipe[2];

/* A pipe that is full, or that nobody reads. */
static void
bad_stderr(struct vmm *v)
{
	(void)v;
	if (dup2(err_pipe[1], 2) < 0)
		_exit(126);
}

static void
start_with_bad_stderr(const char *level)
{
	const char *args[] = { level, NULL };
	struct vmm_opts opts = { .args = args, .stage = VMM_RUNNING, .child = bad_stderr };

	h_start_opts(&opts, true);
	for (int i = 0; i < 200; i++)
		ck_assert(h_serves(&hc));
}

START_TEST(test_stderr_full)
{
	static char junk[4096], text[1 << 16];
	ssize_t n;

	ck_assert_int_eq(pipe2(err_pipe, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(err_pipe[1], junk, sizeof(junk)) > 0)
		;
	ck_assert_int_eq(fcntl(err_pipe[1], F_SETFL, 0), 0);
	start_with_bad_stderr("--log-level=debug");
	/* Read now, it goes on, and says that lines are missing. */
	while (read(err_pipe[0], text, sizeof(text)) > 0)
		;
	ck_assert(h_serves(&hc));
	h_stop();
	n = read(err_pipe[0], text, sizeof(text) - 1);
	ck_assert_int_gt((int)n, 0);
	text[n] = '\0';
	ck_assert_ptr_nonnull(strstr(text, "log lines lost: standard error was full\n"));
	ck_assert_ptr_nonnull(strstr(text, "Client disconnected"));
	close(err_pipe[0]);
	close(err_pipe[1]);
}
END_TEST

START_TEST(test_stderr_gone)
{
	ck_assert_int_eq(pipe2(err_pipe, O_CLOEXEC), 0);
	close(err_pipe[0]);
	start_with_bad_stderr("--log-level=debug");
	h_stop();
	close(err_pipe[1]);
}
END_TEST

static void
close_standard(struct vmm *v)
{
	(void)v;
	for (int fd = 0; fd <= 2; fd++)
		close(fd);
}

/* Without standard files it runs, and their numbers are nobody else's. */
START_TEST(test_no_standard_files)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .child = close_standard };
	char path[64], link[64];
	ssize_t n;

	h_start_opts(&opts, true);
	for (int fd = 0; fd <= 2; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", hv->pid, fd);
		n = readlink(path, link, sizeof(link) - 1);
		ck_assert_int_gt((int)n, 0);
		link[n] = '\0';
		ck_assert_str_eq(link, "/dev/null");
	}
	h_stop();
}
END_TEST

/* ---- requests ---- */

static const char *rust_log;

static void
set_rust_log(struct vmm *v)
{
	(void)v;
	if (rust_log != NULL)
		setenv("RUST_LOG", rust_log, 1);
}

static const struct {
	const char *arg, *rust_log;
	bool requests;	/* a line a request and a reply */
	bool monitor;	/* lines of the monitor's own at level debug */
	bool info;
} talks[] = {
	{ "-d", NULL, true, true, true },
	{ "--log-level=trace", NULL, true, true, true },
	{ "--log-level=info", NULL, false, false, true },
	{ "--log-level=info", "virtiofsd::front=debug", true, false, false },
	{ "-d", "info,virtiofsd::worker=debug", false, false, true },
	{ "-d", "debug,virtiofsd::front=error", false, true, true },
};

/* The expression is looked for also once the processes are sealed. */
START_TEST(test_requests_matched)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .child = set_rust_log };
	struct fuse_entry_out e;

	rust_log = "debug/(LOOKUP|NOENT)";
	h_start_opts(&opts, true);
	FAILS(ENOENT, fc_lookup(&hc, FC_ROOT, "nothing", &e));
	usleep(100000);
	ck_assert(vmm_log_has(hv, ": LOOKUP (1): inode 1 unique "));
	ck_assert(vmm_log_has(hv, ": ENOENT"));
	ck_assert(!vmm_log_has(hv, "INIT"));
	ck_assert(!vmm_log_has(hv, "Client"));
	h_stop();
}
END_TEST


START_TEST(test_requests)
{
	const char *args[] = { talks[_i].arg, NULL };
	struct vmm_opts opts = { .args = args, .stage = VMM_RUNNING, .child = set_rust_log };
	struct fuse_entry_out e;

	rust_log = talks[_i].rust_log;
	h_start_opts(&opts, true);
	FAILS(ENOENT, fc_lookup(&hc, FC_ROOT, "nothing", &e));
	usleep(100000);
	ck_assert_int_eq(vmm_log_has(hv, "DEBUG virtiofsd::front] queue 1: INIT (26): inode "),
	    talks[_i].requests);
	ck_assert_int_eq(vmm_log_has(hv, ": LOOKUP (1): inode 1 unique "), talks[_i].requests);
	ck_assert_int_eq(vmm_log_has(hv, "DEBUG virtiofsd::front] reply: unique "),
	    talks[_i].requests);
	ck_assert_int_eq(vmm_log_has(hv, ": ENOENT"), talks[_i].requests);
	ck_assert_int_eq(vmm_log_has(hv, "DEBUG virtiofsd] "), talks[_i].monitor);
	ck_assert_int_eq(vmm_log_has(hv, "INFO  virtiofsd] Client connected"), talks[_i].info);
	h_stop();
}
END_TEST

/* ---- the system log ---- */

static const char *const syslog_args[] = { "--syslog", "-f", NULL };
static int log_sock;

static void
open_log(void)
{
	struct timeval tv = { .tv_sec = 5 };

	log_sock = cli_listen(cli_path("dev/log"), SOCK_DGRAM);
	ck_assert_int_eq(setsockopt(log_sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
}

/* A /dev of its own for the daemon, with what it needs and the log. */
static void
make_dev(void)
{
	int fd;

	ck_assert_int_eq(mkdir(cli_path("dev"), 0755), 0);
	ck_assert_int_ge(fd = open(cli_path("dev/null"), O_CREAT | O_WRONLY | O_CLOEXEC, 0666), 0);
	close(fd);
	open_log();
}

static void
use_dev(struct vmm *v)
{
	(void)v;
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("/dev/null", cli_path("dev/null"), NULL, MS_BIND, NULL) < 0 ||
	    mount(cli_path("dev"), "/dev", NULL, MS_BIND | MS_REC, NULL) < 0)
		_exit(126);
	setenv("RUST_LOG", "off", 1);
}

/* Receive lines until one ends with text; it has that priority. */
static void
expect_syslog(int priority, const char *text)
{
	char line[4096], want[64], times[32];
	time_t now = time(NULL);
	struct tm tm;
	size_t len;
	ssize_t n;

	do {
		n = recv(log_sock, line, sizeof(line) - 1, 0);
		ck_assert_msg(n > 0, "'%s' does not come", text);
		line[n] = '\0';
		len = strlen(text);
	} while ((size_t)n < len || strcmp(line + n - len, text) != 0);
	/* <PRIORITY>Mmm dd hh:mm:ss virtiofsd[PID]: text */
	localtime_r(&now, &tm);
	strftime(times, sizeof(times), "%b %e ", &tm);
	snprintf(want, sizeof(want), "<%d>%s", priority, times);
	ck_assert_msg(strncmp(line, want, strlen(want)) == 0, "%s", line);
	snprintf(want, sizeof(want), " virtiofsd[%d]: ", hv->pid);
	ck_assert_msg(strstr(line, want) == line + strcspn(line, ">") + 1 + 15, "%s", line);
}

START_TEST(test_syslog)
{
	struct vmm_opts opts = { .args = syslog_args, .stage = VMM_RUNNING, .child = use_dev };

	make_dev();
	h_start_opts(&opts, true);
	expect_syslog(8 + 4, "Use of deprecated flag '-f': it has no effect, please remove it");
	expect_syslog(8 + 6, "Waiting for vhost-user socket connection...");
	expect_syslog(8 + 6, "Client connected, servicing requests");
	/* The log daemon is restarted: the sealed process finds the new one. */
	close(log_sock);
	ck_assert_int_eq(unlink(cli_path("dev/log")), 0);
	open_log();
	ck_assert(h_serves(&hc));
	vmm_hangup(hv);
	expect_syslog(8 + 6, "Client disconnected, shutting down");
	ck_assert_int_eq((int)vmm_log_size(hv), 0);
	h_expect_ended(0);
	close(log_sock);
	cli_assert_clean("dev ");
}
END_TEST

/* A line of a child, and the levels. */
START_TEST(test_syslog_debug)
{
	static const char *const args[] = { "--syslog", "-d", NULL };
	struct vmm_opts opts = { .args = args, .stage = VMM_RUNNING, .child = use_dev };
	char line[4096];
	ssize_t n;

	make_dev();
	h_start_opts(&opts, true);
	do {
		n = recv(log_sock, line, sizeof(line) - 1, 0);
		ck_assert_msg(n > 0, "no line of the front comes");
		line[n] = '\0';
	} while (strstr(line, "]: front: ") == NULL);
	ck_assert_msg(strncmp(line, "<15>", 4) == 0, "%s", line);
	h_stop();
	close(log_sock);
	cli_assert_clean("dev ");
}
END_TEST

/* Nobody reads the log: the daemon does not wait for it. */
START_TEST(test_syslog_full)
{
	static const char *const args[] = { "--syslog", "-d", NULL };
	struct vmm_opts opts = { .args = args, .stage = VMM_RUNNING, .child = use_dev };

	make_dev();
	h_start_opts(&opts, true);
	for (int i = 0; i < 2000; i++)
		ck_assert(h_serves(&hc));
	h_stop();
	close(log_sock);
	cli_assert_clean("dev ");
}
END_TEST

static void
use_dev_without_log(void)
{
	use_dev(NULL);
}

START_TEST(test_syslog_fallback)
{
	static const char *const args[] = { DIR, SOCK, "--syslog", NULL };
	static const struct cli_how how = { .child = use_dev_without_log };

	make_dev();
	close(log_sock);
	if (_i == 0)
		unlink(cli_path("dev/log"));
	cli_start(args, &how);
	cli_expect_waiting();
	ck_assert_msg(strstr(cli_log(), "WARN  virtiofsd] cannot log to the system log, logging to "
	    "standard error: ") != NULL, "%s", cli.text_err);
	cli_end(SIGTERM, 1);
	cli_assert_clean("dev sock.pid ");
}
END_TEST

TCase *
check_cli_log(void)
{
	TCase *t = tcase_create("log");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, cli_setup, cli_teardown);
	tcase_add_test(t, test_form);
	tcase_add_loop_test(t, test_level, 0, (int)(sizeof(levels) / sizeof(levels[0])));
	tcase_add_test(t, test_stderr_full);
	tcase_add_test(t, test_stderr_gone);
	tcase_add_test(t, test_no_standard_files);
	tcase_add_loop_test(t, test_requests, 0, (int)(sizeof(talks) / sizeof(talks[0])));
	tcase_add_test(t, test_requests_matched);
	tcase_add_test(t, test_syslog);
	tcase_add_test(t, test_syslog_debug);
	tcase_add_test(t, test_syslog_full);
	tcase_add_loop_test(t, test_syslog_fallback, 0, 2);
	return t;
}
