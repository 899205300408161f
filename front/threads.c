/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs in: front, main thread, before the seal. */
#include "front/threads.h"

#include <errno.h>
#include <semaphore.h>
#include <stddef.h>

#include "common/log.h"

#define STACK_SIZE (128u << 10)

struct start {
	void *(*fn)(void *);
	void *arg;
	sem_t up;
};

static void *
thread_main(void *p)
{
	struct start *s = p;
	void *(*fn)(void *) = s->fn;
	void *arg = s->arg;

	sem_post(&s->up);
	return fn(arg);
}

pthread_t
thread_start(void *(*fn)(void *), void *arg)
{
	struct start s = { .fn = fn, .arg = arg };
	pthread_attr_t attr;
	pthread_t t;

	if (pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, STACK_SIZE) != 0 ||
	    sem_init(&s.up, 0, 0) != 0 || pthread_create(&t, &attr, thread_main, &s) != 0)
		fatalx("cannot start a thread");
	while (sem_wait(&s.up) == -1 && errno == EINTR)
		;
	sem_destroy(&s.up);
	pthread_attr_destroy(&attr);
	return t;
}
