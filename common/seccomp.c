/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Turns a rule table into a libseccomp filter and loads it. Calls that glibc only probes for (and lives without) are
 * answered ENOSYS instead of death; they are in the table below, with the reason. Runs in: monitor, front, worker.
 */
#include "common/seccomp.h"

#include <errno.h>
#include <unistd.h>

const struct sc_rule seccomp_probes[] = {
#ifdef __NR_rseq
	SC(rseq, "registered for each thread by libc; not needed"),
#endif
	SC(clone3, "cannot be filtered by its flags; libc falls back to clone"),
};
const size_t seccomp_probes_n = countof(seccomp_probes);

static uint32_t
action_word(enum sc_action action)
{
	switch (action) {
	case SC_ACT_LOG:
		return SCMP_ACT_LOG;
	case SC_ACT_TRAP:
		return SCMP_ACT_TRAP;
	default:
		return SCMP_ACT_KILL_PROCESS;
	}
}

static struct scmp_arg_cmp
condition(const struct sc_cmp *c)
{
	const uint64_t value = c->value == SC_OWN_PID ? (uint64_t)getpid() : c->value;

	if (c->mask == UINT64_MAX)
		return (struct scmp_arg_cmp){ .arg = c->arg, .op = SCMP_CMP_EQ, .datum_a = value };
	return (struct scmp_arg_cmp){
		.arg = c->arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = c->mask, .datum_b = value
	};
}

static int
add_rules(scmp_filter_ctx ctx, uint32_t action, const struct sc_rule *rules, size_t n)
{
	int r;

	for (size_t i = 0; i < n; i++) {
		struct scmp_arg_cmp cmp[SC_CMPS_MAX];

		for (unsigned k = 0; k < rules[i].ncmp; k++)
			cmp[k] = condition(&rules[i].cmp[k]);
		r = seccomp_rule_add_array(ctx, action, rules[i].nr, rules[i].ncmp, cmp);
		if (r != 0)
			return r;
	}
	return 0;
}

static int
load(const struct sc_rule *rules, size_t n, enum sc_action action, bool all_threads)
{
	scmp_filter_ctx ctx;
	int r;

	if (action == SC_ACT_NONE)
		return 0;
	ctx = seccomp_init(action_word(action));
	if (ctx == NULL)
		return -ENOMEM;
	/* libseccomp's own defaults: one thread killed for a foreign architecture, no TSYNC, errors as -ECANCELED. */
	if ((r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) != 0 ||
	    (r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, all_threads)) != 0 ||
	    (r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0)) != 0 ||
	    (r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) != 0 ||
	    (r = add_rules(ctx, SCMP_ACT_ALLOW, rules, n)) != 0 ||
	    (r = add_rules(ctx, SCMP_ACT_ERRNO(ENOSYS), seccomp_probes, seccomp_probes_n)) != 0 ||
	    (r = seccomp_load(ctx)) != 0)
		r = r > 0 ? -EINVAL : r;
	seccomp_release(ctx);
	return r;
}

int
seccomp_load_rules(const struct sc_rule *rules, size_t n, enum sc_action action)
{
	return load(rules, n, action, true);
}

int
seccomp_load_thread_rules(const struct sc_rule *rules, size_t n, enum sc_action action)
{
	return load(rules, n, action, false);
}
