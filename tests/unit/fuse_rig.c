/* SPDX-License-Identifier: BSD-3-Clause */
/* See fuse_rig.h. */
#include "tests/unit/fuse_rig.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* check marks each of its own assertions with a system call: too slow here. */
#define REQUIRE(x)	do { if (!(x)) ck_abort_msg("%s", #x); } while (0)

size_t rig_len;
unsigned rig_sent;

static uint64_t in[(REQUEST_MAX + 65536) / 8];
static uint64_t unique = 1000;

void
rig_compose(uint32_t opcode, uint64_t node, const void *arg, size_t arglen, const void *var, size_t varlen)
{
	*rig_header() = (struct fuse_in_header){
		.opcode = opcode, .unique = ++unique, .nodeid = node, .uid = 1000, .gid = 1001, .pid = 7
	};
	if (arglen > 0)
		memcpy(rig_arg(), arg, arglen);
	rig_set_var(arglen, var, varlen);
}

struct fuse_in_header *
rig_header(void)
{
	return (void *)in;
}

void *
rig_arg(void)
{
	return (char *)in + IN_HEADER;
}

void
rig_set_var(size_t arglen, const void *var, size_t varlen)
{
	if (varlen > 0)
		memcpy((char *)rig_arg() + arglen, var, varlen);
	/* What a guest may put behind it shows if it is taken for more of the same. */
	memset((char *)rig_arg() + arglen + varlen, 'z', 64);
	rig_len = IN_HEADER + arglen + varlen;
	rig_header()->len = (uint32_t)rig_len;
}

static void
send(enum fake_split a, size_t room, enum fake_split b, bool bad)
{
	/* Less than a header has no unique. */
	if (rig_len < IN_HEADER)
		rig_header()->unique = 0;
	rig_sent++;
	fake_send(in, rig_len, a, room, b, bad);
}

void
rig_send(size_t room)
{
	send(SPLIT_NONE, room, SPLIT_NONE, false);
}

void
rig_send_split(enum fake_split a, size_t room, enum fake_split b)
{
	send(a, room, b, false);
}

void
rig_send_bad(size_t room)
{
	send(SPLIT_NONE, room, SPLIT_NONE, true);
}

void
rig_forget_counts(void)
{
	rig_sent = fake.finished;
}

static struct fuse_out_header
reply(void)
{
	struct fuse_out_header h;

	REQUIRE(fake.finished == rig_sent);
	REQUIRE(fake.used >= sizeof(h));
	memcpy(&h, fake.reply, sizeof(h));
	REQUIRE(h.len == fake.used);
	REQUIRE(h.unique == rig_header()->unique);
	return h;
}

int
rig_error(void)
{
	return reply().error;
}

void
rig_expect_error(int error)
{
	struct fuse_out_header h = reply();

	if (h.error != error || h.len != OUT_HEADER)
		ck_abort_msg("error %d, not %d; %u bytes", h.error, error, h.len);
	/* Nothing else was written. */
	for (size_t i = OUT_HEADER; i < fake.room; i++)
		if (fake.reply[i] != 0xee)
			ck_abort_msg("byte %zu written", i);
}

const void *
rig_body(size_t n)
{
	struct fuse_out_header h = reply();

	ck_assert_int_eq(h.error, 0);
	ck_assert_uint_eq(h.len, OUT_HEADER + n);
	for (size_t i = OUT_HEADER + n; i < fake.room; i++)
		if (fake.reply[i] != 0xee)
			ck_abort_msg("byte %zu written", i);
	return fake.reply + OUT_HEADER;
}

void
rig_expect_none(void)
{
	REQUIRE(fake.finished == rig_sent);
	REQUIRE(fake.used == 0);
	for (size_t i = 0; i < fake.room; i++)
		REQUIRE(fake.reply[i] == 0xee);
}

void
rig_ask(uint32_t opcode, uint64_t node, const void *arg, size_t arglen, const void *var, size_t varlen)
{
	rig_compose(opcode, node, arg, arglen, var, varlen);
	rig_send(4096);
}

const void *
rig_rpc(uint16_t op)
{
	const struct rpc_hdr *h = fake_rpc();

	if (h == NULL)
		ck_abort_msg("no RPC; error %d", rig_error());
	ck_assert_str_eq(rpc_op_name(h->op), rpc_op_name(op));
	return h;
}

void
rig_setup(void)
{
	fake_start(DEV_XATTR | DEV_ANNOUNCE_SUBMOUNTS);
	rig_init(~UINT64_C(0));
	rig_know(FILE_NODE, S_IFREG | 0644);
	rig_know(DIR_NODE, S_IFDIR | 0755);
}

static unsigned lines;

void
rig_quiet(enum log_level level, const char *line)
{
	lines += level != LOG_OFF && line[0] != '\0';
}

void
rig_init(uint64_t flags)
{
	struct fuse_init_in a = {
		.major = 7, .minor = 38, .max_readahead = 4096, .flags = (uint32_t)flags, .flags2 = (uint32_t)(flags >> 32)
	};

	if (fake.finished == 0)
		rig_sent = 0;
	rig_compose(FUSE_INIT, 0, &a, sizeof(a), NULL, 0);
	rig_send(80);
	ck_assert_uint_eq(fake_rpc()->op, RPC_RESET);
	ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	rig_body(64);
}

void
rig_entry(struct rpc_entry_body *e, uint64_t node, uint32_t mode)
{
	memset(e, 0, sizeof(*e));
	e->node = node;
	e->attr = (struct rpc_attr){
		.ino = node + 100000, .size = 5, .blocks = 8, .atime = -1, .mtime = 2, .ctime = 3, .atimensec = 4,
		.mtimensec = 5, .ctimensec = 6, .mode = mode, .nlink = 7, .uid = 8, .gid = 9, .rdev = 10, .blksize = 11
	};
}

void
rig_know(uint64_t node, uint32_t mode)
{
	struct rpc_entry_body e;
	const struct fuse_entry_out *o;

	rig_entry(&e, node, mode);
	rig_compose(FUSE_LOOKUP, NODE_ROOT, NULL, 0, "x", 2);
	rig_send(144);
	ck_assert(fake_answer(&e, sizeof(e), NULL, 0, -1));
	o = rig_body(sizeof(*o));
	ck_assert_uint_eq(o->nodeid, node);
}

static uint64_t
opened(uint32_t opcode, uint64_t node, uint32_t flags, int fd)
{
	struct fuse_open_in a = { .flags = flags };
	uint32_t body[2] = { S_IFREG | 0644, 0 };
	const struct fuse_open_out *o;

	rig_compose(opcode, node, &a, sizeof(a), NULL, 0);
	rig_send(32);
	ck_assert_ptr_nonnull(fake_rpc());
	ck_assert(fake_answer(body, sizeof(body), NULL, 0, fd));
	o = rig_body(sizeof(*o));
	ck_assert_uint_eq(o->open_flags, 0);
	return o->fh;
}

uint64_t
rig_open(uint64_t node, uint32_t flags, int fd)
{
	return opened(FUSE_OPEN, node, flags, fd);
}

uint64_t
rig_opendir(uint64_t node)
{
	return opened(FUSE_OPENDIR, node, 0, -1);
}

void
rig_expect_lie(const void *body, size_t n)
{
	const unsigned finished = fake.finished, live = fake.live;

	ck_assert(!fake_answer(body, n, NULL, 0, -1));
	ck_assert_ptr_nonnull(fake.lie);
	ck_assert_uint_eq(fake.finished, finished);
	ck_assert_uint_eq(fake.live, live);
	ck_assert_ptr_nonnull(fake_rpc());
}
