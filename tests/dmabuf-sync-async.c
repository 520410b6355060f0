// SPDX-License-Identifier: MIT
/* Locks that are asked for now and taken over later. */
#include "async.h"

TEST(D7_what_is_free_is_granted_at_once)
{
	struct dma_buf *dmabuf = buffer_new_test();
	struct dmabuf_sync *sync = sync_of(dmabuf, DMA_BUF_ACCESS_W);
	struct dma_fence *fence;

	ASSERT_OK(dmabuf_sync_lock_async(sync, 1000, &fence));
	ASSERT_EQ(dma_fence_get_status(fence), 1);
	ASSERT(!dmabuf_sync_is_locked(sync));
	ASSERT_OK(dmabuf_sync_lock_finish(sync));
	ASSERT(dmabuf_sync_is_locked(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dma_fence_put(fence);
	sync_end(sync, dmabuf);
}

TEST(D7_the_fence_is_signalled_when_the_holder_unlocks)
{
	struct dma_buf *dmabuf = buffer_new_test();
	struct dmabuf_sync *first = sync_of(dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *second = sync_of(dmabuf, DMA_BUF_ACCESS_R);
	struct dma_fence *fence;

	ASSERT_OK(dmabuf_sync_lock(first));
	ASSERT_OK(dmabuf_sync_lock_async(second, 20000, &fence));
	ASSERT_ERR(dmabuf_sync_lock_finish(second), EAGAIN);
	ASSERT_EQ(dma_fence_get_status(fence), 0);
	ASSERT_OK(dmabuf_sync_unlock(first));
	ASSERT(dma_fence_wait_timeout(fence, false, 20000) > 0);
	ASSERT_ERR(dmabuf_sync_trylock(first), EBUSY);
	ASSERT_OK(dmabuf_sync_lock_finish(second));
	ASSERT_OK(dmabuf_sync_unlock(second));
	dma_fence_put(fence);
	dmabuf_sync_fini(first);
	sync_end(second, dmabuf);
}
