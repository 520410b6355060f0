/* SPDX-License-Identifier: MIT */
/* <dmabuf/block.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_BLOCK_H
#define DMABUF_STUBS_BLOCK_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_buf_device *dma_buf_block_open(int fd, const char *name,
							const struct dma_buf_block_options *options)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_buf_block_submit(struct dma_buf_attachment *attach,
				       struct dma_buf_sg_table *table,
				       enum dma_data_direction direction, uint64_t buffer_offset,
				       uint64_t length, uint64_t file_offset, uint64_t cookie)
{
	return -ENODEV;
}

static inline int dma_buf_block_reap(struct dma_buf_device *dev,
				     struct dma_buf_block_completion *completions, unsigned int max,
				     int timeout_ms)
{
	return -ENODEV;
}

static inline int dma_buf_block_sync(struct dma_buf_device *dev)
{
	return -ENODEV;
}

static inline int dma_buf_block_get_info(struct dma_buf_device *dev,
					 struct dma_buf_block_info *info)
{
	return -ENODEV;
}

static inline int dma_buf_block_describe(struct dma_buf_device *dev, char *text, size_t size)
{
	return -ENODEV;
}

static inline int dma_buf_block_get_parameters(dev_t device,
					       struct dma_buf_device_parameters *parameters)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
