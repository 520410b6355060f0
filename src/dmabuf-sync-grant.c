// SPDX-License-Identifier: MIT
/* The fence of an asynchronous lock. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dmabuf-sync-async.h"
#include "error.h"

/* It may outlive the sync object. */
struct grant_fence {
	struct dma_fence base; /* first: dma_fence_free() frees it */
	struct dma_fence_lock lock;
	char name[DMABUF_SYNC_NAME_LEN];
};

static const char *grant_driver_name(struct dma_fence *fence)
{
	return "dmabuf-sync";
}

static const char *grant_timeline_name(struct dma_fence *fence)
{
	return ((struct grant_fence *)fence)->name;
}

static const struct dma_fence_ops grant_ops = {
	.use_64bit_seqno = true,
	.get_driver_name = grant_driver_name,
	.get_timeline_name = grant_timeline_name,
};

struct dma_fence *sync_grant_fence(struct dmabuf_sync *sync)
{
	struct grant_fence *grant = malloc(sizeof(*grant));

	if (!grant)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a fence of sync object \"%s\"",
				       sync->name);
	if (!sync->fence_context)
		sync->fence_context = dma_fence_context_alloc(1);
	dma_fence_lock_init(&grant->lock);
	memcpy(grant->name, sync->name, sizeof(grant->name));
	dma_fence_init(&grant->base, &grant_ops, &grant->lock, sync->fence_context,
		       ++sync->fence_seqno);
	return &grant->base;
}
