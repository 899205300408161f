/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_lanes - requests that take long do not wait behind each other: a queue spreads them over lanes it borrows, and
 * takes one lane where it is told to. strace makes the worker's statx slow. Runs in: the test program, as root; needs
 * strace.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define DEPTH 16u
#define DELAY_MS 5u
#define ROUNDS 12u
#define COUNTED 6u	/* of them, the last */

static pid_t tracer;

static pid_t
find_worker(void)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS);

	for (unsigned int i = 0; i < n; i++)
		if (strncmp(procs[i].comm, "virtiofsd-worker", sizeof(procs[i].comm) - 1) == 0)
			return procs[i].pid;
	ck_abort_msg("no worker");
}

static void
slow_down(pid_t target)
{
	char pid[16], inject[64];

	snprintf(pid, sizeof(pid), "%d", (int)target);
	snprintf(inject, sizeof(inject), "inject=statx:delay_enter=%u", DELAY_MS * 1000);
	tracer = fork();
	ck_assert_int_ge(tracer, 0);
	if (tracer == 0) {
		execlp("strace", "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=statx", "-e", inject, "-p",
		    pid, NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !h_is_traced(target); i++)
		usleep(10000);
	ck_assert_msg(h_is_traced(target), "strace does not trace");
	/* The main thread comes first; the others follow. */
	usleep(300000);
}

static void
teardown(void)
{
	if (tracer > 0) {
		kill(tracer, SIGINT);
		waitpid(tracer, NULL, 0);
	}
	tracer = 0;
	h_abandon();
}

/* DEPTH GETATTR at once; the milliseconds until all are answered. */
static long
round_of_getattr(uint8_t *mem, uint64_t gpa)
{
	struct vmm_queue *q = &hv->queue[1];
	const struct fuse_getattr_in in = { 0 };
	long start = vmm_now_ms();
	uint32_t id, len;

	for (uint32_t i = 0; i < DEPTH; i++) {
		uint8_t *p = mem + i * 512;
		struct fuse_in_header h = { .len = sizeof(h) + sizeof(in), .opcode = FUSE_GETATTR,
			.unique = 1000 + i, .nodeid = FC_ROOT };
		struct vring_desc sg[2] = {
			{ .addr = gpa + i * 512, .len = h.len },
			{ .addr = gpa + i * 512 + 128, .len = 16 + sizeof(struct fuse_attr_out),
			    .flags = VRING_DESC_F_WRITE },
		};

		memcpy(p, &h, sizeof(h));
		memcpy(p + sizeof(h), &in, sizeof(in));
		ck_assert_int_ge(vmm_queue_add(q, sg, 2, false), 0);
	}
	vmm_queue_kick(q);
	for (uint32_t i = 0; i < DEPTH; i++) {
		OK(vmm_queue_wait(q, VMM_TIMEOUT_MS, &id, &len));
		ck_assert_uint_eq(len, 16 + sizeof(struct fuse_attr_out));
	}
	return vmm_now_ms() - start;
}

static const struct row {
	const char *arg;
	bool spreads;
} rows[] = {
	{ NULL, true },
	{ "--thread-pool-size=0", false },
	{ "--thread-pool-size=1", false },
	{ "--thread-pool-size=16", true },
};

START_TEST(slow_requests)
{
	const char *const args[] = { rows[_i].arg, NULL };
	const long serial = DEPTH * DELAY_MS * COUNTED;
	struct fuse_attr a;
	uint64_t gpa;
	uint8_t *mem;
	long ms = 0;

	h_start(args);
	OK(fc_getattr(&hc, FC_ROOT, &a));
	gpa = vmm_alloc(hv, 0, DEPTH * 512, 512);
	mem = vmm_ptr(hv, gpa, DEPTH * 512);
	ck_assert_ptr_nonnull(mem);
	slow_down(find_worker());
	for (unsigned int i = 0; i < ROUNDS; i++) {
		long one = round_of_getattr(mem, gpa);

		ms += i >= ROUNDS - COUNTED ? one : 0;
	}
	printf("%s: %ld ms, one after the other %ld ms\n", rows[_i].arg != NULL ? rows[_i].arg : "default", ms, serial);
	if (rows[_i].spreads)
		ck_assert_int_lt(ms, serial / 2);
	else
		ck_assert_int_ge(ms, serial - 10);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("lanes");
	TCase *t = tcase_create("lanes");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_loop_test(t, slow_requests, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return h_main(s, 120);
}
