/* SPDX-License-Identifier: MIT */
/* <dmabuf/dma-fence-chain.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_DMA_FENCE_CHAIN_H
#define DMABUF_STUBS_DMA_FENCE_CHAIN_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_fence_chain *dma_fence_chain_alloc(void)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_fence_chain_free(struct dma_fence_chain *chain)
{
}

static inline void dma_fence_chain_init(struct dma_fence_chain *chain, struct dma_fence *prev,
					struct dma_fence *fence, uint64_t seqno)
{
}

static inline bool dma_fence_is_chain(const struct dma_fence *fence)
{
	return false;
}

static inline struct dma_fence_chain *dma_fence_to_chain(struct dma_fence *fence)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_fence_chain_contained(struct dma_fence *fence)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_fence_chain_walk(struct dma_fence *fence)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_fence_chain_find_seqno(struct dma_fence **pfence, uint64_t seqno)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
