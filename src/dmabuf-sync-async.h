/* SPDX-License-Identifier: MIT */
/**
 * DOC: locks that the library's thread takes
 *
 * An attempt is one asynchronous lock of a sync object, from its start until somebody took it over.
 * Its members are taken by the rule of dmabuf-sync-lock.c; the first is asked for by whoever starts
 * it, so that its place in the queue is fixed then, the others by the thread. Beside buffers it can
 * wait for fences; those are waited for with the buffers held or queued for, so nothing that
 * locked a buffer later gets it first.
 *
 * Drivers inside the library use sync_lock_start() with a function: a queued job.
 */
#ifndef DMABUF_SRC_DMABUF_SYNC_ASYNC_H
#define DMABUF_SRC_DMABUF_SYNC_ASYNC_H

#include <dmabuf/dma-fence.h>
#include <dmabuf/dmabuf-sync-async.h>

#include "dmabuf-sync.h"

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

/* Does an attempt wait, or was it granted and not taken over? One that failed is dropped. */
bool sync_is_locking(struct dmabuf_sync *sync);

/* The object's buffers change or go: its attempt is cancelled. In a child: forgotten. */
void sync_attempt_end(struct dmabuf_sync *sync);

/* dmabuf-sync-grant.c: the fence of an attempt. NULL with errno and words. */
struct dma_fence *sync_grant_fence(struct dmabuf_sync *sync);

/* dmabuf-sync-fd.c: the descriptor is readable from now on, or not any more. */
void sync_fd_set(int fd);
void sync_fd_clear(int fd);

/*
 * dmabuf-sync-release.c: holds that fences give back are the object's no more: they are freed, or
 * will be when their fence is signalled.
 */
void sync_releases_drop(struct dmabuf_sync *sync);

#endif
