/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The monitor's system calls once it serves. It has CAP_DAC_READ_SEARCH, so what could open by name, re-open or load code
 * is left out; what remains of open_by_handle_at gives O_PATH fds only. Its threads exist before. Runs in: monitor.
 */
#include "monitor/seccomp.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/seccomp.h"

static const struct sc_rule rules[] = {
	/* supervision */
	SC(ppoll, "the loops of both threads; standard error, before it is written to"),
	SC(read, "signalfd, eventfds"),
	SC(write, "log lines, eventfds"),
	SC(recvmsg, "control and vault sockets"),
	SC(sendmsg, "answers of the vault"),
	SC(close, "fds of inodes, sockets of dead children"),
	SC(waitid, "how a child ended"),
	SC_ARG(pidfd_send_signal, "children are stopped by SIGKILL only", SC_EQ(1, SIGKILL)),
	/* the vault */
	SC(name_to_handle_at, "the handle of a received fd"),
	SC_ARG(open_by_handle_at, "an inode for the worker: never readable, never followed",
	    SC_EQ(2, O_PATH | O_CLOEXEC | O_NOFOLLOW)),
	SC_ARG(fcntl, "is a received fd O_PATH?", SC_EQ(1, F_GETFL)),
	SC_ARG(statx, "mount of a received fd", SC_EQ(2, AT_EMPTY_PATH | AT_STATX_DONT_SYNC)),
	/* the end */
	SC_ARG(statx, "is the socket still ours?", SC_EQ(2, AT_SYMLINK_NOFOLLOW)),
	SC_ARG(unlinkat, "remove the socket; no directory", SC_EQ(2, 0)),
	SC(rt_sigaction, "die by SIGINT as its sender expects; abort()"),
	SC(rt_sigprocmask, "likewise"),
	SC(rt_sigreturn, "end of a signal handler of a sanitizer or debugger"),
	SC(gettid, "raise()"),
	SC(getpid, "raise()"),
	SC(tgkill, "raise()"),
	SC(exit_group, "the end"),
	/* memory: libc and the vault's table */
	SC(brk, "malloc"),
	SC_ARG(mmap, "malloc, the vault's table; nothing executable", SC_MASKED(2, PROT_EXEC, 0)),
	SC_ARG(mprotect, "malloc; nothing executable", SC_MASKED(2, PROT_EXEC, 0)),
	SC(mremap, "the vault's table grows"),
	SC(munmap, "the same"),
	SC(madvise, "malloc gives memory back"),
	/* threads and time */
	SC(futex, "mutexes of log, vault and libc"),
	SC(clock_gettime, "where the vDSO has no clock"),
	SC(restart_syscall, "ppoll after a stop and continue"),
};

int
seccomp_monitor(enum seccomp_action action)
{
	return seccomp_load_rules(rules, countof(rules), (enum sc_action)action);
}

static_assert((int)SECCOMP_NONE == (int)SC_ACT_NONE && (int)SECCOMP_KILL == (int)SC_ACT_KILL &&
	(int)SECCOMP_LOG == (int)SC_ACT_LOG && (int)SECCOMP_TRAP == (int)SC_ACT_TRAP,
    "the same numbers");
