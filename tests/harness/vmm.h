/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm - a vhost-user front end: it plays the VMM and the guest driver for a virtio-fs daemon.
 *
 * It starts the daemon in a process group of its own, talks vhost-user to it as QEMU does, and
 * drives real split virtqueues in shared memory. Nothing here shares a line with the daemon: the
 * numbers of the protocol are written down a second time on purpose. Every wait ends
 * (VMM_TIMEOUT_MS).
 *
 * Runs in: the test programs. The bytes it reads come from the daemon under test.
 *
 * Environment: VIRTIOFSD      the daemon, split at blanks (default build/virtiofsd)
 *              HARNESS_KEEP   if set, shared directories and logs are left in place
 *
 * Functions return 0 or a negative errno unless they say otherwise:
 *   -ETIMEDOUT   nothing happened in time       -ECONNRESET  the daemon closed the connection
 *   -ETIME       a used entry came without the signal it owed
 */
#ifndef HARNESS_VMM_H
#define HARNESS_VMM_H

#include <linux/virtio_ring.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define VMM_TIMEOUT_MS 5000
#define VMM_GONE_MS 1000	/* after the end of the session no process may be older than this */
#define VMM_MAX_QUEUES 17
#define VMM_MAX_REGIONS 2
#define VMM_MAX_PROCS 64
#define VMM_TABLE 64u		/* entries of each head's indirect table */

enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_RESET_DEVICE = 34,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_GET_STATUS = 40,
	VU_SET_DEVICE_STATE_FD = 42,
	VU_CHECK_DEVICE_STATE = 43,
	VU_GET_SHMEM_CONFIG = 44,
};

#define VU_VERSION 1u
#define VU_REPLY 4u
#define VU_NEED_REPLY 8u
#define VU_NOFD 0x100u

#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_INDIRECT (1ull << 28)
#define VIRTIO_F_VERSION1 (1ull << 32)
#define VU_F_PROTOCOL (1ull << 30)

#define VU_P_MQ (1ull << 0)
#define VU_P_REPLY_ACK (1ull << 3)
#define VU_P_BACKEND_REQ (1ull << 5)
#define VU_P_CONFIG (1ull << 9)
#define VU_P_SEND_FD (1ull << 10)
#define VU_P_RESET_DEVICE (1ull << 13)
#define VU_P_MEM_SLOTS (1ull << 15)

struct vu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

/* Payload of SET_VRING_NUM, _BASE, _ENABLE, GET_VRING_BASE. */
struct vu_state {
	uint32_t index;
	uint32_t num;
};

struct vu_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct vu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uaddr;
	uint64_t offset;
};

/* Payload of ADD_MEM_REG and REM_MEM_REG. */
struct vu_one_region {
	uint64_t padding;
	struct vu_region reg;
};

struct vmm;

/* How far vmm_start() goes. */
enum vmm_stage {
	VMM_SPAWNED,
	VMM_CONNECTED,
	VMM_NEGOTIATED,	/* features, owner, back-end channel */
	VMM_MEMORY,	/* SET_FEATURES and the memory table */
	VMM_RUNNING,	/* rings set up and enabled */
};

struct vmm;

struct vmm_opts {
	const char *const *args;	/* more arguments for the daemon, NULL-terminated, or NULL */
	bool only_args;			/* no --socket-path, no --shared-dir; "@" in args is our directory */
	void (*child)(struct vmm *);	/* called in the child before it becomes the daemon; or NULL */
	enum vmm_stage stage;
	unsigned int queues;		/* wanted, hiprio included; 0 = 3; never more than the daemon has */
	uint16_t queue_size;		/* 0 = 128 */
	unsigned int regions;		/* 0 = 2 */
	size_t mem_size;		/* of all regions together; 0 = 96 MiB (sparse) */
	bool no_event_idx;
	bool no_indirect;
	bool mem_table;			/* SET_MEM_TABLE instead of ADD_MEM_REG */
	bool no_reply_ack;
	bool call_pipe;			/* call fds are pipes (as UML's are) */
	unsigned int share_mib;		/* mount a tmpfs of this size as the share; 0 = none */
	/*
	 * Called before the daemon starts, may be NULL: mounts something else as the share (v->share), or on it.
	 * All that is mounted there goes with it at the end. Returns 0 or a negative errno.
	 */
	int (*mount_share)(const struct vmm *v);
	const char *const *prefix;	/* what runs the daemon (and execs it), e.g. setpriv; or NULL */
	uid_t owner;			/* who runs the daemon, and owns the share, also as gid; 0 = $HARNESS_OWNER or root */
	gid_t group;			/* a supplementary group of the owner's; 0 = none */
	unsigned int ext4_mib;		/* an ext4 on a loop device */
	const char *share;		/* share this directory, which stays; NULL: a new one */
};

struct vmm_queue {
	struct vmm *vmm;
	unsigned int index;
	uint16_t size;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint64_t desc_gpa;
	uint64_t avail_gpa;
	uint64_t used_gpa;
	uint64_t table_gpa;		/* one indirect table per head */
	int kick_fd;
	int call_fd;			/* our end */
	int call_peer;			/* the end the daemon gets (the same for an eventfd) */
	uint16_t avail_idx;
	uint16_t kicked_idx;		/* avail_idx at the last kick or decision not to */
	uint16_t last_used;
	uint16_t free_head;
	uint16_t nr_free;
	uint16_t *chain_len;		/* by head: descriptors to take back, 0 = raw chain */
	unsigned int spurious;		/* signals without a used entry */
};

struct vmm_proc {
	pid_t pid;
	pid_t ppid;
	char comm[16];
};

struct vmm {
	struct vmm_opts opts;
	char dir[64];			/* everything below is in here */
	char share[80];
	bool mounted;			/* the share is a mount of ours */
	char sock_path[80];
	char log_path[80];
	pid_t pid;			/* of the daemon = its process group; 0 after it was reaped */
	int wait_status;		/* of waitpid(2), valid once reaped */
	bool reaped;
	int sock;
	int backend_fd;			/* our end of the back-end channel */
	int mem_fd;
	struct vu_region region[VMM_MAX_REGIONS];
	uint8_t *hva[VMM_MAX_REGIONS];
	uint64_t used_mem[VMM_MAX_REGIONS];
	unsigned int nr_regions;
	uint64_t features;		/* offered, then acknowledged */
	uint64_t acked;
	uint64_t proto;			/* offered */
	uint64_t proto_acked;
	uint64_t queue_num;		/* the answer of GET_QUEUE_NUM */
	bool reply_ack;
	struct vmm_queue queue[VMM_MAX_QUEUES];
	unsigned int nr_queues;
};

/* How a session ended. */
struct vmm_end {
	int exit_status;	/* 0..255, or 256 + signal, or -1 = it had to be killed */
	long exit_ms;		/* from the close of the connection to the exit */
	long gone_ms;		/* ... until no process of the group was left */
	unsigned int left;	/* processes left after VMM_GONE_MS (they are killed then) */
	bool socket_left;	/* the socket path still exists */
	bool sanitizer;		/* the log holds a sanitizer's report */
};

/* ---- life (vmm.c) ---- */

/*
 * Start a daemon and go as far as opts->stage. opts may be NULL. Returns NULL after saying on
 * stderr what failed, with the tail of the daemon's log; nothing is left behind then.
 */
struct vmm *vmm_start(const struct vmm_opts *opts);

/* From VMM_SPAWNED, with the same daemon, to VMM_RUNNING. */
int vmm_go_on(struct vmm *v);

/* Close the connection, wait for the daemon's exit, look for what is left. `end` may be NULL. */
int vmm_end(struct vmm *v, struct vmm_end *end);

/* As vmm_end, without closing first: for a session which the daemon is expected to end. */
int vmm_wait_end(struct vmm *v, struct vmm_end *end);

/* Kill what still lives, remove the directory, free v (which may be NULL). */
void vmm_free(struct vmm *v);

/* Connect v->sock to the daemon's socket. Returns -ETIMEDOUT, or -ECHILD if the daemon exited. */
int vmm_connect(struct vmm *v);

/* A further connection to the same socket; returns the fd or a negative errno. Caller closes. */
int vmm_connect_again(const struct vmm *v);

/* Close the connection without waiting for anything. */
void vmm_hangup(struct vmm *v);

/* Wait for the daemon's exit; true once it is reaped (v->wait_status is valid). */
bool vmm_reap(struct vmm *v, int timeout_ms);

/* Print the last lines of the daemon's log to stderr. */
void vmm_print_log(const struct vmm *v);

/* Bytes in the daemon's log. */
long vmm_log_size(const struct vmm *v);

/* True if the last MiB of the log holds `text`. How often it does. */
bool vmm_log_has(const struct vmm *v, const char *text);
unsigned int vmm_log_count(const struct vmm *v, const char *text);

/* Milliseconds of the monotonic clock. */
long vmm_now_ms(void);

/* ---- processes (vmm_proc.c) ---- */

/* The living processes of the daemon's group and their descendants; returns their number. */
unsigned int vmm_procs(const struct vmm *v, struct vmm_proc *out, unsigned int max);

/* True if every process of `then` (n of them) still lives, under the same pid. */
bool vmm_same_procs(const struct vmm *v, const struct vmm_proc *then, unsigned int n);

/* Send `sig` to the daemon's process group. */
int vmm_kill_group(const struct vmm *v, int sig);

/* ---- messages (vmm_msg.c) ---- */

/* Send raw: header fields as given, `size` bytes of payload, nr_fds descriptors. */
int vmm_msg_send(struct vmm *v, const struct vu_header *h, const void *payload, const int *fds,
    unsigned int nr_fds);

/*
 * Receive one message: at most `cap` payload bytes into `payload`. Passed fds are closed.
 * Returns -EPROTO on a reply with bad flags or a payload larger than cap.
 */
int vmm_msg_recv(struct vmm *v, struct vu_header *h, void *payload, size_t cap, int timeout_ms);

/* Send request and payload, expect a reply with exactly `reply_size` bytes. */
int vmm_msg_ask(struct vmm *v, uint32_t request, const void *payload, uint32_t size, void *reply,
    uint32_t reply_size);

/* vmm_msg_ask for the u64 answers. */
int vmm_msg_get_u64(struct vmm *v, uint32_t request, uint64_t *value);

/*
 * Send a message without an own reply and learn how it went: with REPLY_ACK by its acknowledgement,
 * without by a GET_FEATURES behind it. Returns 0, -EREMOTEIO for an acknowledgement other than 0,
 * or -ECONNRESET where the session ended.
 */
int vmm_msg_set(struct vmm *v, uint32_t request, const void *payload, uint32_t size, const int *fds,
    unsigned int nr_fds);
int vmm_msg_set_u64(struct vmm *v, uint32_t request, uint64_t value);
int vmm_msg_set_state(struct vmm *v, uint32_t request, uint32_t index, uint32_t num);

/* SET_VRING_KICK, _CALL or _ERR; fd < 0 sends the no-fd bit. */
int vmm_msg_set_fd(struct vmm *v, uint32_t request, unsigned int index, int fd);

/* GET_VRING_BASE. */
int vmm_msg_get_base(struct vmm *v, unsigned int index, uint32_t *base);

/* True if the daemon has closed the connection (waits up to timeout_ms for it). */
bool vmm_is_closed(struct vmm *v, int timeout_ms);

/* Steps of the set-up, in QEMU's order. */
int vmm_negotiate(struct vmm *v);
int vmm_set_features(struct vmm *v);
int vmm_add_region(struct vmm *v, unsigned int region);
int vmm_rem_region(struct vmm *v, unsigned int region);
int vmm_set_memory(struct vmm *v);

/* ---- guest memory and rings (vmm_mem.c, vmm_queue.c) ---- */

int vmm_mem_create(struct vmm *v);
void vmm_mem_destroy(struct vmm *v);

/* Guest memory from one region, never given back; returns its address, or 0 if there is no room. */
uint64_t vmm_alloc(struct vmm *v, unsigned int region, size_t size, size_t align);

/* The guest address in our own memory; NULL if the range is not inside one region. */
void *vmm_ptr(const struct vmm *v, uint64_t gpa, size_t len);

/* The same address in the front end's address space as the daemon was told; 0 if unmapped. */
uint64_t vmm_uaddr(const struct vmm *v, uint64_t gpa);

/* Make the rings and fds of queue `index` (no message is sent). */
int vmm_queue_create(struct vmm *v, unsigned int index, uint16_t size);
void vmm_queue_destroy(struct vmm_queue *q);

/* Empty the rings and forget everything in flight, as a driver does at a reset. */
void vmm_queue_clear(struct vmm_queue *q);

/* Take back all descriptors, the table alone: after raw descriptors, with nothing in flight. */
void vmm_queue_clear_desc(struct vmm_queue *q);

/* NUM, BASE, ADDR, KICK, CALL; then vmm_queue_enable. */
int vmm_queue_setup(struct vmm_queue *q, uint32_t base);
int vmm_queue_enable(struct vmm_queue *q, bool on);

/* Stop a ring, empty it and set it up again: what a guest driver does with a ring that broke. */
int vmm_queue_restart(struct vmm_queue *q);

/*
 * Make a chain of `n` segments available (n >= 1): addr, len and the WRITE flag of sg[] are taken,
 * NEXT is made here. indirect: through the head's own table. Returns the head, or -ENOSPC.
 */
int vmm_queue_add(struct vmm_queue *q, const struct vring_desc *sg, unsigned int n, bool indirect);

/* Put `head` into the available ring, whatever it is, and publish. */
void vmm_queue_publish(struct vmm_queue *q, uint16_t head);

/* Publish an available index of any value. */
void vmm_queue_set_avail_idx(struct vmm_queue *q, uint16_t idx);

/* Kick if the device wants it; vmm_queue_kick_now kicks in any case. */
void vmm_queue_kick(struct vmm_queue *q);
void vmm_queue_kick_now(struct vmm_queue *q);

/* Wait for one used entry. Its descriptors are free afterwards. */
int vmm_queue_wait(struct vmm_queue *q, int timeout_ms, uint32_t *id, uint32_t *len);

/* True if a used entry is there (does not wait). */
bool vmm_queue_has_used(const struct vmm_queue *q);

#endif
