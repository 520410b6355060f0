// SPDX-License-Identifier: MIT
/* What is said of a buffer, as text and as JSON. */
#include "list.h"

const char *ls_direction(enum dma_data_direction direction)
{
	switch (direction) {
	case DMA_BIDIRECTIONAL:
		return "bidirectional";
	case DMA_TO_DEVICE:
		return "to-device";
	case DMA_FROM_DEVICE:
		return "from-device";
	default:
		return "none";
	}
}

const char *ls_access_state(enum dma_buf_access_state state)
{
	switch (state) {
	case DMA_BUF_ACCESS_HELD:
		return "held";
	case DMA_BUF_ACCESS_WAITING:
		return "waiting";
	case DMA_BUF_ACCESS_DRAINING:
		return "draining";
	case DMA_BUF_ACCESS_LOST:
		return "lost";
	case DMA_BUF_ACCESS_TORN:
		return "torn";
	default:
		return "unknown";
	}
}

const char *ls_access_kind(const struct dma_buf_access_info *a)
{
	return a->lock ? "object-lock" : a->fence ? "fence" : "lock";
}

const char *ls_usage(enum dma_resv_usage usage)
{
	switch (usage) {
	case DMA_RESV_USAGE_KERNEL:
		return "kernel";
	case DMA_RESV_USAGE_WRITE:
		return "write";
	case DMA_RESV_USAGE_READ:
		return "read";
	default:
		return "bookkeep";
	}
}
