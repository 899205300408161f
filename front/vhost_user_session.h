/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the vhost-user back end share: the state of the connection, a message, and one handler a message.
 * Included by: front/vhost_user.c (receives, checks, answers), front/vhost_user_device.c, front/vhost_user_ring.c.
 */
#ifndef FRONT_VHOST_USER_SESSION_H
#define FRONT_VHOST_USER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "front/device.h"
#include "proto/vhost_user.h"

#define VU_FEATURES \
	(VU_FEAT_VERSION_1 | VU_FEAT_PROTOCOL_FEATURES | VU_FEAT_EVENT_IDX | VU_FEAT_INDIRECT_DESC)

/* The protocol's half of a ring; the rest is in struct vring. */
struct vu_ring {
	bool enabled;
	bool has_addr;
	int kick_fd; /* -1 = none */
};

struct vu_session {
	struct device *dev;
	int sock, control;
	int backend_fd; /* SET_BACKEND_REQ_FD; -1 = none */
	bool owned;
	bool features_asked; /* GET_FEATURES was seen: REPLY_ACK may work */
	uint64_t features; /* acknowledged */
	uint64_t protocol; /* acknowledged, of what we offer */
	struct vu_ring ring[NQUEUES];
};

/* A message in private memory, checked against its row of VU_MESSAGES. */
struct vu_msg {
	struct vu_hdr h;
	union vu_payload p; /* of h.size bytes; the reply's when h.size was set anew */
	int fds[VU_FDS_MAX]; /* closed after the handler, but those it took (fd_take) */
	unsigned nfds;
};

/*
 * Handlers. The payload has a size within the row's limits. A message with a reply of its own leaves it in p and h.size.
 * Returns 0; -EPROTO: malformed, the session ends without a word; another negative errno: failed, the session ends after
 * the failure was acknowledged, if the VMM wants that.
 */
#define X(NAME, handler, ...) int vu_##handler(struct vu_session *, struct vu_msg *) ATTR_MUSTCHECK;
VU_MESSAGES(X)
#undef X

/* The protocol features we offer. */
uint64_t vu_protocol_features(const struct vu_session *);

/* Start ring q if everything it needs is there and it does not run. A ring that cannot be started is logged. */
void vu_ring_try_start(struct vu_session *, unsigned q);

/* All of them. What was stopped, or could not start because its memory was not there yet, is tried again. */
void vu_rings_stop(struct vu_session *);
void vu_rings_try_start(struct vu_session *);

#endif
