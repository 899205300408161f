/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * User namespaces for children (user_namespaces(7)): made once at the start, kept as an fd, entered by each child.
 */
#ifndef MONITOR_USERNS_H
#define MONITOR_USERNS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "monitor/options.h"
#include "monitor/spawn.h"

/* What could not be done. */
enum userns_step {
	USERNS_MAKE, /* namespaces, by clone() or unshare() */
	USERNS_MAP, /* ids of the user namespace */
	USERNS_MOUNT /* changing mounts in new namespaces */
};

struct userns_error {
	enum userns_step step;
	char text[240]; /* one line */
};

/*
 * Make a user namespace with these maps and try whether namespaces of all other kinds can be made in it and mounts be
 * changed there. An empty map maps this process' own id to itself, NULL nothing. One line that maps one id, and that this
 * process' own, is written directly (for groups, setgroups() is denied first); so is every map if this process has
 * CAP_SETUID, or CAP_SETGID; else newuidmap(1) or newgidmap(1) is run. Returns 0 and fills *how (all but caps) with where a
 * child can live then, its userns the caller's to close; or a negative errno and *e. Processes are forked: no thread
 * may exist.
 */
int userns_new(const struct id_map *uid, const struct id_map *gid, struct spawn_how *how,
    struct userns_error *e) ATTR_MUSTCHECK;

/* Is there this id in the namespace, or this id of ours? (An empty map maps own to itself.) */
bool userns_maps(const struct id_map *, uint32_t own, uint32_t inside);
bool userns_maps_outside(const struct id_map *, uint32_t own, uint32_t outside);

/* Can these namespaces (clone(2) flags) be made without a user namespace, and mounts be changed in them? As userns_new(). */
int
userns_try(struct spawn_how *how, unsigned long namespaces, struct userns_error *e) ATTR_MUSTCHECK;

#endif
