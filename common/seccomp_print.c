/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prints a profile: as text for people, and as JSON for container runtimes (OCI runtime-spec, config-linux.md, "Seccomp").
 * Runs in: monitor, front, worker, instead of serving.
 */
#include "common/seccomp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 1024
#define NAMES_MAX 6
#define COLUMN 56 /* of the reason */

/* What the manual calls the arguments of the calls that have conditions. */
static const struct {
	const char *call;
	const char *arg[NAMES_MAX];
} names[] = {
	{ "clone", { "flags", "stack" } },
	{ "dup3", { "oldfd", "newfd", "flags" } },
	{ "execveat", { "dirfd", "pathname", "argv", "envp", "flags" } },
	{ "fcntl", { "fd", "cmd", "arg" } },
	{ "futex", { "uaddr", "op" } },
	{ "getsockopt", { "sockfd", "level", "optname" } },
	{ "ioctl", { "fd", "request" } },
	{ "madvise", { "addr", "length", "advice" } },
	{ "mmap", { "addr", "length", "prot", "flags", "fd", "offset" } },
	{ "mount", { "source", "target", "type", "flags", "data" } },
	{ "mount_setattr", { "dirfd", "pathname", "flags" } },
	{ "move_mount", { "from_dirfd", "from_path", "to_dirfd", "to_path", "flags" } },
	{ "mprotect", { "addr", "length", "prot" } },
	{ "mremap", { "old_address", "old_size", "new_size", "flags" } },
	{ "newfstatat", { "dirfd", "pathname", "statbuf", "flags" } },
	{ "open_by_handle_at", { "mount_fd", "handle", "flags" } },
	{ "open_tree", { "dirfd", "pathname", "flags" } },
	{ "openat", { "dirfd", "pathname", "flags", "mode" } },
	{ "pidfd_send_signal", { "pidfd", "sig", "info", "flags" } },
	{ "prctl", { "option" } },
	{ "prlimit64", { "pid", "resource", "new_limit" } },
	{ "rt_sigaction", { "signum" } },
	{ "setns", { "fd", "nstype" } },
	{ "setresgid", { "rgid", "egid", "sgid" } },
	{ "setresuid", { "ruid", "euid", "suid" } },
	{ "setsockopt", { "sockfd", "level", "optname" } },
	{ "socketpair", { "domain", "type" } },
	{ "statx", { "dirfd", "pathname", "flags" } },
	{ "tgkill", { "tgid", "tid", "sig" } },
	{ "umount2", { "target", "flags" } },
	{ "unlinkat", { "dirfd", "pathname", "flags" } },
	{ "unshare", { "flags" } },
};

struct line {
	char text[TEXT_MAX];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void
add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->n, sizeof(l->text) - l->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->n += (size_t)n < sizeof(l->text) - l->n ? (size_t)n : sizeof(l->text) - l->n - 1;
}

/* No stdio: front and worker have none. */
static int
put(const struct line *l)
{
	for (size_t done = 0; done < l->n;) {
		ssize_t n = write(STDOUT_FILENO, l->text + done, l->n - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -EIO : -errno;
		done += (size_t)n;
	}
	return 0;
}

static const char *
arg_name(const char *call, unsigned arg, char buf[static 8])
{
	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(names[i].call, call) == 0 && arg < NAMES_MAX &&
		    names[i].arg[arg] != NULL)
			return names[i].arg[arg];
	snprintf(buf, 8, "arg%u", arg);
	return buf;
}

static void
add_condition(struct line *l, const char *call, const struct sc_cmp *c)
{
	char buf[8];
	const char *arg = arg_name(call, c->arg, buf);
	const bool one = c->mask_text != NULL && strpbrk(c->mask_text, " |") == NULL;
	const char *open = one ? "" : "(", *close = one ? "" : ")";

	if (c->mask_text == NULL)
		add(l, "%s == %s", arg, c->value == SC_OWN_PID ? "own process id" : c->value_text);
	else if (c->value_text != NULL)
		add(l, "(%s & %s%s%s) == %s", arg, open, c->mask_text, close, c->value_text);
	else if (c->value == 0)
		add(l, "!(%s & %s%s%s)", arg, open, c->mask_text, close);
	else if (one)
		add(l, "%s & %s", arg, c->mask_text);
	else
		add(l, "(%s & (%s)) == all", arg, c->mask_text);
}

static void
add_text_rule(struct line *l, const struct sc_rule *r, const char *action)
{
	size_t begin = l->n;

	add(l, "%s", r->name);
	for (unsigned k = 0; k < r->ncmp; k++) {
		add(l, k == 0 ? "(" : ", ");
		add_condition(l, r->name, &r->cmp[k]);
	}
	add(l, "%s%s", r->ncmp > 0 ? ")" : "", action);
	add(l, "%*s# %s\n", (int)(l->n - begin < COLUMN ? COLUMN - (l->n - begin) : 1), "", r->why);
}

static int
print_text(const char *who, const struct sc_rule *rules, size_t n)
{
	struct line l = { .n = 0 };
	int e;

	add(&l,
	    "# %s: the system calls it may make once it serves. With --seccomp=kill any other ends "
	    "the process, as\n"
	    "# does a call of another architecture or ABI.\n",
	    who);
	e = put(&l);
	for (size_t i = 0; i < n && e == 0; i++) {
		l.n = 0;
		add_text_rule(&l, &rules[i], "");
		e = put(&l);
	}
	for (size_t i = 0; i < seccomp_probes_n && e == 0; i++) {
		l.n = 0;
		add_text_rule(&l, &seccomp_probes[i], " = ENOSYS");
		e = put(&l);
	}
	return e;
}

/* The reasons are ours: no quotes, backslashes or control characters in them; a test reads the result. */
static void
add_json_rule(struct line *l, const struct sc_rule *r, bool probe)
{
	bool first = true;

	add(l, "\t\t{ \"names\": [ \"%s\" ], \"action\": \"%s\"", r->name,
	    probe ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW");
	if (probe)
		add(l, ", \"errnoRet\": %d", ENOSYS);
	for (unsigned k = 0; k < r->ncmp; k++) {
		const struct sc_cmp *c = &r->cmp[k];

		/* A number that exists at run time only cannot be in a file: the condition is left out. */
		if (c->value == SC_OWN_PID || c->value == SC_AT_RUN_TIME)
			continue;
		add(l, first ? ", \"args\": [ " : ", ");
		first = false;
		if (c->mask == UINT64_MAX)
			add(l, "{ \"index\": %u, \"value\": %" PRIu64 ", \"op\": \"SCMP_CMP_EQ\" }",
			    c->arg, c->value);
		else
			add(l,
			    "{ \"index\": %u, \"value\": %" PRIu64 ", \"valueTwo\": %" PRIu64
			    ", \"op\": \"SCMP_CMP_MASKED_EQ\" }",
			    c->arg, c->mask, c->value);
	}
	add(l, "%s, \"comment\": \"%s\" }", first ? "" : " ]", r->why);
}

static const char *
architecture(void)
{
	switch (seccomp_arch_native()) {
	case SCMP_ARCH_X86_64:
		return "SCMP_ARCH_X86_64";
	case SCMP_ARCH_AARCH64:
		return "SCMP_ARCH_AARCH64";
	case SCMP_ARCH_RISCV64:
		return "SCMP_ARCH_RISCV64";
	case SCMP_ARCH_PPC64LE:
		return "SCMP_ARCH_PPC64LE";
	case SCMP_ARCH_S390X:
		return "SCMP_ARCH_S390X";
	default:
		return NULL;
	}
}

static int
print_json(const struct sc_rule *rules, size_t n)
{
	const char *arch = architecture();
	struct line l = { .n = 0 };
	int e;

	if (arch == NULL)
		return -ENOSYS;
	add(&l,
	    "{\n\t\"defaultAction\": \"SCMP_ACT_KILL_PROCESS\",\n\t\"architectures\": [ \"%s\" ],\n"
	    "\t\"syscalls\": [\n",
	    arch);
	e = put(&l);
	for (size_t i = 0; i < n + seccomp_probes_n && e == 0; i++) {
		l.n = 0;
		add_json_rule(&l, i < n ? &rules[i] : &seccomp_probes[i - n], i >= n);
		add(&l, i + 1 < n + seccomp_probes_n ? ",\n" : "\n\t]\n}\n");
		e = put(&l);
	}
	return e;
}

int
seccomp_print(const char *who, const struct sc_rule *rules, size_t n, bool json)
{
	return json ? print_json(rules, n) : print_text(who, rules, n);
}

void
seccomp_print_if_asked(
    int argc, char *const argv[], const char *who, const struct sc_rule *rules, size_t n)
{
	const bool json = argc == 2 && strcmp(argv[1], "--print-seccomp=json") == 0;

	if (argc <= 1)
		return;
	if (!json && (argc != 2 || strcmp(argv[1], "--print-seccomp") != 0))
		_exit(2);
	_exit(seccomp_print(who, rules, n, json) == 0 ? 0 : 1);
}
