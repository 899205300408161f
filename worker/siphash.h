/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash whose collisions cannot be found without the key.
 * Runs in: worker. Pure.
 */
#ifndef WORKER_SIPHASH_H
#define WORKER_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash24(const uint64_t key[2], const void *, size_t n);

#endif
