/* SPDX-License-Identifier: BSD-3-Clause */
/* See vring_rig.h. */
#include "tests/unit/vring_rig.h"

#include <check.h>
#include <endian.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

struct guest_memory memory;
struct vring ring;
struct iovec iov[VRING_SEGS_MAX];
struct vring_chain chain = { .iov = iov };
int lines;

static void
count_line(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
	lines++;
}

void *
at(uint64_t gpa)
{
	void *p = memory_at(&memory, gpa, 1);

	ck_assert_ptr_nonnull(p);
	return p;
}

struct vring_avail *
avail(void)
{
	return at(AVAIL);
}

struct vring_used *
used(void)
{
	return at(USED);
}

void
set_desc(uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc d = { htole64(addr), htole32(len), htole16(flags), htole16(next) };

	memcpy(at(table + i * sizeof(d)), &d, sizeof(d));
}

void
set_avail_idx(uint16_t v)
{
	__atomic_store_n(&avail()->idx, htole16(v), __ATOMIC_RELEASE);
}

void
publish(uint16_t head)
{
	uint16_t idx = le16toh(avail()->idx);

	avail()->ring[idx & (ring.num - 1)] = htole16(head);
	set_avail_idx((uint16_t)(idx + 1));
}

void
start(uint32_t num)
{
	ring.num = num;
	ck_assert_int_eq(vring_start(&ring, &memory), 0);
}

void
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

void
teardown(void)
{
	fd_close(&ring.call_fd);
	memory_clear(&memory);
}
