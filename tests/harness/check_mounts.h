/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_mounts - the groups of tests about mounts below the share and about what inodes are remembered
 * by, one file each.
 *
 * Runs in: check_mounts.
 */
#ifndef HARNESS_CHECK_MOUNTS_H
#define HARNESS_CHECK_MOUNTS_H

#include <check.h>

TCase *check_mounts_below(void);
TCase *check_mounts_handles(void);
TCase *check_mounts_fuse(void);

#endif
