/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a change of a file's content costs it: set-id bits when the guest's caller has no CAP_FSETID, and a
 * security.capability that the xattr map keeps under another name. Runs in: worker, lane threads.
 */
#ifndef WORKER_KILLPRIV_H
#define WORKER_KILLPRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attr.h"

/* A change under way. */
struct killpriv {
	int fd;
	mode_t drop; /* bits to be lost */
	bool fsetid, gid; /* what this thread has given up, and must get back */
};

/*
 * The content of the file behind fd (O_PATH will do) is about to change for a caller without CAP_FSETID whose group is gid
 * (guest's number; RPC_NO_GID: unknown). From here until killpriv_end() the kernel drops what such a caller's change
 * would drop (setattr_should_drop_suidgid(); traps.md K1). Always to be ended.
 */
void killpriv_begin(struct killpriv *, int fd, gid_t gid);
/* Nothing is to be dropped: killpriv_end() does nothing. */
void killpriv_none(struct killpriv *);
/* done: the change was made; what the kernel has left of the bits goes as well. Keeps errno. */
void killpriv_end(struct killpriv *, bool done);

/* Drop the bits that a change by such a caller would drop. */
void killpriv_now(int fd, gid_t gid);

/*
 * Does the xattr map give security.capability another name on the host? The host's kernel does not drop that one, so that
 * all changes must come through here.
 */
bool killpriv_is_remapped(void);
/* Remove what a regular file (fd: O_PATH will do) has under that name. Returns 0 or a negative errno. */
int killpriv_drop_remapped(int fd, mode_t mode) ATTR_MUSTCHECK;

#endif
