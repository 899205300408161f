/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * monitor/options_compat.c (-o), options_check.c and options_unserved.c (what is logged before the daemon starts or does
 * not), options_help.c. Expectations are from spec/cli.md.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options_rig.h"

#define SOCK "--socket-path=/t"

static const struct options_row good[] = {
	{ { "-o", "source=/x", SOCK }, " action=0 old=2 dir=/x sock=/t " },
	{ { "-osource=/x", SOCK }, " dir=/x " },
	{ { "-o=source=/x", SOCK }, " dir=/x " },
	{ { SOCK, "-do", "source=/x" }, " old=6 dir=/x " },
	{ { "-o", "xattr", SOCK }, " dir=- " },
	{ { BASE, "-o", "source=/x" }, " dir=/x " },
	{ { "-o", "source=/x", "--shared-dir=/s", SOCK }, " dir=/x " },
	{ { "-o", "source=/x,source=/y", SOCK }, " dir=/y " },
	{ { "-o", "source=/x", "-o", "source=/y", SOCK }, " dir=/y " },
	{ { "-o", "source=", SOCK }, " dir= " },
	{ { BASE, "-o", "cache=auto" }, " cache=0 " },
	{ { "-o", "cache=always", "--cache=never", BASE }, " cache=1 " },
	{ { BASE, "-o", "cache=none" }, " cache=2 " },
	{ { BASE, "-o", "cache=metadata" }, " cache=3 " },
	{ { BASE, "-o", "loglevel=debug" }, " log=4 " },
	{ { BASE, "-o", "loglevel=info" }, " log=3 " },
	{ { BASE, "-o", "loglevel=warn" }, " log=2 " },
	{ { BASE, "-o", "loglevel=err" }, " log=1 " },
	{ { BASE, "--log-level=trace", "-o", "loglevel=err" }, " log=1 " },
	{ { BASE, "-d", "-o", "loglevel=err" }, " log=4 " },
	{ { BASE, "-o", "sandbox=chroot" }, " sandbox=1 " },
	{ { BASE, "--sandbox=none", "-o", "sandbox=namespace" }, " sandbox=0 " },
	{ { BASE, "-o", "modcaps=+sys_admin:-chown" }, " modcaps=+sys_admin:-chown " },
	{ { BASE, "-o", "xattr" }, " dev=5 " },
	{ { BASE, "--xattr", "-o", "no_xattr" }, " dev=4 " },
	{ { BASE, "-o", "xattr,no_xattr" }, " dev=4 " },
	{ { BASE, "-o", "no_xattr,xattr" }, " dev=5 " },
	{ { BASE, "-o", "posix_acl,no_xattr" }, " dev=5 " },
	{ { BASE, "-o", "no_readdirplus" }, " dev=44 " },
	{ { BASE, "--no-readdirplus", "-o", "readdirplus" }, " dev=4 " },
	{ { BASE, "-o", "writeback" }, " dev=c " },
	{ { BASE, "--writeback", "-o", "no_writeback" }, " dev=4 " },
	{ { BASE, "-o", "allow_direct_io" }, " dev=24 " },
	{ { BASE, "--allow-direct-io", "-o", "no_allow_direct_io" }, " dev=4 " },
	{ { BASE, "-o", "announce_submounts" }, " dev=4 " },
	{ { BASE, "--no-announce-submounts", "-o", "announce_submounts" }, " dev=0 " },
	{ { BASE, "-o", "killpriv_v2" }, " dev=84 " },
	{ { BASE, "--killpriv-v2", "-o", "no_killpriv_v2" }, " dev=4 " },
	{ { BASE, "-o", "posix_acl" }, " dev=5 cache=0 acl=2 " },
	{ { BASE, "--posix-acl=auto", "-o", "no_posix_acl" }, " dev=4 cache=0 acl=0 " },
	{ { BASE, "-o", "security_label" }, " dev=5 cache=0 acl=0 label=2 " },
	{ { BASE, "--security-label", "-o", "no_security_label" },
	    " dev=4 cache=0 acl=0 label=0 " },
	{ { BASE, "-o", "no_posix_lock,no_flock" }, " dev=4 " },
	{ { BASE, "--flock", "--posix-lock", "-o", "no_posix_lock" }, " dev=804 " },
	{ { BASE, "--print-capabilities", "-o", "xattr" }, " action=5 " },
	/* libvirt 9.0, as it is built from <driver>, <binary> and their cache, lock and xattr */
	{ { "--fd=32", "-o", "source=/srv/share" }, " old=2 dir=/srv/share sock=- group=- fd=32 " },
	{ { "--fd=32", "-o", "source=/s,cache=always,sandbox=chroot,xattr,no_flock,no_posix_lock",
	      "--thread-pool-size=4", "-d" },
	    " old=6 dir=/s sock=- group=- fd=32 tag=- dev=5 cache=1 " },
	{ { "--fd=32", "-o", "source=/s,cache=none,sandbox=namespace,no_xattr" },
	    " dev=4 cache=2 acl=0 label=0 handles=0 xattrmap=- tuid= tgid= sandbox=0 " },
};

static const struct options_row bad[] = {
	{ { BASE, "-o", "nonsense" }, "Invalid compat argument '-o nonsense'" },
	{ { BASE, "-o", "" }, "Invalid compat argument '-o '" },
	{ { BASE, "-o=" }, "Invalid compat argument '-o '" },
	{ { BASE, "-o", "xattr," }, "Invalid compat argument '-o '" },
	{ { BASE, "-o", "xattr,,writeback" }, "Invalid compat argument '-o '" },
	{ { BASE, "-o", "xattr,foo=a=b" }, "Invalid compat argument '-o foo=a=b'" },
	{ { BASE, "-o", "source=a=b" }, "Invalid compat argument '-o source=a=b'" },
	{ { BASE, "-o", "source" }, "Invalid compat argument '-o source'" },
	{ { BASE, "-o", "cache" }, "Invalid compat argument '-o cache'" },
	{ { BASE, "-o", "xattr=on" }, "Invalid compat argument '-o xattr=on'" },
	{ { BASE, "-o", "posix_acl=always" }, "Invalid compat argument '-o posix_acl=always'" },
	{ { BASE, "-o", "posix_lock" }, "Invalid compat argument '-o posix_lock'" },
	{ { BASE, "-o", "flock" }, "Invalid compat argument '-o flock'" },
	{ { BASE, "-o", "timeout=1" }, "Invalid compat argument '-o timeout=1'" },
	{ { BASE, "-o", "no_announce_submounts" }, "Invalid compat argument" },
	{ { BASE, "-o", " xattr" }, "Invalid compat argument '-o  xattr'" },
	{ { BASE, "-o", "XATTR" }, "Invalid compat argument '-o XATTR'" },
	{ { BASE, "-o", "cache=never" }, "Invalid compat value 'never' for '-o cache'" },
	{ { BASE, "-o", "cache=Auto" }, "Invalid compat value 'Auto' for '-o cache'" },
	{ { BASE, "-o", "cache=" }, "Invalid compat value '' for '-o cache'" },
	{ { BASE, "-o", "loglevel=error" }, "Invalid compat value 'error' for '-o loglevel'" },
	{ { BASE, "-o", "loglevel=off" }, "Invalid compat value 'off' for '-o loglevel'" },
	{ { BASE, "-o", "sandbox=none" }, "Invalid compat value 'none' for '-o sandbox'" },
	{ { BASE, "-o", "sandbox=CHROOT" }, "Invalid compat value 'CHROOT' for '-o sandbox'" },
	{ { "--print-capabilities", "-o", "x" }, "Invalid compat argument '-o x'" },
	{ { "-o", "xattr" }, "not provided: --socket-path <PATH> or --fd <N>" },
};

START_TEST(test_good)
{
	rig_good(&good[_i]);
}
END_TEST

START_TEST(test_bad)
{
	rig_bad(&bad[_i]);
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
	    "W:live migration is not offered by this version\n" },
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

/* What is not served is named by the one line that is logged. */
START_TEST(test_unserved)
{
	static const char *const args[] = { BASE, NULL };
	char err[OPTIONS_ERROR_MAX];
	struct options o;

	ck_assert_int_eq(rig_parse(args, &o, err), 0);
	ck_assert_ptr_null(options_unserved(&o));
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

	tcase_add_loop_test(t, test_good, 0, countof(good));
	tcase_add_loop_test(t, test_bad, 0, countof(bad));
	tcase_add_loop_test(t, test_check, 0, countof(checks));
	tcase_add_test(t, test_unserved);
	tcase_add_test(t, test_help);
	return rig_main(t);
}
