/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_FENCE_WORD_H
#define DMABUF_SRC_FENCE_WORD_H

#include <dmabuf/dma-fence.h>

/* Where waiters sleep: the half of dma_fence.flags that has the library's bits. */
static inline uint32_t *fence_word(struct dma_fence *fence)
{
	uint32_t *halves = (uint32_t *)(void *)&fence->flags;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return halves + sizeof(fence->flags) / sizeof(*halves) - 1;
#else
	return halves;
#endif
}

#endif
