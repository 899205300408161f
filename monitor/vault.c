/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vault thread. Put messages carry inode fds: the handle is taken from the fd itself, never from bytes of the worker,
 * and each fd must be O_PATH and on the mount it is said to be on, or a handle could be decoded on another file system.
 * Where there are no handles the fd itself is kept, within a limit. Runs in: monitor, vault thread. Bytes and fds come
 * from: worker (hostile).
 */
#include "monitor/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "monitor/vault_table.h"
#include "proto/control.h"

/* Never more put messages than this can be queued when a get arrives: bounds how long a flood delays the answer. */
#define DRAIN_MAX 8192
#define MOUNTS_MAX UINT16_MAX
#define STACK_SIZE (256u << 10)
/* Workers that can come and die while the thread hangs in a file system. */
#define PENDING_MAX 16u

struct mount {
	uint64_t id;
	int fd; /* real, of something on the mount; keeps the id from being reused */
};

struct vault {
	struct vault_table table;
	struct mount *mounts;
	size_t nmounts, mounts_room;
	bool mounts_missed; /* a mount could not be remembered: nodes on it are lost, and no lie */
	size_t fds, max_fds; /* kept open: mounts' and inodes' */
	int put, get;
	pthread_t thread;
	bool running;
	int wake; /* eventfd: next or stop have changed */
	int breach_fd; /* eventfd */
	_Atomic(const char *) breach;
	pthread_mutex_t lock; /* for what is below */
	pthread_cond_t begun_cond;
	bool begun; /* the thread is through libc's preparations */
	struct {
		int put, get;
	} next[PENDING_MAX]; /* the first next_n are to be served after the present ones */
	size_t next_n;
	bool stop;
};

union message {
	struct vault_hdr h;
	struct vault_mount mount;
	struct vault_put put;
	struct vault_nodes nodes;
};

static struct log_limit full_limit, fds_limit, mount_limit;

static void
release(struct vault *v, struct vault_entry *e)
{
	if (e->kind == VAULT_LONG)
		free(e->u.more);
	if (e->kind == VAULT_FD) {
		fd_close(&e->u.fd);
		v->fds--;
	}
	e->kind = VAULT_LOST;
	e->u.error = -EBADF;
}

static void
lose(struct vault_entry *e, int error)
{
	e->kind = VAULT_LOST;
	e->u.error = error;
}

/* Remember the inode of *fd by handle. Returns 0, or a negative errno when it has none that can be kept. */
static int
keep_handle(struct vault_entry *e, int fd)
{
	alignas(struct file_handle) unsigned char buf[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	struct file_handle *h = (void *)buf;
	int id;

	h->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(fd, "", h, &id, AT_EMPTY_PATH) == -1)
		return -errno;
	if (h->handle_bytes <= VAULT_SHORT_HANDLE) {
		memcpy(e->u.bytes, h->f_handle, h->handle_bytes);
		e->kind = VAULT_HANDLE;
	} else {
		unsigned char *more = malloc(h->handle_bytes);

		if (more == NULL)
			return -ENOMEM;
		memcpy(more, h->f_handle, h->handle_bytes);
		e->u.more = more;
		e->kind = VAULT_LONG;
	}
	e->handle_type = h->handle_type;
	e->handle_len = (uint8_t)h->handle_bytes;
	return 0;
}

/* Remember the inode of *fd by keeping the fd, which is taken. */
static void
keep_fd(struct vault *v, struct vault_entry *e, int *fd)
{
	if (v->fds >= v->max_fds) {
		if (log_limit(&fds_limit))
			log_warn("too many files on file systems without file handles: raise the "
				 "limit of open files");
		lose(e, -ENFILE);
		return;
	}
	e->u.fd = fd_take(fd);
	e->kind = VAULT_FD;
	v->fds++;
}

static const struct mount *
find_mount(const struct vault *v, uint64_t id)
{
	for (size_t i = 0; i < v->nmounts; i++)
		if (v->mounts[i].id == id)
			return &v->mounts[i];
	return NULL;
}

/* The mount that fd is on: 0, or a negative errno if that cannot be told. */
static int
mount_of(int fd, uint64_t *id, uint16_t *mode)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID | STATX_TYPE, &stx) ==
	    -1)
		return -errno;
	if (!(stx.stx_mask & STATX_MNT_ID))
		return -ENOSYS;
	*id = stx.stx_mnt_id;
	*mode = stx.stx_mode;
	return 0;
}

static bool
is_path(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags != -1 && (flags & O_PATH);
}

/* One node and its fd, or -1 if the fd was lost on the way. Takes the fd over. Returns NULL or the rule broken. */
static const char *
put_one(struct vault *v, const struct vault_put1 *p, int *fd)
{
	const struct mount *m = find_mount(v, p->mnt_id);
	struct vault_entry *e;
	uint64_t id;
	uint16_t mode;
	int r, lost = *fd == -1 ? -ENFILE : 0;

	if (p->node == 0)
		return "put: node 0";
	if (lost == 0 && !is_path(*fd))
		return "put: not an O_PATH fd";
	if (lost == 0 && (lost = mount_of(*fd, &id, &mode)) == 0 && id != p->mnt_id)
		return "put: an fd of another mount";
	if (m == NULL && !v->mounts_missed)
		return "put: unknown mount";
	if (m == NULL)
		lost = -ENFILE;

	if ((r = vault_table_add(&v->table, p->node, &e)) != 0) {
		if (log_limit(&full_limit))
			log_error("the vault has no room for more files: %s", strerrordesc_np(-r));
		return NULL;
	}
	if (e->kind != VAULT_FREE)
		release(v, e);
	e->mount = m != NULL ? (uint16_t)(m - v->mounts) : 0;
	if (lost != 0)
		lose(e, lost);
	else if (keep_handle(e, *fd) != 0)
		keep_fd(v, e, fd);
	return NULL;
}

static int
add_mount(struct vault *v, uint64_t id, int *fd)
{
	if (v->fds >= v->max_fds || v->nmounts >= MOUNTS_MAX)
		return -ENFILE;
	if (v->nmounts == v->mounts_room) {
		size_t room = v->mounts_room > 0 ? 2 * v->mounts_room : 8;
		struct mount *p = reallocarray(v->mounts, room, sizeof(*p));

		if (p == NULL)
			return -ENOMEM;
		v->mounts = p;
		v->mounts_room = room;
	}
	v->mounts[v->nmounts++] = (struct mount){ .id = id, .fd = fd_take(fd) };
	v->fds++;
	return 0;
}

static const char *
do_mount(struct vault *v, const struct vault_mount *m, int *fd)
{
	uint64_t id;
	uint16_t mode;
	int r = *fd == -1 ? -ENFILE : 0;

	if (r == 0 && is_path(*fd))
		return "mount: an O_PATH fd";
	if (r == 0 && (r = mount_of(*fd, &id, &mode)) == 0) {
		if (id != m->mnt_id)
			return "mount: an fd of another mount";
		if (!S_ISDIR(mode) && !S_ISREG(mode))
			return "mount: neither directory nor file";
		if (find_mount(v, id) != NULL)
			return NULL;
		r = add_mount(v, id, fd);
	}
	if (r != 0) {
		v->mounts_missed = true;
		if (log_limit(&mount_limit))
			log_warn("cannot remember a mount: %s", strerrordesc_np(-r));
	}
	return NULL;
}

static void
do_forget(struct vault *v, const struct vault_nodes *m)
{
	for (uint32_t i = 0; i < m->h.count; i++) {
		struct vault_entry *e = vault_table_find(&v->table, m->node[i]);

		if (e == NULL)
			continue;
		release(v, e);
		vault_table_remove(&v->table, e);
	}
}

static const char *
do_reset(struct vault *v)
{
	uint32_t pos = 0, max = v->table.max;
	struct vault_entry *e;
	struct vault_table fresh;

	while ((e = vault_table_walk(&v->table, &pos)) != NULL)
		release(v, e);
	if (vault_table_init(&fresh, max) == 0) {
		vault_table_free(&v->table);
		v->table = fresh;
		return NULL;
	}
	/* No memory for a new table: empty the old one. */
	for (pos = 0; (e = vault_table_walk(&v->table, &pos)) != NULL;)
		vault_table_remove(&v->table, e);
	return NULL;
}

/* Is n the length of a message with count elements of this size behind its header, and 1 <= count <= VAULT_BATCH? */
static bool
fits(const union message *m, size_t n, size_t element)
{
	return m->h.count >= 1 && m->h.count <= VAULT_BATCH &&
	    n == sizeof(m->h) + m->h.count * element;
}

/* A put message of n bytes with nfds fds. cut: the kernel had no numbers for the last of its fds. */
static const char *
take_put(struct vault *v, const union message *m, size_t n, int *fds, size_t nfds, bool cut)
{
	const char *bad = NULL;

	if (n < sizeof(m->h))
		return "put: short message";
	switch (m->h.op) {
	case VAULT_MOUNT:
		if (n != sizeof(m->mount) || m->h.count != 1 || nfds > 1 || (nfds == 0 && !cut))
			return "mount: wrong size or fds";
		return do_mount(v, &m->mount, &fds[0]);
	case VAULT_PUT:
		if (!fits(m, n, sizeof(m->put.e[0])) || nfds > m->h.count ||
		    (nfds < m->h.count && !cut))
			return "put: wrong size or fds";
		for (uint32_t i = 0; i < m->h.count && bad == NULL; i++)
			bad = put_one(v, &m->put.e[i], &fds[i]);
		return bad;
	case VAULT_FORGET:
		if (!fits(m, n, sizeof(m->nodes.node[0])) || nfds != 0 || cut)
			return "forget: wrong size or fds";
		do_forget(v, &m->nodes);
		return NULL;
	case VAULT_RESET:
		if (n != sizeof(m->h) || m->h.count != 0 || nfds != 0 || cut)
			return "reset: wrong size or fds";
		return do_reset(v);
	default:
		return "put: unknown message";
	}
}

static void
breach(struct vault *v, const char *what)
{
	const uint64_t one = 1;

	atomic_store(&v->breach, what);
	fd_close(&v->put);
	fd_close(&v->get);
	if (write(v->breach_fd, &one, sizeof(one)) == -1)
		log_error("vault: %s", what);
}

/* Read from *sock; closes it at its end and on errors. Returns bytes, or 0 when there is nothing (more). */
static size_t
receive(struct vault *v, int *sock, union message *m, int fds[MSG_FDS_MAX], size_t *nfds, int *cut)
{
	ssize_t n = 0;

	/* A peer that died with messages unread is reported once, before what it sent. */
	for (int i = 0; i < 2 && (i == 0 || n == -ECONNRESET); i++) {
		*nfds = MSG_FDS_MAX;
		n = msg_recv(*sock, m, sizeof(*m), fds, nfds, cut, MSG_DONTWAIT);
	}
	if (n > 0)
		return (size_t)n;
	*nfds = 0;
	if (n == -EAGAIN)
		return 0;
	if (n == -EMSGSIZE || n == -EPROTO)
		breach(v, n == -EMSGSIZE ? "message too long" : "unknown ancillary data");
	else if (n < 0 && n != -ECONNRESET)
		log_error("vault: cannot receive: %s", strerrordesc_np((int)-n));
	fd_close(sock);
	return 0;
}

static void
drain_put(struct vault *v)
{
	union message m;
	int fds[MSG_FDS_MAX], cut;
	const char *bad;
	size_t n, nfds;

	for (int i = 0; v->put != -1 && i < DRAIN_MAX; i++) {
		if ((n = receive(v, &v->put, &m, fds, &nfds, &cut)) == 0)
			return;
		for (size_t k = nfds; k < VAULT_BATCH; k++)
			fds[k] = -1;
		bad = take_put(v, &m, n, fds, nfds, cut != 0);
		fd_close_all(fds, nfds);
		if (bad != NULL)
			breach(v, bad);
	}
}

/* The inode of an entry as an O_PATH fd, or a negative errno; *ours: to be closed after sending. */
static int
open_entry(const struct vault *v, const struct vault_entry *e, bool *ours)
{
	alignas(struct file_handle) unsigned char buf[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	struct file_handle *h = (void *)buf;
	int fd;

	*ours = false;
	if (e == NULL)
		return -EBADF;
	if (e->kind == VAULT_FD)
		return e->u.fd;
	if (e->kind == VAULT_LOST)
		return e->u.error;
	h->handle_bytes = e->handle_len;
	h->handle_type = e->handle_type;
	memcpy(h->f_handle, e->kind == VAULT_LONG ? e->u.more : e->u.bytes, e->handle_len);
	fd = open_by_handle_at(v->mounts[e->mount].fd, h, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	*ours = fd != -1;
	return fd != -1 ? fd : -errno;
}

static void
answer(struct vault *v, const struct vault_nodes *m)
{
	struct vault_got got = { .h = { .op = VAULT_GOT, .count = m->h.count } };
	const size_t len = offsetof(struct vault_got, error) + m->h.count * sizeof(got.error[0]);
	int fds[VAULT_BATCH], mine[VAULT_BATCH], r;
	size_t nfds = 0, nmine = 0;
	bool ours;

	for (uint32_t i = 0; i < m->h.count; i++) {
		int fd = open_entry(v, vault_table_find(&v->table, m->node[i]), &ours);

		got.error[i] = MIN(fd, 0);
		if (fd >= 0)
			fds[nfds++] = fd;
		if (fd >= 0 && ours)
			mine[nmine++] = fd;
	}
	r = msg_send(v->get, &got, len, fds, nfds, 0);
	if (r == -ETOOMANYREFS || r == -EMFILE) {
		/* Too many fds are under way: the worker may ask again. */
		for (uint32_t i = 0; i < m->h.count; i++)
			got.error[i] = got.error[i] != 0 ? got.error[i] : r;
		r = msg_send(v->get, &got, len, NULL, 0, 0);
	}
	/* A worker that is gone needs no answer; its end is seen elsewhere. */
	if (r != 0 && r != -EPIPE && r != -ECONNRESET)
		log_error("vault: cannot answer: %s", strerrordesc_np(-r));
	fd_close_all(mine, nmine);
}

static void
serve_get(struct vault *v)
{
	union message m;
	int fds[MSG_FDS_MAX], cut;
	size_t nfds, n = receive(v, &v->get, &m, fds, &nfds, &cut);
	bool good;

	if (n == 0)
		return;
	good = n >= sizeof(m.h) && m.h.op == VAULT_GET && fits(&m, n, sizeof(m.nodes.node[0])) &&
	    nfds == 0 && !cut;
	fd_close_all(fds, nfds);
	if (!good) {
		breach(v, "get: unknown message, wrong size or fds");
		return;
	}
	/* What the worker put before it asked counts. */
	drain_put(v);
	if (v->get != -1)
		answer(v, &m.nodes);
}

/* Replace the sockets by the next pair. Returns false if there is none. */
static bool
next_worker(struct vault *v, bool *stop)
{
	int put = -1, get = -1;

	pthread_mutex_lock(&v->lock);
	*stop = v->stop;
	if (v->next_n > 0) {
		put = v->next[0].put;
		get = v->next[0].get;
		v->next_n--;
		memmove(&v->next[0], &v->next[1], v->next_n * sizeof(v->next[0]));
	}
	pthread_mutex_unlock(&v->lock);
	if (put == -1)
		return false;
	/* What the old worker put before it died counts, also if it was never served. */
	drain_put(v);
	fd_close(&v->put);
	fd_close(&v->get);
	v->put = put;
	v->get = get;
	return true;
}

/* Returns false when the thread shall end. */
static bool
on_wake(struct vault *v)
{
	uint64_t n;
	bool stop;

	if (read(v->wake, &n, sizeof(n)) == -1)
		return true;
	while (next_worker(v, &stop))
		continue;
	return !stop;
}

static void *
vault_run(void *arg)
{
	struct vault *v = arg;
	bool on = true;

	pthread_mutex_lock(&v->lock);
	v->begun = true;
	pthread_cond_signal(&v->begun_cond);
	pthread_mutex_unlock(&v->lock);
	while (on) {
		struct pollfd p[] = {
			{ .fd = v->wake, .events = POLLIN },
			{ .fd = v->put, .events = POLLIN },
			{ .fd = v->get, .events = POLLIN },
		};

		if (ppoll(p, countof(p), NULL, NULL) == -1)
			continue;
		if (p[0].revents != 0)
			on = on_wake(v);
		/* The sockets may be others now: reading does not wait, so asking them all is right. */
		if (v->put != -1)
			drain_put(v);
		if (v->get != -1)
			serve_get(v);
	}
	return NULL;
}

int
vault_new(size_t max_fds, uint32_t max_nodes, struct vault **res)
{
	struct vault *v = calloc(1, sizeof(*v));
	int r;

	if (v == NULL)
		return -ENOMEM;
	v->put = v->get = v->wake = v->breach_fd = -1;
	v->max_fds = max_fds;
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->begun_cond, NULL);
	if ((r = vault_table_init(&v->table, max_nodes)) != 0)
		goto out;
	v->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->breach_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->wake == -1 || v->breach_fd == -1)
		r = -errno;
out:
	if (r != 0) {
		vault_free(v);
		v = NULL;
	}
	*res = v;
	return r;
}

int
vault_start(struct vault *v)
{
	pthread_attr_t attr;
	int r;

	if ((r = pthread_attr_init(&attr)) != 0)
		return -r;
	r = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (r == 0)
		r = pthread_create(&v->thread, &attr, vault_run, v);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return -r;
	v->running = true;
	/* libc makes system calls before vault_run() that no profile has: who seals next must find them done. */
	pthread_mutex_lock(&v->lock);
	while (!v->begun)
		pthread_cond_wait(&v->begun_cond, &v->lock);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

static int
wake(struct vault *v)
{
	const uint64_t one = 1;

	return write(v->wake, &one, sizeof(one)) == -1 ? -errno : 0;
}

int
vault_attach(struct vault *v, int put, int get)
{
	bool room;

	pthread_mutex_lock(&v->lock);
	room = v->next_n < PENDING_MAX;
	if (room) {
		v->next[v->next_n].put = put;
		v->next[v->next_n++].get = get;
	}
	pthread_mutex_unlock(&v->lock);
	if (room)
		return wake(v);
	fd_close(&put);
	fd_close(&get);
	return -EBUSY;
}

int
vault_fd(const struct vault *v)
{
	return v->breach_fd;
}

const char *
vault_breach(struct vault *v)
{
	return atomic_load(&v->breach);
}

void
vault_free(struct vault *v)
{
	uint32_t pos = 0;
	struct vault_entry *e;

	if (v == NULL)
		return;
	if (v->running) {
		pthread_mutex_lock(&v->lock);
		v->stop = true;
		pthread_mutex_unlock(&v->lock);
		if (wake(v) == 0)
			pthread_join(v->thread, NULL);
	}
	while ((e = vault_table_walk(&v->table, &pos)) != NULL)
		release(v, e);
	vault_table_free(&v->table);
	for (size_t i = 0; i < v->nmounts; i++)
		fd_close(&v->mounts[i].fd);
	free(v->mounts);
	fd_close(&v->put);
	fd_close(&v->get);
	for (size_t i = 0; i < v->next_n; i++) {
		fd_close(&v->next[i].put);
		fd_close(&v->next[i].get);
	}
	fd_close(&v->wake);
	fd_close(&v->breach_fd);
	pthread_cond_destroy(&v->begun_cond);
	pthread_mutex_destroy(&v->lock);
	free(v);
}
