/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the worker may ask of the kernel once it serves: names and attributes through the fds it holds, credentials of its
 * threads, its sockets. No new process, program, socket, mount, namespace, or working directory; no file handle is ever
 * opened here. Runs in: worker.
 */
#include "worker/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "common/log.h"
#include "worker/lane.h"

#define ALL32 0xffffffffu
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

static const struct sc_rule rules[] = {
	/* messages */
	SC(recvmsg, "lanes, vault answers"),
	SC(sendmsg, "lanes, vault, log lines"),
	SC(poll, "the control socket; short waits"),
	SC(ppoll, "poll() of some libc versions"),

	/* finding inodes */
	SC(statx, "attributes and identity"),
	SC(openat2, "names, beneath a directory; CREATE"),
	SC_ARG(openat,
	    "opening again what is held: only through the fd directory, and nothing is made",
	    SC_MASKED(0, ALL32, FD_DIR), SC_MASKED(2, O_CREAT | TMPFILE_BIT, 0)),
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
	SC(fstatfs, "STATFS; overlayfs directories"),
	SC(fstat, "set-id bits before a change"),
	SC(newfstatat, "fstat() of libc"),

	/* acting as the guest's caller: effective ids only */
	SC(setgroups, "supplementary groups"),
	SC_ARG(setresgid, "effective gid", SC_MASKED(0, ALL32, ALL32), SC_MASKED(2, ALL32, ALL32)),
	SC_ARG(setresuid, "effective uid", SC_MASKED(0, ALL32, ALL32), SC_MASKED(2, ALL32, ALL32)),
	SC(capget, "CAP_FSETID, CAP_DAC_OVERRIDE of one thread"),
	SC(capset, "CAP_FSETID, CAP_DAC_OVERRIDE of one thread"),

	/* memory and threads */
	SC_ARG(mmap, "malloc", SC_MASKED(2, PROT_EXEC, 0)),
	SC_ARG(mprotect, "malloc", SC_MASKED(2, PROT_EXEC, 0)),
	SC(munmap, "malloc"),
	SC(mremap, "malloc"),
	SC(madvise, "malloc"),
	SC(brk, "malloc"),
	SC(futex, "mutexes, the barrier"),
	SC(clock_gettime, "where the vdso cannot tell the time"),
	SC(getcpu, "where the vdso cannot tell the cpu"),
	SC(restart_syscall, "waits that were interrupted"),

	/* the end */
	SC(exit_group, "_exit"),
	SC(exit, "_exit"),
	SC(rt_sigreturn, "the SIGABRT handler"),
	SC(rt_sigprocmask, "abort"),
	SC(rt_sigaction, "abort"),
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
