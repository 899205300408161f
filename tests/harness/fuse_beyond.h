/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuse_beyond - FUSE requests that the reference does not serve. Layouts newer than the system's
 * <linux/fuse.h> are written down here a second time on purpose.
 *
 * Return values as in fuse_client.h.
 */
#ifndef HARNESS_FUSE_BEYOND_H
#define HARNESS_FUSE_BEYOND_H

#include <linux/fs.h>
#include <sys/stat.h>

#include "fuse_client.h"

#define FC_COPY_FILE_RANGE_64 53u

struct fc_statx_in {
	uint32_t getattr_flags;
	uint32_t reserved;
	uint64_t fh;
	uint32_t sx_flags;
	uint32_t sx_mask;
};

/* struct fuse_statx is laid out as struct statx of the system calls. */
struct fc_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct statx stat;
};

/* FUSE_GETATTR_FH and fh in `in`, or zeros. */
int fc_statx(struct fuse_client *fc, uint64_t node, const struct fc_statx_in *in,
    struct fc_statx_out *out);

/*
 * IOCTL with in_size bytes of `in`, and room for out_size bytes. Returns the number of bytes that
 * came back (copied to `out`), or a negative errno: of the reply, or its result.
 */
int fc_ioctl(struct fuse_client *fc, uint64_t node, const struct fuse_ioctl_in *args,
    const void *in, void *out);

/* The four of them on an open handle, sized as Linux does. dir: a directory's handle. */
int fc_getflags(struct fuse_client *fc, uint64_t node, uint64_t fh, bool dir, uint32_t *flags);
int fc_setflags(struct fuse_client *fc, uint64_t node, uint64_t fh, bool dir, uint32_t flags);
int fc_getxflags(struct fuse_client *fc, uint64_t node, uint64_t fh, bool dir, struct fsxattr *x);
int fc_setxflags(struct fuse_client *fc, uint64_t node, uint64_t fh, bool dir,
    const struct fsxattr *x);

/* TMPFILE, with "/" as its name, as Linux sends it. */
int fc_tmpfile(struct fuse_client *fc, uint64_t dir, uint32_t flags, uint32_t mode,
    struct fuse_entry_out *e, struct fuse_open_out *o);

/* SETLK or SETLKW (lk.pid is the client's). lk_flags: 0 or FUSE_LK_FLOCK. */
struct fc_lock {
	uint64_t node, fh, owner;
	uint32_t type;
	uint64_t start, end;
	uint32_t lk_flags;
};
int fc_setlk(struct fuse_client *fc, const struct fc_lock *l, bool wait);

/* SETLKW, sent and not waited for; and its answer. The request's unique is fc->unique before. */
int fc_setlkw_post(struct fuse_client *fc, const struct fc_lock *l);
int fc_setlkw_collect(struct fuse_client *fc);

/* GETLK: *lk is the answer. */
int fc_getlk(struct fuse_client *fc, const struct fc_lock *l, struct fuse_file_lock *lk);
int fc_flush_owner(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t owner);
int fc_interrupt(struct fuse_client *fc, uint64_t unique);

int fc_copy_file_range_64(struct fuse_client *fc, const struct fuse_copy_file_range_in *in,
    uint64_t node, uint64_t *copied);

#endif
