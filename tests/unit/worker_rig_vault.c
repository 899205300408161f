/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vault of the rig: what the monitor's does, with counts of what it was told. One worker after the other, a thread for
 * each. Runs in: tests. See worker_rig.h.
 */
#include "tests/unit/worker_rig_vault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/msg.h"
#include "tests/unit/worker_rig.h"

#define HANDLE_BYTES 40
#define RIG_NODES_LATER 100000u	/* first slot of the second worker's nodes, and so on */
#define RIG_HELD 16u

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
static struct { uint64_t id; int fd; bool announced; } mounts[RIG_MOUNTS];	/* announced: by this worker */
static unsigned nmounts;
static int put_sock, get_sock;
static pthread_t vault_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the thread has it while it works */
static bool vault_running;

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

static bool
is_announced(uint64_t id)
{
	unsigned i = mount_index(id);

	return i < RIG_MOUNTS && mounts[i].announced;
}

static void
vault_mount1(uint64_t id, int fd)
{
	unsigned i = MIN(mount_index(id), nmounts);

	if (i < nmounts)
		close(mounts[i].fd);
	nmounts = MAX(nmounts, i + 1);
	mounts[i].id = id;
	mounts[i].fd = fd;
	mounts[i].announced = true;
	rig.mounts++;
}

static void
vault_put1(uint64_t node, uint64_t mnt, int fd)
{
	struct kept *k = &kept[MIN(slot(node), RIG_NODES - 1)];
	int id;

	if (slot(node) >= RIG_NODES - 1 || !is_announced(mnt) || (fcntl(fd, F_GETFL) & O_PATH) == 0) {
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
	if (rig.opt.dev.file_handles != HANDLES_NEVER && name_to_handle_at(fd, "", &k->head.h, &id, AT_EMPTY_PATH) == 0)
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

static void
vault_unpin1(uint64_t node)
{
	struct kept *k = &kept[MIN(slot(node), RIG_NODES - 1)];

	rig.unpins++;
	if (!k->used || !k->pinned)
		return;
	k->pinned = false;
	close(k->fd);
	k->fd = 0;
}

static unsigned
count_kept(bool pinned)
{
	unsigned n = 0;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < RIG_NODES; i++)
		n += kept[i].used && (!pinned || kept[i].pinned);
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned
rig_vault_nodes(void)
{
	return count_kept(false);
}

unsigned
rig_vault_pinned(void)
{
	return count_kept(true);
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
		vault_mount1(m->mnt_id, fds[0]);
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
		rig.pin_messages++;
		for (unsigned i = 0; i < h->count; i++)
			vault_pin1(p->e[i].node, fds[i]);
		break;
	case VAULT_HOLD:
		if (nfds != 1)
			_exit(97);
		vault_hold1(((struct vault_hold *)buf)->fh, fds[0]);
		break;
	case VAULT_UNPIN:
		for (unsigned i = 0; i < h->count; i++)
			vault_unpin1(f->node[i]);
		break;
	case VAULT_DROP:
		vault_drop1(f->node[0]);
		break;
	case VAULT_UNMOUNT:
		if (nfds != 0 || !is_announced(m->mnt_id))
			_exit(91);
		mounts[mount_index(m->mnt_id)].announced = false;
		rig.unmounts++;
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
	if (rig.refuse > 0) {
		rig.refuse--;
		while (n > 0)
			close(fds[--n]);
		for (unsigned i = 0; i < q->h.count; i++)
			m.error[i] = m.error[i] != 0 ? m.error[i] : -ETOOMANYREFS;
	}
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
	bool handle = rig.opt.dev.file_handles != HANDLES_NEVER &&
	    name_to_handle_at(fd, "", &q.head.h, &id, AT_EMPTY_PATH) == 0;

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
		if (!is_announced(q->e[i].mnt_id) || q->e[i].node != 0)
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
vault_kept(const struct vault_put *q, int *fds, size_t nfds)
{
	struct vault_got m = { .h = { .op = VAULT_GOT, .count = 1 } };

	if (nfds != 1 || q->h.count != 1)
		_exit(90);
	rig.keeps++;
	if (rig.vault_full) {
		m.error[0] = -ENFILE;
		close(fds[0]);
	} else
		vault_put1(q->e[0].node, q->e[0].mnt_id, fds[0]);
	if (msg_send(get_sock, &m, offsetof(struct vault_got, error) + sizeof(m.error[0]), NULL, 0, 0) != 0)
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
	else if (h->op == VAULT_KEEP)
		vault_kept((void *)buf, fds, nfds);
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
		pthread_mutex_lock(&lock);
		open = vault_drain();
		if (p[1].revents != 0)
			vault_question();
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

void
rig_vault_new(void)
{
	for (unsigned i = 0; i < 4; i++)
		first_used[i] = end_used[i] = i * RIG_NODES_LATER;
	memset(held, 0, sizeof(held));
	kept = calloc(RIG_NODES, sizeof(*kept));
	ck_assert_ptr_nonnull(kept);
}

void
rig_vault_free(void)
{
	free(kept);
}

void
rig_vault_serve(int put, int get)
{
	put_sock = put;
	get_sock = get;
	for (unsigned i = 0; i < nmounts; i++)
		mounts[i].announced = false;
	ck_assert_int_eq(pthread_create(&vault_thread, NULL, vault_main, NULL), 0);
	vault_running = true;
}

void
rig_vault_wait(void)
{
	if (vault_running)
		pthread_join(vault_thread, NULL);
	vault_running = false;
	close(put_sock);
	close(get_sock);
}
