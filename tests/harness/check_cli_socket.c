/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_cli_socket - the socket, its pid file and its lock, and sockets that are inherited.
 *
 * Runs in: check_cli.
 */
#include "check_cli.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#define DIR "--shared-dir=@/share"
#define SOCK "--socket-path=@/sock"
#define FD 23			/* the inherited socket */

static const char *const base[] = { DIR, SOCK, NULL };

static struct stat
stat_of(const char *name)
{
	struct stat st;

	ck_assert_msg(lstat(cli_path(name), &st) == 0, "%s: %s", name, strerror(errno));
	return st;
}

static void
write_file(const char *name, const char *text)
{
	int fd = open(cli_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static const char *
read_file(const char *name)
{
	static char buf[256];
	int fd = open(cli_path(name), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	n = read(fd, buf, sizeof(buf) - 1);
	ck_assert_int_ge((int)n, 0);
	buf[n] = '\0';
	close(fd);
	return buf;
}

static void
set_umask(void)
{
	umask(0);
}

START_TEST(test_modes)
{
	static const struct cli_how hows[] = { { 0 }, { .child = set_umask } };
	struct stat st;

	cli_start(base, &hows[_i]);
	cli_expect_waiting();
	st = stat_of("sock");
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	st = stat_of("sock.pid");
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	cli_end(SIGTERM, 1);
	cli_assert_clean("sock.pid ");
}
END_TEST

START_TEST(test_group)
{
	static const char *const args[] = { DIR, SOCK, "--socket-group=daemon", NULL };
	const struct group *gr = getgrnam("daemon");
	struct stat st;

	ck_assert_ptr_nonnull(gr);
	cli_start(args, NULL);
	cli_expect_waiting();
	st = stat_of("sock");
	ck_assert_uint_eq(st.st_mode & 07777, 0770);
	ck_assert_uint_eq(st.st_gid, gr->gr_gid);
	ck_assert_uint_eq(st.st_uid, 0);
	ck_assert_uint_eq(stat_of("sock.pid").st_mode & 07777, 0600);
	cli_end(SIGTERM, 1);
	cli_assert_clean("sock.pid ");
}
END_TEST

/* --socket-path wins over the deprecated --socket, which alone does the same. */
START_TEST(test_alias)
{
	static const char *const both[] = { DIR, "--socket=@/other", SOCK, NULL };
	static const char *const alias[] = { DIR, "--socket=@/sock", NULL };

	cli_start(_i == 0 ? both : alias, NULL);
	cli_expect_waiting();
	ck_assert_int_ne(access(cli_path("other"), F_OK), 0);
	stat_of("sock");
	cli_end(SIGTERM, 1);
	cli_assert_clean("sock.pid ");
}
END_TEST

static void
change_dir(void)
{
	if (chdir(cli_dir) < 0)
		_exit(126);
}

/* Paths of socket and share may be relative, with and without a directory. */
START_TEST(test_relative)
{
	static const char *const args[][4] = {
		{ "--shared-dir=share", "--socket-path=sock" },
		{ "--shared-dir=./share", "--socket-path=./sock" },
		{ "--shared-dir=share/../share", "--socket-path=share/../sock" },
	};
	/* The daemon itself is not: it is asked for before the directory changes. */
	char *daemon = realpath(getenv("VIRTIOFSD") != NULL ? getenv("VIRTIOFSD") :
	    "build/virtiofsd", NULL);
	static const struct cli_how how = { .child = change_dir };

	ck_assert_ptr_nonnull(daemon);
	setenv("VIRTIOFSD", daemon, 1);
	free(daemon);
	cli_start(args[_i], &how);
	cli_expect_waiting();
	stat_of("sock");
	cli_end(SIGTERM, 1);
	cli_assert_clean("sock.pid ");
}
END_TEST

/* What is at the path is removed, whatever it is, but not what it leads to. */
START_TEST(test_stale)
{
	write_file("target", "precious");
	if (_i == 0)
		write_file("sock", "file");
	else if (_i == 1)
		ck_assert_int_eq(symlink(cli_path("target"), cli_path("sock")), 0);
	else if (_i == 2)
		ck_assert_int_eq(mkfifo(cli_path("sock"), 0666), 0);
	else
		close(cli_listen(cli_path("sock"), SOCK_STREAM));
	cli_start(base, NULL);
	cli_expect_waiting();
	ck_assert(S_ISSOCK(stat_of("sock").st_mode));
	ck_assert_str_eq(read_file("target"), "precious");
	cli_end(SIGTERM, 1);
	cli_assert_clean("sock.pid target ");
}
END_TEST

START_TEST(test_stale_directory)
{
	ck_assert_int_eq(mkdir(cli_path("sock"), 0755), 0);
	ck_assert_int_eq(cli_run(base, NULL), 1);
	ck_assert_msg(strstr(cli.text_err, "cannot create the socket '/tmp/cli-") != NULL &&
	    strstr(cli.text_err, "Address already in use") != NULL, "%s", cli.text_err);
	cli_assert_clean("sock sock.pid ");
}
END_TEST

/* It is removed from another user's directory as well, whatever the daemon has given up by then. */
START_TEST(test_others_directory)
{
	static const char *const options[] = { "-f", "--worker-deaths=0", "--modcaps=-dac_override" };
	const char *const args[] = { DIR, SOCK, options[_i], NULL };
	int conn;

	ck_assert_int_eq(chown(cli_dir, 1234, 1234), 0);
	cli_start(args, NULL);
	cli_expect_waiting();
	ck_assert_int_ge(conn = cli_connect(cli_path("sock")), 0);
	close(conn);
	ck_assert_int_eq(cli_wait(), 0);
	ck_assert_msg(strstr(cli.text_err, "cannot remove the socket") == NULL, "%s", cli.text_err);
	cli_assert_clean("sock.pid ");
}
END_TEST

/* Somebody else's socket, which has come to the same path meanwhile, stays. */
START_TEST(test_replaced)
{
	int fd;

	cli_start(base, NULL);
	cli_expect_waiting();
	ck_assert_int_eq(unlink(cli_path("sock")), 0);
	fd = cli_listen(cli_path("sock"), SOCK_STREAM);
	cli_end(SIGTERM, 1);
	cli_assert_clean("sock sock.pid ");
	close(fd);
}
END_TEST

/* The directory gets another name: the socket in it is removed all the same. */
START_TEST(test_renamed_directory)
{
	static const char *const args[] = { DIR, "--socket-path=@/d/sock", NULL };

	ck_assert_int_eq(mkdir(cli_path("d"), 0755), 0);
	cli_start(args, NULL);
	cli_expect_waiting();
	ck_assert_int_eq(rename(cli_path("d"), cli_path("e")), 0);
	ck_assert_int_eq(mkdir(cli_path("d"), 0755), 0);
	write_file("d/sock", "another");
	cli_end(SIGTERM, 1);
	ck_assert_str_eq(read_file("d/sock"), "another");
	ck_assert_int_ne(access(cli_path("e/sock"), F_OK), 0);
	ck_assert_int_eq(access(cli_path("e/sock.pid"), F_OK), 0);
	cli_assert_clean("d e ");
}
END_TEST

/* ---- the pid file ---- */

static void
expect_pid_file(void)
{
	char want[32];

	snprintf(want, sizeof(want), "%d\n", cli.pid);
	ck_assert_str_eq(read_file("sock.pid"), want);
}

/* A longer content leaves nothing behind; the file stays, and is used again. */
START_TEST(test_pid_file)
{
	write_file("sock.pid", "12345678901234567890\nand more\n");
	cli_start(base, NULL);
	cli_expect_waiting();
	expect_pid_file();
	cli_end(SIGTERM, 1);
	cli_start(base, NULL);
	cli_expect_waiting();
	expect_pid_file();
	cli_end(SIGTERM, 1);
	cli_assert_clean("sock.pid ");
}
END_TEST

static void
expect_pid_file_error(const char *want)
{
	ck_assert_int_eq(cli_run(base, NULL), 1);
	ck_assert_msg(strstr(cli.text_err, "ERROR virtiofsd] error creating pid file '/tmp/cli-")
	    != NULL && strstr(cli.text_err, want) != NULL, "%s", cli.text_err);
}

START_TEST(test_pid_file_locked)
{
	int fd;

	write_file("sock.pid", "1\n");
	write_file("sock", "theirs");
	fd = open(cli_path("sock.pid"), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	expect_pid_file_error("sock.pid': Resource temporarily unavailable");
	/* Nothing of the other daemon is touched. */
	ck_assert_str_eq(read_file("sock.pid"), "1\n");
	ck_assert_str_eq(read_file("sock"), "theirs");
	close(fd);
	cli_start(base, NULL);
	cli_expect_waiting();
	cli_end(SIGTERM, 1);
	cli_assert_clean("sock.pid ");
}
END_TEST

START_TEST(test_pid_file_is_no_file)
{
	write_file("target", "precious");
	if (_i == 0)
		ck_assert_int_eq(mkdir(cli_path("sock.pid"), 0755), 0);
	else if (_i == 1)
		ck_assert_int_eq(symlink(cli_path("target"), cli_path("sock.pid")), 0);
	else
		ck_assert_int_eq(mkfifo(cli_path("sock.pid"), 0666), 0);
	expect_pid_file_error("sock.pid': ");
	ck_assert_str_eq(read_file("target"), "precious");
	cli_assert_clean("sock.pid target ");
}
END_TEST

/*
 * The lock is the started process' alone: when that is killed, the next daemon starts at once, whatever
 * else of the first one still has to die.
 */
START_TEST(test_restart_at_once)
{
	int conn;

	for (int i = 0; i < 5; i++) {
		cli_start(base, NULL);
		cli_expect_waiting();
		conn = cli_connect(cli_path("sock"));
		ck_assert_int_ge(conn, 0);
		cli_expect_log("Client connected");
		usleep((useconds_t)i * 3000);
		cli_end(SIGKILL, 256 + SIGKILL);
		close(conn);
	}
	cli_assert_clean("sock sock.pid ");
}
END_TEST

/* ---- --fd ---- */

static int inherited = -1;

static void
give(void)
{
	if (inherited >= 0 && dup2(inherited, FD) < 0)
		_exit(126);
}

static const struct cli_how give_how = { .child = give };
static const char *const fd_args[] = { DIR, "--fd=23", NULL };

static int
listen_tcp(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

static int
wrong_kind(int which)
{
	int pair[2];

	switch (which) {
	case 0:
		return -1;
	case 1:
		return open(cli_path("share"), O_RDONLY | O_CLOEXEC);
	case 2:
		ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
		close(pair[1]);
		return pair[0];
	case 3:
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		close(pair[1]);
		return pair[0];
	case 4:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 5:
		return cli_listen(cli_path("sock"), SOCK_DGRAM);
	case 6:
		return cli_listen(cli_path("sock"), SOCK_SEQPACKET);
	default:
		return listen_tcp();
	}
}

START_TEST(test_wrong_fd)
{
	inherited = wrong_kind(_i);
	ck_assert_int_eq(cli_run(fd_args, &give_how), 1);
	ck_assert_msg(strstr(cli.text_err,
	    "ERROR virtiofsd] --fd 23: not a listening UNIX stream socket\n") != NULL, "%s",
	    cli.text_err);
	if (inherited >= 0)
		close(inherited);
	cli_assert_clean(_i == 5 || _i == 6 ? "sock " : "");
}
END_TEST

/* As libvirt gives it; no pid file is made, the socket is not ours to remove. */
START_TEST(test_fd)
{
	int flags, conn;

	inherited = cli_listen(cli_path("sock"), SOCK_STREAM);
	if (_i == 1)
		ck_assert_int_eq(fcntl(inherited, F_SETFL, O_NONBLOCK), 0);
	flags = fcntl(inherited, F_GETFL);
	cli_start(fd_args, &give_how);
	cli_expect_waiting();
	conn = cli_connect(cli_path("sock"));
	ck_assert_int_ge(conn, 0);
	cli_expect_log("Client connected");
	/* It is shared with who made it: it is left as it was. */
	ck_assert_int_eq(fcntl(inherited, F_GETFL), flags);
	close(conn);
	ck_assert_int_eq(cli_wait(), 0);
	ck_assert_ptr_nonnull(strstr(cli.text_err, "Client disconnected"));
	close(inherited);
	cli_assert_clean("sock ");
}
END_TEST

/* Waiting at a non-blocking socket is waiting. */
START_TEST(test_fd_nonblock_waits)
{
	unsigned long user, sys;
	char path[64], line[512];
	FILE *f;

	inherited = cli_listen(cli_path("sock"), SOCK_STREAM);
	ck_assert_int_eq(fcntl(inherited, F_SETFL, O_NONBLOCK), 0);
	cli_start(fd_args, &give_how);
	cli_expect_waiting();
	usleep(500000);
	snprintf(path, sizeof(path), "/proc/%d/stat", cli.pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	fclose(f);
	ck_assert_int_eq(sscanf(strrchr(line, ')') + 1,
	    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys), 2);
	ck_assert_msg(user + sys <= 10, "%lu clock ticks while it waits", user + sys);
	cli_end(SIGTERM, 1);
	close(inherited);
	cli_assert_clean("sock ");
}
END_TEST

static bool
answers(int conn)
{
	struct vu_header h = { .request = VU_GET_FEATURES, .flags = VU_VERSION };
	struct timeval tv = { .tv_usec = 300000 };
	char buf[64];

	ck_assert_int_eq(setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	ck_assert_int_eq(send(conn, &h, sizeof(h), MSG_NOSIGNAL), sizeof(h));
	return recv(conn, buf, sizeof(buf), 0) > 0;
}

/* Of several connections the first is served, also of those that come later; all end with it. */
START_TEST(test_fd_pending)
{
	char byte;
	int conn[4];

	inherited = cli_listen(cli_path("sock"), SOCK_STREAM);
	for (int i = 0; i < 3; i++)
		ck_assert_int_ge(conn[i] = cli_connect(cli_path("sock")), 0);
	cli_start(fd_args, &give_how);
	cli_expect_log("Client connected");
	ck_assert(answers(conn[0]));
	ck_assert_int_ge(conn[3] = cli_connect(cli_path("sock")), 0);
	for (int i = 1; i < 4; i++)
		ck_assert(!answers(conn[i]));
	close(conn[0]);
	ck_assert_int_eq(cli_wait(), 0);
	close(inherited);
	/* Nobody listens any more. */
	ck_assert_int_le((int)recv(conn[3], &byte, 1, 0), 0);
	ck_assert_int_eq(cli_connect(cli_path("sock")), -ECONNREFUSED);
	for (int i = 1; i < 4; i++)
		close(conn[i]);
	cli_assert_clean("sock ");
}
END_TEST

TCase *
check_cli_socket(void)
{
	TCase *t = tcase_create("socket");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, cli_setup, cli_teardown);
	tcase_add_loop_test(t, test_modes, 0, 2);
	tcase_add_test(t, test_group);
	tcase_add_loop_test(t, test_alias, 0, 2);
	tcase_add_loop_test(t, test_relative, 0, 3);
	tcase_add_loop_test(t, test_stale, 0, 4);
	tcase_add_test(t, test_stale_directory);
	tcase_add_loop_test(t, test_others_directory, 0, 3);
	tcase_add_test(t, test_replaced);
	tcase_add_test(t, test_renamed_directory);
	tcase_add_test(t, test_pid_file);
	tcase_add_test(t, test_pid_file_locked);
	tcase_add_loop_test(t, test_pid_file_is_no_file, 0, 3);
	tcase_add_test(t, test_restart_at_once);
	tcase_add_loop_test(t, test_wrong_fd, 0, 8);
	tcase_add_loop_test(t, test_fd, 0, 2);
	tcase_add_test(t, test_fd_nonblock_waits);
	tcase_add_test(t, test_fd_pending);
	return t;
}
