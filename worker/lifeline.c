/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that does nothing, with a file table of its own in which nothing is open but one end of a socket pair. A
 * killed process keeps its descriptors as long as one of its threads hangs in a system call (a frozen or dead file
 * system); this thread hangs in nothing, so its end of the pair closes at once, and the monitor knows why nobody
 * answers. Runs in: worker.
 */
#include "worker/lifeline.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

#define STACK_SIZE (32u << 10)

struct start {
	int fd;
	bool alone;
	sem_t up;
};

static void *
lifeline_main(void *arg)
{
	struct start *s = arg;
	const unsigned fd = (unsigned)s->fd;

	/* Containers that may not make namespaces are often denied unshare() altogether. */
	s->alone = unshare(CLONE_FILES) == 0;
	if (!s->alone) {
		log_debug("lifeline: unshare: %s", strerrordesc_np(errno));
		sem_post(&s->up);
		return NULL;
	}
	if ((fd > 0 && close_range(0, fd - 1, 0) == -1) || close_range(fd + 1, UINT_MAX, 0) == -1)
		fatal("close_range");
	sem_post(&s->up);
	for (;;)
		poll(NULL, 0, -1);
	return NULL;
}

void
lifeline_start(int fd)
{
	struct start s = { .fd = fd };
	pthread_attr_t attr;
	pthread_t thread;

	if (sem_init(&s.up, 0, 0) == -1 || pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setstacksize(&attr, STACK_SIZE) != 0 ||
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0 ||
	    pthread_create(&thread, &attr, lifeline_main, &s) != 0)
		fatalx("cannot start the lifeline's thread");
	while (sem_wait(&s.up) == -1 && errno == EINTR)
		continue;
	sem_destroy(&s.up);
	pthread_attr_destroy(&attr);
	/* Else it ends with the process, as everything does. */
	if (s.alone)
		fd_close(&fd);
}
