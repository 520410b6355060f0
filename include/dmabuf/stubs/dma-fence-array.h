/* SPDX-License-Identifier: MIT */
/* <dmabuf/dma-fence-array.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_DMA_FENCE_ARRAY_H
#define DMABUF_STUBS_DMA_FENCE_ARRAY_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_fence_array *dma_fence_array_create(int num_fences,
							     struct dma_fence **fences,
							     uint64_t context, unsigned int seqno,
							     bool signal_on_any)
{
	errno = ENODEV;
	return NULL;
}

static inline bool dma_fence_is_array(const struct dma_fence *fence)
{
	return false;
}

static inline struct dma_fence_array *dma_fence_to_array(struct dma_fence *fence)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_fence_array_first(struct dma_fence *head)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_fence_array_next(struct dma_fence *head, unsigned int index)
{
	errno = ENODEV;
	return NULL;
}

#pragma GCC diagnostic pop
#endif
