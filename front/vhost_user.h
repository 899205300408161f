/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user back end's control conversation with the VMM (spec/vhost-user.md; QEMU docs/interop/vhost-user.rst).
 */
#ifndef FRONT_VHOST_USER_H
#define FRONT_VHOST_USER_H

struct device;

enum vhost_end {
	VHOST_EOF, /* the VMM closed the connection between two messages */
	VHOST_BAD /* it broke the protocol, a request failed, or it vanished inside a message */
};

/*
 * Serve the connection sock until it ends; also ends (as VHOST_EOF) when the socket control is readable or closed, if
 * it is not -1. Closes every fd it was given. On
 * return all rings are abandoned: the process is expected to end.
 */
enum vhost_end vhost_user_serve(struct device *, int sock, int control);

#endif
