/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench: the command line; and for each case one session a daemon, all alive at once, run in turn: A B C A B C, so that
 * whatever else the machine does hits all of them alike.
 *
 * Runs in: the bench program, as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define DAEMONS_MAX 8u
#define LIST_MAX 32u
#define ROUNDS_MAX 99u
#define WARM_UP 0.15	/* seconds before the first measured run */

/*
 * What Linux offers, less the two that would change the requests this program makes: FUSE_SECURITY_CTX and
 * FUSE_CREATE_SUPP_GROUP.
 */
#define OFFER (~0ull & ~(1ull << 32) & ~(1ull << 34))

struct options opt = { .seconds = 0.5, .rounds = 5, .client_cpu = -1, .daemon_cpu = -1, .count = 100000 };

static const char *label[DAEMONS_MAX], *command[DAEMONS_MAX], *json, *only;
static unsigned int ndaemons;
static unsigned int depths[LIST_MAX] = { 1, 16 }, ndepths = 2;
static unsigned int queues[LIST_MAX] = { 1 }, nqueues = 1;
static unsigned int sizes[LIST_MAX] = { 4096, 65536, 1048576 }, nsizes = 3;
static unsigned int dirsizes[LIST_MAX] = { 4096, 32768 }, ndirsizes = 2;

static void
usage(FILE *f)
{
	fprintf(f, "usage: bench [options] --daemon NAME=COMMAND ...\n"
	    "  --daemon NAME=COMMAND  a daemon to measure (several; the first is compared with the others)\n"
	    "  --load A,B,...         what to run (default: all but inodes and idle); --list shows them\n"
	    "  --depth 1,16           operations in flight on each queue\n"
	    "  --queues 1             request queues, a client thread each\n"
	    "  --bs 4k,64k,1m         bytes of a READ or WRITE\n"
	    "  --dir-bs 4k,32k        bytes of a READDIR buffer\n"
	    "  --time SECONDS         of one run (0.5)\n"
	    "  --rounds N             runs of each daemon in each case (5)\n"
	    "  --pin one|split        client and daemons on CPU 0; or client on 0, daemons on 1\n"
	    "  --poll                 the client spins instead of sleeping\n"
	    "  --count N              inodes of the load `inodes`\n"
	    "  --json FILE            the results again\n");
}

static unsigned int
number(const char *s)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (*end == 'k' || *end == 'K')
		n <<= 10;
	else if (*end == 'm' || *end == 'M')
		n <<= 20;
	return (unsigned int)n;
}

static unsigned int
number_list(char *arg, unsigned int *out, unsigned int max)
{
	unsigned int n = 0;
	char *save = NULL;

	for (char *w = strtok_r(arg, ",", &save); w != NULL && n < LIST_MAX; w = strtok_r(NULL, ",", &save)) {
		out[n] = number(w);
		if (out[n] == 0 || out[n] > max) {
			fprintf(stderr, "bench: bad number %s\n", w);
			exit(2);
		}
		n++;
	}
	return n;
}

int
complain(const struct session *se, const char *what, int error)
{
	fprintf(stderr, "%s: %s%s%s\n", se->label, what, error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
	return -1;
}

int
put_file(struct session *se, const char *name, size_t len)
{
	static const char block[65536] = { 'x' };
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", se->v->share, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return complain(se, path, errno);
	for (size_t n; len > 0; len -= n) {
		n = len < sizeof(block) ? len : sizeof(block);
		if (write(fd, block, n) != (ssize_t)n) {
			close(fd);
			return complain(se, path, errno);
		}
	}
	return close(fd) != 0 ? complain(se, path, errno) : 0;
}

uint64_t
look_up(struct session *se, uint64_t dir, const char *name)
{
	struct fuse_entry_out e;
	int r = fc_lookup(&se->fc, dir, name, &e);

	if (r != 0) {
		complain(se, name, r == FC_BROKEN ? 0 : -r);
		return 0;
	}
	return e.nodeid;
}

/* ---- sessions ---- */

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned int i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || (unsigned int)cpu == i)
			CPU_SET(i, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		perror("sched_setaffinity");
}

static int
open_session(struct session *se, const struct bench_case *c, unsigned int daemon)
{
	size_t slots = (size_t)c->depth * c->queues;
	struct vmm_opts o = {
		.args = c->load->args[0] != NULL ? c->load->args : NULL,
		.stage = VMM_RUNNING,
		.queues = 1 + c->queues,
		.queue_size = 256,
		.regions = 1,
		.mem_size = slots * ((size_t)c->bs + 4 * PAGE + 8192) + ((size_t)32 << 20),
	};
	int r;

	memset(se, 0, sizeof(*se));
	se->label = label[daemon];
	se->c = c;
	se->total = opt.count;
	setenv("VIRTIOFSD", command[daemon], 1);
	pin(opt.daemon_cpu);
	se->v = vmm_start(&o);
	pin(-1);
	if (se->v == NULL)
		return complain(se, "does not start", 0);
	r = fc_open(&se->fc, se->v, 1);
	if (r == 0)
		r = fc_init(&se->fc, OFFER);
	if (r != 0)
		return complain(se, "INIT", r == FC_BROKEN ? 0 : -r);
	if (clients_open(se) != 0 || c->load->setup(se) != 0)
		return -1;
	return 0;
}

static void
close_session(struct session *se)
{
	clients_close(se);
	if (se->v == NULL)
		return;
	vmm_end(se->v, NULL);
	vmm_free(se->v);
}

/*
 * A journal whose transaction is large makes each change dearer (ext4 searches the blocks freed in it for each block
 * taken): nobody pays for what the one before has done.
 */
static bool
settle(struct session *se)
{
	int fd = open(se->v->share, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && syncfs(fd) == 0;

	if (!ok)
		complain(se, "syncfs", errno);
	if (fd >= 0)
		close(fd);
	return ok;
}

static void
run_case(const struct bench_case *c)
{
	static struct result r[DAEMONS_MAX][ROUNDS_MAX];
	struct session *se = calloc(ndaemons, sizeof(*se));
	struct result *results[DAEMONS_MAX], scratch;
	unsigned int rounds[DAEMONS_MAX] = { 0 };
	bool ok[DAEMONS_MAX];

	if (se == NULL)
		return;
	for (unsigned int i = 0; i < ndaemons; i++) {
		results[i] = r[i];
		ok[i] = open_session(&se[i], c, i) == 0;
		if (ok[i] && (c->load->flags & LOAD_TOTAL) == 0)
			ok[i] = clients_run(&se[i], WARM_UP, &scratch) == 0;
	}
	for (unsigned int k = 0; k < opt.rounds; k++) {
		for (unsigned int i = 0; i < ndaemons; i++) {
			ok[i] = ok[i] && settle(&se[i]) && clients_run(&se[i], opt.seconds, &r[i][k]) == 0;
			rounds[i] += ok[i];
		}
	}
	report_case(c, results, rounds, ndaemons);
	for (unsigned int i = 0; i < ndaemons; i++)
		close_session(&se[i]);
	free(se);
}

/* ---- cases ---- */

static bool
is_wanted(const char *name)
{
	size_t n = strlen(name);

	if (only == NULL)
		return strcmp(name, "inodes") != 0 && strcmp(name, "idle") != 0;
	for (const char *p = only; *p != '\0'; p += strcspn(p, ","), p += *p == ',')
		if (strcspn(p, ",") == n && strncmp(p, name, n) == 0)
			return true;
	return false;
}

static void
run_load(const struct load *l)
{
	static const unsigned int one[] = { 1 }, none[] = { PAGE };
	const unsigned int *d = depths, *b = none, *q = queues;
	unsigned int nd = ndepths, nb = 1, nq = nqueues;

	if ((l->flags & LOAD_ONE) != 0) {
		d = q = one;
		nd = nq = 1;
	}
	if ((l->flags & LOAD_DATA) != 0) {
		b = sizes;
		nb = nsizes;
	} else if ((l->flags & LOAD_DIR) != 0) {
		b = dirsizes;
		nb = ndirsizes;
	}
	for (unsigned int i = 0; i < nb; i++)
		for (unsigned int k = 0; k < nd; k++)
			for (unsigned int m = 0; m < nq; m++) {
				/* Rows refer to it until the end. */
				struct bench_case *c = calloc(1, sizeof(*c));

				if (c == NULL)
					return;
				*c = (struct bench_case){ .load = l, .depth = d[k], .queues = q[m], .bs = b[i] };
				run_case(c);
			}
}

static const struct load *const all[] = { loads_names, loads_data, loads_tree };

static void
list_loads(void)
{
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct load *l = all[i]; l->name != NULL; l++)
			printf("%-16s %s\n", l->name, l->what);
}

static void
add_daemon(char *arg)
{
	char *eq = strchr(arg, '=');

	if (eq == NULL || ndaemons == DAEMONS_MAX) {
		usage(stderr);
		exit(2);
	}
	*eq = '\0';
	label[ndaemons] = arg;
	command[ndaemons++] = eq + 1;
}

static void
parse(int argc, char **argv)
{
	static const struct option o[] = {
		{ "daemon", required_argument, NULL, 'D' },
		{ "load", required_argument, NULL, 'l' },
		{ "list", no_argument, NULL, 'L' },
		{ "depth", required_argument, NULL, 'd' },
		{ "queues", required_argument, NULL, 'q' },
		{ "bs", required_argument, NULL, 'b' },
		{ "dir-bs", required_argument, NULL, 'B' },
		{ "time", required_argument, NULL, 't' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "pin", required_argument, NULL, 'p' },
		{ "poll", no_argument, NULL, 'P' },
		{ "count", required_argument, NULL, 'n' },
		{ "json", required_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", o, NULL)) != -1) {
		switch (c) {
		case 'D': add_daemon(optarg); break;
		case 'l': only = optarg; break;
		case 'L': list_loads(); exit(0);
		case 'd': ndepths = number_list(optarg, depths, DEPTH_MAX); break;
		case 'q': nqueues = number_list(optarg, queues, CLIENTS_MAX); break;
		case 'b': nsizes = number_list(optarg, sizes, PAGES_MAX * PAGE); break;
		case 'B': ndirsizes = number_list(optarg, dirsizes, PAGES_MAX * PAGE); break;
		case 't': opt.seconds = strtod(optarg, NULL); break;
		case 'r': opt.rounds = number(optarg); break;
		case 'p':
			opt.client_cpu = 0;
			opt.daemon_cpu = strcmp(optarg, "one") == 0 ? 0 : 1;
			break;
		case 'P': opt.poll = true; break;
		case 'n': opt.count = number(optarg); break;
		case 'j': json = optarg; break;
		case 'h': usage(stdout); exit(0);
		default: usage(stderr); exit(2);
		}
	}
	if (ndaemons == 0 || opt.rounds == 0 || opt.rounds > ROUNDS_MAX || opt.seconds <= 0) {
		usage(stderr);
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	int r;

	parse(argc, argv);
	report_begin(label, ndaemons);
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct load *l = all[i]; l->name != NULL; l++)
			if (is_wanted(l->name))
				run_load(l);
	if (json != NULL && (r = report_json(json)) != 0) {
		fprintf(stderr, "bench: %s: %s\n", json, strerror(-r));
		return 1;
	}
	return 0;
}
