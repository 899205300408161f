/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of id translation: every row of spec/idmap.md section 2 and 5, and of spec/cli.md section 4.2. Links
 * common/idmap.c and monitor/idmap_parse.c.
 */
#include "common/idmap.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/idmap_parse.h"

#define MAXID UINT32_MAX

static const struct {
	const char *text;
	enum idmap_type type;
	uint32_t from, to, count;
} good[] = {
	{ "guest:1:2:3", IDMAP_T_GUEST, 1, 2, 3 },
	{ "host:1:2:3", IDMAP_T_HOST, 1, 2, 3 },
	{ "squash-guest:1:2:3", IDMAP_T_SQUASH_GUEST, 1, 2, 3 },
	{ "squash-host:1:2:3", IDMAP_T_SQUASH_HOST, 1, 2, 3 },
	{ "map:1:2:3", IDMAP_T_MAP, 1, 2, 3 },
	{ "forbid-guest:1:3", IDMAP_T_FORBID_GUEST, 1, 0, 3 },
	{ "GUEST:1:2:3", IDMAP_T_GUEST, 1, 2, 3 },
	{ "Squash-Host/1/2/3", IDMAP_T_SQUASH_HOST, 1, 2, 3 },
	{ "map,+1,2,4294967295", IDMAP_T_MAP, 1, 2, MAXID },
	{ "map 1 2 0", IDMAP_T_MAP, 1, 2, 0 },
};

START_TEST(parses)
{
	char err[IDMAP_ERROR_MAX];
	struct idmap_entry e;

	ck_assert_int_eq(idmap_parse(good[_i].text, &e, err), 0);
	ck_assert_int_eq(e.type, good[_i].type);
	ck_assert_uint_eq(e.from, good[_i].from);
	ck_assert_uint_eq(e.to, good[_i].to);
	ck_assert_uint_eq(e.count, good[_i].count);
}
END_TEST

static const struct {
	const char *text, *err;
} bad[] = {
	{ "foo:1:2:3", "invalid prefix foo" },
	{ "map:1:2", "invalid length, expected 3 got 2" },
	{ "map:1:2:3:4", "invalid length, expected 3 got 4" },
	{ "map:1:2:3:4:5:6", "invalid length, expected 3 got 6" },
	{ "forbid-guest:1:2:3", "invalid length, expected 2 got 3" },
	{ "map", "invalid length, expected 1 got 0" },
	{ "", "invalid length, expected 1 got 0" },
	{ "map:1:2:x", "invalid value 'x': invalid digit found in string" },
	{ "map:1:2:", "invalid value '': cannot parse integer from empty string" },
	{ "map:", "invalid value '': cannot parse integer from empty string" },
	{ "map:1::3", "invalid value '': cannot parse integer from empty string" },
	{ "map:1:-2:3", "invalid value '-2': invalid digit found in string" },
	{ "map:1:+:3", "invalid value '+': invalid digit found in string" },
	{ "map:1:2:4294967296", "invalid value '4294967296': number too large to fit in target type" },
	{ "map:1:2:99999999999999999999999999", "invalid value '99999999999999999999999999': number too large" },
	{ "map:1:0x2:3", "invalid value '0x2': invalid digit found in string" },
	/* numbers before prefixes, prefixes before lengths */
	{ "foo:1:2:x", "invalid value 'x'" },
	{ "foo:1:2", "invalid prefix foo" },
	{ "1:2:3:4", "invalid prefix 1" },
	{ ":1:2:3", "invalid prefix " },
	{ "map:1/2/3", "invalid value '1/2/3': invalid digit found in string" },
};

START_TEST(refuses)
{
	char err[IDMAP_ERROR_MAX];
	struct idmap_entry e;

	ck_assert_int_eq(idmap_parse(bad[_i].text, &e, err), -EINVAL);
	ck_assert_msg(strncmp(err, bad[_i].err, strlen(bad[_i].err)) == 0, "'%s': '%s', expected '%s'", bad[_i].text, err,
	    bad[_i].err);
}
END_TEST

struct tables {
	struct idmap_range *host, *guest;
	size_t nhost, nguest;
};

static int
build(const char *const *text, struct tables *t, char err[static IDMAP_ERROR_MAX])
{
	struct idmap_entry e[8];
	size_t n = 0;

	for (; text[n] != NULL; n++)
		ck_assert_int_eq(idmap_parse(text[n], &e[n], err), 0);
	return idmap_build(e, n, &t->host, &t->nhost, &t->guest, &t->nguest, err);
}

#define FORBIDDEN (MAXID - 1)

/* Rows of spec/idmap.md: what becomes of an id, to the host and to the guest. */
static const struct {
	const char *entry[4];
	struct {
		uint32_t id, host, guest;
	} id[8];
} tables[] = {
	{ { "guest:100:1000:10" }, { { 99, 99, 99 }, { 100, 1000, 100 }, { 109, 1009, 109 }, { 110, 110, 110 }, { 1000, 1000, 1000 } } },
	{ { "host:100:1000:10" }, { { 99, 99, 99 }, { 100, 100, 1000 }, { 109, 109, 1009 }, { 110, 110, 110 } } },
	{ { "squash-guest:100:7:10" }, { { 100, 7, 100 }, { 109, 7, 109 }, { 7, 7, 7 } } },
	{ { "squash-host:0:65534:1000" }, { { 0, 0, 65534 }, { 999, 999, 65534 }, { 1000, 1000, 1000 } } },
	{ { "map:2000:4000:10" },
	    { { 2000, 4000, 2000 }, { 2009, 4009, 2009 }, { 4000, 4000, 2000 }, { 4009, 4009, 2009 }, { 4010, 4010, 4010 } } },
	{ { "forbid-guest:0:1000" }, { { 0, FORBIDDEN, 0 }, { 999, FORBIDDEN, 999 }, { 1000, 1000, 1000 } } },
	{ { "guest:0:100000:65536", "host:100000:0:65536" },
	    { { 0, 100000, 0 }, { 5, 100005, 5 }, { 65535, 165535, 65535 }, { 65536, 65536, 65536 }, { 100000, 100000, 0 } } },
	/* section 5: an unprivileged daemon 1001:100, here its users */
	{ { "squash-guest:0:1001:4294967295", "host:1001:1000:1" },
	    { { 0, 1001, 0 }, { 1001, 1001, 1000 }, { 4294967294, 1001, 4294967294 }, { MAXID, MAXID, MAXID } } },
	/* the order does not matter; several guests may be one host */
	{ { "guest:30:300:1", "guest:10:300:1", "forbid-guest:20:5" },
	    { { 10, 300, 10 }, { 30, 300, 30 }, { 20, FORBIDDEN, 20 }, { 24, FORBIDDEN, 24 }, { 25, 25, 25 }, { 19, 19, 19 } } },
	{ { "map:1:2:0", "guest:4294967295:0:0" }, { { 1, 1, 1 }, { 2, 2, 2 }, { MAXID, MAXID, MAXID } } },
	{ { "guest:0:0:4294967295" }, { { 1, 1, 1 }, { 4294967294, 4294967294, 4294967294 } } },
};

static uint32_t
look(const struct idmap_range *r, size_t n, uint32_t id)
{
	uint32_t res;
	int e = idmap_lookup(r, n, id, &res);

	ck_assert(e == 0 || e == -EIO);
	return e == 0 ? res : FORBIDDEN;
}

START_TEST(translates)
{
	char err[IDMAP_ERROR_MAX] = "";
	struct tables t;

	ck_assert_msg(build(tables[_i].entry, &t, err) == 0, "%s", err);
	ck_assert_int_eq(idmap_check(t.host, t.nhost), 0);
	ck_assert_int_eq(idmap_check(t.guest, t.nguest), 0);
	for (unsigned i = 0; i == 0 || (i < 8 && (tables[_i].id[i].id | tables[_i].id[i].host) != 0); i++) {
		uint32_t id = tables[_i].id[i].id;

		ck_assert_msg(look(t.host, t.nhost, id) == tables[_i].id[i].host, "%u to the host", id);
		ck_assert_msg(look(t.guest, t.nguest, id) == tables[_i].id[i].guest, "%u to the guest", id);
	}
	free(t.host);
	free(t.guest);
}
END_TEST

static const struct {
	const char *entry[4], *err;
} unfit[] = {
	{ { "guest:4294967295:0:1" }, "range overflow in 'guest:4294967295:0:1'" },
	{ { "guest:1:0:4294967295" }, "range overflow" },
	{ { "forbid-guest:4294967295:2" }, "range overflow in 'forbid-guest:4294967295:2'" },
	{ { "host:4294967290:0:6" }, "range overflow" },
	{ { "guest:0:4294967290:6" }, "target range overflow in 'guest:0:4294967290:6'" },
	{ { "map:0:4294967290:6" }, "target range overflow" },
	{ { "map:4294967290:0:6" }, "range overflow" },
	{ { "squash-guest:0:4294967295:6" }, "target range overflow" },
	{ { "map:0:0:10", "guest:5:100:1" }, "'guest:5:100:1' overlaps 'map:0:0:10'" },
	{ { "map:0:100:10", "host:109:0:1" }, "'host:109:0:1' overlaps 'map:0:100:10'" },
	{ { "guest:9:100:1", "squash-guest:0:1:10" }, "'guest:9:100:1' overlaps 'squash-guest:0:1:10'" },
	{ { "forbid-guest:3:1", "guest:3:1:1" }, "'" },
};

START_TEST(unfit_together)
{
	char err[IDMAP_ERROR_MAX] = "";
	struct tables t;

	ck_assert_int_eq(build(unfit[_i].entry, &t, err), -EINVAL);
	ck_assert_ptr_null(t.host);
	ck_assert_ptr_null(t.guest);
	ck_assert_msg(strncmp(err, unfit[_i].err, strlen(unfit[_i].err)) == 0, "'%s', expected '%s'", err, unfit[_i].err);
}
END_TEST

/* Against the definition, over many disjoint ranges: the search finds each first and last id and nothing between. */
START_TEST(many_ranges)
{
	struct idmap_range r[500];

	for (uint32_t i = 0; i < 500; i++)
		r[i] = (struct idmap_range){ .base = i * 10, .count = 1 + i % 9, .target = 100000 + i * 10, .kind = IDMAP_SHIFT };
	ck_assert_int_eq(idmap_check(r, 500), 0);
	for (uint32_t id = 0; id < 6000; id++) {
		bool in = id < 5000 && id % 10 < 1 + id / 10 % 9;

		ck_assert_uint_eq(look(r, 500, id), in ? id + 100000 : id);
	}
	ck_assert_uint_eq(look(NULL, 0, 5), 5);
}
END_TEST

START_TEST(hostile_tables)
{
	const struct idmap_range ok = { 10, 10, 10, IDMAP_SHIFT };
	const struct idmap_range rows[] = {
		{ 10, 0, 10, IDMAP_SHIFT },
		{ 10, UINT32_MAX, 10, IDMAP_SHIFT },
		{ UINT32_MAX, 1, 10, IDMAP_FORBID },
		{ 10, 10, UINT32_MAX - 5, IDMAP_SHIFT },
		{ 10, 10, UINT32_MAX, IDMAP_SQUASH },
		{ 10, 10, 10, IDMAP_FORBID + 1 },
	};
	struct idmap_range two[2] = { ok, { 19, 1, 0, IDMAP_SHIFT } };

	ck_assert_int_eq(idmap_check(&ok, 1), 0);
	for (unsigned i = 0; i < countof(rows); i++)
		ck_assert_int_eq(idmap_check(&rows[i], 1), -EINVAL);
	ck_assert_int_eq(idmap_check(two, 2), -EINVAL);
	two[1].base = 20;
	ck_assert_int_eq(idmap_check(two, 2), 0);
	two[1].base = 0;
	ck_assert_int_eq(idmap_check(two, 2), -EINVAL);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("idmap");
	TCase *t = tcase_create("idmap");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, parses, 0, countof(good));
	tcase_add_loop_test(t, refuses, 0, countof(bad));
	tcase_add_loop_test(t, translates, 0, countof(tables));
	tcase_add_loop_test(t, unfit_together, 0, countof(unfit));
	tcase_add_test(t, many_ranges);
	tcase_add_test(t, hostile_tables);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
