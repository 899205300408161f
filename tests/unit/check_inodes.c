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
	int fd, usr = open("/usr", O_PATH | O_CLOEXEC);
	const struct inode_ident id = look("/proc/version", &fd);
	/* the mount is taken for one of the kind that /usr is on */
	const uint16_t mount = mounts_enter(id.key.mnt, usr, true, NULL);
	struct inode *in = enter(&id, fd), *root;

	ck_assert(mounts_have_handles(id.key.mnt));
	ck_assert_uint_eq(inode_evict(1), 0);
	ck_assert_int_eq(inode_fd(in), fd);
	ck_assert(inode_has(in, INODE_PRIVATE));
	/* Each of the others is asked for its own, also those that have one. */
	ck_assert(!mounts_have_handles(id.key.mnt));
	mounts_leave(mounts_enter(id.key.mnt, usr, true, NULL));
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
	mounts_leave(mounts_enter(id.key.mnt, usr, true, NULL));
	ck_assert_uint_eq(mounts_enter(id.key.mnt, usr, true, NULL), mount);
	ck_assert(mounts_have_handles(id.key.mnt));
}
END_TEST

/*
 * Two that differ in nothing but their handle, and one that has none. Where numbers are unique (/usr) that cannot be, so the
 * first stays the only one; elsewhere (procfs) each has its node and keeps it.
 */
START_TEST(test_same_number)
{
	static const char *const path[] = { "/usr", "/proc/version" };
	const bool unique = _i == 0;
	struct inode *in[3], *found;
	struct inode_ident id[3];
	int fd;

	for (unsigned i = 0; i < 3; i++) {
		id[i] = look(path[_i], &fd);
		id[i].has_handle = id[i].hashed = i < 2;
		id[i].hash = 5 + i;
		in[i] = enter(&id[i], fd);
	}
	ck_assert_int_eq(in[0] == in[1] && in[1] == in[2], unique);
	ck_assert_int_eq(in[0] != in[1] && in[1] != in[2] && in[2] != in[0], !unique);
	ck_assert_int_eq(mounts_have_handles(id[0].key.mnt), unique);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(inode_is_known(&id[i]));
		ck_assert_ptr_eq(enter(&id[i], open(path[_i], O_PATH | O_CLOEXEC)), in[i]);
		found = inode_find(&id[i], open(path[_i], O_PATH | O_CLOEXEC));
		ck_assert_ptr_eq(found, in[i]);
		inode_put(found);
	}
	/* and whoever has not read the handle must do so, where there may be one */
	found = inode_by_key(&id[0].key, id[0].type, inode_seq(), false);
	ck_assert_ptr_eq(found, unique ? in[0] : NULL);
	if (found != NULL)
		inode_put(found);
	ck_assert(inode_forget(in[2], 2 + (unique ? 4 : 0), true));
	found = inode_by_key(&id[0].key, id[0].type, inode_seq(), false);
	ck_assert_ptr_null(found);
	if (unique)
		return;
	/* also when they have lost their fd */
	ck_assert_uint_eq(inode_evict(2), 2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_ptr_eq(enter(&id[i], open(path[_i], O_PATH | O_CLOEXEC)), in[i]);
	/* where nothing has a handle, the number is all there is */
	ck_assert(inode_forget(in[0], 3, true) && inode_forget(in[1], 3, true));
	in[2] = enter(&id[2], open(path[_i], O_PATH | O_CLOEXEC));
	found = inode_by_key(&id[2].key, id[2].type, inode_seq(), false);
	ck_assert_ptr_eq(found, in[2]);
	inode_put(found);
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
	tcase_add_loop_test(t, test_same_number, 0, 2);
	tcase_add_test(t, test_not_evicted);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
