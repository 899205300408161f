/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm - life of a daemon under test: start, connect, end, and the proof that nothing is left of it.
 *
 * Runs in: the test programs, as root.
 */
#include "vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_DAEMON "build/virtiofsd"
#define MAX_ARGS 64
#define LOG_LOOK (1 << 20)	/* only so much of a log's end is searched */

long
vmm_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
nap(void)
{
	const struct timespec t = { 0, 2000000 };

	nanosleep(&t, NULL);
}

static int
mount_ext4(struct vmm *v)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "truncate -s %uM %s/image && mkfs.ext4 -q %s/image && mount -o loop %s/image %s",
	    v->opts.ext4_mib, v->dir, v->dir, v->dir, v->share);
	if (system(cmd) != 0)
		return -EIO;
	v->mounted = true;
	return chmod(v->share, 0777) < 0 ? -errno : 0;
}

static int
make_dirs(struct vmm *v)
{
	const char *tmp = getenv("TMPDIR");
	const uid_t owner = v->opts.owner;
	char options[64];

	if (tmp == NULL || strlen(tmp) > sizeof(v->dir) - 16)
		tmp = "/tmp";
	snprintf(v->dir, sizeof(v->dir), "%s/vfs-XXXXXX", tmp);
	if (mkdtemp(v->dir) == NULL) {
		v->dir[0] = '\0';
		return -errno;
	}
	snprintf(v->share, sizeof(v->share), "%s/share", v->dir);
	snprintf(v->sock_path, sizeof(v->sock_path), "%s/sock", v->dir);
	snprintf(v->log_path, sizeof(v->log_path), "%s/log", v->dir);
	/* Guest users other than root create files in the share. */
	if (chmod(v->dir, 0755) < 0)
		return -errno;
	if (v->opts.share != NULL) {
		snprintf(v->share, sizeof(v->share), "%s", v->opts.share);
		return 0;
	}
	if (mkdir(v->share, 0777) < 0 || chmod(v->share, 0777) < 0)
		return -errno;
	/* A daemon of somebody else's makes its socket here; what runs it may change its ids. */
	if (owner != 0 && (chown(v->dir, owner, owner) < 0 || chown(v->share, owner, owner) < 0 ||
	    chmod(v->dir, 0777) < 0))
		return -errno;
	if (v->opts.mount_share != NULL) {
		v->mounted = true;
		return v->opts.mount_share(v);
	}
	if (v->opts.ext4_mib != 0)
		return mount_ext4(v);
	if (v->opts.share_mib == 0)
		return 0;
	snprintf(options, sizeof(options), "size=%um,mode=0777", v->opts.share_mib);
	if (mount("harness", v->share, "tmpfs", MS_NOSUID, options) < 0)
		return -errno;
	v->mounted = true;
	return 0;
}

/* In the child: the word, "@" in it replaced by the directory. */
static char *
with_dir(const struct vmm *v, char *word)
{
	const char *at = strchr(word, '@');
	char *copy;

	if (at == NULL || asprintf(&copy, "%.*s%s%s", (int)(at - word), word, v->dir, at + 1) < 0)
		return word;
	return copy;
}

/* In the child: become the daemon. */
static void
exec_daemon(struct vmm *v, char **argv)
{
	const uid_t owner = v->opts.owner;
	int log, null, i = 1;

	setpgid(0, 0);
	log = open(v->log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	null = open("/dev/null", O_RDWR);
	if (log < 0 || null < 0)
		_exit(126);
	dup2(null, 0);
	dup2(log, 1);
	dup2(log, 2);
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		_exit(126);
	for (; v->opts.only_args && argv[i] != NULL; i++)
		argv[i] = with_dir(v, argv[i]);
	if (v->opts.child != NULL)
		v->opts.child(v);
	if (owner != 0 && (setgroups(v->opts.group != 0, &v->opts.group) < 0 || setresgid(owner, owner, owner) < 0 ||
	    setresuid(owner, owner, owner) < 0))
		_exit(126);
	/* Cleared by a change of uid. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], argv);
	dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int
spawn(struct vmm *v)
{
	char *argv[MAX_ARGS * 2 + 8], words[512], *save = NULL, *word;
	const char *daemon = getenv("VIRTIOFSD");
	unsigned int n = 0, i;

	for (i = 0; v->opts.prefix != NULL && v->opts.prefix[i] != NULL && n < MAX_ARGS / 2; i++)
		argv[n++] = (char *)(uintptr_t)v->opts.prefix[i];
	if (daemon == NULL || daemon[0] == '\0')
		daemon = DEFAULT_DAEMON;
	snprintf(words, sizeof(words), "%s", daemon);
	for (word = strtok_r(words, " ", &save); word != NULL && n < MAX_ARGS;
	    word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	if (!v->opts.only_args) {
		argv[n++] = (char *)(uintptr_t)"--socket-path";
		argv[n++] = v->sock_path;
		argv[n++] = (char *)(uintptr_t)"--shared-dir";
		argv[n++] = v->share;
	}
	for (i = 0; v->opts.args != NULL && v->opts.args[i] != NULL && n < MAX_ARGS * 2; i++)
		argv[n++] = (char *)(uintptr_t)v->opts.args[i];
	argv[n] = NULL;

	/* Orphans of the daemon become our children: they are seen, counted, and reaped. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	v->pid = fork();
	if (v->pid < 0) {
		v->pid = 0;
		return -errno;
	}
	if (v->pid == 0)
		exec_daemon(v, argv);
	setpgid(v->pid, v->pid);
	return 0;
}

bool
vmm_reap(struct vmm *v, int timeout_ms)
{
	long deadline = vmm_now_ms() + timeout_ms;

	while (!v->reaped && v->pid > 0) {
		if (waitpid(v->pid, &v->wait_status, WNOHANG) == v->pid) {
			v->reaped = true;
			break;
		}
		if (vmm_now_ms() >= deadline)
			break;
		nap();
	}
	return v->reaped;
}

int
vmm_connect_again(const struct vmm *v)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, err;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	memcpy(a.sun_path, v->sock_path, strlen(v->sock_path) + 1);
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	if (fcntl(fd, F_SETFL, 0) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int
vmm_connect(struct vmm *v)
{
	long deadline = vmm_now_ms() + VMM_TIMEOUT_MS;
	int fd;

	do {
		fd = vmm_connect_again(v);
		if (fd >= 0) {
			v->sock = fd;
			return 0;
		}
		if (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN)
			return fd;
		if (vmm_reap(v, 0))
			return -ECHILD;
		nap();
	} while (vmm_now_ms() < deadline);
	return -ETIMEDOUT;
}

static void
set_defaults(struct vmm *v, const struct vmm_opts *opts)
{
	const char *owner = getenv("HARNESS_OWNER");

	if (opts != NULL)
		v->opts = *opts;
	else
		v->opts.stage = VMM_RUNNING;
	if (v->opts.owner == 0 && owner != NULL)
		v->opts.owner = (uid_t)strtoul(owner, NULL, 10);
	if (v->opts.queues == 0)
		v->opts.queues = 3;
	if (v->opts.queues > VMM_MAX_QUEUES)
		v->opts.queues = VMM_MAX_QUEUES;
	if (v->opts.queue_size == 0)
		v->opts.queue_size = 128;
	if (v->opts.regions == 0 || v->opts.regions > VMM_MAX_REGIONS)
		v->opts.regions = VMM_MAX_REGIONS;
	if (v->opts.mem_size == 0)
		v->opts.mem_size = (size_t)96 << 20;
	v->nr_queues = v->opts.queues;
	v->sock = v->mem_fd = v->backend_fd = -1;
}

/* From a daemon that waits on. */
static int
go_on(struct vmm *v, const char **step)
{
	enum vmm_stage stage = v->opts.stage;
	unsigned int i;
	int err;

	*step = "connect";
	if ((err = vmm_connect(v)) < 0 || stage < VMM_NEGOTIATED)
		return err;
	*step = "negotiate";
	if ((err = vmm_negotiate(v)) < 0 || stage < VMM_MEMORY)
		return err;
	*step = "set memory";
	if ((err = vmm_set_features(v)) < 0 || (err = vmm_set_memory(v)) < 0 ||
	    stage < VMM_RUNNING)
		return err;
	*step = "set up rings";
	for (i = 0; i < v->nr_queues; i++) {
		if ((err = vmm_queue_create(v, i, v->opts.queue_size)) < 0 ||
		    (err = vmm_queue_setup(&v->queue[i], 0)) < 0)
			return err;
	}
	for (i = 0; i < v->nr_queues; i++) {
		if ((err = vmm_queue_enable(&v->queue[i], true)) < 0)
			return err;
	}
	return 0;
}

static int
bring_up(struct vmm *v, const char **step)
{
	int err;

	*step = "spawn";
	if ((err = spawn(v)) < 0 || v->opts.stage < VMM_CONNECTED)
		return err;
	return go_on(v, step);
}

int
vmm_go_on(struct vmm *v)
{
	const char *step;
	int err;

	v->opts.stage = VMM_RUNNING;
	err = go_on(v, &step);
	if (err < 0) {
		fprintf(stderr, "vmm_go_on: cannot %s: %s\n", step, strerror(-err));
		vmm_print_log(v);
	}
	return err;
}

struct vmm *
vmm_start(const struct vmm_opts *opts)
{
	struct vmm *v;
	const char *step = "make directories";
	int err;

	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return NULL;
	set_defaults(v, opts);
	err = make_dirs(v);
	if (err == 0) {
		step = "make guest memory";
		err = vmm_mem_create(v);
	}
	if (err == 0)
		err = bring_up(v, &step);
	if (err < 0) {
		fprintf(stderr, "vmm_start: cannot %s: %s\n", step, strerror(-err));
		vmm_print_log(v);
		vmm_free(v);
		return NULL;
	}
	return v;
}

void
vmm_hangup(struct vmm *v)
{
	if (v->sock >= 0)
		close(v->sock);
	v->sock = -1;
}

static unsigned int
wait_all_gone(struct vmm *v, long deadline)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n, i;

	for (;;) {
		while (waitpid(-v->pid, NULL, WNOHANG) > 0)
			;
		n = vmm_procs(v, procs, VMM_MAX_PROCS);
		if (n == 0 || vmm_now_ms() >= deadline)
			break;
		nap();
	}
	for (i = 0; i < n; i++)
		fprintf(stderr, "left over: %d (%s)\n", procs[i].pid, procs[i].comm);
	return n;
}

int
vmm_wait_end(struct vmm *v, struct vmm_end *end)
{
	struct vmm_end e = { .exit_status = -1 };
	struct stat st;
	long start = vmm_now_ms();

	if (v->pid <= 0)
		return -ESRCH;
	if (vmm_reap(v, VMM_TIMEOUT_MS)) {
		if (WIFEXITED(v->wait_status))
			e.exit_status = WEXITSTATUS(v->wait_status);
		else
			e.exit_status = 256 + WTERMSIG(v->wait_status);
	}
	e.exit_ms = vmm_now_ms() - start;
	e.left = wait_all_gone(v, start + VMM_GONE_MS);
	e.gone_ms = vmm_now_ms() - start;
	e.socket_left = stat(v->sock_path, &st) == 0;
	e.sanitizer = vmm_log_has(v, "Sanitizer") || vmm_log_has(v, "runtime error:");
	vmm_kill_group(v, SIGKILL);
	vmm_reap(v, VMM_TIMEOUT_MS);
	if (e.sanitizer || e.left > 0)
		vmm_print_log(v);
	if (end != NULL)
		*end = e;
	return 0;
}

int
vmm_end(struct vmm *v, struct vmm_end *end)
{
	vmm_hangup(v);
	return vmm_wait_end(v, end);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
vmm_free(struct vmm *v)
{
	unsigned int i;

	if (v == NULL)
		return;
	vmm_hangup(v);
	if (v->pid > 0) {
		vmm_kill_group(v, SIGKILL);
		vmm_reap(v, VMM_TIMEOUT_MS);
		wait_all_gone(v, vmm_now_ms() + VMM_TIMEOUT_MS);
	}
	for (i = 0; i < VMM_MAX_QUEUES; i++)
		vmm_queue_destroy(&v->queue[i]);
	vmm_mem_destroy(v);
	if (v->backend_fd >= 0)
		close(v->backend_fd);
	if (v->mounted)
		umount2(v->share, MNT_DETACH);
	if (v->dir[0] != '\0') {
		if (getenv("HARNESS_KEEP") != NULL)
			fprintf(stderr, "kept: %s\n", v->dir);
		else
			nftw(v->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	}
	free(v);
}

void
vmm_print_log(const struct vmm *v)
{
	char buf[4096];
	ssize_t n;
	off_t size;
	int fd;

	fd = open(v->log_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	size = lseek(fd, 0, SEEK_END);
	if (size > (off_t)sizeof(buf))
		lseek(fd, size - (off_t)sizeof(buf), SEEK_SET);
	else
		lseek(fd, 0, SEEK_SET);
	n = read(fd, buf, sizeof(buf));
	close(fd);
	if (n > 0)
		fprintf(stderr, "--- log of the daemon:\n%.*s---\n", (int)n, buf);
}

long
vmm_log_size(const struct vmm *v)
{
	struct stat st;

	return stat(v->log_path, &st) == 0 ? (long)st.st_size : 0;
}

bool
vmm_log_has(const struct vmm *v, const char *text)
{
	return vmm_log_count(v, text) > 0;
}

unsigned int
vmm_log_count(const struct vmm *v, const char *text)
{
	static char buf[LOG_LOOK + 1];
	const char *p = buf;
	unsigned int count = 0;
	size_t n;
	FILE *f;

	f = fopen(v->log_path, "re");
	if (f == NULL)
		return 0;
	if (vmm_log_size(v) > LOG_LOOK)
		fseek(f, -LOG_LOOK, SEEK_END);
	n = fread(buf, 1, LOG_LOOK, f);
	fclose(f);
	while ((p = memmem(p, n - (size_t)(p - buf), text, strlen(text))) != NULL) {
		count++;
		p += strlen(text);
	}
	return count;
}
