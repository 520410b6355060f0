/* SPDX-License-Identifier: MIT */
/* What goes with a message that brings a buffer. */
#ifndef DMABUF_SRC_SHARE_H
#define DMABUF_SRC_SHARE_H

#include <dmabuf/dma-buf.h>

#define SHARE_MAX_FDS 2

/* The descriptors that the other side needs, still the buffer's: how many. */
int share_fds(struct dma_buf *dmabuf, int fds[SHARE_MAX_FDS]);
/* A handle from them; they are taken over, also on failure. NULL with errno and words. */
struct dma_buf *share_adopt(const int *fds, unsigned int count);

#endif
