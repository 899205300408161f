/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker after the other. A worker is replaced when its pidfd is readable and not before: until then a thread of it
 * may be inside a system call, whatever signal was sent. The front gets its new lanes when the new worker is ready.
 * Runs in: monitor, main thread. Bytes written by: front (hostile).
 */
#include "monitor/respawn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/fd.h"
#include "common/log.h"
#include "proto/rpc.h"

#define READY_MS 10000
#define LATE_MS 1000 /* guests wait so long without a line about it */
#define KILLED_MS 1000
#define RETRY_MS 200
#define CLOSED_MS 100 /* between the end of a worker's lanes and its own */

static struct log_limit stuck_limit;

int64_t
respawn_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
respawn_start(struct respawn *r, struct child *worker, struct vault *vault)
{
	/* All workers live in one mount namespace, or mount ids would not be what they were. */
	const bool want_mntns = r->on && r->opts->sandbox == SANDBOX_NAMESPACE &&
	    r->give.mntns == -1;
	int put[2] = { -1, -1 }, get[2] = { -1, -1 }, line[2] = { -1, -1 }, e;
	struct start_worker give = r->give;
	const bool first = r->give.incarnation == 0;

	e = first ? start_lanes(start_nlanes(r->opts), &r->lanes) : start_lanes_again(&r->lanes);
	if (e == 0 && first)
		e = start_journal(r->lanes.n, &r->give.journal);
	if (e != 0 || (e = start_pair(put)) != 0 || (e = start_pair(get)) != 0 ||
	    (e = start_pair(line)) != 0 ||
	    (e = spawn_child(r->files, CHILD_WORKER, &r->plan->how[CHILD_WORKER], worker,
		 want_mntns ? &r->give.mntns : NULL)) != 0)
		goto out;
	if (want_mntns && r->give.mntns == -1) {
		log_warn(
		    "cannot keep the worker's mount namespace: if the worker process ends it is "
		    "not restarted");
		r->on = false;
	}
	worker->lifeline = fd_take(&line[0]);
	give.journal = r->give.journal;
	give.lanes = &r->lanes;
	give.lifeline = line[1];
	give.put = put[1];
	give.get = get[1];
	e = start_worker(worker->ctl, r->opts, r->plan, &give);
	/* It has ended already: that will be seen, and dealt with, like any other end. */
	if (e == -EPIPE || e == -ECONNRESET)
		e = 0;
	if (e == 0) {
		e = vault_attach(vault, put[0], get[0], give.incarnation);
		put[0] = get[0] = -1;
		if (e != 0)
			log_error("the vault hangs: %s", strerrordesc_np(-e));
	}
out:
	start_lanes_close_worker(&r->lanes);
	fd_close_all(put, 2);
	fd_close_all(get, 2);
	fd_close_all(line, 2);
	if (e != 0)
		start_lanes_close_front(&r->lanes);
	return e;
}

void
respawn_settle(struct respawn *r)
{
	if (!r->on)
		respawn_end(r);
}

void
respawn_end(struct respawn *r)
{
	start_lanes_close_front(&r->lanes);
	start_lanes_close_arenas(&r->lanes);
	fd_close(&r->give.share);
	fd_close(&r->give.journal);
	fd_close(&r->give.tables);
	fd_close(&r->give.mntns);
}

/* Note a death. Are there more now, in the time that counts, than there may be? */
static bool
too_many(struct respawn *r, int64_t now)
{
	const uint32_t max = r->opts->worker_deaths;
	int64_t *oldest = &r->deaths[r->ndeaths % max];
	bool over = r->ndeaths >= max && now - *oldest < (int64_t)r->opts->worker_window * 1000;

	*oldest = now;
	r->ndeaths++;
	/* Wrapping around must not make them few again. */
	if (r->ndeaths == 2 * max)
		r->ndeaths = max;
	return over;
}

/* Describe the death of a worker; one that the front never heard of, or has not resumed from, is said now. */
static void
note_death(struct respawn *r, const struct child *worker, int64_t now)
{
	if (r->since != 0)
		log_warn(
		    "the worker process %s; the next one did not last until it served", r->how);
	else
		r->since = now;
	spawn_describe(worker, r->how, sizeof(r->how));
	log_debug("the worker process %s", r->how);
}

bool
respawn_died(struct respawn *r, struct child *worker, struct vault *vault)
{
	const int64_t now = respawn_now();

	r->mntns_good = r->mntns_good || worker->ready;
	if (r->retry_at == 0) {
		note_death(r, worker, now);
		if (too_many(r, now)) {
			log_error(
			    "the worker process %s; more than %u ended within %u s, giving up",
			    r->how, r->opts->worker_deaths, r->opts->worker_window);
			return false;
		}
	}
	r->ready_by = r->closed_by = r->gone_by = r->retry_at = 0;
	/* Until a worker is ready its namespace may be half made. */
	if (!r->mntns_good)
		fd_close(&r->give.mntns);
	start_lanes_close_front(&r->lanes);
	fd_close(&worker->ctl);
	fd_close(&worker->pidfd);
	fd_close(&worker->lifeline);
	r->give.incarnation++;
	if (r->late_at == 0)
		r->late_at = now + LATE_MS;
	if (respawn_start(r, worker, vault) == 0) {
		r->ready_by = now + READY_MS;
		return true;
	}
	spawn_kill(worker);
	if (worker->pidfd != -1) {
		/* It began: its end is one more death. */
		r->gone_by = now + KILLED_MS;
		return true;
	}
	worker->gone = true;
	r->retry_at = now + RETRY_MS;
	if (too_many(r, now)) {
		log_error("the worker process %s, and no other can be started", r->how);
		return false;
	}
	return true;
}

bool
respawn_ready(struct respawn *r, const struct child *worker, int front_ctl)
{
	int e;

	if (!worker->ready || r->sent == r->give.incarnation)
		return true;
	r->ready_by = 0;
	e = start_new_lanes(front_ctl, &r->lanes, r->give.incarnation);
	/* The front has ended: that will be seen, and why it did decides. */
	if (e == -EPIPE || e == -ECONNRESET)
		return true;
	if (e != 0)
		return false;
	r->sent = r->give.incarnation;
	start_lanes_close_front(&r->lanes);
	log_debug("worker process %u is ready %" PRId64 " ms after the end of the one before it",
	    r->sent, respawn_now() - r->since);
	return true;
}

/* " while serving MKDIR, READ", or nothing. */
static void
describe_ops(uint64_t ops, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (uint16_t op = 0; op < 64 && used < size; op++) {
		int n;

		if (!(ops >> op & 1) || rpc_op(op) == NULL)
			continue;
		n = snprintf(buf + used, size - used, "%s%s", used == 0 ? " while serving " : ", ",
		    rpc_op_name(op));
		used += n > 0 ? (size_t)n : 0;
	}
}

const char *
respawn_resumed(struct respawn *r, const struct ctl_resumed *m)
{
	char ops[256];

	if (m->incarnation > r->sent || m->incarnation <= r->resumed)
		return "unexpected RESUMED";
	r->resumed = m->incarnation;
	describe_ops(m->ops, ops, sizeof(ops));
	if (m->incarnation != r->give.incarnation) {
		log_warn("a worker process ended%s; the next one ended too", ops);
		return NULL;
	}
	log_warn("the worker process %s%s; a new one serves after %" PRId64
		 " ms (%u requests sent again, %u answered EIO)",
	    r->how, ops, respawn_now() - r->since, m->replayed, m->failed);
	r->since = r->late_at = 0;
	return NULL;
}

const char *
respawn_stuck(struct respawn *r, const struct ctl_stuck *m, struct child *worker)
{
	const bool restart = r->on && r->opts->worker_timeout_restart;

	if (r->opts->worker_timeout == 0 || m->lane >= r->lanes.n || m->op > UINT16_MAX ||
	    rpc_op((uint16_t)m->op) == NULL)
		return "unexpected STUCK";
	if (log_limit(&stuck_limit))
		log_warn("%s has not been answered by the worker process for %u s%s",
		    rpc_op_name((uint16_t)m->op), m->seconds,
		    restart ? ": it is killed" : ": does the file system hang?");
	if (restart && !worker->gone && !worker->killed)
		respawn_kill(r, worker);
	return NULL;
}

/* Every worker that dies closes its lanes: only one that does not die is to be killed, and what is older than it is past. */
const char *
respawn_broken(struct respawn *r, const struct ctl_broken *m, struct child *worker)
{
	if (m->incarnation > r->sent || m->how >= BROKEN_HOWS)
		return "unexpected BROKEN";
	if (m->incarnation != r->give.incarnation || worker->gone || worker->killed)
		return NULL;
	if (m->how == BROKEN_CLOSED) {
		r->closed_by = respawn_now() + CLOSED_MS;
		return NULL;
	}
	log_error("the worker process broke the lane protocol: it is killed");
	respawn_kill(r, worker);
	return NULL;
}

void
respawn_kill(struct respawn *r, struct child *worker)
{
	if (worker->gone)
		return;
	spawn_kill(worker);
	r->closed_by = 0;
	r->gone_by = respawn_now() + KILLED_MS;
}

static void
earliest(int64_t *until, int64_t t)
{
	if (t != 0 && (*until == 0 || t < *until))
		*until = t;
}

int64_t
respawn_deadline(const struct respawn *r)
{
	int64_t until = 0;

	earliest(&until, r->ready_by);
	earliest(&until, r->late_at);
	earliest(&until, r->closed_by);
	earliest(&until, r->gone_by);
	earliest(&until, r->retry_at);
	return until;
}

/* A killed worker that does not end, because of a system call that does not return. */
static bool
hangs(const struct respawn *r)
{
	if (!r->on) {
		log_error("the worker process is killed but hangs in a system call");
		return false;
	}
	log_warn("the worker process is killed but hangs in a system call: another one starts when "
		 "it returns");
	return true;
}

bool
respawn_tick(struct respawn *r, struct child *worker)
{
	const int64_t now = respawn_now();

	if (r->late_at != 0 && now >= r->late_at && r->since != 0) {
		r->late_at = 0;
		log_warn("the worker process %s; no other one serves yet after %" PRId64 " ms",
		    r->how, now - r->since);
	}
	if (r->closed_by != 0 && now >= r->closed_by) {
		r->closed_by = 0;
		if (!worker->gone)
			log_error("the worker process closed a lane and did not end: it is killed");
		respawn_kill(r, worker);
	}
	if (r->gone_by != 0 && now >= r->gone_by) {
		r->gone_by = 0;
		if (!worker->gone && !hangs(r))
			return false;
	}
	if (r->ready_by != 0 && now >= r->ready_by) {
		r->ready_by = 0;
		log_error("the new worker process is not ready after %d s: it is killed",
		    READY_MS / 1000);
		respawn_kill(r, worker);
	}
	return true;
}
