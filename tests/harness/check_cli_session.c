/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_cli_session - started as libvirt starts it, and what its callers rely on: the exit status, the
 * lock of libvirt's pid file, signals.
 *
 * Runs in: check_cli.
 */
#include "check_cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/options_rig.h"

/* ---- libvirt ---- */

/*
 * What libvirt does between fork and exec: the root directory, a listening socket under a number of its
 * choice, and a pid file that stays open and is locked by the process that becomes the daemon.
 */
static void
as_libvirt(struct vmm *v, int number)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	char path[128];
	int fd;

	umask(022);
	fd = cli_listen(v->sock_path, SOCK_STREAM);
	if (dup2(fd, number) < 0)
		_exit(126);
	snprintf(path, sizeof(path), "%s/libvirt.pid", v->dir);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0 || dprintf(fd, "%d\n", getpid()) < 0 ||
	    chdir("/") < 0)
		_exit(126);
}

static void
as_libvirt_32(struct vmm *v)
{
	as_libvirt(v, 32);
}

static void
as_libvirt_23(struct vmm *v)
{
	as_libvirt(v, 23);
}

/* Command lines of libvirt 9.0 and 12.8. */
static const struct {
	const char *args[ARGS_MAX];
	void (*child)(struct vmm *);
	bool xattr;
} libvirts[] = {
	{ { "--fd=32", "-o", "source=@/share" }, as_libvirt_32, false },
	{ { "--fd=32", "-o", "source=@/share,xattr,no_flock,no_posix_lock" }, as_libvirt_32, true },
	{ { "--fd=32", "-o", "source=@/share,cache=always,sandbox=chroot,no_xattr",
	    "--thread-pool-size=4", "-d" }, as_libvirt_32, false },
	{ { "--fd=32", "-o", "source=@/share,cache=none,sandbox=namespace,xattr", "-d" },
	    as_libvirt_32, true },
	{ { "--fd=23", "--shared-dir", "@/share" }, as_libvirt_23, false },
	{ { "--fd=23", "--shared-dir", "@/share", "--sandbox", "namespace", "--xattr",
	    "--thread-pool-size=2", "--rlimit-nofile=4096", "--log-level", "debug" },
	    as_libvirt_23, true },
	{ { "--fd=23", "--shared-dir", "@/share", "--cache", "always", "--sandbox", "chroot" },
	    as_libvirt_23, false },
	{ { "--fd=23", "--shared-dir", "@/share", "--cache", "never", "--xattr", "--readonly" },
	    as_libvirt_23, true },
};

/* Who holds the lock of libvirt's pid file? 0: nobody. */
static pid_t
lock_owner(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/libvirt.pid", hv->dir);
	ck_assert_int_ge(fd = open(path, O_RDWR | O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(fd, F_GETLK, &lock), 0);
	close(fd);
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

/* The daemon keeps what it does not know; its children have nothing of it. */
static void
assert_fds(void)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	char dir[64], path[384], link[256];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS), found = 0;
	struct dirent *e;
	ssize_t len;
	DIR *d;

	ck_assert_uint_eq(n, 3);
	for (unsigned int i = 0; i < n; i++) {
		snprintf(dir, sizeof(dir), "/proc/%d/fd", procs[i].pid);
		ck_assert_ptr_nonnull(d = opendir(dir));
		while ((e = readdir(d)) != NULL) {
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
			len = readlink(path, link, sizeof(link) - 1);
			link[len > 0 ? len : 0] = '\0';
			if (strstr(link, "/libvirt.pid") == NULL)
				continue;
			found++;
			ck_assert_int_eq(procs[i].pid, hv->pid);
		}
		closedir(d);
	}
	ck_assert_uint_eq(found, 1);
}

START_TEST(test_libvirt)
{
	const struct vmm_opts opts = { .args = libvirts[_i].args, .only_args = true,
		.child = libvirts[_i].child, .stage = VMM_RUNNING };
	char value[8];
	struct stat st;

	h_start_opts(&opts, true);
	ck_assert(h_serves(&hc) && h_serves(&hother));
	ck_assert_int_eq(lock_owner(), hv->pid);
	assert_fds();
	h_put("file", "hello", 5);
	ck_assert_uint_ne(h_node("file"), 0);
	ck_assert_int_eq(fc_getxattr(&hc, h_node("file"), "user.x", value, sizeof(value)),
	    libvirts[_i].xattr ? -ENODATA : -ENOSYS);
	/* The socket is libvirt's: no pid file beside it, and it is not removed. */
	ck_assert_int_eq(stat(hv->sock_path, &st), 0);
	h_stop();
}
END_TEST

/* It is libvirt that stops it: SIGTERM to the group. The lock goes with it. */
START_TEST(test_libvirt_stops)
{
	static const char *const args[] = { "--fd=23", "--shared-dir", "@/share", NULL };
	struct vmm_opts opts = { .args = args, .only_args = true, .child = as_libvirt_23,
		.stage = VMM_RUNNING };
	struct vmm_end e;

	h_start_opts(&opts, true);
	OK(vmm_kill_group(hv, SIGTERM));
	OK(vmm_wait_end(hv, &e));
	ck_assert_int_eq(e.exit_status, 1);
	ck_assert_uint_eq(e.left, 0);
	ck_assert(vmm_log_has(hv, "INFO  virtiofsd] ended by SIGTERM"));
	ck_assert_int_eq(lock_owner(), 0);
	h_abandon();
}
END_TEST

/* ---- signals before the client is there ---- */

static void
ignore_signals(void)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static const struct {
	int sig;
	bool ignored;	/* at the start */
	int status;	/* -1: it lives */
} signals[] = {
	{ SIGTERM, false, 1 },
	{ SIGHUP, false, 1 },
	{ SIGHUP, true, 1 },
	{ SIGINT, false, 256 + SIGINT },
	{ SIGINT, true, -1 },
	{ SIGPIPE, false, -1 },
};

START_TEST(test_signal)
{
	static const char *const args[] = { "--shared-dir=@/share", "--socket-path=@/sock", NULL };
	const struct cli_how how = { .child = signals[_i].ignored ? ignore_signals : NULL };
	char line[64];

	cli_start(args, &how);
	cli_expect_waiting();
	if (signals[_i].status < 0) {
		ck_assert_int_eq(kill(cli.pid, signals[_i].sig), 0);
		usleep(100000);
		ck_assert_int_eq(waitpid(cli.pid, NULL, WNOHANG), 0);
		cli_end(SIGTERM, 1);
	} else {
		cli_end(signals[_i].sig, signals[_i].status);
		snprintf(line, sizeof(line), "INFO  virtiofsd] ended by SIG%s\n", sigabbrev_np(signals[_i].sig));
		ck_assert_msg(strstr(cli.text_err, line) != NULL, "%s", cli.text_err);
	}
	cli_assert_clean("sock.pid ");
}
END_TEST

/* At any moment of its start: the status is that of the signal's handler, and no socket is left. */
START_TEST(test_signal_at_start)
{
	static const char *const args[] = { "--shared-dir=@/share", "--socket-path=@/sock", "-f",
		NULL };

	for (useconds_t us = 0; us < 20000; us += 500) {
		cli_start(args, NULL);
		usleep(us);
		ck_assert_int_eq(kill(cli.pid, SIGTERM), 0);
		cli_wait();
		/* Before exec and the first lines of main() it is not the daemon yet. */
		ck_assert_msg(cli.status == 1 || (cli.status == 256 + SIGTERM &&
		    cli.text_err[0] == '\0'), "after %u us: %d, %s", us, cli.status, cli.text_err);
		ck_assert_int_ne(access(cli_path("sock"), F_OK), 0);
	}
	cli_assert_clean("sock.pid ");
}
END_TEST

/* ---- the end ---- */

/* A front end that goes is no error, whatever it did before. */
START_TEST(test_exit_0)
{
	static const char *const args[] = { "--shared-dir=@/share", "--socket-path=@/sock", NULL };
	struct vu_header h = { .request = 77, .flags = VU_VERSION };
	int conn;

	cli_start(args, NULL);
	cli_expect_waiting();
	ck_assert_int_ge(conn = cli_connect(cli_path("sock")), 0);
	if (_i == 1)
		ck_assert_int_eq(send(conn, &h, sizeof(h), 0), sizeof(h));
	else if (_i == 2)
		ck_assert_int_eq(send(conn, &h, 5, 0), 5);
	if (_i != 1)
		close(conn);
	ck_assert_int_eq(cli_wait(), 0);
	ck_assert_ptr_nonnull(strstr(cli.text_err, "INFO  virtiofsd] Client connected"));
	ck_assert_ptr_nonnull(strstr(cli.text_err, "INFO  virtiofsd] Client disconnected"));
	ck_assert_int_eq(strstr(cli.text_err, "ERROR") != NULL, _i != 0);
	if (_i == 1)
		close(conn);
	cli_assert_clean("sock.pid ");
}
END_TEST

TCase *
check_cli_session(void)
{
	TCase *t = tcase_create("session");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, cli_setup, cli_teardown);
	tcase_add_loop_test(t, test_libvirt, 0, (int)(sizeof(libvirts) / sizeof(libvirts[0])));
	tcase_add_test(t, test_libvirt_stops);
	tcase_add_loop_test(t, test_signal, 0, (int)(sizeof(signals) / sizeof(signals[0])));
	tcase_add_test(t, test_signal_at_start);
	tcase_add_loop_test(t, test_exit_0, 0, 3);
	return t;
}
