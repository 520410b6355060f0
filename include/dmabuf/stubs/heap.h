/* SPDX-License-Identifier: MIT */
/* <dmabuf/heap.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_HEAP_H
#define DMABUF_STUBS_HEAP_H

#include <errno.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline int dma_buf_heap_list(struct dma_buf_heap_info *heaps, unsigned int max)
{
	return -ENODEV;
}

static inline int dma_buf_heap_alloc(const char *heap, const char *name, uint64_t size)
{
	return -ENODEV;
}

static inline int dma_buf_register_heap(const struct dma_buf_heap_ops *ops)
{
	return -ENODEV;
}

static inline int dma_buf_unregister_heap(const char *name)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
