/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm_mem - guest memory: one memfd, shown to the daemon as one or two regions.
 *
 * Two regions lie next to each other in guest addresses but nowhere else: the second has an offset
 * in the file and an own mapping. So a descriptor can cross them, and a daemon that takes guest
 * addresses for contiguous is found out.
 *
 * Runs in: the test programs.
 */
#include "vmm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIRST_GPA 0x1000u	/* so that 0 can mean "none" */

int
vmm_mem_create(struct vmm *v)
{
	uint64_t each;
	unsigned int i;
	void *p;

	v->mem_fd = memfd_create("guest", MFD_CLOEXEC);
	if (v->mem_fd < 0)
		return -errno;
	if (ftruncate(v->mem_fd, (off_t)v->opts.mem_size) < 0)
		return -errno;
	v->nr_regions = v->opts.regions;
	each = v->opts.mem_size / v->nr_regions;
	for (i = 0; i < v->nr_regions; i++) {
		p = mmap(NULL, each, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, v->mem_fd,
		    (off_t)(i * each));
		if (p == MAP_FAILED)
			return -errno;
		v->hva[i] = p;
		v->region[i].gpa = i * each;
		v->region[i].size = each;
		v->region[i].uaddr = (uintptr_t)p;
		v->region[i].offset = i * each;
		v->used_mem[i] = i == 0 ? FIRST_GPA : 0;
	}
	return 0;
}

void
vmm_mem_destroy(struct vmm *v)
{
	unsigned int i;

	for (i = 0; i < v->nr_regions; i++) {
		if (v->hva[i] != NULL)
			munmap(v->hva[i], v->region[i].size);
		v->hva[i] = NULL;
	}
	if (v->mem_fd >= 0)
		close(v->mem_fd);
	v->mem_fd = -1;
}

uint64_t
vmm_alloc(struct vmm *v, unsigned int region, size_t size, size_t align)
{
	uint64_t at;

	if (region >= v->nr_regions)
		region = v->nr_regions - 1;
	at = (v->used_mem[region] + align - 1) / align * align;
	if (at > v->region[region].size || size > v->region[region].size - at)
		return 0;
	v->used_mem[region] = at + size;
	return v->region[region].gpa + at;
}

void *
vmm_ptr(const struct vmm *v, uint64_t gpa, size_t len)
{
	unsigned int i;
	uint64_t off;

	for (i = 0; i < v->nr_regions; i++) {
		if (gpa < v->region[i].gpa)
			continue;
		off = gpa - v->region[i].gpa;
		if (off < v->region[i].size && len <= v->region[i].size - off)
			return v->hva[i] + off;
	}
	return NULL;
}

uint64_t
vmm_uaddr(const struct vmm *v, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < v->nr_regions; i++) {
		if (gpa >= v->region[i].gpa && gpa - v->region[i].gpa < v->region[i].size)
			return v->region[i].uaddr + (gpa - v->region[i].gpa);
	}
	return 0;
}
