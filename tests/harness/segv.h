/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segv - make another process die of SIGSEGV. A signal that is sent does nothing to the first process of a pid namespace
 * (it has no handler; only SIGKILL is forced on it), a fault of its own kills it: its main thread is made to go on at
 * address 0. x86-64.
 *
 * Runs in: the test programs, as root.
 */
#ifndef HARNESS_SEGV_H
#define HARNESS_SEGV_H

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>

/* Returns 0 or a negative errno; -ESRCH if it has died meanwhile. */
static inline int
segv_inject(pid_t pid)
{
	struct user_regs_struct regs;
	int status, err = 0;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1)
		return -errno;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == -1 || waitpid(pid, &status, __WALL) != pid)
		return -errno;
	if (!WIFSTOPPED(status))
		return -ESRCH;
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) == -1)
		return -errno;
	/* No system call is to be restarted. */
	regs.orig_rax = ~0ULL;
	regs.rip = 0;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &regs) == -1)
		err = -errno;
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL) == -1)
		err = -errno;
	return err;
}

#endif
