/* SPDX-License-Identifier: BSD-3-Clause */
/* See rpc_rig.h. */
#include "tests/unit/rpc_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static uint8_t *guard;				/* the inaccessible page */
uint64_t storage[MSG_ROOM / 8];
uint64_t scratch[MSG_ROOM / 8];
struct rpc_builder b;
char long_name[RPC_TARGET_MAX + 2];
static volatile unsigned sink;

void
setup(void)
{
	uint8_t *p = mmap(NULL, 2 * MSG_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert_int_eq(mprotect(p + MSG_ROOM, MSG_ROOM, PROT_NONE), 0);
	guard = p + MSG_ROOM;
	memset(long_name, 'n', sizeof(long_name) - 1);
	memset(storage, 0xaa, sizeof(storage));
}

void
teardown(void)
{
	munmap(guard - MSG_ROOM, 2 * MSG_ROOM);
}

enum rpc_dir
dir_of(int i)
{
	return i % DIRS == 0 ? RPC_REQUEST : RPC_REPLY;
}

uint16_t
op_of(int i)
{
	return (uint16_t)(1 + i / DIRS);
}

size_t
name_max(enum rpc_kind k)
{
	static const size_t max[] = { [RPC_K_LOOKUP] = RPC_NAME_MAX, [RPC_K_COMP] = RPC_NAME_MAX,
		[RPC_K_TARGET] = RPC_TARGET_MAX, [RPC_K_XATTR] = RPC_XATTR_MAX };

	return max[k];
}

static size_t
min_size(size_t a, size_t c)
{
	return a < c ? a : c;
}

struct rpc_hdr *
add_valid(struct rpc_builder *to, enum rpc_dir dir, uint16_t nr, size_t n, size_t nx)
{
	static const uint64_t x[2 * RPC_FORGETS_MAX] = { 1, 2, 3 };
	const struct rpc_op *op = rpc_op(nr);
	enum rpc_kind k1 = dir == RPC_REQUEST ? op->n1 : op->reply_name, k2 = dir == RPC_REQUEST ? op->n2 : RPC_K_NONE;
	struct rpc_hdr *h;

	h = rpc_add(to, dir, nr, UINT64_C(0x0123456789abcdef), x, dir == RPC_REQUEST ? min_size(nx, op->xmax) : 0,
	    k1 != RPC_K_NONE ? long_name : NULL, min_size(n, name_max(k1)),
	    k2 != RPC_K_NONE ? long_name : NULL, min_size(n, name_max(k2)));
	REQUIRE(h != NULL);
	if (dir == RPC_REQUEST && op->arena != RPC_A_NONE) {
		h->aoff = 4096;
		h->alen = 100;
	}
	return h;
}

size_t
one(enum rpc_dir dir, uint16_t nr, size_t n, size_t nx)
{
	rpc_begin(&b, storage);
	add_valid(&b, dir, nr, n, nx);
	return rpc_finish(&b);
}

static unsigned
touch(const void *p, size_t n)
{
	const uint8_t *c = p;
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += c[i];
	return sum;
}

/* Read all that the accessors of an accepted message give; the guard page tells if that is too much. */
static unsigned
walk(enum rpc_dir dir, void *msg)
{
	unsigned n = 0;

	for (struct rpc_hdr *h = rpc_first(msg); h != NULL; h = rpc_next(msg, h), n++) {
		const struct rpc_op *op = rpc_op(h->op);
		const char *n1 = rpc_name1(dir, h), *n2 = rpc_name2(dir, h);

		REQUIRE(op != NULL);
		sink += touch(h, h->error != 0 ? HDR : dir == RPC_REQUEST ? op->request : op->reply);
		if (dir == RPC_REQUEST)
			sink += touch(rpc_x(dir, h), (size_t)h->nx * op->xsize);
		REQUIRE(h->n1 == 0 || strlen(n1) == h->n1 - 1u);
		REQUIRE(h->n2 == 0 || strlen(n2) == h->n2 - 1u);
		REQUIRE(n2 + h->n2 <= (const char *)h + h->len);
		REQUIRE((uint64_t)h->aoff + h->alen <= RPC_ARENA_SIZE);
	}
	return n;
}

int
judge(enum rpc_dir dir, const void *src, size_t n, size_t nfds)
{
	uint8_t *at = guard - (n + 7) / 8 * 8;
	int r;

	memcpy(at, src, n);
	r = rpc_check(dir, at, n, nfds);
	REQUIRE(r == 0 || r == -EPROTO);
	if (r == 0)
		REQUIRE(walk(dir, at) == ((const struct rpc_batch *)(const void *)at)->count);
	return r;
}

struct rpc_batch *
head(void *m)
{
	return m;
}

struct rpc_hdr *
elem(void *m)
{
	return rpc_first(m);
}

void
set_len(void *m, size_t n)
{
	head(m)->len = (uint32_t)n;
}
