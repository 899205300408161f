/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal of a lane. Entries of a batch are emptied when the next one begins: what stands in the page is the batch
 * being served, or what the last worker was serving. Runs in: worker, the lane's thread.
 */
#include "worker/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/crash.h"

void *
journal_map(int fd, unsigned nlanes)
{
	const int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const size_t size = (size_t)nlanes * JOURNAL_PAGE;
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size != (off_t)size ||
	    (fcntl(fd, F_GET_SEALS) & want) != want)
		fatalx("the journal is not what it should be");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fatal("mmap of the journal");
	close(fd);
	return p;
}

void
journal_attach(struct journal *j, void *page)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	j->page = page;
	j->old = j->used = 0;
	for (unsigned i = 0; i < RPC_BATCH_MAX; i++) {
		const struct journal_entry *e = &j->page[i];
		struct journal_past *p = &j->past[i];

		p->state = atomic_load_explicit(&e->state, memory_order_acquire);
		if (p->state != JOURNAL_EXECUTING && p->state != JOURNAL_DONE)
			continue;
		p->read_at = now;
		p->tag = e->tag;
		p->op = e->op;
		p->error = e->error;
		if (p->error < -4095 || p->error > (p->op == RPC_WRITE ? (int32_t)RPC_IO_MAX : 0))
			p->error = -EIO;
		p->ino1 = e->ino1;
		p->ino2 = e->ino2;
		p->dev1 = e->dev1;
		p->dev2 = e->dev2;
		j->old |= UINT64_C(1) << i;
	}
}

static void
clear(struct journal *j, uint64_t which)
{
	for (; which != 0; which &= which - 1)
		atomic_store_explicit(
		    &j->page[__builtin_ctzll(which)].state, JOURNAL_NONE, memory_order_relaxed);
	/* What is written into an entry from here on is never seen with its former state. */
	atomic_thread_fence(memory_order_release);
}

void
journal_batch(struct journal *j, const struct rpc_hdr *first)
{
	uint64_t gone = j->used;

	if ((first->flags & RPC_F_REPLAY) == 0) {
		gone |= j->old;
		j->old = 0;
	}
	j->used = 0;
	if (gone != 0)
		clear(j, gone);
}

static int
search(const struct journal *j, const struct rpc_hdr *h)
{
	if ((h->flags & RPC_F_REPLAY) == 0)
		return -1;
	for (uint64_t left = j->old; left != 0; left &= left - 1) {
		int i = __builtin_ctzll(left);

		if (j->past[i].tag == h->tag && j->past[i].op == h->op)
			return i;
	}
	return -1;
}

const struct journal_past *
journal_past(const struct journal *j, const struct rpc_hdr *h)
{
	int i = search(j, h);

	return i < 0 ? NULL : &j->past[i];
}

static uint32_t
device(const struct statx *st)
{
	return st->stx_dev_major << 20 | st->stx_dev_minor;
}

void
journal_begin(
    struct journal *j, const struct rpc_hdr *h, const struct statx *st1, const struct statx *st2)
{
	uint64_t taken = j->used | j->old;
	int old = search(j, h);
	struct journal_entry *e;

	CRASH_POINT(h, "before-journal");
	if (old >= 0) {
		/* As it stands: what the names mean now may already be the effect. */
		j->now = (unsigned)old;
		CRASH_POINT(h, "after-executing");
		return;
	}
	j->now = ~taken != 0 ? (unsigned)__builtin_ctzll(~taken) : RPC_BATCH_MAX - 1;
	j->used |= UINT64_C(1) << j->now;
	e = &j->page[j->now];
	e->tag = h->tag;
	e->op = h->op;
	e->ino1 = st1 != NULL ? st1->stx_ino : 0;
	e->dev1 = st1 != NULL ? device(st1) : 0;
	e->ino2 = st2 != NULL ? st2->stx_ino : 0;
	e->dev2 = st2 != NULL ? device(st2) : 0;
	atomic_store_explicit(&e->state, JOURNAL_EXECUTING, memory_order_release);
	/* The system call is not begun before that, for the compiler either. */
	atomic_signal_fence(memory_order_seq_cst);
	CRASH_POINT(h, "after-executing");
}

void
journal_begin_number(struct journal *j, const struct rpc_hdr *h, uint64_t number)
{
	const struct statx st = { .stx_ino = number };

	journal_begin(j, h, &st, NULL);
}

void
journal_note(struct journal *j, uint64_t ino1)
{
	j->page[j->now].ino1 = ino1;
	/* Not after what follows. */
	atomic_signal_fence(memory_order_seq_cst);
}

void
journal_done(struct journal *j, const struct rpc_hdr *h, int error)
{
	struct journal_entry *e = &j->page[j->now];

	CRASH_POINT(h, "after-syscall");
	e->error = error;
	atomic_store_explicit(&e->state, JOURNAL_DONE, memory_order_release);
	CRASH_POINT(h, "after-done");
}
