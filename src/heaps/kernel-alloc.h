/* SPDX-License-Identifier: MIT */
#ifndef DMABUF_SRC_HEAPS_KERNEL_ALLOC_H
#define DMABUF_SRC_HEAPS_KERNEL_ALLOC_H

#include <stdint.h>

/* From "udmabuf" or "dma_heap/NAME". A dma-buf, close-on-exec, or -errno with words. */
int kernel_heap_alloc(const char *heap, const char *name, uint64_t size);

/*
 * A kernel dma-buf of @size bytes at @offset, whole pages, of @memfd, which is sealed against
 * shrinking and not against writing; no byte is copied. @flags: O_CLOEXEC or 0. A descriptor or
 * -errno with words.
 */
int kernel_udmabuf(int memfd, uint64_t offset, uint64_t size, int flags);

#endif
