/* SPDX-License-Identifier: MIT */
/* <dmabuf/device.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_DEVICE_H
#define DMABUF_STUBS_DEVICE_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_buf_device *dma_buf_device_create(const struct dma_buf_device_info *info)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_buf_device *dma_buf_device_get(struct dma_buf_device *dev)
{
	errno = ENODEV;
	return NULL;
}

static inline void dma_buf_device_put(struct dma_buf_device *dev)
{
}

static inline struct dma_buf_device *dma_buf_cpu_device(void)
{
	errno = ENODEV;
	return NULL;
}

static inline const char *dma_buf_device_name(const struct dma_buf_device *dev)
{
	return "";
}

static inline const struct dma_buf_device_parameters *
dma_buf_device_get_parameters(const struct dma_buf_device *dev)
{
	errno = ENODEV;
	return NULL;
}

static inline const struct dma_buf_device_parameters *
dma_buf_device_get_write_parameters(const struct dma_buf_device *dev)
{
	errno = ENODEV;
	return NULL;
}

static inline void *dma_buf_device_priv(const struct dma_buf_device *dev)
{
	errno = ENODEV;
	return NULL;
}

#pragma GCC diagnostic pop
#endif
