/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuse_make - FUSE requests that make something, with the extensions of newer kernels.
 *
 * Runs in: the test programs.
 */
#include "fuse_client.h"

#include <fcntl.h>
#include <string.h>

#define ALIGN8(n) (((n) + 7u) & ~(size_t)7)

int
fc_make(struct fuse_client *fc, uint32_t opcode, uint64_t dir, const char *name, uint32_t mode,
    uint32_t umask, const void *ext, size_t ext_len, struct fuse_entry_out *e)
{
	const struct fuse_create_in create = { .flags = O_RDWR | O_EXCL, .mode = mode,
		.umask = umask };
	const struct fuse_mkdir_in mkdir = { .mode = mode, .umask = umask };
	const struct fuse_mknod_in mknod = { .mode = mode, .umask = umask };
	size_t reply = sizeof(*e);
	struct fc_part parts[4] = { { NULL, 0 }, { name, strlen(name) + 1 }, { NULL, 0 },
		{ ext, ext_len } };
	int err;

	switch (opcode) {
	case FUSE_CREATE:
		parts[0] = (struct fc_part){ &create, sizeof(create) };
		reply += sizeof(struct fuse_open_out);
		break;
	case FUSE_MKDIR:
		parts[0] = (struct fc_part){ &mkdir, sizeof(mkdir) };
		break;
	case FUSE_MKNOD:
		parts[0] = (struct fc_part){ &mknod, sizeof(mknod) };
		break;
	default:
		parts[2] = (struct fc_part){ "target", 7 };
		break;
	}
	err = fc_call(fc, opcode, dir, parts, 4, reply);
	if (err == 0 && fc->body_len != reply)
		return FC_BROKEN;
	if (err == 0)
		memcpy(e, fc->body, sizeof(*e));
	return err;
}

static size_t
finish(uint8_t *p, size_t n, uint32_t type)
{
	const uint32_t head[2] = { (uint32_t)ALIGN8(n), type };

	memset(p + n, 0, ALIGN8(n) - n);
	memcpy(p, head, sizeof(head));
	return ALIGN8(n);
}

size_t
fc_ext_groups(void *p, const uint32_t *gid, uint32_t n)
{
	memcpy((uint8_t *)p + 8, &n, sizeof(n));
	memcpy((uint8_t *)p + 12, gid, n * sizeof(*gid));
	return finish(p, 12 + n * sizeof(*gid), FC_EXT_GROUPS);
}

size_t
fc_ext_label(void *p, const char *name, const void *value, uint32_t size)
{
	const uint32_t head[2] = { size, 0 };
	uint8_t *at = p;

	memcpy(at + 8, head, sizeof(head));
	memcpy(at + 16, name, strlen(name) + 1);
	memcpy(at + 17 + strlen(name), value, size);
	return finish(p, 17 + strlen(name) + size, 1);
}

size_t
fc_ext_no_label(void *p)
{
	return finish(p, 8, 0);
}
