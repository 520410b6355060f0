/* SPDX-License-Identifier: MIT */
/* <dmabuf/queued-work.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_QUEUED_WORK_H
#define DMABUF_STUBS_QUEUED_WORK_H

#include <errno.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline int dmabuf_queue_work(const struct dmabuf_work *work, struct dma_fence **fence)
{
	return -ENODEV;
}

static inline int dma_buf_block_queue(struct dma_buf_attachment *attach,
				      struct dma_buf_sg_table *table,
				      const struct dma_buf_block_job *job, struct dma_fence **fence)
{
	return -ENODEV;
}

static inline int dmabuf_cancel_work(struct dma_fence *fence)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
