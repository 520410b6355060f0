// SPDX-License-Identifier: MIT
#include "queued-job.h"

#include <errno.h>

#include "dmabuf-sync-async.h"
#include "error.h"
#include "export.h"

static const char *job_driver_name(struct dma_fence *fence)
{
	return ((struct queued_job *)fence)->ops->driver;
}

/* What it works on may be gone when somebody asks. */
static const char *job_timeline_name(struct dma_fence *fence)
{
	return "queued work";
}

static void job_release(struct dma_fence *fence)
{
	struct queued_job *job = (struct queued_job *)fence;

	pthread_mutex_destroy(&job->lock);
	job->ops->release(job);
}

static const struct dma_fence_ops job_fence_ops = {
	.use_64bit_seqno = true,
	.get_driver_name = job_driver_name,
	.get_timeline_name = job_timeline_name,
	.release = job_release,
};

int queued_job_init(struct queued_job *job, const struct queued_job_ops *ops, const char *name)
{
	job->sync = dmabuf_sync_init(job, name);
	if (!job->sync)
		return -errno;
	job->ops = ops;
	job->state = JOB_WAITING;
	pthread_mutex_init(&job->lock, NULL);
	dma_fence_lock_init(&job->fence_lock);
	/* A timeline of its own: jobs end in any order. */
	dma_fence_init(&job->fence, &job_fence_ops, &job->fence_lock, dma_fence_context_alloc(1),
		       1);
	return 0;
}

void queued_job_fini(struct queued_job *job)
{
	dmabuf_sync_fini(job->sync);
	job->sync = NULL;
	/* Nobody has seen it. */
	dma_fence_signal(&job->fence);
	dma_fence_put(&job->fence);
}

/* Nothing is held. */
static void finish(struct queued_job *job, int error)
{
	struct dmabuf_sync *sync;

	pthread_mutex_lock(&job->lock);
	job->state = JOB_OVER;
	sync = job->sync;
	job->sync = NULL;
	pthread_mutex_unlock(&job->lock);
	dmabuf_sync_fini(sync);
	job->ops->ending(job);
	if (error)
		dma_fence_set_error(&job->fence, error);
	dma_fence_signal(&job->fence);
	dma_fence_put(&job->fence);
}

void queued_job_end(struct queued_job *job, int error, bool began)
{
	if (!began) {
		sync_unlock_unused(job->sync);
	} else {
		if (!error && !dmabuf_sync_is_locked(job->sync))
			error = -ETIMEDOUT;
		sync_unlock_error(job->sync, error);
	}
	finish(job, error);
}

/* In the library's thread: the buffers are held, or could not be had. */
static void locked(struct dmabuf_sync *sync, int result, void *data)
{
	struct queued_job *job = data;
	int error = result;

	pthread_mutex_lock(&job->lock);
	if (result == -EOWNERDEAD && job->replaces)
		error = 0;
	if (job->state == JOB_CANCELLED)
		error = -ECANCELED;
	if (!error)
		job->state = JOB_READY;
	pthread_mutex_unlock(&job->lock);
	if (!error)
		job->ops->ready(job);
	else if (!result || result == -EOWNERDEAD)
		queued_job_end(job, error, false);
	else
		finish(job, error);
}

int queued_job_check(struct dma_fence *const *after, unsigned int num_after, long *timeout_ms)
{
	unsigned int i;

	if (*timeout_ms < 0)
		return dmabuf_fail(EINVAL, "a timeout of %ld ms for a job", *timeout_ms);
	if (num_after > DMABUF_WORK_AFTER_MAX || (num_after && !after))
		return dmabuf_fail(EINVAL, "%u fences%s to wait for: up to %d are possible",
				   num_after, after ? "" : " (NULL)", DMABUF_WORK_AFTER_MAX);
	for (i = 0; i < num_after; i++)
		if (!after[i])
			return dmabuf_fail(EINVAL, "no fence (NULL) to wait for, at %u of %u", i,
					   num_after);
	if (!*timeout_ms)
		*timeout_ms = DMABUF_SYNC_TIMEOUT_MS;
	return 0;
}

int queued_job_start(struct queued_job *job, struct dma_fence **after, unsigned int num_after,
		     long timeout_ms)
{
	struct sync_request request = { .timeout_ms = timeout_ms,
					.after = after,
					.num_after = num_after,
					.func = locked,
					.data = job };

	return sync_lock_start(job->sync, &request, NULL);
}

int queued_job_cancel(struct queued_job *job)
{
	bool withdrawn = false, ready;

	pthread_mutex_lock(&job->lock);
	ready = job->state == JOB_READY;
	if (job->state == JOB_WAITING) {
		/* Its grant may be on its way to locked(), which waits for us. */
		withdrawn = !dmabuf_sync_cancel(job->sync);
		job->state = withdrawn ? JOB_OVER : JOB_CANCELLED;
	} else if (job->state != JOB_CANCELLED && !ready) {
		pthread_mutex_unlock(&job->lock);
		return dmabuf_fail(EALREADY, "the job has ended");
	}
	pthread_mutex_unlock(&job->lock);
	if (withdrawn)
		finish(job, -ECANCELED);
	if (!ready)
		return 0;
	if (!job->ops->withdraw(job))
		return dmabuf_fail(EALREADY, "the job has begun");
	queued_job_end(job, -ECANCELED, false);
	return 0;
}

DMABUF_PUBLIC int dmabuf_cancel_work(struct dma_fence *fence)
{
	if (!fence || fence->ops != &job_fence_ops)
		return dmabuf_fail(EINVAL, "%s is no job that was queued",
				   fence ? "the fence" : "NULL");
	return queued_job_cancel((struct queued_job *)fence);
}
