/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Landlock domain: which files this process may open, also without privileges and namespaces.
 */
#ifndef COMMON_LANDLOCK_H
#define COMMON_LANDLOCK_H

#include "common/attr.h"

/*
 * Restrict this process, and threads it starts later, to opening, making, renaming and removing files beneath the directory
 * of an fd (may be O_PATH; not taken over), or nowhere if beneath is -1. Where the kernel knows how, TCP, abstract sockets
 * and signals to others are shut off too. Files that are open stay as they are. no_new_privs must be set. Returns 0, or
 * -ENOSYS or -EOPNOTSUPP if the kernel has no Landlock or none that leaves renaming alone, or another negative errno.
 */
int landlock_restrict(int beneath) ATTR_MUSTCHECK;

#endif
