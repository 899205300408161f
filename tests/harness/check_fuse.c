/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse - each FUSE operation by what it does to the shared directory, seen from the host.
 *
 * usage: check_fuse (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group)
 */
#include "check_fuse.h"
#include "harness.h"

int
main(void)
{
	Suite *s = suite_create("fuse");

	suite_add_tcase(s, check_fuse_session());
	suite_add_tcase(s, check_fuse_errors());
	suite_add_tcase(s, check_fuse_names());
	suite_add_tcase(s, check_fuse_attrs());
	suite_add_tcase(s, check_fuse_creds());
	suite_add_tcase(s, check_fuse_files());
	suite_add_tcase(s, check_fuse_ranges());
	suite_add_tcase(s, check_fuse_dirs());
	suite_add_tcase(s, check_fuse_xattr());
	suite_add_tcase(s, check_fuse_beyond());
	return h_main(s, 600);
}
