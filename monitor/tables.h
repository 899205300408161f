/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables that every worker is given: what the command line says about xattr names and ids (proto/control.h). */
#ifndef MONITOR_TABLES_H
#define MONITOR_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

struct tables_source {
	const char *xattrmap; /* NULL: no map */
	const char *const *uid, *const *gid; /* values of --translate-uid, --translate-gid */
	size_t nuid, ngid;
};

/*
 * Compile what the command line says (each text was parsed before) into a sealed memfd: *fd, *len bytes; -1 and 0 if there is
 * nothing. Logs what is wrong with all of it together, or doubtful. Returns 0 or a negative errno.
 */
int tables_make(const struct tables_source *, int *fd, uint32_t *len) ATTR_MUSTCHECK;

#endif
