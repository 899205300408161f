/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_hostile_frame - requests whose length, header or names lie, and replies with nowhere to go.
 *
 * Runs in: check_hostile.
 */
#include "check_hostile.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Operations with a fixed part: its size. A request cut anywhere inside it must be refused. */
static const struct {
	uint32_t opcode;
	uint32_t fixed;
	bool name;	/* names follow: a request that ends at the fixed part is refused too */
} ops[] = {
	{ FUSE_LOOKUP, 0, true }, { FUSE_GETATTR, 16, false }, { FUSE_SETATTR, 88, false },
	{ FUSE_SYMLINK, 0, true }, { FUSE_MKNOD, 16, true }, { FUSE_MKDIR, 8, true },
	{ FUSE_UNLINK, 0, true }, { FUSE_RMDIR, 0, true }, { FUSE_RENAME, 8, true },
	{ FUSE_RENAME2, 16, true }, { FUSE_LINK, 8, true }, { FUSE_OPEN, 8, false },
	{ FUSE_READ, 40, false }, { FUSE_WRITE, 40, false }, { FUSE_RELEASE, 24, false },
	{ FUSE_FSYNC, 16, false }, { FUSE_SETXATTR, 8, true }, { FUSE_GETXATTR, 8, true },
	{ FUSE_LISTXATTR, 8, false }, { FUSE_REMOVEXATTR, 0, true }, { FUSE_FLUSH, 24, false },
	{ FUSE_INIT, 16, false }, { FUSE_OPENDIR, 8, false }, { FUSE_READDIR, 40, false },
	{ FUSE_RELEASEDIR, 24, false }, { FUSE_FSYNCDIR, 16, false }, { FUSE_ACCESS, 8, false },
	{ FUSE_CREATE, 16, true }, { FUSE_FALLOCATE, 32, false },
	{ FUSE_READDIRPLUS, 40, false }, { FUSE_LSEEK, 24, false },
	{ FUSE_COPY_FILE_RANGE, 56, false },
};

#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

static void
setup_xattr(void)
{
	static const char *const args[] = { "--xattr", NULL };

	hostile_start(args);
	h_put("f", "data", 4);
}

START_TEST(test_eight_bytes)
{
	const uint32_t words[2] = { 8, FUSE_GETATTR };
	static const size_t caps[] = { 0, 8, 16, 128 };

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		memcpy(hc.req, words, sizeof(words));
		ck_assert(hostile_is_refusal(hostile_shoot("8 bytes", 8, caps[i], 0)));
		hostile_check_all("8 bytes");
	}
}
END_TEST

START_TEST(test_short_header)
{
	for (size_t len = 1; len < sizeof(struct fuse_in_header); len++) {
		fc_build(&hc, FUSE_GETATTR, FC_ROOT, NULL, 0);
		ck_assert(hostile_is_refusal(hostile_shoot("short header", len, 120, 0)));
	}
	hostile_check_all("short header");
}
END_TEST

/* Every operation cut at the header, in the middle of its struct, and one byte before its end. */
START_TEST(test_short_struct)
{
	static const char zeros[128];
	struct fc_part part = { zeros, 0 };
	uint32_t cuts[4];
	int result;

	for (size_t i = 0; i < NR_OPS; i++) {
		cuts[0] = 0;
		cuts[1] = ops[i].fixed / 2;
		cuts[2] = ops[i].fixed > 0 ? ops[i].fixed - 1 : 0;
		cuts[3] = ops[i].fixed;
		for (unsigned int c = 0; c < (ops[i].name ? 4u : 3u); c++) {
			part.len = cuts[c];
			result = hostile_call("short struct", ops[i].opcode, FC_ROOT, &part, 1,
			    (uint32_t)(40 + cuts[c]), 4096);
			ck_assert_msg(hostile_is_refusal(result), "opcode %u with %u bytes: %d",
			    ops[i].opcode, cuts[c], result);
		}
		hostile_check_all("short struct");
	}
}
END_TEST

/* header.len against what the chain really holds. */
START_TEST(test_len_lies)
{
	static const uint32_t too_small[] = { 0, 1, 8, 39, 40, 41, 55 };
	static const uint32_t huge[] = { (1u << 20) + 4096 + 1, 1u << 31, 0xffffffffu };
	struct fuse_getattr_in in = { 0 };
	struct fc_part part = { &in, sizeof(in) };
	int result;

	for (size_t i = 0; i < sizeof(too_small) / sizeof(too_small[0]); i++) {
		result = hostile_call("small len", FUSE_GETATTR, FC_ROOT, &part, 1, too_small[i],
		    104);
		ck_assert_msg(hostile_is_refusal(result), "len %u: %d", too_small[i], result);
		hostile_check_all("small len");
	}
	for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		result = hostile_call("huge len", FUSE_GETATTR, FC_ROOT, &part, 1, huge[i], 104);
		ck_assert_msg(result == -ENOMEM, "len %u: %d", huge[i], result);
		hostile_check_all("huge len");
	}
	/* Larger than the chain, but all GETATTR needs is there. */
	result = hostile_call("large len", FUSE_GETATTR, FC_ROOT, &part, 1, 1000, 104);
	ck_assert_msg(result == 0 || hostile_is_refusal(result), "len 1000: %d", result);
	hostile_check_all("large len");
}
END_TEST

START_TEST(test_len_lies_name)
{
	struct fc_part part = { "f\0garbage", 10 };
	struct fuse_entry_out e;
	int result;

	/* More than the chain holds: the rest of the name is not there. */
	result = hostile_call("name beyond the chain", FUSE_LOOKUP, FC_ROOT, &part, 1, 300, 128);
	ck_assert(hostile_is_refusal(result));
	/* What lies behind header.len is ignored. */
	OK(hostile_call("bytes behind the name", FUSE_LOOKUP, FC_ROOT, &part, 1, 42, 128));
	memcpy(&e, hc.body, sizeof(e));
	OK(fc_getattr(&hc, e.nodeid, NULL));
	result = hostile_call("name cut by len", FUSE_LOOKUP, FC_ROOT, &part, 1, 41, 128);
	ck_assert(hostile_is_refusal(result));
	hostile_check_all("name lengths");
}
END_TEST

/* Reply buffers of every size below what the answer needs. */
START_TEST(test_small_reply)
{
	static const uint32_t opcodes[] = { FUSE_GETATTR, FUSE_STATFS, FUSE_OPENDIR, FUSE_LOOKUP,
		FUSE_OPEN, FUSE_READLINK, FUSE_ACCESS, FUSE_INIT };
	static const size_t caps[] = { 0, 1, 8, 15, 16, 17, 24, 31, 32, 64, 79 };
	static const char zeros[64];
	struct fc_part part;
	uint64_t unique;
	size_t len;
	int result;

	for (size_t o = 0; o < sizeof(opcodes) / sizeof(opcodes[0]); o++) {
		for (size_t c = 0; c < sizeof(caps) / sizeof(caps[0]); c++) {
			/* Zeros: an INIT of major 0, which is refused and so never wipes. */
			part.data = opcodes[o] == FUSE_LOOKUP ? "f" : zeros;
			part.len = opcodes[o] == FUSE_LOOKUP ? 2 : sizeof(zeros);
			unique = hc.unique;
			len = fc_build(&hc, opcodes[o], FC_ROOT, &part, 1);
			result = hostile_shoot("small reply", len, caps[c], unique);
			ck_assert_msg(caps[c] >= 16 || result == 1, "opcode %u, %zu bytes: %d",
			    opcodes[o], caps[c], result);
			hostile_check_all("small reply");
		}
	}
}
END_TEST

/* A LOOKUP that could not be answered must not count. */
START_TEST(test_small_reply_counts)
{
	struct fc_part part = { "f", 2 };
	struct fuse_entry_out e;
	uint64_t unique;
	size_t len;
	int i;

	for (i = 0; i < 10; i++) {
		unique = hc.unique;
		len = fc_build(&hc, FUSE_LOOKUP, FC_ROOT, &part, 1);
		ck_assert_int_ne(hostile_shoot("LOOKUP, 32 bytes", len, 32, unique), 0);
	}
	OK(fc_lookup(&hc, FC_ROOT, "f", &e));
	OK(fc_forget(&hc, e.nodeid, 1));
	FAILS(EBADF, fc_getattr(&hc, e.nodeid, NULL));
	hostile_check_all("LOOKUP, 32 bytes");
}
END_TEST

/* Requests without a reply may have a reply buffer all the same. */
START_TEST(test_no_reply_ops)
{
	static const uint64_t body[8] = { 0 };
	static const uint32_t opcodes[] = { FUSE_FORGET, FUSE_INTERRUPT, FUSE_BATCH_FORGET };
	struct fc_part part = { body, 0 };
	uint64_t unique;
	size_t len;

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		part.len = 8;
		unique = hc.unique;
		len = fc_build(&hc, opcodes[i], 12345, &part, 1);
		ck_assert_int_eq(hostile_shoot("no-reply op", len, 128, unique), 1);
		/* And cut short, with and without a buffer. */
		part.len = 3;
		unique = hc.unique;
		len = fc_build(&hc, opcodes[i], 12345, &part, 1);
		ck_assert(hostile_is_refusal(hostile_shoot("cut no-reply op", len, 128, unique)));
		len = fc_build(&hc, opcodes[i], 12345, &part, 1);
		ck_assert_int_eq(hostile_shoot("cut no-reply op", len, 0, 0), 1);
		hostile_check_all("no-reply op");
	}
}
END_TEST

/* ---- names ---- */

/* Operations that take a name: what comes before and behind it. */
static const struct name_op {
	uint32_t opcode;
	uint32_t before;
	const char *after;	/* a second name, or NULL */
	bool looks_only;	/* . and .. are allowed */
} name_ops[] = {
	{ FUSE_LOOKUP, 0, NULL, true }, { FUSE_MKDIR, 8, NULL, false },
	{ FUSE_MKNOD, 16, NULL, false }, { FUSE_SYMLINK, 0, "target", false },
	{ FUSE_UNLINK, 0, NULL, false }, { FUSE_RMDIR, 0, NULL, false },
	{ FUSE_RENAME, 8, "new", false }, { FUSE_RENAME2, 16, "new", false },
	{ FUSE_CREATE, 16, NULL, false }, { FUSE_LINK, 8, NULL, false },
};

#define NR_NAME_OPS (sizeof(name_ops) / sizeof(name_ops[0]))

/* A request of op `o` on directory `dir` with these bytes as the name, NUL or not as they come. */
static int
with_name(const struct name_op *o, uint64_t dir, const void *name, size_t len)
{
	union {
		char bytes[16];
		struct fuse_mkdir_in mkdir;
		struct fuse_mknod_in mknod;
		struct fuse_create_in create;
		uint64_t node;	/* RENAME: new directory; LINK: the file */
	} fixed;
	struct fc_part parts[3] = { { &fixed, o->before }, { name, len }, { NULL, 0 } };
	size_t total = 40 + o->before + len;

	memset(&fixed, 0, sizeof(fixed));
	if (o->opcode == FUSE_MKDIR)
		fixed.mkdir.mode = 0755;
	else if (o->opcode == FUSE_MKNOD)
		fixed.mknod.mode = S_IFREG | 0644;
	else if (o->opcode == FUSE_CREATE) {
		fixed.create.flags = O_RDWR;
		fixed.create.mode = 0644;
	} else if (o->opcode == FUSE_LINK) {
		fixed.node = h_node("f");
	} else if (o->opcode == FUSE_RENAME || o->opcode == FUSE_RENAME2) {
		fixed.node = dir;
	}
	if (o->after != NULL) {
		parts[2].data = o->after;
		parts[2].len = strlen(o->after) + 1;
		total += parts[2].len;
	}
	return hostile_call("name", o->opcode, dir, parts, 3, (uint32_t)total, 4096);
}

static void
setup_names(void)
{
	hostile_start(NULL);
	h_put("f", "data", 4);
	ck_assert(mkdir(h_path("d"), 0777) == 0);
	ck_assert(mkdir(h_path("d/sub"), 0777) == 0);
	h_put("d/sub/x", "x", 1);
}

START_TEST(test_name_without_nul)
{
	const struct name_op *o = &name_ops[_i];
	int err;

	if (o->after == NULL)
		ck_assert(hostile_is_refusal(with_name(o, FC_ROOT, "abc", 3)));
	ck_assert(hostile_is_refusal(with_name(o, FC_ROOT, "a\0b", 4)));
	/* Where two names belong this is an empty one among three. */
	err = with_name(o, FC_ROOT, "a\0", 3);
	ck_assert_msg(hostile_is_refusal(err) || (o->after != NULL && err == -ENOENT),
	    "opcode %u: %d", o->opcode, err);
	ck_assert(!h_exists("abc") && !h_exists("a") && !h_exists("new"));
	hostile_check_all("name without NUL");
}
END_TEST

START_TEST(test_name_empty)
{
	const struct name_op *o = &name_ops[_i];
	int err;

	if (o->after == NULL)
		ck_assert(hostile_is_refusal(with_name(o, FC_ROOT, "", 0)));
	err = with_name(o, FC_ROOT, "", 1);
	ck_assert_msg(err == -ENOENT || err == -EINVAL, "opcode %u, empty name: %d", o->opcode,
	    err);
	hostile_check_all("empty name");
}
END_TEST

START_TEST(test_name_slash)
{
	static const char *const names[] = { "/", "d/sub", "d/sub/x", "/etc", "../x", "d/../f",
		"x/", "f/", "./f", "d/new", "/tmp/escape" };
	const struct name_op *o = &name_ops[_i];
	uint64_t dir = h_node("d");
	int err;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		err = with_name(o, FC_ROOT, names[i], strlen(names[i]) + 1);
		ck_assert_msg(err == -EINVAL, "opcode %u, \"%s\": %d", o->opcode, names[i], err);
		err = with_name(o, dir, names[i], strlen(names[i]) + 1);
		ck_assert_msg(err == -EINVAL, "opcode %u in d, \"%s\": %d", o->opcode, names[i],
		    err);
	}
	ck_assert(h_exists("f") && h_exists("d/sub/x") && !h_exists("d/new"));
	ck_assert(access("/tmp/escape", F_OK) != 0);
	hostile_check_all("name with a slash");
}
END_TEST

START_TEST(test_name_dots)
{
	static const char *const names[] = { ".", ".." };
	const struct name_op *o = &name_ops[_i];
	uint64_t dirs[2] = { FC_ROOT, h_node("d") };
	int err;

	for (unsigned int i = 0; i < 4; i++) {
		err = with_name(o, dirs[i / 2], names[i % 2], strlen(names[i % 2]) + 1);
		if (o->looks_only)
			ck_assert_msg(err == 0 || err == -EINVAL || err == -ENOENT,
			    "lookup of %s: %d", names[i % 2], err);
		else
			ck_assert_msg(err == -EINVAL, "opcode %u, \"%s\": %d", o->opcode,
			    names[i % 2], err);
	}
	ck_assert(h_exists("d/sub/x"));
	hostile_check_all("dots");
}
END_TEST

/* LOOKUP of .. never shows what lies above the share. */
START_TEST(test_lookup_dotdot)
{
	struct fuse_entry_out e;
	struct stat above, root = h_stat("");
	int err;

	ck_assert(lstat(hv->dir, &above) == 0);
	err = fc_lookup(&hc, FC_ROOT, "..", &e);
	if (err == 0) {
		ck_assert_uint_ne(e.attr.ino, above.st_ino);
		ck_assert_uint_eq(e.attr.ino, root.st_ino);
		ck_assert_uint_eq(e.nodeid, FC_ROOT);
	}
	/* The directory above it in the share, or nothing; not the host's. */
	ck_assert(mkdir(h_path("d/sub/deep"), 0755) == 0);
	hostile_check_all("lookup of ..");
}
END_TEST

START_TEST(test_name_long)
{
	static char name[70000];
	const struct name_op *o = &name_ops[_i];
	static const size_t sizes[] = { 256, 4095, 4096, 4097, 65000 };
	int err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(name, 'n', sizeof(name));
		name[sizes[i]] = '\0';
		err = with_name(o, FC_ROOT, name, sizes[i] + 1);
		ck_assert_msg(err == -ENAMETOOLONG, "opcode %u, %zu letters: %d", o->opcode,
		    sizes[i], err);
	}
	hostile_check_all("long name");
}
END_TEST

/* The second name of RENAME is a name too. */
START_TEST(test_rename_target)
{
	static const char *const names[] = { ".", "..", "../x", "d/y", "/y" };
	uint64_t d = h_node("d");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		FAILS(EINVAL, fc_rename(&hc, FC_ROOT, "f", d, names[i]));
		FAILS(EINVAL, fc_rename2(&hc, FC_ROOT, "f", d, names[i], 1));
	}
	ck_assert(h_exists("f"));
	hostile_check_all("rename target");
}
END_TEST

START_TEST(test_symlink_target_nul)
{
	struct fc_part parts[] = { { "l", 2 }, { "a\0b", 4 } };
	int result;

	result = hostile_call("target with NUL", FUSE_SYMLINK, FC_ROOT, parts, 2, 46, 128);
	ck_assert(hostile_is_refusal(result));
	ck_assert(!h_exists("l"));
	parts[1].len = 0;
	result = hostile_call("no target", FUSE_SYMLINK, FC_ROOT, parts, 2, 42, 128);
	ck_assert(hostile_is_refusal(result));
	parts[1].len = 1;
	parts[1].data = "";
	result = hostile_call("empty target", FUSE_SYMLINK, FC_ROOT, parts, 2, 43, 128);
	ck_assert_msg(result == -ENOENT || result == -EINVAL, "empty target: %d", result);
	hostile_check_all("symlink target");
}
END_TEST

TCase *
check_hostile_frame(void)
{
	TCase *t = tcase_create("frame");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup_xattr, hostile_stop);
	tcase_add_test(t, test_eight_bytes);
	tcase_add_test(t, test_short_header);
	tcase_add_test(t, test_short_struct);
	tcase_add_test(t, test_len_lies);
	tcase_add_test(t, test_len_lies_name);
	tcase_add_test(t, test_small_reply);
	tcase_add_test(t, test_small_reply_counts);
	tcase_add_test(t, test_no_reply_ops);
	return t;
}

TCase *
check_hostile_names(void)
{
	TCase *t = tcase_create("names");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup_names, hostile_stop);
	tcase_add_loop_test(t, test_name_without_nul, 0, (int)NR_NAME_OPS);
	tcase_add_loop_test(t, test_name_empty, 0, (int)NR_NAME_OPS);
	tcase_add_loop_test(t, test_name_slash, 0, (int)NR_NAME_OPS);
	tcase_add_loop_test(t, test_name_dots, 0, (int)NR_NAME_OPS);
	tcase_add_loop_test(t, test_name_long, 0, (int)NR_NAME_OPS);
	tcase_add_test(t, test_lookup_dotdot);
	tcase_add_test(t, test_rename_target);
	tcase_add_test(t, test_symlink_target_nul);
	return t;
}
