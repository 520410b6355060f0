/* SPDX-License-Identifier: MIT */
/*
 * The fast path: one compare-and-swap takes a buffer and one gives it back, with no clock, no
 * system call and no lock. The entry is complete before, and only describes.
 */
#ifndef DMABUF_RESV_FAST_H
#define DMABUF_RESV_FAST_H

#include "resv/resv.h"

/* The entry is complete before any word can name it. */
static inline void resv_arm(struct resv_hold *h, uint64_t kind)
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

/* Take it with @kind (RESV_WRITE, RESV_DEVICE) if nothing is in the way. True: we have it. */
static inline bool resv_take(struct resv_hold *h, uint64_t kind)
{
	uint64_t word, next;

	if (!h->shared)
		return false;
	word = atomic_load_explicit(&h->state->word, memory_order_relaxed);
	resv_arm(h, kind);
	do {
		next = resv_word_take(word, h->entry, kind & RESV_WRITE);
		if (!next)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&h->state->word, &word, next, memory_order_acq_rel, memory_order_relaxed));
	h->taken = next;
	return true;
}

/* Give back what resv_take() took, if nobody froze the word since. True: done. */
static inline bool resv_put(struct resv_hold *h)
{
	uint64_t word = h->taken;

	/* No word of a hold is 0; the word named us when we took it. */
	while (word && !resv_word_queued(word) && resv_word_mode(word) != RESV_SLOW &&
	       resv_word_names(word, h->entry)) {
		if (!atomic_compare_exchange_weak_explicit(
			    &h->state->word, &word, resv_word_put(word, h->entry),
			    memory_order_acq_rel, memory_order_relaxed))
			continue;
		h->taken = 0;
		return true;
	}
	return false;
}

#endif
