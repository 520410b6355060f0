/* SPDX-License-Identifier: MIT */
/* The reservation object of a buffer: its lock and its fences are known to all that have it. */
#ifndef DMABUF_SRC_BUFFER_RESV_H
#define DMABUF_SRC_BUFFER_RESV_H

#include <dmabuf/dma-resv.h>

#include "ww-shared.h"

struct buffer_resv {
	struct dma_resv base;
	struct dmabuf_ww_shared lock;
	struct buffer *buffer;
};

/* NULL: no memory. */
struct buffer_resv *buffer_resv_new(struct buffer *b);

/* @ours: this process made it; else only memory goes. */
void buffer_resv_free(struct buffer_resv *r, bool ours);

#endif
