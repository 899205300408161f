/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory: a sorted table of mapped regions. The VMM wrote the numbers, the guest the addresses that are looked up;
 * neither is trusted. The host pointers returned stay valid until the region goes, but a VMM that shrinks its file can
 * still make an access fault (SIGBUS): that ends this process, like any other end of the VMM.
 * Runs in: front.
 */
#include "front/guest_memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGE_PAGE_MAX (UINT64_C(1) << 30)

/* Index of the last region that begins at or below gpa; nregions if there is none. */
static unsigned
find(const struct guest_memory *m, uint64_t gpa)
{
	unsigned lo = 0, hi = m->nregions;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (m->region[mid].gpa <= gpa)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 ? lo - 1 : m->nregions;
}

void *
memory_at(const struct guest_memory *m, uint64_t gpa, uint64_t len)
{
	unsigned i = find(m, gpa);
	const struct memory_region *r;
	uint64_t off;

	if (i == m->nregions || len == 0)
		return NULL;
	r = &m->region[i];
	off = gpa - r->gpa;
	if (off >= r->size || len > r->size - off)
		return NULL;
	return r->host + off;
}

void *
memory_at_uaddr(const struct guest_memory *m, uint64_t uaddr, uint64_t len)
{
	for (unsigned i = 0; i < m->nregions; i++) {
		const struct memory_region *r = &m->region[i];
		uint64_t off = uaddr - r->uaddr;

		if (len != 0 && uaddr >= r->uaddr && off < r->size && len <= r->size - off)
			return r->host + off;
	}
	return NULL;
}

/*
 * Check that fd is a file that reaches to end. *page, the page size, becomes what mmap() wants offset and length to be a
 * multiple of: a huge page on hugetlbfs.
 */
static int
check_file(int fd, uint64_t end, uint64_t *page)
{
	uint64_t block;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || end > (uint64_t)st.st_size)
		return -EINVAL;
	block = (uint64_t)st.st_blksize;
	if (block > *page && block <= HUGE_PAGE_MAX && (block & (block - 1)) == 0)
		*page = block;
	return 0;
}

int
memory_add(
    struct guest_memory *m, uint64_t gpa, uint64_t size, uint64_t uaddr, int fd, uint64_t offset)
{
	struct memory_region r = { .gpa = gpa, .size = size, .uaddr = uaddr };
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end, start;
	unsigned i;
	int rc;

	if (size == 0 || __builtin_add_overflow(offset, size, &end) ||
	    end > INT64_MAX - HUGE_PAGE_MAX || __builtin_add_overflow(gpa, size, &start) ||
	    __builtin_add_overflow(uaddr, size, &start) || offset % page != 0)
		return -EINVAL;
	if (m->nregions == MEMORY_REGIONS_MAX)
		return -ENOSPC;
	i = find(m, gpa);
	if (i < m->nregions && gpa - m->region[i].gpa < m->region[i].size)
		return -EINVAL;
	i = i == m->nregions ? 0 : i + 1;
	if (i < m->nregions && m->region[i].gpa - gpa < size)
		return -EINVAL;
	rc = check_file(fd, end, &page);
	if (rc != 0)
		return rc;
	start = offset & ~(page - 1);
	r.map_len = (size_t)ROUND_UP(end - start, page);
	r.map = mmap(
	    NULL, r.map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)start);
	if (r.map == MAP_FAILED)
		return -errno;
	r.host = (uint8_t *)r.map + (offset - start);
	memmove(&m->region[i + 1], &m->region[i], (m->nregions - i) * sizeof(r));
	m->region[i] = r;
	m->nregions++;
	return 0;
}

int
memory_remove(struct guest_memory *m, uint64_t gpa, uint64_t size)
{
	unsigned i = find(m, gpa);

	if (i == m->nregions || m->region[i].gpa != gpa || m->region[i].size != size)
		return -ENOENT;
	munmap(m->region[i].map, m->region[i].map_len);
	m->nregions--;
	memmove(&m->region[i], &m->region[i + 1], (m->nregions - i) * sizeof(m->region[0]));
	return 0;
}

void
memory_clear(struct guest_memory *m)
{
	for (unsigned i = 0; i < m->nregions; i++)
		munmap(m->region[i].map, m->region[i].map_len);
	m->nregions = 0;
}
