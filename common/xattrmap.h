/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The map of extended attribute names (spec/xattrmap.md): rules as flat bytes with offsets, so that they can be handed
 * from the monitor, which compiles them (monitor/xattrmap_parse.c), to each worker, which matches names. Pure.
 */
#ifndef COMMON_XATTRMAP_H
#define COMMON_XATTRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

#define XATTRMAP_NAME_MAX 255u /* the kernel's XATTR_NAME_MAX */

enum xattrmap_type { XATTRMAP_PREFIX, XATTRMAP_OK, XATTRMAP_BAD, XATTRMAP_UNSUPPORTED };

#define XATTRMAP_CLIENT 0x1u
#define XATTRMAP_SERVER 0x2u
#define XATTRMAP_ALL (XATTRMAP_CLIENT | XATTRMAP_SERVER)

/* A stretch of bytes, from the beginning of the map; not terminated. */
struct xattrmap_text {
	uint32_t off, len;
};

struct xattrmap_rule {
	uint16_t type; /* enum xattrmap_type */
	uint16_t scope; /* XATTRMAP_CLIENT, XATTRMAP_SERVER */
	struct xattrmap_text key, prepend;
};

struct xattrmap {
	uint32_t len; /* of the whole map, texts included */
	uint32_t nrules; /* >= 1 */
	struct xattrmap_rule rule[];
};

/* Is this a map that can be used without further checks? n: bytes there are; p: 4-aligned. Returns 0 or -EINVAL. */
int xattrmap_check(const void *p, size_t n) ATTR_MUSTCHECK;

/*
 * The host's name for a guest's: the first rule whose scope includes the client and whose key begins name decides; no such
 * rule is as "bad". m NULL: no map, names pass unchanged.
 * Returns 0, -EPERM (denied; -ENODATA is what reading it says), -EOPNOTSUPP, or -ERANGE (longer than any name may be).
 */
int xattrmap_client(const struct xattrmap *m, const char *name,
    char host[static XATTRMAP_NAME_MAX + 1]) ATTR_MUSTCHECK;

/*
 * The guest's name for a host's, which is name or its end; NULL: the guest does not see it. The first rule whose scope
 * includes the server and whose prepend begins name decides. What would be left without a name is hidden.
 */
const char *xattrmap_server(const struct xattrmap *m, const char *name);

/* Is there a rule of this scope that matches every name? */
bool xattrmap_catches_all(const struct xattrmap *m, unsigned scope);

#endif
