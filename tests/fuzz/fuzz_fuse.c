/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzes the front's FUSE code from both sides: the input is a list of acts of a guest (requests) and of a worker
 * (answers, some with a file). Links front/fuse*.c, session.c, reply.c, data.c, nodes.c, handles.c, lane.c,
 * common/msg.c, proto/rpc.c and tests/unit/fake_lanes.c; log and fatalx() are here: nothing that either side says may
 * come to the latter.
 */
#include <errno.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "front/fuse.h"
#include "tests/unit/fake_lanes.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define REQUIRE(x)	do { if (!(x)) abort(); } while (0)
#define FILE_MAX	(256u << 10)
#define FHS		8u

/* What the guest was told. */
static struct {
	uint64_t fh, node;
} fhs[FHS];
static unsigned nfhs;

void
log_init(log_sink sink, enum log_level max)
{
	(void)sink;
	(void)max;
}

bool
log_enabled(enum log_level level)
{
	return level != LOG_TRACE;
}

#define QUIET(name) void name(const char *fmt, ...) { REQUIRE(fmt != NULL); }
QUIET(log_error)
QUIET(log_warn)
QUIET(log_info)
QUIET(log_debug)

bool
log_limit(struct log_limit *l)
{
	return l != NULL;
}

void
fatal(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

void
fatalx(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

/* The input as it is consumed; zeros behind its end. */
struct input {
	const uint8_t *p;
	size_t	n;
};

static uint8_t
byte(struct input *in)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->p++;
}

static void
bytes(struct input *in, void *dst, size_t n)
{
	size_t k = n < in->n ? n : in->n;

	memset(dst, 0, n);
	if (k > 0)
		memcpy(dst, in->p, k);
	in->p += k;
	in->n -= k;
}

static uint64_t
node_of(uint8_t b)
{
	return b < 240 ? b % 12 : b == 255 ? UINT64_MAX : (uint64_t)b << 20;
}

/* Replies are well formed and say what was asked. */
static void
check_reply(uint64_t unique, unsigned before)
{
	struct fuse_out_header h;

	if (fake.finished == before || fake.used == 0)
		return;
	REQUIRE(fake.used >= sizeof(h) && fake.used <= fake.room);
	memcpy(&h, fake.reply, sizeof(h));
	REQUIRE(h.len == fake.used && h.error <= 0 && h.error >= -4095);
	REQUIRE(h.error == 0 || h.len == sizeof(h));
	(void)unique;
}

static void
learn_fh(uint16_t op, uint64_t node)
{
	struct fuse_open_out o;
	const bool made = op == RPC_CREATE || op == RPC_TMPFILE;
	size_t at = sizeof(struct fuse_out_header) + (made ? sizeof(struct fuse_entry_out) : 0);

	if ((op == RPC_OPEN || op == RPC_OPENDIR || made) && fake.used == at + sizeof(o)) {
		memcpy(&o, fake.reply + at, sizeof(o));
		fhs[nfhs].fh = o.fh;
		fhs[nfhs++].node = node;
		nfhs %= FHS;
	}
}

static void
guest(struct input *in)
{
	static const uint32_t ioctls[] = { FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR,
		FS_IOC32_GETFLAGS, FS_IOC32_SETFLAGS };
	static uint64_t buf[(1u << 16) / 8];
	struct fuse_in_header *h = (void *)buf;
	uint8_t how = byte(in), fh = byte(in), delta = byte(in), tail;
	size_t n = byte(in);
	uint32_t room = byte(in);
	unsigned before = fake.finished;

	memset(h, 0, sizeof(*h));
	h->opcode = byte(in) % 56;
	h->nodeid = node_of(byte(in));
	h->unique = before;
	if ((how & 0x80) != 0)
		n += byte(in) * 16u;
	bytes(in, buf + 5, n);
	tail = byte(in);
	if (n >= 8 && fh < 192)
		buf[5] = fhs[fh % FHS].fh;
	/* Its own node with it, mostly: else nothing but EBADF comes of it. */
	if (n >= 8 && fh < 128)
		h->nodeid = fhs[fh % FHS].node;
	if (h->opcode == FUSE_COPY_FILE_RANGE && n >= 56 && fh % 2 == 0) {
		buf[8] = fhs[tail % FHS].fh;
		buf[7] = fhs[tail % FHS].node;
	}
	/* Locks that may be meant, of few owners. */
	if (h->opcode >= FUSE_GETLK && h->opcode <= FUSE_SETLKW && n >= 48 && fh % 2 == 0) {
		const struct fuse_lk_in lk = { .fh = buf[5], .owner = tail % 4, .lk_flags = tail / 4 % 2,
			.lk = { .start = buf[7] % 16, .end = buf[7] % 16 + buf[8] % 16, .type = tail / 8 % 3, .pid = tail } };

		memcpy(buf + 5, &lk, sizeof(lk));
	}
	/* One of the ioctls that there are. */
	if (h->opcode == FUSE_IOCTL && n >= 32 && fh % 2 == 0) {
		buf[6] = (uint64_t)ioctls[tail % 6] << 32;
		buf[8] = (n - 32) | (uint64_t)(tail % 64) << 32;
	}
	h->len = (uint32_t)(sizeof(*h) + n);
	if (delta >= 224)
		h->len += (uint32_t)delta - 240u;
	room = room < 32 ? room : room < 200 ? 16u + room * 16u : 70000;
	fake_send(buf, sizeof(*h) + n - (delta < 8 && n >= delta ? delta : 0), (enum fake_split)(how % SPLITS), room,
	    (enum fake_split)(how / SPLITS % SPLITS), how == 255);
	check_reply(before, before);
}

/* A listing as it should be, of at most n bytes; returns how many. */
static uint64_t
listing(struct input *in, uint8_t *p, size_t n, bool plus)
{
	size_t at = 0;

	for (unsigned i = byte(in) % 5; i > 0; i--) {
		size_t head = plus ? sizeof(struct rpc_direntplus) : 0;
		struct rpc_dirent d = { .ino = i, .namelen = 1 + byte(in) % 30u, .type = 4 };
		struct rpc_direntplus e = { .e.node = byte(in) % 16u };
		size_t size = head + ROUND_UP(sizeof(d) + d.namelen, 8);

		if (size > n - at)
			break;
		memset(p + at, 'n', size);
		memcpy(p + at, &e, head);
		memcpy(p + at + head, &d, sizeof(d));
		at += size;
	}
	return at;
}

static void
worker(struct input *in)
{
	const struct rpc_hdr *rq = fake_rpc();
	uint8_t how = byte(in);
	uint64_t body[32];
	unsigned before = fake.finished;
	size_t n;
	int fd = -1;
	uint64_t node;
	uint16_t op;

	if (rq == NULL)
		return;
	op = rq->op;
	node = op == RPC_CREATE || op == RPC_TMPFILE ? 0 : ((const struct rpc_node *)(const void *)rq)->node;
	n = rpc_op(op)->reply - sizeof(*rq);
	if (how >= 224) {
		fake_answer_error(-1 - how % 32 * 132);
		check_reply(0, before);
		return;
	}
	bytes(in, body, n);
	if (rpc_op(op)->reply == sizeof(struct rpc_entry))
		body[0] = how < 4 ? body[0] : 2 + body[0] % 10;
	if (rpc_op(op)->arena == RPC_A_OUT && rq->alen > 0) {
		body[0] = how < 8 ? body[0] : body[0] % (rq->alen + 1u);
		if ((op == RPC_READDIR || op == RPC_READDIRPLUS) && how >= 32)
			body[0] = listing(in, fake_arena(), rq->alen, op == RPC_READDIRPLUS);
		else
			bytes(in, fake_arena(), how < 128 ? rq->alen : 64 < rq->alen ? 64 : rq->alen);
	}
	if ((rpc_op(op)->flags & RPC_OP_FD) != 0 && how % 2 == 0)
		REQUIRE((fd = memfd_create("file", MFD_CLOEXEC)) >= 0 && write(fd, "content", 7) == 7);
	if (!fake_answer(body, n, op == RPC_READLINK ? "target" : NULL, 6, fd) && fd >= 0)
		close(fd);
	check_reply(0, before);
	if (fake.finished != before)
		learn_fh(op, op == RPC_CREATE || op == RPC_TMPFILE ? body[0] : node);
}

static void
init(uint64_t flags)
{
	struct {
		struct fuse_in_header h;
		struct fuse_init_in a;
	} m = {
		.h = { .len = sizeof(m), .opcode = FUSE_INIT },
		.a = { .major = 7, .minor = 38, .flags = (uint32_t)flags, .flags2 = (uint32_t)(flags >> 32) }
	};

	fake_send(&m, sizeof(m), SPLIT_NONE, 80, SPLIT_NONE, false);
	while (!atomic_load(&fake.s.inited) && fake_rpc() != NULL)
		if (!fake_answer(NULL, 0, NULL, 0, -1))
			fake_answer_error(-EIO);
}

static void
simple(uint32_t opcode, uint64_t node, const void *arg, size_t n)
{
	struct {
		struct fuse_in_header h;
		uint8_t	arg[8];
	} m = { .h = { .len = (uint32_t)(sizeof(m.h) + n), .opcode = opcode, .nodeid = node } };

	memcpy(m.arg, arg, n);
	fake_send(&m, sizeof(m.h) + n, SPLIT_NONE, 200, SPLIT_NONE, false);
}

/* Nodes 2 to 9 known; a donated file, one that the worker serves, and a directory are open. */
static void
begin(void)
{
	for (uint64_t node = 2; node < 10; node++) {
		struct rpc_entry_body e = { .node = node };

		simple(FUSE_LOOKUP, 1, "a", 2);
		REQUIRE(fake_answer(&e, sizeof(e), NULL, 0, -1));
	}
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t how = (uint8_t)(8 + (i == 1));
		struct input in = { &how, 1 };
		const uint32_t arg[2] = { 2, 0 };

		simple(i == 2 ? FUSE_OPENDIR : FUSE_OPEN, 2 + i, arg, sizeof(arg));
		worker(&in);
	}
	REQUIRE(nfhs == 3);
}

static void
limit_files(void)
{
	const struct rlimit r = { FILE_MAX, FILE_MAX };
	static bool done;

	if (!done && getenv("FUZZ_NO_LIMIT") == NULL) {
		signal(SIGXFSZ, SIG_IGN);
		REQUIRE(setrlimit(RLIMIT_FSIZE, &r) == 0);
	}
	done = true;
}

/* With the options that have a say in what the guest may ask. */
static void
start(struct input *in)
{
	static const uint32_t flags[] = { DEV_NO_DONATION, DEV_WRITEBACK, DEV_DIRECT_IO, DEV_KILLPRIV_V2,
		DEV_NOATIME, DEV_POSIX_LOCK | DEV_FLOCK };
	uint8_t bits = byte(in);
	uint32_t dev = DEV_XATTR | DEV_ANNOUNCE_SUBMOUNTS;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if ((bits >> i & 1) != 0)
			dev |= flags[i];
	fake_start(dev);
	fake.s.dev.cache = bits >> 6;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct input in;
	uint8_t how;

	in = (struct input){ p, n };
	limit_files();
	nfhs = 0;
	memset(fhs, 0, sizeof(fhs));
	start(&in);
	how = byte(&in);
	if (how % 16 != 0) {
		init(~UINT64_C(0));
		begin();
	}
	if (how >= 0xf0)
		fake.s.dev.flags |= DEV_READONLY;
	while (in.n > 0) {
		uint8_t act = byte(&in);

		fake.slow = (act & 0x10) != 0;
		if (act % 8 < 4)
			guest(&in);
		else if (act % 8 < 7)
			worker(&in);
		else
			forgets_flush(&fake.q);
	}
	fake_stop();
	return 0;
}
