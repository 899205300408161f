/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of FUSE is newer than 7.38, the oldest <linux/fuse.h> that this is built with: operations that a guest's kernel
 * simply tries, and takes back for good when it is answered ENOSYS. Under names of our own, since newer headers of the
 * system have theirs. Layouts: include/uapi/linux/fuse.h of Linux 6.6 (STATX, FUSE 7.39) and 6.18 (COPY_FILE_RANGE_64, 7.45).
 */
#ifndef FRONT_FUSE_ABI_H
#define FRONT_FUSE_ABI_H

#include <assert.h>
#include <stdint.h>

#define ABI_STATX 52u
#define ABI_COPY_FILE_RANGE_64 53u

struct abi_statx_in {
	uint32_t getattr_flags; /* FUSE_GETATTR_* */
	uint32_t reserved;
	uint64_t fh;
	uint32_t flags; /* AT_STATX_* */
	uint32_t mask; /* STATX_* */
};

struct abi_time {
	int64_t sec;
	uint32_t nsec;
	int32_t reserved;
};

/* The layout of struct statx up to its device numbers. */
struct abi_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare0;
	uint64_t ino, size, blocks, attributes_mask;
	struct abi_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare1[14];
};

struct abi_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct abi_statx stat;
};

struct abi_copy_out {
	uint64_t bytes;
};

static_assert(sizeof(struct abi_statx_in) == 24 && sizeof(struct abi_statx) == 256 &&
	sizeof(struct abi_statx_out) == 288,
    "layouts of STATX");

#endif
