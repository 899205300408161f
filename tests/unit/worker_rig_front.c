/* SPDX-License-Identifier: BSD-3-Clause */
/* The front of the rig: requests on its lanes, and whole operations on lane 0. Runs in: tests. See worker_rig.h. */
#include <poll.h>
#include <string.h>

#include "common/msg.h"
#include "tests/unit/worker_rig.h"

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

	ck_assert_int_eq(poll(&p, 1, RIG_WAIT_MS), 1);
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
