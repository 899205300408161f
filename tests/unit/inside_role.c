/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes in the sandbox of front and worker, for check_inside.c: cloned with the namespaces of monitor/spawn.c, set up
 * by the functions that the real ones call, in the same order, but without a seccomp profile and without exec. What they
 * report arrives on the control socket.
 */
#include "inside.h"

#include <cap-ng.h>
#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/privs.h"
#include "monitor/seccomp.h"
#include "worker/lane.h"
#include "worker/sandbox.h"

#define ROLE_TIMEOUT_MS 20000

/* As in monitor/spawn.c. */
#define NAMESPACES \
	(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

struct inside inside;
const struct spawn_how inside_how = { .namespaces = SPAWN_NAMESPACES, .userns = -1 };

struct report {
	bool failed; /* the set-up, as text says */
	int32_t result;
	char text[LOG_LINE_MAX + 1];
};

static int unix_sock, tcp_sock, queue_id;
static bool under_profile;

/* As in monitor/plan.c. */
#define WORKER_CAPS \
	(PRIVS_CAP(CAP_CHOWN) | PRIVS_CAP(CAP_DAC_OVERRIDE) | PRIVS_CAP(CAP_FOWNER) | \
	    PRIVS_CAP(CAP_FSETID) | PRIVS_CAP(CAP_SETGID) | PRIVS_CAP(CAP_SETUID) | \
	    PRIVS_CAP(CAP_MKNOD) | PRIVS_CAP(CAP_SETFCAP))

static void
handle_of(int dir, const char *name, struct inside_handle *h, bool must)
{
	int mnt;

	h->h.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(dir, name, &h->h, &mnt, AT_EMPTY_PATH) == -1) {
		ck_assert_msg(!must, "name_to_handle_at '%s': %s", name, strerror(errno));
		h->h.handle_bytes = 0;
	}
}

static void
make_files(void)
{
	static const char *const links[][2] = {
		{ "/" CORE_PATTERN, "share/abs" },
		{ "../../../../../../../../" CORE_PATTERN, "share/up" },
		{ "../secret", "share/sibling" },
		{ "/proc/self/root/" CORE_PATTERN, "share/magic" },
		{ "/proc/self/fd", "share/fds" },
		{ "/", "share/slash" },
		{ "../..", "share/dotdot" },
	};
	int fd;

	snprintf(inside.base, sizeof(inside.base), "/tmp/inside.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(inside.base));
	snprintf(inside.secret, sizeof(inside.secret), "%s/secret", inside.base);
	inside.host_dir = open(inside.base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(inside.host_dir, 0);
	ck_assert_int_eq(fchmod(inside.host_dir, 0777), 0);
	ck_assert_int_eq(mkdirat(inside.host_dir, "share", 0777), 0);
	ck_assert_int_eq(mkdirat(inside.host_dir, "share/sub", 0777), 0);
	for (size_t i = 0; i < countof(links); i++)
		ck_assert_int_eq(symlinkat(links[i][0], inside.host_dir, links[i][1]), 0);
	fd = openat(inside.host_dir, "secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	ck_assert_int_ge(fd, 0);
	close(fd);
	fd = openat(inside.host_dir, "share/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void
make_sockets(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(in);

	snprintf(inside.abstract, sizeof(inside.abstract), "inside-%d", getpid());
	memcpy(un.sun_path + 1, inside.abstract, strlen(inside.abstract));
	unix_sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
	    bind(unix_sock, (struct sockaddr *)&un,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(inside.abstract))),
	    0);
	ck_assert_int_eq(listen(unix_sock, 4), 0);

	tcp_sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(tcp_sock, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(tcp_sock, 4), 0);
	ck_assert_int_eq(getsockname(tcp_sock, (struct sockaddr *)&in, &len), 0);
	inside.port = in.sin_port;

	do {
		ck_assert_int_eq(getrandom(&inside.key, sizeof(inside.key), 0), sizeof(inside.key));
		queue_id = msgget(inside.key, IPC_CREAT | IPC_EXCL | 0666);
	} while (queue_id == -1 && errno == EEXIST);
	ck_assert_int_ge(queue_id, 0);
}

static void
set_up(void)
{
	struct stat st;
	int fd;

	ck_assert_msg(geteuid() == 0, "this test must run as root");
	make_files();
	make_sockets();
	inside.host_pid = getpid();
	ck_assert_int_eq(stat("/", &st), 0);
	inside.disk = st.st_dev;
	handle_of(AT_FDCWD, "/", &inside.h_root, true);
	handle_of(AT_FDCWD, inside.secret, &inside.h_secret, true);
	fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	handle_of(fd, "", &inside.h_mntns, false);
	close(fd);
	fd = pidfd_open(getpid(), 0);
	ck_assert_int_ge(fd, 0);
	handle_of(fd, "", &inside.h_process, false);
	close(fd);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static void
tear_down(void)
{
	close(unix_sock);
	close(tcp_sock);
	close(inside.host_dir);
	msgctl(queue_id, IPC_RMID, NULL);
	ck_assert_int_eq(nftw(inside.base, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
}

static void ATTR_NORETURN
tell(bool failed, int result, const char *text)
{
	struct report r = { .failed = failed, .result = result };

	snprintf(r.text, sizeof(r.text), "%s", text);
	_exit(msg_send(CONTROL_FD, &r, sizeof(r), NULL, 0, 0) != 0);
}

/* The set-up functions end the process by fatal(). */
static void
sink_report(enum log_level level, const char *line)
{
	if (level == LOG_ERROR)
		tell(true, 0, line);
}

/* The fds that the parent gives: the shared directory, a file in it that is open (donated), perhaps a mount namespace. */
static size_t
take_fds(int fds[3])
{
	size_t n = 3;
	char c;

	if (msg_recv(CONTROL_FD, &c, 1, fds, &n, NULL, 0) != 1 || n < 2)
		fatalx("no fds from the test");
	return n;
}

static void
become_control(void)
{
	int fds[3];

	if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == -1)
		fatal("mount / as private");
	/* What the worker would have without its private clone: the way out that PROBES.md item 1 describes. */
	if (open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC) != FD_DIR)
		fatalx("the fd directory has another number");
	take_fds(fds);
	inside.root = fds[0];
	if (chdir("/") == -1)
		fatal("chdir");
}

static void
become_front(void)
{
	int fds[3];

	take_fds(fds);
	close(fds[0]);
	privs_empty_root();
	privs_become_nobody(65534, 65534, true);
	privs_no_new();
	inside.root = -1;
	inside.mnt = "/..";
}

static void
become_worker(void)
{
	int fds[3] = { -1, -1, -1 };
	size_t n;

	sandbox_fd_directory();
	n = take_fds(fds);
	privs_drop_groups();
	inside.root = sandbox_enter(SANDBOX_NAMESPACE, fds[0], n == 3 ? fds[2] : -1);
	umask(0);
	privs_keep_caps(WORKER_CAPS);
	privs_no_new();
	/* As the lane threads. */
	if (fchdir(FD_DIR) == -1)
		fatal("fchdir to the fd directory");
	inside.mnt = "/sub";
}

/* Root of a user namespace of its own, and pid 1 of its pid namespace. */
static int
try_as_user_root(const struct inside_attempt *a)
{
	pid_t pid;
	int status;

	if (unshare(CLONE_NEWUSER | NAMESPACES) == -1)
		return -errno;
	pid = fork();
	if (pid == 0)
		_exit(-a->try(a->arg));
	if (pid == -1)
		return -errno;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		tell(true, 0, "an attempt ended by a signal");
	return -WEXITSTATUS(status);
}

/* As the monitor's children of later times do. */
static void
inherit_profile(void)
{
	privs_no_new();
	if (seccomp_monitor(SECCOMP_KILL, &inside_how, -1) != 0)
		fatalx("cannot load the monitor's profile");
}

static void ATTR_NORETURN
role_main(enum inside_role role, int ctl, const struct inside_attempt *a, bool user)
{
	char mnt[64];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* 0 to 3 as after monitor/spawn.c. */
	ctl = fcntl(ctl, F_DUPFD_CLOEXEC, 100);
	null = fcntl(null, F_DUPFD_CLOEXEC, 100);
	if (ctl == -1 || null == -1 || dup2(ctl, CONTROL_FD) == -1 || dup2(null, 0) == -1 ||
	    dup2(null, 1) == -1)
		_exit(126);
#ifndef SANITIZE
	if (dup2(null, 2) == -1)
		_exit(126);
#endif
	log_init(sink_report, LOG_ERROR);
	if (under_profile && role == INSIDE_WORKER_AGAIN)
		inherit_profile();
	privs_begin_child("check_inside", CONTROL_FD);
	snprintf(mnt, sizeof(mnt), "%s/share/sub", inside.base);
	inside.mnt = mnt;
	if (role == INSIDE_CONTROL)
		become_control();
	else if (role == INSIDE_FRONT)
		become_front();
	else
		become_worker();
	if (a == NULL) {
		struct report r = { .result = 0 };
		char c;

		/* The first worker: there for its mount namespace. */
		if (msg_send(CONTROL_FD, &r, sizeof(r), NULL, 0, 0) != 0)
			_exit(1);
		_exit(msg_recv(CONTROL_FD, &c, 1, NULL, NULL, NULL, 0) != 0);
	}
	tell(false, user ? try_as_user_root(a) : a->try(a->arg), "");
}

struct process {
	pid_t pid;
	int pidfd, ctl;
};

static void
start(
    struct process *p, enum inside_role role, const struct inside_attempt *a, bool user, int mntns)
{
	struct clone_args ca = {
		.flags = CLONE_PIDFD | (role == INSIDE_CONTROL ? CLONE_NEWNS : NAMESPACES),
		.pidfd = (uintptr_t)&p->pidfd,
		.exit_signal = SIGCHLD,
	};
	int pair[2], fds[3] = { -1, -1, mntns };
	char path[64];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	snprintf(path, sizeof(path), "%s/share", inside.base);
	fds[0] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fds[1] = openat(fds[0], "file", O_RDWR | O_CLOEXEC);
	ck_assert(fds[0] != -1 && fds[1] != -1);
	p->pid = (pid_t)syscall(SYS_clone3, &ca, sizeof(ca));
	if (p->pid == 0)
		role_main(role, pair[1], a, user);
	ck_assert_msg(p->pid > 0, "clone3: %s", strerror(errno));
	close(pair[1]);
	p->ctl = pair[0];
	ck_assert_int_eq(msg_send(p->ctl, "", 1, fds, mntns >= 0 ? 3 : 2, 0), 0);
	fd_close_all(fds, 2);
}

static int
listen_to(const struct process *p)
{
	struct pollfd poller = { .fd = p->ctl, .events = POLLIN };
	struct report r = { .failed = true };
	ssize_t n;

	if (poll(&poller, 1, ROLE_TIMEOUT_MS) != 1) {
		pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
		ck_abort_msg("the process inside hangs");
	}
	n = msg_recv(p->ctl, &r, sizeof(r), NULL, NULL, NULL, 0);
	ck_assert_msg(n == (ssize_t)sizeof(r), "the process inside ended without a report");
	ck_assert_msg(!r.failed, "the process inside: %s", r.text);
	return r.result;
}

static void
end(struct process *p)
{
	int status;

	fd_close(&p->ctl);
	ck_assert_int_eq(waitpid(p->pid, &status, 0), p->pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "the process inside ended with %#x", status);
	fd_close(&p->pidfd);
}

/* A worker's mount namespace; the worker has ended. */
static int
first_namespace(void)
{
	struct process first;
	char path[64];
	int mntns;

	start(&first, INSIDE_WORKER, NULL, false, -1);
	ck_assert_int_eq(listen_to(&first), 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", first.pid);
	mntns = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(mntns, 0);
	end(&first);
	return mntns;
}

int
inside_run(enum inside_role role, const struct inside_attempt *a, bool user)
{
	struct process p;
	int mntns, r;

	set_up();
	mntns = role == INSIDE_WORKER_AGAIN ? first_namespace() : -1;
	start(&p, role, a, user, mntns);
	r = listen_to(&p);
	end(&p);
	fd_close(&mntns);
	tear_down();
	return r;
}

void
inside_restart(bool again)
{
	struct process p;
	int mntns;

	set_up();
	mntns = again ? first_namespace() : -1;
	under_profile = true;
	start(&p, INSIDE_WORKER_AGAIN, NULL, false, mntns);
	under_profile = false;
	ck_assert_int_eq(listen_to(&p), 0);
	end(&p);
	fd_close(&mntns);
	tear_down();
}
