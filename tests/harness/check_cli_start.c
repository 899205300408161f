/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_cli_start - what keeps the daemon from starting (status 1, nothing left), what does not,
 * and its limit of open files.
 *
 * Runs in: check_cli.
 */
#include "check_cli.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define DIR "--shared-dir=@/share"
#define SOCK "--socket-path=@/sock"
#define LONG_NAME \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"0123456789012345678901234567890123456789"

static const struct {
	const char *args[CLI_ARGS];
	const char *want;	/* in an error line of the log */
	const char *left;
} failures[] = {
	/* the shared directory */
	{ { "--shared-dir=/nonexistent", SOCK }, "'/nonexistent' does not exist", "" },
	{ { "--shared-dir=", SOCK }, "'' does not exist", "" },
	{ { "--shared-dir=/dev/null", SOCK }, "'/dev/null' does not exist", "" },
	{ { "--shared-dir=@/share/x", SOCK }, "/share/x' does not exist", "" },
	{ { "--shared-dir=/etc/passwd", SOCK }, "'/etc/passwd': Not a directory: only --sandbox=none can share a file", "" },
	{ { "--shared-dir=/etc/passwd/x", SOCK }, "'/etc/passwd/x' does not exist", "" },
	{ { "-o", "xattr", SOCK }, "missing \"--shared-dir\" or \"-o source\" option", "" },
	{ { "-o", "source=/nonexistent", SOCK }, "'/nonexistent' does not exist", "" },
	{ { DIR, "-o", "source=/nonexistent", SOCK }, "'/nonexistent' does not exist", "" },
	{ { "-o", "xattr", "--fd=3" }, "missing \"--shared-dir\"", "" },
	/* options that exclude each other */
	{ { DIR, SOCK, "--migration-mode=file-handles", "--migration-verify-handles" },
	    "cannot use --migration-verify-handles with --migration-mode=file-handles", "" },
	{ { DIR, SOCK, "--migration-mode=file-handles", "--migration-confirm-paths" },
	    "cannot use --migration-confirm-paths with --migration-mode=file-handles", "" },
	{ { DIR, SOCK, "--posix-acl", "--translate-uid=map:0:1:2" },
	    "cannot use --translate-uid or --translate-gid with --posix-acl=always", "" },
	{ { DIR, SOCK, "--posix-acl=auto", "--translate-gid=map:0:1:2" },
	    "cannot use --translate-uid or --translate-gid with --posix-acl=auto", "" },
	{ { DIR, SOCK, "-o", "posix_acl", "--translate-uid=map:0:1:2" },
	    "cannot use --translate-uid or --translate-gid with --posix-acl=always", "" },
	/* the socket and its pid file */
	{ { DIR, "--socket-path=/nonexistent/s" },
	    "/nonexistent does not exist or is not a directory", "" },
	{ { DIR, "--socket-path=/etc/passwd/s" },
	    "/etc/passwd does not exist or is not a directory", "" },
	{ { DIR, "--socket-path=" }, "invalid socket file name ''", "" },
	{ { DIR, "--socket-path=/" }, "invalid socket file name '/'", "" },
	{ { DIR, "--socket-path=@/" }, "invalid socket file name", "" },
	{ { DIR, "--socket-path=@/." }, "invalid socket file name", "" },
	{ { DIR, "--socket-path=@/.." }, "invalid socket file name", "" },
	{ { DIR, "--socket-path=@/" LONG_NAME }, "File name too long", "" },
	{ { DIR, "--socket-path=/proc/s" }, "error creating pid file '/proc/s.pid': No such file", "" },
	{ { DIR, "--socket=/nonexistent/s" }, "/nonexistent does not exist", "" },
	{ { DIR, SOCK, "--socket-group=no such group" },
	    "couldn't resolve the group name 'no such group' of --socket-group", "" },
	/* users and limits */
	{ { DIR, SOCK, "--front-user=root" }, "must have neither uid nor gid 0", "" },
	{ { DIR, SOCK, "--front-user=no such user" }, "there is no user 'no such user'", "" },
	{ { DIR, SOCK, "--rlimit-nofile=18446744073709551615" },
	    "error increasing number of open files: it cannot be increased above", "" },
	{ { DIR, SOCK, "--rlimit-nofile=609" },
	    "maximum number of file descriptors too small: limit is 609, must be at least 610", "" },
	{ { DIR, SOCK, "--rlimit-nofile=700", "--thread-pool-size=100" },
	    "limit is 700, must be at least 709", "" },
	{ { DIR, SOCK, "--thread-pool-size=18446744073709551615" }, "must be at least 1844674407", "" },
};

START_TEST(test_failure)
{
	const char *error, *want = failures[_i].want;

	ck_assert_msg(cli_run(failures[_i].args, NULL) == 1, "(%s): status %d, %s", want,
	    cli.status, cli.text_err);
	ck_assert_str_eq(cli.text_out, "");
	error = strstr(cli.text_err, want);
	ck_assert_msg(error != NULL, "'%s' is not in '%s'", want, cli.text_err);
	while (error > cli.text_err && error[-1] != '\n')
		error--;
	ck_assert_msg(strstr(error, "Z ERROR virtiofsd] ") == error + 20, "%s", error);
	ck_assert_ptr_null(strstr(cli.text_err, "Waiting for"));
	cli_assert_clean(failures[_i].left);
}
END_TEST

/* Command lines that start, and what is logged before it waits ("" = nothing but information). */
static const struct {
	const char *args[CLI_ARGS];
	const char *want;
} starts[] = {
	{ { DIR, SOCK }, "" },
	{ { "-o", "source=@/share", SOCK }, "WARN  virtiofsd] Use of deprecated option format '-o'" },
	{ { "--shared-dir=/nonexistent", "-o", "source=@/share", SOCK }, "" },
	{ { DIR, "--socket=@/sock" }, "WARN  virtiofsd] Use of deprecated option '--socket'" },
	{ { DIR, SOCK, "--socket=/nonexistent/s" }, "Use of deprecated option '--socket'" },
	{ { DIR, SOCK, "--socket-group=root" }, "" },
	{ { DIR, SOCK, "--tag=x" }, "" },
	{ { DIR, SOCK, "--thread-pool-size=0" }, "" },
	{ { DIR, SOCK, "--thread-pool-size=64" }, "" },
	{ { DIR, SOCK, "--thread-pool-size=65" },
	    "WARN  virtiofsd] --thread-pool-size=65: no more than 64 requests of a queue are served" },
	{ { DIR, SOCK, "--xattr" }, "" },
	{ { DIR, SOCK, "--posix-acl" }, "" },
	{ { DIR, SOCK, "--posix-acl=auto" }, "" },
	{ { DIR, SOCK, "--posix-acl=never", "--translate-uid=map:0:1000:1" }, "" },
	{ { DIR, SOCK, "-o", "no_posix_acl", "--posix-acl", "--translate-uid=map:0:1000:1" }, "" },
	{ { DIR, SOCK, "--xattrmap=:map::user.virtiofs.:" }, "" },
	{ { DIR, SOCK, "--sandbox=Namespace" }, "" },
	{ { DIR, SOCK, "--sandbox=chroot" }, "" },
	{ { DIR, SOCK, "--sandbox=none" }, "" },
	{ { DIR, SOCK, "--readonly" }, "" },
	{ { DIR, SOCK, "--seccomp=none" }, "" },
	{ { DIR, SOCK, "--seccomp=kill" }, "" },
	{ { DIR, SOCK, "--seccomp=log" }, "" },
	{ { DIR, SOCK, "--seccomp=trap" }, "" },
	{ { DIR, SOCK, "--announce-submounts" }, "" },
	{ { DIR, SOCK, "--no-announce-submounts" }, "" },
	{ { DIR, SOCK, "--inode-file-handles=never" }, "" },
	{ { DIR, SOCK, "--inode-file-handles=prefer" }, "" },
	{ { DIR, SOCK, "--inode-file-handles=fallback" },
	    "WARN  virtiofsd] Use of deprecated value 'fallback' for '--inode-file-handles'" },
	{ { DIR, SOCK, "--cache=auto" }, "" },
	{ { DIR, SOCK, "--cache=always" }, "" },
	{ { DIR, SOCK, "--cache=NEVER" }, "" },
	{ { DIR, SOCK, "--cache=metadata" }, "" },
	{ { DIR, SOCK, "--allow-mmap" }, "" },
	{ { DIR, SOCK, "--no-readdirplus" }, "" },
	{ { DIR, SOCK, "--writeback" }, "" },
	{ { DIR, SOCK, "--allow-direct-io" }, "" },
	{ { DIR, SOCK, "--posix-lock" }, "" },
	{ { DIR, SOCK, "--flock" }, "" },
	{ { DIR, SOCK, "--modcaps=-mknod" }, "" },
	{ { DIR, SOCK, "--killpriv-v2" }, "" },
	{ { DIR, SOCK, "--killpriv-v2", "--no-killpriv-v2" }, "" },
	{ { DIR, SOCK, "--security-label=auto" }, "" },
	{ { DIR, SOCK, "--translate-uid=map:0:1000:1", "--translate-gid=forbid-guest:1:2" }, "" },
	{ { DIR, SOCK, "--preserve-noatime" }, "" },
	{ { DIR, SOCK, "--busy-poll-us=0" }, "" },
	{ { DIR, SOCK, "--fd-donation=never" }, "" },
	{ { DIR, SOCK, "--front-user=daemon" }, "" },
	{ { DIR, SOCK, "--worker-deaths=0", "--worker-timeout=0" }, "" },
	{ { DIR, SOCK, "--worker-window=1", "--worker-timeout-restart" }, "" },
	{ { DIR, SOCK, "--log-level=trace" }, "" },
	{ { DIR, SOCK, "-d" }, "WARN  virtiofsd] Use of deprecated flag '-d'" },
	{ { DIR, SOCK, "-f" }, "WARN  virtiofsd] Use of deprecated flag '-f'" },
	{ { DIR, SOCK, "-o", "xattr,cache=auto,no_flock,no_posix_lock,announce_submounts" },
	    "Use of deprecated option format '-o'" },
	{ { DIR, SOCK, "--migration-mode=find-paths", "--migration-verify-handles",
	    "--migration-confirm-paths" },
	    "WARN  virtiofsd] live migration is not offered by this version: --migration-* has no effect" },
	{ { DIR, SOCK, "--migration-on-error=guest-error" }, "live migration is not offered" },
	{ { DIR, SOCK, "--migration-mode=file-handles" }, "live migration is not offered" },
	{ { DIR, SOCK, "--rlimit-nofile=610" },
	    "file descriptor count limit is very small, leaving only 0 file descriptors for the" },
	{ { DIR, SOCK, "--rlimit-nofile=737" }, "leaving only 127 file descriptors" },
	{ { DIR, SOCK, "--rlimit-nofile=738" }, "" },
};

static bool
uses(const char *const *args, const char *arg)
{
	while (*args != NULL && strcmp(*args, arg) != 0)
		args++;
	return *args != NULL;
}

START_TEST(test_start)
{
	cli_start(starts[_i].args, NULL);
	cli_expect_waiting();
	ck_assert_msg(strstr(cli_log(), starts[_i].want) != NULL, "'%s' is not in '%s'",
	    starts[_i].want, cli.text_err);
	ck_assert_ptr_null(strstr(cli.text_err, "ERROR"));
	if (!uses(starts[_i].args, "-o") && starts[_i].want[0] == '\0')
		ck_assert_msg(strstr(cli.text_err, "deprecated") == NULL, "%s", cli.text_err);
	cli_end(SIGTERM, 1);
	ck_assert_str_eq(cli.text_out, "");
	cli_assert_clean("sock.pid ");
}
END_TEST

/* ---- the limit of open files ---- */

static struct rlimit before;

static void
limit_child(void)
{
	/* Without this capability a hard limit stands. */
	if (prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE) < 0 || setrlimit(RLIMIT_NOFILE, &before) < 0)
		_exit(126);
}

static const struct {
	const char *option;	/* or NULL */
	rlim_t soft, hard;	/* at the start */
	rlim_t want_soft, want_hard;	/* 0: it does not start */
	const char *want;	/* in the log */
} limits[] = {
	{ NULL, 1000, 1500, 1500, 1500,
	    "WARN  virtiofsd] failure when trying to set the limit to 1000000, the hard limit "
	    "(1500) of open file descriptors is used instead" },
	{ "--rlimit-nofile=0", 1000, 1500, 1000, 1500, "Waiting" },
	{ "--rlimit-nofile=0", 600, 1500, 0, 0, "limit is 600, must be at least 610" },
	{ "--rlimit-nofile=1500", 1000, 1500, 1500, 1500, "Waiting" },
	{ "--rlimit-nofile=+1200", 1000, 1500, 1200, 1200, "Waiting" },
	{ "--rlimit-nofile=1501", 1000, 1500, 0, 0,
	    "error increasing number of open files to 1501: Operation not permitted" },
	{ NULL, 500, 500, 0, 0, "limit is 500, must be at least 610" },
};

START_TEST(test_limit)
{
	const char *args[] = { DIR, SOCK, limits[_i].option, NULL };
	static const struct cli_how how = { .child = limit_child };
	struct rlimit now;

	before = (struct rlimit){ limits[_i].soft, limits[_i].hard };
	cli_start(args, &how);
	if (limits[_i].want_soft == 0) {
		ck_assert_int_eq(cli_wait(), 1);
		ck_assert_msg(strstr(cli.text_err, limits[_i].want) != NULL, "%s", cli.text_err);
		cli_assert_clean("");
		return;
	}
	cli_expect_waiting();
	ck_assert_msg(strstr(cli_log(), limits[_i].want) != NULL, "%s", cli.text_err);
	ck_assert_int_eq(prlimit(cli.pid, RLIMIT_NOFILE, NULL, &now), 0);
	ck_assert_uint_eq(now.rlim_cur, limits[_i].want_soft);
	ck_assert_uint_eq(now.rlim_max, limits[_i].want_hard);
	cli_end(SIGTERM, 1);
	cli_assert_clean("sock.pid ");
}
END_TEST

static void
hide_nr_open(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("/dev/null", "/proc/sys/fs/nr_open", NULL, MS_BIND, NULL) < 0)
		_exit(126);
}

/* Also where the limit is not to be changed. */
START_TEST(test_no_nr_open)
{
	static const char *const args[] = { DIR, SOCK, "--rlimit-nofile=0", NULL };
	static const struct cli_how how = { .child = hide_nr_open };

	ck_assert_int_eq(cli_run(args, &how), 1);
	ck_assert_msg(strstr(cli.text_err,
	    "ERROR virtiofsd] cannot read /proc/sys/fs/nr_open: ") != NULL, "%s", cli.text_err);
	cli_assert_clean("");
}
END_TEST

/* Nothing is written, or made, that is larger than the limit on files allows; and the log says so. */
static void
limit_files(void)
{
	const struct rlimit small = { 65536, 65536 };

	if (setrlimit(RLIMIT_FSIZE, &small) < 0)
		_exit(126);
}

START_TEST(test_limit_of_files)
{
	static const char *const args[] = { DIR, SOCK, NULL };
	static const struct cli_how how = { .child = limit_files };
	int conn;

	cli_start(args, &how);
	cli_expect_waiting();
	ck_assert_int_ge(conn = cli_connect(cli_path("sock")), 0);
	ck_assert_msg(cli_wait() == 1, "status %d: %s", cli.status, cli.text_err);
	ck_assert_msg(strstr(cli.text_err, "ERROR virtiofsd] memory for a lane (RLIMIT_FSIZE is too small): "
	    "File too large") != NULL, "%s", cli.text_err);
	close(conn);
	cli_assert_clean("sock.pid ");
}
END_TEST

/* ---- its siblings ---- */

static void
copy(const char *daemon, const char *more, const char *to)
{
	char from[512];
	int in, out;
	struct stat st;

	snprintf(from, sizeof(from), "%s%s", daemon, more);
	in = open(from, O_RDONLY | O_CLOEXEC);
	out = open(cli_path(to), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ck_assert_int_eq(fstat(in, &st), 0);
	ck_assert_int_eq(sendfile(out, in, NULL, (size_t)st.st_size), st.st_size);
	close(in);
	close(out);
}

static void
exec_copy(void)
{
	execl(cli_path("virtiofsd"), "virtiofsd", "--socket-path=/nonexistent", "--shared-dir=/",
	    (char *)NULL);
	_exit(126);
}

/* Front and worker are looked for beside the executable, not in PATH or the working directory. */
START_TEST(test_alone)
{
	static const struct cli_how how = { .child = exec_copy };
	static const char *const none[] = { NULL };
	const char *daemon = getenv("VIRTIOFSD") != NULL ? getenv("VIRTIOFSD") : "build/virtiofsd";

	copy(daemon, "", "virtiofsd");
	ck_assert_int_eq(cli_run(none, &how), 1);
	ck_assert_msg(strstr(cli.text_err, "ERROR virtiofsd] cannot find /tmp/cli-") != NULL, "%s",
	    cli.text_err);
	cli_assert_clean("virtiofsd ");
}
END_TEST

static void
exec_linked(void)
{
	char share[80], sock[80];

	snprintf(share, sizeof(share), "--shared-dir=%s", cli_path("share"));
	snprintf(sock, sizeof(sock), "--socket-path=%s", cli_path("sock"));
	execl(cli_path("virtiofsd"), "virtiofsd", share, sock, (char *)NULL);
	_exit(126);
}

/* How many children of the daemon have that name. */
static int
named(const char *name)
{
	char cmd[128];
	FILE *f;
	int n = 0;

	snprintf(cmd, sizeof(cmd), "pgrep -c -x -P %d %s", cli.pid, name);
	f = popen(cmd, "re");
	ck_assert(f != NULL && fscanf(f, "%d", &n) == 1);
	pclose(f);
	return n;
}

/* Whatever their files are called, or are to a kernel that executes them by descriptor. */
START_TEST(test_names)
{
	static const struct cli_how how = { .child = exec_linked };
	static const char *const none[] = { NULL };
	const char *daemon = getenv("VIRTIOFSD") != NULL ? getenv("VIRTIOFSD") : "build/virtiofsd";
	int conn;

	copy(daemon, "", "virtiofsd");
	copy(daemon, "-front", "1");
	copy(daemon, "-worker", "2");
	ck_assert_int_eq(symlink("1", cli_path("virtiofsd-front")), 0);
	ck_assert_int_eq(symlink("2", cli_path("virtiofsd-worker")), 0);
	cli_start(none, &how);
	cli_expect_waiting();
	ck_assert_int_ge(conn = cli_connect(cli_path("sock")), 0);
	for (int i = 0; i < 100 && named("virtiofsd-front") + named("virtiofsd-worke") < 2; i++)
		usleep(20000);
	ck_assert_int_eq(named("virtiofsd-front"), 1);
	ck_assert_int_eq(named("virtiofsd-worke"), 1);
	close(conn);
	ck_assert_int_eq(cli_wait(), 0);
	cli_assert_clean("1 2 sock.pid virtiofsd virtiofsd-front virtiofsd-worker ");
}
END_TEST

TCase *
check_cli_start(void)
{
	TCase *t = tcase_create("start");

	tcase_add_checked_fixture(t, cli_setup, cli_teardown);
	tcase_add_loop_test(t, test_failure, 0, (int)(sizeof(failures) / sizeof(failures[0])));
	tcase_add_loop_test(t, test_start, 0, (int)(sizeof(starts) / sizeof(starts[0])));
	tcase_add_loop_test(t, test_limit, 0, (int)(sizeof(limits) / sizeof(limits[0])));
	tcase_add_test(t, test_no_nr_open);
	tcase_add_test(t, test_limit_of_files);
	tcase_add_test(t, test_alone);
	tcase_add_test(t, test_names);
	return t;
}
