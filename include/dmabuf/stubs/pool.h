/* SPDX-License-Identifier: MIT */
/* <dmabuf/pool.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_POOL_H
#define DMABUF_STUBS_POOL_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_buf_pool *dma_buf_pool_create(const char *name, size_t size,
						       unsigned int max)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_pool_destroy(struct dma_buf_pool *pool)
{
}

static inline struct dma_buf *dma_buf_pool_get(struct dma_buf_pool *pool)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_pool_put(struct dma_buf_pool *pool, struct dma_buf *dmabuf)
{
}

#pragma GCC diagnostic pop
#endif
