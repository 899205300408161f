/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line (spec/cli.md sections 1 to 4). Parsing is pure: it touches no file, prints nothing and ends nothing,
 * so that tests can feed it anything.
 */
#ifndef MONITOR_OPTIONS_H
#define MONITOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/attr.h"
#include "common/log.h"
#include "proto/control.h"

/* What the command line asks for. */
enum options_action {
	OPTIONS_RUN,
	OPTIONS_NO_ARGS,
	OPTIONS_SHORT_HELP,
	OPTIONS_LONG_HELP,
	OPTIONS_VERSION,
	OPTIONS_CAPABILITIES,
	OPTIONS_PRINT_SECCOMP,
	OPTIONS_PRINT_PRIVILEGES
};

/* Whose seccomp profile is printed. */
enum print_role { PRINT_FRONT, PRINT_WORKER, PRINT_MONITOR, PRINT_VAULT };

/* Deprecated forms that were used; options_check() warns of them. */
#define DEPRECATED_SOCKET 0x1 /* --socket */
#define DEPRECATED_O 0x2 /* -o */
#define DEPRECATED_D 0x4 /* -d */
#define DEPRECATED_F 0x8 /* -f */
#define DEPRECATED_FALLBACK 0x10 /* --inode-file-handles=fallback */

/* A line of a user namespace's id map (user_namespaces(7)), as given: nothing is known of overlaps or zero counts. */
struct id_range {
	uint32_t inside, outside, count;
};
struct id_map {
	struct id_range *range;
	size_t n;
};

/* Values of an option that accumulates, in order. */
struct texts {
	const char **text;
	size_t n;
};

enum migration_mode { MIGRATION_FIND_PATHS, MIGRATION_FILE_HANDLES };
enum migration_error { MIGRATION_ABORT, MIGRATION_GUEST_ERROR };

/* Strings point into argv, or into compat. */
struct options {
	enum options_action action;
	enum print_role print_role; /* of OPTIONS_PRINT_SECCOMP */
	bool print_json;
	const char *print_who; /* of OPTIONS_PRINT_PRIVILEGES: a pid or a pid file */
	unsigned deprecated; /* DEPRECATED_* */

	/* where */
	const char *shared_dir; /* NULL: only -o was given, and it named none */
	const char *socket_path; /* NULL: fd is meant */
	const char *socket_alias; /* --socket; its value is in socket_path if that was not given */
	const char *socket_group; /* or NULL */
	int fd; /* inherited listening socket, or -1 */
	const char *tag; /* 1..TAG_MAX bytes, or NULL */

	/* what */
	struct ctl_device dev;
	const char *xattrmap; /* or NULL */
	struct texts translate_uid, translate_gid;

	/* with which privileges */
	enum sandbox_mode sandbox;
	enum seccomp_action seccomp;
	const char *front_user; /* NULL: choose */
	const char *modcaps; /* or NULL */
	struct id_map uid_map, gid_map;

	/* with which means */
	bool pool_given; /* --thread-pool-size was */
	uint64_t pool_size; /* 0 if not given */
	bool nofile_given; /* --rlimit-nofile was */
	uint64_t nofile;
	/* ends in worker_window that end the daemon if there is one more; 0: it is never restarted */
	uint32_t worker_deaths;
	uint32_t worker_window; /* seconds, >= 1 */
	uint32_t worker_timeout; /* seconds until a request that waits is reported; 0 = never */
	bool worker_timeout_restart;

	enum log_level log_level;
	bool syslog;

	bool migration_given; /* any --migration-* was */
	enum migration_mode migration_mode;
	enum migration_error migration_on_error;
	bool migration_verify_handles, migration_confirm_paths;

	struct texts o; /* each -o */
	char **compat; /* copies of the same, cut into items */
	size_t ncompat;
};
#define OPTIONS_DEATHS_MAX 1000u
#define OPTIONS_SECONDS_MAX 86400u
#define OPTIONS_BUSY_POLL_MAX 1000000u

#define OPTIONS_ERROR_MAX 256

/*
 * Parse the arguments. Returns 0, or -EINVAL and one line (without "error: " and newline) about what is wrong in err:
 * a usage error, to be reported with options_usage_error() and exit status 2. In both cases the caller may free what
 * *o holds with options_free().
 */
int options_parse(int argc, char *const argv[], struct options *,
    char err[static OPTIONS_ERROR_MAX]) ATTR_MUSTCHECK;
void options_free(struct options *);

/*
 * What can only be said once there is a log: warnings of deprecated forms; options that exclude each other at run time.
 * Returns 0, or -EINVAL when the daemon must not start (status 1); all is logged.
 */
int options_check(const struct options *) ATTR_MUSTCHECK;

void options_usage_error(FILE *, const char *err);
void options_help(FILE *, bool full);
void options_capabilities(FILE *);

#endif
