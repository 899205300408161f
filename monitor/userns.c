/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process is cloned into the new namespace, waits until its maps are written from outside, tries what children will
 * have to do there, and ends; the namespace lives on by its fd. Runs in: monitor, at the start. Bytes written by: the
 * command line, newuidmap and newgidmap (trusted).
 */
#include "monitor/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/msg.h"
#include "common/privs.h"
#include "monitor/spawn.h"

#include <linux/capability.h>

/* What the process in the namespace found out. With it comes an fd of its user namespace, if that is its own. */
struct outcome {
	enum { TRIED_NS_FILE, TRIED_UNSHARE, TRIED_MOUNT } last;
	int error; /* of that */
	bool bind_mounts; /* there is no open_tree() */
};

static const struct {
	enum userns_step step;
	const char *what;
} tried[] = {
	[TRIED_NS_FILE] = { USERNS_MAKE, "open /proc/self/ns/user" },
	[TRIED_UNSHARE] = { USERNS_MAKE, "make mount, pid and network namespaces (unshare)" },
	[TRIED_MOUNT] = { USERNS_MOUNT, "change mounts in a new mount namespace (mount)" },
};

static int ATTR_PRINTF(4, 5)
    fail(struct userns_error *e, enum userns_step step, int error, const char *fmt, ...)
{
	va_list ap;

	e->step = step;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return error != 0 ? -error : -EIO;
}

/* open_tree(), mount_setattr() and move_mount(), as the worker's sandbox uses them. */
static bool
can_clone_mounts(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int fd = open_tree(AT_FDCWD, "/proc/self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	return fd != -1 && mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0 &&
	    move_mount(fd, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

/* Alone in a process of its own: make namespaces, if any, and change a mount. */
static struct outcome
try_all(unsigned long namespaces)
{
	if (namespaces != 0 && unshare((int)namespaces) == -1)
		return (struct outcome){ TRIED_UNSHARE, errno, false };
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) == -1)
		return (struct outcome){ TRIED_MOUNT, errno, false };
	return (struct outcome){ TRIED_MOUNT, 0, !can_clone_mounts() };
}

/*
 * The user namespace is handed over from inside: looking at another process, even at a child, takes what AppArmor and
 * Yama may withhold. And it is opened first: procfs is mounted over afterwards.
 */
static void ATTR_NORETURN
try_and_tell(int sock, bool own, unsigned long namespaces)
{
	struct outcome o = { .last = TRIED_NS_FILE };
	int userns = -1;
	char go;

	if (recv(sock, &go, 1, 0) != 1)
		_exit(1);
	if (own && (userns = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)) == -1)
		o.error = errno;
	else
		o = try_all(namespaces);
	_exit(msg_send(sock, &o, sizeof(o), &userns, userns != -1, 0) != 0);
}

/* Let the process try, and hear how that went. *userns: of its own namespace, the caller's to close; or -1. */
static int
judge(int sock, int *userns, bool *bind_mounts, struct userns_error *e)
{
	struct outcome o;
	size_t nfds = 1;

	*userns = -1;
	if (send(sock, "", 1, MSG_NOSIGNAL) != 1 ||
	    msg_recv(sock, &o, sizeof(o), userns, &nfds, NULL, 0) != (ssize_t)sizeof(o))
		return fail(e, USERNS_MOUNT, EIO, "the process that tries namespaces ended");
	*bind_mounts = o.bind_mounts;
	if (o.error == 0)
		return 0;
	return fail(e, tried[o.last].step, o.error, "cannot %s: %s", tried[o.last].what,
	    strerrordesc_np(o.error));
}

static int
write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd, e = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1 || write(fd, text, strlen(text)) == -1)
		e = -errno;
	fd_close(&fd);
	return e;
}

/* All of what a program says on its standard error, on one line. */
static void
read_line(int fd, char *line, size_t size)
{
	size_t n = 0;
	ssize_t k;

	while (n < size - 1 && (k = read(fd, line + n, size - 1 - n)) > 0)
		n += (size_t)k;
	line[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (line[i] == '\n')
			line[i] = i + 1 == n ? '\0' : ' ';
}

static void ATTR_NORETURN
exec_tool(const char *tool, char *const argv[], int err)
{
	sigset_t none;

	sigemptyset(&none);
	if (dup2(err, STDERR_FILENO) == -1 || sigprocmask(SIG_SETMASK, &none, NULL) == -1)
		_exit(126);
	execvp(tool, argv);
	dprintf(STDERR_FILENO, "%s", strerrordesc_np(errno));
	_exit(127);
}

/* newuidmap or newgidmap, found by PATH: its arguments are the process and three numbers a line. */
static int
run_tool(const char *tool, pid_t pid, const struct id_map *map, struct userns_error *e)
{
	const size_t n = 3 * map->n;
	char(*number)[12] = calloc(n + 1, sizeof(*number)), **argv = calloc(n + 3, sizeof(*argv));
	char said[128] = "";
	int err[2] = { -1, -1 }, status = -1, r = 0;
	pid_t child = -1;

	if (number == NULL || argv == NULL || pipe2(err, O_CLOEXEC) == -1) {
		r = fail(e, USERNS_MAP, errno, "%s: %s", tool, strerrordesc_np(errno));
		goto out;
	}
	argv[0] = (char *)(uintptr_t)tool;
	for (size_t i = 0; i <= n; i++) {
		const struct id_range *line = &map->range[i > 0 ? (i - 1) / 3 : 0];
		const uint32_t v = i == 0 ? (uint32_t)pid
		    : i % 3 == 1          ? line->inside
		    : i % 3 == 2          ? line->outside
					  : line->count;

		snprintf(number[i], sizeof(number[i]), "%" PRIu32, v);
		argv[i + 1] = number[i];
	}
	child = fork();
	if (child == 0)
		exec_tool(tool, argv, err[1]);
	fd_close(&err[1]);
	if (child != -1) {
		read_line(err[0], said, sizeof(said));
		if (waitpid(child, &status, 0) != child || status != 0)
			r = fail(e, USERNS_MAP, EPERM, "failed to execute %s: %s", tool, said);
	} else
		r = fail(e, USERNS_MAP, errno, "fork: %s", strerrordesc_np(errno));
out:
	fd_close_all(err, 2);
	free(number);
	free(argv);
	return r;
}

/* Write the map by ourselves: name is uid_map or gid_map. */
static int
write_map(
    pid_t pid, const char *name, const struct id_map *map, bool privileged, struct userns_error *e)
{
	char text[4096];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < map->n && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n", map->range[i].inside,
		    map->range[i].outside, MAX(map->range[i].count, 1));
	/* The kernel wants that of who could give up groups by it. */
	if (name[0] == 'g' && !privileged && (r = write_file(pid, "setgroups", "deny")) != 0)
		name = "setgroups";
	else
		r = write_file(pid, name, text);
	if (r != 0)
		return fail(
		    e, USERNS_MAP, -r, "failed to write to %s: %s", name, strerrordesc_np(-r));
	return 0;
}

static int
set_map(pid_t pid, bool group, const struct id_map *map, struct userns_error *e)
{
	const uint32_t own = group ? getegid() : geteuid();
	const bool privileged = (privs_caps() & PRIVS_CAP(group ? CAP_SETGID : CAP_SETUID)) != 0;
	struct id_range self = { own, own, 1 };
	const struct id_map one = { &self, 1 };

	if (map == NULL)
		return 0;
	if (map->n == 0)
		map = &one;
	if (privileged || (map->n == 1 && map->range[0].outside == own && map->range[0].count <= 1))
		return write_map(pid, group ? "gid_map" : "uid_map", map, privileged, e);
	return run_tool(group ? "newgidmap" : "newuidmap", pid, map, e);
}

static bool
within(uint32_t id, uint32_t first, uint32_t count)
{
	return id >= first && id - first < MAX(count, 1);
}

bool
userns_maps(const struct id_map *map, uint32_t own, uint32_t inside)
{
	if (map->n == 0)
		return inside == own;
	for (size_t i = 0; i < map->n; i++)
		if (within(inside, map->range[i].inside, map->range[i].count))
			return true;
	return false;
}

bool
userns_maps_outside(const struct id_map *map, uint32_t own, uint32_t outside)
{
	if (map->n == 0)
		return outside == own;
	for (size_t i = 0; i < map->n; i++)
		if (within(outside, map->range[i].outside, map->range[i].count))
			return true;
	return false;
}

/* Start a process by clone(flags) that waits for a word, tries and tells. *sock: to speak with it. */
static pid_t
start(unsigned long flags, unsigned long namespaces, int *sock)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		close(pair[0]);
		try_and_tell(pair[1], (flags & CLONE_NEWUSER) != 0, namespaces);
	}
	fd_close(&pair[1]);
	if (pid == -1)
		fd_close(&pair[0]);
	*sock = pair[0];
	return pid;
}

int
userns_new(const struct id_map *uid, const struct id_map *gid, struct spawn_how *how,
    struct userns_error *e)
{
	int sock = -1, r;
	pid_t pid = start(CLONE_NEWUSER, SPAWN_NAMESPACES, &sock);

	how->userns = -1;
	if (pid == -1)
		return fail(e, USERNS_MAKE, errno, "cannot make a user namespace (clone): %s",
		    strerrordesc_np(errno));
	if ((r = set_map(pid, false, uid, e)) == 0 && (r = set_map(pid, true, gid, e)) == 0)
		r = judge(sock, &how->userns, &how->bind_mounts, e);
	fd_close(&sock);
	(void)waitpid(pid, NULL, 0);
	if (r == 0)
		how->namespaces = SPAWN_NAMESPACES;
	else
		fd_close(&how->userns);
	return r;
}

int
userns_try(struct spawn_how *how, unsigned long namespaces, struct userns_error *e)
{
	int sock = -1, none = -1, r = 0;
	pid_t pid = start(namespaces, 0, &sock);

	how->userns = -1;
	if (pid == -1)
		return fail(e, USERNS_MAKE, errno, "cannot make namespaces (clone): %s",
		    strerrordesc_np(errno));
	if ((namespaces & CLONE_NEWNS) != 0)
		r = judge(sock, &none, &how->bind_mounts, e);
	fd_close(&none);
	fd_close(&sock);
	(void)waitpid(pid, NULL, 0);
	if (r == 0)
		how->namespaces = namespaces;
	return r;
}
