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
#include <linux/fs.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/seccomp.h"
#include "monitor/spawn.h"

#define NEW_TREE (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
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
	SC_ARG(rt_sigaction, "die by SIGINT as its sender expects", SC_EQ32(0, SIGINT)),
	SC_ARG(rt_sigaction, "abort()", SC_EQ32(0, SIGABRT)),
	SC(rt_sigprocmask, "raise(), abort()"),
	SC(rt_sigreturn, "end of a signal handler of a sanitizer or debugger"),
	SC(gettid, "raise()"),
	SC(getpid, "raise()"),
	SC_ARG(tgkill, "raise(): nobody else", SC_EQ(0, SC_OWN_PID)),
	SC(exit_group, "the end"),
	SC(brk, "malloc"),
	SC_ARG(mmap, "malloc, the vault's table; nothing executable", SC_NONE_OF(2, PROT_EXEC)),
	SC_ARG(mprotect, "malloc; nothing executable", SC_NONE_OF(2, PROT_EXEC)),
	SC(munmap, "malloc, the vault's table"),
	SC_ARG(mremap, "the same, when they grow", SC_EQ32(3, MREMAP_MAYMOVE)),
	SC_ARG(madvise, "malloc gives memory back", SC_EQ32(2, MADV_DONTNEED)),
	SC_ARG(madvise, "malloc, if GLIBC_TUNABLES says so", SC_EQ32(2, MADV_HUGEPAGE)),
	SC_ARG(madvise, "the vault's table is not for children", SC_EQ32(2, MADV_DONTFORK)),
	SC_ARG(futex, "mutexes of log, vault and libc", SC_MASKED(1, SC_FUTEX_OP, FUTEX_WAIT)),
	SC_ARG(futex, "the same", SC_MASKED(1, SC_FUTEX_OP, FUTEX_WAKE)),
	SC_ARG(futex, "the same, with a deadline", SC_MASKED(1, SC_FUTEX_OP, FUTEX_WAIT_BITSET)),
	SC(clock_gettime, "where the vDSO has no clock"),
	SC(restart_syscall, "ppoll after a stop and continue"),
};

static const struct sc_rule vault_rules[] = {
	SC(name_to_handle_at, "the handle of a received fd"),
	SC_ARG(open_by_handle_at, "an inode for the worker: never readable, never followed",
	    SC_EQ32(2, O_PATH | O_CLOEXEC | O_NOFOLLOW)),
	SC_ARG(fcntl, "is a received fd O_PATH?", SC_EQ32(1, F_GETFL)),
	SC(sched_yield, "nobody waits for what is only to be remembered"),
	SC_ARG(statx, "mount of a received fd", SC_EQ32(2, AT_EMPTY_PATH | AT_STATX_DONT_SYNC)),
};

static const struct sc_rule main_rules[] = {
	SC(waitid, "how a child ended"),
	SC_ARG(pidfd_send_signal, "children are stopped by SIGKILL only", SC_EQ32(1, SIGKILL)),
	SC_ARG(statx, "is the socket still ours?", SC_EQ32(2, AT_SYMLINK_NOFOLLOW)),
};

/*
 * Not open_by_handle_at: no worker has that. Programs and libraries come from files that were there, and memory that can
 * be written never becomes code. Nothing is mounted but by the sandbox's own steps (worker/sandbox.c).
 */
static const struct sc_rule restart_rules[] = {
	/* the monitor's part */
	SC_ARG(socketpair, "lanes, vault and control sockets", SC_EQ32(0, AF_UNIX),
	    SC_EQ32(1, SOCK_SEQPACKET | SOCK_CLOEXEC)),
	SC_ARG(getsockopt, "size of their queues", SC_EQ32(1, SOL_SOCKET), SC_EQ32(2, SO_SNDBUF)),
	SC_ARG(getsockopt, "child_check_socket()", SC_EQ32(1, SOL_SOCKET), SC_EQ32(2, SO_TYPE)),
	SC_ARG(setsockopt, "size of their queues", SC_EQ32(1, SOL_SOCKET), SC_EQ32(2, SO_SNDBUF)),
	SC_ARG(setsockopt, "the same", SC_EQ32(1, SOL_SOCKET), SC_EQ32(2, SO_SNDBUFFORCE)),
	/* between clone and exec */
	SC(rt_sigaction, "no signal stays ignored"),
	SC_ARG(fcntl, "fds out of the way of 0 to 3", SC_EQ32(1, F_DUPFD_CLOEXEC)),
	SC_ARG(fcntl, "are arenas and journal sealed?", SC_EQ32(1, F_GET_SEALS)),
	SC(dup2, "fds 0 to 3"),
	SC_ARG(dup3, "the fd directory", SC_EQ32(1, FD_DIR), SC_EQ32(2, O_CLOEXEC)),
	SC(close_range, "nothing else stays open"),
	SC_ARG(execveat, "the worker's executable, opened at the start", SC_EQ32(4, AT_EMPTY_PATH)),
	/* the dynamic linker and libc's start */
	SC(access, "/etc/ld.so.preload"),
	SC(faccessat, "likewise on newer machines"),
	SC_ARG(openat, "libraries, procfs, the root: for reading", SC_EQ32(0, AT_FDCWD),
	    SC_NONE_OF(2, O_ACCMODE | O_CREAT | SC_TMPFILE)),
	SC_ARG(openat, "the worker opens again what it holds", SC_EQ32(0, FD_DIR),
	    SC_NONE_OF(2, O_CREAT | SC_TMPFILE)),
	SC(pread64, "ELF headers"),
	SC(fstat, "libraries; arenas"),
	SC(newfstatat, "the same"),
	SC_ARG(mmap, "code of libraries: of files only, and never writable",
	    SC_MASKED(2, PROT_WRITE | PROT_EXEC, PROT_EXEC), SC_NONE_OF(3, MAP_ANONYMOUS)),
#ifdef __NR_arch_prctl
	SC(arch_prctl, "thread pointer, CET"),
#endif
	SC(set_tid_address, "libc's start"),
	SC(set_robust_list, "libc's threads"),
	SC_ARG(prlimit64, "stack size; no limit is changed", SC_EQ32(0, 0), SC_EQ(2, 0)),
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
	SC_ARG(prctl, "its name", SC_EQ32(0, PR_SET_NAME)),
	SC_ARG(prctl, "not dumpable", SC_EQ32(0, PR_SET_DUMPABLE)),
	SC_ARG(prctl, "the monitor's end is its end", SC_EQ32(0, PR_SET_PDEATHSIG)),
	SC_ARG(prctl, "capabilities", SC_EQ32(0, PR_CAPBSET_READ)),
	SC_ARG(prctl, "the same", SC_EQ32(0, PR_CAPBSET_DROP)),
	SC_ARG(prctl, "the same", SC_EQ32(0, PR_CAP_AMBIENT)),
	SC_ARG(prctl, "libcap-ng", SC_EQ32(0, PR_GET_SECUREBITS)),
	SC_ARG(prctl, "no_new_privs", SC_EQ32(0, PR_SET_NO_NEW_PRIVS)),
	SC_ARG(prctl, "the same", SC_EQ32(0, PR_GET_NO_NEW_PRIVS)),
	SC_ARG(mount, "propagation, nothing else", SC_EQ(3, MS_SLAVE | MS_REC)),
	SC_ARG(open_tree, "fd directory", SC_EQ32(2, NEW_TREE)),
	SC_ARG(open_tree, "shared directory", SC_EQ32(2, NEW_TREE | AT_EMPTY_PATH | AT_RECURSIVE)),
	SC_ARG(move_mount, "shared directory",
	    SC_EQ32(4, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)),
	SC_ARG(mount_setattr, "flags of the fd directory", SC_EQ32(2, AT_EMPTY_PATH)),
	SC_ARG(mount_setattr, "of the shared directory", SC_EQ32(2, AT_EMPTY_PATH | AT_RECURSIVE)),
	SC(pivot_root, "into the share"),
	SC_ARG(umount2, "the old root", SC_EQ32(1, MNT_DETACH)),
	SC_ARG(setns, "the first worker's mount namespace", SC_EQ32(1, CLONE_NEWNS)),
	SC(chdir, "to the new root"),
	SC(fchdir, "likewise; working directory of lane threads"),
	SC(statfs, "libcap-ng looks for its procfs"),
	SC_ARG(unshare, "working directory and umask of lane threads", SC_EQ(0, CLONE_FS)),
	SC_ARG(unshare, "file table of the lifeline", SC_EQ(0, CLONE_FILES)),
	SC_ARG(clone, "lane threads", SC_EQ(0, THREAD_FLAGS)),
	SC(getgroups, "supplementary groups"),
	SC(setgroups, "the same; the guest's callers"),
	SC(capget, "capabilities"),
	SC(capset, "capabilities"),
	SC_ARG(tgkill, "abort(); the worker has another process id", SC_EQ32(2, SIGABRT)),
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
	SC_ARG(ioctl, "FLAGS_GET", SC_EQ32(1, FS_IOC_GETFLAGS)),
	SC_ARG(ioctl, "FLAGS_SET", SC_EQ32(1, FS_IOC_SETFLAGS)),
	SC_ARG(ioctl, "FLAGS_GET", SC_EQ32(1, FS_IOC_FSGETXATTR)),
	SC_ARG(ioctl, "FLAGS_SET", SC_EQ32(1, FS_IOC_FSSETXATTR)),
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
	SC(sched_yield, "the worker's look for a message"),
	SC_ARG(
	    sched_setaffinity, "a lane's thread shares the front's CPU, or does not", SC_EQ(0, 0)),
	SC(exit, "_exit"),
	SC(writev, "libc's last words before abort"),
};

/* A worker in a user namespace: who enters it for the new one, and makes that a child of the monitor. */
static const struct sc_rule userns_rules[] = {
	SC_ARG(clone, "who enters the user namespace", SC_EQ(0, SIGCHLD)),
	SC_ARG(setns, "the worker's user namespace", SC_EQ32(1, CLONE_NEWUSER)),
};

/* A worker that stays in the host's mount namespace. */
static const struct sc_rule chroot_rules[] = {
	SC(chroot, "--sandbox=chroot"),
	SC(landlock_create_ruleset, "likewise, where the fd directory leads to /proc"),
	SC(landlock_add_rule, "the same"),
	SC(landlock_restrict_self, "the same"),
};

#define LOCKED (MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* Where there is no open_tree(). */
static const struct sc_rule bind_rules[] = {
	SC_ARG(mount, "fd directory", SC_EQ(3, MS_BIND)),
	SC_ARG(mount, "its flags", SC_EQ(3, LOCKED | MS_RDONLY)),
	SC_ARG(mount, "shared directory", SC_EQ(3, MS_BIND | MS_REC)),
	SC_ARG(mount, "its flags", SC_EQ(3, LOCKED)),
};

#define NO_SOCKET_DIR UINT64_MAX

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

/* Leave out what another rule covers. */
static size_t
without_superfluous(struct sc_rule *all, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (all[i].ncmp == 0 || !is_open(all, n, all[i].nr))
			all[kept++] = all[i];
	return kept;
}

/* What it takes to start a worker like this one. */
static size_t
add_restart(struct sc_rule *all, size_t n, const struct spawn_how *how)
{
	n = append(all, n, restart_rules, countof(restart_rules));
	all[n++] = (struct sc_rule)SC_ARG(clone,
	    "the worker: no shared memory, namespaces as at the start",
	    SC_EQ(0, spawn_clone_flags(how)));
	if (how->userns != -1)
		n = append(all, n, userns_rules, countof(userns_rules));
	if ((how->namespaces & CLONE_NEWNS) == 0)
		n = append(all, n, chroot_rules, countof(chroot_rules));
	if (how->bind_mounts)
		n = append(all, n, bind_rules, countof(bind_rules));
	return n;
}

static size_t
main_thread(struct sc_rule all[static SECCOMP_RULES_MAX], const struct spawn_how *restart,
    uint64_t socket_dir)
{
	size_t n = append(all, 0, both_rules, countof(both_rules));

	n = append(all, n, main_rules, countof(main_rules));
	if (socket_dir != NO_SOCKET_DIR)
		all[n++] = (struct sc_rule)SC_ARG(unlinkat, "remove the socket; no directory",
		    SC_EQ(0, socket_dir), SC_EQ32(2, 0));
	if (restart != NULL)
		n = add_restart(all, n, restart);
	return without_superfluous(all, n);
}

int
seccomp_monitor(enum seccomp_action action, const struct spawn_how *restart, int socket_dir)
{
	struct sc_rule all[SECCOMP_RULES_MAX];
	size_t n = main_thread(
	    all, restart, socket_dir >= 0 ? (uint64_t)socket_dir : NO_SOCKET_DIR);

	return seccomp_load_thread_rules(all, n, (enum sc_action)action);
}

int
seccomp_vault(enum seccomp_action action)
{
	struct sc_rule all[SECCOMP_RULES_MAX];

	return seccomp_load_thread_rules(all, seccomp_vault_rules(all), (enum sc_action)action);
}

size_t
seccomp_monitor_rules(struct sc_rule all[static SECCOMP_RULES_MAX], const struct spawn_how *restart)
{
	return main_thread(all, restart, SC_AT_RUN_TIME);
}

size_t
seccomp_vault_rules(struct sc_rule all[static SECCOMP_RULES_MAX])
{
	size_t n = append(all, 0, both_rules, countof(both_rules));

	return append(all, n, vault_rules, countof(vault_rules));
}

static_assert(countof(both_rules) + countof(main_rules) + countof(restart_rules) +
	    countof(userns_rules) + countof(chroot_rules) + countof(bind_rules) + 2 <
	SECCOMP_RULES_MAX,
    "room for all of them");
static_assert((int)SECCOMP_NONE == (int)SC_ACT_NONE && (int)SECCOMP_KILL == (int)SC_ACT_KILL &&
	(int)SECCOMP_LOG == (int)SC_ACT_LOG && (int)SECCOMP_TRAP == (int)SC_ACT_TRAP,
    "the same numbers");
