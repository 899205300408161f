/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front's main structures: queue (one thread, one ring, its own lanes), request (one chain of the guest from pop to
 * push), session (what INIT negotiated; one for all queues). Runs in: front.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/poller.h"
#include "front/device.h"
#include "front/lane.h"
#include "front/lock_wait.h"
#include "front/vring.h"
#include "proto/control.h"
#include "proto/rpc.h"

struct handle;
struct queue;
struct request;

#define MAX_WRITE (1u << 20)
#define REQUEST_MAX (MAX_WRITE + 4096u) /* spec/fuse.md section 1 */
#define SLOTS_MAX 256u /* requests of one queue between pop and push, internal ones included */
#define SLOTS_INTERNAL 8u /* of them kept for FORGET and RESET */

/*
 * A reply came over a lane. fd: donated, or -1; taken over. h was checked; h->error may be set. The request's arena
 * extent (aoff, alen) is the lane's again after the call. Must not use the lanes itself: it runs inside lanes_reap().
 */
typedef void (*lane_done)(struct request *, struct lane *, const struct rpc_hdr *h, int fd);

/*
 * One request of the guest (or, with no chain, of the front itself). Belongs to its queue's thread, or while in the I/O
 * pool to the pool's thread.
 */
struct request {
	struct queue *q;
	struct request *next; /* free list, pool list */
	uint32_t slot;
	uint32_t seq; /* makes a tag of a reused slot another one */
	uint8_t deaths; /* workers that died while it was on the wire */
	bool on_wire; /* sent to the present worker */
	bool internal; /* no chain behind it */

	struct vring_chain chain;
	struct fuse_in_header in; /* private copy */

	/* On a lane */
	struct lane *lane; /* NULL when not */
	uint8_t msg; /* which message of the lane carries it */
	uint16_t op; /* enum rpc_op_nr */
	lane_done done;
	uint32_t aoff, alen; /* arena extent */
	uint64_t fd_size; /* of the file whose fd came with the reply */

	/* For the operation's own use */
	struct handle *h, *h2; /* references held */
	uint64_t offset;
	uint32_t size;
	uint32_t ioflags; /* WRITE: RPC_IO_*; STATX, LSEEK: flags, whence */
	uint32_t marks; /* OPEN, CREATE: handles_setid_marks() before they were sent */
	bool kill; /* a change: the caller has no CAP_FSETID */
	bool whole; /* WRITE: nobody hears of less than all */
	int16_t no_space; /* the error for which the worker is asked to try again; 0: it is not */
	size_t done_bytes;
	bool datasync;
	union {
		struct fuse_init_in init;
		struct fuse_setattr_in setattr;
		struct fuse_fallocate_in fallocate;
		struct fuse_copy_file_range_in copy;
		struct {
			struct lock_waiter waiter;
			struct lock_key key;
			bool sleep;
			int result;
		} lock;
	} arg;
	void (*run)(struct request *); /* in the pool; when it is no longer parked */
	void (*ask)(struct request *); /* of ask_file() */
	int (*lane_op)(struct request *); /* of leave_to_worker() */
	uint64_t reaper; /* pool.c: whose it is; 0: any thread's */
	uint32_t wipes; /* of the session when it was popped */
	int fd; /* to close in the pool */

	/* park.c */
	struct request *park_next, **park_at;
	bool late, dropped;
};

struct queue {
	unsigned index;
	struct device *dev;
	struct session *s;
	struct vring ring;
	int kick_fd; /* -1 while stopped */
	int wake_fd; /* eventfd: control, pool */
	pthread_t thread;

	/* control (queue.c) */
	pthread_mutex_t ctl_lock;
	pthread_cond_t ctl_cond;
	bool want_run, want_pause; /* wishes of the control thread */
	bool want_reset; /* the worker is to forget what the guest knew */
	bool running, parked; /* what the queue thread is */
	_Atomic bool attention; /* a wish has changed */
	_Atomic bool woken; /* wake_fd or revive_fd was written: seen without a system call */

	/* busy waiting */
	struct poller kick_poll, reply_poll; /* for chains; for replies */

	/* park.c */
	pthread_mutex_t park_lock; /* around the rest of these */
	struct request *parked_list;
	unsigned nparked;
	bool stopped; /* nothing may be pushed */
	bool was_reset; /* since it was started */
	uint16_t stopped_at; /* next_avail then */

	/* lanes */
	struct lane **lane; /* [0] is its own, the others are borrowed */
	unsigned nlanes, lanes_max;
	uint64_t turn_ns; /* CLOCK_MONOTONIC, asked for once between waits; 0 = not yet */
	uint32_t service_ns; /* average time of a request while one lane is in use */
	bool certain; /* the last message took so long that its requests must have waited */
	uint64_t spread_until; /* CLOCK_MONOTONIC ns, 0 = not spread */
	uint8_t *rx; /* RPC_MSG_MAX */
	int revive_fd; /* eventfd: new sockets wait in next_sock of the lanes */

	/* requests */
	struct request *slots; /* SLOTS_MAX */
	struct iovec *iovs; /* SLOTS_MAX * VRING_SEGS_MAX, pages touched only when used */
	pthread_mutex_t slot_lock;
	struct request *free;
	unsigned nfree, nslots; /* free, the never used included; ever used */
	struct request *returned; /* from the pool, to be sent over a lane; under slot_lock */
	_Atomic unsigned inflight; /* chains popped and not pushed */
	_Atomic bool starved; /* waits for a slot */
	unsigned asked; /* calls of ask_file() */
	bool signal; /* something was pushed since the last vring_signal() by this thread */

	/* FUSE */
	uint8_t *inbuf; /* REQUEST_MAX + 8: the private copy of the request being decoded */
	uint8_t *bulk; /* RPC_IO_MAX: private copy of a directory listing or value */
	struct rpc_forget1 *forgets; /* not sent yet */
	size_t nforgets, forgets_room;
	/* Requests so far, for the log; counted by the queue thread alone. */
	_Atomic uint64_t served;
	uint64_t forgotten; /* FORGET and BATCH_FORGET among them */
	uint32_t nap_ns; /* how long to sleep while there is nothing else */
};

/* How long something took lately, to choose between doing it at once and in the pool. */
struct pace {
	_Atomic uint32_t ns;
	_Atomic uint64_t probe_at; /* CLOCK_MONOTONIC ns: none before; 0 = it was fast till now */
	_Atomic uint64_t probe_pause; /* ns, after one that failed; 0 = the shortest */
};

struct session {
	struct ctl_device dev;
	_Atomic bool inited;
	/* FUSE_* flags that INIT granted and that are in force: SUBMOUNTS only if they are to be announced. */
	_Atomic uint64_t enabled;
	_Atomic uint32_t wipes; /* how often everything was forgotten */
	struct pace read_pace, write_pace, flush_pace, lock_pace, ask_pace;
};

static inline bool
session_has(const struct session *s, uint64_t flag)
{
	return (atomic_load_explicit(&s->enabled, memory_order_relaxed) & flag) != 0;
}

/* queue.c: Create a queue and its thread; it may have up to lanes_max lanes. Before the seal. Ends the process on failure. */
struct queue *
queue_new(struct device *, struct session *, unsigned index, struct lane *own, unsigned lanes_max);

/* queue.c: A request of the front itself; never NULL (waits on the lanes when it must). Queue thread only. */
struct request *queue_internal_request(struct queue *);
/* queue.c: Push the chain with len bytes (an internal request: nothing), free the slot. Queue thread or pool. */
void request_finish(struct request *, uint32_t len);
/* queue.c: Have the queue thread look at everything again. */
void queue_wake(struct queue *);

/*
 * park.c: A request that may take for ever (it waits for a lock) does not hold up a stop of its ring: it is parked, and its
 * answer may have to wait for the ring's next start. Returns false if there are so many that the ring could fill up.
 */
bool request_park(struct request *);
/*
 * park.c: The parked request has its result, and r->run() gives the answer. Returns true: call it now; or false: it is
 * called later, or never. r->internal there: the guest that asked is gone, there is no chain any more.
 */
bool request_unpark(struct request *);
/* park.c: For the control thread: the ring is about to stop; has stopped; is set up and about to start; was reset. */
void park_stop(struct queue *);
void park_stopped(struct queue *);
void park_start(struct queue *);
void park_reset(struct queue *);

/* queue.c: Have the queue thread call run(), from where it may use the lanes. Pool, or a lane_done. */
void request_return(struct request *);

/* lanes.c: see there. */
int lanes_add(struct request *, uint16_t op, lane_done done, uint32_t alen, const void *x,
    size_t nx, const char *n1, size_t l1, const char *n2, size_t l2, void *hdr_out) ATTR_MUSTCHECK;
void lanes_flush(struct queue *);
/* lanes.c: Take every reply that is there. Returns true if there was any. */
bool lanes_reap(struct queue *);
/*
 * lanes.c: Of the numbers of fds that there may be, some stay free for what the VMM and the monitor send. Called once, before
 * any lane is used.
 */
void lanes_reserve_fds(uint64_t limit);
/* lanes.c: For the watch: how long the oldest request on the lane waits now. */
void lanes_note_oldest(struct queue *, struct lane *);
/*
 * lanes.c: The thread stands still, and then goes on. What is answered meanwhile (a FORGET: no ring waits for it) is not the
 * worker's delay.
 */
void lanes_stand_still(struct queue *);
void lanes_go_on(struct queue *);
/* lanes.c: Is there any? Looks at memory alone. */
bool lanes_look(const struct queue *);
/* lanes.c: fds to wait for replies on, with room for more of the caller's. */
struct lanes_sleep {
	struct pollfd fd[RPC_LANES_MAX + 3];
	struct lane *lane[RPC_LANES_MAX];
	nfds_t n;
};
/* lanes.c: Before a sleep: 0, or -EAGAIN if something has come and was taken. After it, in any case: lanes_woken(). */
int lanes_sleep(struct queue *, struct lanes_sleep *) ATTR_MUSTCHECK;
void lanes_woken(struct queue *, struct lanes_sleep *);
void lanes_wait(struct queue *);
/* lanes.c: Before a longer sleep: give back the lanes that are not needed. */
void lanes_give_back(struct queue *);
unsigned lanes_inflight(const struct queue *);
/* lanes.c: Take every message of a lane whose worker has ended; then it is dead. */
void lanes_drain(struct queue *, struct lane *);
/* lanes.c: Is this element of an unanswered message still waiting for its reply? Its request, or NULL. */
struct request *
lanes_outstanding(struct queue *, struct lane *, uint8_t msg, const struct rpc_hdr *);
/* lanes.c: Answer a request on a lane as if the worker had said error. */
void lanes_fail(struct queue *, struct request *, int error);

/* replay.c: Take over the new sockets that wait for this queue's lanes, and begin to send again what was unanswered. */
void lanes_revive(struct queue *);
/* replay.c: A lane was borrowed: let it lead to the present worker. */
void lane_adopt(struct queue *, struct lane *);
/* replay.c: The lane replays and nothing of it is on the wire: send the next one. */
void lane_replay_next(struct queue *, struct lane *);

/* fuse.c: Decode and start serving one popped request. */
void fuse_dispatch(struct queue *, struct request *);
/* session.c: Send the forgets collected so far. Not inside a lane_done. */
void forgets_flush(struct queue *);
/* session.c: Remember that the guest no longer knows the node. */
void forgets_add(struct queue *, const struct rpc_forget1 *);
/* session.c: forget handles and nodes, as at DESTROY. */
void session_wipe(struct session *);
/* session.c: Have the worker do so as well; for q->inflight it counts as taken. Queue thread, not inside a lane_done. */
void session_wipe_worker(struct queue *);

#endif
