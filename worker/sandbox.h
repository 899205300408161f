/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the worker can reach: its own fd directory and the shared directory. All of it while there is one thread and
 * before capabilities are dropped. Any failure ends the process. Runs in: worker.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include <stdint.h>

/*
 * Put the fd directory at FD_DIR: a private read-only clone of /proc/self/fd, which leads nowhere else, or, where that
 * cannot be had yet, a plain fd of it. Should: be the first thing to open anything.
 */
void sandbox_fd_directory(void);

/*
 * Enter the shared directory. mode: enum sandbox_mode; share: O_PATH fd of it, taken over; mntns: -1, or the mount
 * namespace of an earlier worker, taken over, to be entered as it is. With SANDBOX_NAMESPACE the fd directory is private
 * afterwards. Returns an O_PATH fd of the root inode. Mustn't: be followed by anything that opens by path.
 */
int sandbox_enter(uint32_t mode, int share, int mntns);

#endif
