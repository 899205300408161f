/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix data: what is written is read back: large and odd sizes, holes, truncation, fallocate,
 * copying inside the kernel, mappings, direct I/O, sync.
 * Runs in: the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "posix.h"

enum { LARGE = 3 * 1024 * 1024 + 17, MIB = 1024 * 1024 };

static unsigned char out[LARGE], in[LARGE];

static bool
all_zero(const unsigned char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static void
fill(void)
{
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < LARGE; i++) {
		x = x * 1664525 + 1013904223;
		out[i] = (unsigned char)(x >> 24);
	}
}

static int
new_file(const char *name)
{
	int fd;

	NEED((fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644)) != -1);
	return fd;
}

static void
sizes(void)
{
	struct iovec iov[3] = { { out, 1 }, { out + 1, 4096 }, { out + 4097, 100000 } };
	const off_t far = (off_t)5 << 30;
	int fd = new_file("large");

	CHECK("large write", write(fd, out, LARGE) == LARGE);
	memset(in, 0, LARGE);
	CHECK("large read", pread(fd, in, LARGE, 0) == LARGE && memcmp(in, out, LARGE) == 0);
	CHECK("read at the end", pread(fd, in, 100, LARGE) == 0 && pread(fd, in, 100, LARGE - 7) == 7);
	CHECK("read beyond the end", pread(fd, in, 100, LARGE + MIB) == 0);
	CHECK("unaligned overwrite", pwrite(fd, out, 5000, 12345) == 5000 &&
	    pread(fd, in, LARGE, 0) == LARGE && memcmp(in + 12345, out, 5000) == 0 &&
	    memcmp(in, out, 12345) == 0 && memcmp(in + 17345, out + 17345, LARGE - 17345) == 0);
	CHECK("write beyond 4 GiB", pwrite(fd, "end", 3, far) == 3 && posix_size("large") == far + 3);
	CHECK("read beyond 4 GiB", pread(fd, in, 100, far - 10) == 13 && all_zero(in, 10) &&
	    memcmp(in + 10, "end", 3) == 0);
	FAILS("negative offset", EINVAL, pwrite(fd, "x", 1, -1));
	close(fd);
	fd = new_file("vector");
	CHECK("writev and read", writev(fd, iov, 3) == 104097 && pread(fd, in, LARGE, 0) == 104097 &&
	    memcmp(in, out, 104097) == 0);
	close(fd);
}

static void
truncation(void)
{
	int fd = new_file("t");

	NEED(write(fd, out, 10000) == 10000);
	CHECK("truncate shrinks", truncate("t", 5000) == 0 && posix_size("t") == 5000);
	CHECK("ftruncate extends with zeros", ftruncate(fd, 9000) == 0 && pread(fd, in, LARGE, 0) == 9000 &&
	    memcmp(in, out, 5000) == 0 && all_zero(in + 5000, 4000));
	CHECK("truncate to 0", truncate("t", 0) == 0 && pread(fd, in, 10, 0) == 0);
	close(fd);
	NEED((fd = open("t", O_RDONLY)) != -1);
	FAILS("ftruncate of a read-only file", EINVAL, ftruncate(fd, 0));
	close(fd);
	FAILS("truncate of a directory", EISDIR, truncate(".", 0));
	FAILS("truncate to a negative size", EINVAL, truncate("t", -1));
	FAILS("truncate of nothing", ENOENT, truncate("missing", 0));
}

static void
holes(void)
{
	int fd = new_file("hole");

	NEED(pwrite(fd, out, 4096, 0) == 4096 && pwrite(fd, out, 4096, MIB) == 4096 && fsync(fd) == 0);
	CHECK("SEEK_DATA in data", lseek(fd, 100, SEEK_DATA) == 100);
	CHECK("SEEK_HOLE", lseek(fd, 0, SEEK_HOLE) == 4096);
	CHECK("SEEK_DATA in a hole", lseek(fd, 8192, SEEK_DATA) == MIB);
	CHECK("SEEK_HOLE at the end", lseek(fd, MIB, SEEK_HOLE) == MIB + 4096);
	FAILS("SEEK_DATA at the end", ENXIO, lseek(fd, MIB + 4096, SEEK_DATA));
	CHECK("SEEK_END", lseek(fd, -1, SEEK_END) == MIB + 4095);
	FAILS("seek before the start", EINVAL, lseek(fd, -1, SEEK_SET));
	close(fd);

	fd = new_file("alloc");
	CHECK("fallocate extends", fallocate(fd, 0, 0, 100000) == 0 && posix_size("alloc") == 100000);
	CHECK("fallocated space is zero", pread(fd, in, LARGE, 0) == 100000 && all_zero(in, 100000));
	CHECK("fallocate KEEP_SIZE", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, MIB) == 0 && posix_size("alloc") == 100000);
	NEED(pwrite(fd, out, 100000, 0) == 100000);
	CHECK("fallocate PUNCH_HOLE", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 10000) == 0 &&
	    posix_size("alloc") == 100000 && pread(fd, in, LARGE, 0) == 100000 && memcmp(in, out, 8192) == 0 &&
	    all_zero(in + 8192, 10000) && memcmp(in + 18192, out + 18192, 81808) == 0);
	CHECK("fallocate ZERO_RANGE", fallocate(fd, FALLOC_FL_ZERO_RANGE, 40000, 100) == 0 &&
	    pread(fd, in, LARGE, 0) == 100000 && memcmp(in + 18192, out + 18192, 21808) == 0 &&
	    all_zero(in + 40000, 100) && memcmp(in + 40100, out + 40100, 59900) == 0);
	close(fd);
}

static void
copies(void)
{
	off_t from = 1000, to = 0;
	int src = new_file("from"), dst = new_file("to"), pipes[2];

	NEED(write(src, out, 200000) == 200000);
	CHECK("copy_file_range", copy_file_range(src, &from, dst, &to, 150000, 0) == 150000 && to == 150000 &&
	    pread(dst, in, LARGE, 0) == 150000 && memcmp(in, out + 1000, 150000) == 0);
	CHECK("copy_file_range at the end", (from = 200000, copy_file_range(src, &from, dst, &to, 10, 0)) == 0);
	NEED(ftruncate(dst, 0) == 0 && lseek(dst, 0, SEEK_SET) == 0);
	CHECK("sendfile", (from = 0, sendfile(dst, src, &from, 60000)) == 60000 &&
	    pread(dst, in, LARGE, 0) == 60000 && memcmp(in, out, 60000) == 0);
	NEED(pipe(pipes) == 0);
	CHECK("splice", (from = 5, splice(src, &from, pipes[1], NULL, 4096, 0)) == 4096 &&
	    read(pipes[0], in, 4096) == 4096 && memcmp(in, out + 5, 4096) == 0);
	close(pipes[0]);
	close(pipes[1]);
	close(src);
	close(dst);
}

static void
mappings(void)
{
	int fd = new_file("map");
	unsigned char *p;

	NEED(write(fd, out, 100000) == 100000);
	CHECK("shared mapping",
	    (p = mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) != MAP_FAILED);
	if (p == MAP_FAILED)
		return;
	CHECK("mapping shows the file", memcmp(p, out, 100000) == 0);
	memcpy(p + 50000, "written through the mapping", 27);
	CHECK("msync", msync(p, 100000, MS_SYNC) == 0);
	CHECK("read sees what the mapping wrote",
	    pread(fd, in, 27, 50000) == 27 && memcmp(in, "written through the mapping", 27) == 0);
	CHECK("mapping sees what write wrote", pwrite(fd, "by write", 8, 70000) == 8 && memcmp(p + 70000, "by write", 8) == 0);
	memcpy(p + 80000, "last", 4);
	CHECK("munmap and close keep it", munmap(p, 100000) == 0 && close(fd) == 0 &&
	    (fd = open("map", O_RDONLY)) != -1 && pread(fd, in, 4, 80000) == 4 && memcmp(in, "last", 4) == 0);
	CHECK("private mapping", (p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)) != MAP_FAILED &&
	    (p[0] = (unsigned char)~out[0], pread(fd, in, 1, 0)) == 1 && in[0] == out[0]);
	close(fd);
}

/* O_DIRECT may be refused or ignored, but must never read or write anything else. */
static void
direct(void)
{
	static _Alignas(4096) unsigned char buffer[65536];
	int fd = open("direct", O_CREAT | O_RDWR | O_DIRECT, 0644), error = errno;

	if (fd == -1) {
		CHECK("O_DIRECT is refused with EINVAL", error == EINVAL);
		return;
	}
	memcpy(buffer, out, sizeof(buffer));
	CHECK("O_DIRECT write", pwrite(fd, buffer, sizeof(buffer), 4096) == sizeof(buffer));
	memset(buffer, 0, sizeof(buffer));
	CHECK("O_DIRECT read", pread(fd, buffer, sizeof(buffer), 4096) == sizeof(buffer) &&
	    memcmp(buffer, out, sizeof(buffer)) == 0);
	CHECK("O_DIRECT read at the end", pread(fd, buffer, 8192, 65536) == 4096 &&
	    memcmp(buffer, out + 61440, 4096) == 0);
	close(fd);
	NEED((fd = open("direct", O_RDONLY)) != -1);
	CHECK("buffered read sees O_DIRECT writes",
	    pread(fd, in, LARGE, 0) == 69632 && all_zero(in, 4096) && memcmp(in + 4096, out, 65536) == 0);
	close(fd);
}

static void
sync_and_space(void)
{
	struct statvfs space;
	struct stat st;
	int fd = new_file("sync"), dir;

	NEED((dir = open(".", O_RDONLY | O_DIRECTORY)) != -1);
	NEED(write(fd, out, 5000) == 5000);
	CHECK("fsync", fsync(fd) == 0);
	CHECK("fdatasync", fdatasync(fd) == 0);
	CHECK("syncfs", syncfs(fd) == 0);
	CHECK("fsync of a directory", fsync(dir) == 0);
	CHECK("st_blocks and st_blksize", fstat(fd, &st) == 0 && st.st_blocks >= 10 && st.st_blksize >= 512);
	CHECK("statvfs", statvfs(".", &space) == 0 && space.f_namemax == 255 && space.f_blocks > 0 &&
	    space.f_bfree <= space.f_blocks && space.f_bavail <= space.f_bfree && space.f_files > 0);
	CHECK("fstatvfs", fstatvfs(fd, &space) == 0 && space.f_frsize >= 512);
	close(fd);
	close(dir);
}

void
posix_data(void)
{
	fill();
	sizes();
	truncation();
	holes();
	copies();
	mappings();
	direct();
	sync_and_space();
}
