/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FRONT_SECCOMP_H
#define FRONT_SECCOMP_H

/* Load the front's profile into all threads; action: enum seccomp_action. Ends the process on failure. */
void front_seccomp(unsigned action);

#endif
