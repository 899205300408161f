/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtiofsd-front: the process that touches guest memory and the bytes of files the guest has open, and nothing that has
 * a name. Started by the monitor as root in namespaces of its own, with the host's tree still in sight and nothing but
 * CONTROL_FD open; by the time the guest may speak it is an unprivileged user without capabilities in an empty root.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/child.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/privs.h"
#include "front/front.h"
#include "front/lane_pool.h"
#include "front/nodes.h"
#include "front/pool.h"
#include "front/restart.h"
#include "front/seccomp.h"
#include "front/vhost_user.h"
#include "proto/control.h"

#define POOL_THREADS 4
#define LOCK_OWNERS_MAX 4096u /* open files for nothing but locks */
#define LOCK_RANGES_MAX 16384u /* kernel memory of the host, and time: it keeps them in lists */

static struct device device;
static struct session session;

/* Each queue owns the lane of its number; the rest is lent to whom it helps, up to lanes_per_queue each. */
static void
make_queues(const struct ctl_start_front *conf, struct lane **lanes)
{
	lane_pool_init(lanes + NQUEUES, conf->nlanes - NQUEUES);
	queue_new(&device, &session, 0, lanes[0], 1);
	for (unsigned i = 1; i < NQUEUES; i++)
		queue_new(&device, &session, i, lanes[i], conf->lanes_per_queue);
}

static void
make_lanes(const struct ctl_start_front *conf, int *fds, struct lane **lanes)
{
	for (unsigned i = 0; i < conf->nlanes; i++) {
		int sock = fd_take(&fds[i]);

		child_check_socket(sock);
		lanes[i] = lane_new(i, sock, child_map_arena(fd_take(&fds[conf->nlanes + i])));
		if (lanes[i] == NULL)
			fatal("lane %u", i);
	}
}

/* Nothing that has a name can be opened any more. Where that cannot be had, the seccomp profile alone has to see to it. */
static void
hide_files(uint32_t flags)
{
	if ((flags & FRONT_NO_NAMESPACES) == 0)
		privs_empty_root();
	else if (!privs_hide_files())
		log_warn("files are hidden from this process by its seccomp profile alone: there "
			 "are neither namespaces nor CAP_SYS_CHROOT nor Landlock");
}

/* Of the fds that there may be, no more than a quarter is for locks. */
static void
share_out_fds(bool locks)
{
	struct rlimit nofile;

	if (getrlimit(RLIMIT_NOFILE, &nofile) == -1)
		fatal("getrlimit");
	lanes_reserve_fds(nofile.rlim_cur);
	if (!locks)
		return;
	lock_owners_init((unsigned)MIN(nofile.rlim_cur / 4, LOCK_OWNERS_MAX), LOCK_RANGES_MAX);
	lock_wait_start();
}

static void
report(void)
{
	for (unsigned i = 0; i < NQUEUES; i++) {
		unsigned long long n = atomic_load(&device.queue[i]->served);

		if (n > 0)
			log_debug("queue %u: %llu requests", i, n);
	}
}

static void
end(enum vhost_end how)
{
	struct ctl_done done = { .h = { .op = CTL_DONE, .len = sizeof(done) } };

	done.reason = how == VHOST_EOF ? DONE_EOF : DONE_BAD_MESSAGE;
	report();
	_exit(msg_send(CONTROL_FD, &done, sizeof(done), NULL, 0, 0) != 0);
}

static void
end_without_vmm(void)
{
	end(VHOST_EOF);
}

int
main(int argc, char *argv[])
{
	static struct lane *lanes[RPC_LANES_MAX];
	struct ctl_start_front conf;
	int fds[MSG_FDS_MAX], vmm;
	size_t nfds, nrules;
	const struct sc_rule *rules = front_seccomp_rules(true, &nrules);
	bool locks;

	seccomp_print_if_asked(argc, argv, "virtiofsd-front", rules, nrules);

	/* Set up. */
	privs_begin_child("virtiofsd-front", CONTROL_FD);
	child_log_init(CONTROL_FD, LOG_INFO);
	child_recv_start(CONTROL_FD, CTL_START_FRONT, &conf, sizeof(conf), fds, &nfds);
	if (conf.nlanes < NQUEUES || conf.nlanes > RPC_LANES_MAX ||
	    nfds != 1 + 2 * (size_t)conf.nlanes || conf.taglen > TAG_MAX ||
	    conf.lanes_per_queue == 0)
		fatalx("bad start message from the monitor");
	child_log_init(CONTROL_FD, conf.log_level);
	vmm = fds[0];
	session.dev = conf.dev;
	locks = (conf.dev.flags & (DEV_POSIX_LOCK | DEV_FLOCK)) != 0;
	memcpy(device.tag, conf.tag, conf.taglen);
	device.has_tag = conf.taglen > 0;
	device.vmm = vmm;
	device.vmm_gone = end_without_vmm;

	/* Drop. */
	hide_files(conf.flags);
	privs_become_nobody(conf.uid, conf.gid, (conf.flags & FRONT_DROP_GROUPS) != 0);
	privs_no_new();
	privs_die_with_parent();

	/* All threads there will ever be. They wait for the control thread. */
	nodes_init();
	make_lanes(&conf, fds + 1, lanes);
	make_queues(&conf, lanes);
	pool_start(POOL_THREADS);
	share_out_fds(locks);
	restart_start(&device, CONTROL_FD, lanes, conf.nlanes, conf.stuck_after);

	/* Seal. */
	front_seccomp(conf.seccomp, locks);
	child_ready(CONTROL_FD);

	/* Serve: from here on the guest may speak. */
	end(vhost_user_serve(&device, vmm, -1));
}
