/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suid: changes files that have set-id bits, one file a case, in every way and by every kind of user. What is left of
 * the bits is not looked at here: the same program runs on a local file system, and the modes of its files are compared.
 *
 * usage: suid DIRECTORY
 * Runs in: the guest, as root, on the share; and on the host, on ext4.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OWNER = 1000, STRANGER = 1001, GROUP = 2000 };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NEED(x) ((x) ? (void)0 : die(#x, __LINE__))

static void __attribute__((noreturn))
die(const char *what, int line)
{
	fprintf(stderr, "suid:%d: %s: %s\n", line, what, strerror(errno));
	_exit(1);
}

static const struct {
	const char *name;
	uid_t uid;
	gid_t gid;
	bool member;	/* of GROUP, beside gid */
} users[] = {
	{ "root", 0, 0, false },
	{ "owner", OWNER, OWNER, false },
	{ "owner-in-group", OWNER, GROUP, false },
	{ "owner-member", OWNER, OWNER, true },
	{ "stranger", STRANGER, STRANGER, false },
	{ "stranger-in-group", STRANGER, GROUP, false },
};

static const mode_t modes[] = { 06777, 04777, 02777, 06766, 02766, 0777 };

static void
do_write(const char *file)
{
	int fd = open(file, O_WRONLY);

	NEED(fd != -1 && write(fd, "x", 1) == 1 && close(fd) == 0);
}

static void
do_append(const char *file)
{
	int fd = open(file, O_WRONLY | O_APPEND);

	NEED(fd != -1 && write(fd, "x", 1) == 1 && close(fd) == 0);
}

static void
do_sync_write(const char *file)
{
	int fd = open(file, O_RDWR | O_SYNC);

	NEED(fd != -1 && pwrite(fd, "x", 1, 0) == 1 && close(fd) == 0);
}

static void
do_direct_write(const char *file)
{
	int fd = open(file, O_RDWR | O_DIRECT);
	char *block = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(fd != -1 && block != MAP_FAILED);
	memset(block, 'd', 4096);
	NEED(pwrite(fd, block, 4096, 0) == 4096 && close(fd) == 0);
}

static void
do_truncate(const char *file)
{
	NEED(truncate(file, 1) == 0);
}

static void
do_ftruncate(const char *file)
{
	int fd = open(file, O_RDWR);

	NEED(fd != -1 && ftruncate(fd, 1) == 0 && close(fd) == 0);
}

static void
do_open_trunc(const char *file)
{
	int fd = open(file, O_WRONLY | O_TRUNC);

	NEED(fd != -1 && close(fd) == 0);
}

static void
do_creat(const char *file)
{
	int fd = creat(file, 0600);

	NEED(fd != -1 && close(fd) == 0);
}

static void
do_fallocate(const char *file)
{
	int fd = open(file, O_RDWR);

	NEED(fd != -1 && fallocate(fd, 0, 0, 8192) == 0 && close(fd) == 0);
}

static void
do_punch(const char *file)
{
	int fd = open(file, O_RDWR);

	NEED(fd != -1 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4) == 0 &&
	    close(fd) == 0);
}

static void
do_copy(const char *file)
{
	int fd = open(file, O_RDWR), from = open("source", O_RDONLY);

	NEED(fd != -1 && from != -1 && copy_file_range(from, NULL, fd, NULL, 4, 0) == 4 && close(fd) == 0);
}

/* Reading, and opening to write, change nothing. */
static void
do_nothing(const char *file)
{
	int fd = open(file, O_RDWR);
	char c;

	NEED(fd != -1 && read(fd, &c, 1) == 1 && close(fd) == 0);
}

static const struct {
	const char *name;
	void (*run)(const char *file);
} changes[] = {
	{ "write", do_write }, { "append", do_append }, { "sync-write", do_sync_write },
	{ "direct-write", do_direct_write }, { "truncate", do_truncate }, { "ftruncate", do_ftruncate },
	{ "open-trunc", do_open_trunc }, { "creat", do_creat }, { "fallocate", do_fallocate },
	{ "punch", do_punch }, { "copy", do_copy }, { "nothing", do_nothing },
};

static void
make(const char *file, mode_t mode)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);

	NEED(fd != -1 && write(fd, "content", 7) == 7);
	NEED(fchown(fd, OWNER, GROUP) == 0 && fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void
name_of(char buf[static 80], size_t user, size_t change, size_t mode)
{
	snprintf(buf, 80, "%s-%s-%04o", changes[change].name, users[user].name, modes[mode]);
}

/* All cases of one user: one child for all, because fork is slow in some guests. */
static void
run_user(size_t user)
{
	gid_t group = GROUP;
	char file[80];
	int status;
	pid_t pid;

	NEED((pid = fork()) != -1);
	if (pid == 0) {
		NEED(setgroups(users[user].member, &group) == 0);
		NEED(setresgid(users[user].gid, users[user].gid, users[user].gid) == 0);
		NEED(setresuid(users[user].uid, users[user].uid, users[user].uid) == 0);
		for (size_t c = 0; c < COUNT(changes); c++)
			for (size_t m = 0; m < COUNT(modes); m++) {
				name_of(file, user, c, m);
				changes[c].run(file);
			}
		_exit(0);
	}
	NEED(waitpid(pid, &status, 0) == pid && status == 0);
}

int
main(int argc, char *argv[])
{
	char file[80];

	NEED(argc == 2 && chdir(argv[1]) == 0);
	umask(0);
	make("source", 0644);
	for (size_t u = 0; u < COUNT(users); u++)
		for (size_t c = 0; c < COUNT(changes); c++)
			for (size_t m = 0; m < COUNT(modes); m++) {
				name_of(file, u, c, m);
				make(file, modes[m]);
			}
	for (size_t u = 0; u < COUNT(users); u++)
		run_user(u);
	return 0;
}
