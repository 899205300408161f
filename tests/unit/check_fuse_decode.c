/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of the front's FUSE code between a guest's bytes and the worker's messages. Links front/fuse*.c,
 * session.c, reply.c, data.c, nodes.c, handles.c, lane.c, common/log.c, common/msg.c, proto/rpc.c and
 * tests/unit/fake_lanes.c. What a
 * request says and what its answer becomes: check_fuse_replies.c, check_fuse_session.c, check_fuse_data.c.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "front/fuse.h"
#include "front/fuse_abi.h"
#include "tests/unit/fuse_rig.h"

#define NAME255	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"	\
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"	\
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define NAME1024	NAME255 "f" NAME255 "f" NAME255 "f" NAME255 "f"
#define V(s)	s, sizeof(s)

static_assert(sizeof(NAME255) == 256 && sizeof(NAME1024) == RPC_NAME_MAX + 1, "so many bytes and a NUL");

/* Every operation that a worker serves: a valid request. */
#define H_FILE	0x1	/* its argument begins with a file's handle */
#define H_DIR	0x2
#define DATA	0x4	/* bytes follow that are not looked at */
#define LOOSE	0x8	/* what follows the fixed part is ignored */

static const struct op {
	uint32_t nr;
	uint16_t fixed;
	const char *var;
	size_t	varlen;
	unsigned names;
	enum rpc_kind k1, k2;
	uint16_t body;		/* the least room of a success */
	uint16_t rpc;
	unsigned flags;
	const char *label;
} ops[] = {
#define O(nr, fixed, var, names, k1, k2, body, rpc, flags) \
	{ FUSE_##nr, fixed, var, names, k1, k2, body, RPC_##rpc, flags, #nr }
#define NOVAR "", 0
	O(LOOKUP, 0, V("a"), 1, RPC_K_LOOKUP, RPC_K_NONE, 128, LOOKUP, 0),
	O(GETATTR, 16, NOVAR, 0, 0, 0, 104, GETATTR, LOOSE),
	O(SETATTR, 88, NOVAR, 0, 0, 0, 104, SETATTR, LOOSE),
	O(READLINK, 0, NOVAR, 0, 0, 0, 0, READLINK, LOOSE),
	O(SYMLINK, 0, V("n\0target/.."), 2, RPC_K_COMP, RPC_K_TARGET, 128, SYMLINK, 0),
	O(MKNOD, 16, V("a"), 1, RPC_K_COMP, RPC_K_NONE, 128, MKNOD, 0),
	O(MKDIR, 8, V(NAME255), 1, RPC_K_COMP, RPC_K_NONE, 128, MKDIR, 0),
	O(UNLINK, 0, V("a"), 1, RPC_K_COMP, RPC_K_NONE, 0, UNLINK, 0),
	O(RMDIR, 0, V("ab"), 1, RPC_K_COMP, RPC_K_NONE, 0, RMDIR, 0),
	O(RENAME, 8, V("old\0new"), 2, RPC_K_COMP, RPC_K_COMP, 0, RENAME, 0),
	O(RENAME2, 16, V("old\0new"), 2, RPC_K_COMP, RPC_K_COMP, 0, RENAME, 0),
	O(LINK, 8, V("a"), 1, RPC_K_COMP, RPC_K_NONE, 128, LINK, 0),
	O(OPEN, 8, NOVAR, 0, 0, 0, 16, OPEN, LOOSE),
	O(READ, 40, NOVAR, 0, 0, 0, 0, READ, H_FILE | LOOSE),
	O(WRITE, 40, V("dat"), 0, 0, 0, 8, WRITE, H_FILE | DATA),
	O(STATFS, 0, NOVAR, 0, 0, 0, 80, STATFS, LOOSE),
	O(RELEASE, 24, NOVAR, 0, 0, 0, 0, RELEASE, H_FILE | LOOSE),
	O(FSYNC, 16, NOVAR, 0, 0, 0, 0, FSYNC, H_FILE | LOOSE),
	O(SETXATTR, 8, V("user.x\0val"), 1, RPC_K_XATTR, RPC_K_NONE, 0, SETXATTR, DATA),
	O(GETXATTR, 8, V("user.x"), 1, RPC_K_XATTR, RPC_K_NONE, 0, GETXATTR, 0),
	O(LISTXATTR, 8, NOVAR, 0, 0, 0, 0, LISTXATTR, LOOSE),
	O(REMOVEXATTR, 0, V("user.x"), 1, RPC_K_XATTR, RPC_K_NONE, 0, REMOVEXATTR, 0),
	O(FLUSH, 24, NOVAR, 0, 0, 0, 0, FLUSH, H_FILE | LOOSE),
	O(OPENDIR, 8, NOVAR, 0, 0, 0, 16, OPENDIR, LOOSE),
	O(READDIR, 40, NOVAR, 0, 0, 0, 0, READDIR, H_DIR | LOOSE),
	O(READDIRPLUS, 40, NOVAR, 0, 0, 0, 0, READDIRPLUS, H_DIR | LOOSE),
	O(RELEASEDIR, 24, NOVAR, 0, 0, 0, 0, RELEASE, H_DIR | LOOSE),
	O(FSYNCDIR, 16, NOVAR, 0, 0, 0, 0, FSYNC, H_DIR | LOOSE),
	O(ACCESS, 8, NOVAR, 0, 0, 0, 0, ACCESS, LOOSE),
	O(CREATE, 16, V("a"), 1, RPC_K_COMP, RPC_K_NONE, 144, CREATE, 0),
	O(FALLOCATE, 32, NOVAR, 0, 0, 0, 0, FALLOCATE, H_FILE | LOOSE),
	O(LSEEK, 24, NOVAR, 0, 0, 0, 8, LSEEK, H_FILE | LOOSE),
	O(COPY_FILE_RANGE, 56, NOVAR, 0, 0, 0, 8, COPY, H_FILE | LOOSE),
	O(SYNCFS, 0, NOVAR, 0, 0, 0, 0, SYNCFS, LOOSE),
	O(TMPFILE, 16, V("/"), 0, 0, 0, 144, TMPFILE, 0),
	O(IOCTL, 32, NOVAR, 0, 0, 0, 20, FLAGS_GET, H_FILE | LOOSE),
	{ ABI_STATX, 24, NOVAR, 0, 0, 0, 288, RPC_STATX, LOOSE, "STATX" },
	{ ABI_COPY_FILE_RANGE_64, 56, NOVAR, 0, 0, 0, 8, RPC_COPY, H_FILE | LOOSE, "COPY_FILE_RANGE_64" },
};
#define NOPS	((int)countof(ops))

/* Without the system call that check makes for each of its own assertions. */
#define REQUIRE(x)	do { if (!(x)) ck_abort_msg("%s", #x); } while (0)

static uint64_t file_fh, dir_fh;

static void
setup(void)
{
	rig_setup();
	file_fh = rig_open(FILE_NODE, O_RDWR, -1);
	dir_fh = rig_opendir(DIR_NODE);
}

/* Compose the valid request of a row. */
static void
valid_request(const struct op *o)
{
	uint64_t arg[11] = { 0 }, node = (o->flags & H_FILE) != 0 ? FILE_NODE : DIR_NODE;

	if ((o->flags & (H_FILE | H_DIR)) != 0)
		arg[0] = (o->flags & H_FILE) != 0 ? file_fh : dir_fh;
	switch (o->nr) {
	case FUSE_RENAME: case FUSE_RENAME2: arg[0] = NODE_ROOT; break;
	case FUSE_LINK: arg[0] = FILE_NODE; break;
	case FUSE_READ: case FUSE_READDIR: case FUSE_READDIRPLUS: arg[2] = 512; break;
	case FUSE_WRITE: arg[2] = o->varlen; break;
	case FUSE_SETXATTR: arg[0] = 4; break;		/* "val" and NUL */
	case FUSE_TMPFILE: arg[0] = (uint64_t)0600 << 32; break;	/* the mode, which must not be 0 */
	case FUSE_COPY_FILE_RANGE: case ABI_COPY_FILE_RANGE_64: arg[2] = FILE_NODE; arg[3] = file_fh; break;
	case FUSE_IOCTL: arg[1] = (uint64_t)FS_IOC_GETFLAGS << 32; arg[3] = UINT64_C(4) << 32; break;
	default: break;
	}
	rig_compose(o->nr, node, arg, o->fixed, o->var, o->varlen);
}

/* What must have come of it: an RPC, which is answered; the guest gets that answer. */
static void
served(const struct op *o, const char *how)
{
	const struct rpc_hdr *h = fake_rpc();

	if (h == NULL)
		ck_abort_msg("%s %s: no RPC; error %d", o->label, how, rig_error());
	if (h->op != o->rpc)
		ck_abort_msg("%s %s: %s", o->label, how, rpc_op_name(h->op));
	if (o->names > 0)
		REQUIRE(strcmp(rpc_name1(RPC_REQUEST, h), o->var) == 0);
	if (o->names > 1)
		REQUIRE(strcmp(rpc_name2(RPC_REQUEST, h), o->var + strlen(o->var) + 1) == 0);
	REQUIRE(fake.finished == rig_sent - 1);
	REQUIRE(fake_answer_error(-ENODATA));
	rig_expect_error(-ENODATA);
	REQUIRE(fake_rpc() == NULL);
	REQUIRE(fake.live == 0);
}

static void
refused(const struct op *o, int error, const char *how)
{
	if (fake_rpc() != NULL)
		ck_abort_msg("%s %s: was served", o->label, how);
	if (rig_error() != error)
		ck_abort_msg("%s %s: %d, not %d", o->label, how, rig_error(), error);
	rig_expect_error(error);
	REQUIRE(fake.live == 0);
}

START_TEST(splits)
{
	const struct op *o = &ops[_i];

	for (int a = 0; a < SPLITS; a++)
		for (int c = 0; c < SPLITS; c++) {
			valid_request(o);
			rig_send_split((enum fake_split)a, 4096, (enum fake_split)c);
			served(o, "split");
			if (o->nr == FUSE_RELEASE)
				file_fh = rig_open(FILE_NODE, O_RDWR, -1);
			if (o->nr == FUSE_RELEASEDIR)
				dir_fh = rig_opendir(DIR_NODE);
		}
} END_TEST

/* Too short in every way, and too long. */
START_TEST(lengths)
{
	const struct op *o = &ops[_i];
	size_t n;

	valid_request(o);
	n = rig_len;
	for (size_t k = 0; k < n; k++) {
		bool short_data = (o->flags & DATA) != 0 && o->nr == FUSE_WRITE && k >= IN_HEADER + o->fixed;

		/* The chain is shorter than its header says. */
		valid_request(o);
		rig_len = k;
		rig_send(4096);
		refused(o, -EINVAL, "short chain");
		/* The header says less than it is, the bytes being there. */
		valid_request(o);
		rig_header()->len = (uint32_t)k;
		rig_send(4096);
		if (short_data)
			served(o, "short len");
		else
			refused(o, -EINVAL, "short len");
		/* Both agree. */
		valid_request(o);
		rig_header()->len = (uint32_t)k;
		rig_len = k;
		rig_send(4096);
		if (short_data)
			served(o, "short");
		else
			refused(o, -EINVAL, "short");
	}
	/* More in the chain than the header says is ignored. */
	valid_request(o);
	rig_len += 1;
	rig_send(4096);
	served(o, "long chain");
	if (o->nr == FUSE_RELEASE || o->nr == FUSE_RELEASEDIR || o->nr == FUSE_WRITE)
		return;
	/* More than the operation knows: in a name it is an error. */
	for (size_t k = 1; k <= 8; k++) {
		valid_request(o);
		rig_header()->len += (uint32_t)k;
		rig_len += k;
		rig_send(4096);
		if ((o->flags & LOOSE) != 0)
			served(o, "long");
		else
			refused(o, -EINVAL, "long");
	}
} END_TEST

START_TEST(lying_len)
{
	static const struct {
		uint32_t len;
		int	error;
	} rows[] = {
		{ REQUEST_MAX + 1, -ENOMEM }, { UINT32_MAX, -ENOMEM }, { 0x80000000, -ENOMEM }, { REQUEST_MAX, -EINVAL },
		{ 0, -EINVAL }, { 39, -EINVAL },
	};
	const struct op *o = &ops[_i];

	for (size_t i = 0; i < countof(rows); i++) {
		valid_request(o);
		rig_header()->len = rows[i].len;
		rig_send(4096);
		refused(o, rows[i].error, "lying len");
	}
} END_TEST

START_TEST(bad_chain)
{
	const struct op *o = &ops[_i];

	valid_request(o);
	rig_send_bad(4096);
	refused(o, -EFAULT, "bad chain");
} END_TEST

START_TEST(little_room)
{
	const struct op *o = &ops[_i];

	for (size_t room = 0; room < OUT_HEADER + o->body; room++) {
		valid_request(o);
		rig_send(room);
		ck_assert_ptr_null(fake_rpc());
		if (room < OUT_HEADER)
			ck_assert_uint_eq(fake.used, 0);
		else
			refused(o, -EIO, "little room");
	}
	valid_request(o);
	rig_send(OUT_HEADER + (o->body == 0 ? 512u : o->body));
	served(o, "just enough room");
} END_TEST

START_TEST(unknown_node)
{
	static const uint64_t bad[] = { 0, 999, UINT64_MAX, (UINT64_C(1) << 32) | FILE_NODE };
	const struct op *o = &ops[_i];

	for (size_t i = 0; i < countof(bad); i++) {
		valid_request(o);
		rig_header()->nodeid = bad[i];
		rig_send(4096);
		refused(o, -EBADF, "unknown node");
	}
} END_TEST

START_TEST(unknown_handle)
{
	const struct op *o = &ops[_i];
	uint64_t wrong[] = { 0, UINT64_MAX, file_fh + 1000, file_fh | UINT64_C(1) << 63, 5 };

	if ((o->flags & (H_FILE | H_DIR)) == 0)
		return;
	for (size_t i = 0; i < countof(wrong); i++) {
		valid_request(o);
		if (wrong[i] == file_fh || wrong[i] == dir_fh)
			continue;
		memcpy(rig_arg(), &wrong[i], 8);
		rig_send(4096);
		refused(o, -EBADF, "unknown handle");
	}
	/* A handle of another node. */
	valid_request(o);
	memcpy(rig_arg(), (o->flags & H_FILE) != 0 ? &dir_fh : &file_fh, 8);
	rig_send(4096);
	refused(o, -EBADF, "handle of another node");
} END_TEST

START_TEST(before_init)
{
	const struct op *o = &ops[_i];

	valid_request(o);
	fake_stop();
	fake_start(DEV_XATTR);
	rig_forget_counts();
	rig_send(4096);
	refused(o, -EBADF, "before INIT");
} END_TEST

static const struct {
	const char *name;
	size_t	n;			/* its bytes in the request */
	int	comp, lookup, target, xattr;
} names[] = {
	{ V("ok"), 0, 0, 0, 0 },
	{ V(""), -ENOENT, -ENOENT, -ENOENT, -ENOENT },
	{ V("."), -EINVAL, 0, 0, 0 },
	{ V(".."), -EINVAL, 0, 0, 0 },
	{ V("..."), 0, 0, 0, 0 },
	{ V("/"), -EINVAL, -EINVAL, 0, 0 },
	{ V("a/b"), -EINVAL, -EINVAL, 0, 0 },
	{ V("../x"), -EINVAL, -EINVAL, 0, 0 },
	{ V("a\0b"), -EINVAL, -EINVAL, -EINVAL, -EINVAL },
	{ V("a\0"), -EINVAL, -EINVAL, -EINVAL, -EINVAL },
	{ "a", 1, -EINVAL, -EINVAL, -EINVAL, -EINVAL },
	{ V(NAME255), 0, 0, 0, 0 },
	{ V(NAME255 "x"), 0, 0, 0, -ENAMETOOLONG },
	{ V(NAME1024), 0, 0, 0, -ENAMETOOLONG },
	{ V(NAME1024 "x"), -ENAMETOOLONG, -ENAMETOOLONG, 0, -ENAMETOOLONG },
};

static int
name_error(size_t i, enum rpc_kind k)
{
	return k == RPC_K_COMP ? names[i].comp : k == RPC_K_LOOKUP ? names[i].lookup : k == RPC_K_TARGET ?
	    names[i].target : names[i].xattr;
}

START_TEST(bad_names)
{
	const struct op *o = &ops[_i];

	for (size_t i = 0; o->names > 0 && i < countof(names); i++)
		for (unsigned which = 0; which < o->names; which++) {
			char var[2048];
			size_t n = 0;
			int want = name_error(i, which == 0 ? o->k1 : o->k2);

			/* A second NUL ends the first of two names early; a missing one joins them. */
			if (o->names == 2 && which == 0 && (strlen(names[i].name) + 1 != names[i].n))
				continue;
			if (which == 1)
				n = (size_t)(stpcpy(var, "first") + 1 - var);
			memcpy(var + n, names[i].name, names[i].n);
			n += names[i].n;
			if (o->names == 2 && which == 0)
				n += (size_t)(stpcpy(var + n, "second") + 1 - (var + n));
			if (o->nr == FUSE_SETXATTR && strlen(names[i].name) + 1 != names[i].n)
				continue;
			valid_request(o);
			if (o->nr == FUSE_SETXATTR)
				memset(rig_arg(), 0, 8);
			rig_set_var(o->fixed, var, n);
			rig_send(4096);
			if (want != 0) {
				refused(o, want, names[i].name);
				continue;
			}
			ck_assert_msg(fake_rpc() != NULL, "%s name %zu", o->label, i);
			ck_assert_str_eq(which == 0 ? rpc_name1(RPC_REQUEST, fake_rpc()) :
			    rpc_name2(RPC_REQUEST, fake_rpc()), names[i].name);
			ck_assert(fake_answer_error(-EIO));
		}
} END_TEST

/* The extensions of CREATE, MKDIR, MKNOD and SYMLINK: words behind the name. */
static const struct {
	const char *what;
	size_t	n;			/* bytes */
	int	error;
	uint32_t w[8];
	unsigned groups;		/* how many the worker sees */
} exts[] = {
	{ "none", 0, 0, { 0 }, 0 },
	{ "no groups", 16, 0, { 16, 32, 0, 0 }, 0 },
	{ "one", 16, 0, { 16, 32, 1, 1000 }, 1 },
	{ "two", 24, 0, { 24, 32, 2, 1000, 1001, 0 }, 2 },
	{ "three", 24, 0, { 24, 32, 3, 1000, 1001, 1002 }, 3 },
	{ "two, unpadded", 20, -EINVAL, { 20, 32, 2, 1000, 1001 }, 0 },
	{ "one too many", 16, -EINVAL, { 16, 32, 2, 1000 }, 0 },
	{ "one too few", 24, -EINVAL, { 24, 32, 1, 1000, 0, 0 }, 0 },
	{ "huge nr", 16, -EINVAL, { 16, 32, UINT32_MAX, 0 }, 0 },
	{ "nr that wraps", 16, -EINVAL, { 16, 32, 0x40000001, 0 }, 0 },
	{ "no nr", 8, -EINVAL, { 8, 32 }, 0 },
	{ "half a header", 4, -EINVAL, { 16 }, 0 },
	{ "size 0", 16, -EINVAL, { 0, 32, 0, 0 }, 0 },
	{ "size 7", 16, -EINVAL, { 7, 32, 0, 0 }, 0 },
	{ "size beyond the end", 16, -EINVAL, { 24, 32, 1, 0 }, 0 },
	{ "size huge", 16, -EINVAL, { UINT32_MAX, 32, 1, 0 }, 0 },
	{ "twice", 32, -EINVAL, { 16, 32, 1, 1000, 16, 32, 1, 1000 }, 0 },
	{ "garbage behind", 20, -EINVAL, { 16, 32, 1, 1000, 1 }, 0 },
	{ "no security context", 8, -EINVAL, { 8, 0 }, 0 },
	{ "a security context", 24, -EINVAL, { 24, 1, 1, 0, 0x61, 0 }, 0 },
	{ "type 31", 8, -EINVAL, { 8, 31 }, 0 },
	{ "type 33", 8, -EINVAL, { 8, 33 }, 0 },
	{ "type huge", 8, -EINVAL, { 8, UINT32_MAX }, 0 },
};

static const uint32_t makers[] = { FUSE_CREATE, FUSE_MKDIR, FUSE_MKNOD, FUSE_SYMLINK };

static const struct op *
op_row(uint32_t nr)
{
	for (size_t i = 0; i < countof(ops); i++)
		if (ops[i].nr == nr)
			return &ops[i];
	ck_abort();
}

START_TEST(extensions)
{
	for (size_t k = 0; k < countof(makers); k++) {
		const struct op *o = op_row(makers[k]);
		uint8_t var[1024];
		const struct rpc_create *w;

		memcpy(var, o->var, o->varlen);
		memcpy(var + o->varlen, exts[_i].w, exts[_i].n);
		valid_request(o);
		rig_set_var(o->fixed, var, o->varlen + exts[_i].n);
		rig_send(4096);
		if (exts[_i].error != 0) {
			refused(o, exts[_i].error, exts[_i].what);
			continue;
		}
		w = (const void *)fake_rpc();
		ck_assert_msg(w != NULL, "%s %s", o->label, exts[_i].what);
		/* Negotiated: a guest that names no group means none. */
		ck_assert_uint_eq(w->oflags, RPC_CREATE_GROUPS);
		ck_assert_uint_eq(w->h.nx, exts[_i].groups);
		if (exts[_i].groups > 0)
			ck_assert_mem_eq(rpc_x(RPC_REQUEST, &w->h), exts[_i].w + 3, w->h.nx * 4u);
		served(o, exts[_i].what);
	}
} END_TEST

START_TEST(extension_not_negotiated)
{
	static const uint32_t w[] = { 16, 32, 1, 1000 };

	rig_init(FUSE_INIT_EXT);
	for (size_t k = 0; k < countof(makers); k++) {
		const struct op *o = op_row(makers[k]);
		uint8_t var[1024];

		memcpy(var, o->var, o->varlen);
		memcpy(var + o->varlen, w, sizeof(w));
		valid_request(o);
		rig_header()->nodeid = NODE_ROOT;
		rig_set_var(o->fixed, var, o->varlen + sizeof(w));
		rig_send(4096);
		refused(o, -EINVAL, "not negotiated");
		valid_request(o);
		rig_header()->nodeid = NODE_ROOT;
		rig_send(4096);
		ck_assert_uint_eq(((const struct rpc_create *)rig_rpc(o->rpc))->oflags, 0);
		served(o, "without extensions");
	}
} END_TEST

START_TEST(unknown_opcodes)
{
	static const struct op o = { .label = "unknown" };

	for (uint32_t nr = 0; nr < 5000; nr++) {
		bool known = nr == FUSE_INIT || nr == FUSE_DESTROY || nr == FUSE_FORGET || nr == FUSE_BATCH_FORGET ||
		    nr == FUSE_INTERRUPT;

		for (size_t i = 0; i < countof(ops); i++)
			known |= ops[i].nr == nr;
		if (known)
			continue;
		rig_compose(nr, NODE_ROOT, NULL, 0, "abc", 4);
		rig_send(4096);
		refused(&o, -ENOSYS, "opcode");
	}
	rig_compose(UINT32_MAX, NODE_ROOT, NULL, 0, NULL, 0);
	rig_send(4096);
	refused(&o, -ENOSYS, "opcode");
} END_TEST

START_TEST(no_xattr)
{
	static const uint32_t nr[] = { FUSE_SETXATTR, FUSE_GETXATTR, FUSE_LISTXATTR, FUSE_REMOVEXATTR };

	fake.s.dev.flags &= ~(uint32_t)DEV_XATTR;
	for (size_t i = 0; i < countof(nr); i++) {
		valid_request(op_row(nr[i]));
		rig_send(4096);
		refused(op_row(nr[i]), -ENOSYS, "without --xattr");
	}
} END_TEST

/* What changes the share is refused in one that is read-only, whatever it is about; all else is served. */
START_TEST(readonly)
{
	static const uint32_t changes[] = { FUSE_SETATTR, FUSE_SYMLINK, FUSE_MKNOD, FUSE_MKDIR, FUSE_UNLINK, FUSE_RMDIR,
		FUSE_RENAME, FUSE_RENAME2, FUSE_LINK, FUSE_WRITE, FUSE_SETXATTR, FUSE_REMOVEXATTR, FUSE_FALLOCATE,
		FUSE_COPY_FILE_RANGE, FUSE_TMPFILE, ABI_COPY_FILE_RANGE_64 };
	const struct op *o = &ops[_i];
	bool refuse = false;

	fake.s.dev.flags |= DEV_READONLY;
	for (size_t i = 0; i < countof(changes); i++)
		refuse = refuse || changes[i] == o->nr;
	valid_request(o);
	rig_send(4096);
	if (!refuse) {
		served(o, "read-only");
		return;
	}
	refused(o, -EROFS, "read-only");
	valid_request(o);
	rig_header()->nodeid = 999;
	rig_send(4096);
	refused(o, -EROFS, "read-only, unknown node");
} END_TEST

/* What is too short to say how often forgets nothing, whatever stood there in the request before. */
START_TEST(short_forget)
{
	static const uint64_t often = 1000;

	rig_compose(FUSE_STATFS, NODE_ROOT, &often, sizeof(often), NULL, 0);
	rig_send(4096);
	ck_assert(fake_answer_error(-EIO));
	for (size_t n = 0; n < sizeof(often); n++) {
		rig_compose(FUSE_FORGET, FILE_NODE, &often, n, NULL, 0);
		rig_send(0);
		rig_expect_none();
		ck_assert(nodes_known(FILE_NODE));
	}
	rig_compose(FUSE_FORGET, FILE_NODE, &often, sizeof(often), NULL, 0);
	rig_send(0);
	rig_expect_none();
	ck_assert(!nodes_known(FILE_NODE));
} END_TEST

int
main(void)
{
	Suite *s = suite_create("fuse_decode");
	TCase *ok = tcase_create("ok"), *hostile = tcase_create("hostile");
	SRunner *r;
	int failed;

	log_init(rig_quiet, LOG_DEBUG);
	tcase_add_checked_fixture(ok, setup, fake_stop);
	tcase_add_loop_test(ok, splits, 0, NOPS);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(hostile, setup, fake_stop);
	tcase_set_timeout(hostile, 20);
	tcase_add_loop_test(hostile, lengths, 0, NOPS);
	tcase_add_loop_test(hostile, lying_len, 0, NOPS);
	tcase_add_loop_test(hostile, bad_chain, 0, NOPS);
	tcase_add_loop_test(hostile, little_room, 0, NOPS);
	tcase_add_loop_test(hostile, unknown_node, 0, NOPS);
	tcase_add_loop_test(hostile, unknown_handle, 0, NOPS);
	tcase_add_loop_test(hostile, before_init, 0, NOPS);
	tcase_add_loop_test(hostile, bad_names, 0, NOPS);
	tcase_add_loop_test(hostile, extensions, 0, (int)countof(exts));
	tcase_add_test(hostile, extension_not_negotiated);
	tcase_add_test(hostile, unknown_opcodes);
	tcase_add_test(hostile, no_xattr);
	tcase_add_loop_test(hostile, readonly, 0, NOPS);
	tcase_add_test(hostile, short_forget);
	suite_add_tcase(s, hostile);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
