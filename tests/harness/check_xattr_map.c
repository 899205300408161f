/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_xattr_map - --xattrmap: every row of spec/xattrmap.md that a request can show, and each error.
 *
 * Runs in: check_xattr.
 */
#include "check_xattr.h"
#include "harness.h"

#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TRUSTED "--xattrmap=:map:trusted.:user.virtiofs.:"
#define ALLOF "--xattrmap=:map::user.virtiofs.:"
#define REFUSE "--xattrmap=/bad/all/security./security./ /unsupported/all/user.no/user.no/ /ok/all///"

/* host NULL: set and get fail with these. */
static const struct {
	const char *option, *guest, *host;
	int set, get;
} rows[] = {
	{ "--xattr", "user.a", "user.a", 0, 0 },
	{ "--xattr", "trusted.a", NULL, -EPERM, -ENODATA },
	{ "--xattr", "nothing.a", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ "--xattr", "system.posix_acl_access", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ "--xattr", "system.posix_acl", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ TRUSTED, "trusted.a", "user.virtiofs.trusted.a", 0, 0 },
	{ TRUSTED, "user.a", "user.a", 0, 0 },
	/* P16: what is denied is not there to a reader */
	{ TRUSTED, "user.virtiofs.a", NULL, -EPERM, -ENODATA },
	{ ALLOF, "user.a", "user.virtiofs.user.a", 0, 0 },
	{ ALLOF, "security.selinux", "user.virtiofs.security.selinux", 0, 0 },
	{ ALLOF, "system.posix_acl_default", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ REFUSE, "security.x", NULL, -EPERM, -ENODATA },
	{ REFUSE, "user.no", NULL, -EOPNOTSUPP, -EOPNOTSUPP },
	{ REFUSE, "user.yes", "user.yes", 0, 0 },
	{ "--xattrmap=:prefix:client:trusted.:user.v.: :ok:all:::", "trusted.x", "user.v.trusted.x", 0, 0 },
	{ "-oxattrmap=:map::user.virtiofs.:", "user.a", "user.virtiofs.user.a", 0, 0 },
	{ "--xattrmap=:ok:client:user.::", "security.capability", NULL, -EPERM, -ENODATA },
};

START_TEST(test_round_trip)
{
	const char *args[] = { rows[_i].option, NULL };
	const char *name = rows[_i].guest;
	char buf[64];
	uint64_t node;

	h_start(args);
	h_put("f", "x", 1);
	node = h_node("f");
	ck_assert_int_eq(fc_setxattr(&hc, node, name, "value", 5, 0), rows[_i].set);
	if (rows[_i].host == NULL) {
		ck_assert_int_eq(fc_getxattr(&hc, node, name, buf, sizeof(buf)), rows[_i].get);
		ck_assert_int_eq(fc_getxattr(&hc, node, name, NULL, 0), rows[_i].get);
		ck_assert_int_eq(fc_removexattr(&hc, node, name), rows[_i].set);
		ck_assert_int_eq(llistxattr(h_path("f"), NULL, 0), 0);
		h_stop();
		return;
	}
	ck_assert_int_eq(lgetxattr(h_path("f"), rows[_i].host, buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "value", 5);
	memset(buf, 0, sizeof(buf));
	ck_assert_int_eq(fc_getxattr(&hc, node, name, buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "value", 5);
	OK(fc_removexattr(&hc, node, name));
	ck_assert_int_eq(llistxattr(h_path("f"), NULL, 0), 0);
	h_stop();
}
END_TEST

START_TEST(test_list)
{
	static const char *const args[] = { TRUSTED, NULL };
	char buf[256];
	uint64_t node;
	int n;

	h_start(args);
	h_put("f", "x", 1);
	ck_assert_int_eq(setxattr(h_path("f"), "user.virtiofs.trusted.overlay.opaque", "y", 1, 0), 0);
	ck_assert_int_eq(setxattr(h_path("f"), "trusted.host", "y", 1, 0), 0);
	node = h_node("f");
	n = fc_listxattr(&hc, node, buf, sizeof(buf));
	ck_assert_int_eq(n, (int)sizeof("trusted.overlay.opaque"));
	ck_assert_str_eq(buf, "trusted.overlay.opaque");
	/* P17: the size asked for first is never too small */
	ck_assert_int_ge(fc_listxattr(&hc, node, NULL, 0), n);
	FAILS(ERANGE, fc_listxattr(&hc, node, buf, (uint32_t)n));
	h_stop();
}
END_TEST

static const struct {
	const char *args[3];
	int status;
	const char *text;
} errors[] = {
	{ { "--xattrmap=" }, 2, "no rules" },
	{ { "--xattrmap= " }, 2, "no rules" },
	{ { "--xattrmap=:foo:all:::" }, 2, "rule 1: invalid type 'foo', expected prefix, ok, bad" },
	{ { "--xattrmap=:ok:all::::bad:foo:::" }, 2, "rule 2: invalid scope 'foo', expected all, client or server" },
	{ { "--xattrmap=:prefix:client:hi" }, 2, "rule 1: incomplete" },
	{ { "--xattrmap=:map:a:b::ok:all:::" }, 2, "nothing may follow a rule of type 'map'" },
	{ { "-oxattrmap=:foo" }, 2, "Invalid compat value" },
	{ { "--posix-acl", "--translate-uid=map:0:1:1" }, 1, "with --posix-acl" },
};

START_TEST(test_refused)
{
	h_refuses(errors[_i].args, errors[_i].status, errors[_i].text);
}
END_TEST

/* A map without a rule for everything: the reference dies, some day or at once. */
START_TEST(test_no_catch_all)
{
	static const char *const args[] = { "--xattrmap=:ok:client:user.::", NULL };
	char buf[64];
	uint64_t node;

	h_start(args);
	ck_assert(vmm_log_has(hv, "no rule is for all names of the guest"));
	ck_assert(vmm_log_has(hv, "no rule is for all names of the host"));
	h_put("f", "x", 1);
	node = h_node("f");
	OK(fc_setxattr(&hc, node, "user.a", "v", 1, 0));
	FAILS(EPERM, fc_setxattr(&hc, node, "what.ever", "v", 1, 0));
	ck_assert_int_eq(fc_listxattr(&hc, node, buf, sizeof(buf)), 0);
	h_stop();
}
END_TEST

TCase *
check_xattr_map(void)
{
	TCase *t = tcase_create("map");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_round_trip, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(t, test_list);
	tcase_add_loop_test(t, test_refused, 0, (int)(sizeof(errors) / sizeof(errors[0])));
	tcase_add_test(t, test_no_catch_all);
	return t;
}
