// SPDX-License-Identifier: MIT
/*
 * An export lives from the moment that a fence gets a descriptor until it ends: the fence's
 * callback sends the record and shuts the owner's end down. That end also says when the last holder
 * of the descriptor has gone. Either way the library's thread finds a hang-up there and cleans up,
 * alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "list.h"
#include "sync-file.h"
#include "sync-socket.h"
#include "worker.h"

struct export
{
	uint64_t id;
	int owner; /* -1 in a forked child */
	struct dma_fence *fence;
	struct dma_fence_cb cb;
	struct worker_timer timer;
	struct worker_watch watch;
	UT_hash_handle hh;
};

static struct export *exports;

struct dma_fence *sync_export_find(uint64_t id)
{
	struct dma_fence *fence = NULL;
	struct export *export;

	sync_lock();
	HASH_FIND(hh, exports, &id, sizeof(id), export);
	if (export)
		fence = dma_fence_get(export->fence);
	sync_unlock();
	return fence;
}

void sync_exports_forget(void)
{
	struct export *export;

	/* They stay where they are, as callbacks of the child's copies of the fences do. */
	for (export = exports; export; export = export->hh.next) {
		if (export->owner >= 0)
			close(export->owner);
		export->owner = -1;
	}
}

static int export_add(struct export *export)
{
	sync_lock();
	HASH_ADD(hh, exports, id, sizeof(export->id), export);
	sync_unlock();
	return export->hh.tbl ? 0 : dmabuf_fail(ENOMEM, "no memory to remember a fence's export");
}

static void export_destroy(struct export *export)
{
	if (export->hh.tbl) {
		sync_lock();
		HASH_DEL(exports, export);
		sync_unlock();
	}
	close(export->owner);
	dma_fence_put(export->fence);
	free(export);
}

static void export_tell(struct export *export, struct dma_fence *fence)
{
	struct sync_record record;

	if (export->owner < 0)
		return;
	record = sync_record_make(dma_fence_get_status_locked(fence), dma_fence_timestamp(fence));
	sync_socket_tell(export->owner, &record);
}

static void export_signaled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	export_tell(container_of(cb, struct export, cb), fence);
}

static void export_timed_out(struct worker_timer *timer)
{
	struct export *export = container_of(timer, struct export, timer);

	if (fence_time_out(export->fence))
		dmabuf_log(DMABUF_LOG_WARNING,
			   "fence %s %s seq %" PRIu64 ", exported to other processes, was not "
			   "signalled in time: it ends with ETIMEDOUT",
			   export->fence->ops->get_driver_name(export->fence),
			   export->fence->ops->get_timeline_name(export->fence),
			   export->fence->seqno);
}

/* It has ended, or nobody holds the descriptor any more. The timer's function runs here too. */
static void export_hung_up(struct worker_watch *watch, uint32_t events)
{
	struct export *export = container_of(watch, struct export, watch);

	worker_unwatch(&export->watch);
	worker_timer_cancel(&export->timer);
	dma_fence_remove_callback(export->fence, &export->cb);
	export_destroy(export);
}

/* From the last step on, the export is the worker's. */
static int export_begin(struct export *export, uint32_t timeout_ms)
{
	uint64_t deadline = clock_ns() + timeout_ms * (uint64_t)1000000;
	int err = export_add(export);

	if (err)
		return err;
	err = worker_timer_start(&export->timer, deadline, export_timed_out);
	if (err)
		return err;
	if (dma_fence_add_callback(export->fence, &export->cb, export_signaled))
		export_tell(export, export->fence);
	err = worker_watch_fd(&export->watch, export->owner, 0, export_hung_up);
	if (!err)
		return 0;
	worker_timer_stop(&export->timer);
	dma_fence_remove_callback(export->fence, &export->cb);
	return err;
}

/* Nothing is left to be watched. */
static int export_ended(struct dma_fence *fence, const struct sync_name *name)
{
	struct sync_record record;
	int owner, fd, err = sync_socket_make(name, &owner, &fd);

	if (err)
		return err;
	record = sync_record_make(dma_fence_get_status_locked(fence), dma_fence_timestamp(fence));
	sync_socket_tell(owner, &record);
	close(owner);
	return fd;
}

int sync_export(struct dma_fence *fence, struct sync_name *name)
{
	struct export *export;
	int fd, err;

	if (dma_fence_is_signaled(fence))
		return export_ended(fence, name);
	export = calloc(1, sizeof(*export));
	if (!export)
		return dmabuf_fail(ENOMEM, "no memory for a fence's export");
	err = sync_socket_make(name, &export->owner, &fd);
	if (err) {
		free(export);
		return err;
	}
	export->id = name->id;
	export->fence = dma_fence_get(fence);
	err = export_begin(export, name->timeout_ms);
	if (!err)
		return fd;
	close(fd);
	export_destroy(export);
	return err;
}
