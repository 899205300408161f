/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mapped: a shared mapping that is written to, of a file that the guest must not cache.
 *
 * usage: mapped FILE yes|no      yes: it works; no: it is refused with ENODEV
 * FILE has 8192 letters "a"; with yes, those at 4096 become "mapped".
 * Runs in: the guest, on a share with --cache=never, with and without --allow-mmap.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(x) ((x) ? (void)0 : die(#x, __LINE__))

static void __attribute__((noreturn))
die(const char *what, int line)
{
	printf("not ok mapped:%d: %s (%s)\n", line, what, strerror(errno));
	exit(1);
}

int
main(int argc, char *argv[])
{
	char buf[6];
	char *p;
	int fd;

	CHECK(argc == 3);
	fd = open(argv[1], O_RDWR);
	CHECK(fd != -1);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (strcmp(argv[2], "no") == 0) {
		CHECK(p == MAP_FAILED && errno == ENODEV);
		printf("mapped: refused\n");
		return 0;
	}
	CHECK(p != MAP_FAILED);
	CHECK(p[0] == 'a' && p[8191] == 'a');
	memcpy(p + 4096, "mapped", 6);
	CHECK(msync(p, 8192, MS_SYNC) == 0);
	CHECK(pread(fd, buf, 6, 4096) == 6 && memcmp(buf, "mapped", 6) == 0);
	CHECK(munmap(p, 8192) == 0 && close(fd) == 0);
	printf("mapped: ok\n");
	return 0;
}
