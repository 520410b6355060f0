/* SPDX-License-Identifier: MIT */
/* <dmabuf/v4l2.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_V4L2_H
#define DMABUF_STUBS_V4L2_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_buf_device *dma_buf_v4l2_open(int fd, const char *name,
						       const struct dma_buf_v4l2_options *options)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_buf_v4l2_set_format(struct dma_buf_device *dev,
					  struct dma_buf_v4l2_format *format)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_request(struct dma_buf_device *dev, enum dma_buf_v4l2_memory memory,
				       unsigned int count)
{
	return -ENODEV;
}

static inline struct dma_buf *dma_buf_v4l2_alloc(struct dma_buf_device *dev, const char *name)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_buf_v4l2_queue(struct dma_buf_attachment *attach,
				     struct dma_buf_sg_table *table, uint64_t used,
				     uint64_t timestamp, uint64_t cookie)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_start(struct dma_buf_device *dev)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_stop(struct dma_buf_device *dev)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_reap(struct dma_buf_device *dev,
				    struct dma_buf_v4l2_completion *completions, unsigned int max,
				    int timeout_ms)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_check_source(struct dma_buf_device *dev)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_fd(struct dma_buf_device *dev)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_get_info(struct dma_buf_device *dev, struct dma_buf_v4l2_info *info)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_get_parameters(struct dma_buf_device *dev,
					      struct dma_buf_device_parameters *parameters)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_parameters_from(struct dma_buf_device *dev)
{
	return -ENODEV;
}

static inline int dma_buf_v4l2_describe(struct dma_buf_device *dev, char *text, size_t size)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
