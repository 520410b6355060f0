/* SPDX-License-Identifier: MIT */
/*
 * Two locks: dma_resv.lock is held by whoever changes the fences, for as long as a driver likes;
 * dma_resv.list_lock only around a step, and no fence is put or asked under it. So the holder of
 * the first reads without the second, everybody else reads with the second.
 */
#ifndef DMABUF_SRC_DMA_RESV_H
#define DMABUF_SRC_DMA_RESV_H

#include <dmabuf/dma-resv.h>

#include "dma-fence-lock.h"

struct resv_entry {
	struct dma_fence *fence;
	enum dma_resv_usage usage;
};

struct dma_resv_list {
	unsigned int num_fences;
	unsigned int max_fences;
	struct resv_entry entry[];
};

/* NULL: no memory, and the words say so. */
struct dma_resv_list *resv_list_new(unsigned int max_fences);

/* Drops the references too. NULL is ignored. */
void resv_list_free(struct dma_resv_list *list);

/* How many fences an unlocked look can find at most, until it is begun anew. */
unsigned int resv_iter_room(const struct dma_resv_iter *cursor);

/* Exchange the list in one step; returns the old one. With dma_resv.lock held. */
struct dma_resv_list *resv_list_exchange(struct dma_resv *obj, struct dma_resv_list *list);

#endif
