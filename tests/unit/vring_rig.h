/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of a ring, for unit tests of front/vring.c: guest memory of two regions that touch, over a memfd, and a
 * ring of NUM entries in it. What cannot go wrong is asserted here. Included by: check_vring.c, check_vring_chain.c.
 */
#ifndef TESTS_UNIT_VRING_RIG_H
#define TESTS_UNIT_VRING_RIG_H

#include <stdint.h>

#include "front/vring.h"
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

extern struct guest_memory memory;
extern struct vring ring;
extern struct iovec iov[VRING_SEGS_MAX];
extern struct vring_chain chain;
extern int lines; /* logged */

/* Fixture: everything anew. */
void setup(void);
void teardown(void);

/* A guest address, which is in memory. */
void *at(uint64_t gpa);
struct vring_avail *avail(void);
struct vring_used *used(void);
void set_desc(uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next);
void set_avail_idx(uint16_t v);
/* Make a chain available. */
void publish(uint16_t head);
void start(uint32_t num);

#endif
