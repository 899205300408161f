/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench - a load generator for virtio-fs daemons: a vhost-user front end (tests/harness) with real rings and no guest
 * kernel. It drives several daemons, interleaved, and says how they compare.
 *
 * A session is one running daemon with the rings, files and inodes of one load. A client is a thread with one request
 * queue and `depth` slots; a slot is one operation in progress: some requests, one after the other, each made from the
 * answer to the one before. A slot owns the descriptor of its number, an indirect table and page-sized buffers.
 *
 * Runs in: the bench program, as root. Replies come from the daemon under test.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/harness/fuse_client.h"

#define PAGE 4096u
#define DEPTH_MAX 64u
#define CLIENTS_MAX 4u
#define PAGES_MAX 256u	/* of one slot: 1 MiB */
#define HIST_SUB 32u
#define HIST_SIZE (45u * HIST_SUB)

struct session;
struct client;
struct slot;

/* step() answers: the operation goes on with a request; it is complete; there is nothing left to do. */
enum step { STEP_DONE, STEP_REQUEST, STEP_END };

#define LOAD_DATA 0x1u	/* block sizes make a difference; MB/s is reported */
#define LOAD_DIR 0x2u	/* the size of the READDIR buffer makes a difference */
#define LOAD_TOTAL 0x4u	/* a run ends after session.total operations, not by time */
#define LOAD_ONE 0x8u	/* depth 1 only */

struct load {
	const char *name;
	const char *what;
	/* Make files and look inodes up, once a session. Returns 0 or -1 after saying why. */
	int (*setup)(struct session *);
	/* Before each run, not measured. May be NULL. */
	int (*before)(struct session *);
	/*
	 * Make request number slot->step (from 0) of an operation, with slot_request(), from the answer to the previous
	 * one.
	 */
	enum step (*step)(struct slot *);
	unsigned int flags;
	const char *args[4];	/* for the daemon */
};

/* One row of the table: a load and its parameters. */
struct bench_case {
	const struct load *load;
	unsigned int depth;
	unsigned int queues;
	uint32_t bs;
};

struct options {
	double seconds;
	unsigned int rounds;
	bool poll;
	int client_cpu;		/* -1 = anywhere */
	int daemon_cpu;
	unsigned int count;	/* inodes of the load `inodes` */
};
extern struct options opt;

struct slot {
	struct session *se;
	struct client *cl;
	unsigned int index;	/* in the whole session */
	uint16_t head;

	struct vring_desc *table;
	uint64_t table_gpa;
	uint8_t *in, *out;	/* a page each: headers and arguments */
	uint64_t in_gpa, out_gpa;
	uint8_t *page[PAGES_MAX];
	uint64_t page_gpa[PAGES_MAX];
	unsigned int npages;

	/* The last answer. */
	int error;
	uint32_t body_len;	/* bytes behind the header, wherever they are */
	void *body;		/* fixed part, if the request asked for one */

	/* The operation. */
	unsigned int step;
	uint64_t began;
	uint64_t unique;
	/* For the load's own use. */
	uint64_t node, fh, off, nr;
	bool flip;
	uint32_t rng;
	char name[32];
	char name2[32];
};

struct client {
	struct session *se;
	struct vmm_queue *q;
	pthread_t thread;
	struct slot *slot;
	unsigned int nslots, active;
	uint64_t deadline;	/* ns; no operation begins later */
	uint64_t ops;
	uint64_t finished;	/* ns, when the last operation was done */
	uint64_t hist[HIST_SIZE];
	_Atomic bool running;
	bool failed;
};

struct session {
	const char *label;
	struct vmm *v;
	struct fuse_client fc;
	const struct bench_case *c;
	struct client client[CLIENTS_MAX];
	unsigned int nclients;
	pthread_mutex_t hiprio;	/* the ring of FORGET is everybody's */
	uint8_t *forget;
	uint64_t forget_gpa;

	/* For the load's own use. */
	_Atomic uint64_t next;
	uint64_t total;
	uint64_t size;
	uint64_t node[DEPTH_MAX * CLIENTS_MAX];
	uint64_t fh[DEPTH_MAX * CLIENTS_MAX];
	uint64_t *dirs;
	unsigned int run;
};

/* What the processes of a daemon have used. */
struct usage {
	uint64_t cpu_ns;
	uint64_t switches;
	uint64_t pss_kib;
	unsigned int threads, procs;
};

/* One measured run. */
struct result {
	double ops, mbs, cpu_us, switches, client_us;
	double p50, p99, p999;	/* us */
	double pss_kib;
	uint64_t done;
};

#define RESULT_FIELDS 9u

/* ---- client.c ---- */

/* Prepare the slots of all clients; -1 after saying why. */
int clients_open(struct session *);
void clients_close(struct session *);

/* Run for so long (or until the load ends) and fill in *r. Returns 0 or -1. */
int clients_run(struct session *, double seconds, struct result *r);

/*
 * The next request of a slot: header, arguments (fixed part and up to two names), `put` bytes of data pages to write,
 * `body` bytes of fixed reply, `get` bytes of data pages to be filled.
 */
void slot_request(struct slot *, uint32_t opcode, uint64_t node, const void *arg, size_t len,
    const char *name1, const char *name2, uint32_t put, uint32_t body, uint32_t get);

/* Send FORGET on the high priority queue, and do not wait. */
void slot_forget(struct slot *, uint64_t node, uint64_t nlookup);
/* Wait until all forgets have been taken. */
int forgets_drain(struct session *);

uint32_t slot_random(struct slot *);
uint64_t now_ns(void);

/* ---- usage.c ---- */
void usage_read(const struct vmm *, struct usage *, bool memory);
void usage_self(struct usage *);

/* ---- loads ---- */
extern const struct load loads_names[], loads_data[], loads_tree[];

/* Make a file of `len` bytes in the share. */
int put_file(struct session *, const char *name, size_t len);
/* LOOKUP name below dir, once; 0 on failure. */
uint64_t look_up(struct session *, uint64_t dir, const char *name);
/* For a load's setup(): say what is wrong, return -1. */
int complain(const struct session *, const char *what, int error);

/* ---- report.c ---- */

void report_begin(const char *const *label, unsigned int n);
/* results[daemon][round] */
void report_case(const struct bench_case *, struct result *const *results, const unsigned int *rounds,
    unsigned int n);
int report_json(const char *path);

#endif
