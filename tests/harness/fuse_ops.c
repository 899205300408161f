/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuse_ops - FUSE requests about names, attributes and extended attributes.
 *
 * Runs in: the test programs.
 */
#include "fuse_client.h"

#include <errno.h>
#include <string.h>

/* A call whose reply body must be exactly `size` bytes, copied to out (may be NULL). */
static int
call_fixed(struct fuse_client *fc, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts, void *out, size_t size)
{
	int err;

	err = fc_call(fc, opcode, node, parts, nr_parts, size);
	if (err < 0)
		return err;
	if (fc->body_len != size) {
		snprintf(fc->why, sizeof(fc->why), "body of %zu bytes, expected %zu", fc->body_len,
		    size);
		fprintf(stderr, "opcode %u: %s\n", opcode, fc->why);
		return FC_BROKEN;
	}
	if (out != NULL && size > 0)
		memcpy(out, fc->body, size);
	return 0;
}

static int
call_entry(struct fuse_client *fc, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts, struct fuse_entry_out *e)
{
	return call_fixed(fc, opcode, node, parts, nr_parts, e, sizeof(*e));
}

int
fc_init(struct fuse_client *fc, uint64_t flags)
{
	struct fuse_init_in in = {
		.major = 7,
		.minor = 38,
		.max_readahead = 131072,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
	};
	struct fc_part part = { &in, sizeof(in) };
	int err;

	err = call_fixed(fc, FUSE_INIT, 0, &part, 1, &fc->init, sizeof(fc->init));
	if (err == 0)
		fc->init_flags = fc->init.flags | (uint64_t)fc->init.flags2 << 32;
	return err;
}

int
fc_destroy(struct fuse_client *fc)
{
	return fc_send(fc, FUSE_DESTROY, 0, NULL, 0);
}

int
fc_lookup(struct fuse_client *fc, uint64_t dir, const char *name, struct fuse_entry_out *e)
{
	struct fc_part part = { name, strlen(name) + 1 };

	return call_entry(fc, FUSE_LOOKUP, dir, &part, 1, e);
}

int
fc_forget(struct fuse_client *fc, uint64_t node, uint64_t nlookup)
{
	struct fuse_forget_in in = { nlookup };
	struct fc_part part = { &in, sizeof(in) };

	return fc_send(fc, FUSE_FORGET, node, &part, 1);
}

int
fc_batch_forget(struct fuse_client *fc, const struct fuse_forget_one *ones, uint32_t n)
{
	struct fuse_batch_forget_in in = { n, 0 };
	struct fc_part parts[] = { { &in, sizeof(in) }, { ones, n * sizeof(*ones) } };

	return fc_send(fc, FUSE_BATCH_FORGET, 0, parts, 2);
}

static int
getattr_in(struct fuse_client *fc, uint64_t node, struct fuse_getattr_in in, struct fuse_attr *a)
{
	struct fc_part part = { &in, sizeof(in) };
	struct fuse_attr_out out;
	int err;

	err = call_fixed(fc, FUSE_GETATTR, node, &part, 1, &out, sizeof(out));
	if (err == 0 && a != NULL)
		*a = out.attr;
	return err;
}

int
fc_getattr(struct fuse_client *fc, uint64_t node, struct fuse_attr *a)
{
	return getattr_in(fc, node, (struct fuse_getattr_in){ 0 }, a);
}

int
fc_getattr_fh(struct fuse_client *fc, uint64_t node, uint64_t fh, struct fuse_attr *a)
{
	const struct fuse_getattr_in in = { .getattr_flags = FUSE_GETATTR_FH, .fh = fh };

	return getattr_in(fc, node, in, a);
}

int
fc_setattr(struct fuse_client *fc, uint64_t node, const struct fuse_setattr_in *in,
    struct fuse_attr *a)
{
	struct fc_part part = { in, sizeof(*in) };
	struct fuse_attr_out out;
	int err;

	err = call_fixed(fc, FUSE_SETATTR, node, &part, 1, &out, sizeof(out));
	if (err == 0 && a != NULL)
		*a = out.attr;
	return err;
}

int
fc_readlink(struct fuse_client *fc, uint64_t node, char *buf, size_t cap)
{
	int err;

	err = fc_call(fc, FUSE_READLINK, node, NULL, 0, 4096);
	if (err < 0)
		return err;
	if (fc->body_len >= cap)
		return -ENAMETOOLONG;
	memcpy(buf, fc->body, fc->body_len);
	buf[fc->body_len] = '\0';
	return 0;
}

int
fc_symlink(struct fuse_client *fc, uint64_t dir, const char *name, const char *target,
    struct fuse_entry_out *e)
{
	struct fc_part parts[] = { { name, strlen(name) + 1 }, { target, strlen(target) + 1 } };

	return call_entry(fc, FUSE_SYMLINK, dir, parts, 2, e);
}

int
fc_mknod(struct fuse_client *fc, uint64_t dir, const char *name, uint32_t mode, uint32_t rdev,
    struct fuse_entry_out *e)
{
	struct fuse_mknod_in in = { .mode = mode, .rdev = rdev };
	struct fc_part parts[] = { { &in, sizeof(in) }, { name, strlen(name) + 1 } };

	return call_entry(fc, FUSE_MKNOD, dir, parts, 2, e);
}

int
fc_mkdir(struct fuse_client *fc, uint64_t dir, const char *name, uint32_t mode,
    struct fuse_entry_out *e)
{
	struct fuse_mkdir_in in = { .mode = mode };
	struct fc_part parts[] = { { &in, sizeof(in) }, { name, strlen(name) + 1 } };

	return call_entry(fc, FUSE_MKDIR, dir, parts, 2, e);
}

int
fc_unlink(struct fuse_client *fc, uint64_t dir, const char *name)
{
	struct fc_part part = { name, strlen(name) + 1 };

	return call_fixed(fc, FUSE_UNLINK, dir, &part, 1, NULL, 0);
}

int
fc_rmdir(struct fuse_client *fc, uint64_t dir, const char *name)
{
	struct fc_part part = { name, strlen(name) + 1 };

	return call_fixed(fc, FUSE_RMDIR, dir, &part, 1, NULL, 0);
}

int
fc_rename(struct fuse_client *fc, uint64_t dir, const char *name, uint64_t newdir,
    const char *newname)
{
	struct fuse_rename_in in = { newdir };
	struct fc_part parts[] = {
		{ &in, sizeof(in) },
		{ name, strlen(name) + 1 },
		{ newname, strlen(newname) + 1 },
	};

	return call_fixed(fc, FUSE_RENAME, dir, parts, 3, NULL, 0);
}

int
fc_rename2(struct fuse_client *fc, uint64_t dir, const char *name, uint64_t newdir,
    const char *newname, uint32_t flags)
{
	struct fuse_rename2_in in = { newdir, flags, 0 };
	struct fc_part parts[] = {
		{ &in, sizeof(in) },
		{ name, strlen(name) + 1 },
		{ newname, strlen(newname) + 1 },
	};

	return call_fixed(fc, FUSE_RENAME2, dir, parts, 3, NULL, 0);
}

int
fc_link(struct fuse_client *fc, uint64_t node, uint64_t newdir, const char *newname,
    struct fuse_entry_out *e)
{
	struct fuse_link_in in = { node };
	struct fc_part parts[] = { { &in, sizeof(in) }, { newname, strlen(newname) + 1 } };

	return call_entry(fc, FUSE_LINK, newdir, parts, 2, e);
}

int
fc_statfs(struct fuse_client *fc, uint64_t node, struct fuse_kstatfs *st)
{
	return call_fixed(fc, FUSE_STATFS, node, NULL, 0, st, sizeof(*st));
}

int
fc_access(struct fuse_client *fc, uint64_t node, uint32_t mask)
{
	struct fuse_access_in in = { mask, 0 };
	struct fc_part part = { &in, sizeof(in) };

	return call_fixed(fc, FUSE_ACCESS, node, &part, 1, NULL, 0);
}

int
fc_syncfs(struct fuse_client *fc, uint64_t node)
{
	struct fuse_syncfs_in in = { 0 };
	struct fc_part part = { &in, sizeof(in) };

	return call_fixed(fc, FUSE_SYNCFS, node, &part, 1, NULL, 0);
}

/* The 8-byte form of SETXATTR: FUSE_SETXATTR_EXT is not negotiated without --posix-acl. */
int
fc_setxattr(struct fuse_client *fc, uint64_t node, const char *name, const void *value,
    size_t size, uint32_t flags)
{
	struct fuse_setxattr_in in = { .size = (uint32_t)size, .flags = flags };
	size_t in_len = (fc->init_flags & FUSE_SETXATTR_EXT) != 0 ? sizeof(in)
	    : FUSE_COMPAT_SETXATTR_IN_SIZE;
	struct fc_part parts[] = {
		{ &in, in_len },
		{ name, strlen(name) + 1 },
		{ value, size },
	};

	return call_fixed(fc, FUSE_SETXATTR, node, parts, 3, NULL, 0);
}

static int
sized_xattr(struct fuse_client *fc, uint32_t opcode, uint64_t node, const char *name, void *buf,
    uint32_t cap)
{
	struct fuse_getxattr_in in = { buf == NULL ? 0 : cap, 0 };
	struct fc_part parts[] = { { &in, sizeof(in) }, { name, name ? strlen(name) + 1 : 0 } };
	struct fuse_getxattr_out out;
	int err;

	if (buf == NULL) {
		err = call_fixed(fc, opcode, node, parts, 2, &out, sizeof(out));
		return err < 0 ? err : (int)out.size;
	}
	err = fc_call(fc, opcode, node, parts, 2, cap);
	if (err < 0)
		return err;
	memcpy(buf, fc->body, fc->body_len);
	return (int)fc->body_len;
}

int
fc_getxattr(struct fuse_client *fc, uint64_t node, const char *name, void *buf, uint32_t cap)
{
	return sized_xattr(fc, FUSE_GETXATTR, node, name, buf, cap);
}

int
fc_listxattr(struct fuse_client *fc, uint64_t node, void *buf, uint32_t cap)
{
	return sized_xattr(fc, FUSE_LISTXATTR, node, NULL, buf, cap);
}

int
fc_removexattr(struct fuse_client *fc, uint64_t node, const char *name)
{
	struct fc_part part = { name, strlen(name) + 1 };

	return call_fixed(fc, FUSE_REMOVEXATTR, node, &part, 1, NULL, 0);
}
