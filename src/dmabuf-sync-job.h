/* SPDX-License-Identifier: MIT */
/*
 * Queued work, for drivers inside the library: when a group of buffers is held and fences have been
 * signalled, a function is called, with no wake-up of the application in between.
 */
#ifndef DMABUF_SRC_DMABUF_SYNC_JOB_H
#define DMABUF_SRC_DMABUF_SYNC_JOB_H

#include <dmabuf/dma-fence.h>
#include <dmabuf/dmabuf-sync.h>

/*
 * Called once in the library's thread, with no lock held and never from within sync_lock_start();
 * it should not block for long. @result is 0 or -EOWNERDEAD: @sync is locked, and this function's
 * (or whoever it hands it to) to unlock, by dmabuf_sync_unlock() or dmabuf_sync_unlock_fence().
 * Anything else: it is not locked, and dmabuf_last_error() has the words. It may start the next
 * attempt, and free @sync.
 */
typedef void (*sync_job_fn)(struct dmabuf_sync *sync, int result, void *data);

struct sync_request {
	long timeout_ms;	  /* for buffers and fences together */
	struct dma_fence **after; /* to be waited for too; references stay the caller's */
	unsigned int num_after;
	sync_job_fn func; /* NULL: whoever started it calls dmabuf_sync_lock_finish() */
	void *data;
};

/*
 * Start an attempt. 0: @sync is LOCKING; with a function: that will be called, unless
 * dmabuf_sync_cancel() answers 0 before. Else nothing has changed: what dmabuf_sync_lock_async()
 * answers. @fence, if not NULL, is given a reference to a fence that is signalled at the grant; of
 * an attempt with a function: before that is called.
 */
int sync_lock_start(struct dmabuf_sync *sync, const struct sync_request *request,
		    struct dma_fence **fence);

#endif
