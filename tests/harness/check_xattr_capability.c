/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_xattr_capability - a security.capability that is another name on the host: removed by whatever
 * changes the file, whichever process moves its data (spec/xattrmap.md section 6, S17).
 *
 * Runs in: check_xattr.
 */
#include "check_xattr.h"
#include "harness.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define GUEST "security.capability"
#define HOST "user.virtiofs.security.capability"

static const char *const args[] = { "--xattrmap=:map::user.virtiofs.:", NULL };

static uint64_t node, fh;
static struct fuse_attr attr;

static int
set_attr(uint32_t valid)
{
	const struct fuse_setattr_in in = { .valid = valid, .size = 2, .uid = 7, .gid = 7, .mode = 0600 };

	return fc_setattr(&hc, node, &in, &attr);
}

static int
copy(void)
{
	const struct fuse_copy_file_range_in in = { .fh_in = fh, .nodeid_out = node, .fh_out = fh,
		.off_out = 100, .len = 2 };
	uint32_t n;

	return fc_copy_file_range(&hc, &in, node, &n);
}

static int
open_trunc(void)
{
	struct fuse_open_out o;

	return fc_open_file(&hc, node, O_WRONLY | O_TRUNC, &o);
}

static int
do_write(void)
{
	return fc_write(&hc, node, fh, 0, "x", 1, O_RDWR) == 1 ? 0 : -1;
}

static int
do_append(void)
{
	return fc_write(&hc, node, fh, 0, "x", 1, O_RDWR | O_APPEND) == 1 ? 0 : -1;
}

static int
do_fallocate(void)
{
	return fc_fallocate(&hc, node, fh, 0, 4096, 0);
}

static int
do_truncate(void)
{
	return set_attr(FATTR_SIZE);
}

static int
do_chown(void)
{
	return set_attr(FATTR_UID | FATTR_GID);
}

static int
do_chmod(void)
{
	return set_attr(FATTR_MODE);
}

static int
do_setxattr(void)
{
	return fc_setxattr(&hc, node, "user.other", "x", 1, 0);
}

static int
do_read(void)
{
	char c;

	return fc_read(&hc, node, fh, 0, &c, 1) == 1 ? 0 : -1;
}

static const struct {
	int (*change)(void);
	bool drops;
} rows[] = {
	{ do_write, true }, { do_append, true }, { do_truncate, true }, { do_chown, true },
	{ open_trunc, true }, { do_setxattr, true }, { do_fallocate, true }, { copy, true },
	{ do_chmod, false }, { do_read, false },
};

START_TEST(test_changes)
{
	struct fuse_open_out o;

	h_start(args);
	h_put("f", "content", 7);
	node = h_node("f");
	/* open before the file has any: what is donated by then must not help */
	OK(fc_open_file(&hc, node, O_RDWR, &o));
	fh = o.fh;
	OK(rows[_i].change());
	OK(fc_setxattr(&hc, node, GUEST, "caps", 4, 0));
	ck_assert_int_eq(getxattr(h_path("f"), HOST, NULL, 0), 4);
	ck_assert_int_eq(truncate(h_path("f"), 7), 0);
	OK(rows[_i].change());
	ck_assert_int_eq(getxattr(h_path("f"), HOST, NULL, 0), rows[_i].drops ? -1 : 4);
	h_stop();
}
END_TEST

TCase *
check_xattr_capability(void)
{
	TCase *t = tcase_create("capability");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_changes, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	return t;
}
