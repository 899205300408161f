/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The main loop: signals, two pidfds, two control sockets, the worker's lifeline, the vault's alarm. A turn takes in all that has happened
 * (ended children, their messages) before it judges, because causes and effects arrive in any order: a front that ends
 * closes the worker's lanes, and the worker may be seen dead first. Runs in: monitor, main thread. Bytes written by:
 * front, worker (hostile).
 */
#include "monitor/supervise.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "proto/control.h"

#define LEAVE_MS 2000 /* between a child's good-bye and its end */
#define KILLED_MS 1000 /* between SIGKILL and the end */
#define CAUSE_MS 100 /* between a worker's end and that of the front, if the front's is the cause */
#define LISTEN_MAX 64 /* messages of one child in a turn */

#define GO_ON 256 /* no exit status */

int
supervise_signals(int *sigfd)
{
	struct sigaction old;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigaction(SIGINT, NULL, &old) == -1)
		return -errno;
	if (old.sa_handler != SIG_IGN)
		sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return -errno;
	*sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *sigfd == -1 ? -errno : 0;
}

int
supervise_take_signal(int sigfd)
{
	struct signalfd_siginfo si;

	if (read(sigfd, &si, sizeof(si)) != sizeof(si))
		return 0;
	log_info("ended by SIG%s", sigabbrev_np((int)si.ssi_signo));
	return (int)si.ssi_signo;
}

union message {
	struct ctl_hdr h;
	struct ctl_ready ready;
	struct ctl_log log;
	struct ctl_done done;
	struct ctl_resumed resumed;
	struct ctl_stuck stuck;
	struct ctl_broken broken;
};

/* One message of n bytes. Returns NULL, or what is wrong with it. */
static const char *
take_message(struct session *s, struct child *c, const union message *m, size_t n)
{
	if (n < sizeof(m->h) || m->h.len != n)
		return "wrong length";
	switch (m->h.op) {
	case CTL_LOG:
		if (n < offsetof(struct ctl_log, text) || m->log.level < LOG_ERROR ||
		    m->log.level > LOG_TRACE)
			return "bad log message";
		logsink_child(&c->log, (enum log_level)m->log.level, m->log.text,
		    n - offsetof(struct ctl_log, text));
		return NULL;
	case CTL_READY:
		if (n != sizeof(m->ready) || c->ready)
			return "unexpected READY";
		c->ready = true;
		return NULL;
	case CTL_DONE:
		if (n != sizeof(m->done) || c->role != CHILD_FRONT || c->done ||
		    m->done.reason > DONE_BAD_MESSAGE)
			return "unexpected DONE";
		c->done = true;
		return NULL;
	case CTL_RESUMED:
		if (n != sizeof(m->resumed) || c->role != CHILD_FRONT)
			return "unexpected RESUMED";
		return respawn_resumed(&s->respawn, &m->resumed);
	case CTL_STUCK:
		if (n != sizeof(m->stuck) || c->role != CHILD_FRONT)
			return "unexpected STUCK";
		return respawn_stuck(&s->respawn, &m->stuck, &s->child[CHILD_WORKER]);
	case CTL_BROKEN:
		if (n != sizeof(m->broken) || c->role != CHILD_FRONT)
			return "unexpected BROKEN";
		return respawn_broken(&s->respawn, &m->broken, &s->child[CHILD_WORKER]);
	default:
		return "unknown message";
	}
}

/* Read what the child says, at most max messages. Returns NULL, or how it broke the protocol. */
static const char *
listen_to(struct session *s, struct child *c, int max)
{
	union message m;
	const char *bad = NULL;
	ssize_t n;

	for (int i = 0; c->ctl != -1 && i < max && bad == NULL; i++) {
		n = msg_recv(c->ctl, &m, sizeof(m), NULL, NULL, NULL, MSG_DONTWAIT);
		if (n == -EAGAIN)
			break;
		if (n == -ECONNRESET) /* it died with messages unread; its own follow */
			continue;
		if (n == 0) {
			fd_close(&c->ctl);
			logsink_child_end(&c->log);
		} else if (n < 0)
			bad = n == -EMSGSIZE ? "message too long" : "unreadable message";
		else
			bad = take_message(s, c, &m, (size_t)n);
	}
	if (c->leave_by == 0 && (c->done || c->ctl == -1))
		c->leave_by = respawn_now() + LEAVE_MS;
	return bad;
}

/* Wait until something happens or a child's time to leave is over. */
static void
wait_turn(const struct session *s)
{
	struct pollfd p[2 + 3 * CHILD_ROLES] = {
		{ .fd = s->sigfd, .events = POLLIN },
		{ .fd = vault_fd(s->vault), .events = POLLIN },
	};
	int64_t until = respawn_deadline(&s->respawn), left;
	struct timespec ts;
	nfds_t n = 2;

	if (s->cause_by != 0 && s->child[CHILD_FRONT].leave_by == 0 &&
	    (until == 0 || s->cause_by < until))
		until = s->cause_by;
	for (int i = 0; i < CHILD_ROLES; i++) {
		const struct child *c = &s->child[i];

		p[n++] = (struct pollfd){ .fd = c->pidfd, .events = POLLIN };
		p[n++] = (struct pollfd){ .fd = c->ctl, .events = POLLIN };
		p[n++] = (struct pollfd){ .fd = c->lifeline, .events = POLLIN };
		if (!c->gone && !c->killed && c->leave_by != 0 &&
		    (until == 0 || c->leave_by < until))
			until = c->leave_by;
	}
	left = until != 0 ? MAX(until - respawn_now(), 0) : 0;
	ts = (struct timespec){ .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
	if (ppoll(p, n, until != 0 ? &ts : NULL, NULL) == -1 && errno != EINTR)
		log_error("poll: %s", strerrordesc_np(errno));
}

static void
log_end(const struct child *c)
{
	char how[64];

	spawn_describe(c, how, sizeof(how));
	log_error("the %s process %s", spawn_name(c->role), how);
}

/* The front has ended. Returns the daemon's exit status. */
static int
front_ended(const struct child *c)
{
	if (c->how_code == CLD_EXITED && c->how_status == 0) {
		log_info("Client disconnected, shutting down");
		return 0;
	}
	log_end(c);
	return 1;
}

/*
 * The worker has ended, and the front seems to live. A front that ends closes the worker's lanes and is seen to be gone
 * only later; a worker that left by itself may have done so because of that. Otherwise another one is started, if that is
 * wanted. Returns the daemon's exit status, or GO_ON.
 */
static int
worker_ended(struct session *s)
{
	struct child *c = &s->child[CHILD_WORKER];

	if (s->child[CHILD_FRONT].leave_by != 0 || respawn_now() < s->respawn.retry_at)
		return GO_ON;
	if (c->how_code == CLD_EXITED && s->cause_by == 0)
		s->cause_by = respawn_now() + CAUSE_MS;
	if (respawn_now() < s->cause_by)
		return GO_ON;
	if (s->respawn.on) {
		s->cause_by = 0;
		return respawn_died(&s->respawn, c, s->vault) ? GO_ON : 1;
	}
	log_end(c);
	return 1;
}

/* A child said good-bye, or closed its control socket, and stays. Returns the daemon's exit status, or GO_ON. */
static int
overstayed(struct session *s, struct child *c)
{
	if (c->role == CHILD_WORKER && s->respawn.on) {
		log_warn(
		    "the worker process closed its control socket and did not end: it is killed");
		respawn_kill(&s->respawn, c);
		return GO_ON;
	}
	spawn_kill(c);
	if (c->done) {
		log_warn("the front process did not end by itself");
		log_info("Client disconnected, shutting down");
		return 0;
	}
	log_error("the %s process closed its control socket and did not end", spawn_name(c->role));
	return 1;
}

/* Everything that has happened is known: what follows from it? Returns an exit status or GO_ON. */
static int
judge(struct session *s)
{
	struct child *worker = &s->child[CHILD_WORKER], *front = &s->child[CHILD_FRONT];
	int status = GO_ON;

	if (front->gone)
		return front_ended(front);
	if (worker->gone)
		status = worker_ended(s);
	else if (front->ctl != -1 && !respawn_ready(&s->respawn, worker, front->ctl))
		status = 1;
	if (status != GO_ON)
		return status;
	if (!respawn_tick(&s->respawn, worker))
		return 1;
	for (int i = 0; i < CHILD_ROLES; i++) {
		struct child *c = &s->child[i];

		if (!c->gone && !c->killed && c->leave_by != 0 && respawn_now() >= c->leave_by &&
		    (status = overstayed(s, c)) != GO_ON)
			return status;
	}
	return GO_ON;
}

/* The worker is being killed, or has closed what it should keep: if it ends, nothing comes of this. */
static void
look_at_lifeline(struct session *s, struct child *c)
{
	struct pollfd p = { .fd = c->lifeline, .events = POLLIN };
	const struct timespec now = { 0 };

	if (c->lifeline == -1 || ppoll(&p, 1, &now, NULL) != 1)
		return;
	fd_close(&c->lifeline);
	respawn_kill(&s->respawn, c);
}

/* A child broke a protocol of the monitor's. Another worker can take the place of the liar: returns whether it will. */
static bool
lied(struct session *s, struct child *c, const char *protocol, const char *what)
{
	log_error("the %s process broke the %s protocol: %s", spawn_name(c->role), protocol, what);
	if (c->role != CHILD_WORKER || !s->respawn.on)
		return false;
	respawn_kill(&s->respawn, c);
	fd_close(&c->ctl);
	logsink_child_end(&c->log);
	return true;
}

/* What one of the workers before this one had left in its queue is not this one's lie. */
static bool
lied_to_vault(struct session *s, uint32_t incarnation, const char *what)
{
	if (incarnation == s->respawn.give.incarnation)
		return lied(s, &s->child[CHILD_WORKER], "vault", what);
	log_error("a worker process that is gone broke the vault protocol: %s", what);
	return s->respawn.on;
}

int
supervise(struct session *s)
{
	const char *bad;
	uint32_t liar;
	int sig, status = GO_ON;

	while (status == GO_ON) {
		wait_turn(s);
		/* Ended first, messages then: what a dead child has sent is complete. */
		for (int i = 0; i < CHILD_ROLES; i++)
			spawn_reap(&s->child[i]);
		if ((sig = supervise_take_signal(s->sigfd)) != 0)
			return -sig;
		for (int i = 0; i < CHILD_ROLES; i++) {
			struct child *c = &s->child[i];

			look_at_lifeline(s, c);
			bad = listen_to(s, c, c->gone ? INT_MAX : LISTEN_MAX);
			if (bad != NULL && !lied(s, c, "control", bad))
				return 1;
		}
		if ((bad = vault_breach(s->vault, &liar)) != NULL && !lied_to_vault(s, liar, bad))
			return 1;
		status = judge(s);
	}
	return status;
}

void
supervise_end(struct session *s)
{
	const int64_t until = respawn_now() + KILLED_MS;
	int64_t left;

	for (int i = 0; i < CHILD_ROLES; i++)
		spawn_kill(&s->child[i]);
	for (int i = 0; i < CHILD_ROLES; i++) {
		struct child *c = &s->child[i];
		struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
		struct timespec ts;

		left = MAX(until - respawn_now(), 0);
		ts = (struct timespec){ .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
		fd_close(&c->lifeline);
		if (c->pidfd != -1 && ppoll(&p, 1, &ts, NULL) == 0)
			log_warn("the %s process is killed but hangs in a system call",
			    spawn_name(c->role));
		spawn_reap(c);
		/* Lies do not matter any more. */
		(void)listen_to(s, c, INT_MAX);
		logsink_child_end(&c->log);
		fd_close(&c->ctl);
		fd_close(&c->pidfd);
	}
}
