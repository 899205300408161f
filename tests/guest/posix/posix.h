/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * posix: does the share behave as a local file system does?
 *
 * Runs in the guest, as root, in a new directory of the share. Each group of checks has a directory of
 * its own as working directory and may leave anything in it. One line a check: `ok N name` or
 * `not ok N name (what was expected; errno)`.
 */
#ifndef TESTS_GUEST_POSIX_H
#define TESTS_GUEST_POSIX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Two ordinary users, and a group that neither is in. */
enum { POSIX_USER = 1000, POSIX_OTHER = 1001, POSIX_GROUP = 2000 };

/* One check: expr must hold. */
#define CHECK(name, expr) (posix_errno_reset(), posix_check((expr), (name), #expr, __LINE__))

/* One check: call must fail with errno `error`. */
#define FAILS(name, error, call) \
	(posix_errno_reset(), posix_check((call) == -1 && posix_errno_is(error), (name), #call " fails with " #error, \
	    __LINE__))

/* A step that a check needs; where it fails, the whole program ends with a message. */
#define NEED(expr) (posix_errno_reset(), (expr) ? (void)0 : posix_die(#expr, __FILE__, __LINE__))

/*
 * What the daemon cannot do because of who started it and where (posix --lacks): what is not to be had is checked to be
 * refused where that is one call, and is left out, and counted, where it is a group of checks.
 */
enum posix_power {
	POSIX_OWNERS,	/* files belong to more than one user and group */
	POSIX_DEVICES,	/* device nodes can be made */
	POSIX_LARGE_IDS, /* so can files of each number of a user */
	POSIX_FSETID,	/* root's write does not clear set-id bits */
	POSIX_POWERS
};

/* Is it there? If not, say that what is left out. */
bool	posix_can(enum posix_power, const char *what);

/* The call must fail with EPERM or EINVAL. */
#define REFUSED(name, call) \
	(posix_errno_reset(), posix_check((call) == -1 && (posix_errno_is(EPERM) || posix_errno_is(EINVAL)), (name), \
	    #call " is refused", __LINE__))

void	posix_errno_reset(void);
bool	posix_errno_is(int error);
bool	posix_check(bool ok, const char *name, const char *expr, int line);
_Noreturn void posix_die(const char *expr, const char *file, int line);

/*
 * Runs fn(arg) in a child with the given user and group ids and no others.
 * Returns what fn returned (0..255, by convention 0 or an errno), 255 if the child crashed.
 */
int	posix_as(uid_t uid, gid_t gid, int (*fn)(const void *arg), const void *arg);

/* Creates or overwrites a file with `text`; ends the program on failure. */
void	posix_write_file(const char *name, const char *text);

/* Is the content of the file exactly `text`? */
bool	posix_file_is(const char *name, const char *text);

/* The permission bits of a path (links not followed), ~0 if there is none. */
mode_t	posix_mode(const char *name);

/* The size of a path, -1 if there is none. */
off_t	posix_size(const char *name);

bool	posix_exists(const char *name);

/* The groups of checks, one in each file. */
void	posix_open(void);
void	posix_data(void);
void	posix_names(void);
void	posix_dirs(void);
void	posix_attr(void);
void	posix_users(void);
void	posix_locks(void);
void	posix_xattr(bool enabled);

#endif
