// SPDX-License-Identifier: MIT
/* Jobs that a function carries out. */
#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "export.h"
#include "list.h"
#include "options.h"
#include "queued-job.h"
#include "work-pool.h"

struct work {
	struct queued_job job; /* first */
	struct work_item item;
	int (*func)(void *data);
	void *data;
};

static void work_run(struct work_item *item)
{
	struct work *w = container_of(item, struct work, item);
	int error = w->func(w->data);

	/* What is no error number of a fence's is one all the same. */
	if (error > 0 || error < -DMA_FENCE_MAX_ERRNO)
		error = -EINVAL;
	queued_job_end(&w->job, error, true);
}

static void work_ready(struct queued_job *job)
{
	work_pool_run(&((struct work *)job)->item, work_run);
}

static bool work_withdraw(struct queued_job *job)
{
	return work_pool_withdraw(&((struct work *)job)->item);
}

static void work_ending(struct queued_job *job)
{
	work_pool_unreserve();
}

static void work_release(struct queued_job *job)
{
	free(job);
}

static const struct queued_job_ops work_ops = {
	.driver = "dmabuf-work",
	.ready = work_ready,
	.withdraw = work_withdraw,
	.ending = work_ending,
	.release = work_release,
};

static int add_buffers(struct work *w, const struct dmabuf_work *request)
{
	const struct dmabuf_work_buffer *b;
	unsigned int i;
	size_t len;
	int err = 0;

	for (i = 0; i < request->num_buffers && !err; i++) {
		b = &request->buffers[i];
		if (!b->dmabuf)
			return dmabuf_fail(EINVAL, "no buffer (NULL) for a job, at %u of %u", i,
					   request->num_buffers);
		len = b->len;
		if (!len && b->start <= b->dmabuf->size)
			len = b->dmabuf->size - b->start;
		err = dmabuf_sync_get_range(w->job.sync, b->dmabuf, b->type, b->start, len);
	}
	return err;
}

static int check(struct dmabuf_work *request, struct dma_fence **fence)
{
	if (!fence || !request->func)
		return dmabuf_fail(EINVAL, "a job needs a function, and room for its fence");
	if (!request->buffers || !request->num_buffers ||
	    request->num_buffers > DMABUF_WORK_BUFFERS_MAX)
		return dmabuf_fail(EINVAL, "a job on %u buffers: 1 to %d are possible",
				   request->buffers ? request->num_buffers : 0,
				   DMABUF_WORK_BUFFERS_MAX);
	return queued_job_check(request->after, request->num_after, &request->timeout_ms);
}

static int start(struct work *w, const struct dmabuf_work *request)
{
	int err = add_buffers(w, request);

	if (!err)
		err = work_pool_reserve();
	if (err)
		return err;
	err = queued_job_start(&w->job, request->after, request->num_after, request->timeout_ms);
	if (err)
		work_pool_unreserve();
	return err;
}

DMABUF_PUBLIC int dmabuf_queue_work(const struct dmabuf_work *work, struct dma_fence **fence)
{
	struct dmabuf_work request = { .struct_size = sizeof(request) };
	struct dma_fence *made;
	struct work *w;
	int err =
		options_take(&request, sizeof(request), work, sizeof(request.struct_size), "a job");

	if (err >= 0)
		err = check(&request, fence);
	if (err)
		return err;
	w = calloc(1, sizeof(*w));
	if (!w)
		return dmabuf_fail(ENOMEM, "no memory for a job");
	list_init(&w->item.link);
	w->func = request.func;
	w->data = request.data;
	err = queued_job_init(&w->job, &work_ops, request.name);
	if (err) {
		free(w);
		return err;
	}
	made = dma_fence_get(&w->job.fence);
	err = start(w, &request);
	if (err) {
		queued_job_fini(&w->job);
		dma_fence_put(made);
		return err;
	}
	*fence = made;
	return 0;
}
