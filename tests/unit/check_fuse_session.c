/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/session.c: INIT, DESTROY and forgetting. Links what check_fuse_decode links.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "front/fuse.h"
#include "tests/unit/fuse_rig.h"

#define ALWAYS_LOW	0x4844f829u	/* spec/fuse.md section 2 */
#define ALWAYS_HIGH	0x104u

static const struct {
	uint32_t major, minor, flags, flags2;
	size_t	len;			/* of its struct */
	int	error;
	uint32_t out, out2;
} inits[] = {
	{ 7, 38, UINT32_MAX, UINT32_MAX, 64, 0, ALWAYS_LOW, ALWAYS_HIGH },
	{ 7, 31, 0, 0, 16, 0, 0, 0 },
	{ 7, 27, FUSE_ASYNC_READ, 0, 16, 0, FUSE_ASYNC_READ, 0 },
	{ 7, 99, 0x3fffffff, 0, 16, 0, ALWAYS_LOW & ~(uint32_t)FUSE_INIT_EXT, 0 },
	{ 7, 38, FUSE_INIT_EXT, 0x4, 64, 0, FUSE_INIT_EXT, 0x4 },
	{ 7, 38, FUSE_INIT_EXT, 0x4, 72, 0, FUSE_INIT_EXT, 0x4 },
	{ 7, 38, FUSE_INIT_EXT, 0x4, 63, -EINVAL, 0, 0 },
	{ 7, 38, FUSE_INIT_EXT, 0x4, 16, -EINVAL, 0, 0 },
	{ 7, 38, 0, 0x4, 64, 0, 0, 0 },
	{ 7, 38, 0, 0, 15, -EINVAL, 0, 0 },
	{ 7, 26, 0, 0, 16, -EPROTO, 0, 0 },
	{ 6, 38, 0, 0, 16, -EPROTO, 0, 0 },
	{ 0, 0, 0, 0, 16, -EPROTO, 0, 0 },
};

static const struct fuse_init_out *
init_row(int i)
{
	struct fuse_init_in a[2] = { {
		.major = inits[i].major, .minor = inits[i].minor, .max_readahead = 77, .flags = inits[i].flags,
		.flags2 = inits[i].flags2
	} };

	rig_ask(FUSE_INIT, 0, a, inits[i].len, NULL, 0);
	if (inits[i].error != 0) {
		rig_expect_error(inits[i].error);
		return NULL;
	}
	rig_rpc(RPC_RESET);
	ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	return rig_body(64);
}

START_TEST(init)
{
	const struct fuse_init_out *o;
	static const uint8_t zero[28];

	o = init_row(_i);
	if (o == NULL)
		return;
	ck_assert_uint_eq(o->major, 7);
	ck_assert_uint_eq(o->minor, 38);
	ck_assert_uint_eq(o->max_readahead, 77);
	ck_assert_uint_eq(o->flags, inits[_i].out);
	ck_assert_uint_eq(o->flags2, inits[_i].out2);
	ck_assert_uint_eq(o->max_background, 65535);
	ck_assert_uint_eq(o->congestion_threshold, 49149);
	ck_assert_uint_eq(o->max_write, 1048576);
	ck_assert_uint_eq(o->time_gran, 1);
	ck_assert_uint_eq(o->max_pages, 1048576 / sysconf(_SC_PAGESIZE));
	ck_assert_uint_eq(o->map_alignment, 0);
	ck_assert_mem_eq(o->unused, zero, sizeof(o->unused));
	ck_assert_uint_eq(atomic_load(&fake.s.enabled), inits[_i].out | (uint64_t)inits[_i].out2 << 32);
} END_TEST

/* A later version: ours is told, nothing else happens. */
START_TEST(init_major_8)
{
	const uint32_t a[4] = { 8, 0, 4096, UINT32_MAX };
	struct fuse_init_out want = { .major = 7, .minor = 38 };

	rig_ask(FUSE_INIT, 0, a, sizeof(a), NULL, 0);
	ck_assert_mem_eq(rig_body(64), &want, 64);
	ck_assert_ptr_null(fake_rpc());
	ck_assert(nodes_known(FILE_NODE));
} END_TEST

START_TEST(init_wipes)
{
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, -1), arg[3] = { fh };

	rig_init(0);
	ck_assert(!nodes_known(FILE_NODE));
	rig_ask(FUSE_FLUSH, FILE_NODE, arg, 24, NULL, 0);
	rig_expect_error(-EBADF);
	rig_ask(FUSE_GETATTR, FILE_NODE, arg, 16, NULL, 0);
	rig_expect_error(-EBADF);
	/* The worker could not: not initialised. */
	rig_ask(FUSE_INIT, 0, (const uint32_t[]){ 7, 38, 0, 0 }, 16, NULL, 0);
	ck_assert(fake_answer_error(-EIO));
	rig_expect_error(-EIO);
	rig_ask(FUSE_STATFS, NODE_ROOT, NULL, 0, NULL, 0);
	rig_expect_error(-EBADF);
} END_TEST

/* Is this number free? */
static bool
is_closed(int fd)
{
	return fcntl(fd, F_GETFD) == -1 && errno == EBADF;
}

/*
 * DESTROY or INIT come while something is on its way on another queue: nothing of that is left, no file stays open, and the
 * worker hears that its inode is not known.
 */
START_TEST(forgotten_meanwhile)
{
	const uint32_t wipe = _i % 2 == 0 ? FUSE_DESTROY : FUSE_INIT, v7[4] = { 7, 38, 0, 0 };
	struct fuse_create_in create = { .flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0600 };
	struct fuse_open_in open_in = { .flags = O_RDWR };
	struct {
		struct rpc_entry_body e;
		uint64_t more[2];
	} made = { 0 };
	struct rpc_opened opened = { .mode = S_IFREG | 0600 };
	int fd = memfd_create("test", MFD_CLOEXEC);
	const struct rpc_forget1 *f;

	rig_entry(&made.e, 99, S_IFREG | 0600);
	if (_i < 2)
		rig_ask(FUSE_OPEN, FILE_NODE, &open_in, sizeof(open_in), NULL, 0);
	else if (_i < 4)
		rig_ask(FUSE_CREATE, DIR_NODE, &create, sizeof(create), "new", 4);
	else
		rig_ask(FUSE_LOOKUP, DIR_NODE, NULL, 0, "new", 4);
	rig_ask(wipe, 0, wipe == FUSE_INIT ? v7 : NULL, wipe == FUSE_INIT ? sizeof(v7) : 0, NULL, 0);
	if (_i < 2)
		ck_assert(fake_answer(&opened.h + 1, sizeof(opened) - sizeof(opened.h), NULL, 0, fd));
	else
		ck_assert(fake_answer(&made.e, _i < 4 ? sizeof(struct rpc_created) - sizeof(struct rpc_hdr) :
		    sizeof(made.e), NULL, 0, _i < 4 ? fd : -1));
	ck_assert(!nodes_known(99));
	ck_assert(is_closed(fd) == (_i < 4));
	rig_rpc(RPC_RESET);
	ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	if (_i < 2)
		return;
	forgets_flush(&fake.q);
	f = rpc_x(RPC_REQUEST, rig_rpc(RPC_FORGET));
	ck_assert(f->node == 99 && f->named == 1);
} END_TEST

START_TEST(destroy)
{
	rig_ask(FUSE_DESTROY, 0, NULL, 0, NULL, 0);
	rig_rpc(RPC_RESET);
	ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	rig_expect_none();
	rig_ask(FUSE_STATFS, NODE_ROOT, NULL, 0, NULL, 0);
	rig_expect_error(-EBADF);
} END_TEST

START_TEST(no_reply)
{
	static const uint64_t a[4] = { 1 };

	rig_ask(FUSE_INTERRUPT, 0, a, 8, NULL, 0);
	rig_expect_none();
	rig_ask(FUSE_INTERRUPT, 0, NULL, 0, NULL, 0);
	rig_expect_none();
	rig_compose(FUSE_FORGET, FILE_NODE, a, 8, NULL, 0);
	rig_send(0);
	rig_expect_none();
	/* Short ones too. */
	rig_ask(FUSE_FORGET, FILE_NODE, a, 7, NULL, 0);
	rig_expect_none();
	rig_ask(FUSE_BATCH_FORGET, 0, (const uint32_t[]){ 2, 0 }, 8, a, 16);
	rig_expect_none();
	rig_compose(FUSE_FORGET, FILE_NODE, a, 8, NULL, 0);
	rig_send_bad(4096);
	rig_expect_none();
	/* The one forget that is answered. */
	rig_ask(FUSE_BATCH_FORGET, 0, (const uint32_t[]){ 65537, 0 }, 8, NULL, 0);
	rig_expect_error(-ENOMEM);
	rig_ask(FUSE_BATCH_FORGET, 0, (const uint32_t[]){ UINT32_MAX, 0 }, 8, NULL, 0);
	rig_expect_error(-ENOMEM);
} END_TEST

START_TEST(forget)
{
	const uint64_t two[2] = { 2 };
	const struct rpc_forget1 *x;

	rig_know(FILE_NODE, S_IFREG);
	rig_know(FILE_NODE, S_IFREG);
	rig_ask(FUSE_FORGET, FILE_NODE, two, 8, NULL, 0);
	rig_expect_none();
	ck_assert_uint_eq(fake.q.nforgets, 0);
	rig_ask(FUSE_FORGET, FILE_NODE, two, 8, NULL, 0);
	ck_assert_uint_eq(fake.q.nforgets, 1);
	forgets_flush(&fake.q);
	ck_assert_uint_eq(fake.q.nforgets, 0);
	ck_assert_uint_eq(((const struct rpc_hdr *)rig_rpc(RPC_FORGET))->nx, 1);
	x = rpc_x(RPC_REQUEST, fake_rpc());
	ck_assert_uint_eq(x->node, FILE_NODE);
	ck_assert_uint_eq(x->named, 3);
	ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	ck_assert_uint_eq(fake.live, 0);
} END_TEST

/* Fewer than it says: none of them counts. */
START_TEST(batch_forget_short)
{
	const struct fuse_forget_one one = { .nodeid = FILE_NODE, .nlookup = 1 };

	rig_ask(FUSE_BATCH_FORGET, 0, (const uint32_t[]){ 2, 0 }, 8, &one, sizeof(one));
	rig_expect_none();
	ck_assert(nodes_known(FILE_NODE));
	rig_ask(FUSE_BATCH_FORGET, 0, (const uint32_t[]){ 1, 0 }, 8, &one, sizeof(one));
	rig_expect_none();
	ck_assert(!nodes_known(FILE_NODE));
} END_TEST

START_TEST(batch_forget)
{
	static struct fuse_forget_one one[65536];
	unsigned messages = 0, told = 0;

	for (unsigned i = 0; i < 200; i++)
		rig_know(100 + i, S_IFREG);
	for (unsigned i = 0; i < countof(one); i++)
		one[i] = (struct fuse_forget_one){ .nodeid = i, .nlookup = 1 };
	rig_ask(FUSE_BATCH_FORGET, 0, (const uint32_t[]){ 65536, 0 }, 8, one, sizeof(one));
	rig_expect_none();
	forgets_flush(&fake.q);
	for (; fake_rpc() != NULL; messages++) {
		ck_assert_uint_le(fake_rpc()->nx, 64);
		told += fake_rpc()->nx;
		ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	}
	ck_assert_uint_eq(told, 202);		/* FILE_NODE and DIR_NODE too */
	ck_assert_uint_eq(messages, 4);
	ck_assert(!nodes_known(100));
} END_TEST

int
main(void)
{
	Suite *s = suite_create("fuse_session");
	TCase *session = tcase_create("session");
	SRunner *r;
	int failed;

	log_init(rig_quiet, LOG_DEBUG);
	tcase_add_checked_fixture(session, rig_setup, fake_stop);
	tcase_add_loop_test(session, init, 0, (int)countof(inits));
	tcase_add_test(session, init_major_8);
	tcase_add_test(session, init_wipes);
	tcase_add_test(session, destroy);
	tcase_add_loop_test(session, forgotten_meanwhile, 0, 6);
	tcase_add_test(session, no_reply);
	tcase_add_test(session, forget);
	tcase_add_test(session, batch_forget_short);
	tcase_add_test(session, batch_forget);
	suite_add_tcase(s, session);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
