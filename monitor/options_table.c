/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line: every option, its values, its default and its text. `make man` writes the option list of
 * virtiofsd(8) from here. Runs in: monitor.
 */
#include "monitor/options_table.h"

#define FIELD(f) .at = offsetof(struct options, f), .size = sizeof(((struct options *)NULL)->f)
#define GIVEN(f) .given = offsetof(struct options, f)

static const struct word sandbox_words[] = {
	{ "namespace", SANDBOX_NAMESPACE,
	    "it has namespaces of its own, with the shared directory as root" },
	{ "chroot", SANDBOX_CHROOT, "it changes its root to the shared directory" },
	{ "none", SANDBOX_NONE, "neither; no boundary to the host's files" },
	{ NULL, 0, NULL },
};

static const struct word seccomp_words[] = {
	{ "kill", SECCOMP_KILL, "the process ends" },
	{ "log", SECCOMP_LOG, "the kernel logs it, and it is done" },
	{ "trap", SECCOMP_TRAP, "the process gets SIGSYS" },
	{ "none", SECCOMP_NONE, "there are no profiles" },
	{ NULL, 0, NULL },
};

static const struct word log_words[] = {
	{ "off", LOG_OFF, "nothing" },
	{ "error", LOG_ERROR, "why it ended or could not start" },
	{ "warn", LOG_WARN, "and what is not as it was asked for" },
	{ "info", LOG_INFO, "and clients that come and go" },
	{ "debug", LOG_DEBUG, "and what the processes do" },
	{ "trace", LOG_TRACE, "and everything else" },
	{ NULL, 0, NULL },
};

static const struct word cache_words[] = {
	{ "auto", CACHE_AUTO,
	    "names and attributes for a second, data until it is seen to have changed" },
	{ "always", CACHE_ALWAYS, "everything, for a day" },
	{ "never", CACHE_NEVER, "nothing" },
	{ "metadata", CACHE_METADATA, "names, attributes and directories for a day, no data" },
	{ NULL, 0, NULL },
};

static const struct word handles_words[] = {
	{ "never", HANDLES_NEVER, "by open file descriptors" },
	{ "prefer", HANDLES_PREFER,
	    "by file handles where the file system has them, else by open file descriptors" },
	{ "mandatory", HANDLES_MANDATORY, "by file handles only" },
	{ "fallback", HANDLES_PREFER, NULL },
	{ NULL, 0, NULL },
};

static const struct word negotiation_words[] = {
	{ "never", NEGOTIATE_NEVER, "no" },
	{ "auto", NEGOTIATE_AUTO, "if the guest can do it" },
	{ "always", NEGOTIATE_ALWAYS, "yes; a guest that cannot do it cannot mount" },
	{ NULL, 0, NULL },
};

static const struct word donation_words[] = {
	{ "always", 0,
	    "open regular files are handed to the front process, which moves their data" },
	{ "never", DEV_NO_DONATION, "everything goes through the worker process" },
	{ NULL, 0, NULL },
};

static const struct word migration_words[] = {
	{ "find-paths", MIGRATION_FIND_PATHS, "paths" },
	{ "file-handles", MIGRATION_FILE_HANDLES, "file handles" },
	{ NULL, 0, NULL },
};

static const struct word migration_error_words[] = {
	{ "abort", MIGRATION_ABORT, "migration fails" },
	{ "guest-error", MIGRATION_GUEST_ERROR, "the guest gets errors for what is affected" },
	{ NULL, 0, NULL },
};

static const struct word print_words[] = {
	{ "front", PRINT_FRONT, "the process that talks to the guest" },
	{ "worker", PRINT_WORKER, "the process with access to the files" },
	{ "monitor", PRINT_MONITOR, "the main thread of the process that starts and watches both" },
	{ "vault", PRINT_VAULT, "its other thread, which finds inodes again" },
	{ NULL, 0, NULL },
};

const struct row options_rows[] = {
	{ "shared-dir", .arg = "PATH", .set = set_string, FIELD(shared_dir),
	    .help = "Directory to share with the guest." },
	{ "tag", .arg = "TAG", .set = set_tag, FIELD(tag),
	    .help = "Name of the file system in the guest.",
	    .more = "1 to 36 bytes, offered to the front end in the device's configuration space. "
		    "Without it, the front end brings its own." },
	{ "socket-path", .arg = "PATH", .set = set_string, FIELD(socket_path),
	    .help = "Create the vhost-user socket at this path.",
	    .more = "PATH.pid is created beside it, locked while the daemon runs." },
	{ "socket", .arg = "PATH", .set = set_string, FIELD(socket_alias),
	    .deprecated = DEPRECATED_SOCKET, .help = "Deprecated: --socket-path, which wins." },
	{ "socket-group", .arg = "NAME", .set = set_string, FIELD(socket_group),
	    .help = "Group of the socket, which its members may connect to.",
	    .more = "The socket's mode is then 0770, else 0700. Not with --fd." },
	{ "fd", .arg = "N", .set = set_number, FIELD(fd), .max = INT32_MAX,
	    .help = "Use an inherited vhost-user socket.",
	    .more = "N is the number of a file descriptor of a listening UNIX stream socket. Not "
		    "with --socket-path." },
	{ "thread-pool-size", .arg = "N", .set = set_number, FIELD(pool_size), .max = SIZE_MAX,
	    GIVEN(pool_given), .help = "Most requests of one queue served at the same time.",
	    .more = "0 and 1: one after the other. Without this option the daemon adapts to how "
		    "fast the file system is. More than 64 are 64." },
	{ "xattr", .set = set_flag, .flag = DEV_XATTR, .help = "Offer extended attributes." },
	{ "posix-acl", .arg = "WHEN", .set = set_word, FIELD(dev.posix_acl),
	    .words = negotiation_words, .def = "never", .bare = "always",
	    .help = "Offer POSIX access control lists.", .more = "Implies --xattr unless never." },
	{ "xattrmap", .arg = "MAP", .set = set_xattrmap, FIELD(xattrmap),
	    .help = "Rules that rename or hide extended attributes; implies --xattr.",
	    .more = "For example :map::user.virtiofs.: keeps all of the guest's attributes in "
		    "names of the host that begin with user.virtiofs." },
	{ "sandbox", .arg = "MODE", .flags = ROW_ANYCASE, .set = set_word, FIELD(sandbox),
	    .words = sandbox_words, .def = "namespace",
	    .help = "How access to the files is isolated." },
	{ "readonly", .set = set_flag, .flag = DEV_READONLY,
	    .help = "The guest cannot change anything in the shared directory." },
	{ "seccomp", .arg = "ACTION", .set = set_word, FIELD(seccomp), .words = seccomp_words,
	    .def = "kill", .help = "What follows a system call outside the profiles." },
	{ "announce-submounts", .set = set_flag, .flag = DEV_ANNOUNCE_SUBMOUNTS,
	    .help = "Tell the guest which directories are mount points (default)." },
	{ "no-announce-submounts", .set = clear_flag, .flag = DEV_ANNOUNCE_SUBMOUNTS,
	    .help = "Do not tell the guest which directories are mount points.",
	    .more = "Of --announce-submounts and --no-announce-submounts the later one counts." },
	{ "inode-file-handles", .arg = "MODE", .flags = ROW_ATTACHED, .set = set_file_handles,
	    FIELD(dev.file_handles), .words = handles_words, .def = "prefer",
	    .help = "How inodes are remembered." },
	{ "cache", .arg = "POLICY", .flags = ROW_ANYCASE, .set = set_word, FIELD(dev.cache),
	    .words = cache_words, .def = "auto", .help = "What the guest may cache." },
	{ "allow-mmap", .set = set_flag, .flag = DEV_ALLOW_MMAP,
	    .help = "Allow shared memory maps where data is not cached.",
	    .more =
		"For --cache=never and --cache=metadata. Only for a directory that nothing else "
		"changes." },
	{ "no-readdirplus", .set = set_flag, .flag = DEV_NO_READDIRPLUS,
	    .help = "Do not offer directory listings with attributes.",
	    .more = "With --cache=never they are not offered anyway." },
	{ "writeback", .set = set_flag, .flag = DEV_WRITEBACK,
	    .help = "The guest may keep what was written and send it later." },
	{ "allow-direct-io", .set = set_flag, .flag = DEV_DIRECT_IO,
	    .help = "Open files with O_DIRECT where the guest does." },
	{ "posix-lock", .set = set_flag, .flag = DEV_POSIX_LOCK,
	    .help = "Locks of fcntl(2) in the guest are locks on the host.",
	    .more = "Guests on one share, and processes of the host, then exclude each other. See "
		    "LOCKS. Not with --fd-donation=never." },
	{ "flock", .set = set_flag, .flag = DEV_FLOCK,
	    .help = "Locks of flock(2) in the guest are locks on the host.", .more = "Likewise." },
	{ "fd-donation", .arg = "WHEN", .set = set_donation, .words = donation_words,
	    .def = "always", .help = "Whether file data bypasses the worker." },
	{ "front-user", .arg = "NAME", .set = set_string, FIELD(front_user),
	    .help = "User that the process talking to the guest becomes.",
	    .more = "Default: virtiofsd if there is such an account, else nobody. Must not be uid "
		    "0." },
	{ "modcaps", .arg = "LIST", .set = set_string, FIELD(modcaps),
	    .help = "Change the capabilities of the process with access to the files.",
	    .more =
		"For example --modcaps=+sys_admin:-chown. What is added the caller must have. Only "
		"for a daemon started by root, or whose --uid-map has a uid 0." },
	{ "busy-poll-us", .arg = "N", .set = set_number, FIELD(dev.busy_poll_us),
	    .max = OPTIONS_BUSY_POLL_MAX, .def = "50",
	    .help = "Microseconds to look for work before sleeping.",
	    .more = "0: never. At most 1000000." },
	{ "rlimit-nofile", .arg = "N", .set = set_number, FIELD(nofile), .max = UINT64_MAX,
	    GIVEN(nofile_given), .help = "Limit of open files.",
	    .more = "0: leave it as it is. Default: 1000000, or what the system allows." },
	{ "worker-deaths", .arg = "N", .set = set_number, FIELD(worker_deaths),
	    .max = OPTIONS_DEATHS_MAX, .def = "20",
	    .help = "How often an ended worker process is replaced.",
	    .more =
		"The worker process is the one with access to the files. The guest's requests "
		"wait meanwhile, for some milliseconds; none is lost or done twice. While a system "
		"call of the old one hangs in a frozen or dead file system, they wait for that; a "
		"warning is logged after a second. More than N "
		"(at most 1000) ends within --worker-window end the daemon. "
		"0: it is never replaced, and the monitor keeps fewer privileges." },
	{ "worker-window", .arg = "SECONDS", .set = set_seconds, FIELD(worker_window),
	    .max = OPTIONS_SECONDS_MAX, .def = "60",
	    .help = "Time in which --worker-deaths are counted." },
	{ "worker-timeout", .arg = "SECONDS", .set = set_number, FIELD(worker_timeout),
	    .max = OPTIONS_SECONDS_MAX, .def = "60",
	    .help = "When to warn of a request that is not answered.", .more = "0: never." },
	{ "worker-timeout-restart", .set = set_true, FIELD(worker_timeout_restart),
	    .help = "After that warning, replace the worker process." },
	{ "killpriv-v2", .set = set_flag, .flag = DEV_KILLPRIV_V2,
	    .help = "Clear set-user-ID and set-group-ID bits on the host.",
	    .more = "Of --killpriv-v2 and --no-killpriv-v2 the later one counts." },
	{ "no-killpriv-v2", .set = clear_flag, .flag = DEV_KILLPRIV_V2,
	    .help = "Leave clearing set-id bits to the guest (default)." },
	{ "security-label", .arg = "WHEN", .set = set_word, FIELD(dev.security_label),
	    .words = negotiation_words, .def = "never", .bare = "always",
	    .help = "Store the guest's label with new files.",
	    .more = "Implies --xattr unless never." },
	{ "uid-map", .arg = "MAP", .set = add_id_range, FIELD(uid_map),
	    .help = "Map user ids into the daemon's user namespace.",
	    .more = "MAP is :INSIDE:OUTSIDE:COUNT: with any delimiter. Can be repeated. Only for a "
		    "daemon that root did not start, with --sandbox=namespace." },
	{ "gid-map", .arg = "MAP", .set = add_id_range, FIELD(gid_map),
	    .help = "Map group ids, like --uid-map." },
	{ "translate-uid", .arg = "RULE", .set = add_translation, FIELD(translate_uid),
	    .help = "Translate user ids between guest and host.",
	    .more =
		"RULE is TYPE:FROM:TO:COUNT with TYPE guest, host, squash-guest, squash-host or "
		"map, or forbid-guest:FROM:COUNT. Can be repeated. Not with --posix-acl." },
	{ "translate-gid", .arg = "RULE", .set = add_translation, FIELD(translate_gid),
	    .help = "Translate group ids, like --translate-uid." },
	{ "preserve-noatime", .set = set_flag, .flag = DEV_NOATIME,
	    .help = "Open files with O_NOATIME where the guest does." },
	{ "migration-mode", .arg = "MODE", .set = set_word, FIELD(migration_mode),
	    GIVEN(migration_given), .words = migration_words, .def = "find-paths",
	    .help = "What represents an inode in a migration." },
	{ "migration-on-error", .arg = "WHAT", .set = set_word, FIELD(migration_on_error),
	    GIVEN(migration_given), .words = migration_error_words, .def = "abort",
	    .help = "If an inode is not found after a migration." },
	{ "migration-verify-handles", .set = set_true, FIELD(migration_verify_handles),
	    GIVEN(migration_given), .help = "Send and compare file handles with paths." },
	{ "migration-confirm-paths", .set = set_true, FIELD(migration_confirm_paths),
	    GIVEN(migration_given), .help = "Check all paths at the end of a migration." },
	{ "log-level", .arg = "LEVEL", .flags = ROW_ANYCASE, .set = set_word, FIELD(log_level),
	    .words = log_words, .def = "info", .help = "How much is logged." },
	{ "syslog", .set = set_true, FIELD(syslog),
	    .help = "Log to the system log instead of standard error." },
	{ "print-capabilities", .set = set_action,
	    .help = "Print what the daemon can do, as JSON, and exit." },
	{ "print-seccomp", .arg = "ROLE", .set = set_print_seccomp, FIELD(print_role),
	    .words = print_words,
	    .help = "Print the system calls that a process may make, and exit.",
	    .more = "One line for each call, with the condition on its arguments and the reason: "
		    "as for a daemon started by root. With ,json behind the role: the seccomp "
		    "object of an OCI runtime." },
	{ "print-privileges", .arg = "PID", .set = set_print_privileges, FIELD(print_who),
	    .help = "Print what the processes of a running daemon may do, and exit.",
	    .more = "PID is the process that was started, or the path of its pid file. One row for "
		    "each role: ids, capabilities, namespaces, no_new_privs, seccomp mode, root "
		    "directory. What may not be seen is ?, and an error." },
	{ .letter = 'o',
	    .arg = "LIST",
	    .set = add_text,
	    FIELD(o),
	    .deprecated = DEPRECATED_O,
	    .help = "Deprecated: options of QEMU's virtiofsd, separated by commas." },
	{ .letter = 'd', .deprecated = DEPRECATED_D, .help = "Deprecated: --log-level=debug." },
	{ .letter = 'f', .deprecated = DEPRECATED_F, .help = "Deprecated: without effect." },
	{ "help", 'h', .flags = ROW_LAST, .set = set_action,
	    .help = "Print help (-h: shorter, --help: longer) and exit." },
	{ "version", 'V', .flags = ROW_LAST, .set = set_action,
	    .help = "Print the version and exit." },
	{ .name = NULL },
};

bool
row_is_end(const struct row *row)
{
	return row->name == NULL && row->letter == 0;
}
