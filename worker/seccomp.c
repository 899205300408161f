/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the worker may ask of the kernel once it serves: names and attributes through the fds it holds, credentials of its
 * threads, its sockets. No new process, program, socket, mount, namespace, or working directory; no file handle is ever
 * opened here. Runs in: worker.
 */
#include "worker/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>

#include "common/log.h"
#include "worker/lane.h"

static const struct sc_rule rules[] = {
	/* messages */
	SC(recvmsg, "lanes, vault answers"),
	SC(sendmsg, "lanes, vault, log lines"),
	SC(poll, "the control socket; short waits"),
	SC(ppoll, "poll() of some libc versions"),
	SC(sched_yield, "looking for a message without keeping the CPU from others"),
	SC_ARG(
	    sched_setaffinity, "a lane's thread shares the front's CPU, or does not", SC_EQ(0, 0)),
	SC_ARG(sched_getaffinity, "the same", SC_EQ(0, 0)),

	/* finding inodes */
	SC(statx, "attributes and identity"),
	SC(openat2,
	    "names, beneath a directory; CREATE (its flags are in memory: no profile sees them)"),
	SC_ARG(openat,
	    "opening again what is held: only through the fd directory, and nothing is made",
	    SC_EQ32(0, FD_DIR), SC_NONE_OF(2, O_CREAT | SC_TMPFILE)),
	SC(name_to_handle_at, "identity of an inode whose number may be used again"),
	SC(close, "fds"),
	SC(readlinkat, "READLINK"),

	/* changing names */
	SC(mkdirat, "MKDIR"),
	SC(mknodat, "MKNOD"),
	SC(symlinkat, "SYMLINK"),
	SC(unlinkat, "UNLINK, RMDIR"),
	SC(renameat2, "RENAME"),
	SC(linkat, "LINK"),
	SC(umask, "the guest's umask around what it creates"),

	/* changing inodes */
	SC(fchmodat, "SETATTR: mode"),
	SC(fchownat, "SETATTR: owner"),
	SC(utimensat, "SETATTR: times"),
	SC(ftruncate, "SETATTR: size"),
	SC(getxattr, "GETXATTR"),
	SC(setxattr, "SETXATTR"),
	SC(listxattr, "LISTXATTR"),
	SC(removexattr, "REMOVEXATTR"),

	SC_ARG(ioctl, "FLAGS_GET", SC_EQ32(1, FS_IOC_GETFLAGS)),
	SC_ARG(ioctl, "FLAGS_SET", SC_EQ32(1, FS_IOC_SETFLAGS)),
	SC_ARG(ioctl, "FLAGS_GET", SC_EQ32(1, FS_IOC_FSGETXATTR)),
	SC_ARG(ioctl, "FLAGS_SET", SC_EQ32(1, FS_IOC_FSSETXATTR)),

	/* files and directories served here */
	SC(preadv2, "READ"),
	SC(pwritev2, "WRITE"),
	SC(dup, "FLUSH"),
	SC(fsync, "FSYNC"),
	SC(fdatasync, "FSYNC"),
	SC(syncfs, "SYNCFS"),
	SC(fallocate, "FALLOCATE"),
	SC(lseek, "LSEEK, READDIR"),
	SC(copy_file_range, "COPY"),
	SC(getdents64, "READDIR"),
	SC(fstatfs, "STATFS; what a file system's inode numbers and offsets are worth"),
	SC(fstat, "set-id bits before a change"),
	SC(newfstatat, "fstat() of libc"),

	/* acting as the guest's caller: effective ids only */
	SC(setgroups, "supplementary groups"),
	SC_ARG(setresgid, "effective gid", SC_EQ32(0, -1), SC_EQ32(2, -1)),
	SC_ARG(setresuid, "effective uid", SC_EQ32(0, -1), SC_EQ32(2, -1)),
	SC(capget, "capabilities of one thread"),
	SC(capset, "capabilities of one thread"),

	/* memory and threads */
	SC_ARG(mmap, "malloc", SC_NONE_OF(2, PROT_EXEC)),
	SC_ARG(mprotect, "malloc", SC_NONE_OF(2, PROT_EXEC)),
	SC(munmap, "malloc"),
	SC_ARG(mremap, "malloc", SC_EQ32(3, MREMAP_MAYMOVE)),
	SC_ARG(madvise, "malloc gives memory back", SC_EQ32(2, MADV_DONTNEED)),
	SC(brk, "malloc"),
	SC_ARG(futex, "mutexes, the barrier", SC_MASKED(1, SC_FUTEX_OP, FUTEX_WAIT)),
	SC_ARG(futex, "the same", SC_MASKED(1, SC_FUTEX_OP, FUTEX_WAKE)),
	SC_ARG(futex, "the same, with a deadline", SC_MASKED(1, SC_FUTEX_OP, FUTEX_WAIT_BITSET)),
	SC(clock_gettime, "where the vdso cannot tell the time"),
	SC(getcpu, "where the vdso cannot tell the cpu"),
	SC(restart_syscall, "waits that were interrupted"),

	/* the end */
	SC(exit_group, "_exit"),
	SC(exit, "_exit"),
	SC(rt_sigreturn, "the SIGABRT handler"),
	SC(rt_sigprocmask, "abort"),
	SC_ARG(rt_sigaction, "abort", SC_EQ32(0, SIGABRT)),
	SC(getpid, "abort"),
	SC(gettid, "abort"),
	SC_ARG(tgkill, "abort: nobody else", SC_EQ(0, SC_OWN_PID)),
	SC(writev, "libc's last words before abort"),
};

void
worker_seccomp(enum sc_action action)
{
	int r = seccomp_load_rules(rules, countof(rules), action);

	if (r != 0) {
		errno = -r;
		fatal("seccomp");
	}
}

const struct sc_rule *
worker_seccomp_rules(size_t *n)
{
	*n = countof(rules);
	return rules;
}
