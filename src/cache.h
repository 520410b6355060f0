/* SPDX-License-Identifier: MIT */
/**
 * DOC: cache maintenance
 *
 * The CPU's own instructions, as far as an unprivileged process may use them: for buffers whose
 * exporter brings no cache_sync of its own. They reach every cache of the coherent domain, of all
 * processors, so it does not matter which process or processor runs them.
 */
#ifndef DMABUF_SRC_CACHE_H
#define DMABUF_SRC_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include <dmabuf/dma-buf.h>

/* Whether cache_sync() can do anything on this processor. */
bool cache_supported(void);

/* Bytes in a line, a power of two; 64 where the processor does not say. */
size_t cache_line_size(void);

/*
 * Maintain the lines that [@addr, @addr + @len) touches, in memory that is mapped. When it returns,
 * devices see what it wrote back. Dropping dirty lines unwritten is for the privileged, so
 * DMA_BUF_CACHE_INVALIDATE is carried out as DMA_BUF_CACHE_FLUSH; where all lines are clean, as
 * coherency.c sees to, both are the same. 0; -EINVAL; -EOPNOTSUPP. Async-signal-safe on success.
 */
int cache_sync(enum dma_buf_cache_op op, void *addr, size_t len);

#endif
