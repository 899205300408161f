/* SPDX-License-Identifier: BSD-3-Clause */
/* See modcaps.h. Runs in: monitor. Bytes written by: whoever starts the daemon (trusted). */
#include "monitor/modcaps.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/privs.h"

#define NAME_MAX_ 64

static int
apply_one(const char *item, size_t len, uint64_t *caps, uint64_t *asked, char *err)
{
	char name[NAME_MAX_];
	size_t n = 0;
	int cap;

	if (len == 0) {
		snprintf(
		    err, MODCAPS_ERROR_MAX, "empty modcap found: expected (+|-)capability:...");
		return -EINVAL;
	}
	if (item[0] != '+' && item[0] != '-') {
		snprintf(err, MODCAPS_ERROR_MAX,
		    "invalid modcap action: expecting '+'|'-' but found '%c'", item[0]);
		return -EINVAL;
	}
	for (size_t i = 1; i < len && n < sizeof(name) - 1; i++)
		name[n++] = (char)toupper((unsigned char)item[i]);
	name[n] = '\0';
	cap = n > 0 && strncmp(name, "CAP_", 4) != 0 ? capng_name_to_capability(name) : -1;
	if (cap < 0 || cap > CAP_LAST_CAP) {
		snprintf(err, MODCAPS_ERROR_MAX, "invalid capability '%s'", name);
		return -EINVAL;
	}
	if (item[0] == '+') {
		*caps |= PRIVS_CAP(cap);
		*asked |= PRIVS_CAP(cap);
	} else {
		*caps &= ~PRIVS_CAP(cap);
		*asked &= ~PRIVS_CAP(cap);
	}
	return 0;
}

int
modcaps_apply(const char *text, uint64_t *caps, uint64_t *asked, char err[static MODCAPS_ERROR_MAX])
{
	for (;;) {
		const size_t len = strcspn(text, ":");
		int r = apply_one(text, len, caps, asked, err);

		if (r != 0 || text[len] == '\0')
			return r;
		text += len + 1;
	}
}
