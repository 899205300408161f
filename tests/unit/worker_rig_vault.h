/* SPDX-License-Identifier: BSD-3-Clause */
/* The vault of the rig, for worker_rig.c. */
#ifndef TESTS_UNIT_WORKER_RIG_VAULT_H
#define TESTS_UNIT_WORKER_RIG_VAULT_H

/* An empty vault, for one test; and its end. */
void	rig_vault_new(void);
void	rig_vault_free(void);
/* Serve a worker over these sockets, which are taken over; until it has gone. */
void	rig_vault_serve(int put, int get);
/* After the worker's end: all it said is taken in. */
void	rig_vault_wait(void);

#endif
