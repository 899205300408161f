/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker: everything with a name in it. Started by the monitor in namespaces of its own; enters the shared directory,
 * gives up what it does not need, and serves the lanes, one thread each. It may be killed at any moment.
 *
 * START's fds: [0] the shared directory (O_PATH), [1] vault put, [2] vault get, [3] the journal, [4] the lifeline, nlanes
 * sockets, nlanes arenas, and, from the second worker on, the mount namespace of the first. Runs in: worker.
 */
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

#include <cap-ng.h>

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
#include "worker/vaultc.h"

/* fds of START before the lanes' */
#define FIXED_FDS 5u

#define STACK_SIZE (256u << 10)

static pthread_barrier_t ready, go;

/* What virtiofsd keeps, less CAP_DAC_READ_SEARCH: only the vault opens file handles. */
static const int wanted_caps[] = {
	CAP_CHOWN,
	CAP_DAC_OVERRIDE,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_SETGID,
	CAP_SETUID,
	CAP_MKNOD,
	CAP_SETFCAP,
};

static_assert((int)SC_ACT_NONE == (int)SECCOMP_NONE && (int)SC_ACT_TRAP == (int)SECCOMP_TRAP,
    "seccomp actions");

static bool
setgroups_denied(void)
{
	char word[4];
	bool denied;
	int fd;

	fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	denied = read(fd, word, sizeof(word)) == sizeof(word) &&
	    memcmp(word, "deny", sizeof(word)) == 0;
	close(fd);
	return denied;
}

static void
drop_groups(void)
{
	/* In a user namespace that denies setgroups() the caller's own groups are all there is, and cannot be dropped. */
	if (geteuid() == 0 && !setgroups_denied())
		privs_drop_groups();
}

/* Never more than the monitor left: --modcaps and rootless starts give less. */
static void
keep_caps(void)
{
	int have[countof(wanted_caps)];
	size_t n = 0;

	if (capng_get_caps_process() != 0)
		fatalx("cannot read my capabilities");
	/* A plain user's process has nothing to give up, and cannot empty its bounding set; no_new_privs sees to that. */
	if (capng_have_permitted_capabilities() == CAPNG_NONE)
		return;
	for (size_t i = 0; i < countof(wanted_caps); i++)
		if (capng_have_capability(CAPNG_PERMITTED, (unsigned)wanted_caps[i]) == 1)
			have[n++] = wanted_caps[i];
	privs_keep_caps(have, n);
}

static void *
lane_thread(void *arg)
{
	/* A working directory and umask of this thread's own. */
	if (unshare(CLONE_FS) == -1)
		fatal("unshare(CLONE_FS)");
	if (fchdir(FD_DIR) == -1)
		fatal("fchdir to the fd directory");
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&go);
	serve_lane(arg);
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
	bool private;
	const struct sc_rule *rules = worker_seccomp_rules(&nrules);

	seccomp_print_if_asked(argc, argv, "virtiofsd-worker", rules, nrules);

	/* set up */
	privs_begin_child(CONTROL_FD);
	mallopt(M_ARENA_MAX, 1);
	private = sandbox_fd_directory();
	child_recv_start(CONTROL_FD, CTL_START_WORKER, &start, sizeof(start), fds, &nfds);
	child_log_init(CONTROL_FD, start.log_level);
	want = FIXED_FDS + 2 * (size_t)start.nlanes;
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
	ops_init(&start.dev);
	handle_init(start.fd_budget);
	vault_init(fds[1], fds[2]);
	if (inode_init(start.fd_budget, start.first_node, start.incarnation) != 0)
		fatalx("the inode table");

	/* drop */
	drop_groups();
	root = sandbox_enter(start.sandbox, fds[0], mntns, private);
	umask(0);
	keep_caps();
	privs_no_new();
	privs_die_with_parent();
	cred_init();
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
