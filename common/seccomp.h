/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seccomp profiles. Each process has one seccomp.c with one table of these rules, a reason on each line; everything not
 * in the table ends the process (KILL_PROCESS under --seccomp=kill). `virtiofsd --print-seccomp=ROLE` prints the tables.
 */
#ifndef COMMON_SECCOMP_H
#define COMMON_SECCOMP_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

#define SC_CMPS_MAX 3

/* One condition: (argument & mask) == value. The texts are what the source says, for --print-seccomp. */
struct sc_cmp {
	unsigned arg;
	uint64_t mask, value;
	const char *mask_text, *value_text;
};

struct sc_rule {
	const char *name;
	int nr;
	const char *why;
	unsigned ncmp;
	struct sc_cmp cmp[SC_CMPS_MAX];
};

/* clang-format off */
/* SC(close, "why"): any arguments. */
#define SC(call, reason)	{ .name = #call, .nr = SCMP_SYS(call), .why = (reason) }
/* SC_ARG(fcntl, "why", SC_EQ32(1, F_GETFL)): all conditions must hold; several rules for one call are alternatives. */
#define SC_ARG(call, reason, ...)						\
	{ .name = #call, .nr = SCMP_SYS(call), .why = (reason),			\
	  .ncmp = sizeof((struct sc_cmp[]){ __VA_ARGS__ }) / sizeof(struct sc_cmp), \
	  .cmp = { __VA_ARGS__ } }
#define SC_CMP(n, m, v, mt, vt)							\
	{ .arg = (n), .mask = (uint64_t)(m), .value = (uint64_t)(v), .mask_text = (mt), .value_text = (vt) }
/* All 64 bits: pointers, sizes, flags of type long. */
#define SC_EQ(n, v)		SC_CMP(n, UINT64_MAX, v, NULL, #v)
/* Arguments of type int or unsigned: the kernel ignores the upper half, and no ABI says that it is zero. */
#define SC_EQ32(n, v)		SC_CMP(n, UINT32_MAX, (uint32_t)(v), NULL, #v)
#define SC_NONE_OF(n, bits)	SC_CMP(n, bits, 0, #bits, NULL)
#define SC_ALL_OF(n, bits)	SC_CMP(n, bits, bits, #bits, NULL)
#define SC_MASKED(n, m, v)	SC_CMP(n, m, v, #m, #v)
/* clang-format on */

/* What futex() does, less the flags that say how; never those on priority inheritance and requeueing. */
#define SC_FUTEX_OP 0x7f
/* O_TMPFILE without the bit of O_DIRECTORY. */
#define SC_TMPFILE (O_TMPFILE & ~O_DIRECTORY)

/* For SC_EQ: the process id of the process that loads the profile. */
#define SC_OWN_PID UINT64_MAX
/* For SC_EQ, in a table that is only printed: a number that is known when the daemon runs. */
#define SC_AT_RUN_TIME (UINT64_MAX - 1)

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

/* Answered ENOSYS in every profile: libc asks for these and has a way without them. */
extern const struct sc_rule seccomp_probes[];
extern const size_t seccomp_probes_n;

/*
 * Write a profile to standard output: one line a rule (call, conditions, reason), or, json, as the "seccomp" object of
 * an OCI runtime configuration. who names the process. Returns 0 or a negative errno. Not for a sealed process.
 */
int seccomp_print(const char *who, const struct sc_rule *rules, size_t n, bool json) ATTR_MUSTCHECK;

/*
 * For the main() of front and worker: if the command line is `--print-seccomp` or `--print-seccomp=json`, print and
 * exit; with any other argument exit with status 2; with none return.
 */
void seccomp_print_if_asked(
    int argc, char *const argv[], const char *who, const struct sc_rule *rules, size_t n);

#endif
