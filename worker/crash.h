/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Places to die at, for tests: only in builds with -DCRASH_POINTS. The file .virtiofsd-crash in the share's root says
 * where: "MKDIR:after-syscall" dies there once (and removes the file first); "MKDIR:poison" dies each time a MKDIR is
 * begun whose name begins with "poison". Places: before-journal, after-executing, after-syscall, after-done (operations
 * that must not be done twice), before-label, after-label (creations with a label), before-reply, after-reply (all).
 * Runs in: worker, lane threads.
 */
#ifndef WORKER_CRASH_H
#define WORKER_CRASH_H

#include "proto/rpc.h"

#ifdef CRASH_POINTS
void crash_point(const struct rpc_hdr *, const char *place);
/* A request begins: die if it is poison. */
void crash_poison(const struct rpc_hdr *);
#define CRASH_POINT(h, place) crash_point(h, place)
#define CRASH_POISON(h) crash_poison(h)
#else
#define CRASH_POINT(h, place) ((void)(h))
#define CRASH_POISON(h) ((void)(h))
#endif

#endif
