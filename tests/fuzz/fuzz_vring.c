/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzes front/vring.c and front/guest_memory.c: the input is the memory of a guest, in two regions with a gap between,
 * and the state of its ring. Every byte of every segment that comes out is touched. First bytes: size of the ring, event
 * index, next_avail, avail->idx. Links those files and common/log.c.
 */
#include "front/vring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define REGION	0x4000u				/* of each; the second begins at 2 * REGION */
#define UADDR	UINT64_C(0x7f0000000000)
#define AVAIL	0x800u
#define USED	0xc00u

#define REQUIRE(x)	do { if (!(x)) abort(); } while (0)

static struct guest_memory memory;
static volatile unsigned sink;

static void
quiet(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static void
set_up(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && ftruncate(fd, 2 * REGION) == 0);
	REQUIRE(memory_add(&memory, 0, REGION, UADDR, fd, 0) == 0);
	REQUIRE(memory_add(&memory, 2 * REGION, REGION, UADDR + 2 * REGION, fd, REGION) == 0);
	close(fd);
	log_init(quiet, LOG_DEBUG);
}

static bool
inside(const struct iovec *v)
{
	for (unsigned i = 0; i < memory.nregions; i++) {
		const uint8_t *p = v->iov_base, *from = memory.region[i].host;

		if (p >= from && v->iov_len <= memory.region[i].size && p + v->iov_len <= from + memory.region[i].size)
			return true;
	}
	return false;
}

static void
use(const struct vring_chain *c)
{
	uint64_t read_len = 0, write_len = 0;

	REQUIRE((unsigned)c->nread + c->nwrite <= VRING_SEGS_MAX);
	for (unsigned i = 0; i < (unsigned)c->nread + c->nwrite; i++) {
		REQUIRE(c->iov[i].iov_len > 0 && inside(&c->iov[i]));
		*(i < c->nread ? &read_len : &write_len) += c->iov[i].iov_len;
		for (size_t k = 0; k < c->iov[i].iov_len; k += 61)
			sink += ((const volatile uint8_t *)c->iov[i].iov_base)[k];
	}
	REQUIRE(read_len == c->read_len && write_len == c->write_len);
	REQUIRE(read_len <= UINT32_MAX && write_len <= UINT32_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct iovec *iov;
	struct vring_chain c = { 0 };
	struct vring v;
	uint16_t idx;

	if (n < 6)
		return 0;
	if (memory.nregions == 0)
		set_up();
	for (unsigned i = 0; i < 2; i++)
		memset(memory.region[i].host, 0, REGION);
	memcpy(memory.region[0].host, p + 6, n - 6 < REGION ? n - 6 : REGION);
	if (n - 6 > REGION)
		memcpy(memory.region[1].host, p + 6 + REGION, n - 6 - REGION < REGION ? n - 6 - REGION : REGION);
	vring_init(&v);
	v.num = 1u << p[0] % 8;
	v.event_idx = (p[1] & 1) != 0;
	memcpy(&v.next_avail, p + 2, 2);
	v.desc_uaddr = UADDR;
	v.avail_uaddr = UADDR + AVAIL;
	v.used_uaddr = UADDR + USED;
	if ((p[1] & 2) != 0) {
		/* Where the guest wants them. */
		v.desc_uaddr = UADDR + p[4] * UINT64_C(0xfc);
		v.used_uaddr = UADDR + p[5] * UINT64_C(0xfe);
	}
	memory.region[0].host[AVAIL + 2] = (uint8_t)(v.next_avail + p[4] % 16);
	memory.region[0].host[AVAIL + 3] = (uint8_t)((uint16_t)(v.next_avail + p[4] % 16) >> 8);
	if (vring_start(&v, &memory) != 0)
		goto out;
	iov = malloc(VRING_SEGS_MAX * sizeof(*iov));
	REQUIRE(iov != NULL);
	c.iov = iov;
	idx = v.next_avail;
	for (unsigned i = 0; i < 64 && vring_pop(&v, &memory, &c) == 1; i++) {
		REQUIRE(c.head < v.num && v.next_avail == ++idx);
		use(&c);
		vring_push(&v, c.head, (uint32_t)c.write_len);
		if (i % 4 == 3)
			vring_signal(&v);
		vring_disable_kick(&v);
	}
	vring_enable_kick(&v);
	free(iov);
out:
	pthread_mutex_destroy(&v.used_lock);
	return 0;
}
