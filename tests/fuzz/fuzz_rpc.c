/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzes proto/rpc.c: a message is made of the input, as it is, with its lengths put right, or by the builder with some
 * bytes changed; what rpc_check() accepts is read to its end through the accessors. First byte: how, direction, fds.
 * Links proto/rpc.c.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/rpc.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static volatile unsigned sink;

#define REQUIRE(x)	do { if (!(x)) abort(); } while (0)

static void
touch(const void *p, size_t n)
{
	const uint8_t *c = p;

	for (size_t i = 0; i < n; i++)
		sink += c[i];
}

static void
walk(enum rpc_dir dir, void *msg)
{
	for (struct rpc_hdr *h = rpc_first(msg); h != NULL; h = rpc_next(msg, h)) {
		const struct rpc_op *op = rpc_op(h->op);

		REQUIRE(op != NULL);
		touch(h, h->error != 0 ? sizeof(*h) : dir == RPC_REQUEST ? op->request : op->reply);
		if (dir == RPC_REQUEST)
			touch(rpc_x(dir, h), (size_t)h->nx * op->xsize);
		REQUIRE(h->n1 == 0 || strlen(rpc_name1(dir, h)) == h->n1 - 1u);
		REQUIRE(h->n2 == 0 || strlen(rpc_name2(dir, h)) == h->n2 - 1u);
		REQUIRE((uint64_t)h->aoff + h->alen <= RPC_ARENA_SIZE);
	}
}

/* The builder's elements, then changes: each 3 bytes say where and what. */
static size_t
build(enum rpc_dir dir, uint8_t *msg, const uint8_t *p, size_t n)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
	static const uint64_t x[16] = { 1, 2, 3 };
	size_t count = n > 0 ? 1 + p[0] % 8 : 1, len, at = 1;
	struct rpc_builder b;

	rpc_begin(&b, msg);
	for (size_t i = 0; i < count && at + 3 <= n; i++, at += 3) {
		uint16_t nr = (uint16_t)(1 + p[at] % (RPC_OP_END - 1));
		const struct rpc_op *op = rpc_op(nr);
		enum rpc_kind k1 = dir == RPC_REQUEST ? op->n1 : op->reply_name;

		rpc_add(&b, dir, nr, i, x, dir == RPC_REQUEST && op->xmax > 0 ? p[at + 2] % 8 : 0,
		    k1 != RPC_K_NONE ? name : NULL, 1 + p[at + 1] % 50,
		    dir == RPC_REQUEST && op->n2 != RPC_K_NONE ? name : NULL, 1 + p[at + 2] % 50);
	}
	len = rpc_finish(&b);
	for (; len > 0 && at + 3 <= n; at += 3)
		msg[(p[at] | (size_t)p[at + 1] << 8) % len] = p[at + 2];
	return len;
}

/* Lengths that agree with each other: else the first check takes nearly everything. */
static void
repair(uint8_t *msg, size_t n)
{
	struct rpc_batch *head = (void *)msg;
	size_t at = sizeof(*head);
	uint16_t count = 0;

	if (n < sizeof(*head))
		return;
	while (n - at >= sizeof(struct rpc_hdr) && count < RPC_BATCH_MAX) {
		struct rpc_hdr *h = (void *)(msg + at);

		h->len = (uint32_t)(h->len % 512 / 8 * 8);
		if (h->len < sizeof(*h) || h->len > n - at)
			h->len = (uint32_t)((n - at) / 8 * 8);
		h->op = (uint16_t)(1 + h->op % (RPC_OP_END - 1));
		h->pad0 = 0;
		h->pad1 = 0;
		at += h->len;
		count++;
	}
	head->len = (uint32_t)n;
	head->count = count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	enum rpc_dir dir;
	size_t nfds, len;
	uint8_t *buf, *msg;

	if (n < 1)
		return 0;
	dir = (p[0] & 1) != 0 ? RPC_REPLY : RPC_REQUEST;
	nfds = (p[0] & 2) != 0 ? RPC_FDS_LOST : p[0] >> 6;
	len = n - 1;
	buf = aligned_alloc(8, RPC_MSG_MAX);
	REQUIRE(buf != NULL);
	memset(buf, 0, RPC_MSG_MAX);
	if ((p[0] & 12) == 0)
		len = build(dir, buf, p + 1, n - 1);
	else {
		if (len > RPC_MSG_MAX)
			len = RPC_MSG_MAX;
		memcpy(buf, p + 1, len);
		if ((p[0] & 12) != 4)
			repair(buf, len);
	}
	/* Of exactly its length. */
	msg = malloc(len > 0 ? len : 1);
	REQUIRE(msg != NULL);
	memcpy(msg, buf, len);
	if (rpc_check(dir, msg, len, nfds) == 0)
		walk(dir, msg);
	free(msg);
	free(buf);
	return 0;
}
