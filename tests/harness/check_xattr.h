/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_xattr - the groups of tests about extended attributes, one file each.
 *
 * Runs in: check_xattr.
 */
#ifndef HARNESS_CHECK_XATTR_H
#define HARNESS_CHECK_XATTR_H

#include <check.h>

TCase *check_xattr_map(void);
TCase *check_xattr_acl(void);
TCase *check_xattr_label(void);
TCase *check_xattr_capability(void);

#endif
