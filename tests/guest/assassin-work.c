/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * assassin-work: work in the share that checks every return code, while the daemon's worker is killed.
 *
 * usage: assassin-work rename|names|held DIRECTORY SECONDS
 *        assassin-work list DIRECTORY SECONDS COUNT	(DIRECTORY holds entry-0 ... entry-(COUNT-1) and nothing else)
 * Any result that a local file system would not give ends it with status 1. Prints how much was done.
 * Runs in: the guest.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 16, STREAM = 1500, MAPPED = 1 << 20 };

static long end_ms, seconds;

static long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
more(void)
{
	return now_ms() < end_ms;
}

/* The call must have given what a local file system gives: 0, or this errno. */
#define WANT(error, call) want((call), (error), #call, __LINE__)

static void
want(int result, int error, const char *call, int line)
{
	int got = result == -1 ? errno : 0;

	if (got != error)
		errx(1, "line %d: %s gave %d (%s), should be %d (%s)", line, call, got, strerror(got), error,
		    strerror(error));
}

static int
make_file(const char *name, int flags, mode_t mode)
{
	int fd = open(name, O_CREAT | O_RDWR | flags, mode);

	if (fd == -1)
		return -1;
	return close(fd);
}

static ino_t
inode(const char *name)
{
	struct stat st;

	WANT(0, lstat(name, &st));
	return st.st_ino;
}

static void
count_names(const char *dir, unsigned int expected)
{
	const struct dirent *e;
	unsigned int n = 0;
	DIR *d = opendir(dir);

	if (d == NULL)
		err(1, "opendir %s", dir);
	errno = 0;
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (errno != 0)
		err(1, "readdir %s", dir);
	closedir(d);
	if (n != expected)
		errx(1, "%s: %u names, should be %u", dir, n, expected);
}

/* ---- renames: FILES names, each inode has exactly one at any time ---- */

static void
work_rename(void)
{
	char name[FILES][16], other[16], target[16];
	ino_t ino[FILES];
	struct stat st;
	unsigned long n = 0;
	unsigned int i, k;

	for (i = 0; i < FILES; i++) {
		snprintf(name[i], sizeof(name[i]), "r%u-0", i);
		WANT(0, make_file(name[i], O_EXCL, 0644));
		ino[i] = inode(name[i]);
	}
	for (; more(); n++) {
		i = (unsigned int)random() % FILES;
		k = (unsigned int)random() % FILES;
		snprintf(other, sizeof(other), "r%u-%lu", i, n + 1);
		if (n % 3 == 0 && i != k) {
			WANT(0, renameat2(AT_FDCWD, name[i], AT_FDCWD, name[k], RENAME_EXCHANGE));
			memcpy(target, name[i], sizeof(target));
			memcpy(name[i], name[k], sizeof(target));
			memcpy(name[k], target, sizeof(target));
		} else if (n % 3 == 1 && i != k) {
			WANT(EEXIST, renameat2(AT_FDCWD, name[i], AT_FDCWD, name[k], RENAME_NOREPLACE));
			WANT(0, renameat2(AT_FDCWD, name[i], AT_FDCWD, other, RENAME_NOREPLACE));
			WANT(ENOENT, lstat(name[i], &st));
			memcpy(name[i], other, sizeof(other));
		} else {
			WANT(0, rename(name[i], other));
			WANT(ENOENT, rename(name[i], "never"));
			memcpy(name[i], other, sizeof(other));
		}
		if (inode(name[i]) != ino[i] || inode(name[k]) != ino[k])
			errx(1, "a name means another file after rename %lu", n);
		if (n % 64 == 0)
			count_names(".", FILES);
	}
	count_names(".", FILES);
	for (i = 0; i < FILES; i++)
		WANT(0, unlink(name[i]));
	printf("rename: %lu renames\n", n);
}

/* ---- names: every operation, done and refused ---- */

static void
names_once(unsigned int w, unsigned long i)
{
	char a[32], b[32], c[32], below[40], text[16];
	struct stat st;

	snprintf(a, sizeof(a), "a%u-%lu", w, i);
	snprintf(b, sizeof(b), "b%u-%lu", w, i);
	snprintf(c, sizeof(c), "c%u-%lu", w, i);
	snprintf(below, sizeof(below), "%s/x", a);
	WANT(0, mkdir(a, 0755));
	WANT(EEXIST, mkdir(a, 0755));
	WANT(0, mkdir(below, 0700));
	WANT(ENOTEMPTY, rmdir(a));
	WANT(0, rmdir(below));
	WANT(ENOENT, rmdir(below));
	WANT(0, rmdir(a));
	WANT(ENOENT, rmdir(a));
	WANT(0, make_file(b, O_EXCL, 0640));
	WANT(EEXIST, make_file(b, O_EXCL, 0640));
	WANT(0, make_file(b, 0, 0640));
	WANT(0, link(b, c));
	WANT(EEXIST, link(b, c));
	WANT(0, stat(b, &st));
	if (st.st_nlink != 2 || st.st_mode != (S_IFREG | 0640))
		errx(1, "%s: %lu links, mode %o", b, (unsigned long)st.st_nlink, st.st_mode);
	WANT(0, unlink(c));
	WANT(ENOENT, unlink(c));
	WANT(0, rename(b, c));
	WANT(ENOENT, rename(b, c));
	WANT(0, unlink(c));
	WANT(ENOENT, unlink(b));
	WANT(0, symlink("target", a));
	WANT(EEXIST, symlink("target", a));
	if (readlink(a, text, sizeof(text)) != 6 || memcmp(text, "target", 6) != 0)
		err(1, "readlink %s", a);
	WANT(0, unlink(a));
	WANT(0, mkfifo(a, 0600));
	WANT(EEXIST, mkfifo(a, 0600));
	WANT(0, unlink(a));
	WANT(ENOENT, unlink(a));
}

static void
work_names(void)
{
	unsigned long n = 0;
	int status, bad = 0;
	unsigned int w;

	for (w = 0; w < 2; w++) {
		switch (fork()) {
		case -1:
			err(1, "fork");
		case 0:
			for (; more(); n++)
				names_once(w, n);
			printf("names: %lu rounds of 27 operations\n", n);
			exit(0);
		default:
			break;
		}
	}
	while (wait(&status) != -1)
		bad |= status != 0;
	if (bad)
		errx(1, "a process of names failed");
	count_names(".", 0);
}

/* ---- list: a large directory, each name exactly once ---- */

static unsigned int
list_once(DIR *d, unsigned int count, unsigned int pause_every)
{
	unsigned char *seen = calloc(count, 1);
	const struct dirent *e;
	unsigned int n = 0, i;

	if (seen == NULL)
		err(1, NULL);
	errno = 0;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (sscanf(e->d_name, "entry-%u", &i) != 1 || i >= count)
			errx(1, "no such name: %s", e->d_name);
		if (seen[i]++ != 0)
			errx(1, "%s was listed twice", e->d_name);
		if (++n % 500 == 0 && pause_every != 0)
			usleep(pause_every * 1000);
		errno = 0;
	}
	if (errno != 0)
		err(1, "readdir");
	free(seen);
	if (n != count)
		errx(1, "%u names of %u were listed", n, count);
	return n;
}

static void
work_list(unsigned int count)
{
	unsigned int n = 0;
	DIR *d = opendir(".");

	if (d == NULL)
		err(1, "opendir");
	for (; more(); n++) {
		list_once(d, count, 0);
		/* Half of the times the same open directory is read again. */
		if (n % 2 == 0) {
			rewinddir(d);
			continue;
		}
		closedir(d);
		if ((d = opendir(".")) == NULL)
			err(1, "opendir");
	}
	closedir(d);
	printf("list: %u listings of %u names\n", n, count);
}

/* ---- held: what a process has in its hands ---- */

struct held {
	int ordinary, setuid, removed, kept, mapped;
	unsigned char *map;
};

static void
fill(unsigned char *p, size_t n, unsigned long seed)
{
	uint32_t x = (uint32_t)seed * 2654435761U + 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (unsigned char)(x >> 24);
	}
}

static int
open_unlinked(const char *name, mode_t mode)
{
	int fd;

	WANT(0, make_file(name, O_EXCL, 0644));
	WANT(0, chmod(name, mode));
	if ((fd = open(name, O_RDWR)) == -1)
		err(1, "%s", name);
	WANT(0, unlink(name));
	return fd;
}

static void
hold(struct held *h)
{
	char name[32];

	h->ordinary = open_unlinked("ordinary", 0644);
	h->setuid = open_unlinked("setuid", 04755);
	WANT(0, make_file("mapped", O_EXCL, 0644));
	h->mapped = open("mapped", O_RDWR);
	if (h->mapped == -1 || ftruncate(h->mapped, MAPPED) == -1)
		err(1, "mapped");
	h->map = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, h->mapped, 0);
	if (h->map == MAP_FAILED)
		err(1, "mmap");
	WANT(0, mkdir("stream", 0755));
	for (unsigned int i = 0; i < STREAM; i++) {
		snprintf(name, sizeof(name), "stream/entry-%u", i);
		WANT(0, make_file(name, O_EXCL, 0644));
	}
	WANT(0, mkdir("kept", 0755));
	WANT(0, mkdir("removed", 0755));
	h->kept = open("kept", O_RDONLY | O_DIRECTORY);
	h->removed = open("removed", O_RDONLY | O_DIRECTORY);
	if (h->kept == -1 || h->removed == -1)
		err(1, "open of a directory");
	WANT(0, rmdir("removed"));
}

/* Writes, drops the guest's cache of it, reads back. */
static void
check_file(int fd, unsigned long round)
{
	unsigned char out[9000], in[9000];
	off_t at = (off_t)(round % 10) * 7000;
	struct stat st;

	fill(out, sizeof(out), round);
	if (pwrite(fd, out, sizeof(out), at) != sizeof(out))
		err(1, "pwrite");
	WANT(0, fsync(fd));
	WANT(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	if (pread(fd, in, sizeof(in), at) != sizeof(in) || memcmp(in, out, sizeof(in)) != 0)
		err(1, "pread");
	WANT(0, fstat(fd, &st));
	if (st.st_nlink != 0)
		errx(1, "an unlinked file has %lu links", (unsigned long)st.st_nlink);
}

static void
check_map(const struct held *h, unsigned long round)
{
	unsigned char want_bytes[4096], got[4096];
	size_t at = round * 4096 % MAPPED;

	fill(want_bytes, sizeof(want_bytes), round);
	memcpy(h->map + at, want_bytes, sizeof(want_bytes));
	WANT(0, msync(h->map + at, 4096, MS_SYNC));
	WANT(0, madvise(h->map + at, 4096, MADV_DONTNEED));
	WANT(0, posix_fadvise(h->mapped, 0, 0, POSIX_FADV_DONTNEED));
	if (memcmp(h->map + at, want_bytes, sizeof(want_bytes)) != 0)
		errx(1, "the mapping has other content");
	if (pread(h->mapped, got, 4096, (off_t)at) != 4096 || memcmp(got, want_bytes, 4096) != 0)
		errx(1, "the mapped file has other content");
}

static void
check_directories(const struct held *h)
{
	struct stat st;
	int fd;

	/* Before each look the kernel's idea of the attributes runs out, or is asked for anew. */
	WANT(0, fchdir(h->removed));
	WANT(0, statx(AT_FDCWD, ".", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &(struct statx){ 0 }));
	WANT(0, stat(".", &st));
	if (!S_ISDIR(st.st_mode))
		errx(1, "the removed directory is none");
	WANT(ENOENT, make_file("x", O_EXCL, 0644));
	WANT(0, fchdir(h->kept));
	WANT(0, statx(AT_FDCWD, ".", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &(struct statx){ 0 }));
	WANT(0, make_file("x", O_EXCL, 0644));
	if ((fd = open("x", O_RDONLY)) == -1)
		err(1, "open in the working directory");
	WANT(0, close(fd));
	WANT(0, unlink("x"));
}

static void
work_held(void)
{
	int top = open(".", O_RDONLY | O_DIRECTORY);
	unsigned long n = 0, streams = 0;
	struct held h;
	DIR *d;

	hold(&h);
	end_ms = now_ms() + seconds * 1000;
	if ((d = opendir("stream")) == NULL)
		err(1, "opendir");
	for (; more(); n++) {
		check_file(h.ordinary, n);
		check_file(h.setuid, n);
		check_map(&h, n);
		check_directories(&h);
		if (n % 20 == 0) {
			list_once(d, STREAM, 50);
			rewinddir(d);
			streams++;
		}
	}
	closedir(d);
	WANT(0, munmap(h.map, MAPPED));
	WANT(0, close(h.ordinary));
	WANT(0, close(h.setuid));
	WANT(0, close(h.mapped));
	WANT(0, close(h.removed));
	WANT(0, fchdir(top));
	printf("held: %lu rounds, %lu directory streams\n", n, streams);
}

int
main(int argc, char *argv[])
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(0);
	if (argc < 4)
		errx(2, "usage: assassin-work rename|names|held|list DIRECTORY SECONDS [COUNT]");
	if (chdir(argv[2]) == -1)
		err(1, "%s", argv[2]);
	seconds = atol(argv[3]);
	end_ms = now_ms() + seconds * 1000;
	if (strcmp(argv[1], "rename") == 0)
		work_rename();
	else if (strcmp(argv[1], "names") == 0)
		work_names();
	else if (strcmp(argv[1], "held") == 0)
		work_held();
	else if (strcmp(argv[1], "list") == 0 && argc == 5)
		work_list((unsigned int)atoi(argv[4]));
	else
		errx(2, "unknown work %s", argv[1]);
	return 0;
}
