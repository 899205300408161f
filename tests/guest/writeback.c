/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * writeback: what a guest that writes back whole pages needs: parts of pages through files that are open to write only,
 * appends, shared mappings, sizes that grow here and are read elsewhere.
 *
 * usage: writeback DIRECTORY
 * Leaves files whose content is checked on the host: see workloads/writeback.sh.
 * Runs in: the guest, as root, on the share.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(x) ((x) ? (void)0 : die(#x, __LINE__))

static void __attribute__((noreturn))
die(const char *what, int line)
{
	printf("not ok writeback:%d: %s (%s)\n", line, what, strerror(errno));
	exit(1);
}

/* A few bytes in the middle of pages that are only on the host: the guest's kernel reads the pages through this file. */
static void
parts_of_pages(void)
{
	int fd = open("parts", O_WRONLY);

	CHECK(fd != -1);
	CHECK(pwrite(fd, "PART", 4, 1000) == 4);
	CHECK(pwrite(fd, "PART", 4, 4094) == 4);
	CHECK(pwrite(fd, "END", 3, 12285) == 3);
	CHECK(close(fd) == 0);
}

/* The same through a file that was made to write only, with a mode that forbids reading. */
static void
made_to_write(void)
{
	int fd = open("made", O_WRONLY | O_CREAT | O_EXCL, 0200);

	CHECK(fd != -1);
	CHECK(pwrite(fd, "0123456789", 10, 0) == 10);
	CHECK(fsync(fd) == 0);
	CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	CHECK(pwrite(fd, "xx", 2, 4) == 2);
	CHECK(close(fd) == 0);
}

/* Many small appends, by two processes in turn, each with its own open file. */
static void
appends(void)
{
	for (int i = 0; i < 200; i++) {
		char line[16];
		int fd = open("appended", O_WRONLY | O_CREAT | O_APPEND, 0644);

		snprintf(line, sizeof(line), "line %04d\n", i);
		CHECK(fd != -1 && write(fd, line, 10) == 10 && close(fd) == 0);
	}
}

static void
mapping(void)
{
	int fd = open("mapped", O_RDWR | O_CREAT, 0644);
	char *p;

	CHECK(fd != -1 && ftruncate(fd, 3 * 4096) == 0);
	p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	for (int i = 0; i < 3; i++)
		memset(p + i * 4096, 'a' + i, 4096);
	/* A write(2) and the mapping are one file. */
	CHECK(pwrite(fd, "write", 5, 4096) == 5 && memcmp(p + 4096, "write", 5) == 0);
	memcpy(p + 8192, "mapped", 6);
	CHECK(munmap(p, 3 * 4096) == 0 && close(fd) == 0);
}

/* Grown here by a process that ends without a word, read by another. */
static void
sizes(void)
{
	struct stat st;
	int status, fd;
	char c = 0;
	pid_t pid;

	CHECK((pid = fork()) != -1);
	if (pid == 0) {
		fd = open("grown", O_WRONLY | O_CREAT, 0644);
		CHECK(fd != -1 && pwrite(fd, "z", 1, 99999) == 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(stat("grown", &st) == 0 && st.st_size == 100000);
	fd = open("grown", O_RDONLY);
	CHECK(fd != -1 && pread(fd, &c, 1, 99999) == 1 && c == 'z' && pread(fd, &c, 1, 5) == 1 && c == 0);
	CHECK(truncate("grown", 50000) == 0 && fstat(fd, &st) == 0 && st.st_size == 50000 && close(fd) == 0);
}

int
main(int argc, char *argv[])
{
	CHECK(argc == 2 && chdir(argv[1]) == 0);
	parts_of_pages();
	made_to_write();
	appends();
	mapping();
	sizes();
	printf("writeback: ok\n");
	return 0;
}
