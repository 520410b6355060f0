// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "dma-fence.h"
#include "error.h"
#include "export.h"

static const char *stub_name(struct dma_fence *fence)
{
	return "stub";
}

static void stub_keep(struct dma_fence *fence)
{
}

static const struct dma_fence_ops shared_ops = {
	.get_driver_name = stub_name,
	.get_timeline_name = stub_name,
	.release = stub_keep,
};

static const struct dma_fence_ops private_ops = {
	.get_driver_name = stub_name,
	.get_timeline_name = stub_name,
};

/* Signalled fences never take their lock for long: one does for all. */
static struct dma_fence_lock stub_lock;

static struct dma_fence shared = {
	.lock = &stub_lock,
	.ops = &shared_ops,
	.cb_list = { &shared.cb_list, &shared.cb_list },
	.flags = FENCE_SIGNALED | FENCE_WATCHED,
	.refcount = 1,
};

DMABUF_PUBLIC struct dma_fence *dma_fence_get_stub(void)
{
	return dma_fence_get(&shared);
}

struct dma_fence *fence_private_stub(int64_t timestamp)
{
	struct dma_fence *fence = malloc(sizeof(*fence));

	if (!fence)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a fence");
	dma_fence_init(fence, &private_ops, &stub_lock, 0, 0);
	dma_fence_signal_timestamp(fence, timestamp);
	return fence;
}

DMABUF_PUBLIC struct dma_fence *dma_fence_allocate_private_stub(void)
{
	return fence_private_stub((int64_t)clock_ns());
}
