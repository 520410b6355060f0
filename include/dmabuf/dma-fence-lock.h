/* SPDX-License-Identifier: MIT */
/**
 * DOC: the lock of fences
 *
 * What the kernel's spinlock is to fences: a driver owns one, and the fences of one context share
 * it. It is four bytes that can be anywhere in memory, spins for a moment and then sleeps.
 *
 * Signalling a fence can bring about more work (an array or a chain that waited for it is complete
 * now). That work takes other fences' locks, so it runs when the thread has given back the last of
 * the locks of this kind that it holds.
 */
#ifndef DMABUF_DMA_FENCE_LOCK_H
#define DMABUF_DMA_FENCE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct dma_fence_lock - a lock within one process (kernel: spinlock_t)
 * @word: 0: free; 1: held; 2: held and somebody sleeps. For the library only.
 */
struct dma_fence_lock {
	uint32_t word;
};

/**
 * struct dma_fence_work - work that is put off until no lock is held; for the library only
 * @next: what runs after it
 * @func: what to do
 */
struct dma_fence_work {
	struct dma_fence_work *next;
	void (*func)(struct dma_fence_work *work);
};

/** DMA_FENCE_LOCK_INIT - a free lock, as an initializer */
/* clang-format off */
#define DMA_FENCE_LOCK_INIT { 0 }
/* clang-format on */

#ifndef DMABUF_DISABLED
/**
 * dma_fence_lock_init - a free lock
 * @lock: the lock
 *
 * There is nothing to undo. Never blocks.
 */
void dma_fence_lock_init(struct dma_fence_lock *lock);

/**
 * dma_fence_lock_lock - take the lock
 * @lock: the lock; not held by this thread
 *
 * Blocks until whoever holds it gives it back.
 */
void dma_fence_lock_lock(struct dma_fence_lock *lock);

/**
 * dma_fence_lock_trylock - take the lock if it is free
 * @lock: the lock
 *
 * Return: true: this thread holds it now. Never blocks.
 */
bool dma_fence_lock_trylock(struct dma_fence_lock *lock);

/**
 * dma_fence_lock_unlock - give the lock back
 * @lock: the lock; held by this thread
 *
 * If this was the last such lock of the thread, work that was left over from signalling runs here,
 * callbacks of arrays and chains among it. Makes no system call if nobody sleeps.
 */
void dma_fence_lock_unlock(struct dma_fence_lock *lock);
#else
#include <dmabuf/stubs/dma-fence-lock.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
