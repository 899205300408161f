/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of check_locks share: a session whose guest has the file `f` of the share open. */
#ifndef CHECK_LOCKS_H
#define CHECK_LOCKS_H

#include "fuse_beyond.h"
#include "harness.h"

#define TO_END 0x7fffffffffffffffull
#define FLOCK FUSE_LK_FLOCK

extern const char *const locks_args[];

/* more: what is not as usual, or NULL. */
void locks_start(const struct vmm_opts *more);

/* What owner asks for, of bytes start to end; of the whole by flock(). */
struct fc_lock locks_want(uint64_t owner, uint32_t type, uint64_t start, uint64_t end);
struct fc_lock locks_want_flock(uint64_t owner, uint32_t type);
/* SETLK of that. */
int locks_setlk(uint64_t owner, uint32_t type, uint64_t start, uint64_t end);
int locks_set_flock(uint64_t owner, uint32_t type);

TCase *check_locks_two(void);

#endif
