/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * held: very many files that the guest has looked up and holds, far more than the daemon may have open.
 *
 * usage: held make DIRECTORY COUNT	on the host: makes the files, each containing its path and inode number
 *        held check DIRECTORY COUNT	in the guest: opens all of them with O_PATH, which keeps the guest's
 *					kernel from forgetting them, and then, in random order, asks each for its
 *					attributes and reads it through that descriptor, not by name
 *        held remove DIRECTORY COUNT	removes them
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PER_DIRECTORY = 1000 };

static unsigned int count;

static void
path(char *buffer, size_t size, unsigned int i)
{
	snprintf(buffer, size, "%u/file-%u", i / PER_DIRECTORY, i);
}

static void
make(void)
{
	char name[32], text[64];
	struct stat st;
	unsigned int i;
	int fd, n;

	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%u", i / PER_DIRECTORY);
		if (i % PER_DIRECTORY == 0 && mkdir(name, 0755) == -1)
			err(1, "%s", name);
		path(name, sizeof(name), i);
		if ((fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)) == -1 || fstat(fd, &st) == -1)
			err(1, "%s", name);
		n = snprintf(text, sizeof(text), "%s %ju\n", name, (uintmax_t)st.st_ino);
		if (write(fd, text, (size_t)n) != n || close(fd) == -1)
			err(1, "%s", name);
	}
}

static void
remove_all(void)
{
	char name[32];
	unsigned int i;

	for (i = 0; i < count; i++) {
		path(name, sizeof(name), i);
		if (unlink(name) == -1)
			err(1, "%s", name);
		snprintf(name, sizeof(name), "%u", i / PER_DIRECTORY);
		if ((i % PER_DIRECTORY == PER_DIRECTORY - 1 || i == count - 1) && rmdir(name) == -1)
			err(1, "%s", name);
	}
}

/* Holds all files; returns an array of descriptors. */
static int *
hold(void)
{
	const struct rlimit limit = { count + 100, count + 100 };
	char name[32];
	unsigned int i;
	int *fds;

	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "setrlimit");
	if ((fds = calloc(count, sizeof(*fds))) == NULL)
		err(1, NULL);
	for (i = 0; i < count; i++) {
		path(name, sizeof(name), i);
		if ((fds[i] = open(name, O_PATH)) == -1)
			err(1, "%s", name);
	}
	return fds;
}

/* Is the file behind this descriptor still file i? */
static void
check_one(int held, unsigned int i)
{
	char name[64], want[128], got[128];
	struct stat st;
	ssize_t n;
	int fd;

	path(name, sizeof(name), i);
	if (fstat(held, &st) == -1)
		err(1, "%s: fstat", name);
	snprintf(want, sizeof(want), "%s %ju\n", name, (uintmax_t)st.st_ino);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", held);
	if ((fd = open(name, O_RDONLY)) == -1 || (n = read(fd, got, sizeof(got) - 1)) == -1)
		err(1, "file %u", i);
	close(fd);
	got[n] = '\0';
	if (strcmp(got, want) != 0)
		errx(1, "file %u: is %s, should be %s", i, got, want);
}

static void
check(void)
{
	unsigned int i, j, swap, *order;
	int *fds = hold();

	if ((order = calloc(count, sizeof(*order))) == NULL)
		err(1, NULL);
	for (i = 0; i < count; i++)
		order[i] = i;
	srandom(1);
	for (i = count - 1; i > 0; i--) {
		j = (unsigned int)random() % (i + 1);
		swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	printf("held: %u files\n", count);
	for (i = 0; i < count; i++)
		check_one(fds[order[i]], order[i]);
	printf("held: read all of them in random order\n");
	free(order);
	free(fds);
}

int
main(int argc, char *argv[])
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4 || (count = (unsigned int)atoi(argv[3])) == 0)
		errx(2, "usage: held make|check|remove DIRECTORY COUNT");
	if (chdir(argv[2]) == -1)
		err(1, "%s", argv[2]);
	if (strcmp(argv[1], "make") == 0)
		make();
	else if (strcmp(argv[1], "check") == 0)
		check();
	else if (strcmp(argv[1], "remove") == 0)
		remove_all();
	else
		errx(2, "unknown command %s", argv[1]);
	return 0;
}
