/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Landlock (landlock(7)) by its system calls, for processes that could not be given a view of the file system of their
 * own. All rights that the running kernel knows are asked for; what it does not know it does not restrict.
 * Runs in: front, worker, before they serve.
 */
#include "common/landlock.h"

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"

/* uapi/linux/landlock.h, of which old headers have the beginning only. */
#define CREATE_RULESET_VERSION 0x1
#define RULE_PATH_BENEATH 1
#define NET_TCP 0x3 /* bind, connect */
#define SCOPE_ALL 0x3 /* abstract sockets, signals */

struct ruleset {
	uint64_t fs, net, scoped;
};

struct __attribute__((packed)) path_beneath {
	uint64_t allowed;
	int32_t parent;
};

/* How many rights of files each version of the ABI knows, from 1 on: REFER came with 2, TRUNCATE 3, IOCTL_DEV 5. */
static const uint8_t fs_bits[] = { 13, 14, 15, 15, 16 };
#define ABI_NET 4
#define ABI_SCOPED 6
/* Before, nothing could be renamed or linked from one directory to another. */
#define ABI_REFER 2

static int
allow_beneath(int ruleset, int dir, uint64_t rights)
{
	struct path_beneath rule = { .allowed = rights, .parent = dir };

	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) == -1)
		return -errno;
	return 0;
}

int
landlock_restrict(int beneath)
{
	const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset r = { 0 };
	size_t size = sizeof(r.fs);
	int fd, e = 0;

	if (abi < 1)
		return abi == -1 ? -errno : -ENOSYS;
	if (beneath != -1 && abi < ABI_REFER)
		return -EOPNOTSUPP;
	r.fs = (UINT64_C(1) << fs_bits[MIN((size_t)abi, countof(fs_bits)) - 1]) - 1;
	if (abi >= ABI_NET) {
		r.net = NET_TCP;
		size += sizeof(r.net);
	}
	if (abi >= ABI_SCOPED) {
		r.scoped = SCOPE_ALL;
		size += sizeof(r.scoped);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	if (fd == -1)
		return -errno;
	if (beneath != -1)
		e = allow_beneath(fd, beneath, r.fs);
	if (e == 0 && syscall(SYS_landlock_restrict_self, fd, 0) == -1)
		e = -errno;
	fd_close(&fd);
	return e;
}
