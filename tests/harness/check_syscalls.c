/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many file system calls a hot operation costs, counted by strace on the running front and worker. The table is what
 * ARCHITECTURE.md states. Runs in: the test program, as root; needs strace.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define ROUNDS 500
/* Everything that reaches a file system. */
#define TRACE "trace=%file,%fstat,%statfs,statx,openat2,preadv2,pwritev2,pread64,pwrite64,preadv,pwritev," \
	"name_to_handle_at,open_by_handle_at,close,dup,lseek,fsync,fdatasync,fallocate,copy_file_range," \
	"getdents64,fchdir,ftruncate,fgetxattr,fsetxattr"

static uint64_t node, fh;
static char block[4096];

static int
do_getattr(void)
{
	struct fuse_attr a;

	return fc_getattr(&hc, node, &a);
}

static int
do_getattr_fh(void)
{
	return fc_getattr_fh(&hc, node, fh, NULL);
}

static int
do_lookup(void)
{
	struct fuse_entry_out e;

	return fc_lookup(&hc, FC_ROOT, "file", &e);
}

static int
do_read(void)
{
	return fc_read(&hc, node, fh, 0, block, sizeof(block)) == sizeof(block) ? 0 : -1;
}

static int
do_write(void)
{
	return fc_write(&hc, node, fh, 0, block, sizeof(block), 0) == sizeof(block) ? 0 : -1;
}

static int
do_open(void)
{
	struct fuse_open_out o;
	int r = fc_open_file(&hc, node, O_RDONLY, &o);

	return r != 0 ? r : fc_release(&hc, node, o.fh);
}

/* Open to write, do this, close. */
static int
do_open_write(int (*change)(uint64_t h))
{
	struct fuse_open_out o;
	int r = fc_open_file(&hc, node, O_RDWR, &o);

	if (r == 0 && (r = change(o.fh)) == 0)
		r = fc_release(&hc, node, o.fh);
	return r;
}

static int
write_some(uint64_t h)
{
	return fc_write(&hc, node, h, 0, block, sizeof(block), 0) == sizeof(block) ? 0 : -1;
}

static int
do_write_some(void)
{
	return do_open_write(write_some);
}

/* What a file grows by is not known of these, or is much: none of them changes this one. */
static int
write_far(uint64_t h)
{
	return fc_write(&hc, node, h, 2 << 20, block, 0, 0);
}

static int
do_write_far(void)
{
	return do_open_write(write_far);
}

static int
append_nothing(uint64_t h)
{
	return fc_write(&hc, node, h, 0, block, 0, O_APPEND);
}

static int
do_append(void)
{
	return do_open_write(append_nothing);
}

static int
make_room(uint64_t h)
{
	return fc_fallocate(&hc, node, h, 0, 2 << 20, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE);
}

static int
do_fallocate(void)
{
	return do_open_write(make_room);
}

static int
copy_far(uint64_t h)
{
	const struct fuse_copy_file_range_in in = { .fh_in = fh, .nodeid_out = node, .fh_out = h,
		.off_in = 1 << 20, .off_out = 2 << 20, .len = 1 };
	uint32_t copied;

	return fc_copy_file_range(&hc, &in, node, &copied);
}

static int
do_copy(void)
{
	return do_open_write(copy_far);
}

static const struct row {
	const char *name;
	int (*op)(void);
	unsigned int front, worker;	/* file system calls for one operation */
} rows[] = {
	{ "GETATTR", do_getattr, 0, 1 },
	{ "GETATTR with a handle", do_getattr_fh, 1, 0 },
	{ "LOOKUP", do_lookup, 0, 1 },
	/* A close each; the front looks at the type of what it is given. */
	{ "OPEN to read, RELEASE", do_open, 2, 2 },
	{ "OPEN, WRITE 4 KiB, RELEASE", do_write_some, 3, 3 },
	/* It may be large now: the front asks whether the close will free it. */
	{ "OPEN, WRITE far, RELEASE", do_write_far, 3, 3 },
	{ "OPEN, append, RELEASE", do_append, 3, 3 },
	{ "OPEN, FALLOCATE, RELEASE", do_fallocate, 4, 3 },
	{ "OPEN, COPY far, RELEASE", do_copy, 4, 3 },
	{ "READ 4 KiB", do_read, 1, 0 },
	{ "WRITE 4 KiB", do_write, 1, 0 },
};

static pid_t
find_proc(const char *comm)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS);

	for (unsigned int i = 0; i < n; i++)
		if (strncmp(procs[i].comm, comm, sizeof(procs[i].comm) - 1) == 0)
			return procs[i].pid;
	return -1;
}

static pid_t
start_strace(pid_t target, const char *out)
{
	char pid[16];
	pid_t child;

	snprintf(pid, sizeof(pid), "%d", (int)target);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		execlp("strace", "strace", "-f", "-qq", "-o", out, "-e", TRACE, "-p", pid, NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !h_is_traced(target); i++)
		usleep(10000);
	/* TracerPid of the main thread comes first; the others follow. */
	usleep(300000);
	ck_assert_msg(h_is_traced(target), "strace does not trace");
	return child;
}

static unsigned int
stop_strace(pid_t child, const char *out)
{
	char line[4096];
	unsigned int n = 0;
	FILE *f;

	kill(child, SIGINT);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	f = fopen(out, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, "resumed>") == NULL && strchr(line, '(') != NULL)
			n++;
	fclose(f);
	unlink(out);
	return n;
}

static unsigned int
count(const char *comm, int (*op)(void))
{
	pid_t pid = find_proc(comm), tracer;
	char out[128];

	ck_assert_int_gt(pid, 0);
	snprintf(out, sizeof(out), "%s/strace", hv->dir);
	/* Warm: whatever is learnt at the first time is not what is counted. */
	OK(op());
	tracer = start_strace(pid, out);
	for (int i = 0; i < ROUNDS; i++)
		OK(op());
	return stop_strace(tracer, out);
}

START_TEST(test_calls)
{
	const struct row *r = &rows[_i];
	struct fuse_entry_out e;
	struct fuse_open_out o;
	unsigned int front, worker;

	h_start(NULL);
	OK(fc_create(&hc, FC_ROOT, "file", 2, 0644, &e, &o));
	node = e.nodeid;
	fh = o.fh;
	ck_assert_int_eq(fc_write(&hc, node, fh, 0, block, sizeof(block), 0), sizeof(block));
	front = count("virtiofsd-front", r->op);
	worker = count("virtiofsd-worker", r->op);
	printf("%-24s front %.2f worker %.2f\n", r->name, (double)front / ROUNDS, (double)worker / ROUNDS);
	ck_assert_uint_eq(front, r->front * ROUNDS);
	ck_assert_uint_eq(worker, r->worker * ROUNDS);
	h_stop();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("syscalls");
	TCase *t = tcase_create("hot");

	tcase_add_loop_test(t, test_calls, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_set_timeout(t, 120);
	suite_add_tcase(s, t);
	return h_main(s, 300);
}
