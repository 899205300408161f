/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuse_ops_file - FUSE requests about open files and directories.
 *
 * Runs in: the test programs.
 */
#include "fuse_client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define ALIGN8(n) (((n) + 7u) & ~(size_t)7)

/* A call whose reply body must be exactly `size` bytes. */
static int
call_exact(struct fuse_client *fc, uint32_t opcode, uint64_t node, const void *in, size_t in_len,
    void *out, size_t size)
{
	struct fc_part part = { in, in_len };
	int err;

	err = fc_call(fc, opcode, node, &part, 1, size);
	if (err < 0)
		return err;
	if (fc->body_len != size) {
		snprintf(fc->why, sizeof(fc->why), "body of %zu bytes, expected %zu", fc->body_len,
		    size);
		fprintf(stderr, "opcode %u: %s\n", opcode, fc->why);
		return FC_BROKEN;
	}
	if (size > 0)
		memcpy(out, fc->body, size);
	return 0;
}

int
fc_open_file(struct fuse_client *fc, uint64_t node, uint32_t flags, struct fuse_open_out *o)
{
	struct fuse_open_in in = { flags, 0 };

	return call_exact(fc, FUSE_OPEN, node, &in, sizeof(in), o, sizeof(*o));
}

int
fc_opendir(struct fuse_client *fc, uint64_t node, struct fuse_open_out *o)
{
	struct fuse_open_in in = { O_RDONLY | O_DIRECTORY, 0 };

	return call_exact(fc, FUSE_OPENDIR, node, &in, sizeof(in), o, sizeof(*o));
}

int
fc_create(struct fuse_client *fc, uint64_t dir, const char *name, uint32_t flags, uint32_t mode,
    struct fuse_entry_out *e, struct fuse_open_out *o)
{
	struct fuse_create_in in = { .flags = flags, .mode = mode };
	struct fc_part parts[] = { { &in, sizeof(in) }, { name, strlen(name) + 1 } };
	int err;

	err = fc_call(fc, FUSE_CREATE, dir, parts, 2, sizeof(*e) + sizeof(*o));
	if (err < 0)
		return err;
	if (fc->body_len != sizeof(*e) + sizeof(*o)) {
		snprintf(fc->why, sizeof(fc->why), "CREATE body of %zu bytes", fc->body_len);
		return FC_BROKEN;
	}
	memcpy(e, fc->body, sizeof(*e));
	memcpy(o, (const char *)fc->body + sizeof(*e), sizeof(*o));
	return 0;
}

int
fc_release(struct fuse_client *fc, uint64_t node, uint64_t fh)
{
	struct fuse_release_in in = { .fh = fh };

	return call_exact(fc, FUSE_RELEASE, node, &in, sizeof(in), NULL, 0);
}

int
fc_releasedir(struct fuse_client *fc, uint64_t node, uint64_t fh)
{
	struct fuse_release_in in = { .fh = fh };

	return call_exact(fc, FUSE_RELEASEDIR, node, &in, sizeof(in), NULL, 0);
}

int
fc_read(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset, void *buf,
    uint32_t size)
{
	struct fuse_read_in in = { .fh = fh, .offset = offset, .size = size };
	struct fc_part part = { &in, sizeof(in) };
	int err;

	err = fc_call(fc, FUSE_READ, node, &part, 1, size);
	if (err < 0)
		return err;
	memcpy(buf, fc->body, fc->body_len);
	return (int)fc->body_len;
}

int
fc_write(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset, const void *buf,
    uint32_t size, uint32_t open_flags)
{
	struct fuse_write_in in = { .fh = fh, .offset = offset, .size = size,
		.flags = open_flags };
	struct fc_part parts[] = { { &in, sizeof(in) }, { buf, size } };
	struct fuse_write_out out;
	int err;

	err = fc_call(fc, FUSE_WRITE, node, parts, 2, sizeof(out));
	if (err < 0)
		return err;
	if (fc->body_len != sizeof(out))
		return FC_BROKEN;
	memcpy(&out, fc->body, sizeof(out));
	return out.padding == 0 ? (int)out.size : FC_BROKEN;
}

int
fc_fsync(struct fuse_client *fc, uint64_t node, uint64_t fh, bool data_only, bool dir)
{
	struct fuse_fsync_in in = { .fh = fh, .fsync_flags = data_only };

	return call_exact(fc, dir ? FUSE_FSYNCDIR : FUSE_FSYNC, node, &in, sizeof(in), NULL, 0);
}

int
fc_flush(struct fuse_client *fc, uint64_t node, uint64_t fh)
{
	struct fuse_flush_in in = { .fh = fh };

	return call_exact(fc, FUSE_FLUSH, node, &in, sizeof(in), NULL, 0);
}

int
fc_fallocate(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset, uint64_t length,
    uint32_t mode)
{
	struct fuse_fallocate_in in = { .fh = fh, .offset = offset, .length = length,
		.mode = mode };

	return call_exact(fc, FUSE_FALLOCATE, node, &in, sizeof(in), NULL, 0);
}

int
fc_lseek(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset, uint32_t whence,
    uint64_t *result)
{
	struct fuse_lseek_in in = { .fh = fh, .offset = offset, .whence = whence };
	struct fuse_lseek_out out;
	int err;

	err = call_exact(fc, FUSE_LSEEK, node, &in, sizeof(in), &out, sizeof(out));
	if (err == 0)
		*result = out.offset;
	return err;
}

int
fc_copy_file_range(struct fuse_client *fc, const struct fuse_copy_file_range_in *in,
    uint64_t node, uint32_t *copied)
{
	struct fuse_write_out out;
	int err;

	err = call_exact(fc, FUSE_COPY_FILE_RANGE, node, in, sizeof(*in), &out, sizeof(out));
	if (err == 0)
		*copied = out.size;
	return err;
}

int
fc_readdir(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset, uint32_t size,
    bool plus)
{
	struct fuse_read_in in = { .fh = fh, .offset = offset, .size = size };
	struct fc_part part = { &in, sizeof(in) };
	int err;

	err = fc_call(fc, plus ? FUSE_READDIRPLUS : FUSE_READDIR, node, &part, 1, size);
	return err < 0 ? err : (int)fc->body_len;
}

int
fc_next_dirent(struct fuse_client *fc, size_t *pos, bool plus, struct fuse_entry_out *e,
    struct fuse_dirent *d, char name[256])
{
	const char *p = (const char *)fc->body + *pos;
	size_t left = fc->body_len - *pos, head = plus ? sizeof(*e) : 0, total, i;

	if (left == 0)
		return 0;
	if (left < head + FUSE_NAME_OFFSET)
		return FC_BROKEN;
	memset(e, 0, sizeof(*e));
	memcpy(e, p, head);
	memcpy(d, p + head, FUSE_NAME_OFFSET);
	total = head + ALIGN8(FUSE_NAME_OFFSET + d->namelen);
	if (d->namelen == 0 || d->namelen > FC_NAME_MAX || total > left)
		return FC_BROKEN;
	i = d->namelen < 255 ? d->namelen : 255;
	memcpy(name, p + head + FUSE_NAME_OFFSET, i);
	name[i] = '\0';
	for (i = head + FUSE_NAME_OFFSET + d->namelen; i < total; i++) {
		if (p[i] != '\0')
			return FC_BROKEN;
	}
	*pos += total;
	return 1;
}
