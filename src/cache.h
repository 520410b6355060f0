/* SPDX-License-Identifier: MIT */
/*
 * Maintenance of the CPU's caches by the instructions that programs may use.
 */
#ifndef DMABUF_SRC_CACHE_H
#define DMABUF_SRC_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include <dmabuf/dma-buf.h>

/* Whether this CPU offers them. */
bool cache_supported(void);

/* Bytes in a line; a power of two. */
size_t cache_line_size(void);

/*
 * One operation on every line that [addr, addr + len) touches. Where the CPU lets programs only
 * write back and drop, an invalidate does that. 0 or -EOPNOTSUPP.
 */
int cache_sync(enum dma_buf_cache_op op, void *addr, size_t len);

#endif
