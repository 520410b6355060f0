// SPDX-License-Identifier: MIT
/* The fences that an asynchronous lock waits for beside its buffers (mission row E4). */
#include "dmabuf-sync-attempt.h"

#include <errno.h>

#include "clock.h"
#include "error.h"

/* With the fence's lock held. */
static void input_signaled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct sync_attempt *a = container_of(cb, struct sync_input, cb)->attempt;
	int status = dma_fence_get_status_locked(fence), none = 0;

	if (status < 0)
		atomic_compare_exchange_strong(&a->input_error, &none, status);
	atomic_fetch_sub(&a->pending, 1);
	resv_thread_kick(&a->sleeper);
	/* Never the last one: the thread has one until it has removed the callbacks. */
	resv_sleeper_put(&a->sleeper);
}

void attempt_watch_inputs(struct sync_attempt *a)
{
	struct sync_input *input;
	unsigned int i;

	for (i = 0; i < a->num_inputs; i++) {
		input = &a->inputs[i];
		resv_sleeper_get(&a->sleeper);
		input->added = true;
		if (dma_fence_add_callback(input->fence, &input->cb, input_signaled))
			input_signaled(input->fence, &input->cb);
	}
}

void attempt_unwatch_inputs(struct sync_attempt *a)
{
	unsigned int i;

	for (i = 0; i < a->num_inputs; i++)
		if (a->inputs[i].added &&
		    dma_fence_remove_callback(a->inputs[i].fence, &a->inputs[i].cb))
			resv_sleeper_put(&a->sleeper);
}

/* Names only: a look at a fence could take its lock. */
static int report_inputs(const struct sync_attempt *a)
{
	struct dma_fence *fence = NULL;
	unsigned int i;

	for (i = 0; i < a->num_inputs && !fence; i++)
		if (!dma_fence_test_signaled_flag(a->inputs[i].fence))
			fence = a->inputs[i].fence;
	if (!fence)
		return dmabuf_fail(ETIMEDOUT, "the fences came too late for sync object \"%s\"",
				   a->sync->name);
	return dmabuf_fail(ETIMEDOUT,
			   "sync object \"%s\" was to wait for fence %s %s seq %llu too, which was "
			   "not signalled in time",
			   a->sync->name, fence->ops->get_driver_name(fence),
			   fence->ops->get_timeline_name(fence), (unsigned long long)fence->seqno);
}

int attempt_check_inputs(struct sync_attempt *a)
{
	int err;

	if (atomic_load(&a->pending) > 0)
		return clock_ns() < a->deadline ? -EAGAIN : report_inputs(a);
	err = atomic_load(&a->input_error);
	if (!err)
		return 0;
	return dmabuf_fail(-err, "what sync object \"%s\" was to wait for ended with error %d",
			   a->sync->name, err);
}
