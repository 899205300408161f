/* SPDX-License-Identifier: BSD-3-Clause */
/* The monitor of the rig. Runs in: tests. See worker_rig.h. */
#include "tests/unit/worker_rig.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/msg.h"
#include "proto/mailbox.h"
#include "tests/unit/worker_rig_vault.h"

struct rig rig;

static void
pair(int s[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
}

static int
new_memory(off_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	return fd;
}

static void
child(int ctl)
{
	const char *exe = getenv("WORKER_EXE");
	int null = open("/dev/null", O_RDWR);

	for (int i = 0; i < 2; i++)
		dup2(null, i);
	if (getenv("WORKER_STDERR") == NULL)
		dup2(null, 2);
	if (ctl == CONTROL_FD)
		fcntl(ctl, F_SETFD, 0);
	else
		dup2(ctl, CONTROL_FD);
	if (rig.opt.nofile != 0)
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){ rig.opt.nofile, rig.opt.nofile });
	if (rig.opt.uid != 0 && (setgroups(0, NULL) == -1 || setresgid(rig.opt.uid, rig.opt.uid, rig.opt.uid) == -1 ||
	    setresuid(rig.opt.uid, rig.opt.uid, rig.opt.uid) == -1))
		_exit(126);
	if (exe == NULL)
		exe = "build/virtiofsd-worker";
	execl(exe, "virtiofsd-worker", (char *)NULL);
	perror(exe);
	_exit(127);
}

/* Log lines until READY. False at end of file. */
static bool
hear(int timeout_ms)
{
	_Alignas(8) char buf[sizeof(struct ctl_log)];
	struct pollfd p = { .fd = rig.ctl, .events = POLLIN };
	struct ctl_log *m = (void *)buf;

	for (;;) {
		ssize_t n;
		size_t have = strlen(rig.log);

		if (poll(&p, 1, timeout_ms) != 1)
			return false;
		n = msg_recv(rig.ctl, buf, sizeof(buf), NULL, NULL, NULL, 0);
		if (n <= 0)
			return false;
		if (m->h.op == CTL_READY)
			return true;
		snprintf(rig.log + have, sizeof(rig.log) - have, "%.*s\n",
		    (int)((size_t)n - offsetof(struct ctl_log, text)), m->text);
	}
}

static void
send_start(int ctl, int share, int put, int get, int lifeline, const int *socks, const int *arenas)
{
	struct ctl_start_worker m = {
		.h = { .op = CTL_START_WORKER, .len = sizeof(m) },
		.seccomp = rig.opt.seccomp, .log_level = 4, .dev = rig.opt.dev, .nlanes = RIG_LANES,
		.sandbox = rig.opt.sandbox, .fd_budget = rig.opt.fd_budget, .first_node = NODE_FIRST(rig.incarnation),
		.incarnation = rig.incarnation, .caps = rig.opt.caps,
	};
	int fds[7 + 2 * RIG_LANES] = { share, put, get, rig.journal_fd, lifeline }, tables;
	size_t n = 5;

	for (unsigned i = 0; i < RIG_LANES; i++)
		fds[n++] = socks[i];
	for (unsigned i = 0; i < RIG_LANES; i++)
		fds[n++] = arenas[i];
	ck_assert_int_eq(tables_make(&rig.opt.tables, &tables, &m.tables_len), 0);
	if (tables >= 0)
		fds[n++] = tables;
	if (rig.incarnation > 0 && rig.mntns >= 0)
		fds[n++] = rig.mntns;
	ck_assert_int_eq(msg_send(ctl, &m, sizeof(m), fds, n, 0), 0);
	fd_close(&tables);
}

void
rig_start(void)
{
	const int ns = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	int ctl[2], put[2], get[2], line[2], lane[2], socks[RIG_LANES], arenas[RIG_LANES], share;
	char path[64];

	pair(ctl);
	pair(put);
	pair(get);
	pair(line);
	share = open(rig.share, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(share, 0);
	for (unsigned i = 0; i < RIG_LANES; i++) {
		struct rig_lane *l = &rig.lane[i];

		pair(lane);
		l->sock = lane[0];
		socks[i] = lane[1];
		arenas[i] = new_memory(LANE_MEMORY_SIZE);
		l->arena = mmap(NULL, LANE_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, arenas[i], 0);
		ck_assert_ptr_ne(l->arena, MAP_FAILED);
		rpc_begin(&l->b, l->out);
	}
	rig.pid = (pid_t)syscall(SYS_clone, SIGCHLD | (rig.opt.sandbox == SANDBOX_NAMESPACE ? ns : 0), 0, 0, 0, 0);
	ck_assert_int_ge(rig.pid, 0);
	if (rig.pid == 0)
		child(ctl[1]);
	if (rig.mntns == -1 && rig.opt.sandbox == SANDBOX_NAMESPACE) {
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)rig.pid);
		rig.mntns = open(path, O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(rig.mntns, 0);
	}
	rig.ctl = ctl[0];
	send_start(ctl[0], share, put[1], get[1], line[1], socks, arenas);
	close(share);
	close(ctl[1]);
	close(put[1]);
	close(get[1]);
	close(line[1]);
	rig.lifeline = line[0];
	for (unsigned i = 0; i < RIG_LANES; i++) {
		close(socks[i]);
		close(arenas[i]);
	}
	rig_vault_serve(put[0], get[0]);
	if (!hear(RIG_WAIT_MS))
		ck_abort_msg("the worker did not start:\n%s", rig.log);
}

void
rig_setup(void)
{
	memset(&rig, 0, sizeof(rig));
	rig.opt = (struct rig_options){
		.caps = RIG_CAPS,
		.sandbox = SANDBOX_NAMESPACE, .seccomp = SECCOMP_KILL, .fd_budget = 5000,
		.dev.flags = DEV_XATTR | DEV_ANNOUNCE_SUBMOUNTS,
	};
	if (getenv("WORKER_SECCOMP_NONE") != NULL)
		rig.opt.seccomp = SECCOMP_NONE;
	rig.mntns = -1;
	umask(0);
	strcpy(rig.share, "/var/tmp/worker-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig.share));
	chmod(rig.share, 0755);
	rig.own_share = true;
	rig.journal_fd = new_memory((off_t)RIG_LANES * JOURNAL_PAGE);
	rig.journal = mmap(NULL, RIG_LANES * JOURNAL_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, rig.journal_fd, 0);
	ck_assert_ptr_ne(rig.journal, MAP_FAILED);
	rig_vault_new();
}

/* After the worker's end: nothing of this one remains. */
static void
clean_up(void)
{
	hear(0);
	close(rig.ctl);
	close(rig.lifeline);
	for (unsigned i = 0; i < RIG_LANES; i++) {
		close(rig.lane[i].sock);
		munmap(rig.lane[i].arena, LANE_MEMORY_SIZE);
	}
	rig_vault_wait();
}

int
rig_wait_exit(void)
{
	int status;

	for (int i = 0; i < 5000; i++) {
		if (waitpid(rig.pid, &status, WNOHANG) == rig.pid) {
			rig.pid = 0;
			while (hear(0))
				;
			return status;
		}
		usleep(1000);
	}
	return -1;
}

void
rig_teardown(void)
{
	char cmd[128];
	int status = 0;

	if (rig.pid > 0) {
		/* The end of the control socket is the end of the worker. */
		shutdown(rig.ctl, SHUT_WR);
		status = rig_wait_exit();
		if (status == -1)
			kill(rig.pid, SIGKILL);
		if (status != 0)
			fprintf(stderr, "worker status %#x\n%s", status, rig.log);
		ck_assert_int_eq(status, 0);
	}
	clean_up();
	if (rig.own_share) {
		snprintf(cmd, sizeof(cmd), "rm -rf /var/tmp/%s", strrchr(rig.share, '/') + 1);
		ck_assert_int_eq(system(cmd), 0);
	}
	rig_vault_free();
}

void
rig_kill(void)
{
	if (rig.pid > 0) {
		kill(rig.pid, SIGKILL);
		waitpid(rig.pid, NULL, 0);
	}
	clean_up();
}

void
rig_start_next(void)
{
	rig.incarnation++;
	rig_start();
}

void
rig_restart(void)
{
	rig_kill();
	rig_start_next();
}

unsigned
rig_open_fds(void)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)rig.pid);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

const char *
rig_path(const char *name)
{
	static char buf[2][512];
	static unsigned turn;

	turn ^= 1;
	snprintf(buf[turn], sizeof(buf[0]), "%s/%s", rig.share, name);
	return buf[turn];
}
