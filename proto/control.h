/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the monitor says to its children and hears from them: fixed-size messages on SOCK_SEQPACKET sockets, same build
 * and machine on both ends.
 *
 * Control socket (CONTROL_FD in the child). Monitor to child: one CTL_START, first of all. Child to monitor: any number
 * of CTL_LOG, one CTL_READY when sealed, and from the front one CTL_DONE when its client has gone. EOF at either end
 * means: leave.
 *
 * Vault sockets (worker to monitor's vault thread). "put": one-way VAULT_MOUNT, VAULT_PUT, VAULT_FORGET, VAULT_RESET.
 * "get": VAULT_GET, answered by VAULT_GOT. All that is in the put queue is taken before a get is answered.
 */
#ifndef PROTO_CONTROL_H
#define PROTO_CONTROL_H

#include <assert.h>
#include <stdint.h>

#include "proto/rpc.h"

/* The only fd beside 0, 1 and 2 (all /dev/null) that a child finds open when its main() begins. */
#define CONTROL_FD 3

#define TAG_MAX 36 /* virtio-fs, struct virtio_fs_config */
#define REQUEST_QUEUES_MAX 16

enum ctl_op { CTL_START_FRONT = 1, CTL_START_WORKER, CTL_READY, CTL_LOG, CTL_DONE };

struct ctl_hdr {
	uint32_t op;
	/* Of the whole message: exactly the size of its struct; CTL_LOG may be shorter. */
	uint32_t len;
};

enum seccomp_action { SECCOMP_NONE, SECCOMP_KILL, SECCOMP_LOG, SECCOMP_TRAP };
enum sandbox_mode { SANDBOX_NAMESPACE, SANDBOX_CHROOT, SANDBOX_NONE };

/* Options of the device that more than one process needs. */
#define DEV_XATTR 0x1 /* xattr operations are served */
#define DEV_NO_DONATION 0x2 /* every file is served by the worker */
#define DEV_ANNOUNCE_SUBMOUNTS 0x4

/*
 * fds: [0] the vhost-user connection, then nlanes lane sockets, then nlanes arenas (memfd, RPC_ARENA_SIZE, sealed).
 */
struct ctl_start_front {
	struct ctl_hdr h;
	uint32_t seccomp; /* enum seccomp_action */
	uint32_t log_level; /* enum log_level */
	uint32_t dev; /* DEV_* */
	uint32_t nlanes; /* 1 (for the high-priority queue) + at least REQUEST_QUEUES_MAX */
	uint32_t lanes_per_queue; /* most lanes one request queue may use, >= 1 */
	uint32_t uid, gid; /* to become; 0 = stay (rootless start) */
	uint32_t pad;
	uint32_t taglen; /* 0 = no --tag: no config space */
	char tag[TAG_MAX];
};

/*
 * fds: [0] the shared directory (O_PATH|O_DIRECTORY), [1] vault put, [2] vault get, then nlanes lane sockets, then
 * nlanes arenas.
 */
struct ctl_start_worker {
	struct ctl_hdr h;
	uint32_t seccomp;
	uint32_t log_level;
	uint32_t dev;
	uint32_t nlanes;
	uint32_t sandbox; /* enum sandbox_mode */
	uint32_t fd_budget; /* inode fds the worker may keep open */
	uint64_t first_node; /* the first node id to give out (2 at the first start) */
};

struct ctl_ready {
	struct ctl_hdr h;
};

#define CTL_LOG_TEXT 512
struct ctl_log {
	struct ctl_hdr h; /* h.len = offsetof(text) + length of the line */
	uint32_t level;
	uint32_t pad;
	char text[CTL_LOG_TEXT]; /* not terminated; may hold any bytes */
};

struct ctl_done {
	struct ctl_hdr h;
	uint32_t reason; /* enum ctl_done_reason */
	uint32_t pad;
};
enum ctl_done_reason { DONE_EOF, DONE_BAD_MESSAGE };

enum vault_op { VAULT_MOUNT = 1, VAULT_PUT, VAULT_FORGET, VAULT_RESET, VAULT_GET, VAULT_GOT };

#define VAULT_BATCH 64u

struct vault_hdr {
	uint32_t op;
	uint32_t count; /* elements that follow, 1..VAULT_BATCH; RESET: 0; MOUNT: 1 */
};

struct vault_mount { /* 1 fd: real (not O_PATH) fd of a directory or file on this mount */
	struct vault_hdr h;
	uint64_t mnt_id; /* STATX_MNT_ID as the worker sees it */
};

struct vault_put1 {
	uint64_t node;
	uint64_t mnt_id;
};
struct vault_put { /* h.count fds, each O_PATH, in order; message ends behind element count-1 */
	struct vault_hdr h;
	struct vault_put1 e[VAULT_BATCH];
};

struct vault_nodes { /* FORGET and GET; message ends behind element count-1 */
	struct vault_hdr h;
	uint64_t node[VAULT_BATCH];
};

struct vault_got { /* as many fds as there are zeros in error[], in order */
	struct vault_hdr h;
	/* 0 or a negative errno: -EBADF unknown node, -ESTALE gone, ... */
	int32_t error[VAULT_BATCH];
};

#define VAULT_MSG_MAX sizeof(struct vault_put)

static_assert(sizeof(struct vault_put1) == 16 && sizeof(struct vault_hdr) == 8, "vault layout");

#endif
