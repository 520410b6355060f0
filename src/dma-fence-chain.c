// SPDX-License-Identifier: MIT
#include <dmabuf/dma-fence-chain.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "dma-fence.h"
#include "error.h"
#include "export.h"
#include "list.h"

static const struct dma_fence_ops chain_ops;

DMABUF_PUBLIC bool dma_fence_is_chain(const struct dma_fence *fence)
{
	return fence->ops == &chain_ops;
}

DMABUF_PUBLIC struct dma_fence_chain *dma_fence_to_chain(struct dma_fence *fence)
{
	if (!fence || !dma_fence_is_chain(fence))
		return NULL;
	return container_of(fence, struct dma_fence_chain, base);
}

DMABUF_PUBLIC struct dma_fence *dma_fence_chain_contained(struct dma_fence *fence)
{
	struct dma_fence_chain *chain = dma_fence_to_chain(fence);

	return chain ? chain->fence : fence;
}

/* The lock makes reading the pointer and taking the reference one step. */
static struct dma_fence *prev_get(struct dma_fence_chain *chain)
{
	struct dma_fence *prev;

	lock_word_take(&chain->prev_lock);
	prev = dma_fence_get(chain->prev);
	lock_word_give(&chain->prev_lock);
	return prev;
}

/*
 * Unlink @prev, if it is still the one: @replacement's reference goes to the link. Drops the
 * caller's reference to @prev.
 */
static void prev_replace(struct dma_fence_chain *chain, struct dma_fence *prev,
			 struct dma_fence *replacement)
{
	bool same;

	lock_word_take(&chain->prev_lock);
	same = chain->prev == prev;
	if (same)
		chain->prev = replacement;
	lock_word_give(&chain->prev_lock);
	/* Outside of the lock: releasing a fence can run the driver's code. */
	dma_fence_put(same ? prev : replacement);
	dma_fence_put(prev);
}

DMABUF_PUBLIC struct dma_fence *dma_fence_chain_walk(struct dma_fence *fence)
{
	struct dma_fence_chain *chain = dma_fence_to_chain(fence), *prev_chain;
	struct dma_fence *prev = NULL;

	while (chain && (prev = prev_get(chain))) {
		if (!dma_fence_is_signaled(dma_fence_chain_contained(prev)))
			break;
		prev_chain = dma_fence_to_chain(prev);
		prev_replace(chain, prev, prev_chain ? prev_get(prev_chain) : NULL);
	}
	dma_fence_put(fence);
	return prev;
}

DMABUF_PUBLIC int dma_fence_chain_find_seqno(struct dma_fence **pfence, uint64_t seqno)
{
	struct dma_fence_chain *chain;
	struct dma_fence *iter;

	if (!seqno)
		return 0;
	chain = dma_fence_to_chain(*pfence);
	if (!chain || chain->base.seqno < seqno)
		return -EINVAL;
	dma_fence_chain_for_each(iter, &chain->base)
		if (iter->context != chain->base.context ||
		    dma_fence_to_chain(iter)->prev_seqno < seqno)
			break;
	*pfence = iter;
	dma_fence_put(&chain->base);
	return 0;
}

static const char *chain_driver_name(struct dma_fence *fence)
{
	return "dma_fence_chain";
}

static const char *chain_timeline_name(struct dma_fence *fence)
{
	return "unbound";
}

static bool chain_enable_signaling(struct dma_fence *fence);

static void chain_look_again(struct dma_fence_work *work)
{
	struct dma_fence_chain *chain = container_of(work, struct dma_fence_chain, work);

	if (!chain_enable_signaling(&chain->base))
		dma_fence_signal(&chain->base);
	dma_fence_put(&chain->base);
}

static void chain_fence_signaled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct dma_fence_chain *chain = container_of(cb, struct dma_fence_chain, cb);

	fence_work_queue(&chain->work, chain_look_again);
	dma_fence_put(fence);
}

/*
 * Waits for the first fence that is not signalled, counted from the newest: one callback is enough
 * at a time. The callback has a reference to that fence and one to the link.
 */
static bool chain_enable_signaling(struct dma_fence *fence)
{
	struct dma_fence_chain *head = dma_fence_to_chain(fence);
	struct dma_fence *iter, *waited;

	dma_fence_get(fence);
	dma_fence_chain_for_each(iter, fence) {
		waited = dma_fence_get(dma_fence_chain_contained(iter));
		if (!dma_fence_add_callback(waited, &head->cb, chain_fence_signaled)) {
			dma_fence_put(iter);
			return true;
		}
		dma_fence_put(waited);
	}
	dma_fence_put(fence);
	return false;
}

static bool chain_signaled(struct dma_fence *fence)
{
	struct dma_fence *iter;

	dma_fence_chain_for_each(iter, fence) {
		if (!dma_fence_is_signaled(dma_fence_chain_contained(iter))) {
			dma_fence_put(iter);
			return false;
		}
	}
	return true;
}

/* Links that nobody else has go one after the other, not one inside the other's release. */
static void chain_release(struct dma_fence *fence)
{
	struct dma_fence_chain *chain = dma_fence_to_chain(fence), *prev_chain;
	struct dma_fence *prev;

	while ((prev = chain->prev)) {
		prev_chain = dma_fence_to_chain(prev);
		if (!prev_chain || __atomic_load_n(&prev->refcount, __ATOMIC_ACQUIRE) > 1)
			break;
		/* The one reference is ours, so nobody else looks at its prev. */
		chain->prev = prev_chain->prev;
		prev_chain->prev = NULL;
		dma_fence_put(prev);
	}
	dma_fence_put(prev);
	dma_fence_put(chain->fence);
	free(chain);
}

static const struct dma_fence_ops chain_ops = {
	.use_64bit_seqno = true,
	.get_driver_name = chain_driver_name,
	.get_timeline_name = chain_timeline_name,
	.enable_signaling = chain_enable_signaling,
	.signaled = chain_signaled,
	.release = chain_release,
};

DMABUF_PUBLIC struct dma_fence_chain *dma_fence_chain_alloc(void)
{
	struct dma_fence_chain *chain = calloc(1, sizeof(*chain));

	if (!chain)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a link of a fence chain");
	return chain;
}

DMABUF_PUBLIC void dma_fence_chain_free(struct dma_fence_chain *chain)
{
	free(chain);
}

DMABUF_PUBLIC void dma_fence_chain_init(struct dma_fence_chain *chain, struct dma_fence *prev,
					struct dma_fence *fence, uint64_t seqno)
{
	struct dma_fence_chain *prev_chain = dma_fence_to_chain(prev);
	uint64_t context;

	chain->prev = prev;
	chain->fence = fence;
	chain->prev_seqno = 0;
	dma_fence_lock_init(&chain->lock);
	dma_fence_lock_init(&chain->prev_lock);
	if (prev_chain && seqno > prev->seqno) {
		context = prev->context;
		chain->prev_seqno = prev->seqno;
	} else {
		context = dma_fence_context_alloc(1);
		if (prev_chain && seqno < prev->seqno)
			seqno = prev->seqno;
	}
	dma_fence_init(&chain->base, &chain_ops, &chain->lock, context, seqno);
	if (dma_fence_is_chain(fence))
		dmabuf_log(DMABUF_LOG_WARNING,
			   "point %" PRIu64 " of a fence chain stands for a chain: releasing it "
			   "will recurse",
			   seqno);
}
