/* SPDX-License-Identifier: MIT */
/**
 * DOC: chains of fences
 *
 * A timeline of points, each a fence with a 64-bit number: a chain's newest link is signalled when
 * all fences from the first point to that one are. Links whose fences have ended drop out.
 */
#ifndef DMABUF_DMA_FENCE_CHAIN_H
#define DMABUF_DMA_FENCE_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <dmabuf/dma-fence.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct dma_fence_chain - a link
 * @base: the fence that is signalled when this link and all before it are
 * @prev: the link before, or a fence that is none; guarded by @prev_lock
 * @prev_seqno: the number of the point before
 * @fence: what this point stands for; may be read
 * @cb: on the first fence that is not signalled; for the library only
 * @work: looks for the next one; for the library only
 * @lock: the lock of @base
 * @prev_lock: guards @prev
 */
struct dma_fence_chain {
	struct dma_fence base;
	struct dma_fence *prev;
	uint64_t prev_seqno;
	struct dma_fence *fence;
	struct dma_fence_cb cb;
	struct dma_fence_work work;
	struct dma_fence_lock lock;
	struct dma_fence_lock prev_lock;
};

#ifndef DMABUF_DISABLED
/**
 * dma_fence_chain_alloc - memory for a link
 *
 * Return: a link for dma_fence_chain_init(); NULL with errno ENOMEM. Never blocks.
 */
struct dma_fence_chain *dma_fence_chain_alloc(void);

/**
 * dma_fence_chain_free - give back a link that was never initialized
 * @chain: the link; NULL is ignored
 */
void dma_fence_chain_free(struct dma_fence_chain *chain);

/**
 * dma_fence_chain_init - a new newest link
 * @chain: from dma_fence_chain_alloc(); its base has one reference then, the caller's
 * @prev: the link to follow, another fence, or NULL; the reference goes to the link
 * @fence: what the point stands for, no chain itself; the reference goes to the link
 * @seqno: the point's number
 *
 * If @prev is a link of a smaller number, the new one continues its context. If it is one of the
 * same or a larger number, a new context begins there, with that larger number.
 */
void dma_fence_chain_init(struct dma_fence_chain *chain, struct dma_fence *prev,
			  struct dma_fence *fence, uint64_t seqno);

/**
 * dma_fence_is_chain - is it a link
 * @fence: the fence
 *
 * Return: true: it is. Never blocks.
 */
bool dma_fence_is_chain(const struct dma_fence *fence);

/**
 * dma_fence_to_chain - the link that a fence is (kernel: to_dma_fence_chain)
 * @fence: the fence, or NULL
 *
 * Return: the link; NULL: it is none. Never blocks.
 */
struct dma_fence_chain *dma_fence_to_chain(struct dma_fence *fence);

/**
 * dma_fence_chain_contained - what a point stands for
 * @fence: a link, or another fence
 *
 * Return: the link's fence, or @fence itself if it is no link, without a reference. Never blocks.
 */
struct dma_fence *dma_fence_chain_contained(struct dma_fence *fence);

/**
 * dma_fence_chain_walk - the link before
 * @fence: the current one; its reference is dropped
 *
 * Links that are signalled are passed over and unlinked on the way.
 *
 * Return: the next one, with a reference; NULL: there is none, or @fence is no link.
 */
struct dma_fence *dma_fence_chain_walk(struct dma_fence *fence);

/**
 * dma_fence_chain_find_seqno - the link that a point waits for
 * @pfence: the newest link; set to the oldest link that is signalled no earlier than the point, its
 *	reference exchanged for that one's, or to NULL if the point was reached already
 * @seqno: the point; 0: @pfence is left alone
 *
 * Return: 0; -EINVAL: the chain has not come that far, or *@pfence is no link; @pfence is
 * untouched.
 */
int dma_fence_chain_find_seqno(struct dma_fence **pfence, uint64_t seqno);
#else
#include <dmabuf/stubs/dma-fence-chain.h>
#endif

/**
 * dma_fence_chain_for_each - all links that are not signalled, newest first, and what they end in
 * @iter: struct dma_fence * that runs, with a reference; after a break the caller puts it
 * @head: where to begin
 */
#define dma_fence_chain_for_each(iter, head) \
	for ((iter) = dma_fence_get(head); (iter) != NULL; (iter) = dma_fence_chain_walk(iter))

#ifdef __cplusplus
}
#endif
#endif
