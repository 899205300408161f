/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_hostile - a guest that sends what no guest should; the daemon must answer and serve on.
 *
 * usage: check_hostile (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group;
 *        HARNESS_SEED and HARNESS_SEEDS the first seed and the number of seeds of the fuzzer)
 */
#include "check_hostile.h"

#include <string.h>

#define MAX_LOG 262144	/* what a guest can make the daemon say is limited */

static struct vmm_proc procs[VMM_MAX_PROCS];
static unsigned int nr_procs;

void
hostile_start_opts(const struct vmm_opts *opts)
{
	h_start_opts(opts, true);
	nr_procs = vmm_procs(hv, procs, VMM_MAX_PROCS);
	ck_assert_uint_ge(nr_procs, 1);
}

void
hostile_start(const char *const *args)
{
	struct vmm_opts opts = { .args = args, .stage = VMM_RUNNING };

	hostile_start_opts(&opts);
}

void
hostile_setup(void)
{
	hostile_start(NULL);
}

void
hostile_check_others(const char *what)
{
	ck_assert_msg(h_serves(&hother), "after %s another queue does not serve", what);
	ck_assert_msg(vmm_same_procs(hv, procs, nr_procs), "after %s a process is gone", what);
	ck_assert_msg(!vmm_is_closed(hv, 0), "after %s the connection is closed", what);
}

void
hostile_check_all(const char *what)
{
	hostile_check_others(what);
	ck_assert_msg(h_serves(&hc), "after %s its queue does not serve", what);
}

int
hostile_shoot(const char *what, size_t len, size_t cap, uint64_t unique)
{
	struct fuse_out_header h;
	int err;

	err = fc_exchange(&hc, len, cap);
	ck_assert_msg(err == 0, "%s: %s", what, hc.why);
	if (hc.used_len == 0)
		return 1;
	ck_assert_uint_ge(cap, sizeof(h));
	memcpy(&h, hc.rep, sizeof(h));
	err = fc_check_reply(&hc, unique != 0 ? unique : h.unique, cap);
	ck_assert_msg(err != FC_BROKEN, "%s: %s", what, hc.why);
	return err;
}

int
hostile_call(const char *what, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts, uint32_t header_len, size_t cap)
{
	uint64_t unique = hc.unique;
	size_t len = fc_build(&hc, opcode, node, parts, nr_parts);

	memcpy(hc.req, &header_len, sizeof(header_len));
	return hostile_shoot(what, len, cap + sizeof(struct fuse_out_header), unique);
}

void
hostile_stop(void)
{
	if (hv != NULL)
		ck_assert_msg(vmm_log_size(hv) < MAX_LOG, "%ld bytes of log", vmm_log_size(hv));
	h_stop();
}

bool
hostile_is_refusal(int result)
{
	return result == 1 || result == -EINVAL || result == -EIO;
}

int
main(void)
{
	Suite *s = suite_create("hostile");

	suite_add_tcase(s, check_hostile_frame());
	suite_add_tcase(s, check_hostile_names());
	suite_add_tcase(s, check_hostile_args());
	suite_add_tcase(s, check_hostile_chain());
	suite_add_tcase(s, check_hostile_ring());
	suite_add_tcase(s, check_hostile_fuzz());
	return h_main(s, 900);
}
