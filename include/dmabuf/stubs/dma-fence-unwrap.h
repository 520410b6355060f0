/* SPDX-License-Identifier: MIT */
/* <dmabuf/dma-fence-unwrap.h> with DMABUF_DISABLED (mission row A7): nothing here claims success.
 */
#ifndef DMABUF_STUBS_DMA_FENCE_UNWRAP_H
#define DMABUF_STUBS_DMA_FENCE_UNWRAP_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_fence *dma_fence_unwrap_first(struct dma_fence *head,
						       struct dma_fence_unwrap *cursor)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_fence_unwrap_next(struct dma_fence_unwrap *cursor)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_fence_unwrap_end(struct dma_fence_unwrap *cursor)
{
}

static inline struct dma_fence *dma_fence_unwrap_merge_array(unsigned int num_fences,
							     struct dma_fence **fences)
{
	errno = ENODEV;
	return NULL;
}

#pragma GCC diagnostic pop
#endif
