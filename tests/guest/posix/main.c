/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix main: runs the groups of checks, counts, and holds what they share.
 *
 * usage: posix DIRECTORY [--xattr] [--lacks POWER[,POWER]...]
 * --xattr: the daemon runs with --xattr; otherwise extended attributes must be refused.
 * --lacks: what it cannot do: owners, devices, large-ids, fsetid (posix.h).
 * Runs in: the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

static unsigned int checks, failures, skipped;
static bool lacks[POSIX_POWERS];
static const char *const powers[POSIX_POWERS] = { "owners", "devices", "large-ids", "fsetid" };

bool
posix_can(enum posix_power power, const char *what)
{
	if (!lacks[power])
		return true;
	skipped++;
	printf("skip %s (lacks %s)\n", what, powers[power]);
	return false;
}

static bool
parse_lacks(char *list)
{
	unsigned int i;

	for (char *word = strtok(list, ","); word != NULL; word = strtok(NULL, ",")) {
		for (i = 0; i < POSIX_POWERS && strcmp(word, powers[i]) != 0; i++)
			;
		if (i == POSIX_POWERS)
			return false;
		lacks[i] = true;
	}
	return true;
}

/* Returns false if they make no sense. */
static bool
parse_options(int argc, char *argv[], bool *xattr)
{
	if (argc < 2)
		return false;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--xattr") == 0)
			*xattr = true;
		else if (strcmp(argv[i], "--lacks") != 0 || ++i == argc || !parse_lacks(argv[i]))
			return false;
	}
	return true;
}

void
posix_errno_reset(void)
{
	errno = 0;
}

bool
posix_errno_is(int error)
{
	return errno == error;
}

bool
posix_check(bool ok, const char *name, const char *expr, int line)
{
	int error = errno;

	checks++;
	if (ok) {
		printf("ok %u %s\n", checks, name);
	} else {
		failures++;
		printf("not ok %u %s (line %d: %s; errno: %s)\n", checks, name, line, expr, strerror(error));
	}
	return ok;
}

_Noreturn void
posix_die(const char *expr, const char *file, int line)
{
	printf("not ok %u %s:%d: could not prepare: %s: %s\n", checks + 1, file, line, expr, strerror(errno));
	fflush(stdout);
	_exit(1);
}

int
posix_as(uid_t uid, gid_t gid, int (*fn)(const void *arg), const void *arg)
{
	pid_t pid;
	int status;

	fflush(stdout);
	NEED((pid = fork()) != -1);
	if (pid == 0) {
		if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 ||
		    setresuid(uid, uid, uid) == -1)
			_exit(254);
		_exit(fn(arg));
	}
	NEED(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

void
posix_write_file(const char *name, const char *text)
{
	size_t length = strlen(text);
	int fd;

	NEED((fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644)) != -1);
	NEED(write(fd, text, length) == (ssize_t)length);
	NEED(close(fd) == 0);
}

bool
posix_file_is(const char *name, const char *text)
{
	char buffer[8192];
	ssize_t n;
	int fd;

	if ((fd = open(name, O_RDONLY)) == -1)
		return false;
	n = read(fd, buffer, sizeof(buffer));
	close(fd);
	return n >= 0 && (size_t)n == strlen(text) && memcmp(buffer, text, (size_t)n) == 0;
}

mode_t
posix_mode(const char *name)
{
	struct stat st;

	return lstat(name, &st) == -1 ? ~(mode_t)0 : st.st_mode & 07777;
}

off_t
posix_size(const char *name)
{
	struct stat st;

	return lstat(name, &st) == -1 ? -1 : st.st_size;
}

bool
posix_exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

/* Runs a group in a directory of its own. */
static void
run(const char *name, void (*group)(void))
{
	printf("# %s\n", name);
	NEED(mkdir(name, 0755) == 0);
	NEED(chdir(name) == 0);
	group();
	NEED(chdir("..") == 0);
}

static bool xattr_enabled;

static void
run_xattr(void)
{
	posix_xattr(xattr_enabled);
}

int
main(int argc, char *argv[])
{
	/* posix_open() copies this program into the share and runs the copy. */
	if (argc == 2 && strcmp(argv[1], "--exit-7") == 0)
		return 7;
	if (!parse_options(argc, argv, &xattr_enabled)) {
		fprintf(stderr, "usage: posix DIRECTORY [--xattr] [--lacks POWER,...]\n");
		return 2;
	}
	umask(022);
	NEED(chdir(argv[1]) == 0);
	run("open", posix_open);
	run("data", posix_data);
	run("names", posix_names);
	run("dirs", posix_dirs);
	run("attr", posix_attr);
	if (posix_can(POSIX_OWNERS, "the checks of several users"))
		run("users", posix_users);
	run("locks", posix_locks);
	run("xattr", run_xattr);
	printf("# %u checks, %u failures, %u left out\n", checks, failures, skipped);
	return failures == 0 ? 0 : 1;
}
