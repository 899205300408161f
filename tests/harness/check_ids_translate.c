/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_ids_translate - every type of --translate-uid and --translate-gid in both directions, as the
 * guest sees it, and each error.
 *
 * Runs in: check_ids.
 */
#include "check_ids.h"
#include "harness.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FORBIDDEN UINT32_MAX

/* owner: of a file of the host, and what the guest sees; caller: of the guest, and what he makes. */
static const struct {
	const char *args[5];
	struct {
		uint32_t owner, seen;
	} host[4];
	struct {
		uint32_t caller, made;
	} guest[4];
} rows[] = {
	{ { "--translate-uid=guest:1000:5000:10", "--translate-gid=guest:1000:5000:10" },
	    { { 5000, 5000 }, { 1000, 1000 } }, { { 1000, 5000 }, { 1009, 5009 }, { 1010, 1010 } } },
	{ { "--translate-uid=host:5000:1000:10", "--translate-gid=host:5000:1000:10" },
	    { { 5000, 1000 }, { 5009, 1009 }, { 5010, 5010 } }, { { 1000, 1000 } } },
	{ { "--translate-uid=squash-guest:1000:42:10", "--translate-gid=squash-guest:1000:42:10" },
	    { { 42, 42 }, { 1000, 1000 } }, { { 1000, 42 }, { 1009, 42 }, { 999, 999 } } },
	{ { "--translate-uid=squash-host:1:65534:1000", "--translate-gid=squash-host:1:65534:1000" },
	    { { 1, 65534 }, { 1000, 65534 }, { 1001, 1001 } }, { { 1, 1 }, { 500, 500 } } },
	{ { "--translate-uid", "map:2000:4000:10", "--translate-gid", "map:2000:4000:10" },
	    { { 4000, 2000 }, { 2000, 2000 } }, { { 2000, 4000 }, { 4000, 4000 } } },
	{ { "--translate-uid=FORBID-GUEST/1000/10", "--translate-gid=forbid-guest:1000:10" },
	    { { 1000, 1000 } }, { { 1000, FORBIDDEN }, { 1009, FORBIDDEN }, { 1010, 1010 } } },
	/* the whole range but one, and back */
	{ { "--translate-uid=squash-guest:0:1001:4294967295", "--translate-gid=squash-guest:0:1001:4294967295",
	      "--translate-uid=host:1001:1000:1", "--translate-gid=host:1001:1000:1" },
	    { { 1001, 1000 }, { 1000, 1000 } }, { { 1, 1001 }, { 70000, 1001 } } },
};

static void
check_seen(const struct fuse_attr *a, uint32_t seen)
{
	ck_assert_uint_eq(a->uid, seen);
	ck_assert_uint_eq(a->gid, seen);
}

/* What READDIRPLUS says of "f". */
static void
seen_in_listing(uint32_t seen)
{
	struct fuse_open_out o;
	struct fuse_entry_out e;
	struct fuse_dirent d;
	char name[256];
	size_t pos = 0;
	bool found = false;

	OK(fc_opendir(&hc, FC_ROOT, &o));
	ck_assert_int_gt(fc_readdir(&hc, FC_ROOT, o.fh, 0, 65536, true), 0);
	while (fc_next_dirent(&hc, &pos, true, &e, &d, name) == 1)
		if (strcmp(name, "f") == 0) {
			check_seen(&e.attr, seen);
			found = true;
		}
	ck_assert(found);
	OK(fc_releasedir(&hc, FC_ROOT, o.fh));
}

START_TEST(test_to_guest)
{
	struct fuse_setattr_in chmod_in = { .valid = FATTR_MODE, .mode = 0604 };
	struct fuse_open_out o;
	struct fuse_entry_out e;
	struct fuse_attr a;
	int i;

	h_start(rows[_i].args);
	h_put("f", "x", 1);
	OK(fc_open_file(&hc, h_node("f"), O_RDWR, &o));
	for (i = 0; i < 4 && rows[_i].host[i].owner != 0; i++) {
		const uint32_t owner = rows[_i].host[i].owner, seen = rows[_i].host[i].seen;

		ck_assert_int_eq(chown(h_path("f"), owner, owner), 0);
		OK(fc_lookup(&hc, FC_ROOT, "f", &e));
		check_seen(&e.attr, seen);
		OK(fc_getattr(&hc, e.nodeid, &a));
		check_seen(&a, seen);
		/* with the handle of a file that was given away */
		OK(fc_getattr_fh(&hc, e.nodeid, o.fh, &a));
		check_seen(&a, seen);
		OK(fc_setattr(&hc, e.nodeid, &chmod_in, &a));
		check_seen(&a, seen);
		seen_in_listing(seen);
	}
	h_stop();
}
END_TEST

START_TEST(test_to_host)
{
	static const uint32_t ops[] = { FUSE_CREATE, FUSE_MKDIR, FUSE_MKNOD, FUSE_SYMLINK };
	static const uint32_t modes[] = { 0644, 0755, S_IFIFO | 0644, 0 };
	struct fuse_setattr_in in = { .valid = FATTR_UID | FATTR_GID | FATTR_MODE };
	struct fuse_entry_out e;
	struct fuse_attr a;
	uint64_t node;
	int i, k;

	h_start(rows[_i].args);
	ck_assert_int_eq(chmod(h_path("."), 0777), 0);
	h_put("f", "x", 1);
	node = h_node("f");
	for (i = 0; i < 4 && rows[_i].guest[i].caller != 0; i++) {
		const uint32_t made = rows[_i].guest[i].made;
		const int want = made == FORBIDDEN ? -EIO : 0;

		hc.uid = hc.gid = rows[_i].guest[i].caller;
		for (k = 0; k < 4; k++) {
			ck_assert_int_eq(fc_make(&hc, ops[k], FC_ROOT, "new", modes[k], 0, NULL, 0, &e), want);
			ck_assert_int_eq(h_exists("new"), want == 0);
			if (want != 0)
				continue;
			ck_assert_uint_eq(h_stat("new").st_uid, made);
			ck_assert_uint_eq(h_stat("new").st_gid, made);
			ck_assert_int_eq(remove(h_path("new")), 0);
		}
		in.uid = in.gid = rows[_i].guest[i].caller;
		in.mode = 0600 + (uint32_t)i;
		ck_assert_int_eq(fc_setattr(&hc, node, &in, &a), want);
		ck_assert_uint_eq(h_stat("f").st_mode & 0777, in.mode);
		if (want == 0)
			ck_assert_uint_eq(h_stat("f").st_uid, made);
	}
	h_stop();
}
END_TEST

/* Uids and gids are translated apart; the caller of ACCESS is compared in the guest's ids. */
START_TEST(test_access)
{
	static const char *const args[] = { "--translate-uid=host:5000:1000:1",
		"--translate-gid=host:6000:100:1", NULL };
	uint64_t node;
	struct fuse_attr a;

	h_start(args);
	h_put("f", "x", 1);
	ck_assert_int_eq(chown(h_path("f"), 5000, 6000), 0);
	ck_assert_int_eq(chmod(h_path("f"), 0640), 0);
	node = h_node("f");
	OK(fc_getattr(&hc, node, &a));
	ck_assert(a.uid == 1000 && a.gid == 100);
	hc.uid = 1000;
	OK(fc_access(&hc, node, R_OK | W_OK));
	hc.uid = 5000;
	FAILS(EACCES, fc_access(&hc, node, R_OK));
	hc.gid = 100;
	OK(fc_access(&hc, node, R_OK));
	FAILS(EACCES, fc_access(&hc, node, W_OK));
	hc.gid = 6000;
	FAILS(EACCES, fc_access(&hc, node, R_OK));
	h_stop();
}
END_TEST

/* Guest root that is somebody else on the host makes what he makes as that. */
START_TEST(test_root_squashed)
{
	static const char *const args[] = { "--translate-uid=squash-guest:0:7:1", NULL };
	struct fuse_entry_out e;

	h_start(args);
	ck_assert_int_eq(chmod(h_path("."), 0777), 0);
	OK(fc_mkdir(&hc, FC_ROOT, "d", 0755, &e));
	ck_assert_uint_eq(h_stat("d").st_uid, 7);
	ck_assert_uint_eq(h_stat("d").st_gid, 0);
	ck_assert_uint_eq(e.attr.uid, 7);
	h_stop();
}
END_TEST

static const struct {
	const char *args[3];
	int status;
	const char *text;
} errors[] = {
	{ { "--translate-uid=foo:1:2:3" }, 2, "invalid prefix foo" },
	{ { "--translate-uid=map:1:2" }, 2, "invalid length, expected 3 got 2" },
	{ { "--translate-gid=map" }, 2, "invalid length, expected 1 got 0" },
	{ { "--translate-gid=map:1:2:x" }, 2, "invalid value 'x'" },
	{ { "--translate-gid=1:2:3:4" }, 2, "invalid prefix 1" },
	{ { "--translate-uid=guest:4294967295:0:1" }, 1, "range overflow in 'guest:4294967295:0:1'" },
	{ { "--translate-uid=guest:0:4294967295:1" }, 1, "target range overflow" },
	{ { "--translate-gid=forbid-guest:4294967295:2" }, 1, "--translate-gid: range overflow" },
	{ { "--translate-uid=map:0:0:10", "--translate-uid=guest:5:100:1" }, 1, "overlaps" },
	{ { "--translate-gid=map:0:1:1", "--posix-acl" }, 1, "--posix-acl=always" },
	{ { "--translate-gid=map:0:1:1", "--posix-acl=auto" }, 1, "--posix-acl=auto" },
	{ { "--translate-gid=map:0:1:1", "-oposix_acl" }, 1, "--posix-acl=always" },
};

START_TEST(test_refused)
{
	h_refuses(errors[_i].args, errors[_i].status, errors[_i].text);
}
END_TEST

TCase *
check_ids_translate(void)
{
	TCase *t = tcase_create("translate");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_to_guest, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_loop_test(t, test_to_host, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(t, test_access);
	tcase_add_test(t, test_root_squashed);
	tcase_add_loop_test(t, test_refused, 0, (int)(sizeof(errors) / sizeof(errors[0])));
	return t;
}
