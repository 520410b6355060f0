/* SPDX-License-Identifier: MIT */
/**
 * DOC: reservations
 *
 * Who may touch a buffer, across processes: the protocol that model/README.md explains and checks,
 * under the names that it has there. A hold is one entry in a buffer's reservation; a thread at a
 * time uses it. Files: queue.c (what everybody does for everybody), hold.c (taking and giving
 * back), linger.c (before the queue), wait.c (looking, leases, deaths), report.c (who is in the
 * way).
 *
 * None of it takes a lock, and every loop ends: what peers scribble can spoil a buffer, never hang
 * or crash who shares it.
 */
#ifndef DMABUF_RESV_RESV_H
#define DMABUF_RESV_RESV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/info.h>

#include "buffer.h"
#include "futex.h"
#include "list.h"
#include "resv/decide.h"
#include "resv/word.h"
#include "shm/control.h"

#define RESV_LEASE_DEFAULT_MS 5000
#define RESV_LEASE_MIN_MS 1
#define RESV_LEASE_MAX_MS 600000

/* A hold of somebody else, when it keeps us waiting. */
struct resv_seen {
	uint64_t word; /* of its entry */
	uint64_t since;
	bool acquiring; /* its group is not complete */
	bool complete;	/* it is, and was not before */
};

/* One access: what a lock touches each time comes first, in one cache line. */
struct resv_hold {
	struct shm_resv_state *state;  /* the line of the word that it is about */
	struct shm_resv_entry *shared; /* NULL: has no entry, resv_claim() again */
	uint64_t kind;		       /* of the latest access: RESV_WRITE, RESV_DEVICE */
	uint64_t plain;		       /* the entry's word without state and kind */
	uint64_t armed;		       /* the entry's word as we left it */
	uint64_t before;	       /* the state word as we left it when we gave it back, */
	uint64_t after;		       /* and as we make it of that; 0: not known, or not armed */
	_Atomic(uintptr_t) thread;     /* whose it is while held, see resv_self(); 0: nobody's */
	uint32_t entry;
	uint8_t contended;    /* so many locks ago it was, less than that, see linger.h */
	_Atomic(bool) taken;  /* by the fast path: the word named us when we left it */
	_Atomic(bool) queued; /* in the queue: waiting, granted or lost, the entry's word says */
	bool told;	      /* granted, and the content is torn */
	/* from here on for the slow path */
	uint8_t no_yield;	  /* how often a yield is not worth it, see linger.c */
	bool holding;		  /* its group has others already, which wait while it does */
	struct resv_seen blocker; /* of our latest wait: short ones add up */
	struct resv_seen tried;	  /* the state word that our latest tries found */
	uint32_t lease_ms;
	uint64_t start, length; /* what it is about, for whoever is told of torn content */
	uint64_t lock;		/* RESV_LOCK for the object's lock, else 0 */
	uint64_t context;	/* age of its wound/wait context; 0: a plain entry */
	uint32_t note;		/* 0, or 1 + the usage of the fence that it stands for */
	struct buffer *buffer;
	struct control *control;
	struct dmabuf_list link; /* all of this process */
	char label[SHM_RESV_LABEL_LEN];
};

/* What a look at the queue found. */
struct resv_sweep {
	uint64_t word;
	uint32_t count;
	struct resv_queue queue;
	uint64_t seen[SHM_RESV_ENTRIES];
};

/* A waiter's memory of what it saw: leases are measured by who waits, on its own clock. */
struct resv_waiter {
	struct resv_hold *hold;
	/* Of a wound/wait context, else NULL: must it give up? And resv_sleep() with more to it. */
	bool (*yields)(struct resv_waiter *w);
	int (*sleep)(struct resv_waiter *w);
	void *context;
	uint64_t deadline; /* of clock_ns(), or FUTEX_FOREVER */
	uint64_t began;
	uint64_t asked; /* the same, or before that: from here on it has waited */
	uint64_t next_look;
	uint32_t looks;
	uint32_t slot; /* of one who has it, whose death is to be heard of; or none */
	uint32_t yields_to_end;
	bool intr;		       /* handlers are to be heard of, with SA_RESTART too */
	uint64_t known[SHM_RESV_BUSY]; /* which of these say something */
	struct resv_seen seen[SHM_RESV_ENTRIES];
};

/* Lines, by what they are. */
static inline union shm_resv_line *resv_line(const struct control *c, uint32_t line)
{
	return &c->resv->lines[(c->resv_first + line) % SHM_RESV_LINES];
}

static inline struct shm_resv_state *resv_state_line(const struct control *c, uint64_t lock)
{
	return &resv_line(c, lock ? 1 : 0)->state;
}

static inline struct shm_resv_entry *resv_entry_line(const struct control *c, uint32_t entry)
{
	return &resv_line(c, SHM_RESV_STATES + entry)->entry;
}

/* What a futex can look at: of a state word, all but who has it. */
static inline _Atomic(uint32_t) *resv_low_half(_Atomic(uint64_t) *word)
{
	_Atomic(uint32_t) *halves = (_Atomic(uint32_t) *)(void *)word;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return halves + 1;
#else
	return halves;
#endif
}

/* Where sleepers sleep: the half of an entry's word that has its state. */
static inline _Atomic(uint32_t) *resv_futex(struct shm_resv_entry *entry)
{
	return resv_low_half(&entry->word);
}

static inline uint64_t resv_load(const _Atomic(uint64_t) *word)
{
	return atomic_load_explicit(word, memory_order_seq_cst);
}

static inline bool resv_change(_Atomic(uint64_t) *word, uint64_t from, uint64_t to)
{
	return atomic_compare_exchange_strong_explicit(word, &from, to, memory_order_seq_cst,
						       memory_order_seq_cst);
}

/* This thread, as resv_hold.thread says it, which never says RESV_SELF_NEW. */
#define RESV_SELF_NEW 1u
extern _Thread_local uintptr_t resv_self_number
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
uintptr_t resv_self_new(void);

static inline uintptr_t resv_self(void)
{
	return resv_self_number != RESV_SELF_NEW ? resv_self_number : resv_self_new();
}

/* Entries that may have been claimed, and so have to be looked at. */
uint32_t resv_used(const struct control *c);

/*
 * How many holds, those too that were lost and not given back yet, may be writing: by CPU, or by a
 * device that may share its caches.
 */
uint32_t resv_writers(const struct control *c);

/* queue.c */

/*
 * Entry @e may be in the queue of @lock's word, or torn. Said before the entry's word says so;
 * taken back by its owner alone, after the word says that it is out. Too many cost a look each.
 */
static inline void resv_mark(const struct control *c, uint64_t lock, uint32_t e)
{
	_Atomic(uint64_t) *busy = &resv_state_line(c, lock)->busy[e / 64];

	if (!(atomic_load(busy) >> (e % 64) & 1))
		atomic_fetch_or(busy, 1ull << (e % 64));
}

/* As long as they are few, marks stay: who contends will soon be back. */
#define RESV_MARKS_KEPT 8

static inline void resv_unmark(const struct control *c, uint64_t lock, uint32_t e)
{
	_Atomic(uint64_t) *busy = resv_state_line(c, lock)->busy;
	int marks = 0, i;

	for (i = 0; i < SHM_RESV_BUSY; i++)
		marks += __builtin_popcountll(atomic_load_explicit(&busy[i], memory_order_relaxed));
	if (marks > RESV_MARKS_KEPT)
		atomic_fetch_and(&busy[e / 64], ~(1ull << (e % 64)));
}

/* Too many turns for honest peers: the words are being scribbled over. */
#define RESV_TURNS 200000u

/* Finish what `queued` announces. Returns a word that announces nothing, or one that does: spoilt.
 */
uint64_t resv_settle(const struct control *c, uint64_t lock);

/* Settle, read all entries, grant what can be, go back to FREE if nothing is left. */
void resv_advance(const struct control *c, uint64_t lock, struct resv_sweep *sweep);

/* The word was left free: wake one of those who sleep before the queue. */
void resv_wake_watcher(const struct control *c, uint64_t lock);

/* Join the queue with the armed entry. 0; -EIO with words. */
int resv_join(struct resv_hold *h);

/* Those who have it by the fast path become entries in the queue. */
void resv_freeze(const struct control *c, uint64_t lock);

/* Entry @e was @seen and is not any more: wake those who sleep on its word. */
void resv_wake(const struct control *c, uint32_t e, uint64_t seen);

/* Everything that the dead client of @slot left here, with its liveness lock known to be free. */
void resv_recover_slot(const struct control *c, uint32_t slot);

/* Entry @e, as seen, of an owner that is dead and quiet. True if it was us who did it. */
bool resv_recover(const struct control *c, uint32_t e, uint64_t seen);

/* hold.c */

/*
 * Take it by what the word is, if nothing is in the way. @mark: RESV_WATCHED if others may sleep
 * whom nobody would wake else, or 0.
 */
bool resv_take_marked(struct resv_hold *h, uint64_t mark);

/*
 * An entry for @h, whose other members are zeroed. @lock: RESV_LOCK or 0. @label is shown. 0;
 * -ENOSPC, -EIO with words.
 */
int resv_claim(struct resv_hold *h, struct buffer *b, uint64_t lock, const char *label);

/* The entry goes back; a hold is given back first. */
void resv_unclaim(struct resv_hold *h);

/* What the next access is shown as; @note as in struct resv_hold. Before it is taken. */
void resv_relabel(struct resv_hold *h, const char *label, uint32_t note);

/* How long the next holds last once somebody waits. */
void resv_set_lease(struct resv_hold *h, uint32_t lease_ms);

/* Say what the next access is about; before it is taken. */
void resv_describe(struct resv_hold *h, uint64_t start, uint64_t length);

/*
 * Take it or join its queue. 0: we have it; -EAGAIN: queued, see resv_look(); -ENOSPC, -EIO with
 * words.
 */
int resv_enqueue(struct resv_hold *h, uint64_t kind);

/* Out of the queue. True: it had been granted meanwhile, and we have it. */
bool resv_withdraw(struct resv_hold *h);

/*
 * Take it, waiting until @deadline (0: not at all). 0; -EOWNERDEAD: we have it, and the content is
 * torn, see resv_torn(); -ETIMEDOUT (-EBUSY for 0) with words that name who is in the way; -EINTR
 * if
 * @intr; -EDEADLK with words: this thread would wait for itself; -ENOSPC, -EIO with words.
 */
int resv_lock(struct resv_hold *h, uint64_t kind, uint64_t deadline, bool intr);

/* Give it back. 0; -ETIMEDOUT: it was lost to the lease before; -EPERM: it was not held. */
int resv_unlock(struct resv_hold *h);

/* The same, and a writer's content is torn: the next holder is told. */
int resv_unlock_torn(struct resv_hold *h);

/* Does it hold or wait, or did, and has not noticed that it lost it? */
static inline bool resv_busy(const struct resv_hold *h)
{
	return atomic_load_explicit(&h->taken, memory_order_relaxed) ||
	       atomic_load_explicit(&h->queued, memory_order_relaxed);
}

/* Do we (still) have it? */
bool resv_held(const struct resv_hold *h);

/* Granted just now: 0, or -EOWNERDEAD if the content is torn. */
int resv_granted(struct resv_hold *h);

/* It was granted and lost before that was noticed; back to the start, or -EIO with words. */
int resv_rejoin(struct resv_hold *h);

/* The content is whole again. For who was told. */
void resv_repaired(struct resv_hold *h);

/* wait.c */

void resv_waiter_init(struct resv_waiter *w, struct resv_hold *h, uint64_t deadline);

/*
 * One look: advance the queue, see to the dead and the overdue. 0 or -EOWNERDEAD: granted, as
 * resv_lock(); -EAGAIN: sleep until w->next_look at most, and look again; -EIO with words.
 */
int resv_look(struct resv_waiter *w);

/* Take those who died out of the way of a trylock. True: there was one. */
bool resv_clear_dead(const struct resv_hold *h);

/* Sleep on the entry's word until then. 0, or -EINTR. */
int resv_sleep(struct resv_waiter *w);

/* Say that somebody sleeps. True: he may, while resv_futex() has @expected, until @until. */
bool resv_doze(struct resv_waiter *w, uint32_t *expected, uint64_t *until);

/* Look and sleep until granted or the deadline. As resv_lock(); -EDEADLK if w->yields(). */
int resv_wait(struct resv_waiter *w, bool intr);

/*
 * See to the one at entry @e, that was @seen and is in the way: @known is what the caller knows of
 * it from its last look, @deep: look after deaths too. True: it is in the way no more. *@next_look
 * is made earlier if something is due before.
 */
bool resv_clear(const struct buffer *b, struct resv_seen *known, uint32_t e, uint64_t seen,
		uint64_t now, bool deep, uint64_t *next_look);

/* Is the client of @slot gone, its last thread too (and its devices done)? */
bool resv_dead(const struct buffer *b, uint32_t slot, bool device);

/* report.c */

/* Would this thread wait for itself? 0, or -EDEADLK with words. */
int resv_check_order(const struct resv_hold *h);

/* Is the content torn, and nobody has answered for it? */
bool resv_torn(const struct control *c);

/* The same, described: how many, of which @info gets up to @count. For who holds it. */
int resv_get_torn(const struct resv_hold *h, struct dma_buf_access_info *info, unsigned int count);

/*
 * What entry @e, whose word is @seen, is; with @state_word naming holders of the fast path. False:
 * it says nothing. `holder` is left alone.
 */
bool resv_describe_entry(const struct control *c, uint32_t e, uint64_t seen,
			 const uint64_t state_words[SHM_RESV_STATES],
			 struct dma_buf_access_info *info);

/* Fails with @err and words that name who is in the way of @h. */
int resv_report(const struct resv_hold *h, int err, uint64_t waited_ns);

/* A hold joins or leaves the list of this process's. */
void resv_list_add(struct resv_hold *h);
void resv_list_remove(struct resv_hold *h);

#endif
