/* SPDX-License-Identifier: BSD-3-Clause */
/* The grammar of --xattrmap (spec/xattrmap.md sections 1 and 2). */
#ifndef MONITOR_XATTRMAP_PARSE_H
#define MONITOR_XATTRMAP_PARSE_H

#include "common/attr.h"
#include "common/xattrmap.h"

#define XATTRMAP_ERROR_MAX 160

/*
 * Parse and compile a map. On success *res is it (m->len bytes, to be freed with free()). Returns 0, -EINVAL with what is
 * wrong in err (rules are counted from 1, as expanded), or -ENOMEM (likewise).
 */
int xattrmap_parse(
    const char *text, struct xattrmap **res, char err[static XATTRMAP_ERROR_MAX]) ATTR_MUSTCHECK;

#endif
