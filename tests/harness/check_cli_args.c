/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_cli_args - usage errors (status 2), and what is printed without starting (status 0). The
 * command lines are those of the unit tests, here run for real.
 *
 * Runs in: check_cli.
 */
#include "check_cli.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "monitor/options_table.h"
#include "tests/unit/options_rig.h"

/* One line that names the option, the usage, where there is help; nothing is made. */
static void
expect_usage_error(const struct options_row *row)
{
	char line[512];
	const char *end;

	ck_assert_msg(cli_run(row->args, NULL) == 2, "(%s): status %d, %s", row->want, cli.status,
	    cli.text_err);
	ck_assert_str_eq(cli.text_out, "");
	end = strchr(cli.text_err, '\n');
	ck_assert_ptr_nonnull(end);
	snprintf(line, sizeof(line), "%.*s", (int)(end - cli.text_err), cli.text_err);
	ck_assert_msg(strncmp(line, "error: ", 7) == 0 && strstr(line, row->want) != NULL,
	    "'%s' is not in '%s'", row->want, line);
	ck_assert_str_eq(end,
	    "\n\nUsage: virtiofsd --shared-dir <PATH> <--socket-path <PATH>|--fd <N>> [OPTIONS]\n\n"
	    "For more information, try '--help'.\n");
	cli_assert_clean("");
}

START_TEST(test_usage_error)
{
	expect_usage_error(&options_bad[_i]);
}
END_TEST

START_TEST(test_usage_error_compat)
{
	expect_usage_error(&options_bad_compat[_i]);
}
END_TEST

static const char *const no_args[] = { NULL };

START_TEST(test_no_arguments)
{
	static char help[CLI_TEXT];
	static const char *const h[] = { "-h", NULL };

	ck_assert_int_eq(cli_run(h, NULL), 0);
	strcpy(help, cli.text_out);
	ck_assert_str_eq(cli.text_err, "");
	ck_assert_int_eq(cli_run(no_args, NULL), 2);
	ck_assert_str_eq(cli.text_out, "");
	ck_assert_str_eq(cli.text_err, help);
	cli_assert_clean("");
}
END_TEST

/* Each row of the table is in both helps, with its value and its default. */
START_TEST(test_help)
{
	const char *args[] = { _i == 0 ? "-h" : "--help", NULL };
	char title[ROW_TITLE_MAX], want[ROW_TITLE_MAX + 8], def[64];
	const char *at;

	ck_assert_int_eq(cli_run(args, NULL), 0);
	ck_assert_str_eq(cli.text_err, "");
	for (const struct row *row = options_rows; !row_is_end(row); row++) {
		snprintf(want, sizeof(want), "%s%c", row_title(row, title), _i == 0 ? ' ' : '\n');
		at = strstr(cli.text_out, want);
		ck_assert_msg(at != NULL, "'%s' is not in the help", want);
		snprintf(def, sizeof(def), "[default: %s]", row->def != NULL ? row->def : "");
		at = strstr(at, row->def != NULL ? def : row->help);
		ck_assert_msg(at != NULL, "'%s' is without %s", title, def);
	}
	cli_assert_clean("");
}
END_TEST

START_TEST(test_version)
{
	const char *args[] = { _i == 0 ? "-V" : "--version", NULL };
	unsigned int a, b, c;
	char more;

	ck_assert_int_eq(cli_run(args, NULL), 0);
	ck_assert_str_eq(cli.text_err, "");
	ck_assert_int_eq(sscanf(cli.text_out, "virtiofsd %u.%u.%u%c", &a, &b, &c, &more), 4);
	ck_assert_str_eq(strchr(cli.text_out, '\n'), "\n");
	cli_assert_clean("");
}
END_TEST

/* What libvirt asks for before anything else; before logging, and whatever else is asked for. */
START_TEST(test_capabilities)
{
	static const char *const args[][8] = {
		{ "--print-capabilities" },
		{ "--print-capabilities", "--shared-dir=/nonexistent", "--socket-path=@/sock" },
		{ "-d", "-o", "xattr,source=/nonexistent", "--print-capabilities", "--fd=77" },
		{ "--socket=@/sock", "--writeback", "--print-capabilities" },
	};

	ck_assert_int_eq(cli_run(args[_i], NULL), 0);
	ck_assert_str_eq(cli.text_err, "");
	ck_assert_str_eq(cli.text_out, "{\n"
	    "  \"type\": \"fs\",\n"
	    "  \"features\": [\n"
	    "    \"migrate-precopy\",\n"
	    "    \"posix-acl-negotiation-mode\",\n"
	    "    \"security-label-negotiation-mode\",\n"
	    "    \"separate-options\"\n"
	    "  ]\n"
	    "}\n");
	cli_assert_clean("");
}
END_TEST

static void
full_stdout(void)
{
	if (dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), 1) < 0)
		_exit(126);
}

START_TEST(test_full_stdout)
{
	static const char *const args[][2] = { { "--help" }, { "-h" }, { "-V" },
		{ "--print-capabilities" } };
	static const struct cli_how how = { .child = full_stdout };

	ck_assert_int_eq(cli_run(args[_i], &how), 1);
	cli_assert_clean("");
}
END_TEST

TCase *
check_cli_args(void)
{
	TCase *t = tcase_create("args");

	tcase_add_checked_fixture(t, cli_setup, cli_teardown);
	tcase_add_loop_test(t, test_usage_error, 0, rig_rows(options_bad));
	tcase_add_loop_test(t, test_usage_error_compat, 0, rig_rows(options_bad_compat));
	tcase_add_test(t, test_no_arguments);
	tcase_add_loop_test(t, test_help, 0, 2);
	tcase_add_loop_test(t, test_version, 0, 2);
	tcase_add_loop_test(t, test_capabilities, 0, 4);
	tcase_add_loop_test(t, test_full_stdout, 0, 4);
	return t;
}
