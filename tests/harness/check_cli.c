/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_cli - the daemon's command line, start, log and end, against spec/cli.md.
 *
 * usage: check_cli (as root; VIRTIOFSD names the daemon, default build/virtiofsd; CK_RUN_CASE selects
 * a group)
 */
#include "check_cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/options_rig.h"

#define END_MS 10000
#define GONE_MS 2000

struct cli cli = { .out = -1, .err = -1 };
char cli_dir[64];
static char mounts[65536];

const char *
cli_path(const char *rel)
{
	static char paths[8][256];
	static unsigned int next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", cli_dir, rel);
	return p;
}

static void
nap(void)
{
	usleep(2000);
}

static void
slurp(int fd, char *buf)
{
	ssize_t n = pread(fd, buf, CLI_TEXT - 1, 0);

	ck_assert_int_ge((int)n, 0);
	buf[n] = '\0';
}

static void
read_mounts(char *buf, size_t size)
{
	size_t used = 0;
	ssize_t n;
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	while ((n = read(fd, buf + used, size - 1 - used)) > 0)
		used += (size_t)n;
	buf[used] = '\0';
	close(fd);
}

/* In the child: argv with "@" replaced. */
static void
make_argv(const char *const *args, char *argv[CLI_ARGS + 2])
{
	const char *program = getenv("VIRTIOFSD");
	unsigned int i, n = 1;

	argv[0] = (char *)(uintptr_t)(program != NULL ? program : "build/virtiofsd");
	for (i = 0; args[i] != NULL && i < CLI_ARGS; i++) {
		const char *at = strchr(args[i], '@');

		argv[n] = (char *)(uintptr_t)args[i];
		if (at != NULL && asprintf(&argv[n], "%.*s%s%s", (int)(at - args[i]), args[i],
		    cli_dir, at + 1) < 0)
			_exit(126);
		n++;
	}
	argv[n] = NULL;
}

void
cli_start(const char *const *args, const struct cli_how *how)
{
	char *argv[CLI_ARGS + 2];
	int null;

	ck_assert_int_eq(cli.pid, 0);
	cli.out = memfd_create("stdout", MFD_CLOEXEC);
	cli.err = memfd_create("stderr", MFD_CLOEXEC);
	ck_assert(cli.out >= 0 && cli.err >= 0);
	cli.pid = fork();
	ck_assert_int_ge(cli.pid, 0);
	if (cli.pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_DFL);
		umask(022);
		make_argv(args, argv);
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (dup2(null, 0) < 0 || dup2(cli.out, 1) < 0 || dup2(cli.err, 2) < 0)
			_exit(126);
		unsetenv("RUST_LOG");
		if (how != NULL && how->rust_log != NULL)
			setenv("RUST_LOG", how->rust_log, 1);
		if (how != NULL && how->child != NULL)
			how->child();
		execv(argv[0], argv);
		_exit(127);
	}
	setpgid(cli.pid, cli.pid);
}

int
cli_wait(void)
{
	long deadline = vmm_now_ms() + END_MS;
	int status = 0;

	while (waitpid(cli.pid, &status, WNOHANG) != cli.pid) {
		ck_assert_msg(vmm_now_ms() < deadline, "it does not end: %s", cli_log());
		nap();
	}
	cli.status = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
	cli.pid = 0;
	slurp(cli.out, cli.text_out);
	slurp(cli.err, cli.text_err);
	close(cli.out);
	close(cli.err);
	cli.out = cli.err = -1;
	return cli.status;
}

int
cli_run(const char *const *args, const struct cli_how *how)
{
	cli_start(args, how);
	return cli_wait();
}

const char *
cli_log(void)
{
	if (cli.err >= 0)
		slurp(cli.err, cli.text_err);
	return cli.text_err;
}

static bool
has_ended(void)
{
	siginfo_t si = { 0 };

	return waitid(P_PID, (id_t)cli.pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    si.si_pid != 0;
}

void
cli_expect_log(const char *text)
{
	long deadline = vmm_now_ms() + END_MS;
	bool ended;

	for (;;) {
		ended = has_ended();
		if (strstr(cli_log(), text) != NULL)
			return;
		ck_assert_msg(!ended && vmm_now_ms() < deadline, "'%s' is not in the log: %s", text,
		    cli.text_err);
		nap();
	}
}

void
cli_expect_waiting(void)
{
	cli_expect_log("Waiting for vhost-user socket connection...\n");
}

void
cli_end(int sig, int status)
{
	ck_assert_int_eq(kill(cli.pid, sig), 0);
	ck_assert_msg(cli_wait() == status, "status %d instead of %d: %s", cli.status, status,
	    cli.text_err);
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_ours(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
	    strcmp(e->d_name, "share") != 0;
}

void
cli_assert_clean(const char *left)
{
	static char now[sizeof(mounts)];
	char names[512] = "", *line, *save;
	struct dirent **list;
	long deadline = vmm_now_ms() + GONE_MS;
	size_t used = 0;
	pid_t pid;
	int i, n;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && vmm_now_ms() < deadline)
		nap();
	ck_assert_msg(pid < 0 && errno == ECHILD, "a process is left");
	read_mounts(now, sizeof(now));
	/* Others may have gone: whoever removes a mount point in another namespace takes ours along. */
	for (line = strtok_r(now, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		ck_assert_msg(strstr(mounts, line) != NULL, "a mount is left: %s", line);
	n = scandir(cli_dir, &list, is_ours, by_name);
	ck_assert_int_ge(n, 0);
	for (i = 0; i < n; i++) {
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s ",
			    list[i]->d_name);
		free(list[i]);
	}
	free(list);
	ck_assert_str_eq(names, left);
	n = scandir(cli_path("share"), &list, is_ours, by_name);
	ck_assert_msg(n == 0, "something is in the share");
	free(list);
}

int
cli_listen(const char *path, int type)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	if (type != SOCK_DGRAM)
		ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

int
cli_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), e;

	ck_assert_int_ge(fd, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	e = errno;
	close(fd);
	return -e;
}

void
cli_setup(void)
{
	snprintf(cli_dir, sizeof(cli_dir), "/tmp/cli-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(cli_dir));
	ck_assert_int_eq(chmod(cli_dir, 0755), 0);
	ck_assert_int_eq(mkdir(cli_path("share"), 0755), 0);
	read_mounts(mounts, sizeof(mounts));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
cli_teardown(void)
{
	if (cli.pid > 0)
		kill(-cli.pid, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	if (cli.out >= 0)
		close(cli.out);
	if (cli.err >= 0)
		close(cli.err);
	cli.pid = 0;
	cli.out = cli.err = -1;
	nftw(cli_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int
main(void)
{
	Suite *s = suite_create("cli");

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		perror("check_cli: a mount namespace of my own");
		return 1;
	}
	suite_add_tcase(s, check_cli_args());
	suite_add_tcase(s, check_cli_start());
	suite_add_tcase(s, check_cli_socket());
	suite_add_tcase(s, check_cli_log());
	suite_add_tcase(s, check_cli_session());
	return h_main(s, 300);
}
