/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_access - ACCESS: owner, group and others each grant by themselves, root reads and writes everything, no
 * supplementary groups and no ACLs (spec/fuse.md section 6; P18).
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <string.h>

#define OWNER 1000u
#define GROUP 2000u
#define OTHER 3000u

struct access_row {
	unsigned int mode;
	uint32_t uid, gid;
	unsigned int granted;	/* of 4 = R, 2 = W, 1 = X */
};

static const struct access_row rows[] = {
	{ 0000, OWNER, GROUP, 0 }, { 0700, OWNER, OTHER, 7 }, { 0700, OTHER, GROUP, 0 },
	{ 0700, OTHER, OTHER, 0 }, { 0070, OWNER, OTHER, 0 }, { 0070, OTHER, GROUP, 7 },
	{ 0007, OTHER, OTHER, 7 }, { 0007, OWNER, OTHER, 7 }, { 0007, OTHER, GROUP, 7 },
	{ 0400, OWNER, OTHER, 4 }, { 0200, OWNER, OTHER, 2 }, { 0100, OWNER, OTHER, 1 },
	{ 0040, OTHER, GROUP, 4 }, { 0020, OTHER, GROUP, 2 }, { 0010, OTHER, GROUP, 1 },
	{ 0004, OTHER, OTHER, 4 }, { 0002, OTHER, OTHER, 2 }, { 0001, OTHER, OTHER, 1 },
	/* Classes add up. */
	{ 0421, OWNER, GROUP, 7 }, { 0421, OWNER, OTHER, 5 }, { 0421, OTHER, GROUP, 3 },
	{ 0421, OTHER, OTHER, 1 },
	{ 0644, 0, 0, 6 }, { 0000, 0, 0, 6 }, { 0001, 0, 0, 7 }, { 0100, 0, 0, 7 },
	{ 0000, 0, GROUP, 6 },
};

static const char *const options[] = { "", "--readonly" };

START_TEST(test_row)
{
	const struct access_row *r = &rows[(size_t)_i % countof(rows)];
	const char *opts = options[(size_t)_i / countof(rows)];
	char name[100];
	uint64_t node;

	snprintf(name, sizeof(name), "ACCESS %s mode %03o uid %u gid %u", opts, r->mode, r->uid,
	    r->gid);
	sf_begin(name, opts, SF_DIR, FUSE_ACCESS);
	sf_put("f", "x", OWNER, GROUP, r->mode);
	node = sf_node("f");
	hc.uid = r->uid;
	hc.gid = r->gid;
	for (unsigned int mask = 0; mask < 8; mask++) {
		int want = (mask & ~r->granted) == 0 ? 0 : -EACCES;

		if (opts[0] != '\0' && (mask & 2) != 0)
			want = -EROFS;
		SF_EQ(fc_access(&hc, node, mask), want);
		/* Other bits mean nothing. */
		SF_EQ(fc_access(&hc, node, mask | 0xfffffff8u), want);
	}
	sf_end();
}
END_TEST

TCase *
check_surface_access(void)
{
	TCase *t = tcase_create("access");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_row, 0, (int)countof(rows) * 2);
	return t;
}
