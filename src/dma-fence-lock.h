/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_DMA_FENCE_LOCK_H
#define DMABUF_SRC_DMA_FENCE_LOCK_H

#include <dmabuf/dma-fence-lock.h>
#include <dmabuf/dma-fence.h>

#include "futex.h"

/*
 * The lock without the work that waits for its release: for the library's own short sections, in
 * which nothing is signalled.
 */
void lock_word_sleep(struct dma_fence_lock *lock);

static inline void lock_word_take(struct dma_fence_lock *lock)
{
	uint32_t free_word = 0;

	if (!__atomic_compare_exchange_n(&lock->word, &free_word, 1, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		lock_word_sleep(lock);
}

static inline void lock_word_give(struct dma_fence_lock *lock)
{
	if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2)
		futex_wake(&lock->word, 1);
}

/*
 * Run @func(@work) in this thread as soon as it holds none of the fences' locks; called with one
 * held. A work item is queued once at a time.
 */
void fence_work_queue(struct dma_fence_work *work, void (*func)(struct dma_fence_work *work));

#endif
