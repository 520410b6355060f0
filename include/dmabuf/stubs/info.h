/* SPDX-License-Identifier: MIT */
/* <dmabuf/info.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_INFO_H
#define DMABUF_STUBS_INFO_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline int dma_buf_get_info(int fd, struct dma_buf_info *info)
{
	return -ENODEV;
}

static inline int dma_buf_get_counters(struct dma_buf *dmabuf, struct dma_buf_counters *counters)
{
	return -ENODEV;
}

static inline int dmabuf_set_label(const char *label)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop
#endif
