/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * monitor/logfilter.c: which lines RUST_LOG keeps. What the table expects is what virtiofsd 1.14 was seen to do.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/logfilter.h"

#define NONE NULL

static const struct {
	const char *spec;
	int own, front; /* levels of virtiofsd and virtiofsd::front */
	const char *bad;
} rows[] = {
	{ "off", LOG_OFF, LOG_OFF, NONE },
	{ "error", LOG_ERROR, LOG_ERROR, NONE },
	{ "WARN", LOG_WARN, LOG_WARN, NONE },
	{ "Info", LOG_INFO, LOG_INFO, NONE },
	{ "debug", LOG_DEBUG, LOG_DEBUG, NONE },
	{ "trace", LOG_TRACE, LOG_TRACE, NONE },
	{ "", LOG_ERROR, LOG_ERROR, NONE },
	{ ",,", LOG_ERROR, LOG_ERROR, NONE },
	{ ",,info,", LOG_INFO, LOG_INFO, NONE },
	{ "error,info", LOG_INFO, LOG_INFO, NONE },
	{ "virtiofsd", LOG_TRACE, LOG_TRACE, NONE },
	{ "virtiofsd=", LOG_TRACE, LOG_TRACE, NONE },
	{ "virtiofsd=info", LOG_INFO, LOG_INFO, NONE },
	{ "virt=warn", LOG_WARN, LOG_WARN, NONE },
	{ "=info", LOG_INFO, LOG_INFO, NONE },
	{ "Virtiofsd=info", LOG_OFF, LOG_OFF, NONE },
	{ "warn=info", LOG_OFF, LOG_OFF, NONE },
	{ "virtiofsd::front=debug", LOG_OFF, LOG_DEBUG, NONE },
	{ "virtiofsd::front=debug,error", LOG_ERROR, LOG_DEBUG, NONE },
	{ "error,virtiofsd::front=off", LOG_ERROR, LOG_OFF, NONE },
	{ "virtiofsd::front=off,virtiofsd=debug", LOG_DEBUG, LOG_OFF, NONE },
	{ "virtiofsd=debug,virtiofsd=warn", LOG_WARN, LOG_WARN, NONE },
	{ "virtiofsd::worker=debug,vhost_user_backend=trace,info", LOG_INFO, LOG_INFO, NONE },
	{ " info , virtiofsd = off", LOG_OFF, LOG_OFF, NONE },
	{ "virtiofsd=loud", LOG_ERROR, LOG_ERROR, "loud" },
	{ "virtiofsd=loud,info", LOG_INFO, LOG_INFO, "loud" },
	{ "virtiofsd=info=warn", LOG_ERROR, LOG_ERROR, "info=warn" },
	{ "info/x", LOG_INFO, LOG_INFO, NONE },
	{ "info/", LOG_INFO, LOG_INFO, NONE },
	{ "/x", LOG_ERROR, LOG_ERROR, NONE },
	{ "info/[", LOG_INFO, LOG_INFO, "[" },
	{ "info/a/b", LOG_ERROR, LOG_ERROR, "info/a/b" },
};

START_TEST(test_levels)
{
	struct log_filter f;
	const char *bad = logfilter_parse(&f, rows[_i].spec);

	if (rows[_i].bad == NONE)
		ck_assert_ptr_null(bad);
	else
		ck_assert_str_eq(bad, rows[_i].bad);
	ck_assert_msg((int)logfilter_of(&f, "virtiofsd") == rows[_i].own &&
		(int)logfilter_of(&f, "virtiofsd::front") == rows[_i].front,
	    "'%s': %d and %d", rows[_i].spec, logfilter_of(&f, "virtiofsd"),
	    logfilter_of(&f, "virtiofsd::front"));
	logfilter_free(&f);
}
END_TEST

START_TEST(test_text)
{
	struct log_filter f;

	ck_assert_ptr_null(logfilter_parse(&f, "info/lim.*[0-9]+ (open|closed)$"));
	ck_assert(logfilter_matches(&f, "the limit is 20000 open"));
	ck_assert(logfilter_matches(&f, "limes 1 closed"));
	ck_assert(!logfilter_matches(&f, "the limit is 20000 opened"));
	ck_assert(!logfilter_matches(&f, ""));
	logfilter_free(&f);
	ck_assert_ptr_null(logfilter_parse(&f, "info"));
	ck_assert(logfilter_matches(&f, "anything"));
	logfilter_free(&f);
}
END_TEST

/* Without RUST_LOG. */
START_TEST(test_plain)
{
	struct log_filter f;

	logfilter_level(&f, (enum log_level)_i);
	ck_assert_int_eq((int)logfilter_of(&f, "virtiofsd::worker"), _i);
	ck_assert(logfilter_matches(&f, "anything"));
	logfilter_free(&f);
}
END_TEST

/* As many modules as anybody likes to name. */
START_TEST(test_many)
{
	static char spec[64 * 1024];
	struct log_filter f;
	size_t n = 0;

	for (int i = 0; n < sizeof(spec) - 64; i++)
		n += (size_t)snprintf(spec + n, sizeof(spec) - n, "m%d=error,", i);
	snprintf(spec + n, sizeof(spec) - n, "virtiofsd=debug");
	ck_assert_ptr_null(logfilter_parse(&f, spec));
	ck_assert_int_eq(logfilter_of(&f, "virtiofsd"), LOG_DEBUG);
	ck_assert_int_eq(logfilter_of(&f, "m7"), LOG_ERROR);
	ck_assert_int_eq(logfilter_of(&f, "x"), LOG_OFF);
	logfilter_free(&f);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("logfilter");
	TCase *t = tcase_create("logfilter");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, test_levels, 0, countof(rows));
	tcase_add_loop_test(t, test_plain, LOG_OFF, LOG_TRACE + 1);
	tcase_add_test(t, test_text);
	tcase_add_test(t, test_many);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
