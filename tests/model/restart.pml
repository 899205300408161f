/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * restart - the worker dies, another takes over: request, journal, death and replay, for two requests that are not
 * idempotent and up to two deaths at any step, one of which may be because of a lie. Checked by tests/model/run (make check-model) with every interleaving.
 *
 * What is modelled: one lane. The front sends both requests in one batch or in two messages; a worker takes a message,
 * for each request in it stores the journal entry (proto/journal.h: state NONE, then the fields, then EXECUTING, each
 * a step), makes the system call, stores DONE, and at the end of the batch sends the replies as one message. A worker
 * can die between any two steps; what it has sent stays in the socket. Whoever takes a message says so, in the step after (the
 * mailbox's `heard`). The front reads the socket of a dead worker to its end, answers EIO what two workers had heard that
 * died, and sends the rest again, in the old order, one at a time.
 * A replay looks for its tag in all of the page, a new entry is made at the place in the batch.
 *
 * Once a message of replies may be a lie: nothing of it is used, the front reads the lane no more, and the worker, which
 * may go on for a while, is killed. What was unanswered on the wire is answered EIO then, and not sent again: a later
 * message of the same worker may have used its entry in the journal again.
 *
 * A request is one of three kinds; each works on names of its own, whose state is a bit:
 *   MAKE     (mkdir, mknod, symlink, link, create, rename without replacing, setxattr with XATTR_CREATE)  0 -> 1, or EEXIST
 *   REMOVE   (unlink, rmdir, rename away, removexattr)                        1 -> 0, or ENOENT, ENODATA
 *   EXCHANGE (rename with RENAME_EXCHANGE)                                    flips, never fails: twice = not at all
 * A neighbour (another process of the guest or of the host) may flip each name once.
 *
 * What holds, and is asserted, for each request:
 *   - it is answered, once; nothing waits for ever (no invalid end state);
 *   - answered 0: it took effect exactly once. Answered EEXIST or ENOENT: it took no effect, and when the worker
 *     looked the name was in the state that the answer says;
 *   - answered EIO: it was heard before two deaths, or on the wire at a lie, and took effect once or not at all.
 * The one condition: the neighbour keeps away from the names of a request from the look at them for the entry to the
 * store of DONE (ghost `window`; over a death this lasts until the replay is done). The guest's kernel sees to that for the guest's
 * processes, by the lock of the directory; a process of the host that takes away the new name just then cannot be told
 * from a system call that never happened. Tags are never used twice (here: the number of the request).
 *
 * Mutations, each of which must be found: -DNO_DONE, -DNO_EXECUTING (a store of the journal is left out), -DNO_LOOK (what
 * makes a name does not note that it is there), -DTORN (the
 * fields of an entry are changed while it still says DONE), -DNO_DRAIN (the dead worker's socket is not read to its
 * end), -DANY_ORDER (replays in another order than the requests were sent), -DLIE_REPLAYED (after a lie, what was on the
 * wire is sent again), -DEARLY (the next worker begins while a system call of the dead one hangs, which happens later).
 */
#define N	2	/* requests = places of the journal */
#define DEATHS	2
#define WORKERS	3	/* DEATHS + 1 */
#define NOBODY	255

mtype = { MAKE, REMOVE, EXCHANGE };	/* kinds */
mtype = { NONE, EXECUTING, DONE };	/* states of a journal entry */
mtype = { OK, REFUSED, EIO };		/* answers */

/* The share, and what is known of it from outside. */
mtype kind[N];
bit name[N];			/* the state of its names */
byte effect[N];			/* how often the request changed it */
bool window[N];			/* ghost: the neighbour must wait */
bool flipped[N];

/* The journal page: it outlives workers. */
byte jtag[N];
mtype jstate[N];
mtype jresult[N];
bit jbefore[N];

/* The two directions of each worker's lane, and which worker is dead. */
chan req[WORKERS] = [N] of { byte, byte, byte, bool };		/* count, tags, replay */
chan rep[WORKERS] = [N] of { byte, byte, mtype, byte, mtype };	/* count, tag and result, twice */
bool dead[WORKERS];
bool heard[N];			/* by the present worker */
byte lanes = 0;			/* the newest worker that the front has been told of */

bool chosen;			/* kinds and names are */
#ifdef EARLY
byte pending = NOBODY;		/* whose system call has been entered */
byte late = NOBODY;		/* and is not over although its worker is dead */
#endif

/* The front's view. */
bool answered[N];
mtype answer[N];
byte on_wire[N];		/* deaths after it was heard */
bool unknowable[N];		/* it was on the wire at a lie */
bool lied;			/* by the present worker */
bool kill_liar;			/* so the monitor has been told */
byte deaths;
bool may_lie = true;

/* The system call of request t: one step. */
inline change(t, result)
{
	if
	:: kind[t] == EXCHANGE || (kind[t] == MAKE && name[t] == 0) || (kind[t] == REMOVE && name[t] == 1) ->
		name[t] = 1 - name[t];
		effect[t]++;
		result = OK
	:: else -> result = REFUSED
	fi
}

inline system_call(t, result)
{
	d_step { true; change(t, result) }
}

inline store_done(t, p, result)
{
	jresult[p] = result;
	d_step {
#ifndef NO_DONE
		jstate[p] = DONE;
#endif
		window[t] = false
	}
}

/* Execute t with a new entry at place p. */
inline execute(t, p, result)
{
#ifndef TORN
	jstate[p] = NONE;
#endif
	jtag[p] = t;
	d_step {
#ifdef NO_LOOK
		jbefore[p] = (kind[t] == MAKE -> 0 : name[t]);
#else
		jbefore[p] = name[t];
#endif
		window[t] = true
	};
#ifndef NO_EXECUTING
	jstate[p] = EXECUTING;
#endif
#ifdef EARLY
	pending = t;
	d_step { change(t, result); pending = NOBODY };
#else
	system_call(t, result);
#endif
	store_done(t, p, result)
}

/* Execute t, which an earlier worker had begun, entry q: a refusal is judged by what the name was before. */
inline judge(t, result)
{
	d_step {
		if
		:: kind[t] == EXCHANGE && name[t] != jbefore[q] -> result = OK
		:: else ->
			change(t, result);
			if
			:: result == REFUSED && name[t] != jbefore[q] -> result = OK
			:: else -> skip
			fi
		fi
	};
	store_done(t, q, result)
}

/* Which entry of the page is about t? */
inline find(t)
{
	if
	:: replay && jtag[0] == t && jstate[0] != NONE -> q = 0
	:: replay && jtag[1] == t && jstate[1] != NONE -> q = 1
	:: else -> q = NOBODY
	fi
}

/* Serve t, which is element p of its batch. */
inline serve(t, p, result)
{
	d_step { true; find(t) };
	if
	:: q != NOBODY && jstate[q] == DONE -> result = jresult[q]
	:: q != NOBODY && jstate[q] == EXECUTING -> judge(t, result)
	:: q == NOBODY -> execute(t, p, result)
	fi
}

/* One worker after the other, `me` is the incarnation. */
active proctype worker()
{
	byte me, count, t0, t1, q;
	bool replay;
	mtype r0, r1;

again:
	{
		do
		:: true ->
end_idle:		req[me]?count, t0, t1, replay;
			d_step { heard[t0] = true; if :: count == 2 -> heard[t1] = true :: else -> skip fi };
			serve(t0, 0, r0);
			if
			:: count == 2 -> serve(t1, 1, r1)
			:: else -> skip
			fi;
			d_step {
				rep[me]!count, t0, r0, t1, r1;
				count = 0; t0 = 0; t1 = 0; q = 0; replay = false; r0 = 0; r1 = 0
			}
		od
	} unless {
		d_step {
			dead[me];
			do
			:: nempty(req[me]) -> req[me]?_, _, _, _
			:: else -> break
			od;
			count = 0; t0 = 0; t1 = 0; q = 0; replay = false; r0 = 0; r1 = 0;
#ifdef EARLY
			late = pending;
			pending = NOBODY;
#endif
			me++
		}
	};
	lanes = me;
	goto again
}

/* Takes one reply message. */
inline take(me)
{
	d_step {
		rep[me]?count, t0, r0, t1, r1;
		assert(!answered[t0]);
		answered[t0] = true;
		answer[t0] = r0;
		if
		:: count == 2 ->
			assert(!answered[t1]);
			answered[t1] = true;
			answer[t1] = r1
		:: else -> skip
		fi;
		count = 0; t0 = 0; t1 = 0; r0 = 0; r1 = 0
	}
}

/* Request t was on the wire of a worker that is dead now. What it did not hear has done nothing. */
inline counted(t)
{
	if
	:: !answered[t] && (heard[t] || lied) ->
		on_wire[t]++;
#ifndef LIE_REPLAYED
		unknowable[t] = lied;
#endif
		if
		:: on_wire[t] == 2 || unknowable[t] -> answered[t] = true; answer[t] = EIO
		:: else -> skip
		fi
	:: else -> skip
	fi
}

inline check(t)
{
	if
	:: answer[t] == OK -> assert(effect[t] == 1)
	:: answer[t] == REFUSED ->
		assert(effect[t] == 0 && kind[t] != EXCHANGE);
		assert(flipped[t] || name[t] == (kind[t] == MAKE -> 1 : 0))
	:: answer[t] == EIO -> assert(effect[t] <= 1 && (on_wire[t] == 2 || unknowable[t]))
	fi
}

inline choose(t)
{
	if
	:: kind[t] = MAKE
	:: kind[t] = REMOVE
	:: kind[t] = EXCHANGE
	fi;
	if
	:: name[t] = 0
	:: name[t] = 1
	fi;
	jtag[t] = NOBODY;
	jstate[t] = NONE
}

active proctype front()
{
	byte me, count, t0, t1, sent;
	mtype r0, r1;
	bool both = true;	/* both are on the wire, or else only `sent` */

	choose(0);
	choose(1);
	chosen = true;
	if
	:: req[0]!2, 0, 1, false
	:: req[0]!1, 0, NOBODY, false; req[0]!1, 1, NOBODY, false
	fi;
	do
	:: answered[0] && answered[1] -> break
	:: nempty(rep[me]) && !lied -> take(me)
	:: nempty(rep[me]) && may_lie && deaths < DEATHS ->
		/* Dead already is dead enough; else it lives on until the monitor has heard of it. */
		d_step { may_lie = false; lied = true; kill_liar = !dead[me] }
	:: !both && answered[sent] && !answered[1 - sent] -> /* the next replay */
		sent = 1 - sent;
		req[me]!1, sent, NOBODY, true
	/* A reply that comes late finds another request, or none: the drain comes before all else. */
#ifdef NO_DRAIN
	:: dead[me] ->
#else
	:: dead[me] && (lied || empty(rep[me])) ->
#endif
		d_step {
			if
			:: both -> counted(0); counted(1)
			:: else -> counted(sent)
			fi
		};
		if
		:: answered[0] && answered[1] -> break
		:: else -> skip
		fi;
		lanes > me;
		d_step {
			me++;
			lied = false;
			both = false;
			heard[0] = false;
			heard[1] = false;
			sent = (answered[0] -> 1 : 0)
		};
#ifdef ANY_ORDER
		if
		:: !answered[0] && !answered[1] -> sent = 1
		:: true
		fi;
#endif
		req[me]!1, sent, NOBODY, true
	od;
	check(0);
	check(1)
}

/* Kills up to DEATHS workers, whenever it likes; a liar sooner or later. */
active proctype killer()
{
	chosen;
end_calm:
	do
	:: d_step { deaths < DEATHS && !kill_liar && !dead[lanes] -> dead[lanes] = true; deaths++ }
	:: d_step { kill_liar -> dead[lanes] = true; kill_liar = false; deaths++ }
	:: deaths == DEATHS && !kill_liar -> break
	od
}

#ifdef EARLY
active proctype hanging()
{
	mtype result;

end_hanging:
	do
	:: d_step { late != NOBODY -> change(late, result); late = NOBODY }
	od
}
#endif

active proctype neighbour()
{
	chosen;
end_away:
	do
	:: d_step { !flipped[0] && !window[0] -> flipped[0] = true; name[0] = 1 - name[0] }
	:: d_step { !flipped[1] && !window[1] -> flipped[1] = true; name[1] = 1 - name[1] }
	od
}
