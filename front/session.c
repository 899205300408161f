/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The FUSE session: INIT, DESTROY, and forgetting. INIT, DESTROY and a reset of the device wipe what the guest knows, here
 * and in the worker; node ids go on counting, so nothing old is ever mistaken for something new.
 * Runs in: front, queue threads; session_wipe() also the control thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "front/fuse.h"
#include "front/handles.h"
#include "front/nodes.h"

#define MINOR 38u
#define MINOR_MIN 27u
#define MAX_BACKGROUND 65535u

/* Always granted if offered (spec/fuse.md section 2). */
#define FLAGS_ALWAYS \
	(FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_HAS_IOCTL_DIR | \
	    FUSE_AUTO_INVAL_DATA | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | \
	    FUSE_SUBMOUNTS | FUSE_INIT_EXT | FUSE_CREATE_SUPP_GROUP | FUSE_ALLOW_IDMAP)
#define FLAGS_READDIRPLUS (FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO)
#define FLAGS_POSIX_ACL (FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT)

void
session_wipe(struct session *s)
{
	atomic_store(&s->inited, false);
	/* First: what requests of before add to the tables from here on, they take out again. */
	atomic_fetch_add(&s->wipes, 1);
	handles_wipe();
	nodes_wipe();
	locks_wipe();
}

static void
wiped_for_reset(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	(void)l;
	(void)h;
	(void)fd;
	atomic_fetch_sub(&r->q->inflight, 1);
	request_finish(r, 0);
}

void
session_wipe_worker(struct queue *q)
{
	struct request *r = queue_internal_request(q);
	void *h;

	if (lanes_add(r, RPC_RESET, wiped_for_reset, 0, NULL, 0, NULL, 0, NULL, 0, &h) != 0)
		fatalx("reset");
}

static void
wiped_for_destroy(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	(void)l;
	(void)h;
	(void)fd;
	reply_none(r);
}

int
fuse_destroy(struct request *r, const void *arg, const char *var, size_t varlen)
{
	void *h;

	(void)arg;
	(void)var;
	(void)varlen;
	session_wipe(r->q->s);
	return lanes_add(r, RPC_RESET, wiped_for_destroy, 0, NULL, 0, NULL, 0, NULL, 0, &h);
}

/* A feature that needs all of flags: granted, gone without, or (-EPROTO) the guest is refused. */
static int
want(enum negotiation how, uint64_t offered, uint64_t flags, const char *option, uint64_t *enabled)
{
	if (how == NEGOTIATE_NEVER)
		return 0;
	if ((offered & flags) == flags) {
		*enabled |= flags;
		return 0;
	}
	if (how == NEGOTIATE_ALWAYS) {
		log_error("--%s: the guest does not offer what it needs", option);
		return -EPROTO;
	}
	log_warn("--%s: the guest does not offer what it needs; going on without", option);
	return 0;
}

/* What INIT grants of what was offered (spec/fuse.md section 2). */
static int
grant(const struct session *s, uint64_t offered, uint64_t *enabled)
{
	const struct ctl_device *dev = &s->dev;
	uint64_t e = FLAGS_ALWAYS;
	int r;

	if ((dev->flags & DEV_NO_READDIRPLUS) == 0 && dev->cache != CACHE_NEVER)
		e |= FLAGS_READDIRPLUS;
	if ((dev->flags & DEV_WRITEBACK) != 0)
		e |= FUSE_WRITEBACK_CACHE;
	if ((dev->flags & DEV_KILLPRIV_V2) != 0)
		e |= FUSE_HANDLE_KILLPRIV_V2;
	if ((dev->flags & DEV_ALLOW_MMAP) != 0)
		e |= FUSE_DIRECT_IO_ALLOW_MMAP;
	if ((dev->flags & DEV_POSIX_LOCK) != 0)
		e |= FUSE_POSIX_LOCKS;
	if ((dev->flags & DEV_FLOCK) != 0)
		e |= FUSE_FLOCK_LOCKS;
	if ((dev->flags & DEV_KILLPRIV_V2) != 0 && (offered & FUSE_HANDLE_KILLPRIV_V2) == 0)
		log_warn("--killpriv-v2: the guest does not offer it; going on without");
	e &= offered;
	r = want((enum negotiation)dev->posix_acl, offered, FLAGS_POSIX_ACL, "posix-acl", &e);
	if (r == 0)
		r = want((enum negotiation)dev->security_label, offered, FUSE_SECURITY_CTX,
		    "security-label", &e);
	*enabled = e;
	return r;
}

static void
init_reply(struct fuse_init_out *out, const struct fuse_init_in *in, uint64_t enabled)
{
	memset(out, 0, sizeof(*out));
	out->major = FUSE_KERNEL_VERSION;
	out->minor = MINOR;
	out->max_readahead = in->max_readahead;
	out->flags = (uint32_t)enabled;
	out->flags2 = (uint32_t)(enabled >> 32);
	out->max_background = MAX_BACKGROUND;
	out->congestion_threshold = MAX_BACKGROUND / 4 * 3;
	out->max_write = MAX_WRITE;
	out->time_gran = 1;
	out->max_pages = (uint16_t)(MAX_WRITE / (unsigned)sysconf(_SC_PAGESIZE));
}

static void
wiped_for_init(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	struct session *s = r->q->s;
	struct fuse_init_out out;
	uint64_t enabled;
	int e = h->error;

	(void)l;
	(void)fd;
	if (e == 0)
		e = grant(s, r->offset, &enabled);
	if (e != 0) {
		reply_error(r, e);
		return;
	}
	init_reply(&out, &r->arg.init, enabled);
	if ((s->dev.flags & DEV_ANNOUNCE_SUBMOUNTS) != 0 && (enabled & FUSE_SUBMOUNTS) == 0)
		log_warn("the guest does not know submounts: none is announced");
	if ((s->dev.flags & DEV_ANNOUNCE_SUBMOUNTS) == 0)
		enabled &= ~(uint64_t)FUSE_SUBMOUNTS;
	atomic_store(&s->enabled, enabled);
	atomic_store(&s->inited, true);
	reply_body(r, &out, sizeof(out));
}

int
fuse_init(struct request *r, const void *arg, const char *var, size_t varlen)
{
	struct fuse_init_in *in = &r->arg.init;
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION, .minor = MINOR };
	void *h;

	memset(in, 0, sizeof(*in));
	memcpy(in, arg, 16);
	if (in->major < FUSE_KERNEL_VERSION)
		return -EPROTO;
	if (in->major > FUSE_KERNEL_VERSION) {
		/* The guest will come back with our version. */
		reply_body(r, &out, sizeof(out));
		return 0;
	}
	if (in->minor < MINOR_MIN)
		return -EPROTO;
	if ((in->flags & FUSE_INIT_EXT) != 0) {
		if (varlen < sizeof(*in) - 16)
			return -EINVAL;
		memcpy((char *)in + 16, var, sizeof(*in) - 16);
	}
	r->offset = in->flags | ((in->flags & FUSE_INIT_EXT) != 0 ? (uint64_t)in->flags2 << 32 : 0);
	session_wipe(r->q->s);
	return lanes_add(r, RPC_RESET, wiped_for_init, 0, NULL, 0, NULL, 0, NULL, 0, &h);
}

int
fuse_interrupt(struct request *r, const void *arg, const char *var, size_t varlen)
{
	struct fuse_interrupt_in in;

	(void)arg;
	/* Nothing but waiting for a lock takes long enough to be interrupted. */
	if (varlen >= sizeof(in) && lock_owners_any()) {
		memcpy(&in, var, sizeof(in));
		lock_wait_cancel(in.unique, -EINTR);
	}
	reply_none(r);
	return 0;
}

int
fuse_forget(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_forget_in *in = arg;
	struct rpc_forget1 f;

	(void)var;
	(void)varlen;
	if (nodes_forget(r->in.nodeid, in->nlookup, &f))
		forgets_add(r->q, &f);
	r->q->forgotten++;
	reply_none(r);
	return 0;
}

int
fuse_batch_forget(struct request *r, const void *arg, const char *var, size_t varlen)
{
	const struct fuse_batch_forget_in *in = arg;

	if ((uint64_t)in->count * sizeof(struct fuse_forget_one) > MAX_WRITE)
		return -ENOMEM;
	if (varlen < in->count * sizeof(struct fuse_forget_one))
		return -EINVAL;
	for (uint32_t i = 0; i < in->count; i++) {
		struct fuse_forget_one one;
		struct rpc_forget1 f;

		memcpy(&one, var + i * sizeof(one), sizeof(one));
		if (nodes_forget(one.nodeid, one.nlookup, &f))
			forgets_add(r->q, &f);
	}
	r->q->forgotten++;
	reply_none(r);
	return 0;
}

void
forgets_add(struct queue *q, const struct rpc_forget1 *f)
{
	if (q->nforgets == q->forgets_room) {
		size_t room = q->forgets_room == 0 ? RPC_FORGETS_MAX : q->forgets_room * 2;
		void *p = reallocarray(q->forgets, room, sizeof(*q->forgets));

		if (p == NULL)
			fatalx("out of memory");
		q->forgets = p;
		q->forgets_room = room;
	}
	q->forgets[q->nforgets++] = *f;
}

static void
forgotten(struct request *r, struct lane *l, const struct rpc_hdr *h, int fd)
{
	(void)l;
	(void)h;
	(void)fd;
	request_finish(r, 0);
}

void
forgets_flush(struct queue *q)
{
	size_t done = 0;

	/* lanes_add() may wait, and meanwhile more may be added behind. */
	while (done < q->nforgets) {
		struct request *r = queue_internal_request(q);
		size_t n = MIN(q->nforgets - done, RPC_FORGETS_MAX);
		struct rpc_forget1 batch[RPC_FORGETS_MAX];
		void *h;

		memcpy(batch, q->forgets + done, n * sizeof(batch[0]));
		if (lanes_add(r, RPC_FORGET, forgotten, 0, batch, n, NULL, 0, NULL, 0, &h) != 0)
			fatalx("forget");
		done += n;
	}
	q->nforgets = 0;
}
