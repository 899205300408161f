/* SPDX-License-Identifier: BSD-3-Clause */
/* What --cache tells the guest it may keep, and for how long. */
#ifndef FRONT_CACHE_H
#define FRONT_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "front/front.h"

/* Seconds for which names and attributes stay valid. */
uint64_t cache_timeout(const struct session *);
/* FOPEN_* of a file or directory that was opened. */
uint32_t cache_open_flags(const struct session *, bool dir);

#endif
