/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_DMA_FENCE_H
#define DMABUF_SRC_DMA_FENCE_H

#include <dmabuf/dma-fence.h>

#include "dma-fence-lock.h"

#define FENCE_SIGNALED (1ul << DMA_FENCE_FLAG_SIGNALED_BIT)
#define FENCE_TIMESTAMP (1ul << DMA_FENCE_FLAG_TIMESTAMP_BIT)
#define FENCE_WATCHED (1ul << DMA_FENCE_FLAG_ENABLE_SIGNAL_BIT)

/* Begin to watch, with the fence's lock held. false: it is signalled. */
bool fence_watch_locked(struct dma_fence *fence);

/* A stub of one's own, signalled at @timestamp. NULL with errno ENOMEM. */
struct dma_fence *fence_private_stub(int64_t timestamp);

#endif
