/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting threads. All of the front's are started before the seal: its profile has no clone. */
#ifndef FRONT_THREADS_H
#define FRONT_THREADS_H

#include <pthread.h>

/*
 * Start a thread with a small stack and wait until it runs its own code: what libc does at a thread's start is not in
 * the profile either. Ends the process on failure.
 */
pthread_t thread_start(void *(*fn)(void *), void *arg);

#endif
