/* SPDX-License-Identifier: MIT */
/*
 * The fast path: one compare-and-swap takes a buffer and one gives it back, with no clock, no
 * system call and no lock. The entry is complete before, and only describes.
 */
#ifndef DMABUF_RESV_FAST_H
#define DMABUF_RESV_FAST_H

#include "resv/resv.h"

/* One hold more. Nobody else writes it. */
static inline __attribute__((always_inline)) void resv_count(struct shm_resv_entry *shared)
{
	atomic_store_explicit(&shared->holds,
			      atomic_load_explicit(&shared->holds, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* The entry is complete before any word can name it. */
static inline __attribute__((always_inline)) void resv_arm(struct resv_hold *h, uint64_t kind)
{
	uint64_t armed = h->plain | RESV_ARMED | kind;

	if (h->armed != armed) {
		h->armed = armed;
		h->kind = kind;
		h->after = 0;
		atomic_store_explicit(&h->shared->word, armed, memory_order_release);
	}
	resv_count(h->shared);
}

/* By what the word is. For when it was not as we left it. */
bool resv_take_found(struct resv_hold *h);
bool resv_put_found(struct resv_hold *h);

/*
 * Take it with @kind (RESV_WRITE, RESV_DEVICE) if nothing is in the way. True: we have it. That the
 * word is as we left it is a good guess, and costs neither a load nor any arithmetic.
 */
static inline __attribute__((always_inline)) bool resv_take_word(struct resv_hold *h, uint64_t kind)
{
	uint64_t word;

	if (!h->shared)
		return false;
	resv_arm(h, kind);
	word = h->before;
	if (!h->after ||
	    !atomic_compare_exchange_strong_explicit(&h->state->word, &word, h->after,
						     memory_order_acq_rel, memory_order_relaxed))
		return resv_take_found(h);
	atomic_store_explicit(&h->taken, true, memory_order_relaxed);
	return true;
}

/* The same, unless it was contended lately: then others may have the CPU first. */
static inline __attribute__((always_inline)) bool resv_take(struct resv_hold *h, uint64_t kind)
{
	return !h->contended && resv_take_word(h, kind);
}

/*
 * Take it with the kind of the latest access, if the word is as we left it and was not contended
 * lately; the entry is armed then. False: nothing happened. Neither a call nor a store comes before
 * the atomic operation, which would have to wait for it.
 */
static inline __attribute__((always_inline)) bool resv_take_again(struct resv_hold *h)
{
	uint64_t word = h->before, next = h->after;

	if (h->contended || !next ||
	    !atomic_compare_exchange_strong_explicit(&h->state->word, &word, next,
						     memory_order_acq_rel, memory_order_relaxed))
		return false;
	resv_count(h->shared);
	atomic_store_explicit(&h->taken, true, memory_order_relaxed);
	return true;
}

/* The same for giving back. */
static inline __attribute__((always_inline)) bool resv_put_again(struct resv_hold *h)
{
	uint64_t word = h->after;

	if (!atomic_load_explicit(&h->taken, memory_order_relaxed) ||
	    !atomic_compare_exchange_strong_explicit(&h->state->word, &word, h->before,
						     memory_order_acq_rel, memory_order_relaxed))
		return false;
	atomic_store_explicit(&h->taken, false, memory_order_relaxed);
	return true;
}

/* Give back what resv_take() took, if nobody froze the word since. True: done. */
static inline __attribute__((always_inline)) bool resv_put(struct resv_hold *h)
{
	if (resv_put_again(h))
		return true;
	return atomic_load_explicit(&h->taken, memory_order_relaxed) && resv_put_found(h);
}

#endif
