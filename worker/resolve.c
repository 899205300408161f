/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding and opening inodes. Names were checked by rpc_check(): one component, so that what resolves them cannot leave
 * the directory; openat2 forbids it once more. Nothing is opened by name but O_PATH (and O_CREAT|O_EXCL): real opens go
 * through FD_DIR, after the type of that very inode was seen. Runs in: worker, all threads.
 */
#include "worker/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "worker/handle.h"
#include "worker/lane.h"
#include "worker/mounts.h"
#include "worker/ops.h"
#include "worker/vaultc.h"

#define STATX_WANTED (STATX_BASIC_STATS | STATX_MNT_ID)
#define MAKE_ROOM 16u /* fds to close when there are none left */
#define TRIES 8
#define FRESH_ENOUGH 4u

/*
 * After a restart: held for reading from the question to the vault until its answer is in the table, for writing while
 * nodes are forgotten in both. What hangs with a file system comes before: writers are preferred, so a reader that hangs
 * stops every lane at the next FORGET.
 */
static pthread_rwlock_t identity = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

struct fd_name
fd_name(int fd)
{
	struct fd_name n;
	char *p = n.s + sizeof(n.s);
	unsigned v = (unsigned)fd;
	size_t len;

	do
		*--p = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	len = (size_t)(n.s + sizeof(n.s) - p);
	memmove(n.s, p, len);
	n.s[len] = '\0';
	return n;
}

static bool
made_room(int error)
{
	if (error != EMFILE && error != ENFILE)
		return false;
	return inode_evict(MAKE_ROOM) + handle_evict(MAKE_ROOM) > 0;
}

int
open_fd_dir(int fd, int flags)
{
	struct fd_name name = fd_name(fd);
	bool again = true;
	int r, e;

	for (;;) {
		r = openat(FD_DIR, name.s, flags | O_CLOEXEC | O_NOCTTY);
		if (r >= 0)
			return r;
		e = errno;
		if (e == EINTR)
			continue;
		if (!again || !made_room(e))
			return -e;
		again = false;
	}
}

int
open_beneath(int dir, const char *name, uint64_t flags, mode_t mode)
{
	struct open_how how = {
		.flags = flags | O_NOFOLLOW | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};
	bool again = true;
	int e, tries = TRIES;
	long r;

	for (;;) {
		r = syscall(SYS_openat2, dir, name, &how, sizeof(how));
		if (r >= 0)
			return (int)r;
		e = errno;
		/* EAGAIN: something was renamed while the kernel looked. */
		if ((e == EINTR || e == EAGAIN) && tries-- > 0)
			continue;
		if (!again || !made_room(e))
			return -e;
		again = false;
	}
}

int
resolve_statx(int dir, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name == '\0' ? AT_EMPTY_PATH : 0);

	if (statx(dir, name, flags, STATX_WANTED, st) == -1)
		return -errno;
	if ((st->stx_mask & STATX_BASIC_STATS) != STATX_BASIC_STATS)
		return -ENOSYS;
	if ((st->stx_mask & STATX_MNT_ID) == 0)
		st->stx_mnt_id = 0;
	return 0;
}

void
resolve_key(const struct statx *st, struct inode_key *key)
{
	key->ino = st->stx_ino;
	key->dev = st->stx_dev_major << 20 | st->stx_dev_minor;
	key->mnt = (uint32_t)st->stx_mnt_id;
}

/* All but the handle. */
static int
ident_without_handle(int fd, struct inode_ident *id, struct statx *st)
{
	int r = resolve_statx(fd, "", st);

	if (r != 0)
		return r;
	memset(id, 0, sizeof(*id));
	resolve_key(st, &id->key);
	id->type = st->stx_mode & S_IFMT;
	return 0;
}

/* Returns 0 or a negative errno; 0 also for what has no handle and needs none. */
static int
add_handle(int fd, struct inode_ident *id)
{
	static struct log_limit limit;
	int r;

	if (ops_device()->file_handles == HANDLES_NEVER)
		return 0;
	r = inode_hash_handle(fd, &id->hash);
	id->has_handle = id->hashed = r == 0;
	if (r != -EOPNOTSUPP && r != -EOVERFLOW)
		return r;
	if (ops_device()->file_handles != HANDLES_MANDATORY)
		return 0;
	if (log_limit(&limit))
		log_error("--inode-file-handles=mandatory: a file system has none (device %u:%u)",
		    id->key.dev >> 20, id->key.dev & 0xfffffu);
	return -EOPNOTSUPP;
}

int
resolve_ident(int fd, struct inode_ident *id, struct statx *st)
{
	int r = ident_without_handle(fd, id, st);

	return r == 0 ? add_handle(fd, id) : r;
}

/* Is what the vault gave us the inode we remember? */
static bool
is_same(const struct inode *in, const struct inode_ident *id)
{
	return in->key.ino == id->key.ino && in->key.dev == id->key.dev &&
	    in->key.mnt == id->key.mnt && in->type == id->type &&
	    (!inode_is_hashed(in) || (id->hashed && in->hash == id->hash));
}

/* Take the fd that the vault gave for a node. in: its entry, or NULL if the node is new here. */
static int
accept_fd(uint64_t node, struct inode *in, int fd, struct inode **out)
{
	struct inode_ident id;
	struct statx st;
	int r;

	r = resolve_ident(fd, &id, &st);
	if (r == 0 && in != NULL && !is_same(in, &id))
		r = -ESTALE;
	if (r != 0) {
		fd_close(&fd);
		return r;
	}
	if (in == NULL)
		return inode_restore(node, &id, fd, out);
	inode_set_fd(in, fd);
	*out = in;
	return 0;
}

int
resolve_node(uint64_t node, struct inode **out)
{
	struct inode *in = inode_by_node(node);
	int fd = -1, error, r;

	if (in != NULL && inode_fd(in) >= 0) {
		*out = in;
		return 0;
	}
	r = vault_get(&node, 1, &fd, &error);
	if (r == 0)
		r = error;
	if (r == -EMFILE && made_room(EMFILE)) {
		r = vault_get(&node, 1, &fd, &error);
		r = r == 0 ? error : r;
	}
	if (r == 0)
		r = accept_fd(node, in, fd, out);
	if (r != 0) {
		/* Somebody else may have brought it back meanwhile. */
		if (in != NULL && inode_fd(in) >= 0) {
			*out = in;
			return 0;
		}
		inode_put(in);
	}
	return r;
}

/* The node ids a request names: nearly all stand at the same place. */
static unsigned
request_nodes(const struct rpc_hdr *h, uint64_t node[2])
{
	const char *p = (const char *)(h + 1);

	if (h->op == RPC_FORGET || h->op == RPC_RESET || h->op == RPC_RELEASE)
		return 0;
	memcpy(&node[0], p, sizeof(*node));
	if (h->op != RPC_RENAME && h->op != RPC_LINK)
		return 1;
	memcpy(&node[1], p + sizeof(*node), sizeof(*node));
	return 2;
}

void
resolve_batch(void *msg)
{
	uint64_t miss[VAULT_BATCH], node[2];
	int fd[VAULT_BATCH], error[VAULT_BATCH];
	unsigned n = 0;

	for (struct rpc_hdr *h = rpc_first(msg); h != NULL; h = rpc_next(msg, h)) {
		unsigned k = request_nodes(h, node);

		for (unsigned i = 0; i < k && n < VAULT_BATCH; i++)
			if (!inode_is_live(node[i]) && (n == 0 || miss[n - 1] != node[i]))
				miss[n++] = node[i];
	}
	/* One miss is fetched by the request itself. What fails here fails there again, with its reason. */
	if (n < 2 || vault_get(miss, n, fd, error) != 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		struct inode *in, *out = NULL;

		if (error[i] != 0)
			continue;
		in = inode_by_node(miss[i]);
		if (accept_fd(miss[i], in, fd[i], &out) == 0)
			inode_put(out);
		else
			inode_put(in);
	}
}

static bool
is_dot(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

void
resolve_forget_begin(void)
{
	if (inode_incarnation() > 0)
		pthread_rwlock_wrlock(&identity);
}

void
resolve_forget_end(struct lane *l)
{
	if (inode_incarnation() > 0) {
		if (l->nforgets > 0)
			vault_flush(l);
		pthread_rwlock_unlock(&identity);
	}
}

static void
unname_all(struct lane *l, struct inode *const *in, unsigned n)
{
	resolve_forget_begin();
	for (unsigned i = 0; i < n; i++)
		if (inode_forget(in[i], 1, false))
			vault_dropped(l, in[i]);
	resolve_forget_end(l);
	for (unsigned i = 0; i < n; i++)
		inode_put(in[i]);
}

void
resolve_unname(struct lane *l, struct inode *in)
{
	unname_all(l, &in, 1);
}

/* Enter an inode that the vault knows, and take its fd. Counts nothing. identity is held. */
static int
enter_old(struct vault_query *q, struct inode **in)
{
	int r = inode_restore(q->node, &q->id, fd_take(&q->fd), in);

	if (r == 0 && !is_same(*in, &q->id)) {
		inode_put(*in);
		r = -ESTALE;
	}
	return r;
}

/* As inode_claim(), for an inode that the vault was asked about. Takes its fd. identity is held. */
static int
enter_counted(struct vault_query *q, struct inode **in)
{
	int r;

	if (q->node == 0)
		return inode_claim(&q->id, fd_take(&q->fd), in);
	r = enter_old(q, in);
	if (r == 0 && !inode_send(*in)) {
		inode_put(*in);
		r = -ESTALE;
	}
	return r;
}

/* What earlier workers called an inode that is not in the table: 0 = nothing, or it is there. identity is held. */
static int
ask_old(struct vault_query *q)
{
	return inode_is_known(&q->id) ? 0 : vault_find(q, 1);
}

/* As inode_claim(), in a worker that is not the first. */
static int
claim_old(const struct inode_ident *id, int fd, int dirfd, struct inode **in)
{
	struct vault_query q = { .id = *id, .fd = fd };
	int r;

	vault_query_begin(&q, dirfd);
	pthread_rwlock_rdlock(&identity);
	r = ask_old(&q);
	if (r == 0)
		r = enter_counted(&q, in);
	pthread_rwlock_unlock(&identity);
	vault_query_end(&q);
	fd_close(&q.fd);
	return r;
}

/* Will it have a handle, which nobody needs to see now? */
static bool
handle_can_wait(const struct inode_ident *id)
{
	return inode_incarnation() == 0 && ops_device()->file_handles == HANDLES_PREFER &&
	    mounts_have_handles(id->key.mnt);
}

/*
 * The inode of an O_PATH fd, which is taken over. dirfd: of the directory it was found in, or -1: it was just made, so no
 * earlier worker can have met it.
 */
static int
claim_fd(int fd, int dirfd, struct inode **in, struct statx *st)
{
	struct inode_ident id;
	int r;

	r = ident_without_handle(fd, &id, st);
	if (r == 0 && handle_can_wait(&id)) {
		id.has_handle = true;
		r = inode_claim(&id, fd, in);
		if (r != -EAGAIN)
			return r;
		r = 0;
	}
	if (r == 0)
		r = add_handle(fd, &id);
	if (r != 0) {
		fd_close(&fd);
		return r;
	}
	if (dirfd == -1 || inode_incarnation() == 0)
		return inode_claim(&id, fd, in);
	return claim_old(&id, fd, dirfd, in);
}

/* Open what is not in the table of these names. What fails here is left to the look-up of that name. */
static unsigned
open_ahead(int dirfd, const char *const *name, unsigned n, struct vault_query *q)
{
	struct statx st;
	unsigned k = 0;

	for (unsigned i = 0; i < n && k < RESOLVE_AHEAD; i++) {
		q[k].fd = open_beneath(dirfd, name[i], O_PATH, 0);
		if (q[k].fd < 0)
			continue;
		if (resolve_ident(q[k].fd, &q[k].id, &st) != 0 || inode_is_known(&q[k].id)) {
			fd_close(&q[k].fd);
			continue;
		}
		vault_query_begin(&q[k++], dirfd);
	}
	return k;
}

void
resolve_ahead(int dirfd, const char *const *name, unsigned n, struct resolve_ahead *a)
{
	struct vault_query q[RESOLVE_AHEAD];
	const unsigned k = open_ahead(dirfd, name, n, q);

	a->n = 0;
	if (k == 0)
		return;
	pthread_rwlock_rdlock(&identity);
	/* Those that somebody else has entered meanwhile are in the table, or the vault knows their node. */
	if (vault_find(q, k) == 0) {
		for (unsigned i = 0; i < k; i++)
			if (enter_counted(&q[i], &a->in[a->n]) == 0)
				a->n++;
	}
	pthread_rwlock_unlock(&identity);
	for (unsigned i = 0; i < k; i++) {
		vault_query_end(&q[i]);
		fd_close(&q[i].fd);
	}
}

void
resolve_ahead_end(struct lane *l, struct resolve_ahead *a)
{
	if (a->n > 0)
		unname_all(l, a->in, a->n);
	a->n = 0;
}

/* Has a reply named it before? The first one that does entrusts it to the vault. */
static bool
is_met(const struct inode *in)
{
	return inode_has(in, INODE_VAULTED | INODE_PRIVATE);
}

int
resolve_new_name(int dirfd, const char *name, struct inode **in, struct statx *st)
{
	int fd;

	if (is_dot(name))
		fd = open_fd_dir(dirfd, O_PATH);
	else
		fd = open_beneath(dirfd, name, O_PATH, 0);
	return fd < 0 ? fd : claim_fd(fd, dirfd, in, st);
}

int
resolve_guess(int dirfd, const char *name, uint8_t *fresh, struct inode **in, struct statx *st)
{
	int r;

	if (*fresh < FRESH_ENOUGH) {
		r = resolve_name(dirfd, name, in, st);
		if (r == 0)
			*fresh = is_met(*in) ? 0 : *fresh + 1;
		return r;
	}
	r = resolve_new_name(dirfd, name, in, st);
	if (r == 0 && is_met(*in))
		*fresh = 0;
	return r;
}

int
resolve_name(int dirfd, const char *name, struct inode **in, struct statx *st)
{
	uint32_t seq = inode_seq();
	struct inode_key key;
	int r;

	r = resolve_statx(dirfd, is_dot(name) ? "" : name, st);
	if (r != 0)
		return r;
	resolve_key(st, &key);
	*in = inode_by_key(&key, st->stx_mode & S_IFMT, seq, true);
	return *in != NULL ? 0 : resolve_new_name(dirfd, name, in, st);
}

int
resolve_created(int fd, struct inode **in, struct statx *st)
{
	int r = open_fd_dir(fd, O_PATH);

	return r < 0 ? r : claim_fd(r, -1, in, st);
}

/* The inode of an O_PATH fd (taken over) if it is in the table, or an earlier worker knew it; else NULL. */
static struct inode *
known_fd(int fd, int dirfd)
{
	struct vault_query q = { .fd = fd };
	struct inode *in = NULL;
	struct statx st;

	if (resolve_ident(fd, &q.id, &st) != 0)
		goto out;
	in = inode_find(&q.id, fd);
	if (in != NULL)
		return in;
	if (inode_incarnation() == 0)
		goto out;
	vault_query_begin(&q, dirfd);
	pthread_rwlock_rdlock(&identity);
	if (ask_old(&q) == 0 && q.node != 0 && enter_old(&q, &in) != 0)
		in = NULL;
	pthread_rwlock_unlock(&identity);
	vault_query_end(&q);
out:
	fd_close(&q.fd);
	return in;
}

int
resolve_known(int dirfd, const char *name, struct inode **in, struct statx *st)
{
	uint32_t seq = inode_seq();
	struct inode_key key;
	int fd, r;

	*in = NULL;
	r = resolve_statx(dirfd, name, st);
	if (r != 0)
		return r;
	resolve_key(st, &key);
	*in = inode_by_key(&key, st->stx_mode & S_IFMT, seq, false);
	if (*in != NULL || (!inode_key_known(&key) && inode_incarnation() == 0))
		return 0;
	fd = open_beneath(dirfd, name, O_PATH, 0);
	if (fd >= 0)
		*in = known_fd(fd, dirfd);
	return 0;
}

int
resolve_open(const struct inode *in, int flags)
{
	if (in->type != S_IFREG && in->type != S_IFDIR)
		return -EBADF;
	return open_fd_dir(inode_fd(in), flags);
}
