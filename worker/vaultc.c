/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Talking to the vault. The order that makes a worker disposable: a node is in the put socket's queue before a reply that
 * names it is in a lane's (vault_flush() comes first in lane_flush()). Losing the vault ends the worker: the monitor is
 * gone. Runs in: worker, all lane threads. Reads: answers of the monitor, which is trusted and still checked.
 */
#include "worker/vaultc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "proto/control.h"
#include "worker/inode.h"
#include "worker/lane.h"
#include "worker/mounts.h"
#include "worker/ops.h"
#include "worker/resolve.h"

#define SEND_TRIES 250
#define FIND_TRIES 2500 /* nothing else can be done than to fail a request of the guest */
#define SEND_WAIT_MS 2

static int put_sock = -1, get_sock = -1;
static uint32_t keep_freely; /* inodes that cost the vault an fd each and are put without asking */
static _Atomic int64_t kept; /* with INODE_KEPT; later workers ask in any case */
static pthread_mutex_t get_lock = PTHREAD_MUTEX_INITIALIZER, pin_lock = PTHREAD_MUTEX_INITIALIZER;

void
vault_init(int put, int get, uint32_t budget)
{
	put_sock = put;
	get_sock = get;
	keep_freely = budget / 2;
}

/* Returns 0 or -ETOOMANYREFS. */
static int
send_fds(int sock, const void *msg, size_t len, const int *fds, size_t nfds, int tries)
{
	int r = 0;

	for (int i = 0; i < tries; i++) {
		r = msg_send(sock, msg, len, fds, nfds, 0);
		if (r != -ETOOMANYREFS)
			break;
		/*
		 * The fds in flight of all processes of this uid count, our own queue's first of all: a vault that falls behind
		 * is waited for, long enough for others to take theirs in, too.
		 */
		poll(NULL, 0, SEND_WAIT_MS);
	}
	if (r != 0 && r != -ETOOMANYREFS)
		fatalx("vault: send failed (%d)", r);
	return r;
}

static int
send_put(const void *msg, size_t len, const int *fds, size_t nfds)
{
	return send_fds(put_sock, msg, len, fds, nfds, SEND_TRIES);
}

static bool
send_mount(uint32_t id, void *arg)
{
	struct vault_mount m = { .h = { .op = VAULT_MOUNT, .count = 1 }, .mnt_id = id };

	return send_put(&m, sizeof(m), arg, 1) == 0;
}

static void
send_unmount(uint32_t id)
{
	struct vault_mount m = { .h = { .op = VAULT_UNMOUNT, .count = 1 }, .mnt_id = id };

	if (send_put(&m, sizeof(m), NULL, 0) != 0)
		fatalx("vault: unmount failed");
}

/* Nothing is said where they are not wanted, or where the monitor has said it. */
static bool
has_handles(int fd)
{
	struct inode_ident id;
	struct statx st;

	return ops_device()->file_handles == HANDLES_NEVER || resolve_ident(fd, &id, &st) != 0 ||
	    id.has_handle;
}

/*
 * Does the vault know the mount of this O_PATH fd? It takes nothing of a mount it does not know. Handles are opened on a
 * real fd of their mount: give the vault one. An inode that is not a directory or regular file is never opened, so its
 * mount is announced through the directory it is in, or not at all. Opening may hang with its file system, and nobody else
 * then.
 */
static bool
mount_ready_fd(uint16_t mount, uint16_t type, int path_fd)
{
	static struct log_limit limit;
	bool ok;
	int fd;

	if (mounts_announced(mount))
		return true;
	if (mount == MOUNT_NONE || (type != S_IFREG && type != S_IFDIR))
		return false;
	fd = open_fd_dir(path_fd, O_RDONLY | (type == S_IFDIR ? O_DIRECTORY : O_NONBLOCK));
	if (fd < 0)
		return false;
	ok = mounts_announce(mount, send_mount, &fd);
	if (!ok)
		log_debug("vault: a mount was not announced");
	else if (!has_handles(fd) && log_limit(&limit))
		log_warn("a file system without file handles is in use: each file known on it "
			 "costs a file descriptor");
	fd_close(&fd);
	return ok;
}

static bool
mount_ready(const struct inode *in, const struct inode *parent)
{
	if (parent != NULL && parent->key.mnt == in->key.mnt)
		in = parent;
	return mount_ready_fd(in->mount, in->type, inode_fd(in));
}

void
vault_unmount(struct lane *l)
{
	if (!mounts_have_idle())
		return;
	/* What was forgotten on it goes first. */
	vault_flush(l);
	mounts_withdraw(send_unmount);
}

void
vault_root(const struct inode *root)
{
	if (!mount_ready(root, NULL))
		log_warn("the shared directory cannot be opened: inodes stay open instead of being "
			 "remembered");
}

static void
keep_here(struct inode *in)
{
	inode_set(in, INODE_PRIVATE);
	inode_pin(in);
}

/* Is this one to be asked for? Two lanes may put an inode at once: it is counted by the first. */
static bool
count_kept(struct inode *in)
{
	if ((atomic_fetch_or(&in->flags, INODE_KEPT) & INODE_KEPT) != 0)
		return atomic_load(&kept) > keep_freely;
	return atomic_fetch_add(&kept, 1) >= keep_freely;
}

static void
uncount_kept(struct inode *in)
{
	if ((atomic_fetch_and(&in->flags, (uint16_t)~INODE_KEPT) & INODE_KEPT) != 0)
		atomic_fetch_sub(&kept, 1);
}

static void
flush_puts(struct lane *l)
{
	struct vault_put m = { .h = { .op = VAULT_PUT, .count = l->nputs } };
	int fd[VAULT_BATCH];
	int r;

	for (unsigned i = 0; i < l->nputs; i++) {
		m.e[i].node = l->put[i]->node;
		m.e[i].mnt_id = l->put[i]->key.mnt;
		fd[i] = inode_fd(l->put[i]);
	}
	r = send_put(&m, offsetof(struct vault_put, e) + l->nputs * sizeof(m.e[0]), fd, l->nputs);
	if (r != 0) {
		static struct log_limit limit;

		if (log_limit(&limit))
			log_warn("vault: too many file descriptors in flight, %u inodes stay open",
			    l->nputs);
	}
	for (unsigned i = 0; i < l->nputs; i++) {
		if (r == 0)
			inode_set(l->put[i], INODE_VAULTED);
		else {
			uncount_kept(l->put[i]);
			keep_here(l->put[i]);
		}
		inode_put(l->put[i]);
	}
	l->nputs = 0;
}

/* The queue and the flags agree on what was said last about an inode: pin_lock is held from one to the other. */
static int
send_pins(struct inode *const *in, unsigned n)
{
	struct vault_put m = { .h = { .op = VAULT_PIN, .count = n } };
	int fd[VAULT_BATCH];

	for (unsigned i = 0; i < n; i++) {
		/* cppcheck-suppress uninitvar; the first n of the caller's are set */
		m.e[i].node = in[i]->node;
		m.e[i].mnt_id = in[i]->key.mnt;
		fd[i] = inode_fd(in[i]);
	}
	return send_put(&m, offsetof(struct vault_put, e) + n * sizeof(m.e[0]), fd, n);
}

void
vault_pin_all(struct inode *const *in, unsigned n)
{
	struct inode *todo[VAULT_BATCH] = { NULL };
	unsigned k = 0;

	pthread_mutex_lock(&pin_lock);
	/* What it does not know cannot be pinned; what has no handle it keeps open anyway. */
	for (unsigned i = 0; i < MIN(n, VAULT_BATCH); i++)
		if (inode_has(in[i], INODE_VAULTED) && inode_has(in[i], INODE_HANDLE) &&
		    !inode_has(in[i], INODE_VAULT_PIN))
			todo[k++] = in[i];
	if (k > 0 && send_pins(todo, k) == 0) {
		for (unsigned i = 0; i < k; i++)
			inode_set(todo[i], INODE_VAULT_PIN);
	} else if (k > 0)
		log_debug("vault: %u inodes were not pinned", k);
	pthread_mutex_unlock(&pin_lock);
}

void
vault_pin(struct lane *l, struct inode *in, struct inode *dir)
{
	if (!inode_has(in, INODE_VAULTED)) {
		if (vault_put(l, in, dir) != 0)
			return;
		vault_flush(l);
	}
	vault_pin_all(&in, 1);
}

bool
vault_unpin(struct inode *in)
{
	struct vault_nodes m = { .h = { .op = VAULT_UNPIN, .count = 1 } };
	bool was;

	pthread_mutex_lock(&pin_lock);
	/* Earlier workers may have pinned what they knew. */
	was = inode_has(in, INODE_VAULT_PIN) || inode_has(in, INODE_RESTORED);
	if (was) {
		inode_clear(in, INODE_VAULT_PIN);
		m.node[0] = in->node;
		if (send_put(&m, offsetof(struct vault_nodes, node) + sizeof(m.node[0]), NULL, 0) !=
		    0)
			fatalx("vault: unpin failed");
	}
	pthread_mutex_unlock(&pin_lock);
	return was;
}

static void
flush_forgets(struct lane *l)
{
	struct vault_nodes m = { .h = { .op = VAULT_FORGET, .count = l->nforgets } };

	memcpy(m.node, l->forget, l->nforgets * sizeof(m.node[0]));
	if (send_put(&m, offsetof(struct vault_nodes, node) + l->nforgets * sizeof(m.node[0]), NULL,
		0) != 0)
		fatalx("vault: forget failed");
	l->nforgets = 0;
}

void
vault_flush(struct lane *l)
{
	if (l->nputs > 0)
		flush_puts(l);
	if (l->nforgets > 0)
		flush_forgets(l);
}

/* Ask the vault to take an inode that costs it an fd. Returns 0 or a negative errno. */
static int
ask_keep(struct inode *in)
{
	struct vault_put q = { .h = { .op = VAULT_KEEP, .count = 1 } };
	const size_t len = offsetof(struct vault_put, e) + sizeof(q.e[0]);
	const int fd = inode_fd(in);
	struct vault_got m;
	ssize_t got = 0;
	int r;

	q.e[0].node = in->node;
	q.e[0].mnt_id = in->key.mnt;
	pthread_mutex_lock(&get_lock);
	r = send_fds(get_sock, &q, len, &fd, 1, FIND_TRIES);
	if (r == 0)
		got = msg_recv(get_sock, &m, sizeof(m), NULL, NULL, NULL, 0);
	pthread_mutex_unlock(&get_lock);
	if (r == -ETOOMANYREFS) {
		uncount_kept(in);
		return -ENFILE;
	}
	if (got < (ssize_t)(offsetof(struct vault_got, error) + sizeof(m.error[0])) ||
	    m.h.op != VAULT_GOT || m.h.count != 1 || m.error[0] > 0)
		fatalx("vault: bad answer (%zd)", got);
	if (m.error[0] == 0)
		inode_set(in, INODE_VAULTED);
	else
		uncount_kept(in);
	return m.error[0];
}

/*
 * What is kept by fd has a limit in the vault, which the guest must hear of when it looks up, not later. The first half of them
 * cannot meet it; what the vault has from an earlier worker is not known here.
 */
static bool
must_ask(struct inode *in)
{
	if (inode_has(in, INODE_HANDLE))
		return false;
	return inode_incarnation() > 0 || count_kept(in);
}

int
vault_put(struct lane *l, struct inode *in, struct inode *parent)
{
	if (inode_has(in, INODE_VAULTED | INODE_PRIVATE))
		return 0;
	if (!mount_ready(in, parent)) {
		keep_here(in);
		return 0;
	}
	if (must_ask(in))
		return ask_keep(in);
	/* An inode may be in the hands of two lanes at once: both put it, before either names it. The vault takes that. */
	atomic_fetch_add(&in->refs, 1);
	l->put[l->nputs++] = in;
	if (l->nputs == VAULT_BATCH)
		flush_puts(l);
	return 0;
}

void
vault_forget(struct lane *l, uint64_t node, struct inode *in)
{
	if (in != NULL)
		uncount_kept(in);
	l->forget[l->nforgets++] = node;
	if (l->nforgets == VAULT_BATCH)
		vault_flush(l);
}

void
vault_unput(struct lane *l, struct inode *in)
{
	if (l->nputs > 0 && l->put[l->nputs - 1] == in) {
		l->nputs--;
		inode_put(in);
	}
}

void
vault_dropped(struct lane *l, struct inode *in)
{
	if (inode_has(in, INODE_VAULTED))
		vault_forget(l, in->node, in);
	else
		uncount_kept(in);
}

void
vault_reset(struct lane *l)
{
	struct vault_hdr m = { .op = VAULT_RESET };

	vault_flush(l);
	atomic_store(&kept, 0);
	if (send_put(&m, sizeof(m), NULL, 0) != 0)
		fatalx("vault: reset failed");
}

/* Sort the fds of an answer to their nodes. Returns false if the answer makes no sense. */
static bool
take_answer(const struct vault_got *m, size_t len, size_t n, int *got, size_t ngot, bool truncated,
    int *fd, int *error)
{
	size_t used = 0;

	if (len < offsetof(struct vault_got, error) + n * sizeof(m->error[0]) ||
	    m->h.op != VAULT_GOT || m->h.count != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		fd[i] = -1;
		error[i] = m->error[i];
		if (error[i] > 0)
			return false;
		if (error[i] == -EBADF)
			error[i] = -ESTALE;
		if (error[i] != 0)
			continue;
		if (used < ngot)
			fd[i] = got[used++];
		else if (truncated)
			error[i] = -EMFILE;
		else
			return false;
	}
	return used == ngot;
}

static void
ask_once(uint32_t op, const uint64_t *id, size_t n, int *fd, int *error)
{
	struct vault_nodes q = { .h = { .op = op, .count = (uint32_t)n } };
	struct vault_got m;
	int got[VAULT_BATCH], truncated = 0, r;
	size_t ngot = VAULT_BATCH;
	ssize_t len = 0;

	memcpy(q.node, id, n * sizeof(*id));
	pthread_mutex_lock(&get_lock);
	r = msg_send(
	    get_sock, &q, offsetof(struct vault_nodes, node) + n * sizeof(*id), NULL, 0, 0);
	if (r == 0)
		len = msg_recv(get_sock, &m, sizeof(m), got, &ngot, &truncated, 0);
	pthread_mutex_unlock(&get_lock);
	if (r != 0 || len <= 0)
		fatalx("vault: no answer (%d, %zd)", r, len);
	if (!take_answer(&m, (size_t)len, n, got, ngot, truncated != 0, fd, error))
		fatalx("vault: bad answer");
}

/* Were there too many fds in flight for the vault to send one (or it would have sent all)? Says so as ENFILE. */
static bool
is_refused(size_t n, int *error)
{
	bool refused = false;

	for (size_t i = 0; i < n; i++) {
		refused = refused || error[i] == -ETOOMANYREFS;
		if (error[i] == -ETOOMANYREFS)
			error[i] = -ENFILE;
	}
	return refused;
}

/* GET or FETCH: n ids in, fds and errors out. */
static int
ask(uint32_t op, const uint64_t *id, size_t n, int *fd, int *error)
{
	if (n == 0 || n > VAULT_BATCH)
		return -EINVAL;
	for (int i = 0; i < SEND_TRIES; i++) {
		ask_once(op, id, n, fd, error);
		if (!is_refused(n, error))
			break;
		/* As in send_fds(). No fd has come. */
		poll(NULL, 0, SEND_WAIT_MS);
	}
	return 0;
}

int
vault_get(const uint64_t *node, size_t n, int *fd, int *error)
{
	return ask(VAULT_GET, node, n, fd, error);
}

int
vault_fetch(uint64_t fh)
{
	int fd = -1, error = 0, r = ask(VAULT_FETCH, &fh, 1, &fd, &error);

	if (r == 0)
		r = error;
	return r != 0 ? r : fd;
}

/* One question and its answer, both of n elements. */
static int
ask_find(struct vault_put *q, const int *fd, uint32_t n, struct vault_nodes *m)
{
	const size_t len = offsetof(struct vault_put, e) + n * sizeof(q->e[0]);
	ssize_t got = 0;
	int r;

	q->h.op = VAULT_FIND;
	q->h.count = n;
	pthread_mutex_lock(&get_lock);
	r = send_fds(get_sock, q, len, fd, n, FIND_TRIES);
	if (r == 0)
		got = msg_recv(get_sock, m, sizeof(*m), NULL, NULL, NULL, 0);
	pthread_mutex_unlock(&get_lock);
	if (r == -ETOOMANYREFS)
		return -ENFILE;
	if (got < (ssize_t)(offsetof(struct vault_nodes, node) + n * sizeof(m->node[0])) ||
	    m->h.op != VAULT_FOUND || m->h.count != n)
		fatalx("vault: bad answer (%zd)", got);
	return 0;
}

void
vault_query_begin(struct vault_query *q, int dirfd)
{
	struct inode_key dir;
	struct statx st;

	q->node = 0;
	q->mount = mounts_enter(q->id.key.mnt, q->fd, q->id.hashed, NULL);
	if (mounts_announced(q->mount))
		return;
	if (resolve_statx(dirfd, "", &st) == 0) {
		resolve_key(&st, &dir);
		if (dir.mnt == q->id.key.mnt && mount_ready_fd(q->mount, S_IFDIR, dirfd))
			return;
	}
	(void)mount_ready_fd(q->mount, q->id.type, q->fd);
}

void
vault_query_end(struct vault_query *q)
{
	mounts_leave(q->mount);
}

int
vault_find(struct vault_query *q, size_t n)
{
	struct vault_put m = { .h = { .op = VAULT_FIND } };
	struct vault_query *asked[VAULT_BATCH];
	int sent[VAULT_BATCH];
	struct vault_nodes found;
	uint32_t k = 0;
	int r = 0;

	if (n == 0 || n > VAULT_BATCH)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!mounts_announced(q[i].mount))
			continue;
		m.e[k].mnt_id = q[i].id.key.mnt;
		asked[k] = &q[i];
		sent[k++] = q[i].fd;
	}
	if (k > 0)
		r = ask_find(&m, sent, k, &found);
	for (uint32_t i = 0; r == 0 && i < k; i++)
		asked[i]->node = found.node[i];
	return r;
}

void
vault_hold(uint64_t fh, int fd, const struct inode *dir)
{
	struct vault_hold m = { .h = { .op = VAULT_HOLD, .count = 1 }, .fh = fh };

	if (!mount_ready(dir, NULL) || send_put(&m, sizeof(m), &fd, 1) != 0)
		log_debug("vault: an open directory is not held");
}

void
vault_drop(uint64_t fh)
{
	struct vault_nodes m = { .h = { .op = VAULT_DROP, .count = 1 } };

	m.node[0] = fh;
	if (send_put(&m, offsetof(struct vault_nodes, node) + sizeof(fh), NULL, 0) != 0)
		fatalx("vault: drop failed");
}
