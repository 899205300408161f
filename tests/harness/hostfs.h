/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostfs - a host file system of the test's own, served through /dev/fuse by a thread of the test: for what no disk does
 * when it is asked to, such as failing half way or handing out directory offsets that lseek refuses.
 *
 * It has a root directory and HOSTFS_FILES regular files in it, "f0", "f1", ..., of HOSTFS_SIZE bytes each: byte n of a
 * file is 'a' + n % 26. What is written is not kept, only counted. It has told its kernel that it drops set-id bits by
 * itself (FUSE_HANDLE_KILLPRIV_V2), and does not.
 *
 * Runs in: check_surface, check_mounts.
 */
#ifndef HARNESS_HOSTFS_H
#define HARNESS_HOSTFS_H

#include <stdbool.h>
#include <stdint.h>

#define HOSTFS_FILES 200u
#define HOSTFS_SIZE 65536u

/* What goes wrong. All zero: nothing. Changed by a row while nothing is under way. */
struct hostfs {
	_Atomic int interrupt;		/* so many of the next requests that move data, sync or allocate get EINTR */
	_Atomic unsigned int read_most;	/* a READ answers at most so many bytes; 0 = all */
	_Atomic unsigned int read_good;	/* from this offset on, READ fails with EIO; 0 = never */
	_Atomic unsigned int write_most, write_good;	/* the same for WRITE */
	_Atomic unsigned int delay_ms;	/* READ and WRITE take so long */
	_Atomic unsigned int opendir_ms;	/* OPENDIR does, and whatever comes meanwhile waits */
	_Atomic bool high_offsets;	/* d_off of the entries has bit 63 */
	_Atomic int lookup_errno;	/* LOOKUP of every third file fails with this */
	_Atomic bool twins;		/* f8 has the inode number of f7 */
	_Atomic bool aligned;		/* READ at an odd offset (of 512) fails with EINVAL */
	_Atomic unsigned int name_len;	/* "f5" is listed with letters behind it, so long; its LOOKUP takes any */
	_Atomic unsigned int mode;	/* permission bits of all files; SETATTR sets them */
	/* seen */
	_Atomic uint64_t written;	/* bytes accepted by WRITE */
	_Atomic unsigned int written_to;	/* the file of the last */
	_Atomic bool killing;		/* the last WRITE was of a process without CAP_FSETID */
	_Atomic unsigned int fsyncs, reads, writes;
};
extern struct hostfs hostfs;

/* For the next mount: only its owner, root, may look at it (no allow_other). */
extern bool hostfs_private;

/* Mount it on path and serve it until hostfs_stop(), which waits for the mount's end. Returns 0 or a negative errno. */
int hostfs_mount(const char *path);
void hostfs_stop(void);
/* Forget the faults and the counts. */
void hostfs_reset(void);

/* The d_off of file n. */
uint64_t hostfs_offset(unsigned int n);

#endif
