/* SPDX-License-Identifier: MIT */
/**
 * DOC: looking into chains and arrays
 *
 * A fence may be a chain of arrays of fences. These functions see the fences at the bottom, and
 * merge any number of fences into one.
 */
#ifndef DMABUF_DMA_FENCE_UNWRAP_H
#define DMABUF_DMA_FENCE_UNWRAP_H

#include <dmabuf/dma-fence.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct dma_fence_unwrap - where a look into a fence is
 * @chain: the link, with a reference
 * @array: what it stands for, an array perhaps; no reference of its own
 * @index: which fence of the array
 *
 * For the library only.
 */
struct dma_fence_unwrap {
	struct dma_fence *chain;
	struct dma_fence *array;
	unsigned int index;
};

#ifndef DMABUF_DISABLED
/**
 * dma_fence_unwrap_first - the first fence at the bottom
 * @head: a chain, an array, a chain of arrays, another fence, or NULL
 * @cursor: set up
 *
 * Links that are signalled are passed over, but for @head itself.
 *
 * Return: the fence, valid until the next call with @cursor, without a reference; NULL: there is
 * none. Never blocks.
 */
struct dma_fence *dma_fence_unwrap_first(struct dma_fence *head, struct dma_fence_unwrap *cursor);

/**
 * dma_fence_unwrap_next - the next fence at the bottom
 * @cursor: from dma_fence_unwrap_first()
 *
 * Return: as there. After NULL the cursor holds nothing.
 */
struct dma_fence *dma_fence_unwrap_next(struct dma_fence_unwrap *cursor);

/**
 * dma_fence_unwrap_end - leave a look before its end
 * @cursor: from dma_fence_unwrap_first(); afterwards it holds nothing
 *
 * The kernel has no such function: there the caller puts cursor.chain.
 */
void dma_fence_unwrap_end(struct dma_fence_unwrap *cursor);

/**
 * dma_fence_unwrap_merge_array - one fence for several (kernel: dma_fence_unwrap_merge)
 * @num_fences: how many
 * @fences: the fences, each a chain, an array, another fence, or NULL
 *
 * What is signalled is left out, and of each context only the latest fence is kept.
 *
 * Return: a new reference: to an array, to the one fence that is left, or to a signalled fence that
 * has the timestamp of the latest one; NULL with errno ENOMEM. Never blocks.
 */
struct dma_fence *dma_fence_unwrap_merge_array(unsigned int num_fences, struct dma_fence **fences);
#else
#include <dmabuf/stubs/dma-fence-unwrap.h>
#endif

/**
 * dma_fence_unwrap_for_each - all fences at the bottom
 * @fence: struct dma_fence * that runs
 * @cursor: struct dma_fence_unwrap *; after a break, dma_fence_unwrap_end() it
 * @head: where to look
 */
#define dma_fence_unwrap_for_each(fence, cursor, head)                        \
	for ((fence) = dma_fence_unwrap_first(head, cursor); (fence) != NULL; \
	     (fence) = dma_fence_unwrap_next(cursor))

#ifdef __cplusplus
}
#endif
#endif
