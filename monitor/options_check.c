/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is said of the options once there is a log (spec/cli.md section 5, step 4). Runs in: monitor.
 */
#include <errno.h>
#include <inttypes.h>

#include "common/log.h"
#include "monitor/options.h"
#include "monitor/start.h"

static const struct {
	unsigned bit;
	const char *text;
} deprecated[] = {
	{ DEPRECATED_SOCKET,
	    "Use of deprecated option '--socket': please use '--socket-path' instead" },
	{ DEPRECATED_F, "Use of deprecated flag '-f': it has no effect, please remove it" },
	{ DEPRECATED_D,
	    "Use of deprecated flag '-d': please use the '--log-level debug' option instead" },
	{ DEPRECATED_O,
	    "Use of deprecated option format '-o': please specify options without it (e.g., "
	    "'--cache auto' instead of '-o cache=auto')" },
	{ DEPRECATED_FALLBACK,
	    "Use of deprecated value 'fallback' for '--inode-file-handles': please use 'prefer' "
	    "instead" },
};

/* Two options that make no sense together; both are named, if both are there. */
static int
check_migration(const struct options *o)
{
	int r = 0;

	if (o->migration_given)
		log_warn("live migration is not offered by this version: --migration-* has no "
			 "effect");
	if (o->migration_mode != MIGRATION_FILE_HANDLES)
		return 0;
	if (o->migration_confirm_paths) {
		log_error("cannot use --migration-confirm-paths with --migration-mode=file-handles "
			  "(because it is unnecessary)");
		r = -EINVAL;
	}
	if (o->migration_verify_handles) {
		log_error(
		    "cannot use --migration-verify-handles with --migration-mode=file-handles "
		    "(because it is unnecessary)");
		r = -EINVAL;
	}
	return r;
}

int
options_check(const struct options *o)
{
	for (size_t i = 0; i < countof(deprecated); i++)
		if ((o->deprecated & deprecated[i].bit) != 0)
			log_warn("%s", deprecated[i].text);
	if (check_migration(o) != 0)
		return -EINVAL;
	if (o->pool_given && o->pool_size > START_LANES_PER_QUEUE_MAX)
		log_warn("--thread-pool-size=%" PRIu64 ": no more than %u requests of a queue are "
			 "served at the same time",
		    o->pool_size, START_LANES_PER_QUEUE_MAX);
	if (o->dev.posix_acl != NEGOTIATE_NEVER && o->translate_uid.n + o->translate_gid.n > 0) {
		log_error("cannot use --translate-uid or --translate-gid with --posix-acl=%s: "
			  "translating ids would break ACLs",
		    o->dev.posix_acl == NEGOTIATE_AUTO ? "auto" : "always");
		return -EINVAL;
	}
	if ((o->dev.flags & DEV_NO_DONATION) != 0 &&
	    (o->dev.flags & (DEV_POSIX_LOCK | DEV_FLOCK)) != 0) {
		log_error(
		    "cannot use --%s with --fd-donation=never: locks are held on open files of the "
		    "front process",
		    (o->dev.flags & DEV_POSIX_LOCK) != 0 ? "posix-lock" : "flock");
		return -EINVAL;
	}
	return 0;
}
