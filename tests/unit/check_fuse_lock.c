/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/fuse_lock.c: what GETLK, SETLK, SETLKW say to the worker, which locks are there afterwards, and what
 * ends them. Links what check_fuse_decode links. Nobody waits in a thread here: waits end by being cancelled.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/fuse.h"
#include "tests/unit/fuse_rig.h"

#define OFFSET_MAX	((uint64_t)INT64_MAX)
#define POSIX		0u
#define FLOCK		FUSE_LK_FLOCK

static int file;
static uint64_t fh;	/* of FILE_NODE, read and write */

static int
opened(int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	fd = open(path, flags | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void
setup(void)
{
	file = memfd_create("file", MFD_CLOEXEC);
	fake_start(DEV_POSIX_LOCK | DEV_FLOCK);
	rig_init(~UINT64_C(0));
	rig_know(FILE_NODE, S_IFREG | 0644);
	rig_know(DIR_NODE, S_IFDIR | 0755);
	fh = rig_open(FILE_NODE, O_RDWR, opened(O_RDWR));
}

static void
teardown(void)
{
	unsigned owners, ranges;

	fake_stop();
	lock_owners_count(&owners, &ranges);
	ck_assert_uint_eq(owners | ranges, 0);
	close(file);
}

static struct fuse_lk_in
request(uint64_t handle, uint64_t owner, uint32_t type, uint64_t start, uint64_t end, uint32_t flags)
{
	return (struct fuse_lk_in){
		.fh = handle, .owner = owner, .lk = { .start = start, .end = end, .type = type, .pid = 7 }, .lk_flags = flags
	};
}

/* Send it; the worker's part, if it has one, done. Returns the error of the reply. */
static int
ask(uint32_t opcode, const struct fuse_lk_in *in)
{
	const uint32_t body[2] = { S_IFREG, 0 };
	const struct rpc_open *q;

	rig_ask(opcode, FILE_NODE, in, sizeof(*in), NULL, 0);
	if (fake_rpc() != NULL) {
		q = rig_rpc(RPC_LOCKOPEN);
		ck_assert_uint_eq(q->node, FILE_NODE);
		ck_assert_uint_eq(q->oflags, 0);
		ck_assert(fake_answer(body, sizeof(body), NULL, 0, opened((int)q->flags)));
	}
	return rig_error();
}

static int
setlk(uint64_t owner, uint32_t type, uint64_t start, uint64_t end, uint32_t flags)
{
	const struct fuse_lk_in in = request(fh, owner, type, start, end, flags);

	return ask(FUSE_SETLK, &in);
}

/* As another process sees it. */
static int
seen(off_t byte)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
	int fd = opened(O_RDWR);

	ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &f), 0);
	close(fd);
	return f.l_type;
}

static bool
flock_is_free(void)
{
	int fd = opened(O_RDONLY);
	bool is = flock(fd, LOCK_EX | LOCK_NB) == 0;

	close(fd);
	return is;
}

/* Open files: of ours, of everybody's. */
static unsigned
fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 200; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

START_TEST(one_open_file_an_owner)
{
	const struct fuse_lk_in in = request(fh, 1, F_WRLCK, 10, 19, POSIX);
	const struct rpc_open *q;

	rig_ask(FUSE_SETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
	q = rig_rpc(RPC_LOCKOPEN);
	ck_assert_uint_eq(q->flags, O_RDWR);
	ck_assert(fake_answer_error(-ENFILE));
	rig_expect_error(-ENOLCK);
	ck_assert_int_eq(ask(FUSE_SETLK, &in), 0);
	rig_body(0);
	ck_assert_int_eq(seen(10), F_WRLCK);
	ck_assert_int_eq(seen(20), F_UNLCK);
	/* From now on without the worker. */
	ck_assert_int_eq(setlk(1, F_RDLCK, 0, OFFSET_MAX, POSIX), 0);
	ck_assert_int_eq(seen(10), F_RDLCK);
	ck_assert_int_eq(setlk(2, F_WRLCK, 5, 5, POSIX), -EAGAIN);
	ck_assert_int_eq(setlk(1, F_UNLCK, 5, 5, POSIX), 0);
	ck_assert_int_eq(setlk(2, F_WRLCK, 5, 5, POSIX), 0);
	/* Who holds nothing has nothing to unlock, and needs no open file for that. */
	rig_ask(FUSE_SETLK, FILE_NODE, &(const struct fuse_lk_in){ .fh = fh, .owner = 77, .lk = { .type = F_UNLCK } },
	    sizeof(in), NULL, 0);
	rig_body(0);
	/* The fd was lost on the way: no lock, no lie. */
	rig_ask(FUSE_SETLK, FILE_NODE, &(const struct fuse_lk_in){ .fh = fh, .owner = 78, .lk = { .type = F_RDLCK } },
	    sizeof(in), NULL, 0);
	rig_rpc(RPC_LOCKOPEN);
	ck_assert(fake_answer((const uint32_t[]){ S_IFREG, 0 }, 8, NULL, 0, -1));
	rig_expect_error(-ENOLCK);
} END_TEST

START_TEST(flocks)
{
	ck_assert_int_eq(setlk(1, F_RDLCK, 3, 4, FLOCK), 0);
	ck_assert(!flock_is_free());
	ck_assert_int_eq(setlk(2, F_RDLCK, 0, OFFSET_MAX, FLOCK), 0);
	ck_assert_int_eq(setlk(2, F_WRLCK, 0, OFFSET_MAX, FLOCK), -EAGAIN);
	ck_assert_int_eq(setlk(1, F_UNLCK, 0, OFFSET_MAX, FLOCK), 0);
	ck_assert_int_eq(setlk(1, F_WRLCK, 0, OFFSET_MAX, FLOCK), 0);
	/* Nothing to do with the others. */
	ck_assert_int_eq(seen(0), F_UNLCK);
	ck_assert_int_eq(setlk(2, F_WRLCK, 0, OFFSET_MAX, POSIX), 0);
} END_TEST

static const struct {
	const char *title;
	uint32_t opcode;
	int	open;		/* mode of the handle; -1: a directory's */
	struct fuse_file_lock lk;
	uint32_t flags;
	int	want;
} checks[] = {
	{ "beyond the end", FUSE_SETLK, O_RDWR, { 0, OFFSET_MAX + 1, F_RDLCK, 1 }, 0, -EINVAL },
	{ "all ones", FUSE_SETLK, O_RDWR, { UINT64_MAX, UINT64_MAX, F_RDLCK, 1 }, 0, -EINVAL },
	{ "the wrong way round", FUSE_SETLK, O_RDWR, { 5, 4, F_RDLCK, 1 }, 0, -EINVAL },
	{ "the last byte", FUSE_SETLK, O_RDWR, { OFFSET_MAX, OFFSET_MAX, F_WRLCK, 1 }, 0, 0 },
	{ "the whole file", FUSE_SETLK, O_RDWR, { 0, OFFSET_MAX, F_WRLCK, 1 }, 0, 0 },
	{ "no type", FUSE_SETLK, O_RDWR, { 0, 1, 3, 1 }, 0, -EINVAL },
	{ "no such type", FUSE_SETLKW, O_RDWR, { 0, 1, UINT32_MAX, 1 }, 0, -EINVAL },
	{ "an unknown flag", FUSE_SETLK, O_RDWR, { 0, 1, F_RDLCK, 1 }, 2, -EINVAL },
	{ "flock and an unknown flag", FUSE_SETLK, O_RDWR, { 0, 1, F_RDLCK, 1 }, 3, -EINVAL },
	{ "flock, beyond the end", FUSE_SETLK, O_RDWR, { 0, UINT64_MAX, F_RDLCK, 1 }, FLOCK, -EINVAL },
	{ "write lock, open for reading", FUSE_SETLK, O_RDONLY, { 0, 1, F_WRLCK, 1 }, 0, -EBADF },
	{ "read lock, open for writing", FUSE_SETLK, O_WRONLY, { 0, 1, F_RDLCK, 1 }, 0, -EBADF },
	{ "write lock, open for writing", FUSE_SETLK, O_WRONLY, { 0, 1, F_WRLCK, 1 }, 0, 0 },
	{ "flock, open for reading", FUSE_SETLK, O_RDONLY, { 0, OFFSET_MAX, F_WRLCK, 1 }, FLOCK, 0 },
	{ "flock, open for writing", FUSE_SETLKW, O_WRONLY, { 0, OFFSET_MAX, F_RDLCK, 1 }, FLOCK, 0 },
	{ "GETLK of nothing", FUSE_GETLK, O_RDWR, { 0, 1, F_UNLCK, 1 }, 0, -EINVAL },
	{ "GETLK for a flock", FUSE_GETLK, O_RDWR, { 0, 1, F_RDLCK, 1 }, FLOCK, -EINVAL },
	{ "GETLK beyond the end", FUSE_GETLK, O_RDWR, { 0, UINT64_MAX, F_RDLCK, 1 }, 0, -EINVAL },
	{ "GETLK, open for reading", FUSE_GETLK, O_RDONLY, { 0, 1, F_WRLCK, 1 }, 0, 0 },
};

START_TEST(arguments)
{
	const uint64_t h = rig_open(FILE_NODE, (uint32_t)checks[_i].open, opened(checks[_i].open));
	struct fuse_lk_in in = { .fh = h, .owner = 3, .lk = checks[_i].lk, .lk_flags = checks[_i].flags };

	ck_assert_int_eq(ask(checks[_i].opcode, &in), checks[_i].want);
	/* Whoever's handle it is not. */
	in.fh ^= 1u << 20;
	ck_assert_int_eq(ask(checks[_i].opcode, &in), -EBADF);
	in.fh = rig_opendir(DIR_NODE);
	ck_assert_int_eq(ask(checks[_i].opcode, &in), -EBADF);
	rig_ask(checks[_i].opcode, DIR_NODE, &in, sizeof(in), NULL, 0);
	rig_expect_error(-EISDIR);
} END_TEST

/* Not asked for, or not agreed on: as if it did not exist. */
START_TEST(not_served)
{
	static const struct {
		uint64_t offered;
		uint32_t dev;
		int	posix, flock;
	} rows[] = {
		{ ~UINT64_C(0), 0, -ENOSYS, -ENOSYS },
		{ ~UINT64_C(0), DEV_POSIX_LOCK, 0, -ENOSYS },
		{ ~UINT64_C(0), DEV_FLOCK, -ENOSYS, 0 },
		{ ~(uint64_t)FUSE_POSIX_LOCKS, DEV_POSIX_LOCK | DEV_FLOCK, -ENOSYS, 0 },
		{ ~(uint64_t)FUSE_FLOCK_LOCKS, DEV_POSIX_LOCK | DEV_FLOCK, 0, -ENOSYS },
	};
	const struct fuse_lk_in get = request(fh, 1, F_WRLCK, 0, 1, POSIX);

	fake.s.dev.flags = rows[_i].dev;
	rig_init(rows[_i].offered);
	rig_know(FILE_NODE, S_IFREG | 0644);
	fh = rig_open(FILE_NODE, O_RDWR, opened(O_RDWR));
	ck_assert_int_eq(setlk(1, F_RDLCK, 0, 1, POSIX), rows[_i].posix);
	ck_assert_int_eq(setlk(2, F_RDLCK, 0, OFFSET_MAX, FLOCK), rows[_i].flock);
	rig_ask(FUSE_GETLK, FILE_NODE, &get, sizeof(get), NULL, 0);
	ck_assert_int_eq(rig_error(), rows[_i].posix == 0 ? -EBADF : -ENOSYS);
} END_TEST

START_TEST(getlk)
{
	struct fuse_lk_in in = request(fh, 1, F_WRLCK, 0, 100, POSIX);
	const struct fuse_lk_out *o;
	int fd = opened(O_RDWR);
	struct flock f = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 50, .l_len = 0 };

	rig_ask(FUSE_GETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
	o = rig_body(sizeof(*o));
	ck_assert(o->lk.type == F_UNLCK && o->lk.start == 0 && o->lk.end == 0 && o->lk.pid == 0);
	/* Of the guest: its process is named. */
	ck_assert_int_eq(setlk(2, F_RDLCK, 10, 19, POSIX), 0);
	rig_ask(FUSE_GETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
	o = rig_body(sizeof(*o));
	ck_assert(o->lk.type == F_RDLCK && o->lk.start == 10 && o->lk.end == 19 && o->lk.pid == 7);
	in.owner = 2;
	rig_ask(FUSE_GETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
	o = rig_body(sizeof(*o));
	ck_assert_uint_eq(o->lk.type, F_UNLCK);
	/* Of the host: nobody the guest knows. */
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &f), 0);
	rig_ask(FUSE_GETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
	o = rig_body(sizeof(*o));
	ck_assert(o->lk.type == F_RDLCK && o->lk.start == 50 && o->lk.end == OFFSET_MAX && o->lk.pid == 0);
	close(fd);
	/* Of a file that the worker serves: through an open file of the owner's own. */
	in.fh = rig_open(FILE_NODE, O_RDWR, -1);
	in.owner = 3;
	ck_assert_int_eq(ask(FUSE_GETLK, &in), 0);
	o = rig_body(sizeof(*o));
	ck_assert(o->lk.type == F_RDLCK && o->lk.start == 10);
} END_TEST

/* A reader that comes with a handle for writing. */
START_TEST(upgrade)
{
	const uint64_t readable = rig_open(FILE_NODE, O_RDONLY, opened(O_RDONLY));
	struct fuse_lk_in in = request(readable, 1, F_RDLCK, 0, 9, POSIX);
	const struct rpc_open *q;

	rig_ask(FUSE_SETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
	q = rig_rpc(RPC_LOCKOPEN);
	ck_assert_uint_eq(q->flags, O_RDONLY);
	ck_assert(fake_answer((const uint32_t[]){ S_IFREG, 0 }, 8, NULL, 0, opened(O_RDONLY)));
	rig_body(0);
	in = request(fh, 1, F_WRLCK, 5, 5, POSIX);
	rig_ask(FUSE_SETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
	q = rig_rpc(RPC_LOCKOPEN);
	ck_assert_uint_eq(q->flags, O_RDWR);
	ck_assert(fake_answer((const uint32_t[]){ S_IFREG, 0 }, 8, NULL, 0, opened(O_RDWR)));
	rig_body(0);
	ck_assert_int_eq(seen(4), F_RDLCK);
	ck_assert_int_eq(seen(5), F_WRLCK);
} END_TEST

/* The host lets nobody write what the guest has open for writing: what does not need that is locked nevertheless. */
START_TEST(denied)
{
	static const int errors[] = { -EACCES, -EPERM };
	static const struct {
		uint32_t owner, type, flags;
		int error;
	} locks[] = {
		{ 1, F_WRLCK, POSIX, -ENOLCK }, { 1, F_RDLCK, POSIX, 0 }, { 1, F_WRLCK, POSIX, -ENOLCK }, { 2, F_WRLCK, FLOCK, 0 },
		{ 3, F_RDLCK, FLOCK, -EAGAIN },
	};
	const unsigned before = fds();
	struct fuse_lk_in in = request(fh, 1, F_RDLCK, 0, 9, POSIX);

	for (unsigned i = 0; i < countof(errors); i++) {
		rig_ask(FUSE_SETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
		rig_rpc(RPC_LOCKOPEN);
		ck_assert(fake_answer_error(errors[i]));
		rig_expect_error(-ENOLCK);
	}
	for (unsigned i = 0; i < countof(locks); i++) {
		in = request(fh, locks[i].owner, locks[i].type, 0, locks[i].flags == POSIX ? 9 : OFFSET_MAX, locks[i].flags);
		rig_ask(FUSE_SETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
		ck_assert_uint_eq(((const struct rpc_open *)rig_rpc(RPC_LOCKOPEN))->flags, O_RDWR);
		ck_assert(fake_answer((const uint32_t[]){ S_IFREG, RPC_OPENED_RDONLY }, 8, NULL, 0, opened(O_RDONLY)));
		ck_assert_int_eq(rig_error(), locks[i].error);
	}
	ck_assert_int_eq(seen(5), F_RDLCK);
	ck_assert(!flock_is_free());
	/* One open file an owner, whoever was refused. */
	ck_assert_uint_eq(fds(), before + 3);
	/* It may be allowed again. */
	ck_assert_int_eq(setlk(1, F_WRLCK, 5, 5, POSIX), 0);
	ck_assert_int_eq(seen(5), F_WRLCK);
	ck_assert_int_eq(seen(6), F_RDLCK);
} END_TEST

static void
flush(uint64_t handle, uint64_t owner)
{
	const struct fuse_flush_in in = { .fh = handle, .lock_owner = owner };

	rig_ask(FUSE_FLUSH, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_body(0);
}

static void
release(uint64_t handle, uint64_t owner)
{
	const struct fuse_release_in in = { .fh = handle, .lock_owner = owner, .release_flags = FUSE_RELEASE_FLOCK_UNLOCK };

	rig_ask(FUSE_RELEASE, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_body(0);
}

START_TEST(ends)
{
	const uint64_t second = rig_open(FILE_NODE, O_RDWR, opened(O_RDWR));
	struct fuse_lk_in in;
	unsigned before = fds();

	ck_assert_int_eq(setlk(1, F_WRLCK, 0, 9, POSIX), 0);
	ck_assert_int_eq(setlk(2, F_WRLCK, 10, 19, POSIX), 0);
	ck_assert_int_eq(setlk(3, F_WRLCK, 0, OFFSET_MAX, FLOCK), 0);
	/* close() of another open file of the same process. */
	flush(second, 1);
	ck_assert_int_eq(seen(0), F_UNLCK);
	ck_assert_int_eq(seen(10), F_WRLCK);
	flush(second, 99);
	ck_assert_int_eq(seen(10), F_WRLCK);
	/* An open file's own fcntl lock ends with it, though Linux does not say so. */
	in = request(second, 4, F_WRLCK, 30, 39, POSIX);
	ck_assert_int_eq(ask(FUSE_SETLK, &in), 0);
	release(second, 4);
	ck_assert_int_eq(seen(30), F_UNLCK);
	ck_assert_int_eq(seen(10), F_WRLCK);
	ck_assert(!flock_is_free());
	release(fh, 3);
	ck_assert_int_eq(seen(10), F_UNLCK);
	ck_assert(flock_is_free());
	ck_assert_uint_eq(fds(), before - 2);
} END_TEST

START_TEST(session_ends)
{
	const struct fuse_lk_in wait = request(fh, 2, F_WRLCK, 0, 9, POSIX);

	ck_assert_int_eq(setlk(1, F_WRLCK, 0, 9, POSIX), 0);
	ck_assert_int_eq(setlk(3, F_WRLCK, 0, OFFSET_MAX, FLOCK), 0);
	rig_ask(FUSE_SETLKW, FILE_NODE, &wait, sizeof(wait), NULL, 0);
	rig_rpc(RPC_LOCKOPEN);
	ck_assert(fake_answer((const uint32_t[]){ S_IFREG, 0 }, 8, NULL, 0, opened(O_RDWR)));
	ck_assert_uint_eq(fake.parked, 1);
	ck_assert_uint_eq(fake.live, 1);
	/* Of a guest that is gone nobody hears. */
	fake.guest_gone = _i == 1;
	rig_sent -= fake.guest_gone;
	if (_i < 2) {
		rig_init(~UINT64_C(0));
	} else {
		rig_compose(FUSE_DESTROY, 0, NULL, 0, NULL, 0);
		rig_send(0);
		rig_rpc(RPC_RESET);
		ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	}
	ck_assert_uint_eq(fake.parked, 0);
	ck_assert_uint_eq(fake.live, 0);
	ck_assert_int_eq(seen(0), F_UNLCK);
	ck_assert(flock_is_free());
} END_TEST

static void
begin_wait(uint64_t owner)
{
	const struct fuse_lk_in in = request(fh, owner, F_WRLCK, 0, 9, POSIX);

	rig_ask(FUSE_SETLKW, FILE_NODE, &in, sizeof(in), NULL, 0);
	if (fake_rpc() != NULL)
		ck_assert(fake_answer((const uint32_t[]){ S_IFREG, 0 }, 8, NULL, 0, opened(O_RDWR)));
}

START_TEST(waits)
{
	struct fuse_interrupt_in intr;
	uint64_t unique;

	ck_assert_int_eq(setlk(1, F_WRLCK, 0, 9, POSIX), 0);
	begin_wait(2);
	ck_assert_uint_eq(fake.parked, 1);
	unique = rig_header()->unique;
	/* Somebody else's request, one that is not waiting, half of one. */
	for (unsigned i = 0; i < 3; i++) {
		intr.unique = i == 0 ? unique + 1 : i == 1 ? 0 : unique;
		rig_compose(FUSE_INTERRUPT, 0, NULL, 0, &intr, i == 2 ? 7 : 8);
		rig_send(0);
		ck_assert_uint_eq(fake.parked, 1);
	}
	intr.unique = unique;
	rig_compose(FUSE_INTERRUPT, 0, NULL, 0, &intr, sizeof(intr));
	rig_send(0);
	ck_assert_uint_eq(fake.parked, 0);
	ck_assert_uint_eq(fake.live, 0);
	rig_forget_counts();
	/* Nobody waits who need not. */
	begin_wait(1);
	ck_assert_uint_eq(fake.parked, 0);
	rig_body(0);
	/* Too many of them. */
	fake.may_park = false;
	begin_wait(3);
	rig_expect_error(-ENOLCK);
	fake.may_park = true;
	/* The handle is closed meanwhile. */
	begin_wait(2);
	ck_assert_uint_eq(fake.parked, 1);
	release(fh, 0);
	ck_assert_uint_eq(fake.parked, 0);
	ck_assert_uint_eq(fake.live, 0);
	ck_assert_int_eq(seen(0), F_UNLCK);
} END_TEST

/* Closed between the request and what the worker says: no lock stays behind. */
START_TEST(closed_meanwhile)
{
	const struct fuse_lk_in in = request(fh, 1, F_WRLCK, 0, 9, _i == 1 ? FLOCK : POSIX);
	const struct fuse_release_in rel = { .fh = fh };

	rig_ask(_i == 2 ? FUSE_SETLKW : FUSE_SETLK, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_rpc(RPC_LOCKOPEN);
	rig_compose(FUSE_RELEASE, FILE_NODE, &rel, sizeof(rel), NULL, 0);
	rig_send(4096);
	rig_forget_counts();
	rig_sent++;
	ck_assert(fake_answer((const uint32_t[]){ S_IFREG, 0 }, 8, NULL, 0, opened(O_RDWR)));
	ck_assert_uint_eq(fake.live, 0);
	ck_assert_int_eq(((const struct fuse_out_header *)(const void *)fake.reply)->error, -EBADF);
	ck_assert_int_eq(seen(0), F_UNLCK);
	ck_assert(flock_is_free());
} END_TEST

/* As much as a guest likes: the open files are bounded, and those of nobody make room. */
START_TEST(many_owners)
{
	unsigned owners, ranges, refused = 0;

	for (uint64_t i = 0; i < 100; i++) {
		int e = setlk(i, F_WRLCK, i, i, POSIX);

		ck_assert(e == 0 || e == -ENOLCK);
		refused += e != 0;
	}
	lock_owners_count(&owners, &ranges);
	ck_assert_uint_eq(owners, 64);
	ck_assert_uint_eq(refused, 36);
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(setlk(i, F_UNLCK, 0, OFFSET_MAX, POSIX), 0);
	for (uint64_t i = 200; i < 300; i++) {
		ck_assert_int_eq(setlk(i, F_WRLCK, 5, 5, POSIX), 0);
		ck_assert_int_eq(setlk(i, F_UNLCK, 5, 5, POSIX), 0);
	}
	ck_assert_uint_lt(fds(), 100);
} END_TEST

int
main(void)
{
	Suite *s = suite_create("fuse_lock");
	TCase *t = tcase_create("ok");
	SRunner *r;
	int failed;

	log_init(rig_quiet, LOG_DEBUG);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_open_file_an_owner);
	tcase_add_test(t, flocks);
	tcase_add_loop_test(t, arguments, 0, (int)countof(checks));
	tcase_add_loop_test(t, not_served, 0, 5);
	tcase_add_test(t, getlk);
	tcase_add_test(t, upgrade);
	tcase_add_test(t, denied);
	tcase_add_test(t, ends);
	tcase_add_loop_test(t, session_ends, 0, 3);
	tcase_add_test(t, waits);
	tcase_add_loop_test(t, closed_meanwhile, 0, 3);
	tcase_add_test(t, many_owners);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
