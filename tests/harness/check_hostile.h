/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_hostile - what the groups of hostile-input tests share.
 *
 * Runs in: check_hostile. The guest here is the attacker; the rule after every shot is the same:
 * the connection stands, every process lives, and the other rings go on serving.
 */
#ifndef HARNESS_CHECK_HOSTILE_H
#define HARNESS_CHECK_HOSTILE_H

#include "harness.h"

/* Start a daemon and remember its processes; for fixtures. args may be NULL. */
void hostile_start(const char *const *args);
void hostile_setup(void);
void hostile_start_opts(const struct vmm_opts *opts);

/* h_stop, and the log has stayed small: what the guest provokes is rate-limited. */
void hostile_stop(void);

/* Assert the rule above; `what` names the shot. Does not use hc's queue. */
void hostile_check_others(const char *what);

/* The rule, and hc's own queue serves too. */
void hostile_check_all(const char *what);

/*
 * Send `len` bytes of hc.req with `cap` bytes of reply buffer. The chain must come back. Returns
 * the reply's error, or 1 if it came back with used.len 0. Asserts the framing of a reply. unique
 * is the request's if the daemon could know it, else 0 = do not compare.
 */
int hostile_shoot(const char *what, size_t len, size_t cap, uint64_t unique);

/* fc_build, then header.len = `header_len`, then the shot with `cap` bytes for the reply's body. */
int hostile_call(const char *what, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts, uint32_t header_len, size_t cap);

/* True for what a request that cannot be understood may get: EINVAL, EIO, or used.len 0 (1). */
bool hostile_is_refusal(int result);

/* Each returns a new test case for the suite, which owns it. */
TCase *check_hostile_frame(void);
TCase *check_hostile_names(void);
TCase *check_hostile_args(void);
TCase *check_hostile_chain(void);
TCase *check_hostile_ring(void);
TCase *check_hostile_fuzz(void);

#endif
