/* SPDX-License-Identifier: MIT */
/* <dmabuf/dmabuf-sync-async.h> with DMABUF_DISABLED (mission row A7): nothing here claims success.
 */
#ifndef DMABUF_STUBS_DMABUF_SYNC_ASYNC_H
#define DMABUF_STUBS_DMABUF_SYNC_ASYNC_H

#include <errno.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline int dmabuf_sync_lock_async(struct dmabuf_sync *sync, long timeout_ms,
					 struct dma_fence **fence)
{
	return -ENODEV;
}

static inline int dmabuf_sync_lock_after(struct dmabuf_sync *sync, struct dma_fence **after,
					 unsigned int num_after, long timeout_ms,
					 struct dma_fence **fence)
{
	return -ENODEV;
}

static inline int dmabuf_sync_lock_finish(struct dmabuf_sync *sync)
{
	return -ENODEV;
}

static inline int dmabuf_sync_cancel(struct dmabuf_sync *sync)
{
	return -ENODEV;
}

static inline int dmabuf_sync_fd(struct dmabuf_sync *sync)
{
	return -ENODEV;
}

static inline int dmabuf_sync_set_claim(struct dmabuf_sync *sync, unsigned int claim_ms)
{
	return -ENODEV;
}

static inline int dmabuf_sync_unlock_fence(struct dmabuf_sync *sync, struct dma_fence *fence)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
