/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker/inode.c, inode_cache.c, mounts.c: what becomes of an inode whose fd is wanted for another. A file of procfs stands
 * for one that has no handle though others of its mount have: none of the file systems here mixes them.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/inode.h"
#include "worker/mounts.h"

#define BUDGET 100u

static void
setup(void)
{
	ck_assert_int_eq(inode_init(BUDGET, 0, 0), 0);
}

/* What would be known of the file of this path if its mount was trusted to have handles. */
static struct inode_ident
look(const char *path, int *fd)
{
	struct inode_ident id = { .has_handle = true };
	struct statx st;

	*fd = open(path, O_PATH | O_CLOEXEC);
	ck_assert_int_ge(*fd, 0);
	ck_assert_int_eq(
	    statx(*fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &st), 0);
	id.key.ino = st.stx_ino;
	id.key.dev = st.stx_dev_major << 20 | st.stx_dev_minor;
	id.key.mnt = (uint32_t)st.stx_mnt_id;
	id.type = st.stx_mode & S_IFMT;
	return id;
}

/* Known to the guest and to the vault, and nobody is using it. */
static struct inode *
enter(const struct inode_ident *id, int fd)
{
	struct inode *in = NULL;

	ck_assert_int_eq(inode_claim(id, fd, &in), 0);
	inode_set(in, INODE_VAULTED);
	atomic_store(&in->used, 0);
	inode_put(in);
	return in;
}

START_TEST(test_evicted_with_its_hash)
{
	int fd, again;
	const struct inode_ident id = look("/usr", &fd);
	struct inode *in = enter(&id, fd), *found;
	struct inode_ident now = id;
	uint64_t hash;

	ck_assert_int_eq(inode_hash_handle(fd, &hash), 0);
	ck_assert_uint_eq(inode_evict(1), 1);
	ck_assert_int_eq(inode_fd(in), -1);
	ck_assert(inode_is_hashed(in));
	ck_assert_uint_eq(in->hash, hash);
	ck_assert(inode_may_miss());

	/* Without the handle nothing can be said about it; with that it is known again, and with another it is not. */
	again = open("/usr", O_PATH | O_CLOEXEC);
	ck_assert_int_eq(inode_claim(&now, again, &found), -EAGAIN);
	now.hashed = true;
	now.hash = hash;
	ck_assert_int_eq(inode_claim(&now, again, &found), 0);
	ck_assert_ptr_eq(found, in);
	ck_assert_int_eq(inode_fd(in), again);
	inode_put(found);
	ck_assert_uint_eq(inode_evict(2), 1);
	now.hash++;
	ck_assert_int_eq(inode_claim(&now, open("/usr", O_PATH | O_CLOEXEC), &found), 0);
	ck_assert_ptr_ne(found, in);
	inode_put(found);
}
END_TEST

START_TEST(test_no_handle_among_others)
{
	int fd;
	const struct inode_ident id = look("/proc/version", &fd);
	struct inode *in = enter(&id, fd), *root;
	const uint16_t mount = mounts_enter(id.key.mnt, true);

	ck_assert(mounts_have_handles(id.key.mnt));
	ck_assert_uint_eq(inode_evict(1), 0);
	ck_assert_int_eq(inode_fd(in), fd);
	ck_assert(inode_has(in, INODE_PRIVATE));
	/* Each of the others is asked for its own, also those that have one. */
	ck_assert(!mounts_have_handles(id.key.mnt));
	mounts_leave(mounts_enter(id.key.mnt, true));
	ck_assert(!mounts_have_handles(id.key.mnt));
	/* It is recognised by its fd, and nobody takes that ever again. */
	ck_assert_int_eq(inode_claim(&id, open("/proc/version", O_PATH | O_CLOEXEC), &root), 0);
	ck_assert_ptr_eq(root, in);
	atomic_store(&in->used, 0);
	inode_put(root);
	ck_assert_uint_eq(inode_evict(1), 0);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);

	/* When nobody is left on the mount, its number may be another mount's. */
	ck_assert(inode_forget(in, 2, true));
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	mounts_leave(mount);
	mounts_leave(mounts_enter(id.key.mnt, true));
	ck_assert_uint_eq(mounts_enter(id.key.mnt, true), mount);
	ck_assert(mounts_have_handles(id.key.mnt));
}
END_TEST

START_TEST(test_not_evicted)
{
	static const char *const path[] = { "/usr", "/usr/bin", "/usr/lib", "/usr/share" };
	struct inode *in[4], *held;
	int fd[4];

	for (unsigned i = 0; i < 4; i++) {
		const struct inode_ident id = look(path[i], &fd[i]);

		in[i] = enter(&id, fd[i]);
	}
	inode_clear(in[0], INODE_VAULTED);
	inode_pin(in[1]);
	held = inode_by_node(in[2]->node);
	ck_assert_ptr_eq(held, in[2]);
	ck_assert_uint_eq(inode_evict(4), 1);
	ck_assert_int_eq(inode_fd(in[0]), fd[0]);
	ck_assert_int_eq(inode_fd(in[1]), fd[1]);
	ck_assert_int_eq(inode_fd(in[2]), fd[2]);
	ck_assert_int_eq(inode_fd(in[3]), -1);
	inode_put(held);
	inode_unpin(in[1]);
	ck_assert_uint_eq(inode_evict(4), 2);
	ck_assert_int_eq(inode_fd(in[0]), fd[0]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("inodes");
	TCase *t = tcase_create("eviction");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, test_evicted_with_its_hash);
	tcase_add_test(t, test_no_handle_among_others);
	tcase_add_test(t, test_not_evicted);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
