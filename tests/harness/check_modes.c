/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_modes - the daemon in each sandbox mode, started by root and by an ordinary user, with all rights and in
 * containers that leave few.
 *
 * usage: check_modes (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group)
 */
#include "check_modes.h"

int
main(void)
{
	Suite *s = suite_create("modes");

	modes_init();
	suite_add_tcase(s, check_modes_serve());
	suite_add_tcase(s, check_modes_share());
	suite_add_tcase(s, check_modes_start());
	suite_add_tcase(s, check_modes_rights());
	return h_main(s, 300);
}
