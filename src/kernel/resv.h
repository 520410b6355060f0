/* SPDX-License-Identifier: MIT */
/*
 * The reservation object of an adopted dma-buf and the kernel's: what the kernel has there is found
 * among the fences of ours.
 */
#ifndef DMABUF_SRC_KERNEL_RESV_H
#define DMABUF_SRC_KERNEL_RESV_H

#include <dmabuf/dma-resv.h>

#include "buffer.h"

/* Entries of these numbers are the kernel's: what it has of writers, and of all. */
#define KERNEL_RESV_FIRST 0x40000000u

/*
 * The kernel's next fence at *@entry (not below KERNEL_RESV_FIRST) or after it that is up to
 * @usage, with a reference; NULL: there is none. What this process put there for its own holds is
 * left out if there is nothing else.
 */
struct dma_fence *kernel_resv_next(struct buffer *b, enum dma_resv_usage usage, unsigned int *entry,
				   enum dma_resv_usage *is_for);

#endif
