/* SPDX-License-Identifier: BSD-3-Clause */
/* The small I/O pool: file operations on donated fds that may block run here, so that no queue thread waits for a disk. */
#ifndef FRONT_POOL_H
#define FRONT_POOL_H

#include <stdint.h>

struct request;
struct pace;

/* Start n threads. Before the seal; ends the process on failure. */
void pool_start(unsigned n);
/* Call run(r) in a pool thread. The request, and what it refers to, is run's from here. */
void pool_submit(struct request *r, void (*run)(struct request *));
/*
 * The same for one that will only wait for a read which has been started: the queue's come one after the other, in one
 * thread, as long as they do not wait long.
 */
void pool_submit_begun(struct request *r, void (*run)(struct request *));

/*
 * Choose where to do something: pace_fast() says that it took little time lately, so doing it at once is cheaper than
 * handing it over. pace_learn() is told how long one took.
 */
_Bool pace_fast(const struct pace *);
void pace_learn(struct pace *, uint64_t ns);
/*
 * The same where the pool itself may be what makes it slow, because its threads wait for each other: now and then one is
 * done at once nevertheless, and if that took little time, so are the next ones. A probe that fails makes the pause
 * before the next one longer.
 */
_Bool pace_probe(struct pace *);
void pace_probed(struct pace *, uint64_t ns);

#endif
