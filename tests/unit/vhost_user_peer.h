/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VMM for unit tests of front/vhost_user*.c: it speaks over a socketpair; the server runs in a thread of its own; the
 * device is a fake whose calls are written down. Every wait ends after five seconds. Included by: check_vhost_user*.c.
 */
#ifndef TESTS_UNIT_VHOST_USER_PEER_H
#define TESTS_UNIT_VHOST_USER_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "front/device.h"
#include "front/vhost_user.h"
#include "proto/vhost_user.h"

#define GPA	UINT64_C(0x40000000)
#define UADDR	UINT64_C(0x7f0000000000)
#define MEMSIZE	UINT64_C(0x100000)	/* of the region peer_ready() adds; the file is twice as long */
#define PEER_FEATURES	UINT64_C(0x170000000)
#define PEER_PROTO	UINT64_C(0xa629)

extern struct device dev;
extern struct vring rings[NQUEUES];
extern _Atomic bool running[NQUEUES];
extern int sock, memfd, control[2];	/* ours: sock and control[0] */

/* Fixture: a fresh session with the tag "share". */
void	peer_setup(void);
void	peer_teardown(void);
/* Wait for the server's end. */
void	peer_join(void);
/* Close, wait for the server's end, check that no ring runs and no fd is left. */
enum vhost_end peer_finish(void);

void	peer_send_raw(const void *buf, size_t len, const int *fds, unsigned nfds);
void	peer_send(uint32_t request, uint32_t flags, const void *payload, uint32_t size, const int *fds, unsigned nfds);
/* The length of the reply's payload, or -1 if the connection was closed instead. */
ssize_t	peer_receive(uint32_t request, void *payload, size_t size);
/* Does the session go on? */
bool	peer_alive(void);

/* A request without payload, answered with a u64. */
uint64_t peer_get(uint32_t request);
/* The acknowledgement of a message: 0, 1, or -1 if the connection was closed without one. */
int	peer_ack(uint32_t request, const void *payload, uint32_t size, const int *fds, unsigned nfds);
uint32_t peer_base(uint32_t q);

/* Send (fd -1 = none), be sure that it was served, and return what the device was told meanwhile: "stop3 start3 ". */
const char *peer_told(uint32_t request, const void *payload, uint32_t size, int fd);
const char *peer_told_state(uint32_t request, uint32_t index, uint32_t num);
const char *peer_told_addr(uint32_t index);
/* KICK, CALL, ERR with a new eventfd. */
const char *peer_told_fd(uint32_t request, uint64_t index);

/* GET_FEATURES, then acknowledge these; peer_ready(): all of them, and one region of memory. */
void	peer_features(uint64_t features, uint64_t proto);
void	peer_ready(void);

#endif
