/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can be found wrong before a client comes is found here: limits, handles, the shared directory, user names.
 * Each function logs one clear line and returns a negative errno when the daemon cannot start; all run before the socket
 * exists.
 */
#ifndef MONITOR_CHECKS_H
#define MONITOR_CHECKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"
#include "monitor/options.h"

/* The system calls that came late, or that old seccomp profiles of containers do not know, and nothing here works without. */
int checks_calls(void) ATTR_MUSTCHECK;

/*
 * Must the supplementary groups go (spec/sandbox.md section 1)? Not those of a user who is not root, nor those of a user
 * namespace of one id, which cannot be dropped. Logs if that is unknown.
 */
bool checks_drop_groups(void);

/* Does this user namespace have the id? map: /proc/self/uid_map or gid_map; what cannot be read is taken to have all. */
bool checks_id_is_mapped(const char *map, uint32_t id);

/* Can this process open the inode of an O_PATH fd by its file handle? 0 or a negative errno; logs nothing. */
int checks_handles(int share) ATTR_MUSTCHECK;

/* Raise RLIMIT_NOFILE as the options say (spec/cli.md section 6). *limit is the effective soft limit, big enough to run. */
int checks_nofile(const struct options *, uint64_t *limit) ATTR_MUSTCHECK;

/*
 * Open the shared directory (NULL: none was named; without a sandbox also a file), symlinks followed: O_PATH|O_CLOEXEC, the
 * caller's to close.
 */
int checks_share(const char *path, enum sandbox_mode, int *fd) ATTR_MUSTCHECK;

/* The identity of the front: the named account, or if name is NULL virtiofsd, else nobody. Never uid 0. */
int checks_front_user(const char *name, uid_t *uid, gid_t *gid) ATTR_MUSTCHECK;

/* The group of --socket-group. */
int checks_group(const char *name, gid_t *gid) ATTR_MUSTCHECK;

#endif
