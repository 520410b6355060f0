// SPDX-License-Identifier: MIT
#include "kernel/resv.h"

#include <unistd.h>

#include "error.h"
#include "kernel/dmabuf.h"
#include "kernel/storage.h"
#include "kernel/sync-file.h"

/* NULL too if it cannot be had: then whoever locks waits all the same, by poll(). */
static struct dma_fence *take(struct buffer *b, bool write)
{
	struct dma_fence *fence;
	unsigned int pending;
	int file = kernel_export_sync_file(b->storage.fd, write);

	if (file < 0)
		return NULL;
	pending = kernel_sync_file_pending(file, NULL);
	if (pending <= storage_kernel_own_fences(&b->storage)) {
		close(file);
		return NULL;
	}
	fence = kernel_sync_import(file);
	if (!fence)
		dmabuf_log(DMABUF_LOG_WARNING, "fences of the kernel's are not seen: %s",
			   dmabuf_last_error());
	return fence;
}

struct dma_fence *kernel_resv_next(struct buffer *b, enum dma_resv_usage usage, unsigned int *entry,
				   enum dma_resv_usage *is_for)
{
	struct dma_fence *fence = NULL;

	if (!storage_is_kernel(&b->storage))
		return NULL;
	if (*entry == KERNEL_RESV_FIRST) {
		++*entry;
		*is_for = DMA_RESV_USAGE_WRITE;
		fence = usage >= DMA_RESV_USAGE_WRITE ? take(b, false) : NULL;
	}
	if (!fence && *entry == KERNEL_RESV_FIRST + 1) {
		++*entry;
		*is_for = DMA_RESV_USAGE_READ;
		fence = usage >= DMA_RESV_USAGE_READ ? take(b, true) : NULL;
	}
	return fence;
}
