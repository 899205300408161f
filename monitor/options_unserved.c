/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options that are understood and not served yet: they are refused with one line, never silently accepted.
 * Runs in: monitor.
 */
#include "monitor/options.h"

static bool
dev(const struct options *o, uint32_t flag)
{
	return (o->dev.flags & flag) != 0;
}

#define UNSERVED(name, condition) \
	static bool name(const struct options *o) \
	{ \
		return (condition); \
	}

UNSERVED(posix_lock, dev(o, DEV_POSIX_LOCK))
UNSERVED(flock, dev(o, DEV_FLOCK))
UNSERVED(busy_poll, o->busy_poll_given)

static const struct {
	const char *option;
	bool (*given)(const struct options *);
} unserved[] = {
	{ "--posix-lock", posix_lock },
	{ "--flock", flock },
	{ "--busy-poll-us", busy_poll },
};

const char *
options_unserved(const struct options *o)
{
	for (size_t i = 0; i < countof(unserved); i++)
		if (unserved[i].given(o))
			return unserved[i].option;
	return NULL;
}
