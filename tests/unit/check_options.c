/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * monitor/options.c, options_table.c, options_set.c: every option of the command line, good and bad values, conflicts,
 * repeats, defaults. -o, what is logged and the helps are in check_options_more.c, exit statuses in the harness.
 * Expectations are from spec/cli.md.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options_rig.h"

START_TEST(test_good)
{
	rig_good(&options_good[_i]);
}
END_TEST

START_TEST(test_bad)
{
	rig_bad(&options_bad[_i]);
}
END_TEST

/* A text longer than the message has room for is cut, not overrun. */
START_TEST(test_long_words)
{
	static char word[4096];
	const char *args[] = { BASE, word, NULL };
	char err[OPTIONS_ERROR_MAX];
	struct options o;

	for (const char *const *p = (const char *const[]){ "--", "--seccomp=", "--fd=", "--xattr=",
		 "--inode-file-handles=", "--uid-map=", "-o", "-ocache=", "", NULL };
	     *p != NULL; p++) {
		memset(word, 'x', sizeof(word) - 1);
		memcpy(word, *p, strlen(*p));
		ck_assert_int_eq(rig_parse(args, &o, err), -EINVAL);
		ck_assert_uint_lt(strnlen(err, sizeof(err)), sizeof(err));
		options_free(&o);
	}
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("options");

	tcase_add_loop_test(t, test_good, 0, rig_rows(options_good));
	tcase_add_loop_test(t, test_bad, 0, rig_rows(options_bad));
	tcase_add_test(t, test_long_words);
	return rig_main(t);
}
