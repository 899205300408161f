/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_modes_start - what cannot be had: exit status 1, one line that names the step, and nothing left.
 *
 * Runs in: check_modes.
 */
#include "check_modes.h"

#include <string.h>

/* "deny" in a prefix as in modes.c. */
static const struct refused {
	uid_t owner;
	const char *prefix[10];
	const char *args[4];
	const char *line;
} refused[] = {
	{ .owner = MODES_USER, .args = { "--sandbox=chroot" },
	    .line = "Error entering sandbox: sandbox mode 'chroot' can only be used by root (Use '--sandbox namespace' instead)" },
	{ .args = { "--uid-map=:0:1:1:" },
	    .line = "Error entering sandbox: uid_map can only be used by unprivileged user where sandbox mod is namespace" },
	{ .args = { "--gid-map=:0:1:1:" },
	    .line = "Error entering sandbox: gid_map can only be used by unprivileged user where sandbox mod is namespace" },
	{ .owner = MODES_USER, .args = { "--sandbox=none", "--uid-map=:0:1:1:" },
	    .line = "Error entering sandbox: uid_map can only be used by unprivileged user where sandbox mod is namespace" },
	/* not in /etc/subuid */
	{ .owner = MODES_USER, .args = { "--uid-map=:0:5:5:" },
	    .line = "Error entering sandbox: couldn't setup id mappings: failed to execute newuidmap: newuidmap: " },
	{ .owner = MODES_USER, .args = { "--uid-map=:0:100000:5:", "--gid-map=:0:5:5:" },
	    .line = "Error entering sandbox: couldn't setup id mappings: failed to execute newgidmap: newgidmap: " },
	{ .owner = MODES_USER, .args = { "--uid-map=:5:100000:5:" },
	    .line = "Error entering sandbox: --uid-map maps neither anything to 0 nor 64321, the caller's own" },
	{ .prefix = { "setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-all" },
	    .line = "Error entering sandbox: namespaces need CAP_SYS_ADMIN, which is missing: add it, or use --sandbox=chroot" },
	{ .prefix = { "setpriv", "--bounding-set", "-sys_chroot", "--inh-caps", "-all" }, .args = { "--sandbox=chroot" },
	    .line = "Error entering sandbox: chroot needs CAP_SYS_CHROOT, which is missing: add it, or use --sandbox=none" },
	{ .prefix = { "deny", "namespaces", "--" },
	    .line = "Error entering sandbox: cannot make namespaces (clone): Operation not permitted: let seccomp" },
	{ .prefix = { "deny", "mount", "--" },
	    .line = "Error entering sandbox: cannot change mounts in a new mount namespace (mount): Permission denied: let" },
	{ .owner = MODES_USER, .prefix = { "deny", "namespaces", "--" },
	    .line = "Error entering sandbox: cannot make a user namespace (clone): Operation not permitted: allow user "
		    "namespaces" },
	{ .owner = MODES_USER, .prefix = { "deny", "mount", "--" },
	    .line = "Error entering sandbox: cannot change mounts in a new mount namespace (mount): Permission denied: let "
		    "AppArmor" },
#define NO_CALLS "not allowed by this kernel or by the seccomp profile of the container: "
	{ .prefix = { "deny", "ENOSYS:openat2", "--" },
	    .line = NO_CALLS "openat2 (Function not implemented); Linux 5.9 or later is needed" },
	{ .prefix = { "deny", "EPERM:openat2", "EPERM:statx", "ENOSYS:close_range", "--" },
	    .line = NO_CALLS "openat2 (Operation not permitted), statx (Operation not permitted), close_range (Function not "
			     "implemented); Linux" },
	{ .owner = MODES_USER, .prefix = { "deny", "ENOSYS:close_range", "--" }, .line = NO_CALLS "close_range (Function not" },
	{ .prefix = { "deny", "ENOSYS:renameat2", "--" }, .args = { "--sandbox=chroot" }, .line = NO_CALLS "renameat2 (" },
	{ .prefix = { "deny", "ENOSYS:preadv2", "EPERM:pwritev2", "--" }, .args = { "--sandbox=none" },
	    .line = NO_CALLS "preadv2 (Function not implemented), pwritev2 (Operation not permitted);" },
	{ .prefix = { "deny", "EPERM:pidfd_send_signal", "ENOSYS:memfd_create", "--" },
	    .line = NO_CALLS "pidfd_send_signal (Operation not permitted), memfd_create (Function not implemented);" },
	{ .owner = MODES_USER, .args = { "--front-user=nobody" }, .line = "--front-user needs CAP_SETUID and CAP_SETGID" },
	{ .args = { "--modcaps=" }, .line = "empty modcap found: expected (+|-)capability:..." },
	{ .args = { "--modcaps=+chown:" }, .line = "empty modcap found" },
	{ .args = { "--modcaps=chown" }, .line = "invalid modcap action: expecting '+'|'-' but found 'c'" },
	{ .args = { "--modcaps=+" }, .line = "invalid capability ''" },
	{ .args = { "--modcaps=+foo" }, .line = "invalid capability 'FOO'" },
	{ .args = { "--modcaps=+CAP_chown" }, .line = "invalid capability 'CAP_CHOWN'" },
	{ .args = { "--modcaps=-dac_read_search" },
	    .line = "can't disable DAC_READ_SEARCH when using --inode-file-handles=Prefer" },
	{ .prefix = { "setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-all" }, .args = { "--modcaps=+sys_resource" },
	    .line = "--modcaps=+sys_resource: the caller does not have this capability to give" },
	/* As root of a user namespace it is root. */
	{ .owner = MODES_USER, .args = { "--uid-map=:0:64321:1:", "--modcaps=+foo" }, .line = "invalid capability 'FOO'" },
	{ .args = { "--shared-dir=/etc/passwd" }, .line = "Error entering sandbox: '/etc/passwd': Not a directory" },
	{ .args = { "--shared-dir=/etc/passwd", "--sandbox=chroot" },
	    .line = "Error entering sandbox: '/etc/passwd': Not a directory" },
};

START_TEST(test_refused)
{
	const struct refused *r = &refused[_i];
	const struct vmm_opts opts = { .stage = VMM_SPAWNED, .args = r->args, .owner = r->owner,
		.prefix = modes_prefix(r->prefix) };
	struct vmm_end e;

	h_start_opts(&opts, false);
	OK(vmm_wait_end(hv, &e));
	if (e.exit_status != 1 || !vmm_log_has(hv, r->line))
		vmm_print_log(hv);
	ck_assert_int_eq(e.exit_status, 1);
	ck_assert_msg(vmm_log_has(hv, r->line), "not in the log: %s", r->line);
	ck_assert_uint_eq(e.left, 0);
	ck_assert(!e.socket_left);
	ck_assert(!h_exists("../sock.pid"));
}
END_TEST

/* What is said of a front that gets less than all, once, and what is not even read. */
static const struct said {
	uid_t owner;
	const char *prefix[10];
	const char *args[4];
	const char *line;	/* that is there once */
} said[] = {
	{ .owner = MODES_USER, .prefix = { "deny", "namespaces", "--" }, .args = { "--sandbox=none" },
	    .line = "the front process gets no namespaces of its own: cannot make a user namespace (clone): Operation not" },
	{ .owner = MODES_USER, .prefix = { "deny", "namespaces", "landlock", "--" }, .args = { "--sandbox=none" },
	    .line = "files are hidden from this process by its seccomp profile alone" },
	{ .prefix = { "setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-all", "deny", "landlock", "--" },
	    .args = { "--sandbox=chroot" }, .line = "the worker process can reach /proc: there is neither CAP_SYS_ADMIN" },
	{ .prefix = { "setpriv", "--bounding-set", "-dac_read_search", "--inh-caps", "-all" },
	    .line = "Failed to open file handle for the root node: Operation not permitted" },
	{ .owner = MODES_USER, .line = "Failed to open file handle for the root node: Operation not permitted" },
	{ .owner = MODES_USER, .args = { "--modcaps=+foo" }, .line = "WARN  virtiofsd] --modcaps has no effect: " },
};

static bool
has_line(void *line)
{
	return vmm_log_has(hv, line);
}

START_TEST(test_said)
{
	const struct said *s = &said[_i];
	const struct vmm_opts opts = { .stage = VMM_RUNNING, .args = s->args, .owner = s->owner,
		.prefix = modes_prefix(s->prefix) };

	h_start_opts(&opts, true);
	modes_restart();
	ck_assert_msg(h_eventually(has_line, (void *)(uintptr_t)s->line, 2000), "not in the log: %s", s->line);
	h_stop();
}
END_TEST

TCase *
check_modes_start(void)
{
	TCase *t = tcase_create("start");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_refused, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_loop_test(t, test_said, 0, sizeof(said) / sizeof(said[0]));
	return t;
}
