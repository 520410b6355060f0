/* SPDX-License-Identifier: MIT */
/*
 * The shared words of a reservation, and the ghosts: variables that no process of the protocol may
 * read, kept so that what must never happen can be asserted. Names are those of README.md.
 */
#ifndef BUFFERS
#define BUFFERS 1
#endif
#ifndef TAKERS
#define TAKERS 3 /* one entry of each buffer belongs to each taker */
#endif
#if TAKERS > 3
#define THIRD 2
#else
#define THIRD 0
#endif
#define LAST (TAKERS - 1)
/* For each taker: two to four of them. */
#define ALL(what) what(0) what(1) what(THIRD) what(LAST)

#ifndef DEATHS
#define DEATHS 0 /* how many processes may be killed, each between any two steps */
#endif
#ifndef DEVICES
#define DEVICES 0 /* are there holds of devices, whose transfers outlive a process? */
#endif
#ifndef STOPS
#define STOPS 0 /* how many may be stopped, until later or for ever */
#endif

/* The state word: mode, queued, who (a bit for each entry), generation, watched. */
#define FREE 0
#define EXCLUSIVE 1
#define SHARED 2
#define SLOW 3
#define QUEUED_BIT 4
#define MODE(w) ((w) & 3)
#define QUEUED(w) (((w) >> 2) & 1)
#define WHO(w) (((w) >> 3) & 15)
#define NAMES(w, e) (((w) >> (3 + (e))) & 1)
#define GENERATION(w) (((w) >> 7) & 15)
#define WORD(mode, queued, who, generation) \
	((mode) | ((queued) << 2) | ((who) << 3) | (((generation) & 15) << 7))
#define BIT(e) (1 << (e))
/* Somebody sleeps on the word, before the queue: who leaves it free wakes one. */
#define WATCHED_BIT 2048
#define WATCHED(w) ((w) & WATCHED_BIT)
/* What a futex compares: all but who. */
#define SAME_LOW_HALF(v, w) (((v) & ~(15 << 3)) == ((w) & ~(15 << 3)))

/* An entry's word: state, what it is, generation of its own, ticket (the queue's order). */
#define IDLE 0	   /* owned by a client, says nothing */
#define ARMED 1	   /* complete; a hold only if the state word names it */
#define WAITING 2  /* in the queue */
#define GRANTED 3  /* a hold */
#define DRAINING 4 /* lost to the lease, but a device may still touch the memory: it blocks */
#define BROKEN 5   /* lost to the lease; out of use until its owner noticed or died */
#define TORN 6	   /* nobody's; says that a writer did not finish */
#define GONE 7	   /* nobody's */
#define WRITES 8
#define DEVICE 16
/*
 * BROKEN or DRAINING, and a writer: the next holder is to be told. GRANTED: the content was torn
 * when this was granted; the entries say by whom.
 */
#define TEARS 32
#define ASLEEP 8192 /* WAITING, and its owner is in the kernel: a grant must wake it */
#define STATE(h) ((h) & 7)
#define IS_WRITE(h) (((h) >> 3) & 1)
#define IS_DEVICE(h) (((h) >> 4) & 1)
#define IS_TEARING(h) (((h) >> 5) & 1)
#define AGE(h) (((h) >> 6) & 7)
#define TICKET(h) (((h) >> 9) & 15)
#define KIND(h) ((h) & (WRITES | DEVICE))
#define HOLD(state, kind, age, ticket) \
	((state) | (kind) | (((age) & 7) << 6) | (((ticket) & 15) << 9))
#define WITH_STATE(h, state) (((h) & ~(7 | ASLEEP)) | (state))
#define IN_QUEUE(h) (STATE(h) >= WAITING && STATE(h) <= DRAINING)
#define IS_TORN(h) \
	(STATE(h) == TORN || (IS_TEARING(h) && (STATE(h) == BROKEN || STATE(h) == DRAINING)))

/* Tickets and generations wrap. Is a before b? */
#define BEFORE(a, b) ((((b) - (a)) & 15) > 0 && (((b) - (a)) & 15) < 8)

typedef buffer {
	short word;
	short hold[TAKERS];
	byte watchers; /* who may sleep on the word */
	/* ghosts */
	bool held[TAKERS];     /* from the grant until release, break or recovery */
	bool touching[TAKERS]; /* from the grant until the memory is really left alone */
	bool late[TAKERS];     /* a living holder lost it: its late accesses cannot be frozen */
	bool aged[TAKERS];     /* this very hold has lasted longer than its lease */
	bool told[TAKERS];     /* granted while the content was torn */
	bool writes[TAKERS];
	bool device[TAKERS];
};
buffer resv[BUFFERS];

bool asleep[TAKERS]; /* in the kernel, until woken */
bool watching[TAKERS]; /* the same, on the state word */
bool looked[TAKERS]; /* ghost: looked again since anything last changed */
bool killed[TAKERS];
bool gone[TAKERS];    /* its last thread has gone and the kernel released its liveness lock */
bool quiet[TAKERS];   /* its device is known to have ended */
byte frozen[TAKERS]; /* by a signal: time passes for the others */
bool excused;	      /* ghost: somebody died or was stopped, so a sleep may have to end by itself */
byte deaths = DEATHS;
byte stops = STOPS;

/* Ghost: something changed, looking again can help. */
#define UNLOOK(x) looked[x] = 0;
inline changed()
{
	d_step { ALL(UNLOOK) }
}

/*
 * Ghost: t is granted buffer b now, with entry h; h is ARMED if past the queue. Asserted are mutual
 * exclusion, exactly one grant, quiescence, no overtaking, and one holder at a time while torn.
 */
#define CONFLICTS(x) (x != _t && (resv[_b].writes[x] || resv[_b].writes[_t]))
#define IN_THE_WAY(x) \
	(x != _t && STATE(resv[_b].hold[x]) == WAITING && \
	 (IS_WRITE(resv[_b].hold[x]) || resv[_b].writes[_t]))
#define ALONE(x) \
	assert(!CONFLICTS(x) || !resv[_b].held[x]); \
	assert(!CONFLICTS(x) || !resv[_b].touching[x] || resv[_b].late[x]);
#define IN_TURN(x) \
	assert(!IN_THE_WAY(x) || (STATE(_h) == WAITING && \
				  BEFORE(TICKET(_h), TICKET(resv[_b].hold[x]))));
#define NOTE_TORN(x) \
	if \
	:: IS_TORN(resv[_b].hold[x]) -> resv[_b].told[_t] = 1; assert(STATE(_h) == WAITING) \
	:: else \
	fi;
#define TOLD_ALONE(x) assert(!resv[_b].told[_t] || x == _t || !resv[_b].held[x]);
hidden byte _b, _t;
hidden short _h;

inline ghost_grant(b, t, h)
{
	d_step {
		_b = b;
		_t = t;
		_h = h;
		assert(!resv[_b].held[_t]);
		resv[_b].writes[_t] = IS_WRITE(_h);
		resv[_b].device[_t] = IS_DEVICE(_h);
		ALL(ALONE)
		ALL(IN_TURN)
		resv[_b].told[_t] = 0;
		ALL(NOTE_TORN)
		ALL(TOLD_ALONE)
		resv[_b].held[_t] = 1;
		resv[_b].touching[_t] = !gone[_t];
		resv[_b].late[_t] = 0;
		resv[_b].aged[_t] = 0;
		ALL(UNLOOK)
	}
}

/* Ghost: the hold of t ends, by its owner or by somebody else. */
inline ghost_end(b, t)
{
	assert(resv[b].held[t]);
	resv[b].held[t] = 0;
	resv[b].aged[t] = 0;
	if
	:: !resv[b].touching[t] -> resv[b].writes[t] = 0; resv[b].device[t] = 0; resv[b].told[t] = 0
	:: else
	fi;
	changed();
}

/* Stopped by a signal, and continued later. */
inline pause()
{
	stops--;
	frozen[me] = 1;
	excused = 1;
	changed();
	!frozen[me]
}

/*
 * Every step that writes starts with this: it may be the one that its process does not live to
 * take. To die after a mere read is, for all others, to die before it.
 */
inline step()
{
	if
#if JOBS
	:: killed[me] -> goto done
	:: !killed[me]
#else
	:: skip
#endif
#if DEATHS
	:: deaths > 0 -> goto dying
#endif
#if STOPS
	:: stops > 0 -> goto halted
	:: stops > 0 -> pause()
#endif
	fi
}

/* What the kernel and the devices do in their own time. */
#if DEATHS || STOPS
#if BUFFERS > 1
#define STILL(x, left) \
	resv[0].touching[x] = resv[0].touching[x] && (left resv[0].device[x]); \
	resv[1].touching[x] = resv[1].touching[x] && (left resv[1].device[x]); \
	resv[BUFFERS - 1].touching[x] = \
		resv[BUFFERS - 1].touching[x] && (left resv[BUFFERS - 1].device[x])
#else
#define STILL(x, left) resv[0].touching[x] = resv[0].touching[x] && (left resv[0].device[x])
#endif
#define KERNEL(x) \
	:: atomic { killed[x] && !gone[x] -> \
		gone[x] = 1; \
		quiet[x] = !DEVICES; \
		STILL(x, ); \
		changed() \
	   } \
	:: atomic { gone[x] && !quiet[x] -> quiet[x] = 1; STILL(x, 0 &&); changed() } \
	:: frozen[x] == 1 -> frozen[x] = 0

active proctype kernel()
{
end:
	do
		KERNEL(0)
		KERNEL(1)
#if TAKERS > 2
		KERNEL(2)
#endif
#if TAKERS > 3
		KERNEL(3)
#endif
	od
}
#endif
