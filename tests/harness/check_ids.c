/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_ids - ids between guest and host (--translate-uid, --translate-gid), in whose name things are
 * made, and what a guest cannot reach: names and devices, in every sandbox mode.
 *
 * usage: check_ids (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group)
 */
#include "check_ids.h"
#include "harness.h"

int
main(void)
{
	Suite *s = suite_create("ids");

	suite_add_tcase(s, check_ids_translate());
	suite_add_tcase(s, check_ids_creds());
	suite_add_tcase(s, check_ids_reach());
	return h_main(s, 300);
}
