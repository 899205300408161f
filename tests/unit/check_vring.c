/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/vring.c: the test is the driver, over a memfd. Links that file, front/guest_memory.c and
 * common/log.c. Under TSan without the case "racing", in which the driver writes what the device reads.
 */
#include "front/vring.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "front/vring_layout.h"

#define NUM	16u
#define GPA	UINT64_C(0x100000)
#define SIZE	UINT64_C(0x100000)
#define GPA2	(GPA + SIZE)			/* a second region touches the first */
#define UADDR	UINT64_C(0x7f0000000000)	/* of GPA */
#define DESC	GPA
#define AVAIL	(GPA + 0x80000)
#define USED	(GPA + 0xa0000)
#define TABLE	(GPA + 0xc0000)
#define DATA	(GPA + 0xe0000)

#define R	0
#define W	VRING_DESC_F_WRITE
#define N	VRING_DESC_F_NEXT
#define I	VRING_DESC_F_INDIRECT

static struct guest_memory memory;
static struct vring ring;
static struct iovec iov[VRING_SEGS_MAX];
static struct vring_chain chain = { .iov = iov };
static int lines;

static void
count_line(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
	lines++;
}

static void *
at(uint64_t gpa)
{
	void *p = memory_at(&memory, gpa, 1);

	ck_assert_ptr_nonnull(p);
	return p;
}

static struct vring_avail *
avail(void)
{
	return at(AVAIL);
}

static struct vring_used *
used(void)
{
	return at(USED);
}

static void
set_desc(uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc d = { htole64(addr), htole32(len), htole16(flags), htole16(next) };

	memcpy(at(table + i * sizeof(d)), &d, sizeof(d));
}

static void
set_avail_idx(uint16_t v)
{
	__atomic_store_n(&avail()->idx, htole16(v), __ATOMIC_RELEASE);
}

static void
publish(uint16_t head)
{
	uint16_t idx = le16toh(avail()->idx);

	avail()->ring[idx & (ring.num - 1)] = htole16(head);
	set_avail_idx((uint16_t)(idx + 1));
}

static void
start(uint32_t num)
{
	ring.num = num;
	ck_assert_int_eq(vring_start(&ring, &memory), 0);
}

static void
setup(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 2 * SIZE), 0);
	memset(&memory, 0, sizeof(memory));
	ck_assert_int_eq(memory_add(&memory, GPA, SIZE, UADDR, fd, 0), 0);
	ck_assert_int_eq(memory_add(&memory, GPA2, SIZE, UADDR + SIZE, fd, SIZE), 0);
	close(fd);
	vring_init(&ring);
	ring.desc_uaddr = UADDR + (DESC - GPA);
	ring.avail_uaddr = UADDR + (AVAIL - GPA);
	ring.used_uaddr = UADDR + (USED - GPA);
	start(NUM);
	lines = 0;
	log_init(count_line, LOG_DEBUG);
}

static void
teardown(void)
{
	fd_close(&ring.call_fd);
	memory_clear(&memory);
}

/*
 * Chains as rows: the descriptors, what must come out. want: indices of the readable segments, '|', of the writable
 * ones. Each row is tried as a direct chain and inside an indirect table.
 */
static const struct row {
	const char *why;
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} d[8];
	unsigned n;
	const char *want;
	bool bad;
} rows[] = {
	{ "one readable", { { DATA, 40, R, 0 } }, 1, "0|", false },
	{ "one writable", { { DATA, 40, W, 0 } }, 1, "|0", false },
	{ "read and write", { { DATA, 40, N, 1 }, { DATA + 64, 80, W, 0 } }, 2, "0|1", false },
	{ "interleaved", { { DATA, 1, W | N, 1 }, { DATA + 1, 2, N, 2 }, { DATA + 3, 3, W | N, 3 },
	    { DATA + 6, 4, N, 4 }, { DATA + 10, 5, W, 0 } }, 5, "13|024", false },
	{ "writable first", { { DATA, 1, W | N, 1 }, { DATA + 1, 2, W | N, 2 }, { DATA + 3, 3, R, 0 } }, 3, "2|01", false },
	{ "any order of indices", { { DATA, 1, N, 3 }, { DATA + 1, 2, W, 9 }, { DATA + 3, 3, W | N, 1 },
	    { DATA + 6, 4, N, 2 } }, 4, "03|21", false },
	{ "length 0 skipped", { { DATA, 0, N, 1 }, { DATA, 7, N, 2 }, { 0, 0, W | N, 3 }, { DATA, 9, W, 0 } }, 4, "1|3", false },
	{ "nothing but length 0", { { DATA, 0, W, 0 } }, 1, "|", false },
	{ "last byte of the region", { { GPA2 - 1, 1, R, 0 } }, 1, "0|", false },
	{ "first byte of the next", { { GPA2, 1, R, 0 } }, 1, "0|", false },
	{ "unknown flags", { { DATA, 4, 0xfff0, 0 } }, 1, "0|", false },
	{ "no NEXT, next is rubbish", { { DATA, 4, R, 0xffff } }, 1, "0|", false },
	{ "across regions", { { GPA2 - 1, 2, R, 0 } }, 1, "|", true },
	{ "below memory", { { GPA - 1, 1, R, 0 } }, 1, "|", true },
	{ "behind memory", { { GPA2 + SIZE, 1, W, 0 } }, 1, "|", true },
	{ "beyond the end", { { GPA2 + SIZE - 1, 2, W, 0 } }, 1, "|", true },
	{ "address wraps", { { UINT64_MAX, 2, R, 0 } }, 1, "|", true },
	{ "length huge", { { DATA, UINT32_MAX, R, 0 } }, 1, "|", true },
	{ "bad request, good answer", { { 1, 40, N, 1 }, { DATA + 64, 80, W, 0 } }, 2, "|1", true },
	{ "gap in the request", { { DATA, 40, N, 1 }, { 1, 40, N, 2 }, { DATA, 8, N, 3 }, { DATA, 80, W, 0 } }, 4, "0|3", true },
	{ "gap in the answer", { { DATA, 40, N, 1 }, { DATA, 16, W | N, 2 }, { 1, 1, W | N, 3 }, { DATA, 9, W, 0 } }, 4,
	    "0|1", true },
	{ "next out of table", { { DATA, 40, N, 1 }, { DATA, 80, W | N, 0xffff } }, 2, "0|1", true },
	{ "u32 sum overflows", { { DATA, 40, N, 1 }, { DATA, 80, W | N, 2 }, { DATA, UINT32_MAX - 119, R, 0 } }, 3, "0|1", false },
	{ "u32 sum overflows, and goes on", { { DATA, 40, N, 1 }, { DATA, 80, W | N, 2 }, { DATA, UINT32_MAX - 119, N, 3 },
	    { DATA, 9, W, 0 } }, 4, "0|1", false },
	{ "indirect out of memory", { { DATA, 40, N, 1 }, { 16, 16, I, 0 } }, 2, "0|", true },
	{ "indirect of length 0", { { DATA, 0, I, 0 } }, 1, "|", true },
	{ "indirect of odd length", { { DATA, 17, I, 0 } }, 1, "|", true },
	{ "indirect too short", { { DATA, 8, I, 0 } }, 1, "|", true },
	{ "indirect too long", { { GPA, 65536 * 16, I, 0 } }, 1, "|", true },
};

static void
check_row(const struct row *t, const char *form)
{
	const char *bar = strchr(t->want, '|');
	uint64_t read_len = 0, write_len = 0;
	unsigned k = 0;

	ck_assert_msg(chain.bad == t->bad, "%s, %s: bad %d", t->why, form, chain.bad);
	ck_assert_msg(chain.nread == bar - t->want && chain.nwrite == strlen(bar + 1), "%s, %s: %u and %u segments",
	    t->why, form, chain.nread, chain.nwrite);
	for (const char *p = t->want; *p != '\0'; p++) {
		unsigned d = (unsigned)(*p - '0');

		if (*p == '|')
			continue;
		ck_assert_msg(iov[k].iov_base == memory_at(&memory, t->d[d].addr, t->d[d].len) &&
		    iov[k].iov_len == t->d[d].len, "%s, %s: segment %u", t->why, form, k);
		*(p < bar ? &read_len : &write_len) += t->d[d].len;
		k++;
	}
	ck_assert_uint_eq(chain.read_len, read_len);
	ck_assert_uint_eq(chain.write_len, write_len);
}

START_TEST(walk)
{
	const struct row *t = &rows[_i];

	for (unsigned i = 0; i < t->n; i++)
		set_desc(DESC, i, t->d[i].addr, t->d[i].len, t->d[i].flags, t->d[i].next);
	publish(0);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert_uint_eq(chain.head, 0);
	check_row(t, "direct");

	/* Behind a zero-length normal descriptor, the flags NEXT and WRITE of the indirect one without meaning, at an odd address. */
	for (unsigned i = 0; i < t->n; i++)
		set_desc(TABLE + 3, i, t->d[i].addr, t->d[i].len, t->d[i].flags, t->d[i].next);
	set_desc(DESC, 7, DATA, 0, N, 8);
	set_desc(DESC, 8, TABLE + 3, t->n * 16, I | N | W, 9);
	set_desc(DESC, 9, DATA, 5, W, 0);
	publish(7);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert_uint_eq(chain.head, 7);
	check_row(t, "indirect");
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 0);
	ck_assert(!ring.broken);
}
END_TEST

START_TEST(nested)
{
	set_desc(TABLE, 0, DATA, 10, N, 1);
	set_desc(TABLE, 1, TABLE + 64, 16, I, 0);
	set_desc(TABLE + 64, 0, DATA, 10, R, 0);
	set_desc(DESC, 0, TABLE, 32, I, 0);
	publish(0);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert(chain.bad);
	ck_assert_uint_eq(chain.nread, 1);
}
END_TEST

/* What follows the table is no descriptor, whatever it looks like. */
START_TEST(behind_the_table)
{
	set_desc(DESC, 0, DATA, 10, N, NUM);
	set_desc(DESC, NUM, DATA, 10, R, 0);
	publish(0);
	set_desc(DESC, 1, TABLE, 32, I, 0);
	set_desc(TABLE, 0, DATA, 10, N, 2);
	set_desc(TABLE, 2, DATA, 10, R, 0);
	publish(1);
	for (int k = 0; k < 2; k++) {
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert(chain.bad);
		ck_assert_uint_eq(chain.nread, 1);
	}
}
END_TEST

/* Tables of as many entries as may be, and of one more. */
START_TEST(indirect_max)
{
	for (uint32_t n = 65535; n <= 65536; n++) {
		set_desc(GPA2, 0, DATA, 10, N, 65534);
		set_desc(GPA2, 65534, DATA, 10, R, 0);
		set_desc(DESC, 0, GPA2, n * 16, I, 0);
		publish(0);
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert_int_eq(chain.bad, n > 65535);
		ck_assert_uint_eq(chain.nread, n > 65535 ? 0 : 2);
	}
}
END_TEST

/* A chain that waited is read again: as it stands now, and only if it still is one. */
START_TEST(again)
{
	set_desc(DESC, 5, DATA, 10, N, 6);
	set_desc(DESC, 6, DATA, 20, W, 0);
	publish(5);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	set_desc(DESC, 6, DATA, 7, W, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), 0);
	ck_assert_uint_eq(chain.head, 5);
	ck_assert_uint_eq(chain.nread + 10 * chain.nwrite, 11);
	ck_assert_uint_eq(chain.read_len, 10);
	ck_assert_uint_eq(chain.write_len, 7);

	set_desc(DESC, 6, 1, 7, W, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), -EPROTO);
	set_desc(DESC, 6, DATA, 7, W, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), 0);
	ring.broken = true;
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), -EPROTO);

	/* The ring is a smaller one now, with what looks like a descriptor behind it. */
	start(4);
	chain.head = 4;
	set_desc(DESC, 4, DATA, 10, R, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), -EPROTO);
	chain.head = 3;
	set_desc(DESC, 3, DATA, 10, R, 0);
	ck_assert_int_eq(vring_again(&ring, &memory, &chain), 0);
}
END_TEST

START_TEST(loops)
{
	/* Of itself, of two, of all but the head; of empty segments; in a table. What was there before stays. */
	set_desc(DESC, 0, DATA, 8, N, 0);
	publish(0);
	set_desc(DESC, 1, DATA, 8, N | W, 2);
	set_desc(DESC, 2, DATA, 8, N, 1);
	publish(1);
	for (uint16_t i = 3; i < NUM; i++)
		set_desc(DESC, i, DATA, 0, N, (uint16_t)(i + 1 == NUM ? 3 : i + 1));
	publish(3);
	for (int k = 0; k < 3; k++) {
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert(chain.bad);
		ck_assert_uint_le(chain.nread + chain.nwrite, NUM);
	}
	set_desc(DESC, 0, TABLE, 4 * 16, I, 0);
	for (uint16_t i = 0; i < 4; i++)
		set_desc(TABLE, i, DATA, 8, N, (uint16_t)((i + 1) % 4));
	publish(0);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert(chain.bad);
	ck_assert_uint_eq(chain.nread, 4);

	/* As long as the table, and no loop. */
	for (uint16_t i = 0; i < NUM; i++)
		set_desc(DESC, i, DATA, 8, i + 1u == NUM ? R : N, (uint16_t)(i + 1));
	publish(0);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert(!chain.bad);
	ck_assert_uint_eq(chain.nread, NUM);
}
END_TEST

START_TEST(segments_max)
{
	const uint32_t n[] = { VRING_SEGS_MAX, VRING_SEGS_MAX + 1, 4095 };

	/* Odd ones writable, so that both halves meet in the middle. */
	for (uint16_t i = 0; i < 4096; i++)
		set_desc(TABLE, i, DATA + i, 1, i % 2 ? W | N : N, (uint16_t)(i + 1));
	for (unsigned k = 0; k < countof(n); k++) {
		set_desc(TABLE, n[k] - 1, DATA, 1, W, 0);
		set_desc(DESC, 0, TABLE, n[k] * 16, I, 0);
		publish(0);
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert_int_eq(chain.bad, n[k] > VRING_SEGS_MAX);
		ck_assert_uint_eq(chain.nread + chain.nwrite, VRING_SEGS_MAX);
		for (unsigned i = 0; i < chain.nread; i++)
			ck_assert_ptr_eq(iov[i].iov_base, at(DATA + 2 * i));
		for (unsigned i = 0; i + 1 < chain.nwrite; i++)
			ck_assert_ptr_eq(iov[chain.nread + i].iov_base, at(DATA + 2 * i + 1));
		set_desc(TABLE, n[k] - 1, DATA + n[k] - 1, 1, (n[k] - 1) % 2 ? W | N : N, (uint16_t)n[k]);
	}
	/* All of one direction. */
	for (unsigned dir = 0; dir < 2; dir++) {
		for (uint16_t i = 0; i < VRING_SEGS_MAX; i++)
			set_desc(TABLE, i, DATA + i, 1, (uint16_t)((dir ? W : R) | (i + 1u < VRING_SEGS_MAX ? N : 0)),
			    (uint16_t)(i + 1));
		set_desc(DESC, 0, TABLE, VRING_SEGS_MAX * 16, I, 0);
		publish(0);
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert(!chain.bad);
		ck_assert_uint_eq(dir ? chain.nwrite : chain.nread, VRING_SEGS_MAX);
		for (unsigned i = 0; i < VRING_SEGS_MAX; i++)
			ck_assert_ptr_eq(iov[i].iov_base, at(DATA + i));
	}
}
END_TEST

/* 16-bit indices wrap in the middle of a run; every head comes once and in order, every completion lies where it must. */
START_TEST(wrap)
{
	uint16_t begin = 65530;

	set_avail_idx(begin);
	used()->idx = htole16(65533);
	ring.next_avail = begin;
	start(NUM);
	for (unsigned i = 0; i < NUM; i++)
		set_desc(DESC, i, DATA + i, 1, R, 0);
	for (unsigned round = 0; round < 5; round++) {
		for (uint16_t i = 0; i < NUM; i++)
			publish((uint16_t)((i * 5 + round) % NUM));
		for (uint16_t i = 0; i < NUM; i++) {
			uint16_t at_used = (uint16_t)(65533 + round * NUM + i);

			ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
			ck_assert_uint_eq(chain.head, (i * 5 + round) % NUM);
			vring_push(&ring, chain.head, 100 + i);
			ck_assert_uint_eq(le16toh(used()->idx), (uint16_t)(at_used + 1));
			ck_assert_uint_eq(le32toh(used()->ring[at_used % NUM].id), chain.head);
			ck_assert_uint_eq(le32toh(used()->ring[at_used % NUM].len), 100u + i);
		}
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 0);
	}
	ck_assert_uint_eq(ring.next_avail, (uint16_t)(begin + 5 * NUM));
}
END_TEST

/* The largest ring, completely full. */
START_TEST(full_ring)
{
	start(VRING_SIZE_MAX);
	set_desc(DESC, 32767, DATA, 1, R, 0);
	for (unsigned i = 0; i < VRING_SIZE_MAX; i++)
		avail()->ring[i] = htole16(32767);
	ring.next_avail = 40000;
	set_avail_idx((uint16_t)(40000 + 32768));
	for (unsigned i = 0; i < VRING_SIZE_MAX; i++)
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 0);
}
END_TEST

START_TEST(broken_index)
{
	const uint16_t ahead[] = { NUM + 1, 1000, 32768, 65535 };

	for (unsigned i = 0; i < countof(ahead); i++) {
		start(NUM);
		ring.next_avail = 7;
		set_avail_idx((uint16_t)(7 + ahead[i]));
		lines = 0;
		for (int k = 0; k < 3; k++)
			ck_assert_int_eq(vring_pop(&ring, &memory, &chain), -EPROTO);
		ck_assert_int_eq(lines, 1);
		ck_assert(ring.broken);
		ck_assert_uint_eq(ring.next_avail, 7);
		ck_assert(!vring_enable_kick(&ring));
		ck_assert(!vring_available(&ring));
		/* It stays so, whatever the driver does, until it is set up anew. */
		set_avail_idx(7);
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), -EPROTO);
		start(NUM);
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 0);
	}
}
END_TEST

START_TEST(broken_head)
{
	publish(NUM);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), -EPROTO);
	ck_assert(ring.broken);
	ck_assert_int_eq(lines, 1);
	ck_assert_uint_eq(ring.next_avail, 0);
}
END_TEST

START_TEST(start_refuses)
{
	const uint32_t nums[] = { 0, 3, 15, 17, 32767, 65536, UINT32_MAX };
	uint64_t *const area[] = { &ring.desc_uaddr, &ring.avail_uaddr, &ring.used_uaddr };
	const uint64_t size[] = { 16 * NUM, 6 + 2 * NUM, 6 + 8 * NUM }, align[] = { 16, 2, 4 };

	for (unsigned i = 0; i < countof(nums); i++) {
		ring.num = nums[i];
		ck_assert_int_eq(vring_start(&ring, &memory), -EINVAL);
	}
	ring.num = NUM;
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t good = *area[i], end = UADDR + 2 * SIZE;

		*area[i] = good + align[i] / 2;
		ck_assert_int_eq(vring_start(&ring, &memory), -EINVAL);
		*area[i] = 0;
		ck_assert_int_eq(vring_start(&ring, &memory), -EFAULT);
		*area[i] = UADDR - align[i];
		ck_assert_int_eq(vring_start(&ring, &memory), -EFAULT);
		*area[i] = UADDR + SIZE - align[i];
		ck_assert_int_eq(vring_start(&ring, &memory), -EFAULT);
		*area[i] = (end - size[i]) / align[i] * align[i];
		ck_assert_int_eq(vring_start(&ring, &memory), 0);
		*area[i] += align[i];
		ck_assert_int_eq(vring_start(&ring, &memory), -EFAULT);
		*area[i] = good;
	}
	ck_assert_int_eq(vring_start(&ring, &memory), 0);
}
END_TEST

/* Each area in a region that is one byte too short for it. */
START_TEST(start_at_odd_end)
{
	uint64_t *const area[] = { &ring.desc_uaddr, &ring.avail_uaddr, &ring.used_uaddr };
	const uint64_t size[] = { 16 * NUM, 6 + 2 * NUM, 6 + 8 * NUM };
	int fd = memfd_create("odd", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t good = *area[i];

		*area[i] = UADDR + 2 * SIZE;
		for (unsigned less = 0; less < 2; less++) {
			ck_assert_int_eq(memory_add(&memory, GPA2 + SIZE, size[i] - less, UADDR + 2 * SIZE, fd, 0), 0);
			ck_assert_int_eq(vring_start(&ring, &memory), less == 0 ? 0 : -EFAULT);
			ck_assert_int_eq(memory_remove(&memory, GPA2 + SIZE, size[i] - less), 0);
		}
		*area[i] = good;
	}
	close(fd);
}
END_TEST

/* How many bytes are to be read from the call fd (an eventfd gives its sum). */
static uint64_t
signals(void)
{
	uint64_t v;

	if (read(ring.call_fd, &v, sizeof(v)) != sizeof(v))
		return 0;
	return v;
}

static void
set_used_event(uint16_t v)
{
	avail()->ring[ring.num] = htole16(v);
}

/* After a first signal at index old, push n with used_event = event: signalled or not? */
static const struct {
	uint16_t old, n, event;
	bool want;
} matrix[] = {
	{ 0, 1, 0, true }, { 0, 1, 1, false }, { 0, 1, 65535, false },
	{ 0, 4, 0, true }, { 0, 4, 3, true }, { 0, 4, 4, false }, { 0, 4, 65535, false },
	{ 10, 1, 10, true }, { 10, 1, 9, false }, { 10, 1, 11, false }, { 10, 3, 11, true },
	{ 65535, 1, 65535, true }, { 65535, 1, 0, false }, { 65535, 2, 0, true }, { 65535, 2, 65535, true },
	{ 65535, 2, 1, false }, { 65534, 4, 65533, false }, { 65534, 4, 1, true }, { 65534, 4, 2, false },
	{ 10, 0, 10, false }, { 10, 0, 9, false },
};

START_TEST(event_idx)
{
	const uint16_t old = matrix[_i].old;

	used()->idx = htole16((uint16_t)(old - 1));
	ring.event_idx = true;
	ring.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_ge(ring.call_fd, 0);
	start(NUM);
	/* The first decision after a start cannot know what the driver saw: it signals. */
	set_used_event((uint16_t)(old + 100));
	vring_push(&ring, 0, 0);
	vring_signal(&ring);
	ck_assert_uint_eq(signals(), 1);
	ck_assert_uint_eq(ring.next_used, old);

	set_used_event(matrix[_i].event);
	for (unsigned i = 0; i < matrix[_i].n; i++)
		vring_push(&ring, 0, 0);
	vring_signal(&ring);
	ck_assert_msg(signals() == matrix[_i].want, "row %d", _i);
	vring_signal(&ring);
	ck_assert_uint_eq(signals(), 0);

	/* Another start, another first decision; none while nothing was pushed. */
	used()->idx = htole16((uint16_t)(old + 50));
	start(NUM);
	set_used_event((uint16_t)(old + 100));
	vring_signal(&ring);
	ck_assert_uint_eq(signals(), 0);
	vring_push(&ring, 0, 0);
	vring_signal(&ring);
	ck_assert_uint_eq(signals(), 1);
}
END_TEST

/* Made blocking again by the other side, and full: nobody waits for it. */
START_TEST(signal_full_pipe)
{
	char b[8] = { 0 };
	int p[2];

	ck_assert_int_eq(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	while (write(p[1], b, sizeof(b)) == (ssize_t)sizeof(b))
		continue;
	ck_assert_int_eq(fcntl(p[1], F_SETFL, 0), 0);
	ring.call_fd = p[1];
	ring.call_is_pipe = true;
	vring_push(&ring, 0, 0);
	vring_signal(&ring);
	close(p[0]);
}
END_TEST

START_TEST(signal_without_event_idx)
{
	int p[2], full = 0;
	char b[8];

	/* NO_INTERRUPT is ignored, as virtiofsd does. */
	ring.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	avail()->flags = htole16(VRING_AVAIL_F_NO_INTERRUPT);
	for (int i = 0; i < 3; i++) {
		vring_push(&ring, 0, 0);
		vring_signal(&ring);
		ck_assert_uint_eq(signals(), 1);
		vring_signal(&ring);
		ck_assert_uint_eq(signals(), 0);
	}
	/* Without a call fd the decision waits for one. */
	fd_close(&ring.call_fd);
	vring_push(&ring, 0, 0);
	vring_signal(&ring);
	ck_assert_int_eq(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	ring.call_fd = p[1];
	vring_signal(&ring);
	ck_assert_int_eq(read(p[0], b, sizeof(b)), 8);
	ck_assert_int_eq(read(p[0], b, sizeof(b)), -1);
	/* A full pipe is no error and does not block. */
	while (write(p[1], b, sizeof(b)) == (ssize_t)sizeof(b))
		full++;
	ck_assert_int_gt(full, 0);
	vring_push(&ring, 0, 0);
	vring_signal(&ring);
	ck_assert_int_eq(lines, 0);
	/* A call fd that cannot be written is logged, and the ring goes on. */
	ring.call_fd = p[0];
	vring_push(&ring, 0, 0);
	vring_signal(&ring);
	ck_assert_int_eq(lines, 1);
	close(p[1]);
}
END_TEST

START_TEST(kicks)
{
	const __virtio16 *avail_event = (void *)&used()->ring[NUM];

	/* Without EVENT_IDX: the flag. */
	vring_disable_kick(&ring);
	ck_assert_uint_eq(le16toh(used()->flags), VRING_USED_F_NO_NOTIFY);
	ck_assert(!vring_enable_kick(&ring));
	ck_assert_uint_eq(used()->flags, 0);
	set_avail_idx(1);
	ck_assert(vring_enable_kick(&ring));
	ck_assert_uint_eq(*avail_event, 0);

	/* With it: the index, and the flag is left alone. */
	ring.event_idx = true;
	start(NUM);
	ring.next_avail = 65535;
	set_avail_idx(65535);
	vring_disable_kick(&ring);
	ck_assert_uint_eq(used()->flags, 0);
	ck_assert(!vring_enable_kick(&ring));
	ck_assert_uint_eq(le16toh(*avail_event), 65535);
	publish(3);
	ck_assert(vring_enable_kick(&ring));
	set_desc(DESC, 3, DATA, 1, R, 0);
	ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
	ck_assert(!vring_enable_kick(&ring));
	ck_assert_uint_eq(*avail_event, 0);
}
END_TEST

#define PUSHERS	4u
#define PUSHES	8000u

static pthread_barrier_t together;

static void *
pusher(void *arg)
{
	const uintptr_t me = (uintptr_t)arg;

	pthread_barrier_wait(&together);
	for (uint32_t i = 0; i < PUSHES; i++) {
		vring_push(&ring, (uint16_t)me, (uint32_t)(me * PUSHES + i));
		if (i % 64 == 0)
			vring_signal(&ring);
	}
	return NULL;
}

/* Nothing is lost or doubled: the ring is large enough to hold every completion. */
START_TEST(push_threads)
{
	static uint8_t seen[PUSHERS * PUSHES];
	pthread_t t[PUSHERS];

	memset(seen, 0, sizeof(seen));
	ring.event_idx = true;
	ring.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	used()->idx = htole16(60000);
	start(VRING_SIZE_MAX);
	ck_assert_int_eq(pthread_barrier_init(&together, NULL, PUSHERS), 0);
	for (uintptr_t i = 0; i < PUSHERS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, pusher, (void *)i), 0);
	for (unsigned i = 0; i < PUSHERS; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(le16toh(used()->idx), (uint16_t)(60000 + PUSHERS * PUSHES));
	for (unsigned i = 0; i < PUSHERS * PUSHES; i++) {
		const struct vring_used_elem *e = &used()->ring[(60000 + i) % VRING_SIZE_MAX];

		ck_assert_uint_lt(le32toh(e->len), PUSHERS * PUSHES);
		ck_assert_uint_eq(le32toh(e->id), le32toh(e->len) / PUSHES);
		ck_assert_uint_eq(seen[le32toh(e->len)]++, 0);
	}
	ck_assert_uint_ge(signals(), 1);
}
END_TEST

/* A driver that rewrites everything while we walk: whatever comes out lies in memory and within the limits. */
static _Atomic bool stop;

static void *
scribbler(void *arg)
{
	uint32_t x = 1;

	(void)arg;
	while (!stop) {
		for (unsigned i = 0; i < NUM; i++) {
			uint64_t *d = at(DESC + i * 16u), *t = at(TABLE + i * 16u);

			x = x * 1664525 + 1013904223;
			__atomic_store_n(&d[0], x & 64 ? TABLE : GPA2 - (x >> 24), __ATOMIC_RELAXED);
			__atomic_store_n(&d[1], (x >> 20 & 0xff) | (uint64_t)(x >> 16 & 7) << 32 |
			    (uint64_t)(x >> 8 & 15) << 48, __ATOMIC_RELAXED);
			__atomic_store_n(&t[0], GPA2 - (x >> 25), __ATOMIC_RELAXED);
			__atomic_store_n(&t[1], (x >> 18 & 0xff) | (uint64_t)(x >> 16 & 3) << 32 |
			    (uint64_t)(x >> 4 & 3) << 48, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

START_TEST(racing_driver)
{
	pthread_t t;
	int good = 0, bad = 0;

	stop = false;
	ck_assert_int_eq(pthread_create(&t, NULL, scribbler, NULL), 0);
	for (int i = 0; i < 20000; i++) {
		uint64_t sum[2] = { 0, 0 };

		publish((uint16_t)(i % (int)NUM));
		ck_assert_int_eq(vring_pop(&ring, &memory, &chain), 1);
		ck_assert_uint_le(chain.nread + chain.nwrite, 2 * NUM);
		for (unsigned k = 0; k < chain.nread + (unsigned)chain.nwrite; k++) {
			const uint8_t *p = iov[k].iov_base;
			bool in = false;

			for (unsigned r = 0; r < memory.nregions; r++)
				in = in || (p >= memory.region[r].host && iov[k].iov_len > 0 &&
				    p + iov[k].iov_len <= memory.region[r].host + memory.region[r].size);
			ck_assert(in);
			sum[k >= chain.nread] += iov[k].iov_len;
		}
		ck_assert_uint_eq(sum[0], chain.read_len);
		ck_assert_uint_eq(sum[1], chain.write_len);
		*(chain.bad ? &bad : &good) += 1;
	}
	stop = true;
	pthread_join(t, NULL);
	ck_assert_int_gt(good, 0);
	ck_assert_int_gt(bad, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vring");
	TCase *ok = tcase_create("ok"), *hostile = tcase_create("hostile"), *threads = tcase_create("threads"),
	    *racing = tcase_create("racing");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, setup, teardown);
	tcase_add_loop_test(ok, walk, 0, (int)countof(rows));
	tcase_add_test(ok, segments_max);
	tcase_add_test(ok, wrap);
	tcase_add_test(ok, full_ring);
	tcase_add_loop_test(ok, event_idx, 0, (int)countof(matrix));
	tcase_add_test(ok, signal_without_event_idx);
	tcase_add_test(ok, signal_full_pipe);
	tcase_add_test(ok, kicks);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(hostile, nested);
	tcase_add_test(hostile, behind_the_table);
	tcase_add_test(hostile, indirect_max);
	tcase_add_test(hostile, again);
	tcase_add_test(hostile, loops);
	tcase_add_test(hostile, broken_index);
	tcase_add_test(hostile, broken_head);
	tcase_add_test(hostile, start_refuses);
	tcase_add_test(hostile, start_at_odd_end);
	suite_add_tcase(s, hostile);
	tcase_add_checked_fixture(threads, setup, teardown);
	tcase_set_timeout(threads, 60);
	tcase_add_test(threads, push_threads);
	suite_add_tcase(s, threads);
	tcase_add_checked_fixture(racing, setup, teardown);
	tcase_set_timeout(racing, 60);
	tcase_add_test(racing, racing_driver);
#ifndef __SANITIZE_THREAD__
	suite_add_tcase(s, racing);
#endif

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
