/* SPDX-License-Identifier: MIT */
/* What tests of asynchronous locks share. */
#ifndef DMABUF_TEST_ASYNC_H
#define DMABUF_TEST_ASYNC_H

#include <dmabuf.h>

#include <fcntl.h>

#include "fence.h"
#include "harness.h"
#include "peer.h"

#define SYNC_TEST_SIZE 8192

static inline struct dma_buf *buffer_new_test(void)
{
	struct dma_buf *dmabuf = dma_buf_alloc("frame", SYNC_TEST_SIZE, O_RDWR);

	if (!dmabuf)
		FAIL("%s", dmabuf_last_error());
	return dmabuf;
}

static inline struct dmabuf_sync *sync_named(const char *name, struct dma_buf *dmabuf,
					     unsigned int type)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, name);

	ASSERT(sync);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, type));
	return sync;
}

static inline struct dmabuf_sync *sync_of(struct dma_buf *dmabuf, unsigned int type)
{
	return sync_named("test", dmabuf, type);
}

/* The object and the caller's reference to its buffer. */
static inline void sync_end(struct dmabuf_sync *sync, struct dma_buf *dmabuf)
{
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

static inline bool fence_ended(void *arg)
{
	return dma_fence_is_signaled(arg);
}

/* How the fence ended: 1, or its error. It ends within 20 s. */
static inline int fence_result(struct dma_fence *fence)
{
	if (dma_fence_wait_timeout(fence, false, 20000) <= 0)
		FAIL("the fence was not signalled");
	return dma_fence_get_status(fence);
}

#endif
