/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table and the JSON file: for each case the median of every figure over the rounds, and the ratio of the first
 * daemon to the best of the others.
 *
 * Runs in: the bench program.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

#define DAEMONS_MAX 8u

struct row {
	struct row *next;
	char name[64];
	const struct bench_case *c;
	struct result median[DAEMONS_MAX];
	unsigned int rounds[DAEMONS_MAX];
};

static const char *const *labels;
static unsigned int ndaemons;
static struct row *rows, **tail = &rows;

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *v, unsigned int n)
{
	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), compare);
	return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

#define MEDIAN(field) do { \
	for (unsigned int i_ = 0; i_ < n; i_++) \
		v[i_] = r[i_].field; \
	m->field = median(v, n); \
} while (0)

static void
medians(const struct result *r, unsigned int n, struct result *m)
{
	double v[256];

	if (n > 256)
		n = 256;
	memset(m, 0, sizeof(*m));
	MEDIAN(ops);
	MEDIAN(mbs);
	MEDIAN(cpu_us);
	MEDIAN(switches);
	MEDIAN(client_us);
	MEDIAN(p50);
	MEDIAN(p99);
	MEDIAN(p999);
	MEDIAN(pss_kib);
	m->done = n > 0 ? r[n - 1].done : 0;
}

static void
name_case(const struct bench_case *c, char *buf, size_t cap)
{
	int n = snprintf(buf, cap, "%s", c->load->name);

	if ((c->load->flags & (LOAD_DATA | LOAD_DIR)) != 0)
		n += snprintf(buf + n, cap - (size_t)n, " %uk", c->bs / 1024);
	n += snprintf(buf + n, cap - (size_t)n, " d%u", c->depth);
	if (c->queues > 1)
		snprintf(buf + n, cap - (size_t)n, " q%u", c->queues);
}

void
report_begin(const char *const *label, unsigned int n)
{
	labels = label;
	ndaemons = n < DAEMONS_MAX ? n : DAEMONS_MAX;
	printf("%-26s %-10s %10s %8s %6s %8s %8s %8s %8s %7s %7s %7s\n", "case", "daemon", "ops/s", "MB/s", "ratio",
	    "p50us", "p99us", "p99.9us", "cpu/op", "cpu x", "ctxsw", "PSS kB");
}

/* The best of the other daemons, by throughput; by CPU the one that used least. */
static double
best(const struct row *row, bool cpu)
{
	double b = 0;

	for (unsigned int i = 1; i < ndaemons; i++) {
		double x = cpu ? row->median[i].cpu_us : row->median[i].ops;

		if (row->rounds[i] > 0 && (b <= 0 || (cpu ? x < b : x > b)))
			b = x;
	}
	return b;
}

static void
print_row(const struct row *row)
{
	double ops = best(row, false), cpu = best(row, true);

	for (unsigned int i = 0; i < ndaemons; i++) {
		const struct result *m = &row->median[i];
		char ratio[16] = "", ratio_cpu[16] = "";

		if (row->rounds[i] == 0) {
			printf("%-26s %-10s failed\n", row->name, labels[i]);
			continue;
		}
		if (i == 0 && ops > 0)
			snprintf(ratio, sizeof(ratio), "%.2f", m->ops / ops);
		if (i == 0 && cpu > 0)
			snprintf(ratio_cpu, sizeof(ratio_cpu), "%.2f", m->cpu_us / cpu);
		printf("%-26s %-10s %10.0f %8.1f %6s %8.1f %8.1f %8.1f %8.2f %7s %7.2f %7.0f\n",
		    i == 0 ? row->name : "", labels[i], m->ops, m->mbs, ratio, m->p50, m->p99, m->p999, m->cpu_us,
		    ratio_cpu, m->switches, m->pss_kib);
	}
	fflush(stdout);
}

void
report_case(const struct bench_case *c, struct result *const *results, const unsigned int *rounds,
    unsigned int n)
{
	struct row *row = calloc(1, sizeof(*row));

	if (row == NULL)
		return;
	name_case(c, row->name, sizeof(row->name));
	row->c = c;
	for (unsigned int i = 0; i < n && i < ndaemons; i++) {
		row->rounds[i] = rounds[i];
		medians(results[i], rounds[i], &row->median[i]);
	}
	*tail = row;
	tail = &row->next;
	print_row(row);
}

static void
json_result(FILE *f, const char *label, const struct result *m, unsigned int rounds)
{
	fprintf(f,
	    "{\"daemon\": \"%s\", \"rounds\": %u, \"ops_per_s\": %.1f, \"mb_per_s\": %.2f, \"p50_us\": %.2f, "
	    "\"p99_us\": %.2f, \"p999_us\": %.2f, \"cpu_us_per_op\": %.3f, \"switches_per_op\": %.3f, "
	    "\"client_cpu_us_per_op\": %.3f, \"pss_kib\": %.0f}",
	    label, rounds, m->ops, m->mbs, m->p50, m->p99, m->p999, m->cpu_us, m->switches, m->client_us, m->pss_kib);
}

int
report_json(const char *path)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		return -errno;
	fprintf(f, "[");
	for (const struct row *row = rows; row != NULL; row = row->next) {
		double ops = best(row, false), cpu = best(row, true);

		fprintf(f, "%s\n  {\"load\": \"%s\", \"depth\": %u, \"queues\": %u, \"bs\": %u", row == rows ? "" : ",",
		    row->c->load->name, row->c->depth, row->c->queues, row->c->bs);
		if (ops > 0 && row->rounds[0] > 0)
			fprintf(f, ", \"ratio\": %.3f, \"cpu_ratio\": %.3f", row->median[0].ops / ops,
			    cpu > 0 ? row->median[0].cpu_us / cpu : 0);
		fprintf(f, ", \"results\": [");
		for (unsigned int i = 0; i < ndaemons; i++) {
			fprintf(f, "%s\n    ", i == 0 ? "" : ",");
			json_result(f, labels[i], &row->median[i], row->rounds[i]);
		}
		fprintf(f, "]}");
	}
	fprintf(f, "\n]\n");
	return fclose(f) != 0 ? -errno : 0;
}
