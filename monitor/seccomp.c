/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The monitor's system calls once it serves: one table for each thread, and one more for what the main thread needs in
 * order to start another worker. The vault thread reads what the worker writes; it has CAP_DAC_READ_SEARCH, and what
 * could open by name, re-open or load code is left out; what remains of open_by_handle_at gives O_PATH fds only.
 * Runs in: monitor.
 */
#include "monitor/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/seccomp.h"
#include "monitor/spawn.h"

#define ALL32 0xffffffffu
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
	    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const struct sc_rule both_rules[] = {
	SC(ppoll, "the loops of both threads; standard error, before it is written to"),
	SC(read, "signalfd, eventfds"),
	SC(write, "log lines, eventfds"),
	SC(recvmsg, "control and vault sockets"),
	SC(sendmsg, "lanes for the front; answers of the vault"),
	SC(close, "fds of inodes, sockets of dead children"),
	SC(rt_sigaction, "die by SIGINT as its sender expects; abort()"),
	SC(rt_sigprocmask, "likewise"),
	SC(rt_sigreturn, "end of a signal handler of a sanitizer or debugger"),
	SC(gettid, "raise()"),
	SC(getpid, "raise()"),
	SC_ARG(tgkill, "raise(): nobody else", SC_EQ(0, SC_OWN_PID)),
	SC(exit_group, "the end"),
	SC(brk, "malloc"),
	SC_ARG(mmap, "malloc, the vault's table; nothing executable", SC_MASKED(2, PROT_EXEC, 0)),
	SC_ARG(mprotect, "malloc; nothing executable", SC_MASKED(2, PROT_EXEC, 0)),
	SC(munmap, "malloc, the vault's table"),
	SC(mremap, "the same, when they grow"),
	SC(madvise, "malloc gives memory back; the vault's table is not for children"),
	SC(futex, "mutexes of log, vault and libc"),
	SC(clock_gettime, "where the vDSO has no clock"),
	SC(restart_syscall, "ppoll after a stop and continue"),
};

static const struct sc_rule vault_rules[] = {
	SC(name_to_handle_at, "the handle of a received fd"),
	SC_ARG(open_by_handle_at, "an inode for the worker: never readable, never followed",
	    SC_EQ(2, O_PATH | O_CLOEXEC | O_NOFOLLOW)),
	SC_ARG(fcntl, "is a received fd O_PATH?", SC_EQ(1, F_GETFL)),
	SC_ARG(statx, "mount of a received fd", SC_EQ(2, AT_EMPTY_PATH | AT_STATX_DONT_SYNC)),
};

static const struct sc_rule main_rules[] = {
	SC(waitid, "how a child ended"),
	SC_ARG(pidfd_send_signal, "children are stopped by SIGKILL only", SC_EQ(1, SIGKILL)),
	SC_ARG(statx, "is the socket still ours?", SC_EQ(2, AT_SYMLINK_NOFOLLOW)),
};

/* Not open_by_handle_at: no worker has that. */
static const struct sc_rule restart_rules[] = {
	/* the monitor's part */
	SC(socketpair, "lanes, vault and control sockets"),
	SC(getsockopt, "size of their queues; child_check_socket()"),
	SC(setsockopt, "size of their queues"),
	SC_ARG(clone, "the worker: no shared memory, namespaces as at the start",
	    SC_EQ(0, SPAWN_WORKER_FLAGS | SIGCHLD)),
	/* between clone and exec */
	SC(fcntl, "F_DUPFD_CLOEXEC, F_GETFL, F_GET_SEALS"),
	SC(dup2, "fds 0 to 3"),
	SC(dup3, "the fd directory"),
	SC(close_range, "nothing else stays open"),
	SC_ARG(execveat, "the worker's executable, opened at the start",
	    SC_MASKED(4, ALL32, AT_EMPTY_PATH)),
	/* the dynamic linker and libc's start */
	SC(access, "/etc/ld.so.preload"),
	SC(faccessat, "likewise on newer machines"),
	SC(openat, "libraries; the worker's fd directory"),
	SC(pread64, "ELF headers"),
	SC(fstat, "libraries; arenas"),
	SC(newfstatat, "the same"),
	SC(mmap, "code of libraries"),
	SC(mprotect, "relocations"),
#ifdef __NR_arch_prctl
	SC(arch_prctl, "thread pointer, CET"),
#endif
	SC(set_tid_address, "libc's start"),
	SC(set_robust_list, "libc's threads"),
	SC(prlimit64, "stack size"),
	SC(getrandom, "libc's and the worker's seeds"),
	SC(uname, "libcap-ng's and libc's start"),
	SC(sysinfo, "libc's start"),
	SC(sched_getaffinity, "libc"),
	SC(getuid, "libc's and libcap-ng's start"),
	SC(geteuid, "the same"),
	SC(getgid, "the same"),
	SC(getegid, "the same"),
	SC(lseek, "files of procfs; LSEEK, READDIR"),
	/* the sandbox */
	SC(prctl, "dumpable, death signal, capabilities, no_new_privs"),
	SC(mount, "propagation"),
	SC(open_tree, "fd directory, shared directory"),
	SC(move_mount, "shared directory"),
	SC(mount_setattr, "flags of both"),
	SC(pivot_root, "into the share"),
	SC(umount2, "the old root"),
	SC(setns, "the first worker's mount namespace"),
	SC(chroot, "--sandbox=chroot"),
	SC(chdir, "likewise"),
	SC(fchdir, "likewise; working directory of lane threads"),
	SC(statfs, "libcap-ng looks for its procfs"),
	SC(unshare, "CLONE_FS of lane threads"),
	SC_ARG(clone, "lane threads", SC_EQ(0, THREAD_FLAGS)),
	SC(getgroups, "supplementary groups"),
	SC(setgroups, "the same; the guest's callers"),
	SC(capget, "capabilities"),
	SC(capset, "capabilities"),
	SC(tgkill, "abort(); the worker has another process id"),
	SC(seccomp, "the worker's own profile"),
	/* serving: worker/seccomp.c narrows these */
	SC(poll, "the control socket; short waits"),
	SC(statx, "attributes and identity"),
	SC(openat2, "names"),
	SC(name_to_handle_at, "identity"),
	SC(readlinkat, "READLINK"),
	SC(mkdirat, "MKDIR"),
	SC(mknodat, "MKNOD"),
	SC(symlinkat, "SYMLINK"),
	SC(unlinkat, "UNLINK, RMDIR"),
	SC(renameat2, "RENAME"),
	SC(linkat, "LINK"),
	SC(umask, "the guest's umask"),
	SC(fchmodat, "SETATTR"),
	SC(fchownat, "SETATTR"),
	SC(utimensat, "SETATTR"),
	SC(ftruncate, "SETATTR"),
	SC(getxattr, "GETXATTR"),
	SC(setxattr, "SETXATTR"),
	SC(listxattr, "LISTXATTR"),
	SC(removexattr, "REMOVEXATTR"),
	SC(preadv2, "READ"),
	SC(pwritev2, "WRITE"),
	SC(dup, "FLUSH"),
	SC(fsync, "FSYNC"),
	SC(fdatasync, "FSYNC"),
	SC(syncfs, "SYNCFS"),
	SC(fallocate, "FALLOCATE"),
	SC(copy_file_range, "COPY"),
	SC(getdents64, "READDIR"),
	SC(fstatfs, "STATFS"),
	SC(setresgid, "the guest's callers"),
	SC(setresuid, "the guest's callers"),
	SC(getcpu, "where the vdso cannot tell the cpu"),
	SC(exit, "_exit"),
	SC(writev, "libc's last words before abort"),
};

#define RULES_MAX (countof(both_rules) + countof(main_rules) + 1 + countof(restart_rules))

/* Is there a rule without conditions for the call? Then one with conditions is refused by libseccomp as superfluous. */
static bool
is_open(const struct sc_rule *rules, size_t n, int nr)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].nr == nr && rules[i].ncmp == 0)
			return true;
	return false;
}

static size_t
append(struct sc_rule *all, size_t n, const struct sc_rule *more, size_t nmore)
{
	memcpy(&all[n], more, nmore * sizeof(*more));
	return n + nmore;
}

static int
load(struct sc_rule *all, size_t n, enum seccomp_action action)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (all[i].ncmp == 0 || !is_open(all, n, all[i].nr))
			all[kept++] = all[i];
	return seccomp_load_thread_rules(all, kept, (enum sc_action)action);
}

int
seccomp_monitor(enum seccomp_action action, bool restart, int socket_dir)
{
	struct sc_rule all[RULES_MAX];
	size_t n = append(all, 0, both_rules, countof(both_rules));

	n = append(all, n, main_rules, countof(main_rules));
	if (socket_dir >= 0)
		all[n++] = (struct sc_rule)SC_ARG(unlinkat, "remove the socket; no directory",
		    SC_EQ(0, (uint32_t)socket_dir), SC_EQ(2, 0));
	if (restart)
		n = append(all, n, restart_rules, countof(restart_rules));
	return load(all, n, action);
}

int
seccomp_vault(enum seccomp_action action)
{
	struct sc_rule all[countof(both_rules) + countof(vault_rules)];
	size_t n = append(all, 0, both_rules, countof(both_rules));

	n = append(all, n, vault_rules, countof(vault_rules));
	return load(all, n, action);
}

static_assert((int)SECCOMP_NONE == (int)SC_ACT_NONE && (int)SECCOMP_KILL == (int)SC_ACT_KILL &&
	(int)SECCOMP_LOG == (int)SC_ACT_LOG && (int)SECCOMP_TRAP == (int)SC_ACT_TRAP,
    "the same numbers");
