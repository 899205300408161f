/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options that are understood and not served yet: they are refused with one line, never silently accepted.
 * Runs in: monitor.
 */
#include "monitor/options.h"

#define UNSERVED(name, condition) \
	static bool name(const struct options *o) \
	{ \
		return (condition); \
	}

UNSERVED(busy_poll, o->busy_poll_given)

static const struct {
	const char *option;
	bool (*given)(const struct options *);
} unserved[] = {
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
