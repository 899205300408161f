/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One message with its fds over a SOCK_SEQPACKET socket: the only way our three processes speak to each other.
 */
#ifndef COMMON_MSG_H
#define COMMON_MSG_H

#include <stddef.h>
#include <sys/types.h>

#include "common/attr.h"

/* The kernel's SCM_MAX_FD. */
#define MSG_FDS_MAX 253

/*
 * Send len (> 0) bytes and nfds (<= MSG_FDS_MAX) fds as one message. The fds stay the caller's.
 * flags: 0 or MSG_DONTWAIT. Returns 0, -EAGAIN (queue full), -EPIPE or -ECONNRESET (peer gone), -ETOOMANYREFS, -errno.
 */
int msg_send(
    int sock, const void *buf, size_t len, const int *fds, size_t nfds, int flags) ATTR_MUSTCHECK;

/*
 * The same from two pieces, so that a header needs no copy in front of its batch.
 */
int msg_send2(int sock, const void *head, size_t headlen, const void *buf, size_t len,
    const int *fds, size_t nfds, int flags) ATTR_MUSTCHECK;

/*
 * Receive one message of at most size bytes and *nfds fds (in: room in fds; out: how many came, all O_CLOEXEC).
 * A message that is longer, carries more fds than there is room for, or foreign ancillary data is refused whole:
 * its fds are closed and -EMSGSIZE or -EPROTO returned.
 * If this process has no fd numbers left the kernel delivers only the first of the fds: they are returned with
 * *truncated set to 1 when truncated is not NULL, else this too is refused (-EMFILE).
 * Returns the length (> 0), 0 at end of file, -EAGAIN, -ECONNRESET (messages may still follow: read on), -errno.
 */
ssize_t msg_recv(int sock, void *buf, size_t size, int *fds, size_t *nfds, int *truncated,
    int flags) ATTR_MUSTCHECK;

#endif
