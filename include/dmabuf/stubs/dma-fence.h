/* SPDX-License-Identifier: MIT */
/* <dmabuf/dma-fence.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_DMA_FENCE_H
#define DMABUF_STUBS_DMA_FENCE_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline void dma_fence_init(struct dma_fence *fence, const struct dma_fence_ops *ops,
				  struct dma_fence_lock *lock, uint64_t context, uint64_t seqno)
{
}

static inline uint64_t dma_fence_context_alloc(unsigned int num)
{
	return 0;
}

static inline struct dma_fence *dma_fence_get(struct dma_fence *fence)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_fence_get_unless_zero(struct dma_fence *fence)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_fence_put(struct dma_fence *fence)
{
}

static inline void dma_fence_release(struct dma_fence *fence)
{
}

static inline void dma_fence_free(struct dma_fence *fence)
{
}

static inline int dma_fence_signal(struct dma_fence *fence)
{
	return -ENODEV;
}

static inline int dma_fence_signal_locked(struct dma_fence *fence)
{
	return -ENODEV;
}

static inline int dma_fence_signal_timestamp(struct dma_fence *fence, int64_t timestamp)
{
	return -ENODEV;
}

static inline int dma_fence_signal_timestamp_locked(struct dma_fence *fence, int64_t timestamp)
{
	return -ENODEV;
}

static inline int64_t dma_fence_timestamp(struct dma_fence *fence)
{
	return 0;
}

static inline int dma_fence_set_error(struct dma_fence *fence, int error)
{
	return -ENODEV;
}

static inline int dma_fence_set_timeout(struct dma_fence *fence, long timeout)
{
	return -ENODEV;
}

static inline int dma_fence_get_status(struct dma_fence *fence)
{
	return -ENODEV;
}

static inline int dma_fence_get_status_locked(struct dma_fence *fence)
{
	return -ENODEV;
}

static inline int dma_fence_add_callback(struct dma_fence *fence, struct dma_fence_cb *cb,
					 dma_fence_func_t func)
{
	return -ENODEV;
}

static inline bool dma_fence_remove_callback(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	return false;
}

static inline void dma_fence_enable_sw_signaling(struct dma_fence *fence)
{
}

static inline bool dma_fence_poll_signaled(struct dma_fence *fence, bool locked)
{
	return false;
}

static inline bool dma_fence_test_signaled_flag(const struct dma_fence *fence)
{
	return false;
}

static inline bool dma_fence_is_signaled(struct dma_fence *fence)
{
	return false;
}

static inline bool dma_fence_is_signaled_locked(struct dma_fence *fence)
{
	return false;
}

static inline bool dma_fence_seqno_is_later(uint64_t f1, uint64_t f2,
					    const struct dma_fence_ops *ops)
{
	return false;
}

static inline bool dma_fence_is_later(const struct dma_fence *f1, const struct dma_fence *f2)
{
	return false;
}

static inline struct dma_fence *dma_fence_later(struct dma_fence *f1, struct dma_fence *f2)
{
	errno = ENODEV;
	return NULL;
}

static inline long dma_fence_default_wait(struct dma_fence *fence, bool intr, long timeout)
{
	return -ENODEV;
}

static inline long dma_fence_wait_timeout(struct dma_fence *fence, bool intr, long timeout)
{
	return -ENODEV;
}

static inline long dma_fence_wait(struct dma_fence *fence, bool intr)
{
	return -ENODEV;
}

static inline long dma_fence_wait_any_timeout(struct dma_fence **fences, uint32_t count, bool intr,
					      long timeout, uint32_t *idx)
{
	return -ENODEV;
}

static inline struct dma_fence *dma_fence_get_stub(void)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_fence_allocate_private_stub(void)
{
	errno = ENODEV;
	return NULL;
}

static inline bool dma_fence_match_context(struct dma_fence *fence, uint64_t context)
{
	return false;
}

static inline int dma_fence_describe(struct dma_fence *fence, char *text, size_t size)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
