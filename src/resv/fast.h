/* SPDX-License-Identifier: MIT */
/*
 * The fast path: one compare-and-swap takes a buffer and one gives it back, with no clock, no
 * system call and no lock. The entry is complete before, and only describes.
 */
#ifndef DMABUF_RESV_FAST_H
#define DMABUF_RESV_FAST_H

#include "resv/resv.h"

/* The entry is complete before any word can name it. */
static inline __attribute__((always_inline)) void resv_arm(struct resv_hold *h, uint64_t kind)
{
	_Atomic(uint64_t) *holds = &h->shared->holds;
	uint64_t armed = h->plain | RESV_ARMED | kind;

	if (h->armed != armed) {
		h->armed = armed;
		h->kind = kind;
		atomic_store_explicit(&h->shared->word, armed, memory_order_release);
	}
	/* Nobody else writes it. */
	atomic_store_explicit(holds, atomic_load_explicit(holds, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/*
 * Take it with @kind (RESV_WRITE, RESV_DEVICE) if nothing is in the way. True: we have it. That the
 * word is as we left it is a good guess, and costs no load; if it is wrong, the first
 * compare-and-swap says what it is.
 */
static inline __attribute__((always_inline)) bool resv_take_word(struct resv_hold *h, uint64_t kind)
{
	uint64_t word = h->word, next = resv_word_take(word, h->entry, kind & RESV_WRITE);

	if (!h->shared)
		return false;
	resv_arm(h, kind);
	if (!next) {
		word = atomic_load_explicit(&h->state->word, memory_order_relaxed);
		next = resv_word_take(word, h->entry, kind & RESV_WRITE);
	}
	while (next) {
		if (atomic_compare_exchange_strong_explicit(&h->state->word, &word, next,
							    memory_order_acq_rel,
							    memory_order_relaxed)) {
			h->word = next;
			h->taken = true;
			return true;
		}
		next = resv_word_take(word, h->entry, kind & RESV_WRITE);
	}
	return false;
}

/* The same, unless it was contended lately: then the run tokens have a say first. */
static inline __attribute__((always_inline)) bool resv_take(struct resv_hold *h, uint64_t kind)
{
	return !h->token && resv_take_word(h, kind);
}

/* Give back what resv_take() took, if nobody froze the word since. True: done. */
static inline __attribute__((always_inline)) bool resv_put(struct resv_hold *h)
{
	uint64_t word = h->word, next;

	if (!h->taken)
		return false;
	do {
		next = resv_word_put(word, h->entry);
		if (atomic_compare_exchange_strong_explicit(&h->state->word, &word, next,
							    memory_order_acq_rel,
							    memory_order_relaxed)) {
			h->word = next;
			h->taken = false;
			return true;
		}
	} while (!resv_word_queued(word) && resv_word_mode(word) != RESV_SLOW &&
		 resv_word_names(word, h->entry));
	return false;
}

#endif
