/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz harness without libFuzzer: on the files named, or without arguments on FUZZ_RUNS (20000) inputs of a
 * pseudo-random generator that always makes the same ones.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX	(64u << 10)
#define GENERATED_MAX	4096u

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static uint64_t state = 1;

static uint32_t
rnd(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33);
}

/* Mostly small numbers: counts, indices and flags are small. */
static void
generate(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		switch (rnd() % 4) {
		case 0: p[i] = 0; break;
		case 1: p[i] = (uint8_t)(rnd() % 8); break;
		case 2: p[i] = (uint8_t)(1u << rnd() % 8); break;
		default: p[i] = (uint8_t)rnd(); break;
		}
}

static void
one(const uint8_t *p, size_t n)
{
	/* A buffer of exactly this size, so that ASan sees what is read behind it. */
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		copy[i] = p[i];
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

int
main(int argc, char **argv)
{
	static uint8_t buf[INPUT_MAX];
	const char *runs = getenv("FUZZ_RUNS");

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");

		if (f == NULL) {
			perror(argv[i]);
			return 1;
		}
		one(buf, fread(buf, 1, sizeof(buf), f));
		fclose(f);
	}
	for (unsigned long i = 0; argc == 1 && i < (runs != NULL ? strtoul(runs, NULL, 10) : 20000); i++) {
		size_t n = rnd() % (i % 16 == 0 ? GENERATED_MAX : 512);

		generate(buf, n);
		one(buf, n);
	}
	return 0;
}
