/* SPDX-License-Identifier: MIT */
/*
 * TAKERS processes take and release one buffer ROUNDS times each, reading or writing, by CPU or
 * (DEVICES) device; any may be killed or stopped between any two steps, or (DEADLINES) give up.
 */
#ifndef ROUNDS
#define ROUNDS 1
#endif

#include "state.pml"

byte finished;

#ifdef FAULT_RECOVERY_BEFORE_QUIESCENCE
#define DEAD(x) killed[x]
#else
#define DEAD(x) (gone[x] && (quiet[x] || !IS_DEVICE(seen[x])))
#endif
#define OVERDUE(x) (STATE(seen[x]) == GRANTED && frozen[x] && resv[b].hold[x] == seen[x])
#define BLOCKS(x) ((x) != me && IN_QUEUE(seen[x]) && (DEAD(x) || OVERDUE(x)))

#include "reservation.pml"

/* What recovery makes of a dead owner's entry. Only a writer that held it can have torn it. */
#define REMAINS(h) \
	(((STATE(h) == GRANTED && IS_WRITE(h)) || IS_TORN(h)) -> \
		 HOLD(TORN, 0, AGE(h) + 1, 0) : HOLD(GONE, 0, AGE(h) + 1, 0))

/* resv_recover(): the owner of entry e, as seen, is dead and quiet. One compare-and-swap. */
inline resv_recover()
{
	atomic {
		step();
		CAS(resv[b].hold[e], seen[e], REMAINS(seen[e]));
		if
		:: ok && STATE(seen[e]) == GRANTED -> ghost_end(b, e)
		:: ok && STATE(seen[e]) != GRANTED -> changed()
		:: else
		fi;
		seen[e] = 0;
		blockers = blockers & ~BIT(e)
	}
}

#define LOST(h) \
	HOLD((IS_DEVICE(h) -> DRAINING : BROKEN), KIND(h) | (IS_WRITE(h) -> TEARS : 0), AGE(h), \
	     TICKET(h))

#ifdef FAULT_SKIPPED_GENERATION
#define SAME_HOLD(b, e) (STATE(resv[b].hold[e]) == GRANTED)
#else
#define SAME_HOLD(b, e) (resv[b].hold[e] == seen[e])
#endif

/* resv_break(): entry e has been seen, the same, for a whole lease. */
inline resv_break()
{
	atomic {
		step();
		if
		:: SAME_HOLD(b, e) ->
			assert(resv[b].aged[e]);
			resv[b].hold[e] = LOST(resv[b].hold[e]);
			resv[b].late[e] = !IS_DEVICE(resv[b].hold[e]);
			ghost_end(b, e)
		:: else
		fi;
		seen[e] = 0;
		blockers = blockers & ~BIT(e)
	}
}

inline resv_clear_blockers()
{
	do
	:: ((blockers >> e) & 1) && DEAD(e) -> resv_recover()
	:: ((blockers >> e) & 1) && !DEAD(e) -> resv_break()
	:: blockers && !((blockers >> e) & 1) -> e++
	:: !blockers -> e = 0; ok = 0; break
	od
}

#define ARM() resv[b].hold[me] = HOLD(ARMED, kind, AGE(resv[b].hold[me]), 0)

#ifdef FAULT_READER_BIT_LOST
#define ALSO(w) BIT(me)
#else
#define ALSO(w) (BIT(me) | WHO(w))
#endif

/*
 * A compare-and-swap loop whose decision hangs on the word alone is one step: when it succeeds, the
 * word is what it was when read. resv_take(): the fast path, free, or shared and we read; mark is
 * WATCHED_BIT if others may sleep whom nobody would wake else, or 0.
 */
#define TAKEABLE(w) \
	(!QUEUED(w) && (MODE(w) == FREE || (MODE(w) == SHARED && !(kind & WRITES))))
inline resv_take()
{
	resv[b].word =
		WORD(((kind & WRITES) -> EXCLUSIVE : SHARED), 0, ALSO(w), GENERATION(w)) | KEPT(w) | mark;
	ghost_grant(b, me, HOLD(ARMED, kind, 0, 0))
}

/* It says that it sleeps, so that who grants it wakes it; the kernel looks whether it still waits. */
inline resv_sleep()
{
	atomic {
		if
		:: STATE(resv[b].hold[me]) == WAITING && !(resv[b].hold[me] & ASLEEP) ->
			step();
			if
			:: STATE(resv[b].hold[me]) == WAITING ->
				resv[b].hold[me] = resv[b].hold[me] | ASLEEP
			:: else
			fi
		:: else
		fi
	};
	atomic {
		if
		:: STATE(resv[b].hold[me]) == WAITING -> asleep[me] = 1
		:: else
		fi
	};
	/* Only with a death or a stop about may it need to wake up by itself. */
	atomic {
		if
		:: !asleep[me]
#if DEATHS
		:: asleep[me] && deaths > 0 -> goto dying
#endif
#if STOPS
		:: asleep[me] && stops > 0 -> goto halted
		:: asleep[me] && stops > 0 -> pause()
#endif
#if DEATHS || STOPS
		:: asleep[me] && excused && !looked[me] -> looked[me] = 1; asleep[me] = 0
#endif
		fi
	}
}

#ifdef FAULT_WOKEN_FORGETS_OTHERS
#define OTHERS 0
#else
#define OTHERS (resv[b].watchers -> WATCHED_BIT : 0)
#endif

/*
 * resv_linger(): before the queue. Says in the word that somebody watches it, sleeps on it until it
 * is left free, and tries to take it, over and over; or goes on to join, which a patience that is
 * over makes it do at any time. It never ends between having been woken and a new mark, so that
 * others who sleep are not forgotten.
 */
inline resv_linger()
{
	do
	:: atomic { step(); resv[b].watchers++ };
		resv_settle();
		atomic {
			if
			:: TAKEABLE(w)
			:: !TAKEABLE(w) && WATCHED(w) -> ok = 1
			:: else ->
				step();
				CAS(resv[b].word, w, w | WATCHED_BIT)
			fi;
			w = w | WATCHED_BIT
		};
		if
		:: atomic { ok && SAME_LOW_HALF(resv[b].word, w) -> watching[me] = 1; w = 0 };
			atomic {
				if
				:: !watching[me] -> woken = 1
#if DEATHS
				:: watching[me] && deaths > 0 -> goto dying
#endif
#if STOPS
				:: watching[me] && stops > 0 -> goto halted
				:: watching[me] && stops > 0 -> watching[me] = 0; pause()
#endif
#if DEATHS || STOPS
				:: watching[me] && excused -> watching[me] = 0; leave = 1
#endif
#ifdef DEADLINES
				:: watching[me] -> watching[me] = 0; leave = 1
#endif
				fi
			}
		:: ok -> leave = 1
		:: atomic { ok && !SAME_LOW_HALF(resv[b].word, w) }
		:: !ok
		fi;
		atomic { step(); resv[b].watchers--; w = 0; ok = 0 };
		if
		:: woken -> mark = OTHERS
		:: else
		fi;
		atomic {
			w = resv[b].word;
			if
			:: TAKEABLE(w) ->
				step();
				w = resv[b].word;
				if
				:: TAKEABLE(w) ->
					resv_take();
					w = 0;
					goto locked
				:: else
				fi
			:: else
			fi;
			w = 0;
			mark = 0
		};
		if
		:: leave -> break
		:: else
		fi
	od
}

/* resv_granted(): was the content torn, and is it still? Then nobody else holds it. */
inline resv_granted()
{
#if DEATHS || STOPS
	atomic {
		do
		:: e < TAKERS ->
			if
			:: IS_TEARING(resv[b].hold[me]) && IS_TORN(resv[b].hold[e]) && e != me -> told = 1
			:: else
			fi;
			e++
		:: else -> break
		od;
		e = 0;
		assert(told == resv[b].told[me] || !resv[b].held[me])
	}
#else
	skip
#endif
}

#define ANSWERED(h) (STATE(h) == TORN -> HOLD(GONE, 0, AGE(h) + 1, 0) : ((h) & ~TEARS))

/*
 * resv_repaired(): the one who was told, if he holds it still, answers for the content: a writer
 * with his unlock, a reader if he says so, else the question goes to the next one.
 */
inline resv_repaired()
{
	atomic {
		if
		:: told && STATE(resv[b].hold[me]) != GRANTED -> told = 0
		:: told && !(kind & WRITES) -> told = 0
		:: else
		:: told && STATE(resv[b].hold[me]) == GRANTED
		fi
	};
	do
	:: told && e < TAKERS ->
		atomic {
			if
			:: e != me && IS_TORN(resv[b].hold[e]) ->
				step();
				if
				:: IS_TORN(resv[b].hold[e]) ->
					resv[b].hold[e] = ANSWERED(resv[b].hold[e])
				:: else
				fi
			:: else
			fi;
			e++
		}
	:: !told || e >= TAKERS -> e = 0; told = 0; break
	od
}

proctype taker(byte me)
{
	short w, h, seen[TAKERS];
	byte e, b, kind, grants, blockers, rounds = ROUNDS;
	bool ok, tearing, told, woken, leave;
	short mark;

again:
	if
#ifdef KINDS
	:: kind = (KINDS & (1 << me) -> WRITES : 0)
#else
	:: kind = 0
	:: kind = WRITES
#if DEVICES
	:: kind = DEVICE
	:: kind = WRITES | DEVICE
#endif
#endif
	fi;
#ifndef FAULT_ENTRY_AFTER_CAS
	atomic { step(); ARM() };
#endif
	do
	:: atomic {
		w = resv[b].word;
		if
		:: QUEUED(w)
		:: TAKEABLE(w) ->
			step();
			w = resv[b].word;
			if
			:: TAKEABLE(w) ->
				resv_take();
				w = 0;
				goto locked
			:: else
			fi
		:: !QUEUED(w) && (MODE(w) == EXCLUSIVE || (MODE(w) == SHARED && (kind & WRITES)))
		:: !QUEUED(w) && MODE(w) == SLOW ->
			step();
			w = resv[b].word;
			if
			:: (w & ~WATCHED_BIT) == WORD(SLOW, 0, 0, GENERATION(w)) ->
#ifdef FAULT_ENTRY_AFTER_CAS
				ARM();
#endif
				/* resv_join() */
				resv[b].word = WORD(SLOW, 1, BIT(me), GENERATION(w) + 1) | KEPT(w);
				w = 0;
				break
			:: else
			fi
		fi
	   };
		if
		:: QUEUED(w) -> resv_settle()
#ifdef LINGERS
		:: !QUEUED(w) && !leave -> w = 0; resv_linger()
#endif
		:: !QUEUED(w) ->
			/* resv_freeze(): an atomic or, which cannot fail */
			atomic { step(); resv[b].word = resv[b].word | QUEUED_BIT }
		fi
	od;
	do
	:: resv_advance();
		atomic {
			h = STATE(resv[b].hold[me]);
			if
			:: h == GRANTED -> h = 0; goto locked
			:: h == WAITING -> h = 0
			:: else -> h = 0; goto unlock
			fi
		};
		if
		:: blockers -> resv_clear_blockers()
		:: !blockers -> resv_sleep()
#ifdef DEADLINES
		:: !blockers ->
			/* resv_withdraw() */
			atomic {
				step();
				h = resv[b].hold[me];
				if
				:: STATE(h) == WAITING ->
					resv[b].hold[me] = HOLD(IDLE, 0, AGE(h) + 1, 0);
					h = 0;
					goto leave_queue
				:: else -> h = 0
				fi
			}
#endif
		fi
	od;
locked:
	if
	:: mark && !(kind & WRITES) ->
		/* Other readers may have it too. */
		resv_wake_watcher()
	:: else
	fi;
	atomic { woken = 0; leave = 0; mark = 0 };
#ifdef FAULT_ENTRY_AFTER_CAS
	atomic {
		step();
		if
		:: STATE(resv[b].hold[me]) == IDLE -> ARM()
		:: else
		fi
	};
#endif
	blockers = 0;
	seen[0] = 0;
	seen[1] = 0;
	seen[LAST] = 0;
	resv_granted();
	/* here the memory is read or written */
	atomic { step(); resv[b].touching[me] = 0 };
	resv_repaired();
unlock:
	atomic {
		resv[b].touching[me] = 0;
		kind = 0
	};
	do
	:: atomic {
		w = resv[b].word;
		if
		:: QUEUED(w)
		:: !QUEUED(w) && MODE(w) != SLOW && NAMES(w, me) ->
			step();
			w = resv[b].word;
			if
			:: !QUEUED(w) && MODE(w) != SLOW && NAMES(w, me) ->
				/* resv_put() */
				resv[b].word =
					(WHO(w) == BIT(me) -> WORD(FREE, 0, 0, GENERATION(w)) :
							      WORD(SHARED, 0, WHO(w) & ~BIT(me), GENERATION(w)) | KEPT(w));
				w = WHO(w) == BIT(me) && WATCHED(w);
				ghost_end(b, me);
				goto left
			:: else
			fi
		:: else -> w = 0; break
		fi
	   };
		if
		:: QUEUED(w) -> resv_settle()
		:: else
		fi
	od;
	/* resv_unlock() */
	atomic {
		step();
		h = resv[b].hold[me];
		assert(STATE(h) >= GRANTED && STATE(h) <= BROKEN);
#ifndef FAULT_UNLOCK_WITHOUT_CHECK
		if
		:: STATE(h) != GRANTED -> assert(!resv[b].held[me]); changed()
		:: else -> ghost_end(b, me)
		fi;
#else
		ghost_end(b, me);
#endif
		resv[b].hold[me] =
			(IS_TORN(h) -> HOLD(TORN, 0, AGE(h) + 1, 0) : HOLD(IDLE, 0, AGE(h) + 1, 0));
		h = 0
	};
leave_queue:
	resv_advance();
	goto next;
left:
#ifndef FAULT_PUT_WAKES_NOBODY
	if
	:: w -> w = 0; resv_wake_watcher()
	:: else
	fi;
#endif
next:
	atomic {
		w = 0;
		h = 0;
		ok = 0;
		seen[0] = 0;
		seen[1] = 0;
		seen[LAST] = 0;
		blockers = 0;
		kind = 0;
		rounds--;
		if
		:: rounds > 0 && STATE(resv[b].hold[me]) <= ARMED -> goto again
		:: else -> goto done
		fi
	};
#if STOPS
halted:
	d_step { stops--; frozen[me] = 2; excused = 1; watching[me] = 0; changed() };
	goto done;
#endif
#if DEATHS
dying:
	d_step { deaths--; killed[me] = 1; excused = 1; asleep[me] = 0; watching[me] = 0; changed() };
	goto done;
#endif
done:
	atomic {
		finished++;
		/* Left behind: a word that is free. */
		assert(excused || finished < TAKERS || resv[b].word == WORD(FREE, 0, 0, GENERATION(resv[b].word)));
		w = 0;
		h = 0;
		e = 0;
		kind = 0;
		grants = 0;
		blockers = 0;
		ok = 0;
		tearing = 0;
		told = 0;
		woken = 0;
		leave = 0;
		mark = 0;
		rounds = 0;
		seen[0] = 0;
		seen[1] = 0;
		seen[LAST] = 0
	}
}

init
{
	atomic {
		run taker(0);
		run taker(1);
#if TAKERS > 2
		run taker(2)
#endif
	}
}
