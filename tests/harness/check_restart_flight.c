/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart_flight - 64 requests on two queues are in flight when the worker is killed: each is answered once,
 * none with an error, and the share is as if each had been done once.
 *
 * "Stopped": the worker is stopped before anything is sent, so that all are unanswered and none has begun. "Running": it
 * is killed at a random moment while it works.
 * Runs in: check_restart.
 */
#include "check_restart.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 64u
#define PER_QUEUE 32u
#define REQ_SIZE 512u
#define REP_SIZE 512u
#define GUARD 64u
#define GUARD_BYTE 0x5a

struct slot {
	uint64_t req, rep;	/* guest addresses */
	uint64_t unique;
	size_t len;
	int head;
	bool answered;
};

static struct slot slots[SLOTS];
static ino_t renamed[SLOTS];

/* What request i does: */
enum { GETATTR, LOOKUP, MKDIR, CREATE, UNLINK, RENAME, SYMLINK, RMDIR, KINDS };

static void
slots_make(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		slots[i].req = vmm_alloc(hv, 0, REQ_SIZE, 8);
		slots[i].rep = vmm_alloc(hv, 1, REP_SIZE + GUARD, 8);
		ck_assert(slots[i].req != 0 && slots[i].rep != 0);
	}
}

/* On the host, before the round: what request i needs. */
static void
prepare(const char *dir, unsigned int i)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/old%u", dir, i);
	switch (i % KINDS) {
	case LOOKUP:
	case UNLINK:
	case RENAME:
		h_put(name, "x", 1);
		renamed[i] = h_stat(name).st_ino;
		break;
	case RMDIR:
		OK(mkdir(h_path(name), 0755));
		break;
	default:
		break;
	}
}

/* Put request i together in hc.req; returns its length. */
static size_t
build(unsigned int i, uint64_t dir)
{
	struct fuse_getattr_in getattr = { 0 };
	struct fuse_mkdir_in mkd = { .mode = 0755 };
	struct fuse_create_in create = { .flags = O_RDWR | O_CREAT | O_EXCL, .mode = S_IFREG | 0644 };
	struct fuse_rename_in mv = { .newdir = dir };
	struct fc_part parts[3];
	char old[16], new[16];

	snprintf(old, sizeof(old), "old%u", i);
	snprintf(new, sizeof(new), "new%u", i);
	parts[1] = (struct fc_part){ new, strlen(new) + 1 };
	switch (i % KINDS) {
	case GETATTR:
		parts[0] = (struct fc_part){ &getattr, sizeof(getattr) };
		return fc_build(&hc, FUSE_GETATTR, dir, parts, 1);
	case MKDIR:
		parts[0] = (struct fc_part){ &mkd, sizeof(mkd) };
		return fc_build(&hc, FUSE_MKDIR, dir, parts, 2);
	case CREATE:
		parts[0] = (struct fc_part){ &create, sizeof(create) };
		return fc_build(&hc, FUSE_CREATE, dir, parts, 2);
	case RENAME:
		parts[0] = (struct fc_part){ &mv, sizeof(mv) };
		parts[2] = parts[1];
		parts[1] = (struct fc_part){ old, strlen(old) + 1 };
		return fc_build(&hc, FUSE_RENAME, dir, parts, 3);
	case SYMLINK:
		parts[0] = parts[1];
		parts[1] = (struct fc_part){ "target", 7 };
		return fc_build(&hc, FUSE_SYMLINK, dir, parts, 2);
	default:
		parts[0] = (struct fc_part){ old, strlen(old) + 1 };
		return fc_build(&hc, i % KINDS == LOOKUP ? FUSE_LOOKUP :
		    i % KINDS == UNLINK ? FUSE_UNLINK : FUSE_RMDIR, dir, parts, 1);
	}
}

static void
submit(unsigned int i, uint64_t dir)
{
	struct vmm_queue *q = &hv->queue[1 + i / PER_QUEUE];
	struct slot *s = &slots[i];
	struct vring_desc sg[2];
	uint8_t *rep = vmm_ptr(hv, s->rep, REP_SIZE + GUARD);

	s->unique = hc.unique;
	s->len = build(i, dir);
	ck_assert_uint_le(s->len, REQ_SIZE);
	memcpy(vmm_ptr(hv, s->req, REQ_SIZE), hc.req, s->len);
	memset(rep, GUARD_BYTE, REP_SIZE + GUARD);
	sg[0] = (struct vring_desc){ .addr = s->req, .len = (uint32_t)s->len };
	sg[1] = (struct vring_desc){ .addr = s->rep, .len = REP_SIZE, .flags = VRING_DESC_F_WRITE };
	s->answered = false;
	s->head = vmm_queue_add(q, sg, 2, hc.indirect);
	ck_assert_int_ge(s->head, 0);
}

static struct slot *
slot_of(unsigned int queue, uint32_t id)
{
	unsigned int i;

	for (i = queue * PER_QUEUE; i < (queue + 1) * PER_QUEUE; i++) {
		if (slots[i].head == (int)id && !slots[i].answered)
			return &slots[i];
	}
	ck_abort_msg("queue %u: head %u came back, which is not in flight", queue, id);
}

static void
judge(unsigned int i, struct slot *s, uint32_t used)
{
	const uint8_t *rep = vmm_ptr(hv, s->rep, REP_SIZE + GUARD);
	struct fuse_out_header h;
	unsigned int k;

	s->answered = true;
	memcpy(&h, rep, sizeof(h));
	ck_assert_msg(h.error == 0, "request %u (kind %u): %s", i, i % KINDS, strerror(-h.error));
	ck_assert_uint_eq(h.unique, s->unique);
	ck_assert_uint_eq(h.len, used);
	ck_assert_uint_le(used, REP_SIZE);
	for (k = used; k < REP_SIZE + GUARD; k++)
		ck_assert_msg(rep[k] == GUARD_BYTE, "request %u: written behind its reply", i);
}

static void
collect(void)
{
	struct slot *s;
	uint32_t id, len;
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		OK(vmm_queue_wait(&hv->queue[1 + i / PER_QUEUE], VMM_TIMEOUT_MS, &id, &len));
		s = slot_of(i / PER_QUEUE, id);
		judge((unsigned int)(s - slots), s, len);
	}
	/* Nothing is answered twice. */
	usleep(1000);
	ck_assert(!vmm_queue_has_used(&hv->queue[1]));
	ck_assert(!vmm_queue_has_used(&hv->queue[2]));
}

/* The share after the round. */
static void
verify(const char *dir, unsigned int i)
{
	char old[64], new[64];

	snprintf(old, sizeof(old), "%s/old%u", dir, i);
	snprintf(new, sizeof(new), "%s/new%u", dir, i);
	switch (i % KINDS) {
	case LOOKUP:
		ck_assert(h_exists(old));
		break;
	case MKDIR:
		ck_assert(S_ISDIR(h_stat(new).st_mode));
		break;
	case CREATE:
		ck_assert(S_ISREG(h_stat(new).st_mode));
		break;
	case RENAME:
		ck_assert_uint_eq(h_stat(new).st_ino, renamed[i]);
		ck_assert(!h_exists(old));
		break;
	case SYMLINK:
		ck_assert(S_ISLNK(h_stat(new).st_mode));
		break;
	case UNLINK:
	case RMDIR:
		ck_assert(!h_exists(old));
		break;
	default:
		break;
	}
}

static void
one_round(unsigned int round, bool stop)
{
	char dir[16];
	uint64_t node;
	unsigned int i;
	pid_t pid;

	snprintf(dir, sizeof(dir), "round%u", round);
	OK(mkdir(h_path(dir), 0755));
	for (i = 0; i < SLOTS; i++)
		prepare(dir, i);
	node = h_node(dir);
	pid = restart_worker();
	if (stop)
		ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	for (i = 0; i < SLOTS; i++)
		submit(i, node);
	vmm_queue_kick(&hv->queue[1]);
	vmm_queue_kick(&hv->queue[2]);
	usleep(stop ? 10000 : (useconds_t)(random() % 3000));
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	collect();
	restart_wait(pid);
	for (i = 0; i < SLOTS; i++)
		verify(dir, i);
}

START_TEST(in_flight_stopped)
{
	unsigned int round;

	slots_make();
	for (round = 0; round < 10; round++)
		one_round(round, true);
}
END_TEST

START_TEST(in_flight_running)
{
	unsigned int round;

	slots_make();
	for (round = 0; round < 60; round++)
		one_round(round, false);
}
END_TEST

TCase *
check_restart_flight(void)
{
	TCase *c = tcase_create("flight");

	tcase_add_checked_fixture(c, restart_setup, restart_stop);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, in_flight_stopped);
	tcase_add_test(c, in_flight_running);
	return c;
}
