/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving up privileges, one stage a function, each of which checks afterwards that it holds. All of them run while the
 * process has one thread, and end it with one clear line if they fail.
 */
#ifndef COMMON_PRIVS_H
#define COMMON_PRIVS_H

#include <stddef.h>
#include <sys/types.h>

/*
 * First lines of a child's main(). Should: set dumpable 0, close every fd above keep, ignore SIGPIPE and SIGXFSZ, let
 * abort() end a pid 1 (SIGABRT handler). Mustn't: open anything.
 */
void privs_begin_child(int keep);

/* Drop all supplementary groups. */
void privs_drop_groups(void);

/*
 * Replace this process' view of the file system by an empty read-only directory: a tmpfs with room for nothing, pivoted
 * into, the old tree unmounted. Needs CAP_SYS_ADMIN over a private mount namespace. No path can be opened afterwards.
 */
void privs_empty_root(void);

/*
 * Become uid and gid for good (real, effective, saved), no supplementary groups, no capability anywhere, the bounding
 * set empty. Mustn't: be used with uid 0.
 */
void privs_become_nobody(uid_t uid, gid_t gid);

/*
 * Keep exactly these n capabilities (CAP_*) as permitted and effective; inheritable, ambient and the bounding set empty.
 */
void privs_keep_caps(const int *caps, size_t n);

/*
 * The same for a process that will start others, which are uid 0 and get these capabilities when they exec: the bounding
 * set is exactly these n too (capabilities(7), "Capabilities and execution of programs by root"). Needs CAP_SETPCAP.
 */
void privs_keep_caps_for_children(const int *caps, size_t n);

/* Kill me when the parent thread dies; to be called after the last change of uid. */
void privs_die_with_parent(void);

void privs_no_new(void);

#endif
