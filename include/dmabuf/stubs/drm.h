/* SPDX-License-Identifier: MIT */
/* <dmabuf/drm.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_DRM_H
#define DMABUF_STUBS_DRM_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dma_buf_device *dma_buf_drm_open(int fd, const char *name)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_buf_drm_import(struct dma_buf_attachment *attach,
				     struct dma_buf_sg_table *table,
				     enum dma_data_direction direction, uint32_t *handle)
{
	return -ENODEV;
}

static inline struct dma_buf *dma_buf_drm_export(struct dma_buf_device *dev, uint32_t handle)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_buf *
dma_buf_drm_alloc(struct dma_buf_device *dev, struct dma_buf_drm_picture *picture, const char *name)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dma_buf *dma_buf_drm_get_screen(struct dma_buf_device *dev,
						     struct dma_buf_drm_screen *screen)
{
	errno = ENODEV;
	return NULL;
}

static inline int dma_buf_drm_get_info(struct dma_buf_device *dev, struct dma_buf_drm_info *info)
{
	return -ENODEV;
}

static inline int dma_buf_drm_get_parameters(dev_t device,
					     struct dma_buf_device_parameters *parameters)
{
	return -ENODEV;
}

static inline int dma_buf_drm_parameters_from(dev_t device)
{
	return -ENODEV;
}

static inline int dma_buf_drm_describe(struct dma_buf_device *dev, char *text, size_t size)
{
	return -ENODEV;
}

#pragma GCC diagnostic pop

#endif
