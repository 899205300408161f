/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of what the front makes of creations and of xattr requests: extensions (security contexts, supplementary groups)
 * well-formed and not, and what POSIX_ACL changes. Links the front's FUSE code and the fake lanes.
 */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/attr.h"
#include "front/fuse.h"
#include "tests/unit/fuse_rig.h"

#define GROUPS FUSE_CREATE_SUPP_GROUP
#define LABELS FUSE_SECURITY_CTX
#define ACL (FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT)

static const uint32_t makers[] = { FUSE_CREATE, FUSE_MKDIR, FUSE_MKNOD, FUSE_SYMLINK };

/* Bytes that follow the names. */
static struct {
	uint8_t b[300000];
	size_t n;
} ext;

static void
begin(uint64_t flags)
{
	fake_stop();
	fake_start(DEV_XATTR);
	fake.s.dev.posix_acl = (flags & ACL) != 0 ? NEGOTIATE_ALWAYS : NEGOTIATE_NEVER;
	fake.s.dev.security_label = (flags & LABELS) != 0 ? NEGOTIATE_ALWAYS : NEGOTIATE_NEVER;
	rig_init(flags | FUSE_INIT_EXT);
	rig_know(FILE_NODE, S_IFREG | 0644);
	rig_know(DIR_NODE, S_IFDIR | 0755);
	ext.n = 0;
}

static void
setup(void)
{
	fake_start(0);
	begin(GROUPS | LABELS);
}

static void
add(const void *p, size_t n)
{
	ck_assert(ext.n + n <= sizeof(ext.b));
	memcpy(ext.b + ext.n, p, n);
	ext.n += n;
}

static void
add32(uint32_t v)
{
	add(&v, sizeof(v));
}

static void
pad8(size_t from)
{
	static const uint8_t zero[8];

	add(zero, ROUND_UP(ext.n - from, 8) - (ext.n - from));
}

static void
add_groups(uint32_t nr)
{
	const size_t from = ext.n;

	add32(8 + (uint32_t)ROUND_UP(4 + 4 * (size_t)nr, 8));
	add32(FUSE_EXTENSION_GROUPS);
	add32(nr);
	for (uint32_t i = 0; i < nr; i++)
		add32(1000 + i);
	pad8(from);
}

static void
add_label(const char *name, const void *value, uint32_t size)
{
	const size_t from = ext.n;

	add32(0);
	add32(1);
	add32(size);
	add32(0);
	add(name, strlen(name) + 1);
	add(value, size);
	pad8(from);
	((uint32_t *)(void *)(ext.b + from))[0] = (uint32_t)(ext.n - from);
}

static void
add_no_label(void)
{
	add32(8);
	add32(0);
}

/* Send a creation by this opcode with the extensions. */
static void
make(uint32_t opcode)
{
	static uint8_t var[sizeof(ext.b) + 16];
	static const struct fuse_create_in create = { .flags = 2, .mode = 0100644, .umask = 027 };
	static const struct fuse_mkdir_in mkdir = { .mode = 0755, .umask = 027 };
	static const struct fuse_mknod_in mknod = { .mode = 0100644, .umask = 027 };
	const void *arg = opcode == FUSE_CREATE ? (const void *)&create : opcode == FUSE_MKDIR ? (const void *)&mkdir : &mknod;
	const size_t arglen = opcode == FUSE_CREATE ? sizeof(create) : opcode == FUSE_MKDIR ? sizeof(mkdir) :
	    opcode == FUSE_MKNOD ? sizeof(mknod) : 0;
	const size_t names = opcode == FUSE_SYMLINK ? 5 : 2;

	/* an odd length in front: nothing in the extensions may rely on alignment */
	memcpy(var, "n\0to", 5);
	memcpy(var + names, ext.b, ext.n);
	rig_compose(opcode, DIR_NODE, arg, arglen, var, names + ext.n);
	rig_send(4096);
}

static const struct rpc_create *
made(uint32_t opcode)
{
	static const uint16_t rpc[] = { RPC_CREATE, RPC_MKDIR, RPC_MKNOD, RPC_SYMLINK };

	make(opcode);
	for (size_t i = 0; i < countof(makers); i++)
		if (makers[i] == opcode)
			return rig_rpc(rpc[i]);
	ck_abort();
}

START_TEST(label)
{
	for (size_t i = 0; i < countof(makers); i++) {
		const struct rpc_create *w;

		begin(GROUPS | LABELS);
		add_label("security.selinux", "some_t:s0", 10);
		w = made(makers[i]);
		ck_assert_uint_eq(w->label_name, 16);
		ck_assert_uint_eq(w->label_size, 10);
		ck_assert_uint_eq(w->ngroups, 0);
		ck_assert_uint_eq(w->h.nx, 0);
		ck_assert_uint_eq(w->h.alen, 28);
		ck_assert_mem_eq(fake_arena(), "security.selinuxsome_t:s0\0\0", 28);
		ck_assert(fake_answer_error(-EIO));
	}
} END_TEST

START_TEST(label_absent)
{
	for (size_t i = 0; i < countof(makers); i++) {
		const struct rpc_create *w;

		/* The guest has none: said, with nothing in the arena. */
		begin(GROUPS | LABELS);
		add_no_label();
		w = made(makers[i]);
		ck_assert_uint_eq(w->label_name, 0);
		ck_assert_uint_eq(w->h.alen, 0);
		ck_assert(fake_answer_error(-EIO));
		/* Not said. */
		ext.n = 0;
		make(makers[i]);
		rig_expect_error(-EINVAL);
		add_groups(1);
		make(makers[i]);
		rig_expect_error(-EINVAL);
	}
} END_TEST

START_TEST(label_and_groups)
{
	const uint32_t counts[] = { 0, 1, 2, 64, 65, 1000 };

	for (size_t i = 0; i < countof(counts); i++) {
		const uint32_t nr = counts[i];
		const struct rpc_create *w;
		const uint8_t *extent;

		for (int first = 0; first < 2; first++) {
			begin(GROUPS | LABELS);
			if (first)
				add_groups(nr);
			add_label("security.x", "value", 5);
			if (!first)
				add_groups(nr);
			w = made(FUSE_MKDIR);
			extent = fake_arena();
			ck_assert_mem_eq(extent, "security.xvalue\0", 16);
			ck_assert_uint_eq(w->oflags, RPC_CREATE_GROUPS);
			ck_assert_uint_eq(w->h.nx, nr <= RPC_GROUPS_MAX ? nr : 0);
			ck_assert_uint_eq(w->ngroups, nr <= RPC_GROUPS_MAX ? 0 : nr);
			ck_assert_uint_eq(w->h.alen, 16 + 4 * w->ngroups);
			for (uint32_t k = 0; k < w->ngroups; k++)
				ck_assert_uint_eq(((const uint32_t *)(const void *)(extent + 16))[k], 1000 + k);
			ck_assert(fake_answer_error(-EIO));
		}
	}
} END_TEST

START_TEST(many_groups)
{
	const uint32_t counts[] = { 63, 64, 65, 1000, 65535, 65536, 65537 };

	for (size_t i = 0; i < countof(counts); i++) {
		const uint32_t nr = counts[i];
		const struct rpc_create *w;

		begin(GROUPS);
		add_groups(nr);
		if (nr > 65536) {
			make(FUSE_MKDIR);
			rig_expect_error(-EINVAL);
			continue;
		}
		w = made(FUSE_MKDIR);
		if (nr > RPC_GROUPS_MAX) {
			ck_assert_uint_eq(w->h.nx, 0);
			ck_assert_uint_eq(w->ngroups, nr);
			ck_assert_mem_eq(fake_arena(), ext.b + 12, nr * 4);
		} else {
			ck_assert_uint_eq(w->h.nx, nr);
			ck_assert_mem_eq(rpc_x(RPC_REQUEST, &w->h), ext.b + 12, nr * 4);
		}
		ck_assert(fake_answer_error(-EIO));
	}
} END_TEST

/* What is malformed; w are words, and a text may follow them. Both kinds are negotiated. */
static const struct {
	const char *what;
	uint32_t w[8];
	unsigned n;
	const char *text;
	size_t len;
} bad[] = {
	{ "two contexts", { 24, 2, 1, 0 }, 4, "n\0v\0\0\0\0", 8 },
	{ "31 contexts", { 8, 31 }, 2, NULL, 0 },
	{ "twice", { 8, 0, 8, 0 }, 4, NULL, 0 },
	{ "no room for the head", { 12, 1, 1 }, 3, NULL, 0 },
	{ "no name", { 16, 1, 1, 0 }, 4, NULL, 0 },
	{ "name without end", { 24, 1, 1, 0 }, 4, "nnnnnnnn", 8 },
	{ "empty name", { 24, 1, 1, 0 }, 4, "\0v\0\0\0\0\0", 8 },
	{ "size 0", { 24, 1, 0, 0 }, 4, "n\0v\0\0\0\0", 8 },
	{ "value beyond the end", { 24, 1, 7, 0 }, 4, "n\0v\0\0\0\0", 8 },
	{ "value huge", { 24, 1, UINT32_MAX, 0 }, 4, "n\0v\0\0\0\0", 8 },
	{ "extension beyond the end", { 32, 1, 1, 0 }, 4, "n\0v\0\0\0\0", 8 },
	{ "extension of 7 bytes", { 7, 1, 1, 0 }, 4, NULL, 0 },
	{ "half a head behind", { 8, 0, 8 }, 3, NULL, 0 },
	{ "unknown type 33", { 8, 0, 8, 33 }, 4, NULL, 0 },
	{ "groups twice", { 8, 0, 16, 32, 1, 5, 16, 32 }, 8, "\1\0\0\0\5\0\0\0", 8 },
};

START_TEST(malformed)
{
	for (size_t i = 0; i < countof(makers); i++) {
		begin(GROUPS | LABELS);
		add(bad[_i].w, bad[_i].n * sizeof(uint32_t));
		if (bad[_i].len > 0)
			add(bad[_i].text, bad[_i].len);
		make(makers[i]);
		ck_assert_msg(rig_error() == -EINVAL || (strcmp(bad[_i].what, "empty name") == 0 && rig_error() == -ENOENT),
		    "%s: %d", bad[_i].what, rig_error());
		ck_assert_ptr_null(fake_rpc());
	}
} END_TEST

START_TEST(not_negotiated)
{
	begin(GROUPS);
	add_no_label();
	make(FUSE_MKDIR);
	rig_expect_error(-EINVAL);
	begin(GROUPS);
	add_label("security.x", "v", 1);
	make(FUSE_MKDIR);
	rig_expect_error(-EINVAL);
	begin(LABELS);
	add_no_label();
	add_groups(1);
	make(FUSE_MKDIR);
	rig_expect_error(-EINVAL);
	/* Without groups: the caller's are unknown. */
	begin(LABELS);
	add_no_label();
	ck_assert_uint_eq(made(FUSE_MKDIR)->oflags, 0);
	ck_assert(fake_answer_error(-EIO));
	begin(0);
	ck_assert_uint_eq(made(FUSE_MKDIR)->oflags, 0);
} END_TEST

START_TEST(label_sizes)
{
	static char value[RPC_LABEL_MAX + 1], name[RPC_XATTR_MAX + 2];
	const struct rpc_create *w;

	memset(name, 'n', sizeof(name) - 1);
	begin(LABELS);
	add_label(name, "v", 1);
	make(FUSE_MKDIR);
	rig_expect_error(-ENAMETOOLONG);
	begin(LABELS);
	add_label(name + 1, value, RPC_LABEL_MAX);
	w = made(FUSE_MKDIR);
	ck_assert_uint_eq(w->label_name, RPC_XATTR_MAX);
	ck_assert_uint_eq(w->label_size, RPC_LABEL_MAX);
	ck_assert(fake_answer_error(-EIO));
	begin(LABELS);
	add_label("n", value, RPC_LABEL_MAX + 1);
	make(FUSE_MKDIR);
	rig_expect_error(-E2BIG);
} END_TEST

/* The guest has masked the mode, and says its umask all the same, unless masking was left to us. */
START_TEST(umask_is_negotiated)
{
	for (size_t i = 0; i < countof(makers); i++) {
		begin(GROUPS);
		ck_assert_uint_eq(made(makers[i])->umask, 0);
		ck_assert_uint_eq(made(makers[i])->oflags, RPC_CREATE_GROUPS);
		while (fake_answer_error(-EIO))
			;
		begin(GROUPS | ACL);
		ck_assert_uint_eq(made(makers[i])->umask, makers[i] == FUSE_SYMLINK ? 0 : 027);
		ck_assert_uint_eq(made(makers[i])->oflags, RPC_CREATE_GROUPS | RPC_CREATE_ACL);
	}
} END_TEST

static const struct rpc_xattr *
setxattr(uint32_t flags, bool with_ext, uint32_t ext_flags)
{
	struct fuse_setxattr_in in = { .size = 3, .flags = flags, .setxattr_flags = ext_flags };

	rig_compose(FUSE_SETXATTR, FILE_NODE, &in, with_ext ? 16 : 8, "user.n\0val", 10);
	rig_send(16);
	return fake_rpc() != NULL ? rig_rpc(RPC_SETXATTR) : NULL;
}

START_TEST(xattr_flags)
{
	const struct fuse_getxattr_in get = { .size = 4 };
	const struct rpc_xattr *w;

	begin(0);
	w = setxattr(1, false, 0);
	ck_assert(w->xflags == 0 && w->flags == 1 && w->size == 3);
	ck_assert_mem_eq(fake_arena(), "val", 3);
	ck_assert(fake_answer_error(-EIO));
	/* The long form is another request to who did not negotiate it: its tail is part of the name. */
	ck_assert_ptr_null(setxattr(0, true, 0));

	begin(ACL);
	w = setxattr(2, true, 0);
	ck_assert(w->xflags == RPC_XATTR_ACL && w->flags == 2 && w->size == 3);
	ck_assert_str_eq(rpc_name1(RPC_REQUEST, &w->h), "user.n");
	ck_assert_mem_eq(fake_arena(), "val", 3);
	ck_assert(fake_answer_error(-EIO));
	w = setxattr(0, true, FUSE_SETXATTR_ACL_KILL_SGID | 0x80);
	ck_assert_uint_eq(w->xflags, RPC_XATTR_ACL | RPC_XATTR_KILL_SGID);
	ck_assert(fake_answer_error(-EIO));
	ck_assert_ptr_null(setxattr(0, false, 0));
	rig_ask(FUSE_GETXATTR, FILE_NODE, &get, sizeof(get), "n", 2);
	ck_assert_uint_eq(((const struct rpc_xattr *)rig_rpc(RPC_GETXATTR))->xflags, RPC_XATTR_ACL);
	ck_assert(fake_answer_error(-EIO));
	rig_ask(FUSE_LISTXATTR, FILE_NODE, &get, sizeof(get), NULL, 0);
	ck_assert_uint_eq(((const struct rpc_xattr *)rig_rpc(RPC_LISTXATTR))->xflags, RPC_XATTR_ACL);
	ck_assert(fake_answer_error(-EIO));
	rig_ask(FUSE_REMOVEXATTR, FILE_NODE, NULL, 0, "n", 2);
	ck_assert_uint_eq(((const struct rpc_xattr *)rig_rpc(RPC_REMOVEXATTR))->xflags, RPC_XATTR_ACL);
} END_TEST

int
main(void)
{
	Suite *s = suite_create("fuse_making");
	TCase *t = tcase_create("making");
	SRunner *r;
	int failed;

	log_init(rig_quiet, LOG_TRACE);
	tcase_add_checked_fixture(t, setup, fake_stop);
	tcase_add_test(t, label);
	tcase_add_test(t, label_absent);
	tcase_add_test(t, label_and_groups);
	tcase_add_test(t, many_groups);
	tcase_add_loop_test(t, malformed, 0, (int)countof(bad));
	tcase_add_test(t, not_negotiated);
	tcase_add_test(t, label_sizes);
	tcase_add_test(t, umask_is_negotiated);
	tcase_add_test(t, xattr_flags);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
