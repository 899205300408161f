/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seccomp profiles. Each process has one seccomp.c with one table of these rules, a reason on each line; everything not
 * in the table ends the process (KILL_PROCESS under --seccomp=kill).
 */
#ifndef COMMON_SECCOMP_H
#define COMMON_SECCOMP_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

#define SC_CMPS_MAX 3

struct sc_rule {
	const char *name;
	int nr;
	const char *why;
	unsigned ncmp;
	struct scmp_arg_cmp cmp[SC_CMPS_MAX];
};

/* clang-format off */
/* SC(close, "why"): any arguments. */
#define SC(call, reason)	{ .name = #call, .nr = SCMP_SYS(call), .why = (reason) }
/* SC_ARG(fcntl, "why", SC_EQ(1, F_GETFL)): all conditions must hold; several rules for one call are alternatives. */
#define SC_ARG(call, reason, ...)						\
	{ .name = #call, .nr = SCMP_SYS(call), .why = (reason),			\
	  .ncmp = sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp), \
	  .cmp = { __VA_ARGS__ } }
#define SC_EQ(n, value)	{ .arg = (n), .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)(value) }
/* (argument & mask) == value. Compare 32-bit arguments with mask 0xffffffff or less: the kernel does not clear the rest. */
#define SC_MASKED(n, mask, value)						\
	{ .arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (scmp_datum_t)(mask), .datum_b = (scmp_datum_t)(value) }
/* clang-format on */

/* For SC_EQ: the process id of the process that loads the profile. */
#define SC_OWN_PID UINT64_MAX

enum sc_action { SC_ACT_NONE, SC_ACT_KILL, SC_ACT_LOG, SC_ACT_TRAP };

/*
 * Load the profile into every thread of this process (TSYNC). no_new_privs must be set. action as --seccomp; NONE loads
 * nothing. extra may be NULL. Fails for a foreign architecture by killing too. Returns 0 or a negative errno.
 */
int seccomp_load_rules(const struct sc_rule *rules, size_t n, enum sc_action action) ATTR_MUSTCHECK;

/*
 * Load the profile into the calling thread alone, for a process whose threads have different ones. Threads and processes
 * that this thread starts later have it too.
 */
int seccomp_load_thread_rules(
    const struct sc_rule *rules, size_t n, enum sc_action action) ATTR_MUSTCHECK;

#endif
