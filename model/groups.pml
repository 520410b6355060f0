/* SPDX-License-Identifier: MIT */
/*
 * Groups over several buffers. A buffer is here what core.pml shows it to be: a queue in which
 * joining, granting, releasing, breaking and recovering are single steps. Between two steps of a
 * taker anything may happen, its death too. Taker t is, by its bit in
 *	JOBS	a queued job of taker t - 1's process, driven by the library's thread, for a device;
 *	WW	a wound/wait context, that takes its members in any order (WOUND: older ones wound);
 *	none	a plain lock of a group.
 * Each wants to read, to write or (SUBSETS) to leave alone each buffer, in every combination, unless
 * WRITERS_FIRST and WRITERS_LAST say which takers, by their bits, write to the first and the last.
 */
#ifndef BUFFERS
#define BUFFERS 2
#endif
#ifndef JOBS
#define JOBS 0
#endif
#ifndef WW
#define WW 0
#endif
#ifndef BACK_OFFS
#define BACK_OFFS 1 /* after so many, a context takes its set as a plain group does */
#endif

#define DEVICES (JOBS != 0)

#include "state.pml"

bool wounded[TAKERS];
bool plain[TAKERS];   /* the entries of this taker are plain ones */
byte granted[TAKERS]; /* how many members it holds */

#define IS_JOB(t) ((JOBS >> (t)) & 1)
#define IS_WW(t) ((WW >> (t)) & 1)
#define OLDER(x, y) ((x) < (y)) /* contexts are numbered by age */
#ifdef FAULT_RECOVERY_BEFORE_QUIESCENCE
#define DEAD(b, x) gone[x]
#else
#define DEAD(b, x) (gone[x] && (quiet[x] || !IS_DEVICE(resv[b].hold[x])))
#endif

#define ANY(what, b, t) (what(b, 0, t) || what(b, 1, t) || what(b, THIRD, t) || what(b, LAST, t))
#define QUEUES(b, x, t) IN_QUEUE(resv[b].hold[x])
#define TORN_AT(b) \
	(IS_TORN(resv[b].hold[0]) || IS_TORN(resv[b].hold[1]) || IS_TORN(resv[b].hold[THIRD]) || \
	 IS_TORN(resv[b].hold[LAST]))
#define AHEAD(b, x, t) \
	((x) != (t) && IN_QUEUE(resv[b].hold[x]) && \
	 BEFORE(TICKET(resv[b].hold[x]), TICKET(resv[b].hold[t])))
#define HINDERS(b, x, t) \
	(AHEAD(b, x, t) && \
	 (IS_WRITE(resv[b].hold[x]) || IS_WRITE(resv[b].hold[t]) || TORN_AT(b)))

/*
 * A context that holds something does not wait behind a plain entry, queued or granted, in its way
 * or not yet in its way; nor behind an older context, or (WOUND) once an older one wounded it.
 */
#ifdef FAULT_READERS_AHEAD_IGNORED
#define FORBIDS_PLAIN(b, x, t) (plain[x] && HINDERS(b, x, t))
#else
#define FORBIDS_PLAIN(b, x, t) plain[x]
#endif
#ifdef WOUND
#define FORBIDS_AGE(x, t) wounded[t]
#else
#define FORBIDS_AGE(x, t) OLDER(x, t)
#endif
#ifdef FAULT_WAITS_BEHIND_PLAIN
#define FORBIDS(b, x, t) (AHEAD(b, x, t) && !plain[x] && FORBIDS_AGE(x, t))
#else
#define FORBIDS(b, x, t) \
	(AHEAD(b, x, t) && (FORBIDS_PLAIN(b, x, t) || (!plain[x] && FORBIDS_AGE(x, t))))
#endif
#define MUST_YIELD(b) \
	(STATE(resv[b].hold[me]) == WAITING && !plain[me] && granted[me] && ANY(FORBIDS, b, me))

#define GRANT(x) \
	if \
	:: STATE(resv[_b].hold[x]) == WAITING && !ANY(HINDERS, _b, x) -> \
		_h = resv[_b].hold[x]; \
		resv[_b].hold[x] = WITH_STATE(_h, GRANTED); \
		granted[x]++; \
		ghost_grant(_b, x, _h) \
	:: else \
	fi;

/* Tickets count from 0 again whenever a queue is empty; the word is only their counter here. */
inline advance(b)
{
	_b = b;
	ALL(GRANT)
	if
	:: !ANY(QUEUES, _b, 0) -> resv[_b].word = 0
	:: else
	fi
}

#define WOUNDS(x) \
	if \
	:: AHEAD(_b, x, me) && !plain[x] && OLDER(me, x) -> wounded[x] = 1 \
	:: else \
	fi;

inline join(b, kind)
{
	step();
	resv[b].hold[me] = HOLD(WAITING, kind, 0, resv[b].word);
	resv[b].word = (resv[b].word + 1) & 15;
#ifdef WOUND
	if
	:: !plain[me] -> _b = b; ALL(WOUNDS)
	:: else
	fi;
#endif
	advance(b)
}

inline recover(b, x)
{
	step();
	_h = resv[b].hold[x];
	resv[b].hold[x] =
		(((STATE(_h) == GRANTED && IS_WRITE(_h)) || IS_TORN(_h)) -> TORN : GONE);
	if
	:: STATE(_h) == GRANTED -> granted[x]--; ghost_end(b, x)
	:: else
	fi;
	advance(b)
}

inline break_hold(b, x)
{
	step();
	_h = resv[b].hold[x];
	resv[b].hold[x] =
		(_h & ~7) | (IS_WRITE(_h) -> TEARS : 0) | (IS_DEVICE(_h) -> DRAINING : BROKEN);
	resv[b].late[x] = !IS_DEVICE(_h);
	granted[x]--;
	ghost_end(b, x);
	advance(b)
}

/* The one who was told answers for the content. */
#define ANSWER(x) \
	if \
	:: x == me \
	:: x != me && STATE(resv[_b].hold[x]) == TORN -> resv[_b].hold[x] = GONE \
	:: else -> resv[_b].hold[x] = resv[_b].hold[x] & ~TEARS \
	fi;

/* Leave queue b: withdraw, unlock, or notice that the lease was over. */
inline leave(b)
{
	step();
	resv[b].touching[me] = 0;
	_h = resv[b].hold[me];
	resv[b].hold[me] = (IS_TORN(_h) -> TORN : IDLE);
	if
	:: STATE(_h) == GRANTED ->
		granted[me]--;
		if
		:: resv[b].told[me] -> _b = b; ALL(ANSWER)
		:: resv[b].told[me] && !IS_WRITE(_h) /* a reader may leave it to the next one */
		:: else
		fi;
		ghost_end(b, me)
	:: else
	fi;
	resv[b].told[me] = 0;
	advance(b)
}

#define HELP(x) \
	:: atomic { x != me && IN_QUEUE(resv[b].hold[x]) && DEAD(b, x) -> recover(b, x) } \
	:: atomic { x != me && STATE(resv[b].hold[x]) == GRANTED && frozen[x] -> break_hold(b, x) }

/* Until granted, or lost again before that was noticed, or `yields`. */
inline wait(b)
{
	yields = MUST_YIELD(b);
	do
	:: atomic { STATE(resv[b].hold[me]) != WAITING || yields -> break }
#ifdef WOUND
	:: atomic { MUST_YIELD(b) -> yields = 1; break }
#endif
#if JOBS
	:: killed[me] -> goto done
#endif
#if DEATHS
	:: deaths > 0 -> goto dying
#endif
#if DEATHS || STOPS
	HELP(0)
	HELP(1)
	HELP(THIRD)
	HELP(LAST)
#endif
	od
}

#define WANTS(b) (want[b] & 1)
#define HAS(b) (STATE(resv[b].hold[me]) != IDLE && STATE(resv[b].hold[me]) < TORN)
#define KIND_OF(b) ((want[b] & WRITES) | (IS_JOB(me) -> DEVICE : 0))

/* Leave every queue, the last first. */
inline leave_all()
{
	b = BUFFERS;
	do
	:: atomic { b > 0 ->
		b--;
		if
		:: HAS(b) -> leave(b)
		:: else
		fi }
	:: b == 0 -> break
	od
}

inline choose()
{
	atomic {
		do
		:: b < BUFFERS ->
			if
#ifdef WRITERS_FIRST
			:: want[b] = 1 |
				(((b == 0 -> WRITERS_FIRST : WRITERS_LAST) & (1 << me)) -> WRITES : 0)
#else
			:: want[b] = 1
			:: want[b] = 1 | WRITES
#endif
#ifdef SUBSETS
			:: want[b] = 0
#endif
			fi;
			b++
		:: else -> b = 0; break
		od;
		plain[me] = !IS_WW(me)
	}
}

proctype taker(byte me)
{
	byte want[BUFFERS];
	byte b, back_offs;
	bool yields;

	choose();
	if
	:: IS_WW(me) -> goto context
	:: else
	fi;

in_order:
#ifdef FAULT_GROUP_ORDER
	if
	:: me == 1 -> goto context
	:: else
	fi;
#endif
#ifdef FAULT_JOB_QUEUES_ALL
	do
	:: atomic { b < BUFFERS && IS_JOB(me) ->
		if
		:: WANTS(b) -> join(b, KIND_OF(b))
		:: else
		fi;
		b++ }
	:: b >= BUFFERS || !IS_JOB(me) -> b = 0; break
	od;
#endif
	do
	:: b < BUFFERS && !WANTS(b) -> b++
	:: b < BUFFERS && WANTS(b) ->
		atomic {
			if
			:: !HAS(b) -> join(b, KIND_OF(b))
			:: else
			fi
		};
		wait(b);
		if
		:: STATE(resv[b].hold[me]) == GRANTED -> b++
		:: else -> goto unlock
		fi
	:: b >= BUFFERS -> goto locked
	od;

context:
	if
	:: atomic { WANTS(0) && !HAS(0) -> b = 0 }
	:: atomic { WANTS(1) && !HAS(1) -> b = 1 }
#if BUFFERS > 2
	:: atomic { WANTS(2) && !HAS(2) -> b = 2 }
#endif
	:: else -> goto locked
	fi;
contended:
	atomic { join(b, KIND_OF(b)) };
	wait(b);
	if
	:: yields
	:: !yields && STATE(resv[b].hold[me]) == GRANTED -> goto context
	:: !yields && STATE(resv[b].hold[me]) != GRANTED -> goto unlock
	fi;
	/* Back off, then wait for what was contended, holding nothing. */
	atomic {
		yields = 0;
		want[b] = want[b] | 2
	};
	leave_all();
	atomic {
		wounded[me] = 0;
		do
		:: b < BUFFERS && !(want[b] & 2) -> b++
		:: else -> break
		od;
		want[b] = want[b] & ~2;
		back_offs++;
		if
		:: back_offs > BACK_OFFS -> plain[me] = 1; b = 0; goto in_order
		:: else -> goto contended
		fi
	};

locked:
	/* here the memory is read or written */
	atomic {
		step();
		resv[0].touching[me] = 0;
		resv[1].touching[me] = 0;
		resv[BUFFERS - 1].touching[me] = 0
	};
unlock:
	leave_all();
	goto done;
#if STOPS
halted:
	atomic { stops--; frozen[me] = 2; excused = 1 };
	goto done;
#endif
#if DEATHS
dying:
	atomic {
		deaths--;
		killed[me] = 1;
		/* A job's thread and its process die together. */
		if
		:: IS_JOB(me) -> killed[me - 1] = 1
		:: !IS_JOB(me) && IS_JOB(me + 1) -> killed[me + 1] = 1
		:: else
		fi
	};
#endif
done:
	atomic {
		b = 0;
		back_offs = 0;
		yields = 0;
		want[0] = 0;
		want[1] = 0;
		want[BUFFERS - 1] = 0
	}
}

init
{
	atomic {
		run taker(0);
		run taker(1);
#if TAKERS > 2
		run taker(2);
#endif
#if TAKERS > 3
		run taker(3)
#endif
	}
}
