/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the monitor says to its children and hears from them: fixed-size messages on SOCK_SEQPACKET sockets, same build
 * and machine on both ends.
 *
 * Control socket (CONTROL_FD in the child). Monitor to child: one CTL_START, first of all; to the front also
 * CTL_LANES after each restart of the worker. Child to monitor: any number of CTL_LOG, one CTL_READY when sealed; from
 * the front CTL_RESUMED after each CTL_LANES, CTL_STUCK while a lane does not answer, CTL_BROKEN when the worker closes a
 * lane or lies, and one CTL_DONE when its client has gone. EOF at either end means: leave.
 *
 * Vault sockets (worker to monitor's vault thread). "put": one-way VAULT_MOUNT, VAULT_PUT, VAULT_FORGET, VAULT_RESET,
 * VAULT_PIN, VAULT_UNPIN, VAULT_HOLD, VAULT_DROP, VAULT_UNMOUNT. "get": VAULT_GET, answered by VAULT_GOT; VAULT_FIND,
 * answered by VAULT_FOUND; VAULT_FETCH and VAULT_KEEP, answered by VAULT_GOT. All that is in the put queue is taken before a
 * get is answered. When a worker dies, its put queue is drained to its end before the next worker is attached.
 */
#ifndef PROTO_CONTROL_H
#define PROTO_CONTROL_H

#include <assert.h>
#include <stdint.h>

#include "proto/rpc.h"

/* The only fd beside 0, 1 and 2 (all /dev/null) that a child finds open when its main() begins. */
#define CONTROL_FD 3

/*
 * The worker's read-only view of /proc/self/fd without anything around it, always under this number so that the seccomp
 * profiles can name it. Also the working directory of every lane thread. openat(FD_DIR, "N") opens again what fd N is.
 */
#define FD_DIR (CONTROL_FD + 1)

#define TAG_MAX 36 /* virtio-fs, struct virtio_fs_config */
#define REQUEST_QUEUES_MAX 16

enum ctl_op {
	CTL_START_FRONT = 1,
	CTL_START_WORKER,
	CTL_READY,
	CTL_LOG,
	CTL_DONE,
	CTL_LANES,
	CTL_RESUMED,
	CTL_STUCK,
	CTL_BROKEN
};

struct ctl_hdr {
	uint32_t op;
	/* Of the whole message: exactly the size of its struct; CTL_LOG may be shorter. */
	uint32_t len;
};

enum seccomp_action { SECCOMP_NONE, SECCOMP_KILL, SECCOMP_LOG, SECCOMP_TRAP };
enum sandbox_mode { SANDBOX_NAMESPACE, SANDBOX_CHROOT, SANDBOX_NONE };

/* What the device does, as the command line says; front and worker both hear all of it. */
#define DEV_XATTR 0x1 /* xattr operations are served */
#define DEV_NO_DONATION 0x2 /* every file is served by the worker */
#define DEV_ANNOUNCE_SUBMOUNTS 0x4
#define DEV_WRITEBACK 0x8
#define DEV_ALLOW_MMAP 0x10
#define DEV_DIRECT_IO 0x20 /* the guest's O_DIRECT reaches the file */
#define DEV_NO_READDIRPLUS 0x40
#define DEV_KILLPRIV_V2 0x80
#define DEV_NOATIME 0x100 /* the guest's O_NOATIME reaches the file */
#define DEV_READONLY 0x200
#define DEV_POSIX_LOCK 0x400 /* fcntl locks are the host's */
#define DEV_FLOCK 0x800 /* flock locks are the host's */
/* Ids are translated, or mean something else in the front's user namespace: only the worker's attributes are right. */
#define DEV_TRANSLATE 0x1000

enum cache_policy { CACHE_AUTO, CACHE_ALWAYS, CACHE_NEVER, CACHE_METADATA };
/* Of what the guest must offer at INIT: auto = without it we go on without, always = the mount is refused. */
enum negotiation { NEGOTIATE_NEVER, NEGOTIATE_AUTO, NEGOTIATE_ALWAYS };
enum file_handles { HANDLES_PREFER, HANDLES_NEVER, HANDLES_MANDATORY };

struct ctl_device {
	uint32_t flags; /* DEV_* */
	uint8_t cache; /* enum cache_policy */
	uint8_t posix_acl; /* enum negotiation */
	uint8_t security_label; /* enum negotiation */
	uint8_t file_handles; /* enum file_handles */
	uint32_t busy_poll_us; /* longest busy wait before a sleep, 0 = none */
};

#define FRONT_NO_NAMESPACES \
	0x1 /* it shares all of them with the monitor, which had no right to give it others */
#define FRONT_DROP_GROUPS 0x2 /* it has supplementary groups, and may give them up */

/*
 * fds: [0] the vhost-user connection, then nlanes lane sockets, then nlanes arenas (memfd, LANE_MEMORY_SIZE of proto/mailbox.h, sealed).
 */
struct ctl_start_front {
	struct ctl_hdr h;
	uint32_t seccomp; /* enum seccomp_action */
	uint32_t log_level; /* enum log_level */
	struct ctl_device dev;
	uint32_t nlanes; /* 1 (for the high-priority queue) + REQUEST_QUEUES_MAX + what is lent */
	uint32_t lanes_per_queue; /* most lanes one request queue may use, >= 1 */
	uint32_t stuck_after; /* seconds until CTL_STUCK; 0 = never */
	uint32_t uid, gid; /* to become; 0 = stay */
	uint32_t flags; /* FRONT_* */
	uint32_t taglen; /* 0 = no --tag: no config space */
	char tag[TAG_MAX];
};

#define WORKER_DROP_GROUPS 0x1 /* it has supplementary groups, and may give them up */
#define WORKER_UID_0 0x2 /* in the sandbox, become uid 0 of its user namespace */
#define WORKER_GID_0 0x4

/*
 * fds: [0] the shared directory (O_PATH; with SANDBOX_NONE it may be a file), [1] vault put, [2] vault get, [3] the journal
 * (a sealed memfd of nlanes * JOURNAL_PAGE bytes, proto/journal.h), [4] the lifeline (a socket whose end tells that the
 * worker is being killed: one thread alone keeps it), then nlanes lane sockets, then nlanes arenas; if tables_len is not 0,
 * the tables (below); from the second worker on, the mount namespace of the first as the last one. The journal, the arenas
 * and the tables are those of the first worker.
 */
/* No id of an earlier worker is ever given out again, whether the vault learnt of it or not. */
#define NODE_FIRST(incarnation) (((uint64_t)(incarnation) << 40) + 2)

struct ctl_start_worker {
	struct ctl_hdr h;
	uint32_t seccomp;
	uint32_t log_level;
	struct ctl_device dev;
	uint32_t nlanes;
	uint32_t sandbox; /* enum sandbox_mode */
	uint32_t fd_budget; /* inode fds the worker may keep open */
	uint64_t first_node; /* the first node id to give out: NODE_FIRST(incarnation) */
	uint32_t incarnation; /* 0, and one more after each death */
	uint32_t flags; /* WORKER_* */
	uint64_t caps; /* bit n: keep CAP_* number n, if it has it */
	uint32_t tables_len; /* bytes of the tables; 0 = there are none */
	uint32_t pad;
};

/*
 * The tables: what the command line says about names of xattrs and about ids, compiled by the monitor, in a memfd of
 * tables_len bytes that is sealed against every change. Offsets count from its beginning and are multiples of 8.
 */
struct ctl_table {
	uint32_t off, n; /* n: of bytes, or of elements; 0 = empty */
};
#define CTL_IDMAPS 4
struct ctl_tables {
	struct ctl_table xattrmap; /* n bytes: struct xattrmap, common/xattrmap.h */
	struct ctl_table
	    idmap[CTL_IDMAPS]; /* n of struct idmap_range each; enum idmap_table, common/idmap.h */
};

/*
 * Monitor to front: a new worker serves from now on. fds: nlanes lane sockets, in the order of START. Arenas stay. What
 * was unanswered is sent again over the new sockets when the old ones have been read to their end.
 */
struct ctl_lanes {
	struct ctl_hdr h;
	uint32_t nlanes;
	uint32_t incarnation; /* of the worker: 1, 2, ... (the first worker was 0) */
};

/* Front to monitor: every lane in use has been taken over. */
struct ctl_resumed {
	struct ctl_hdr h;
	uint32_t incarnation;
	uint32_t replayed; /* requests to be sent again */
	uint32_t failed; /* requests answered EIO: in flight at two deaths */
	uint32_t pad;
	uint64_t ops; /* bit n: a request with RPC op n was in flight */
};

/* Front to monitor, at most once a stuck_after seconds and lane: the oldest request on it has waited so long. */
struct ctl_stuck {
	struct ctl_hdr h;
	uint32_t lane;
	uint32_t op;
	uint32_t seconds;
	uint32_t pad;
};

/* Front to monitor: the worker of this incarnation has broken a lane. */
struct ctl_broken {
	struct ctl_hdr h;
	uint32_t incarnation;
	uint32_t how; /* enum ctl_broken_how */
};
enum ctl_broken_how {
	BROKEN_CLOSED, /* as every worker does that dies; one that does not is to be killed */
	BROKEN_LIE, /* it broke the protocol, or answered what was not asked */
	BROKEN_HOWS
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

enum vault_op {
	VAULT_MOUNT = 1,
	VAULT_PUT,
	VAULT_FORGET,
	VAULT_RESET,
	VAULT_GET,
	VAULT_GOT,
	VAULT_PIN, /* struct vault_put: keep these fds until FORGET, a handle would not bring the inodes back */
	VAULT_FIND, /* struct vault_put (node 0): which nodes are these inodes? */
	VAULT_FOUND, /* struct vault_nodes: 0 = none that is known */
	VAULT_HOLD, /* struct vault_hold: keep this open directory until DROP (or RESET) */
	VAULT_DROP, /* struct vault_nodes: file handles instead of nodes */
	VAULT_FETCH, /* struct vault_nodes: file handles; answered by GOT with what HOLD gave */
	VAULT_UNPIN, /* struct vault_nodes: these have a name by now; their handles will do */
	VAULT_UNMOUNT, /* struct vault_mount, no fd: forget that mount once no node is on it */
	VAULT_KEEP /* as PUT, answered by GOT without fds: did it work? */
};

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

struct vault_nodes { /* FORGET, UNPIN and GET; message ends behind element count-1 */
	struct vault_hdr h;
	uint64_t node[VAULT_BATCH];
};

struct vault_got { /* as many fds as there are zeros in error[], in order */
	struct vault_hdr h;
	/* 0 or a negative errno: -EBADF unknown node, -ESTALE gone, ... */
	int32_t error[VAULT_BATCH];
};

struct
    vault_hold { /* 1 fd: a directory, open for reading; it stays the same open file description */
	struct vault_hdr h;
	uint64_t fh;
};

#define VAULT_MSG_MAX sizeof(struct vault_put)

static_assert(sizeof(struct vault_put1) == 16 && sizeof(struct vault_hdr) == 8, "vault layout");

#endif
