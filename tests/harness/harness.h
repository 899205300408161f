/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * harness - what the check programs share: one daemon per test, and a look at its share from the
 * host.
 *
 * Runs in: the test programs, as root. A test calls h_start() (or a fixture does); h_stop() ends
 * the session and asserts that it ended well: exit status 0, nothing left, no sanitizer report.
 */
#ifndef HARNESS_HARNESS_H
#define HARNESS_HARNESS_H

#include <check.h>
#include <errno.h>
#include <sys/stat.h>

#include "fuse_client.h"

/* What the daemon is expected to be; one place to change when it learns more. */
#define EXPECT_FEATURES 0x170000000ull		/* + 1 << 26 with LOG_ALL */
#define EXPECT_PROTOCOL (0x8a42bull & ~(1ull << 1) & ~(1ull << 19)) /* LOG_SHMFD, DEVICE_STATE */
#define EXPECT_QUEUES 17u			/* hiprio + 16 */
#define EXPECT_REQUEST_QUEUES 16u
#define EXPECT_MEM_SLOTS 509u

#define OK(expr) ck_assert_int_eq((expr), 0)
#define FAILS(err, expr) ck_assert_int_eq((expr), -(err))

extern struct vmm *hv;			/* the session of the running test */
extern struct fuse_client hc;		/* its client on the first request queue */
extern struct fuse_client hother;	/* a client on another queue */

/*
 * Start a daemon with these arguments (may be NULL), open both clients, INIT with everything
 * offered.
 */
void h_start(const char *const *args);

/* The same with full options; INIT only if opts->stage is VMM_RUNNING and init is true. */
void h_start_opts(const struct vmm_opts *opts, bool init);

/* For fixtures: h_start with no arguments. */
void h_setup(void);

/* End the session, assert that it ended well, free everything. */
void h_stop(void);

/* Free everything without asserting; safe when nothing runs. */
void h_abandon(void);

/*
 * Assert that a session the daemon was to end by itself has ended with `status`, leaving
 * nothing.
 */
void h_expect_ended(int status);

/*
 * Assert that a daemon with these arguments ends by itself with `status`, saying `text` in its log
 * (NULL: anything).
 */
void h_refuses(const char *const *args, int status, const char *text);

/* GETATTR of the root on `fc` works. */
bool h_serves(struct fuse_client *fc);

/* Path of `rel` in the share, on the host. The last eight results stay valid. */
const char *h_path(const char *rel);

/* Make a file of `len` bytes on the host; mode 0644. */
void h_put(const char *rel, const void *data, size_t len);

/* Read at most cap bytes of a file on the host; returns the number. */
size_t h_get(const char *rel, void *buf, size_t cap);

/* lstat on the host, asserted to work. */
struct stat h_stat(const char *rel);
bool h_exists(const char *rel);

/* LOOKUP from the root, asserted to work; returns the node id. */
uint64_t h_node(const char *name);

/* Wait until fn(arg) is true; false at the time-out. */
bool h_eventually(bool (*fn)(void *), void *arg, int timeout_ms);

/* Does strace trace that process? */
bool h_is_traced(pid_t pid);

/* Run the suite: no fork unless CK_FORK says so, killed after `seconds`. Returns main's status. */
int h_main(Suite *s, unsigned int seconds);

#endif
