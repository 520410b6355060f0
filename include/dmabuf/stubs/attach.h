/* SPDX-License-Identifier: MIT */
/* <dmabuf/attach.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_ATTACH_H
#define DMABUF_STUBS_ATTACH_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_buf_attachment *dma_buf_attach_for(struct dma_buf *dmabuf,
							    struct dma_buf_device *dev,
							    enum dma_data_direction usage)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_buf_explain_attach(struct dma_buf *dmabuf, struct dma_buf_device *dev,
					 enum dma_data_direction usage,
					 struct dma_buf_attach_report *report)
{
	return -ENODEV;
}

static inline int dma_buf_get_constraints(struct dma_buf *dmabuf,
					  struct dma_buf_device_parameters *constraints)
{
	return -ENODEV;
}

static inline int dma_buf_recalc_constraints(struct dma_buf *dmabuf,
					     struct dma_buf_device_parameters *constraints)
{
	return -ENODEV;
}

static inline int dma_buf_test_map_attachment(struct dma_buf_attachment *attach,
					      enum dma_data_direction direction, unsigned int attrs,
					      struct dma_buf_test_mapping *info)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
