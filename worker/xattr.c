/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes: SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. The calls that take a path get "N", the name of the
 * inode's O_PATH fd in the fd directory, which is this thread's working directory: no inode is opened for its attributes,
 * and every type of inode is served alike. Values go between the arena and the kernel (one is compared, after a death);
 * names are the guest's in requests and replies, the host's in system calls (spec/xattrmap.md).
 * Runs in: worker, lane threads. Requests written by: front.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/xattr.h>

#include "worker/killpriv.h"
#include "worker/ops.h"
#include "worker/replay.h"
#include "worker/resolve.h"
#include "worker/tables.h"

#ifndef XATTR_SIZE_MAX
#define XATTR_SIZE_MAX 65536
#endif
#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* As the reference: whatever begins one of the names is blocked, not only the names (spec/xattrmap.md section 4). */
static bool
is_blocked(const char *name, uint32_t xflags)
{
	const size_t n = strlen(name);

	return (xflags & RPC_XATTR_ACL) == 0 &&
	    (strncmp(ACL_ACCESS, name, n) == 0 || strncmp(ACL_DEFAULT, name, n) == 0);
}

int
ops_xattr_name(const char *guest, uint32_t xflags, char host[static RPC_XATTR_MAX + 1])
{
	return is_blocked(guest, xflags) ? -EOPNOTSUPP : tables_xattr_to_host(guest, host);
}

const char *
ops_xattr_listed(const char *host, uint32_t xflags)
{
	const char *guest = tables_xattr_to_guest(host);

	return guest != NULL && !is_blocked(guest, xflags) ? guest : NULL;
}

/* The inode, the name it goes by in this thread's working directory, and that of the xattr (host NULL: there is none). */
static int
begin(const struct rpc_xattr *q, struct inode **in, struct fd_name *path, char *host)
{
	int r;

	if ((ops_device()->flags & DEV_XATTR) == 0)
		return -ENOSYS;
	if ((q->xflags & ~(uint32_t)RPC_XATTR_ALL) != 0)
		return -EINVAL;
	r = resolve_node(q->node, in);
	if (r != 0)
		return r;
	*path = fd_name(inode_fd(*in));
	if (host != NULL)
		r = ops_xattr_name(rpc_name1(RPC_REQUEST, &q->h), q->xflags, host);
	if (r != 0)
		inode_put(*in);
	return r;
}

/* The guest decided that the caller is not of the file's group: an access ACL from him takes S_ISGID away, as chmod does. */
static int
kill_sgid(const struct rpc_xattr *q, const struct inode *in, const char *path, const char *host)
{
	struct statx st;
	int r;

	if ((q->xflags & RPC_XATTR_ALL) != RPC_XATTR_ALL || strcmp(host, ACL_ACCESS) != 0)
		return 0;
	r = resolve_statx(inode_fd(in), "", &st);
	if (r == 0 && (st.stx_mode & S_ISGID) != 0 &&
	    fchmodat(FD_DIR, path, st.stx_mode & 07777 & ~S_ISGID, 0) == -1)
		r = -errno;
	return r;
}

static int
set(const struct rpc_xattr *q, const struct inode *in, const char *path, const char *host,
    const char *value)
{
	int r = killpriv_drop_remapped(inode_fd(in), in->type);

	if (r == 0)
		r = kill_sgid(q, in, path, host);
	if (r == 0 && setxattr(path, host, value, q->size, (int)q->flags) == -1)
		r = -errno;
	return r;
}

/*
 * Begin what depends on whether the xattr is there: a next worker must know what it was before. What cannot be asked for
 * counts as there. past: what stands in the journal counts.
 */
static void
begin_once(struct lane *l, const struct rpc_hdr *h, const struct journal_past *past,
    const char *path, const char *host)
{
	bool there = false;

	if (past == NULL)
		there = getxattr(path, host, NULL, 0) != -1 || errno != ENODATA;
	journal_begin_number(&l->journal, h, there);
}

/* After EEXIST: is it what an earlier worker has set? */
static bool
has_value(struct lane *l, const char *path, const char *host, const char *value, uint32_t size)
{
	const ssize_t n = getxattr(path, host, l->scratch, XATTR_SIZE_MAX);

	return n == (ssize_t)size && memcmp(l->scratch, value, size) == 0;
}

int
op_SETXATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_xattr *q = (const void *)h;
	const char *value = lane_extent(l, h, q->size);
	const struct journal_past *past;
	char host[RPC_XATTR_MAX + 1];
	struct fd_name path;
	struct inode *in;
	int r;

	if (value == NULL)
		return -EINVAL;
	r = begin(q, &in, &path, host);
	if (r != 0)
		return r;
	past = journal_past(&l->journal, h);
	if (replay_is_done(past))
		r = past->error;
	else {
		if ((q->flags & XATTR_CREATE) != 0)
			begin_once(l, h, past, path.s, host);
		else
			journal_begin_number(&l->journal, h, 0);
		r = set(q, in, path.s, host, value);
		/* Set again, the value is what it would be; only XATTR_CREATE stumbles over its own work. */
		if (r == -EEXIST && past != NULL && past->ino1 == 0 &&
		    has_value(l, path.s, host, value, q->size))
			r = 0;
		journal_done(&l->journal, h, r);
	}
	inode_put(in);
	return r != 0 ? r : ops_reply_ok(l, h);
}

int
op_GETXATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_xattr *q = (const void *)h;
	char *value = lane_extent(l, h, q->size);
	char host[RPC_XATTR_MAX + 1];
	struct fd_name path;
	struct inode *in;
	ssize_t n;
	int r;

	if (value == NULL)
		return -EINVAL;
	/* To read what is denied is to find nothing: ls and cp stumble over EPERM (traps.md P16). */
	r = ops_xattr_name(rpc_name1(RPC_REQUEST, h), q->xflags, host);
	if (r == -EPERM)
		r = -ENODATA;
	if (r == 0)
		r = begin(q, &in, &path, NULL);
	if (r != 0)
		return r;
	n = getxattr(path.s, host, value, MIN(q->size, (uint32_t)XATTR_SIZE_MAX));
	r = n == -1 ? -errno : 0;
	inode_put(in);
	return r != 0 ? r : ops_reply_count(l, h, (uint64_t)n);
}

/* Turn n bytes of the host's names into the guest's, in private memory. Returns how many bytes are left. */
static size_t
translate_list(char *list, size_t n, uint32_t xflags)
{
	size_t out = 0;

	if (n > 0)
		list[n - 1] = '\0';
	for (size_t at = 0, len; at < n; at += len + 1) {
		const char *guest;

		len = strlen(list + at);
		guest = ops_xattr_listed(list + at, xflags);
		if (guest != NULL) {
			size_t size = strlen(guest) + 1;

			memmove(list + out, guest, size);
			out += size;
		}
	}
	return out;
}

int
op_LISTXATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_xattr *q = (const void *)h;
	char *list = lane_extent(l, h, q->size);
	struct fd_name path;
	struct inode *in;
	ssize_t n;
	int r;

	if (list == NULL)
		return -EINVAL;
	r = begin(q, &in, &path, NULL);
	if (r != 0)
		return r;
	n = listxattr(path.s, l->scratch, MIN(q->size, (uint32_t)XATTR_LIST_MAX));
	r = n == -1 ? -errno : 0;
	inode_put(in);
	if (r != 0)
		return r;
	/* The host's size is never less than the guest's (traps.md P17). */
	if (q->size > 0) {
		n = (ssize_t)translate_list(l->scratch, (size_t)n, q->xflags);
		memcpy(list, l->scratch, (size_t)n);
	}
	return ops_reply_count(l, h, (uint64_t)n);
}

int
op_REMOVEXATTR(struct lane *l, const struct rpc_hdr *h)
{
	const struct rpc_xattr *q = (const void *)h;
	const struct journal_past *past;
	char host[RPC_XATTR_MAX + 1];
	struct fd_name path;
	struct inode *in;
	int r;

	r = begin(q, &in, &path, host);
	if (r != 0)
		return r;
	past = journal_past(&l->journal, h);
	if (replay_is_done(past))
		r = past->error;
	else {
		begin_once(l, h, past, path.s, host);
		r = removexattr(path.s, host) == -1 ? -errno : 0;
		if (past != NULL && past->ino1 != 0 && r == -ENODATA)
			r = 0;
		journal_done(&l->journal, h, r);
	}
	inode_put(in);
	return r != 0 ? r : ops_reply_ok(l, h);
}
