/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue without a ring, lanes without a worker and a pool without threads, around the front's real FUSE code: a test
 * is the guest that sends bytes, and the worker that answers. Used by check_fuse_decode and tests/fuzz/fuzz_fuse.
 * What the front sends is checked with rpc_check(); so is what the test answers.
 */
#ifndef TESTS_UNIT_FAKE_LANES_H
#define TESTS_UNIT_FAKE_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "front/front.h"

/* How a guest cuts a buffer into segments. */
enum fake_split { SPLIT_NONE, SPLIT_HEADER, SPLIT_ODD, SPLIT_BYTE, SPLIT_SEVEN, SPLITS };

struct fake {
	struct session s;
	struct queue q;
	struct lane *lane;
	bool	slow;			/* pace_fast() says no */
	const char *lie;		/* what was wrong with the last answer */
	unsigned pooled, returned;	/* calls of pool_submit() and request_return() */
	unsigned begun;	/* of pool_submit_begun(), which are in pooled too */
	bool	may_park, guest_gone;	/* what request_park() says; what request_unpark() finds */
	unsigned parked;
	unsigned live;			/* requests begun and not finished */

	/* The last chain that came back. */
	unsigned finished;		/* how many did so far */
	uint32_t used;			/* used.len */
	uint8_t	*reply;			/* all writable bytes */
	size_t	room;
};
extern struct fake fake;

/* Begin anew; dev: DEV_*. Not initialised: the first thing a guest does is INIT. */
void	fake_start(uint32_t dev);
/* Free everything; requests that nobody answered are answered -EIO. */
void	fake_stop(void);

/* The guest sends inlen bytes with room for outlen bytes; segments are private and exactly as long as they seem. */
void	fake_send(const void *in, size_t inlen, enum fake_split insplit, size_t outlen, enum fake_split outsplit, bool bad);

/* The oldest request on the lane, NULL if there is none. Checked; in a message of its own. */
struct rpc_hdr *fake_rpc(void);
/* The bytes of its arena extent. */
uint8_t	*fake_arena(void);
/*
 * Answer it: the body of its reply type (n bytes behind the header), a name or NULL, an fd or -1. False if that is no
 * reply that rpc_check() and reply_lie() let through (then nothing happened; fake.lie is what the latter says).
 */
bool	fake_answer(const void *body, size_t n, const char *name, size_t namelen, int fd);
bool	fake_answer_error(int error);

#endif
