/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deny - run a program as in a container whose seccomp profile forbids some system calls.
 *
 * usage: deny WHAT... -- COMMAND [ARG...]
 *   namespaces   clone() and unshare() with any CLONE_NEW* flag (EPERM), clone3() (ENOSYS)
 *   unshare      unshare() altogether (EPERM), as container engines do without CAP_SYS_ADMIN
 *   open_tree    open_tree(), move_mount() and mount_setattr() (ENOSYS), as old kernels
 *   mount        mount() (EACCES), as an AppArmor profile
 *   landlock     Landlock (ENOSYS)
 *   ENOSYS:NAME, EPERM:NAME
 *                the system call of that name, as kernels and profiles from before its time
 */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static scmp_filter_ctx ctx;

static int
deny(int nr, int error)
{
	const int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned)error), nr, 0);

	return r == -EEXIST ? 0 : r;
}

static int
deny_flags(int nr, int error, unsigned long flag)
{
	const int r =
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned)error), nr, 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));

	/* All calls of that number are denied already. */
	return r == -EEXIST ? 0 : r;
}

static int
namespaces(void)
{
	static const unsigned long flags[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
		CLONE_NEWUTS, CLONE_NEWCGROUP };
	int r = deny(SCMP_SYS(clone3), ENOSYS);

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		r |= deny_flags(SCMP_SYS(clone), EPERM, flags[i]) | deny_flags(SCMP_SYS(unshare), EPERM, flags[i]);
	return r;
}

static int
deny_named(const char *name, int error)
{
	const int nr = seccomp_syscall_resolve_name(name);

	return nr == __NR_SCMP_ERROR ? -ENOENT : deny(nr, error);
}

static int
add(const char *what)
{
	if (strncmp(what, "ENOSYS:", 7) == 0)
		return deny_named(what + 7, ENOSYS);
	if (strncmp(what, "EPERM:", 6) == 0)
		return deny_named(what + 6, EPERM);
	if (strcmp(what, "namespaces") == 0)
		return namespaces();
	if (strcmp(what, "unshare") == 0)
		return deny(SCMP_SYS(unshare), EPERM);
	if (strcmp(what, "open_tree") == 0)
		return deny(SCMP_SYS(open_tree), ENOSYS) | deny(SCMP_SYS(move_mount), ENOSYS) |
		    deny(SCMP_SYS(mount_setattr), ENOSYS);
	if (strcmp(what, "mount") == 0)
		return deny(SCMP_SYS(mount), EACCES);
	if (strcmp(what, "landlock") == 0)
		return deny(SCMP_SYS(landlock_create_ruleset), ENOSYS);
	fprintf(stderr, "deny: what is '%s'?\n", what);
	return -1;
}

/* Who has CAP_SYS_ADMIN needs no no_new_privs, and newuidmap still works then. */
static int
load(void)
{
	for (uint32_t nnp = 0; nnp < 2; nnp++)
		if (seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, nnp) == 0 && seccomp_load(ctx) == 0)
			return 0;
	return -1;
}

int
main(int argc, char *argv[])
{
	int i;

	ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (ctx == NULL)
		return 126;
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (add(argv[i]) != 0)
			return 126;
	if (i + 1 >= argc || load() != 0) {
		fprintf(stderr, "usage: deny WHAT... -- COMMAND [ARG...]\n");
		return 126;
	}
	seccomp_release(ctx);
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 127;
}
