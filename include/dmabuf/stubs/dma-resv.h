/* SPDX-License-Identifier: MIT */
/* <dmabuf/dma-resv.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_DMA_RESV_H
#define DMABUF_STUBS_DMA_RESV_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline enum dma_resv_usage dma_resv_usage_rw(bool write)
{
	return DMA_RESV_USAGE_KERNEL;
}

static inline struct dmabuf_ww_class *dma_resv_ww_class(void)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_resv_init(struct dma_resv *obj)
{
}

static inline void dma_resv_fini(struct dma_resv *obj)
{
}

static inline int dma_resv_lock(struct dma_resv *obj, struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline int dma_resv_lock_interruptible(struct dma_resv *obj,
					      struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline int dma_resv_lock_slow(struct dma_resv *obj, struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline int dma_resv_lock_slow_interruptible(struct dma_resv *obj,
						   struct dmabuf_ww_acquire_ctx *ctx)
{
	return -ENODEV;
}

static inline bool dma_resv_trylock(struct dma_resv *obj)
{
	return false;
}

static inline int dma_resv_unlock(struct dma_resv *obj)
{
	return -ENODEV;
}

static inline bool dma_resv_is_locked(const struct dma_resv *obj)
{
	return false;
}

static inline int dma_resv_assert_held(const struct dma_resv *obj)
{
	return -ENODEV;
}

static inline struct dmabuf_ww_acquire_ctx *dma_resv_locking_ctx(const struct dma_resv *obj)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_resv_reserve_fences(struct dma_resv *obj, unsigned int num_fences)
{
	return -ENODEV;
}

static inline int dma_resv_add_fence(struct dma_resv *obj, struct dma_fence *fence,
				     enum dma_resv_usage usage)
{
	return -ENODEV;
}

static inline void dma_resv_replace_fences(struct dma_resv *obj, uint64_t context,
					   struct dma_fence *replacement, enum dma_resv_usage usage)
{
}

static inline int dma_resv_copy_fences(struct dma_resv *dst, struct dma_resv *src)
{
	return -ENODEV;
}

static inline int dma_resv_get_fences(struct dma_resv *obj, enum dma_resv_usage usage,
				      unsigned int *num_fences, struct dma_fence ***fences)
{
	return -ENODEV;
}

static inline int dma_resv_get_singleton(struct dma_resv *obj, enum dma_resv_usage usage,
					 struct dma_fence **fence)
{
	return -ENODEV;
}

static inline long dma_resv_wait_timeout(struct dma_resv *obj, enum dma_resv_usage usage, bool intr,
					 long timeout)
{
	return -ENODEV;
}

static inline bool dma_resv_test_signaled(struct dma_resv *obj, enum dma_resv_usage usage)
{
	return false;
}

static inline int dma_resv_describe(struct dma_resv *obj, char *text, size_t size)
{
	return -ENODEV;
}

static inline void dma_resv_iter_begin(struct dma_resv_iter *cursor, struct dma_resv *obj,
				       enum dma_resv_usage usage)
{
}

static inline void dma_resv_iter_end(struct dma_resv_iter *cursor)
{
}

static inline struct dma_fence *dma_resv_iter_first(struct dma_resv_iter *cursor)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_resv_iter_next(struct dma_resv_iter *cursor)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_resv_iter_first_unlocked(struct dma_resv_iter *cursor)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_fence *dma_resv_iter_next_unlocked(struct dma_resv_iter *cursor)
{
	errno = ENODEV;
	return NULL;
}

static inline enum dma_resv_usage dma_resv_iter_usage(const struct dma_resv_iter *cursor)
{
	return DMA_RESV_USAGE_KERNEL;
}

static inline bool dma_resv_iter_is_restarted(const struct dma_resv_iter *cursor)
{
	return false;
}

#pragma GCC diagnostic pop
#endif
