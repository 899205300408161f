/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vault thread: receives and checks messages, hands their elements to vault_store.c, answers. One worker after the
 * other. Runs in: monitor, vault thread. Bytes and fds come from: worker (hostile).
 */
#include "monitor/vault.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/msg.h"
#include "monitor/vault_store.h"
#include "proto/control.h"

/* Never more put messages than this can be queued when a get arrives: bounds how long a flood delays the answer. */
#define DRAIN_MAX 8192
#define STACK_SIZE (256u << 10)
/*
 * Nobody waits for a put to be taken: the socket's queue keeps it. While puts come, the queue is looked at every
 * NAP_NS instead of at every put, which spares the worker a wake-up of this thread each time. A NAP_FULL full queue
 * (it holds 278 messages) is looked at again at once.
 */
#define NAP_NS 500000
#define NAP_FULL 64u
/*
 * After so long the thread offers its CPU: the guest may be waiting for that, and not for what is put. But not too often: if
 * somebody else takes it each time, the queue must not fill up.
 */
#define TURN_NS 20000u
#define TURNS_MAX 8u /* between two looks at the queue */
/* Workers that can come and die while the thread hangs in a file system. */
#define PENDING_MAX 16u

struct vault {
	struct vault_store store;
	int put, get;
	uint32_t serving; /* the incarnation behind put and get; vault thread */
	pthread_t thread;
	int (*seal)(void *); /* called by the thread before it reads anything; NULL: not */
	void *seal_arg;
	int sealed; /* what it returned; valid with begun */
	bool running;
	uint64_t turn; /* ns, when it offered its CPU last */
	unsigned turns; /* how often it will yet */
	int wake; /* eventfd: next or stop have changed */
	int breach_fd; /* eventfd: there is a breach */
	pthread_mutex_t lock; /* for what is below */
	const char *breach; /* NULL: none that was not asked for yet */
	uint32_t breach_by;
	pthread_cond_t begun_cond;
	bool begun; /* the thread is through libc's preparations */
	struct {
		int put, get;
		uint32_t incarnation;
	} next[PENDING_MAX]; /* the first next_n are to be served after the present ones */
	size_t next_n;
	bool stop;
};

union message {
	struct vault_hdr h;
	struct vault_mount mount;
	struct vault_put put;
	struct vault_nodes nodes;
	struct vault_hold hold;
};

/* Is n the length of a message with count elements of this size behind its header, and 1 <= count <= VAULT_BATCH? */
static bool
fits(const union message *m, size_t n, size_t element)
{
	return m->h.count >= 1 && m->h.count <= VAULT_BATCH &&
	    n == sizeof(m->h) + m->h.count * element;
}

/* One fd an element, or fewer if the kernel had no numbers for the last of them? */
static bool
fds_fit(const union message *m, size_t n, size_t nfds, bool cut)
{
	return fits(m, n, sizeof(m->put.e[0])) && nfds <= m->h.count && (nfds == m->h.count || cut);
}

static void
give_way(struct vault *v)
{
	if (v->turns == 0 || clock_ns() - v->turn < TURN_NS)
		return;
	v->turns--;
	sched_yield();
	v->turn = clock_ns();
}

static void
forget(struct vault_store *s, uint32_t op, uint64_t id)
{
	if (op == VAULT_FORGET)
		vault_store_forget(s, id);
	else if (op == VAULT_UNPIN)
		vault_store_unpin(s, id);
	else
		vault_store_drop(s, id);
}

/* A put message of n bytes with nfds fds. cut: the kernel had no numbers for the last of its fds. */
static const char *
take_put(struct vault *v, const union message *m, size_t n, int *fds, size_t nfds, bool cut)
{
	struct vault_store *const s = &v->store;
	const char *bad = NULL;

	if (n < sizeof(m->h))
		return "put: short message";
	switch (m->h.op) {
	case VAULT_MOUNT:
		if (n != sizeof(m->mount) || m->h.count != 1 || nfds > 1 || (nfds == 0 && !cut))
			return "mount: wrong size or fds";
		return vault_store_mount(s, m->mount.mnt_id, &fds[0]);
	case VAULT_UNMOUNT:
		if (n != sizeof(m->mount) || m->h.count != 1 || nfds != 0 || cut)
			return "unmount: wrong size or fds";
		vault_store_unmount(s, m->mount.mnt_id);
		return NULL;
	case VAULT_PUT:
	case VAULT_PIN:
		if (!fds_fit(m, n, nfds, cut))
			return "put: wrong size or fds";
		for (uint32_t i = 0; i < m->h.count && bad == NULL; i++) {
			bad = m->h.op == VAULT_PUT ? vault_store_put(s, &m->put.e[i], &fds[i])
						   : vault_store_pin(s, &m->put.e[i], &fds[i]);
			give_way(v);
		}
		return bad;
	case VAULT_FORGET:
	case VAULT_UNPIN:
	case VAULT_DROP:
		if (!fits(m, n, sizeof(m->nodes.node[0])) || nfds != 0 || cut)
			return "forget: wrong size or fds";
		for (uint32_t i = 0; i < m->h.count; i++) {
			forget(s, m->h.op, m->nodes.node[i]);
			give_way(v);
		}
		return NULL;
	case VAULT_HOLD:
		if (n != sizeof(m->hold) || m->h.count != 1 || nfds > 1 || (nfds == 0 && !cut))
			return "hold: wrong size or fds";
		return vault_store_hold(s, m->hold.fh, &fds[0]);
	case VAULT_RESET:
		if (n != sizeof(m->h) || m->h.count != 0 || nfds != 0 || cut)
			return "reset: wrong size or fds";
		vault_store_reset(s);
		return NULL;
	default:
		return "put: unknown message";
	}
}

static void
breach(struct vault *v, const char *what)
{
	const uint64_t one = 1;

	fd_close(&v->put);
	fd_close(&v->get);
	pthread_mutex_lock(&v->lock);
	v->breach = what;
	v->breach_by = v->serving;
	if (write(v->breach_fd, &one, sizeof(one)) == -1)
		log_error("vault: %s", what);
	pthread_mutex_unlock(&v->lock);
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

/* Returns how many messages there were. */
static unsigned
drain_put(struct vault *v)
{
	unsigned done = 0;

	union message m;
	int fds[MSG_FDS_MAX], cut;
	const char *bad;
	size_t n, nfds;

	for (; v->put != -1 && done < DRAIN_MAX; done++) {
		if ((n = receive(v, &v->put, &m, fds, &nfds, &cut)) == 0)
			break;
		for (size_t k = nfds; k < VAULT_BATCH; k++)
			fds[k] = -1;
		bad = take_put(v, &m, n, fds, nfds, cut != 0);
		fd_close_all(fds, nfds);
		if (bad != NULL)
			breach(v, bad);
	}
	return done;
}

static void
reply(struct vault *v, const void *msg, size_t len)
{
	int r = msg_send(v->get, msg, len, NULL, 0, 0);

	/* A worker that is gone needs no answer; its end is seen elsewhere. */
	if (r != 0 && r != -EPIPE && r != -ECONNRESET)
		log_error("vault: cannot answer: %s", strerrordesc_np(-r));
}

/* GET and FETCH. */
static void
answer(struct vault *v, const struct vault_nodes *m)
{
	struct vault_got got = { .h = { .op = VAULT_GOT, .count = m->h.count } };
	const size_t len = offsetof(struct vault_got, error) + m->h.count * sizeof(got.error[0]);
	int fds[VAULT_BATCH], mine[VAULT_BATCH], r;
	size_t nfds = 0, nmine = 0;

	for (uint32_t i = 0; i < m->h.count; i++) {
		bool ours = false;
		int fd = m->h.op == VAULT_GET ? vault_store_open(&v->store, m->node[i], &ours)
					      : vault_store_fetch(&v->store, m->node[i]);

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
		reply(v, &got, len);
	} else if (r != 0 && r != -EPIPE && r != -ECONNRESET)
		log_error("vault: cannot answer: %s", strerrordesc_np(-r));
	fd_close_all(mine, nmine);
}

static const char *
find(struct vault *v, const struct vault_put *m, const int *fds, size_t nfds)
{
	struct vault_nodes found = { .h = { .op = VAULT_FOUND, .count = m->h.count } };
	const char *bad = NULL;

	for (uint32_t i = 0; i < m->h.count && bad == NULL; i++)
		bad = vault_store_find(&v->store, &m->e[i], i < nfds ? fds[i] : -1, &found.node[i]);
	if (bad == NULL)
		reply(v, &found, sizeof(found.h) + m->h.count * sizeof(found.node[0]));
	return bad;
}

static const char *
keep(struct vault *v, const struct vault_put *m, int *fds)
{
	struct vault_got got = { .h = { .op = VAULT_GOT, .count = m->h.count } };
	const char *bad = NULL;

	for (uint32_t i = 0; i < m->h.count && bad == NULL; i++)
		bad = vault_store_keep(&v->store, &m->e[i], &fds[i], &got.error[i]);
	if (bad == NULL)
		reply(
		    v, &got, offsetof(struct vault_got, error) + m->h.count * sizeof(got.error[0]));
	return bad;
}

static const char *
check_get(const union message *m, size_t n, size_t nfds, bool cut)
{
	if (n < sizeof(m->h))
		return "get: short message";
	switch (m->h.op) {
	case VAULT_GET:
	case VAULT_FETCH:
		return fits(m, n, sizeof(m->nodes.node[0])) && nfds == 0 && !cut
		    ? NULL
		    : "get: wrong size or fds";
	case VAULT_FIND:
		return fds_fit(m, n, nfds, cut) ? NULL : "find: wrong size or fds";
	case VAULT_KEEP:
		return fds_fit(m, n, nfds, cut) ? NULL : "keep: wrong size or fds";
	default:
		return "get: unknown message";
	}
}

static void
serve_get(struct vault *v)
{
	union message m;
	int fds[MSG_FDS_MAX], cut;
	size_t nfds, n = receive(v, &v->get, &m, fds, &nfds, &cut);
	const char *bad;

	if (n == 0)
		return;
	for (size_t k = nfds; k < VAULT_BATCH; k++)
		fds[k] = -1;
	bad = check_get(&m, n, nfds, cut != 0);
	/* What the worker put before it asked counts. */
	if (bad == NULL)
		drain_put(v);
	if (bad == NULL && v->get != -1) {
		if (m.h.op == VAULT_FIND)
			bad = find(v, &m.put, fds, nfds);
		else if (m.h.op == VAULT_KEEP)
			bad = keep(v, &m.put, fds);
		else
			answer(v, &m.nodes);
	}
	fd_close_all(fds, nfds);
	if (bad != NULL)
		breach(v, bad);
}

/* Replace the sockets by the next pair. Returns false if there is none. */
static bool
next_worker(struct vault *v, bool *stop)
{
	int put = -1, get = -1;
	uint32_t incarnation = 0;

	pthread_mutex_lock(&v->lock);
	*stop = v->stop;
	if (v->next_n > 0) {
		put = v->next[0].put;
		get = v->next[0].get;
		incarnation = v->next[0].incarnation;
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
	vault_store_next_worker(&v->store);
	v->put = put;
	v->get = get;
	v->serving = incarnation;
	vault_store_worker(&v->store, incarnation);
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
	const struct timespec nap = { .tv_nsec = NAP_NS };
	unsigned puts = 0;
	bool on;

	pthread_mutex_lock(&v->lock);
	v->sealed = v->seal != NULL ? v->seal(v->seal_arg) : 0;
	on = v->sealed == 0;
	v->begun = true;
	pthread_cond_signal(&v->begun_cond);
	pthread_mutex_unlock(&v->lock);
	while (on) {
		const bool napping = puts > 0 && puts < NAP_FULL;
		struct pollfd p[] = {
			{ .fd = v->wake, .events = POLLIN },
			{ .fd = v->get, .events = POLLIN },
			{ .fd = napping ? -1 : v->put, .events = POLLIN },
		};

		if (ppoll(p, countof(p), napping ? &nap : NULL, NULL) == -1)
			continue;
		if (p[0].revents != 0)
			on = on_wake(v);
		v->turn = clock_ns();
		v->turns = p[1].revents == 0 && puts < NAP_FULL ? TURNS_MAX : 0;
		puts = v->put != -1 ? drain_put(v) : 0;
		/* From here on a worker waits. */
		v->turns = 0;
		/* The sockets may be others now: reading does not wait. */
		if (v->get != -1 && (p[0].revents | p[1].revents) != 0)
			serve_get(v);
	}
	return NULL;
}

int
vault_new(size_t max_fds, uint32_t max_nodes, bool handles, struct vault **res)
{
	struct vault *v = calloc(1, sizeof(*v));
	int r;

	if (v == NULL)
		return -ENOMEM;
	v->put = v->get = v->wake = v->breach_fd = -1;
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->begun_cond, NULL);
	if ((r = vault_store_init(&v->store, max_fds, max_nodes, handles)) != 0)
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
vault_start(struct vault *v, int (*seal)(void *), void *arg)
{
	pthread_attr_t attr;
	int r;

	v->seal = seal;
	v->seal_arg = arg;
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
	r = v->sealed;
	pthread_mutex_unlock(&v->lock);
	return r;
}

static int
wake(struct vault *v)
{
	const uint64_t one = 1;

	return write(v->wake, &one, sizeof(one)) == -1 ? -errno : 0;
}

int
vault_attach(struct vault *v, int put, int get, uint32_t incarnation)
{
	bool room;

	pthread_mutex_lock(&v->lock);
	room = v->next_n < PENDING_MAX;
	if (room) {
		v->next[v->next_n].put = put;
		v->next[v->next_n].incarnation = incarnation;
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
vault_breach(struct vault *v, uint32_t *incarnation)
{
	const char *what;
	uint64_t n;

	pthread_mutex_lock(&v->lock);
	what = v->breach;
	*incarnation = v->breach_by;
	v->breach = NULL;
	if (what != NULL && read(v->breach_fd, &n, sizeof(n)) == -1)
		log_debug("vault: the breach was not announced");
	pthread_mutex_unlock(&v->lock);
	return what;
}

void
vault_free(struct vault *v)
{
	if (v == NULL)
		return;
	if (v->running) {
		pthread_mutex_lock(&v->lock);
		v->stop = true;
		pthread_mutex_unlock(&v->lock);
		if (wake(v) == 0)
			pthread_join(v->thread, NULL);
	}
	vault_store_free(&v->store);
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
