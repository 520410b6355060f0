// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "dma-fence.h"
#include "error.h"
#include "export.h"
#include "fence-word.h"
#include "list.h"

static int timeout_check(long timeout)
{
	if (timeout >= 0)
		return 0;
	return dmabuf_fail(EINVAL, "a timeout of %ld ms: must be 0 or more", timeout);
}

/* The result of a wait that found its fence signalled: never 0, which means that it did not. */
static long waited(uint64_t deadline)
{
	long left = futex_left(deadline);

	return left ? left : 1;
}

/* Registered under the lock, so that whoever signals sees it. false: it is signalled. */
static bool waiter_enter(struct dma_fence *fence)
{
	bool sleepy;

	dma_fence_lock_lock(fence->lock);
	sleepy = fence_watch_locked(fence);
	if (sleepy)
		__atomic_fetch_add(&fence->waiters, 1, __ATOMIC_RELAXED);
	dma_fence_lock_unlock(fence->lock);
	return sleepy;
}

static long sleep_until_signaled(struct dma_fence *fence, bool intr, uint64_t deadline)
{
	uint32_t *word = fence_word(fence), seen;
	int err;

	for (;;) {
		seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
		if (seen & FENCE_SIGNALED)
			return waited(deadline);
		err = 0;
		if (deadline == FUTEX_FOREVER && !intr)
			futex_wait_quiet(word, seen);
		else
			err = futex_wait(word, seen, deadline);
		if (dma_fence_test_signaled_flag(fence))
			continue;
		if (err == -ETIMEDOUT)
			return 0;
		if (err == -EINTR && intr)
			return -EINTR;
	}
}

DMABUF_PUBLIC long dma_fence_default_wait(struct dma_fence *fence, bool intr, long timeout)
{
	uint64_t deadline;
	long ret;

	if (timeout_check(timeout))
		return -EINVAL;
	if (dma_fence_test_signaled_flag(fence))
		return timeout ? timeout : 1;
	if (!timeout) {
		dma_fence_enable_sw_signaling(fence);
		return dma_fence_test_signaled_flag(fence);
	}
	deadline = futex_deadline(timeout);
	if (!waiter_enter(fence))
		return timeout;
	ret = sleep_until_signaled(fence, intr, deadline);
	/* Of a signalled one nobody asks any more, and all who were woken would write to the line.
	 */
	if (ret <= 0)
		__atomic_fetch_sub(&fence->waiters, 1, __ATOMIC_RELAXED);
	return ret;
}

DMABUF_PUBLIC long dma_fence_wait_timeout(struct dma_fence *fence, bool intr, long timeout)
{
	if (timeout_check(timeout))
		return -EINVAL;
	dma_fence_enable_sw_signaling(fence);
	if (fence->ops->wait)
		return fence->ops->wait(fence, intr, timeout);
	return dma_fence_default_wait(fence, intr, timeout);
}

DMABUF_PUBLIC long dma_fence_wait(struct dma_fence *fence, bool intr)
{
	long ret = dma_fence_wait_timeout(fence, intr, DMA_FENCE_WAIT_FOREVER);

	return ret < 0 ? ret : 0;
}

/* The word of a thread that waits for any of several. */
enum { ANY_NONE, ANY_SIGNALED, ANY_ASLEEP };

struct any_cb {
	struct dma_fence_cb base;
	uint32_t *word;
};

static void any_signaled(struct dma_fence *fence, struct dma_fence_cb *base)
{
	uint32_t *word = container_of(base, struct any_cb, base)->word;

	if (__atomic_exchange_n(word, ANY_SIGNALED, __ATOMIC_ACQ_REL) == ANY_ASLEEP)
		futex_wake(word, 1);
}

/* The index of the first one that is signalled, or @count. */
static uint32_t any_find(struct dma_fence **fences, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count && !dma_fence_is_signaled(fences[i]); i++)
		;
	return i;
}

/* How many have the callback: all, or those before the first that is signalled. */
static uint32_t any_enter(struct dma_fence **fences, uint32_t count, struct any_cb *cbs,
			  uint32_t *word)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		cbs[i].word = word;
		if (dma_fence_add_callback(fences[i], &cbs[i].base, any_signaled))
			break;
	}
	return i;
}

/* 0, -ETIMEDOUT or -EINTR. */
static int any_sleep(uint32_t *word, bool intr, uint64_t deadline)
{
	uint32_t none = ANY_NONE;
	int err;

	if (!__atomic_compare_exchange_n(word, &none, ANY_ASLEEP, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return 0;
	do {
		err = futex_wait(word, ANY_ASLEEP, deadline);
		if (err == -ETIMEDOUT || (err && intr))
			return err;
	} while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == ANY_ASLEEP);
	return 0;
}

static long any_wait(struct dma_fence **fences, uint32_t count, struct any_cb *cbs, bool intr,
		     long timeout, uint32_t *found)
{
	uint64_t deadline = futex_deadline(timeout);
	uint32_t word = ANY_NONE, entered, i;
	int err = 0;

	entered = any_enter(fences, count, cbs, &word);
	if (entered == count)
		err = any_sleep(&word, intr, deadline);
	for (i = 0; i < entered; i++)
		dma_fence_remove_callback(fences[i], &cbs[i].base);
	*found = any_find(fences, count);
	if (*found < count)
		return waited(deadline);
	return err == -EINTR ? -EINTR : 0;
}

DMABUF_PUBLIC long dma_fence_wait_any_timeout(struct dma_fence **fences, uint32_t count, bool intr,
					      long timeout, uint32_t *idx)
{
	struct any_cb *cbs;
	uint32_t found;
	long ret;

	if (!fences || !count)
		return dmabuf_fail(EINVAL, "there are no fences to wait for");
	if (timeout_check(timeout))
		return -EINVAL;
	found = any_find(fences, count);
	ret = found < count ? (timeout ? timeout : 1) : 0;
	if (!ret && timeout) {
		cbs = calloc(count, sizeof(*cbs));
		if (!cbs)
			return dmabuf_fail(ENOMEM, "no memory to wait for %u fences", count);
		ret = any_wait(fences, count, cbs, intr, timeout, &found);
		free(cbs);
	}
	if (ret > 0 && idx)
		*idx = found;
	return ret;
}
