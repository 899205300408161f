/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface - the table of everything a guest may ask: option x opcode x input, and what must come of it.
 *
 * usage: check_surface (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a file of rows)
 *
 * The rows are in check_surface_*.c, named after the trap (spec/traps.md) they are about where there is one. The last
 * test is that every opcode that is served has rows.
 */
#include "check_surface.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "fuse_beyond.h"

/* What spec/fuse.md section 6 lists as served; FORGET and its like answer nothing and are check_fuse's and check_hostile's. */
static const uint32_t served[] = {
	FUSE_LOOKUP, FUSE_GETATTR, FUSE_SETATTR, FUSE_SYMLINK, FUSE_MKNOD, FUSE_MKDIR, FUSE_UNLINK,
	FUSE_RMDIR, FUSE_RENAME, FUSE_LINK, FUSE_OPEN, FUSE_READ, FUSE_WRITE, FUSE_STATFS,
	FUSE_RELEASE, FUSE_FSYNC, FUSE_SETXATTR, FUSE_REMOVEXATTR, FUSE_FLUSH, FUSE_INIT,
	FUSE_OPENDIR, FUSE_READDIR, FUSE_RELEASEDIR, FUSE_FSYNCDIR, FUSE_ACCESS, FUSE_CREATE,
	FUSE_FALLOCATE, FUSE_READDIRPLUS, FUSE_RENAME2, FUSE_LSEEK, FUSE_COPY_FILE_RANGE, FUSE_SYNCFS,
	FUSE_TMPFILE, FC_STATX, FC_COPY_FILE_RANGE_64, FUSE_IOCTL,
};

START_TEST(test_complete)
{
	for (size_t i = 0; i < countof(served); i++)
		ck_assert_msg(sf_rows_of(served[i]) > 0, "no row is about opcode %u", served[i]);
	printf("surface: %u rows\n", sf_rows());
}
END_TEST

static TCase *
complete(void)
{
	TCase *t = tcase_create("complete");

	tcase_add_test(t, test_complete);
	return t;
}

int
main(void)
{
	Suite *s = suite_create("surface");
	int status;

	/* What is mounted for a row goes with this process. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		perror("check_surface: a mount namespace");
		return 1;
	}
	suite_add_tcase(s, check_surface_init());
	suite_add_tcase(s, check_surface_cache());
	suite_add_tcase(s, check_surface_open());
	suite_add_tcase(s, check_surface_readonly());
	suite_add_tcase(s, check_surface_killpriv());
	suite_add_tcase(s, check_surface_data());
	suite_add_tcase(s, check_surface_faults());
	suite_add_tcase(s, check_surface_dirs());
	suite_add_tcase(s, check_surface_access());
	suite_add_tcase(s, check_surface_other());
	/* It counts the rows that ran: only where all did. */
	if (getenv("CK_RUN_CASE") == NULL && getenv("CK_FORK") == NULL)
		suite_add_tcase(s, complete());
	status = h_main(s, 600);
	return status;
}
