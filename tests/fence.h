/* SPDX-License-Identifier: MIT */
/* A fence for tests, that counts its ends, and a callback that counts its calls. */
#ifndef DMABUF_TEST_FENCE_H
#define DMABUF_TEST_FENCE_H

#include <dmabuf.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "harness.h"

struct job {
	struct dma_fence
		base; /* first: a driver may embed it anywhere, freeing relies on it here */
	struct dma_fence_lock lock;
	atomic_int enabled;
	bool refuse_enable;
	atomic_bool done; /* what ops->signaled says */
	atomic_int *released;
};

static const char *job_driver_name(struct dma_fence *fence)
{
	return "camera";
}

static const char *job_timeline_name(struct dma_fence *fence)
{
	return "frames";
}

static bool job_enable(struct dma_fence *fence)
{
	struct job *job = (struct job *)fence;

	job->enabled++;
	return !job->refuse_enable;
}

static bool job_signaled(struct dma_fence *fence)
{
	return ((struct job *)fence)->done;
}

static void job_release(struct dma_fence *fence)
{
	struct job *job = (struct job *)fence;

	if (job->released)
		(*job->released)++;
	free(job);
}

static const struct dma_fence_ops job_ops = {
	.get_driver_name = job_driver_name,
	.get_timeline_name = job_timeline_name,
	.enable_signaling = job_enable,
	.signaled = job_signaled,
	.release = job_release,
};

static inline struct job *job_new_at(uint64_t context, uint64_t seqno)
{
	struct job *job = calloc(1, sizeof(*job));

	ASSERT(job);
	dma_fence_lock_init(&job->lock);
	dma_fence_init(&job->base, &job_ops, &job->lock, context, seqno);
	return job;
}

static inline struct job *job_new(void)
{
	return job_new_at(dma_fence_context_alloc(1), 1);
}

/* The same as a fence. */
static inline struct dma_fence *fence_new(void)
{
	return &job_new()->base;
}

struct counting_cb {
	struct dma_fence_cb base;
	atomic_int calls;
};

static inline void counting_call(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	ASSERT(dma_fence_test_signaled_flag(fence));
	((struct counting_cb *)cb)->calls++;
}

static inline pthread_t thread_start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	ASSERT_EQ(pthread_create(&thread, NULL, fn, arg), 0);
	return thread;
}

static inline void thread_join(pthread_t thread)
{
	ASSERT_EQ(pthread_join(thread, NULL), 0);
}

#endif
