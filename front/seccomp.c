/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All the system calls that the process which touches guest memory may make once sealed. Nothing that opens, names,
 * creates, executes, or changes who may do what. Runs in: front.
 */
#include "front/seccomp.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "common/log.h"
#include "common/seccomp.h"
#include "proto/control.h"

/* clang-format off */
static const struct sc_rule rules[] = {
	/* Waiting and talking */
	SC(ppoll, "every wait: connection, kicks, lanes"),
	SC(recvmsg, "vhost-user messages, replies of the worker"),
	SC(sendmsg, "vhost-user replies, batches to the worker, log lines"),
	SC(read, "kick eventfds, a thread's own wake-up"),
	SC(write, "call eventfds or pipes, a thread's own wake-up"),
	SC(futex, "locks and condition variables"),
	SC(close, "fds received from the VMM and the worker"),

	/* Files the guest has open: donated fds */
	SC(preadv2, "READ"),
	SC(pwritev2, "WRITE"),
	SC(fsync, "FSYNC"),
	SC(fdatasync, "FSYNC"),
	SC(fallocate, "FALLOCATE"),
	SC(lseek, "LSEEK"),
	SC(copy_file_range, "COPY_FILE_RANGE"),
	SC(dup, "FLUSH is the close of a duplicate"),
	SC_ARG(statx, "GETATTR of a donated file; there is no name in the empty root", SC_MASKED(2, AT_EMPTY_PATH, AT_EMPTY_PATH)),
	SC_ARG(newfstatat, "fstat: what kind of file an fd is", SC_MASKED(3, AT_EMPTY_PATH, AT_EMPTY_PATH)),
	SC(fstat, "the same"),
	SC_ARG(fcntl, "flags of kick and call fds", SC_MASKED(1, 0xffffffff, F_GETFL)),
	SC_ARG(fcntl, "flags of kick and call fds", SC_MASKED(1, 0xffffffff, F_SETFL)),

	/* Memory: guest regions, tables that grow; never executable */
	SC_ARG(mmap, "guest memory, tables", SC_MASKED(2, PROT_EXEC, 0)),
	SC_ARG(mprotect, "malloc", SC_MASKED(2, PROT_EXEC, 0)),
	SC(munmap, "guest memory, tables"),
	SC(mremap, "malloc"),
	SC(madvise, "malloc"),
	SC(brk, "malloc"),
	SC(getrandom, "malloc's tcache key"),

	/* Time and the end */
	SC(clock_gettime, "where the vDSO has none"),
	SC(getcpu, "where the vDSO has none"),
	SC(rt_sigprocmask, "abort"),
	SC(rt_sigreturn, "abort's handler"),
	SC(gettid, "abort"),
	SC(getpid, "abort"),
	SC_ARG(tgkill, "abort: nobody else", SC_EQ(0, SC_OWN_PID)),
	SC(exit, "a thread's end"),
	SC(exit_group, "the end"),
	SC(restart_syscall, "a wait that was stopped and continued"),
};
/* clang-format on */

void
front_seccomp(unsigned action)
{
	if (seccomp_load_rules(rules, countof(rules), (enum sc_action)action) != 0)
		fatalx("cannot load the seccomp profile");
}
