/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of spec/fuse.md section 3. Runs in: front, queue threads. */
#include "front/cache.h"

#include "common/attr.h"

#define DAY_S 86400u

static const struct policy {
	uint32_t timeout; /* seconds */
	uint32_t file, dir; /* FOPEN_* */
} policies[] = {
	[CACHE_AUTO] = { .timeout = 1 },
	[CACHE_ALWAYS] = { .timeout = DAY_S,
	    .file = FOPEN_KEEP_CACHE,
	    .dir = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR },
	[CACHE_NEVER] = { .file = FOPEN_DIRECT_IO },
	[CACHE_METADATA] = { .timeout = DAY_S,
	    .file = FOPEN_DIRECT_IO,
	    .dir = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR },
};

static const struct policy *
policy(const struct session *s)
{
	return &policies[s->dev.cache < countof(policies) ? s->dev.cache : CACHE_NEVER];
}

uint64_t
cache_timeout(const struct session *s)
{
	return policy(s)->timeout;
}

uint32_t
cache_open_flags(const struct session *s, bool dir)
{
	return dir ? policy(s)->dir : policy(s)->file;
}
