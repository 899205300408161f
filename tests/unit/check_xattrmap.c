/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of the xattr name map: every row of spec/xattrmap.md sections 1 to 3 and 8, and maps that no parser made.
 * Links common/xattrmap.c and monitor/xattrmap_parse.c.
 */
#include "common/xattrmap.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/xattrmap_parse.h"

#define P XATTRMAP_PREFIX
#define O XATTRMAP_OK
#define B XATTRMAP_BAD
#define U XATTRMAP_UNSUPPORTED
#define ALL XATTRMAP_ALL
#define CLIENT XATTRMAP_CLIENT
#define SERVER XATTRMAP_SERVER

struct rule {
	enum xattrmap_type type;
	unsigned scope;
	const char *key, *prepend;
};

static struct xattrmap *
compiled(const char *text)
{
	char err[XATTRMAP_ERROR_MAX];
	struct xattrmap *m;

	ck_assert_msg(xattrmap_parse(text, &m, err) == 0, "%s: %s", text, err);
	ck_assert_str_eq(err, "");
	ck_assert_int_eq(xattrmap_check(m, m->len), 0);
	return m;
}

/* Section 1 and 2: what a text is compiled to. */
static const struct {
	const char *text;
	struct rule rule[5];
} good[] = {
	{ ":ok:all:::", { { O, ALL, "", "" } } },
	{ " \t\n\r\f:ok:all::: \n", { { O, ALL, "", "" } } },
	{ ":bad:client:a:b:", { { B, CLIENT, "a", "b" } } },
	{ ":unsupported:server:a:b:", { { U, SERVER, "a", "b" } } },
	/* no white space between, other delimiters, a space inside */
	{ ":prefix:all:a.:b.:/bad/all///", { { P, ALL, "a.", "b." }, { B, ALL, "", "" } } },
	{ ":prefix:all:a.:b.:\n  |ok|server|| x |", { { P, ALL, "a.", "b." }, { O, SERVER, "", " x " } } },
	{ "/ok/all/a:b/:/", { { O, ALL, "a:b", ":" } } },
	{ "zprefixzallzkzpz", { { P, ALL, "k", "p" } } },
	/* a delimiter of two bytes; bytes beyond ASCII in fields */
	{ "\xc2\xa7ok\xc2\xa7""all\xc2\xa7\xc2\xa9\xc2\xa7\xc2\xa7", { { O, ALL, "\xc2\xa9", "" } } },
	{ ":map::P:", { { P, ALL, "", "P" }, { B, ALL, "", "" } } },
	{ ":map:K:P:", { { P, ALL, "K", "P" }, { B, ALL, "P", "K" }, { O, ALL, "", "" } } },
	{ ":map:::", { { P, ALL, "", "" }, { B, ALL, "", "" } } },
	{ ":bad:client:x:: :map::P:  ", { { B, CLIENT, "x", "" }, { P, ALL, "", "P" }, { B, ALL, "", "" } } },
};

static void
same_text(const struct xattrmap *m, const struct xattrmap_text *t, const char *want)
{
	ck_assert_uint_eq(t->len, strlen(want));
	ck_assert_int_eq(memcmp((const char *)m + t->off, want, t->len), 0);
}

START_TEST(parses)
{
	struct xattrmap *m = compiled(good[_i].text);
	uint32_t n = 0;

	while (n < 5 && good[_i].rule[n].key != NULL)
		n++;
	ck_assert_uint_eq(m->nrules, n);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_uint_eq(m->rule[i].type, good[_i].rule[i].type);
		ck_assert_uint_eq(m->rule[i].scope, good[_i].rule[i].scope);
		same_text(m, &m->rule[i].key, good[_i].rule[i].key);
		same_text(m, &m->rule[i].prepend, good[_i].rule[i].prepend);
	}
	free(m);
}
END_TEST

static const struct {
	const char *text, *err;
} bad[] = {
	{ "", "no rules" },
	{ " \t\n", "no rules" },
	{ ":foo:all:::", "rule 1: invalid type 'foo', expected prefix, ok, bad, unsupported or map" },
	{ ":OK:all:::", "rule 1: invalid type 'OK'" },
	{ "::all:::", "rule 1: invalid type ''" },
	{ ":bad:foo:::", "rule 1: invalid scope 'foo', expected all, client or server" },
	{ ":bad:All:::", "rule 1: invalid scope 'All'" },
	{ ":prefix:client:hi", "rule 1: incomplete" },
	{ ":", "rule 1: incomplete" },
	{ ":ok", "rule 1: incomplete" },
	{ ":ok:all", "rule 1: incomplete" },
	{ ":ok:all::", "rule 1: incomplete" },
	{ ":map:a:b", "rule 1: incomplete" },
	{ ":ok:all::::bad:all::", "rule 2: incomplete" },
	{ ":ok:all::: :bad:all::: :x:all:::", "rule 3: invalid type 'x'" },
	{ ":map:a:b::ok:all:::", "rule 1: nothing may follow a rule of type 'map'" },
	{ ":map:a:b: :ok:all:::", "rule 1: nothing may follow" },
	{ ":ok:all::: :map::b: :map::c:", "rule 2: nothing may follow" },
	{ "-ok:all:::", "rule 1: incomplete" },
};

START_TEST(refuses)
{
	char err[XATTRMAP_ERROR_MAX];
	struct xattrmap *m;

	ck_assert_int_eq(xattrmap_parse(bad[_i].text, &m, err), -EINVAL);
	ck_assert_ptr_null(m);
	ck_assert_msg(strncmp(err, bad[_i].err, strlen(bad[_i].err)) == 0, "'%s': '%s', expected '%s'", bad[_i].text, err,
	    bad[_i].err);
}
END_TEST

#define TEN "0123456789"
#define DOCKER ":map::user.virtiofs.:"
#define TRUSTED ":map:trusted.:user.virtiofs.:"
#define NFS4 ":unsupported:all:system.nfs4_acl:system.nfs4_acl: :ok:all:::"

/* Section 3 and 8: a guest's name becomes the host's. */
static const struct {
	const char *map, *guest, *host;
	int r;
} client[] = {
	{ NULL, "user.a", "user.a", 0 },
	{ DOCKER, "user.a", "user.virtiofs.user.a", 0 },
	{ DOCKER, "trusted.x", "user.virtiofs.trusted.x", 0 },
	{ DOCKER, "user.virtiofs.z", "user.virtiofs.user.virtiofs.z", 0 },
	{ TRUSTED, "user.a", "user.a", 0 },
	{ TRUSTED, "trusted.x", "user.virtiofs.trusted.x", 0 },
	{ TRUSTED, "trusted.", "user.virtiofs.trusted.", 0 },
	{ TRUSTED, "trusted", "trusted", 0 },
	{ TRUSTED, "user.virtiofs.z", NULL, -EPERM },
	{ "/bad/all/security./security./ /ok/all///", "user.a", "user.a", 0 },
	{ "/bad/all/security./security./ /ok/all///", "trusted.x", "trusted.x", 0 },
	{ "/bad/all/security./security./ /ok/all///", "security.selinux", NULL, -EPERM },
	{ ":prefix:client:trusted.:user.virtiofs.: :ok:all:::", "user.a", "user.a", 0 },
	{ ":prefix:client:trusted.:user.virtiofs.: :ok:all:::", "trusted.x", "user.virtiofs.trusted.x", 0 },
	{ NFS4, "user.a", "user.a", 0 },
	{ NFS4, "system.nfs4_acl", NULL, -EOPNOTSUPP },
	{ NFS4, "system.nfs4_acl_more", NULL, -EOPNOTSUPP },
	/* only rules of the client's scope; the first one; none */
	{ ":bad:server::: :ok:client:::", "user.a", "user.a", 0 },
	{ ":ok:client:user.a:: :bad:all:user.:: :ok:all:::", "user.a", "user.a", 0 },
	{ ":ok:client:user.a:: :bad:all:user.:: :ok:all:::", "user.b", NULL, -EPERM },
	{ ":ok:client:user.::", "security.capability", NULL, -EPERM },
	{ ":ok:server:::", "user.a", NULL, -EPERM },
};

START_TEST(maps_guest_names)
{
	struct xattrmap *m = client[_i].map != NULL ? compiled(client[_i].map) : NULL;
	char host[XATTRMAP_NAME_MAX + 1];

	ck_assert_int_eq(xattrmap_client(m, client[_i].guest, host), client[_i].r);
	if (client[_i].r == 0)
		ck_assert_str_eq(host, client[_i].host);
	free(m);
}
END_TEST

/* A host's name as the guest sees it in a list; NULL: not at all. */
static const struct {
	const char *map, *host, *guest;
} server[] = {
	{ NULL, "user.a", "user.a" },
	{ DOCKER, "user.virtiofs.user.a", "user.a" },
	{ DOCKER, "user.b", NULL },
	{ DOCKER, "user.virtiofs.", NULL },
	{ TRUSTED, "user.virtiofs.trusted.x", "trusted.x" },
	{ TRUSTED, "trusted.y", NULL },
	{ TRUSTED, "user.a", "user.a" },
	/* what is left is not compared with the key */
	{ TRUSTED, "user.virtiofs.other", "other" },
	{ "/bad/all/security./security./ /ok/all///", "security.selinux", NULL },
	{ "/bad/all/security./security./ /ok/all///", "user.a", "user.a" },
	{ ":prefix:client:trusted.:user.virtiofs.: :ok:all:::", "user.virtiofs.trusted.x", "user.virtiofs.trusted.x" },
	{ NFS4, "system.nfs4_acl", NULL },
	{ NFS4, "user.a", "user.a" },
	{ ":bad:client::: :ok:server:::", "user.a", "user.a" },
	{ ":ok:client:::", "user.a", NULL },
	{ ":ok:server::user.:", "trusted.a", NULL },
};

START_TEST(maps_host_names)
{
	struct xattrmap *m = server[_i].map != NULL ? compiled(server[_i].map) : NULL;
	const char *got = xattrmap_server(m, server[_i].host);

	if (server[_i].guest == NULL)
		ck_assert_ptr_null(got);
	else {
		ck_assert_ptr_nonnull(got);
		ck_assert_str_eq(got, server[_i].guest);
	}
	free(m);
}
END_TEST

START_TEST(long_names)
{
	struct xattrmap *m = compiled(DOCKER);
	char host[XATTRMAP_NAME_MAX + 1], guest[XATTRMAP_NAME_MAX + 2];
	const size_t most = XATTRMAP_NAME_MAX - strlen("user.virtiofs.");

	memset(guest, 'n', sizeof(guest));
	guest[most] = '\0';
	ck_assert_int_eq(xattrmap_client(m, guest, host), 0);
	ck_assert_uint_eq(strlen(host), XATTRMAP_NAME_MAX);
	guest[most] = 'n';
	guest[most + 1] = '\0';
	ck_assert_int_eq(xattrmap_client(m, guest, host), -ERANGE);
	guest[most + 1] = 'n';
	guest[XATTRMAP_NAME_MAX] = '\0';
	ck_assert_int_eq(xattrmap_client(NULL, guest, host), 0);
	guest[XATTRMAP_NAME_MAX] = 'n';
	guest[XATTRMAP_NAME_MAX + 1] = '\0';
	ck_assert_int_eq(xattrmap_client(NULL, guest, host), -ERANGE);
	free(m);
}
END_TEST

static const struct {
	const char *map;
	bool client, server;
} catches[] = {
	{ DOCKER, true, true },
	{ TRUSTED, true, true },
	{ ":ok:client:::", true, false },
	{ ":ok:server:::", false, true },
	{ ":ok:all:user.:user.:", false, false },
	{ ":prefix:all::user.virtiofs.:", true, false },
	{ ":ok:client:user.:: :ok:client::: :bad:server:::", true, true },
};

START_TEST(catch_all)
{
	struct xattrmap *m = compiled(catches[_i].map);

	ck_assert_int_eq(xattrmap_catches_all(m, CLIENT), catches[_i].client);
	ck_assert_int_eq(xattrmap_catches_all(m, SERVER), catches[_i].server);
	ck_assert(xattrmap_catches_all(NULL, CLIENT));
	free(m);
}
END_TEST

/* Every single change of a byte of a map is either refused or leaves one that can be used: the sanitizers watch. */
START_TEST(hostile_maps)
{
	struct xattrmap *m = compiled(TRUSTED);
	char host[XATTRMAP_NAME_MAX + 1];
	unsigned accepted = 0;

	ck_assert_int_eq(xattrmap_check(m, 0), -EINVAL);
	ck_assert_int_eq(xattrmap_check((char *)m + 1, m->len - 1), -EINVAL);
	for (size_t n = 0; n < m->len; n++)
		ck_assert_int_eq(xattrmap_check(m, n), -EINVAL);
	for (size_t i = 0; i < m->len * 8; i++) {
		struct xattrmap *x = malloc(m->len);
		const uint32_t len = m->len;

		ck_assert_ptr_nonnull(x);
		memcpy(x, m, len);
		((unsigned char *)x)[i / 8] ^= (unsigned char)(1u << (i % 8));
		if (xattrmap_check(x, len) == 0) {
			accepted++;
			(void)(xattrmap_client(x, "trusted.x", host) + (xattrmap_server(x, "user.virtiofs.y") != NULL));
		}
		free(x);
	}
	ck_assert_uint_gt(accepted, 0);
	free(m);
}
END_TEST

/* One field that must not be, in a map that is good otherwise. */
static const struct {
	const char *why;
	size_t at;
	uint32_t v;
	unsigned bytes;
} wrong[] = {
#define ROW(why, f, v) { why, offsetof(struct xattrmap, f), v, (unsigned)sizeof(((struct xattrmap *)NULL)->f) }
	ROW("no rules", nrules, 0),
	ROW("more rules than bytes", nrules, 100),
	ROW("type", rule[0].type, XATTRMAP_UNSUPPORTED + 1),
	ROW("no scope", rule[1].scope, 0),
	ROW("unknown scope", rule[1].scope, 5),
	ROW("a key in the head", rule[0].key.off, 0),
	ROW("a key in the rules", rule[0].key.off, 8),
	ROW("a prepend in the rules", rule[2].prepend.off, 8),
	ROW("a key behind the end", rule[0].key.off, UINT32_MAX),
	ROW("a key that is too long", rule[0].key.len, 1000),
	ROW("a key whose end wraps", rule[0].key.len, UINT32_MAX),
	ROW("a prepend that is too long", rule[2].prepend.len, 1000),
#undef ROW
};

START_TEST(wrong_maps)
{
	struct xattrmap *m = compiled(TRUSTED);

	ck_assert_uint_eq(m->nrules, 3);
	memcpy((char *)m + wrong[_i].at, &wrong[_i].v, wrong[_i].bytes);
	ck_assert_msg(xattrmap_check(m, m->len) == -EINVAL, "%s", wrong[_i].why);
	free(m);
}
END_TEST

/* Each text may end where the map does, and not a byte later; the map lies where it can be read. */
START_TEST(edges)
{
	struct xattrmap *m = compiled(TRUSTED), *odd;
	const uint32_t len = m->len;

	m->rule[0].key = (struct xattrmap_text){ len - 1, 1 };
	ck_assert_int_eq(xattrmap_check(m, len), 0);
	m->rule[0].key.len = 2;
	ck_assert_int_eq(xattrmap_check(m, len), -EINVAL);
	m->rule[0].key = (struct xattrmap_text){ len, 0 };
	ck_assert_int_eq(xattrmap_check(m, len), 0);
	odd = malloc(len + 1);
	ck_assert_ptr_nonnull(odd);
	memcpy((char *)odd + 1, m, len);
	ck_assert_int_eq(xattrmap_check((char *)odd + 1, len), -EINVAL);
	free(odd);
	free(m);
}
END_TEST

/* A map may prepend more than any name may have. */
START_TEST(long_prepend)
{
	struct xattrmap *m = compiled(":prefix:all::" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
	    TEN TEN TEN TEN TEN TEN TEN ":");
	char host[XATTRMAP_NAME_MAX + 1];

	ck_assert_uint_eq(m->rule[0].prepend.len, 260);
	ck_assert_int_eq(xattrmap_client(m, "user.a", host), -ERANGE);
	ck_assert_int_eq(xattrmap_client(m, "", host), -ERANGE);
	free(m);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("xattrmap");
	TCase *t = tcase_create("map");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, parses, 0, countof(good));
	tcase_add_loop_test(t, refuses, 0, countof(bad));
	tcase_add_loop_test(t, maps_guest_names, 0, countof(client));
	tcase_add_loop_test(t, maps_host_names, 0, countof(server));
	tcase_add_test(t, long_names);
	tcase_add_loop_test(t, catch_all, 0, countof(catches));
	tcase_add_test(t, hostile_maps);
	tcase_add_loop_test(t, wrong_maps, 0, countof(wrong));
	tcase_add_test(t, edges);
	tcase_add_test(t, long_prepend);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
