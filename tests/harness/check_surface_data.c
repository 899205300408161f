/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_data - READ, WRITE, FALLOCATE, LSEEK, COPY_FILE_RANGE: sizes and offsets that disagree, ends of files,
 * O_DIRECT, truncation while open, memory that is not there.
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LANE "--fd-donation=never"
#define BIT63 (1ull << 63)
#define MAX INT64_MAX

static const char *const planes[] = { "", LANE };

static void
begin(const char *name, const char *options, uint32_t opcode, uint64_t *node, uint32_t flags,
    struct fuse_open_out *o)
{
	sf_begin(name, options, SF_DIR, opcode);
	sf_put("f", "0123456789", 0, 0, 0644);
	*node = sf_node("f");
	SF_OK(sf_open(*node, flags, 0, o));
}

/* READ: of a file of 10 bytes, with room for so many bytes of reply. */
static const struct {
	const char *name;
	uint64_t offset;
	uint32_t size;
	size_t room;
	int count;
} reads[] = {
	{ "all of it", 0, 10, 10, 10 },
	{ "behind its end", 4, 100, 100, 6 },
	{ "at its end", 10, 10, 10, 0 },
	{ "far behind it", 1ull << 40, 10, 10, 0 },
	{ "nothing", 0, 0, 16, 0 },
	{ "clamped to the room", 0, 10, 3, 3 },
	{ "clamped to no room", 0, 10, 0, 0 },
	{ "clamped to the size", 0, 3, 100, 3 },
	{ "size 2^32 - 1", 2, ~0u, 100, 8 },
	{ "C21c: offset 2^63", BIT63, 10, 10, -EINVAL },
	{ "C21c: offset 2^64 - 1", ~0ull, 10, 10, -EINVAL },
	{ "C21c: offset 2^63 - 1", MAX, 10, 10, -EINVAL },
	{ "C21c: offset 2^63 - 11", (uint64_t)MAX - 10, 10, 10, 0 },
};

START_TEST(test_read)
{
	size_t i = (size_t)_i % countof(reads);
	struct fuse_read_in in = { .offset = reads[i].offset, .size = reads[i].size };
	struct fc_part part = { &in, sizeof(in) };
	struct fuse_open_out o;
	uint64_t node;
	char name[100];
	int err;

	snprintf(name, sizeof(name), "READ %s %s", reads[i].name, planes[(size_t)_i / countof(reads)]);
	begin(name, planes[(size_t)_i / countof(reads)], FUSE_READ, &node, O_RDONLY, &o);
	in.fh = o.fh;
	/* P19: nothing of the daemon's memory behind what was read: the client's guard bytes stay. */
	err = fc_call(&hc, FUSE_READ, node, &part, 1, reads[i].room);
	SF_EQ(err, reads[i].count < 0 ? reads[i].count : 0);
	SF_EQ(hc.body_len, reads[i].count < 0 ? 0 : reads[i].count);
	if (reads[i].count > 0)
		SF_OK(memcmp(hc.body, "0123456789" + reads[i].offset, (size_t)reads[i].count));
	for (size_t n = hc.body_len; n < reads[i].room; n++)
		SF_EQ(((const unsigned char *)hc.body)[n], 0xa5);
	sf_end();
}
END_TEST

/*
 * READs of a guest with pages of 64 KiB, each page a descriptor: answered in full, whoever moves the data, because less is
 * the end of the file to it. The file is 5 MiB and 7 bytes long.
 */
#define BIG (5u << 20)
#define PAGE_64K 65536u

static const struct {
	const char *name;
	uint64_t offset;
	uint32_t size, count;
} large_reads[] = {
	{ "two rounds", 0, 2u << 20, 2u << 20 },
	{ "not aligned", 12345, (3u << 20) + 1, (3u << 20) + 1 },
	{ "60 pages", 1u << 20, 60 * PAGE_64K, 60 * PAGE_64K },
	{ "to the end", (2u << 20) + 1, 60 * PAGE_64K, (3u << 20) + 6 },
	{ "ends with a round", (3u << 20) + 7, 60 * PAGE_64K, 2u << 20 },
	{ "behind the end", 6u << 20, 60 * PAGE_64K, 0 },
};

static char big[BIG + 7];

/* Send fc_build()'s request with room for size bytes at gpa. Returns used.len. */
static uint32_t
ask_pages(size_t len, uint64_t gpa, uint32_t size)
{
	struct vring_desc sg[VMM_TABLE] = {
		{ .addr = hc.req_gpa, .len = (uint32_t)len },
		{ .addr = hc.rep_gpa, .len = sizeof(struct fuse_out_header), .flags = VRING_DESC_F_WRITE },
	};
	unsigned int n = 2;
	uint32_t id, used;

	for (uint32_t at = 0; at < size; at += PAGE_64K)
		sg[n++] = (struct vring_desc){ .addr = gpa + at, .flags = VRING_DESC_F_WRITE,
			.len = size - at < PAGE_64K ? size - at : PAGE_64K };
	SF_OK(vmm_queue_add(hc.q, sg, n, true) < 0);
	vmm_queue_kick(hc.q);
	SF_OK(vmm_queue_wait(hc.q, VMM_TIMEOUT_MS, &id, &used));
	return used;
}

START_TEST(test_large_read)
{
	const size_t i = (size_t)_i % countof(large_reads);
	struct fuse_read_in in = { .offset = large_reads[i].offset, .size = large_reads[i].size };
	struct fc_part part = { &in, sizeof(in) };
	const struct fuse_out_header *h;
	struct fuse_open_out o;
	uint64_t node, gpa;
	char name[100];

	snprintf(name, sizeof(name), "READ of more than 1 MiB, %s %s", large_reads[i].name,
	    planes[(size_t)_i / countof(large_reads)]);
	begin(name, planes[(size_t)_i / countof(large_reads)], FUSE_READ, &node, O_RDONLY, &o);
	for (size_t k = 0; k < sizeof(big); k++)
		big[k] = (char)(k * 7 + (k >> 9) + (k >> 20));
	h_put(strcat(strcpy(name, sf.rel), "/f"), big, sizeof(big));
	gpa = vmm_alloc(hv, 0, large_reads[i].size, PAGE_64K);
	SF_OK(gpa == 0);
	in.fh = o.fh;
	SF_EQ(ask_pages(fc_build(&hc, FUSE_READ, node, &part, 1), gpa, in.size), sizeof(*h) + large_reads[i].count);
	h = (const void *)hc.rep;
	SF_EQ(h->error, 0);
	SF_EQ(h->len, sizeof(*h) + large_reads[i].count);
	SF_OK(memcmp(vmm_ptr(hv, gpa, in.size), big + in.offset, large_reads[i].count));
	sf_end();
}
END_TEST

/* WRITE: data that the request has and data that it says it has. */
static const struct {
	const char *name;
	uint64_t offset;
	size_t data;
	uint32_t size;
	int count;
	const char *after;
} writes[] = {
	{ "at the start", 0, 3, 3, 3, "abc3456789" },
	{ "over the end", 8, 4, 4, 4, "01234567abcd" },
	{ "nothing", 0, 0, 0, 0, "0123456789" },
	{ "size 0 with data", 0, 4, 0, 0, "0123456789" },
	{ "size without data", 0, 0, 4, 0, "0123456789" },
	{ "more data than size", 0, 8, 2, 2, "ab23456789" },
	{ "less data than size", 0, 2, 8, 2, "ab23456789" },
	{ "size 2^32 - 1", 0, 5, ~0u, 5, "abcde56789" },
	{ "C21c: offset 2^63", BIT63, 3, 3, -EINVAL, "0123456789" },
	{ "C21c: offset 2^64 - 1", ~0ull, 3, 3, -EINVAL, "0123456789" },
	{ "C21c: offset 2^63 - 1", MAX, 3, 3, -EINVAL, "0123456789" },
	{ "no file is as large", (uint64_t)MAX - 4, 3, 3, -EFBIG, "0123456789" },
};

START_TEST(test_write)
{
	size_t i = (size_t)_i % countof(writes);
	const char *plane = planes[(size_t)_i / countof(writes)];
	char name[100], rel[40], buf[32] = "";
	struct fuse_open_out o;
	uint64_t node;

	snprintf(name, sizeof(name), "WRITE %s %s", writes[i].name, plane);
	begin(name, plane, FUSE_WRITE, &node, O_RDWR, &o);
	SF_EQ(sf_write(node, o.fh, writes[i].offset, "abcdefgh", writes[i].data, writes[i].size, 0,
	    0), writes[i].count);
	snprintf(rel, sizeof(rel), "%s/f", sf.rel);
	h_get(rel, buf, sizeof(buf) - 1);
	ck_assert_str_eq(buf, writes[i].after);
	sf_end();
}
END_TEST

/* FALLOCATE: the kernel decides, about what Linux's guests ask for. The file is 10 bytes long. */
static const struct {
	const char *name;
	uint64_t offset, length;
	uint32_t mode;
	int error;
	off_t size;
} allocs[] = {
	{ "plain", 0, 8192, 0, 0, 8192 },
	{ "keeping the size", 0, 8192, 1, 0, 10 },
	{ "punching", 0, 4, 3, 0, 10 },
	{ "punching without keeping", 0, 4, 2, -EOPNOTSUPP, 10 },
	{ "zeroing", 0, 4096, 0x10, 0, 4096 },
	{ "collapsing", 0, 4096, 8, -EOPNOTSUPP, 10 },
	{ "inserting", 0, 4096, 0x20, -EOPNOTSUPP, 10 },
	{ "unsharing", 0, 4096, 0x40, -EOPNOTSUPP, 10 },
	{ "an unknown mode", 0, 4, 0x4000, -EOPNOTSUPP, 10 },
	{ "mode 2^31", 0, 4, 0x80000000u, -EOPNOTSUPP, 10 },
	{ "nothing", 0, 0, 0, -EINVAL, 10 },
	{ "C21c: offset 2^63", BIT63, 4, 0, -EINVAL, 10 },
	{ "C21c: length 2^63", 0, BIT63, 0, -EINVAL, 10 },
	{ "C21c: the sum", MAX, 4, 0, -EFBIG, 10 },
};

START_TEST(test_fallocate)
{
	size_t i = (size_t)_i % countof(allocs);
	const char *plane = planes[(size_t)_i / countof(allocs)];
	struct fuse_open_out o;
	struct stat st;
	uint64_t node;
	char name[100];

	snprintf(name, sizeof(name), "FALLOCATE %s %s", allocs[i].name, plane);
	begin(name, plane, FUSE_FALLOCATE, &node, O_RDWR, &o);
	SF_EQ(fc_fallocate(&hc, node, o.fh, allocs[i].offset, allocs[i].length, allocs[i].mode),
	    allocs[i].error);
	SF_OK(stat(sf_path("f"), &st));
	SF_EQ(st.st_size, allocs[i].size);
	sf_end();
}
END_TEST

/* LSEEK, 10 bytes of data: what lseek(2) says. */
static const struct {
	const char *name;
	uint64_t offset;
	uint32_t whence;
	int64_t result;
} seeks[] = {
	{ "data", 3, SEEK_DATA, 3 },
	{ "a hole", 3, SEEK_HOLE, 10 },
	{ "data at the end", 10, SEEK_DATA, -ENXIO },
	{ "a hole behind the end", 11, SEEK_HOLE, -ENXIO },
	{ "the end", 0, SEEK_END, 10 },
	{ "before the end", (uint64_t)-4, SEEK_END, 6 },
	{ "before the start", (uint64_t)-11, SEEK_END, -EINVAL },
	{ "a place", 77, SEEK_SET, 77 },
	{ "offset 2^63", BIT63, SEEK_SET, -EINVAL },
	{ "data at 2^63", BIT63, SEEK_DATA, -ENXIO },
	{ "whence 5", 0, 5, -EINVAL },
	{ "whence 2^32 - 1", 0, ~0u, -EINVAL },
};

START_TEST(test_lseek)
{
	size_t i = (size_t)_i % countof(seeks);
	const char *plane = planes[(size_t)_i / countof(seeks)];
	struct fuse_open_out o;
	uint64_t node, off = 0;
	char name[100];
	int err;

	snprintf(name, sizeof(name), "LSEEK %s %s", seeks[i].name, plane);
	begin(name, plane, FUSE_LSEEK, &node, O_RDWR, &o);
	err = fc_lseek(&hc, node, o.fh, seeks[i].offset, seeks[i].whence, &off);
	SF_EQ(err < 0 ? err : (int64_t)off, seeks[i].result);
	/* The position it moved is nobody's: data goes by offset. */
	SF_EQ(sf_write(node, o.fh, 0, "x", 1, 1, 0, 0), 1);
	SF_EQ(fc_read(&hc, node, o.fh, 9, name, 5), 1);
	sf_end();
}
END_TEST

static const struct {
	const char *name;
	uint64_t in, out, len, flags;
	int64_t result;
} copies[] = {
	{ "some", 2, 0, 4, 0, 4 },
	{ "up to the end", 8, 0, 100, 0, 2 },
	{ "from the end", 10, 0, 100, 0, 0 },
	{ "nothing", 0, 0, 0, 0, 0 },
	{ "length 2^64 - 1", 0, 0, ~0ull, 0, 10 },
	{ "flags", 0, 0, 4, 1, -EINVAL },
	{ "flags 2^32", 0, 0, 4, 1ull << 32, -EINVAL },
	{ "C21c: from 2^63", BIT63, 0, 4, 0, -EINVAL },
	{ "C21c: to 2^63", 0, BIT63, 4, 0, -EINVAL },
};

START_TEST(test_copy)
{
	size_t i = (size_t)_i % countof(copies);
	const char *plane = planes[(size_t)_i / countof(copies)];
	struct fuse_copy_file_range_in in = {
		.off_in = copies[i].in, .off_out = copies[i].out, .len = copies[i].len,
		.flags = copies[i].flags,
	};
	struct fuse_open_out o, to;
	uint32_t n = 0;
	uint64_t node;
	char name[100];
	int err;

	snprintf(name, sizeof(name), "COPY_FILE_RANGE %s %s", copies[i].name, plane);
	begin(name, plane, FUSE_COPY_FILE_RANGE, &node, O_RDONLY, &o);
	sf_put("g", "", 0, 0, 0644);
	in.nodeid_out = sf_node("g");
	SF_OK(sf_open(in.nodeid_out, O_WRONLY, 0, &to));
	in.fh_in = o.fh;
	in.fh_out = to.fh;
	err = fc_copy_file_range(&hc, &in, node, &n);
	SF_EQ(err < 0 ? err : (int64_t)n, copies[i].result);
	sf_end();
}
END_TEST

/* Requests about a directory's handle. */
static int
dir_read(uint64_t fh)
{
	char buf[8];

	return fc_read(&hc, sf.dir, fh, 0, buf, 8);
}

static int
dir_write(uint64_t fh)
{
	return sf_write(sf.dir, fh, 0, "x", 1, 1, 0, 0);
}

static int
dir_fallocate(uint64_t fh)
{
	return fc_fallocate(&hc, sf.dir, fh, 0, 1, 0);
}

static int
dir_copy(uint64_t fh)
{
	struct fuse_copy_file_range_in in = { .fh_in = fh, .nodeid_out = sf.dir, .fh_out = fh,
		.len = 1 };
	uint32_t n;

	return fc_copy_file_range(&hc, &in, sf.dir, &n);
}

static int
dir_flush(uint64_t fh)
{
	return fc_flush(&hc, sf.dir, fh);
}

static int
dir_fsync(uint64_t fh)
{
	return fc_fsync(&hc, sf.dir, fh, true, false);
}

static int
dir_fsyncdir(uint64_t fh)
{
	return fc_fsync(&hc, sf.dir, fh, false, true);
}

static int
dir_readdir(uint64_t fh)
{
	return fc_readdir(&hc, sf.dir, fh, 0, 4096, false) > 0 ? 0 : -EIO;
}

static int
dir_release(uint64_t fh)
{
	return fc_release(&hc, sf.dir, fh);
}

static int
dir_releasedir(uint64_t fh)
{
	return fc_releasedir(&hc, sf.dir, fh);
}

static const struct {
	const char *name;
	uint32_t opcode;
	int (*run)(uint64_t fh);
	int error;
} dirs[] = {
	{ "READ", FUSE_READ, dir_read, -EISDIR }, { "WRITE", FUSE_WRITE, dir_write, -EBADF },
	{ "FALLOCATE", FUSE_FALLOCATE, dir_fallocate, -EBADF },
	{ "COPY_FILE_RANGE", FUSE_COPY_FILE_RANGE, dir_copy, -EISDIR },
	{ "FLUSH", FUSE_FLUSH, dir_flush, 0 }, { "FSYNC", FUSE_FSYNC, dir_fsync, 0 },
	{ "FSYNCDIR", FUSE_FSYNCDIR, dir_fsyncdir, 0 }, { "READDIR", FUSE_READDIR, dir_readdir, 0 },
	{ "RELEASE", FUSE_RELEASE, dir_release, 0 },
	{ "RELEASEDIR", FUSE_RELEASEDIR, dir_releasedir, 0 },
};

START_TEST(test_directory)
{
	bool by_open = (size_t)_i >= countof(dirs);
	size_t i = (size_t)_i % countof(dirs);
	struct fuse_open_out o;
	char name[100];

	snprintf(name, sizeof(name), "%s on a directory from %s", dirs[i].name,
	    by_open ? "OPEN" : "OPENDIR");
	sf_begin(name, "", SF_DIR, dirs[i].opcode);
	SF_OK(by_open ? sf_open(sf.dir, O_RDONLY, 0, &o) : sf_opendir(sf.dir, O_RDONLY, &o));
	SF_EQ(dirs[i].run(o.fh), dirs[i].error);
	sf_end();
}
END_TEST

/* The layout in guest memory and the request say where a block goes: with O_DIRECT the kernel may refuse either. */
struct direct_row {
	const char *name;
	bool writing;
	uint64_t offset;
	uint32_t size;
	enum fc_layout layout;
	bool fails;		/* on file systems that insist */
	int count;		/* else */
};

static const struct direct_row directs[] = {
	{ "write a block", true, 0, 4096, FC_KERNEL, false, 4096 },
	{ "write blocks", true, 8192, 65536, FC_KERNEL, false, 65536 },
	{ "P3: write at an odd offset", true, 100, 4096, FC_KERNEL, true, 4096 },
	{ "P3: write an odd size", true, 0, 100, FC_KERNEL, true, 100 },
	{ "read a block", false, 0, 4096, FC_KERNEL, false, 4096 },
	{ "read over an end that is not aligned", false, 4096, 8192, FC_KERNEL, false, 904 },
	{ "read at the end", false, 8192, 4096, FC_KERNEL, false, 0 },
	{ "P3: read at an odd offset", false, 100, 4096, FC_KERNEL, true, 4096 },
	{ "P3: read an odd size", false, 0, 100, FC_KERNEL, true, 100 },
};

/* Does the host's file system insist on alignment? It says so of an odd size. */
static bool
insists(const char *path, const struct direct_row *r)
{
	static _Alignas(4096) char block[131072];
	ssize_t n;
	int fd;

	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	memset(block, 'd', sizeof(block));
	n = r->writing ? pwrite(fd, block, r->size, (off_t)r->offset)
		       : pread(fd, block, r->size, (off_t)r->offset);
	close(fd);
	return n == -1;
}

/* Header and data of requests and replies each on pages of their own, as a guest's page cache has them. */
static int
direct_io(const struct direct_row *r, uint64_t node, uint64_t fh, const char *data)
{
	struct fuse_write_in w = { .fh = fh, .offset = r->offset, .size = r->size };
	struct fuse_read_in rd = { .fh = fh, .offset = r->offset, .size = r->size };
	struct fc_part head = { r->writing ? (const void *)&w : (const void *)&rd, 40 };
	size_t len = fc_build(&hc, r->writing ? FUSE_WRITE : FUSE_READ, node, &head, 1);
	struct fuse_in_header h;
	struct vring_desc sg[4] = { { .addr = hc.req_gpa, .len = (uint32_t)len } };
	uint32_t id, used = 0;
	unsigned int n = 1;

	memcpy(&h, hc.req, sizeof(h));
	if (r->writing) {
		h.len += r->size;
		memcpy(hc.req, &h, sizeof(h));
		memcpy(hc.req + 4096, data, r->size);
		sg[n++] = (struct vring_desc){ .addr = hc.req_gpa + 4096, .len = r->size };
	}
	sg[n++] = (struct vring_desc){ .addr = hc.rep_gpa, .len = 16,
		.flags = VRING_DESC_F_WRITE };
	sg[n++] = (struct vring_desc){ .addr = hc.rep_gpa + 4096, .len = r->writing ? 8 : r->size,
		.flags = VRING_DESC_F_WRITE };
	ck_assert_int_ge(vmm_queue_add(hc.q, sg, n, true), 0);
	vmm_queue_kick(hc.q);
	SF_OK(vmm_queue_wait(hc.q, hc.timeout_ms, &id, &used));
	hc.used_len = used;
	SF_EQ(fc_check_reply(&hc, h.unique, 16 + (r->writing ? 8 : r->size)) == FC_BROKEN, false);
	memcpy(&h, hc.rep, 16);
	if (((const struct fuse_out_header *)(const void *)hc.rep)->error != 0)
		return ((const struct fuse_out_header *)(const void *)hc.rep)->error;
	return r->writing ? (int)((struct fuse_write_out *)(void *)(hc.rep + 4096))->size
			  : (int)(used - 16);
}

START_TEST(test_direct)
{
	static char data[65536];
	const struct direct_row *r = &directs[_i];
	struct fuse_open_out o;
	char name[100];
	uint64_t node;
	int want, n;

	snprintf(name, sizeof(name), "O_DIRECT: %s", r->name);
	sf_begin(name, "--allow-direct-io", SF_DIR, r->writing ? FUSE_WRITE : FUSE_READ);
	memset(data, 'd', sizeof(data));
	snprintf(name, sizeof(name), "%s/f", sf.rel);
	h_put(name, data, 5000);
	snprintf(name, sizeof(name), "%s/twin", sf.rel);
	h_put(name, data, 5000);
	node = sf_node("f");
	SF_OK(sf_open(node, O_RDWR | O_DIRECT, 0, &o));
	SF_EQ(sf_fd_flags(SF_FRONT, "f") & O_DIRECT, O_DIRECT);
	want = r->fails && insists(sf_path("twin"), r) ? -EINVAL : r->count;
	n = direct_io(r, node, o.fh, data);
	SF_EQ(n, want);
	if (!r->writing && n > 0)
		SF_OK(memcmp(hc.rep + 4096, data, (size_t)n));
	sf_end();
}
END_TEST

/* Truncated while open, by whoever: what is read and written afterwards is what the file is then. */
static const struct {
	const char *name;
	int how;
} truncations[] = {
	{ "truncated while open: SETATTR", 0 }, { "truncated while open: SETATTR of a handle", 1 },
	{ "truncated while open: OPEN O_TRUNC", 2 }, { "truncated while open: CREATE O_TRUNC", 3 },
	{ "truncated while open: by the host", 4 },
};

START_TEST(test_truncated)
{
	size_t i = (size_t)_i % countof(truncations);
	const char *plane = planes[(size_t)_i / countof(truncations)];
	struct fuse_setattr_in in = { .valid = FATTR_SIZE };
	struct fuse_open_out o, other;
	struct fuse_entry_out e;
	char name[100], buf[16];
	uint64_t node;

	snprintf(name, sizeof(name), "%s %s", truncations[i].name, plane);
	begin(name, plane, FUSE_SETATTR, &node, O_RDWR, &o);
	SF_EQ(fc_read(&hc, node, o.fh, 0, buf, 16), 10);
	switch (truncations[i].how) {
	case 1:
		in.valid |= FATTR_FH;
		in.fh = o.fh;
		/* fall through */
	case 0:
		SF_OK(fc_setattr(&hc, node, &in, NULL));
		break;
	case 2:
		SF_OK(sf_open(node, O_WRONLY | O_TRUNC, 0, &other));
		break;
	case 3:
		SF_OK(sf_create("f", O_WRONLY | O_TRUNC, 0644, 0, &e, &other));
		break;
	default:
		SF_OK(truncate(sf_path("f"), 0));
		break;
	}
	SF_EQ(fc_read(&hc, node, o.fh, 0, buf, 16), 0);
	SF_EQ(sf_write(node, o.fh, 4, "new", 3, 3, 0, 0), 3);
	SF_EQ(fc_read(&hc, node, o.fh, 0, buf, 16), 7);
	SF_OK(memcmp(buf, "\0\0\0\0new", 7));
	sf_end();
}
END_TEST

/* K4: memory that no table names, as part of a request or as room for a reply: that request fails, the next one does not. */
static const struct {
	const char *name;
	bool writing;
	uint32_t good;		/* bytes of the data that are there */
	bool hole_first;
} holes[] = {
	{ "K4: WRITE from nowhere", true, 0, true }, { "K4: WRITE, the second half", true, 2048, false },
	{ "K4: READ to nowhere", false, 0, true }, { "K4: READ, the second half", false, 2048, false },
};

START_TEST(test_hole)
{
	struct fuse_write_in in = { .size = 4096 };	/* fuse_read_in has the same layout so far */
	struct fc_part part = { &in, sizeof(in) };
	struct vring_desc sg[5];
	struct fuse_in_header h;
	struct fuse_out_header out;
	struct fuse_open_out o;
	uint32_t id, used = 0;
	unsigned int n = 0;
	uint64_t node;
	char rel[40], buf[16];

	begin(holes[_i].name, (_i & 1) != 0 ? "--allow-direct-io" : "", holes[_i].writing ? FUSE_WRITE
	    : FUSE_READ, &node, O_RDWR | O_DIRECT, &o);
	in.fh = o.fh;
	sg[n++] = (struct vring_desc){ .addr = hc.req_gpa, .len = (uint32_t)fc_build(&hc,
	    holes[_i].writing ? FUSE_WRITE : FUSE_READ, node, &part, 1) };
	memcpy(&h, hc.req, sizeof(h));
	h.len += holes[_i].writing ? 4096 : 0;
	memcpy(hc.req, &h, sizeof(h));
	if (!holes[_i].writing)
		sg[n++] = (struct vring_desc){ .addr = hc.rep_gpa, .len = 16,
			.flags = VRING_DESC_F_WRITE };
	if (holes[_i].good > 0)
		sg[n++] = (struct vring_desc){ .addr = hc.req_gpa + 4096, .len = holes[_i].good,
			.flags = holes[_i].writing ? 0 : VRING_DESC_F_WRITE };
	sg[n++] = (struct vring_desc){ .addr = 1ull << 50, .len = 4096 - holes[_i].good,
		.flags = holes[_i].writing ? 0 : VRING_DESC_F_WRITE };
	if (holes[_i].writing)
		sg[n++] = (struct vring_desc){ .addr = hc.rep_gpa, .len = 24,
			.flags = VRING_DESC_F_WRITE };
	memset(hc.rep, 0xa5, 24);
	ck_assert_int_ge(vmm_queue_add(hc.q, sg, n, true), 0);
	vmm_queue_kick(hc.q);
	SF_OK(vmm_queue_wait(hc.q, hc.timeout_ms, &id, &used));
	SF_EQ(used, sizeof(out));
	memcpy(&out, hc.rep, sizeof(out));
	SF_EQ(out.error, -EFAULT);
	SF_EQ(out.unique, h.unique);
	SF_EQ(out.len, used);
	snprintf(rel, sizeof(rel), "%s/f", sf.rel);
	SF_EQ(h_get(rel, buf, sizeof(buf)), 10);
	SF_OK(memcmp(buf, "0123456789", 10));
	ck_assert(h_serves(&hc));
	sf_end();
}
END_TEST

/* The second word of RWF_* and O_SYNC: what was acknowledged is on the disk's queue; here that it is written at all. */
static const struct {
	const char *name;
	uint32_t flags, write_flags;
} syncs[] = {
	{ "WRITE O_SYNC", O_RDWR | O_SYNC, 0 }, { "WRITE O_DSYNC", O_RDWR | O_DSYNC, 0 },
	{ "WRITE O_SYNC, appending", O_RDWR | O_SYNC | O_APPEND, 0 },
	{ "WRITE O_NONBLOCK", O_RDWR | O_NONBLOCK, 0 },
	{ "WRITE with a lock owner", O_RDWR, FUSE_WRITE_LOCKOWNER },
	{ "WRITE, unknown flags", O_RDWR, 0x80000000u },
};

START_TEST(test_sync)
{
	size_t i = (size_t)_i % countof(syncs);
	const char *plane = planes[(size_t)_i / countof(syncs)];
	struct fuse_open_out o;
	uint64_t node;
	char name[100], buf[32];

	snprintf(name, sizeof(name), "%s %s", syncs[i].name, plane);
	begin(name, plane, FUSE_WRITE, &node, syncs[i].flags, &o);
	SF_EQ(sf_write(node, o.fh, 10, "ab", 2, 2, syncs[i].flags, syncs[i].write_flags), 2);
	SF_EQ(fc_read(&hc, node, o.fh, 0, buf, sizeof(buf)), 12);
	SF_OK(memcmp(buf, "0123456789ab", 12));
	SF_OK(fc_fsync(&hc, node, o.fh, (i & 1) != 0, false));
	SF_OK(fc_flush(&hc, node, o.fh));
	SF_OK(fc_release(&hc, node, o.fh));
	sf_end();
}
END_TEST

TCase *
check_surface_data(void)
{
	TCase *t = tcase_create("data");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_read, 0, (int)countof(reads) * 2);
	tcase_add_loop_test(t, test_large_read, 0, (int)countof(large_reads) * 2);
	tcase_add_loop_test(t, test_write, 0, (int)countof(writes) * 2);
	tcase_add_loop_test(t, test_fallocate, 0, (int)countof(allocs) * 2);
	tcase_add_loop_test(t, test_lseek, 0, (int)countof(seeks) * 2);
	tcase_add_loop_test(t, test_copy, 0, (int)countof(copies) * 2);
	tcase_add_loop_test(t, test_directory, 0, (int)countof(dirs) * 2);
	SF_TCASE(t, test_direct, directs);
	tcase_add_loop_test(t, test_truncated, 0, (int)countof(truncations) * 2);
	SF_TCASE(t, test_hole, holes);
	tcase_add_loop_test(t, test_sync, 0, (int)countof(syncs) * 2);
	return t;
}
