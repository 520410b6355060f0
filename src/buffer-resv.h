/* SPDX-License-Identifier: MIT */
/*
 * The reservation object of a buffer: its lock and its fences are known to all that have it.
 *
 * A fence of this process that is added to it is *published*: it gets an entry in the buffer's
 * reservation, as a lock of the memory does, and the entry leaves when the fence is signalled. What
 * other processes have there, locks and published fences, is seen through *proxies*: fences that
 * are signalled when that very hold ends. dma-resv.c keeps this process's fences, as for any
 * object.
 */
#ifndef DMABUF_SRC_BUFFER_RESV_H
#define DMABUF_SRC_BUFFER_RESV_H

#include <dmabuf/dma-resv.h>

#include "ww-shared.h"

struct kernel_lent;
struct published;
struct resv_proxy;

struct buffer_resv {
	struct dma_resv base;
	struct dmabuf_ww_shared lock;
	struct buffer *buffer;
	struct dma_fence_lock list_lock; /* guards @reserved, @num_reserved, @published */
	struct published *reserved;	 /* have an entry, for fences to come */
	unsigned int num_reserved;
	struct published *published;	 /* stand for a fence */
	struct resv_proxy *lent;	 /* to whoever has the lock, until it is given back */
	struct kernel_lent *kernel_lent; /* the same of the kernel's */
};

/* NULL: @obj is no buffer's. */
static inline struct buffer_resv *buffer_resv_of(const struct dma_resv *obj)
{
	return obj->lock.shared ? container_of((struct dma_resv *)obj, struct buffer_resv, base)
				: NULL;
}

/* NULL: no memory. */
struct buffer_resv *buffer_resv_new(struct buffer *b);

/* @ours: this process made it; else only memory goes. */
void buffer_resv_free(struct buffer_resv *r, bool ours);

/* The lock is about to be given back, by the one who has it. */
void buffer_resv_unlocking(struct buffer_resv *r);

/* dma-resv-publish.c. With the object locked. */

/* Entries for @count fences to come. 0; -ENOMEM with words. */
int resv_publish_reserve(struct buffer_resv *r, unsigned int count);

/* Not more than @keep of those. */
void resv_publish_trim(struct buffer_resv *r, unsigned int keep);

/* An entry for @fence, if there is one left for it. Blocks for nobody. */
void resv_publish(struct buffer_resv *r, struct dma_fence *fence, enum dma_resv_usage usage);

/* What stood for @old stands for @fence from now on. */
void resv_publish_replace(struct buffer_resv *r, struct dma_fence *old, struct dma_fence *fence,
			  enum dma_resv_usage usage);

/* dma-resv-proxy.c */

/*
 * The first hold of another process at entry @*entry or after it that is up to @usage, and what it
 * is for; @*entry is then the next one. With a reference. NULL: there is none.
 */
struct dma_fence *resv_proxy_next(struct buffer_resv *r, enum dma_resv_usage usage,
				  unsigned int *entry, enum dma_resv_usage *is_for);

/* The same for whoever has the lock: without a reference, until he gives it back. */
struct dma_fence *resv_proxy_lend(struct buffer_resv *r, enum dma_resv_usage usage,
				  unsigned int *entry, enum dma_resv_usage *is_for);

void resv_proxy_return(struct buffer_resv *r);

#endif
