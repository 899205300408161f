/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parallel: several processes at once create, write, rename, read back, link, list and delete in the
 * same directories of the share, and check each other's traces.
 *
 * usage: parallel DIRECTORY WORKERS ROUNDS
 * Worker n runs on the n-th CPU (modulo their number), so that with several request queues each
 * queue gets work. Prints one line with counts and a checksum that depends on WORKERS and ROUNDS alone.
 * Runs in: the guest.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_SIZE = 9000, RECORD = 16, LIST_EVERY = 16, KEEP_EVERY = 3 };

/* What the workers tell their parent. */
struct result {
	unsigned int	won;	/* how many of the contended names were this worker's */
	uint32_t	sum;	/* of the contents of the files that it read back */
};

static unsigned int rounds, workers;

/* The content of worker w's file of round i; returns its size. */
static size_t
content(unsigned int w, unsigned int i, unsigned char *buffer)
{
	size_t size = (i * 1237 + w * 17) % MAX_SIZE + 1, k;
	uint32_t x = w * 1000003 + i;

	for (k = 0; k < size; k++) {
		x = x * 1664525 + 1013904223;
		buffer[k] = (unsigned char)(x >> 24);
	}
	return size;
}

static uint32_t
checksum(uint32_t sum, const unsigned char *p, size_t n)
{
	while (n-- > 0)
		sum = (sum ^ *p++) * 16777619;
	return sum;
}

static void
path(char *buffer, const char *dir, unsigned int w, unsigned int i)
{
	snprintf(buffer, 64, "%s/%u-%u", dir, w, i);
}

/* Reads a file of worker w's and dies unless it is as content() says. */
static uint32_t
check_file(const char *name, unsigned int w, unsigned int i)
{
	static unsigned char want[MAX_SIZE], got[MAX_SIZE + 1];
	size_t size = content(w, i, want);
	ssize_t n;
	int fd;

	if ((fd = open(name, O_RDONLY)) == -1 || (n = read(fd, got, sizeof(got))) == -1)
		err(1, "worker %u: %s", w, name);
	close(fd);
	if ((size_t)n != size || memcmp(got, want, size) != 0)
		errx(1, "worker %u: %s: wrong content (%zd bytes of %zu)", w, name, n, size);
	return checksum(2166136261U, got, size);
}

static void
make_file(const char *name, unsigned int w, unsigned int i)
{
	static unsigned char buffer[MAX_SIZE];
	size_t size = content(w, i, buffer), half = size / 2;
	int fd;

	if ((fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)) == -1 ||
	    write(fd, buffer, half) != (ssize_t)half ||
	    write(fd, buffer + half, size - half) != (ssize_t)(size - half) || close(fd) == -1)
		err(1, "worker %u: %s", w, name);
}

/* All workers want the same name: exactly one may have it. */
static unsigned int
contend(unsigned int w, unsigned int i)
{
	char name[64];
	int fd;

	path(name, "contended", 0, i);
	fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
	if (fd == -1 && errno != EEXIST)
		err(1, "worker %u: %s", w, name);
	if (fd == -1)
		return 0;
	close(fd);
	return 1;
}

/* A listing must show all that this worker has kept, whatever the others do meanwhile. */
static void
check_listing(unsigned int w, unsigned int upto)
{
	unsigned int owner, i, found = 0;
	const struct dirent *entry;
	DIR *dir;

	if ((dir = opendir("kept")) == NULL)
		err(1, "worker %u: kept", w);
	while ((entry = readdir(dir)) != NULL)
		if (sscanf(entry->d_name, "%u-%u", &owner, &i) == 2 && owner == w && i % KEEP_EVERY == 0)
			found++;
	closedir(dir);
	if (found != upto / KEEP_EVERY + 1)
		errx(1, "worker %u: the listing shows %u of %u files", w, found, upto / KEEP_EVERY + 1);
}

static void
work(unsigned int w, struct result *result)
{
	char name[64], kept[64], record[2 * RECORD];
	unsigned int i;
	int log;

	if ((log = open("log", O_WRONLY | O_APPEND)) == -1)
		err(1, "worker %u: log", w);
	for (i = 0; i < rounds; i++) {
		path(name, "new", w, i);
		path(kept, "kept", w, i);
		make_file(name, w, i);
		if (rename(name, kept) == -1)
			err(1, "worker %u: rename %s", w, name);
		result->sum ^= check_file(kept, w, i);
		result->won += contend(w, i);
		snprintf(record, sizeof(record), "%5u %9u\n", w, i);
		if (write(log, record, RECORD) != RECORD)
			err(1, "worker %u: log", w);
		if (link("log", name) == -1 || unlink(name) == -1)
			err(1, "worker %u: link", w);
		if (i % KEEP_EVERY != 0 && unlink(kept) == -1)
			err(1, "worker %u: unlink %s", w, kept);
		if (i % LIST_EVERY == 0)
			check_listing(w, i);
	}
}

/* Every record of every worker must be in the log once, and nothing else. */
static void
check_log(void)
{
	unsigned int i, w, n, *next;
	char record[RECORD + 1];
	struct stat st;
	FILE *log;

	if ((next = calloc(workers, sizeof(*next))) == NULL || (log = fopen("log", "r")) == NULL)
		err(1, "log");
	for (n = 0; fread(record, RECORD, 1, log) == 1; n++) {
		record[RECORD] = '\0';
		if (sscanf(record, "%u %u\n", &w, &i) != 2 || w >= workers || i != next[w]++)
			errx(1, "log: record %u is wrong: %s", n, record);
	}
	fclose(log);
	free(next);
	if (n != workers * rounds)
		errx(1, "log: %u records instead of %u", n, workers * rounds);
	if (stat("log", &st) == -1 || st.st_nlink != 1)
		errx(1, "log: wrong number of links");
}

/* What must be left is left, and is removed: the directories must be empty then. */
static void
clean(void)
{
	unsigned int w, i;
	char name[64];

	for (i = 0; i < rounds; i++) {
		path(name, "contended", 0, i);
		if (unlink(name) == -1)
			err(1, "%s", name);
		for (w = 0; i % KEEP_EVERY == 0 && w < workers; w++) {
			path(name, "kept", w, i);
			check_file(name, w, i);
			if (unlink(name) == -1)
				err(1, "%s", name);
		}
	}
	if (rmdir("new") == -1 || rmdir("kept") == -1 || rmdir("contended") == -1 || unlink("log") == -1)
		err(1, "removing");
}

static void
pin(unsigned int w)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(w % (unsigned int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		err(1, "sched_setaffinity");
}

int
main(int argc, char *argv[])
{
	unsigned int w, won = 0;
	struct result *results;
	int status, failed = 0;
	uint32_t sum = 0;
	int fd;

	if (argc != 4 || (workers = (unsigned int)atoi(argv[2])) == 0 || (rounds = (unsigned int)atoi(argv[3])) == 0)
		errx(2, "usage: parallel DIRECTORY WORKERS ROUNDS");
	if (chdir(argv[1]) == -1 || mkdir("new", 0755) == -1 || mkdir("kept", 0755) == -1 ||
	    mkdir("contended", 0755) == -1 || (fd = open("log", O_CREAT | O_EXCL | O_WRONLY, 0644)) == -1)
		err(1, "%s", argv[1]);
	close(fd);
	results = mmap(NULL, workers * sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED)
		err(1, "mmap");
	for (w = 0; w < workers; w++) {
		pid_t pid = fork();

		if (pid == -1)
			err(1, "fork");
		if (pid == 0) {
			pin(w);
			work(w, &results[w]);
			_exit(0);
		}
	}
	while (wait(&status) != -1)
		failed |= status;
	if (failed != 0)
		errx(1, "a worker failed");
	for (w = 0; w < workers; w++) {
		won += results[w].won;
		sum ^= results[w].sum;
	}
	if (won != rounds)
		errx(1, "%u winners for %u contended names", won, rounds);
	check_log();
	clean();
	printf("parallel: %u workers, %u rounds, checksum %08x\n", workers, rounds, sum);
	return 0;
}
