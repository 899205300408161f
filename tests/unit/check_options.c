/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * monitor/options.c: every option, good and bad values, conflicts, repeats, texts; and the program's exit statuses and
 * where it prints (the program is $VIRTIOFSD, else build/virtiofsd). Expectations are from spec/cli.md.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/options.h"

#define ARGS_MAX 10

/* The parts of a parse that a row may look at, as one line. */
static void
describe(const struct options *o, char *buf, size_t size)
{
	snprintf(buf, size,
	    " action=%d dir=%s sock=%s fd=%d tag=%s user=%s pool=%d/%" PRIu64
	    " sandbox=%d seccomp=%d log=%d dev=%u"
	    " nofile=%d/%" PRIu64 " deaths=%u/%u timeout=%u/%d ",
	    o->action, o->shared_dir != NULL ? o->shared_dir : "-",
	    o->socket_path != NULL ? o->socket_path : "-", o->fd, o->tag != NULL ? o->tag : "-",
	    o->front_user != NULL ? o->front_user : "-", o->pool_given, o->pool_size, o->sandbox,
	    o->seccomp, o->log_level, o->dev.flags, o->nofile_given, o->nofile, o->worker_deaths,
	    o->worker_window, o->worker_timeout, o->worker_timeout_restart);
}

static int
parse(const char *const *args, struct options *o, char err[static OPTIONS_ERROR_MAX])
{
	char *argv[ARGS_MAX + 2] = { (char[]){ "virtiofsd" } };
	int argc = 1;

	for (; args[argc - 1] != NULL; argc++) {
		ck_assert_int_lt(argc, ARGS_MAX);
		argv[argc] = (char *)(uintptr_t)args[argc - 1];
	}
	return options_parse(argc, argv, o, err);
}

#define BASE "--shared-dir", "/s", "--socket-path=/t"

/* Good command lines, and a part of what describe() must say. */
static const struct {
	const char *args[ARGS_MAX];
	const char *want;
} good[] = {
	{ { BASE },
	    " action=0 dir=/s sock=/t fd=-1 tag=- user=- pool=0/0 sandbox=0 seccomp=1 log=3 dev=4 "
	    "nofile=0/0 deaths=20/60 timeout=60/0 " },
	{ { NULL }, " action=1 " },
	{ { "-h" }, " action=2 " },
	{ { "--help" }, " action=3 " },
	{ { "-V" }, " action=4 " },
	{ { "--version" }, " action=4 " },
	{ { "--version", "--nonsense" }, " action=4 " },
	{ { "--print-capabilities" }, " action=5 " },
	{ { "--print-capabilities", "--xattr", "--fd=3" }, " action=5 " },
	{ { "--print-capabilities", "--print-capabilities" }, " action=5 " },
	{ { "--shared-dir=/s", "--fd", "3" }, " sock=- fd=3 " },
	{ { "--shared-dir=/s", "--fd=+7" }, " fd=7 " },
	{ { "--shared-dir=/s", "--fd=2147483647" }, " fd=2147483647 " },
	{ { "--shared-dir=/s", "--fd=0" }, " fd=0 " },
	{ { "--shared-dir=", "--fd=0" }, " dir= " },
	{ { "--shared-dir=-", "--fd=0" }, " dir=- " },
	{ { "--shared-dir", "-", "--fd=0" }, " dir=- " },
	{ { "--shared-dir=--fd", "--fd=0" }, " dir=--fd " },
	{ { "--shared-dir=a=b", "--fd=0" }, " dir=a=b " },
	{ { BASE, "--" }, " dir=/s " },
	{ { BASE, "--tag", "x" }, " tag=x " },
	{ { BASE, "--tag=x", "--tag=y" }, " tag=y " },
	{ { BASE, "--tag=123456789012345678901234567890123456" },
	    " tag=123456789012345678901234567890123456 " },
	{ { BASE, "--socket-path=/u" }, " sock=/u " },
	{ { BASE, "--thread-pool-size", "0" }, " pool=1/0 " },
	{ { BASE, "--thread-pool-size=+2" }, " pool=1/2 " },
	{ { BASE, "--thread-pool-size=007" }, " pool=1/7 " },
	{ { BASE, "--thread-pool-size=18446744073709551615" }, " pool=1/18446744073709551615 " },
	{ { BASE, "--thread-pool-size=1", "--thread-pool-size=3" }, " pool=1/3 " },
	{ { BASE, "--sandbox=namespace" }, " sandbox=0 " },
	{ { BASE, "--sandbox", "chroot" }, " sandbox=1 " },
	{ { BASE, "--sandbox=NONE" }, " sandbox=2 " },
	{ { BASE, "--sandbox=none", "--sandbox=nameSpace" }, " sandbox=0 " },
	{ { BASE, "--seccomp=none" }, " seccomp=0 " },
	{ { BASE, "--seccomp=kill" }, " seccomp=1 " },
	{ { BASE, "--seccomp", "log" }, " seccomp=2 " },
	{ { BASE, "--seccomp=trap" }, " seccomp=3 " },
	{ { BASE, "--log-level=off" }, " log=0 " },
	{ { BASE, "--log-level=Error" }, " log=1 " },
	{ { BASE, "--log-level=warn" }, " log=2 " },
	{ { BASE, "--log-level=info" }, " log=3 " },
	{ { BASE, "--log-level=DEBUG" }, " log=4 " },
	{ { BASE, "--log-level", "trace" }, " log=5 " },
	{ { BASE, "--xattr" }, " dev=5 " },
	{ { BASE, "--xattr", "--xattr" }, " dev=5 " },
	{ { BASE, "--announce-submounts" }, " dev=4 " },
	{ { BASE, "--no-announce-submounts" }, " dev=0 " },
	{ { BASE, "--no-announce-submounts", "--announce-submounts" }, " dev=4 " },
	{ { BASE, "--announce-submounts", "--no-announce-submounts" }, " dev=0 " },
	{ { BASE, "--fd-donation=never" }, " dev=6 " },
	{ { BASE, "--fd-donation=never", "--fd-donation", "always" }, " dev=4 " },
	{ { BASE, "--cache=auto" }, " dev=4 " },
	{ { BASE, "--cache", "AUTO" }, " dev=4 " },
	{ { BASE, "--inode-file-handles=prefer" }, " dev=4 " },
	{ { BASE, "--front-user=daemon" }, " user=daemon " },
	{ { BASE, "--worker-deaths=0" }, " deaths=0/60 timeout=60/0 " },
	{ { BASE, "--worker-deaths", "1000", "--worker-window=86400" }, " deaths=1000/86400 " },
	{ { BASE, "--worker-window=1", "--worker-timeout=0" }, " deaths=20/1 timeout=0/0 " },
	{ { BASE, "--worker-timeout=5", "--worker-timeout-restart" }, " timeout=5/1 " },
	{ { BASE, "--rlimit-nofile=0" }, " nofile=1/0 " },
	{ { BASE, "--rlimit-nofile", "18446744073709551615" }, " nofile=1/18446744073709551615 " },
};

/* Bad command lines, and a part of the one line that says why. */
static const struct {
	const char *args[ARGS_MAX];
	const char *want;
} bad[] = {
	{ { "--xattr" }, "missing: --shared-dir <PATH> and one of --socket-path <PATH>, --fd <N>" },
	{ { "--shared-dir=/s" }, "missing: one of --socket-path <PATH>, --fd <N>" },
	{ { "--fd=3" }, "missing: --shared-dir <PATH>" },
	{ { "--" }, "missing: --shared-dir" },
	{ { BASE, "--fd=3" }, "option '--fd' cannot be used together with '--socket-path'" },
	{ { "--print-capabilities", "--fd=3", "--socket-path=/t" },
	    "'--fd' cannot be used together" },
	{ { "--print-capabilities", "--fd=x" }, "invalid value 'x' for '--fd <N>'" },
	{ { BASE, "x" }, "unexpected argument 'x'" },
	{ { BASE, "-" }, "unexpected argument '-'" },
	{ { BASE, "--", "--xattr" }, "unexpected argument '--xattr'" },
	{ { "x", BASE }, "unexpected argument 'x'" },
	{ { BASE, "--nonsense" }, "unknown option '--nonsense'" },
	{ { BASE, "--nonsense=1" }, "unknown option '--nonsense'" },
	{ { BASE, "-x" }, "unknown option '-x'" },
	{ { BASE, "-xattr" }, "unknown option '-x'" },
	{ { "--shared", "x" }, "unknown option '--shared'" },
	{ { "--shared=x" }, "unknown option '--shared'" },
	{ { BASE, "--xatt" }, "unknown option '--xatt'" },
	{ { BASE, "--xatt=1" }, "unknown option '--xatt'" },
	{ { BASE, "--s" }, "unknown option '--s'" },
	{ { BASE, "--ta" }, "unknown option '--ta'" },
	{ { BASE, "--XATTR" }, "unknown option '--XATTR'" },
	{ { BASE, "--xattrs" }, "unknown option '--xattrs'" },
	{ { BASE, "--xattr=yes" }, "option '--xattr' takes no value" },
	{ { BASE, "--xattr=" }, "option '--xattr' takes no value" },
	{ { "--help=yes" }, "option '--help' takes no value" },
	{ { BASE, "--tag" }, "option '--tag' needs a value <TAG>" },
	{ { BASE, "--tag=" }, "invalid value '' for '--tag <TAG>'" },
	{ { BASE, "--tag=1234567890123456789012345678901234567" },
	    "invalid value '1234567890123456789012345678901234567'" },
	{ { BASE, "--tag", "-x" }, "option '--tag' needs a value <TAG>, not the option '-x'" },
	{ { BASE, "--tag", "--xattr" },
	    "option '--tag' needs a value <TAG>, not the option '--xattr'" },
	{ { "--shared-dir=/s", "--fd=" },
	    "invalid value '' for '--fd <N>': cannot parse integer from empty string" },
	{ { "--shared-dir=/s", "--fd=x" },
	    "invalid value 'x' for '--fd <N>': invalid digit found in string" },
	{ { "--shared-dir=/s", "--fd=-1" }, "invalid value '-1' for '--fd <N>'" },
	{ { "--shared-dir=/s", "--fd", "-1" }, "option '--fd' needs a value" },
	{ { "--shared-dir=/s", "--fd=2147483648" },
	    "invalid value '2147483648' for '--fd <N>': number too large" },
	{ { "--shared-dir=/s", "--fd=3", "--fd=y" }, "invalid value 'y'" },
	{ { BASE, "--thread-pool-size=-1" }, "invalid value '-1' for '--thread-pool-size <N>'" },
	{ { BASE, "--thread-pool-size=0x10" }, "invalid value '0x10'" },
	{ { BASE, "--thread-pool-size= 1" }, "invalid value ' 1'" },
	{ { BASE, "--thread-pool-size=1 " }, "invalid value '1 '" },
	{ { BASE, "--thread-pool-size=1_0" }, "invalid value '1_0'" },
	{ { BASE, "--thread-pool-size=++1" }, "invalid value '++1'" },
	{ { BASE, "--thread-pool-size=+" }, "invalid value '+'" },
	{ { BASE, "--thread-pool-size=18446744073709551616" }, "number too large" },
	{ { BASE, "--rlimit-nofile=18446744073709551616" }, "number too large" },
	{ { BASE, "--rlimit-nofile=99999999999999999999999999" }, "number too large" },
	{ { BASE, "--rlimit-nofile=many" }, "invalid value 'many' for '--rlimit-nofile <N>'" },
	{ { BASE, "--sandbox=jail" },
	    "invalid value 'jail' for '--sandbox <MODE>': possible values: namespace, chroot, "
	    "none" },
	{ { BASE, "--sandbox=" }, "invalid value '' for '--sandbox <MODE>'" },
	{ { BASE, "--seccomp=KILL" },
	    "invalid value 'KILL' for '--seccomp <ACTION>': possible values: none, kill, log, "
	    "trap" },
	{ { BASE, "--log-level=loud" }, "invalid value 'loud' for '--log-level <LEVEL>'" },
	{ { BASE, "--cache=always" }, "value 'always' of option '--cache' is not supported yet" },
	{ { BASE, "--cache=Never" }, "value 'never' of option '--cache' is not supported yet" },
	{ { BASE, "--cache=metadata" },
	    "value 'metadata' of option '--cache' is not supported yet" },
	{ { BASE, "--cache=none" }, "invalid value 'none' for '--cache <POLICY>'" },
	{ { BASE, "--inode-file-handles", "prefer" },
	    "option '--inode-file-handles' needs its value attached" },
	{ { BASE, "--inode-file-handles=Prefer" }, "invalid value 'Prefer'" },
	{ { BASE, "--inode-file-handles=never" },
	    "value 'never' of option '--inode-file-handles' is not supported yet" },
	{ { BASE, "--inode-file-handles=mandatory" }, "value 'mandatory' of option" },
	{ { BASE, "--inode-file-handles=fallback" }, "value 'fallback' of option" },
	{ { BASE, "--fd-donation=maybe" }, "invalid value 'maybe' for '--fd-donation <WHEN>'" },
	{ { BASE, "--front-user" }, "option '--front-user' needs a value <NAME>" },
	{ { BASE, "--worker-deaths=1001" },
	    "invalid value '1001' for '--worker-deaths <N>': number too large" },
	{ { BASE, "--worker-deaths=-1" },
	    "invalid value '-1' for '--worker-deaths <N>': invalid digit found in string" },
	{ { BASE, "--worker-window=0" },
	    "invalid value '0' for '--worker-window <SECONDS>': at least 1" },
	{ { BASE, "--worker-window=86401" },
	    "invalid value '86401' for '--worker-window <SECONDS>': number too large" },
	{ { BASE, "--worker-timeout=x" },
	    "invalid value 'x' for '--worker-timeout <SECONDS>': invalid digit found in string" },
	{ { BASE, "--worker-timeout-restart=1" },
	    "option '--worker-timeout-restart' takes no value" },
	{ { BASE, "--worker-timeout-restart", "--worker-deaths=0" },
	    "option '--worker-timeout-restart' cannot be used together with '--worker-deaths=0'" },
	{ { BASE, "--worker-timeout=0", "--worker-timeout-restart" },
	    "option '--worker-timeout-restart' cannot be used together with '--worker-timeout=0'" },
	{ { BASE, "--socket-group" }, "option '--socket-group' is not supported yet" },
	{ { BASE, "-o", "source=/s" }, "option '-o' is not supported yet" },
	{ { BASE, "-osource=/s" }, "option '-o' is not supported yet" },
	{ { BASE, "-d" }, "option '-d' is not supported yet" },
	{ { BASE, "-f" }, "option '-f' is not supported yet" },
	{ { BASE, "--writeback=1" }, "option '--writeback' takes no value" },
};

/* Options of virtiofsd that are refused by name; with and without a value as they want it. */
static const char *const later[] = {
	"--socket=/t",
	"--socket-group=kvm",
	"--posix-acl",
	"--xattrmap=:map::user.:",
	"--readonly",
	"--allow-mmap",
	"--no-readdirplus",
	"--writeback",
	"--allow-direct-io",
	"--modcaps=-mknod",
	"--syslog",
	"--killpriv-v2",
	"--no-killpriv-v2",
	"--security-label",
	"--uid-map=:0:1:2:",
	"--gid-map=:0:1:2:",
	"--translate-uid=map:1:2:3",
	"--translate-gid=map:1:2:3",
	"--preserve-noatime",
	"--migration-mode=find-paths",
	"--migration-on-error=abort",
	"--migration-verify-handles",
	"--migration-confirm-paths",
};

START_TEST(test_good)
{
	char err[OPTIONS_ERROR_MAX], text[512];
	struct options o;
	int r = parse(good[_i].args, &o, err);

	ck_assert_msg(r == 0, "row %d (%s): %s", _i, good[_i].want, err);
	describe(&o, text, sizeof(text));
	ck_assert_msg(strstr(text, good[_i].want) != NULL, "row %d: '%s' is not in '%s'", _i,
	    good[_i].want, text);
	ck_assert_str_eq(err, "");
}
END_TEST

START_TEST(test_bad)
{
	char err[OPTIONS_ERROR_MAX];
	struct options o;
	int r = parse(bad[_i].args, &o, err);

	ck_assert_msg(r == -EINVAL, "row %d (%s) was accepted", _i, bad[_i].want);
	ck_assert_msg(strstr(err, bad[_i].want) == err || strstr(err, bad[_i].want) != NULL,
	    "row %d: '%s' is not in '%s'", _i, bad[_i].want, err);
	ck_assert_ptr_null(strchr(err, '\n'));
}
END_TEST

START_TEST(test_later)
{
	const char *args[] = { BASE, later[_i], NULL };
	char err[OPTIONS_ERROR_MAX], want[OPTIONS_ERROR_MAX];
	struct options o;

	ck_assert_int_eq(parse(args, &o, err), -EINVAL);
	snprintf(want, sizeof(want), "option '%.*s' is not supported yet",
	    (int)strcspn(later[_i], "="), later[_i]);
	ck_assert_str_eq(err, want);
}
END_TEST

/* A text longer than the message has room for is cut, not overrun. */
START_TEST(test_long_words)
{
	static char word[4096];
	const char *args[] = { BASE, word, NULL };
	char err[OPTIONS_ERROR_MAX];
	struct options o;

	for (const char *const *p = (const char *const[]){ "--",
		 "--seccomp=", "--fd=", "--inode-file-handles=", "", NULL };
	     *p != NULL; p++) {
		memset(word, 'x', sizeof(word) - 1);
		memcpy(word, *p, strlen(*p));
		ck_assert_int_eq(parse(args, &o, err), -EINVAL);
		ck_assert_uint_lt(strnlen(err, sizeof(err)), sizeof(err));
	}
}
END_TEST

/* Both helps come from the table: each served option is in both, no refused one in either, lines fit a terminal. */
START_TEST(test_help)
{
	static const char *const served[] = {
		"--shared-dir <PATH>",
		"--socket-path <PATH>",
		"--fd <N>",
		"--tag <TAG>",
		"--thread-pool-size <N>",
		"--xattr",
		"--sandbox <MODE>",
		"--seccomp <ACTION>",
		"--announce-submounts",
		"--no-announce-submounts",
		"--inode-file-handles <MODE>",
		"--cache <POLICY>",
		"--fd-donation <WHEN>",
		"--front-user <NAME>",
		"--worker-deaths <N>",
		"--worker-window <SECONDS>",
		"--worker-timeout <SECONDS>",
		"--worker-timeout-restart",
		"--rlimit-nofile <N>",
		"--log-level <LEVEL>",
		"--print-capabilities",
		"-h, --help",
		"-V, --version",
	};
	size_t len[2];
	char *text[2];

	for (int full = 0; full < 2; full++) {
		FILE *f = open_memstream(&text[full], &len[full]);

		ck_assert_ptr_nonnull(f);
		options_help(f, full);
		fclose(f);
		for (size_t i = 0; i < countof(served); i++)
			ck_assert_msg(strstr(text[full], served[i]) != NULL, "%s", served[i]);
		for (size_t i = 0; i < countof(later); i++)
			ck_assert_msg(
			    strchr(later[i], '=') != NULL || strstr(text[full], later[i]) == NULL,
			    "%s", later[i]);
		for (const char *p = text[full]; *p != '\0'; p += strcspn(p, "\n") + 1)
			ck_assert_msg(strcspn(p, "\n") <= 100, "%.120s", p);
	}
	ck_assert_uint_gt(len[1], len[0]);
	free(text[0]);
	free(text[1]);
}
END_TEST

/* The program itself: exit status, standard output and standard error. */
struct run {
	int status;
	char out[8192], err[8192];
};

static void
slurp(int fd, char *buf, size_t size)
{
	ssize_t n;
	size_t used = 0;

	ck_assert_int_ne(lseek(fd, 0, SEEK_SET), -1);
	while ((n = read(fd, buf + used, size - 1 - used)) > 0)
		used += (size_t)n;
	buf[used] = '\0';
	close(fd);
}

static void
run(const char *const *args, struct run *r)
{
	const char *program = getenv("VIRTIOFSD") != NULL ? getenv("VIRTIOFSD") : "build/virtiofsd";
	char *argv[ARGS_MAX + 2] = { (char *)(uintptr_t)program };
	int out = open("/tmp", O_TMPFILE | O_RDWR, 0600),
	    err = open("/tmp", O_TMPFILE | O_RDWR, 0600), status;
	posix_spawn_file_actions_t fa;
	pid_t pid;

	ck_assert_int_ge(out, 0);
	ck_assert_int_ge(err, 0);
	for (int i = 0; args[i] != NULL; i++)
		argv[i + 1] = (char *)(uintptr_t)args[i];
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	posix_spawn_file_actions_adddup2(&fa, err, 2);
	ck_assert_msg(
	    posix_spawn(&pid, program, &fa, NULL, argv, environ) == 0, "cannot run %s", program);
	posix_spawn_file_actions_destroy(&fa);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	r->status = WEXITSTATUS(status);
	slurp(out, r->out, sizeof(r->out));
	slurp(err, r->err, sizeof(r->err));
}

static const struct {
	const char *args[ARGS_MAX];
	int status;
	const char *out; /* how standard output begins; "" = empty */
	const char *err; /* likewise; status 1: a part of a log line */
} programs[] = {
	{ { NULL }, 2, "", "Virtio-fs" },
	{ { "-h" }, 0, "Virtio-fs", "" },
	{ { "--help" }, 0, "Virtio-fs", "" },
	{ { "-V" }, 0, "virtiofsd ", "" },
	{ { "--version" }, 0, "virtiofsd ", "" },
	{ { "--print-capabilities" }, 0,
	    "{\n  \"type\": \"fs\",\n  \"features\": [\n    \"migrate-precopy\",\n"
	    "    \"separate-options\"\n  ]\n}\n",
	    "" },
	{ { "--print-capabilities", "--writeback" }, 2, "",
	    "error: option '--writeback' is not supported yet\n\nUsage: " },
	{ { "--nonsense" }, 2, "", "error: unknown option '--nonsense'\n\nUsage: " },
	{ { "--fd=3" }, 2, "", "error: missing: --shared-dir <PATH>\n\nUsage: " },
	{ { "--shared-dir=/nonexistent", "--fd=3" }, 1, "",
	    "ERROR virtiofsd] '/nonexistent' does not exist" },
	{ { "--shared-dir=/dev/null", "--fd=3" }, 1, "",
	    "'/dev/null' does not exist or is neither" },
	{ { "--shared-dir=/etc/passwd", "--fd=3" }, 1, "", "only directories can be shared" },
	{ { "--shared-dir=/", "--fd=2" }, 1, "", "--fd 2: not a listening UNIX stream socket" },
	{ { "--shared-dir=/", "--fd=999" }, 1, "", "--fd 999: not a listening UNIX stream socket" },
	{ { "--shared-dir=/", "--socket-path=/nonexistent/s" }, 1, "",
	    "directory of the socket '/nonexistent': No such file" },
	{ { "--shared-dir=/", "--socket-path=" }, 1, "", "socket path '': Invalid argument" },
	{ { "--shared-dir=/", "--socket-path=/" }, 1, "", "socket path '/': Invalid argument" },
	{ { "--shared-dir=/", "--fd=0", "--front-user=root" }, 1, "",
	    "must have neither uid nor gid 0" },
	{ { "--shared-dir=/", "--fd=0", "--front-user=no such user" }, 1, "",
	    "there is no user 'no such user'" },
	{ { "--shared-dir=/", "--fd=0", "--rlimit-nofile=18446744073709551615" }, 1, "",
	    "is above the system's limit" },
	{ { "--shared-dir=/", "--fd=0", "--thread-pool-size=18446744073709551615" }, 1, "",
	    "is too low" },
	{ { "--shared-dir=/nonexistent", "--fd=3", "--log-level=off" }, 1, "", "" },
};

START_TEST(test_program)
{
	static struct run r;

	run(programs[_i].args, &r);
	ck_assert_msg(
	    r.status == programs[_i].status, "row %d: status %d, %s", _i, r.status, r.err);
	if (programs[_i].out[0] == '\0')
		ck_assert_str_eq(r.out, "");
	if (programs[_i].err[0] == '\0')
		ck_assert_str_eq(r.err, "");
	ck_assert_msg(strncmp(r.out, programs[_i].out, strlen(programs[_i].out)) == 0, "row %d: %s",
	    _i, r.out);
	if (r.status == 1)
		ck_assert_msg(strstr(r.err, programs[_i].err) != NULL, "row %d: %s", _i, r.err);
	else
		ck_assert_msg(strncmp(r.err, programs[_i].err, strlen(programs[_i].err)) == 0,
		    "row %d: %s", _i, r.err);
	if (r.status == 2 && programs[_i].args[0] != NULL)
		ck_assert_ptr_nonnull(strstr(r.err, "For more information, try '--help'.\n"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("options");
	TCase *t = tcase_create("options");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, test_good, 0, countof(good));
	tcase_add_loop_test(t, test_bad, 0, countof(bad));
	tcase_add_loop_test(t, test_later, 0, countof(later));
	tcase_add_test(t, test_long_words);
	tcase_add_test(t, test_help);
	tcase_add_loop_test(t, test_program, 0, countof(programs));
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
