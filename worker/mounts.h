/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mounts that inodes are on: how many of each this worker knows, what inode numbers are worth there, and whether the
 * vault has an fd of it. The vault pins a mount as long as that is announced; where no inode is known any more, the host may
 * unmount (traps.md F7). Runs in: worker.
 */
#ifndef WORKER_MOUNTS_H
#define WORKER_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#define MOUNTS_MAX 1024u
#define MOUNT_NONE UINT16_MAX /* the table is full: not counted, never announced */

/*
 * An inode on the mount with this STATX_MNT_ID: returns the mount's place here, until mounts_leave(). fd: its own; who comes
 * first asks the file system what it is, and may hang with it. handle: its file handle was seen. *unique (may be NULL): no
 * two inodes there have one number, and a number is not used again while somebody has an fd of its inode.
 */
uint16_t mounts_enter(uint32_t id, int fd, bool handle, bool *unique);
void mounts_leave(uint16_t place);

/*
 * Need the handle of an inode on this mount not be read? Others have one, seen since somebody has been on it, so this one has
 * one as well; and its number is unique.
 */
bool mounts_have_handles(uint32_t id);
/* Was the handle of any inode there seen? Of a place that mounts_enter() gave and that is not left yet. Takes no lock. */
bool mounts_have_some(uint16_t place);
/* One of the others has not. */
void mounts_distrust(uint16_t place);

/* Is the mount announced? place: the caller is one of those who entered, so that this stays so. */
bool mounts_announced(uint16_t place);
/*
 * Announce it, which announce(id, arg) does, unless somebody else has done so meanwhile. Returns false if it did not work.
 * Announcing and withdrawing happen one after the other.
 */
bool mounts_announce(uint16_t place, bool (*announce)(uint32_t id, void *arg), void *arg);

/* Are there announced mounts that nobody is on? A hint. */
bool mounts_have_idle(void);
/* Call withdraw(id) for each of them, and take it for not announced. */
void mounts_withdraw(void (*withdraw)(uint32_t id));

#endif
