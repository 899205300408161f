/* SPDX-License-Identifier: BSD-3-Clause */
/* Files without a name. Runs in: worker. */
#ifndef WORKER_TMPFILE_H
#define WORKER_TMPFILE_H

#include "worker/inode.h"
#include "worker/lane.h"

/* LINK has given the inode its first name, in dir: nothing but its handle is needed any more to find it again. */
void tmpfile_named(struct lane *, struct inode *, struct inode *dir);

#endif
