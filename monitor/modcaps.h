/* SPDX-License-Identifier: BSD-3-Clause */
/* --modcaps: changes of the set of capabilities that the worker keeps (spec/cli.md section 4.4). */
#ifndef MONITOR_MODCAPS_H
#define MONITOR_MODCAPS_H

#include <stdint.h>

#include "common/attr.h"

#define MODCAPS_ERROR_MAX 160

/*
 * Apply text, "(+|-)name[:(+|-)name...]" with names without "CAP_" in any case, from left to right, to the set *caps
 * (PRIVS_CAP()), and to *asked those that were added by name. Returns 0, or -EINVAL and one line in err; both are then
 * undefined.
 */
int modcaps_apply(const char *text, uint64_t *caps, uint64_t *asked,
    char err[static MODCAPS_ERROR_MAX]) ATTR_MUSTCHECK;

#endif
