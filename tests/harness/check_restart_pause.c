/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart_pause - how long the guest waits when the worker is killed: from SIGKILL to the answer of a request
 * sent right behind it, with few inodes known and with very many. Median and worst are printed.
 *
 * Runs in: check_restart.
 */
#include "check_restart.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KILLS 200
#define MEDIAN_MAX_US 100000
#define PER_DIR 1000u
#define LIST_SIZE (512u << 10)

struct known {
	uint64_t node;
	uint64_t ino;
};

static struct known *known;	/* what the guest has looked up */
static unsigned int nr_known;

static int
compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* One death. The request is about any of the known inodes; every second time a LOOKUP in the root. */
static long
pause_once(unsigned int i)
{
	const struct timespec nap = { 0, 5000000 };
	const struct known *k = &known[(unsigned int)random() % nr_known];
	struct fuse_entry_out e;
	struct fuse_attr a;
	pid_t pid = restart_worker();
	long start = restart_now_us(), us;

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	if (i % 2 == 0) {
		OK(fc_getattr(&hc, k->node, &a));
		us = restart_now_us() - start;
		ck_assert_uint_eq(a.ino, k->ino);
	} else {
		OK(fc_lookup(&hc, FC_ROOT, "first", &e));
		us = restart_now_us() - start;
		ck_assert_uint_eq(e.attr.ino, h_stat("first").st_ino);
	}
	restart_wait(pid);
	nanosleep(&nap, NULL);
	return us;
}

static long
measure(void)
{
	long us[KILLS], median;
	unsigned int i;

	for (i = 0; i < KILLS; i++)
		us[i] = pause_once(i);
	qsort(us, KILLS, sizeof(us[0]), compare);
	median = us[KILLS / 2];
	printf("restart: %u inodes known, %u kills: pause median %ld.%ld ms, 9 of 10 below %ld.%ld ms, worst %ld.%ld ms\n",
	    nr_known, KILLS, median / 1000, median / 100 % 10, us[KILLS * 9 / 10] / 1000, us[KILLS * 9 / 10] / 100 % 10,
	    us[KILLS - 1] / 1000, us[KILLS - 1] / 100 % 10);
	ck_assert_int_lt(median, MEDIAN_MAX_US);
	return median;
}

static void
learn(uint64_t node, uint64_t ino)
{
	known[nr_known].node = node;
	known[nr_known++].ino = ino;
}

/* On the host: directories of PER_DIR files. */
static void
make_files(unsigned int dirs)
{
	char name[32];
	unsigned int d, i;
	int fd;

	for (d = 0; d < dirs; d++) {
		snprintf(name, sizeof(name), "dir%u", d);
		OK(mkdir(h_path(name), 0755));
		fd = open(h_path(name), O_PATH | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		for (i = 0; i < PER_DIR; i++) {
			snprintf(name, sizeof(name), "f%u", i);
			OK(mknodat(fd, name, S_IFREG | 0644, 0));
		}
		close(fd);
	}
}

/* The guest looks up everything in directory d, by READDIRPLUS. */
static void
learn_directory(unsigned int d)
{
	struct fuse_open_out o;
	struct fuse_entry_out e;
	struct fuse_dirent de;
	char name[256];
	uint64_t node, offset = 0;
	unsigned int found = 0;
	size_t pos;
	int n;

	snprintf(name, sizeof(name), "dir%u", d);
	node = h_node(name);
	OK(fc_opendir(&hc, node, &o));
	while ((n = fc_readdir(&hc, node, o.fh, offset, LIST_SIZE, true)) > 0) {
		for (pos = 0; (n = fc_next_dirent(&hc, &pos, true, &e, &de, name)) == 1; offset = de.off) {
			if (e.nodeid == 0)
				continue;
			learn(e.nodeid, e.attr.ino);
			found++;
		}
		ck_assert_int_eq(n, 0);
	}
	ck_assert_int_eq(n, 0);
	ck_assert_uint_eq(found, PER_DIR);
	OK(fc_releasedir(&hc, node, o.fh));
}

START_TEST(pause_few)
{
	unsigned int i;
	char name[32];

	restart_start_opts(NULL);
	known = calloc(16, sizeof(*known));
	ck_assert_ptr_nonnull(known);
	nr_known = 0;
	h_put("first", "1", 1);
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "file%u", i);
		h_put(name, name, strlen(name));
		learn(h_node(name), h_stat(name).st_ino);
	}
	measure();
	free(known);
	restart_stop();
}
END_TEST

START_TEST(pause_many)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .share_mib = 8192 };
	const char *env = getenv("RESTART_INODES");
	unsigned int want = env != NULL ? (unsigned int)strtoul(env, NULL, 10) : 1000000, d;
	long start;

	restart_start_opts(&opts);
	known = calloc(want, sizeof(*known));
	ck_assert_ptr_nonnull(known);
	nr_known = 0;
	h_put("first", "1", 1);
	start = vmm_now_ms();
	make_files(want / PER_DIR);
	printf("restart: %u files made in %ld ms\n", want, vmm_now_ms() - start);
	start = vmm_now_ms();
	for (d = 0; d < want / PER_DIR; d++)
		learn_directory(d);
	printf("restart: looked up in %ld ms\n", vmm_now_ms() - start);
	ck_assert_uint_eq(nr_known, want / PER_DIR * PER_DIR);
	measure();
	free(known);
	restart_stop();
}
END_TEST

TCase *
check_restart_pause(void)
{
	TCase *c = tcase_create("pause");

	tcase_add_checked_fixture(c, NULL, h_abandon);
	tcase_set_timeout(c, 300);
	tcase_add_test(c, pause_few);
	tcase_add_test(c, pause_many);
	return c;
}
