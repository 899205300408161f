/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart_frozen - the share's file system is frozen while the worker is inside a system call: no signal ends that
 * worker, and it finishes the system call when it can. Until then nothing may be judged or done again; it is said why
 * nobody answers; what does not need the worker goes on; the session can be ended.
 *
 * A process of its own holds the file system, and thaws it when it is told to, when this one is gone, and after a while in
 * any case: nothing stays frozen.
 * Runs in: check_restart.
 */
#include "check_restart.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define THAW_MS 20000
#define GONE_S 2	/* SIGTERM to the end, with a child that hangs */

static pid_t guard;
static int leash = -1;		/* the guard thaws when this is closed */

/* In the guard. */
static void
guard_main(int fs, int end)
{
	struct pollfd p = { .fd = end, .events = POLLIN };

	setsid();
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* Nothing of the session's: its end must be seen. */
	if (dup2(fs, 3) < 0 || dup2(end, 4) < 0 || close_range(5, ~0u, 0) < 0)
		_exit(1);
	p.fd = 4;
	if (ioctl(3, FIFREEZE, 0) < 0 || write(4, "f", 1) != 1)
		_exit(2);
	poll(&p, 1, THAW_MS);
	_exit(ioctl(3, FITHAW, 0) < 0 ? 3 : 0);
}

static void
freeze(void)
{
	int fs = open(hv->share, O_RDONLY | O_DIRECTORY | O_CLOEXEC), pair[2];
	char byte;

	ck_assert_int_ge(fs, 0);
	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	/* Its numbers must not be in the way of 3 and 4. */
	guard = fork();
	ck_assert_int_ge(guard, 0);
	if (guard == 0)
		guard_main(fcntl(fs, F_DUPFD, 10), fcntl(pair[1], F_DUPFD, 10));
	close(fs);
	close(pair[1]);
	leash = pair[0];
	ck_assert_int_eq((int)read(leash, &byte, 1), 1);
}

static void
thaw(void)
{
	int status = -1;

	if (guard == 0)
		return;
	close(leash);
	ck_assert_int_eq(waitpid(guard, &status, 0), guard);
	guard = 0;
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the guard ended with %#x", status);
}

/* One request, made by a thread of its own because it will wait. */
enum doing { MKDIR, CREATE, UNLINK, RMDIR, RENAME, LINK, SYMLINK, WRITE, DOINGS };

static enum doing doing;
static struct fuse_open_out file;
static uint64_t node;
static int result;

static void *
do_it(void *arg)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	(void)arg;
	switch (doing) {
	case MKDIR: result = fc_mkdir(&hc, FC_ROOT, "new", 0750, &e); break;
	case CREATE: result = fc_create(&hc, FC_ROOT, "new", O_RDWR | O_CREAT | O_EXCL, S_IFREG | 0640, &e, &o); break;
	case UNLINK: result = fc_unlink(&hc, FC_ROOT, "file"); break;
	case RMDIR: result = fc_rmdir(&hc, FC_ROOT, "dir"); break;
	case RENAME: result = fc_rename(&hc, FC_ROOT, "file", FC_ROOT, "new"); break;
	case LINK: result = fc_link(&hc, node, FC_ROOT, "new", &e); break;
	case SYMLINK: result = fc_symlink(&hc, FC_ROOT, "new", "target", &e); break;
	default: result = fc_write(&hc, node, file.fh, 0, "FILE", 4, O_RDWR); break;
	}
	return NULL;
}

/* Exactly once. */
static void
verify(void)
{
	const ino_t ino = h_exists("file") ? h_stat("file").st_ino : 0;

	switch (doing) {
	case MKDIR: ck_assert_uint_eq(h_stat("new").st_mode, S_IFDIR | 0750); break;
	case CREATE: ck_assert_uint_eq(h_stat("new").st_mode, S_IFREG | 0640); break;
	case UNLINK: ck_assert(!h_exists("file")); break;
	case RMDIR: ck_assert(!h_exists("dir")); break;
	case RENAME: ck_assert(!h_exists("file") && S_ISREG(h_stat("new").st_mode)); break;
	case LINK: ck_assert(h_stat("file").st_nlink == 2 && h_stat("new").st_ino == ino); break;
	case SYMLINK: ck_assert(S_ISLNK(h_stat("new").st_mode)); break;
	default: break;
	}
}

/* Does a thread of this process sleep where no signal reaches it? */
static bool
hangs(void *arg)
{
	const pid_t pid = *(const pid_t *)arg;
	char path[300], line[300];
	bool found = false;
	struct dirent *e;
	FILE *f;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if ((d = opendir(path)) == NULL)
		return false;
	while ((e = readdir(d)) != NULL && !found) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, e->d_name);
		if (e->d_name[0] == '.' || (f = fopen(path, "re")) == NULL)
			continue;
		found = fgets(line, sizeof(line), f) != NULL && strstr(line, ") D ") != NULL;
		fclose(f);
	}
	closedir(d);
	return found;
}

static pid_t
front_pid(void)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS), i;

	for (i = 0; i < n; i++)
		if (strcmp(procs[i].comm, "virtiofsd-front") == 0)
			return procs[i].pid;
	ck_abort_msg("no front");
}

static bool
log_has(void *arg)
{
	return vmm_log_has(hv, arg);
}

static void
start(const char *const *args)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args, .ext4_mib = 64 };

	if (args == NULL)
		restart_start_opts(&opts);
	else
		h_start_opts(&opts, true);
	hc.timeout_ms = THAW_MS;
	h_put("file", "file", 4);
	OK(mkdir(h_path("dir"), 0755));
	node = h_node("file");
	OK(fc_open_file(&hother, node, O_RDWR, &file));
}

/* Freeze, and have the process hang in what is done. */
static pthread_t
hang(enum doing what, pid_t pid)
{
	pthread_t thread;

	doing = what;
	freeze();
	OK(pthread_create(&thread, NULL, do_it, NULL));
	ck_assert_msg(h_eventually(hangs, &pid, VMM_TIMEOUT_MS), "nothing hangs in request %d", (int)what);
	return thread;
}

static char hangs_line[] = "the worker process is killed but hangs in a system call: another one starts when it returns";

/* Killed by somebody else than the monitor, who is to find out all the same. */
START_TEST(killed)
{
	char buf[8] = "";
	pthread_t thread;
	long since;
	pid_t pid;

	start(NULL);
	pid = restart_worker();
	thread = hang((enum doing)_i, pid);
	OK(kill(pid, SIGKILL));
	since = vmm_now_ms();
	/* The data of an open file needs no worker. */
	ck_assert_int_eq(fc_read(&hother, node, file.fh, 0, buf, sizeof(buf)), 4);
	ck_assert_str_eq(buf, "file");
	if (_i == MKDIR) {
		ck_assert(h_eventually(log_has, hangs_line, VMM_TIMEOUT_MS));
		ck_assert_int_ge((int)(vmm_now_ms() - since), 900);
		ck_assert_uint_eq(vmm_log_count(hv, hangs_line), 1);
	} else
		usleep(300000);
	/* Nobody has taken its place: it may still do what it is doing. */
	ck_assert(hangs(&pid));
	ck_assert(!vmm_log_has(hv, "a new one serves after"));
	ck_assert(!h_exists("new"));
	thaw();
	OK(pthread_join(thread, NULL));
	ck_assert_msg(result == 0, "request %d: %s", _i, strerror(-result));
	verify();
	ck_assert_int_ne(restart_worker(), pid);
	ck_assert(h_serves(&hother));
	ck_assert(h_eventually(log_has, (char[]){ "a new one serves after" }, VMM_TIMEOUT_MS));
	restart_stop();
}
END_TEST

/* The monitor has it killed because it does not answer. */
START_TEST(replaced)
{
	static const char *const args[] = { "--worker-timeout=1", "--worker-timeout-restart", NULL };
	pthread_t thread;
	pid_t pid;

	start(args);
	pid = restart_worker();
	thread = hang(MKDIR, pid);
	ck_assert(h_eventually(log_has, hangs_line, VMM_TIMEOUT_MS));
	ck_assert(hangs(&pid));
	thaw();
	OK(pthread_join(thread, NULL));
	ck_assert_int_eq(result, 0);
	verify();
	ck_assert_int_ne(restart_worker(), pid);
	h_stop();
}
END_TEST

/* A worker that is not to be replaced: there is nothing to wait for. */
START_TEST(not_replaced)
{
	static const char *const args[] = { "--worker-deaths=0", NULL };
	pthread_t thread;
	pid_t pid;

	start(args);
	pid = restart_worker();
	thread = hang(MKDIR, pid);
	OK(kill(pid, SIGKILL));
	ck_assert(vmm_reap(hv, VMM_TIMEOUT_MS));
	ck_assert(WIFEXITED(hv->wait_status) && WEXITSTATUS(hv->wait_status) == 1);
	ck_assert(vmm_log_has(hv, "ERROR virtiofsd] the worker process is killed but hangs in a system call"));
	thaw();
	OK(pthread_join(thread, NULL));
	h_expect_ended(1);
}
END_TEST

/* Also the threads of a process whose main thread is a zombie, which is not among the living. */
static bool
all_gone(void *arg)
{
	struct vmm_proc procs[VMM_MAX_PROCS];

	return vmm_procs(hv, procs, VMM_MAX_PROCS) == 0 && !hangs(arg);
}

/*
 * SIGTERM while a process hangs: the worker, that was killed before, or that was not, or the front. All that can end does,
 * and soon; the one that hangs when the file system is thawed.
 */
START_TEST(terminated)
{
	const bool front = _i == 2;
	struct vmm_proc procs[VMM_MAX_PROCS];
	pthread_t thread;
	long since;
	pid_t pid;

	start(NULL);
	pid = front ? front_pid() : restart_worker();
	thread = hang(front ? WRITE : MKDIR, pid);
	if (_i == 1)
		OK(kill(pid, SIGKILL));
	since = vmm_now_ms();
	OK(kill(hv->pid, SIGTERM));
	ck_assert(vmm_reap(hv, VMM_TIMEOUT_MS));
	ck_assert_int_lt((int)(vmm_now_ms() - since), GONE_S * 1000);
	ck_assert(WIFEXITED(hv->wait_status) && WEXITSTATUS(hv->wait_status) == 1);
	ck_assert(access(hv->sock_path, F_OK) != 0);
	ck_assert(vmm_log_has(hv, front ? "the front process is killed but hangs" : "the worker process is killed but hangs"));
	/* Of the living: its main thread is a zombie. */
	ck_assert_uint_eq(vmm_procs(hv, procs, VMM_MAX_PROCS), 0);
	ck_assert(hangs(&pid));
	thaw();
	ck_assert(h_eventually(all_gone, &pid, VMM_TIMEOUT_MS));
	OK(pthread_join(thread, NULL));
	ck_assert_int_eq(result, FC_BROKEN);
	h_abandon();
}
END_TEST

static void
teardown(void)
{
	thaw();
	h_abandon();
}

TCase *
check_restart_frozen(void)
{
	TCase *c = tcase_create("frozen");

	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, killed, 0, WRITE);
	tcase_add_test(c, replaced);
	tcase_add_test(c, not_replaced);
	tcase_add_loop_test(c, terminated, 0, 3);
	return c;
}
