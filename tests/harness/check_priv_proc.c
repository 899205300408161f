/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_priv_proc - see check_priv.h.
 *
 * Runs in: check_priv.
 */
#include "check_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool
priv_in_list(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p = list;

	while ((p = strstr(p, word)) != NULL) {
		if ((p == list || p[-1] == ',' || p[-1] == ' ') &&
		    (p[n] == '\0' || p[n] == ',' || p[n] == ' '))
			return true;
		p += n;
	}
	return false;
}

void
priv_field(const char *path, const char *field, char *out, size_t cap, bool number)
{
	char line[512];
	size_t n = strlen(field);
	bool found = false;
	FILE *f;

	out[0] = '\0';
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, field, n) == 0 && line[n] == ':') {
			snprintf(out, cap, "%s", line + n + 1 + strspn(line + n + 1, " \t\n"));
			found = true;
		}
	}
	fclose(f);
	ck_assert_msg(found, "%s has no %s", path, field);
	n = strlen(out);
	while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == ' '))
		out[--n] = '\0';
	if (number)
		snprintf(out, cap, "%llx", strtoull(out, NULL, 16));
}

const char *
priv_fd_kind(pid_t pid, const char *fd)
{
	char path[300], target[256], line[128];
	unsigned long flags = 0;
	struct stat st;
	ssize_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return NULL;
	target[n] = '\0';
	if (strncmp(target, "anon_inode:", 11) == 0) {
		static char kind[64];
		size_t from = 11 + (target[11] == '[');

		snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(target + from, "]"),
		    target + from);
		return kind;
	}
	if (strncmp(target, "socket:", 7) == 0)
		return "socket";
	if (strncmp(target, "pipe:", 5) == 0)
		return "pipe";
	if (strncmp(target, "/memfd:", 7) == 0)
		return "memfd";
	if (strcmp(target, "pidfd:") == 0 || strncmp(target, "pidfd:[", 7) == 0)
		return "pidfd";
	if (strcmp(target, "/dev/null") == 0)
		return "null";
	if (strstr(target, ":[") != NULL && target[0] != '/')
		return "ns";
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, fd);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "flags: %lo", &flags);
	if (f != NULL)
		fclose(f);
	if ((flags & O_PATH) != 0)
		return "o_path";
	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, fd);
	if (stat(path, &st) < 0)
		return "unknown";
	return S_ISREG(st.st_mode) ? "regular" : S_ISDIR(st.st_mode) ? "directory" : "unknown";
}

bool
priv_is_void(const char *path)
{
	struct dirent *e;
	struct statvfs fs;
	struct stat st;
	bool empty = true;
	DIR *d;

	OK(stat(path, &st));
	d = opendir(path);
	ck_assert_msg(d != NULL, "%s: %s", path, strerror(errno));
	while ((e = readdir(d)) != NULL)
		empty = empty && e->d_name[0] == '.';
	closedir(d);
	OK(statvfs(path, &fs));
	/* A directory that was removed takes nothing. */
	return empty && (st.st_nlink == 0 || (fs.f_flag & ST_RDONLY) != 0);
}
