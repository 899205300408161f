/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_ids - the groups of tests about whose ids and rights count, one file each.
 *
 * Runs in: check_ids.
 */
#ifndef HARNESS_CHECK_IDS_H
#define HARNESS_CHECK_IDS_H

#include <check.h>

TCase *check_ids_translate(void);
TCase *check_ids_creds(void);
TCase *check_ids_reach(void);

#endif
