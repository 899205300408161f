/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What front and worker share of being a child of the monitor: the START message and logging over the control socket.
 */
#ifndef COMMON_CHILD_H
#define COMMON_CHILD_H

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

/* Send log lines to the monitor over sock (CONTROL_FD) from now on; a line that does not fit the queue is lost. */
void child_log_init(int sock, uint32_t max_level);

/*
 * Wait for the first message: exactly size bytes with this op (enum ctl_op), and its fds (room for MSG_FDS_MAX).
 * Any other message, or EOF, ends the process.
 */
void child_recv_start(int sock, uint32_t op, void *buf, size_t size, int *fds, size_t *nfds);

/* Tell the monitor that the process is sealed and serves. Ends the process if it cannot. */
void child_ready(int sock);

/*
 * Check that fd is an arena: a memfd of LANE_MEMORY_SIZE, sealed against growing and shrinking; map it shared.
 * Takes over fd (closed). Ends the process otherwise.
 */
void *child_map_arena(int fd);

/* Check that fd is a SOCK_SEQPACKET socket; ends the process otherwise. */
void child_check_socket(int fd);

#endif
