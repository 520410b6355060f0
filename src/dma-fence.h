/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_DMA_FENCE_H
#define DMABUF_SRC_DMA_FENCE_H

#include <dmabuf/dma-fence.h>

#include "dma-fence-lock.h"

#define FENCE_SIGNALED (1ul << DMA_FENCE_FLAG_SIGNALED_BIT)
#define FENCE_TIMESTAMP (1ul << DMA_FENCE_FLAG_TIMESTAMP_BIT)
#define FENCE_WATCHED (1ul << DMA_FENCE_FLAG_ENABLE_SIGNAL_BIT)

/* The library ended it: its error stands. A bit below those of drivers. */
#define FENCE_TIMED_OUT (1ul << 3)

/* Begin to watch, with the fence's lock held. false: it is signalled. */
bool fence_watch_locked(struct dma_fence *fence);

/*
 * How the fence is going to end, told before it is signalled, by ops->signaled for example: 1 or an
 * error, and when. Several threads may say the same at a time; no lock is needed.
 */
void fence_decide(struct dma_fence *fence, int status, int64_t timestamp);

/* Signal it with -ETIMEDOUT. false: it is signalled already. */
bool fence_time_out(struct dma_fence *fence);

/* A stub of one's own, signalled at @timestamp. NULL with errno ENOMEM. */
struct dma_fence *fence_private_stub(int64_t timestamp);

#endif
