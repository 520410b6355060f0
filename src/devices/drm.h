/* SPDX-License-Identifier: MIT */
/*
 * Inside a DRM device. drm-call.c is the only one that speaks with the kernel, by libdrm; where
 * that was not there when the library was built, drm-none.c refuses in its stead.
 */
#ifndef DMABUF_SRC_DEVICES_DRM_H
#define DMABUF_SRC_DEVICES_DRM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <dmabuf/drm.h>

#include "device.h"

#define DRM_MAJOR_NUMBER 226u

/* A table whose buffer the driver has. Two of one kernel dma-buf have one handle. */
struct drm_region {
	struct drm_region *next;
	const struct dma_buf_scatterlist *sgl;
	uint32_t handle;
};

struct drm_device {
	uint64_t owner; /* process_cookie() */
	int fd;
	char name[DMA_BUF_DEVICE_NAME_LEN];
	char driver[32];
	bool imports, exports, dumb;
	pthread_mutex_t lock; /* of what follows, and of handles that come and go */
	struct drm_region *regions;
};

/* What a CRTC shows. */
struct drm_shown {
	uint32_t crtc; /* wanted, 0: the first that shows something; which it is */
	uint32_t fourcc, width, height;
	uint64_t modifier;
	uint32_t plane_count;
	struct dmabuf_frame_plane planes[DMABUF_FRAME_MAX_PLANES];
	uint32_t handles[DMABUF_FRAME_MAX_PLANES]; /* to be closed; some may be the same */
};

extern const struct dma_buf_map_ops drm_map_ops;

/* The DRM device behind @dev; NULL with words if it is none, or a parent process's. */
struct drm_device *drm_of(const struct dma_buf_device *dev);

/* drm-call.c, drm-none.c: 0 (or a descriptor) or -errno, without words. */
int drm_call_look(struct drm_device *d);
int drm_call_import(int fd, int dmabuf, uint32_t *handle);
int drm_call_export(int fd, uint32_t handle);
int drm_call_close(int fd, uint32_t handle);
int drm_call_picture(int fd, struct dma_buf_drm_picture *picture, uint32_t *handle);
int drm_call_picture_end(int fd, uint32_t handle);
/* -ENOENT: nothing, -EACCES: it is not for us. */
int drm_call_screen(int fd, struct drm_shown *shown);

/* drm-parameters.c: from where they are, or -ENOENT. @sysfs is "/sys", or a test's. */
int drm_parameters(dev_t device, const char *sysfs, struct dma_buf_device_parameters *parameters);

#endif
