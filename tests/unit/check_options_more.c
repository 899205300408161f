/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * monitor/options_compat.c (-o) and options_check.c (what is logged before the daemon starts or does
 * not), options_help.c. Expectations are from spec/cli.md.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options_rig.h"

START_TEST(test_good)
{
	rig_good(&options_good_compat[_i]);
}
END_TEST

START_TEST(test_bad)
{
	rig_bad(&options_bad_compat[_i]);
}
END_TEST

static char logged[2048];

static void
remember(enum log_level level, const char *line)
{
	const size_t n = strlen(logged);

	snprintf(logged + n, sizeof(logged) - n, "%c:%s\n", level == LOG_ERROR ? 'E' : 'W', line);
}

/* Status of options_check(), and a part of what it logs: each line begins with its level. */
static const struct {
	const char *args[ARGS_MAX];
	int status;
	const char *want; /* "": nothing is logged */
} checks[] = {
	{ { BASE }, 0, "" },
	{ { "--shared-dir=/s", "--socket=/t" }, 0, "W:Use of deprecated option '--socket'" },
	{ { BASE, "-o", "no_flock" }, 0, "W:Use of deprecated option format '-o'" },
	{ { BASE, "-d" }, 0, "W:Use of deprecated flag '-d'" },
	{ { BASE, "-f" }, 0, "W:Use of deprecated flag '-f'" },
	{ { BASE, "--inode-file-handles=fallback" }, 0, "W:Use of deprecated value 'fallback'" },
	{ { BASE, "--migration-mode=find-paths", "--migration-confirm-paths" }, 0,
	    "W:live migration is not offered by this version: --migration-* has no effect\n" },
	{ { BASE, "--migration-mode=file-handles", "--migration-on-error=abort" }, 0,
	    "W:live migration" },
	{ { BASE, "--migration-mode=file-handles", "--migration-verify-handles",
	      "--migration-confirm-paths" },
	    -EINVAL,
	    "\nE:cannot use --migration-confirm-paths with --migration-mode=file-handles (because "
	    "it is unnecessary)\nE:cannot use --migration-verify-handles with" },
	{ { BASE, "--migration-confirm-paths", "--migration-mode=file-handles" }, -EINVAL,
	    "E:cannot use --migration-confirm-paths" },
	{ { BASE, "--posix-acl", "--translate-uid=map:0:1:2" }, -EINVAL,
	    "E:cannot use --translate-uid or --translate-gid with --posix-acl=always" },
	{ { BASE, "--posix-lock", "--flock" }, 0, "" },
	{ { BASE, "--posix-lock", "--fd-donation=never" }, -EINVAL,
	    "E:cannot use --posix-lock with --fd-donation=never" },
	{ { BASE, "--flock", "--fd-donation=never" }, -EINVAL, "E:cannot use --flock with" },
	{ { BASE, "--flock", "--fd-donation=never", "-o", "no_flock" }, 0, "W:Use of deprecated" },
	{ { BASE, "--posix-acl=auto", "--translate-gid=map:0:1:2" }, -EINVAL,
	    "with --posix-acl=auto" },
	{ { BASE, "-o", "posix_acl", "--translate-gid=map:0:1:2" }, -EINVAL,
	    "with --posix-acl=always" },
};

START_TEST(test_check)
{
	char err[OPTIONS_ERROR_MAX];
	struct options o;

	logged[0] = '\0';
	log_init(remember, LOG_INFO);
	ck_assert_msg(rig_parse(checks[_i].args, &o, err) == 0, "%s", err);
	ck_assert_int_eq(options_check(&o), checks[_i].status);
	ck_assert_msg(strstr(logged, checks[_i].want) != NULL, "'%s' is not in '%s'",
	    checks[_i].want, logged);
	if (checks[_i].want[0] == '\0')
		ck_assert_str_eq(logged, "");
	options_free(&o);
}
END_TEST

/* Both helps come from the table, one line an option where it is short, and fit a terminal. */
START_TEST(test_help)
{
	static const char *const some[] = { "--shared-dir <PATH>", "--posix-acl[=<WHEN>]",
		"--inode-file-handles=<MODE>", "--cache <POLICY>", "-o <LIST>", "  -d",
		"-h, --help", "-V, --version", "[default: namespace]", "[default: prefer]",
		"[default: 20]" };
	size_t len[2];
	char *text[2];

	for (int full = 0; full < 2; full++) {
		FILE *f = open_memstream(&text[full], &len[full]);

		ck_assert_ptr_nonnull(f);
		options_help(f, full);
		fclose(f);
		for (size_t i = 0; i < countof(some); i++)
			ck_assert_msg(strstr(text[full], some[i]) != NULL, "%s", some[i]);
		for (const char *p = text[full]; *p != '\0'; p += strcspn(p, "\n") + 1)
			ck_assert_msg(strcspn(p, "\n") <= 100, "%.120s", p);
		ck_assert_ptr_null(strstr(text[full], "fallback"));
	}
	ck_assert_uint_gt(len[1], len[0]);
	free(text[0]);
	free(text[1]);
}
END_TEST

int
main(void)
{
	TCase *t = tcase_create("options");

	tcase_add_loop_test(t, test_good, 0, rig_rows(options_good_compat));
	tcase_add_loop_test(t, test_bad, 0, rig_rows(options_bad_compat));
	tcase_add_loop_test(t, test_check, 0, countof(checks));
	tcase_add_test(t, test_help);
	return rig_main(t);
}
