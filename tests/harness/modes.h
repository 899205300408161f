/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * modes - the sandbox modes as which the daemon can be started, by whom, and in what kind of container; shared by
 * check_modes and check_priv.
 *
 * Runs in: the test programs, as root.
 */
#ifndef HARNESS_MODES_H
#define HARNESS_MODES_H

#include "harness.h"

/* An ordinary user who exists only in these tests' mount namespace, and has the ids MODES_SUBID to + 65535. */
#define MODES_USER 64321u
#define MODES_SUBID 100000u

struct mode {
	const char *name;		/* as in SECURITY.md */
	uid_t owner;			/* who starts the daemon: 0 or MODES_USER */
	const char *args[4];
	const char *prefix[12];		/* what runs it; "deny" stands for the program of that name */
	uid_t root;			/* who owns on the host what the guest's root makes, as uid and gid */
	uid_t seen;			/* and who the guest sees to own it */
	uid_t other;			/* the same for the guest's uid 1000 */
	int other_error;		/* or what making it fails with */
	int device_error;		/* of a device node */
	bool host_ids;			/* the host's ids are seen as they are; else 65534 for most */
};

extern const struct mode modes[];
extern const int modes_n;
extern const int modes_documented_n;	/* the first so many are in SECURITY.md */

/* Give the programs of these tests the user. Once, in main(). */
void modes_init(void);

/* Start the daemon in this mode with two clients, INIT done. more: further arguments, or NULL. */
void modes_start(const struct mode *m, const char *const *more);
/* The same by a caller who is in this group too. */
void modes_start_in_group(const struct mode *m, const char *const *more, gid_t group);

/* The mode of that name. */
const struct mode *modes_named(const char *name);

/* What runs the daemon, with the path of "deny" in it; NULL if nothing does. Valid until the next call. */
const char *const *modes_prefix(const char *const *words);

/* The pid of the worker that is there now; kill it and wait for the next one. */
pid_t modes_worker(void);
void modes_restart(void);

#endif
