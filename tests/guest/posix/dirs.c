/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix dirs: making, removing and reading directories, also large ones that change meanwhile.
 * Runs in: the guest.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix.h"

enum { MANY = 5000 };

static unsigned char seen[MANY];

static void
make_and_remove(void)
{
	int fd;

	CHECK("mkdir", mkdir("d", 0755) == 0);
	FAILS("mkdir of an existing name", EEXIST, mkdir("d", 0755));
	FAILS("mkdir below nothing", ENOENT, mkdir("missing/d", 0755));
	posix_write_file("d/f", "");
	FAILS("rmdir of a full directory", ENOTEMPTY, rmdir("d"));
	FAILS("rmdir of a file", ENOTDIR, rmdir("d/f"));
	FAILS("rmdir of .", EINVAL, rmdir("d/."));
	FAILS("rmdir of nothing", ENOENT, rmdir("missing"));
	NEED(unlink("d/f") == 0);
	NEED((fd = open("d", O_RDONLY | O_DIRECTORY)) != -1);
	CHECK("rmdir", rmdir("d") == 0 && !posix_exists("d"));
	FAILS("create in a removed directory", ENOENT, openat(fd, "x", O_CREAT | O_WRONLY, 0644));
	close(fd);
}

/* Is this an entry of make_many()'s, and which one? */
static bool
number(const struct dirent *entry, unsigned int *n)
{
	return sscanf(entry->d_name, "entry-%u", n) == 1 && *n < MANY;
}

static void
make_many(void)
{
	char name[32];
	unsigned int i;
	int fd;

	NEED(mkdir("many", 0755) == 0);
	NEED(chdir("many") == 0);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "entry-%u", i);
		NEED((fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)) != -1);
		close(fd);
	}
	NEED(chdir("..") == 0);
}

/* Reads the whole directory and counts in seen[] how often each entry came. */
static unsigned int
read_all(DIR *dir, bool *types)
{
	const struct dirent *entry;
	unsigned int n, strange = 0;

	memset(seen, 0, sizeof(seen));
	while ((entry = readdir(dir)) != NULL) {
		if (number(entry, &n)) {
			seen[n]++;
			*types = *types && entry->d_type == DT_REG;
		} else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			strange++;
		}
	}
	return strange;
}

/* Was every entry n for which n % step == 0 seen exactly once? */
static bool
each_once(unsigned int step)
{
	unsigned int i;

	for (i = 0; i < MANY; i += step)
		if (seen[i] != 1)
			return false;
	return true;
}

/* Every second entry goes away when the first has been read: the others must come exactly once. */
static void
removed_meanwhile(void)
{
	const struct dirent *entry;
	char name[32];
	unsigned int i, n;
	DIR *dir;

	NEED((dir = opendir("many")) != NULL);
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < 10; i++) {
		NEED((entry = readdir(dir)) != NULL);
		if (number(entry, &n))
			seen[n]++;
	}
	for (i = 1; i < MANY; i += 2) {
		snprintf(name, sizeof(name), "many/entry-%u", i);
		NEED(unlink(name) == 0);
	}
	while ((entry = readdir(dir)) != NULL)
		if (number(entry, &n))
			seen[n]++;
	CHECK("readdir while others are removed", each_once(2));
	closedir(dir);
}

/* The usual rm -r: each entry is removed when it has been read. */
static void
removed_when_read(void)
{
	const struct dirent *entry;
	char name[300];
	unsigned int n;
	DIR *dir;

	NEED((dir = opendir("many")) != NULL);
	memset(seen, 0, sizeof(seen));
	while ((entry = readdir(dir)) != NULL) {
		if (!number(entry, &n))
			continue;
		seen[n]++;
		snprintf(name, sizeof(name), "many/%s", entry->d_name);
		NEED(unlink(name) == 0);
	}
	CHECK("readdir while reading removes", each_once(2));
	closedir(dir);
	CHECK("the directory is empty then", rmdir("many") == 0);
}

static void
positions(void)
{
	char after[300] = "";
	const struct dirent *entry;
	unsigned int i, n;
	bool types = true;
	long position;
	DIR *dir;

	NEED((dir = opendir("many")) != NULL);
	CHECK("readdir of 5000 entries", read_all(dir, &types) == 0 && each_once(1));
	CHECK("d_type", types);
	rewinddir(dir);
	for (i = 0; i < 2500; i++)
		NEED(readdir(dir) != NULL);
	position = telldir(dir);
	NEED((entry = readdir(dir)) != NULL);
	snprintf(after, sizeof(after), "%s", entry->d_name);
	while (readdir(dir) != NULL)
		;
	seekdir(dir, position);
	CHECK("seekdir to telldir", (entry = readdir(dir)) != NULL && strcmp(entry->d_name, after) == 0);
	for (i = 1; readdir(dir) != NULL; i++)
		;
	CHECK("as many entries follow", i == MANY + 2 - 2500);
	posix_write_file("many/entry-new", "");
	rewinddir(dir);
	n = 0;
	while ((entry = readdir(dir)) != NULL)
		n += strcmp(entry->d_name, "entry-new") == 0;
	CHECK("rewinddir shows a new entry", n == 1);
	closedir(dir);
	NEED(unlink("many/entry-new") == 0);
}

static void
dots(void)
{
	struct stat here, sub, up;
	const struct dirent *entry;
	unsigned int found = 0;
	DIR *dir;

	NEED(mkdir("sub", 0755) == 0);
	CHECK(". and ..", stat(".", &here) == 0 && stat("sub/..", &up) == 0 && stat("sub/.", &sub) == 0 &&
	    here.st_ino == up.st_ino && here.st_dev == up.st_dev && sub.st_ino != here.st_ino);
	NEED((dir = opendir("sub")) != NULL);
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") == 0)
			found |= 1;
		else if (strcmp(entry->d_name, "..") == 0)
			found |= 2;
	CHECK("readdir shows . and ..", (found & 3) == 3);
	closedir(dir);
}

void
posix_dirs(void)
{
	make_and_remove();
	dots();
	make_many();
	positions();
	removed_meanwhile();
	removed_when_read();
}
