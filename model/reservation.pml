/* SPDX-License-Identifier: MIT */
/*
 * One buffer's reservation, one shared access a step. A taker is `me`, its buffer `b`; w, h, e, g
 * and seen[] are its private copies. Each inline is a function of the C code.
 */

/* A compare-and-swap on the state word or an entry; ok says whether it succeeded. */
#define CAS(place, old, new) \
	if \
	:: place == old -> place = new; ok = 1 \
	:: else -> ok = 0 \
	fi

#ifdef FAULT_SETTLE_FORGETS_WATCHERS
#define KEPT(w) 0
#else
#define KEPT(w) WATCHED(w)
#endif

/* resv_wake_watcher(): the word was left free, somebody may sleep on it. Any of them. */
#define WAKE_WATCHER(x) :: resv[b].watchers && watching[x] -> watching[x] = 0
inline resv_wake_watcher()
{
	atomic {
		step();
		if
		ALL(WAKE_WATCHER)
		:: else
		fi
	}
}

/*
 * resv_settle(): finish what `queued` announces, whoever announced it. Before SLOW the word is
 * frozen and the entries that it names become holds; in SLOW the entry that it names gets its
 * ticket. Afterwards w is a word that announces nothing.
 */
inline resv_settle()
{
	do
	:: atomic { w = resv[b].word; e = 0 };
		if
		:: !QUEUED(w) -> break
		:: else
		fi;
		do
		:: atomic {
			e < TAKERS && NAMES(w, e) -> h = resv[b].hold[e] };
#ifndef FAULT_SETTLE_WITHOUT_REREADING
			if
			:: atomic { resv[b].word != w -> h = 0; break }
			:: resv[b].word == w
			fi;
#endif
			atomic {
				step();
				if
				:: STATE(h) == ARMED && MODE(w) == SLOW ->
					CAS(resv[b].hold[e], h,
					    HOLD(WAITING, KIND(h), AGE(h), GENERATION(w)))
				:: STATE(h) == ARMED && MODE(w) != SLOW ->
					CAS(resv[b].hold[e], h,
					    HOLD(GRANTED, KIND(h), AGE(h), GENERATION(w)))
				:: else
				fi;
				h = 0;
				e++
			}
		:: e < TAKERS && !NAMES(w, e) -> e++
		:: e >= TAKERS ->
			atomic {
				step();
				CAS(resv[b].word, w, WORD(SLOW, 0, 0, GENERATION(w)) | KEPT(w));
				break
			}
		od
	od;
	e = 0
}

/* May s be granted, from what was seen? Nothing in its way is before it in the queue. */
#define HINDERS(x, s) \
	(IN_QUEUE(seen[x]) && BEFORE(TICKET(seen[x]), TICKET(s)) && \
	 (IS_WRITE(seen[x]) || IS_WRITE(s) || tearing))
/* Holders from before SLOW share a ticket; they are all readers. */
#define GRANTABLE(s) \
	(STATE(s) == WAITING && !BEFORE(GENERATION(w), TICKET(s)) && \
	 !HINDERS(0, s) && !HINDERS(1, s) && !HINDERS(LAST, s))

/* What a grant makes of s: whoever is granted torn content can tell by the entry. */
#define GRANTED_OF(s) (WITH_STATE(s, GRANTED) | (tearing -> TEARS : 0))
#ifdef FAULT_DOUBLE_GRANT
#define GRANT(e) resv[b].hold[e] = GRANTED_OF(seen[e]); ok = 1
#else
#define GRANT(e) CAS(resv[b].hold[e], seen[e], GRANTED_OF(seen[e]))
#endif

#ifdef FAULT_THAW_GIVES_UP
#define THAWS_WATCHED(w) 0
#else
#define THAWS_WATCHED(w) (resv[b].word == ((w) | WATCHED_BIT))
#endif

/*
 * resv_advance(): what the queue allows now. Reads the word, then every entry once; grants each
 * entry that nothing before it hinders; when nothing is left and nothing torn, back to FREE. What a
 * sweep finds grantable stays so, because nobody can come in before it: no lock is needed.
 * Afterwards, `blockers` are those in the queue whose owner is dead or out of time; seen[] has them.
 */
inline resv_advance()
{
	resv_settle();
	blockers = 0;
	if
	:: MODE(w) == SLOW ->
#ifdef SWEEP_AT_ONCE
		atomic {
#endif
		seen[0] = resv[b].hold[0];
		seen[1] = resv[b].hold[1];
#if TAKERS > 2
		seen[2] = resv[b].hold[2];
#endif
#ifndef SWEEP_AT_ONCE
		atomic {
#endif
			tearing = IS_TORN(seen[0]) || IS_TORN(seen[1]) || IS_TORN(seen[LAST]);
			grants = 0;
			do
			:: e < TAKERS ->
				grants = grants | (GRANTABLE(seen[e]) << e);
				e++
			:: else -> break
			od;
			if
			:: tearing || IN_QUEUE(seen[0]) || IN_QUEUE(seen[1]) || IN_QUEUE(seen[LAST]) ->
				w = 0
			:: else
			fi;
			e = 0;
			do
			:: e < TAKERS ->
				if
				:: BLOCKS(e) ->
					blockers = blockers | BIT(e);
					resv[b].aged[e] = OVERDUE(e)
				:: else ->
					if
					:: !((grants >> e) & 1) -> seen[e] = 0
					:: else
					fi
				fi;
				e++
			:: else -> break
			od;
			e = 0
		};
		do
		:: (grants >> e) & 1 ->
			atomic {
				step();
				h = resv[b].hold[e];
				GRANT(e);
				if
				:: ok ->
					ghost_grant(b, e, h);
					ok = (seen[e] & ASLEEP) != 0;
					grants = grants & ~BIT(e);
					seen[e] = 0
				:: !ok && !(seen[e] & ASLEEP) && h == (seen[e] | ASLEEP) ->
					/* It fell asleep since it was read. */
					seen[e] = h
				:: else ->
					grants = grants & ~BIT(e);
					seen[e] = 0
				fi;
				h = 0
			};
#ifndef FAULT_DROPPED_WAKE_UP
			if
			:: ok -> atomic { step(); asleep[e] = 0 }
			:: else
			fi
#endif
		:: grants && !((grants >> e) & 1) -> e++
		:: !grants -> e = 0; tearing = 0; break
		od;
		if
		:: w ->
			atomic {
				step();
#ifdef FAULT_THAW_WITHOUT_REREADING
				w = resv[b].word;
#endif
				/* If somebody only began to watch since it was read, it is tried again. */
				ok = resv[b].word == w || THAWS_WATCHED(w);
				if
				:: ok ->
					ok = WATCHED(resv[b].word) != 0;
					resv[b].word = WORD(FREE, 0, 0, GENERATION(w) + 1)
				:: else
				fi;
				w = 0
			};
#ifndef FAULT_THAW_WAKES_NOBODY
			if
			:: ok -> resv_wake_watcher()
			:: else
			fi
#endif
		:: else
		fi
	:: else -> w = 0
	fi;
	ok = 0
}
