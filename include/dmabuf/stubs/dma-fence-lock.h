/* SPDX-License-Identifier: MIT */
/* <dmabuf/dma-fence-lock.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_DMA_FENCE_LOCK_H
#define DMABUF_STUBS_DMA_FENCE_LOCK_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline void dma_fence_lock_init(struct dma_fence_lock *lock)
{
}

static inline void dma_fence_lock_lock(struct dma_fence_lock *lock)
{
}

static inline bool dma_fence_lock_trylock(struct dma_fence_lock *lock)
{
	return false;
}

static inline void dma_fence_lock_unlock(struct dma_fence_lock *lock)
{
}

#pragma GCC diagnostic pop
#endif
