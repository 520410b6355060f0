/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/**
 * DOC: the words of a reservation
 *
 * What the bits of a state word and of an entry mean, and the transitions that hang on nothing else
 * (pure: no memory but the arguments). Names are those of model/README.md, where the protocol is
 * explained and checked.
 *
 *	state word	mode 2, queued 1, watched 1, generation 28, who 32
 *	entry word	state 3, write 1, device 1, tears 1, asleep 1, lock 1, slot 6,
 *			ticket 24, age 26
 */
#ifndef DMABUF_RESV_WORD_H
#define DMABUF_RESV_WORD_H

#include <stdbool.h>
#include <stdint.h>

/* The state word. */
enum resv_mode {
	RESV_FREE = 0,
	RESV_EXCLUSIVE = 1, /* held by the entry that `who` is the index of */
	RESV_SHARED = 2,    /* held by the entries whose bits are set in `who` */
	RESV_SLOW = 3,	    /* the entries say; `who` only names one that is about to join */
};

#define RESV_QUEUED 4ull
/* Somebody sleeps before the queue: who leaves the word free wakes one. A free word has none. */
#define RESV_WATCHED 8ull
#define RESV_GENERATION_BITS 28
#define RESV_GENERATION_MASK ((1u << RESV_GENERATION_BITS) - 1)
/* `who` of a word in SLOW that nobody is about to join: no entry has that index. */
#define RESV_NOBODY UINT32_MAX
/* Readers on the fast path: one bit each; further ones queue. */
#define RESV_FAST_READERS 32

static inline uint64_t resv_word(enum resv_mode mode, uint32_t generation, uint32_t who)
{
	return (uint64_t)mode | ((uint64_t)(generation & RESV_GENERATION_MASK) << 4) |
	       ((uint64_t)who << 32);
}

static inline enum resv_mode resv_word_mode(uint64_t word)
{
	return (enum resv_mode)(word & 3);
}

static inline bool resv_word_queued(uint64_t word)
{
	return word & RESV_QUEUED;
}

static inline uint32_t resv_word_generation(uint64_t word)
{
	return (uint32_t)(word >> 4) & RESV_GENERATION_MASK;
}

static inline uint32_t resv_word_who(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

/* Does the word say that @entry holds (fast path), or, in SLOW, that it is about to join? */
static inline bool resv_word_names(uint64_t word, uint32_t entry)
{
	switch (resv_word_mode(word)) {
	case RESV_EXCLUSIVE:
		return resv_word_who(word) == entry;
	case RESV_SHARED:
		return entry < RESV_FAST_READERS && (resv_word_who(word) >> entry & 1);
	case RESV_SLOW:
		return resv_word_queued(word) && resv_word_who(word) == entry;
	default:
		return false;
	}
}

/* The word after @entry took it by the fast path; 0 (which is no such word) if it cannot. */
static inline uint64_t resv_word_take(uint64_t word, uint32_t entry, bool write)
{
	enum resv_mode mode = resv_word_mode(word);
	uint32_t generation = resv_word_generation(word);

	if (resv_word_queued(word))
		return 0;
	if (write)
		return mode == RESV_FREE ? resv_word(RESV_EXCLUSIVE, generation, entry) : 0;
	if (entry >= RESV_FAST_READERS)
		return 0;
	if (mode == RESV_FREE)
		return resv_word(RESV_SHARED, generation, 1u << entry);
	if (mode == RESV_SHARED)
		return word | (uint64_t)(1u << entry) << 32;
	return 0;
}

/* The word after @entry, which it names by the fast path, gave it back. */
static inline uint64_t resv_word_put(uint64_t word, uint32_t entry)
{
	uint32_t generation = resv_word_generation(word), others;

	if (resv_word_mode(word) == RESV_EXCLUSIVE)
		return resv_word(RESV_FREE, generation, 0);
	others = resv_word_who(word) & ~(1u << entry);
	return others ? resv_word(RESV_SHARED, generation, others) | (word & RESV_WATCHED)
		      : resv_word(RESV_FREE, generation, 0);
}

/* An entry's word. */
enum resv_state {
	RESV_GONE = 0,	  /* nobody's; may be claimed (fresh memory is that) */
	RESV_IDLE = 1,	  /* owned by a client, says nothing */
	RESV_ARMED = 2,	  /* complete; a hold only if the state word names it */
	RESV_WAITING = 3, /* in the queue */
	RESV_GRANTED = 4, /* a hold */
	RESV_DRAINING =
		5,	 /* lost to the lease, but a device may still touch the memory: it blocks */
	RESV_BROKEN = 6, /* lost to the lease; out of use until its owner noticed or died */
	RESV_TORN = 7,	 /* nobody's; says that a writer did not finish */
};

#define RESV_WRITE 8ull
#define RESV_DEVICE 16ull
/*
 * BROKEN or DRAINING, and a writer: whoever is granted next is to be told. GRANTED: the content was
 * torn when this was granted; read the entries to see by whom.
 */
#define RESV_TEARS 32ull
/* In the queue, and somebody sleeps on the word, its owner perhaps: a change must wake them. */
#define RESV_ASLEEP 64ull
/* It belongs to the object's lock, not to the access to the memory. */
#define RESV_LOCK 128ull
/* What somebody wants: these bits make a kind. */
#define RESV_KIND (RESV_WRITE | RESV_DEVICE | RESV_LOCK)

#define RESV_SLOT_SHIFT 8
#define RESV_SLOT_MASK 63u
#define RESV_TICKET_SHIFT 14
#define RESV_TICKET_MASK 0xffffffu
#define RESV_AGE_SHIFT 38
#define RESV_AGE_MASK 0x3ffffffu

static inline enum resv_state resv_state(uint64_t entry)
{
	return (enum resv_state)(entry & 7);
}

static inline uint32_t resv_slot(uint64_t entry)
{
	return (uint32_t)(entry >> RESV_SLOT_SHIFT) & RESV_SLOT_MASK;
}

static inline uint32_t resv_ticket(uint64_t entry)
{
	return (uint32_t)(entry >> RESV_TICKET_SHIFT) & RESV_TICKET_MASK;
}

static inline uint32_t resv_age(uint64_t entry)
{
	return (uint32_t)(entry >> RESV_AGE_SHIFT) & RESV_AGE_MASK;
}

static inline uint64_t resv_entry(enum resv_state state, uint64_t kind, uint32_t slot, uint32_t age)
{
	return (uint64_t)state | kind | (uint64_t)(slot & RESV_SLOT_MASK) << RESV_SLOT_SHIFT |
	       (uint64_t)(age & RESV_AGE_MASK) << RESV_AGE_SHIFT;
}

static inline uint64_t resv_with_state(uint64_t entry, enum resv_state state)
{
	return (entry & ~(7ull | RESV_ASLEEP)) | (uint64_t)state;
}

static inline uint64_t resv_with_ticket(uint64_t entry, uint32_t generation)
{
	return (entry & ~((uint64_t)RESV_TICKET_MASK << RESV_TICKET_SHIFT)) |
	       (uint64_t)(generation & RESV_TICKET_MASK) << RESV_TICKET_SHIFT;
}

/* Out of the queue and older: nobody who saw it before mistakes it for what it was. */
static inline uint64_t resv_entry_ended(uint64_t entry, enum resv_state state)
{
	return resv_entry(state, entry & RESV_LOCK, resv_slot(entry), resv_age(entry) + 1);
}

static inline bool resv_in_queue(uint64_t entry)
{
	return resv_state(entry) >= RESV_WAITING && resv_state(entry) <= RESV_DRAINING;
}

static inline bool resv_is_write(uint64_t entry)
{
	return entry & RESV_WRITE;
}

static inline bool resv_is_torn(uint64_t entry)
{
	return resv_state(entry) == RESV_TORN ||
	       ((entry & RESV_TEARS) &&
		(resv_state(entry) == RESV_BROKEN || resv_state(entry) == RESV_DRAINING));
}

/* Tickets wrap. Is @a before @b in the queue? */
static inline bool resv_before(uint32_t a, uint32_t b)
{
	uint32_t distance = (b - a) & RESV_TICKET_MASK;

	return distance > 0 && distance <= RESV_TICKET_MASK / 2;
}

/* What is left when an entry was lost to its lease. */
static inline uint64_t resv_lost(uint64_t entry)
{
	return (resv_with_state(entry, entry & RESV_DEVICE ? RESV_DRAINING : RESV_BROKEN) &
		~RESV_TEARS) |
	       ((entry & (RESV_WRITE | RESV_LOCK)) == RESV_WRITE ? RESV_TEARS : 0);
}

/* Did its owner's death leave the content torn? Only a writer that held can have torn it. */
static inline bool resv_tore(uint64_t entry)
{
	return !(entry & RESV_LOCK) &&
	       ((resv_state(entry) == RESV_GRANTED && resv_is_write(entry)) || resv_is_torn(entry));
}

/* What recovery makes of a dead owner's entry. */
static inline uint64_t resv_remains(uint64_t entry)
{
	return resv_entry_ended(entry, resv_tore(entry) ? RESV_TORN : RESV_GONE);
}

/* The content is answered for. */
static inline uint64_t resv_answered(uint64_t entry)
{
	return resv_state(entry) == RESV_TORN ? resv_entry_ended(entry, RESV_GONE)
					      : entry & ~RESV_TEARS;
}

/* What a settled announcement makes of the armed entry that the word names. */
static inline uint64_t resv_settled(uint64_t word, uint64_t entry)
{
	return resv_with_ticket(resv_with_state(entry, resv_word_mode(word) == RESV_SLOW
							       ? RESV_WAITING
							       : RESV_GRANTED),
				resv_word_generation(word));
}

#endif
