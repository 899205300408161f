/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations that must not be done twice, as a table for check_worker_replay and check_worker_crash: how to ask for one,
 * what the host has before, what the effect is. All happen in the share's root.
 */
#ifndef TESTS_UNIT_WORKER_CASES_H
#define TESTS_UNIT_WORKER_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/journal.h"

struct worker_case {
	const char *title;
	uint16_t op;
	const char *name1, *name2;	/* name2 also: a symlink's target */
	uint32_t mode, rdev;
	uint32_t flags;			/* of CREATE, of RENAME */
	uint32_t uid, gid;
	int	foreign;		/* what the op says of a share where somebody else did it before; 1: see the test */
	const char *victim;		/* what loses its last name */
};

extern const struct worker_case worker_cases[];
extern const unsigned worker_ncases;

/* What must be there: f (a file, known to the guest: its node), h (another), d and e (directories). */
void	case_prepare(void);
uint64_t case_lookup(void);
/* Collect the request on lane 0. */
void	*case_ask(const struct worker_case *, uint64_t f);
/* Do on the host what the op does. */
void	case_effect(const struct worker_case *);
/* Has it happened, exactly once? */
bool	case_is_done(const struct worker_case *);
bool	case_is_undone(const struct worker_case *);
/* What a worker writes into the journal before the system call. */
void	case_journal(const struct worker_case *, struct journal_entry *, uint64_t tag, enum journal_state, int error);

static inline bool
case_makes(const struct worker_case *c)
{
	return c->op != RPC_UNLINK && c->op != RPC_RMDIR && c->op != RPC_RENAME;
}

#endif
