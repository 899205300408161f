/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_vhost - what the groups of vhost-user tests share.
 *
 * Runs in: check_vhost.
 */
#ifndef HARNESS_CHECK_VHOST_H
#define HARNESS_CHECK_VHOST_H

#include "harness.h"

/* Start a daemon and go to `stage`; args may be NULL. At VMM_RUNNING INIT is done too. */
void vhost_start(enum vmm_stage stage, const char *const *args);

/* The message must be acknowledged by 1, and the session must end then, with exit status 0. */
void vhost_expect_refused(uint32_t request, const void *payload, uint32_t size, const int *fds,
    unsigned int nr_fds);

/* The session must end with exit status 0, with or without an acknowledgement of 1 first. */
void vhost_expect_end(const struct vu_header *h, const void *payload, const int *fds,
    unsigned int nr_fds);

/* Each returns a new test case for the suite, which owns it. */
TCase *check_vhost_msg(void);
TCase *check_vhost_config(void);
TCase *check_vhost_mem(void);
TCase *check_vhost_ring(void);
TCase *check_vhost_life(void);

#endif
