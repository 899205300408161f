/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_ids_creds - in whose name things are made: supplementary groups that count and are dropped again
 * (S3, S5), what follows from a guest that does not tell them, and threads that are root's afterwards.
 *
 * Runs in: check_ids.
 */
#include "check_ids.h"
#include "harness.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_MOST 65536u

static uint8_t ext[8 + 4 * (GROUPS_MOST + 2)];
static uint32_t gids[GROUPS_MOST];

static int
make_in(uint64_t dir, const char *name, uint32_t n, uint32_t member)
{
	struct fuse_entry_out e;
	uint32_t i;

	for (i = 0; i < n; i++)
		gids[i] = 200000 + i;
	if (n > 0)
		gids[n / 2] = member;
	return fc_make(&hc, FUSE_MKDIR, dir, name, 0755, 0, ext, fc_ext_groups(ext, gids, n), &e);
}

/* Every thread of every process of the daemon has no supplementary group, and one id four times. */
static void
nobodys(void)
{
	struct vmm_proc p[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, p, VMM_MAX_PROCS), i;

	for (i = 0; i < n; i++) {
		char path[64], line[512];
		struct dirent *e;
		DIR *d;

		snprintf(path, sizeof(path), "/proc/%d/task", p[i].pid);
		d = opendir(path);
		ck_assert_ptr_nonnull(d);
		while ((e = readdir(d)) != NULL) {
			FILE *f;

			snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", p[i].pid, e->d_name);
			f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
			while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
				unsigned int a, b, c, x;

				if (strncmp(line, "Groups:", 7) == 0)
					ck_assert_msg(strspn(line + 7, " \t\n") == strlen(line + 7), "%s: %s", path, line);
				if (sscanf(line, "Uid: %u %u %u %u", &a, &b, &c, &x) == 4 ||
				    sscanf(line, "Gid: %u %u %u %u", &a, &b, &c, &x) == 4)
					ck_assert_msg(a == b && b == c && c == x, "%s: %s", path, line);
			}
			if (f != NULL)
				fclose(f);
		}
		closedir(d);
	}
}

static uint64_t
team(void)
{
	ck_assert_int_eq(mkdir(h_path("team"), 0), 0);
	ck_assert_int_eq(chown(h_path("team"), 5, 77), 0);
	ck_assert_int_eq(chmod(h_path("team"), 0770), 0);
	return h_node("team");
}

START_TEST(test_groups)
{
	static const uint32_t counts[] = { 1, 2, 64, 65, 1000, GROUPS_MOST };
	uint64_t dir = team();
	size_t i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		hc.uid = hc.gid = 1000;
		FAILS(EACCES, make_in(dir, "in", counts[i], 78));
		FAILS(EACCES, make_in(dir, "in", 0, 0));
		OK(make_in(dir, "in", counts[i], 77));
		FAILS(EACCES, make_in(dir, "other", counts[i], 78));
		nobodys();
		ck_assert_uint_eq(h_stat("team/in").st_uid, 1000);
		ck_assert_int_eq(rmdir(h_path("team/in")), 0);
		/* nothing but groups changes: root's own */
		hc.uid = hc.gid = 0;
		OK(make_in(dir, "in", counts[i], 77));
		nobodys();
		ck_assert_int_eq(rmdir(h_path("team/in")), 0);
		/* groups are set, the step after it fails */
		hc.uid = UINT32_MAX;
		FAILS(EINVAL, make_in(dir, "in", counts[i], 77));
		nobodys();
	}
}
END_TEST

/* S3: a new file in a set-group-ID directory keeps S_ISGID only for a member of its group. */
START_TEST(test_sgid)
{
	struct fuse_entry_out e;
	uint64_t dir;
	uint32_t gid = 77;

	ck_assert_int_eq(mkdir(h_path("sg"), 0), 0);
	ck_assert_int_eq(chown(h_path("sg"), 0, 77), 0);
	ck_assert_int_eq(chmod(h_path("sg"), 02777), 0);
	dir = h_node("sg");
	hc.uid = hc.gid = 1000;
	OK(fc_make(&hc, FUSE_CREATE, dir, "outsider", 02775, 0, NULL, 0, &e));
	ck_assert_uint_eq(h_stat("sg/outsider").st_mode, S_IFREG | 0775);
	ck_assert_uint_eq(h_stat("sg/outsider").st_gid, 77);
	OK(fc_make(&hc, FUSE_CREATE, dir, "member", 02775, 0, ext, fc_ext_groups(ext, &gid, 1), &e));
	ck_assert_uint_eq(h_stat("sg/member").st_mode, S_IFREG | 02775);
	OK(fc_make(&hc, FUSE_MKDIR, dir, "d", 0755, 0, NULL, 0, &e));
	ck_assert_uint_eq(h_stat("sg/d").st_mode, S_IFDIR | 02755);
	/* and for the one after it nothing is left of the member's group */
	OK(fc_make(&hc, FUSE_CREATE, dir, "again", 02775, 0, NULL, 0, &e));
	ck_assert_uint_eq(h_stat("sg/again").st_mode, S_IFREG | 0775);
}
END_TEST

/* A guest that cannot tell groups: one of them may be the reason why its kernel lets the caller. */
START_TEST(test_unknown_groups)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING };
	struct fuse_entry_out e;
	uint64_t dir;

	h_start_opts(&opts, false);
	OK(fc_init(&hc, ~FC_CREATE_SUPP_GROUP));
	dir = team();
	hc.uid = hc.gid = 1000;
	OK(fc_make(&hc, FUSE_MKDIR, dir, "in", 0755, 0, NULL, 0, &e));
	ck_assert_uint_eq(h_stat("team/in").st_uid, 1000);
	/* that is all it gives him: not another owner's files, no device */
	FAILS(EPERM, fc_mknod(&hc, dir, "dev", S_IFCHR | 0666, 0x103, &e));
	/* an extension that was not agreed on is no extension */
	FAILS(EINVAL, make_in(dir, "out", 1, 77));
	nobodys();
	h_stop();
}
END_TEST

TCase *
check_ids_creds(void)
{
	TCase *t = tcase_create("creds");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, h_setup, h_stop);
	tcase_add_test(t, test_groups);
	tcase_add_test(t, test_sgid);
	tcase_add_test(t, test_unknown_groups);
	return t;
}
