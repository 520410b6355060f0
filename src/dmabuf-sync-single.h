/* SPDX-License-Identifier: MIT */
/*
 * Locks of one buffer that belong to a thread. The latest one that a handle had keeps its entry,
 * idle, for the next: claiming one takes longer than all the rest. Its slot is whose thread number
 * is in it; where that is taken, a lock gets an entry of its own.
 */
#ifndef DMABUF_SRC_DMABUF_SYNC_SINGLE_H
#define DMABUF_SRC_DMABUF_SYNC_SINGLE_H

#include "dmabuf-sync.h"

/* As dmabuf_sync_single_lock(), and -EINTR if @intr. */
int sync_single_lock(struct dma_buf *dmabuf, unsigned int type, long timeout_ms, bool intr);

/* Which access this thread has locked the buffer for, or 0. @held: it has it still. */
unsigned int sync_single_type(const struct dma_buf *dmabuf, bool *held);

/* The handle goes, and what it kept. @ours: this process made it; else only memory goes. */
void sync_single_drop(struct buffer *b, bool ours);

#endif
