/* SPDX-License-Identifier: MIT */
/**
 * DOC: locks that the library's thread takes
 *
 * An attempt is one asynchronous lock of a sync object, from its start until somebody took it over.
 * Its members are taken by the rule of dmabuf-sync-lock.c; the first is asked for by whoever starts
 * it, so that its place in the queue is fixed then, the others by the thread. Beside buffers it can
 * wait for fences; those are waited for with the buffers held or queued for, so nothing that
 * locked a buffer later gets it first.
 */
#ifndef DMABUF_SRC_DMABUF_SYNC_ASYNC_H
#define DMABUF_SRC_DMABUF_SYNC_ASYNC_H

#include <dmabuf/dma-fence.h>
#include <dmabuf/dmabuf-sync-async.h>

#include "dmabuf-sync-job.h"
#include "dmabuf-sync.h"

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

/*
 * A locked object is given back: after an access that ended with @error (0: none), which leaves
 * torn what was to be written; or without an access, everything as it was.
 */
void sync_unlock_error(struct dmabuf_sync *sync, int error);
void sync_unlock_unused(struct dmabuf_sync *sync);

#endif
