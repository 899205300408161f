/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * harness - sessions and host-side helpers for the check programs.
 *
 * Runs in: the test programs, as root.
 */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct vmm *hv;
struct fuse_client hc;
struct fuse_client hother;

/* libcheck's function, and the one that stands in its place (the linker's --wrap): what the daemon said is wanted, too. */
#define FAILED_ARGS const char *file, int line, const char *expr, const char *msg, ...
void __real__ck_assert_failed(FAILED_ARGS) __attribute__((noreturn, format(printf, 4, 5)));
void __wrap__ck_assert_failed(FAILED_ARGS) __attribute__((noreturn, format(printf, 4, 5)));

void
__wrap__ck_assert_failed(FAILED_ARGS)
{
	char text[1024];
	va_list ap;

	va_start(ap, msg);
	vsnprintf(text, sizeof(text), msg != NULL ? msg : expr, ap);
	va_end(ap);
	if (hv != NULL)
		vmm_print_log(hv);
	__real__ck_assert_failed(file, line, expr, "%s", text);
}

void
h_start_opts(const struct vmm_opts *opts, bool init)
{
	h_abandon();
	hv = vmm_start(opts);
	ck_assert_msg(hv != NULL, "the daemon did not start");
	if (opts != NULL && opts->stage != VMM_RUNNING)
		return;
	ck_assert_uint_ge(hv->nr_queues, 2);
	OK(fc_open(&hc, hv, 1));
	OK(fc_open(&hother, hv, hv->nr_queues > 2 ? 2 : 0));
	if (init)
		OK(fc_init(&hc, ~0ull));
	hother.init_flags = hc.init_flags;
}

void
h_start(const char *const *args)
{
	struct vmm_opts opts = { .args = args, .stage = VMM_RUNNING };

	h_start_opts(&opts, true);
}

void
h_setup(void)
{
	h_start(NULL);
}

void
h_abandon(void)
{
	vmm_free(hv);
	hv = NULL;
}

static void
assert_end(const struct vmm_end *e, int status)
{
	if (e->exit_status != status)
		vmm_print_log(hv);
	ck_assert_msg(e->exit_status == status, "exit status %d, expected %d", e->exit_status,
	    status);
	ck_assert_msg(e->left == 0, "%u processes left", e->left);
	ck_assert_msg(e->gone_ms <= VMM_GONE_MS, "gone after %ld ms", e->gone_ms);
	ck_assert_msg(!e->sanitizer, "a sanitizer reported");
}

void
h_stop(void)
{
	struct vmm_end e;

	if (hv == NULL)
		return;
	OK(vmm_end(hv, &e));
	assert_end(&e, 0);
	h_abandon();
}

void
h_expect_ended(int status)
{
	struct vmm_end e;

	OK(vmm_wait_end(hv, &e));
	assert_end(&e, status);
	h_abandon();
}

void
h_refuses(const char *const *args, int status, const char *text)
{
	struct vmm_opts opts = { .args = args, .stage = VMM_SPAWNED };

	h_abandon();
	hv = vmm_start(&opts);
	ck_assert_ptr_nonnull(hv);
	ck_assert_msg(vmm_reap(hv, VMM_TIMEOUT_MS), "%s: the daemon runs", args[0]);
	ck_assert_msg(WIFEXITED(hv->wait_status) && WEXITSTATUS(hv->wait_status) == status,
	    "%s: wait status %#x", args[0], hv->wait_status);
	if (text != NULL && !vmm_log_has(hv, text)) {
		vmm_print_log(hv);
		ck_abort_msg("%s: '%s' is not said", args[0], text);
	}
	h_abandon();
}

bool
h_serves(struct fuse_client *fc)
{
	struct fuse_attr a;
	int err;

	err = fc_getattr(fc, FC_ROOT, &a);
	if (err != 0)
		fprintf(stderr, "queue %u does not serve: %d %s\n", fc->q->index, err, fc->why);
	return err == 0 && S_ISDIR(a.mode);
}

const char *
h_path(const char *rel)
{
	static char paths[8][512];
	static unsigned int next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", hv->share, rel);
	return p;
}

void
h_put(const char *rel, const void *data, size_t len)
{
	int fd;

	fd = open(h_path(rel), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, data, len), (int)len);
	close(fd);
}

size_t
h_get(const char *rel, void *buf, size_t cap)
{
	ssize_t n;
	int fd;

	fd = open(h_path(rel), O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	n = read(fd, buf, cap);
	close(fd);
	ck_assert_int_ge((int)n, 0);
	return (size_t)n;
}

struct stat
h_stat(const char *rel)
{
	struct stat st;

	ck_assert_msg(lstat(h_path(rel), &st) == 0, "%s: %s", rel, strerror(errno));
	return st;
}

bool
h_exists(const char *rel)
{
	struct stat st;

	return lstat(h_path(rel), &st) == 0;
}

uint64_t
h_node(const char *name)
{
	struct fuse_entry_out e;

	OK(fc_lookup(&hc, FC_ROOT, name, &e));
	return e.nodeid;
}

bool
h_eventually(bool (*fn)(void *), void *arg, int timeout_ms)
{
	const struct timespec nap = { 0, 5000000 };
	long deadline = vmm_now_ms() + timeout_ms;

	while (!fn(arg)) {
		if (vmm_now_ms() >= deadline)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

int
h_main(Suite *s, unsigned int seconds)
{
	SRunner *r;
	int failed;

	if (geteuid() != 0) {
		fprintf(stderr, "these tests need root (credentials, device nodes)\n");
		return 1;
	}
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	/* The last resort against a hang; PDEATHSIG takes the daemon along. */
	alarm(seconds);
	r = srunner_create(s);
	if (getenv("CK_FORK") == NULL)
		srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	h_abandon();
	return failed == 0 ? 0 : 1;
}

bool
h_is_traced(pid_t pid)
{
	char path[64], line[128];
	bool traced = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "TracerPid:", 10) == 0)
			traced = atoi(line + 10) != 0;
	fclose(f);
	return traced;
}
