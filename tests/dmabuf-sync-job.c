// SPDX-License-Identifier: MIT
/* Jobs of drivers inside the library: a function is called when buffers and fences are there. */
#include "async.h"

#include "dmabuf-sync-job.h"
#include "resv/thread.h"

struct work {
	struct dmabuf_sync *sync;
	atomic_int calls;
	int result;
	bool in_thread;
	bool was_locked;
	char words[400];
	struct dma_fence *unlock; /* leave the unlock to it */
	bool frees;
	pthread_mutex_t *gate; /* wait for it */
};

static void work_call(struct dmabuf_sync *sync, int result, void *data)
{
	struct work *work = data;

	ASSERT(sync == work->sync);
	work->in_thread = resv_thread_is_self();
	work->was_locked = dmabuf_sync_is_locked(sync);
	work->result = result;
	snprintf(work->words, sizeof(work->words), "%s", dmabuf_last_error());
	if (work->gate) {
		pthread_mutex_lock(work->gate);
		pthread_mutex_unlock(work->gate);
	}
	if (work->unlock && work->was_locked)
		ASSERT_OK(dmabuf_sync_unlock_fence(sync, work->unlock));
	else if (work->was_locked)
		ASSERT_OK(dmabuf_sync_unlock(sync));
	if (work->frees)
		dmabuf_sync_fini(sync);
	atomic_fetch_add(&work->calls, 1);
}

static bool was_called(void *arg)
{
	return atomic_load(&((struct work *)arg)->calls) > 0;
}

static void until_called(struct work *work)
{
	ASSERT(eventually(was_called, work, 20000));
	ASSERT_EQ(work->calls, 1);
}

static int submit(struct work *work, struct dma_fence **after, unsigned int num_after,
		  long timeout_ms, struct dma_fence **fence)
{
	struct sync_request request = { .timeout_ms = timeout_ms,
					.after = after,
					.num_after = num_after,
					.func = work_call,
					.data = work };

	return sync_lock_start(work->sync, &request, fence);
}

TEST(E4_a_job_is_called_in_the_librarys_thread_with_its_buffers_held)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct work work = { .sync = sync_of("job", dmabuf, DMA_BUF_ACCESS_DMA_W) };
	struct dma_fence *fence;

	/* Also if they are free. */
	ASSERT_OK(submit(&work, NULL, 0, 1000, &fence));
	until_called(&work);
	ASSERT_OK(work.result);
	ASSERT(work.in_thread && work.was_locked);
	ends(fence, 1);
	/* And again with the same object. */
	atomic_store(&work.calls, 0);
	ASSERT_OK(submit(&work, NULL, 0, 1000, NULL));
	until_called(&work);
	ASSERT_OK(dmabuf_sync_trylock(work.sync));
	dmabuf_sync_fini(work.sync);
	dma_buf_put(dmabuf);
}

TEST(E4_jobs_run_behind_each_other_and_behind_locks_as_they_were_submitted)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *holder = sync_of("holder", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *reader = sync_of("last", dmabuf, DMA_BUF_ACCESS_W);
	struct work a = { .sync = sync_of("a", dmabuf, DMA_BUF_ACCESS_DMA_W) };
	struct work b = { .sync = sync_of("b", dmabuf, DMA_BUF_ACCESS_DMA_R) };
	struct dma_fence *done_a = fence_new(), *done_b = fence_new(), *input = fence_new(), *read;

	a.unlock = done_a;
	b.unlock = done_b;
	b.frees = true;
	ASSERT_OK(dmabuf_sync_lock(holder));
	ASSERT_OK(submit(&a, &input, 1, 40000, NULL));
	ASSERT_OK(submit(&b, NULL, 0, 40000, NULL));
	read = ask(reader, 40000);
	ASSERT_OK(dmabuf_sync_unlock(holder));
	ASSERT_EQ(a.calls, 0);
	ASSERT_OK(dma_fence_signal(input));
	until_called(&a);
	ASSERT_EQ(b.calls, 0);
	ASSERT_OK(dma_fence_signal(done_a));
	until_called(&b);
	still_waits(read);
	ASSERT_OK(dma_fence_signal(done_b));
	take(reader, read);
	dma_fence_put(done_a);
	dma_fence_put(done_b);
	dma_fence_put(input);
	dmabuf_sync_fini(a.sync);
	dmabuf_sync_fini(reader);
	dmabuf_sync_fini(holder);
	dma_buf_put(dmabuf);
}

TEST(E4_a_job_that_cannot_have_its_buffers_is_told)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *holder = sync_of("holder", dmabuf, DMA_BUF_ACCESS_W);
	struct work work = { .sync = sync_of("job", dmabuf, DMA_BUF_ACCESS_DMA_W) };
	struct dma_fence *fence;

	ASSERT_OK(dmabuf_sync_lock(holder));
	ASSERT_OK(submit(&work, NULL, 0, 30, &fence));
	until_called(&work);
	ASSERT_ERR(work.result, ETIMEDOUT);
	ASSERT(!work.was_locked);
	ASSERT_STR_CONTAINS(work.words, "holder (pid");
	ends(fence, -ETIMEDOUT);
	/* The object is free for the next. */
	ASSERT_OK(dmabuf_sync_unlock(holder));
	ASSERT_OK(dmabuf_sync_lock(work.sync));
	dmabuf_sync_fini(work.sync);
	dmabuf_sync_fini(holder);
	dma_buf_put(dmabuf);
}

TEST(E4_a_job_is_told_that_an_input_failed)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct work work = { .sync = sync_of("job", dmabuf, DMA_BUF_ACCESS_DMA_W) };
	struct dma_fence *input = fence_new();

	ASSERT_OK(submit(&work, &input, 1, 40000, NULL));
	ASSERT_OK(dma_fence_set_error(input, -EIO));
	ASSERT_OK(dma_fence_signal(input));
	until_called(&work);
	ASSERT_ERR(work.result, EIO);
	ASSERT(!work.was_locked);
	dma_fence_put(input);
	dmabuf_sync_fini(work.sync);
	dma_buf_put(dmabuf);
}

TEST(E4_a_cancelled_job_is_not_called_and_one_that_is_called_is_not_cancelled)
{
	struct dma_buf *dmabuf = buffer_new("frame");
	struct dmabuf_sync *holder = sync_of("holder", dmabuf, DMA_BUF_ACCESS_W);
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	struct work work = { .sync = sync_of("job", dmabuf, DMA_BUF_ACCESS_DMA_W), .gate = &gate };
	struct dma_fence *fence;

	ASSERT_OK(dmabuf_sync_lock(holder));
	ASSERT_OK(submit(&work, NULL, 0, 40000, &fence));
	ASSERT_OK(dmabuf_sync_cancel(work.sync));
	ends(fence, -ECANCELED);
	ASSERT_OK(dmabuf_sync_unlock(holder));
	ASSERT_OK(dmabuf_sync_lock(holder));
	ASSERT_EQ(work.calls, 0);
	pthread_mutex_lock(&gate);
	ASSERT_OK(submit(&work, NULL, 0, 40000, &fence));
	ASSERT_OK(dmabuf_sync_unlock(holder));
	ASSERT_EQ(fence_result(fence), 1);
	ASSERT_ERR(dmabuf_sync_cancel(work.sync), EALREADY);
	pthread_mutex_unlock(&gate);
	until_called(&work);
	dma_fence_put(fence);
	dmabuf_sync_fini(work.sync);
	dmabuf_sync_fini(holder);
	dma_buf_put(dmabuf);
}
