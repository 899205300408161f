/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of the front's FUSE code: open files, donated ones (whose bytes move here) and others. Links what
 * check_fuse_decode links.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/log.h"
#include "front/fuse.h"
#include "front/handles.h"
#include "tests/unit/fuse_rig.h"

#define MIB (1u << 20)

static off_t not_cached;	/* RWF_NOWAIT finds nothing from here on; 0: as the file system says */

/* In place of libc's. */
ssize_t
preadv2(int fd, const struct iovec *v, int n, off_t off, int flags)
{
	struct iovec part[1024];
	int parts = 0;

	if ((flags & RWF_NOWAIT) == 0 || not_cached == 0)
		return syscall(SYS_preadv2, fd, v, (long)n, off, 0L, flags);
	for (off_t end = off; parts < n && end < not_cached; parts++) {
		part[parts] = v[parts];
		if (end + (off_t)v[parts].iov_len > not_cached)
			part[parts].iov_len = (size_t)(not_cached - end);
		end += (off_t)part[parts].iov_len;
	}
	if (parts == 0) {
		errno = EAGAIN;
		return -1;
	}
	return syscall(SYS_preadv2, fd, part, (long)parts, off, 0L, 0);
}

static int
temp_file(const char *content)
{
	char name[] = "/tmp/check_fuse_data.XXXXXX";
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	unlink(name);
	ck_assert_int_eq(write(fd, content, strlen(content)), strlen(content));
	return fd;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static void
do_read(uint64_t fh, uint64_t off, uint32_t size, size_t room)
{
	struct fuse_read_in in = { .fh = fh, .offset = off, .size = size };

	rig_compose(FUSE_READ, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_send_split(SPLIT_ODD, room, SPLIT_SEVEN);
}

static void
do_write(uint64_t fh, uint64_t off, const char *data, size_t len, uint32_t size, uint32_t flags)
{
	struct fuse_write_in in = { .fh = fh, .offset = off, .size = size, .flags = flags };

	rig_compose(FUSE_WRITE, FILE_NODE, &in, sizeof(in), data, len);
	rig_send_split(SPLIT_ODD, 24, SPLIT_BYTE);
}

/* As Linux writes its page cache back. */
static void
do_write_back(uint64_t fh, uint64_t off, const char *data, size_t len)
{
	struct fuse_write_in in = { .fh = fh, .offset = off, .size = (uint32_t)len, .write_flags = FUSE_WRITE_CACHE };

	rig_compose(FUSE_WRITE, FILE_NODE, &in, sizeof(in), data, len);
	rig_send(24);
}

static uint32_t
written(void)
{
	return ((const struct fuse_write_out *)rig_body(8))->size;
}

START_TEST(donated_read)
{
	int fd = temp_file("0123456789abcdef");
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, fd);

	do_read(fh, 0, 16, 4096);
	ck_assert_mem_eq(rig_body(16), "0123456789abcdef", 16);
	do_read(fh, 10, 100, 4096);
	ck_assert_mem_eq(rig_body(6), "abcdef", 6);
	/* Lying sizes: the room counts. */
	do_read(fh, 0, UINT32_MAX, 16 + 5);
	ck_assert_mem_eq(rig_body(5), "01234", 5);
	do_read(fh, 0, UINT32_MAX, 4096);
	rig_body(16);
	do_read(fh, 0, 5, 16);
	rig_body(0);
	do_read(fh, 0, 0, 4096);
	rig_body(0);
	do_read(fh, 16, 1, 4096);
	rig_body(0);
	do_read(fh, UINT64_C(1) << 63, 1, 4096);
	rig_expect_error(-EINVAL);
	do_read(fh, UINT64_MAX, 1, 4096);
	rig_expect_error(-EINVAL);
	ck_assert_ptr_null(fake_rpc());
	ck_assert(is_open(fd));
	rig_compose(FUSE_RELEASE, FILE_NODE, (const uint64_t[]){ fh, 0, 0 }, 24, NULL, 0);
	rig_send(16);
	rig_body(0);
	ck_assert(!is_open(fd));
	do_read(fh, 0, 1, 4096);
	rig_expect_error(-EBADF);
} END_TEST

START_TEST(donated_write)
{
	int fd = temp_file("0123456789");
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, fd);
	char buf[32] = "";

	for (int slow = 0; slow < 2; slow++) {
		fake.slow = slow != 0;
		do_write(fh, 4, "WXYZ", 4, 4, 0);
		ck_assert_uint_eq(written(), 4);
		/* Size and data disagree: the smaller one counts. */
		do_write(fh, 0, "ab", 2, 100, 0);
		ck_assert_uint_eq(written(), 2);
		do_write(fh, 0, "cdef", 4, 1, 0);
		ck_assert_uint_eq(written(), 1);
		do_write(fh, 0, "", 0, 4, 0);
		ck_assert_uint_eq(written(), 0);
		do_write(fh, 0, "ab", 2, UINT32_MAX, O_APPEND);
		ck_assert_uint_eq(written(), 2);
		do_write(fh, UINT64_C(1) << 63, "ab", 2, 2, 0);
		rig_expect_error(-EINVAL);
	}
	ck_assert_uint_gt(fake.pooled, 0);
	ck_assert_int_eq(pread(fd, buf, sizeof(buf), 0), 14);
	ck_assert_str_eq(buf, "cb23WXYZ89abab");
	ck_assert_ptr_null(fake_rpc());
} END_TEST

/* No space for the unprivileged (here: /dev/full): the worker gets what is left. */
START_TEST(write_no_space)
{
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, open("/dev/full", O_RDWR)), count = 3;
	const struct rpc_io *w;

	for (int slow = 0; slow < 2; slow++) {
		fake.slow = slow != 0;
		do_write(fh, 7, "data", 4, 4, 0);
		w = rig_rpc(RPC_WRITE);
		ck_assert_uint_eq(w->f.hflags, RPC_FILE_HANDLE | RPC_FILE_ONCE);
		ck_assert_uint_eq(w->offset, 7);
		ck_assert_uint_eq(w->size, 4);
		ck_assert_mem_eq(fake_arena(), "data", 4);
		ck_assert(fake_answer(&count, 8, NULL, 0, -1));
		ck_assert_uint_eq(written(), 3);
		do_write(fh, 7, "data", 4, 4, 0);
		ck_assert(fake_answer_error(-ENOSPC));
		rig_expect_error(-ENOSPC);
		/* A worker that may not write there has nothing to say about the space; one that may has. */
		do_write(fh, 7, "data", 4, 4, 0);
		ck_assert(fake_answer_error(-EACCES));
		rig_expect_error(-ENOSPC);
		do_write(fh, 7, "data", 4, 4, 0);
		ck_assert(fake_answer_error(-EIO));
		rig_expect_error(-EIO);
	}
	ck_assert_uint_eq(fake.returned, 4);
} END_TEST

/* An error behind some data: a program hears of the data; a page cache looks at nothing but the error. */
START_TEST(write_fails_half_way)
{
	const struct rlimit small = { .rlim_cur = MIB, .rlim_max = RLIM_INFINITY };
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, temp_file(""));

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int slow = 0; slow < 2; slow++) {
		fake.slow = slow != 0;
		do_write(fh, MIB - 4, "abcdefgh", 8, 8, 0);
		ck_assert_uint_eq(written(), 4);
		do_write_back(fh, MIB - 4, "abcdefgh", 8);
		rig_expect_error(-EFBIG);
		do_write_back(fh, MIB - 4, "abcd", 4);
		ck_assert_uint_eq(written(), 4);
	}
} END_TEST

/* Likewise through the worker, which says how far it came, and why it did not come further only when asked again. */
START_TEST(lane_write_fails_half_way)
{
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, -1), count = 3;
	const struct rpc_io *w;

	do_write(fh, 7, "hello", 5, 5, 0);
	ck_assert(fake_answer(&count, 8, NULL, 0, -1));
	ck_assert_uint_eq(written(), 3);
	for (int full = 0; full < 2; full++) {
		do_write_back(fh, 7, "hello", 5);
		count = 3;
		ck_assert(fake_answer(&count, 8, NULL, 0, -1));
		w = rig_rpc(RPC_WRITE);
		ck_assert(w->offset == 10 && w->size == 2 && w->h.alen == 2 && w->ioflags == 0);
		ck_assert_mem_eq(fake_arena(), "lo", 2);
		count = 2;
		ck_assert(full ? fake_answer_error(-ENOSPC) : fake_answer(&count, 8, NULL, 0, -1));
		if (full)
			rig_expect_error(-ENOSPC);
		else
			ck_assert_uint_eq(written(), 5);
	}
	/* It says nothing at all. */
	do_write_back(fh, 7, "hello", 5);
	count = 0;
	ck_assert(fake_answer(&count, 8, NULL, 0, -1));
	rig_expect_error(-EIO);
	ck_assert_ptr_null(fake_rpc());
} END_TEST

START_TEST(setid_goes_to_the_worker)
{
	int fd = temp_file("0123");
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, fd);
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 04755 };
	struct rpc_entry_body e;

	rig_ask(FUSE_SETATTR, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_entry(&e, FILE_NODE, S_IFREG | 04755);
	ck_assert(fake_answer(&e.attr, sizeof(e.attr), NULL, 0, -1));
	do_write(fh, 0, "x", 1, 1, 0);
	rig_rpc(RPC_WRITE);
	ck_assert(fake_answer_error(-EIO));
} END_TEST

/* Opened while some file gets set-id bits: it may be this one, and whoever marked its handles did not see this one. */
START_TEST(setid_while_opening)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 04755 };
	struct fuse_open_in open = { .flags = O_RDWR };
	const uint32_t body[2] = { S_IFREG | 0644, 0 };
	int fd = temp_file("0123");
	struct rpc_entry_body e;
	struct fuse_open_out out;

	rig_compose(FUSE_OPEN, FILE_NODE, &open, sizeof(open), NULL, 0);
	rig_send(32);
	rig_compose(FUSE_SETATTR, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_send(120);
	rig_rpc(RPC_OPEN);
	ck_assert(fake_answer(body, sizeof(body), NULL, 0, fd));
	memcpy(&out, fake.reply + OUT_HEADER, sizeof(out));
	do_write(out.fh, 0, "x", 1, 1, 0);
	rig_rpc(RPC_SETATTR);
	rig_entry(&e, FILE_NODE, S_IFREG | 04755);
	ck_assert(fake_answer(&e.attr, sizeof(e.attr), NULL, 0, -1));
	rig_rpc(RPC_WRITE);
	ck_assert(fake_answer_error(-EIO));
} END_TEST

/* P2: where the worker may not open for reading as well, the handle is what it is, and is opened again as that. */
START_TEST(write_only)
{
	struct fuse_open_in in = { .flags = O_WRONLY | O_APPEND };
	const uint32_t body[2] = { S_IFREG | 0200, RPC_OPENED_WRONLY };
	const struct rpc_open *w;
	uint64_t count = 1, fh;

	fake.s.dev.flags |= DEV_WRITEBACK;
	rig_init(~UINT64_C(0));
	rig_know(FILE_NODE, S_IFREG | 0200);
	for (int denied = 0; denied < 2; denied++) {
		rig_ask(FUSE_OPEN, FILE_NODE, &in, sizeof(in), NULL, 0);
		w = rig_rpc(RPC_OPEN);
		ck_assert_uint_eq(w->flags, O_RDWR);
		ck_assert_uint_eq(w->oflags, RPC_OPEN_READ_TOO);
		ck_assert(fake_answer(denied ? body : (const uint32_t[]){ S_IFREG | 0200, 0 }, sizeof(body), NULL, 0, -1));
		fh = ((const struct fuse_open_out *)rig_body(sizeof(struct fuse_open_out)))->fh;
		do_write(fh, 0, "x", 1, 1, O_WRONLY);
		ck_assert_uint_eq(((const struct rpc_io *)rig_rpc(RPC_WRITE))->f.flags, denied ? O_WRONLY : O_RDWR);
		ck_assert(fake_answer(&count, 8, NULL, 0, -1));
	}
} END_TEST

START_TEST(donated_others)
{
	int fd = temp_file("0123456789"), fd2 = temp_file(""), fd3 = temp_file("x");
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, fd), fh2 = rig_open(DIR_NODE, O_RDWR, fd2);
	struct fuse_fallocate_in fa = { .fh = fh, .offset = 0, .length = 8192 };
	struct fuse_copy_file_range_in cp = { .fh_in = fh, .nodeid_out = DIR_NODE, .fh_out = fh2, .len = UINT64_MAX };
	struct fuse_getattr_in ga = { .getattr_flags = FUSE_GETATTR_FH, .fh = fh };
	char buf[16] = "";
	struct stat st;

	/* Where that takes long, the pool asks. */
	for (fake.slow = false;; fake.slow = true) {
		unsigned before = fake.pooled;

		rig_ask(FUSE_LSEEK, FILE_NODE, (const uint64_t[]){ fh, 0, SEEK_END }, 24, NULL, 0);
		ck_assert_uint_eq(((const struct fuse_lseek_out *)rig_body(8))->offset, 10);
		rig_ask(FUSE_GETATTR, FILE_NODE, &ga, sizeof(ga), NULL, 0);
		ck_assert_uint_eq(((const struct fuse_attr_out *)rig_body(sizeof(struct fuse_attr_out)))->attr.size, 10);
		ck_assert_uint_eq(fake.pooled - before, fake.slow ? 2 : 0);
		if (fake.slow)
			break;
	}
	fake.slow = false;
	rig_ask(FUSE_LSEEK, FILE_NODE, (const uint64_t[]){ fh, 100, SEEK_DATA }, 24, NULL, 0);
	rig_expect_error(-ENXIO);
	rig_ask(FUSE_LSEEK, FILE_NODE, (const uint64_t[]){ fh, UINT64_C(1) << 63, SEEK_SET }, 24, NULL, 0);
	rig_expect_error(-EINVAL);
	rig_ask(FUSE_LSEEK, FILE_NODE, (const uint64_t[]){ fh, 0, UINT32_MAX }, 24, NULL, 0);
	rig_expect_error(-EINVAL);
	rig_ask(FUSE_COPY_FILE_RANGE, FILE_NODE, &cp, sizeof(cp), NULL, 0);
	ck_assert_uint_eq(written(), 10);
	ck_assert_int_eq(pread(fd2, buf, 16, 0), 10);
	ck_assert_str_eq(buf, "0123456789");
	cp.off_in = UINT64_C(1) << 63;
	rig_ask(FUSE_COPY_FILE_RANGE, FILE_NODE, &cp, sizeof(cp), NULL, 0);
	rig_expect_error(-EINVAL);
	cp.off_in = 0;
	cp.fh_out = fh;
	rig_ask(FUSE_COPY_FILE_RANGE, FILE_NODE, &cp, sizeof(cp), NULL, 0);
	rig_expect_error(-EBADF);
	rig_ask(FUSE_FALLOCATE, FILE_NODE, &fa, sizeof(fa), NULL, 0);
	rig_body(0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 8192);
	fa.offset = UINT64_C(1) << 63;
	rig_ask(FUSE_FALLOCATE, FILE_NODE, &fa, sizeof(fa), NULL, 0);
	rig_expect_error(-EINVAL);
	rig_ask(FUSE_GETATTR, FILE_NODE, &ga, sizeof(ga), NULL, 0);
	ck_assert_uint_eq(((const struct fuse_attr_out *)rig_body(104))->attr.size, 8192);
	/* A wrong fh is no error here. */
	ga.fh = 77777;
	rig_ask(FUSE_GETATTR, FILE_NODE, &ga, sizeof(ga), NULL, 0);
	ck_assert_uint_eq(((const struct rpc_getattr *)rig_rpc(RPC_GETATTR))->f.hflags, 0);
	ck_assert(fake_answer_error(-EIO));
	for (fake.slow = false;; fake.slow = true) {
		rig_ask(FUSE_FLUSH, FILE_NODE, (const uint64_t[]){ fh, 0, 0 }, 24, NULL, 0);
		rig_body(0);
		rig_ask(FUSE_FSYNC, FILE_NODE, (const uint64_t[]){ fh, fake.slow }, 16, NULL, 0);
		rig_body(0);
		if (fake.slow)
			break;
	}
	/* INIT closes what is open. */
	rig_open(FILE_NODE, O_RDONLY, fd3);
	ck_assert(is_open(fd) && is_open(fd2) && is_open(fd3));
	rig_init(0);
	ck_assert(!is_open(fd) && !is_open(fd2) && !is_open(fd3));
} END_TEST

/* Released, wiped or the session over while the worker still works on it. */
START_TEST(held_while_in_flight)
{
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, -1), count = 5;

	do_read(fh, 0, 5, 4096);
	handles_wipe();
	memcpy(fake_arena(), "abcde", 5);
	ck_assert(fake_answer(&count, 8, NULL, 0, -1));
	ck_assert_mem_eq(rig_body(5), "abcde", 5);
	do_read(fh, 0, 5, 4096);
	rig_expect_error(-EBADF);
} END_TEST

START_TEST(lane_io)
{
	uint64_t fh = rig_open(FILE_NODE, O_RDONLY, -1), count = 6;
	const struct rpc_io *w;

	do_read(fh, 3, 5, 4096);
	w = rig_rpc(RPC_READ);
	ck_assert(w->offset == 3 && w->size == 5 && w->f.fh == fh && w->f.node == FILE_NODE && w->h.alen == 5);
	rig_expect_lie(&count, sizeof(count));
	ck_assert(fake_answer_error(-EIO));
	rig_expect_error(-EIO);
	do_write(fh, 9, "hello", 5, 5, O_APPEND);
	w = rig_rpc(RPC_WRITE);
	ck_assert(w->offset == 9 && w->size == 5 && w->ioflags == RPC_IO_APPEND);
	ck_assert_mem_eq(fake_arena(), "hello", 5);
	/* More than there was: never told to the guest. */
	rig_expect_lie(&count, sizeof(count));
	count = UINT64_MAX;
	rig_expect_lie(&count, sizeof(count));
	count = 5;
	ck_assert(fake_answer(&count, 8, NULL, 0, -1));
	ck_assert_uint_eq(written(), 5);
	/* Less data than the size says. */
	do_write(fh, 9, "hello", 5, 100, 0);
	w = rig_rpc(RPC_WRITE);
	ck_assert(w->size == 5 && w->h.alen == 5);
	ck_assert(fake_answer_error(-EIO));
	/* A read of nothing, answered with something. */
	do_read(fh, 0, 0, 4096);
	count = 1;
	ck_assert(fake_answer(&count, 8, NULL, 0, -1));
	ck_assert_uint_le(fake.used, 16);
} END_TEST

#define LARGEST (16u * MIB)	/* 256 pages of 64 KiB */

static uint8_t content[LARGEST + 1];

static void
make_content(void)
{
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 31 + (i >> 12) * 7 + (i >> 20));
}

static void
expect_content(size_t off, size_t n)
{
	ck_assert_int_eq(memcmp(rig_body(n), content + off, n), 0);
}

/* A guest with pages of 64 KiB asks for up to 256 of them, and takes less for the end of the file. */
START_TEST(donated_large_read)
{
	static const struct { size_t file, off, size; } reads[] = {
		{ 2 * MIB, 0, 2 * MIB }, { 2 * MIB, 0, 3 * MIB }, { 2 * MIB, MIB, MIB + 1 }, { 3 * MIB + 77, 5, 2 * MIB + 3 },
		{ 3 * MIB + 77, 3 * MIB, 2 * MIB }, { 3 * MIB + 77, 4 * MIB, 2 * MIB }, { LARGEST + 1, 1, LARGEST },
	};

	make_content();
	for (unsigned i = 0; i < 2 * sizeof(reads) / sizeof(reads[0]); i++) {
		const size_t file = reads[i / 2].file, off = reads[i / 2].off, size = reads[i / 2].size;
		int fd = temp_file("");
		uint64_t fh = rig_open(FILE_NODE, O_RDWR, fd);

		ck_assert_int_eq(write(fd, content, file), file);
		fake.slow = i % 2 != 0;
		do_read(fh, off, i % 2 != 0 ? (uint32_t)size : UINT32_MAX, OUT_HEADER + size);
		expect_content(off, off >= file ? 0 : file - off < size ? file - off : size);
		/* It does not hold up the queue: it is the pool's from the beginning. */
		ck_assert_uint_gt(fake.pooled, i);
		if (i > 0)
			continue;
		/* More than any guest has a reason to ask for is not answered with less. */
		do_read(fh, 0, UINT32_MAX, OUT_HEADER + LARGEST + 1);
		rig_expect_error(-ENOMEM);
	}
	ck_assert_ptr_null(fake_rpc());
} END_TEST

/*
 * What the page cache has only a part of is finished in the pool: a READ that RWF_NOWAIT has started all of by the queue's
 * one thread, a larger one by any.
 */
START_TEST(missed_read)
{
	static const struct {
		size_t size, cached;
		bool begun;
	} reads[] = {
		{ 1, 0, true }, { 4096, 0, true }, { 8192, 4096, true }, { 128 << 10, 4096, true },
		{ (128 << 10) + 1, 0, false }, { MIB, 64 << 10, false },
	};

	make_content();
	for (unsigned i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		const unsigned pooled = fake.pooled, begun = fake.begun;
		int fd = temp_file("");
		uint64_t fh = rig_open(FILE_NODE, O_RDWR, fd);

		ck_assert_int_eq(write(fd, content, 2 * MIB), 2 * MIB);
		not_cached = 4096 + (off_t)reads[i].cached;
		do_read(fh, 4096, (uint32_t)reads[i].size, OUT_HEADER + reads[i].size);
		not_cached = 0;
		expect_content(4096, reads[i].size);
		ck_assert_uint_eq(fake.pooled - pooled, 1);
		ck_assert_uint_eq(fake.begun - begun, reads[i].begun);
	}
	ck_assert_ptr_null(fake_rpc());
} END_TEST

/* The worker's answer to one round of a READ: n bytes of the pattern at off. */
static void
answer_round(uint64_t off, uint32_t size, uint64_t n)
{
	const struct rpc_io *w = rig_rpc(RPC_READ);

	ck_assert_uint_eq(w->offset, off);
	ck_assert_uint_eq(w->size, size);
	ck_assert_uint_eq(w->h.alen, size);
	memcpy(fake_arena(), content + off, n);
	ck_assert(fake_answer(&n, 8, NULL, 0, -1));
}

/* What is left to the worker: in rounds of what an arena extent holds, one after another. */
START_TEST(lane_large_read)
{
	uint64_t fh = rig_open(FILE_NODE, O_RDONLY, -1), count = MIB + 1;
	unsigned finished;

	make_content();
	do_read(fh, 3, 2 * MIB + 9, OUT_HEADER + 3 * MIB);
	finished = fake.finished;
	answer_round(3, MIB, MIB);
	answer_round(3 + MIB, MIB, MIB);
	ck_assert_uint_eq(fake.finished, finished);
	answer_round(3 + 2 * MIB, 9, 9);
	expect_content(3, 2 * MIB + 9);
	/* To the end of the file, wherever that is by now. */
	do_read(fh, 0, LARGEST, OUT_HEADER + 3 * MIB);
	answer_round(0, MIB, MIB);
	answer_round(MIB, MIB, 100);
	expect_content(0, MIB + 100);
	do_read(fh, 0, 2 * MIB, OUT_HEADER + 2 * MIB);
	answer_round(0, MIB, MIB);
	answer_round(MIB, MIB, 0);
	expect_content(0, MIB);
	/* Less than asked for would be the end of the file: not if there was an error. */
	do_read(fh, 0, 2 * MIB, OUT_HEADER + 2 * MIB);
	answer_round(0, MIB, MIB);
	rig_rpc(RPC_READ);
	rig_expect_lie(&count, sizeof(count));
	ck_assert(fake_answer_error(-EIO));
	ck_assert_int_eq(rig_error(), -EIO);
	ck_assert_uint_eq(fake.used, OUT_HEADER);
	do_read(fh, 0, LARGEST + 1, OUT_HEADER + LARGEST + 1);
	rig_expect_error(-ENOMEM);
	ck_assert_ptr_null(fake_rpc());
} END_TEST

/* More copied than was asked for: 32 bits of a reply would not even hold it. */
START_TEST(lane_copy)
{
	uint64_t fh = rig_open(FILE_NODE, O_RDWR, -1), count = UINT64_C(1) << 32;
	struct fuse_copy_file_range_in in = { .fh_in = fh, .nodeid_out = FILE_NODE, .fh_out = fh, .off_out = 100, .len = 10 };

	rig_ask(FUSE_COPY_FILE_RANGE, FILE_NODE, &in, sizeof(in), NULL, 0);
	ck_assert_uint_eq(((const struct rpc_copy *)rig_rpc(RPC_COPY))->len, 10);
	rig_expect_lie(&count, sizeof(count));
	count = 11;
	rig_expect_lie(&count, sizeof(count));
	count = 10;
	ck_assert(fake_answer(&count, 8, NULL, 0, -1));
	ck_assert_uint_eq(written(), 10);
} END_TEST

START_TEST(create)
{
	struct fuse_create_in in = { .flags = O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_TMPFILE, .mode = S_IFREG | 0640 };
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} out;
	int fd = temp_file("new");
	struct rpc_entry_body e;
	const struct rpc_create *w;

	in.umask = 022;
	rig_ask(FUSE_CREATE, DIR_NODE, &in, sizeof(in), "f", 2);
	w = rig_rpc(RPC_CREATE);
	ck_assert(w->dir == DIR_NODE && w->mode == (S_IFREG | 0640) && w->umask == 0 && w->uid == 1000);
	ck_assert_uint_eq(w->flags & ~(uint32_t)O_DIRECTORY, O_RDWR | O_EXCL);
	rig_entry(&e, FILE_NODE, S_IFREG | 0640);
	ck_assert(fake_answer(&e, sizeof(e), NULL, 0, fd));
	memcpy(&out, rig_body(sizeof(out)), sizeof(out));
	ck_assert_uint_eq(out.e.nodeid, FILE_NODE);
	do_read(out.o.fh, 0, 10, 4096);
	ck_assert_mem_eq(rig_body(3), "new", 3);
	/* Failed: its handle is gone with it. */
	rig_ask(FUSE_CREATE, DIR_NODE, &in, sizeof(in), "f", 2);
	ck_assert(fake_answer_error(-EEXIST));
	rig_expect_error(-EEXIST);
} END_TEST

START_TEST(wrong_kind)
{
	const uint64_t file = rig_open(FILE_NODE, O_RDWR, -1), dir = rig_opendir(DIR_NODE);
	const uint64_t f[5] = { file, 0, 10 }, d[5] = { dir, 0, 10 };

	rig_ask(FUSE_READDIR, FILE_NODE, f, 40, NULL, 0);
	rig_expect_error(-ENOTDIR);
	rig_ask(FUSE_READ, DIR_NODE, d, 40, NULL, 0);
	rig_expect_error(-EISDIR);
	rig_ask(FUSE_WRITE, DIR_NODE, d, 40, "x", 1);
	rig_expect_error(-EBADF);
	rig_ask(FUSE_FALLOCATE, DIR_NODE, d, 32, NULL, 0);
	rig_expect_error(-EBADF);
	rig_ask(FUSE_LSEEK, DIR_NODE, d, 24, NULL, 0);
	rig_expect_error(-EISDIR);
	rig_ask(FUSE_FLUSH, DIR_NODE, d, 24, NULL, 0);
	rig_body(0);
	/* Either kind of FSYNC syncs either kind of handle, as that one. */
	rig_ask(FUSE_FSYNCDIR, FILE_NODE, f, 16, NULL, 0);
	ck_assert_uint_eq(((const struct rpc_sync *)rig_rpc(RPC_FSYNC))->isdir, 0);
	ck_assert(fake_answer_error(-EIO));
	rig_ask(FUSE_FSYNC, DIR_NODE, d, 16, NULL, 0);
	ck_assert_uint_eq(((const struct rpc_sync *)rig_rpc(RPC_FSYNC))->isdir, 1);
	ck_assert(fake_answer_error(-EIO));
} END_TEST

int
main(void)
{
	Suite *s = suite_create("fuse_data");
	TCase *data = tcase_create("data");
	SRunner *r;
	int failed;

	log_init(rig_quiet, LOG_DEBUG);
	tcase_add_checked_fixture(data, rig_setup, fake_stop);
	tcase_add_test(data, donated_read);
	tcase_add_test(data, donated_large_read);
	tcase_add_test(data, lane_large_read);
	tcase_add_test(data, donated_write);
	tcase_add_test(data, donated_others);
	tcase_add_test(data, write_no_space);
	tcase_add_test(data, write_fails_half_way);
	tcase_add_test(data, lane_write_fails_half_way);
	tcase_add_test(data, setid_while_opening);
	tcase_add_test(data, write_only);
	tcase_add_test(data, setid_goes_to_the_worker);
	tcase_add_test(data, held_while_in_flight);
	tcase_add_test(data, lane_io);
	tcase_add_test(data, missed_read);
	tcase_add_test(data, lane_copy);
	tcase_add_test(data, create);
	tcase_add_test(data, wrong_kind);
	suite_add_tcase(s, data);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
