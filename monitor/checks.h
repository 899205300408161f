/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can be found wrong before a client comes is found here: privileges, limits, the shared directory, user names.
 * Each function logs one clear line and returns a negative errno when the daemon cannot start; all run before the socket
 * exists.
 */
#ifndef MONITOR_CHECKS_H
#define MONITOR_CHECKS_H

#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "monitor/options.h"

/* Is this process root, with the capabilities that start-up needs? */
int checks_privileges(void) ATTR_MUSTCHECK;

/* Raise RLIMIT_NOFILE as the options say (spec/cli.md section 6). *limit is the effective soft limit, big enough to run. */
int checks_nofile(const struct options *, uint64_t *limit) ATTR_MUSTCHECK;

/* Open the shared directory (NULL: none was named), symlinks followed: O_PATH|O_DIRECTORY|O_CLOEXEC, the caller's to close. */
int checks_share(const char *path, int *fd) ATTR_MUSTCHECK;

/* The identity of the front: the named account, or if name is NULL virtiofsd, else nobody. Never uid 0. */
int checks_front_user(const char *name, uid_t *uid, gid_t *gid) ATTR_MUSTCHECK;

/* The group of --socket-group. */
int checks_group(const char *name, gid_t *gid) ATTR_MUSTCHECK;

#endif
