/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuse_beyond - see fuse_beyond.h.
 *
 * Runs in: the test programs.
 */
#include "fuse_beyond.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int
broken(struct fuse_client *fc, uint32_t opcode, size_t want)
{
	snprintf(fc->why, sizeof(fc->why), "body of %zu bytes, expected %zu", fc->body_len, want);
	fprintf(stderr, "opcode %u: %s\n", opcode, fc->why);
	return FC_BROKEN;
}

int
fc_statx(struct fuse_client *fc, uint64_t node, const struct fc_statx_in *in,
    struct fc_statx_out *out)
{
	struct fc_part part = { in, sizeof(*in) };
	int err = fc_call(fc, FC_STATX, node, &part, 1, sizeof(*out));

	if (err < 0)
		return err;
	if (fc->body_len != sizeof(*out))
		return broken(fc, FC_STATX, sizeof(*out));
	memcpy(out, fc->body, sizeof(*out));
	return 0;
}

int
fc_ioctl(struct fuse_client *fc, uint64_t node, const struct fuse_ioctl_in *args, const void *in,
    void *out)
{
	struct fc_part parts[] = { { args, sizeof(*args) }, { in, args->in_size } };
	struct fuse_ioctl_out head;
	int err;

	err = fc_call(fc, FUSE_IOCTL, node, parts, in != NULL ? 2 : 1,
	    sizeof(head) + args->out_size);
	if (err < 0)
		return err;
	if (fc->body_len < sizeof(head))
		return broken(fc, FUSE_IOCTL, sizeof(head));
	memcpy(&head, fc->body, sizeof(head));
	if (head.result < 0)
		return head.result;
	if (head.flags != 0 || head.in_iovs != 0 || head.out_iovs != 0)
		return broken(fc, FUSE_IOCTL, 0);
	if (fc->body_len > sizeof(head))
		memcpy(out, (const char *)fc->body + sizeof(head), fc->body_len - sizeof(head));
	return (int)(fc->body_len - sizeof(head));
}

static int
flags_call(struct fuse_client *fc, uint64_t node, uint64_t fh, bool dir, uint32_t cmd,
    const void *in, void *out, uint32_t size)
{
	const struct fuse_ioctl_in args = {
		.fh = fh,
		.flags = dir ? FUSE_IOCTL_DIR : 0,
		.cmd = cmd,
		.in_size = in != NULL ? size : 0,
		.out_size = out != NULL ? size : 0,
	};
	int n = fc_ioctl(fc, node, &args, in, out);

	if (n < 0)
		return n;
	return (uint32_t)n == args.out_size ? 0 : broken(fc, FUSE_IOCTL, size);
}

int
fc_getflags(struct fuse_client *fc, uint64_t node, uint64_t fh, bool dir, uint32_t *flags)
{
	return flags_call(fc, node, fh, dir, FS_IOC_GETFLAGS, NULL, flags, sizeof(*flags));
}

int
fc_setflags(struct fuse_client *fc, uint64_t node, uint64_t fh, bool dir, uint32_t flags)
{
	return flags_call(fc, node, fh, dir, FS_IOC_SETFLAGS, &flags, NULL, sizeof(flags));
}

int
fc_getxflags(struct fuse_client *fc, uint64_t node, uint64_t fh, bool dir, struct fsxattr *x)
{
	return flags_call(fc, node, fh, dir, FS_IOC_FSGETXATTR, NULL, x, sizeof(*x));
}

int
fc_setxflags(struct fuse_client *fc, uint64_t node, uint64_t fh, bool dir, const struct fsxattr *x)
{
	return flags_call(fc, node, fh, dir, FS_IOC_FSSETXATTR, x, NULL, sizeof(*x));
}

int
fc_tmpfile(struct fuse_client *fc, uint64_t dir, uint32_t flags, uint32_t mode,
    struct fuse_entry_out *e, struct fuse_open_out *o)
{
	struct fuse_create_in in = { .flags = flags | O_TMPFILE, .mode = S_IFREG | mode };
	struct fc_part parts[] = { { &in, sizeof(in) }, { "/", 2 } };
	int err = fc_call(fc, FUSE_TMPFILE, dir, parts, 2, sizeof(*e) + sizeof(*o));

	if (err < 0)
		return err;
	if (fc->body_len != sizeof(*e) + sizeof(*o))
		return broken(fc, FUSE_TMPFILE, sizeof(*e) + sizeof(*o));
	memcpy(e, fc->body, sizeof(*e));
	memcpy(o, (const char *)fc->body + sizeof(*e), sizeof(*o));
	return 0;
}

int
fc_copy_file_range_64(struct fuse_client *fc, const struct fuse_copy_file_range_in *in,
    uint64_t node, uint64_t *copied)
{
	struct fc_part part = { in, sizeof(*in) };
	int err = fc_call(fc, FC_COPY_FILE_RANGE_64, node, &part, 1, sizeof(*copied));

	if (err < 0)
		return err;
	if (fc->body_len != sizeof(*copied))
		return broken(fc, FC_COPY_FILE_RANGE_64, sizeof(*copied));
	memcpy(copied, fc->body, sizeof(*copied));
	return 0;
}

static struct fuse_lk_in
lk_in(const struct fuse_client *fc, const struct fc_lock *l)
{
	return (struct fuse_lk_in){
		.fh = l->fh,
		.owner = l->owner,
		.lk = { .start = l->start, .end = l->end, .type = l->type, .pid = fc->pid },
		.lk_flags = l->lk_flags,
	};
}

int
fc_setlk(struct fuse_client *fc, const struct fc_lock *l, bool wait)
{
	const struct fuse_lk_in in = lk_in(fc, l);
	struct fc_part part = { &in, sizeof(in) };

	return fc_call(fc, wait ? FUSE_SETLKW : FUSE_SETLK, l->node, &part, 1, 0);
}

int
fc_setlkw_post(struct fuse_client *fc, const struct fc_lock *l)
{
	const struct fuse_lk_in in = lk_in(fc, l);
	struct fc_part part = { &in, sizeof(in) };
	size_t len = fc_build(fc, FUSE_SETLKW, l->node, &part, 1);

	return fc_post(fc, len, sizeof(struct fuse_out_header));
}

int
fc_setlkw_collect(struct fuse_client *fc)
{
	struct fuse_in_header sent;
	int err = fc_collect(fc);

	if (err < 0)
		return err;
	memcpy(&sent, fc->req, sizeof(sent));
	return fc_check_reply(fc, sent.unique, fc->posted_cap);
}

int
fc_getlk(struct fuse_client *fc, const struct fc_lock *l, struct fuse_file_lock *lk)
{
	const struct fuse_lk_in in = lk_in(fc, l);
	struct fc_part part = { &in, sizeof(in) };
	int err = fc_call(fc, FUSE_GETLK, l->node, &part, 1, sizeof(struct fuse_lk_out));

	if (err < 0)
		return err;
	if (fc->body_len != sizeof(struct fuse_lk_out))
		return broken(fc, FUSE_GETLK, sizeof(struct fuse_lk_out));
	memcpy(lk, fc->body, sizeof(*lk));
	return 0;
}

int
fc_flush_owner(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t owner)
{
	const struct fuse_flush_in in = { .fh = fh, .lock_owner = owner };
	struct fc_part part = { &in, sizeof(in) };

	return fc_call(fc, FUSE_FLUSH, node, &part, 1, 0);
}

int
fc_interrupt(struct fuse_client *fc, uint64_t unique)
{
	const struct fuse_interrupt_in in = { .unique = unique };
	struct fc_part part = { &in, sizeof(in) };

	return fc_send(fc, FUSE_INTERRUPT, 0, &part, 1);
}
