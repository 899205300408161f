/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_xattr_label - --security-label: what is negotiated, labels on all that is made, and what becomes
 * of a creation whose label cannot be set (C14, C15).
 *
 * Runs in: check_xattr.
 */
#include "check_xattr.h"
#include "harness.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SECURITY_CTX (1ull << 32)

static const uint32_t makers[] = { FUSE_CREATE, FUSE_MKDIR, FUSE_MKNOD, FUSE_SYMLINK };
static const uint32_t modes[] = { 0644, 0755, S_IFIFO | 0644, 0 };

static uint8_t ext[70000];
static size_t ext_len;

static const struct {
	const char *option;
	uint64_t offered;
	int error;
	bool granted, warned;
} inits[] = {
	{ "--xattr", ~0ull, 0, false, false },
	{ "--security-label", ~0ull, 0, true, false },
	{ "--security-label=always", ~0ull, 0, true, false },
	{ "--security-label=auto", ~0ull, 0, true, false },
	{ "--security-label=never", ~0ull, 0, false, false },
	{ "-osecurity_label", ~0ull, 0, true, false },
	{ "--security-label", ~SECURITY_CTX, -EPROTO, false, false },
	{ "--security-label=auto", ~SECURITY_CTX, 0, false, true },
};

static bool
warned(void *unused)
{
	(void)unused;
	return vmm_log_has(hv, "--security-label: the guest does not offer");
}

START_TEST(test_init)
{
	const char *args[] = { inits[_i].option, NULL };
	struct vmm_opts opts = { .args = args, .stage = VMM_RUNNING };
	struct fuse_entry_out e;

	h_start_opts(&opts, false);
	ck_assert_int_eq(fc_init(&hc, inits[_i].offered), inits[_i].error);
	if (inits[_i].error == 0) {
		ck_assert_int_eq((hc.init_flags & SECURITY_CTX) != 0, inits[_i].granted);
		ck_assert_int_eq(h_eventually(warned, NULL, inits[_i].warned ? 2000 : 0), inits[_i].warned);
		/* who negotiated it says with each request whether there is a label; nobody else may */
		ext_len = fc_ext_no_label(ext);
		ck_assert_int_eq(fc_make(&hc, FUSE_MKDIR, FC_ROOT, "with", 0755, 0, ext, ext_len, &e),
		    inits[_i].granted ? 0 : -EINVAL);
		ck_assert_int_eq(fc_make(&hc, FUSE_MKDIR, FC_ROOT, "without", 0755, 0, NULL, 0, &e),
		    inits[_i].granted ? -EINVAL : 0);
	}
	h_stop();
}
END_TEST

/* The typical map; user.* can be on files and directories only. */
static const char *const mapped[] = { "--security-label",
	"--xattrmap=:map:security.selinux:user.virtiofs.:", NULL };

START_TEST(test_mapped)
{
	struct fuse_entry_out e;
	char buf[32];
	int i;

	h_start(mapped);
	ext_len = fc_ext_label(ext, "security.selinux", "u:r:t:s0", 9);
	for (i = 0; i < 4; i++) {
		const bool can = makers[i] == FUSE_CREATE || makers[i] == FUSE_MKDIR;

		ck_assert_int_eq(fc_make(&hc, makers[i], FC_ROOT, "new", modes[i], 0, ext, ext_len, &e),
		    can ? 0 : -EPERM);
		ck_assert_int_eq(h_exists("new"), can);
		if (!can)
			continue;
		ck_assert_int_eq(lgetxattr(h_path("new"), "user.virtiofs.security.selinux", buf, sizeof(buf)), 9);
		ck_assert_int_eq(fc_getxattr(&hc, e.nodeid, "security.selinux", buf, sizeof(buf)), 9);
		ck_assert_str_eq(buf, "u:r:t:s0");
		ck_assert_int_eq(remove(h_path("new")), 0);
	}
	/* as another user, all the same: the label is the daemon's to set */
	ck_assert_int_eq(chmod(h_path("."), 0777), 0);
	hc.uid = hc.gid = 1000;
	OK(fc_make(&hc, FUSE_CREATE, FC_ROOT, "mine", 0600, 0, ext, ext_len, &e));
	ck_assert_uint_eq(h_stat("mine").st_uid, 1000);
	ck_assert_int_eq(lgetxattr(h_path("mine"), "user.virtiofs.security.selinux", buf, sizeof(buf)), 9);
	h_stop();
}
END_TEST

static const char *const plain[] = { "--security-label", NULL };

/* Every type of inode can have this one, and the daemon may set it. */
START_TEST(test_every_type)
{
	const struct vfs_cap_data value = { .magic_etc = VFS_CAP_REVISION_2,
		.data[0].permitted = 1 };
	struct fuse_entry_out e;
	char buf[32];
	int i;

	h_start(plain);
	ext_len = fc_ext_label(ext, "security.capability", &value, sizeof(value));
	for (i = 0; i < 4; i++) {
		OK(fc_make(&hc, makers[i], FC_ROOT, "new", modes[i], 0, ext, ext_len, &e));
		ck_assert_int_eq(lgetxattr(h_path("new"), "security.capability", buf, sizeof(buf)), (int)sizeof(value));
		ck_assert_uint_eq(e.attr.ino, h_stat("new").st_ino);
		ck_assert_int_eq(remove(h_path("new")), 0);
	}
	h_stop();
}
END_TEST

/* C14: nothing is left of it, no fd either. */
START_TEST(test_failure)
{
	static char large[65536 + 1];
	struct fuse_entry_out e;
	int i, round;

	h_start(plain);
	for (round = 0; round < 50; round++) {
		for (i = 0; i < 4; i++) {
			ext_len = fc_ext_label(ext, "security.other", "x", 1);
			FAILS(EPERM, fc_make(&hc, makers[i], FC_ROOT, "new", modes[i], 0, ext, ext_len, &e));
			ext_len = fc_ext_label(ext, "unknown.name", "x", 1);
			FAILS(EOPNOTSUPP, fc_make(&hc, makers[i], FC_ROOT, "new", modes[i], 0, ext, ext_len, &e));
			ext_len = fc_ext_label(ext, "system.posix_acl_access", "x", 1);
			FAILS(EOPNOTSUPP, fc_make(&hc, makers[i], FC_ROOT, "new", modes[i], 0, ext, ext_len, &e));
			ck_assert(!h_exists("new"));
		}
	}
	ext_len = fc_ext_label(ext, "user.large", large, sizeof(large));
	FAILS(E2BIG, fc_make(&hc, FUSE_MKDIR, FC_ROOT, "new", 0755, 0, ext, ext_len, &e));
	ck_assert(!h_exists("new"));
	/* what is there already is left alone: C15 */
	ck_assert_int_eq(mkdir(h_path("new"), 0755), 0);
	ext_len = fc_ext_label(ext, "security.other", "x", 1);
	FAILS(EEXIST, fc_make(&hc, FUSE_MKDIR, FC_ROOT, "new", 0755, 0, ext, ext_len, &e));
	ck_assert(h_exists("new"));
	h_stop();
}
END_TEST

TCase *
check_xattr_label(void)
{
	TCase *t = tcase_create("label");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_init, 0, (int)(sizeof(inits) / sizeof(inits[0])));
	tcase_add_test(t, test_mapped);
	tcase_add_test(t, test_every_type);
	tcase_add_test(t, test_failure);
	return t;
}
