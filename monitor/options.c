/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One table, rows[], is the command line: it drives parsing and both help texts. Options that virtiofsd has and this
 * daemon does not serve yet are rows too, so that they are refused by name and not mistaken for typing errors.
 * getopt_long() does the splitting; it also accepts abbreviations, which virtiofsd does not, so every match is compared
 * with what was typed. Runs in: monitor. Bytes written by: whoever starts the daemon (trusted).
 */
#include "monitor/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

struct parse {
	struct options *o;
	const struct row *row; /* the option being looked at */
	char *err;
};

struct row {
	const char *name;
	const char *arg; /* name of the value; NULL: takes none */
	char letter;
	unsigned flags; /* ROW_* */
	int (*set)(struct parse *, const char *value);
	const char *help; /* first sentence: -h and --help */
	const char *more; /* --help only */
};
#define ROW_LATER 0x1 /* known, not served yet */
#define ROW_ATTACHED 0x2 /* the value must be attached with '=' */
#define ROW_LAST 0x4 /* what follows is not looked at */

/* A word that an option takes; WORD_LATER: one that is not served yet. */
struct word {
	const char *name;
	int value;
};
#define WORD_LATER (-1)

static int ATTR_PRINTF(2, 3) fail(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->err, OPTIONS_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int
fail_value(struct parse *p, const char *value, const char *why)
{
	return fail(
	    p, "invalid value '%.80s' for '--%s <%s>': %s", value, p->row->name, p->row->arg, why);
}

/* Decimal, an optional plus sign, nothing else. */
static int
parse_number(struct parse *p, const char *value, uint64_t max, uint64_t *res)
{
	const char *s = value[0] == '+' ? value + 1 : value;
	uint64_t n = 0;

	if (value[0] == '\0')
		return fail_value(p, value, "cannot parse integer from empty string");
	if (*s == '\0')
		return fail_value(p, value, "invalid digit found in string");
	for (; *s != '\0'; s++) {
		unsigned d = (unsigned)*s - '0';

		if (d > 9)
			return fail_value(p, value, "invalid digit found in string");
		if (n > (max - d) / 10)
			return fail_value(p, value, "number too large");
		n = n * 10 + d;
	}
	*res = n;
	return 0;
}

static int
parse_word(
    struct parse *p, const char *value, bool anycase, const struct word *words, size_t n, int *res)
{
	char list[120] = "";
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		int diff = anycase ? strcasecmp(value, words[i].name)
				   : strcmp(value, words[i].name);

		if (diff == 0 && words[i].value == WORD_LATER)
			return fail(p, "value '%s' of option '--%s' is not supported yet",
			    words[i].name, p->row->name);
		if (diff == 0) {
			*res = words[i].value;
			return 0;
		}
		if (used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
			    i > 0 ? ", " : "possible values: ", words[i].name);
	}
	return fail_value(p, value, list);
}

static int
set_shared_dir(struct parse *p, const char *value)
{
	p->o->shared_dir = value;
	return 0;
}

static int
set_socket_path(struct parse *p, const char *value)
{
	p->o->socket_path = value;
	return 0;
}

static int
set_fd(struct parse *p, const char *value)
{
	uint64_t n;
	int r = parse_number(p, value, INT32_MAX, &n);

	if (r == 0)
		p->o->fd = (int)n;
	return r;
}

static int
set_tag(struct parse *p, const char *value)
{
	size_t n = strlen(value);

	if (n < 1 || n > TAG_MAX)
		return fail_value(p, value, "a tag is 1 to 36 bytes long");
	p->o->tag = value;
	return 0;
}

static int
set_pool_size(struct parse *p, const char *value)
{
	p->o->pool_given = true;
	return parse_number(p, value, SIZE_MAX, &p->o->pool_size);
}

static int
set_nofile(struct parse *p, const char *value)
{
	p->o->nofile_given = true;
	return parse_number(p, value, UINT64_MAX, &p->o->nofile);
}

static int
set_worker_deaths(struct parse *p, const char *value)
{
	uint64_t n;
	int r = parse_number(p, value, OPTIONS_DEATHS_MAX, &n);

	if (r == 0)
		p->o->worker_deaths = (uint32_t)n;
	return r;
}

static int
set_worker_window(struct parse *p, const char *value)
{
	uint64_t n;
	int r = parse_number(p, value, OPTIONS_SECONDS_MAX, &n);

	if (r == 0 && n == 0)
		return fail_value(p, value, "at least 1");
	if (r == 0)
		p->o->worker_window = (uint32_t)n;
	return r;
}

static int
set_worker_timeout(struct parse *p, const char *value)
{
	uint64_t n;
	int r = parse_number(p, value, OPTIONS_SECONDS_MAX, &n);

	if (r == 0)
		p->o->worker_timeout = (uint32_t)n;
	return r;
}

static int
set_worker_timeout_restart(struct parse *p, const char *value)
{
	(void)value;
	p->o->worker_timeout_restart = true;
	return 0;
}

static int
set_sandbox(struct parse *p, const char *value)
{
	static const struct word words[] = {
		{ "namespace", SANDBOX_NAMESPACE },
		{ "chroot", SANDBOX_CHROOT },
		{ "none", SANDBOX_NONE },
	};
	int v, r = parse_word(p, value, true, words, countof(words), &v);

	if (r == 0)
		p->o->sandbox = (enum sandbox_mode)v;
	return r;
}

static int
set_seccomp(struct parse *p, const char *value)
{
	static const struct word words[] = {
		{ "none", SECCOMP_NONE },
		{ "kill", SECCOMP_KILL },
		{ "log", SECCOMP_LOG },
		{ "trap", SECCOMP_TRAP },
	};
	int v, r = parse_word(p, value, false, words, countof(words), &v);

	if (r == 0)
		p->o->seccomp = (enum seccomp_action)v;
	return r;
}

static int
set_log_level(struct parse *p, const char *value)
{
	static const struct word words[] = {
		{ "off", LOG_OFF },
		{ "error", LOG_ERROR },
		{ "warn", LOG_WARN },
		{ "info", LOG_INFO },
		{ "debug", LOG_DEBUG },
		{ "trace", LOG_TRACE },
	};
	int v, r = parse_word(p, value, true, words, countof(words), &v);

	if (r == 0)
		p->o->log_level = (enum log_level)v;
	return r;
}

static int
set_cache(struct parse *p, const char *value)
{
	static const struct word words[] = {
		{ "auto", 0 },
		{ "always", WORD_LATER },
		{ "never", WORD_LATER },
		{ "metadata", WORD_LATER },
	};
	int v;

	return parse_word(p, value, true, words, countof(words), &v);
}

static int
set_file_handles(struct parse *p, const char *value)
{
	static const struct word words[] = {
		{ "never", WORD_LATER },
		{ "prefer", 0 },
		{ "mandatory", WORD_LATER },
		{ "fallback", WORD_LATER },
	};
	int v;

	return parse_word(p, value, false, words, countof(words), &v);
}

static int
set_front_user(struct parse *p, const char *value)
{
	p->o->front_user = value;
	return 0;
}

static int
set_donation(struct parse *p, const char *value)
{
	static const struct word words[] = { { "always", 0 }, { "never", DEV_NO_DONATION } };
	int v, r = parse_word(p, value, false, words, countof(words), &v);

	if (r == 0)
		p->o->dev.flags = (p->o->dev.flags & ~(uint32_t)DEV_NO_DONATION) | (uint32_t)v;
	return r;
}

static int
set_xattr(struct parse *p, const char *value)
{
	(void)value;
	p->o->dev.flags |= DEV_XATTR;
	return 0;
}

static int
set_announce(struct parse *p, const char *value)
{
	(void)value;
	p->o->dev.flags |= DEV_ANNOUNCE_SUBMOUNTS;
	return 0;
}

static int
set_no_announce(struct parse *p, const char *value)
{
	(void)value;
	p->o->dev.flags &= ~(uint32_t)DEV_ANNOUNCE_SUBMOUNTS;
	return 0;
}

static int
set_capabilities(struct parse *p, const char *value)
{
	(void)value;
	p->o->action = OPTIONS_CAPABILITIES;
	return 0;
}

static int
set_help(struct parse *p, const char *value)
{
	/* Told apart by how it was written: value is the word of the command line. */
	p->o->action = strcmp(value, "--help") == 0 ? OPTIONS_LONG_HELP : OPTIONS_SHORT_HELP;
	return 0;
}

static int
set_version(struct parse *p, const char *value)
{
	(void)value;
	p->o->action = OPTIONS_VERSION;
	return 0;
}

#define LATER(nm, a, l) \
	{ \
		.name = (nm), .arg = (a), .letter = (l), .flags = ROW_LATER \
	}

static const struct row rows[] = {
	{ "shared-dir", "PATH", 0, 0, set_shared_dir, "Directory to share with the guest.", NULL },
	{ "socket-path", "PATH", 0, 0, set_socket_path,
	    "Create the vhost-user socket at this path.",
	    "PATH.pid is created beside it, locked while the daemon runs." },
	{ "fd", "N", 0, 0, set_fd, "Use an inherited vhost-user socket.",
	    "N is the number of a file descriptor of a listening UNIX stream socket. Not together "
	    "with --socket-path." },
	{ "tag", "TAG", 0, 0, set_tag, "Name of the file system in the guest.",
	    "1 to 36 bytes, offered to the front end in the device's configuration space. Without "
	    "it, the front end brings its own." },
	{ "thread-pool-size", "N", 0, 0, set_pool_size,
	    "Most requests of one queue served at the same time.",
	    "0 and 1: one after the other. Without this option the daemon adapts to how fast the "
	    "file system is." },
	{ "xattr", NULL, 0, 0, set_xattr, "Offer extended attributes.", NULL },
	{ "sandbox", "MODE", 0, 0, set_sandbox,
	    "How the process with access to the files is isolated.",
	    "namespace (default): it sees the shared directory as its root, in namespaces of its "
	    "own; chroot: it changes its root; none: it does neither." },
	{ "seccomp", "ACTION", 0, 0, set_seccomp,
	    "What happens at a system call outside the profiles.",
	    "kill (default): the process ends; log: the kernel logs it; trap: the process gets "
	    "SIGSYS; none: no profiles." },
	{ "announce-submounts", NULL, 0, 0, set_announce,
	    "Tell the guest which directories are mount points (default).", NULL },
	{ "no-announce-submounts", NULL, 0, 0, set_no_announce,
	    "Do not tell the guest which directories are mount points.",
	    "Of --announce-submounts and --no-announce-submounts the later one counts." },
	{ "inode-file-handles", "MODE", 0, ROW_ATTACHED, set_file_handles,
	    "How inodes are remembered.",
	    "prefer (default): by file handle where the file system has them, else by open file "
	    "descriptor." },
	{ "cache", "POLICY", 0, 0, set_cache, "What the guest may cache.",
	    "auto (default): metadata and data for a short time." },
	{ "fd-donation", "WHEN", 0, 0, set_donation,
	    "Whether file data bypasses the process with access to names.",
	    "always (default): open regular files are handed to the front process, which moves "
	    "their data. never: everything goes through the worker process." },
	{ "front-user", "NAME", 0, 0, set_front_user,
	    "User that the process talking to the guest becomes.",
	    "Default: virtiofsd if there is such an account, else nobody. Must not be uid 0." },
	{ "rlimit-nofile", "N", 0, 0, set_nofile, "Limit of open files.",
	    "0: leave it as it is. Default: 1000000, or what the system allows." },
	{ "worker-deaths", "N", 0, 0, set_worker_deaths,
	    "How often the worker process is restarted when it ends.",
	    "The worker process is the one with access to the files; while it is restarted the "
	    "guest's requests wait. More than N (default 20, at most 1000) ends within "
	    "--worker-window seconds end the daemon. "
	    "0: it is never restarted, and the daemon keeps fewer privileges." },
	{ "worker-window", "SECONDS", 0, 0, set_worker_window,
	    "Time in which --worker-deaths are counted (default 60).", NULL },
	{ "worker-timeout", "SECONDS", 0, 0, set_worker_timeout,
	    "When to warn of a request that is not answered (default 60).", "0: never." },
	{ "worker-timeout-restart", NULL, 0, 0, set_worker_timeout_restart,
	    "After that warning, restart the worker process.", NULL },
	{ "log-level", "LEVEL", 0, 0, set_log_level, "How much is logged.",
	    "off, error, warn, info (default), debug or trace." },
	{ "print-capabilities", NULL, 0, 0, set_capabilities,
	    "Print what the daemon can do, as JSON, and exit.", NULL },
	{ "help", NULL, 'h', ROW_LAST, set_help,
	    "Print help (-h: shorter, --help: longer) and exit.", NULL },
	{ "version", NULL, 'V', ROW_LAST, set_version, "Print the version and exit.", NULL },
	LATER("socket", "PATH", 0),
	LATER("socket-group", "NAME", 0),
	LATER("posix-acl", NULL, 0),
	LATER("xattrmap", "MAP", 0),
	LATER("readonly", NULL, 0),
	LATER("allow-mmap", NULL, 0),
	LATER("no-readdirplus", NULL, 0),
	LATER("writeback", NULL, 0),
	LATER("allow-direct-io", NULL, 0),
	LATER("modcaps", "LIST", 0),
	LATER("syslog", NULL, 0),
	LATER("killpriv-v2", NULL, 0),
	LATER("no-killpriv-v2", NULL, 0),
	LATER("security-label", NULL, 0),
	LATER("uid-map", "MAP", 0),
	LATER("gid-map", "MAP", 0),
	LATER("translate-uid", "RULE", 0),
	LATER("translate-gid", "RULE", 0),
	LATER("preserve-noatime", NULL, 0),
	LATER("migration-mode", "MODE", 0),
	LATER("migration-on-error", "MODE", 0),
	LATER("migration-verify-handles", NULL, 0),
	LATER("migration-confirm-paths", NULL, 0),
	LATER(NULL, "LIST", 'o'),
	LATER(NULL, NULL, 'd'),
	LATER(NULL, NULL, 'f'),
};

#define LONG_BASE 256 /* getopt's value of row 0; below: letters */

static const struct row *
row_of(int value)
{
	if (value >= LONG_BASE && value < LONG_BASE + (int)countof(rows))
		return &rows[value - LONG_BASE];
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].letter != 0 && rows[i].letter == value)
			return &rows[i];
	return NULL;
}

/* What getopt_long() needs, from the rows. */
static void
getopt_tables(struct option longs[countof(rows) + 1], char letters[2 * countof(rows) + 3])
{
	size_t n = 0;

	/* '+': stop at the first word that is no option; ':': tell a missing value from an unknown option. */
	*letters++ = '+';
	*letters++ = ':';
	for (size_t i = 0; i < countof(rows); i++) {
		const struct row *row = &rows[i];

		if (row->name != NULL)
			longs[n++] = (struct option){ .name = row->name,
				.val = LONG_BASE + (int)i,
				.has_arg = row->arg != NULL ? required_argument : no_argument };
		if (row->letter != 0)
			*letters++ = row->letter;
		if (row->letter != 0 && row->arg != NULL)
			*letters++ = ':';
	}
	*letters = '\0';
	longs[n] = (struct option){ .name = NULL };
}

static bool
is_long(const char *word)
{
	return word[0] == '-' && word[1] == '-';
}

/* Was the row's name typed in full? */
static bool
typed_exactly(const struct row *row, const char *word)
{
	size_t n;

	if (!is_long(word))
		return true;
	n = strcspn(word + 2, "=");
	return row->name != NULL && strlen(row->name) == n && strncmp(row->name, word + 2, n) == 0;
}

/* getopt_long() returned value for word. Names the option and applies it. */
static int
one_option(struct parse *p, int value, const char *word, const char *arg)
{
	const struct row *row = row_of(value == '?' || value == ':' ? optopt : value);
	bool attached;

	if (row == NULL && !is_long(word))
		return fail(p, "unknown option '-%c'", optopt);
	if (row == NULL || !typed_exactly(row, word))
		return fail(p, "unknown option '%.*s'", (int)MIN(strcspn(word, "="), 80), word);
	p->row = row;
	if (value == '?')
		return fail(p, "option '--%s' takes no value", row->name);
	if (row->flags & ROW_LATER)
		return row->name != NULL
		    ? fail(p, "option '--%s' is not supported yet", row->name)
		    : fail(p, "option '-%c' is not supported yet", row->letter);
	if (value == ':')
		return fail(p, "option '--%s' needs a value <%s>", row->name, row->arg);
	attached = strchr(word, '=') != NULL;
	if (arg != NULL && !attached && (row->flags & ROW_ATTACHED))
		return fail(p, "option '--%s' needs its value attached: --%s=<%s>", row->name,
		    row->name, row->arg);
	if (arg != NULL && !attached && arg[0] == '-' && arg[1] != '\0')
		return fail(p, "option '--%s' needs a value <%s>, not the option '%.80s'",
		    row->name, row->arg, arg);
	return row->set(p, arg != NULL ? arg : word);
}

/* What must not, or must, be there together. */
static int
check_all(struct parse *p)
{
	const struct options *o = p->o;
	bool dir = o->shared_dir != NULL, sock = o->socket_path != NULL || o->fd >= 0;

	if (o->socket_path != NULL && o->fd >= 0)
		return fail(p, "option '--fd' cannot be used together with '--socket-path'");
	if (o->worker_timeout_restart && (o->worker_deaths == 0 || o->worker_timeout == 0))
		return fail(p,
		    "option '--worker-timeout-restart' cannot be used together with '--%s=0'",
		    o->worker_deaths == 0 ? "worker-deaths" : "worker-timeout");
	if (o->action == OPTIONS_CAPABILITIES || (dir && sock))
		return 0;
	return fail(p, "missing: %s%s%s", dir ? "" : "--shared-dir <PATH>",
	    !dir && !sock ? " and " : "", sock ? "" : "one of --socket-path <PATH>, --fd <N>");
}

int
options_parse(int argc, char *const argv[], struct options *o, char err[static OPTIONS_ERROR_MAX])
{
	struct option longs[countof(rows) + 1];
	char letters[2 * countof(rows) + 3];
	struct parse p = { .o = o, .err = err };
	int c, at, r;

	*o = (struct options){
		.action = OPTIONS_RUN,
		.fd = -1,
		.sandbox = SANDBOX_NAMESPACE,
		.seccomp = SECCOMP_KILL,
		.log_level = LOG_INFO,
		.dev.flags = DEV_ANNOUNCE_SUBMOUNTS,
		.worker_deaths = 20,
		.worker_window = 60,
		.worker_timeout = 60,
	};
	err[0] = '\0';
	if (argc <= 1) {
		o->action = OPTIONS_NO_ARGS;
		return 0;
	}
	getopt_tables(longs, letters);
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	for (at = 1; (c = getopt_long(argc, argv, letters, longs, NULL)) != -1; at = optind) {
		/* The word looked at: optind moves behind it, except inside a cluster of letters. */
		optarg = c == '?' || c == ':' ? NULL : optarg;
		if ((r = one_option(&p, c, argv[at], optarg)) != 0)
			return r;
		if (p.row->flags & ROW_LAST)
			return 0;
	}
	if (optind < argc)
		return fail(&p, "unexpected argument '%.80s'", argv[optind]);
	return check_all(&p);
}

void
options_usage_error(FILE *f, const char *err)
{
	fprintf(f,
	    "error: %s\n\n"
	    "Usage: virtiofsd --shared-dir <PATH> <--socket-path <PATH>|--fd <N>> [OPTIONS]\n\n"
	    "For more information, try '--help'.\n",
	    err);
}

/* Print text, words wrapped, each line indented. */
static void
print_wrapped(FILE *f, const char *text, int indent)
{
	int col = 0;

	while (*text != '\0') {
		int n = (int)strcspn(text, " ");

		if (col > 0 && col + 1 + n > 80) {
			putc('\n', f);
			col = 0;
		}
		col += fprintf(f, "%*s%.*s", col > 0 ? 1 : indent, "", n, text);
		text += n;
		text += strspn(text, " ");
	}
	putc('\n', f);
}

void
options_help(FILE *f, bool full)
{
	fputs("Virtio-fs vhost-user device daemon: shares a directory with a virtual machine.\n\n"
	      "Usage: virtiofsd --shared-dir <PATH> <--socket-path <PATH>|--fd <N>> "
	      "[OPTIONS]\n\nOptions:\n",
	    f);
	for (size_t i = 0; i < countof(rows); i++) {
		const struct row *row = &rows[i];
		char left[64], letter[8] = "    ";

		if (row->flags & ROW_LATER)
			continue;
		if (row->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", row->letter);
		snprintf(left, sizeof(left), "  %s--%s%s%s%s", letter, row->name,
		    row->arg != NULL ? " <" : "", row->arg != NULL ? row->arg : "",
		    row->arg != NULL ? ">" : "");
		if (!full) {
			fprintf(f, "%-34s %s\n", left, row->help);
			continue;
		}
		fprintf(f, "%s\n", left);
		print_wrapped(f, row->help, 10);
		if (row->more != NULL)
			print_wrapped(f, row->more, 10);
		putc('\n', f);
	}
}

void
options_capabilities(FILE *f)
{
	fputs("{\n  \"type\": \"fs\",\n  \"features\": [\n    \"migrate-precopy\",\n    "
	      "\"separate-options\"\n  ]\n}\n",
	    f);
}
