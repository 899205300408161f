/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See making.h. Ids and the name of the label are translated before anything is changed. What comes in the arena, which the
 * front can change at any time, is copied once and then judged. Runs in: worker, lane threads. Requests written by: front.
 */
#include "worker/making.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "worker/crash.h"
#include "worker/cred.h"
#include "worker/ops.h"
#include "worker/resolve.h"
#include "worker/tables.h"

/* Copy the arena extent into the lane's scratch. NULL: it is not what the request says. */
static const char *
take_extent(struct lane *l, const struct rpc_create *q, size_t *groups_at)
{
	const char *shared;
	size_t len;

	if (q->label_name > RPC_XATTR_MAX || q->label_size > RPC_LABEL_MAX ||
	    q->ngroups > RPC_GROUPS_ARENA_MAX || (q->ngroups > 0 && q->h.nx > 0))
		return NULL;
	*groups_at = RPC_CREATE_GROUPS_AT(q->label_name, q->label_size);
	len = *groups_at + q->ngroups * sizeof(uint32_t);
	shared = lane_extent(l, &q->h, (uint32_t)len);
	if (shared == NULL)
		return NULL;
	memcpy(l->scratch, shared, len);
	return l->scratch;
}

static_assert(RPC_XATTR_MAX + RPC_LABEL_MAX + 4 + RPC_GROUPS_ARENA_MAX * sizeof(uint32_t) <=
	LANE_SCRATCH_SIZE,
    "a creation's extent fits the scratch");

static int
take_label(const struct rpc_create *q, const char *extent, struct making *m)
{
	char guest[RPC_XATTR_MAX + 1];
	int r;

	if ((q->label_name == 0) != (q->label_size == 0))
		return -EINVAL;
	if (q->label_name == 0)
		return 0;
	memcpy(guest, extent, q->label_name);
	guest[q->label_name] = '\0';
	r = rpc_check_name(RPC_K_XATTR, extent, q->label_name);
	if (r == 0)
		r = ops_xattr_name(
		    guest, (q->oflags & RPC_CREATE_ACL) != 0 ? RPC_XATTR_ACL : 0, m->label);
	m->value = extent + q->label_name;
	m->size = q->label_size;
	return r;
}

/* Uid, then gid, then groups; the first that is forbidden counts. */
static int
take_caller(const struct rpc_create *q, uint32_t *many, struct making *m)
{
	uint32_t *groups = q->ngroups > 0 ? many : m->few;
	uint32_t uid, gid;
	int r;

	m->ngroups = q->ngroups > 0 ? q->ngroups : q->h.nx;
	if (q->ngroups == 0)
		memcpy(m->few, rpc_x(RPC_REQUEST, &q->h), m->ngroups * sizeof(uint32_t));
	r = tables_to_host(IDMAP_UID_TO_HOST, q->uid, &uid);
	if (r == 0)
		r = tables_to_host(IDMAP_GID_TO_HOST, q->gid, &gid);
	for (size_t i = 0; r == 0 && i < m->ngroups; i++)
		r = tables_to_host(IDMAP_GID_TO_HOST, groups[i], &groups[i]);
	if (r != 0)
		return r;
	m->uid = uid;
	m->gid = gid;
	m->groups = groups;
	return 0;
}

int
making_begin(struct lane *l, const struct rpc_create *q, struct making *m)
{
	size_t groups_at = 0;
	int r;

	m->q = q;
	m->label[0] = '\0';
	if ((q->oflags & ~(uint32_t)(RPC_OPEN_ALL | RPC_CREATE_ALL)) != 0)
		return -EINVAL;
	if ((q->label_name | q->label_size | q->ngroups) != 0 &&
	    take_extent(l, q, &groups_at) == NULL)
		return -EINVAL;
	/* Only CREATE gets here then, and what is there is opened whoever asks. */
	if (ops_readonly())
		return 0;
	r = take_caller(q, (uint32_t *)(void *)(l->scratch + groups_at), m);
	return r != 0 ? r : take_label(q, l->scratch, m);
}

static int
call(const struct rpc_create *q, int dirfd)
{
	const int flags = (int)q->flags & (ops_open_mask() | O_EXCL) & ~O_DIRECTORY;
	const char *name = rpc_name1(RPC_REQUEST, &q->h);
	int r;

	switch (q->h.op) {
	case RPC_SYMLINK:
		r = symlinkat(rpc_name2(RPC_REQUEST, &q->h), dirfd, name);
		break;
	case RPC_MKNOD:
		r = mknodat(dirfd, name, q->mode, q->rdev);
		break;
	case RPC_MKDIR:
		r = mkdirat(dirfd, name, q->mode & 07777);
		break;
	case RPC_TMPFILE:
		return open_beneath(dirfd, ".",
		    (uint64_t)(flags & ~O_TRUNC) | O_TMPFILE | O_LARGEFILE, q->mode & 07777);
	default:
		return open_beneath(
		    dirfd, name, (uint64_t)flags | O_CREAT | O_EXCL | O_LARGEFILE, q->mode & 07777);
	}
	return r == -1 ? -errno : 0;
}

int
making_run(const struct making *m, int dirfd)
{
	const mode_t mask = m->q->umask & 0777;
	struct cred cred;
	int r;

	r = cred_switch(
	    &cred, m->uid, m->gid, m->groups, m->ngroups, (m->q->oflags & RPC_CREATE_GROUPS) != 0);
	if (r != 0)
		return r;
	cred_umask_begin(mask);
	r = call(m->q, dirfd);
	cred_umask_end(mask);
	cred_restore(&cred);
	return r;
}

void
making_undo(const struct making *m, int dirfd, int fd)
{
	const char *name = rpc_name1(RPC_REQUEST, &m->q->h);
	struct statx made, now;

	if (m->q->h.op == RPC_TMPFILE)
		return;
	if (fd >= 0 &&
	    (resolve_statx(fd, "", &made) != 0 || resolve_statx(dirfd, name, &now) != 0 ||
		made.stx_ino != now.stx_ino || made.stx_dev_major != now.stx_dev_major ||
		made.stx_dev_minor != now.stx_dev_minor))
		return;
	(void)unlinkat(dirfd, name, m->q->h.op == RPC_MKDIR ? AT_REMOVEDIR : 0);
}

int
making_label(const struct making *m, int dirfd, int fd)
{
	struct fd_name path;
	int r;

	if (m->label[0] == '\0')
		return 0;
	path = fd_name(fd);
	CRASH_POINT(&m->q->h, "before-label");
	r = setxattr(path.s, m->label, m->value, m->size, 0) == -1 ? -errno : 0;
	CRASH_POINT(&m->q->h, "after-label");
	if (r != 0)
		making_undo(m, dirfd, fd);
	return r;
}
