/* SPDX-License-Identifier: BSD-3-Clause */
/* How the monitor learns that the worker is being killed when its end cannot be seen yet. */
#ifndef WORKER_LIFELINE_H
#define WORKER_LIFELINE_H

/*
 * Start the thread that alone keeps fd (taken over). Before the seal. Where threads cannot have a file table of their own
 * fd stays open here, and tells no more than the end of the process does.
 */
void lifeline_start(int fd);

#endif
