/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --print-seccomp. Each executable prints its own profile: the monitor has no other's table, so what is shown is what is
 * installed. Runs in: monitor, instead of serving.
 */
#include "monitor/print.h"

#include <errno.h>

#include "common/log.h"
#include "monitor/logsink.h"
#include "monitor/seccomp.h"
#include "monitor/spawn.h"

int
print_seccomp(const struct options *o)
{
	/* As for a worker of root's. */
	const struct spawn_how how = {
		.namespaces = o->sandbox == SANDBOX_NAMESPACE
		    ? SPAWN_NAMESPACES
		    : SPAWN_NAMESPACES & ~(unsigned long)CLONE_NEWNS,
		.userns = -1,
	};
	struct sc_rule rules[SECCOMP_RULES_MAX];
	const char *arg = o->print_json ? "--print-seccomp=json" : "--print-seccomp";
	int r = -EINVAL;

	logsink_init(o->log_level, NULL);
	switch (o->print_role) {
	case PRINT_FRONT:
		r = spawn_become(CHILD_FRONT, arg);
		break;
	case PRINT_WORKER:
		r = spawn_become(CHILD_WORKER, arg);
		break;
	case PRINT_MONITOR:
		r = seccomp_print("virtiofsd, main thread", rules,
		    seccomp_monitor_rules(rules, o->worker_deaths != 0 ? &how : NULL),
		    o->print_json);
		break;
	case PRINT_VAULT:
		r = seccomp_print(
		    "virtiofsd, vault thread", rules, seccomp_vault_rules(rules), o->print_json);
		break;
	}
	return r == 0 ? 0 : 1;
}
