/* SPDX-License-Identifier: MIT */
/*
 * A job waits for buffers and fences, is carried out by somebody, and ends with a fence (row E4).
 * What carries it out is a work function's thread (queued-work.c) or a block device
 * (devices/block-queue.c).
 */
#ifndef DMABUF_SRC_QUEUED_JOB_H
#define DMABUF_SRC_QUEUED_JOB_H

#include <pthread.h>

#include <dmabuf/dma-fence.h>
#include <dmabuf/queued-work.h>

#include "dmabuf-sync.h"

struct queued_job;

struct queued_job_ops {
	const char *driver; /* of the fence */
	/* All is there; in a thread that should not be kept. The job is the op's from now on. */
	void (*ready)(struct queued_job *job);
	/* It was to be ready, and is not wanted any more: is it still in the op's queue? Then not
	 * any more. */
	bool (*withdraw)(struct queued_job *job);
	/* It ends, one way or the other; its fence has not been signalled. */
	void (*ending)(struct queued_job *job);
	/* The last reference to the fence is gone. */
	void (*release)(struct queued_job *job);
};

enum queued_job_state {
	JOB_WAITING,
	JOB_CANCELLED, /* its grant was on its way: it ends when that arrives */
	JOB_READY,     /* its buffers are held */
	JOB_OVER,
};

/* First in the struct of its kind. */
struct queued_job {
	struct dma_fence fence;
	struct dma_fence_lock fence_lock;
	const struct queued_job_ops *ops;
	pthread_mutex_t lock; /* guards the state */
	enum queued_job_state state;
	struct dmabuf_sync *sync; /* the library's own */
	bool replaces;		  /* torn content is no obstacle: it writes all of it */
};

/* A job of @kind with a sync object called @name. 0 or -errno with words, and nothing to undo. */
int queued_job_init(struct queued_job *job, const struct queued_job_ops *ops, const char *name);

/* One that was not started. */
void queued_job_fini(struct queued_job *job);

/*
 * It waits from now on. @after: references stay the caller's. 0, or -errno with words; then it was
 * not started.
 */
int queued_job_start(struct queued_job *job, struct dma_fence **after, unsigned int num_after,
		     long timeout_ms);

/*
 * A job that was ready is over: its buffers are given back and its fence is signalled. @began: it
 * may have written, so that an error leaves the content torn.
 */
void queued_job_end(struct queued_job *job, int error, bool began);

/* As dmabuf_cancel_work(). */
int queued_job_cancel(struct queued_job *job);

/* A request's common part. 0, or -EINVAL with words. @timeout_ms becomes what is meant. */
int queued_job_check(struct dma_fence *const *after, unsigned int num_after, long *timeout_ms);

#endif
