/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/vring.c: indices, completions, notifications. The test is the driver. Links that file,
 * front/guest_memory.c and common/log.c. Under TSan without the case "racing", in which the driver writes what the device reads.
 */
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
#include "tests/unit/vring_rig.h"

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
	tcase_add_test(ok, wrap);
	tcase_add_test(ok, full_ring);
	tcase_add_loop_test(ok, event_idx, 0, (int)countof(matrix));
	tcase_add_test(ok, signal_without_event_idx);
	tcase_add_test(ok, signal_full_pipe);
	tcase_add_test(ok, kicks);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(hostile, setup, teardown);
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
