/* SPDX-License-Identifier: BSD-3-Clause */
/* How the monitor learns that the worker is being killed when its end cannot be seen yet. */
#ifndef WORKER_LIFELINE_H
#define WORKER_LIFELINE_H

/* Start the thread that alone keeps fd (taken over). Before the seal; as root or with any other identity. */
void lifeline_start(int fd);

#endif
