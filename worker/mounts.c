/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small table with one lock. A mount that nobody is on keeps its place until that is wanted for another: most come back.
 * Runs in: worker, all threads.
 */
#include "worker/mounts.h"

#include <pthread.h>
#include <stdatomic.h>

struct mount {
	uint32_t id;
	uint32_t users;
	bool used, announced;
	/* While there are users: the id may be another mount's by the time there are some again. */
	bool handles, mixed;
};

static struct mount mounts[MOUNTS_MAX];
static uint16_t nmounts; /* ever used */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool idle;

static bool
is_free(const struct mount *m)
{
	return !m->used || (m->users == 0 && !m->announced);
}

static struct mount *
find(uint32_t id)
{
	for (uint16_t i = 0; i < nmounts; i++)
		if (mounts[i].used && mounts[i].id == id)
			return &mounts[i];
	return NULL;
}

static uint16_t
search(uint32_t id)
{
	const struct mount *m = find(id);
	uint16_t i = 0;

	if (m != NULL)
		return (uint16_t)(m - mounts);
	while (i < nmounts && !is_free(&mounts[i]))
		i++;
	if (i == MOUNTS_MAX)
		return MOUNT_NONE;
	if (i == nmounts)
		nmounts++;
	mounts[i] = (struct mount){ .id = id, .used = true };
	return i;
}

uint16_t
mounts_enter(uint32_t id, bool handle)
{
	uint16_t place;

	pthread_mutex_lock(&lock);
	place = search(id);
	if (place != MOUNT_NONE) {
		struct mount *m = &mounts[place];

		if (m->users++ == 0)
			m->handles = m->mixed = false;
		m->handles = (m->handles || handle) && !m->mixed;
	}
	pthread_mutex_unlock(&lock);
	return place;
}

bool
mounts_have_handles(uint32_t id)
{
	const struct mount *m;
	bool have;

	pthread_mutex_lock(&lock);
	m = find(id);
	have = m != NULL && m->users > 0 && m->handles;
	pthread_mutex_unlock(&lock);
	return have;
}

void
mounts_distrust(uint16_t place)
{
	if (place == MOUNT_NONE)
		return;
	pthread_mutex_lock(&lock);
	mounts[place].mixed = true;
	mounts[place].handles = false;
	pthread_mutex_unlock(&lock);
}

void
mounts_leave(uint16_t place)
{
	if (place == MOUNT_NONE)
		return;
	pthread_mutex_lock(&lock);
	if (--mounts[place].users == 0 && mounts[place].announced)
		atomic_store_explicit(&idle, true, memory_order_relaxed);
	pthread_mutex_unlock(&lock);
}

bool
mounts_announced(uint16_t place)
{
	bool announced;

	if (place == MOUNT_NONE)
		return false;
	pthread_mutex_lock(&lock);
	announced = mounts[place].announced;
	pthread_mutex_unlock(&lock);
	return announced;
}

bool
mounts_announce(uint16_t place, bool (*announce)(uint32_t id, void *arg), void *arg)
{
	bool ok;

	if (place == MOUNT_NONE)
		return false;
	pthread_mutex_lock(&lock);
	ok = mounts[place].announced || announce(mounts[place].id, arg);
	mounts[place].announced = ok;
	pthread_mutex_unlock(&lock);
	return ok;
}

bool
mounts_have_idle(void)
{
	return atomic_load_explicit(&idle, memory_order_relaxed);
}

void
mounts_withdraw(void (*withdraw)(uint32_t id))
{
	pthread_mutex_lock(&lock);
	atomic_store_explicit(&idle, false, memory_order_relaxed);
	for (uint16_t i = 0; i < nmounts; i++) {
		if (mounts[i].users > 0 || !mounts[i].announced)
			continue;
		withdraw(mounts[i].id);
		mounts[i].announced = false;
	}
	pthread_mutex_unlock(&lock);
}
