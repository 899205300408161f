/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages for unit tests of proto/rpc.c, judged where they end at an inaccessible page, so that a byte read behind them
 * kills the test. Included by: check_rpc.c, check_rpc_batch.c.
 */
#ifndef TESTS_UNIT_RPC_RIG_H
#define TESTS_UNIT_RPC_RIG_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/rpc.h"

#define MSG_ROOM	(RPC_MSG_MAX + 4096u)
#define BATCH		sizeof(struct rpc_batch)
#define HDR		sizeof(struct rpc_hdr)
#define DIRS		2
#define OPS		((RPC_OP_END - 1) * DIRS)	/* loop tests: op and direction */

extern uint64_t storage[MSG_ROOM / 8]; /* the valid message */
extern uint64_t scratch[MSG_ROOM / 8];
extern struct rpc_builder b;
extern char long_name[RPC_TARGET_MAX + 2];

/* check marks each of its own assertions with a system call: too slow in the inner loops. */
#define REQUIRE(x)	do { if (!(x)) ck_abort_msg("%s", #x); } while (0)

/* Fixture: everything anew. */
void setup(void);
void teardown(void);

/* Of a loop test's number. */
enum rpc_dir dir_of(int i);
uint16_t op_of(int i);

size_t name_max(enum rpc_kind k);

/* Append a valid element; names of n bytes at most, nx of what the op allows at most. */
struct rpc_hdr *add_valid(struct rpc_builder *to, enum rpc_dir dir, uint16_t nr, size_t n, size_t nx);

/* One valid message in storage; returns its length. */
size_t one(enum rpc_dir dir, uint16_t nr, size_t n, size_t nx);

/* Judge n bytes of src at the guard page; what is accepted is read to its end. */
int judge(enum rpc_dir dir, const void *src, size_t n, size_t nfds);

struct rpc_batch *head(void *m);
struct rpc_hdr *elem(void *m);
void set_len(void *m, size_t n);

#endif
