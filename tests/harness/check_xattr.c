/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_xattr - names of extended attributes between guest and host (--xattrmap), POSIX ACLs, security
 * labels, and a remapped security.capability: the real daemon, for each option and error.
 *
 * usage: check_xattr (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group)
 */
#include "check_xattr.h"
#include "harness.h"

int
main(void)
{
	Suite *s = suite_create("xattr");

	suite_add_tcase(s, check_xattr_map());
	suite_add_tcase(s, check_xattr_acl());
	suite_add_tcase(s, check_xattr_label());
	suite_add_tcase(s, check_xattr_capability());
	return h_main(s, 300);
}
