/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * modes - see modes.h.
 *
 * Runs in: the test programs, as root.
 */
#include "modes.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS 16

/* Root in a container without CAP_SYS_ADMIN, whose seccomp profile forbids namespaces. */
#define CONTAINER { "setpriv", "--bounding-set", "-sys_admin,-dac_read_search,-sys_ptrace,-sys_resource", \
	"--inh-caps", "-all", "deny", "namespaces", "unshare", "--" }

#define OUTER_ONE { "unshare", "-U", "-r" }
#define OUTER_RANGES { "unshare", "-U", "--map-users=100000,0,65536", "--map-groups=100000,0,65536", "--setuid", "0", \
	"--setgid", "0" }

const struct mode modes[] = {
	{ .name = "root namespace", .args = { "--sandbox=namespace" }, .other = 1000, .host_ids = true },
	{ .name = "root chroot", .args = { "--sandbox=chroot" }, .other = 1000, .host_ids = true },
	{ .name = "root none", .args = { "--sandbox=none" }, .other = 1000, .host_ids = true },
	{ .name = "root chroot container", .args = { "--sandbox=chroot" }, .prefix = CONTAINER, .other = 1000,
	    .host_ids = true },
	{ .name = "root none container", .args = { "--sandbox=none" }, .prefix = CONTAINER, .other = 1000,
	    .host_ids = true },
	{ .name = "user namespace", .owner = MODES_USER, .root = MODES_USER, .seen = MODES_USER, .other_error = EINVAL,
	    .device_error = EPERM },
	{ .name = "user namespace one", .owner = MODES_USER,
	    .args = { "--uid-map=:0:64321:1:", "--gid-map=:0:64321:1:" }, .root = MODES_USER,
	    .other_error = EINVAL, .device_error = EPERM },
	{ .name = "user namespace ranges", .owner = MODES_USER,
	    .args = { "--uid-map=:0:100000:65536:", "--gid-map=:0:100000:65536:" }, .root = MODES_SUBID,
	    .other = MODES_SUBID + 1000, .device_error = EPERM },
	{ .name = "user none", .owner = MODES_USER, .args = { "--sandbox=none" }, .root = MODES_USER,
	    .seen = MODES_USER, .other_error = EPERM, .device_error = EPERM, .host_ids = true },
	{ .name = "user none container", .owner = MODES_USER, .args = { "--sandbox=none" },
	    .prefix = { "deny", "namespaces", "unshare", "--" }, .root = MODES_USER, .seen = MODES_USER,
	    .other_error = EPERM, .device_error = EPERM, .host_ids = true },
	/* Root of a user namespace that somebody else has made: of one id, and of as many as in a rootless container. */
	{ .name = "outer namespace", .owner = MODES_USER, .prefix = OUTER_ONE, .root = MODES_USER,
	    .other_error = EINVAL, .device_error = EPERM },
	{ .name = "outer chroot", .owner = MODES_USER, .args = { "--sandbox=chroot" }, .prefix = OUTER_ONE,
	    .root = MODES_USER, .other_error = EINVAL, .device_error = EPERM },
	{ .name = "outer none", .owner = MODES_USER, .args = { "--sandbox=none" }, .prefix = OUTER_ONE,
	    .root = MODES_USER, .other_error = EINVAL, .device_error = EPERM },
	{ .name = "outer ranges namespace", .owner = MODES_USER, .prefix = OUTER_RANGES, .root = MODES_SUBID,
	    .other = MODES_SUBID + 1000, .device_error = EPERM },
	{ .name = "outer ranges chroot", .owner = MODES_USER, .args = { "--sandbox=chroot" }, .prefix = OUTER_RANGES,
	    .root = MODES_SUBID, .other = MODES_SUBID + 1000, .device_error = EPERM },
};
const int modes_n = sizeof(modes) / sizeof(modes[0]);
const int modes_documented_n = 10;

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

/* A copy of a file of /etc with one more line, mounted over it where only we see it. */
static void
add_line(const char *path, const char *line)
{
	char copy[] = "/tmp/modes.XXXXXX", cmd[128];
	int fd = mkstemp(copy);

	must(fd >= 0, copy);
	snprintf(cmd, sizeof(cmd), "cat %s >%s 2>/dev/null || :", path, copy);
	must(system(cmd) == 0, cmd);
	must(lseek(fd, 0, SEEK_END) >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line), copy);
	must(fchmod(fd, 0644) == 0, copy);
	close(fd);
	must(mount(copy, path, NULL, MS_BIND, NULL) == 0, path);
	must(unlink(copy) == 0, copy);
}

void
modes_init(void)
{
	if (getenv("VIRTIOFSD") == NULL) {
		/* Tests change their working directory. */
		char *path = realpath("build/virtiofsd", NULL);

		must(path != NULL && setenv("VIRTIOFSD", path, 1) == 0, "build/virtiofsd");
		free(path);
	}
	must(unshare(CLONE_NEWNS) == 0, "unshare");
	must(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0, "mount");
	add_line("/etc/passwd", "vfs-test:x:64321:64321::/:/bin/false\n");
	add_line("/etc/group", "vfs-test:x:64321:\n");
	add_line("/etc/subuid", "vfs-test:100000:65536\n");
	add_line("/etc/subgid", "vfs-test:100000:65536\n");
}

/* The program beside the daemon's tests. */
static const char *
deny_path(void)
{
	static char path[400];
	const char *daemon = getenv("VIRTIOFSD"), *slash;
	int n;

	if (daemon == NULL || daemon[0] == '\0')
		daemon = "build/virtiofsd";
	n = (int)strcspn(daemon, " ");
	slash = memrchr(daemon, '/', (size_t)n);
	n = slash != NULL ? (int)(slash - daemon) : 0;
	snprintf(path, sizeof(path), "%.*s/tests/deny", n, daemon);
	return path;
}

const char *const *
modes_prefix(const char *const *words)
{
	static const char *prefix[MAX_ARGS];
	int i;

	for (i = 0; words[i] != NULL; i++)
		prefix[i] = strcmp(words[i], "deny") == 0 ? deny_path() : words[i];
	prefix[i] = NULL;
	return i > 0 ? prefix : NULL;
}

const struct mode *
modes_named(const char *name)
{
	int i;

	for (i = 0; i < modes_n; i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	ck_abort_msg("no mode %s", name);
	return NULL;
}

void
modes_start(const struct mode *m, const char *const *more)
{
	modes_start_in_group(m, more, 0);
}

void
modes_start_in_group(const struct mode *m, const char *const *more, gid_t group)
{
	const char *args[MAX_ARGS] = { "--front-user=nobody", "--worker-deaths=1000", "--worker-window=1" };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args, .owner = m->owner, .group = group };
	int n = 3, i;

	/* Only root has the choice, and nobody is nobody in a namespace of one id. */
	if (m->owner != 0)
		args[0] = "--fd-donation=always";
	for (i = 0; i < 4 && m->args[i] != NULL; i++)
		args[n++] = m->args[i];
	for (i = 0; more != NULL && more[i] != NULL; i++)
		args[n++] = more[i];
	args[n] = NULL;
	opts.prefix = modes_prefix(m->prefix);
	h_start_opts(&opts, true);
}

pid_t
modes_worker(void)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS), i;

	for (i = 0; i < n; i++)
		if (procs[i].ppid == hv->pid && strcmp(procs[i].comm, "virtiofsd-worke") == 0)
			return procs[i].pid;
	return 0;
}

static bool
is_other(void *arg)
{
	pid_t pid = modes_worker();

	return pid != 0 && pid != *(pid_t *)arg;
}

void
modes_restart(void)
{
	pid_t pid = modes_worker();

	ck_assert_int_gt(pid, 0);
	OK(kill(pid, SIGKILL));
	if (!h_eventually(is_other, &pid, VMM_TIMEOUT_MS)) {
		vmm_print_log(hv);
		ck_abort_msg("no new worker");
	}
	ck_assert(h_serves(&hc));
}
