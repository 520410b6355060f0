// SPDX-License-Identifier: MIT
/* Fences that go with frames: row E6. */
#include "fence.h"
#include "queue-remote.h"

#include <sys/eventfd.h>

TEST(E6_the_content_is_there_when_the_acquire_fence_signals)
{
	struct dmabuf_queue *q = queue_make(NULL);
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), signal = dup(fence);
	struct remote r = remote_block();
	struct dmabuf_frame frame;
	uint64_t *bytes, one = 1;

	remote_join(&r, q, queue_path());
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	bytes = dma_buf_vmap(frame.dmabuf);
	bytes[0] = 0;
	frame.used = 8;
	frame.acquire_fence = fence;
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	/* It has the frame, and must wait for the fence. */
	remote_order(&r, 't');
	ASSERT_EQ(queue_held(q), 1);
	bytes[0] = 5;
	ASSERT_EQ(write(signal, &one, 8), 8);
	ASSERT_EQ(remote_answer(&r).content, 5);
	close(signal);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

TEST(E6_a_buffer_given_back_with_a_fence_is_empty_when_that_signals)
{
	struct dmabuf_queue_options o = { .min_buffers = 1, .max_buffers = 2 };
	struct dmabuf_queue *q = queue_make(&o);
	struct remote r = remote_block();

	r.options.min_buffers = r.options.preferred_buffers = 1;
	remote_join(&r, q, queue_path());
	ASSERT_OK(queue_produce(q, 1, 0));
	ASSERT_OK(queue_produce(q, 2, 0));
	ASSERT_EQ(remote_do(&r, 't').content, 1);
	ASSERT_EQ(remote_do(&r, 'f').result, 0);
	ASSERT_ERR(queue_produce(q, 3, 20), ETIMEDOUT);
	ASSERT_EQ(queue_held(q), 2);
	ASSERT_EQ(remote_do(&r, 't').content, 2);
	ASSERT_EQ(remote_do(&r, 'f').result, 0);
	ASSERT_ERR(queue_produce(q, 3, 20), ETIMEDOUT);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "until its fence signals");
	ASSERT_EQ(remote_do(&r, 's').result, 0);
	ASSERT_OK(queue_produce(q, 3, STEP_MS));
	ASSERT_OK(queue_produce(q, 4, STEP_MS));
	ASSERT_EQ(remote_do(&r, 't').content, 3);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}

/* The library's own fences, as descriptors, in both directions. */
TEST(E6_fences_of_the_library_go_with_frames)
{
	struct dmabuf_queue_options o = { .min_buffers = 1, .max_buffers = 2 };
	struct dmabuf_queue *q = queue_make(&o);
	struct dma_fence *fence = fence_new();
	struct remote r = remote_block();
	struct dmabuf_frame frame;
	uint64_t *bytes;

	r.options.min_buffers = r.options.preferred_buffers = 1;
	remote_join(&r, q, queue_path());
	ASSERT_OK(dmabuf_queue_get(q, &frame, 0));
	frame.acquire_fence = dmabuf_sync_file_create(fence, NULL);
	ASSERT_OK(frame.acquire_fence);
	frame.used = 8;
	bytes = dma_buf_vmap(frame.dmabuf);
	ASSERT_OK(dmabuf_queue_put(q, &frame));
	remote_order(&r, 't');
	ASSERT_EQ(queue_held(q), 1);
	bytes[0] = 6;
	dma_fence_signal(fence);
	ASSERT_EQ(remote_answer(&r).content, 6);
	/* Given back with a fence that its owner signals later. */
	ASSERT_EQ(remote_do(&r, 'F').result, 0);
	ASSERT_EQ(queue_held(q), 1);
	ASSERT_OK(queue_produce(q, 1, 0));
	ASSERT_ERR(queue_produce(q, 2, 10), ETIMEDOUT);
	ASSERT_EQ(remote_do(&r, 'S').result, 0);
	ASSERT_OK(queue_produce(q, 2, STEP_MS));
	dma_fence_put(fence);
	remote_end(&r);
	dmabuf_queue_destroy(q);
}
