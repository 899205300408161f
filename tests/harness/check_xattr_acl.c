/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_xattr_acl - --posix-acl: what is negotiated, what is served, umask and default ACLs (P15), and
 * the set-group-ID bit.
 *
 * Runs in: check_xattr.
 */
#include "check_xattr.h"
#include "harness.h"

#include <linux/posix_acl_xattr.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
#define NEEDED (FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT)

struct acl {
	struct posix_acl_xattr_header head;
	struct posix_acl_xattr_entry e[5];
};

/* user::rwx user:1000:rwx group::r-x mask::rwx other::--- */
static const struct acl acl = {
	{ 2 },
	{ { 1, 7, UINT32_MAX }, { 2, 7, 1000 }, { 4, 5, UINT32_MAX }, { 0x10, 7, UINT32_MAX },
	    { 0x20, 0, UINT32_MAX } },
};

/* How INIT ends, and what it grants. */
static const struct {
	const char *option;
	uint64_t offered;
	int error;
	bool granted, warned;
} inits[] = {
	{ "--xattr", ~0ull, 0, false, false },
	{ "--posix-acl", ~0ull, 0, true, false },
	{ "--posix-acl=always", ~0ull, 0, true, false },
	{ "--posix-acl=auto", ~0ull, 0, true, false },
	{ "--posix-acl=never", ~0ull, 0, false, false },
	{ "-oposix_acl", ~0ull, 0, true, false },
	{ "--posix-acl", ~(uint64_t)FUSE_DONT_MASK, -EPROTO, false, false },
	{ "--posix-acl", ~(uint64_t)FUSE_POSIX_ACL, -EPROTO, false, false },
	{ "--posix-acl", ~(uint64_t)FUSE_SETXATTR_EXT, -EPROTO, false, false },
	{ "--posix-acl=auto", ~(uint64_t)FUSE_DONT_MASK, 0, false, true },
	{ "--posix-acl=auto", ~(uint64_t)NEEDED, 0, false, true },
};

static bool
warned(void *unused)
{
	(void)unused;
	return vmm_log_has(hv, "--posix-acl: the guest does not offer");
}

START_TEST(test_init)
{
	const char *args[] = { inits[_i].option, NULL };
	struct vmm_opts opts = { .args = args, .stage = VMM_RUNNING };
	uint64_t node;

	h_start_opts(&opts, false);
	ck_assert_int_eq(fc_init(&hc, inits[_i].offered), inits[_i].error);
	if (inits[_i].error == 0) {
		ck_assert_uint_eq(hc.init_flags & NEEDED, inits[_i].granted ? NEEDED : 0);
		ck_assert_int_eq(h_eventually(warned, NULL, inits[_i].warned ? 2000 : 0), inits[_i].warned);
		h_put("f", "x", 1);
		node = h_node("f");
		/* implies --xattr */
		if (strcmp(inits[_i].option, "--posix-acl=never") == 0)
			FAILS(ENOSYS, fc_setxattr(&hc, node, ACCESS, &acl, sizeof(acl), 0));
		else
			ck_assert_int_eq(fc_setxattr(&hc, node, ACCESS, &acl, sizeof(acl), 0),
			    inits[_i].granted ? 0 : -EOPNOTSUPP);
	}
	h_stop();
}
END_TEST

static const char *const with_acl[] = { "--posix-acl", NULL };

static void
setup(void)
{
	h_start(with_acl);
}

START_TEST(test_served)
{
	uint64_t file, dir;
	char buf[128];

	h_put("f", "x", 1);
	ck_assert_int_eq(mkdir(h_path("d"), 0755), 0);
	file = h_node("f");
	dir = h_node("d");
	OK(fc_setxattr(&hc, file, ACCESS, &acl, sizeof(acl), 0));
	ck_assert_int_eq(lgetxattr(h_path("f"), ACCESS, buf, sizeof(buf)), (int)sizeof(acl));
	ck_assert_uint_eq(h_stat("f").st_mode & 0777, 0770);
	ck_assert_int_eq(fc_getxattr(&hc, file, ACCESS, buf, sizeof(buf)), (int)sizeof(acl));
	ck_assert_mem_eq(buf, &acl, sizeof(acl));
	ck_assert_int_eq(fc_listxattr(&hc, file, buf, sizeof(buf)), (int)sizeof(ACCESS));
	ck_assert_str_eq(buf, ACCESS);
	OK(fc_setxattr(&hc, dir, DEFAULT, &acl, sizeof(acl), 0));
	FAILS(EACCES, fc_setxattr(&hc, file, DEFAULT, &acl, sizeof(acl), 0));
	OK(fc_removexattr(&hc, file, ACCESS));
	ck_assert_int_eq(lgetxattr(h_path("f"), ACCESS, NULL, 0), -1);
}
END_TEST

/* P15 */
START_TEST(test_umask)
{
	static const uint32_t ops[] = { FUSE_CREATE, FUSE_MKDIR, FUSE_MKNOD };
	static const uint32_t mode[] = { 0666, 0777, S_IFREG | 0666 };
	struct fuse_entry_out e;
	uint64_t dir, plain;
	int i;

	ck_assert_int_eq(mkdir(h_path("d"), 0777), 0);
	ck_assert_int_eq(mkdir(h_path("plain"), 0777), 0);
	ck_assert_int_eq(setxattr(h_path("d"), DEFAULT, &acl, sizeof(acl), 0), 0);
	dir = h_node("d");
	plain = h_node("plain");
	for (i = 0; i < 3; i++) {
		char name[16], path[32];

		snprintf(name, sizeof(name), "n%d", i);
		hc.uid = hc.gid = 1000;
		OK(fc_make(&hc, ops[i], dir, name, mode[i], 0077, NULL, 0, &e));
		OK(fc_make(&hc, ops[i], plain, name, mode[i], 0027, NULL, 0, &e));
		hc.uid = hc.gid = 0;
		/* the mask entry stands where the group's bits are: the umask has no say */
		snprintf(path, sizeof(path), "d/%s", name);
		ck_assert_uint_eq(h_stat(path).st_mode & 0777, i == 1 ? 0770 : 0660);
		ck_assert_int_eq(lgetxattr(h_path(path), ACCESS, NULL, 0), (int)sizeof(acl));
		ck_assert_int_eq(lgetxattr(h_path(path), DEFAULT, NULL, 0), i == 1 ? (int)sizeof(acl) : -1);
		snprintf(path, sizeof(path), "plain/%s", name);
		ck_assert_uint_eq(h_stat(path).st_mode & 0777, i == 1 ? 0750 : 0640);
	}
	/* S12: nothing of it is left */
	OK(fc_make(&hc, FUSE_MKDIR, plain, "open", 0777, 0, NULL, 0, &e));
	ck_assert_uint_eq(h_stat("plain/open").st_mode & 0777, 0777);
}
END_TEST

/* Without POSIX_ACL the guest has masked the mode: what it says of its umask is not applied again. */
START_TEST(test_masked_by_guest)
{
	struct fuse_entry_out e;

	h_start(NULL);
	OK(fc_make(&hc, FUSE_MKDIR, FC_ROOT, "d", 0777, 0077, NULL, 0, &e));
	ck_assert_uint_eq(h_stat("d").st_mode & 0777, 0777);
	h_stop();
}
END_TEST

static int
set_acl(uint64_t node, uint32_t flags)
{
	const struct fuse_setxattr_in in = { .size = sizeof(acl), .setxattr_flags = flags };
	const struct fc_part parts[] = { { &in, sizeof(in) }, { ACCESS, sizeof(ACCESS) },
		{ &acl, sizeof(acl) } };

	return fc_call(&hc, FUSE_SETXATTR, node, parts, 3, 0);
}

START_TEST(test_kill_sgid)
{
	uint64_t node;

	h_put("f", "x", 1);
	node = h_node("f");
	ck_assert_int_eq(chmod(h_path("f"), 02755), 0);
	OK(set_acl(node, 0));
	ck_assert_uint_eq(h_stat("f").st_mode & 07777, 02770);
	OK(set_acl(node, FUSE_SETXATTR_ACL_KILL_SGID));
	ck_assert_uint_eq(h_stat("f").st_mode & 07777, 0770);
}
END_TEST

TCase *
check_xattr_acl(void)
{
	TCase *t = tcase_create("acl");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, h_stop);
	tcase_add_loop_test(t, test_init, 0, (int)(sizeof(inits) / sizeof(inits[0])));
	tcase_add_test(t, test_served);
	tcase_add_test(t, test_umask);
	tcase_add_test(t, test_masked_by_guest);
	tcase_add_test(t, test_kill_sgid);
	return t;
}
