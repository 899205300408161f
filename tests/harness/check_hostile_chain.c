/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_hostile_chain - descriptor chains no driver makes.
 *
 * Runs in: check_hostile. Each case writes descriptors by hand for a GETATTR of the root; the chain
 * must come back, answered or with used.len 0, and the same ring must go on.
 */
#include "check_hostile.h"

#include <string.h>

#define F_NEXT VRING_DESC_F_NEXT
#define F_WRITE VRING_DESC_F_WRITE
#define F_INDIRECT VRING_DESC_F_INDIRECT
#define REQ_LEN 56u
#define REP_LEN 120u
#define OUTSIDE 0x700000000000ull

enum outcome {
	REFUSED,	/* an error reply, or used.len 0 */
	MAYBE,		/* that, or served: the bad part can be ignored */
	SERVED,		/* unusual, but right */
};

static uint64_t req, rep, table;
static struct vring_desc *desc;
static struct vring_desc *tab;	/* a table of q->size entries in guest memory */

static void
put(struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	d->addr = addr;
	d->len = len;
	d->flags = flags;
	d->next = next;
}

static void
good_pair(struct vring_desc *d)
{
	put(&d[0], req, REQ_LEN, F_NEXT, 1);
	put(&d[1], rep, REP_LEN, F_WRITE, 0);
}

static void
good_table(uint32_t len, uint16_t flags)
{
	good_pair(tab);
	put(&desc[0], table, len, flags, 1);
}

static void
request_outside(void)
{
	good_pair(desc);
	desc[0].addr = OUTSIDE;
}

static void
reply_outside(void)
{
	good_pair(desc);
	desc[1].addr = OUTSIDE;
}

static void
reply_half_outside(void)
{
	put(&desc[0], req, REQ_LEN, F_NEXT, 1);
	put(&desc[1], rep, 16, F_WRITE | F_NEXT, 2);
	put(&desc[2], OUTSIDE, 104, F_WRITE, 0);
}

static void
request_tail_outside(void)
{
	put(&desc[0], req, 40, F_NEXT, 1);
	put(&desc[1], OUTSIDE, 16, F_NEXT, 2);
	put(&desc[2], rep, REP_LEN, F_WRITE, 0);
}

static void
address_wraps(void)
{
	good_pair(desc);
	desc[0].addr = ~0ull - 8;
}

static void
reply_wraps(void)
{
	good_pair(desc);
	desc[1].addr = ~0ull - 8;
	desc[1].len = 0xffffffffu;
}

static void
length_beyond_region(void)
{
	good_pair(desc);
	desc[1].len = 0xffffffffu;
}

static void
lengths_overflow(void)
{
	put(&desc[0], req, 0xffffffffu, F_NEXT, 1);
	put(&desc[1], req, 0xffffffffu, F_NEXT, 2);
	put(&desc[2], rep, REP_LEN, F_WRITE, 0);
}

/* The two regions are neighbours in guest addresses and nowhere else. */
static void
request_crosses(void)
{
	good_pair(desc);
	desc[0].addr = hv->region[1].gpa - 20;
}

static void
reply_crosses(void)
{
	good_pair(desc);
	desc[1].addr = hv->region[1].gpa - 20;
}

static void
loop_of_two(void)
{
	good_pair(desc);
	desc[1].flags |= F_NEXT;
}

static void
loop_on_itself(void)
{
	put(&desc[0], req, REQ_LEN, F_NEXT, 0);
}

static void
loop_in_reply(void)
{
	good_pair(desc);
	put(&desc[1], rep, REP_LEN, F_WRITE | F_NEXT, 1);
}

static void
next_too_large(void)
{
	good_pair(desc);
	desc[0].next = hc.q->size;
}

static void
next_65535(void)
{
	good_pair(desc);
	desc[1].flags |= F_NEXT;
	desc[1].next = 0xffff;
}

static void
table_outside(void)
{
	put(&desc[0], OUTSIDE, 32, F_INDIRECT, 0);
}

static void
table_wraps(void)
{
	put(&desc[0], ~0ull - 15, 32, F_INDIRECT, 0);
}

static void
table_crosses(void)
{
	put(&desc[0], hv->region[1].gpa - 16, 32, F_INDIRECT, 0);
}

static void
table_odd(void)
{
	good_table(33, F_INDIRECT);
}

static void
table_of_8(void)
{
	good_table(8, F_INDIRECT);
}

static void
table_empty(void)
{
	good_table(0, F_INDIRECT);
}

static void
table_huge(void)
{
	good_table(0xfffffff0u, F_INDIRECT);
}

static void
table_of_65536(void)
{
	good_table(65536 * 16, F_INDIRECT);
}

static void
table_unaligned(void)
{
	struct vring_desc pair[2];

	good_pair(pair);
	memcpy((char *)tab + 3, pair, sizeof(pair));
	put(&desc[0], table + 3, 32, F_INDIRECT, 0);
}

static void
table_nested(void)
{
	good_pair(&tab[4]);
	put(&tab[0], table + 64, 32, F_INDIRECT, 0);
	put(&desc[0], table, 16, F_INDIRECT, 0);
}

static void
table_nested_second(void)
{
	good_pair(tab);
	put(&tab[1], table, 32, F_INDIRECT, 0);
	put(&desc[0], table, 32, F_INDIRECT, 0);
}

static void
table_and_next(void)
{
	good_table(32, F_INDIRECT | F_NEXT);
	put(&desc[1], rep, REP_LEN, F_WRITE, 0);
}

static void
table_and_write(void)
{
	good_table(32, F_INDIRECT | F_WRITE);
}

static void
table_next_outside(void)
{
	good_table(32, F_INDIRECT);
	tab[0].next = 2;
}

static void
table_loop(void)
{
	good_table(32, F_INDIRECT);
	tab[1].flags |= F_NEXT;
}

static void
table_at_end(void)
{
	put(&desc[0], req, 40, F_NEXT, 1);
	put(&tab[0], req + 40, 16, F_NEXT, 1);
	put(&tab[1], rep, REP_LEN, F_WRITE, 0);
	put(&desc[1], table, 32, F_INDIRECT, 0);
}

static void
write_only(void)
{
	put(&desc[0], rep, REP_LEN, F_WRITE, 0);
}

static void
read_only(void)
{
	put(&desc[0], req, REQ_LEN, 0, 0);
}

static void
readable_after_writable(void)
{
	put(&desc[0], rep, REP_LEN, F_WRITE | F_NEXT, 1);
	put(&desc[1], req, REQ_LEN, 0, 0);
}

static void
interleaved(void)
{
	put(&desc[0], req, 40, F_NEXT, 1);
	put(&desc[1], rep, 16, F_WRITE | F_NEXT, 2);
	put(&desc[2], req + 40, 16, F_NEXT, 3);
	put(&desc[3], rep + 16, 104, F_WRITE, 0);
}

static void
zero_lengths(void)
{
	put(&desc[0], req, 0, F_NEXT, 5);
	put(&desc[5], req, REQ_LEN, F_NEXT, 3);
	put(&desc[3], req + 8, 0, F_NEXT, 9);
	put(&desc[9], rep, 0, F_WRITE | F_NEXT, 1);
	put(&desc[1], rep, REP_LEN, F_WRITE | F_NEXT, 2);
	put(&desc[2], rep, 0, F_WRITE, 0);
}

static void
zero_length_outside(void)
{
	good_pair(desc);
	desc[1].flags |= F_NEXT;
	desc[1].next = 2;
	put(&desc[2], OUTSIDE, 0, F_WRITE, 0);
}

static void
all_zero(void)
{
	put(&desc[0], 0, 0, 0, 0);
}

static void
all_ones(void)
{
	memset(&desc[0], 0xff, sizeof(desc[0]));
}

static void
unknown_flags(void)
{
	good_pair(desc);
	desc[0].flags |= 0xfff8;
	desc[1].flags |= 0xfff8;
}

static void
longest_chain(void)
{
	unsigned int i, n = hc.q->size;

	/* One byte each for the request, the rest for the reply. */
	for (i = 0; i < REQ_LEN; i++)
		put(&desc[i], req + i, 1, F_NEXT, (uint16_t)(i + 1));
	for (; i < n; i++)
		put(&desc[i], rep + (i - REQ_LEN), i + 1 < n ? 1 : REP_LEN, F_WRITE | F_NEXT,
		    (uint16_t)(i + 1));
	desc[n - 1].flags = F_WRITE;
}

static void
request_is_the_ring(void)
{
	good_pair(desc);
	desc[0].addr = hc.q->desc_gpa;
	desc[0].len = hc.q->size * 16u;
}

/* The reply is written over the descriptors themselves: they were read already. */
static void
reply_over_descriptors(void)
{
	good_pair(desc);
	desc[1].addr = hc.q->desc_gpa;
}

static void
reply_over_request(void)
{
	good_pair(desc);
	desc[1].addr = req;
}

static const struct chain_case {
	const char *name;
	void (*build)(void);
	enum outcome want;
	bool rep_elsewhere;	/* the reply is not at `rep`, or not whole: do not look at it */
} cases[] = {
#define CASE(fn, want) { #fn, fn, want, false }
	CASE(request_outside, REFUSED), CASE(reply_outside, REFUSED),
	{ "reply_half_outside", reply_half_outside, REFUSED, true },
	CASE(request_tail_outside, REFUSED),
	CASE(address_wraps, REFUSED), CASE(reply_wraps, REFUSED), CASE(length_beyond_region, MAYBE),
	CASE(lengths_overflow, REFUSED), CASE(request_crosses, REFUSED),
	{ "reply_crosses", reply_crosses, REFUSED, true },
	CASE(loop_of_two, MAYBE), CASE(loop_on_itself, REFUSED),
	{ "loop_in_reply", loop_in_reply, MAYBE, false },
	CASE(next_too_large, REFUSED), CASE(next_65535, MAYBE), CASE(table_outside, REFUSED),
	CASE(table_wraps, REFUSED), CASE(table_crosses, REFUSED), CASE(table_odd, MAYBE),
	CASE(table_of_8, REFUSED), CASE(table_empty, REFUSED), CASE(table_huge, MAYBE),
	CASE(table_of_65536, MAYBE), CASE(table_unaligned, MAYBE), CASE(table_nested, REFUSED),
	CASE(table_nested_second, REFUSED), CASE(table_and_next, MAYBE),
	CASE(table_and_write, MAYBE), CASE(table_next_outside, REFUSED), CASE(table_loop, MAYBE),
	CASE(table_at_end, SERVED), CASE(write_only, REFUSED), CASE(read_only, REFUSED),
	CASE(readable_after_writable, MAYBE), CASE(interleaved, MAYBE), CASE(zero_lengths, SERVED),
	CASE(zero_length_outside, MAYBE), CASE(all_zero, REFUSED), CASE(all_ones, REFUSED),
	CASE(unknown_flags, MAYBE), CASE(longest_chain, SERVED),
	CASE(request_is_the_ring, REFUSED),
	{ "reply_over_descriptors", reply_over_descriptors, MAYBE, true },
	{ "reply_over_request", reply_over_request, MAYBE, true },
#undef CASE
};

static void
prepare(void)
{
	struct fuse_getattr_in in = { 0 };
	struct fc_part part = { &in, sizeof(in) };

	vmm_queue_clear_desc(hc.q);
	desc = hc.q->desc;
	req = hc.req_gpa;
	rep = hc.rep_gpa;
	table = hc.q->table_gpa;
	tab = vmm_ptr(hv, table, (size_t)hc.q->size * 16);
	memset(tab, 0, (size_t)hc.q->size * 16);
	ck_assert_uint_eq(fc_build(&hc, FUSE_GETATTR, FC_ROOT, &part, 1), REQ_LEN);
	memset(hc.rep, 0, 4096);
}

static void
judge(const struct chain_case *c, uint32_t len)
{
	struct fuse_out_header h;

	if (len == 0) {
		ck_assert_msg(c->want != SERVED, "%s: not served", c->name);
		return;
	}
	if (c->rep_elsewhere)
		return;
	memcpy(&h, hc.rep, sizeof(h));
	ck_assert_msg(h.len == len, "%s: used.len %u, reply %u", c->name, len, h.len);
	ck_assert_msg(h.error <= 0 && h.error > -4096, "%s: error %d", c->name, h.error);
	ck_assert_msg(h.error == 0 || len == sizeof(h), "%s: %u bytes with an error", c->name, len);
	ck_assert_msg(h.error != 0 || c->want != REFUSED, "%s was served", c->name);
	ck_assert_msg(h.error == 0 || c->want != SERVED, "%s: error %d", c->name, h.error);
	if (h.error == 0)
		ck_assert_uint_eq(len, REP_LEN);
}

static void
shoot(const struct chain_case *c)
{
	uint32_t id, len;
	int err;

	prepare();
	c->build();
	vmm_queue_publish(hc.q, 0);
	vmm_queue_kick_now(hc.q);
	err = vmm_queue_wait(hc.q, VMM_TIMEOUT_MS, &id, &len);
	ck_assert_msg(err == 0, "%s: the chain did not come back (%d)", c->name, err);
	ck_assert_uint_eq(id, 0);
	judge(c, len);
	vmm_queue_clear_desc(hc.q);
	hostile_check_all(c->name);
}

START_TEST(test_chain)
{
	const struct chain_case *c = &cases[_i];

	shoot(c);
	/* A second time: nothing is worn out, and bad chains do not add up. */
	shoot(c);
}
END_TEST

/* All of them in one session, in both modes of notification. */
START_TEST(test_all_chains)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .no_event_idx = _i == 1 };
	size_t i;

	hostile_start_opts(&opts);
	for (i = 0; i < 3 * sizeof(cases) / sizeof(cases[0]); i++)
		shoot(&cases[i * 7 % (sizeof(cases) / sizeof(cases[0]))]);
	hostile_stop();
}
END_TEST

START_TEST(test_indirect_not_negotiated)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .no_indirect = true };
	static const struct chain_case c = { "INDIRECT without the feature", NULL, MAYBE, false };
	uint32_t id, len;

	h_start_opts(&opts, true);
	prepare();
	good_table(32, F_INDIRECT);
	vmm_queue_publish(hc.q, 0);
	vmm_queue_kick_now(hc.q);
	OK(vmm_queue_wait(hc.q, VMM_TIMEOUT_MS, &id, &len));
	judge(&c, len);
	vmm_queue_clear_desc(hc.q);
	ck_assert(h_serves(&hc) && h_serves(&hother));
	hostile_stop();
}
END_TEST

TCase *
check_hostile_chain(void)
{
	TCase *t = tcase_create("chain");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, hostile_setup, hostile_stop);
	tcase_add_loop_test(t, test_chain, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_loop_test(t, test_all_chains, 0, 2);
	tcase_add_test(t, test_indirect_not_negotiated);
	return t;
}
