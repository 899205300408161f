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
UNSERVED(xattrmap, o->xattrmap != NULL)
UNSERVED(posix_acl, o->dev.posix_acl != NEGOTIATE_NEVER)
UNSERVED(security_label, o->dev.security_label != NEGOTIATE_NEVER)
UNSERVED(file_handles, o->dev.file_handles != HANDLES_PREFER)
UNSERVED(translate_uid, o->translate_uid.n > 0)
UNSERVED(translate_gid, o->translate_gid.n > 0)
UNSERVED(modcaps, o->modcaps != NULL)
UNSERVED(uid_map, o->uid_map.n > 0)
UNSERVED(gid_map, o->gid_map.n > 0)

static const struct {
	const char *option;
	bool (*given)(const struct options *);
} unserved[] = {
	{ "--posix-lock", posix_lock },
	{ "--flock", flock },
	{ "--xattrmap", xattrmap },
	{ "--posix-acl", posix_acl },
	{ "--security-label", security_label },
	{ "--inode-file-handles other than prefer", file_handles },
	{ "--translate-uid", translate_uid },
	{ "--translate-gid", translate_gid },
	{ "--modcaps", modcaps },
	{ "--uid-map", uid_map },
	{ "--gid-map", gid_map },
};

const char *
options_unserved(const struct options *o)
{
	for (size_t i = 0; i < countof(unserved); i++)
		if (unserved[i].given(o))
			return unserved[i].option;
	return NULL;
}
