/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_mounts - mounts below the share (bind, tmpfs, an ext4 image), and --inode-file-handles.
 *
 * In a mount namespace of its own in which everything is shared, as systemd sets a host up.
 *
 * usage: check_mounts (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group)
 */
#include "check_mounts.h"
#include "harness.h"

#include <sched.h>
#include <sys/mount.h>

int
main(void)
{
	Suite *s = suite_create("mounts");

	if (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == -1 ||
	    mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) == -1) {
		perror("a mount namespace");
		return 1;
	}
	suite_add_tcase(s, check_mounts_below());
	suite_add_tcase(s, check_mounts_handles());
	suite_add_tcase(s, check_mounts_fuse());
	return h_main(s, 300);
}
