/* SPDX-License-Identifier: BSD-3-Clause */
/* See worker_rig.h. Runs in: tests. */
#include "tests/unit/worker_rig.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
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

#include "common/msg.h"

#define WAIT_MS	20000
#define HANDLE_BYTES 40
#define RIG_NODES_LATER 100000u	/* first slot of the second worker's nodes, and so on */
#define RIG_HELD 16u

struct rig rig;

struct kept {
	bool	used, pinned;
	uint64_t node;
	int	fd;			/* pinned, or where the file system has no handles, else 0 */
	uint8_t	mount;
	union {
		struct file_handle h;
		unsigned char bytes[sizeof(struct file_handle) + HANDLE_BYTES];
	} head;
};

static struct kept *kept;
static uint64_t first_used[4], end_used[4];	/* slots in use by each worker's nodes */
static struct { uint64_t fh; int fd; } held[RIG_HELD];
static struct { uint64_t id; int fd; } mounts[RIG_MOUNTS];
static unsigned nmounts;
static int put_sock, get_sock;
static pthread_t vault_thread;
static bool vault_running;

/* ---- the vault ---- */

/* Where a node is kept: each worker of a test gives out few ids. */
static uint64_t
slot(uint64_t node)
{
	return (node & (NODE_FIRST(1) - 3)) + (node >> 40) * RIG_NODES_LATER;
}

static unsigned
mount_index(uint64_t id)
{
	for (unsigned i = 0; i < nmounts; i++)
		if (mounts[i].id == id)
			return i;
	return RIG_MOUNTS;
}

static void
vault_put1(uint64_t node, uint64_t mnt, int fd)
{
	struct kept *k = &kept[MIN(slot(node), RIG_NODES - 1)];
	int id;

	if (slot(node) >= RIG_NODES - 1 || mount_index(mnt) == RIG_MOUNTS || (fcntl(fd, F_GETFL) & O_PATH) == 0) {
		fprintf(stderr, "vault: bad put of node %lu\n", (unsigned long)node);
		_exit(99);
	}
	rig.puts++;
	rig.repeated += k->used;
	k->used = true;
	k->node = node;
	end_used[MIN(node >> 40, 3)] = MAX(end_used[MIN(node >> 40, 3)], slot(node) + 1);
	k->mount = (uint8_t)mount_index(mnt);
	k->head.h.handle_bytes = HANDLE_BYTES;
	if (name_to_handle_at(fd, "", &k->head.h, &id, AT_EMPTY_PATH) == 0)
		close(fd);
	else {
		if (k->fd > 0)
			close(k->fd);
		k->fd = fd;
	}
}

static void
vault_pin1(uint64_t node, int fd)
{
	struct kept *k = &kept[MIN(slot(node), RIG_NODES - 1)];

	if (!k->used) {
		fprintf(stderr, "vault: pin of unknown node %lx\n", (unsigned long)node);
		_exit(95);
	}
	rig.pins++;
	k->pinned = true;
	if (k->fd > 0)
		close(k->fd);
	k->fd = fd;
}

static int *
held_fd(uint64_t fh, bool make)
{
	for (unsigned i = 0; i < RIG_HELD; i++)
		if (held[i].fd > 0 && held[i].fh == fh)
			return &held[i].fd;
	for (unsigned i = 0; make && i < RIG_HELD; i++)
		if (held[i].fd <= 0) {
			held[i].fh = fh;
			return &held[i].fd;
		}
	return NULL;
}

static void
vault_hold1(uint64_t fh, int fd)
{
	int *at = held_fd(fh, true);

	if (at == NULL || (fcntl(fd, F_GETFL) & O_PATH) != 0)
		_exit(94);
	if (*at > 0)
		close(*at);
	*at = fd;
	rig.holds++;
}

static void
vault_drop1(uint64_t fh)
{
	int *at = held_fd(fh, false);

	if (at != NULL) {
		close(*at);
		*at = 0;
		rig.drops++;
	}
}

static void
vault_take(void *buf, size_t n, int *fds, size_t nfds)
{
	struct vault_hdr *h = buf;
	struct vault_put *p = buf;
	struct vault_nodes *f = buf;
	struct vault_mount *m = buf;

	(void)n;
	switch (h->op) {
	case VAULT_MOUNT:
		if (nfds != 1 || (fcntl(fds[0], F_GETFL) & O_PATH) != 0)
			_exit(98);
		mounts[nmounts].id = m->mnt_id;
		mounts[nmounts++].fd = fds[0];
		rig.mounts++;
		break;
	case VAULT_PUT:
		if (nfds != h->count)
			_exit(97);
		for (unsigned i = 0; i < h->count; i++)
			vault_put1(p->e[i].node, p->e[i].mnt_id, fds[i]);
		break;
	case VAULT_PIN:
		if (nfds != h->count)
			_exit(97);
		for (unsigned i = 0; i < h->count; i++)
			vault_pin1(p->e[i].node, fds[i]);
		break;
	case VAULT_HOLD:
		if (nfds != 1)
			_exit(97);
		vault_hold1(((struct vault_hold *)buf)->fh, fds[0]);
		break;
	case VAULT_DROP:
		vault_drop1(f->node[0]);
		break;
	case VAULT_FORGET:
		for (unsigned i = 0; i < h->count; i++)
			if (slot(f->node[i]) < RIG_NODES) {
				struct kept *k = &kept[slot(f->node[i])];

				if (k->used && k->fd > 0)
					close(k->fd);
				k->used = k->pinned = false;
				k->fd = 0;
			}
		rig.forgets += h->count;
		break;
	case VAULT_RESET:
		memset(kept, 0, RIG_NODES * sizeof(*kept));
		rig.resets++;
		break;
	default:
		_exit(96);
	}
}

static bool
vault_drain(void)
{
	_Alignas(8) char buf[VAULT_MSG_MAX];
	int fds[MSG_FDS_MAX];
	ssize_t n;

	for (;;) {
		size_t nfds = MSG_FDS_MAX;

		n = msg_recv(put_sock, buf, sizeof(buf), fds, &nfds, NULL, MSG_DONTWAIT);
		if (n == -ECONNRESET)
			continue;
		if (n <= 0)
			return n == -EAGAIN;
		vault_take(buf, (size_t)n, fds, nfds);
	}
}

static void
vault_answer(const struct vault_nodes *q)
{
	struct vault_got m = { .h = { .op = VAULT_GOT, .count = q->h.count } };
	int fds[VAULT_BATCH];
	size_t n = 0;

	for (unsigned i = 0; i < q->h.count; i++) {
		struct kept *k = slot(q->node[i]) < RIG_NODES ? &kept[slot(q->node[i])] : NULL;

		if (k == NULL || !k->used) {
			m.error[i] = -EBADF;
			continue;
		}
		if (k->fd > 0)
			fds[n] = dup(k->fd);
		else
			fds[n] = open_by_handle_at(mounts[k->mount].fd, &k->head.h, O_PATH | O_CLOEXEC | O_NOFOLLOW);
		if (fds[n] == -1)
			m.error[i] = -errno;
		else
			n++;
	}
	rig.gets++;
	rig.got += (unsigned)n;
	if (msg_send(get_sock, &m, sizeof(m), fds, n, 0) != 0)
		fprintf(stderr, "vault: answer lost\n");
	while (n > 0)
		close(fds[--n]);
}

static bool
same_inode(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* By handle where there are handles. */
static uint64_t
find1(int fd, uint64_t mnt)
{
	struct kept q = { .head.h.handle_bytes = HANDLE_BYTES };
	int id;
	bool handle = name_to_handle_at(fd, "", &q.head.h, &id, AT_EMPTY_PATH) == 0;

	for (uint64_t w = 0, i = 0; w < 4; i++) {
		const struct kept *k = &kept[i];

		if (i >= end_used[w]) {
			i = first_used[++w % 4] - 1;
			continue;
		}

		if (!k->used || mounts[k->mount].id != mnt)
			continue;
		if (handle ? memcmp(&k->head, &q.head, sizeof(q.head.h) + q.head.h.handle_bytes) == 0 :
		    k->fd > 0 && same_inode(k->fd, fd))
			return k->node;
	}
	return 0;
}

static void
vault_found(const struct vault_put *q, int *fds, size_t nfds)
{
	struct vault_nodes m = { .h = { .op = VAULT_FOUND, .count = q->h.count } };

	if (nfds != q->h.count)
		_exit(93);
	rig.finds++;
	for (unsigned i = 0; i < nfds; i++) {
		if (mount_index(q->e[i].mnt_id) == RIG_MOUNTS || q->e[i].node != 0)
			_exit(92);
		m.node[i] = find1(fds[i], q->e[i].mnt_id);
		rig.found += m.node[i] != 0;
		close(fds[i]);
	}
	if (msg_send(get_sock, &m, offsetof(struct vault_nodes, node) + nfds * sizeof(m.node[0]), NULL, 0, 0) != 0)
		fprintf(stderr, "vault: answer lost\n");
}

static void
vault_fetched(const struct vault_nodes *q)
{
	struct vault_got m = { .h = { .op = VAULT_GOT, .count = 1 } };
	int *at = held_fd(q->node[0], false);

	rig.fetches++;
	m.error[0] = at == NULL ? -EBADF : 0;
	if (msg_send(get_sock, &m, sizeof(m), at, at != NULL, 0) != 0)
		fprintf(stderr, "vault: answer lost\n");
}

static void
vault_question(void)
{
	_Alignas(8) char buf[VAULT_MSG_MAX];
	struct vault_hdr *h = (void *)buf;
	int fds[MSG_FDS_MAX];
	size_t nfds = MSG_FDS_MAX;
	ssize_t n = msg_recv(get_sock, buf, sizeof(buf), fds, &nfds, NULL, MSG_DONTWAIT);

	if (n <= 0)
		return;
	vault_drain();
	if (h->op == VAULT_FIND)
		vault_found((void *)buf, fds, nfds);
	else if (h->op == VAULT_FETCH)
		vault_fetched((void *)buf);
	else
		vault_answer((void *)buf);
}

static void *
vault_main(void *arg)
{
	bool open = true;

	(void)arg;
	while (open) {
		struct pollfd p[2] = { { .fd = put_sock, .events = POLLIN }, { .fd = get_sock, .events = POLLIN } };

		if (poll(p, 2, -1) == -1)
			continue;
		open = vault_drain();
		if (p[1].revents != 0)
			vault_question();
	}
	return NULL;
}

/* ---- the monitor ---- */

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
send_start(int ctl, int share, int put, int get, const int *socks, const int *arenas)
{
	struct ctl_start_worker m = {
		.h = { .op = CTL_START_WORKER, .len = sizeof(m) },
		.seccomp = rig.opt.seccomp, .log_level = 4, .dev = rig.opt.dev, .nlanes = RIG_LANES,
		.sandbox = rig.opt.sandbox, .fd_budget = rig.opt.fd_budget, .first_node = NODE_FIRST(rig.incarnation),
		.incarnation = rig.incarnation,
	};
	int fds[5 + 2 * RIG_LANES] = { share, put, get, rig.journal_fd };
	size_t n = 4;

	for (unsigned i = 0; i < RIG_LANES; i++)
		fds[n++] = socks[i];
	for (unsigned i = 0; i < RIG_LANES; i++)
		fds[n++] = arenas[i];
	if (rig.incarnation > 0 && rig.mntns >= 0)
		fds[n++] = rig.mntns;
	ck_assert_int_eq(msg_send(ctl, &m, sizeof(m), fds, n, 0), 0);
}

void
rig_start(void)
{
	const int ns = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	int ctl[2], put[2], get[2], lane[2], socks[RIG_LANES], arenas[RIG_LANES], share;
	char path[64];

	pair(ctl);
	pair(put);
	pair(get);
	share = open(rig.share, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(share, 0);
	for (unsigned i = 0; i < RIG_LANES; i++) {
		struct rig_lane *l = &rig.lane[i];

		pair(lane);
		l->sock = lane[0];
		socks[i] = lane[1];
		arenas[i] = new_memory(RPC_ARENA_SIZE);
		l->arena = mmap(NULL, RPC_ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, arenas[i], 0);
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
	send_start(ctl[0], share, put[1], get[1], socks, arenas);
	close(share);
	close(ctl[1]);
	close(put[1]);
	close(get[1]);
	for (unsigned i = 0; i < RIG_LANES; i++) {
		close(socks[i]);
		close(arenas[i]);
	}
	put_sock = put[0];
	get_sock = get[0];
	ck_assert_int_eq(pthread_create(&vault_thread, NULL, vault_main, NULL), 0);
	vault_running = true;
	if (!hear(WAIT_MS))
		ck_abort_msg("the worker did not start:\n%s", rig.log);
}

void
rig_setup(void)
{
	memset(&rig, 0, sizeof(rig));
	rig.opt = (struct rig_options){
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
	for (unsigned i = 0; i < 4; i++)
		first_used[i] = end_used[i] = i * RIG_NODES_LATER;
	memset(held, 0, sizeof(held));
	kept = calloc(RIG_NODES, sizeof(*kept));
	ck_assert_ptr_nonnull(kept);
}

/* After the worker's end: nothing of this one remains. */
static void
clean_up(void)
{
	hear(0);
	close(rig.ctl);
	for (unsigned i = 0; i < RIG_LANES; i++) {
		close(rig.lane[i].sock);
		munmap(rig.lane[i].arena, RPC_ARENA_SIZE);
	}
	if (vault_running)
		pthread_join(vault_thread, NULL);
	vault_running = false;
	close(put_sock);
	close(get_sock);
}

int
rig_wait_exit(void)
{
	int status;

	for (int i = 0; i < 500; i++) {
		if (waitpid(rig.pid, &status, WNOHANG) == rig.pid) {
			rig.pid = 0;
			while (hear(0))
				;
			return status;
		}
		usleep(10000);
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
	free(kept);
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

/* ---- the front ---- */

void *
rig_add(unsigned lane, uint16_t op, const void *x, size_t nx, const char *name1, const char *name2)
{
	static _Atomic uint64_t tag;
	void *r = rpc_add(&rig.lane[lane].b, RPC_REQUEST, op, ++tag, x, nx, name1, name1 ? strlen(name1) : 0,
	    name2, name2 ? strlen(name2) : 0);

	ck_assert_ptr_nonnull(r);
	return r;
}

void
rig_replay(void *request, uint64_t tag)
{
	struct rpc_hdr *h = request;

	h->flags |= RPC_F_REPLAY;
	h->tag = tag;
}

void
rig_send(unsigned lane)
{
	struct rig_lane *l = &rig.lane[lane];
	size_t n = rpc_finish(&l->b);

	ck_assert_uint_gt(n, 0);
	ck_assert_int_eq(msg_send(l->sock, l->out, n, NULL, 0, 0), 0);
	rpc_begin(&l->b, l->out);
}

struct rpc_hdr *
rig_recv(unsigned lane)
{
	struct rig_lane *l = &rig.lane[lane];
	struct pollfd p = { .fd = l->sock, .events = POLLIN };
	ssize_t n;

	ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
	l->nfds = RPC_BATCH_MAX;
	n = msg_recv(l->sock, l->in, sizeof(l->in), l->fds, &l->nfds, NULL, 0);
	if (n <= 0)
		return NULL;
	ck_assert_int_eq(rpc_check(RPC_REPLY, l->in, (size_t)n, l->nfds), 0);
	return rpc_first(l->in);
}

struct rpc_hdr *
rig_call(void)
{
	struct rpc_hdr *h;

	rig_send(0);
	h = rig_recv(0);
	if (h == NULL) {
		int status = rig_wait_exit();

		ck_abort_msg("the worker has gone, status %#x\n%s", status, rig.log);
	}
	return h;
}

int64_t
rig_lookup_attr(uint64_t dir, const char *name, struct rpc_entry_body *e)
{
	struct rpc_node *q = rig_add(0, RPC_LOOKUP, NULL, 0, name, NULL);
	struct rpc_entry *a;

	q->node = dir;
	a = (void *)rig_call();
	if (a->h.error != 0)
		return a->h.error;
	if (e != NULL)
		*e = a->e;
	return (int64_t)a->e.node;
}

int64_t
rig_lookup(uint64_t dir, const char *name)
{
	return rig_lookup_attr(dir, name, NULL);
}

int
rig_getattr(uint64_t node, struct rpc_attr *attr)
{
	struct rpc_getattr *q = rig_add(0, RPC_GETATTR, NULL, 0, NULL, NULL);
	struct rpc_attr_reply *a;

	q->f.node = node;
	a = (void *)rig_call();
	if (a->h.error == 0 && attr != NULL)
		*attr = a->attr;
	return a->h.error;
}

int
rig_forget(uint64_t node, uint32_t n)
{
	struct rpc_forget1 f = { .node = node, .named = n, .incarnation = rig.incarnation };

	rig_add(0, RPC_FORGET, &f, 1, NULL, NULL);
	return rig_call()->error;
}

int
rig_reset(void)
{
	rig_add(0, RPC_RESET, NULL, 0, NULL, NULL);
	return rig_call()->error;
}

int
rig_open(uint64_t node, uint64_t fh, uint32_t flags, uint32_t oflags, int *fd)
{
	struct rpc_open *q = rig_add(0, RPC_OPEN, NULL, 0, NULL, NULL);
	struct rpc_opened *a;

	q->node = node;
	q->fh = fh;
	q->flags = flags;
	q->oflags = oflags;
	a = (void *)rig_call();
	*fd = rig.lane[0].nfds == 1 ? rig.lane[0].fds[0] : -1;
	return a->h.error;
}

int
rig_opendir(uint64_t node, uint64_t fh)
{
	struct rpc_open *q = rig_add(0, RPC_OPENDIR, NULL, 0, NULL, NULL);

	q->node = node;
	q->fh = fh;
	return rig_call()->error;
}

struct rpc_create *
rig_make(uint16_t op, uint64_t dir, const char *name, const char *target, uint32_t mode)
{
	struct rpc_create *q = rig_add(0, op, NULL, 0, name, target);

	q->dir = dir;
	q->mode = mode;
	return q;
}

int64_t
rig_made(uint16_t op, uint64_t dir, const char *name, const char *target, uint32_t mode)
{
	struct rpc_entry *a;

	rig_make(op, dir, name, target, mode);
	a = (void *)rig_call();
	return a->h.error != 0 ? a->h.error : (int64_t)a->e.node;
}

int64_t
rig_io(uint16_t op, struct rpc_file f, uint64_t offset, void *data, uint32_t size, uint32_t ioflags)
{
	struct rpc_io *q = rig_add(0, op, NULL, 0, NULL, NULL);
	struct rpc_count *a;

	q->f = f;
	q->offset = offset;
	q->size = size;
	q->ioflags = ioflags;
	q->h.aoff = size > 0 ? 4096 : 0;
	q->h.alen = size;
	if (op == RPC_WRITE && size > 0)
		memcpy(rig.lane[0].arena + 4096, data, size);
	a = (void *)rig_call();
	if (a->h.error != 0)
		return a->h.error;
	if (op != RPC_WRITE && a->count > 0)
		memcpy(data, rig.lane[0].arena + 4096, a->count);
	return (int64_t)a->count;
}
