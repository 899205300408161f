/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * liar - a worker that lies. check_restart puts it beside the daemon under the worker's name. It says READY as a worker
 * does, and answers the first requests about the root truthfully; which lie it tells then is the first number in the
 * file `lie` beside it. The first worker, whose mount namespace all others enter, is the true one, the file `true-worker`;
 * how many of those after it lie is the second number.
 *
 * Runs in: the worker's place, as a child of the monitor. It does not seal itself, and speaks to no vault.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/msg.h"
#include "proto/control.h"
#include "proto/mailbox.h"
#include "tests/harness/liar.h"

struct lane {
	int sock;
	uint8_t *arena;
};

static int lie;
static unsigned liars;
static struct lane lanes[RPC_LANES_MAX];

/* The request at hand, and the answer. */
struct turn {
	struct lane *lane;
	const struct rpc_hdr *req;
	struct rpc_builder *b;
	int fds[8];
	size_t nfds;
};

/* A file beside this one. */
static const char *
beside(const char *name)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

	if (n <= 0)
		_exit(101);
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, name);
	return path;
}

static void
read_lie(void)
{
	FILE *f = fopen(beside("lie"), "re");

	if (f == NULL || fscanf(f, "%d %u", &lie, &liars) != 2)
		_exit(102);
	fclose(f);
}

/* START stays in the socket, for the true one if it is his turn. */
static void
become_true(void)
{
	char *const argv[] = { (char *)"virtiofsd: worker", NULL };
	struct ctl_start_worker start;
	struct iovec iov = { .iov_base = &start, .iov_len = sizeof(start) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fd;

	if (recvmsg(CONTROL_FD, &m, MSG_PEEK) != sizeof(start))
		_exit(107);
	if (start.incarnation > 0 && start.incarnation <= liars)
		return;
	fd = open(beside("true-worker"), O_PATH | O_CLOEXEC);
	execveat(fd, "", argv, environ, AT_EMPTY_PATH);
	_exit(108);
}

static void
fill_attr(struct rpc_attr *a, uint64_t ino, uint32_t mode)
{
	*a = (struct rpc_attr){ .ino = ino, .mode = mode, .nlink = 1, .blksize = 4096, .size = 8192 };
}

static uint64_t
node_of(const struct rpc_hdr *h)
{
	/* Node or directory: the first word behind the header of every request that has one. */
	return ((const struct rpc_node *)(const void *)h)->node;
}

static int
gift(void)
{
	int pair[2];

	switch (lie) {
	case LIE_FD_DIRECTORY:
		return open("/", O_RDONLY | O_DIRECTORY);
	case LIE_FD_DEVICE:
		return open("/dev/null", O_RDWR);
	case LIE_FD_ZERO:
		return open("/dev/zero", O_RDWR);
	case LIE_FD_PIPE:
		return pipe(pair) == 0 ? pair[0] : -1;
	case LIE_FD_SOCKET:
		return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 ? pair[0] : -1;
	case LIE_FD_PATH:
		return open("/etc/passwd", O_PATH);
	case LIE_FD_READ_ONLY:
		return open("/etc/passwd", O_RDONLY);
	case LIE_FD_LANE:
		return dup(lanes[0].sock);
	default:
		return memfd_create("liar", 0);
	}
}

/* Records of a directory that no directory has. Returns the number of bytes that the reply claims. */
static uint64_t
listing(uint8_t *p, size_t room, bool plus)
{
	size_t step = plus ? sizeof(struct rpc_direntplus) : 0, used = 0;
	struct rpc_dirent d = { .ino = 7, .off = 1, .namelen = 3, .type = 4 };
	static uint32_t seed = 1;

	if (lie == LIE_LIST_RANDOM) {
		for (size_t i = 0; i < room; i++)
			p[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
		return room;
	}
	memset(p, 0, room);
	while (used + step + sizeof(d) + 8 <= room) {
		if (lie == LIE_LIST_LONG_NAME)
			d.namelen = used == 0 ? UINT32_MAX : RPC_NAME_MAX + 1;
		else if (lie == LIE_LIST_EMPTY_NAME)
			d.namelen = 0;
		else if (lie == LIE_LIST_END)
			d.namelen = (uint32_t)(room - used - step - sizeof(d) + 1);
		memcpy(p + used + step, &d, sizeof(d));
		memcpy(p + used + step + sizeof(d),
		    lie == LIE_LIST_SLASH ? "a/b" : lie == LIE_LIST_NUL ? "a\0b" : "abc", 3);
		d.off++;
		used += step + sizeof(d) + 8;
		if (used > 4096)
			break;
	}
	if (lie == LIE_LIST_CUT)
		return used - 5;
	return lie == LIE_LIST_COUNT ? room + 4096 : used;
}

/* A reply with the struct that the op's honest reply has. */
static struct rpc_hdr *
plausible(struct turn *t)
{
	const struct rpc_hdr *q = t->req;
	const char *name = q->op == RPC_READLINK ? "target" : NULL;
	struct rpc_hdr *h = rpc_add(t->b, RPC_REPLY, q->op, q->tag, NULL, 0, name, name != NULL ? 6 : 0, NULL, 0);
	bool root;

	if (h == NULL)
		_exit(103);
	root = q->op == RPC_GETATTR && ((const struct rpc_getattr *)(const void *)q)->f.node == 1;
	switch (q->op) {
	case RPC_GETATTR:
	case RPC_SETATTR:
		fill_attr(&((struct rpc_attr_reply *)(void *)h)->attr, 5, root ? S_IFDIR | 0755 : S_IFREG | 0644);
		break;
	case RPC_LOOKUP:
	case RPC_MKDIR:
	case RPC_CREATE: {
		struct rpc_entry_body *e = &((struct rpc_entry *)(void *)h)->e;

		e->node = lie == LIE_NODE_ZERO ? 0 : lie == LIE_NODE_ROOT ? 1 : lie == LIE_NODE_HUGE ? UINT64_MAX : 77;
		e->flags = lie == LIE_ENTRY_FLAGS ? ~0u : 0;
		fill_attr(&e->attr, 9, lie == LIE_MODE ? UINT32_MAX : q->op == RPC_MKDIR ? S_IFDIR | 0755 : S_IFREG | 0644);
		break;
	}
	case RPC_OPEN:
		((struct rpc_opened *)(void *)h)->mode = lie == LIE_MODE ? UINT32_MAX : S_IFREG | 0644;
		break;
	case RPC_OPENDIR:
		((struct rpc_opened *)(void *)h)->mode = S_IFDIR | 0755;
		break;
	case RPC_READDIR:
	case RPC_READDIRPLUS:
		((struct rpc_count *)(void *)h)->count =
		    listing(t->lane->arena + q->aoff, q->alen, q->op == RPC_READDIRPLUS);
		break;
	case RPC_READ:
	case RPC_GETXATTR:
	case RPC_LISTXATTR:
	case RPC_LSEEK:
	case RPC_WRITE:
		((struct rpc_count *)(void *)h)->count = lie == LIE_COUNT ? UINT64_MAX : lie == LIE_COUNT_ONE ?
		    q->alen + 1u : q->alen;
		break;
	default:
		break;
	}
	/* A reply names no extent: the request's is meant. */
	if (q->alen > 0 && lie == LIE_ARENA) {
		h->aoff = RPC_ARENA_SIZE - 8;
		h->alen = 4096;
	}
	if ((q->op == RPC_OPEN || q->op == RPC_CREATE) && lie >= LIE_FD_FIRST && lie <= LIE_FD_LAST) {
		t->fds[t->nfds] = gift();
		if (t->fds[t->nfds] != -1) {
			t->nfds++;
			h->flags |= RPC_F_FD;
		}
	}
	return h;
}

/* The lies that are in a header. */
static void
falsify(struct turn *t, struct rpc_hdr *h)
{
	switch (lie) {
	case LIE_TAG: h->tag ^= 1; break;
	case LIE_TAG_OTHER: h->tag = 0; break;
	case LIE_UNKNOWN_OP: h->op = 777; break;
	case LIE_OTHER_OP: h->op = h->op == RPC_GETATTR ? RPC_STATFS : RPC_GETATTR; break;
	case LIE_LEN_LONG: h->len += 4096; break;
	case LIE_LEN_HUGE: h->len = UINT32_MAX; break;
	case LIE_LEN_ZERO: h->len = 0; break;
	case LIE_LEN_ODD: h->len -= 3; break;
	case LIE_ERROR_POSITIVE: h->error = 5; break;
	case LIE_ERROR_HUGE: h->error = INT32_MIN; break;
	case LIE_ERROR_BODY: h->error = -ENOENT; break;
	case LIE_NAMES: h->n1 = h->n2 = UINT16_MAX; break;
	case LIE_X: h->nx = UINT16_MAX; break;
	case LIE_FD_FLAG: h->flags |= RPC_F_FD; break;
	case LIE_FLAGS: h->flags = UINT16_MAX; break;
	case LIE_FD_UNASKED: t->fds[t->nfds++] = memfd_create("liar", 0); break;
	case LIE_FDS_MANY:
		while (t->nfds < 8)
			t->fds[t->nfds++] = open("/dev/null", O_RDONLY);
		break;
	default: break;
	}
}

/* A message through the mailbox, with whatever the lie makes of it, and a bell on the socket, or many. */
static void
lie_in_mailbox(struct lane *l, const struct rpc_batch *m, size_t n)
{
	struct mailbox_half *h = &((struct mailbox *)(void *)(l->arena + RPC_ARENA_SIZE))->to_front;
	struct mailbox_slot *s = &h->slot[h->sent % MAILBOX_SLOTS];
	const struct rpc_batch bell = { .len = sizeof(bell) };
	int bells = lie == LIE_MAIL_BELLS ? 200 : 1;

	s->len = lie == LIE_MAIL_LEN ? UINT32_MAX : (uint32_t)n;
	memcpy(s->msg, m, n < sizeof(s->msg) ? n : sizeof(s->msg));
	if (lie == LIE_MAIL_JUNK)
		memset(s->msg, 0xff, sizeof(s->msg));
	__atomic_fetch_add(&h->sent, lie == LIE_MAIL_SENT ? 1000 : 1, __ATOMIC_RELEASE);
	if (lie == LIE_MAIL_LETTERS)
		__atomic_fetch_add(&h->letters, 1u << 30, __ATOMIC_RELEASE);
	while (bells-- > 0 && msg_send(l->sock, &bell, sizeof(bell), NULL, 0, MSG_DONTWAIT) == 0)
		continue;
}

/* The lies that are in a message. Returns false if nothing is to be sent any more. */
static bool
falsify_message(struct lane *l, struct rpc_batch *m, size_t *n)
{
	static uint8_t junk[RPC_MSG_MAX];

	switch (lie) {
	case LIE_BATCH_LEN: m->len += 64; break;
	case LIE_BATCH_COUNT: m->count = UINT16_MAX; break;
	case LIE_BATCH_EMPTY: m->count = 0; break;
	case LIE_SHORT: *n = 4; break;
	case LIE_JUNK:
		memset(junk, 0xff, sizeof(junk));
		memcpy(m, junk, sizeof(junk));
		*n = sizeof(junk);
		break;
	case LIE_TWICE:
		if (msg_send(l->sock, m, *n, NULL, 0, 0) != 0)
			return false;
		break;
	case LIE_MAIL:
	case LIE_MAIL_SENT:
	case LIE_MAIL_LEN:
	case LIE_MAIL_JUNK:
	case LIE_MAIL_LETTERS:
	case LIE_MAIL_BELLS:
		lie_in_mailbox(l, m, *n);
		return false;
	case LIE_MAIL_TWICE:
		lie_in_mailbox(l, m, *n);
		break;
	case LIE_HANG_UP: shutdown(l->sock, SHUT_RDWR); return false;
	case LIE_EXIT: _exit(0);
	case LIE_ABORT: __builtin_trap();
	case LIE_FLOOD:
		for (int i = 0; i < 10000; i++) {
			if (msg_send(l->sock, m, *n, NULL, 0, MSG_DONTWAIT) != 0)
				break;
		}
		break;
	default: break;
	}
	return true;
}

static void
answer(struct lane *l, void *in, void *out)
{
	struct rpc_builder b;
	struct turn t = { .lane = l, .b = &b };
	struct rpc_hdr *h, *first = rpc_first(in), *reply;
	bool honest = lie == LIE_NONE;
	size_t n, i;

	rpc_begin(&b, out);
	for (h = first; h != NULL; h = rpc_next(in, h)) {
		t.req = h;
		/* The session must begin, so that there is something to lie about. */
		if (h->op == RPC_RESET || (h->op == RPC_GETATTR && node_of(h) == 1 && lie >= LIE_FD_FIRST))
			honest = true;
		reply = plausible(&t);
		if (!honest)
			falsify(&t, reply);
	}
	n = rpc_finish(&b);
	if (!honest && !falsify_message(l, out, &n))
		return;
	if (msg_send(l->sock, out, n, t.fds, t.nfds, 0) != 0)
		_exit(104);
	for (i = 0; i < t.nfds; i++)
		close(t.fds[i]);
}

static void *
serve(void *arg)
{
	struct lane *l = arg;
	uint64_t in[RPC_MSG_MAX / 8], out[RPC_MSG_MAX / 8];
	ssize_t n;

	for (;;) {
		n = msg_recv(l->sock, in, sizeof(in), NULL, NULL, NULL, 0);
		if (n <= 0)
			return NULL;
		if (rpc_check(RPC_REQUEST, in, (size_t)n, 0) != 0)
			_exit(105);
		answer(l, in, out);
	}
}

/* The lies to the monitor. */
static void
lie_to_monitor(void)
{
	struct ctl_done done = { .h = { .op = CTL_DONE, .len = sizeof(done) } };
	struct ctl_hdr other = { .op = 99, .len = sizeof(other) }, wrong = { .op = CTL_READY, .len = 4000 };
	struct ctl_resumed resumed = { .h = { .op = CTL_RESUMED, .len = sizeof(resumed) }, .incarnation = 3 };
	int fd = open("/dev/null", O_RDONLY), r = 0;

	if (lie == LIE_CTL_DONE)
		r = msg_send(CONTROL_FD, &done, sizeof(done), NULL, 0, 0);
	else if (lie == LIE_CTL_OP)
		r = msg_send(CONTROL_FD, &other, sizeof(other), NULL, 0, 0);
	else if (lie == LIE_CTL_LEN)
		r = msg_send(CONTROL_FD, &wrong, sizeof(wrong), NULL, 0, 0);
	else if (lie == LIE_CTL_RESUMED)
		r = msg_send(CONTROL_FD, &resumed, sizeof(resumed), NULL, 0, 0);
	else if (lie == LIE_CTL_FD)
		r = msg_send(CONTROL_FD, &other, sizeof(other), &fd, 1, 0);
	if (r != 0)
		_exit(106);
}

int
main(void)
{
	struct ctl_start_worker start;
	struct ctl_ready ready = { .h = { .op = CTL_READY, .len = sizeof(ready) } };
	int fds[MSG_FDS_MAX];
	size_t nfds = MSG_FDS_MAX;
	pthread_t thread;
	char byte;

	read_lie();
	become_true();
	if (msg_recv(CONTROL_FD, &start, sizeof(start), fds, &nfds, NULL, 0) != sizeof(start) ||
	    start.h.op != CTL_START_WORKER || start.nlanes > RPC_LANES_MAX || nfds < 5 + 2 * (size_t)start.nlanes)
		return 100;
	for (unsigned i = 0; i < start.nlanes; i++) {
		lanes[i].sock = fds[5 + i];
		lanes[i].arena = mmap(NULL, LANE_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fds[5 + start.nlanes + i], 0);
		if (lanes[i].arena == MAP_FAILED)
			return 99;
	}
	if (msg_send(CONTROL_FD, &ready, sizeof(ready), NULL, 0, 0) != 0)
		return 98;
	for (unsigned i = 0; i < start.nlanes; i++) {
		if (pthread_create(&thread, NULL, serve, &lanes[i]) != 0)
			return 97;
	}
	lie_to_monitor();
	while (msg_recv(CONTROL_FD, &byte, 1, NULL, NULL, NULL, 0) > 0)
		;
	return 0;
}
