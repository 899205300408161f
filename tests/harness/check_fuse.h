/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse - the groups of functional tests, one file each.
 *
 * Runs in: check_fuse.
 */
#ifndef HARNESS_CHECK_FUSE_H
#define HARNESS_CHECK_FUSE_H

#include <check.h>

/* Each returns a new test case for the suite, which owns it. */
TCase *check_fuse_session(void);
TCase *check_fuse_errors(void);
TCase *check_fuse_names(void);
TCase *check_fuse_attrs(void);
TCase *check_fuse_creds(void);
TCase *check_fuse_files(void);
TCase *check_fuse_ranges(void);
TCase *check_fuse_dirs(void);
TCase *check_fuse_xattr(void);
TCase *check_fuse_beyond(void);

#endif
