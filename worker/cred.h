/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Acting as somebody else for one system call. All of it is per thread (raw system calls; libc's wrappers change every
 * thread). A thread that cannot get its own credentials back ends the process. Runs in: worker, lane threads only: the
 * main thread's change would disarm the parent-death signal.
 */
#ifndef WORKER_CRED_H
#define WORKER_CRED_H

#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"

/* What cred_switch() changed. */
struct cred {
	bool groups, gid, uid, caps;
	gid_t old_gid;
	uid_t old_uid;
	struct __user_cap_data_struct old_caps[2];
};

/* Once, before threads exist: which ids and supplementary groups the worker itself has. */
void cred_init(void);

/*
 * Become uid and gid with these supplementary groups (spec/fuse.md section 4); unless uid is 0, without
 * capabilities. known: the guest named the groups; if it did not, CAP_DAC_OVERRIDE stays, because a
 * group that we do not know of may be what allows the access.
 * Returns 0, or a negative errno with nothing changed. End with cred_restore().
 */
int cred_switch(struct cred *, uid_t uid, gid_t gid, const uint32_t *groups, size_t n,
    bool known) ATTR_MUSTCHECK;
/* Who owns what a caller makes: the worker itself where the caller is 0. */
uid_t cred_owner(uid_t uid);
gid_t cred_group(gid_t gid);
/* Keeps errno. */
void cred_restore(const struct cred *);

/* Give up CAP_FSETID, if this thread has it: returns whether, then cred_restore_fsetid() is due. Keep errno. */
bool cred_drop_fsetid(void);
void cred_restore_fsetid(void);
/* Be in the worker's own group again. Keeps errno. */
void cred_restore_group(void);

/*
 * The umask of this thread while something is made: 0 outside. Where threads could not be given one each
 * (cred_share_umask(), once, before they exist) they wait for each other.
 */
void cred_share_umask(void);
void cred_umask_begin(mode_t mask);
void cred_umask_end(mode_t mask);

#endif
