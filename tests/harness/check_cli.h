/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_cli - running the daemon from its command line: what it prints, how it ends, what it leaves.
 *
 * Each test has a directory of its own with an empty `share` in it. "@" in an argument stands for
 * that directory. All runs are in a mount namespace of the test program, whose children (and their
 * orphans) are the daemon's processes and nothing else: what is left is seen.
 *
 * Runs in: check_cli, as root.
 */
#ifndef HARNESS_CHECK_CLI_H
#define HARNESS_CHECK_CLI_H

#include "harness.h"

#define CLI_ARGS 12
#define CLI_TEXT 32768

/* A run of the daemon. */
struct cli {
	pid_t pid;		/* = its process group; 0 after its end */
	int status;		/* 0..255, or 256 + signal, once it has ended */
	int out, err;		/* memfds */
	char text_out[CLI_TEXT];
	char text_err[CLI_TEXT];
};

/* How to start it; all optional. */
struct cli_how {
	void (*child)(void);	/* called in the child, before exec */
	const char *rust_log;	/* RUST_LOG; NULL: unset */
};

extern struct cli cli;		/* the run of the running test */
extern char cli_dir[64];	/* its directory */

/* Name in the directory; the last eight results stay valid. */
const char *cli_path(const char *rel);

/* Start it. args ends with NULL. */
void cli_start(const char *const *args, const struct cli_how *how);

/* Wait for its end and read what it printed. Returns the status. */
int cli_wait(void);

/* Both. */
int cli_run(const char *const *args, const struct cli_how *how);

/* Standard error so far. */
const char *cli_log(void);

/* Wait until the log holds text. */
void cli_expect_log(const char *text);

/* Wait until it waits for its client. */
void cli_expect_waiting(void);

/* Send a signal to it (not to the group), assert how it ends. */
void cli_end(int sig, int status);

/*
 * Assert that nothing is left: no process, no mount, and in the directory only `share` and the
 * names in left, sorted, each followed by a blank ("" for none).
 */
void cli_assert_clean(const char *left);

/* A listening socket at the path; returns the fd. type is SOCK_STREAM etc. */
int cli_listen(const char *path, int type);

/* Connect to the path; returns the fd or a negative errno. */
int cli_connect(const char *path);

void cli_setup(void);
void cli_teardown(void);

/* Groups. */
TCase *check_cli_args(void);
TCase *check_cli_start(void);
TCase *check_cli_socket(void);
TCase *check_cli_log(void);
TCase *check_cli_session(void);

#endif
