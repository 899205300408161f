/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vault's memory. The handle of an inode is taken from the fd itself, never from bytes of the worker, and each fd must
 * be O_PATH and on the mount it is said to be on, or a handle could be decoded on another file system. Where there are
 * no handles the fd itself is kept, within a limit, as are pins and held directories.
 * Runs in: monitor, vault thread. Bytes and fds come from: worker (hostile).
 */
#include "monitor/vault_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

#define PLACES_MAX UINT16_MAX
#define HOLDS_MAX (1u << 20)

struct vault_place {
	uint64_t id;
	int fd; /* real, of something on the mount; keeps the id from being reused; -1: the place is free */
	uint32_t nodes; /* that are on it */
	bool idle; /* the worker has no use for it: goes with its last node */
};

/* What an fd is. */
struct ident {
	struct vault_entry e; /* without node and pin; u.more points to the bytes below */
	alignas(struct file_handle) unsigned char buf[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static struct log_limit full_limit, fds_limit, mount_limit, hold_limit, pin_limit;

int
vault_store_init(struct vault_store *v, size_t max_fds, uint32_t max_nodes, bool handles)
{
	int r;

	*v = (struct vault_store){ .max_fds = max_fds, .handles = handles };
	if (getrandom(&v->seed, sizeof(v->seed), 0) != sizeof(v->seed))
		return -EIO;
	if ((r = vault_table_init(&v->table, max_nodes)) != 0)
		return r;
	return vault_table_init(&v->holds, MIN(max_nodes, HOLDS_MAX));
}

void
vault_store_worker(struct vault_store *v, uint32_t incarnation)
{
	v->first = NODE_FIRST((uint64_t)incarnation);
	v->end = NODE_FIRST((uint64_t)incarnation + 1);
}

/* Close and free what an entry owns. */
static void
release(struct vault_store *v, struct vault_entry *e)
{
	if (e->kind == VAULT_LONG)
		free(e->u.more);
	if (e->kind == VAULT_FD) {
		fd_close(&e->u.kept.fd);
		v->fds--;
	}
	if (e->pin != -1) {
		fd_close(&e->pin);
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

static struct vault_place *
find_place(const struct vault_store *v, uint64_t id)
{
	for (size_t i = 0; i < v->nplaces; i++)
		if (v->places[i].fd != -1 && v->places[i].id == id)
			return &v->places[i];
	return NULL;
}

/* Let go of a mount that neither the worker nor a node needs: the host may unmount it then. */
static void
leave_if_idle(struct vault_store *v, struct vault_place *m)
{
	if (m->fd == -1 || !m->idle || m->nodes > 0)
		return;
	fd_close(&m->fd);
	v->fds--;
}

/* An entry of the table of nodes is about to change or go: it is found no more, and is on no mount. */
static void
take_out(struct vault_store *v, struct vault_entry *e)
{
	const bool placed = e->kind != VAULT_FREE && e->kind != VAULT_LOST;
	struct vault_place *m = placed ? &v->places[e->mount] : NULL;

	vault_table_unindex(&v->table, e);
	release(v, e);
	if (m != NULL) {
		m->nodes--;
		leave_if_idle(v, m);
	}
}

static int
look(int fd, struct statx *stx)
{
	const unsigned want = STATX_MNT_ID | STATX_TYPE | STATX_INO;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, want, stx) == -1)
		return -errno;
	return (stx->stx_mask & STATX_MNT_ID) ? 0 : -ENOSYS;
}

static bool
is_path(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags != -1 && (flags & O_PATH);
}

static uint32_t
hash_of(const struct vault_store *v, const struct vault_entry *e, const void *bytes, size_t n)
{
	const unsigned char *b = bytes;
	uint64_t h = v->seed ^ ((uint64_t)e->mount << 48 ^ (uint64_t)(uint32_t)e->handle_type << 8);

	while (n > 0) {
		size_t k = MIN(n, sizeof(uint64_t));
		uint64_t word = 0;

		memcpy(&word, b, k);
		h = (h ^ word) * UINT64_C(0x9fb21c651e98df25);
		h ^= h >> 32;
		b += k;
		n -= k;
	}
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

/*
 * By its handle, if it has one. *mnt_id is where it is: the number that statx() calls STATX_MNT_ID, without asking twice.
 * The fd is not taken.
 */
static bool
by_handle(const struct vault_store *v, int fd, struct ident *id, uint64_t *mnt_id)
{
	struct file_handle *h = (void *)id->buf;
	struct vault_entry *e = &id->e;
	int mnt;

	h->handle_bytes = MAX_HANDLE_SZ;
	if (!v->handles || name_to_handle_at(fd, "", h, &mnt, AT_EMPTY_PATH) == -1)
		return false;
	e->handle_type = h->handle_type;
	e->handle_len = (uint8_t)h->handle_bytes;
	e->kind = h->handle_bytes <= VAULT_SHORT_HANDLE ? VAULT_HANDLE : VAULT_LONG;
	if (e->kind == VAULT_HANDLE)
		memcpy(e->u.bytes, h->f_handle, h->handle_bytes);
	else
		e->u.more = h->f_handle;
	*mnt_id = (uint64_t)(uint32_t)mnt;
	return true;
}

/* By number, as by_handle(). Returns 0 or a negative errno. */
static int
by_number(int fd, struct ident *id, uint64_t *mnt_id)
{
	struct vault_entry *e = &id->e;
	struct statx stx;
	int r = look(fd, &stx);

	if (r != 0)
		return r;
	e->kind = VAULT_FD;
	e->u.kept.ino = stx.stx_ino;
	e->u.kept.dev = stx.stx_dev_major << 20 | (stx.stx_dev_minor & 0xfffff);
	e->u.kept.fd = fd;
	*mnt_id = stx.stx_mnt_id;
	return 0;
}

static void
place_and_hash(const struct vault_store *v, const struct vault_place *m, struct ident *id)
{
	struct vault_entry *e = &id->e;
	const struct file_handle *h = (const void *)id->buf;

	e->mount = (uint16_t)(m - v->places);
	e->hash = e->kind == VAULT_FD ? hash_of(v, e, &e->u.kept.ino, sizeof(e->u.kept.ino))
				      : hash_of(v, e, h->f_handle, e->handle_len);
}

/* Keep this fd? Within the budget only. */
static bool
may_keep(struct vault_store *v)
{
	if (v->fds >= v->max_fds)
		return false;
	v->fds++;
	return true;
}

/* Fill an entry that owns nothing, from what fd is. Takes the fd if that is what is kept. */
static void
remember(struct vault_store *v, struct vault_entry *e, const struct ident *id, int *fd)
{
	const uint64_t node = e->node;
	unsigned char *more = NULL;

	if (id->e.kind == VAULT_FD && !may_keep(v)) {
		if (log_limit(&fds_limit))
			log_warn("too many files that cannot be remembered by file handle: raise "
				 "the limit of open files (--rlimit-nofile)");
		lose(e, -ENFILE);
		return;
	}
	if (id->e.kind == VAULT_LONG) {
		if ((more = malloc(id->e.handle_len)) == NULL) {
			lose(e, -ENOMEM);
			return;
		}
		memcpy(more, id->e.u.more, id->e.handle_len);
	}
	*e = id->e;
	e->node = node;
	if (e->kind == VAULT_LONG)
		e->u.more = more;
	if (e->kind == VAULT_FD)
		e->u.kept.fd = fd_take(fd);
	v->places[e->mount].nodes++;
	vault_table_index(&v->table, e);
}

/*
 * What an O_PATH fd that is said to be on a mount is. *lost: 0, or why it cannot be used although no rule is broken.
 */
static const char *
identify(const struct vault_store *v, uint64_t mnt_id, int fd, struct ident *id, int *lost)
{
	const struct vault_place *m = find_place(v, mnt_id);
	uint64_t real = mnt_id;

	id->e = (struct vault_entry){ .pin = -1 };
	*lost = fd == -1 ? -ENFILE : 0;
	if (*lost == 0 && !is_path(fd))
		return "not an O_PATH fd";
	if (*lost == 0 && !by_handle(v, fd, id, &real))
		*lost = by_number(fd, id, &real);
	if (*lost == 0 && real != mnt_id)
		return "an fd of another mount";
	if (m == NULL && !v->places_missed)
		return "an inode on an unknown mount";
	if (m == NULL)
		*lost = -ENFILE;
	if (*lost == 0)
		place_and_hash(v, m, id);
	return NULL;
}

/* May an inode that is not what e stands for be entered under its node? */
static const char *
judge_node(const struct vault_store *v, const struct vault_entry *e)
{
	if (e->node < v->first || e->node >= v->end)
		return "put: the node of another worker";
	return e->kind == VAULT_FREE || e->kind == VAULT_LOST ? NULL
							      : "put: a node of another inode";
}

const char *
vault_store_put(struct vault_store *v, const struct vault_put1 *p, int *fd)
{
	const char *bad;
	struct vault_entry *e;
	struct ident id;
	int r, lost;

	if (p->node == 0)
		return "put: node 0";
	if ((bad = identify(v, p->mnt_id, *fd, &id, &lost)) != NULL)
		return bad;
	if ((r = vault_table_add(&v->table, p->node, &e)) != 0) {
		if (log_limit(&full_limit))
			log_error("the vault has no room for more files: %s", strerrordesc_np(-r));
		return NULL;
	}
	if (lost == 0 && vault_entry_same(e, &id.e))
		return NULL;
	bad = judge_node(v, e);
	if (e->kind == VAULT_FREE && bad != NULL)
		vault_table_remove(&v->table, e);
	if (bad != NULL)
		return lost == 0 ? bad : NULL;
	if (lost != 0)
		lose(e, lost);
	else
		remember(v, e, &id, fd);
	return NULL;
}

const char *
vault_store_keep(struct vault_store *v, const struct vault_put1 *p, int *fd, int *error)
{
	const char *bad = vault_store_put(v, p, fd);
	const struct vault_entry *e = bad == NULL ? vault_table_find(&v->table, p->node) : NULL;

	*error = 0;
	if (e == NULL)
		*error = -ENFILE;
	else if (e->kind == VAULT_LOST)
		*error = e->u.error;
	/* Nobody will name that node: it is forgotten already. */
	if (bad == NULL && *error != 0)
		vault_store_forget(v, p->node);
	return bad;
}

const char *
vault_store_pin(struct vault_store *v, const struct vault_put1 *p, int *fd)
{
	const char *bad;
	struct vault_entry *e;
	struct ident id;
	int lost;

	if (p->node == 0)
		return "pin: node 0";
	if ((bad = identify(v, p->mnt_id, *fd, &id, &lost)) != NULL)
		return bad;
	e = vault_table_find(&v->table, p->node);
	/* Unknown: there was no room for the node. */
	if (e == NULL || e->kind == VAULT_FD || e->kind == VAULT_LOST || e->pin != -1)
		return NULL;
	if (lost == 0 && !vault_entry_same(e, &id.e)) {
		if (log_limit(&pin_limit))
			log_error("a worker process wanted an inode kept as another one");
		return NULL;
	}
	if (lost == 0 && may_keep(v))
		e->pin = fd_take(fd);
	else if (!v->pins_refused) {
		v->pins_refused = true;
		log_warn("not all files that are open or removed can be kept for a restart of the "
			 "worker: raise the limit of open files");
	}
	return NULL;
}

void
vault_store_unpin(struct vault_store *v, uint64_t node)
{
	struct vault_entry *e = vault_table_find(&v->table, node);

	if (e == NULL || e->pin == -1)
		return;
	fd_close(&e->pin);
	v->fds--;
}

const char *
vault_store_find(const struct vault_store *v, const struct vault_put1 *p, int fd, uint64_t *node)
{
	const struct vault_entry *e;
	const char *bad;
	struct ident id;
	int lost;

	*node = 0;
	if (p->node != 0)
		return "find: a node";
	if ((bad = identify(v, p->mnt_id, fd, &id, &lost)) != NULL || lost != 0)
		return bad;
	e = vault_table_same(&v->table, &id.e);
	*node = e != NULL ? e->node : 0;
	return NULL;
}

const char *
vault_store_hold(struct vault_store *v, uint64_t fh, int *fd)
{
	struct vault_entry *e;
	struct statx stx;
	int r, lost = *fd == -1 ? -ENFILE : 0;

	if (fh == UINT64_MAX)
		return "hold: impossible file handle";
	if (lost == 0 && is_path(*fd))
		return "hold: an O_PATH fd";
	if (lost == 0 && (lost = look(*fd, &stx)) == 0) {
		if (!S_ISDIR(stx.stx_mode))
			return "hold: no directory";
		if (find_place(v, stx.stx_mnt_id) == NULL && !v->places_missed)
			return "hold: a directory on an unknown mount";
	}
	if ((r = vault_table_add(&v->holds, fh + 1, &e)) != 0)
		lost = r;
	else {
		if (e->kind != VAULT_FREE)
			release(v, e);
		if (lost == 0 && !may_keep(v))
			lost = -ENFILE;
		lose(e, lost);
	}
	if (lost != 0) {
		if (log_limit(&hold_limit))
			log_warn("an open directory cannot be kept for a restart of the worker: %s",
			    strerrordesc_np(-lost));
		return NULL;
	}
	e->kind = VAULT_FD;
	e->u.kept.fd = fd_take(fd);
	return NULL;
}

static int
add_place(struct vault_store *v, uint64_t id, int *fd)
{
	size_t i = 0;

	while (i < v->nplaces && v->places[i].fd != -1)
		i++;
	if (v->fds >= v->max_fds || i >= PLACES_MAX)
		return -ENFILE;
	if (i == v->places_room) {
		size_t room = v->places_room > 0 ? 2 * v->places_room : 8;
		struct vault_place *p = reallocarray(v->places, room, sizeof(*p));

		if (p == NULL)
			return -ENOMEM;
		v->places = p;
		v->places_room = room;
	}
	v->places[i] = (struct vault_place){ .id = id, .fd = fd_take(fd) };
	v->nplaces = MAX(v->nplaces, i + 1);
	v->fds++;
	return 0;
}

const char *
vault_store_mount(struct vault_store *v, uint64_t mnt_id, int *fd)
{
	struct vault_place *m;
	struct statx stx;
	int r = *fd == -1 ? -ENFILE : 0;

	if (r == 0 && is_path(*fd))
		return "mount: an O_PATH fd";
	if (r == 0 && (r = look(*fd, &stx)) == 0) {
		if (stx.stx_mnt_id != mnt_id)
			return "mount: an fd of another mount";
		if (!S_ISDIR(stx.stx_mode) && !S_ISREG(stx.stx_mode))
			return "mount: neither directory nor file";
		if ((m = find_place(v, mnt_id)) != NULL) {
			m->idle = false;
			return NULL;
		}
		r = add_place(v, mnt_id, fd);
	}
	if (r != 0) {
		v->places_missed = true;
		if (log_limit(&mount_limit))
			log_warn("cannot remember a mount: %s", strerrordesc_np(-r));
	}
	return NULL;
}

void
vault_store_unmount(struct vault_store *v, uint64_t mnt_id)
{
	struct vault_place *m = find_place(v, mnt_id);

	if (m == NULL)
		return;
	m->idle = true;
	leave_if_idle(v, m);
}

void
vault_store_next_worker(struct vault_store *v)
{
	for (size_t i = 0; i < v->nplaces; i++) {
		v->places[i].idle = true;
		leave_if_idle(v, &v->places[i]);
	}
}

static void
forget(struct vault_store *v, struct vault_table *t, uint64_t key)
{
	struct vault_entry *e = vault_table_find(t, key);

	if (e == NULL)
		return;
	if (t == &v->table)
		take_out(v, e);
	else
		release(v, e);
	vault_table_remove(t, e);
}

void
vault_store_forget(struct vault_store *v, uint64_t node)
{
	forget(v, &v->table, node);
}

void
vault_store_drop(struct vault_store *v, uint64_t fh)
{
	forget(v, &v->holds, fh + 1);
}

static void
reset(struct vault_store *v, struct vault_table *t)
{
	uint32_t pos = 0;
	struct vault_entry *e;
	struct vault_table fresh;

	if (vault_table_init(&fresh, t->max) != 0) {
		/* No memory for a new table: empty the old one. */
		while ((e = vault_table_walk(t, &pos)) != NULL)
			forget(v, t, e->node);
		return;
	}
	while ((e = vault_table_walk(t, &pos)) != NULL)
		release(v, e);
	vault_table_free(t);
	*t = fresh;
}

void
vault_store_reset(struct vault_store *v)
{
	reset(v, &v->table);
	reset(v, &v->holds);
	for (size_t i = 0; i < v->nplaces; i++) {
		v->places[i].nodes = 0;
		leave_if_idle(v, &v->places[i]);
	}
}

int
vault_store_open(const struct vault_store *v, uint64_t node, bool *ours)
{
	alignas(struct file_handle) unsigned char buf[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	const struct vault_entry *e = vault_table_find(&v->table, node);
	struct file_handle *h = (void *)buf;
	int fd;

	*ours = false;
	if (e == NULL)
		return -EBADF;
	if (e->pin != -1)
		return e->pin;
	if (e->kind == VAULT_FD)
		return e->u.kept.fd;
	if (e->kind == VAULT_LOST)
		return e->u.error;
	h->handle_bytes = e->handle_len;
	h->handle_type = e->handle_type;
	memcpy(h->f_handle, e->kind == VAULT_LONG ? e->u.more : e->u.bytes, e->handle_len);
	fd = open_by_handle_at(v->places[e->mount].fd, h, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	*ours = fd != -1;
	return fd != -1 ? fd : -errno;
}

int
vault_store_fetch(const struct vault_store *v, uint64_t fh)
{
	const struct vault_entry *e = fh != UINT64_MAX ? vault_table_find(&v->holds, fh + 1) : NULL;

	if (e == NULL)
		return -EBADF;
	return e->kind == VAULT_FD ? e->u.kept.fd : e->u.error;
}

void
vault_store_free(struct vault_store *v)
{
	struct vault_table *const tables[] = { &v->table, &v->holds };
	struct vault_entry *e;

	for (size_t i = 0; i < countof(tables); i++) {
		uint32_t pos = 0;

		while ((e = vault_table_walk(tables[i], &pos)) != NULL)
			release(v, e);
		vault_table_free(tables[i]);
	}
	for (size_t i = 0; i < v->nplaces; i++)
		fd_close(&v->places[i].fd);
	free(v->places);
	v->places = NULL;
	v->nplaces = 0;
}
