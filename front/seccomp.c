/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All the system calls that the process which touches guest memory may make once sealed. Nothing that opens, names,
 * creates, executes, or changes who may do what. Runs in: front.
 */
#include "front/seccomp.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>

#include "common/log.h"
#include "common/seccomp.h"
#include "proto/control.h"

/* clang-format off */
static const struct sc_rule rules[] = {
	/* Waiting and talking */
	SC(ppoll, "every wait: connection, kicks, lanes, reads that make no progress"),
	SC(recvmsg, "vhost-user messages, replies of the worker"),
	SC(sendmsg, "vhost-user replies, batches to the worker, log lines"),
	SC(read, "kick eventfds, a thread's own wake-up"),
	SC(write, "call eventfds or pipes, a thread's own wake-up"),
	SC_ARG(futex, "locks and condition variables", SC_MASKED(1, SC_FUTEX_OP, FUTEX_WAIT)),
	SC_ARG(futex, "the same", SC_MASKED(1, SC_FUTEX_OP, FUTEX_WAKE)),
	SC_ARG(futex, "the same, with a deadline", SC_MASKED(1, SC_FUTEX_OP, FUTEX_WAIT_BITSET)),
	SC(sched_yield, "looking for work without keeping the CPU from others"),
	SC(close, "fds received from the VMM and the worker"),

	/* Files the guest has open: donated fds */
	SC(preadv2, "READ"),
	SC(pwritev2, "WRITE"),
	SC(fsync, "FSYNC"),
	SC(fdatasync, "FSYNC"),
	SC(fallocate, "FALLOCATE"),
	SC(ftruncate, "SETATTR of the size, where the worker may not open the file again"),
	SC(lseek, "LSEEK"),
	SC(copy_file_range, "COPY_FILE_RANGE"),
	SC(dup, "FLUSH is the close of a duplicate"),
	SC_ARG(statx, "GETATTR of a donated file; there is no name in the empty root", SC_ALL_OF(2, AT_EMPTY_PATH)),
	SC_ARG(newfstatat, "fstat: what kind of file an fd is", SC_ALL_OF(3, AT_EMPTY_PATH)),
	SC(fstat, "the same"),
	SC_ARG(fcntl, "flags of kick and call fds", SC_EQ32(1, F_GETFL)),
	SC_ARG(fcntl, "O_NONBLOCK of kick fds; not what changes how a file is written, or who gets signals",
	    SC_EQ32(1, F_SETFL), SC_NONE_OF(2, O_APPEND | O_DIRECT | O_ASYNC | O_NOATIME)),

	/* Memory: guest regions, tables that grow; never executable */
	SC_ARG(mmap, "guest memory, tables", SC_NONE_OF(2, PROT_EXEC)),
	SC_ARG(mprotect, "malloc", SC_NONE_OF(2, PROT_EXEC)),
	SC(munmap, "guest memory, malloc"),
	SC_ARG(mremap, "malloc", SC_EQ32(3, MREMAP_MAYMOVE)),
	SC_ARG(madvise, "malloc and tables give memory back", SC_EQ32(2, MADV_DONTNEED)),
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

	/* The last LOCK_RULES: locks, with --posix-lock or --flock only */
	SC_ARG(fcntl, "SETLK (with --posix-lock)", SC_EQ32(1, F_OFD_SETLK)),
	SC_ARG(fcntl, "SETLKW (with --posix-lock)", SC_EQ32(1, F_OFD_SETLKW)),
	SC_ARG(fcntl, "GETLK (with --posix-lock)", SC_EQ32(1, F_OFD_GETLK)),
	SC(flock, "SETLK, SETLKW (with --flock)"),
};
#define LOCK_RULES 4u
/* clang-format on */

void
front_seccomp(unsigned action, bool locks)
{
	size_t n;

	(void)front_seccomp_rules(locks, &n);
	if (seccomp_load_rules(rules, n, (enum sc_action)action) != 0)
		fatalx("cannot load the seccomp profile");
}

const struct sc_rule *
front_seccomp_rules(bool locks, size_t *n)
{
	*n = countof(rules) - (locks ? 0 : LOCK_RULES);
	return rules;
}
