/* SPDX-License-Identifier: BSD-3-Clause */
/* What check_priv reads from procfs. */
#ifndef HARNESS_CHECK_PRIV_H
#define HARNESS_CHECK_PRIV_H

#include "modes.h"

/* One field of a status file, asserted to be there, without blanks at its end; number: a hexadecimal number without zeros before it. */
void priv_field(const char *path, const char *field, char *out, size_t cap, bool number);

/* The kind of /proc/PID/fd/N, in the words of SECURITY.md; NULL if it is not there any more. */
const char *priv_fd_kind(pid_t pid, const char *fd);

/* Is the word in the list (separated by commas)? */
bool priv_in_list(const char *list, const char *word);

/* Is the directory one that nothing is in, and nothing can be put into? */
bool priv_is_void(const char *path);

#endif
