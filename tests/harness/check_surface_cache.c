/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_cache - --cache: how long names and attributes are valid in every reply that has them, and what OPEN,
 * OPENDIR and CREATE say of caching (spec/fuse.md section 3).
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <fcntl.h>
#include <string.h>

#include "fuse_beyond.h"

static const struct policy {
	const char *options;
	uint64_t timeout;
	uint32_t file, dir, create;
} policies[] = {
	{ "", 1, 0, 0, 0 },
	{ "--cache=auto", 1, 0, 0, 0 },
	{ "--cache=never", 0, FOPEN_DIRECT_IO, 0, FOPEN_DIRECT_IO },
	{ "--cache=metadata", 86400, FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR,
	    FOPEN_DIRECT_IO },
	{ "--cache=always", 86400, FOPEN_KEEP_CACHE, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR,
	    FOPEN_KEEP_CACHE },
	{ "--cache=always --fd-donation=never", 86400, FOPEN_KEEP_CACHE,
	    FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR, FOPEN_KEEP_CACHE },
	/* A read-only share and one written back say the same. */
	{ "--cache=metadata --readonly", 86400, FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR,
	    0 },
	{ "--cache=always --writeback", 86400, FOPEN_KEEP_CACHE, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR,
	    FOPEN_KEEP_CACHE },
};

static const struct policy *p;

static void
expect_entry(const struct fuse_entry_out *e)
{
	SF_EQ(e->entry_valid, p->timeout);
	SF_EQ(e->attr_valid, p->timeout);
	SF_EQ(e->entry_valid_nsec, 0);
	SF_EQ(e->attr_valid_nsec, 0);
	SF_EQ(e->generation, 0);
}

static void
expect_attr(void)
{
	struct fuse_attr_out a;

	SF_EQ(hc.body_len, sizeof(a));
	memcpy(&a, hc.body, sizeof(a));
	SF_EQ(a.attr_valid, p->timeout);
	SF_EQ(a.attr_valid_nsec, 0);
}

static void
do_lookup(void)
{
	struct fuse_entry_out e;

	SF_OK(fc_lookup(&hc, sf.dir, "f", &e));
	expect_entry(&e);
	/* Names that are not there are not cached. */
	FAILS(ENOENT, fc_lookup(&hc, sf.dir, "none", &e));
}

static void
do_getattr(void)
{
	SF_OK(fc_getattr(&hc, sf_node("f"), NULL));
	expect_attr();
}

static void
do_getattr_fh(void)
{
	struct fuse_getattr_in in = { .getattr_flags = FUSE_GETATTR_FH };
	struct fc_part part = { &in, sizeof(in) };
	struct fuse_open_out o;
	uint64_t node = sf_node("f");

	SF_OK(sf_open(node, O_RDONLY, 0, &o));
	in.fh = o.fh;
	SF_OK(fc_call(&hc, FUSE_GETATTR, node, &part, 1, sizeof(struct fuse_attr_out)));
	expect_attr();
}

static void
do_setattr(void)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 0600 };

	SF_OK(fc_setattr(&hc, sf_node("f"), &in, NULL));
	expect_attr();
}

static void
do_mknod(void)
{
	struct fuse_entry_out e;

	SF_OK(fc_mknod(&hc, sf.dir, "n", S_IFREG | 0644, 0, &e));
	expect_entry(&e);
}

static void
do_mkdir(void)
{
	struct fuse_entry_out e;

	SF_OK(fc_mkdir(&hc, sf.dir, "n", 0755, &e));
	expect_entry(&e);
}

static void
do_symlink(void)
{
	struct fuse_entry_out e;

	SF_OK(fc_symlink(&hc, sf.dir, "n", "t", &e));
	expect_entry(&e);
}

static void
do_link(void)
{
	struct fuse_entry_out e;

	SF_OK(fc_link(&hc, sf_node("f"), sf.dir, "n", &e));
	expect_entry(&e);
}

static void
do_tmpfile(void)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	SF_OK(fc_tmpfile(&hc, sf.dir, O_RDWR | O_TMPFILE, 0644, &e, &o));
	expect_entry(&e);
	SF_EQ(o.open_flags, p->create);
}

static void
do_statx(void)
{
	struct fc_statx_in in = { 0 };
	struct fc_statx_out out;

	SF_OK(fc_statx(&hc, sf_node("f"), &in, &out));
	SF_EQ(out.attr_valid, p->timeout);
	SF_EQ(out.attr_valid_nsec, 0);
}

static void
do_create(void)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	SF_OK(sf_create("n", O_RDWR, 0644, 0, &e, &o));
	expect_entry(&e);
	SF_EQ(o.open_flags, p->create);
	/* And of a file that was there. */
	SF_OK(sf_create("f", O_RDWR, 0644, 0, &e, &o));
	expect_entry(&e);
	SF_EQ(o.open_flags, p->create);
}

static void
do_open(void)
{
	struct fuse_open_out o;

	SF_OK(sf_open(sf_node("f"), O_RDONLY, 0, &o));
	SF_EQ(o.open_flags, p->file);
}

/* O_DIRECTORY in the request makes it a directory, nothing else. */
static void
do_open_dir(void)
{
	struct fuse_open_out o;

	SF_OK(sf_open(sf.dir, O_RDONLY, 0, &o));
	SF_EQ(o.open_flags, p->file);
	SF_OK(sf_open(sf.dir, O_RDONLY | O_DIRECTORY, 0, &o));
	SF_EQ(o.open_flags, p->dir);
}

static void
do_opendir(void)
{
	struct fuse_open_out o;

	SF_OK(sf_opendir(sf.dir, O_RDONLY, &o));
	SF_EQ(o.open_flags, p->dir);
}

static void
do_readdirplus(void)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_dirent d;
	char name[256];
	size_t pos = 0;
	int n = 0;

	SF_OK(sf_opendir(sf.dir, O_RDONLY, &o));
	ck_assert_int_gt(fc_readdir(&hc, sf.dir, o.fh, 0, 4096, true), 0);
	while (fc_next_dirent(&hc, &pos, true, &e, &d, name) == 1) {
		n++;
		if (name[0] == '.') {
			/* Not looked up: nothing of it is valid. */
			SF_EQ(e.nodeid, 0);
			SF_EQ(e.entry_valid, 0);
			SF_EQ(e.attr_valid, 0);
			SF_EQ(e.attr.mode, S_IFDIR);
			SF_EQ(e.attr.ino, d.ino);
		} else
			expect_entry(&e);
	}
	SF_EQ(n, 3);
}

static const struct {
	const char *name;
	uint32_t opcode;
	void (*run)(void);
	bool changes;
} ops[] = {
	{ "LOOKUP", FUSE_LOOKUP, do_lookup, false },
	{ "GETATTR", FUSE_GETATTR, do_getattr, false },
	{ "GETATTR of a handle", FUSE_GETATTR, do_getattr_fh, false },
	{ "SETATTR", FUSE_SETATTR, do_setattr, true },
	{ "MKNOD", FUSE_MKNOD, do_mknod, true },
	{ "MKDIR", FUSE_MKDIR, do_mkdir, true },
	{ "SYMLINK", FUSE_SYMLINK, do_symlink, true },
	{ "LINK", FUSE_LINK, do_link, true },
	{ "CREATE", FUSE_CREATE, do_create, true },
	{ "TMPFILE", FUSE_TMPFILE, do_tmpfile, true },
	{ "STATX", FC_STATX, do_statx, false },
	{ "OPEN", FUSE_OPEN, do_open, false },
	{ "OPEN of a directory", FUSE_OPEN, do_open_dir, false },
	{ "OPENDIR", FUSE_OPENDIR, do_opendir, false },
	{ "READDIRPLUS", FUSE_READDIRPLUS, do_readdirplus, false },
};

#define ROWS (countof(policies) * countof(ops))
static uint16_t list[ROWS];

static bool
sensible(size_t i)
{
	return !ops[i % countof(ops)].changes ||
	    strstr(policies[i / countof(ops)].options, "--readonly") == NULL;
}

START_TEST(test_row)
{
	size_t op = list[_i] % countof(ops);
	char name[96];

	p = &policies[list[_i] / countof(ops)];
	snprintf(name, sizeof(name), "%s %s", p->options, ops[op].name);
	sf_begin(name, p->options, SF_DIR, ops[op].opcode);
	sf_put("f", "data", 0, 0, 0644);
	ops[op].run();
	sf_end();
}
END_TEST

TCase *
check_surface_cache(void)
{
	TCase *t = tcase_create("cache");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_row, 0, sf_select(sensible, ROWS, list));
	return t;
}
