/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_hostile_fuzz - valid requests with random damage, from a seed that is printed.
 *
 * Runs in: check_hostile. The share is a small tmpfs: a mutated FALLOCATE cannot fill the host. The
 * same seed gives the same requests (node ids and handles are given out in the same order).
 */
#include "check_hostile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 3000
#define DEFAULT_SEED 20261122ull
#define DEFAULT_SEEDS 4

struct target {
	uint64_t root, file, dir, link, fifo;
	uint64_t fh, dir_fh;
};

static uint64_t rng_state;
static unsigned int nr_served, nr_errors, nr_silent;

/* xorshift64*: enough to pick bytes, and the same everywhere. */
static uint32_t
rnd(uint32_t below)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return (uint32_t)((rng_state * 0x2545f4914f6cdd1dull) >> 33) % below;
}

static uint64_t
odd_number(void)
{
	static const uint64_t odd[] = { 0, 1, 2, 7, 40, 255, 256, 4095, 4096, 65535, 65536, 1u << 20,
		(1u << 20) + 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000ull,
		0x7fffffffffffffffull, 0x8000000000000000ull, ~0ull };

	return odd[rnd(sizeof(odd) / sizeof(odd[0]))];
}

/* A fresh directory with one node of each kind: earlier ones were renamed, forgotten, wiped. */
static struct target
make_targets(unsigned int round)
{
	struct target t = { .root = FC_ROOT };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char name[16];

	snprintf(name, sizeof(name), "r%u", round);
	OK(fc_mkdir(&hother, FC_ROOT, name, 0777, &e));
	t.dir = e.nodeid;
	OK(fc_opendir(&hother, t.dir, &o));
	t.dir_fh = o.fh;
	OK(fc_create(&hother, t.dir, "file", O_RDWR, 0666, &e, &o));
	t.file = e.nodeid;
	t.fh = o.fh;
	ck_assert_int_eq(fc_write(&hother, t.file, t.fh, 0, "some data", 9, O_RDWR), 9);
	OK(fc_symlink(&hother, t.dir, "link", "../file", &e));
	t.link = e.nodeid;
	OK(fc_mknod(&hother, t.dir, "fifo", S_IFIFO | 0666, 0, &e));
	t.fifo = e.nodeid;
	OK(fc_mkdir(&hother, t.dir, "dir", 0777, &e));
	return t;
}

static uint64_t
pick_node(const struct target *t)
{
	const uint64_t nodes[] = { t->root, t->file, t->dir, t->dir, t->link, t->fifo };

	return rnd(20) == 0 ? odd_number() : nodes[rnd(6)];
}

/* The node that fits the operation, most of the time. */
static uint64_t
fitting_node(const struct target *t, uint32_t opcode)
{
	if (rnd(4) == 0)
		return pick_node(t);
	switch (opcode) {
	case FUSE_READ: case FUSE_WRITE: case FUSE_OPEN: case FUSE_FLUSH: case FUSE_FSYNC:
	case FUSE_FALLOCATE: case FUSE_LSEEK: case FUSE_COPY_FILE_RANGE: case FUSE_SETATTR:
	case FUSE_SETXATTR: case FUSE_GETXATTR: case FUSE_LISTXATTR: case FUSE_REMOVEXATTR:
		return t->file;
	case FUSE_READLINK:
		return t->link;
	default:
		return t->dir;
	}
}

/* Any number now and then; INIT and DESTROY, which end a set of targets, seldom. */
static uint32_t
pick_opcode(void)
{
	uint32_t opcode;

	if (rnd(30) == 0)
		return (uint32_t)odd_number();
	do {
		opcode = 1 + rnd(51);
	} while ((opcode == FUSE_INIT || opcode == FUSE_DESTROY) && rnd(20) != 0);
	return opcode;
}

/* A mostly valid body for `opcode`: handle where one belongs, then names, then filling. */
static size_t
make_body(const struct target *t, uint32_t opcode, uint8_t *body)
{
	static const char *const names[] = { "a", "b", "file", "dir", "link", "user.a" };
	static const uint8_t nr_names[64] = {
		[FUSE_LOOKUP] = 1, [FUSE_SYMLINK] = 2, [FUSE_MKNOD] = 1, [FUSE_MKDIR] = 1,
		[FUSE_UNLINK] = 1, [FUSE_RMDIR] = 1, [FUSE_RENAME] = 2, [FUSE_RENAME2] = 2,
		[FUSE_LINK] = 1, [FUSE_CREATE] = 1, [FUSE_SETXATTR] = 1, [FUSE_GETXATTR] = 1,
		[FUSE_REMOVEXATTR] = 1,
	};
	static const uint32_t fixed[64] = {
		[FUSE_GETATTR] = 16, [FUSE_SETATTR] = 88, [FUSE_MKNOD] = 16, [FUSE_MKDIR] = 8,
		[FUSE_RENAME] = 8, [FUSE_LINK] = 8, [FUSE_OPEN] = 8, [FUSE_READ] = 40,
		[FUSE_WRITE] = 40, [FUSE_RELEASE] = 24, [FUSE_FSYNC] = 16, [FUSE_SETXATTR] = 8,
		[FUSE_GETXATTR] = 8, [FUSE_LISTXATTR] = 8, [FUSE_FLUSH] = 24, [FUSE_INIT] = 64,
		[FUSE_OPENDIR] = 8, [FUSE_READDIR] = 40, [FUSE_RELEASEDIR] = 24,
		[FUSE_FSYNCDIR] = 16, [FUSE_ACCESS] = 8, [FUSE_CREATE] = 16, [FUSE_INTERRUPT] = 8,
		[FUSE_FALLOCATE] = 32, [FUSE_READDIRPLUS] = 40, [FUSE_RENAME2] = 16,
		[FUSE_LSEEK] = 24, [FUSE_COPY_FILE_RANGE] = 56, [FUSE_SYNCFS] = 8,
		[FUSE_FORGET] = 8, [FUSE_BATCH_FORGET] = 8,
	};
	size_t len = opcode < 64 ? fixed[opcode] : rnd(64);
	uint64_t v;
	unsigned int i, n;

	memset(body, 0, len);
	if (len >= 8) {
		v = opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS ||
		    opcode == FUSE_FSYNCDIR || opcode == FUSE_RELEASEDIR ? t->dir_fh : t->fh;
		if (opcode == FUSE_RENAME || opcode == FUSE_RENAME2 || opcode == FUSE_LINK)
			v = pick_node(t);
		if (opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_OPEN)
			v = rnd(3);
		memcpy(body, &v, sizeof(v));
	}
	if (len >= 24 && rnd(2)) {
		v = rnd(4) ? rnd(4096) : odd_number();
		memcpy(body + 8 + 8 * rnd(2), &v, sizeof(v));
	}
	n = opcode < 64 && rnd(8) ? nr_names[opcode] : rnd(3);
	for (i = 0; i < n; i++) {
		const char *name = names[rnd(6)];

		memcpy(body + len, name, strlen(name) + 1);
		len += strlen(name) + 1;
	}
	if (opcode == FUSE_WRITE || rnd(8) == 0) {
		n = rnd(300);
		memset(body + len, (int)rnd(256), n);
		len += n;
	}
	return len;
}

static size_t
damage(uint8_t *req, size_t len)
{
	unsigned int n = rnd(5) < 2 ? 0 : rnd(2) ? 1 : 2 + rnd(3), i;
	uint64_t v;

	for (i = 0; i < n && len > 0; i++) {
		switch (rnd(6)) {
		case 0:
			req[rnd((uint32_t)len)] ^= (uint8_t)(1u << rnd(8));
			break;
		case 1:
			req[rnd((uint32_t)len)] = (uint8_t)rnd(256);
			break;
		case 2:
			len = rnd((uint32_t)len + 1);
			break;
		case 3:
			memset(req + len, (int)rnd(256), 64);
			len += rnd(64);
			break;
		case 4:
			v = odd_number();
			if (len >= 48)
				memcpy(req + 40 + rnd((uint32_t)(len - 48) / 4 + 1) * 4, &v, 4);
			break;
		default:
			v = odd_number();
			memcpy(req + (rnd(2) ? 0 : 16), &v, 4);
			break;
		}
	}
	return len;
}

/* The answer to damage: well-formed, or nothing. */
static void
judge(unsigned int round, size_t cap)
{
	struct fuse_out_header h;

	if (hc.used_len == 0) {
		nr_silent++;
		return;
	}
	ck_assert_msg(hc.used_len >= sizeof(h) && hc.used_len <= cap, "round %u: used.len %u", round,
	    hc.used_len);
	memcpy(&h, hc.rep, sizeof(h));
	ck_assert_msg(h.len == hc.used_len, "round %u: used.len %u, reply %u", round, hc.used_len,
	    h.len);
	ck_assert_msg(h.error <= 0 && h.error > -4096 && (h.error == 0 || h.len == 16),
	    "round %u: error %d, length %u", round, h.error, h.len);
	if (h.error == 0)
		nr_served++;
	else
		nr_errors++;
}

/* A mutated INIT or DESTROY may have wiped the session: that is no damage. */
static void
check_round(const char *what)
{
	if (fc_getattr(&hother, FC_ROOT, NULL) == -EBADF)
		OK(fc_init(&hother, ~0ull));
	hostile_check_all(what);
}

static void
one_round(const struct target *t, unsigned int round)
{
	static const size_t caps[] = { 0, 16, 24, 120, 144, 160, 4096, 4096, 65536 };
	static uint8_t body[4096];
	uint32_t opcode = pick_opcode();
	struct fc_part part = { body, make_body(t, opcode, body) };
	size_t len, cap = caps[rnd(9)];

	hc.uid = hc.gid = rnd(3) ? 0 : 1000;
	hc.layout = (enum fc_layout)rnd(3);
	hc.piece = 1 + rnd(100);
	hc.indirect = rnd(2);
	len = fc_build(&hc, opcode, fitting_node(t, opcode), &part, 1);
	len = damage(hc.req, len);
	if (len == 0 && cap == 0)
		cap = 16;
	ck_assert_msg(fc_exchange(&hc, len, cap) == 0, "round %u, opcode %u: %s", round, opcode,
	    hc.why);
	judge(round, cap);
	hc.uid = hc.gid = 0;
	hc.layout = FC_KERNEL;
}

START_TEST(test_fuzz)
{
	static const char *const args[] = { "--xattr", NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args, .share_mib = 64 };
	const char *seed = getenv("HARNESS_SEED");
	char what[64];
	struct target t;
	unsigned int i;

	rng_state = (seed != NULL ? strtoull(seed, NULL, 0) : DEFAULT_SEED) + (unsigned int)_i;
	snprintf(what, sizeof(what), "fuzzing, HARNESS_SEED=%llu", (unsigned long long)rng_state);
	printf("%s\n", what);
	fflush(stdout);
	nr_served = nr_errors = nr_silent = 0;
	hostile_start_opts(&opts);
	for (i = 0; i < ROUNDS; i++) {
		if (i % 50 == 0) {
			check_round(what);
			t = make_targets(i);
		}
		one_round(&t, i);
	}
	check_round(what);
	printf("%u served, %u refused, %u without reply\n", nr_served, nr_errors, nr_silent);
	/* Damage that never gets past the first check would test nothing else. */
	ck_assert_uint_ge(nr_served, ROUNDS / 10);
	hostile_stop();
}
END_TEST

TCase *
check_hostile_fuzz(void)
{
	TCase *t = tcase_create("fuzz");
	const char *n = getenv("HARNESS_SEEDS");

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, test_fuzz, 0, n != NULL ? atoi(n) : DEFAULT_SEEDS);
	return t;
}
