/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiler attributes and array helpers used everywhere. Included by: all. */
#ifndef COMMON_ATTR_H
#define COMMON_ATTR_H

#include <stddef.h>

#define ATTR_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ATTR_NORETURN __attribute__((noreturn))
#define ATTR_MUSTCHECK __attribute__((warn_unused_result))

#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
