/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtiofsd: the process that the user starts. Set up, wait for the client, start front and worker, drop what was needed
 * for that, seal, watch. It never reads a byte of the guest. Runs in: monitor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/privs.h"
#include "monitor/checks.h"
#include "monitor/logsink.h"
#include "monitor/options.h"
#include "monitor/plan.h"
#include "monitor/print.h"
#include "monitor/privileges.h"
#include "monitor/seccomp.h"
#include "monitor/socket.h"
#include "monitor/spawn.h"
#include "monitor/start.h"
#include "monitor/supervise.h"
#include "monitor/tables.h"
#include "monitor/vault.h"

#ifndef VERSION
#define VERSION "0.1.0"
#endif

struct monitor {
	struct options opts;
	uint64_t fd_limit;
	int share;
	struct plan plan;
	struct spawn_files files;
	struct listener listener;
	struct session session;
};

/* Numbers 0 to 2 must not become something that a message to standard error could overwrite. */
static bool
open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Do what needs no daemon. Returns the exit status, or -1 to go on. */
static int
answer_and_exit(const struct options *o)
{
	switch (o->action) {
	case OPTIONS_RUN:
		return -1;
	case OPTIONS_NO_ARGS:
		options_help(stderr, false);
		return 2;
	case OPTIONS_SHORT_HELP:
	case OPTIONS_LONG_HELP:
		options_help(stdout, o->action == OPTIONS_LONG_HELP);
		break;
	case OPTIONS_VERSION:
		puts("virtiofsd " VERSION);
		break;
	case OPTIONS_CAPABILITIES:
		options_capabilities(stdout);
		break;
	case OPTIONS_PRINT_SECCOMP:
		return print_seccomp(o);
	case OPTIONS_PRINT_PRIVILEGES:
		return privileges_print(o->print_who) == 0 ? 0 : 1;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

static void
leave(int sig)
{
	(void)sig;
	_exit(1);
}

/* What a parent may have left: children would vanish unseen, signals that end the daemon would wait. */
static bool
reset_signals(void)
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigemptyset(&none);
	return sigaction(SIGCHLD, &dfl, NULL) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

/* Until supervise_signals(): nothing is there yet that would have to be removed. */
static void
early_signals(void)
{
	const struct sigaction sa = { .sa_handler = leave };

	if (sigaction(SIGTERM, &sa, NULL) == -1 || sigaction(SIGHUP, &sa, NULL) == -1)
		log_warn("sigaction: %s", strerrordesc_np(errno));
}

static int
make_tables(struct monitor *m)
{
	const struct options *o = &m->opts;
	const struct tables_source s = {
		.xattrmap = o->xattrmap,
		.uid = o->translate_uid.text,
		.nuid = o->translate_uid.n,
		.gid = o->translate_gid.text,
		.ngid = o->translate_gid.n,
	};
	struct start_worker *give = &m->session.respawn.give;

	return tables_make(&s, &give->tables, &give->tables_len);
}

/* Everything that can fail without a client: check it, open it, make the socket last. */
static int
set_up(struct monitor *m)
{
	const struct options *o = &m->opts;
	gid_t socket_gid = SOCKET_NO_GROUP;
	int r;

	if ((r = checks_calls()) != 0 ||
	    (r = checks_share(o->shared_dir, o->sandbox, &m->share)) != 0 ||
	    (r = options_check(o)) != 0 || (r = make_tables(m)) != 0 ||
	    (o->socket_group != NULL && (r = checks_group(o->socket_group, &socket_gid)) != 0) ||
	    (r = spawn_open_files(&m->files)) != 0 || (r = checks_nofile(o, &m->fd_limit)) != 0 ||
	    (r = plan_make(o, m->share, &m->plan)) != 0)
		return r;
	/* The worker asks before it names an inode that costs the vault an fd. */
	if (!m->plan.handles)
		m->opts.dev.file_handles = HANDLES_NEVER;
	r = vault_new(
	    start_fd_budget(m->fd_limit), VAULT_NODES_MAX, m->plan.handles, &m->session.vault);
	if (r == 0)
		r = supervise_signals(&m->session.sigfd);
	if (r != 0) {
		log_error("cannot start: %s", strerrordesc_np(-r));
		return r;
	}
	if (o->socket_path == NULL)
		return socket_inherited(o->fd, &m->listener);
	r = socket_listen(o->socket_path, socket_gid, &m->listener);
	if (r == 0 && socket_is_elsewhere(&m->listener))
		plan_keep(&m->plan, PRIVS_CAP(CAP_DAC_OVERRIDE));
	return r;
}

/* Start the worker, then the front, with all that connects them. */
static int
start_children(struct monitor *m, int conn)
{
	struct child *worker = &m->session.child[CHILD_WORKER],
		     *front = &m->session.child[CHILD_FRONT];
	struct respawn *r = &m->session.respawn;
	int e;

	r->on = m->opts.worker_deaths != 0;
	r->opts = &m->opts;
	r->plan = &m->plan;
	r->files = &m->files;
	r->give.share = fd_take(&m->share);
	r->give.fd_limit = m->fd_limit;
	if ((e = respawn_start(r, worker, m->session.vault)) != 0)
		return e;
	e = spawn_child(&m->files, CHILD_FRONT, &m->plan.how[CHILD_FRONT], front, NULL);
	if (e == 0)
		e = start_front(front->ctl, &m->opts, &m->plan, &r->lanes, conn);
	start_lanes_close_front(&r->lanes);
	respawn_settle(r);
	spawn_close_files(&m->files, r->on);
	plan_close(&m->plan, r->on);
	return e;
}

static int
seal_vault(void *arg)
{
	const struct monitor *m = arg;

	/* With CAP_SETPCAP, where the main thread has kept it, the bounding set goes as well. */
	privs_keep_caps(m->plan.watch & PRIVS_CAP(CAP_DAC_READ_SEARCH));
	return seccomp_vault(m->opts.seccomp);
}

/* Keep what is needed to watch, to remember and to start another worker; start the vault's thread with less. */
static int
drop_and_seal(struct monitor *m)
{
	const bool restart = m->session.respawn.on;
	int r;

	if (restart)
		privs_keep_caps_for_children(m->plan.restart);
	else
		privs_keep_caps(m->plan.watch);
	if (prctl(PR_SET_DUMPABLE, 0) == -1)
		fatal("prctl(PR_SET_DUMPABLE)");
	privs_no_new();
	if ((r = vault_start(m->session.vault, seal_vault, m)) != 0)
		log_error("cannot start the vault's thread: %s", strerrordesc_np(-r));
	else if ((r = seccomp_monitor(m->opts.seccomp, restart ? &m->plan.how[CHILD_WORKER] : NULL,
		      m->listener.dir)) != 0)
		log_error("cannot load the seccomp profile: %s", strerrordesc_np(-r));
	return r;
}

/* From the first client to the end. Returns as supervise(). */
static int
serve(struct monitor *m)
{
	int conn = -1, r;

	log_info("Waiting for vhost-user socket connection...");
	r = socket_accept(&m->listener, m->session.sigfd, &conn);
	if (r == -EINTR)
		return -supervise_take_signal(m->session.sigfd);
	if (r != 0)
		return 1;
	log_info("Client connected, servicing requests");
	r = start_children(m, conn);
	fd_close(&conn);
	if (r != 0 || drop_and_seal(m) != 0)
		return 1;
	/* From here on the guest may speak. */
	return supervise(&m->session);
}

/* SIGINT: end as if it had not been caught, so that a shell sees what it expects. */
static int
exit_status(int end)
{
	if (end == -SIGINT) {
		struct sigaction dfl = { .sa_handler = SIG_DFL };
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGINT);
		if (sigaction(SIGINT, &dfl, NULL) == 0 && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0)
			raise(SIGINT);
	}
	return end >= 0 ? end : 1;
}

int
main(int argc, char *argv[])
{
	static struct monitor m = {
		.share = -1,
		.plan = { .how = { { .userns = -1 }, { .userns = -1 } } },
		.files = { .exe = { -1, -1 }, .null = -1 },
		.listener = { .fd = -1, .pid_fd = -1, .dir = -1 },
		.session = {
			.child = { { .role = CHILD_WORKER, .pidfd = -1, .ctl = -1, .lifeline = -1 },
			    { .role = CHILD_FRONT, .pidfd = -1, .ctl = -1, .lifeline = -1 } },
			.sigfd = -1,
			.respawn = { .give = { .share = -1, .put = -1, .get = -1, .journal = -1, .tables = -1, .mntns = -1 } },
		},
	};
	char err[OPTIONS_ERROR_MAX];
	int status = 1;

	if (!open_standard_fds() || !reset_signals())
		return 1;
	if (options_parse(argc, argv, &m.opts, err) != 0) {
		options_usage_error(stderr, err);
		return 2;
	}
	if ((status = answer_and_exit(&m.opts)) != -1)
		return status;
	/* One heap for both threads: a second one costs memory and, once sealed, nothing speaks for it. */
	mallopt(M_ARENA_MAX, 1);
	if (m.opts.syslog)
		logsink_init_syslog(m.opts.log_level);
	else
		logsink_init(m.opts.log_level, secure_getenv("RUST_LOG"));
	early_signals();

	status = set_up(&m) == 0 ? serve(&m) : 1;
	supervise_end(&m.session);
	socket_close(&m.listener);
	status = exit_status(status);
	/* Not exit(): the vault's thread may hang in a file system, and nothing is left to be flushed. */
	_exit(status);
}
