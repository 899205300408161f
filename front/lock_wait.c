/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LOCK_THREADS threads that wait in the kernel, and one (the clock) that asks again for those who have no thread, and
 * repeats signals: one that comes just before a thread enters the system call is lost.
 *
 * A thread is got out of the kernel by SIGUSR1, whose handler does nothing. What it got nevertheless counts: a wait that
 * was cancelled too late has succeeded. Runs in: front, threads of its own; the other functions: any thread.
 */
#include "front/lock_wait.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "common/fd.h"
#include "common/log.h"
#include "front/threads.h"

#define ASK_AGAIN_MS 5
#define KICK_AGAIN_MS 1

struct place {
	pthread_t thread;
	struct lock_waiter *w; /* NULL: idle */
	bool kicked; /* shall come out of the kernel */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more; /* for the threads */
	pthread_cond_t tick; /* for the clock */
	struct place place[LOCK_THREADS + 1]; /* the last one is the clock's */
	unsigned idle; /* threads */
	struct lock_waiter *first, **last; /* without a place */
	unsigned n;
} me = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .last = &me.first };

static struct place *const clock_place = &me.place[LOCK_THREADS];

/* me is locked. */
static void
push(struct lock_waiter *w)
{
	w->next = NULL;
	*me.last = w;
	me.last = &w->next;
	me.n++;
}

static struct lock_waiter *
pop(void)
{
	struct lock_waiter *w = me.first;

	me.first = w->next;
	if (me.first == NULL)
		me.last = &me.first;
	me.n--;
	return w;
}

void
lock_wait(struct lock_waiter *w)
{
	w->cancelled = 0;
	pthread_mutex_lock(&me.lock);
	push(w);
	/* One that has been told already counts as idle until it runs. */
	if (me.n <= me.idle)
		pthread_cond_signal(&me.more);
	else
		pthread_cond_signal(&me.tick);
	pthread_mutex_unlock(&me.lock);
}

/* Returns the error that p's waiter was cancelled with, or 0; and takes back the wish that it come out of the kernel. */
static int
is_cancelled(struct place *p)
{
	int e;

	pthread_mutex_lock(&me.lock);
	p->kicked = false;
	e = p->w->cancelled;
	pthread_mutex_unlock(&me.lock);
	return e;
}

static int
serve(struct place *p)
{
	struct lock_waiter *w = p->w;
	bool granted = false;
	int e, gone;

	for (;;) {
		gone = is_cancelled(p);
		e = lock_owner_try(w->owner, &w->want, granted);
		/* Whoever ends a session cancels first, and then kills the owners. */
		if (e == -EBADF)
			gone = is_cancelled(p);
		if (e != -EAGAIN && (e == 0 || gone == 0))
			return e;
		if (gone != 0)
			return gone;
		e = lock_owner_wait(w->owner, &w->want);
		if (e != 0 && e != -EINTR)
			return e;
		granted = e == 0;
	}
}

/* The place is free; me is locked, and is not meanwhile. */
static void
finish(struct place *p, int e)
{
	struct lock_waiter *w = p->w;

	p->w = NULL;
	p->kicked = false;
	pthread_mutex_unlock(&me.lock);
	w->done(w, e);
	pthread_mutex_lock(&me.lock);
}

static void *
wait_main(void *arg)
{
	struct place *p = arg;
	int e;

	pthread_mutex_lock(&me.lock);
	/* Whoever started this thread does not know it earlier. */
	p->thread = pthread_self();
	for (;;) {
		me.idle++;
		while (me.first == NULL)
			pthread_cond_wait(&me.more, &me.lock);
		me.idle--;
		p->w = pop();
		pthread_mutex_unlock(&me.lock);
		e = serve(p);
		pthread_mutex_lock(&me.lock);
		finish(p, e);
	}
	return NULL;
}

/* Ask once for the waiter that has had no place for the longest time. */
static void
ask_for_one(void)
{
	struct lock_waiter *w = pop();
	int e;

	clock_place->w = w;
	pthread_mutex_unlock(&me.lock);
	e = lock_owner_try(w->owner, &w->want, false);
	pthread_mutex_lock(&me.lock);
	if (e == -EAGAIN && w->cancelled == 0) {
		clock_place->w = NULL;
		push(w);
		/* A thread may have become idle when there was nobody. */
		if (me.idle > 0)
			pthread_cond_signal(&me.more);
	} else
		finish(clock_place, e != -EAGAIN ? e : w->cancelled);
}

/* Returns whether somebody has still not come out. */
static bool
kick_again(void)
{
	bool any = false;

	for (unsigned i = 0; i < LOCK_THREADS; i++)
		if (me.place[i].kicked) {
			pthread_kill(me.place[i].thread, SIGUSR1);
			any = true;
		}
	return any;
}

static struct timespec
after_ms(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

static void *
clock_main(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&me.lock);
	for (;;) {
		const bool kicks = kick_again();
		struct timespec t;

		for (unsigned n = me.n; n > 0 && me.first != NULL; n--)
			ask_for_one();
		if (!kicks && me.first == NULL) {
			pthread_cond_wait(&me.tick, &me.lock);
			continue;
		}
		t = after_ms(kicks ? KICK_AGAIN_MS : ASK_AGAIN_MS);
		(void)pthread_cond_timedwait(&me.tick, &me.lock, &t);
	}
	return NULL;
}

static void
nothing(int sig)
{
	(void)sig;
}

void
lock_wait_start(void)
{
	/* No SA_RESTART: the system call ends. */
	const struct sigaction sa = { .sa_handler = nothing };
	pthread_condattr_t attr;

	if (sigaction(SIGUSR1, &sa, NULL) == -1)
		fatal("sigaction");
	if (pthread_condattr_init(&attr) != 0 ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&me.tick, &attr) != 0)
		fatalx("cannot prepare the lock threads");
	pthread_condattr_destroy(&attr);
	for (unsigned i = 0; i < LOCK_THREADS; i++)
		thread_start(wait_main, &me.place[i]);
	thread_start(clock_main, NULL);
}

static void
kick(struct place *p)
{
	p->kicked = true;
	if (p != clock_place)
		pthread_kill(p->thread, SIGUSR1);
}

void
lock_wait_again(const struct lock_owner *o)
{
	bool any = false;

	pthread_mutex_lock(&me.lock);
	for (unsigned i = 0; i < LOCK_THREADS; i++)
		if (me.place[i].w != NULL && me.place[i].w->owner == o) {
			kick(&me.place[i]);
			any = true;
		}
	if (any)
		pthread_cond_signal(&me.tick);
	pthread_mutex_unlock(&me.lock);
}

/* Who is meant by a cancellation. */
struct whom {
	enum { ALL, UNIQUE, ID, HANDLE } by;
	uint64_t number, fh;
};

static bool
is_meant(const struct lock_waiter *w, const struct whom *m)
{
	switch (m->by) {
	case UNIQUE:
		return w->unique == m->number;
	case ID:
		return w->id == m->number;
	case HANDLE:
		return w->node == m->number && w->want.fh == m->fh;
	default:
		return true;
	}
}

static void
cancel(const struct whom *m, int error)
{
	struct lock_waiter *gone = NULL, **p, *w;
	bool any = false;

	pthread_mutex_lock(&me.lock);
	for (unsigned i = 0; i < countof(me.place); i++) {
		w = me.place[i].w;
		if (w != NULL && is_meant(w, m) && w->cancelled == 0) {
			w->cancelled = error;
			kick(&me.place[i]);
			any = true;
		}
	}
	for (p = &me.first; (w = *p) != NULL;) {
		if (!is_meant(w, m)) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		me.n--;
		w->next = gone;
		gone = w;
	}
	me.last = p;
	if (any)
		pthread_cond_signal(&me.tick);
	pthread_mutex_unlock(&me.lock);
	while ((w = gone) != NULL) {
		gone = w->next;
		w->done(w, error);
	}
}

void
lock_wait_cancel(uint64_t unique, int error)
{
	cancel(&(const struct whom){ .by = UNIQUE, .number = unique }, error);
}

void
lock_wait_cancel_id(uint64_t id, int error)
{
	cancel(&(const struct whom){ .by = ID, .number = id }, error);
}

void
lock_wait_cancel_handle(uint64_t node, uint64_t fh, int error)
{
	cancel(&(const struct whom){ .by = HANDLE, .number = node, .fh = fh }, error);
}

void
lock_wait_cancel_all(int error)
{
	cancel(&(const struct whom){ .by = ALL }, error);
}
