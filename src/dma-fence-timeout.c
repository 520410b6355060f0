// SPDX-License-Identifier: MIT
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "clock.h"
#include "dma-fence.h"
#include "error.h"
#include "export.h"
#include "list.h"
#include "worker.h"

/*
 * Shared by the timer, the callback that stops it and, for a moment, the caller who sets it: each
 * has a reference, whoever is last frees it.
 */
struct timeout {
	struct worker_timer timer;
	struct dma_fence_cb cb;
	struct dma_fence *fence;
	unsigned int refs;
};

static void timeout_put(struct timeout *t, unsigned int count)
{
	if (__atomic_sub_fetch(&t->refs, count, __ATOMIC_ACQ_REL))
		return;
	dma_fence_put(t->fence);
	free(t);
}

static void timed_out(struct worker_timer *timer)
{
	struct timeout *t = container_of(timer, struct timeout, timer);

	if (fence_time_out(t->fence))
		dmabuf_log(DMABUF_LOG_WARNING,
			   "fence %s %s seq %" PRIu64 " was not signalled in time: it ends with "
			   "ETIMEDOUT",
			   t->fence->ops->get_driver_name(t->fence),
			   t->fence->ops->get_timeline_name(t->fence), t->fence->seqno);
	timeout_put(t, 1);
}

static void signaled_in_time(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct timeout *t = container_of(cb, struct timeout, cb);

	timeout_put(t, worker_timer_cancel(&t->timer) ? 2 : 1);
}

static int timeout_set(struct dma_fence *fence, uint64_t when)
{
	struct timeout *t = calloc(1, sizeof(*t));
	unsigned int unused = 1;
	int err;

	if (!t)
		return dmabuf_fail(ENOMEM, "no memory for a fence's timeout");
	t->fence = dma_fence_get(fence);
	t->refs = 3;
	err = worker_timer_start(&t->timer, when, timed_out);
	if (err)
		unused = 3;
	else if (dma_fence_add_callback(fence, &t->cb, signaled_in_time))
		unused = worker_timer_cancel(&t->timer) ? 3 : 2;
	timeout_put(t, unused);
	return err;
}

DMABUF_PUBLIC int dma_fence_set_timeout(struct dma_fence *fence, long timeout)
{
	if (!fence || timeout < 0 || timeout > DMA_FENCE_TIMEOUT_MAX)
		return dmabuf_fail(EINVAL,
				   "a fence's timeout of %ld ms, or no fence: must be 0 to %d ms",
				   timeout, DMA_FENCE_TIMEOUT_MAX);
	if (dma_fence_is_signaled(fence))
		return 0;
	return timeout_set(fence, clock_ns() + (uint64_t)timeout * 1000000u);
}
