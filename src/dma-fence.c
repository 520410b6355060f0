// SPDX-License-Identifier: MIT
/*
 * The state of a fence is one word, dma_fence.flags. While nobody watches, a single
 * compare-and-swap signals it. From the moment the watched bit is set, only the holder of the
 * fence's lock may set the signalled bit, so the list of callbacks and the timestamp need no more
 * than that lock.
 */
#include "dma-fence.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "export.h"
#include "fence-word.h"
#include "list.h"

static uint64_t next_context = 1;

DMABUF_PUBLIC uint64_t dma_fence_context_alloc(unsigned int num)
{
	return __atomic_fetch_add(&next_context, num, __ATOMIC_RELAXED);
}

DMABUF_PUBLIC void dma_fence_init(struct dma_fence *fence, const struct dma_fence_ops *ops,
				  struct dma_fence_lock *lock, uint64_t context, uint64_t seqno)
{
	memset(fence, 0, sizeof(*fence));
	fence->lock = lock;
	fence->ops = ops;
	fence->context = context;
	fence->seqno = seqno;
	fence->refcount = 1;
	list_init(&fence->cb_list);
}

DMABUF_PUBLIC struct dma_fence *dma_fence_get(struct dma_fence *fence)
{
	if (fence)
		__atomic_add_fetch(&fence->refcount, 1, __ATOMIC_RELAXED);
	return fence;
}

DMABUF_PUBLIC struct dma_fence *dma_fence_get_unless_zero(struct dma_fence *fence)
{
	unsigned int count = __atomic_load_n(&fence->refcount, __ATOMIC_RELAXED);

	while (count)
		if (__atomic_compare_exchange_n(&fence->refcount, &count, count + 1, true,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return fence;
	return NULL;
}

DMABUF_PUBLIC void dma_fence_put(struct dma_fence *fence)
{
	if (fence && !__atomic_sub_fetch(&fence->refcount, 1, __ATOMIC_ACQ_REL))
		dma_fence_release(fence);
}

/* Nobody can signal it any more: those who wait are told that the promise was not kept. */
static void release_unsignaled(struct dma_fence *fence)
{
	dmabuf_log(DMABUF_LOG_WARNING,
		   "fence %s %s seq %" PRIu64 " was released with callbacks pending: signalled "
		   "with EDEADLK",
		   fence->ops->get_driver_name(fence), fence->ops->get_timeline_name(fence),
		   fence->seqno);
	dma_fence_lock_lock(fence->lock);
	dma_fence_set_error(fence, -EDEADLK);
	dma_fence_signal_locked(fence);
	dma_fence_lock_unlock(fence->lock);
}

DMABUF_PUBLIC void dma_fence_release(struct dma_fence *fence)
{
	if (!list_empty(&fence->cb_list) && !dma_fence_test_signaled_flag(fence))
		release_unsignaled(fence);
	if (fence->ops->release)
		fence->ops->release(fence);
	else
		dma_fence_free(fence);
}

DMABUF_PUBLIC void dma_fence_free(struct dma_fence *fence)
{
	free(fence);
}

/* 0: signalled; -EINVAL: it was before; 1: somebody watches, so it takes the lock. */
static int signal_unwatched(struct dma_fence *fence)
{
	unsigned long flags = __atomic_load_n(&fence->flags, __ATOMIC_RELAXED);

	while (!(flags & (FENCE_SIGNALED | FENCE_WATCHED)))
		if (__atomic_compare_exchange_n(&fence->flags, &flags, flags | FENCE_SIGNALED, true,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return 0;
	return flags & FENCE_SIGNALED ? -EINVAL : 1;
}

static void run_callbacks(struct dma_fence *fence)
{
	struct dmabuf_list pending;
	struct dma_fence_cb *cb;

	list_take(&pending, &fence->cb_list);
	while (!list_empty(&pending)) {
		cb = container_of(pending.next, struct dma_fence_cb, node);
		list_remove(&cb->node);
		cb->func(fence, cb);
	}
}

/* With the lock held and the watched bit set: nobody else can signal it now. */
static int signal_watched(struct dma_fence *fence, int64_t timestamp)
{
	if (dma_fence_test_signaled_flag(fence))
		return -EINVAL;
	__atomic_store_n(&fence->timestamp, timestamp, __ATOMIC_RELAXED);
	__atomic_fetch_or(&fence->flags, FENCE_SIGNALED | FENCE_TIMESTAMP, __ATOMIC_ACQ_REL);
	if (__atomic_load_n(&fence->waiters, __ATOMIC_RELAXED))
		futex_wake(fence_word(fence), INT_MAX);
	run_callbacks(fence);
	return 0;
}

/* Now, unless fence_decide() has given the time. */
static int64_t time_of_end(struct dma_fence *fence)
{
	int64_t given = __atomic_load_n(&fence->timestamp, __ATOMIC_RELAXED);

	return given ? given : (int64_t)clock_ns();
}

DMABUF_PUBLIC int dma_fence_signal(struct dma_fence *fence)
{
	int64_t now;
	int ret = fence ? signal_unwatched(fence) : -EINVAL;

	if (ret <= 0)
		return ret;
	now = time_of_end(fence);
	dma_fence_lock_lock(fence->lock);
	ret = signal_watched(fence, now);
	dma_fence_lock_unlock(fence->lock);
	return ret;
}

DMABUF_PUBLIC int dma_fence_signal_locked(struct dma_fence *fence)
{
	int ret = signal_unwatched(fence);

	return ret <= 0 ? ret : signal_watched(fence, time_of_end(fence));
}

DMABUF_PUBLIC int dma_fence_signal_timestamp_locked(struct dma_fence *fence, int64_t timestamp)
{
	/* From here on nobody signals it without the lock, which is held. */
	__atomic_fetch_or(&fence->flags, FENCE_WATCHED, __ATOMIC_ACQ_REL);
	return signal_watched(fence, timestamp);
}

DMABUF_PUBLIC int dma_fence_signal_timestamp(struct dma_fence *fence, int64_t timestamp)
{
	int ret;

	if (!fence)
		return -EINVAL;
	dma_fence_lock_lock(fence->lock);
	ret = dma_fence_signal_timestamp_locked(fence, timestamp);
	dma_fence_lock_unlock(fence->lock);
	return ret;
}

DMABUF_PUBLIC int64_t dma_fence_timestamp(struct dma_fence *fence)
{
	unsigned long flags = __atomic_load_n(&fence->flags, __ATOMIC_ACQUIRE);
	int64_t known = 0, now;

	if (!(flags & FENCE_SIGNALED))
		return 0;
	if (flags & FENCE_TIMESTAMP)
		return __atomic_load_n(&fence->timestamp, __ATOMIC_RELAXED);
	now = (int64_t)clock_ns();
	if (!__atomic_compare_exchange_n(&fence->timestamp, &known, now, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return known;
	__atomic_fetch_or(&fence->flags, FENCE_TIMESTAMP, __ATOMIC_RELEASE);
	return now;
}

/*
 * false: too late. Whoever lets the fence time out says so in the flags first and changes the error
 * then, so either that is seen here or the compare-and-swap fails.
 */
static bool error_store(struct dma_fence *fence, int error)
{
	int seen = __atomic_load_n(&fence->error, __ATOMIC_ACQUIRE);

	do {
		if (__atomic_load_n(&fence->flags, __ATOMIC_ACQUIRE) &
		    (FENCE_SIGNALED | FENCE_TIMED_OUT))
			return false;
	} while (!__atomic_compare_exchange_n(&fence->error, &seen, error, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return true;
}

DMABUF_PUBLIC int dma_fence_set_error(struct dma_fence *fence, int error)
{
	if (error >= 0 || error < -DMA_FENCE_MAX_ERRNO)
		return dmabuf_fail(EINVAL, "a fence's error must be %d to -1, not %d",
				   -DMA_FENCE_MAX_ERRNO, error);
	if (!error_store(fence, error))
		return dmabuf_fail(EINVAL,
				   "fence seq %" PRIu64 " is signalled, it is too late for error "
				   "%d: set it before dma_fence_signal()",
				   fence->seqno, error);
	return 0;
}

void fence_decide(struct dma_fence *fence, int status, int64_t timestamp)
{
	int64_t none = 0;

	if (status < 0)
		error_store(fence, status);
	__atomic_compare_exchange_n(&fence->timestamp, &none, timestamp, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
}

bool fence_time_out(struct dma_fence *fence)
{
	bool ours = false;

	if (dma_fence_is_signaled(fence))
		return false;
	dma_fence_lock_lock(fence->lock);
	/* From here on nobody signals it without the lock, and no other error gets in. */
	if (!(__atomic_fetch_or(&fence->flags, FENCE_WATCHED | FENCE_TIMED_OUT, __ATOMIC_ACQ_REL) &
	      FENCE_SIGNALED)) {
		__atomic_exchange_n(&fence->error, -ETIMEDOUT, __ATOMIC_ACQ_REL);
		ours = !signal_watched(fence, (int64_t)clock_ns());
	}
	dma_fence_lock_unlock(fence->lock);
	return ours;
}

DMABUF_PUBLIC int dma_fence_get_status_locked(struct dma_fence *fence)
{
	int error;

	if (!dma_fence_is_signaled_locked(fence))
		return 0;
	error = __atomic_load_n(&fence->error, __ATOMIC_RELAXED);
	return error ? error : 1;
}

DMABUF_PUBLIC int dma_fence_get_status(struct dma_fence *fence)
{
	return dma_fence_is_signaled(fence) ? dma_fence_get_status_locked(fence) : 0;
}

bool fence_watch_locked(struct dma_fence *fence)
{
	unsigned long flags = __atomic_fetch_or(&fence->flags, FENCE_WATCHED, __ATOMIC_ACQ_REL);

	if (flags & FENCE_SIGNALED)
		return false;
	if (flags & FENCE_WATCHED || !fence->ops->enable_signaling ||
	    fence->ops->enable_signaling(fence))
		return true;
	dma_fence_signal_locked(fence);
	return false;
}

DMABUF_PUBLIC int dma_fence_add_callback(struct dma_fence *fence, struct dma_fence_cb *cb,
					 dma_fence_func_t func)
{
	int ret = -ENOENT;

	if (!fence || !func)
		return dmabuf_fail(EINVAL, "a callback needs a fence and a function");
	list_init(&cb->node);
	if (dma_fence_test_signaled_flag(fence))
		return ret;
	dma_fence_lock_lock(fence->lock);
	if (fence_watch_locked(fence)) {
		cb->func = func;
		list_add_before(&cb->node, &fence->cb_list);
		ret = 0;
	}
	dma_fence_lock_unlock(fence->lock);
	return ret;
}

DMABUF_PUBLIC bool dma_fence_remove_callback(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	bool pending;

	dma_fence_lock_lock(fence->lock);
	pending = !list_empty(&cb->node);
	if (pending)
		list_remove(&cb->node);
	dma_fence_lock_unlock(fence->lock);
	return pending;
}

DMABUF_PUBLIC void dma_fence_enable_sw_signaling(struct dma_fence *fence)
{
	if (dma_fence_test_signaled_flag(fence))
		return;
	dma_fence_lock_lock(fence->lock);
	fence_watch_locked(fence);
	dma_fence_lock_unlock(fence->lock);
}

DMABUF_PUBLIC bool dma_fence_poll_signaled(struct dma_fence *fence, bool locked)
{
	if (dma_fence_test_signaled_flag(fence))
		return true;
	if (!fence->ops->signaled || !fence->ops->signaled(fence))
		return false;
	if (locked)
		dma_fence_signal_locked(fence);
	else
		dma_fence_signal(fence);
	return true;
}

DMABUF_PUBLIC struct dma_fence *dma_fence_later(struct dma_fence *f1, struct dma_fence *f2)
{
	struct dma_fence *later = dma_fence_is_later(f1, f2) ? f1 : f2;

	if (f1->context != f2->context)
		return dmabuf_fail_ptr(
			EINVAL, "fences of contexts %" PRIu64 " and %" PRIu64 " have no order",
			f1->context, f2->context);
	return dma_fence_is_signaled(later) ? NULL : later;
}

DMABUF_PUBLIC int dma_fence_describe(struct dma_fence *fence, char *text, size_t size)
{
	int length;

	if (!fence || !text || !size)
		return dmabuf_fail(EINVAL, "a description needs a fence and room for text");
	length = snprintf(text, size, "%s %s seq %" PRIu64 " %ssignalled",
			  fence->ops->get_driver_name(fence), fence->ops->get_timeline_name(fence),
			  fence->seqno, dma_fence_is_signaled(fence) ? "" : "un");
	return length >= 0 && (size_t)length < size ? 0 : -ENOSPC;
}
