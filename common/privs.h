/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving up privileges, one stage a function, each of which checks afterwards that it holds. All of them run while the
 * process has one thread, and end it with one clear line if they fail.
 */
#ifndef COMMON_PRIVS_H
#define COMMON_PRIVS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A set of capabilities: bit n is CAP_* number n. */
#define PRIVS_CAP(cap) (UINT64_C(1) << (cap))

/*
 * First lines of a child's main(). Should: have the name of its program, set dumpable 0, close every fd above keep, ignore SIGPIPE and SIGXFSZ, let
 * abort() end a pid 1 (SIGABRT handler). Mustn't: open anything.
 */
void privs_begin_child(const char *name, int keep);

/* Drop all supplementary groups. */
void privs_drop_groups(void);

/*
 * Replace this process' view of the file system by an empty read-only directory: a tmpfs with room for nothing, pivoted
 * into, the old tree unmounted. Needs CAP_SYS_ADMIN over a private mount namespace. No path can be opened afterwards.
 */
void privs_empty_root(void);

/*
 * The same as far as it goes without CAP_SYS_ADMIN: chroot into a directory that is removed, if there is CAP_SYS_CHROOT,
 * and a Landlock domain that allows nothing, if the kernel has Landlock (sets no_new_privs). Returns false if a path can
 * still be opened.
 */
bool privs_hide_files(void);

/*
 * Become uid and gid for good (real, effective, saved), without capability anywhere, the bounding set empty where there is
 * CAP_SETPCAP. drop_groups: no supplementary groups either. uid 0: stay who this process is. Mustn't: be used to become uid 0.
 */
void privs_become_nobody(uid_t uid, gid_t gid, bool drop_groups);

/* What this process has as permitted. */
uint64_t privs_caps(void);

/*
 * Keep exactly these capabilities (PRIVS_CAP(), all permitted now) as permitted and effective; inheritable, ambient and,
 * with CAP_SETPCAP, the bounding set empty.
 */
void privs_keep_caps(uint64_t caps);

/*
 * The same for a process that will start others, which get these capabilities when they exec: the bounding set, where
 * there is CAP_SETPCAP, is exactly these too (capabilities(7), "Capabilities and execution of programs by root").
 */
void privs_keep_caps_for_children(uint64_t caps);

/* Kill me when the parent thread dies; to be called after the last change of uid. */
void privs_die_with_parent(void);

void privs_no_new(void);

#endif
