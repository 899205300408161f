/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuse_client - carries one FUSE request through a virtqueue and judges the framing of its reply.
 *
 * Runs in: the test programs. The reply comes from the daemon under test.
 */
#include "fuse_client.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define GUARD 64u
#define GUARD_BYTE 0xa5
#define FILL_MAX 65536u		/* larger reply buffers are not filled before use: it costs time */

static int __attribute__((format(printf, 2, 3)))
broken(struct fuse_client *fc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fc->why, sizeof(fc->why), fmt, ap);
	va_end(ap);
	return FC_BROKEN;
}

int
fc_open(struct fuse_client *fc, struct vmm *v, unsigned int index)
{
	memset(fc, 0, sizeof(*fc));
	fc->vmm = v;
	fc->q = &v->queue[index];
	fc->unique = ((uint64_t)index << 32) + 2;
	fc->pid = 4711;
	fc->indirect = (v->acked & VIRTIO_F_INDIRECT) != 0;
	fc->timeout_ms = VMM_TIMEOUT_MS;
	fc->req_gpa = vmm_alloc(v, index & 1, FC_AREA, 4096);
	fc->rep_gpa = vmm_alloc(v, !(index & 1), FC_AREA + GUARD, 4096);
	if (fc->req_gpa == 0 || fc->rep_gpa == 0)
		return -ENOMEM;
	fc->req = vmm_ptr(v, fc->req_gpa, FC_AREA);
	fc->rep = vmm_ptr(v, fc->rep_gpa, FC_AREA + GUARD);
	return 0;
}

size_t
fc_build(struct fuse_client *fc, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts)
{
	struct fuse_in_header h = {
		.opcode = opcode,
		.unique = fc->unique,
		.nodeid = node,
		.uid = fc->uid,
		.gid = fc->gid,
		.pid = fc->pid,
	};
	size_t len = sizeof(h);
	unsigned int i;

	fc->unique += 2;
	for (i = 0; i < nr_parts; i++) {
		if (parts[i].len > FC_AREA - len)
			break;
		if (parts[i].len > 0)
			memcpy(fc->req + len, parts[i].data, parts[i].len);
		len += parts[i].len;
	}
	h.len = (uint32_t)len;
	memcpy(fc->req, &h, sizeof(h));
	return len;
}

/* Cut [gpa, gpa + len) as the layout says; `first` is where FC_KERNEL cuts. */
static unsigned int
add_segments(const struct fuse_client *fc, struct vring_desc *sg, unsigned int max, uint64_t gpa,
    size_t len, size_t first, uint16_t flags)
{
	size_t piece;
	unsigned int n = 0;

	while (len > 0 && n < max) {
		piece = len;
		if (fc->layout == FC_KERNEL && n == 0 && first < len)
			piece = first;
		else if (fc->layout == FC_PIECES && fc->piece < len && n + 1 < max)
			piece = fc->piece;
		sg[n].addr = gpa;
		sg[n].len = (uint32_t)piece;
		sg[n].flags = flags;
		sg[n].next = 0;
		gpa += piece;
		len -= piece;
		n++;
	}
	return n;
}

int
fc_post(struct fuse_client *fc, size_t len, size_t cap)
{
	struct vring_desc sg[64];
	unsigned int n;
	int head;

	fc->why[0] = '\0';
	fc->used_len = 0;
	fc->posted_cap = cap;
	if (cap > FC_AREA)
		return broken(fc, "reply buffer of %zu bytes", cap);
	if (cap <= FILL_MAX)
		memset(fc->rep, GUARD_BYTE, cap);
	memset(fc->rep + cap, GUARD_BYTE, GUARD);
	n = add_segments(fc, sg, 32, fc->req_gpa, len, sizeof(struct fuse_in_header), 0);
	n += add_segments(fc, sg + n, 32, fc->rep_gpa, cap, sizeof(struct fuse_out_header),
	    VRING_DESC_F_WRITE);
	head = vmm_queue_add(fc->q, sg, n, fc->indirect && n > 1);
	if (head < 0)
		return broken(fc, "no free descriptors: %s", strerror(-head));
	fc->posted = head;
	vmm_queue_kick(fc->q);
	return 0;
}

int
fc_collect(struct fuse_client *fc)
{
	const size_t cap = fc->posted_cap;
	const int head = fc->posted;
	uint32_t id;
	size_t i;
	int err;

	err = vmm_queue_wait(fc->q, fc->timeout_ms, &id, &fc->used_len);
	if (err < 0) {
		broken(fc, "no used entry on queue %u: %s", fc->q->index, strerror(-err));
		fprintf(stderr, "%s\n", fc->why);
		vmm_print_log(fc->vmm);
		return FC_BROKEN;
	}
	if (id != (uint32_t)head)
		return broken(fc, "used id %u, head was %d", id, head);
	if (fc->used_len > cap)
		return broken(fc, "used.len %u > buffer %zu", fc->used_len, cap);
	for (i = 0; i < GUARD; i++) {
		if (fc->rep[cap + i] != GUARD_BYTE)
			return broken(fc, "written behind the reply buffer");
	}
	return 0;
}

int
fc_exchange(struct fuse_client *fc, size_t len, size_t cap)
{
	int err = fc_post(fc, len, cap);

	return err == 0 ? fc_collect(fc) : err;
}

int
fc_check_reply(struct fuse_client *fc, uint64_t unique, size_t cap)
{
	struct fuse_out_header h;

	fc->body = fc->rep + sizeof(h);
	fc->body_len = 0;
	if (cap < sizeof(h) || fc->used_len < sizeof(h))
		return broken(fc, "no reply: used.len %u", fc->used_len);
	memcpy(&h, fc->rep, sizeof(h));
	if (h.len != fc->used_len)
		return broken(fc, "reply length %u, used.len %u", h.len, fc->used_len);
	if (h.unique != unique)
		return broken(fc, "unique %llu, sent %llu", (unsigned long long)h.unique,
		    (unsigned long long)unique);
	if (h.error > 0 || h.error <= -4096)
		return broken(fc, "error field %d", h.error);
	if (h.error < 0 && h.len != sizeof(h))
		return broken(fc, "error %d with a body of %u bytes", h.error, h.len);
	fc->body_len = h.len - sizeof(h);
	return h.error;
}

int
fc_call(struct fuse_client *fc, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts, size_t cap)
{
	uint64_t unique = fc->unique;
	size_t len = fc_build(fc, opcode, node, parts, nr_parts);
	int err;

	err = fc_exchange(fc, len, sizeof(struct fuse_out_header) + cap);
	if (err == 0)
		err = fc_check_reply(fc, unique, sizeof(struct fuse_out_header) + cap);
	if (err == FC_BROKEN)
		fprintf(stderr, "opcode %u node %llu: %s\n", opcode, (unsigned long long)node,
		    fc->why);
	return err;
}

int
fc_send(struct fuse_client *fc, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts)
{
	size_t len = fc_build(fc, opcode, node, parts, nr_parts);
	int err;

	err = fc_exchange(fc, len, 0);
	if (err == 0 && fc->used_len != 0)
		err = broken(fc, "used.len %u for a request without reply", fc->used_len);
	return err;
}
