/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest for check_fuse_decode and check_fuse_data: composing requests, reading replies, common answers of the worker. */
#ifndef TESTS_UNIT_FUSE_RIG_H
#define TESTS_UNIT_FUSE_RIG_H

#include "common/log.h"
#include "front/nodes.h"
#include "tests/unit/fake_lanes.h"

#define IN_HEADER	sizeof(struct fuse_in_header)
#define OUT_HEADER	sizeof(struct fuse_out_header)
#define FILE_NODE	20u
#define DIR_NODE	21u

extern size_t rig_len;			/* of the request composed */
extern unsigned rig_sent;

/* Compose a request; rig_header() and rig_arg() may be changed before it is sent. */
void	rig_compose(uint32_t opcode, uint64_t node, const void *arg, size_t arglen, const void *var, size_t varlen);
struct fuse_in_header *rig_header(void);
void	*rig_arg(void);
void	rig_set_var(size_t arglen, const void *var, size_t varlen);
/* Send it with room bytes for the reply. */
void	rig_send(size_t room);
void	rig_send_split(enum fake_split in, size_t room, enum fake_split out);
void	rig_send_bad(size_t room);
void	rig_forget_counts(void);

/* The reply to what was sent last; fails if there is none. */
int	rig_error(void);
void	rig_expect_error(int error);
/* A success with a body of exactly n bytes. */
const void *rig_body(size_t n);
void	rig_expect_none(void);

/* Compose and send with room for any small reply. */
void	rig_ask(uint32_t opcode, uint64_t node, const void *arg, size_t arglen, const void *var, size_t varlen);
/* The RPC that came of it, which is this op. */
const void *rig_rpc(uint16_t op);

/* Fixture: initialised, FILE_NODE and DIR_NODE known. Torn down by fake_stop(). */
void	rig_setup(void);
/* A sink that shows nothing: every line is formatted. */
void	rig_quiet(enum log_level, const char *line);

/* Whole exchanges. */
void	rig_init(uint64_t flags);
void	rig_entry(struct rpc_entry_body *, uint64_t node, uint32_t mode);
void	rig_know(uint64_t node, uint32_t mode);
uint64_t rig_open(uint64_t node, uint32_t flags, int fd);
uint64_t rig_opendir(uint64_t node);
/* Answer the oldest request with this, which lies: nothing follows from it, the request waits for a true answer. */
void	rig_expect_lie(const void *body, size_t n);

#endif
