/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line (spec/cli.md sections 1 to 3). Parsing is pure: it touches no file, prints nothing and ends nothing,
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
	OPTIONS_CAPABILITIES
};

/* Strings point into argv. */
struct options {
	enum options_action action;
	const char *shared_dir;
	const char *socket_path; /* NULL: fd is meant */
	int fd; /* inherited listening socket, or -1 */
	const char *tag; /* 1..TAG_MAX bytes, or NULL */
	const char *front_user; /* NULL: choose */
	bool pool_given; /* --thread-pool-size was */
	uint64_t pool_size; /* 0 if not given */
	enum sandbox_mode sandbox;
	enum seccomp_action seccomp;
	enum log_level log_level;
	struct ctl_device dev;
	bool nofile_given; /* --rlimit-nofile was */
	uint64_t nofile;
	uint32_t
	    worker_deaths; /* in worker_window that end the daemon if there is one more; 0: it is never restarted */
	uint32_t worker_window; /* seconds, >= 1 */
	uint32_t worker_timeout; /* seconds until a request that waits is reported; 0 = never */
	bool worker_timeout_restart;
};
#define OPTIONS_DEATHS_MAX 1000u
#define OPTIONS_SECONDS_MAX 86400u

#define OPTIONS_ERROR_MAX 256

/*
 * Parse the arguments. Returns 0, or -EINVAL and one line (without "error: " and newline) about what is wrong in err:
 * a usage error, to be reported with options_usage_error() and exit status 2.
 */
int options_parse(int argc, char *const argv[], struct options *,
    char err[static OPTIONS_ERROR_MAX]) ATTR_MUSTCHECK;

void options_usage_error(FILE *, const char *err);
void options_help(FILE *, bool full);
void options_capabilities(FILE *);

#endif
