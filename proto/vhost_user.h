/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user protocol as a virtio-fs back end needs it (QEMU docs/interop/vhost-user.rst): what a VMM writes to its
 * socket. Host byte order. VU_MESSAGES is the one list of the messages served: the dispatcher's table, the prototypes
 * of the handlers, the names in logs and the tests come from it; a number that is not in it ends the session.
 */
#ifndef PROTO_VHOST_USER_H
#define PROTO_VHOST_USER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define VU_VERSION 0x1u /* of flags: bits 0 and 1 */
#define VU_VERSION_MASK 0x3u
#define VU_F_REPLY 0x4u
#define VU_F_NEED_REPLY 0x8u

#define VU_PAYLOAD_MAX 4096u
#define VU_FDS_MAX 32u /* with one message */
#define VU_REGIONS_MAX 32u /* of one SET_MEM_TABLE */

struct vu_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload that follows */
};

/* Virtio feature bits (VIRTIO_F_*, VIRTIO_RING_F_*) as masks. */
#define VU_FEAT_INDIRECT_DESC (UINT64_C(1) << 28)
#define VU_FEAT_EVENT_IDX (UINT64_C(1) << 29)
#define VU_FEAT_PROTOCOL_FEATURES (UINT64_C(1) << 30)
#define VU_FEAT_VERSION_1 (UINT64_C(1) << 32)

/* Protocol feature bits as masks. */
#define VU_PROTO_MQ (UINT64_C(1) << 0)
#define VU_PROTO_REPLY_ACK (UINT64_C(1) << 3)
#define VU_PROTO_BACKEND_REQ (UINT64_C(1) << 5)
#define VU_PROTO_CONFIG (UINT64_C(1) << 9)
#define VU_PROTO_BACKEND_SEND_FD (UINT64_C(1) << 10)
#define VU_PROTO_RESET_DEVICE (UINT64_C(1) << 13)
#define VU_PROTO_CONFIGURE_MEM_SLOTS (UINT64_C(1) << 15)

struct vu_vring_state {
	uint32_t index;
	uint32_t num; /* size, base, or enable */
};

struct vu_vring_addr {
	uint32_t index;
	uint32_t flags; /* VU_VRING_ADDR_LOG */
	uint64_t desc, used, avail; /* addresses of the VMM */
	uint64_t log;
};
#define VU_VRING_ADDR_LOG 0x1u

/* SET_VRING_KICK, _CALL, _ERR: a u64 */
#define VU_VRING_INDEX_MASK 0xffu
#define VU_VRING_NOFD 0x100u

struct vu_region {
	uint64_t gpa, size;
	uint64_t uaddr; /* the VMM's address of the region */
	uint64_t offset; /* of the region in its file */
};

struct vu_mem_table {
	uint32_t num, pad;
	struct vu_region region[VU_REGIONS_MAX];
};

struct vu_one_region {
	uint64_t pad;
	struct vu_region region;
};

struct vu_config {
	uint32_t offset, size;
	uint32_t flags; /* VU_CONFIG_FLAGS */
	uint8_t data[VU_PAYLOAD_MAX - 12];
};
#define VU_CONFIG_HDR 12u
#define VU_CONFIG_SPACE_MAX 4096u /* offset + size */
#define VU_CONFIG_FLAGS 0x3u /* writable, live migration */

union vu_payload {
	uint64_t u64;
	struct vu_vring_state state;
	struct vu_vring_addr addr;
	struct vu_mem_table mem;
	struct vu_one_region reg;
	struct vu_config config;
	uint8_t bytes[VU_PAYLOAD_MAX];
};

/* How a message is answered. */
enum vu_answer {
	VU_ANSWER_ACK, /* with a u64 if the VMM asked for it and REPLY_ACK is on: 0 good, 1 failed */
	VU_ANSWER_REPLY /* always, with a reply of its own */
};

/*
 * Columns: name; handler; number; least and most bytes of payload; least and most fds; protocol feature that must have
 * been acknowledged (0 = none); answer. Where least and most differ, the payload itself says what is right and the
 * handler checks it; REM_MEM_REG needs no fd, but VMMs were told to send one.
 */
#define VU_S_STATE sizeof(struct vu_vring_state)
#define VU_S_ADDR sizeof(struct vu_vring_addr)
#define VU_S_REG sizeof(struct vu_one_region)
#define VU_S_MEM1 offsetof(struct vu_mem_table, region[1])
#define VU_MESSAGES(X) \
	X(GET_FEATURES, get_features, 1, 0, 0, 0, 0, 0, VU_ANSWER_REPLY) \
	X(SET_FEATURES, set_features, 2, 8, 8, 0, 0, 0, VU_ANSWER_ACK) \
	X(SET_OWNER, set_owner, 3, 0, 0, 0, 0, 0, VU_ANSWER_ACK) \
	X(RESET_OWNER, reset_owner, 4, 0, 0, 0, 0, 0, VU_ANSWER_ACK) \
	X(SET_MEM_TABLE, set_mem_table, 5, VU_S_MEM1, VU_PAYLOAD_MAX, 1, VU_REGIONS_MAX, 0, \
	    VU_ANSWER_ACK) \
	X(SET_VRING_NUM, set_vring_num, 8, VU_S_STATE, VU_S_STATE, 0, 0, 0, VU_ANSWER_ACK) \
	X(SET_VRING_ADDR, set_vring_addr, 9, VU_S_ADDR, VU_S_ADDR, 0, 0, 0, VU_ANSWER_ACK) \
	X(SET_VRING_BASE, set_vring_base, 10, VU_S_STATE, VU_S_STATE, 0, 0, 0, VU_ANSWER_ACK) \
	X(GET_VRING_BASE, get_vring_base, 11, VU_S_STATE, VU_S_STATE, 0, 0, 0, VU_ANSWER_REPLY) \
	X(SET_VRING_KICK, set_vring_kick, 12, 8, 8, 0, 1, 0, VU_ANSWER_ACK) \
	X(SET_VRING_CALL, set_vring_call, 13, 8, 8, 0, 1, 0, VU_ANSWER_ACK) \
	X(SET_VRING_ERR, set_vring_err, 14, 8, 8, 0, 1, 0, VU_ANSWER_ACK) \
	X(GET_PROTOCOL_FEATURES, get_protocol_features, 15, 0, 0, 0, 0, 0, VU_ANSWER_REPLY) \
	X(SET_PROTOCOL_FEATURES, set_protocol_features, 16, 8, 8, 0, 0, 0, VU_ANSWER_ACK) \
	X(GET_QUEUE_NUM, get_queue_num, 17, 0, 0, 0, 0, VU_PROTO_MQ, VU_ANSWER_REPLY) \
	X(SET_VRING_ENABLE, set_vring_enable, 18, VU_S_STATE, VU_S_STATE, 0, 0, 0, VU_ANSWER_ACK) \
	X(SET_BACKEND_REQ_FD, set_backend_req_fd, 21, 0, 0, 1, 1, VU_PROTO_BACKEND_REQ, \
	    VU_ANSWER_ACK) \
	X(GET_CONFIG, get_config, 24, VU_CONFIG_HDR + 1, VU_PAYLOAD_MAX, 0, 0, VU_PROTO_CONFIG, \
	    VU_ANSWER_REPLY) \
	X(SET_CONFIG, set_config, 25, VU_CONFIG_HDR + 1, VU_PAYLOAD_MAX, 0, 0, VU_PROTO_CONFIG, \
	    VU_ANSWER_ACK) \
	X(RESET_DEVICE, reset_device, 34, 0, 0, 0, 0, VU_PROTO_RESET_DEVICE, VU_ANSWER_ACK) \
	X(GET_MAX_MEM_SLOTS, get_max_mem_slots, 36, 0, 0, 0, 0, VU_PROTO_CONFIGURE_MEM_SLOTS, \
	    VU_ANSWER_REPLY) \
	X(ADD_MEM_REG, add_mem_reg, 37, VU_S_REG, VU_S_REG, 1, 1, VU_PROTO_CONFIGURE_MEM_SLOTS, \
	    VU_ANSWER_ACK) \
	X(REM_MEM_REG, rem_mem_reg, 38, VU_S_REG, VU_S_REG, 0, 1, VU_PROTO_CONFIGURE_MEM_SLOTS, \
	    VU_ANSWER_ACK)

enum vu_request {
#define X(NAME, handler, nr, ...) VU_##NAME = (nr),
	VU_MESSAGES(X)
#undef X
	    VU_REQUEST_END
};

static_assert(sizeof(struct vu_hdr) == 12, "vu_hdr layout");
static_assert(sizeof(struct vu_vring_addr) == 40, "vu_vring_addr layout");
static_assert(sizeof(struct vu_region) == 32, "vu_region layout");
static_assert(sizeof(struct vu_one_region) == 40, "vu_one_region layout");
static_assert(offsetof(struct vu_mem_table, region) == 8, "vu_mem_table layout");
static_assert(offsetof(struct vu_config, data) == VU_CONFIG_HDR, "vu_config layout");
static_assert(sizeof(union vu_payload) == VU_PAYLOAD_MAX, "no message is longer");

#endif
