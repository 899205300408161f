/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * direct: O_DIRECT as on a local disk, where the daemon lets it through to one: blocks, odd sizes and offsets, the end of
 * a file, appending, and buffers that were never written.
 *
 * usage: direct FILE
 * FILE does not exist. Exit status 0 if all went well.
 * Runs in: the guest, on the share; and on the host's disk, to see that this one insists on alignment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (1u << 20)
#define CHECK(x) ((x) ? (void)0 : die(#x, __LINE__))

static char *buffer, *other;

static void __attribute__((noreturn))
die(const char *what, int line)
{
	printf("not ok direct:%d: %s (%s)\n", line, what, strerror(errno));
	exit(1);
}

static char *
pages(void)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void
blocks(int fd)
{
	for (size_t i = 0; i < SIZE; i++)
		buffer[i] = (char)(i * 7 + i / 4096);
	CHECK(pwrite(fd, buffer, SIZE, 0) == SIZE);
	CHECK(pread(fd, other, SIZE, 0) == SIZE && memcmp(buffer, other, SIZE) == 0);
	CHECK(pread(fd, other, 4096, 8192) == 4096 && memcmp(buffer + 8192, other, 4096) == 0);
	/* Half a page of the buffer, as far as the disk's sectors allow. */
	CHECK(pwrite(fd, buffer + 512, 512, 512) == 512);
	CHECK(pread(fd, other + 1024, 512, 512) == 512 && memcmp(buffer + 512, other + 1024, 512) == 0);
}

/* What is not aligned is the disk's to refuse; nothing of it is written then. */
static void
odd(int fd)
{
	char before[512], after[512];

	CHECK(pread(fd, other, 4096, 0) == 4096);
	memcpy(before, other, sizeof(before));
	errno = 0;
	CHECK(pwrite(fd, buffer + 4096, 100, 0) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(pwrite(fd, buffer + 4096, 4096, 100) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(pread(fd, other, 100, 0) == -1 && errno == EINVAL);
	CHECK(pread(fd, other, 4096, 0) == 4096);
	memcpy(after, other, sizeof(after));
	CHECK(memcmp(before, after, sizeof(before)) == 0);
}

static void
end_of_file(const char *name, int fd)
{
	struct stat st;
	int append;

	CHECK(ftruncate(fd, 5000) == 0);
	CHECK(pread(fd, other, 8192, 4096) == 904);
	CHECK(pread(fd, other, 4096, 8192) == 0);
	CHECK(ftruncate(fd, 8192) == 0);
	append = open(name, O_WRONLY | O_DIRECT | O_APPEND);
	CHECK(append != -1 && write(append, buffer, 4096) == 4096 && fstat(append, &st) == 0 && st.st_size == 12288);
	CHECK(close(append) == 0);
	CHECK(pread(fd, other, 4096, 8192) == 4096 && memcmp(buffer, other, 4096) == 0);
}

/*
 * K4: pages that were only read are the kernel's one zero page, which in some guests (UML) is not part of the memory that
 * the device is told of. Then the write fails with EFAULT; it must not hang, and the next one must work.
 */
static void
zero_page(int fd)
{
	volatile char *zeros = pages();
	ssize_t n;

	CHECK(zeros[0] == 0 && zeros[4096] == 0);
	errno = 0;
	n = pwrite(fd, (char *)(unsigned long)zeros, 8192, 0);
	CHECK(n == 8192 || (n == -1 && errno == EFAULT));
	printf("direct: the zero page: %s\n", n == -1 ? "EFAULT" : "written");
	CHECK(pwrite(fd, buffer, 8192, 0) == 8192);
	CHECK(pread(fd, other, 8192, 0) == 8192 && memcmp(buffer, other, 8192) == 0);
}

int
main(int argc, char *argv[])
{
	int fd;

	CHECK(argc == 2);
	buffer = pages();
	other = pages();
	fd = open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_DIRECT, 0644);
	CHECK(fd != -1);
	blocks(fd);
	odd(fd);
	zero_page(fd);
	end_of_file(argv[1], fd);
	CHECK(close(fd) == 0);
	printf("direct: ok\n");
	return 0;
}
