/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_POOL_H
#define DMABUF_POOL_H

#include <stddef.h>

#include <dmabuf/dma-buf.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dma_buf_pool;

#ifndef DMABUF_DISABLED
/**
 * dma_buf_pool_create - buffers of one size that are used again, still mapped
 * @name: as in dma_buf_alloc(), given to each buffer
 * @size: bytes of each buffer
 * @max: buffers kept at most, 1 to 4096
 *
 * A buffer whose descriptor left the library (dma_buf_fd(), dma_buf_send(), dma_buf_payload_fd())
 * is never used again, because another process may still have it mapped; it is dropped instead. So
 * content stays within one owner, and a recycled buffer is not zeroed.
 *
 * Return: a pool; NULL with errno EINVAL, ENAMETOOLONG, EFBIG, ENOMEM. Never blocks. Row B4.
 */
struct dma_buf_pool *dma_buf_pool_create(const char *name, size_t size, unsigned int max);

/**
 * dma_buf_pool_destroy - drop the kept buffers and the pool; buffers in use stay their users'
 * @pool: the pool; NULL is ignored
 */
void dma_buf_pool_destroy(struct dma_buf_pool *pool);

/**
 * dma_buf_pool_get - a buffer: a kept one, else a new one
 * @pool: the pool
 *
 * Return: a handle with one reference, mapped; NULL as dma_buf_alloc(). Blocks only for a new one.
 */
struct dma_buf *dma_buf_pool_get(struct dma_buf_pool *pool);

/**
 * dma_buf_pool_put - give a buffer back
 * @pool: the pool
 * @dmabuf: the buffer, with the one reference of dma_buf_pool_get(); NULL is ignored
 *
 * Kept if nobody else can have it, nothing is attached and there is room, else dropped.
 */
void dma_buf_pool_put(struct dma_buf_pool *pool, struct dma_buf *dmabuf);
#else
#include <dmabuf/stubs/pool.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
