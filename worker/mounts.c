/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small table with one lock. A mount that nobody is on keeps its place until that is wanted for another: most come back.
 * Runs in: worker, all threads.
 */
#include "worker/mounts.h"

#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/vfs.h>

#include "common/attr.h"

#define ZFS_SUPER_MAGIC 0x2fc12fc1 /* not in linux/magic.h */

struct mount {
	uint32_t id;
	uint32_t users;
	bool used, announced;
	/* While there are users: the id may be another mount's by the time there are some again. */
	bool handles, mixed;
	bool judged, unique;
	_Atomic bool some; /* a handle was seen, whatever handles says */
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

/*
 * File systems with a disk or memory of their own. overlayfs shows the numbers of such, each with a device of its own where
 * it has several. What passes on the numbers of others (FUSE, 9p, CIFS) may have one twice, and where a server keeps the
 * inodes (NFS too) our fd does not keep it from using a number again.
 */
static bool
has_unique_numbers(int fd)
{
	static const uint32_t unique[] = {
		EXT4_SUPER_MAGIC,
		XFS_SUPER_MAGIC,
		BTRFS_SUPER_MAGIC,
		F2FS_SUPER_MAGIC,
		ZFS_SUPER_MAGIC,
		TMPFS_MAGIC,
		OVERLAYFS_SUPER_MAGIC,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) == -1)
		return false;
	for (size_t i = 0; i < countof(unique); i++)
		if ((uint32_t)fs.f_type == unique[i])
			return true;
	return false;
}

/* One more is on it. The table is locked, but not while the file system is asked. */
static void
add_user(struct mount *m, int fd, bool handle)
{
	bool unique;

	if (m->users++ == 0)
		m->handles = m->mixed = m->judged = m->some = false;
	if (handle)
		m->some = true;
	if (!m->judged) {
		pthread_mutex_unlock(&lock);
		unique = has_unique_numbers(fd);
		pthread_mutex_lock(&lock);
		/* Whoever knows it first: all that are on it agree. */
		m->unique = m->judged ? m->unique : unique;
		m->judged = true;
	}
	m->handles = (m->handles || handle) && !m->mixed && m->unique;
}

uint16_t
mounts_enter(uint32_t id, int fd, bool handle, bool *unique)
{
	uint16_t place;

	pthread_mutex_lock(&lock);
	place = search(id);
	if (place != MOUNT_NONE)
		add_user(&mounts[place], fd, handle);
	if (unique != NULL)
		*unique = place != MOUNT_NONE && mounts[place].unique;
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

bool
mounts_have_some(uint16_t place)
{
	return place == MOUNT_NONE ||
	    atomic_load_explicit(&mounts[place].some, memory_order_relaxed);
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
