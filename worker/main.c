/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker: everything with a name in it. Started by the monitor in namespaces of its own; enters the shared directory,
 * gives up what it does not need, and serves the lanes, one thread each. It may be killed at any moment.
 *
 * START's fds: [0] the shared directory (O_PATH), [1] vault put, [2] vault get, [3] the journal, [4] the lifeline, nlanes
 * sockets, nlanes arenas, the tables if there are any, and, from the second worker on, the mount namespace of the first.
 * Runs in: worker.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/child.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/privs.h"
#include "proto/control.h"
#include "worker/cred.h"
#include "worker/handle.h"
#include "worker/inode.h"
#include "worker/lane.h"
#include "worker/lifeline.h"
#include "worker/ops.h"
#include "worker/resolve.h"
#include "worker/sandbox.h"
#include "worker/seccomp.h"
#include "worker/serve.h"
#include "worker/tables.h"
#include "worker/vaultc.h"

/* fds of START before the lanes' */
#define FIXED_FDS 5u

#define STACK_SIZE (256u << 10)

static pthread_barrier_t ready, go;
/* A working directory and umask of each thread's own. */
static bool own_umask;

static_assert((int)SC_ACT_NONE == (int)SECCOMP_NONE && (int)SC_ACT_TRAP == (int)SECCOMP_TRAP,
    "seccomp actions");

/* In a user namespace with ids of its own, which the monitor has made, and outside of which nothing is to be opened now. */
static void
become_root(uint32_t flags)
{
	if ((flags & WORKER_GID_0) != 0 && setresgid(0, 0, 0) == -1)
		fatal("Couldn't set the process gid as root");
	if ((flags & WORKER_UID_0) != 0 && setresuid(0, 0, 0) == -1)
		fatal("Couldn't set the process uid as root");
}

/* Never more than can be had: a security module may know better than the monitor did. */
static void
keep_caps(uint64_t want, bool tell)
{
	const uint64_t have = privs_caps();

	for (unsigned c = 0; c < 64 && tell; c++)
		if ((want & ~have & PRIVS_CAP(c)) != 0)
			log_warn("capability %s is withheld from this process (by AppArmor?)",
			    capng_capability_to_name(c));
	privs_keep_caps(want & have);
}

static void *
lane_thread(void *arg)
{
	if (own_umask && unshare(CLONE_FS) == -1)
		fatal("unshare(CLONE_FS)");
	if (fchdir(FD_DIR) == -1)
		fatal("fchdir to the fd directory");
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&go);
	serve_lane(arg);
}

/* Containers that may not make namespaces are often denied unshare() altogether. The working directory is the same anyway. */
static void
choose_umask(void)
{
	own_umask = unshare(CLONE_FS) == 0;
	if (own_umask)
		return;
	cred_share_umask();
	log_info("unshare(CLONE_FS): %s (see the container's seccomp policy): files with a umask "
		 "are made one at a time",
	    strerrordesc_np(errno));
}

static void
start_lanes(const int *sockets, const int *arenas, char *journal, unsigned n)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pthread_barrier_init(&ready, NULL, n + 1) != 0 ||
	    pthread_barrier_init(&go, NULL, n + 1) != 0 || pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, STACK_SIZE) != 0 ||
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0)
		fatalx("cannot prepare threads");
	for (unsigned i = 0; i < n; i++) {
		child_check_socket(sockets[i]);
		errno = pthread_create(&thread, &attr, lane_thread,
		    serve_lane_new(i, sockets[i], child_map_arena(arenas[i]),
			journal + (size_t)i * JOURNAL_PAGE));
		if (errno != 0)
			fatal("pthread_create");
	}
	pthread_attr_destroy(&attr);
	pthread_barrier_wait(&ready);
}

static void
add_root(int fd)
{
	struct inode_ident id;
	struct inode *root;
	struct statx st;
	int r;

	r = resolve_ident(fd, &id, &st);
	if (r == 0)
		r = inode_add_root(&id, fd);
	if (r != 0 || (root = inode_by_node(ROOT_NODE)) == NULL)
		fatalx("the root inode (%d)", r);
	vault_root(root);
	inode_put(root);
}

/* Nothing is ever said on the control socket after START: the main thread only waits for its end. */
static void ATTR_NORETURN
wait_for_the_end(void)
{
	struct pollfd p = { .fd = CONTROL_FD, .events = POLLIN };
	struct ctl_hdr h;

	for (;;) {
		if (poll(&p, 1, -1) == -1 && errno == EINTR)
			continue;
		if (msg_recv(CONTROL_FD, &h, sizeof(h), NULL, NULL, NULL, MSG_DONTWAIT) == -EAGAIN)
			continue;
		_exit(0);
	}
}

int
main(int argc, char *argv[])
{
	struct ctl_start_worker start;
	int fds[MSG_FDS_MAX], mntns = -1, root;
	void *journal;
	size_t nfds, nrules, want;
	const struct sc_rule *rules = worker_seccomp_rules(&nrules);

	seccomp_print_if_asked(argc, argv, "virtiofsd-worker", rules, nrules);

	/* set up */
	privs_begin_child("virtiofsd-worker", CONTROL_FD);
	mallopt(M_ARENA_MAX, 1);
	sandbox_fd_directory();
	child_recv_start(CONTROL_FD, CTL_START_WORKER, &start, sizeof(start), fds, &nfds);
	child_log_init(CONTROL_FD, start.log_level);
	want = FIXED_FDS + 2 * (size_t)start.nlanes + (start.tables_len > 0);
	if (start.nlanes == 0 || start.nlanes > RPC_LANES_MAX || start.fd_budget == 0 ||
	    start.first_node < NODE_FIRST(start.incarnation) ||
	    (nfds != want && (nfds != want + 1 || start.incarnation == 0)))
		fatalx("bad start message from the monitor");
	if (nfds == want + 1)
		mntns = fds[nfds - 1];
	child_check_socket(fds[1]);
	child_check_socket(fds[2]);
	child_check_socket(fds[4]);
	journal = journal_map(fds[3], start.nlanes);
	if (start.tables_len > 0)
		tables_map(fds[FIXED_FDS + 2 * (size_t)start.nlanes], start.tables_len);
	ops_init(&start.dev);
	handle_init(start.fd_budget);
	vault_init(fds[1], fds[2], start.fd_budget);
	if (inode_init(start.fd_budget, start.first_node, start.incarnation) != 0)
		fatalx("the inode table");

	/* drop */
	if ((start.flags & WORKER_DROP_GROUPS) != 0)
		privs_drop_groups();
	root = sandbox_enter(start.sandbox, fds[0], mntns);
	umask(0);
	become_root(start.flags);
	keep_caps(start.caps, start.incarnation == 0);
	privs_no_new();
	privs_die_with_parent();
	cred_init();
	choose_umask();
	add_root(root);
	lifeline_start(fds[4]);
	start_lanes(fds + FIXED_FDS, fds + FIXED_FDS + start.nlanes, journal, start.nlanes);

	/* seal */
	worker_seccomp((enum sc_action)start.seccomp);
	child_ready(CONTROL_FD);

	/* serve: from here on the front may speak */
	pthread_barrier_wait(&go);
	wait_for_the_end();
}
