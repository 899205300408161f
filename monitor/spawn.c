/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clone and exec of front and worker. Both executables are found beside /proc/self/exe and opened at start. The child's
 * side of the clone makes system calls only: the monitor may have threads by then.
 * Runs in: monitor.
 */
#include "monitor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/privs.h"
#include "proto/control.h"

struct role {
	const char *name, *file, *title, *log;
};

static const struct role roles[CHILD_ROLES] = {
	[CHILD_WORKER] = { "worker", "virtiofsd-worker", "virtiofsd: worker", "virtiofsd::worker" },
	[CHILD_FRONT] = { "front", "virtiofsd-front", "virtiofsd: front", "virtiofsd::front" },
};

/* What the new process knows. */
struct start {
	const struct spawn_how *how;
	int ctl, exe, null;
	int hand; /* to tell the monitor, until exec */
	bool want_mntns;
	char **argv, **envp;
};

/* What it tells. */
struct hand {
	enum { HAND_FAILED, HAND_PIDFD, HAND_MNTNS } what;
	int error;
	char step[32];
};

const char *
spawn_name(enum child_role role)
{
	return roles[role].name;
}

const char *
spawn_module(enum child_role role)
{
	return roles[role].log;
}

static int
open_exe(int dir, const char *dirname, const char *file, int *fd)
{
	struct stat st;

	*fd = openat(dir, file, O_PATH | O_CLOEXEC);
	if (*fd == -1 || fstat(*fd, &st) == -1) {
		int saved = errno;

		log_error("cannot find %s/%s: %s", dirname, file, strerrordesc_np(saved));
		return -saved;
	}
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111)) {
		log_error("%s/%s is not an executable file", dirname, file);
		return -EACCES;
	}
	return 0;
}

int
spawn_open_files(struct spawn_files *f)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int dir, r = 0;

	*f = (struct spawn_files){ .exe = { -1, -1 }, .null = -1 };
	if (n <= 0) {
		log_error("cannot read /proc/self/exe: is /proc mounted?");
		return -ENOENT;
	}
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	dir = open(path[0] != '\0' ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1) {
		log_error("cannot open my own directory '%s': %s", path, strerrordesc_np(errno));
		return -ENOENT;
	}
	for (int i = 0; i < CHILD_ROLES && r == 0; i++)
		r = open_exe(dir, path, roles[i].file, &f->exe[i]);
	fd_close(&dir);
	if (r == 0 && (f->null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1) {
		r = -errno;
		log_error("cannot open /dev/null: %s", strerrordesc_np(-r));
	}
	return r;
}

void
spawn_close_files(struct spawn_files *f, bool keep_worker)
{
	fd_close(&f->exe[CHILD_FRONT]);
	if (keep_worker)
		return;
	fd_close(&f->exe[CHILD_WORKER]);
	fd_close(&f->null);
}

/* Sanitizers find their settings in the environment; nothing else does. */
static void
child_environment(char *envp[8])
{
	int n = 0;

#ifdef SANITIZE
	static const char *const names[] = {
		"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS="
	};

	for (char **e = environ; *e != NULL; e++)
		for (size_t i = 0; i < countof(names); i++)
			if (strncmp(*e, names[i], strlen(names[i])) == 0 && n < 7)
				envp[n++] = *e;
#endif
	envp[n] = NULL;
}

static void ATTR_NORETURN
child_fail(int ctl, const char *what)
{
	struct ctl_log m = { .h = { .op = CTL_LOG }, .level = LOG_ERROR };
	const char *why = strerrordesc_np(errno);
	size_t n = strlen(what), k = why != NULL ? strlen(why) : 0;

	memcpy(m.text, what, n);
	if (k > 0 && n + 2 + k <= sizeof(m.text)) {
		memcpy(m.text + n, ": ", 2);
		memcpy(m.text + n + 2, why, k);
		n += 2 + k;
	}
	m.h.len = (uint32_t)(offsetof(struct ctl_log, text) + n);
	if (msg_send(ctl, &m, m.h.len, NULL, 0, MSG_DONTWAIT) != 0)
		_exit(126);
	_exit(127);
}

/* From the monitor's state to that of an executable that begins. */
static void ATTR_NORETURN
child_exec(const struct start *s)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	int ctl, exe, null;

	/* Ignored signals and the mask survive exec. */
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) == -1)
		child_fail(s->ctl, "sigprocmask");
	/* Out of the way of the numbers that mean something to the child. */
	ctl = fcntl(s->ctl, F_DUPFD_CLOEXEC, 16);
	exe = fcntl(s->exe, F_DUPFD_CLOEXEC, 16);
	null = fcntl(s->null, F_DUPFD_CLOEXEC, 16);
	if (ctl == -1 || exe == -1 || null == -1)
		_exit(126);
	if (dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(ctl, CONTROL_FD) == -1)
		child_fail(ctl, "dup2");
#ifndef SANITIZE
	if (dup2(null, STDERR_FILENO) == -1)
		child_fail(ctl, "dup2");
#endif
	/* Not closed yet but at exec, as the executable is among them. */
	if (close_range(CONTROL_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		child_fail(ctl, "close_range");
	execveat(exe, "", s->argv, s->envp, AT_EMPTY_PATH);
	child_fail(ctl, "cannot execute");
}

static void
tell(int hand, const struct hand *m, int fd)
{
	if (msg_send(hand, m, sizeof(*m), &fd, fd != -1, 0) != 0)
		_exit(126);
}

static void ATTR_NORETURN
tell_failed(int hand, const char *step)
{
	struct hand m = { .what = HAND_FAILED, .error = errno };

	memcpy(m.step, step, MIN(strlen(step), sizeof(m.step) - 1));
	tell(hand, &m, -1);
	_exit(126);
}

/*
 * The child's mount namespace. It has to open that itself: the monitor, once it is not dumpable, may not look at what it
 * has cloned. And neither may a child that is no root in its own directory of procfs before it is dumpable, which exec
 * would make it anyway.
 */
static void
tell_mntns(int hand)
{
	const struct hand m = { .what = HAND_MNTNS };
	int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (fd == -1 && errno == EACCES && prctl(PR_SET_DUMPABLE, 1) == 0)
		fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	tell(hand, &m, fd);
	fd_close(&fd);
}

/* Without being uid 0 the executable gets at exec what is in the ambient set, and no more. */
static void
keep_caps(uint64_t caps, int ctl)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (unsigned i = 0; i < countof(data); i++)
		data[i].effective = data[i].permitted = data[i].inheritable = (uint32_t)(caps >>
		    32 * i);
	if (syscall(SYS_capset, &head, data) == -1)
		child_fail(ctl, "capset");
	for (unsigned c = 0; c < 64; c++)
		if ((caps & PRIVS_CAP(c)) != 0 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) == -1)
			child_fail(ctl, "raise an ambient capability");
}

static void ATTR_NORETURN
child_main(const struct start *s)
{
	if (s->how->caps != 0)
		keep_caps(s->how->caps, s->ctl);
	if (s->want_mntns)
		tell_mntns(s->hand);
	child_exec(s);
}

/* Not clone3: a seccomp profile cannot see its flags. */
static long
clone_child(const struct spawn_how *how, int *pidfd)
{
	return syscall(SYS_clone, spawn_clone_flags(how), NULL, pidfd, NULL, NULL);
}

/* Enters the user namespace, which a process with threads cannot, and makes a child for the monitor there. */
static void ATTR_NORETURN
go_between(const struct start *s)
{
	const struct hand m = { .what = HAND_PIDFD };
	int pidfd = -1;
	long pid;

	if (setns(s->how->userns, CLONE_NEWUSER) == -1)
		tell_failed(s->hand, "enter its user namespace");
	pid = clone_child(s->how, &pidfd);
	if (pid == 0)
		child_main(s);
	if (pid == -1)
		tell_failed(s->hand, "clone into new namespaces");
	tell(s->hand, &m, pidfd);
	_exit(0);
}

/* Hear what the new process tells until it executes. Returns 0 or the errno of *m. */
static int
hear(int hand, struct hand *m, int *pidfd, int *mntns)
{
	while (*pidfd == -1 || mntns != NULL) {
		size_t nfds = 1;
		int fd = -1;

		if (msg_recv(hand, m, sizeof(*m), &fd, &nfds, NULL, 0) != (ssize_t)sizeof(*m))
			break;
		if (m->what == HAND_FAILED)
			return m->error;
		if (nfds == 1 && m->what == HAND_PIDFD)
			*pidfd = fd;
		if (m->what == HAND_MNTNS && mntns != NULL) {
			*mntns = nfds == 1 ? fd : -1;
			mntns = NULL;
		}
	}
	snprintf(m->step, sizeof(m->step), "clone");
	return *pidfd == -1 ? ECHILD : 0;
}

static int
start_process(const struct start *s, int hand, struct child *c, int *mntns)
{
	const bool between = s->how->userns != -1;
	struct hand m = { .step = "clone" };
	long pid;
	int e = 0;

	pid = between ? syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)
		      : clone_child(s->how, &c->pidfd);
	if (pid == 0 && between)
		go_between(s);
	if (pid == 0)
		child_main(s);
	if (pid == -1)
		e = errno;
	/* Its end must be the child's alone. */
	close(s->hand);
	if (e == 0)
		e = hear(hand, &m, &c->pidfd, mntns);
	if (pid > 0 && between && waitid(P_PID, (id_t)pid, NULL, WEXITED) == -1)
		log_debug("waitid: %s", strerrordesc_np(errno));
	if (e != 0)
		log_error("cannot start the %s process: %s: %s", roles[c->role].name, m.step,
		    strerrordesc_np(e));
	return -e;
}

int
spawn_child(const struct spawn_files *f, enum child_role role, const struct spawn_how *how,
    struct child *c, int *mntns)
{
	char title[32], *argv[] = { title, NULL }, *envp[8];
	int pair[2] = { -1, -1 }, hand[2], e;

	c->log.name = roles[role].log;
	*c = (struct child){ .role = role, .log = c->log, .pidfd = -1, .ctl = -1, .lifeline = -1 };
	snprintf(title, sizeof(title), "%s", roles[role].title);
	child_environment(envp);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, hand) == -1) {
		e = -errno;
		log_error("socketpair: %s", strerrordesc_np(-e));
		return e;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) {
		e = -errno;
		log_error("socketpair: %s", strerrordesc_np(-e));
		fd_close(&hand[1]);
	} else
		e = start_process(&(struct start){ .how = how,
				      .ctl = pair[1],
				      .exe = f->exe[role],
				      .null = f->null,
				      .hand = hand[1],
				      .want_mntns = mntns != NULL,
				      .argv = argv,
				      .envp = envp },
		    hand[0], c, mntns);
	fd_close(&hand[0]);
	fd_close(&pair[1]);
	if (e != 0) {
		fd_close(&pair[0]);
		return e;
	}
	c->ctl = pair[0];
	log_debug("%s process started", roles[role].name);
	return 0;
}

int
spawn_become(enum child_role role, const char *arg)
{
	char word[32], title[32], *argv[] = { title, word, NULL }, *envp[8];
	struct spawn_files f;
	int r;

	if ((r = spawn_open_files(&f)) != 0)
		return r;
	snprintf(title, sizeof(title), "%s", roles[role].file);
	snprintf(word, sizeof(word), "%s", arg);
	child_environment(envp);
	execveat(f.exe[role], "", argv, envp, AT_EMPTY_PATH);
	r = -errno;
	log_error("cannot execute %s: %s", roles[role].file, strerrordesc_np(-r));
	return r;
}

void
spawn_reap(struct child *c)
{
	siginfo_t si = { 0 };
	int r;

	if (c->pidfd == -1)
		return;
	r = waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG);
	/* A child that is not there any more has ended, though its status is lost. */
	if ((r == -1 && errno != ECHILD) || (r == 0 && si.si_pid == 0))
		return;
	c->gone = true;
	c->how_code = si.si_code;
	c->how_status = si.si_status;
	fd_close(&c->pidfd);
}

void
spawn_kill(struct child *c)
{
	c->killed = true;
	if (c->pidfd != -1 && syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0) == -1 &&
	    errno != ESRCH)
		log_warn(
		    "cannot kill the %s process: %s", roles[c->role].name, strerrordesc_np(errno));
}

void
spawn_describe(const struct child *c, char *buf, size_t size)
{
	const char *sig;

	if (c->how_code == 0) {
		snprintf(buf, size, "ended, nobody knows how");
		return;
	}
	if (c->how_code == CLD_EXITED) {
		snprintf(buf, size, "exited with status %d", c->how_status);
		return;
	}
	sig = sigabbrev_np(c->how_status);
	snprintf(
	    buf, size, "was killed by signal %d (SIG%s)", c->how_status, sig != NULL ? sig : "?");
}
