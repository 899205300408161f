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

/* Good command lines, and a part of what rig_describe() must say. */
static const struct options_row good[] = {
	{ { BASE },
	    " action=0 old=0 dir=/s sock=/t group=- fd=-1 tag=- dev=4 cache=0 acl=0 label=0 "
	    "handles=0 xattrmap=- tuid= tgid= sandbox=0 seccomp=1 user=- modcaps=- umap= gmap= "
	    "pool=0/0 nofile=0/0 poll=0/50 deaths=20/60 timeout=60/0 log=3 syslog=0 "
	    "mig=0/0/0/0/0 " },
	{ { NULL }, " action=1 " },
	{ { "-h" }, " action=2 " },
	{ { "--help" }, " action=3 " },
	{ { "-V" }, " action=4 " },
	{ { "--version" }, " action=4 " },
	{ { "--version", "--nonsense" }, " action=4 " },
	{ { "-dh" }, " action=2 " },
	{ { "-hx" }, " action=2 " },
	{ { "--print-capabilities" }, " action=5 " },
	{ { "--print-capabilities", "--xattr", "--fd=3" }, " action=5 " },
	{ { "--print-capabilities", "--socket-path", "/t" }, " action=5 " },
	{ { "--print-capabilities", "--print-capabilities" }, " action=5 " },
	{ { "--print-seccomp=front" }, " action=6 " },
	{ { "--print-seccomp=front" }, " print=0/0 " },
	{ { "--print-seccomp", "worker,json" }, " print=1/1 " },
	{ { "--print-seccomp=vault,json", "--print-seccomp=monitor" }, " print=2/0 " },
	/* where */
	{ { "--shared-dir=/s", "--fd", "3" }, " sock=- group=- fd=3 " },
	{ { "--shared-dir=/s", "--fd=+7" }, " fd=7 " },
	{ { "--shared-dir=/s", "--fd=2147483647" }, " fd=2147483647 " },
	{ { "--shared-dir=/s", "--fd=0" }, " fd=0 " },
	{ { "--shared-dir=", "--fd=0" }, " dir= " },
	{ { "--shared-dir=-", "--fd=0" }, " dir=- " },
	{ { "--shared-dir", "-", "--fd=0" }, " dir=- " },
	{ { "--shared-dir=--fd", "--fd=0" }, " dir=--fd " },
	{ { "--shared-dir=a=b", "--fd=0" }, " dir=a=b " },
	{ { "--shared-dir", "=a", "--fd=0" }, " dir==a " },
	{ { BASE, "--" }, " dir=/s " },
	{ { BASE, "--socket-path=/u" }, " sock=/u " },
	{ { "--shared-dir=/s", "--socket=/u" }, " old=1 dir=/s sock=/u " },
	{ { BASE, "--socket=/u" }, " old=1 dir=/s sock=/t " },
	{ { "--socket", "/u", BASE }, " sock=/t " },
	{ { BASE, "--socket-group=kvm" }, " group=kvm " },
	{ { "--shared-dir=/s", "--socket=/u", "--socket-group", "kvm" }, " sock=/u group=kvm " },
	{ { BASE, "--tag", "x" }, " tag=x " },
	{ { BASE, "--tag=x", "--tag=y" }, " tag=y " },
	{ { BASE, "--tag=123456789012345678901234567890123456" },
	    " tag=123456789012345678901234567890123456 " },
	/* numbers */
	{ { BASE, "--thread-pool-size", "0" }, " pool=1/0 " },
	{ { BASE, "--thread-pool-size=+2" }, " pool=1/2 " },
	{ { BASE, "--thread-pool-size=007" }, " pool=1/7 " },
	{ { BASE, "--thread-pool-size=18446744073709551615" }, " pool=1/18446744073709551615 " },
	{ { BASE, "--thread-pool-size=1", "--thread-pool-size=3" }, " pool=1/3 " },
	{ { BASE, "--rlimit-nofile=0" }, " nofile=1/0 " },
	{ { BASE, "--rlimit-nofile", "18446744073709551615" }, " nofile=1/18446744073709551615 " },
	{ { BASE, "--busy-poll-us=0" }, " poll=1/0 " },
	{ { BASE, "--busy-poll-us", "1000000" }, " poll=1/1000000 " },
	{ { BASE, "--worker-deaths=0" }, " deaths=0/60 timeout=60/0 " },
	{ { BASE, "--worker-deaths", "1000", "--worker-window=86400" }, " deaths=1000/86400 " },
	{ { BASE, "--worker-window=1", "--worker-timeout=0" }, " deaths=20/1 timeout=0/0 " },
	{ { BASE, "--worker-timeout=5", "--worker-timeout-restart" }, " timeout=5/1 " },
	/* words */
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
	{ { BASE, "--cache=auto" }, " cache=0 " },
	{ { BASE, "--cache", "ALWAYS" }, " cache=1 " },
	{ { BASE, "--cache", "Never" }, " cache=2 " },
	{ { BASE, "--cache=metadata" }, " cache=3 " },
	{ { BASE, "--cache=metadata", "--cache=auto" }, " cache=0 " },
	{ { BASE, "--inode-file-handles=prefer" }, " handles=0 " },
	{ { BASE, "--inode-file-handles=never" }, " handles=1 " },
	{ { BASE, "--inode-file-handles=mandatory" }, " handles=2 " },
	{ { BASE, "--inode-file-handles=fallback" }, " old=10 " },
	{ { BASE, "--inode-file-handles=never", "--inode-file-handles=fallback" }, " handles=0 " },
	{ { BASE, "--inode-file-handles=fallback", "--inode-file-handles=never" }, " old=0 " },
	{ { BASE, "--migration-mode=find-paths" }, " mig=1/0/0/0/0 " },
	{ { BASE, "--migration-mode", "file-handles" }, " mig=1/1/0/0/0 " },
	{ { BASE, "--migration-on-error=abort" }, " mig=1/0/0/0/0 " },
	{ { BASE, "--migration-on-error=guest-error" }, " mig=1/0/1/0/0 " },
	{ { BASE, "--migration-verify-handles" }, " mig=1/0/0/1/0 " },
	{ { BASE, "--migration-confirm-paths" }, " mig=1/0/0/0/1 " },
	{ { BASE, "--posix-acl" }, " dev=5 cache=0 acl=2 label=0 " },
	{ { BASE, "--posix-acl=always" }, " acl=2 " },
	{ { BASE, "--posix-acl=auto" }, " dev=5 cache=0 acl=1 " },
	{ { BASE, "--posix-acl=never" }, " dev=4 cache=0 acl=0 " },
	{ { BASE, "--posix-acl", "--posix-acl=never" }, " dev=4 cache=0 acl=0 " },
	{ { BASE, "--posix-acl=never", "--posix-acl" }, " dev=5 cache=0 acl=2 " },
	{ { BASE, "--security-label" }, " dev=5 cache=0 acl=0 label=2 " },
	{ { BASE, "--security-label=auto" }, " dev=5 cache=0 acl=0 label=1 " },
	{ { BASE, "--security-label=never" }, " dev=4 cache=0 acl=0 label=0 " },
	{ { BASE, "--fd-donation=never" }, " dev=6 " },
	{ { BASE, "--fd-donation=never", "--fd-donation", "always" }, " dev=4 " },
	/* flags */
	{ { BASE, "--xattr" }, " dev=5 " },
	{ { BASE, "--xattr", "--xattr" }, " dev=5 " },
	{ { BASE, "--announce-submounts" }, " dev=4 " },
	{ { BASE, "--no-announce-submounts" }, " dev=0 " },
	{ { BASE, "--no-announce-submounts", "--announce-submounts" }, " dev=4 " },
	{ { BASE, "--announce-submounts", "--no-announce-submounts" }, " dev=0 " },
	{ { BASE, "--writeback" }, " dev=c " },
	{ { BASE, "--allow-mmap" }, " dev=14 " },
	{ { BASE, "--allow-direct-io" }, " dev=24 " },
	{ { BASE, "--no-readdirplus" }, " dev=44 " },
	{ { BASE, "--killpriv-v2" }, " dev=84 " },
	{ { BASE, "--killpriv-v2", "--no-killpriv-v2" }, " dev=4 " },
	{ { BASE, "--no-killpriv-v2", "--killpriv-v2" }, " dev=84 " },
	{ { BASE, "--preserve-noatime" }, " dev=104 " },
	{ { BASE, "--readonly" }, " dev=204 " },
	{ { BASE, "--posix-lock" }, " dev=404 " },
	{ { BASE, "--flock" }, " dev=804 " },
	{ { BASE, "--syslog" }, " syslog=1 " },
	{ { BASE, "-d" }, " old=4 " },
	{ { BASE, "-d", "--log-level=error" }, " log=4 " },
	{ { BASE, "-f" }, " old=8 " },
	{ { BASE, "-fdf" }, " old=c " },
	/* texts and structured values */
	{ { BASE, "--front-user=daemon" }, " user=daemon " },
	{ { BASE, "--modcaps=-mknod" }, " modcaps=-mknod " },
	{ { BASE, "--modcaps", "+sys_admin:-chown" }, " modcaps=+sys_admin:-chown " },
	{ { BASE, "--modcaps=" }, " modcaps= " },
	{ { BASE, "--xattrmap", ":map::user.virtiofs.:" },
	    " dev=5 cache=0 acl=0 label=0 handles=0 xattrmap=:map::user.virtiofs.: " },
	{ { BASE, "--uid-map", ":0:100000:65536:" }, " umap=0:100000:65536 gmap= " },
	{ { BASE, "--gid-map=/0/1000/1/" }, " umap= gmap=0:1000:1 " },
	{ { BASE,
	      "--uid-map=:0:1000:1:", "--uid-map=:1:100000:65536:", "--gid-map=,4294967295,+2,0," },
	    " umap=0:1000:1,1:100000:65536 gmap=4294967295:2:0 " },
	{ { BASE, "--uid-map=-1-2-3-" }, " umap=1:2:3 " },
	{ { BASE, "--translate-uid", "map:0:1000:1", "--translate-gid=host:1:2:3",
	      "--translate-uid=forbid-guest:1:2" },
	    " tuid=map:0:1000:1,forbid-guest:1:2 tgid=host:1:2:3 " },
	{ { BASE, "--translate-gid=map:0:1000:1" }, " dev=1004 " },
};

#define ARGS_37 "1234567890123456789012345678901234567"

/* Bad command lines, and a part of the one line that says why. */
static const struct options_row bad[] = {
	{ { "--xattr" },
	    "the following required arguments were not provided: --shared-dir <PATH>, "
	    "--socket-path <PATH> or --fd <N>" },
	{ { "--shared-dir=/s" }, "not provided: --socket-path <PATH> or --fd <N>" },
	{ { "--fd=3" }, "not provided: --shared-dir <PATH>" },
	{ { "--socket=/t" }, "not provided: --shared-dir <PATH>" },
	{ { "--" }, "not provided: --shared-dir <PATH>, --socket-path" },
	{ { BASE, "--fd=3" },
	    "the argument '--fd <N>' cannot be used with '--socket-path <PATH>'" },
	{ { "--shared-dir=/s", "--socket=/t", "--fd=3" },
	    "the argument '--fd <N>' cannot be used with '--socket <PATH>'" },
	{ { "--shared-dir=/s", "--socket-group=g", "--fd=3" },
	    "the argument '--fd <N>' cannot be used with '--socket-group <NAME>'" },
	{ { "--print-capabilities", "--socket-group=g" },
	    "the argument '--print-capabilities' cannot be used with '--socket-group <NAME>'" },
	{ { "--print-capabilities", "--fd=3", "--socket-path=/t" }, "'--fd <N>' cannot be used" },
	{ { "--print-seccomp=front", "--fd=3", "--socket-path=/t" }, "'--fd <N>' cannot be used" },
	{ { "--print-seccomp" }, "'--print-seccomp <ROLE>'" },
	{ { "--print-seccomp=" }, "possible values: front, worker, monitor, vault" },
	{ { "--print-seccomp=fron" }, "possible values: front, worker, monitor, vault" },
	{ { "--print-seccomp=front," }, "a role, or a role and ,json" },
	{ { "--print-seccomp=front,JSON" }, "a role, or a role and ,json" },
	{ { "--print-seccomp=front,json,json" }, "a role, or a role and ,json" },
	{ { "--print-seccomp=0123456789abcdef" }, "a role, or a role and ,json" },
	{ { "--print-capabilities", "--fd=x" }, "invalid value 'x' for '--fd <N>'" },
	{ { "--print-capabilities", "--nonsense" }, "unexpected argument '--nonsense' found" },
	/* words that are no options, options that are none */
	{ { BASE, "x" }, "unexpected argument 'x' found" },
	{ { BASE, "" }, "unexpected argument '' found" },
	{ { BASE, "-" }, "unexpected argument '-' found" },
	{ { BASE, "--", "--xattr" }, "unexpected argument '--xattr' found" },
	{ { BASE, "--", "--" }, "unexpected argument '--' found" },
	{ { "x", BASE }, "unexpected argument 'x' found" },
	{ { BASE, "--nonsense" }, "unexpected argument '--nonsense' found" },
	{ { BASE, "--nonsense=1" }, "unexpected argument '--nonsense' found" },
	{ { BASE, "--daemonize" }, "unexpected argument '--daemonize' found" },
	{ { BASE, "-x" }, "unexpected argument '-x' found" },
	{ { BASE, "-xattr" }, "unexpected argument '-x' found" },
	{ { BASE, "-dx" }, "unexpected argument '-x' found" },
	{ { BASE, "-d=1" }, "unexpected argument '-=' found" },
	{ { "--shared", "x" }, "unexpected argument '--shared' found" },
	{ { "--shared=x" }, "unexpected argument '--shared' found" },
	{ { BASE, "--xatt" }, "unexpected argument '--xatt' found" },
	{ { BASE, "--s" }, "unexpected argument '--s' found" },
	{ { BASE, "--=x" }, "unexpected argument '--' found" },
	{ { BASE, "--XATTR" }, "unexpected argument '--XATTR' found" },
	{ { BASE, "--xattrs" }, "unexpected argument '--xattrs' found" },
	{ { BASE, "--d" }, "unexpected argument '--d' found" },
	/* values that are not there, or should not be */
	{ { BASE, "--xattr=yes" },
	    "unexpected value 'yes' for '--xattr' found; no more were expected" },
	{ { BASE, "--xattr=" }, "unexpected value '' for '--xattr' found" },
	{ { BASE, "--writeback=1" }, "unexpected value '1' for '--writeback' found" },
	{ { "--help=yes" }, "unexpected value 'yes' for '--help' found" },
	{ { BASE, "--tag" }, "a value is required for '--tag <TAG>' but none was supplied" },
	{ { BASE, "--tag", "-x" }, "a value is required for '--tag <TAG>'" },
	{ { BASE, "--tag", "--xattr" }, "a value is required for '--tag <TAG>'" },
	{ { BASE, "--tag", "--" }, "a value is required for '--tag <TAG>'" },
	{ { BASE, "--modcaps", "-mknod" }, "a value is required for '--modcaps <LIST>'" },
	{ { BASE, "-o" }, "a value is required for '-o <LIST>'" },
	{ { BASE, "-do" }, "a value is required for '-o <LIST>'" },
	{ { BASE, "--posix-acl", "auto" }, "unexpected argument 'auto' found" },
	{ { BASE, "--security-label", "always" }, "unexpected argument 'always' found" },
	{ { BASE, "--inode-file-handles", "prefer" },
	    "equal sign is needed when assigning values to '--inode-file-handles=<MODE>'" },
	{ { BASE, "--inode-file-handles" }, "equal sign is needed" },
	/* tags and numbers */
	{ { BASE, "--tag=" }, "invalid value '' for '--tag <TAG>': the tag may not be empty" },
	{ { BASE, "--tag=" ARGS_37 }, "invalid value '" ARGS_37 "' for '--tag <TAG>'" },
	{ { BASE, "--tag=12345678901234567890123456789012345\xc3\xa4" }, "longer than 36 bytes" },
	{ { "--shared-dir=/s", "--fd=" },
	    "invalid value '' for '--fd <N>': cannot parse integer from empty string" },
	{ { "--shared-dir=/s", "--fd=x" },
	    "invalid value 'x' for '--fd <N>': invalid digit found in string" },
	{ { "--shared-dir=/s", "--fd=-1" }, "invalid value '-1' for '--fd <N>'" },
	{ { "--shared-dir=/s", "--fd", "-1" }, "a value is required for '--fd <N>'" },
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
	{ { BASE, "--busy-poll-us=1000001" }, "number too large" },
	{ { BASE, "--worker-deaths=1001" },
	    "invalid value '1001' for '--worker-deaths <N>': number too large" },
	{ { BASE, "--worker-deaths=-1" }, "invalid digit found in string" },
	{ { BASE, "--worker-window=0" },
	    "invalid value '0' for '--worker-window <SECONDS>': at least 1" },
	{ { BASE, "--worker-window=86401" }, "number too large" },
	{ { BASE, "--worker-timeout=x" }, "invalid digit found in string" },
	{ { BASE, "--worker-timeout-restart=1" }, "unexpected value '1'" },
	{ { BASE, "--worker-timeout-restart", "--worker-deaths=0" },
	    "the argument '--worker-timeout-restart' cannot be used with '--worker-deaths=0'" },
	{ { BASE, "--worker-timeout=0", "--worker-timeout-restart" },
	    "the argument '--worker-timeout-restart' cannot be used with '--worker-timeout=0'" },
	/* words */
	{ { BASE, "--sandbox=jail" },
	    "invalid value 'jail' for '--sandbox <MODE>': possible values: namespace, chroot, "
	    "none" },
	{ { BASE, "--sandbox=" }, "invalid value '' for '--sandbox <MODE>'" },
	{ { BASE, "--seccomp=KILL" },
	    "invalid value 'KILL' for '--seccomp <ACTION>': possible values: kill, log, trap, "
	    "none" },
	{ { BASE, "--log-level=loud" }, "invalid value 'loud' for '--log-level <LEVEL>'" },
	{ { BASE, "--cache=none" }, "invalid value 'none' for '--cache <POLICY>'" },
	{ { BASE, "--inode-file-handles=Prefer" },
	    "invalid value 'Prefer' for '--inode-file-handles=<MODE>': possible values: never, "
	    "prefer, mandatory" },
	{ { BASE, "--posix-acl=ALWAYS" },
	    "invalid value 'ALWAYS' for '--posix-acl[=<WHEN>]': possible values: never, auto, "
	    "always" },
	{ { BASE, "--posix-acl=" }, "invalid value '' for '--posix-acl[=<WHEN>]'" },
	{ { BASE, "--security-label=yes" }, "invalid value 'yes' for '--security-label" },
	{ { BASE, "--fd-donation=maybe" }, "invalid value 'maybe' for '--fd-donation <WHEN>'" },
	{ { BASE, "--migration-mode=Find-paths" }, "possible values: find-paths, file-handles" },
	{ { BASE, "--migration-on-error=ABORT" }, "possible values: abort, guest-error" },
	/* id maps */
	{ { BASE, "--uid-map=" },
	    "invalid value '' for '--uid-map <MAP>': empty or wrong number of values" },
	{ { BASE, "--uid-map=:" }, "empty or wrong number of values" },
	{ { BASE, "--uid-map=:0:1:" }, "empty or wrong number of values" },
	{ { BASE, "--uid-map=:0:1:2:3:" }, "empty or wrong number of values" },
	{ { BASE, "--gid-map=0:1:2" }, "invalid value '0:1:2' for '--gid-map <MAP>': delimiter" },
	{ { BASE, "--uid-map=:0:1:2/" }, "delimiter mismatch" },
	{ { BASE, "--uid-map=0:1:2:" }, "delimiter mismatch" },
	{ { BASE, "--uid-map=a0a1a2a" }, "delimiter mismatch" },
	{ { BASE, "--uid-map=:a:1:2:" }, "invalid digit found in string" },
	{ { BASE, "--uid-map=::1:2:" }, "cannot parse integer from empty string" },
	{ { BASE, "--uid-map=:0:-1:2:" }, "invalid digit found in string" },
	{ { BASE, "--uid-map=:0:1:4294967296:" }, "number too large" },
	{ { BASE, "--uid-map=:0:1:2:", "--uid-map=x" }, "invalid value 'x'" },
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

	tcase_add_loop_test(t, test_good, 0, countof(good));
	tcase_add_loop_test(t, test_bad, 0, countof(bad));
	tcase_add_test(t, test_long_words);
	return rig_main(t);
}
