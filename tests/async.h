/* SPDX-License-Identifier: MIT */
/* What tests of asynchronous locks share. */
#ifndef DMABUF_TEST_ASYNC_H
#define DMABUF_TEST_ASYNC_H

#include "fence.h"
#include "sync.h"

/* How the fence ended: 1, or its error. It ends within 20 s. */
static inline int fence_result(struct dma_fence *fence)
{
	if (dma_fence_wait_timeout(fence, false, 20000) <= 0)
		FAIL("the fence was not signalled");
	return dma_fence_get_status(fence);
}

/* Begin, and say so with a fence. */
static inline struct dma_fence *ask(struct dmabuf_sync *sync, long timeout_ms)
{
	struct dma_fence *fence = NULL;
	int err = dmabuf_sync_lock_async(sync, timeout_ms, &fence);

	if (err)
		FAIL("an asynchronous lock: %s", dmabuf_last_error());
	ASSERT(fence);
	return fence;
}

/* The fence has ended with @want, and goes. */
static inline void ends(struct dma_fence *fence, int want)
{
	ASSERT_EQ(fence_result(fence), want);
	dma_fence_put(fence);
}

static inline void still_waits(struct dma_fence *fence)
{
	ASSERT_EQ(dma_fence_get_status(fence), 0);
}

/* A writer takes it over as soon as it is granted. */
static inline void take(struct dmabuf_sync *sync, struct dma_fence *fence)
{
	ends(fence, 1);
	ASSERT_OK(dmabuf_sync_lock_finish(sync));
}

#endif
