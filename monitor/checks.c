/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checks before anything is created. Runs in: monitor, before it waits for its client. Bytes written by: whoever
 * starts the daemon (trusted), and the kernel.
 */
#include "monitor/checks.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

/* The first line of a small file of procfs, or a negative errno. */
static int
read_line(const char *path, char *line, size_t size)
{
	ssize_t n = -1;
	int e = 0, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1 || (n = read(fd, line, size - 1)) == -1)
		e = -errno;
	fd_close(&fd);
	line[MAX(n, 0)] = '\0';
	return e;
}

/* Does an id map have one line, and that for one id? */
static int
maps_one_id(const char *path, bool *one)
{
	unsigned long inside, outside, count;
	char text[256];
	int r = read_line(path, text, sizeof(text)), end = 0;

	if (r == 0)
		*one = sscanf(text, "%lu %lu %lu %n", &inside, &outside, &count, &end) == 3 &&
		    count == 1 && text[end] == '\0';
	return r;
}

/*
 * Is a system call made at all? It fails for its arguments then. Libc may do the work of a missing one (statx), but not all
 * that is asked here.
 */
static int
probe(long nr, long a, long b, long c, long d, int expected)
{
	if (syscall(nr, a, b, c, d, 0L, 0L) != -1 || errno == expected)
		return 0;
	return -errno;
}

int
checks_calls(void)
{
	static const struct open_how how;
	const struct {
		const char *name;
		int error;
	} calls[] = {
		{ "openat2", probe(SYS_openat2, -1, (long)"x", (long)&how, sizeof(how), EBADF) },
		{ "statx", probe(SYS_statx, -1, (long)"x", 0, 0, EBADF) },
		{ "renameat2", probe(SYS_renameat2, -1, (long)"x", -1, (long)"x", EBADF) },
		{ "preadv2", probe(SYS_preadv2, -1, 0, 0, 0, EBADF) },
		{ "pwritev2", probe(SYS_pwritev2, -1, 0, 0, 0, EBADF) },
		{ "close_range", probe(SYS_close_range, 1, 0, 0, 0, EINVAL) },
		{ "pidfd_send_signal", probe(SYS_pidfd_send_signal, -1, 0, 0, 0, EBADF) },
		{ "memfd_create", probe(SYS_memfd_create, 0, 0, 0, 0, EFAULT) },
	};
	char missing[LOG_LINE_MAX] = "";
	size_t n = 0;

	for (size_t i = 0; i < countof(calls) && n < sizeof(missing); i++)
		if (calls[i].error != 0)
			n += (size_t)snprintf(missing + n, sizeof(missing) - n, "%s%s (%s)",
			    n > 0 ? ", " : "", calls[i].name, strerrordesc_np(-calls[i].error));
	if (n == 0)
		return 0;
	log_error("not allowed by this kernel or by the seccomp profile of the container: %s; "
		  "Linux 5.9 or later is needed",
	    missing);
	return -ENOSYS;
}

bool
checks_drop_groups(void)
{
	char word[16] = "";
	bool uid = false, gid = false;
	int r;

	if (geteuid() != 0)
		return false;
	if (access("/proc/self/ns/user", F_OK) == -1)
		return true;
	r = maps_one_id("/proc/self/uid_map", &uid);
	if (r == 0)
		r = maps_one_id("/proc/self/gid_map", &gid);
	if (r == 0)
		r = read_line("/proc/self/setgroups", word, sizeof(word));
	if (r == 0)
		return !(uid && gid && strncmp(word, "deny", 4) == 0);
	log_warn("Failed to determine whether supplemental groups must be dropped: %s; defaulting "
		 "to trying to drop supplemental groups",
	    strerrordesc_np(-r));
	return true;
}

bool
checks_id_is_mapped(const char *map, uint32_t id)
{
	unsigned long inside, outside, count;
	bool found = false;
	FILE *f = fopen(map, "re");

	if (f == NULL)
		return true;
	while (!found && fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3)
		found = id >= inside && id - inside < count;
	fclose(f);
	return found;
}

int
checks_handles(int share)
{
	alignas(struct file_handle) unsigned char buf[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	struct file_handle *h = (void *)buf;
	char path[32];
	int mnt, real, fd = -1, r = 0;

	h->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(share, "", h, &mnt, AT_EMPTY_PATH) == -1)
		return -errno;
	/* It wants an fd that is not O_PATH. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", share);
	real = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (real == -1 || (fd = open_by_handle_at(real, h, O_PATH | O_CLOEXEC | O_NOFOLLOW)) == -1)
		r = -errno;
	fd_close(&real);
	fd_close(&fd);
	return r;
}

static int
read_nr_open(uint64_t *res)
{
	char buf[32] = "";
	ssize_t n = -1;
	int fd = open("/proc/sys/fs/nr_open", O_RDONLY | O_CLOEXEC);

	if (fd != -1)
		n = read(fd, buf, sizeof(buf) - 1);
	fd_close(&fd);
	if (n <= 0) {
		log_error(
		    "cannot read /proc/sys/fs/nr_open: %s", strerrordesc_np(n == 0 ? EIO : errno));
		return -EIO;
	}
	*res = strtoull(buf, NULL, 10);
	return 0;
}

static int
set_nofile(uint64_t n)
{
	struct rlimit rl = { .rlim_cur = n, .rlim_max = n };

	return setrlimit(RLIMIT_NOFILE, &rl) == -1 ? -errno : 0;
}

/* Files that are not inodes of the guest: as virtiofsd counts them, so that the same limits are refused. */
#define NOFILE_OVERHEAD 609u
#define NOFILE_DEFAULT 1000000u
#define NOFILE_FEW 128u

static int
raise_nofile(
    const struct options *o, uint64_t nr_open, uint64_t soft, uint64_t hard, uint64_t *limit)
{
	uint64_t target = MIN(NOFILE_DEFAULT, nr_open);
	int r;

	*limit = soft;
	if (o->nofile_given && o->nofile > nr_open) {
		log_error("error increasing number of open files: it cannot be increased above %ju "
			  "(/proc/sys/fs/nr_open), as --rlimit-nofile=%ju asks",
		    (uintmax_t)nr_open, (uintmax_t)o->nofile);
		return -EINVAL;
	}
	if (o->nofile_given && o->nofile > 0) {
		if ((r = set_nofile(o->nofile)) != 0)
			log_error("error increasing number of open files to %ju: %s",
			    (uintmax_t)o->nofile, strerrordesc_np(-r));
		*limit = o->nofile;
		return r;
	}
	if (o->nofile_given || soft >= NOFILE_DEFAULT)
		return 0;
	*limit = target;
	if (set_nofile(target) == 0)
		return 0;
	log_warn("failure when trying to set the limit to %ju, the hard limit (%ju) of open file "
		 "descriptors is used instead",
	    (uintmax_t)target, (uintmax_t)hard);
	*limit = hard;
	if ((r = set_nofile(hard)) != 0)
		log_error("error increasing number of open files to %ju: %s", (uintmax_t)hard,
		    strerrordesc_np(-r));
	return r;
}

int
checks_nofile(const struct options *o, uint64_t *limit)
{
	struct rlimit rl;
	uint64_t nr_open, overhead;
	int r;

	if ((r = read_nr_open(&nr_open)) != 0)
		return r;
	if (getrlimit(RLIMIT_NOFILE, &rl) == -1) {
		log_error("getrlimit: %s", strerrordesc_np(errno));
		return -EIO;
	}
	if ((r = raise_nofile(o, nr_open, rl.rlim_cur, rl.rlim_max, limit)) != 0)
		return r;
	overhead = MAX(o->pool_size, 1);
	overhead = overhead > UINT64_MAX - NOFILE_OVERHEAD ? UINT64_MAX
							   : overhead + NOFILE_OVERHEAD;
	if (*limit < overhead) {
		log_error("maximum number of file descriptors too small: limit is %ju, must be at "
			  "least %ju",
		    (uintmax_t)*limit, (uintmax_t)overhead);
		return -EMFILE;
	}
	if (*limit - overhead < NOFILE_FEW)
		log_warn("file descriptor count limit is very small, leaving only %ju file "
			 "descriptors for the guest",
		    (uintmax_t)(*limit - overhead));
	return 0;
}

int
checks_share(const char *path, enum sandbox_mode sandbox, int *fd)
{
	struct stat st;
	char *real;

	if (path == NULL) {
		log_error("missing \"--shared-dir\" or \"-o source\" option");
		return -EINVAL;
	}
	if (stat(path, &st) == -1 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))) {
		log_error("'%s' does not exist or is neither a directory nor a file", path);
		return -ENOENT;
	}
	if (S_ISREG(st.st_mode) && sandbox != SANDBOX_NONE) {
		log_error("Error entering sandbox: '%s': Not a directory: only --sandbox=none can "
			  "share a file",
		    path);
		return -ENOTDIR;
	}
	real = realpath(path, NULL);
	*fd = real == NULL ? -1 : open(real, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (*fd == -1) {
		int saved = errno;

		log_error(
		    "cannot open the shared directory '%s': %s", path, strerrordesc_np(saved));
		free(real);
		return -saved;
	}
	free(real);
	return 0;
}

int
checks_front_user(const char *name, uid_t *uid, gid_t *gid)
{
	struct passwd *pw;

	if (name != NULL)
		pw = getpwnam(name);
	else if ((pw = getpwnam("virtiofsd")) == NULL)
		pw = getpwnam("nobody");
	if (pw == NULL && name != NULL)
		log_error("--front-user: there is no user '%s'", name);
	else if (pw == NULL)
		log_error(
		    "there is neither a user 'virtiofsd' nor 'nobody': name one with --front-user");
	else if (pw->pw_uid == 0 || pw->pw_gid == 0)
		log_error("the user of the front process, '%s', must have neither uid nor gid 0",
		    pw->pw_name);
	if (pw == NULL || pw->pw_uid == 0 || pw->pw_gid == 0)
		return -EINVAL;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	endpwent();
	return 0;
}

int
checks_group(const char *name, gid_t *gid)
{
	const struct group *gr;

	errno = 0;
	gr = getgrnam(name);
	if (gr == NULL) {
		log_error("couldn't resolve the group name '%s' of --socket-group: %s", name,
		    errno != 0 ? strerrordesc_np(errno) : "there is no such group");
		return -EINVAL;
	}
	*gid = gr->gr_gid;
	endgrent();
	return 0;
}
